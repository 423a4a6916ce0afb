"""Bounds of one account's health over a stretch of a line of prices: what `crossings.py` proves with.

On the chord between the rows at both ends health is concave: equity is linear, and each requirement of the tier and
cell kernels is a maximum of linear functions (`docs/models.md`), the gaps held at the most that they are anywhere on the
stretch. So it is at least what lies between its ends in a straight line, and at most what its slopes, taken
outside the stretch, allow. How far rows leave their chord is bounded on either side: leg by leg under tiers (convex
entries lie below it by at most twice what they do in the middle), net of long and short under cells (`kernels/stretch.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from seawall.kernels import cells, rows
from seawall.kernels.account import evaluate_accounts
from seawall.kernels.anchors import life_high, life_low
from seawall.kernels.board import MANY_LIVES, NEVER, fill_cells, price_cells
from seawall.kernels.stretch import COLUMNS, NODE_WORK, VARIANTS, Bent, Gapped, bends, stack, union_gaps
from seawall.margin.single import Rows, Single

__all__ = ["Bounds", "CellBounds", "TierBounds"]

GRAIN = 6.0  # nano per lot that rounding may hide in each entry of a row
FLOAT = 1e-12  # relative error of values, far above that of the pricing
ROOM_NANO = 2.0**59  # with as little at both ends of the line, no row that is made here leaves int64
NO_BOUND = 2**62
TOTAL_VOL_MIN, TOTAL_VOL_MAX = 1e-12, 50.0  # as options are priced
MICRO_SPARE = 16  # what the roundings of one evaluation come to, and more

Line = Callable[[int], np.ndarray]


class Bounds(NamedTuple):
    """Health in micro at a share x of a stretch: at least low_a + (low_b - low_a)·x - 4·sag·x(1 - x), at most
    high_a + (high_a - before)·x and high_b + (high_b - after)·(1 - x). sag >= 0."""

    low_a: int
    low_b: int
    sag: int
    before: int
    high_a: int
    high_b: int
    after: int

    def reversed(self) -> Bounds:
        """The same, seen from the other end."""
        return Bounds(self.low_b, self.low_a, self.sag, self.after, self.high_b, self.high_a, self.before)


class _Look(NamedTuple):
    """Rows at a tick without gaps, its index prices (float64[U]) and its steps of the price grid."""

    rows: Rows
    price: np.ndarray
    cells: np.ndarray


class CellBounds:
    """Bounds for models of cells. line: prices (int64[U] nano) at a tick, linear in every one."""

    def __init__(self, single: Single, line: Line, first: int, last: int) -> None:
        self.single = single
        self.line = line
        self.looks = 0
        self._seen: dict[int, _Look] = {}
        self._gaps_of: dict[bytes, np.ndarray] = {}
        count, underlyings = len(single.lots), len(single.underlyings)
        self._loose = np.zeros(2)
        self._state = np.full((count, 3), NEVER)
        index = single.prices_nano / 1e9
        self._fill(index, price_cells(index, single.steps), True)  # whose state tells how long the legs live
        self._bent, self._gapped = _bent(single), _gapped(single, self._state)
        self._work = np.zeros((2 + 2 * underlyings, COLUMNS))
        self._node_work = np.zeros(NODE_WORK)
        self._no_gaps = np.zeros((count, 3 * cells.CELLS), np.int64)
        self._union = np.zeros((count, 3 * cells.CELLS), np.int64)
        self._prepare_stack()
        edges = self.look(first), self.look(last)
        worth = sum(single.worth(edge.rows.values) for edge in edges)
        size = np.abs(single.lots).astype(np.float64)
        unit = size * np.abs(single.legs.lot) * np.maximum(single.legs.ratio, 1.0) * 1e9
        worth += float(sum(unit @ edge.price[single.legs.underlying] for edge in edges))
        self.roomy = worth < ROOM_NANO
        grain = size * (GRAIN + np.abs(single.legs.lot * np.maximum(single.legs.ratio, 1.0)))
        self._grain = np.zeros(underlyings)
        np.add.at(self._grain, single.legs.underlying, grain)
        self._grain += FLOAT * worth
        factor = float(single.tables.scalars[cells.SCALAR_MAINTENANCE_FACTOR]) / 1e6
        self._over = max(factor - 1.0, 0.0)
        # gaps beyond `DIP_EXACT` are taken in units of 4096, which is 2**-38 of them
        self._spare = 4.0 * float(size.sum()) + 2e-11 * worth + 2.0 * self._over * float(self._grain.sum())

    def look(self, tick: int) -> _Look:
        """Rows at a tick, made once."""
        found = self._seen.get(tick)
        if found is None:
            index = self.line(tick) / 1e9
            cell = price_cells(index, self.single.steps)
            found = _Look(self._fill(index, cell, False), index, cell)
            self._seen[tick] = found
        return found

    def over(self, a: int, b: int, likely: bool) -> Bounds | None:
        """Bounds from tick a to tick b; None where rows could leave int64.

        likely: health is likely not to be negative; only what comes first is then looked at, if it settles the sign.
        """
        if not self.roomy:
            return None
        one, other = self.look(a), self.look(b)
        bends(self._bent, one.price, other.price, self._work)
        same = bool((one.cells == other.cells).all())
        spare = self._slack()
        low_a = low_b = -NO_BOUND
        sag, lines = 0, (NO_BOUND, NO_BOUND, NO_BOUND, NO_BOUND)
        for upper in (not likely, likely):
            if upper:
                gaps = self._exact_gaps(one) if same else self._no_gaps
                before, high_a, high_b, after = self._evaluate(one, other, gaps, True)
                lines = before - spare, high_a + spare, high_b + spare, after - spare
                if max(high_a, high_b) + spare < 0:
                    break
            else:
                gaps = self._exact_gaps(one) if same else self._gaps_over(one, other)
                flat_a, flat_b, bent_a, bent_b = self._evaluate(one, other, gaps, False)
                low_a, low_b = flat_a - spare, flat_b - spare
                sag = max(flat_a - bent_a, flat_b - bent_b, 0)
                if min(low_a, low_b) >= sag:
                    break
        return Bounds(low_a, low_b, sag, *lines)

    def _gaps_over(self, one: _Look, other: _Look) -> np.ndarray:
        """int64[n, 3·CELLS]: gaps that hold from one to the other."""
        low = np.minimum(one.cells, other.cells)
        span = int(np.abs(one.cells - other.cells).max()) + 1
        union_gaps(self._gapped, self.single.position, low, span, self.single.steps, self._node_work, self._union)
        return self._union

    def edge(self, a: int, b: int) -> int | None:
        """The last tick of a's step of the price grid, where b is in the next one; None otherwise. Gaps jump there."""
        one, other = self.look(a), self.look(b)
        if int(np.abs(one.cells - other.cells).sum()) != 1:
            return None
        while b - a > 1:
            middle = (a + b) // 2
            if (price_cells(self.line(middle) / 1e9, self.single.steps) == one.cells).all():
                a = middle
            else:
                b = middle
        return a

    def _slack(self) -> int:
        """Micro that charges and roundings may come to, and marks where they count for more than once."""
        charges, marks = self._work[0, :2].tolist()
        return int((charges + self._spare + self._over * marks) / 1000.0) + MICRO_SPARE

    def _prepare_stack(self) -> None:
        """The accounts of `stack`: the account's legs, and after those of each underlying its correction."""
        single = self.single
        tables, which = single.tables, single.position
        at = tables.leg_underlying[which]
        ends = np.flatnonzero(np.append(at[1:] != at[:-1], True)) + 1 if len(at) else np.zeros(0, np.int64)
        held = at[ends - 1].astype(np.int64)
        corrections = ends + np.arange(len(held))
        count = len(which) + len(held)
        slot = np.setdiff1d(np.arange(count), corrections)
        self._places = which.astype(np.int64), slot, held, corrections
        values = np.zeros((VARIANTS * count, cells.WIDTH), np.int64)
        extra = np.zeros((VARIANTS * count, cells.EXTRAS), np.int64)

        def spread(of_leg: np.ndarray, of_held: np.ndarray) -> np.ndarray:
            out = np.zeros(count, of_leg.dtype)
            out[slot], out[corrections] = of_leg[which], of_held
            return np.tile(out, VARIANTS)

        lots = np.ones(count, np.int64)
        lots[slot] = single.size
        extra.reshape(VARIANTS, count, -1)[:, slot] = tables.extra[which]
        self._stacked = tables._replace(
            values=values,
            extra=extra,
            leg_block=spread(tables.leg_block, -1 - held),
            leg_group=spread(tables.leg_group, np.full(len(held), -1)),
            leg_underlying=spread(tables.leg_underlying, held),
            leg_right=spread(tables.leg_right, np.zeros(len(held))),
        )
        starts = np.arange(VARIANTS, dtype=np.int64) * count
        legs = np.arange(VARIANTS * count, dtype=np.int32)
        cash = np.full(VARIANTS, single.cash_nano, np.int64)
        self._accounts = starts, starts + count, legs, np.tile(lots, VARIANTS), cash
        self._out = np.zeros((VARIANTS, 4), np.int64)

    def _evaluate(self, one: _Look, other: _Look, gaps: np.ndarray, upper: bool) -> list[int]:
        stacked = self._stacked
        stack(
            *one.rows, *other.rows, gaps, *self._places, self._grain, self._work, upper, stacked.values, stacked.extra
        )
        evaluate_accounts(self.single.model.kind, stacked, *self._accounts, self._out)
        health: list[int] = (self._out[:, 0] - self._out[:, 2]).tolist()
        return health

    def _exact_gaps(self, look: _Look) -> np.ndarray:
        """int64[n, 3·CELLS]: the gaps of a step of the grid, as the exact function has them."""
        key = look.cells.tobytes()
        found = self._gaps_of.get(key)
        if found is None:
            self._state[:] = NEVER
            found = np.ascontiguousarray(self._fill(look.price, look.cells, True).values[:, COLUMNS:])
            self._gaps_of[key] = found
        return found

    def _fill(self, index: np.ndarray, cell: np.ndarray, gaps: bool) -> Rows:
        """Rows at prices, with or without the gaps of their step of the price grid."""
        single = self.single
        self.looks += 1
        values = np.empty((len(single.lots), cells.WIDTH if gaps else COLUMNS), np.int64)
        extra = single.tables.extra.copy()
        fill_cells(
            single.arrays, single.position, index, cell, int(gaps), single.steps, 0, self._loose, single.now_ns,
            single.shocks, single.constants, single.model.parameters.short_minimum_ppm, self._state, values, extra,
        )  # fmt: skip
        return Rows(values, extra)


