"""What a run is judged by: kept while it goes, summed up at its end."""

from __future__ import annotations

import msgspec
import numpy as np

from seawall.stress.cascade.world import World

__all__ = ["Outcome", "Tally"]


class Outcome(msgspec.Struct, frozen=True):
    """One run's figures; money in micro of the settlement currency, prices as shares.

    bad_debt: losses beyond accounts' own equity, whoever paid them, and what the fund or backstop lost on positions
    that it took over (`inherited`; below zero it earned, and nothing is taken off). inherited_most: the most that it was
    down at the marks at any time, to be held against what it had. fund, adl, deferred: who paid.
    penalty: what liquidated users paid, fees and the difference to the mark of what was sold for them. overshoot:
    deepest fall below the exogenous price, weighted by open interest; overshoot_most: of any name.
    lows: by underlying, deepest price over the first. liquidated, closed: accounts touched, and left without
    positions. adl_profit: profit taken from winners; adl_closed, adl_needed: notional closed against them and what the
    shortfall asked for. to_safety_s: from the first liquidation to the last second with any liquidatable account;
    unsafe: account-seconds spent liquidatable. sold: notional that went through the order book.
    """

    policy: str
    seed: int
    open_interest: int
    bad_debt: int
    inherited: int
    inherited_most: int
    fund: int
    adl: int
    deferred: int
    penalty: int
    overshoot: float
    overshoot_most: float
    lows: dict[str, float]
    liquidated: int
    closed: int
    adl_profit: int
    adl_closed: int
    adl_needed: int
    to_safety_s: float
    unsafe: float
    sold: int
    auctioned: int
    fees: int
    runtime_s: float = 0.0


class Tally:
    """Counters of one run, in nano; `track` once per step."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.bad_nano = 0
        self.penalty_nano = 0
        self.fees_nano = 0
        self.inherited_nano = self.inherited_most_nano = 0
        self.sold_nano = 0
        self.auctioned_nano = 0
        self.adl_profit_nano = 0
        self.adl_closed_nano = 0
        self.adl_needed_nano = 0
        self.touched: set[int] = set()
        self.first_s = self.last_s = -1.0
        self.unsafe = 0.0
        self._lowest = np.zeros(len(world.market.underlyings))
        self._start = world.depth.mid.copy()
        self._low = self._start.copy()
        perps = world.tradable
        long_lots = np.bincount(world.leg, np.maximum(world.lots, 0), len(perps)) * perps
        self.interest_nano = (long_lots * world.mark_nano).astype(float)
        self.times: list[float] = []
        self.prices: list[np.ndarray] = []
        self.outside: list[np.ndarray] = []
        self.curves: list[tuple[int, int, int]] = []

    def closed_at(self, account: int, at_s: float) -> None:
        """An account was acted upon."""
        self.touched.add(account)
        if self.first_s < 0:
            self.first_s = at_s

    def track(self, at_s: float, unsafe: int, step_s: float, sample: bool) -> None:
        """The end of a step: extremes, and a sample of the curves."""
        depth = self.world.depth
        self._lowest = np.minimum(self._lowest, depth.displacement)
        mid = depth.mid
        self._low = np.minimum(self._low, mid)
        if unsafe:
            self.last_s = at_s
            self.unsafe += unsafe * step_s
        if sample:
            self.times.append(at_s)
            self.prices.append(mid)
            self.outside.append(depth.exogenous.copy())
            self.curves.append((self.bad_nano, unsafe, self.sold_nano))

    def outcome(self, policy: str, seed: int, runtime_s: float) -> Outcome:
        """Everything summed up."""
        world = self.world
        by_name = np.bincount(world.underlying, self.interest_nano, len(self._lowest))
        weight = by_name / max(by_name.sum(), 1e-9)
        fall = 1.0 - np.exp(self._lowest)
        flat = [a for a in self.touched if not world.open_rows(a)]
        paid = world.paid
        return Outcome(
            policy, seed, int(self.interest_nano.sum()) // 1000, (self.bad_nano + max(self.inherited_nano, 0)) // 1000,
            self.inherited_nano // 1000, self.inherited_most_nano // 1000, paid["fund"] // 1000, paid["adl"] // 1000, paid["deferred"] // 1000, self.penalty_nano // 1000,
            float(weight @ fall), float(fall.max(initial=0.0)),
            dict(zip(world.market.underlyings, (self._low / self._start).round(6).tolist())),
            len(self.touched), len(flat), self.adl_profit_nano // 1000, self.adl_closed_nano // 1000,
            self.adl_needed_nano // 1000, max(0.0, self.last_s - self.first_s) if self.first_s >= 0 else 0.0, self.unsafe,
            self.sold_nano // 1000, self.auctioned_nano // 1000, self.fees_nano // 1000, runtime_s,
        )  # fmt: skip
