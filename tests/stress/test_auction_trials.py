"""What decision 23 stands on: the order of the rules under modelled keepers, on a few seeds."""

from __future__ import annotations

import pytest

from seawall.liquidation.auction_rules import check_collateral_rules
from seawall.stress.auction_trials import POLICIES, SCENARIOS, compare, trial


@pytest.fixture(scope="module")
def table():
    return compare(range(12))


def test_every_policy_is_one_that_may_be_set_and_sells(table):
    for rules in POLICIES.values():
        check_collateral_rules(rules)
    assert all(figures.sold > 0.85 for figures in table.values())


def test_a_floor_with_a_funded_backstop_leaves_no_bad_debt_where_keepers_are_missing(table):
    for policy in POLICIES:
        figures = table[policy, "80 % down"]
        assert (figures.bad == 0.0) == ("no floor" not in policy), policy


def test_a_slower_curve_sells_dearer_where_capital_is_thin_and_takes_longer(table):
    steps = [table[f"1 % / {seconds} s, floor", "thin capital"] for seconds in (15, 60, 180)]
    assert steps[0].price < steps[1].price < steps[2].price
    assert steps[0].seconds < steps[1].seconds < steps[2].seconds
    assert steps[0].backstop > steps[2].backstop


def test_a_seed_gives_the_same_trial_again():
    rules, scenario = POLICIES["1 % / 60 s, floor"], SCENARIOS["crash"]
    assert trial(rules, scenario, 5, True) == trial(rules, scenario, 5, True)