class TierBounds:
    """Bounds for models of tiers, whose rows are marks and what charges follow."""

    def __init__(self, single: Single, line: Line, first: int, last: int) -> None:
        self.single = single
        self.line = line
        self.looks = 0
        self._seen: dict[int, Rows] = {}
        self.roomy = sum(single.worth(self.look(tick).values) for tick in (first, last)) < ROOM_NANO
        self._size = np.abs(single.lots).astype(np.float64)
        self._grain = GRAIN + np.abs(single.legs.lot * np.maximum(single.legs.ratio, 1.0))

    def look(self, tick: int) -> Rows:
        """Rows at a tick, made once."""
        found = self._seen.get(tick)
        if found is None:
            self.looks += 1
            found = Rows(*(part.copy() for part in self.single.rows(self.line(tick))))
            self._seen[tick] = found
        return found

    def over(self, a: int, b: int, likely: bool) -> Bounds | None:
        """Bounds from tick a to tick b; None where rows could leave int64."""
        if not self.roomy:
            return None
        middle = (a + b) // 2
        one, between, other = self.look(a), self.look(middle), self.look(b)
        # an odd stretch's middle is half a tick off: its chord there is taken exactly, in shares
        share = (middle - a) / (b - a)
        chord = one.values[:, 0] * (1.0 - share) + other.values[:, 0] * share
        error = self._grain + FLOAT * np.abs(chord)
        bend = (np.maximum(chord - between.values[:, 0], 0.0) + error) / min(share, 1.0 - share)
        # marks, what a charge follows, and the value that is charged back
        apart = int(self._size @ np.ceil(bend) * 3.0 / 1000.0) + 4 * len(bend) + 8
        before, at_a, at_b, after = (
            self._health(each) for each in (_beyond(one, other), one, other, _beyond(other, one))
        )
        return Bounds(at_a - apart, at_b - apart, 0, before - apart, at_a + apart, at_b + apart, after - apart)

    def edge(self, a: int, b: int) -> int | None:
        """Nothing jumps."""
        return None

    def _health(self, at: Rows) -> int:
        tables = self.single.tables._replace(values=at.values, extra=np.ascontiguousarray(at.extra))
        return self.single.figures(tables, checked=True).health


