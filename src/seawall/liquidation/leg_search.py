"""The search for what to close: the row of lots of least cost that restores an account, never one that makes it worse.

Health after closing is (nearly) concave in the row, so the search walks up it. Rows come in families, each a line
through what is left of some positions in proportion: one position, two, all of one underlying, all. Closing one side
of a hedge gains nothing and is not chosen; closing both sides is a family of its own. From nothing, the family that
gains most per cost is followed until the target is met; then lots are taken back and exchanged while that is cheaper.
Everything is evaluated by the exact margin function, in batches; every row offered is one that the market can use.
"""

from __future__ import annotations

from itertools import combinations, permutations
from typing import Any

import numpy as np

from seawall.liquidation.positions import Positions
from seawall.liquidation.size import least_lots

__all__ = ["LegSearch"]

Array = np.ndarray[Any, Any]
FRACTIONS = 2.0 ** -np.arange(8)  # of what is left, tried along each family
WALK = 48  # steps of the walk
STEPS = 12  # of the exchange
PAIRED = 8  # positions up to which all pairs are families; beyond, each with the largest few
LARGEST = 4
LINE = 2**20  # points of a family's line at most
LEVELS = 2 ** np.arange(24, dtype=np.int64)
FEW = 16  # lots of a position up to which exchanges try every size
FULL_EXCHANGE = 5  # positions up to which exchanges try all combinations of sizes


