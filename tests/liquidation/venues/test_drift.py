"""Drift v2's arithmetic: published figures, its refusals, and that what it says to close covers what was short."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.core.errors import InputError
from seawall.liquidation.venues import drift

QUOTE, BASE = 10**6, 10**9

# drift-labs/protocol-v2 @ 0ae3e3b1, programs/drift/src/math/liquidation/tests.rs
FIGURES = [
    (drift.base_to_cover, (10 * QUOTE, 1000, 10_000, 0, 100 * QUOTE, QUOTE), 10 * BASE // 9),
    (drift.liability_to_cover, (10 * QUOTE, 8000, 1_100_000, 12_000, 900_000, 9, 100 * QUOTE, 10_000), 475669504),
    (drift.liability_to_cover, (10 * QUOTE, 8000, 1_000_000, 12_000, 1_000_000, 9, 100 * QUOTE, 10_000), 257731958),
    (drift.asset_for_liability, (100 * QUOTE, 10**6, 6, 10**6, BASE, 10**6, 9, 100 * QUOTE), 100_000_000),
    (drift.fund_fee_perp, (1000 * QUOTE, 10 * BASE, 500, 10_000, 100 * QUOTE, QUOTE, 50_000), 0),
    (drift.fund_fee_spot, (QUOTE, BASE, 20_000, 1_010_000, 11_000, 1_000_000, 9, 100 * QUOTE, 50_000), 0),
    (drift.fund_fee_spot, (5 * QUOTE, 0, 10_000, 1_010_000, 11_000, 1_000_000, 9, 100 * QUOTE, 50_000), 0),
    (drift.fund_fee_spot, (5 * QUOTE, BASE, 10_000, 1_010_000, 11_000, 0, 9, 100 * QUOTE, 50_000), 0),
    (drift.swap_within_bounds, (BASE, 198 * QUOTE, 9, 6, 200 * QUOTE, QUOTE, 1_010_000, 1_000_000), False),
    (drift.transfer_meets_limit, (BASE, 100 * QUOTE, 9, 6, QUOTE // 100), True),
    (drift.transfer_meets_limit, (BASE // 10, 100 * QUOTE, 9, 6, QUOTE // 100), False),
    (drift.transfer_meets_limit, (100 * QUOTE, BASE, 6, 9, QUOTE * 100), True),
    (drift.transfer_meets_limit, (10 * QUOTE, BASE, 6, 9, QUOTE * 100), False),
]


@pytest.mark.parametrize(("function", "arguments", "expected"), FIGURES, ids=lambda each: getattr(each, "__name__", None))
def test_published_figures_are_met(function, arguments, expected):
    assert function(*arguments) == expected


def test_a_loss_over_no_open_base_is_refused():
    with pytest.raises(InputError):
        drift.funding_deltas(-QUOTE, 0, 0)


def test_a_fee_beyond_the_margin_is_refused_as_by_the_source():
    with pytest.raises(InputError):
        drift.base_to_cover(QUOTE, 1000, 50_000, 60_000, 100 * QUOTE, QUOTE)


@given(
    shortage=st.integers(1, 10**12),
    ratio=st.integers(200, 5000),
    fee=st.integers(0, 9_000),
    fund=st.integers(0, 9_000),
    price=st.integers(10**5, 10**11),
)
def test_what_is_closed_covers_the_shortage_less_a_unit_of_base(shortage, ratio, fee, fund, price):
    base = drift.base_to_cover(shortage, ratio, fee, fund, price, QUOTE)
    gain = (base + 1) * price * (ratio * 100 - fee - fund)  # 10⁻²¹ of quote; one unit more than the truncated answer
    truncated = 2 * QUOTE * (base + 1)  # the two price products lose less than a unit of price each
    assert gain >= shortage * BASE * QUOTE - truncated


@given(st.integers(50 * QUOTE, 10**12), st.integers(0, 10**9), st.integers(0, 400), st.integers(1, 300))
def test_the_share_never_exceeds_all_and_grows_with_time(shortage, freed, elapsed, duration):
    now = drift.share_to_liquidate(shortage, freed, 0, elapsed, 1_000, duration)
    later = drift.share_to_liquidate(shortage, freed, 0, elapsed + 1, 1_000, duration)
    assert 0 <= now <= later
    assert drift.share_to_liquidate(shortage, 0, 0, elapsed, 1_000, duration) <= 10_000


@given(
    st.integers(1, 10**12), st.integers(1, 10**12), st.integers(200, 5000), st.integers(0, 60_000), st.integers(0, 50_000)
)
def test_the_funds_fee_leaves_the_margin_that_is_short(shortage, base, ratio, fee, most):
    found = drift.fund_fee_perp(shortage, base, ratio, fee, 100 * QUOTE, QUOTE, most)
    assert 0 <= found <= most
    if found:
        assert fee + found < ratio * 100
