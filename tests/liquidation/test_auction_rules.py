"""Rules that cannot work are refused when they are set."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from seawall.core.errors import InputError
from seawall.core.times import SECOND_NS, YEAR_NS
from seawall.core.units import PPM
from seawall.liquidation.auction_rules import (
    AccountRules,
    CollateralRules,
    KeeperRules,
    check_account_rules,
    check_collateral_rules,
    duration_ns,
    keeper_reward,
)
from seawall.liquidation.curves import RAY, Stair, linear, price

MINUTE_NS = 60 * SECOND_NS


def changed(rules, **fields):
    return msgspec.structs.replace(rules, **fields)


def test_the_defaults_hold():
    check_collateral_rules(CollateralRules())
    check_account_rules(AccountRules())


def test_a_tail_too_short_for_its_curve_never_sells_and_is_refused():
    slow = Stair(RAY * 99 // 100, 90 * SECOND_NS)
    with pytest.raises(InputError, match="never sells"):
        check_collateral_rules(CollateralRules(curve=slow, buf_ppm=1_200_000, tail_ns=20 * MINUTE_NS, cusp_ppm=700_000))
    check_collateral_rules(CollateralRules(curve=slow, buf_ppm=1_200_000, tail_ns=140 * MINUTE_NS, cusp_ppm=700_000))


def test_a_cusp_that_stops_the_auction_above_its_floor_is_refused():
    with pytest.raises(InputError, match="above its floor"):
        check_collateral_rules(CollateralRules(buf_ppm=1_150_000, cusp_ppm=800_000, floor_ppm=900_000))


def test_a_reward_above_the_penalty_of_the_smallest_auction_is_refused():
    rules = CollateralRules(chop_ppm=1_050_000, dust_micro=100_000_000)
    check_collateral_rules(changed(rules, keeper=KeeperRules(tip_micro=5_000_000)))
    for keeper in (KeeperRules(tip_micro=5_000_001), KeeperRules(chip_ppm=50_001), KeeperRules(tip_micro=1, chip_ppm=50_000)):
        with pytest.raises(InputError, match="penalty"):
            check_collateral_rules(changed(rules, keeper=keeper))


@given(
    tip=st.integers(0, 10**8), chip=st.integers(0, 10**6), chop=st.integers(PPM, 2 * PPM), dust=st.integers(1, 10**9),
    debt=st.integers(1, 10**12),
)  # fmt: skip
def test_an_accepted_reward_is_within_the_penalty_of_every_auction(tip, chip, chop, dust, debt):
    rules = CollateralRules(chop_ppm=chop, dust_micro=dust, keeper=KeeperRules(tip_micro=tip, chip_ppm=chip))
    try:
        check_collateral_rules(rules)
    except InputError:
        return
    debt += dust  # none smaller is sold
    assert keeper_reward(tip, chip, debt) <= debt * (chop - PPM) // PPM + 1


@given(buf=st.integers(500_000, 1_500_000), minutes=st.integers(1, 600), floor=st.integers(0, PPM), margin=st.integers(0, PPM))
def test_an_accepted_curve_reaches_a_buyer_in_its_time(buf, minutes, floor, margin):
    rules = CollateralRules(
        curve=linear(300 * MINUTE_NS), buf_ppm=buf, tail_ns=minutes * MINUTE_NS, cusp_ppm=1, floor_ppm=floor,
        bidder_margin_ppm=margin,
    )  # fmt: skip
    try:
        check_collateral_rules(rules)
    except InputError:
        assume(False)
    oracle = 10**9
    assert price(rules.curve, oracle * buf // PPM, rules.tail_ns) <= oracle * (PPM - margin) // PPM + 1


@pytest.mark.parametrize(
    "fields",
    [
        {"tail_ns": 0}, {"dust_micro": 0}, {"hole_micro": 0}, {"restarts_max": -1}, {"floor_ppm": PPM + 1},
        {"cusp_ppm": 0}, {"cusp_ppm": PPM}, {"chop_ppm": PPM - 1}, {"buf_ppm": 0}, {"bidder_margin_ppm": -1},
        {"keeper": KeeperRules(tip_micro=-1)}, {"keeper": KeeperRules(timely_ns=0)}, {"curve": Stair(RAY, 1)},
    ],
)  # fmt: skip
def test_figures_out_of_range_are_refused(fields):
    with pytest.raises(InputError):
        check_collateral_rules(changed(CollateralRules(), **fields))


@pytest.mark.parametrize(
    "fields", [{"insolvent_ns": 0}, {"buffer_ppm": -1}, {"fee_ppm": PPM}, {"tail_ns": 0}, {"bidder_margin_ppm": 30_000, "tail_ns": 1}, {"curve": Stair(RAY // 2, 1, 2 * RAY)}]
)
def test_account_figures_out_of_range_are_refused(fields):
    with pytest.raises(InputError):
        check_account_rules(changed(AccountRules(), **fields))


def test_an_auction_lasts_as_long_as_volatility_allows_or_not_at_all():
    # sigma 80 % a year, buffer 5 %: (0.05 / (4 * 0.8))² of a year
    longest = duration_ns(800_000, 50_000, 5 * SECOND_NS)
    assert longest == 50_000**2 * YEAR_NS // (4 * 800_000) ** 2
    assert 7_699 * SECOND_NS < longest < 7_700 * SECOND_NS
    assert duration_ns(800_000, 500, 5 * SECOND_NS) is None
    with pytest.raises(InputError):
        duration_ns(0, 1, 1)


@given(volatility=st.integers(1, 10**7), buffer=st.integers(0, PPM), latency=st.integers(0, 60 * SECOND_NS))
def test_a_duration_meets_both_conditions(volatility, buffer, latency):
    found = duration_ns(volatility, buffer, latency)
    if found is None:
        assert (3 * latency) * (4 * volatility) ** 2 > buffer**2 * YEAR_NS - (4 * volatility) ** 2
    else:
        assert found >= 3 * latency
        assert (4 * volatility) ** 2 * found <= buffer**2 * YEAR_NS
