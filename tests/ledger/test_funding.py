"""Funding: published figures of dYdX met exactly, Hyperliquid's documented rule by hand, and what holds always."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import shared_dir
from seawall.core.errors import BadNumber
from seawall.ledger.funding import (
    EIGHT_HOURS_S,
    FundingRule,
    clamp_of_margins_ppm,
    index_step_pico,
    mean_premium_ppm,
    premium_ppm,
    settlement_pico,
    without_tails,
)

# dYdX v4-chain 84d4664b, x/perpetuals/lib/lib_test.go lines 40 to 122: index now, lots, index then, settlement
SETTLEMENTS = [
    (4_000_000_000, 1_000_000, 4_000_000_000, 0),
    (123_456_789_123, 1_000_000, 100_000_000_000, -23_456_789_123_000_000),
    (123_456_789_123, -1_000_000, 100_000_000_000, 23_456_789_123_000_000),
    (-123_456_789_123, 1_000_000, -100_000_000_000, 23_456_789_123_000_000),
    (-123_456_789_123, -1_000_000, -100_000_000_000, -23_456_789_123_000_000),
    (100, 30_000, -100, -6_000_000),
    (100, 1_000_000, 100, 0),
    (0, 10_000_000, 100, 1_000_000_000),
    (-200, 10_000_000, 100, 3_000_000_000),
    (100, -30_000, -100, 6_000_000),
    (100, -1_000, 100, 0),
    (0, -5_000_000, 100, -500_000_000),
    (-50, -5_000_000, 100, -750_000_000),
]
# x/perpetuals/types/liquidity_tier_test.go lines 156 to 198: factor, initial, maintenance of initial, bound
CLAMPS = [
    (6_000_000, 150_000, 800_000, 180_000),
    (6_000_000, 450_000, 1_000_000, 0),
    (6_000_000, 0, 1_000_000, 0),
    (4_294_967_295, 1_000_000, 0, 4_294_967_295),
    (423_978_721, 745_345, 564_947, 137_481_459),
]


def dydx_lot(price: int, exponent: int, resolution: int) -> tuple[int, int]:
    """One base quantum in micro: price × 10^(exponent + resolution + 6)."""
    value = Fraction(price) * Fraction(10) ** (exponent + resolution + 6)
    return value.numerator, value.denominator


BTC = dydx_lot(5_000_000_000, -5, -10)
ETH = dydx_lot(3_000_000_000, -6, -9)
TIERS = {1: (1_000_000, 750_000), 5: (500_000, 600_000), 6: (200_000, 900_000)}
# x/perpetuals/keeper/perpetual_test.go lines 1327 to 1588: samples, expected, tier, lot, rate, step of the index
EPOCHS = [
    ([1_000] * 60, 60, 1, BTC, 1_000, 625),
    ([-1_000] * 60, 60, 1, BTC, -1_000, -625),
    ([2**31 - 1] * 60, 60, 1, BTC, 1_500_000, 937_500),
    ([-(2**31)] * 60, 60, 1, BTC, -1_500_000, -937_500),
    ([2_000] * 60, 60, 1, BTC, 2_000, 1_250),
    ([150_000] * 60, 60, 6, BTC, 120_000, 75_000),
    ([120_000] * 60, 60, 6, BTC, 120_000, 75_000),
    ([-120_000] * 60, 60, 6, BTC, -120_000, -75_000),
    ([1_000] * 60, 60, 5, ETH, 1_000, 375),
    ([1_000] * 60, 120, 1, BTC, 500, 312),
    ([1_000] * 30, 60, 1, BTC, 500, 312),
    ([1_000] * 75 + [5_000] * 25, 60, 1, BTC, 2_000, 1_250),
]


@pytest.mark.parametrize(("now", "lots", "then", "expected"), SETTLEMENTS)
def test_a_settlement_is_that_of_dydx(now, lots, then, expected):
    assert settlement_pico(lots, then, now) == expected


@pytest.mark.parametrize(("factor", "initial", "maintenance", "bound"), CLAMPS)
def test_the_bound_of_a_rate_is_that_of_dydx(factor, initial, maintenance, bound):
    assert clamp_of_margins_ppm(factor, initial, maintenance) == bound


def test_index_steps_are_those_of_dydx():
    """x/perpetuals/funding/funding_test.go lines 23 and 49."""
    assert index_step_pico(1_001_999, 28_800, EIGHT_HOURS_S, dydx_lot(1_000, 0, -12)) == 1_001
    assert index_step_pico(-1_001_999, 14_400, EIGHT_HOURS_S, dydx_lot(1_000, 2, -4)) == -5_009_995_000_000


def test_tails_are_cut_as_dydx_cuts_them():
    """x/perpetuals/keeper/perpetual_test.go lines 1275 and 1285."""
    assert without_tails([0, -1, -3, 5], 250_000) == [-1, 0]
    assert without_tails([0, -1, -3, -5, 5, 7], 250_000) == [-3, -1, 0]


@pytest.mark.parametrize(("samples", "expected", "tier", "lot", "rate", "step"), EPOCHS)
def test_an_hour_of_samples_gives_the_rate_and_index_of_dydx(samples, expected, tier, lot, rate, step):
    rule = FundingRule(samples=expected, cap_ppm=clamp_of_margins_ppm(6_000_000, *TIERS[tier]))
    found = rule.rate_ppm(mean_premium_ppm(sum(samples), len(samples), expected))
    assert found == rate
    assert index_step_pico(found, rule.interval_s, rule.period_s, lot) == step


def test_the_figures_here_are_those_of_the_published_file():
    vectors = json.loads((shared_dir() / "vectors" / "dydx_funding.json").read_text("utf-8"))["vectors"]
    told = {kind: [v for v in vectors if v["name"].startswith(kind)] for kind in ("TestGetSett", "TestLiq", "TestMaybe")}
    assert SETTLEMENTS == [
        (i["perpetual"]["FundingIndex"], i["quantums"], i["index"], v["expected"]["expectedNetSettlementPpm"])
        for v in told["TestGetSett"]
        for i in [v["inputs"]]
    ]
    assert CLAMPS == [(*v["inputs"].values(), v["expected"]["expectedUpperBoundPpm"]) for v in told["TestLiq"]]
    steps = [int(step) for v in told["TestMaybe"] for step in v["expected"]["expectedFundingIndexDeltaStrings"]]
    assert sorted(steps) == sorted([row[-1] for row in EPOCHS] + [625]), "one case has both markets: BTC's is 625 again"
    assert len(vectors) == len(SETTLEMENTS) + len(CLAMPS) + len(told["TestMaybe"]) + 4


HYPERLIQUID = FundingRule(samples=1, interest_ppm=100, damp_ppm=500, cap_ppm=320_000)


@pytest.mark.parametrize(
    ("premium", "rate"), [(0, 100), (300, 100), (600, 100), (601, 101), (-400, 100), (-401, 99), (10**6, 320_000)]
)
def test_damped_interest_as_hyperliquid_documents_it(premium, rate):
    """P + clip(0.01 % − P, ±0.05 %) per 8 h, at most 4 % an hour: the rate is the interest while |…| ≤ 0.05 %."""
    assert HYPERLIQUID.rate_ppm(premium) == rate


def test_premiums_from_impact_prices_by_hand():
    index = 100 * 10**9
    assert premium_ppm(index, index - 1, index + 1, 10**6) == 0, "the index lies between the two"
    assert premium_ppm(index, 101 * 10**9, 102 * 10**9, 10**6) == 10_000
    assert premium_ppm(index, 97 * 10**9, 98 * 10**9, 10**6) == -20_000
    assert premium_ppm(3, 4, 5, 10**6) == 333_333, "toward zero"
    assert premium_ppm(3, 1, 2, 10**6) == -333_333, "toward zero"
    assert premium_ppm(index, 101 * 10**9, 102 * 10**9, 500) == 500, "clipped"


@given(
    st.integers(-(10**7), 10**7),
    st.integers(-(10**6), 10**6),
    st.integers(-1, 10**6),
    st.integers(0, 2**32 - 1),
)
def test_a_rate_rises_with_the_premium_and_stays_under_its_cap(premium, interest, damp, cap):
    rule = FundingRule(interest_ppm=interest, damp_ppm=damp, cap_ppm=cap)
    assert -cap <= rule.rate_ppm(premium) <= rule.rate_ppm(premium + 1) <= cap


@given(st.integers(-(10**6), 10**6), st.integers(1, 86_400), st.integers(1, 10**15))
def test_a_step_of_the_index_is_within_one_pico_of_the_exact_one_and_symmetric(rate, seconds, value_nano):
    step = index_step_pico(rate, seconds, EIGHT_HOURS_S, (value_nano, 1000))
    exact = Fraction(rate * seconds * value_nano, 1000 * EIGHT_HOURS_S)
    assert abs(step) <= abs(exact) < abs(step) + 1 + Fraction(1, EIGHT_HOURS_S)
    assert index_step_pico(-rate, seconds, EIGHT_HOURS_S, (value_nano, 1000)) == -step


@pytest.mark.parametrize("change", [{"interval_s": 0}, {"samples": 0}, {"cap_ppm": -1}, {"damp_ppm": -2}, {"cap_ppm": 1.5}])
def test_a_rule_that_makes_no_sense_is_refused(change):
    with pytest.raises(BadNumber, match=next(iter(change))):
        FundingRule(**change).check("rule")