def _beyond(near: Rows, far: Rows) -> Rows:
    """The rows' chord, carried on past `near` by its own length."""
    return Rows(2 * near.values - far.values, np.where(near.extra == far.extra, near.extra, 2 * near.extra - far.extra))


def _bent(single: Single) -> Bent:
    """The account's options with a strike of their own; all others are linear in every price."""
    legs = single.legs
    held = np.flatnonzero((legs.kind == rows.OPTION) & (single.lots != 0))
    life = np.maximum(0.0, (legs.expiry_ns[held] - single.now_ns) / rows.YEAR_NS)
    down, up = _vol_multiples(single, life)
    shock = single.shocks[legs.underlying[held]]
    level = np.zeros((len(held), COLUMNS))
    multiple, damping = np.ones_like(level), np.ones_like(level)
    level[:, : cells.COLUMNS] = shock[:, rows.SHOCK_LEVEL]
    multiple[:, : cells.COLUMNS] = shock[:, rows.SHOCK_MULTIPLE]
    damping[:, : cells.COLUMNS] = shock[:, rows.SHOCK_DAMPING]
    basis = single.constants[rows.MODEL_BASIS] + single.constants[rows.MODEL_BASIS_SLOPE] * life
    multiple[:, cells.BASIS] += basis
    multiple[:, cells.BASIS + 1] -= basis
    change = np.where(level < 0.0, down[:, None], np.where(level > 0.0, up[:, None], 1.0))
    sigma = np.clip((legs.iv[held] * np.sqrt(life))[:, None] * change, TOTAL_VOL_MIN, TOTAL_VOL_MAX)
    discount = np.exp(-single.constants[rows.MODEL_RATE] * life)
    return Bent(
        underlying=legs.underlying[held].astype(np.int64),
        lots=single.lots[held].astype(np.float64),
        worth=discount * legs.lot[held] * legs.ratio[held] * rows.NANO,
        moneyness=np.log(legs.ratio[held] / legs.strike[held]),
        haircut=legs.haircut_ppm[held] / 1e6,
        sigma=sigma,
        shift=np.log(multiple),
        multiple=multiple,
        damping=damping,
    )


