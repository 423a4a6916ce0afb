"""Formulas of account auctions, in exact rationals, and the slices that go with them."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from seawall.liquidation import account_prices as prices
from seawall.liquidation.account_slices import PPB, Leg, rest_of, slices_of, value_of

amounts = st.fractions(min_value=0, max_value=10**9, max_denominator=1000)
shares = st.fractions(min_value=0, max_value=1, max_denominator=1000)


@given(value=amounts, requirement=amounts, buffer=shares, share=shares, reserved_share=shares)
def test_the_largest_sale_restores_the_buffer_margin_exactly(value, requirement, buffer, share, reserved_share):
    reserved = value * reserved_share
    health = value - requirement
    margin = prices.buffer_margin(value, health, buffer)
    most = prices.max_share(value, margin, share, reserved)
    assert 0 <= most <= 1
    if margin >= 0:
        assert most == 0
        return
    # what is for sale scales, the reserved cash and the price stay
    paid = prices.solvent_price(value, share, reserved) * most
    value_after = (value - reserved) * (1 - most) + reserved + paid
    requirement_after = requirement * (1 - most)
    after = prices.buffer_margin(value_after, value_after - requirement_after, buffer)
    assert after == 0


@given(value=amounts, requirement=amounts, buffer=shares, share=shares, first=shares, second=shares)
def test_who_comes_second_pays_the_same_for_the_same_slice(value, requirement, buffer, share, first, second):
    """A slice of the account as it was at the start costs the same before and after somebody else's bid."""
    if first + second >= 1:
        return
    alone = prices.solvent_price(value, share) * second
    paid = prices.solvent_price(value, share) * first
    left = value * (1 - first) + paid
    then = prices.solvent_price(left, share, paid) * (second / (1 - first))
    assert then == alone


@given(value=st.fractions(-1000, 1000), requirement=amounts, length=st.integers(1, 10**6), a=st.integers(0, 10**7), b=st.integers(0, 10**7))
def test_the_pay_for_an_insolvent_account_grows_from_the_deficit_to_the_requirement_as_well(value, requirement, length, a, b):
    health = value - requirement
    early, late = (prices.insolvent_price(value, health, t, length) for t in sorted((a, b)))
    assert late <= early <= 0
    if health < 0:
        assert prices.insolvent_price(value, health, 0, length) == min(value, 0)
        assert prices.insolvent_price(value, health, length, length) == health
    else:
        assert early == late == 0


def test_the_fee_is_on_what_is_sold_and_never_more_than_there_is():
    margin = prices.buffer_margin(300, -100, Fraction(1, 10))
    assert margin == -140
    assert prices.fee_at_start(300, margin, Fraction(1, 50)) == Fraction(140, 440) * 300 / 50
    assert prices.fee_at_start(-1, Fraction(-5), Fraction(1, 50)) == 0
    assert prices.requirement_covered(300, margin, Fraction(1, 2), 20) == 80
    assert prices.blocks_withdrawals(600, 599)
    assert not prices.blocks_withdrawals(600, 600)


legs = st.lists(st.tuples(st.integers(-(10**6), 10**6), st.integers(-(10**9), 10**12)), min_size=1, max_size=5)


@given(raw=legs, cash=st.integers(-(10**12), 10**12), cuts=st.lists(st.integers(0, PPB), min_size=1, max_size=4), whole=st.booleans())
def test_slices_are_worth_their_shares_and_nothing_is_lost(raw, cash, cuts, whole):
    account = tuple(Leg(f"leg{i}", lots, value) for i, (lots, value) in enumerate(raw))
    total = sum(cuts) + (not whole)
    parts = [cut * PPB // total for cut in cuts] if total else [0] * len(cuts)
    if whole and total:
        parts[0] += PPB - sum(parts)
    slices = slices_of(account, cash, parts)
    left, rest_cash = rest_of(account, cash, slices)
    for i, leg in enumerate(account):
        assert left[i].lots + sum(part.lots[i] for part in slices) == leg.lots
        assert abs(left[i].lots) <= abs(leg.lots)
        assert left[i].lots * leg.lots >= 0
    assert rest_cash + sum(part.cash_micro for part in slices) == cash
    value = value_of(account, cash)
    for share, part in zip(parts, slices):
        worth = sum(lots * leg.value_nano for lots, leg in zip(part.lots, account)) + 1000 * part.cash_micro
        assert 1000 * part.value_micro <= worth < 1000 * part.value_micro + 1000
        assert abs(part.value_micro - value * share // PPB) <= len(cuts)
    if sum(parts) == PPB:
        assert not any(leg.lots for leg in left)
        assert rest_cash + sum(leg.lots for leg in left) in range(-len(cuts), len(cuts) + 1)


def test_shares_too_small_for_a_lot_leave_their_value_whole_with_the_account():
    """Three lots, sold whole to three: only the largest share has lots, and it is worth that share to the micro."""
    legs = (Leg("A", 1, 1_024_252_164), Leg("B", 1, 1_044_378_501), Leg("C", 1, 994_522_598))
    cash = -2_943_730
    shares = [62_500_000, 625_000_000, 312_500_000]
    parts = slices_of(legs, cash, shares)
    assert [part.lots for part in parts] == [(0, 0, 0), (1, 1, 1), (0, 0, 0)]
    assert parts[1].value_micro == value_of(legs, cash) * 625_000_000 // PPB
    rest, left = rest_of(legs, cash, parts[1:2])
    assert value_of(rest, left) == value_of(legs, cash) - parts[1].value_micro
