"""Where an account's health changes sign along a line of prices, with proof that nothing is missed.

Positions on the line are whole ticks. Over a stretch of it health lies between bounds (`bounds.py`). From
each end on, as long as a bound says the sign, there is no crossing; what is left in between is much
shorter, by the square near a crossing, and is looked at again, or halved. Stretches of a few ticks are
evaluated, tick by tick.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from seawall.kernels.tables import CELLS
from seawall.margin.bounds import NO_BOUND, Bounds, CellBounds, TierBounds
from seawall.margin.single import Single

WIDEST = 2.8  # a stretch's far end over its near one, beyond which slopes are not extended
FEW = 3  # ticks that are evaluated rather than bounded
MOST_PARTS = 4
HAIR = 1e-9  # of a stretch, on the safe side of where a bound turns


class Point(NamedTuple):
    """A tick that has been evaluated: health in micro."""

    tick: int
    health: int


class Search:
    """Crossings of one account along `prices(tick)` (int64[U] nano), a line in every price."""

    def __init__(self, single: Single, prices: Callable[[int], np.ndarray], budget: int) -> None:
        self.single = single
        self.prices = prices
        self.budget = budget
        self.proved = single.bounded
        self._bounds: CellBounds | TierBounds | None = None
        self._points: dict[int, Point] = {}

    @property
    def evaluations(self) -> int:
        """How many markets the account has been looked at in."""
        return len(self._points) + (self._bounds.looks if self._bounds else 0)

    def point(self, tick: int) -> Point:
        """Health at a tick, evaluated once."""
        found = self._points.get(tick)
        if found is None:
            found = Point(tick, self.single.evaluate(self.prices(tick)).health)
            self._points[tick] = found
        return found

    def crossings(self, ticks: list[int]) -> list[tuple[Point, Point]]:
        """Neighbouring ticks between which health changes sign, in order, from the first to the last of
        `ticks`; the others are where it is looked at first. `proved` tells whether none can be missing."""
        found: list[tuple[Point, Point]] = []
        if self.single.bounded:
            kind = CellBounds if self.single.model.kind == CELLS else TierBounds
            self._bounds = kind(self.single, self.prices, ticks[0], ticks[-1])
        likely = not _below(self.point(ticks[len(ticks) // 2]))
        work = [(a, b, likely) for a, b in zip(ticks, ticks[1:], strict=False)]
        while work:
            a, b, likely = work.pop()
            if b - a <= FEW:
                pairs = ((self.point(tick), self.point(tick + 1)) for tick in range(a, b))
                found += [(left, right) for left, right in pairs if _below(left) != _below(right)]
            elif self._bounds is None:
                if _below(self.point(a)) != _below(self.point(b)):
                    found.append(self._bracket(self.point(a), self.point(b)))
            elif b > a * WIDEST:
                work += [(*part, likely) for part in _split(a, b, 2)]
            else:
                work += self._left(self._bounds, a, b, likely, found)
        return sorted(found, key=lambda pair: pair[0].tick)

    def _left(
        self, bounds: CellBounds | TierBounds, a: int, b: int, likely: bool, found: list[tuple[Point, Point]]
    ) -> list[tuple[int, int, bool]]:
        """The parts of a stretch in which a crossing may lie, and whether health is likely to be positive there.
        Where nothing can be proved any more, adds to `found` what the ends show."""
        over = bounds.over(a, b, likely) if self.evaluations < self.budget else None
        if over is None:
            self.proved = False
            left, right = self.point(a), self.point(b)
            if _below(left) != _below(right):
                left, right = self._bracket(left, right)
                found.append((left, right))
            return []
        start, stop = a + settled(over, b - a), b - settled(over.reversed(), b - a)
        if start >= stop:
            return []
        likely = over.low_a + over.low_b + over.high_a + over.high_b >= 0
        if 2 * (stop - start) <= b - a:
            return [(start, stop, likely)]
        edge = bounds.edge(start, stop)
        if edge is not None:
            return [(start, edge, likely), (edge, edge + 1, likely), (edge + 1, stop, likely)]
        return [(*part, likely) for part in _split(start, stop, _parts(over))]

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


def settled(over: Bounds, width: int) -> int:
    """Ticks from the first end on, of `width` in all, over which bounds say one and the same sign."""
    share = _positive(over) if over.low_a >= 0 else _negative(over)
    return width if share >= 1.0 else int(share * (1.0 - HAIR) * width)


def _positive(over: Bounds) -> float:
    """Up to which share low_a + (low_b - low_a)·x - 4·sag·x(1 - x) stays at 0 or above, for low_a >= 0."""
    slope, square = float(over.low_b - over.low_a - 4 * over.sag), 4.0 * over.sag
    if square == 0.0:
        return 1.0 if over.low_b >= 0 else over.low_a / -slope
    root = slope * slope - 4.0 * square * over.low_a
    if slope >= 0.0 or root < 0.0:
        return 1.0
    return min(2.0 * over.low_a / (math.sqrt(root) - slope), 1.0)


def _negative(over: Bounds) -> float:
    """Up to which share one of the two upper lines stays below 0."""
    share = 0.0
    # from where one line is at 0 on the other may still be below, and the other way round
    for start, stop in 2 * (
        (over.high_a, 2 * over.high_a - over.before),
        (2 * over.high_b - over.after, over.high_b),
    ):
        here = start + (stop - start) * share
        if here < 0.0:
            share = 1.0 if stop < 0 else -start / (stop - start)
    return share


def _parts(over: Bounds) -> int:
    """Into how many parts to split: as many as would make what is not known smaller than health itself, if it
    shrinks with the stretch. A guess: no answer depends on it."""
    if over.low_a == -NO_BOUND:
        return 2
    apart = max(over.high_a - over.low_a, over.high_b - over.low_b) + 2 * over.sag
    room = max(abs(over.high_a + over.low_a), abs(over.high_b + over.low_b)) // 2
    return MOST_PARTS if apart >= MOST_PARTS * room else max(-(-apart // room), 2)


def _split(a: int, b: int, parts: int) -> list[tuple[int, int]]:
    ticks = [a + (b - a) * k // parts for k in range(parts + 1)]
    return list(zip(ticks, ticks[1:], strict=False))


def _below(point: Point) -> bool:
    return point.health < 0
