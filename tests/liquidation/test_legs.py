"""Plans: least cost against brute force, health never lower, nothing of a healthy account, no dust, caps, whole spreads."""

from __future__ import annotations

from fractions import Fraction as F
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.liquidation.scenes import EXACT, NAMES, failed, impacts, single_of
from tests.margin import scenes

from seawall.liquidation.leg_search import LegSearch
from seawall.liquidation.legs import plan
from seawall.liquidation.positions import Positions
from seawall.liquidation.size import SizeRules
from seawall.margin import models
from seawall.margin.headroom import scenario
from seawall.margin.single import Single

WORSE_THAN_OPTIMUM = F(110, 100)  # as docs/liquidation.md says; measured on 2,000 books: worst 1.055, mean 1.0001


def rows_of(positions: Positions) -> Any:
    return np.array(list(product(*[range(int(n) + 1) for n in positions.size])), np.int64)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=15)
@given(data=st.data())
def test_the_search_is_within_ten_per_cent_of_the_best_that_force_finds(name, data):
    single = data.draw(failed(name, most_lots=9, most_legs=3))
    positions = Positions(single, EXACT, None, impacts(data.draw, single))
    rows = rows_of(positions)
    passing = positions.gaps(rows) >= 0
    search = LegSearch(positions, positions.most())
    search.run()
    if not passing.any():
        assert search.best is None
        return
    assert search.best is not None
    assert int(positions.gaps(search.best[None, :])[0]) >= 0
    assert search.cost == int(positions.costs(search.best[None, :])[0])
    assert search.cost <= int(positions.costs(rows[passing]).min()) * WORSE_THAN_OPTIMUM


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=20)
@given(data=st.data())
def test_health_never_ends_lower_and_a_partial_close_restores_or_says_why(name, data):
    single = data.draw(failed(name, least=-50))
    rules = SizeRules(
        share_ppm=data.draw(st.sampled_from([100_000, 500_000, 1_000_000])),
        full_below_micro=0,
        buffer_ppm=data.draw(st.sampled_from([0, 20_000])),
    )
    room = data.draw(st.sampled_from([None, 10**9, 10**11]))
    made = plan(single, rules, orders=("o1", "o2"), impact_ppm=impacts(data.draw, single), room_micro=room)
    assert made.before == single.evaluate()
    assert made.cancel == ("o1", "o2")
    assert made.after.health >= made.before.health
    if made.kind in ("partial", "full"):
        assert made.closes
        assert made.restored or made.reason or made.kind == "full"
        assert made.cost_micro == sum(close.cost_micro for close in made.closes)
        assert made.give_up_micro == sum(close.give_up_micro for close in made.closes)
    else:
        assert not made.closes
        assert made.reason
    if made.restored:
        assert made.after.equity * 10**6 >= made.after.maintenance * (10**6 + rules.buffer_ppm)
    held = {symbol: int(n) for symbol, n in zip(Positions(single, rules).symbols, Positions(single, rules).held, strict=True)}
    for close in made.closes:
        assert close.lots * held[close.symbol] < 0
        assert abs(close.lots) <= abs(held[close.symbol])
    if room is not None:
        positions = Positions(single, rules)
        row = np.array([abs({c.symbol: c.lots for c in made.closes}.get(s, 0)) for s in positions.symbols], np.int64)
        assert positions.notional_micro(row) <= room


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=10)
@given(data=st.data())
def test_doing_the_closes_gives_the_promised_figures(name, data):
    single = data.draw(failed(name, most_lots=200))
    made = plan(single, EXACT)
    trades = [(close.symbol, single.market.instruments[close.symbol].lot * close.lots) for close in made.closes]
    then = scenario(single, trades)
    paid = made.cost_micro if made.closes else 0
    assert (then.equity - paid, then.maintenance) == (made.after.equity, made.after.maintenance)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=10)
