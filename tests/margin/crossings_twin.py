"""The search of crossings as it was before kernels did its work: legs bend one by one, longs and shorts do not net.

For tests to compare with: both claim that nothing is missed, so both must find the same. Positions on the line are whole
ticks. Every entry of a leg's row lies below its chord by at most twice what it does at the midpoint; on the chord
health is concave in the rows, so that it is at least the lower of its ends, and at most what its slopes outside allow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from seawall.kernels import cells
from seawall.kernels.board import price_cells
from seawall.kernels.tables import CELLS
from seawall.margin.single import Rows, Single

WIDEST = 1.8  # an interval's far end over its near one, beyond which slopes are not extended
NEAR = 64  # an end that is next to zero is left behind in steps that grow by this
GRAIN = 6.0  # nano per lot that rounding may hide in each entry of a row
ROOM_NANO = 2**56  # with as little at both ends, rows carried on past an interval fit as well
FLOAT = 1e-12  # relative error of values, far above that of the pricing


class Point(NamedTuple):
    """A tick that has been evaluated: health in micro, and the account's rows there."""

    tick: int
    health: int
    rows: Rows | None


class Search:
    """Evaluated points of one account along `prices(tick)` (int64[U] nano), a line in every price."""

    def __init__(self, single: Single, prices: Callable[[int], np.ndarray], budget: int) -> None:
        self.single = single
        self.prices = prices
        self.budget = budget
        self.evaluations = 0
        self.proved = single.bounded
        self._points: dict[int, Point] = {}
        self._roomy = False
        lots = single.lots.astype(np.float64)
        self._size = np.abs(lots)
        self._long = (single.lots > 0)[:, np.newaxis]
        self._cells = single.model.kind == CELLS
        factor = single.tables.scalars[cells.SCALAR_MAINTENANCE_FACTOR] / 1e6 if self._cells else 1.0
        self._weight = 2.0 + factor
        self._grain = GRAIN + np.abs(single.legs.lot * np.maximum(single.legs.ratio, 1.0))

    def point(self, tick: int) -> Point:
        """Health at a tick, evaluated once."""
        found = self._points.get(tick)
        if found is None:
            self.evaluations += 1
            prices = self.prices(tick)
            health = self.single.evaluate(prices).health
            rows: Rows | None = None
            if self.single.bounded:
                rows = Rows(self.single.tables.values.copy(), self.single.tables.extra.copy())
            found = Point(tick, health, rows)
            self._points[tick] = found
        return found

    def crossings(self, ticks: list[int]) -> list[tuple[Point, Point]]:
        """Neighbouring ticks between which health changes sign, in order, from the first to the last of
        `ticks`; the others are where it is looked at first. `proved` tells whether none can be missing."""
        found: list[tuple[Point, Point]] = []
        work = [(self.point(a), self.point(b)) for a, b in zip(ticks, ticks[1:], strict=False)]
        # entries are convex in the price, so that no row between the ends is larger than these
        ends = [self.single.worth(p.rows.values) for p in (work[0][0], work[-1][1]) if p.rows is not None]
        self._roomy = bool(ends) and sum(ends) < ROOM_NANO
        while work:
            a, b = work.pop()
            if b.tick - a.tick <= 1:
                if _below(a) != _below(b):
                    found.append((a, b))
                continue
            if _below(a) != _below(b):
                left, right = self._bracket(a, b)
                found.append((left, right))
                work += [(a, left), (right, b)]
                continue
            if not self.single.bounded:
                continue
            if self.evaluations >= self.budget:
                self.proved = False
                continue
            middle = self.point((a.tick + b.tick) // 2)
            if _below(middle) == _below(a) and self._clear(a, middle, b):
                continue
            cut = self.point(_cut(a, b)) if _below(middle) == _below(a) else middle
            work += [(a, cut), (cut, b)]
        return sorted(found, key=lambda pair: pair[0].tick)

    def _bracket(self, a: Point, b: Point) -> tuple[Point, Point]:
        """Neighbours of different sign between two points of different sign (Illinois, then halving)."""
        weight_a = weight_b = 1.0
        turn = 0
        while b.tick - a.tick > 1:
            share = weight_a * a.health / (weight_a * a.health - weight_b * b.health)
            tick = a.tick + round((b.tick - a.tick) * share)
            if turn % 4 == 3:
                tick = (a.tick + b.tick) // 2
            turn += 1
            c = self.point(min(max(tick, a.tick + 1), b.tick - 1))
            if _below(c) == _below(a):
                a, weight_a, weight_b = c, 1.0, weight_b / 2
            else:
                b, weight_b, weight_a = c, 1.0, weight_a / 2
        return a, b

    def _clear(self, a: Point, m: Point, b: Point) -> bool:
        """Whether health provably keeps the sign of its ends from a to b."""
        assert a.rows is not None
        assert m.rows is not None
        assert b.rows is not None
        # an odd interval's middle is half a tick off: its chord there is taken exactly, in shares
        share = (m.tick - a.tick) / (b.tick - a.tick)
        chord = a.rows.values * (1.0 - share) + b.rows.values * share
        error = self._grain[:, np.newaxis] + FLOAT * np.abs(chord)
        bend = np.ceil((np.maximum(chord - m.rows.values, 0.0) + error) / min(share, 1.0 - share)).astype(np.int64)
        # marks, their effect on a loss, the basis and what a charge follows
        apart = int(self._size @ (bend[:, 0] * self._weight) / 1000.0) + 4 * len(bend) + 8
        gaps, same = self._gaps(a, b)
        if not _below(a):
            return min(self._bent(p.rows, bend, self._long, gaps) for p in (a, b)) >= apart
        if a.tick * WIDEST < b.tick:
            return False
        up = gaps if same or gaps is None else np.zeros_like(gaps)
        before, at_a, at_b, after = (
            self._bent(rows, bend, ~self._long, up)
            for rows in (_beyond(a.rows, b.rows), a.rows, b.rows, _beyond(b.rows, a.rows))
        )
        return _highest(at_a, at_a - before, at_b, at_b - after) + 3 * apart < 0

    def _bent(self, rows: Rows | None, bend: np.ndarray, where: np.ndarray, gaps: np.ndarray | None) -> int:
        """Health where the entries of some legs (bool[n, 1]) lie below the chord by all they can."""
        assert rows is not None
        values = rows.values.copy()
        if gaps is not None:
            values[:, cells.ROW_GAP :] = gaps
            values[:, 1 : cells.ROW_GAP] -= np.where(where, bend[:, 1 : cells.ROW_GAP], 0)
        tables = self.single.tables._replace(values=values, extra=np.ascontiguousarray(rows.extra))
        return self.single.figures(tables, checked=self._roomy).health

    def _gaps(self, a: Point, b: Point) -> tuple[np.ndarray | None, bool]:
        """Gaps that hold from a to b, None for a kind without; whether they are those of each point."""
        if not self._cells:
            return None, True
        assert a.rows is not None
        steps = self.single.steps
        low, high = self.prices(a.tick), self.prices(b.tick)
        first, last = price_cells(low / 1e9, steps), price_cells(high / 1e9, steps)
        if np.array_equal(first, last):
            return a.rows.values[:, cells.ROW_GAP :], True
        span = int(np.abs(last - first).max()) + 1
        self.evaluations += 1
        rows = self.single.rows(low, cells=(np.minimum(first, last), span))
        return rows.values[:, cells.ROW_GAP :], False


def _below(point: Point) -> bool:
    return point.health < 0


def _cut(a: Point, b: Point) -> int:
    """Where to split: in the middle, or near an end that is close to zero."""
    width = b.tick - a.tick
    step = max(width // NEAR, 1)
    if abs(a.health) * NEAR < abs(b.health):
        return a.tick + step
    if abs(b.health) * NEAR < abs(a.health):
        return b.tick - step
    return (a.tick + b.tick) // 2


def _beyond(near: Rows, far: Rows) -> Rows:
    """The rows' chord, carried on past `near` by its own length."""
    return Rows(2 * near.values - far.values, np.where(near.extra == far.extra, near.extra, 2 * near.extra - far.extra))


def _highest(a: int, slope_a: int, b: int, slope_b: int) -> float:
    """Highest that min(a + slope_a·x, b + slope_b·(1 - x)) gets over 0 <= x <= 1."""
    at_ends = max(min(a, b + slope_b), min(a + slope_a, b))
    if slope_a + slope_b == 0:
        return float(at_ends)
    x = (b + slope_b - a) / (slope_a + slope_b)
    return max(float(at_ends), a + slope_a * x) if 0.0 < x < 1.0 else float(at_ends)
