"""The two block kernels piece by piece: 128-bit products, the payoff minimum, additivity."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from seawall.kernels import payoff
from seawall.kernels.wide import ONE, PLACES, product_down, scale_down, scale_up
from seawall.margin.venues.derive_parameters import StandardMarket
from seawall.margin.venues.derive_standard import OPTION, StandardBoard, board_tables


@njit
def _product(a, b, c):
    return product_down(a, b, c)


@njit
def _scaled(a, b):
    return scale_down(a, b), scale_up(a, b)


@given(st.integers(-(2**62), 2**62), st.integers(0, ONE))
def test_a_factor_is_applied_exactly_and_rounded_as_named(amount, factor):
    exact = amount * factor
    assert _scaled(amount, factor) == (exact >> PLACES, -((-exact) >> PLACES))


@given(st.integers(-(10**9), 10**9), st.integers(0, 10**9), st.integers(0, ONE))
def test_three_factors_meet_in_128_bits(lots, inside, units):
    assert _product(lots, inside, units) == (lots * inside * units) >> PLACES


def board(strikes: list[float], rights: list[int], sizes: list[float]) -> StandardBoard:
    count = len(strikes)
    full = lambda value: np.full(count, value)  # noqa: E731
    order = {strike: position for position, strike in enumerate(sorted(set(strikes)))}
    return StandardBoard(
        kind=np.full(count, OPTION, np.int8),
        size=np.array(sizes),
        spot=full(100.0),
        price=full(0.0),
        forward=full(101.0),
        strike=np.array(strikes),
        vol=full(0.8),
        right=np.array(rights, np.int8),
        confidence=full(1.0),
        exact_nano=np.zeros(count, np.int64),
        block=np.zeros(count, np.int32),
        group=np.array([order[strike] for strike in strikes], np.int32),
        underlying=np.zeros(count, np.int32),
        seconds=np.array([864_000.0]),
        markets=(StandardMarket(),),
        stable=1.0,
        depeg_threshold=0.99,
        depeg_factor=2.0,
    )


positions = st.lists(
    st.tuples(
        st.integers(1, 300).map(float),
        st.sampled_from([-1, 1]),
        st.sampled_from([0.01, 0.1, 1.0, 0.3]),
        st.integers(-50, 50).filter(bool),
    ),
    min_size=1,
    max_size=7,
)


@given(positions)
def test_the_worst_payoff_is_that_of_a_dense_scan(rows):
    rows = sorted(rows, key=lambda row: (row[0], row[1]))
    strikes, rights, sizes, lots = (list(column) for column in zip(*rows, strict=True))
    tables = board_tables(board(strikes, rights, sizes))
    held = np.array(lots, np.int64)
    legs = np.arange(len(lots), dtype=np.int32)
    found = payoff.worst_payoff(tables, legs, held, 0, len(lots)) / 1e9
    prices = np.linspace(0.0, max(strikes), 3001)[:, None]
    inside = np.maximum((prices - np.array(strikes)) * np.array(rights), 0.0)
    dense = min(float((inside @ (np.array(sizes) * held)).min()), 0.0)
    nodes = np.array([0.0, *strikes])[:, None]
    at_nodes = np.maximum((nodes - np.array(strikes)) * np.array(rights), 0.0) @ (np.array(sizes) * held)
    exact = min(float(at_nodes.min()), 0.0)
    assert found <= dense + 1e-9
    assert exact - 1e-6 <= found <= exact + 1e-9


@given(positions)
def test_the_split_of_a_position_into_lots_does_not_matter(rows):
    rows = sorted(rows, key=lambda row: (row[0], row[1]))
    strikes, rights, sizes, lots = (list(column) for column in zip(*rows, strict=True))
    legs = np.arange(len(lots), dtype=np.int32)
    worst = []
    for divisor in (1, 10):
        tables = board_tables(board(strikes, rights, [size / divisor for size in sizes]))
        held = np.array(lots, np.int64) * divisor
        worst.append(payoff.worst_payoff(tables, legs, held, 0, len(lots)) / 1e9)
    assert abs(worst[0] - worst[1]) <= 1e-4 * (1e-9 + abs(worst[0])) + 1e-5
