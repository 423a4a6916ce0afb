"""The soft discount: what it offers, when it would spiral, and that no slice in its range does."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from seawall.core.errors import InputError
from seawall.core.units import PPM
from seawall.liquidation.soft import SoftRules, check_soft_rules, health, offer, takes_the_whole

shares = st.integers(1, PPM - 1)
sizes = st.fractions(min_value=Fraction(1, 100), max_value=10**6)


def test_the_bound_on_the_discount_is_one_less_the_root_of_the_ltv():
    check_soft_rules(SoftRules(800_000, 105_572))
    with pytest.raises(InputError, match="spiral"):
        check_soft_rules(SoftRules(800_000, 105_573))
    for bad in (SoftRules(0, 1), SoftRules(PPM, 1), SoftRules(5, PPM), SoftRules(5, -1), SoftRules(5, 5, -1)):
        with pytest.raises(InputError):
            check_soft_rules(bad)


@given(ltv=shares, discount=st.integers(0, PPM - 1), collateral=sizes, debt=sizes, slice_share=st.fractions(0, 1))
def test_a_slice_never_lowers_health_in_the_range_of_an_accepted_discount(ltv, discount, collateral, debt, slice_share):
    rules = SoftRules(ltv, discount)
    assume((PPM - discount) ** 2 >= ltv * PPM)
    check_soft_rules(rules)
    one, limit = Fraction(1), Fraction(ltv, PPM)
    found = offer(collateral, one, debt, one, limit, Fraction(discount, PPM))
    assert found.health is not None
    if found.health > 1:
        assert found.repay_max == found.yield_max == 0
        return
    repaid, taken = found.repay_max * slice_share, found.yield_max * slice_share
    assert repaid <= taken or taken == 0
    after = health(collateral - taken, limit, debt - repaid)
    if found.health >= 1 - Fraction(discount, PPM):
        assert not takes_the_whole(rules, found.health)
        assert after is None or after >= found.health


@given(ltv=shares, discount=st.integers(0, PPM - 1), collateral=sizes, debt=sizes)
def test_an_offer_is_worth_its_price_and_never_more_than_there_is(ltv, discount, collateral, debt):
    found = offer(collateral, Fraction(2), debt, Fraction(3), Fraction(ltv, PPM), Fraction(discount, PPM))
    assert 0 <= found.repay_max <= debt
    assert 0 <= found.yield_max <= collateral
    assert found.repay_max * 3 == found.yield_max * 2 * found.discount_factor


def test_below_the_range_the_whole_account_goes_in_one_lot():
    rules = SoftRules(800_000, 100_000)
    assert takes_the_whole(rules, Fraction(88, 100))
    assert not takes_the_whole(rules, Fraction(89, 100))
    assert offer(Fraction(1), Fraction(1), Fraction(0), Fraction(1), Fraction(1, 2), Fraction(0)).health is None
