"""The cheapest hedge restores initial margin, keeps its promises to the micro, and nothing tried by force is cheaper."""

from __future__ import annotations

import sys
from decimal import Decimal
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.margin import scenes
from tests.margin import test_what_if as scene

import seawall as sw
from seawall.core.errors import (
    BadNumber,
    ExpiredInstrument,
    InputError,
    MissingExtra,
    NotWholeLots,
    UnknownInstrument,
    UnsafeParameters,
)
from seawall.margin.cuts import planes_of
from seawall.margin.headroom import scenario
from seawall.margin.hedge import Hedge, cheapest_hedge, hedge_of
from seawall.margin.hedge_search import GAP
from seawall.margin.single import Single
from seawall.margin.trials import TradingCosts, Trials, most_lots
from seawall.margin.whatif import what_if
from seawall.market.market import Market

MOST = 6
COSTS = TradingCosts()
CONVEX = ("fixed", "cross", "greeks", "expected-shortfall", "derive-standard", "dydx")


@st.composite
def below_margin(draw: Any, name: str) -> Single:
    """An account of a few positions with a share of its initial margin as equity."""
    at, symbols = scene.MARKETS[name], scene.SYMBOLS[name]
    counts = st.integers(-10, 10).filter(bool)
    lots = draw(st.dictionaries(st.sampled_from(symbols), counts, min_size=1, max_size=5), "lots")
    lots = {symbol: abs(n) if at.instruments[symbol].kind == "spot" else n for symbol, n in lots.items()}
    single = Single.of(scene.book_of(at, lots, 0), at, scene.MODELS[name], "a")
    now = single.evaluate()
    single.cash_nano += (now.initial * draw(st.integers(20, 99), "per cent of margin") // 100 - now.equity) * 1000
    assume(single.evaluate().free < 0)
    return single


def chosen(draw: Any, name: str, most: int) -> list[str]:
    symbols = scene.SYMBOLS[name]
    count = min(most, len(symbols))
    return draw(st.lists(st.sampled_from(symbols), min_size=count, max_size=count, unique=True))


def doing(single: Single, hedge: Hedge) -> Any:
    """The account after the hedge's trades and the payment of its cost, by the ordinary what-if."""
    trades = [(trade.symbol, trade.quantity) for trade in hedge.trades]
    return scenario(single, trades, deposit=-Decimal(hedge.cost_micro) / 10**6)


@pytest.mark.parametrize("name", sorted(scene.SYMBOLS))
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_hedge_restores_initial_margin_and_doing_it_gives_the_promised_figures(name: str, data: st.DataObject) -> None:
    single = data.draw(below_margin(name))
    hedge = hedge_of(single, chosen(data.draw, name, 4))
    assert hedge.before == single.evaluate()
    assert single.evaluate(cash_nano=hedge.deposit_micro * 1000).free == 0
    assert hedge.exists == bool(hedge.trades)
    if hedge.after is not None:
        assert hedge.after.free >= 0
        assert doing(single, hedge) == hedge.after
        assert hedge.cost_micro == sum(trade.cost_micro for trade in hedge.trades) > 0
        lots = {symbol: at.lot for symbol, at in single.market.instruments.items()}
        assert all(trade.quantity == trade.lots * lots[trade.symbol] != 0 for trade in hedge.trades)
        assert {trade.symbol for trade in hedge.trades} <= set(hedge.candidates)


@pytest.mark.parametrize("name", ["fixed", "cross", "portfolio", "greeks", "expected-shortfall", "value-at-risk"])
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_every_kind_of_instrument_may_hedge_inverse_contracts_and_baskets_too(name: str, data: st.DataObject) -> None:
    at = scene.WHOLE
    counts = st.integers(-5_000, 5_000).filter(bool)
    lots = data.draw(st.dictionaries(st.sampled_from(list(at.instruments)), counts, min_size=1, max_size=6))
    lots = {symbol: abs(n) if at.instruments[symbol].kind == "spot" else n for symbol, n in lots.items()}
    single = Single.of(scene.book_of(at, lots, 0), at, scene.MODELS[name], "a")
    now = single.evaluate()
    single.cash_nano += (now.initial * data.draw(st.integers(0, 99)) // 100 - now.equity) * 1000
    assume(single.evaluate().free < 0)
    hedge = hedge_of(single, data.draw(st.sampled_from((None, ["BTC-INV", "MIX"], ["BTC-INV", "BTC"]))))
    if hedge.after is not None:
        assert hedge.after.free >= 0
        assert doing(single, hedge) == hedge.after
        assert hedge.single is None or hedge.cost_micro <= hedge.single.cost_micro


def brute(single: Single, most: dict[str, Decimal]) -> tuple[Trials, Any, Any]:
    """Trials, every row of lots within limits that passes, and its cost."""
    trials = Trials(single, most_lots(single.market, most), COSTS)
    sides = [range(-int(low), int(high) + 1) for low, high in zip(trials.sells, trials.buys, strict=True)]
    rows = np.array(list(product(*sides)), np.int64)
    rows = rows[trials.free(rows) >= 0]
    return trials, rows, np.abs(rows) @ trials.lot_cost_micro


@pytest.mark.parametrize("name", sorted(scene.SYMBOLS))
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_no_single_instrument_does_it_cheaper_nor_do_several(name: str, data: st.DataObject) -> None:
    single = data.draw(below_margin(name))
    most = {s: single.market.instruments[s].lot * MOST for s in chosen(data.draw, name, 3)}
    hedge = hedge_of(single, most)
    _, rows, costs = brute(single, most)
    alone = costs[(rows != 0).sum(axis=1) == 1]
    assert (hedge.single.cost_micro if hedge.single else None) == (int(alone.min()) if len(alone) else None)
    assert all(abs(trade.lots) <= MOST for trade in hedge.trades)
    if not len(rows):
        assert not hedge.exists
    if len(alone):
        assert hedge.exists
        assert hedge.cost_micro <= alone.min()
    if name in CONVEX:
        assert hedge.exists == bool(len(rows))
        assert not len(rows) or hedge.cost_micro <= costs.min() * (1 + 2 * GAP)


@pytest.mark.parametrize("name", sorted(scene.SYMBOLS))
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_large_single_trades_are_bisected_to_the_last_lot(name: str, data: st.DataObject) -> None:
    """Positions of thousands of lots, one candidate: a lot less does not pass."""
    at = scene.MARKETS[name]
    sign = data.draw(st.sampled_from((-1, 1)))
    single = Single.of(scene.book_of(at, {"BTC-PERP": sign * data.draw(st.integers(1_000, 30_000))}, 0), at, name, "a")
    now = single.evaluate()
    single.cash_nano += (now.initial * data.draw(st.integers(20, 95)) // 100 - now.equity) * 1000
    hedge = hedge_of(single, ["BTC-PERP"])
    assert hedge.after is not None
    (trade,) = hedge.trades
    assert trade == hedge.single
    trials = Trials(single, {"BTC-PERP": None}, COSTS)
    assert trials.free(np.array([[trade.lots], [trade.lots + sign]])).tolist()[0] >= 0
    assert trials.free(np.array([[trade.lots + sign]]))[0] < 0


@pytest.mark.parametrize("name", [*CONVEX, "portfolio", "derive-portfolio", "value-at-risk"])
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_planes_touch_the_requirement_and_stay_below_it_where_it_is_convex(name: str, data: st.DataObject) -> None:
    single = data.draw(below_margin(name))
    trials = Trials(single, dict.fromkeys(chosen(data.draw, name, 4)), COSTS)
    planes = planes_of(trials)
    seed = data.draw(st.integers(0, 10**6))
    points = np.random.default_rng(seed).integers(-40, 40, (30, len(trials.symbols)))
    exact = trials.evaluate(points)[:, 1] * 1000.0
    found = planes.at(points[0].astype(np.float64))
    terms = np.zeros((len(points), planes.terms))
    for plane in found:
        reach = plane.value + (points - points[0]) @ plane.slope
        terms[:, plane.term] = np.maximum(terms[:, plane.term], reach)
    tolerance = 1e-6 * exact + 10**6  # a thousandth of a currency unit: roundings
    assert abs(terms[0].sum() - exact[0]) <= tolerance[0]
    if name in CONVEX and name != "derive-standard":  # whose slopes are differences
        assert planes.convex
        assert (terms.sum(axis=1) <= exact + tolerance).all()


def test_a_perpetual_is_cut_by_as_many_lots_as_on_paper() -> None:
    at = scenes.market([scenes.perpetual("BTC", lot="0.01")], {"BTC": "100000"})
    hedge = cheapest_hedge(scenes.book(at, {"BTC-PERP": 100}, cash="9000"), at, "fixed", "a")
    # 1 BTC at 10 % needs 10,000; selling x leaves (1 - x) · 10,000 ≤ 9,000 - 60 x: x ≥ 0.1006, 11 lots
    assert [(t.symbol, t.lots, t.cost_micro) for t in hedge.trades] == [("BTC-PERP", -11, 6_600_000)]
    assert hedge.after is not None
    assert (hedge.after.equity, hedge.after.initial) == (8_993_400_000, 8_900_000_000)
    assert hedge.deposit_micro == 1_000_000_000
    assert hedge.candidates == ("BTC-PERP",)


def test_two_instruments_are_cheaper_than_one_where_both_sides_of_a_strangle_are_short() -> None:
    rows = [
        scenes.perpetual("BTC"),
        scenes.option("C", "call", 110_000, 240, 0.6),
        scenes.option("P", "put", 90_000, 240, 0.6),
        scenes.option("CW", "call", 125_000, 240, 0.65),
        scenes.option("PW", "put", 78_000, 240, 0.65),
    ]
    at = scenes.market(rows, {"BTC": "100000"})
    book = scenes.book(at, {"C": -100, "P": -100}, cash="10000")
    hedge = cheapest_hedge(book, at, "portfolio", "a", ["CW", "PW"])
    assert hedge.single is None
    assert {trade.symbol: trade.lots > 0 for trade in hedge.trades} == {"CW": True, "PW": True}
    every = cheapest_hedge(book, at, "portfolio", "a")
    assert every.cost_micro <= hedge.cost_micro
    assert set(every.candidates) == set(at.instruments)
    after = what_if(book, at, "portfolio", "a", [(t.symbol, str(t.quantity)) for t in hedge.trades])
    assert hedge.after is not None
    assert hedge.after.equity == int(after.equity_micro[0]) - hedge.cost_micro
    assert hedge.after.initial == int(after.initial_margin_micro[0])


def test_nothing_is_traded_where_nothing_is_missing_and_nothing_where_nothing_helps() -> None:
    at = scenes.market([scenes.perpetual("BTC")], {"BTC": "100000"})
    fine = cheapest_hedge(scenes.book(at, {"BTC-PERP": 10}, cash="20000"), at, "portfolio", "a")
    assert fine.exists
    assert (fine.trades, fine.cost_micro, fine.deposit_micro, fine.after) == ((), 0, 0, fine.before)
    for cash, lots in (("-5", {"BTC-PERP": 10}), ("-5", {}), ("1", {"BTC-PERP": 10})):
        hopeless = cheapest_hedge(scenes.book(at, lots, cash=cash), at, "portfolio", "a")
        assert not hopeless.exists
        assert hopeless.trades == ()
        single = Single.of(scenes.book(at, lots, cash=cash), at, "portfolio", "a")
        assert single.evaluate(cash_nano=hopeless.deposit_micro * 1000).free == 0


def test_limits_of_candidates_hold_and_spot_is_sold_only_as_far_as_it_is_held() -> None:
    at = scenes.market(
        [scenes.perpetual("BTC"), {"symbol": "BTC", "kind": "spot", "underlying": "BTC", "lot": "0.01", "haircut": "0.1"}],
        {"BTC": "100000"},
    )
    book = scenes.book(at, {"BTC-PERP": 100, "BTC": 3}, cash="-1000")
    single = Single.of(book, at, "portfolio", "a")
    assert single.evaluate().free < 0
    assert Trials(single, {"BTC": None}, COSTS).sells.tolist() == [3]
    assert hedge_of(single, {"BTC": 1, "BTC-PERP": "0"}).trades == ()
    trades = {t.symbol: t.lots for t in hedge_of(single, {"BTC": 1, "BTC-PERP": "1"}).trades}
    assert -100 <= trades["BTC-PERP"] < 0
    assert trades.get("BTC", 0) >= -3


def test_an_expiring_market_of_many_instruments_is_screened_to_a_few_candidates() -> None:
    rows = [scenes.perpetual("BTC"), scenes.option("OLD", "put", 90_000, 0, 0.6)]
    rows += [scenes.option(f"{k}-{r[0]}", r, k, 480, 0.6) for k in range(80_000, 120_000, 2_000) for r in ("call", "put")]
    at = scenes.market(rows, {"BTC": "100000"})
    hedge = cheapest_hedge(scenes.book(at, {"80000-p": 5, "110000-c": -100}, cash="3500"), at, "portfolio", "a")
    assert hedge.exists
    assert len(hedge.candidates) <= 24
    assert {"80000-p", "110000-c"} <= set(hedge.candidates)
    assert "OLD" not in hedge.candidates
    with pytest.raises(ExpiredInstrument, match="OLD"):
        cheapest_hedge(scenes.book(at, {"110000-c": -100}), at, "portfolio", "a", ["OLD"])


BAD = {
    "no candidate": ([], None, InputError, "at least one"),
    "a string": ("BTC-PERP", None, InputError, "a list of instruments"),
    "an unknown candidate": (["DOGE9"], None, UnknownInstrument, "DOGE9"),
    "a candidate twice": (["BTC-PERP", "BTC-PERP"], None, InputError, "twice"),
    "a negative limit": ({"BTC-PERP": "-1"}, None, BadNumber, "zero or more"),
    "a limit between lots": ({"BTC-PERP": "0.0001"}, None, NotWholeLots, "whole number"),
    "no fee at all": (None, TradingCosts(fee_ppm=0), UnsafeParameters, "fee_ppm"),
    "a spread beyond all": (None, TradingCosts(option_spread_ppm=2_000_000), UnsafeParameters, "option_spread_ppm"),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD.keys())
def test_nonsense_is_refused_by_name(case: Any) -> None:
    candidates, costs, error, words = case
    book = scene.book_of(scene.WHOLE, {"BTC-PERP": 5}, 0)
    with pytest.raises(error, match=words):
        cheapest_hedge(book, scene.WHOLE, "portfolio", "a", candidates, costs)
    with pytest.raises(InputError, match="an account of the book"):
        cheapest_hedge(book, scene.WHOLE, "portfolio", "nobody")


def test_without_the_solver_one_line_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "highspy", None)
    single = Single.of(scene.book_of(scene.WHOLE, {"BTC-PERP": 5}, 10**9), scene.WHOLE, "fixed", "a")
    with pytest.raises(MissingExtra, match=r"seawall\[hedge\]"):
        hedge_of(single, ["BTC-PERP"])


def test_the_same_question_has_the_same_answer() -> None:
    at: Market = scene.WHOLE
    book = scene.book_of(at, {"BTC-PERP": 50, "BTC-DEC-120000-C": -20, "ETH-DEC-4000-C": -9}, 3 * 10**12)
    first = sw.cheapest_hedge(book, at, "portfolio", "a")
    assert first.trades
    assert sw.cheapest_hedge(book, at, "portfolio", "a") == first