@given(data=st.data())
def test_a_healthy_account_is_never_given_a_close(name, data):
    lots = data.draw(st.dictionaries(st.sampled_from(sorted(scene_symbols(name))), st.integers(1, 50), min_size=1, max_size=4))
    single = single_of(name, lots, data.draw(st.integers(100, 300)))
    assume(single.evaluate().health >= 0)
    made = plan(single, SizeRules(full_below_micro=10**15), orders=("o",))
    assert (made.kind, made.closes, made.cancel) == ("none", (), ())


def scene_symbols(name: str) -> tuple[str, ...]:
    from tests.margin import test_what_if as scene

    return scene.SYMBOLS[name]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=10)
@given(data=st.data())
def test_no_order_is_below_the_minimum_and_no_dust_is_left(name, data):
    single = data.draw(failed(name))
    rules = SizeRules(
        minimum_micro=data.draw(st.integers(0, 10**11)), dust_micro=data.draw(st.integers(0, 10**11)), full_below_micro=0
    )
    made = plan(single, rules)
    positions = Positions(single, rules)
    of = {symbol: c for c, symbol in enumerate(positions.symbols)}
    for close in made.closes:
        c = of[close.symbol]
        size, lots = int(positions.size[c]), abs(close.lots)
        notional = int(positions.notional_nano[c])
        assert lots == size or lots * notional >= rules.minimum_micro * 1000
        assert lots == size or (size - lots) * notional >= rules.dust_micro * 1000


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=10)
@given(data=st.data())
def test_filled_at_the_reserve_the_ratio_holds_and_fees_never_bankrupt(name, data):
    """The whole plan at its reserve: equity per maintenance is as before; at its estimate, fee included, equity stays."""
    single = data.draw(failed(name))
    made = plan(single, EXACT)
    assume(made.closes)
    at_marks = made.after.equity + made.cost_micro
    equity = at_marks - made.give_up_micro
    assert equity * made.before.maintenance >= made.before.equity * made.after.maintenance
    assert (equity - 1) * made.before.maintenance < made.before.equity * made.after.maintenance
    for close in made.closes:
        assert 0 <= close.fee_micro <= close.cost_micro
    if made.kind == "partial" and made.restored:
        assert made.after.equity >= 0
        assert made.cost_micro <= made.give_up_micro  # so no fill of the estimate is below the reserve


