"""The screen of tails: the same integers with it as without it, whatever the columns, weights and sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from seawall.kernels import masks, screen, tail, tail_book, worst
from seawall.kernels.account import evaluate_accounts, evaluate_one
from seawall.kernels.tables import TAIL, Tables

PPM = 10**6
LEGS = 24
NOTHING = np.zeros((0, 0), np.int64)


def tables_of(values: np.ndarray, weights: np.ndarray, tails: tuple[int, int], mean: int) -> Tables:
    scalars = np.zeros(tail.SCALARS, np.int64)
    scalars[tail.SCALAR_MEAN] = mean
    scalars[tail.SCALAR_TAIL_INITIAL], scalars[tail.SCALAR_TAIL_MAINTENANCE] = tails
    scalars[tail.SCALAR_FACTOR_INITIAL] = scalars[tail.SCALAR_FACTOR_MAINTENANCE] = PPM
    legs = np.arange(len(values), dtype=np.int32)
    return Tables(
        values=np.ascontiguousarray(values, np.int64),
        extra=np.zeros((len(values), tail.EXTRAS), np.int64),
        leg_block=legs,
        leg_group=np.full(len(values), -1, np.int32),
        leg_underlying=legs // 8,
        leg_right=(legs % 3 == 0).astype(np.int8),
        block_params=NOTHING,
        scenario_params=np.ascontiguousarray(weights, np.int64)[None, :].copy(),
        underlying_params=np.zeros((len(values) // 8 + 1, tail.PARAMS), np.int64),
        scalars=scalars,
    )


def book(random: Any, accounts: int, most: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(row ends, legs, lots) of accounts of up to `most` positions."""
    counts = random.integers(0, most + 1, accounts)
    ends = np.concatenate([[0], np.cumsum(counts)])
    legs = [np.sort(random.choice(LEGS, count, replace=False)) for count in counts]
    lots = random.integers(1, size + 1, ends[-1]) * random.choice((-1, 1), ends[-1])
    return ends, np.concatenate([*legs, []]).astype(np.int32), lots.astype(np.int64)


def both(tables: Tables, ends: np.ndarray, legs: np.ndarray, lots: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """(figures by way of the screen, one account at a time, how many of them the screen told)."""
    cash = np.arange(len(ends) - 1) * 1_001 - 5_000
    fast, slow = np.zeros((len(cash), 4), np.int64), np.zeros((len(cash), 4), np.int64)
    evaluate_accounts(TAIL, tables, ends[:-1], ends[1:], legs, lots, cash, fast)
    for a, (start, stop) in enumerate(zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)):
        slow[a] = evaluate_one(TAIL, tables, legs[start:stop], lots[start:stop], int(cash[a]))
    left = tail_book.evaluate(tables, ends[:-1], ends[1:], legs, lots, cash, fast.copy())
    return fast, slow, 0 if left is None else len(cash) - len(left)


