"""The toy behind decision 31: what its table says holds, and the same seed gives the same run."""

from __future__ import annotations

import pytest

from seawall.stress.first_look import SCENARIOS, compare, trial


@pytest.fixture(scope="module")
def table():
    return compare(range(40))


def test_a_window_for_few_costs_time_and_discount_in_calm_markets(table):
    for rule in ("window", "held"):
        assert table[rule, "calm"].safe_s > table["open", "calm"].safe_s
        assert table[rule, "calm"].discount >= table["open", "calm"].discount


def test_standing_bids_help_most_when_keepers_are_down(table):
    down = "80 % down"
    assert table["ranked", down].safe_s < 0.6 * table["open", down].safe_s
    assert table["ranked", down].kept > table["open", down].kept
    assert all(table["ranked", name].safe_s < 1.2 * table["open", name].safe_s for name in SCENARIOS)


def test_a_trial_is_its_seeds():
    assert trial("ranked", SCENARIOS["crash"], 5) == trial("ranked", SCENARIOS["crash"], 5)
    assert trial("ranked", SCENARIOS["crash"], 5) != trial("ranked", SCENARIOS["crash"], 6)
