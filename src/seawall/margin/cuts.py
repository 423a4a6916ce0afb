"""Planes below a requirement: what initial margin is at some lots, and how fast it changes with each leg.

A requirement that is convex in the lots lies above each of its tangent planes, so planes taken where a search
looks make a linear program of it. Every kind of model has its own: scenario columns and the bounds of their
cells (`portfolio`), the mean of a tail's columns, the root of a quadratic form, rates by position. A model
without such a form gives planes by differences of the exact function. Floats: planes only guide a search whose
every answer is evaluated exactly.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from seawall.core.units import PPM
from seawall.kernels import cells, quadratic, tail, tiers
from seawall.kernels.tables import CELLS, QUADRATIC, TAIL, TIERS
from seawall.margin.trials import Trials

__all__ = ["Plane", "Planes", "planes_of"]

Array = np.ndarray[Any, Any]
WORST = 6  # scenarios of which planes are taken at a point
STEP_NANO = 10**10  # notional over which differences are taken where there is no form


class Plane(NamedTuple):
    """term's requirement is at least value + slope · (lots − those where it was taken), nano."""

    term: int
    value: float
    slope: Array


class Planes:
    """Planes of initial margin, the sum of `terms` requirements, in lots of the candidates of some trials.

    convex: whether planes are below the requirement everywhere, up to rounding.
    """

    terms = 2
    convex = True

    def __init__(self, trials: Trials) -> None:
        self.trials = trials
        self.tables = trials.single.tables
        self.values = self.tables.values.astype(np.float64)
        self.extra = self.tables.extra.astype(np.float64)
        self.underlying = self.tables.leg_underlying
        self.count = len(trials.single.underlyings)
        self.of_underlying = self.underlying[None, :] == np.arange(self.count)[:, None]

    def at(self, lots: Array) -> list[Plane]:
        """Planes where the candidates are traded by so many lots, float64[m]."""
        held = self.trials.lots + lots @ self.trials.touches
        return [Plane(p.term, p.value, self.trials.touches @ p.slope) for p in self.of_legs(held)]

    def of_legs(self, held: Array) -> list[Plane]:
        """The same over legs: held and slopes are float64[n]."""
        raise NotImplementedError

    def groups(self, number: Array) -> Array:
        """float64[k, n]: 1 where a leg is of a group, of those numbered 0 and up."""
        found = np.unique(number[number >= 0])
        return (number[None, :] == found[:, None]).astype(np.float64)

    def naked(self, held: Array, charge: Array, strikes: Array) -> tuple[float, Array]:
        """Σ over strikes of what is short more than long, and its slope."""
        short = -(strikes @ (held * charge)) > 0
        slope = -(short @ strikes) * charge
        return float(slope @ held), slope


