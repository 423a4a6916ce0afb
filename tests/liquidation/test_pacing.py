"""Pacing: known slices, the loop gain never above its limit, and patience against the formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.core.errors import InputError
from seawall.liquidation.pacing import gain_ppm, pace, patience_s, waiting_ppm

MOVES = np.array([0, 1_000, 10_000], np.int64)
DEPTH = np.array([0, 100, 1_000], np.int64)
NOBODY = np.zeros(0, np.int64)


def test_with_nobody_ahead_everything_goes_to_the_depth_of_the_book():
    assert pace(500, MOVES, DEPTH, NOBODY, NOBODY).lots == 500
    far = pace(5_000, MOVES, DEPTH, NOBODY, NOBODY)
    assert (far.lots, far.throttled, far.move_ppm) == (1_000, True, 10_000)


def test_a_move_is_interpolated_and_rounded_up():
    assert pace(50, MOVES, DEPTH, NOBODY, NOBODY).move_ppm == 500
    assert pace(1, MOVES, DEPTH, NOBODY, NOBODY).move_ppm == 10
    assert pace(101, MOVES, DEPTH, NOBODY, NOBODY).move_ppm == 1_010


def test_it_stops_short_of_a_tripwire_that_would_break_too_much():
    found = pace(500, MOVES, DEPTH, np.array([2_000]), np.array([400]), gain_limit_ppm=500_000)
    # 1,999 ppm are 100 + 999/9000 · 900 = 199 lots; 200 would trip 400 more.
    assert (found.lots, found.broken_lots, found.throttled) == (199, 0, True)


def test_a_small_tripwire_is_no_reason_to_wait():
    found = pace(500, MOVES, DEPTH, np.array([2_000]), np.array([40]), gain_limit_ppm=500_000)
    assert (found.lots, found.broken_lots, found.throttled) == (500, 40, False)
    assert gain_ppm(500, MOVES, DEPTH, np.array([2_000]), np.array([40])) == 80_000


def test_somebody_at_the_line_stops_everything_but_the_least():
    wires = np.array([0]), np.array([10_000])
    assert pace(500, MOVES, DEPTH, *wires).lots == 0
    assert pace(500, MOVES, DEPTH, *wires, least_lots=25).lots == 25


@given(
    st.integers(0, 2_000),
    st.lists(st.tuples(st.integers(0, 12_000), st.integers(1, 500)), max_size=30),
    st.integers(0, 1_000_000),
)
def test_the_slice_is_the_largest_within_the_limit(wanted, wires, limit):
    distance = np.array([d for d, _ in wires], np.int64)
    closing = np.array([c for _, c in wires], np.int64)
    found = pace(wanted, MOVES, DEPTH, distance, closing, limit)

    def fits(lots: int) -> bool:
        if lots == 0:
            return True
        move = MOVES[0]
        k = 1 if lots <= 100 else 2
        move = MOVES[k - 1] - (-(MOVES[k] - MOVES[k - 1]) * (lots - DEPTH[k - 1]) // (DEPTH[k] - DEPTH[k - 1]))
        broken = int(closing[distance <= move].sum()) if len(wires) else 0
        return broken <= limit * lots // 1_000_000

    assert fits(found.lots)
    top = min(wanted, 1_000)
    # The loop gain jumps at tripwires only, so no larger slice than the next candidates can fit.
    assert all(not fits(lots) for lots in range(found.lots + 1, top + 1)) or found.lots == top


@given(st.integers(1, 10**13), st.integers(1, 10**14), st.integers(1, 50_000))
def test_patience_is_the_time_that_a_move_takes_to_eat_the_equity(equity, gross, vol):
    seconds = patience_s(equity, gross, vol, 2_000_000)
    if seconds < 10**9:
        assert 2 * vol * math.sqrt(seconds) * gross <= equity * 1e6 * (1 + 1e-9)
        assert 2 * vol * math.sqrt(seconds + 1) * gross >= equity * 1e6 * (1 - 1e-9)


def test_patience_ends():
    assert patience_s(0, 100, 10) == 0
    assert patience_s(-5, 100, 10) == 0
    assert patience_s(5, 0, 10) == 10**9


def test_ladders_that_make_no_book_are_refused():
    for moves, depth in (([1, 2], [0, 1]), ([0, 2], [1, 2]), ([0, 0], [0, 1]), ([0, 1], [0, -1]), ([0], [0])):
        with pytest.raises(InputError):
            pace(1, np.array(moves), np.array(depth), NOBODY, NOBODY)
    with pytest.raises(InputError):
        pace(1, MOVES, DEPTH, NOBODY, NOBODY, gain_limit_ppm=-1)


def test_waiting_costs_a_seconds_volatility_for_every_second_until_the_turn():
    assert waiting_ppm(10, 10, 500) == 0
    assert waiting_ppm(11, 10, 500) == 500  # the eleventh is sold a second later
    assert waiting_ppm(30, 10, 500) == 1_000
    assert waiting_ppm(31, 10, 500) == 1_500
    assert waiting_ppm(3, 0, 500) == 1_500  # a market that takes nothing is one that takes a lot a second
    assert waiting_ppm(10**12, 1, 500) == 1_000_000  # never more than everything


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**6), st.integers(0, 10**5))
def test_more_lots_never_wait_for_less(lots, more, rate, second):
    assert waiting_ppm(lots, rate, second) <= waiting_ppm(lots + more, rate, second)
