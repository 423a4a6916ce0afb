"""Aave v3's close factor and seizure: edges of the published rules, and value conserved in every seizure."""

from __future__ import annotations

from fractions import Fraction as F

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.core.errors import InputError
from seawall.liquidation.venues import aave

USD, DEBT, COIN = 10**8, 10**6, 10**8


@pytest.mark.parametrize(
    ("health", "collateral", "debt", "factor"),
    [("0.97", 2000, 2000, "0.5"), ("0.97", 1999, 3000, "1"), ("0.97", 3000, 1999, "1"), ("0.95", 9000, 9000, "1")],
)
def test_half_of_a_large_loan_near_health_all_of_any_other(health, collateral, debt, factor):
    assert aave.close_factor(F(health), F(collateral), F(debt)) == F(factor)


def test_a_leftover_is_nothing_or_worth_trading():
    assert aave.leftover_allowed(F(1000), F(1000))
    assert aave.leftover_allowed(F(0), F(5))
    assert aave.leftover_allowed(F(5), F(0))
    assert not aave.leftover_allowed(F(999), F(5000))
    assert not aave.leftover_allowed(F(5000), F(999))


@given(
    cover=st.integers(0, 10**12),
    extra=st.integers(0, 10**12),
    collateral=st.integers(0, 10**10),
    price=st.integers(10**6, 10**13),
    bonus=st.integers(10_000, 12_000),
    fee=st.integers(0, 10_000),
)
def test_a_seizure_takes_no_more_than_the_bonus_and_no_more_than_there_is(cover, extra, collateral, price, bonus, fee):
    debt = cover + extra
    found = aave.seize(cover, debt, collateral, USD, price, DEBT, COIN, bonus, fee)
    taken = found.to_liquidator + found.protocol_fee
    assert 0 <= found.repaid <= cover + 1
    assert taken <= collateral
    # in value: what is taken is worth at most what was repaid and the bonus, which rounding never raises
    assert taken * price * DEBT * 10_000 <= (found.repaid + (taken == collateral)) * USD * COIN * bonus
    if found.deficit:
        assert taken == collateral
        assert found.repaid + found.deficit == debt


def test_prices_of_zero_are_refused():
    with pytest.raises(InputError):
        aave.seize(1, 1, 1, USD, 0, DEBT, COIN, 10_500, 0)