def changes(random: Any, columns: int, kind: str) -> np.ndarray:
    """int64[LEGS, columns] of values' changes from their marks."""
    wild = random.standard_t(3, (LEGS, columns)) * 10.0 ** random.integers(2, 11, (LEGS, 1))
    if kind == "alike":
        wild[:] = wild[:, :1]
    elif kind == "ties":
        wild = wild[:, random.integers(0, max(columns // 12, 1), columns)]
    elif kind == "close":  # apart by less than the screen can tell
        wild = wild[:, :1] + random.integers(-3, 4, (LEGS, columns))
    elif kind == "common":  # hedged books are left with little
        wild = wild[:1] * random.integers(1, 5, (LEGS, 1)) + random.integers(-9, 10, (LEGS, columns))
    return np.rint(wild).astype(np.int64)


@settings(max_examples=120, deadline=None)
@given(
    st.integers(0, 2**32),
    st.sampled_from(["wild", "ties", "close", "common", "alike"]),
    st.sampled_from([1, 2, 5, 63, 64, 65, 200, 517]),
    st.tuples(st.integers(1, PPM - 1), st.integers(1, PPM - 1)) | st.just((25_000, 25_000)) | st.just((10_000, 25_000)),
    st.booleans(),
    st.integers(0, 1),
)
def test_a_book_has_the_figures_of_its_accounts_one_by_one(seed, kind, columns, tails, even, mean):
    random = np.random.default_rng(seed)
    weights = np.full(columns, PPM // columns) if even else (random.dirichlet(np.full(columns, 0.2)) * PPM).astype(int)
    weights[random.integers(columns)] += PPM - weights.sum()
    marks = random.integers(-(10**12), 10**12, (LEGS, 1))
    values = np.concatenate([marks, marks + changes(random, columns, kind)], axis=1)
    fast, slow, _ = both(tables_of(values, weights, tails, mean), *book(random, 80, 13, 60))
    assert fast.tolist() == slow.tolist()


@pytest.mark.parametrize("mean", [0, 1])
def test_the_screen_tells_nearly_all_accounts_of_an_ordinary_book(mean):
    random = np.random.default_rng(4)
    values = np.concatenate([np.zeros((LEGS, 1), np.int64), changes(random, 500, "wild")], axis=1)
    tables = tables_of(values, np.full(500, 2_000), (10_000, 25_000), mean)
    fast, slow, told = both(tables, *book(random, 400, 12, 50))
    assert fast.tolist() == slow.tolist()
    assert told > 390


@pytest.mark.parametrize("bits", [40, 52, 57, 60, 61])
def test_sizes_up_to_the_limit_of_an_account_are_exact(bits):
    random = np.random.default_rng(bits)
    part = 1 << (bits - 8)
    values = random.integers(-part, part, (LEGS, 301))
    tables = tables_of(values, np.full(300, 3_333) + (np.arange(300) == 7) * 100, (20_000, 50_000), 1)
    fast, slow, _ = both(tables, *book(random, 100, 8, 15))
    assert fast.tolist() == slow.tolist()


def test_one_value_that_is_too_large_leaves_all_to_the_plain_way():
    random = np.random.default_rng(1)
    values = random.integers(-(10**9), 10**9, (LEGS, 301))
    values[3, 17] = (1 << 61) + 1
    tables = tables_of(values, np.full(300, 3_333) + (np.arange(300) == 7) * 100, (20_000, 50_000), 1)
    ends, legs, lots = book(random, 100, 8, 1)
    fast, slow, told = both(tables, ends, legs, lots)
    assert told == 0
    assert fast.tolist() == slow.tolist()


def test_an_account_of_more_positions_than_the_screen_is_for_is_left_over():
    random = np.random.default_rng(2)
    many = screen.MANY + 1
    values = random.integers(-(10**9), 10**9, (many, 301))
    tables = tables_of(values, np.full(300, 3_333) + (np.arange(300) == 7) * 100, (20_000, 50_000), 1)
    ends = np.concatenate([[0, many], many + 8 * np.arange(1, 400)])
    legs = np.concatenate([np.arange(many), np.tile(np.arange(8), 399)]).astype(np.int32)
    lots = random.integers(-40, 41, len(legs))
    fast, slow, told = both(tables, ends, legs, lots)
    assert 0 < told < 400
    assert fast.tolist() == slow.tolist()


def test_what_the_screen_leaves_out_is_off_by_no_more_than_it_says():
    random = np.random.default_rng(3)
    for _ in range(40):
        values = np.concatenate([np.zeros((LEGS, 1), np.int64), changes(random, 130, "wild")], axis=1)
        order, rows = np.zeros(130, np.int64), np.zeros((LEGS, 130), np.int64)
        small, shift = np.zeros((LEGS, screen.room(130)), np.int16), np.zeros(LEGS, np.int64)
        assert screen.make(values, order, rows, small, shift)
        assert sorted(order.tolist()) == list(range(130))
        assert (rows == values[:, 1 + order]).all()
        rest = rows - (small[:, :130].astype(np.int64) << shift[:, None])
        assert (2 * np.abs(rest) <= 1 << shift[:, None]).all()
        assert np.abs(small.astype(int)).max() <= screen.SMALL_MAX
        count = int(random.integers(1, 12))
        legs, lots = np.arange(count, dtype=np.int32), random.integers(-10_000, 10_001, count)
        gross = float(np.sum(np.abs(lots) * 2.0 ** shift[:count]))
        multiples = np.zeros(screen.MANY, np.int32)
        assert scaled(shift, legs, lots, multiples) == (gross > 0)
        sums = multiples[:count].astype(np.int64) @ small[:count, :130].astype(np.int64)
        scale = (screen.SCALE - count) / max(gross, 1.0)
        assert np.abs(sums).max() < 1 << 31
        assert np.abs(scale * (lots @ rows[:count]) - sums).max() <= (count + 2) << 14


@njit
def scaled(shift, legs, lots, multiples):
    return screen._scale(shift, legs, lots, 0, len(legs), multiples)


@njit
def flags(values, first, limit):
    return masks.at_most(values, first, limit)


@njit
def ranks(values, weights, count, first, out):
    masks.weight_above(values, weights, count, first, out)


@njit
def low_and_count(bits):
    return masks.lowest(bits), masks.bits_set(bits)


def test_compares_of_many_numbers_at_once_are_those_of_one_by_one():
    random = np.random.default_rng(6)
    values = random.integers(-(2**31), 2**31, 192).astype(np.int32)
    values[:70] = random.integers(-2, 3, 70)
    for first, limit in ((0, 0), (64, 5), (101, int(values[120])), (128, -(2**31)), (3, 2**31 - 1)):
        found = int(flags(values, first, np.int32(limit)))
        assert [found >> k & 1 for k in range(64)] == [int(v <= limit) for v in values[first : first + 64].tolist()]
    for word in (0, 1, 1 << 63, (1 << 40) + (1 << 7), 2**64 - 1):
        lowest, count = low_and_count(np.uint64(word))
        assert count == word.bit_count()
        assert lowest == (64 if word == 0 else (word & -word).bit_length() - 1)
    for count in (1, 5, 31, 32, 33, 60):
        losses = random.integers(-4, 5, 96) * 2**59
        weights, out = random.integers(0, 1_000, 96), np.zeros(96, np.int64)
        for first in range(0, count, masks.RANKED):
            ranks(losses, weights, count, first, out)
        expected = [int(weights[:count][losses[:count] > loss].sum()) for loss in losses[:count]]
        assert out[:count].tolist() == expected


@njit
def ranked(losses, weights, count, above):
    worst.rank(losses, weights, count, above)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([1, 2, 40, 256, 257, 300]), st.integers(1, 400))
def test_few_and_many_columns_are_ranked_alike(seed, count, spread):
    random = np.random.default_rng(seed)
    losses, weights, above = (np.zeros(worst.room(count), np.int64) for _ in range(3))
    losses[:count], weights[:count] = random.integers(0, spread, count), random.integers(0, 50, count)
    given_losses, given_weights = losses[:count].copy(), weights[:count].copy()
    ranked(losses, weights, count, above)
    assert sorted(zip(losses[:count].tolist(), weights[:count].tolist(), strict=True)) == sorted(
        zip(given_losses.tolist(), given_weights.tolist(), strict=True)
    )
    for k in range(count):
        assert above[k] == given_weights[given_losses > losses[k]].sum()
