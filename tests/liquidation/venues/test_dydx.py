"""dYdX v4's rules on top of the general ones: value conserved, no party of a deleveraging worse, sizes within limits."""

from __future__ import annotations

from fractions import Fraction as F

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from seawall.core.errors import InputError
from seawall.liquidation.venues import dydx
from seawall.margin.venues import dydx_rules as rules

TIER = rules.Tier(200_000, 500_000)
BTC = rules.Perpetual(-8, 5_000_000_000, -5, TIER)
ETH = rules.Perpetual(-9, 3_000_000_000, -6, TIER)
MARKETS = {0: BTC, 1: ETH}


def account(collateral: int, btc: int = 0, eth: int = 0) -> rules.Account:
    held = {key: rules.Position(size) for key, size in ((0, btc), (1, eth)) if size}
    return rules.Account(collateral, held)


@st.composite
def below_maintenance(draw, least_equity: int = -100):
    """An account whose equity is a share (per cent, may be negative) of its maintenance margin."""
    btc = draw(st.integers(-(10**9), 10**9).filter(bool))
    eth = draw(st.integers(-(10**10), 10**10))
    flat = account(0, btc, eth)
    risk = rules.risk(flat, MARKETS)
    assume(risk.maintenance > 0)
    equity = risk.maintenance * draw(st.integers(least_equity, 99)) // 100
    return account(equity - risk.net_collateral, btc, eth)


@given(below_maintenance(), st.integers(1, 10**9))
def test_the_bankruptcy_price_keeps_equity_per_maintenance_and_a_unit_less_lowers_it(failed, part):
    held = failed.positions[0].quantums
    change = -held * min(part, 10**9) // 10**9 or (-1 if held > 0 else 1)
    quote = dydx.bankruptcy_quote(failed, MARKETS, 0, change)
    before = rules.risk(failed, MARKETS)

    def ratio_gain(received: int) -> int:
        after = rules.risk(rules.updated(failed, received, [(0, change)]), MARKETS)
        return after.net_collateral * before.maintenance - before.net_collateral * after.maintenance

    assert ratio_gain(quote) >= 0
    assert ratio_gain(quote - 1) < 0


@given(below_maintenance())
def test_the_fillable_price_lies_between_the_mark_and_the_spread(failed):
    held = failed.positions[0].quantums
    price = dydx.fillable_price(failed, MARKETS, 0, -held, dydx.Limits())
    notional = rules.base_to_quote(held, BTC.resolution, BTC.price, BTC.exponent)
    mark, spread = F(notional, held), F(rules.maintenance_margin(notional, 200_000, 500_000), 10 * abs(held))
    assert mark - spread <= price <= mark if held > 0 else mark <= price <= mark + spread


@given(below_maintenance(), st.integers(-(10**15), 10**15), st.integers(0, 1_000_000))
def test_the_funds_fee_never_takes_below_the_bankruptcy_price(failed, quote, fee_ppm):
    change = -failed.positions[0].quantums
    reserve = dydx.bankruptcy_quote(failed, MARKETS, 0, change)
    fund = dydx.fund_change(failed, MARKETS, 0, change, quote, fee_ppm)
    assert quote - fund >= reserve if quote >= reserve else quote - fund == reserve


@given(below_maintenance(), st.lists(below_maintenance(-300), min_size=1, max_size=6), st.integers(0, 5))
def test_deleveraging_conserves_value_and_leaves_nobody_worse(failed, others, start):
    accounts = {"failed": failed} | {f"other{k}": other for k, other in enumerate(others)}
    change = -failed.positions[0].quantums
    names = dydx.counterparties(accounts, "failed", 0, change)
    order = names[start % len(names) :] + names[: start % len(names)] if names else names
    after, fills, left = dydx.offset(accounts, MARKETS, "failed", 0, change, order=order)
    assert sum(a.collateral for a in after.values()) == sum(a.collateral for a in accounts.values())
    for key in (0, 1):
        held = [sum(a.positions.get(key, rules.Position(0)).quantums for a in each.values()) for each in (accounts, after)]
        assert held[0] == held[1]
    assert abs(change - left) == sum(fill.quantums for fill in fills)
    for name, old in accounts.items():
        was, now = rules.risk(old, MARKETS), rules.risk(after[name], MARKETS)
        assert now.covers_initial() or now.net_collateral * was.maintenance >= was.net_collateral * now.maintenance


@given(
    st.integers(-(10**9), 10**9).filter(bool),
    st.integers(0, 10**12),
    st.integers(1, 10**7),
    st.integers(0, 10**10),
    st.integers(0, 1_000_000),
)
def test_the_size_is_whole_steps_within_the_limits_or_all_or_one_step(held, room, step, least, share_ppm):
    limits = dydx.Limits(position_notional_min=least, position_share_ppm=share_ppm)
    size = dydx.size_to_close(held, BTC, room, step, limits)
    assert size * held < 0
    assert abs(size) <= abs(held)
    if abs(size) < abs(held):
        assert abs(size) % step == 0
        notional = rules.base_to_quote(abs(size), BTC.resolution, BTC.price, BTC.exponent)
        whole = rules.base_to_quote(abs(held), BTC.resolution, BTC.price, BTC.exponent)
        assert abs(size) == step or notional <= min(room, dydx.notional_bounds(whole, limits)[1])


@given(st.fractions(0, 10**6), st.booleans(), st.integers(1, 10**6), st.integers(-12, 4))
def test_ticks_are_rounded_against_the_taker(price, long, per_tick, exponent):
    found = dydx.subticks(price, long, per_tick, exponent)
    assert found % per_tick == 0
    assert found >= per_tick
    exact = price / F(10) ** exponent
    if per_tick < exact < 2**63:
        assert found >= exact if long else found <= exact
        assert abs(found - exact) < per_tick + 1


def test_an_overdrawn_limit_and_a_second_liquidation_in_a_block_are_refused():
    with pytest.raises(InputError, match="at most 50"):
        dydx.room(100, 50, False)
    with pytest.raises(InputError, match="once a block"):
        dydx.room(0, 50, True)
