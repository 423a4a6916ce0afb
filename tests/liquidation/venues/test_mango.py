"""Mango v4's five steps: the published cases of its test, and what has to hold of any account."""

from __future__ import annotations

from fractions import Fraction as F

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.core.errors import InputError
from seawall.liquidation.venues.mango import Market, Position, liquidate, spot_to_health_zero

# blockworks-foundation/mango-v4 @ 1303a4a1, test_liq_base_or_positive_pnl: base weight, overall weight, settle fee;
# token, lots, quote, other token; token, lots, quote after; most base, most P&L
CASES = {
    "neg base 2: base to zero": (0.5, 0.5, 0, 5, -10, 0, 0, 5, 0, -10, -20, 100),
    "neg base 3: health positive": (0.5, 0.5, 0, 5, -4, 0, 0, 5, -2, -2, -20, 100),
    "pos base 3: health positive": (0.5, 0.5, 0, 5, 20, -20, 0, 5, 10, -10, 100, 100),
    "pos perp health 1": (0.5, 0.8, 0, -20, 20, 5, 0, 0, 10, -5, 100, 100),
    "pos perp health 4": (0.5, 0.5, 0, -20, 20, 10, 0, -15, 10, 15, 10, 5),
    "pos perp health 6": (0.5, 0, 0, -20, 20, 10, 0, -20, 20, 10, 10, 0),
    "pos perp health 7": (0.5, 0, 0, -20, 20, 10, 0, -15, 20, 5, 10, 5),
    "pos perp health 8": (0.5, 0, 0, -30, 20, 10, 0, -7.5, 15, -7.5, 5, 30),
    "other token, negative perp health": (0.5, 0, 0, 2, 60, -35, -2, 2, 50, -25, 200, 200),
    "other token, post-settle": (0.5, 0, 0, -7, 60, -30, -3, 3, 40, -20, 200, 200),
    "all phases 2": (0.5, 0.5, 0, -7, 70, -30, -100, 8, 10, 15, 60, 15),
    "settle fee 1": (0.5, 0.5, 0.25, -7, 70, -30, -100, 8, 10, 10, 60, 20),
    "settle fee 2": (0.5, 0.5, 0.25, -7, 70, -30, -12, 8, 24, -4, 60, 20),
    "settle fee 3": (0.5, 0.5, 0.25, -7, 70, -30, -6, 5.75, 45, -22, 60, 20),
    "settle fee 4": (0.5, 0.5, 0.25, -7, 70, -30, 4, -5.5, 70, -32, 60, 20),
}


@pytest.mark.parametrize("name", CASES)
def test_published_cases_are_met(name):
    weight, overall, fee, *account = CASES[name]
    token, lots, quote, other, token_after, lots_after, quote_after, base_max, pnl_max = account
    market = Market(F(str(weight)), 2 - F(str(weight)), F(str(overall)), pnl_fee=F(str(fee)))
    after = liquidate(market, Position(F(token), lots, F(quote), F(other)), base_max, F(pnl_max))
    assert after.lots == lots_after
    assert abs(after.token - F(str(token_after))) <= F(1, 100)
    assert abs(after.quote - F(str(quote_after))) <= F(1, 100)


def health(market: Market, account: Position) -> F:
    """The source's sum, straight: weighted P&L goes to its token before the token is weighted."""
    weight = market.base_asset_weight if account.lots > 0 else market.base_liability_weight
    pnl = account.quote + account.lots * market.lot * market.price * weight
    total = F(0)
    token = account.token + (pnl * market.overall_weight if pnl > 0 else pnl)
    for amount, asset, liability in (
        (token, market.token_asset_price, market.token_liability_price),
        (account.other, market.other_asset_price, market.other_liability_price),
    ):
        total += amount * (asset if amount > 0 else liability)
    return total


WEIGHTS = st.sampled_from([F(0), F(1, 4), F(1, 2), F(9, 10)])


@given(
    weight=st.sampled_from([F(1, 2), F(4, 5), F(9, 10)]),
    overall=WEIGHTS,
    fees=st.tuples(*[st.sampled_from([F(0), F(1, 100), F(2, 100)])] * 3),
    asset=st.sampled_from([F(1), F(4, 5)]),
    account=st.tuples(*[st.integers(-100, 100)] * 4),
    limits=st.tuples(st.integers(0, 120), st.integers(0, 200)),
)
def test_health_never_falls_and_nothing_is_taken_of_a_healthy_account(weight, overall, fees, asset, account, limits):
    pnl_fee, base_fee, platform_fee = fees
    market = Market(
        weight, 2 - weight, overall, pnl_fee=pnl_fee, base_fee=base_fee, platform_fee=platform_fee,
        token_asset_price=asset, token_liability_price=2 - asset,
    )  # fmt: skip
    token, lots, quote, other = account
    before = Position(F(token), lots, F(quote), F(other))
    after = liquidate(market, before, limits[0] if lots > 0 else -limits[0], F(limits[1]))
    assert health(market, after) >= health(market, before)
    if health(market, before) >= 0:
        assert after == before
    assert abs(after.lots) <= abs(lots)
    assert after.lots * lots >= 0


@given(st.integers(-1000, -1), st.integers(-500, 500), st.sampled_from([F(1, 2), F(1)]), st.sampled_from([F(1), F(3, 2)]))
def test_the_spot_that_brings_health_to_zero_does(short, token, asset, liability):
    given_ = spot_to_health_zero(F(short), F(token), asset, liability)

    def worth(amount: F) -> F:
        return amount * (asset if amount > 0 else liability)

    assert worth(F(token) + given_) - worth(F(token)) == -short


def test_a_limit_of_the_wrong_sign_is_refused():
    with pytest.raises(InputError, match="sign of the position"):
        liquidate(Market(F(1, 2), F(3, 2), F(1, 2)), Position(F(-5), 10, F(0)), -1, F(0))
