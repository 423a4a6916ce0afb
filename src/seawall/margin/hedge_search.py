"""The least-cost lots that an account needs: branch and bound over linear programs, every answer evaluated exactly.

HiGHS solves the linear programs: lots bought and sold of each candidate, one variable for each term of the
requirement above its planes (`cuts.py`). Planes are added where a solution breaks them, until it does not; a
fractional solution is rounded in many ways at once by exact evaluation, then branched on. Each step is
deterministic; the numbers of steps are bounded below.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from seawall.core.errors import MissingExtra
from seawall.margin.cuts import Planes, planes_of
from seawall.margin.trials import Trials

__all__ = ["GAP", "Search"]

Array = np.ndarray[Any, Any]
GAP = 1e-4  # a branch that can save no more than this part of the cost is not followed
NODES = 60
ROUNDS = 40  # of planes at the first node, and a quarter of it at each other
RAISES = 8  # how often a requirement is raised by what an exact evaluation found short
NEAR = 256  # roundings tried at once
SLACK = 1e-9  # of a requirement: a plane broken by less is kept
STEPS = 16  # of the descent
LONGEST = 10  # a step of the descent is at most 2**9 lots


class Search:
    """State of one search; `best` is the cheapest row of lots found that passes, None before."""

    def __init__(self, trials: Trials) -> None:
        self.trials = trials
        self.best: Array | None = None
        self.cost = 0
        self.nodes = 0
        self.nearest = np.zeros(len(trials.buys), np.int64)  # the row that leaves least missing
        self._missing: int | None = None

    def offer(self, rows: Array) -> bool:
        """Takes the cheapest of some rows of lots if it passes and is cheaper than the best; True if so."""
        rows = np.clip(rows, -self.trials.sells, self.trials.buys)
        costs = np.abs(rows) @ self.trials.lot_cost_micro
        if self.best is not None:
            rows, costs = rows[costs < self.cost], costs[costs < self.cost]
        if not len(rows):
            return False
        free = self.trials.free(rows)
        passing = free >= 0
        if not passing.any():
            k = int(np.argmax(free))
            if self._missing is None or -int(free[k]) < self._missing:
                self.nearest, self._missing = rows[k], -int(free[k])
            return False
        rows, costs = rows[passing], costs[passing]
        k = int(np.argmin(costs))
        self.best, self.cost = self._shrunk(rows[k])
        return True

    def run(self, starts: list[Array]) -> None:
        """Improves the best; starts: rows of lots at which planes are taken first."""
        planes = planes_of(self.trials)
        program = _Program(self.trials, planes)
        for row in starts:
            program.add(planes.at(row.astype(np.float64)), row)
        sells, buys = self.trials.sells, self.trials.buys
        count = len(buys)
        stack = [(np.zeros(2 * count, np.int64), np.concatenate([buys, sells]))]
        raises = RAISES
        while stack and self.nodes < NODES:
            low, high = stack.pop()
            self.nodes += 1
            point = self._relaxed(program, planes, low, high, ROUNDS if self.nodes == 1 else ROUNDS // 4)
            if point is None:
                continue
            self._round(point)
            parts = np.abs(point - np.rint(point))
            if parts.max(initial=0.0) > 1e-6:
                stack += self._branches(point, parts, low, high)
                continue
            short = -int(self.trials.free(np.rint(point[:count] - point[count:]).astype(np.int64)[None, :])[0])
            if short > 0 and not program.kept:  # planes were added at this very point: once more with them
                stack.append((low, high))
            elif short > 0 and raises:
                raises -= 1
                program.raise_by(short)
                stack.append((low, high))
        if not planes.convex or self.best is None:
            self._descend()

    def _descend(self) -> None:
        """From the best, or else from what leaves least missing, steps of one or two candidates by powers of two
        lots, the most helpful first: for requirements that are not convex, where planes may cut too deep."""
        moves = _moves(len(self.trials.buys))
        row = self.nearest if self.best is None else self.best
        for _ in range(STEPS):
            if self.best is not None:
                row = self.best
            if not self.offer(row + moves) and (self.best is not None or (self.nearest == row).all()):
                return
            row = self.nearest

    def _relaxed(self, program: _Program, planes: Planes, low: Array, high: Array, rounds: int) -> Array | None:
        """float64[2m], lots bought and sold at the program's optimum between two bounds; None where there is
        nothing cheaper than the best."""
        count = len(self.trials.buys)
        program.bound(low, high)
        point = None
        for _ in range(rounds):
            point = program.solve()
            if point is None or (self.best is not None and program.cost >= self.cost * (1 - GAP)):
                return None
            lots = point[:count] - point[count:]
            program.kept = not program.add(planes.at(lots), lots)
            if program.kept:
                break
        return point

    def _branches(self, point: Array, parts: Array, low: Array, high: Array) -> list[tuple[Array, Array]]:
        """The two halves on either side of the costliest fraction, the nearer one last."""
        cost = np.concatenate([self.trials.lot_cost_micro] * 2)
        k = int(np.argmax(parts * cost))
        down, up = high.copy(), low.copy()
        down[k], up[k] = int(np.floor(point[k])), int(np.floor(point[k])) + 1
        halves = [(low, down), (up, high)]
        return halves if point[k] - np.floor(point[k]) >= 0.5 else halves[::-1]

    def _round(self, point: Array) -> None:
        """Offers whole lots around a solution."""
        count = len(self.trials.buys)
        lots = point[:count] - point[count:]
        base = np.floor(lots + 1e-9).astype(np.int64)
        moved = np.flatnonzero(np.abs(lots) > 1e-9)
        if not len(moved):
            self.offer(base[None, :])
            return
        by_part = moved[np.argsort(-np.abs(lots - base)[moved] * self.trials.lot_cost_micro[moved], kind="stable")]
        for shifts in ((0, 1), (-1, 0, 1, 2)):
            free = by_part[: int(np.log(NEAR) / np.log(len(shifts)) + 1e-9)]
            rows = np.repeat(np.where(lots > 0, np.ceil(lots - 1e-9), base).astype(np.int64)[None, :], NEAR, axis=0)
            grid = np.array(list(product(shifts, repeat=len(free))), np.int64)
            rows = rows[: len(grid)]
            rows[:, free] = base[free] + grid
            if self.offer(rows):
                return

    def _shrunk(self, row: Array) -> tuple[Array, int]:
        """A row that passes, each of its trades made as small as bisection finds while the others stay."""
        row = row.copy()
        order = np.argsort(-np.abs(row) * self.trials.lot_cost_micro, kind="stable")
        for c in order[np.abs(row[order]) > 0].tolist():
            low, high = -1, abs(int(row[c]))
            sign = int(np.sign(row[c]))
            while high - low > 1:
                sizes = np.unique(np.linspace(low + 1, high, 17).astype(np.int64)[:-1])
                rows = np.repeat(row[None, :], len(sizes), axis=0)
                rows[:, c] = sign * sizes
                passing = np.flatnonzero(self.trials.free(rows) >= 0)
                if len(passing):
                    high = int(sizes[passing[0]])
                    low = int(sizes[passing[0] - 1]) if passing[0] else low
                else:
                    low = int(sizes[-1])
            row[c] = sign * high
        return row, self.trials.cost_micro(row)


def _moves(count: int) -> Array:
    """int64[k, count]: ± a power of two in one candidate, or in two."""
    signs = [np.eye(count, dtype=np.int64)[c] * sign for c in range(count) for sign in (1, -1)]
    pairs = [a + b for i, a in enumerate(signs) for b in signs[i + 1 :] if (a + b).any()]
    return np.concatenate([np.array(signs + pairs, np.int64) << k for k in range(LONGEST)])


class _Program:
    """min cost · (bought + sold), Σ terms + cost ≤ equity, each term above its planes; in units of a
    hundredth of the present requirement, so that HiGHS's tolerances are small parts of it."""

    def __init__(self, trials: Trials, planes: Planes) -> None:
        try:
            import highspy
        except ImportError as error:
            raise MissingExtra("highspy", "hedge") from error
        self.highs: Any = highspy.Highs()
        for name, value in {"output_flag": False, "threads": 1, "primal_feasibility_tolerance": 1e-9}.items():
            self.highs.setOptionValue(name, value)
        self._done = highspy.HighsModelStatus.kOptimal
        self._infinity = float(highspy.kHighsInf)
        self.unit = max(trials.base.initial * 1000.0, 1e9) / 100
        count = len(trials.buys)
        self.columns = 2 * count
        self.terms = planes.terms
        total = self.columns + self.terms
        most = np.concatenate([trials.buys, trials.sells, np.full(self.terms, self._infinity)]).astype(np.float64)
        self.highs.addVars(total, np.zeros(total), most)
        self.cost_lot = np.concatenate([trials.lot_cost_micro] * 2).astype(np.float64)
        self.every = np.arange(total, dtype=np.int32)
        self.highs.changeColsCost(self.columns, self.every[: self.columns], self.cost_lot / self.unit * 1000)
        row = np.concatenate([self.cost_lot * 1000 / self.unit, np.ones(self.terms)])
        self.room = trials.base.equity * 1000.0
        self.highs.addRow(-self._infinity, self.room / self.unit, total, self.every, row)
        self.cost = 0.0
        self.term_values = np.zeros(self.terms)
        self.solved = False
        self.kept = False  # whether the last solution breaks no plane

    def bound(self, low: Array, high: Array) -> None:
        """The least and the most lots bought and sold."""
        lower, upper = low.astype(np.float64), high.astype(np.float64)
        self.highs.changeColsBounds(self.columns, self.every[: self.columns], lower, upper)

    def solve(self) -> Array | None:
        """float64[2m] at the optimum, None where there is none; sets cost (micro) and term_values (nano)."""
        self.highs.run()
        if self.highs.getModelStatus() != self._done:
            return None
        found = np.array(self.highs.getSolution().col_value)
        self.cost = float(self.highs.getInfo().objective_function_value) * self.unit / 1000
        self.term_values = found[self.columns :] * self.unit
        self.solved = True
        return np.asarray(found[: self.columns])

    def add(self, planes: list[Any], lots: Array) -> int:
        """Adds the planes, taken at some lots, that the last solution breaks; how many."""
        added = 0
        for plane in planes:
            if self.solved and plane.value <= self.term_values[plane.term] + SLACK * 100 * self.unit:
                continue
            slope = plane.slope / self.unit
            slope = np.where(np.abs(slope) < 1e-9, 0.0, slope)  # HiGHS would drop them with a warning
            row = np.concatenate([-slope, slope, [1.0]])
            which = np.concatenate([self.every[: self.columns], [self.columns + plane.term]]).astype(np.int32)
            least = plane.value / self.unit - float(slope @ lots)
            self.highs.addRow(least, self._infinity, len(row), which, row)
            added += 1
        return added

    def raise_by(self, micro: int) -> None:
        """Asks for so much more than the planes do."""
        self.room -= 1000.0 * micro
        self.highs.changeRowBounds(0, -self._infinity, self.room / self.unit)