class CellPlanes(Planes):
    """`kernels/cells.py`: the least value of each window of cells, tails, and the charges on top."""

    def __init__(self, trials: Trials) -> None:
        super().__init__(trials)
        group = self.tables.leg_group
        self.strikes = self.groups(group)
        keys = [
            (int(g), *(int(x) for x in row)) if g >= 0 else None
            for g, row in zip(group, self.tables.extra[:, cells.EXTRA_CURVE : cells.EXTRA_CURVE + 3], strict=True)
        ]
        numbers = {key: k for k, key in enumerate(dict.fromkeys(key for key in keys if key is not None))}
        number = np.array([-1 if key is None else numbers[key] for key in keys], np.int64)
        self.curves = self.groups(number)
        first = np.argmax(self.curves, axis=1) if len(self.curves) else np.zeros(0, np.int64)
        shape = (len(first), 3, cells.LEVELS - 1, cells.SPOT_CELLS)
        self.gaps = self.values[first, cells.ROW_GAP :].reshape(shape)
        self.curve_of = self.of_underlying[:, first].astype(np.float64)
        self.blocks = self.groups(self.tables.leg_block)
        self.basis = self.values[:, cells.BASIS : cells.BASIS + 2] - self.values[:, :1]
        params = self.tables.underlying_params
        self.first = params[:, cells.PARAM_FIRST : cells.PARAM_FIRST + cells.STEPS]
        self.last = params[:, cells.PARAM_LAST : cells.PARAM_LAST + cells.STEPS]
        self.factor = self.tables.scalars[cells.SCALAR_INITIAL_FACTOR] / PPM
        self.offset = self.tables.scalars[cells.SCALAR_OFFSET] / PPM

    def of_legs(self, held: Array) -> list[Plane]:
        value, slope = self._flat(held)
        out = [Plane(1, value, slope)]
        value, slope = self.naked(held, self.extra[:, cells.EXTRA_SHORT_MINIMUM], self.strikes)
        out.append(Plane(0, self.factor * value, self.factor * slope))
        return out + [Plane(0, self.factor * loss, self.factor * way) for loss, way in self._scan(held)]

    def _scan(self, held: Array) -> list[tuple[float, Array]]:
        """(loss, its slope) of the worst scenarios."""
        sums = self.of_underlying @ (held[:, None] * self.values[:, : cells.COLUMNS])
        net = self.curves @ held
        long, short = np.maximum(net, 0.0), np.maximum(-net, 0.0)
        by_gap = [
            np.einsum("uk,k,klc->ulc", self.curve_of, weight, self.gaps[:, at])
            for weight, at in ((long, 0), (np.abs(net), 1), (long, 2), (short, 2))
        ]
        gap, vega = by_gap[0], np.stack(by_gap[1:])
        nodes = sums[:, 1 : 1 + cells.GRID].reshape(self.count, cells.LEVELS, cells.NODES)
        one, other = nodes[:, :, :-1], nodes[:, :, 1:]
        # of each cell at both of its levels: the share of the way across where the bound is least, and the bound
        corner = np.stack([one[:, :-1], one[:, 1:]]), np.stack([other[:, :-1], other[:, 1:]])
        with np.errstate(divide="ignore", invalid="ignore"):
            inside = np.where(gap > 0, (corner[1] - corner[0]) / (8 * gap), np.sign(corner[1] - corner[0]))
        share = np.clip(0.5 - inside, 0.0, 1.0)
        bound = (1 - share) * corner[0] + share * corner[1] - 4 * share * (1 - share) * gap
        level = np.argmin(bound, axis=0)
        floor = bound.min(axis=0) - vega.min(axis=0)
        change, cell = self._windows(floor, sums[:, 0])
        tails = sums[:, 1 + cells.GRID : cells.COLUMNS] - sums[:, :1]
        every = np.concatenate([change.reshape(self.count, -1), tails], axis=1)
        weight = np.where(every < 0, 1.0, self.offset)
        losses = -(weight * every).sum(axis=0)
        found = []
        for s in np.argsort(-losses, kind="stable")[:WORST].tolist():
            ways = np.zeros(len(held))
            for u in range(self.count):
                way = self._slope(u, s, cell, level, share, vega, net)
                ways += np.where(self.of_underlying[u], weight[u, s] * (way - self.values[:, 0]), 0.0)
            found.append((float(losses[s]), -ways))
        return found

    def _windows(self, floor: Array, mark: Array) -> tuple[Array, Array]:
        """By underlying, step and level: the least change over the window of cells, and its cell."""
        change = np.zeros((self.count, cells.STEPS, cells.LEVELS - 1))
        cell = np.zeros(change.shape, np.int64)
        for u in range(self.count):
            for step in range(cells.STEPS):
                first, last = self.first[u, step], self.last[u, step] + 1
                cell[u, step] = first + np.argmin(floor[u, :, first:last], axis=1)
                change[u, step] = floor[u, [0, 1], cell[u, step]] - mark[u]
        return change, cell

    def _slope(self, u: int, s: int, cell: Array, level: Array, share: Array, vega: Array, net: Array) -> Array:
        """Of one underlying's value in a scenario, by leg."""
        if s >= 2 * cells.STEPS:
            return self.values[:, 1 + cells.GRID + s - 2 * cells.STEPS]
        step, row = divmod(s, 2)
        c = int(cell[u, step, row])
        up = int(level[u, row, c])
        x = float(share[up, u, row, c])
        node = 1 + (row + up) * cells.NODES + c
        way = (1 - x) * self.values[:, node] + x * self.values[:, node + 1]
        gap, vol, move = self.gaps[:, 0, row, c], self.gaps[:, 1, row, c], self.gaps[:, 2, row, c]
        taken = int(np.argmin(vega[:, u, row, c]))
        lower = 4 * x * (1 - x) * (net > 0) * gap + (np.sign(net) * vol, (net > 0) * move, -1.0 * (net < 0) * move)[taken]
        return np.asarray(way - lower @ self.curves)

    def _flat(self, held: Array) -> tuple[float, Array]:
        up_down = self.blocks @ (held[:, None] * self.basis)
        side = np.argmin(up_down, axis=1)
        hurt = up_down.min(axis=1) < 0
        slope = -(hurt @ (self.blocks * self.basis[:, side].T))
        rates = np.where(held > 0, self.extra[:, cells.EXTRA_LONG], self.extra[:, cells.EXTRA_SHORT])
        slope = slope + np.sign(held) * (rates + self.extra[:, cells.EXTRA_DUST])
        value = float(slope @ held)
        gross = self.of_underlying @ (np.abs(held) * self.extra[:, cells.EXTRA_NOTIONAL])
        params = self.tables.underlying_params
        above = gross - params[:, cells.PARAM_CONCENTRATION_FROM] * 1000.0
        rate = np.where(above > 0, params[:, cells.PARAM_CONCENTRATION_RATE] / PPM, 0.0)
        slope = slope + np.sign(held) * self.extra[:, cells.EXTRA_NOTIONAL] * rate[self.underlying]
        return value + float(rate @ above), slope


