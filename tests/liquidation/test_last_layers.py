"""All last layers together over random lives of a small venue: value, open interest, order of layers, at every step.

A failing seed replays: `venue_sim.Venue(seed)`. The soak runs a million steps.
"""

from __future__ import annotations

import pytest
from tests.liquidation.venue_sim import Venue

from seawall.liquidation.waterfall import Layer


def live(seed: int, steps: int) -> dict[str, int]:
    venue = Venue(seed)
    for at in range(steps):
        for done in venue.step():
            assert done.need_micro == done.paid_micro + done.residual_micro
            order = [event.layer for event in done.events]
            assert order == sorted(order)
            for event in done.events[:-1]:
                assert event.left_micro > 0, "a layer was asked though nothing was missing"
                assert event.paid_micro == event.capacity_micro, "a layer was left before it had given all it may"
            assert sum(done.claims.values()) + done.unclaimed_micro == done.residual_micro
        assert venue.wealth() == venue.start, (seed, at, "value is conserved to the last nano")
        assert sum(venue.lots.values()) == 0, (seed, at, "long and short open interest are equal")
        assert venue.vault.holds_micro == venue.cash[venue.vault.name]
        assert venue.tranche.balance_micro == venue.cash[venue.tranche.name] >= 0
        assert venue.fund.balance_micro == venue.cash[venue.fund.name] >= 0
        assert 0 <= venue.rounding_nano
    return venue.counts


def test_a_venue_lives_through_thousands_of_random_steps():
    totals: dict[str, int] = {}
    for seed in range(12):
        for name, count in live(seed, 400).items():
            totals[name] = totals.get(name, 0) + count
    # the walk must have been hard enough to reach every layer, else it proves nothing
    for name in ("TRANCHE", "BACKSTOP", "FUND", "DELEVERAGING", "DEFERRED", "failures", "deleveraged", "sold"):
        assert totals[name] > 0, totals


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 200))
def test_a_million_steps(seed):
    counts = live(seed, 10_000)
    assert counts["failures"] > 0
    assert counts[Layer.TRANCHE.name] > 0