def _gapped(single: Single, state: np.ndarray) -> Gapped:
    """What gaps are made of. state: int64[n, 3], what `fill_cells` notes of the gaps at the present."""
    legs = single.legs
    kind = np.where(legs.kind == rows.OPTION, 1, np.where(legs.kind == rows.FORWARD_START, 2, 0)).astype(np.int64)
    life, rest = state[:, 1] % MANY_LIVES, state[:, 1] // MANY_LIVES
    short, long = (np.array([end(int(step)) for step in life]) for end in (life_low, life_high))
    dearest = short if single.constants[rows.MODEL_RATE] > 0.0 else np.array([life_high(int(step)) for step in rest])
    (down_short, up_short), (down_long, up_long) = (_vol_multiples(single, life) for life in (short, long))
    root_low, root_high = legs.iv * np.sqrt(short), legs.iv * np.sqrt(long)

    def nodes(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.repeat(np.stack([lower, upper], axis=1), cells.NODES, axis=1))

    grid = single.shocks[legs.underlying][:, rows.SHOCK_MULTIPLE, 1 : 1 + cells.NODES]
    option = kind > 0
    ratio = np.where(option, legs.ratio, 1.0)
    strike = np.where(option, legs.strike, 1.0)
    multiple = np.ascontiguousarray(np.tile(grid, (1, cells.LEVELS - 1)))
    return Gapped(
        kind=kind,
        underlying=legs.underlying.astype(np.int64),
        scale=legs.lot * rows.NANO * np.exp(-single.constants[rows.MODEL_RATE] * dearest),
        ratio=ratio,
        moneyness=np.where(kind == 2, -np.log(strike), np.log(ratio / strike)),
        low=np.maximum(nodes(root_low * down_short, root_low), rows.TINY_VOL),
        high=np.maximum(nodes(root_high, root_high * up_long), rows.TINY_VOL),
        width=nodes(root_high * (1.0 - down_long), root_high * (up_long - 1.0)),
        multiple=multiple,
        shift=np.log(multiple),
    )


def _vol_multiples(single: Single, years: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`rows.vol_multiples` of arrays; bounds that stand on them have a hair to spare."""
    model = single.constants
    life = np.maximum(years, model[rows.MODEL_FLOOR_YEARS])
    power = np.where(
        life <= rows.VOL_REFERENCE_YEARS, model[rows.MODEL_POWER_SHORT], model[rows.MODEL_POWER_LONG]
    )
    scale = (rows.VOL_REFERENCE_YEARS / life) ** power
    return np.maximum(0.0, 1.0 - model[rows.MODEL_VOL_DOWN] * scale), 1.0 + model[rows.MODEL_VOL_UP] * scale