class LegSearch:
    """State of one search. best: cheapest row found that meets the target, None before; nearest: the one whose gap is
    largest, of those no worse than doing nothing; cost: of the best."""

    def __init__(self, positions: Positions, most: Array, budget: int = 60_000) -> None:
        self.positions, self.most, self.budget = positions, most, budget
        self.best: Array | None = None
        self.cost = 0
        self.nearest = np.zeros(len(positions), np.int64)
        self._gap = int(positions.gaps(self.nearest[None, :])[0])
        self.families = _families(positions, most)

    def run(self) -> None:
        """Searches; afterwards `best` and `nearest` stand."""
        if not len(self.positions):
            return
        for family in self.families:
            self._least_along(np.zeros(len(self.positions), np.int64), family)
        self._walk()
        self._exchange()

    def offer(self, rows: Array) -> Array:
        """int64[T]: gaps of the rows made tradable; keeps the cheapest that meets the target and the nearest."""
        rows = np.minimum(self.positions.allowed(rows), self.most)
        gaps = self.positions.gaps(rows)
        k = int(np.argmax(gaps))
        if int(gaps[k]) > self._gap:
            self._gap, self.nearest = int(gaps[k]), rows[k]
        passing = np.flatnonzero(gaps >= 0)
        if len(passing):
            costs = self.positions.costs(rows[passing])
            k = int(np.argmin(costs))
            if self.best is None or int(costs[k]) < self.cost:
                self.best, self.cost = rows[passing[k]], int(costs[k])
        return gaps

    def _least_along(self, start: Array, family: Array) -> None:
        """The least point on the line from a row through what is left of a family, if one meets the target."""
        left = np.where(family, self.most - start, 0)
        points = int(min(left.max(initial=0), LINE))
        if points:
            least_lots(lambda t: self.offer(_along(start, left, t, points)), points)

    def _walk(self) -> None:
        """Steps along the family that gains most per cost, a share of what is left each time."""
        row = np.zeros(len(self.positions), np.int64)
        gap_now = int(self.positions.gaps(row[None, :])[0])
        for _ in range(WALK):
            if gap_now >= 0 or self.positions.asked > self.budget:
                return
            left = (self.most - row)[None, None, :] * self.families[:, None, :]
            rows = np.ceil(left * FRACTIONS[None, :, None]).astype(np.int64).reshape(-1, len(row)) + row
            rows = np.unique(np.minimum(self.positions.allowed(rows), self.most), axis=0)
            rows = rows[(rows > row).any(axis=1)]
            if not len(rows):
                return
            gaps = self.offer(rows)
            gained = np.minimum(gaps, 0) - gap_now
            spent = np.maximum(self.positions.costs(rows) - self.positions.costs(row[None, :]), 1)
            rate = gained / spent
            k = int(np.argmax(rate))
            if gained[k] <= 0:
                return
            near = np.flatnonzero(rate >= rate[k] * 0.995)  # the farthest step that is as good
            k = int(near[np.argmax(gained[near])])
            self._least_along(row, rows[k] > row)
            row, gap_now = rows[k], int(gaps[k])

    def _exchange(self) -> None:
        """Takes lots back, and exchanges them for others, while that is cheaper and still meets the target."""
        for _ in range(STEPS):
            if self.best is None or self.positions.asked > self.budget:
                return
            row, cost = self.best, self.cost
            moves = self._moves(row)
            rows = np.unique(np.minimum(self.positions.allowed(np.maximum(row + moves, 0)), self.most), axis=0)
            rows = rows[self.positions.costs(rows) < cost]
            if not len(rows):
                return
            room = max(self.budget - self.positions.asked, 1)
            if len(rows) > room:
                rows = rows[np.argsort(self.positions.costs(rows), kind="stable")[:room]]
            self.offer(rows)
            if self.cost >= cost:
                return

    def _moves(self, row: Array) -> Array:
        """int64[k, m]: one position less, or one less and another less or more, in several sizes; where positions are many,
        only as much more as what the other's gain per lot makes up for."""
        count = len(row)
        eye = np.eye(count, dtype=np.int64)
        levels = [_levels(int(most)) for most in self.most]
        down = [np.append(level[level < held], held) if held else level[:0] for level, held in zip(levels, row, strict=True)]
        moves = [-eye[a] * lots for a in range(count) for lots in down[a].tolist()]
        if count <= FULL_EXCHANGE:
            for a, b in permutations(range(count), 2):
                more = np.concatenate([levels[b], -down[b]]) if a < b else levels[b]
                grid = np.array(np.meshgrid(down[a], more)).reshape(2, -1).T
                moves += [-eye[a] * less + eye[b] * other for less, other in grid.tolist()]
            return np.array(moves, np.int64).reshape(-1, count)
        gains = self._gain_per_lot(row)
        for a, b in permutations(range(count), 2):
            if gains[b] > 0:
                for less in down[a].tolist():
                    other = int(np.ceil(less * max(gains[a], 0.0) / gains[b]))
                    moves += [-eye[a] * less + eye[b] * (other + more) for more in (0, 1)]
        return np.array(moves, np.int64).reshape(-1, count)

    def _gain_per_lot(self, row: Array) -> Array:
        """float64[m]: gap gained by a sixty-fourth more of each position (or less, where there is no more)."""
        count = len(row)
        step = np.maximum(self.most // 64, 1)
        step = np.where(row + step <= self.most, step, -np.minimum(step, row))
        gaps = self.positions.gaps(np.concatenate([row[None, :], row + np.eye(count, dtype=np.int64) * step]))
        return np.asarray((gaps[1:] - gaps[0]) / np.where(step == 0, 1, step))


def _levels(most: int) -> Array:
    """Sizes that an exchange tries: all where there are few, else powers of two."""
    return np.arange(1, most + 1, dtype=np.int64) if most <= FEW else LEVELS[LEVELS <= most]


def _along(start: Array, left: Array, points: Array, of: int) -> Array:
    """Rows at points 0…`of` of the line from a row to all of what is left, rounded up."""
    whole, rest = np.divmod(left, of)
    return np.asarray(start + points[:, None] * whole - (-points[:, None] * rest) // of)


def _families(positions: Positions, most: Array) -> Array:
    """bool[k, m]: which positions go together: each alone, pairs, all of each underlying, all."""
    count = len(positions)
    rows = [np.arange(count) == c for c in range(count)]
    if count <= PAIRED:
        pairs = list(combinations(range(count), 2))
    else:
        weight = positions.notional_nano.astype(np.float64) * most
        largest = np.argsort(-weight, kind="stable")[:LARGEST].tolist()
        pairs = sorted({tuple(sorted((a, b))) for a in largest for b in range(count) if a != b})
    rows += [(np.arange(count) == a) | (np.arange(count) == b) for a, b in pairs]
    rows += [positions.underlying == number for number in np.unique(positions.underlying)]
    rows.append(np.ones(count, bool))
    kept = np.unique(np.array(rows, bool), axis=0) if count else np.zeros((0, 0), bool)
    return np.asarray(kept[(kept & (most > 0)).any(axis=1)] if count else kept)
