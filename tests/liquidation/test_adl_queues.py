"""Ranked queues: the venues' published examples, exact sums, and the light of every account."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.core.errors import BadNumber
from seawall.liquidation import adl_queues as queues


def test_the_published_queue_of_bitmex():
    lots = np.array([10, 10, 20, 30, 20, 10])
    closed = queues.close_in_order(lots, np.array([3.0, 6.0, 1.0, 4.0, 5.0, 2.0]), 20)
    assert (closed.lots.tolist(), closed.residual_lots) == ([0, 10, 0, 0, 10, 0], 0)


def test_the_published_figures_of_binance_and_bybit():
    share, leveraged = queues.binance_score(40.2, 4.27, 0.1342 * 44.47)
    assert round(float(share), 2) == 9.41
    assert round(float(leveraged), 2) == 1.26
    price = queues.inverse_bankruptcy_price(Fraction("7890.08"), Fraction(50), 1)
    assert round(float(price), 6) == 7735.372549
    assert queues.inverse_bankruptcy_price(Fraction(100), Fraction(11), -1) == 110
    with pytest.raises(BadNumber):
        queues.inverse_bankruptcy_price(Fraction(100), Fraction(1), -1)


def test_scores_rank_profit_with_leverage_first_and_spare_the_dead():
    # a long of 100 bought at 80: bankruptcy at 50 (leverage 2) or 90 (leverage 10); and one at a loss
    scores = queues.bitmex_score([100.0, 100.0, 100.0, 100.0], [50.0, 90.0, 50.0, 100.0], [80.0, 80.0, 125.0, 80.0])
    assert scores[:3].tolist() == pytest.approx([0.5, 2.5, -0.1])
    assert scores[3] == -np.inf
    assert queues.hyperliquid_score([1, -1, 1], 110.0, 100.0, 1000.0, [500.0, 500.0, 0.0]).tolist() == pytest.approx([2.2, 20 / 11, 0.0])
    assert queues.binance_score(-5.0, 1.0, 1.0)[1] == 0.0
    assert queues.binance_score(0.5, -1.0, 1.0)[1] == 0.0


@given(st.lists(st.tuples(st.integers(0, 10**6), st.floats(-10, 10)), max_size=30), st.integers(0, 10**7))
def test_a_queue_closes_exactly_what_is_needed_from_the_top(rows, need):
    lots = np.array([row[0] for row in rows], np.int64)
    scores = np.array([row[1] for row in rows], np.float64)
    closed = queues.close_in_order(lots, scores, need)
    assert int(closed.lots.sum()) + closed.residual_lots == need
    assert ((closed.lots >= 0) & (closed.lots <= lots)).all()
    partly = np.flatnonzero((closed.lots < lots) & (lots > 0))
    if len(partly) and closed.lots.any():
        assert scores[closed.lots > 0].min() >= scores[partly].max(), "nobody behind an account that kept something"


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(-10, 10)), max_size=40))
def test_lights_are_fifths_of_those_with_a_position(rows):
    lots = np.array([row[0] for row in rows], np.int64)
    scores = np.array([row[1] for row in rows], np.float64)
    shown = queues.lights(lots, scores)
    held = lots > 0
    assert (shown[~held] == 0).all()
    assert ((shown[held] >= 1) & (shown[held] <= 5)).all()
    if held.sum() >= 5:
        counts = np.bincount(shown[held], minlength=6)[1:]
        assert counts.max() - counts.min() <= 1
    for one in np.flatnonzero(held):
        ahead = held & (scores > scores[one])
        assert (shown[ahead] >= shown[one]).all()


def test_bad_queues_are_refused():
    with pytest.raises(BadNumber):
        queues.close_in_order(np.array([1]), np.array([1.0]), -1)
    with pytest.raises(BadNumber):
        queues.close_in_order(np.array([1]), np.array([1.0, 2.0]), 1)