@pytest.mark.parametrize("name", ["fixed", "cross", "portfolio", "dydx"])
@settings(max_examples=10)
@given(data=st.data())
def test_an_account_in_two_halves_is_closed_by_as_much(name, data):
    symbol = "BTC-PERP"
    lots = 2 * data.draw(st.integers(50, 2_000)) * data.draw(st.sampled_from((1, -1)))
    share = data.draw(st.integers(20, 99))
    whole, half = single_of(name, {symbol: lots}, share), single_of(name, {symbol: lots // 2}, share)
    assume(whole.evaluate().health < 0 and half.evaluate().health < 0)
    one, two = plan(whole, EXACT), plan(half, EXACT)
    if whole.evaluate().maintenance - 2 * half.evaluate().maintenance > 2:
        assert one.cost_micro >= 2 * two.cost_micro - 2 * two.cost_micro // max(lots, 1)  # tiers: the larger needs more
        return
    closed = abs(one.closes[0].lots), 2 * abs(two.closes[0].lots)
    assert abs(closed[0] - closed[1]) <= 2


def btc_options() -> Any:
    calls = [scenes.option(f"C{strike}", "call", strike, 24 * 30, 0.6) for strike in (60_000, 62_000, 66_000)]
    puts = [scenes.option(f"P{strike}", "put", strike, 24 * 30, 0.6) for strike in (54_000, 58_000)]
    rows = [*calls, *puts, scenes.perpetual("BTC"), scenes.perpetual("ETH")]
    return scenes.market(rows, {"BTC": 60_000, "ETH": 3_000})


SPREADS = {
    "call spread": {"C60000": 100, "C62000": -100},
    "put spread": {"P54000": 100, "P58000": -100},
    "covered call": {"BTC-PERP": 100, "C62000": -100},
    "calls and perp short": {"C60000": -200, "BTC-PERP": 150},
    "iron condor": {"P54000": 50, "P58000": -50, "C62000": -50, "C66000": 50},
    "butterfly": {"C60000": 100, "C62000": -200, "C66000": 100},
    "two underlyings": {"BTC-PERP": 100, "ETH-PERP": -2_000},
}


@pytest.mark.parametrize("shape", SPREADS)
@pytest.mark.parametrize("share", [5, 40, 90, 99])
def test_no_side_of_a_hedge_is_closed_where_that_makes_it_worse(shape, share):
    at = btc_options()
    single = Single.of(scenes.book(at, SPREADS[shape]), at, models.get("portfolio"), "a")
    now = single.evaluate()
    single.cash_nano += (now.maintenance * share // 100 - now.equity) * 1000
    made = plan(single, EXACT)
    assert made.after.health > made.before.health
    positions = Positions(single, EXACT)
    closed = {close.symbol for close in made.closes}
    worse = set()  # positions of which no size closed alone leaves more health
    for c, symbol in enumerate(positions.symbols):
        sizes = np.arange(1, int(positions.size[c]) + 1, dtype=np.int64)[:, None] * np.eye(len(positions), dtype=np.int64)[c]
        if positions.healths(sizes).max() <= made.before.health:
            worse.add(symbol)
    if len(closed) == 1:
        assert not closed & worse
    if closed & worse and not made.atomic:  # in the plan's order health never falls below where it was
        done = np.zeros(len(positions), np.int64)
        for close in made.closes:
            done[positions.symbols.index(close.symbol)] = abs(close.lots)
            assert positions.healths(done[None, :])[0] >= made.before.health


def test_a_spread_that_costs_more_to_close_than_it_needs_is_handed_over():
    at = btc_options()
    single = Single.of(scenes.book(at, SPREADS["call spread"]), at, models.get("portfolio"), "a")
    now = single.evaluate()
    single.cash_nano += (now.maintenance // 2 - now.equity) * 1000
    made = plan(single, EXACT, impact_ppm=dict.fromkeys(at.instruments, 900_000))
    assert (made.kind, made.closes) == ("hand_over", ())
    assert made.after == made.before


def test_inverse_contracts_and_baskets_are_closed_too():
    for lots in ({"BTC-INV": 40_000}, {"BTC-INV": -40_000, "BTC-PERP": 20}, {"MIX": 30}, {"MIX": -30, "ETH-PERP": 100}):
        lots = {symbol: n for symbol, n in lots.items() if symbol in whole_market()}
        if not lots:
            continue
        single = single_of("portfolio", lots, 50)
        made = plan(single, EXACT)
        assert made.closes
        assert made.after.health > made.before.health


def whole_market() -> Any:
    from tests.margin import test_what_if as scene

    return scene.WHOLE.instruments


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=10)
@given(data=st.data())
def test_a_quick_plan_keeps_the_same_promises_at_a_higher_cost(name, data):
    single = data.draw(failed(name))
    quick, searched = plan(single, EXACT, quick=True), plan(single, EXACT)
    assert quick.after.health >= quick.before.health
    assert quick.restored >= searched.restored
    if quick.restored and searched.restored:
        assert searched.cost_micro <= quick.cost_micro * WORSE_THAN_OPTIMUM


def test_an_account_in_liquidation_goes_on_to_its_buffer():
    single = single_of("cross", {"BTC-PERP": 1_000}, 101)
    assert plan(single, EXACT).kind == "none"
    made = plan(single, EXACT, active=True)
    assert made.kind == "partial"
    assert made.restored
    assert made.before.health > 0


def test_an_insolvent_account_asks_for_more_than_the_mark():
    single = single_of("cross", {"BTC-PERP": 1_000}, -20)
    made = plan(single, EXACT)
    mark = int(Positions(single, EXACT).trials.mark_nano[0])
    assert made.kind in ("full", "partial")
    assert made.give_up_micro < 0
    assert made.closes[0].reserve_nano is not None
    assert made.closes[0].reserve_nano > mark
    assert made.closes[0].fillable_nano is not None
    assert made.closes[0].fillable_nano < mark
