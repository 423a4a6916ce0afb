"""What `crossings.py` proves with is true: bounds hold at every tick, gaps over many cells hold in each, twins agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.margin import crossings_twin, scenes
from tests.margin import test_what_if as scene
from tests.margin.test_liquidation import near_zero

import seawall as sw
from seawall.kernels.stretch import COLUMNS, union_gaps
from seawall.margin.bounds import NO_BOUND, Bounds, CellBounds, TierBounds
from seawall.margin.crossings import Search, settled
from seawall.margin.liquidation import BUDGET, _line
from seawall.margin.single import Single

TICKS = 10**6  # of the present price
ROWS = [
    scenes.perpetual("BTC"),
    scenes.perpetual("ETH"),
    *(
        scenes.option(f"{u}{right}{strike}-{hours}", right, strike, hours, iv, underlying=u)
        for u, price in (("BTC", 100), ("ETH", 50))
        for hours, iv in ((3, 0.9), (300, 0.6), (9000, 0.4))
        for right, strike in (("call", price), ("put", price * 9 // 10), ("call", price * 6 // 5), ("put", price))
    ),
]
MARKET = scenes.market(ROWS, {"BTC": "100", "ETH": "50"})
SYMBOLS = [row["symbol"] for row in ROWS]
books = st.dictionaries(st.sampled_from(SYMBOLS), st.integers(-300, 300).filter(bool), min_size=1, max_size=12)
shares = st.sampled_from((-0.3, -0.02, 0.03, 0.3, 1.0))


def account(lots: dict[str, int], share: float, model: Any = "portfolio") -> Single:
    """These lots, with health at a share of maintenance margin."""
    single = Single.of(scenes.book(MARKET, lots, "0"), MARKET, model, "a")
    figures = single.evaluate()
    single.cash_nano += int(figures.maintenance * share * 1000) - figures.health * 1000
    return single


def line_of(single: Single, beta: float = 0.0) -> Any:
    """Ticks of a millionth of BTC's price."""
    return _line(single, 0, int(single.prices_nano[0]) // TICKS, {"ETH": beta})


def within(bounds: Bounds, share: float, health: int) -> None:
    lowest = bounds.low_a + (bounds.low_b - bounds.low_a) * share - 4 * bounds.sag * share * (1 - share)
    highest = min(
        bounds.high_a + (bounds.high_a - bounds.before) * share,
        bounds.high_b + (bounds.high_b - bounds.after) * (1 - share),
    )
    assert bounds.low_a == -NO_BOUND or health >= lowest
    assert bounds.high_a == NO_BOUND or health <= highest


@settings(max_examples=60, deadline=None)
@given(
    lots=books,
    share=shares,
    beta=st.sampled_from((0.0, 0.5, -1.0)),
    start=st.floats(0.15, 4.0),
    width=st.floats(1e-5, 0.7),
    likely=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_health_is_within_its_bounds_at_every_tick(lots, share, beta, start, width, likely, seed):
    single = account(lots, share)
    line = line_of(single, beta)
    a, b = int(start * TICKS), int(start * (1 + width) * TICKS)
    assume(line(a).min() > 0)
    assume(line(b).min() > 0)
    bounds = CellBounds(single, line, a, b).over(a, b, likely)
    assert bounds is not None
    from_a, from_b = settled(bounds, b - a), settled(bounds.reversed(), b - a)
    signs = single.evaluate(line(a)).health < 0, single.evaluate(line(b)).health < 0
    for tick in [a, b, *np.random.default_rng(seed).integers(a, b + 1, 12).tolist()]:
        health = single.evaluate(line(tick)).health
        within(bounds, (tick - a) / (b - a), health)
        if tick <= a + from_a:
            assert (health < 0) == signs[0]
        if tick >= b - from_b:
            assert (health < 0) == signs[1]


@pytest.mark.parametrize("model", ["fixed", "cross"])
@settings(max_examples=20, deadline=None)
@given(lots=books, share=shares, start=st.floats(0.15, 4.0), width=st.floats(1e-5, 0.7), seed=st.integers(0, 2**32))
def test_health_under_tiers_is_within_its_bounds(model, lots, share, start, width, seed):
    single = account(lots, share, model)
    line = line_of(single)
    a, b = int(start * TICKS), int(start * (1 + width) * TICKS) + 4  # fewer are evaluated
    bounds = TierBounds(single, line, a, b).over(a, b, True)
    assert bounds is not None
    for tick in [a, b, *np.random.default_rng(seed).integers(a, b + 1, 12).tolist()]:
        within(bounds, (tick - a) / (b - a), single.evaluate(line(tick)).health)


@settings(max_examples=40, deadline=None)
@given(lots=books, start=st.floats(0.2, 4.0), span=st.integers(1, 60), cell=st.integers(0, 59))
def test_gaps_over_many_cells_are_no_less_than_those_of_each(lots, start, span, cell):
    single = account(lots, 0.5)
    bounds = CellBounds(single, line_of(single), TICKS // 5, 5 * TICKS)
    first = bounds.look(int(start * TICKS)).cells
    out = np.zeros((len(single.lots), single.tables.values.shape[1] - COLUMNS), np.int64)
    union_gaps(bounds._gapped, single.position, first, span, single.steps, bounds._node_work, out)
    inside = first + min(cell, span - 1)
    exact = single.rows(cells=(inside, 1)).values[:, COLUMNS:]
    assert (out >= exact)[single.position].all()
    if span == 1:
        assert (out <= exact + 4 + exact // 10**8)[single.position].all()


@settings(max_examples=25, deadline=None)
@given(lots=books, share=shares, beta=st.sampled_from((0.0, 0.5, 1.5)))
def test_the_twin_finds_the_same_crossings(lots, share, beta):
    single = account(lots, share)
    line = line_of(single, beta)
    ticks = [TICKS // 2, TICKS, 2 * TICKS]
    twin, fast = crossings_twin.Search(single, line, BUDGET), Search(single, line, BUDGET)
    expected = [(a.tick, a.health, b.tick, b.health) for a, b in twin.crossings(ticks)]
    found = [(a.tick, a.health, b.tick, b.health) for a, b in fast.crossings(ticks)]
    assume(twin.proved)
    assert fast.proved
    assert found == expected


@pytest.mark.parametrize("name", ["fixed", "cross", "dydx"])
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_the_twin_finds_the_same_under_tiers(name, data):
    lots = data.draw(
        st.dictionaries(st.sampled_from(scene.SYMBOLS[name]), st.integers(-90, 90).filter(bool), min_size=1)
    )
    single = near_zero(name, lots, data.draw(shares))
    line = _line(single, 0, int(single.prices_nano[0]) // TICKS, {})
    ticks = [TICKS // 2, TICKS, 2 * TICKS]
    twin, fast = crossings_twin.Search(single, line, BUDGET), Search(single, line, BUDGET)
    expected, found = twin.crossings(ticks), fast.crossings(ticks)
    assume(twin.proved)
    assert fast.proved
    assert [(a.tick, b.tick) for a, b in found] == [(a.tick, b.tick) for a, b in expected]


def test_a_book_too_large_to_bound_is_searched_and_says_so():
    single = Single.of(scenes.book(MARKET, {"BTC-PERP": 2 * 10**8}, "150000000"), MARKET, sw.models.get("portfolio"), "a")
    search = Search(single, line_of(single), BUDGET)
    (crossing,) = search.crossings([TICKS // 10, TICKS, 10 * TICKS])
    assert not search.proved
    assert crossing[1].tick - crossing[0].tick == 1
    assert crossing[0].health < 0 <= crossing[1].health
