"""The closing on real mechanisms: plans of the exact margin, the router, deleveraging on a book."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from liquidation import test_adl_book as book_scene
from liquidation.closing_walk import new_desk
from liquidation.scenes import NAMES, failed, single_of
from seawall.liquidation import closing_events as ev
from seawall.liquidation import layers as last
from seawall.liquidation.closing_inputs import bearable_lots, deleveraged, fill, planned
from seawall.liquidation.legs import plan
from seawall.liquidation.positions import Positions
from seawall.liquidation.routes.book import OrderBook
from seawall.liquidation.routes.route import SELL
from seawall.liquidation.size import SizeRules

UNIT = 10**6
S = 10**9


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=10)
@given(data=st.data())
def test_a_plan_filled_at_its_limits_leaves_no_account_worse_under_the_exact_margin(name, data):
    single = data.draw(failed(name, most_legs=3))
    found = plan(single, SizeRules(minimum_micro=0, dust_micro=0, full_below_micro=0))
    told = planned(found)
    assume(told["closes"])
    positions = Positions(single, SizeRules())
    held = dict(zip(positions.symbols, positions.held.tolist()))
    marks = dict(zip(positions.symbols, positions.trials.mark_nano.tolist()))
    desk = new_desk()
    desk.layers.apply(0, last.Income("fees", 1, "ALT"))
    before, orders = single.evaluate(), []
    for number, at in ((1, 0), (2, 6 * S)):
        look = ev.Look(
            number=number, account="a", at_ns=at, version=0, market="ALT", equity_micro=before.equity,
            maintenance_micro=before.maintenance,
            positions=tuple(ev.Held(symbol, lots, marks[symbol]) for symbol, lots in held.items()), **told,
        )  # fmt: skip
        orders = [each for each in desk.apply(look) if isinstance(each, ev.PlaceOrder)]
    assert len(orders) == len(told["closes"])
    assert len({each.together for each in orders}) == 1
    assert bool(orders[0].together) == found.atomic
    cash = 0
    for order in (each.order for each in orders):
        cash -= order.lots * order.limit_nano
        held[order.symbol] += order.lots
    after_lots = {symbol: lots for symbol, lots in held.items() if lots}
    assume(after_lots)
    after = single_of(name, after_lots)
    after.cash_nano = single.cash_nano + cash
    now = after.evaluate()
    # equity stands in no worse ratio to what is required; a micro for each rounded figure
    assert (now.equity + 2) * before.maintenance >= before.equity * (now.maintenance - 2)


def test_those_who_are_deleveraged_are_found_on_the_book_and_trade_at_the_bankruptcy_price():
    other = book_scene.side_of(book_scene.ROWS, "portfolio", 20_000)
    order = ev.Order("long/1/1", "BTC-PERP", -2_500, 0, 0, "adl")
    found = other.allocate(2_500, np.array([10**10, 10**10]))
    said = deleveraged(ev.Deleverage("long", order, 1), ["short", "hedged"], found.lots.tolist(), 8, 9)
    assert said.parts == (ev.Part("short", 2_000), ev.Part("hedged", 500))
    assert (said.order, said.number) == ("long/1/1", 8)
    with pytest.raises(ValueError, match="argument 2"):
        deleveraged(ev.Deleverage("long", order, 1), ["short"], found.lots.tolist(), 8, 9)


def test_orders_go_over_the_routes_and_waves_count_the_funds_once():
    def books() -> dict[str, list[Any]]:
        out = {}
        for symbol in ("X", "Y"):
            book = OrderBook(symbol)
            book.add(1, "maker", -SELL, 1_000_000_000, 100)
            book.add(2, "maker", -SELL, 900_000_000, 1_000)
            out[symbol] = [book]
        return out

    order = ev.Order("a/1/1", "X", -500, 950_000_000, 0, "slice")
    done = fill(ev.PlaceOrder("a", order), books()["X"], 7, 9)
    assert (done.lots, done.proceeds_micro, done.done, done.number) == (-100, 100 * UNIT, True, 7)
    # no loss on paper: 100 lots at the mark, then 0.1 a lot for the funds: 20 pay 200 of X and leave nothing for Y's
    positions = [("X", 300, 10**9), ("Y", 150, 10**9)]
    assert bearable_lots(positions, [0, 0], 20 * UNIT, books()) == {"X": 300, "Y": 100}