class TailPlanes(Planes):
    """`kernels/tail.py`: the mean of the worst columns, or the column at their edge."""

    def __init__(self, trials: Trials) -> None:
        super().__init__(trials)
        self.strikes = self.groups(self.tables.leg_group)
        self.weights = self.tables.scenario_params[0].astype(np.float64)
        scalars = self.tables.scalars.astype(np.float64)
        self.tail = scalars[tail.SCALAR_TAIL_INITIAL]
        self.factor = scalars[tail.SCALAR_FACTOR_INITIAL] / PPM
        self.minimum = scalars[tail.SCALAR_SHORT_MINIMUM] / PPM
        self.root_max = scalars[tail.SCALAR_ROOT_MAX] / PPM
        self.mean = self.convex = bool(scalars[tail.SCALAR_MEAN])

    def of_legs(self, held: Array) -> list[Plane]:
        losses = held @ (self.values[:, :1] - self.values[:, 1:])
        order = np.argsort(-losses, kind="stable")
        reach = np.cumsum(self.weights[order])
        last = int(np.searchsorted(reach, self.tail))
        share = self.weights[order[: last + 1]] / self.tail
        share[last] -= (reach[last] - self.tail) / self.tail
        if not self.mean:
            share = np.eye(1, last + 1, last)[0]
        slope = self.values[:, 0] - self.values[:, 1 + order[: last + 1]] @ share + np.sign(held)
        least, naked = self.naked(held, self.extra[:, tail.EXTRA_NAKED] * self.minimum, self.strikes)
        out = [Plane(0, self.factor * float(slope @ held), self.factor * slope)]
        out.append(Plane(0, self.factor * least, self.factor * naked))
        return [*out, Plane(1, *self._flat(held))]

    def _flat(self, held: Array) -> tuple[float, Array]:
        side = np.sign(held)
        slope = side * self.extra[:, tail.EXTRA_CHARGE]
        value = float(slope @ held)
        notional = self.extra[:, tail.EXTRA_NOTIONAL]
        gross = self.of_underlying @ (np.abs(held) * notional)
        params = self.tables.underlying_params.astype(np.float64)
        for u in range(self.count):
            above = gross[u] - params[u, tail.PARAM_CONCENTRATION_FROM] * 1e6
            rate = params[u, tail.PARAM_CONCENTRATION_RATE] / PPM if above > 0 else 0.0
            value += rate * above
            liquid = params[u, tail.PARAM_LIQUID] * 1e6
            if 0 < liquid < gross[u]:
                root = np.sqrt(gross[u] / liquid)
                unit = params[u, tail.PARAM_TAIL_INITIAL] / PPM
                value += unit * gross[u] * (min(root, self.root_max) - 1)
                rate += unit * ((1.5 * root if root < self.root_max else self.root_max) - 1)
            slope = slope + np.where(self.underlying == u, rate * side * notional, 0.0)
        return float(value), slope


