"""Margin as of a coming moment is margin of what the book is by then: settled, fixed, older, under the model of then."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.margin import scenes
from tests.margin import test_what_if as scene

from seawall.core.errors import BadNumber, InputError, StaleEvent, UnreadableFile
from seawall.core.times import parse_iso_ns
from seawall.ledger.book import Book
from seawall.margin import models
from seawall.margin.coming import Announced, announcement, as_of
from seawall.margin.evaluate import evaluate, evaluate_bound
from seawall.market.market import Market

DAY_NS = 86_400 * 10**9
FIELDS = ("equity_micro", "initial_margin_micro", "maintenance_margin_micro")


def figures(result: Any, account: str = "a") -> tuple[int, ...]:
    row = result.names.index(account)
    return tuple(int(getattr(result, field)[row]) for field in FIELDS)


@pytest.mark.parametrize("name", sorted(scene.SYMBOLS))
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_before_anything_expires_it_is_the_present_book_grown_older(name: str, data: st.DataObject) -> None:
    """The market moved in time by its own method, where neither expiry nor fixing lies between: nothing else differs."""
    at, symbols = scene.MARKETS[name], scene.SYMBOLS[name]
    counts = st.integers(-50, 50).filter(bool)
    lots = data.draw(st.dictionaries(st.sampled_from(symbols), counts, min_size=1))
    book = scene.book_of(at, lots, 10**14)
    later_ns = at.as_of_ns + data.draw(st.integers(0, 40)) * DAY_NS
    found = as_of(book, at, scene.MODELS[name], later_ns)
    assert (found.settled, found.fixed) == ((), ())
    model = scene.MODELS[name]
    expected = evaluate_bound(book.bind(at), model.tables(at.at(later_ns)), model)
    assert figures(found.evaluate()) == figures(expected)
    assert found.single("a").evaluate()[:3] == figures(expected)


def small(*more: dict[str, Any], index: str = "100000") -> Market:
    rows = [scenes.perpetual("BTC"), scenes.option("NEAR-C", "call", 95_000, 24, 0.6)]
    rows += [scenes.option("NEAR-P", "put", 95_000, 24, 0.6), scenes.option("FAR-C", "call", 95_000, 480, 0.6), *more]
    return scenes.market(rows, {"BTC": index})


@pytest.mark.parametrize("model", ["fixed", "cross", "portfolio", "greeks", "expected-shortfall"])
def test_an_expired_option_is_cash_at_its_pay_off_and_the_rest_as_if_it_had_never_been(model: str) -> None:
    at = small()
    book = scenes.book(at, {"NEAR-C": -100, "NEAR-P": -50, "FAR-C": 100}, cash="30000")
    found = as_of(book, at, model, scenes.time_text(24))
    assert found.settled == ("NEAR-C", "NEAR-P")
    assert list(found.market.instruments) == ["BTC-PERP", "FAR-C"]
    # 1 BTC of calls 5,000 in the money; the puts expire worthless
    rest = scenes.book(found.market, {"FAR-C": 100}, cash="25000")
    assert figures(found.evaluate()) == figures(evaluate(rest, found.market, model))
    just_before = as_of(book, at, model, parse_iso_ns(scenes.time_text(24)) - 1)
    assert just_before.settled == ()
    # for an instant the short call is worth what it will pay, to a nano a lot and a rounding
    assert abs(figures(just_before.evaluate())[0] - figures(found.evaluate())[0]) <= 1


def test_a_delta_hedge_by_an_option_that_expires_needs_margin_on_its_own_then() -> None:
    at = small()
    book = scenes.book(at, {"NEAR-P": 100, "BTC-PERP": 100}, cash="20000")
    now = figures(evaluate(book, at, "portfolio"))
    then = figures(as_of(book, at, "portfolio", scenes.time_text(25)).evaluate())
    assert then[1] > 1.5 * now[1]


def test_a_future_settles_at_the_index_and_its_entry_is_in_cash_already() -> None:
    future = {"symbol": "F", "kind": "future", "underlying": "BTC", "lot": "0.01", "expiry": scenes.time_text(48), "mark": "101000"}
    at = small(future)
    rows = [*scenes.rows_of(at, {"BTC-PERP": 3}, cash="1000"), {"account": "a", "instrument": "F", "quantity": "-2", "entry": "98000"}]
    found = as_of(Book.from_rows([{"entry": None, **row} for row in rows]), at, "portfolio", scenes.time_text(48))
    # sold at 98,000, settled at 100,000: 2 × 2,000 lost
    assert found.accounts.cash_nano.tolist() == [(1_000 - 4_000 - 3_000) * 10**9]
    assert figures(found.evaluate())[0] == -3_000 * 10**6


@pytest.mark.parametrize("kept", [True, False])
def test_an_inverse_future_settles_in_coin(kept: bool) -> None:
    """10,000 of face bought at 80,000 gain 10,000 · (1/80,000 − 1/100,000) = 0.025 coins, 2,500 at the index."""
    inverse = {"underlying": "BTC", "lot": "10", "inverse": True}
    more = [{**inverse, "symbol": "I", "kind": "future", "expiry": scenes.time_text(48), "mark": "100500"}]
    more += [{**inverse, "symbol": "IP", "kind": "perpetual"}] if kept else []
    at = small(*more)
    rows = [{"account": "a", "instrument": "USD", "quantity": "7", "entry": None}, {"account": "a", "instrument": "I", "quantity": "10000", "entry": "80000"}]
    found = as_of(Book.from_rows(rows), at, "portfolio", scenes.time_text(48))
    held = {found.market.legs.symbols[leg]: int(n) for leg, n in zip(found.accounts.leg, found.accounts.lots, strict=True)}
    assert set(held) == ({"BTC#coin"} if kept else set())
    equity = figures(found.evaluate())[0]
    assert equity == pytest.approx(2_507 * 10**6, abs=2)
    assert equity <= 2_507 * 10**6  # rounded against the account
    single = found.single("a")
    fallen = single.evaluate(single.prices_nano // 2).equity
    assert fallen == pytest.approx((7 + 1_250) * 10**6 if kept else equity, abs=2)  # coin is worth what the index says


def test_what_does_not_divide_is_rounded_against_either_side() -> None:
    inverse = {"underlying": "BTC", "lot": "10", "inverse": True}
    more = [{**inverse, "symbol": "I", "kind": "future", "expiry": scenes.time_text(48)}, {**inverse, "symbol": "IP", "kind": "perpetual"}]
    at = small(*more, index="99999.123456789")
    rows = [row | {"entry": None} for row in scenes.rows_of(at, {"NEAR-C": 7}, account="long")]
    rows += [row | {"entry": None} for row in scenes.rows_of(at, {"NEAR-C": -7}, account="short")]
    rows += [{"account": a, "instrument": "I", "quantity": q, "entry": "80000"} for a, q in (("long", "70"), ("short", "-70"))]
    book = Book.from_rows(rows)
    accounts = as_of(book, at, "portfolio", scenes.time_text(48)).accounts
    long, short = accounts.cash_nano.tolist()
    paid = 7 * (Decimal("99999.123456789") - 95_000) * 10**7
    assert paid - 7 < long < paid < -short < paid + 7
    coins = dict(zip(accounts.names, accounts.lots.tolist(), strict=True))
    before = book.bind(at)
    entered = {n: int(before.lots[before.leg == at.legs.coin_leg("BTC")][k]) for k, n in enumerate(before.names)}
    owed = 70 / Decimal("99999.123456789") / at.coin_lots["BTC"]
    assert owed < entered["long"] - coins["long"] < owed + 1
    assert owed - 1 < coins["short"] - entered["short"] < owed


def test_a_strike_that_is_fixed_by_then_is_fixed_at_the_index() -> None:
    start = {"symbol": "S", "kind": "option", "underlying": "BTC", "lot": "0.01", "right": "put", "iv": "0.5"}
    start |= {"strike_fraction": "0.9", "strike_fixes": scenes.time_text(72), "expiry": scenes.time_text(720)}
    at = small(start)
    book = scenes.book(at, {"S": -100}, cash="30000")
    before = as_of(book, at, "portfolio", scenes.time_text(71))
    assert before.fixed == ()
    after = as_of(book, at, "portfolio", scenes.time_text(72))
    assert after.fixed == ("S",)
    assert after.market.instruments["S"].strike == 90_000
    # once fixed, a fall of the index brings the put into the money
    falls = [each.single("a") for each in (before, after)]
    equities = [each.evaluate(each.prices_nano * 3 // 4).equity for each in falls]
    assert equities[1] < equities[0] - 5_000 * 10**6
    gone = as_of(book, at, "portfolio", scenes.time_text(720))
    assert gone.accounts.cash_nano.tolist() == [30_000 * 10**9]


def test_the_parameters_of_then_are_the_last_announced_that_have_started() -> None:
    at = small()
    book = scenes.book(at, {"BTC-PERP": 100}, cash="20000")
    changes = [
        announcement({"from": scenes.time_text(hours), "model": "fixed", "parameters": {"initial_ppm": ppm}})
        for hours, ppm in ((48, 300_000), (24, 200_000))
    ]
    initial = [figures(as_of(book, at, "fixed", scenes.time_text(h), changes).evaluate())[1] for h in (23, 24, 47, 48, 400)]
    assert initial == [10_000 * 10**6, 20_000 * 10**6, 20_000 * 10**6, 30_000 * 10**6, 30_000 * 10**6]
    other = as_of(book, at, "fixed", scenes.time_text(1), [Announced(at.as_of_ns, models.get("portfolio"))])
    assert figures(other.evaluate()) == figures(evaluate(book, other.market, "portfolio"))


def test_every_account_of_a_book_keeps_what_it_had_to_the_nano() -> None:
    """A random book of all kinds: cash and positions of what does not expire stay, whoever holds what expires."""
    at = scene.WHOLE
    symbols = [s for s in at.instruments if s != "BTC-INV"]
    rng = np.random.default_rng(4)
    rows = []
    for k in range(30):
        rows.append({"account": f"t{k}", "instrument": "USD", "quantity": str(int(rng.integers(-9, 9)) * 1000)})
        for symbol in rng.choice(symbols, 4, replace=False):
            quantity = at.instruments[symbol].lot * int(rng.integers(1, 40))
            rows.append({"account": f"t{k}", "instrument": str(symbol), "quantity": str(quantity)})
    book = Book.from_rows(rows)
    found = as_of(book, at, "portfolio", "2025-12-26T08:00:00Z")
    assert set(found.settled) == {s for s, each in at.instruments.items() if each.expiry_ns}
    before = book.bind(at)
    legs = before.leg
    alive = {leg for leg, symbol in enumerate(at.legs.symbols) if symbol in found.market.legs.symbols}
    assert sorted(at.legs.symbols[leg] for leg in legs if leg in alive) == sorted(
        found.market.legs.symbols[leg] for leg in found.accounts.leg
    )
    assert sum(int(n) for leg, n in zip(legs, before.lots, strict=True) if leg in alive) == int(found.accounts.lots.sum())
    paid = 0
    for leg, n in zip(legs.tolist(), before.lots.tolist(), strict=True):
        instrument = at.instruments.get(at.legs.symbols[leg])
        if instrument is None or not instrument.expiry_ns:
            continue
        index = at.index[instrument.underlying]
        worth = index
        if instrument.kind == "option":
            strike = instrument.strike or instrument.strike_fraction * index
            worth = max(instrument.right * (index - strike), Decimal(0))
        paid += int(n * instrument.lot * worth * 10**9)
    assert int(found.accounts.cash_nano.sum() - before.cash_nano.sum()) == pytest.approx(paid, abs=200)


def test_nonsense_is_refused_by_name() -> None:
    at = small()
    book = scenes.book(at, {"BTC-PERP": 1})
    with pytest.raises(StaleEvent, match="from 2025-10-10"):
        as_of(book, at, "fixed", "2025-10-09T00:00:00Z")
    with pytest.raises(BadNumber, match="at: found"):
        as_of(book, at, "fixed", "tomorrow")
    with pytest.raises(InputError, match="an account of the book"):
        as_of(book, at, "fixed", scenes.time_text(1)).single("nobody")
    options = scenes.market([scenes.option("C", "call", 95_000, 24, 0.6)], {"BTC": "100000"})
    with pytest.raises(InputError, match="alive"):
        as_of(scenes.book(options, {"C": 1}), options, "fixed", scenes.time_text(24))
    for content in ([], {"model": "fixed"}, {"from": 1, "model": "fixed", "rate": 1}, {"from": 1, "model": 3}):
        with pytest.raises(UnreadableFile, match=r"announcement: found"):
            announcement(content)
    with pytest.raises(InputError, match="parameters of fixed"):
        announcement({"from": 1, "model": "fixed", "parameters": {"no_such": 1}})
