"""Keepers: outside capital that buys what is cheap, with an edge, a delay, and a limit; some are down.

The same keepers with the same money meet every policy. Whatever the policy, they buy in the order book when
its price lies further below what it will come back to than their edge; to a policy that offers them more than the
book (an auction), they bid there with what capital is left. What they bought they sell back into the book,
slowly, once it has recovered, so nothing that they absorb vanishes.
"""

from __future__ import annotations

from collections import deque

import msgspec
import numpy as np

from seawall.core.errors import InputError
from seawall.stress.cascade.world import World

__all__ = ["Keepers", "KeeperParameters"]


class KeeperParameters(msgspec.Struct, frozen=True, kw_only=True):
    """count of them; capital_ppm of open interest, all together, log-normally shared; leverage: notional they hold
    at most over it. down_ppm: chance of each to be down for the whole run. edge_ppm: least discount of the
    keenest; each next asks for more, up to edge_last_ppm. delay_s: from seeing to acting, uniform between the two.
    rate_ppm: share of its room that a keeper commits in one second. unwind_ppm: share of calm depth within 1 % that
    one sells per second."""

    count: int = 10
    capital_ppm: int = 15_000
    leverage: float = 2.0
    down_ppm: int = 200_000
    edge_ppm: int = 6_000
    edge_last_ppm: int = 30_000
    delay_s: tuple[float, float] = (1.0, 8.0)
    rate_ppm: int = 100_000
    unwind_ppm: int = 2_000

    def checked(self) -> KeeperParameters:
        """Itself; InputError for figures that make no keeper."""
        if self.count < 1 or self.capital_ppm < 0 or self.leverage <= 0:
            raise InputError("keepers", f"{self.count} with {self.capital_ppm} ppm", "at least one, capital from zero")
        if not 0 <= self.down_ppm <= 1_000_000 or not 0 <= self.edge_ppm <= self.edge_last_ppm:
            raise InputError("keepers", "a share or an edge out of range", "shares to 1,000,000, edges that rise")
        return self


class Keepers:
    """State: row in the world, alive, edge (log) and delay of each; what they saw in the last seconds."""

    def __init__(self, parameters: KeeperParameters, world: World, rows: list[int], step_s: float, seed: int) -> None:
        p = self.parameters = parameters.checked()
        rng = np.random.default_rng(np.random.SeedSequence([seed, 404]))
        self.world, self.rows = world, rows
        self.alive = rng.random(len(rows)) >= p.down_ppm / 1e6
        self.edge = np.linspace(p.edge_ppm, p.edge_last_ppm, len(rows)) / 1e6
        delay = rng.uniform(*p.delay_s, len(rows))
        self.delay = np.maximum(1, np.rint(delay / step_s).astype(int))
        self.step_s = step_s
        self._seen: deque[np.ndarray] = deque(maxlen=int(self.delay.max()) + 1)
        self._perp = [int(np.flatnonzero(world.tradable & (world.underlying == u))[0]) if (world.tradable & (world.underlying == u)).any()
                      else -1 for u in range(len(world.market.underlyings))]  # fmt: skip
        self._calm = world.depth.units_per_log.copy()

    @staticmethod
    def shares(count: int, seed: int) -> np.ndarray:
        """float64[count], summing to one: how the capital is spread."""
        raw = np.exp(0.8 * np.random.default_rng(np.random.SeedSequence([seed, 405])).standard_normal(count))
        return np.asarray(raw / raw.sum())

    def room_nano(self, k: int) -> int:
        """What keeper k can still take on: leverage × equity less the notional it holds; 0 while it is down."""
        if not self.alive[k]:
            return 0
        world, account = self.world, self.rows[k]
        rows = world.rows_of(account)
        gross = int((np.abs(world.lots[rows]) * world.mark_nano[world.leg[rows]]).sum())
        return max(0, int(self.parameters.leverage * max(world.equity_nano(account), 0)) - gross)

    def act(self) -> None:
        """One step: buys what is cheap in the book, sells back what it recovered from."""
        depth = self.world.depth
        self._seen.append(depth.transient.copy())
        if not self.alive.any():
            return
        low = float(depth.transient.min())
        holding = any(self.world.lots[self.world.rows_of(self.rows[k])].any() for k in np.flatnonzero(self.alive).tolist())
        if low > -self.edge[0] and not holding:
            return
        for k in np.flatnonzero(self.alive).tolist():
            seen = self._seen[max(0, len(self._seen) - 1 - int(self.delay[k]))]
            cheap = np.flatnonzero((seen < -self.edge[k]) & (depth.transient < -self.edge[k] - depth.half_spread))
            if len(cheap):
                self._buy(k, cheap.tolist())
            elif holding:
                self._sell(k)

    def _buy(self, k: int, cheap: list[int]) -> None:
        depth, world = self.world.depth, self.world
        budget = self.room_nano(k) * self.parameters.rate_ppm / 1e6 * self.step_s / len(cheap)
        for u in cheap:
            leg = self._perp[u]
            if leg < 0 or world.mark_nano[leg] <= 0:
                continue
            # No further than to where its edge is gone.
            most = (-depth.transient[u] - self.edge[k] - depth.half_spread[u]) * depth.density[u] / world.lot_units[leg]
            lots = int(min(budget / int(world.mark_nano[leg]), max(most, 0.0)))
            if lots > 0:
                world.take_from_book(self.rows[k], leg, lots)

    def _sell(self, k: int) -> None:
        depth, world = self.world.depth, self.world
        for row in world.open_rows(self.rows[k]):
            leg, held = int(world.leg[row]), int(world.lots[row])
            u = int(world.underlying[leg])
            side = -1 if held > 0 else 1
            if side * depth.transient[u] < -0.25 * self.edge[0]:
                continue  # still displaced in the direction that its sale would press
            most = self._calm[u] * 0.01 * self.parameters.unwind_ppm / 1e6 * self.step_s / world.lot_units[leg]
            lots = min(abs(held), max(1, int(most * depth.thin[u])))
            world.take_from_book(self.rows[k], leg, side * lots)