class QuadraticPlanes(Planes):
    """`kernels/quadratic.py`: the root of the quadratic form, short gamma, and the minimum for shorts."""

    def __init__(self, trials: Trials) -> None:
        super().__init__(trials)
        self.strikes = self.groups(self.tables.leg_group)
        self.z = self.tables.scalars[quadratic.SCALAR_INITIAL] / PPM
        self.minimum = self.tables.scalars[quadratic.SCALAR_SHORT_MINIMUM] / PPM
        factors = 2 * self.count
        self.exposures = np.zeros((factors, len(self.values)))
        for k, column in enumerate((quadratic.COLUMN_DELTA, quadratic.COLUMN_VEGA)):
            self.exposures[k::2] = self.of_underlying * self.values[:, column]
        self.correlations = self.tables.underlying_params[:factors, :factors] / PPM

    def of_legs(self, held: Array) -> list[Plane]:
        vector = self.exposures @ held
        turned = self.correlations @ vector
        root = max(float(vector @ turned), 0.0) ** 0.5
        slope = self.z * (turned / root if root > 0 else turned) @ self.exposures
        gamma = self.of_underlying * self.values[:, quadratic.COLUMN_GAMMA]
        slope = slope - self.z**2 * ((gamma @ held < 0) @ gamma)
        slope = slope + np.sign(held) * (2 * self.z + self.z**2)  # what rounding may hide
        least, naked = self.naked(held, self.extra[:, quadratic.EXTRA_NAKED] * self.minimum, self.strikes)
        flat = np.sign(held) * self.extra[:, quadratic.EXTRA_CHARGE]
        return [Plane(0, float(slope @ held), slope), Plane(0, least, naked), Plane(1, float(flat @ held), flat)]


class TierPlanes(Planes):
    """`kernels/tiers.py`: each position on its own, so that each leg that a candidate touches is a term."""

    def __init__(self, trials: Trials) -> None:
        super().__init__(trials)
        self.moved = np.flatnonzero(np.abs(trials.touches).sum(axis=0))
        self.terms = len(self.moved) + 1
        held = trials.lots.astype(np.float64)
        self.rest = trials.base.initial * 1000.0 - sum(self._charge(int(k), held[k], 1)[0] for k in self.moved)

    def of_legs(self, held: Array) -> list[Plane]:
        out = [Plane(len(self.moved), self.rest, np.zeros(len(held)))]
        for term, leg in enumerate(self.moved.tolist()):
            for side in (1, -1) if held[leg] == 0 else (int(np.sign(held[leg])),):
                value, rate = self._charge(leg, abs(held[leg]), side)
                slope = np.zeros(len(held))
                slope[leg] = side * rate
                out.append(Plane(term, value, slope))
        return out

    def _charge(self, leg: int, size: float, side: int) -> tuple[float, float]:
        """Initial margin of a position on one side, and what another lot on it adds, nano."""
        if size < 0:
            size, side = -size, -side
        extra = self.extra[leg]
        flat = extra[tiers.EXTRA_LONG if side > 0 else tiers.EXTRA_SHORT]
        if side > 0 and extra[tiers.EXTRA_SHORT_ONLY]:
            return size * flat, flat
        notional = size * extra[tiers.EXTRA_NOTIONAL]
        rows, scalars = self.tables.scenario_params, self.tables.scalars
        first = tiers.SCALAR_FIRST_ROW + int(extra[tiers.EXTRA_SET])
        row = rows[scalars[first] : scalars[first + 1]]
        row = row[max(int(np.searchsorted(row[:, tiers.TIER_FROM] * 1000.0, notional, "right")) - 1, 0)]
        rate = row[tiers.TIER_INITIAL] / PPM
        tiered = notional * rate - 1000.0 * row[tiers.TIER_INITIAL_DEDUCTION]
        least = extra[tiers.EXTRA_INITIAL_RATE] / PPM
        if notional * least > tiered:
            tiered, rate = notional * least, least
        return tiered + size * flat, rate * extra[tiers.EXTRA_NOTIONAL] + flat


class DifferencePlanes(Planes):
    """Any model: the exact function here and a step to either side of each candidate; at kinks, their mean."""

    terms = 1
    convex = False

    def __init__(self, trials: Trials) -> None:
        super().__init__(trials)
        notional = np.abs(trials.touches) @ trials.single.legs.notional_nano
        self.step = np.maximum(STEP_NANO / np.maximum(notional, 1.0), 1.0).astype(np.int64)

    def at(self, lots: Array) -> list[Plane]:
        here = np.rint(lots).astype(np.int64)
        steps = np.diag(self.step)
        found = self.trials.evaluate(np.concatenate([here[None, :], here + steps, here - steps]))[:, 1] * 1000.0
        count = len(here)
        slope = (found[1 : 1 + count] - found[1 + count :]) / (2 * self.step)
        return [Plane(0, float(found[0] + slope @ (lots - here)), slope)]


def planes_of(trials: Trials) -> Planes:
    """The planes of the trials' model."""
    kinds: dict[int, type[Planes]] = {
        CELLS: CellPlanes,
        TAIL: TailPlanes,
        QUADRATIC: QuadraticPlanes,
        TIERS: TierPlanes,
    }
    return kinds.get(trials.single.model.kind, DifferencePlanes)(trials)
