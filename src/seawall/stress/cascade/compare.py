"""Policies side by side over seeds: everybody meets the same book, path, depth and keepers of a seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import numpy as np

from seawall.core.errors import InputError
from seawall.feeds.ticks import Ticks
from seawall.stress.cascade.dutch_policy import Dutch
from seawall.stress.cascade.loop import Run, run
from seawall.stress.cascade.policies import Dump, Policy, Slices
from seawall.stress.cascade.seawall_policy import Seawall
from seawall.stress.cascade.setting import Setting, path_of
from seawall.stress.cascade.tally import Outcome
from seawall.stress.cascade.venue import Venue, VenueMix, modelled_venue
from seawall.stress.crash import LABEL, modelled_path

__all__ = ["POLICIES", "Compared", "compare", "modelled", "totals"]

POLICIES: dict[str, Callable[[], Policy]] = {"dump": Dump, "slices": Slices, "dutch": Dutch, "seawall": Seawall}
QUIET_S = 600
"""The first minutes of the modelled crash, before anything falls, and those after the hour, are not played."""
END_S = 3_600


class Compared(msgspec.Struct, frozen=True):
    """outcomes: one per policy and seed. runs: the first seed's, by policy, for a picture."""

    outcomes: tuple[Outcome, ...]
    runs: dict[str, Run]

    def of(self, policy: str) -> list[Outcome]:
        """One policy's outcomes, by seed."""
        return [found for found in self.outcomes if found.policy == policy]


Source = Callable[[int], tuple[Venue, Ticks, str]]


def modelled(model: Any, mix: VenueMix | None = None) -> Source:
    """The modelled crash of a seed, between its quiet ends, and a balanced book drawn from the same seed."""

    def make(seed: int) -> tuple[Venue, Ticks, str]:
        ticks = modelled_path(seed)
        start = int(ticks.at_ns[0])
        played = ticks.between(start + QUIET_S * 10**9, start + END_S * 10**9)
        return modelled_venue(played.first_prices(), seed, model, mix), played, LABEL

    return make


def compare(
    source: Source,
    model: Any,
    policies: Sequence[str],
    seeds: Iterable[int],
    setting: Setting,
    progress: Callable[[int], None] | None = None,
) -> Compared:
    """Runs every policy on every seed; progress hears how many runs are done. InputError for an unknown policy."""
    for name in policies:
        if name not in POLICIES:
            raise InputError("policy", repr(name), "one of " + ", ".join(POLICIES))
    outcomes: list[Outcome] = []
    runs: dict[str, Run] = {}
    for seed in seeds:
        venue, ticks, label = source(seed)
        path = path_of(ticks, venue.market.underlyings, setting, label)
        for name in policies:
            found, one = run(venue, model, path, POLICIES[name](), setting, seed)
            outcomes.append(found)
            runs.setdefault(name, one)
            if progress is not None:
                progress(len(outcomes))
    return Compared(tuple(outcomes), runs)


def totals(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Means over seeds of what a table shows: money in basis points of open interest, prices in per cent."""
    interest = sum(found.open_interest for found in outcomes)

    def bp(name: str) -> float:
        return 1e4 * float(sum(getattr(found, name) for found in outcomes)) / max(interest, 1)

    def mean(name: str) -> float:
        return float(np.mean([getattr(found, name) for found in outcomes]))

    needed = sum(found.adl_needed for found in outcomes)
    return {
        "bad_debt_bp": bp("bad_debt"),
        "inherited_bp": bp("inherited"),
        "inherited_most_bp": bp("inherited_most"),
        "fund_bp": bp("fund"),
        "adl_bp": bp("adl_profit"),
        "adl_closed_pct": bp("adl_closed") / 100,
        "deferred_bp": bp("deferred"),
        "penalty_bp": bp("penalty"),
        "overshoot_pct": 100 * mean("overshoot"),
        "overshoot_most_pct": 100 * mean("overshoot_most"),
        "liquidated": mean("liquidated"),
        "closed": mean("closed"),
        "sold_pct": bp("sold") / 100,
        "bids_pct": bp("auctioned") / 100,
        "over_closure": sum(found.adl_closed for found in outcomes) / needed if needed else 1.0,
        "to_safety_s": mean("to_safety_s"),
        "unsafe_account_s": mean("unsafe"),
    }
