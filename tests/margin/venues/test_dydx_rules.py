"""dYdX's rules as functions: published rows live in tests/conformance, laws of the rules here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.core.errors import InputError
from seawall.margin.conform.dydx_input import kernel_risk
from seawall.margin.conform.report import Unsupported
from seawall.margin.venues import dydx_rules as rules
from seawall.margin.venues.dydx_rules import Account, Perpetual, Position, Risk, Tier

figures = st.integers(-(10**24), 10**24)
margins = st.integers(0, 10**24)
risks = st.builds(Risk, figures, margins, margins)
tiers = st.builds(
    lambda initial, fraction, low, width: Tier(initial, fraction, low, low + width if width else 0),
    st.integers(0, 1_000_000),
    st.integers(0, 1_000_000),
    st.integers(0, 10**14),
    st.integers(0, 10**14),
)
markets = st.builds(
    Perpetual,
    resolution=st.integers(-10, -6),
    price=st.integers(0, 10**10),
    exponent=st.integers(-9, -4),
    tier=tiers,
    open_interest=st.integers(0, 10**13),
    funding_index=st.integers(-1000, 1000),
)
positions = st.builds(Position, st.integers(-(10**10), 10**10), st.integers(-1000, 1000), st.integers(-(10**9), 10**9))


@given(st.lists(st.tuples(markets, positions), max_size=4), st.integers(-(10**13), 10**13))
def test_the_kernel_computes_what_the_rules_say(rows, collateral):
    by_id = {key: market for key, (market, _) in enumerate(rows)}
    account = rules.settle_funding(Account(collateral, {key: held for key, (_, held) in enumerate(rows)}), by_id)
    account = rules.updated(account, 0, [])
    assert kernel_risk(account, by_id) == rules.risk(account, by_id)


@given(risks, risks)
def test_the_order_of_risk_is_antisymmetric(a, b):
    assert a.compare(b) == -b.compare(a)


@given(risks, st.integers(1, 10**6))
def test_less_collateral_is_never_less_risky(risk, amount):
    worse = risk._replace(net_collateral=risk.net_collateral - amount)
    assert worse.compare(risk) >= 0


@given(tiers, st.integers(0, 10**15), st.integers(0, 10**15))
def test_the_initial_rate_rises_with_open_interest_and_never_above_all(tier, interest, more):
    rates = [
        rules.interest_scaled_ppm(tier.initial_ppm, x, tier.lower_cap, tier.upper_cap)
        for x in (interest, interest + more)
    ]
    assert tier.initial_ppm <= rates[0] <= rates[1] <= 1_000_000


@pytest.mark.parametrize("tier", [Tier(10**6 + 1, 1), Tier(10**30, 1), Tier(1, 10**30), Tier(-1, 1), Tier(1, -1)])
def test_a_rate_that_is_no_share_does_not_reach_the_kernel(tier):
    account = Account(0, {0: Position(10**6)})
    with pytest.raises(Unsupported, match="ppm"):
        kernel_risk(account, {0: Perpetual(-6, 10**5, -5, tier)})


@given(st.integers(-(10**30), 10**30), st.integers(-12, 0), st.integers(1, 10**12), st.integers(-12, 3))
def test_conversions_truncate_toward_zero_in_both_directions(amount, resolution, price, exponent):
    quote = rules.base_to_quote(amount, resolution, price, exponent)
    assert rules.base_to_quote(-amount, resolution, price, exponent) == -quote
    back = rules.quote_to_base(quote, resolution, price, exponent)
    assert abs(back) <= abs(amount)


@given(risks, risks)
def test_an_update_that_leaves_the_account_below_initial_is_allowed_only_if_no_riskier(old, new):
    verdict = rules.transition(old, new)
    if new.covers_initial():
        assert verdict == rules.SUCCESS
    elif verdict == rules.SUCCESS:
        assert new.maintenance <= old.maintenance
        assert new.net_collateral * old.maintenance >= old.net_collateral * new.maintenance
    else:
        assert verdict == (rules.NEWLY if old.covers_initial() else rules.STILL)


@given(st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9))
def test_open_interest_changes_by_what_longs_gain(before, other, change):
    found = rules.interest_change([rules.Fill(7, before, change), rules.Fill(7, other, -change)])
    want = max(before + change, 0) + max(other - change, 0) - max(before, 0) - max(other, 0)
    assert found == ((7, want) if want else None)


@pytest.mark.parametrize(
    "sides",
    [
        [],
        [rules.Fill(1, 0, 5)],
        [rules.Fill(1, 0, 5), rules.Fill(1, 0, -4)],
        [rules.Fill(1, 0, 5), rules.Fill(2, 0, -5)],
    ],
)
def test_a_match_needs_two_sides_of_one_trade(sides):
    with pytest.raises(InputError):
        rules.interest_change(sides)


def test_an_isolated_perpetual_stands_alone():
    plain = Perpetual(-8, 1, 0, Tier(0, 0))
    by_id = {1: plain, 2: plain, 3: plain._replace(isolated=True), 4: plain._replace(isolated=True)}
    assert not rules.violates_isolation([1], [2], by_id)
    assert not rules.violates_isolation([3], [3], by_id)
    assert not rules.violates_isolation([1, 3], [], by_id)
    assert rules.violates_isolation([3], [1], by_id)
    assert rules.violates_isolation([1], [3], by_id)
    assert rules.violates_isolation([], [3, 4], by_id)


def test_unknown_perpetuals_and_prices_of_zero_are_input_errors():
    with pytest.raises(InputError):
        rules.risk(Account(0, {9: Position(1)}), {})
    with pytest.raises(InputError):
        rules.quote_to_base(5, -6, 0, 0)
