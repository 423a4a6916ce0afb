"""`margin/parts/cells.py` as it was before a kernel did its work: every array of every cell, in NumPy. For tests
to compare with.

The scan is a minimum over steps, levels, cells, corners and bounds. At a kink the kernel's own choice
(the first of equals) stands; inside the chosen one everything is linear in lots but the dip,
(G - D/4)²/G, which is smooth and homogeneous of degree one: its Euler shares sum to it. Together
a leg's part is what it loses at the worst point of the cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from seawall.kernels import cells
from seawall.kernels.muldiv import mul_div_floor_array
from seawall.kernels.tables import Tables
from seawall.margin.parts.rounding import apportion, ceil_div, stepped
from seawall.margin.parts.shares import Columns, Parts, ScenarioLoss, nothing

__all__ = ["split"]

PPM = 1_000_000
NEVER = np.iinfo(np.int64).max
EXACT_MAX = 2.0**62  # above, running totals are taken on Python integers
ROWS = cells.LEVELS - 1  # rows of cells: pairs of levels of the second shock
TAIL_FIRST = 2 * cells.STEPS


class _Scan(NamedTuple):
    """Everything that the choice of the worst point needs. n legs, U underlyings held, in order.

    spans: each underlying's [first, last) legs. worth: int64[n, 32], lots × columns; mark: int64[n], with what
    short options owe. gap, vega, move_long, move_short: int64[n, ROWS, cells], parts of each bound. side,
    bound, floor: int64[U, ROWS, cells]: which level and which bound the floor is, and the floor. marks: int64[U];
    tails: int64[U, TAILS].
    """

    spans: list[tuple[int, int]]
    worth: np.ndarray
    mark: np.ndarray
    gap: np.ndarray
    bounds: np.ndarray
    side: np.ndarray
    bound: np.ndarray
    dip: np.ndarray
    floor: np.ndarray
    underlyings: list[int]
    marks: np.ndarray
    tails: np.ndarray


def split(tables: Tables, legs: np.ndarray, lots: np.ndarray, cash_nano: int) -> Parts:
    """Scan or tail, gaps, short-option minimum, basis, concentration, haircuts, rounding of rows."""
    if len(legs) == 0:
        return nothing(cash_nano)
    values, extra = tables.values[legs], tables.extra[legs]
    scan = _scan(tables, values, extra, legs, lots)
    cash, *equity = stepped([cash_nano, *scan.mark.tolist()], lambda nano: nano // 1000)
    offset_ppm = int(tables.scalars[cells.SCALAR_OFFSET])
    windows = _windows(tables, scan.underlyings)
    losses = _losses(scan, windows, offset_ppm)
    loss = max(0, *losses)
    worst = losses.index(loss) if loss > 0 else -1
    minimum = _short_minimum(tables, extra, legs, lots)
    decided_by = "nothing to lose"
    risk: list[tuple[str, list[int]]] = []
    if sum(minimum) > loss:
        risk, decided_by = [("short-option minimum", minimum)], "short-option minimum"
    elif worst >= TAIL_FIRST:
        risk, decided_by = [("tail", _tail(scan, worst - TAIL_FIRST, offset_ppm))], "tail"
    elif worst >= 0:
        risk, decided_by = _range(scan, windows, worst, offset_ppm), "scan"
    flat = _flat(tables, values, extra, legs, lots, scan)
    columns = _rounded(risk, flat, tables.scalars.tolist())
    return Parts(cash, equity, columns, [ScenarioLoss(-1, -1, losses)], decided_by)


def _rounded(
    risk: Sequence[tuple[str, Sequence[int]]], flat: list[tuple[str, np.ndarray]], scalars: list[int]
) -> Columns:
    """Both requirements in micro: the factor and the last rounding in one step of the running total, which is
    the kernel's, since ⌈(⌈x⌉ + k)/1000⌉ = ⌈(x + k)/1000⌉ for whole k."""
    columns = [*risk, *flat]
    parts = np.array([part for _, part in columns], np.int64)
    both = scalars[cells.SCALAR_INITIAL_FACTOR], scalars[cells.SCALAR_MAINTENANCE_FACTOR]
    factors = [[factor] * len(risk) + [PPM] * len(flat) for factor in both]
    if float(np.abs(parts.astype(np.float64)).sum()) * max(*both, PPM) / PPM < EXACT_MAX:
        initial, maintenance = _steps(parts, np.array(factors, np.int64)[:, :, None])
    else:
        initial, maintenance = (
            np.array(stepped(scaled, lambda x: ceil_div(x, 1000 * PPM)), np.int64).reshape(parts.shape)
            for scaled in ([int(x) * f for row, f in zip(parts, side, strict=True) for x in row] for side in factors)
        )
    return Columns([name for name, _ in columns], initial, maintenance)


def _steps(parts: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """`stepped` of parts · factors with ⌈x / 10⁹⌉ in int64: whole nano and their millionths apart.

    parts: int64[C, n]; factors: int64[2, C, 1]; returns int64[2, C, n]."""
    rest = parts % PPM * factors
    whole = (parts // PPM * factors + rest // PPM).reshape(2, -1).cumsum(axis=1)
    millionths = (rest % PPM).reshape(2, -1).cumsum(axis=1)
    micro = -(-(whole - -millionths // PPM) // 1000)
    micro[:, 1:] -= micro[:, :-1].copy()
    return micro.reshape(rest.shape)


def _changes_of(ids: np.ndarray) -> np.ndarray:
    """bool[n]: where a run of equal ids begins."""
    new = np.ones(len(ids), bool)
    np.not_equal(ids[1:], ids[:-1], out=new[1:])
    return new


def _scan(tables: Tables, values: np.ndarray, extra: np.ndarray, legs: np.ndarray, lots: np.ndarray) -> _Scan:
    underlying = tables.leg_underlying[legs]
    group = tables.leg_group[legs]
    starts = np.flatnonzero(_changes_of(underlying))
    ends = [*starts[1:].tolist(), len(legs)]
    option = group >= 0
    column = lots[:, None]
    worth = values[:, : cells.COLUMNS] * column
    mark = worth[:, 0] + np.where(option & (lots < 0), lots, 0)
    net, row_of = _curves(group, extra, lots)
    gaps = (values if row_of is None else values[row_of])[:, cells.ROW_GAP :] * column
    n = cells.CELLS
    sign = option * np.sign(net)
    long = (sign > 0)[:, None]
    # one after the other: the gap in spot, and the three bounds between levels
    bent = np.empty((len(legs), 4 * n), np.int64)
    np.multiply(gaps[:, :n], long, out=bent[:, :n])
    np.multiply(gaps[:, n : 2 * n], sign[:, None], out=bent[:, n : 2 * n])
    np.multiply(gaps[:, 2 * n :], long, out=bent[:, 2 * n : 3 * n])
    np.multiply(gaps[:, 2 * n :], np.minimum(sign, 0)[:, None], out=bent[:, 3 * n :])
    totals = np.add.reduceat(bent, starts, axis=0).reshape(-1, 4, ROWS, cells.SPOT_CELLS)
    legs_bent = bent.reshape(-1, 4, ROWS, cells.SPOT_CELLS)
    sums = np.add.reduceat(worth, starts, axis=0)
    grid = sums[:, 1 : 1 + cells.GRID].reshape(-1, cells.LEVELS, cells.NODES)
    lower = np.minimum(grid[:, :, :-1], grid[:, :, 1:])
    apart = np.abs(grid[:, :, :-1] - grid[:, :, 1:])
    # the axis that is third here: the lower and the upper level of a row of cells
    dip = _dip(totals[:, 0, :, None], np.stack([apart[:, :-1], apart[:, 1:]], axis=2))
    floors = np.stack([lower[:, :-1], lower[:, 1:]], axis=2) - dip
    between = totals[:, 1:]
    return _Scan(
        spans=list(zip(starts.tolist(), ends, strict=True)),
        worth=worth,
        mark=mark,
        gap=legs_bent[:, 0],
        bounds=legs_bent[:, 1:],
        side=floors.argmin(axis=2),
        bound=between.argmin(axis=1),
        dip=dip,
        floor=floors.min(axis=2) - between.min(axis=1),
        underlyings=underlying[starts].tolist(),
        marks=np.add.reduceat(mark, starts),
        tails=sums[:, 1 + cells.GRID : cells.COLUMNS],
    )


def _curves(group: np.ndarray, extra: np.ndarray, lots: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Net lots of each leg's curve, and the leg whose row speaks for it: the first of its curve (None: itself)."""
    shared = np.flatnonzero((group[1:] == group[:-1]) & (group[1:] >= 0)).tolist()
    if not shared:
        return lots, None
    net = lots.copy()
    row_of = np.arange(len(lots))
    for k in shared:
        first = k
        while first > 0 and group[first - 1] == group[k]:
            first -= 1
        new = k + 1
        curve = extra[:, cells.EXTRA_CURVE : cells.EXTRA_CURVE + 3]
        same = [j for j in range(first, new) if (curve[j] == curve[new]).all()]
        if same:
            row_of[new] = row_of[same[0]]
            net[[*same, new]] = net[same[0]] + lots[new]
    return net, row_of


def _dip(gap: np.ndarray, apart: np.ndarray) -> np.ndarray:
    """`kernels.cells.dip` of arrays."""
    gap = np.broadcast_to(gap, apart.shape)
    excess = gap - (apart >> 2)
    dips = excess > 0
    out = np.zeros_like(excess)
    small = dips & (gap < cells.DIP_EXACT)
    e, g = excess[small], gap[small]
    out[small] = -mul_div_floor_array(-e, e, g)
    large = dips & ~small
    if large.any():
        e, g = excess[large], gap[large]
        out[large] = -mul_div_floor_array(-e, (e >> 12) + 1, g >> 12)
    return out


def _offset(changes: np.ndarray, offset_ppm: int) -> np.ndarray:
    """Gains at the rate at which they may pay for losses elsewhere, rounded down; exact in int64."""
    gains = changes // PPM * offset_ppm + changes % PPM * offset_ppm // PPM
    return np.where(changes < 0, changes, gains)


def _windows(tables: Tables, underlyings: list[int]) -> np.ndarray:
    """bool[U, steps, cells]: the cells that each step of the common factor allows."""
    params = tables.underlying_params[underlyings]
    first = params[:, cells.PARAM_FIRST : cells.PARAM_FIRST + cells.STEPS, None]
    last = params[:, cells.PARAM_LAST : cells.PARAM_LAST + cells.STEPS, None]
    cell = np.arange(cells.SPOT_CELLS)
    return (first <= cell) & (cell <= last)


def _losses(scan: _Scan, windows: np.ndarray, offset_ppm: int) -> list[int]:
    """Loss of every scenario in the kernel's numbering."""
    lows = np.where(windows[:, :, None, :], scan.floor[:, None], NEVER).min(axis=3)
    range_changes = _offset(lows - scan.marks[:, None, None], offset_ppm).sum(axis=0).ravel()
    tail_changes = _offset(scan.tails - scan.marks[:, None], offset_ppm).sum(axis=0)
    losses: list[int] = (-np.concatenate([range_changes, tail_changes])).tolist()
    return losses


def _range(scan: _Scan, windows: np.ndarray, worst: int, offset_ppm: int) -> list[tuple[str, list[int]]]:
    """Losses in nano by leg at the worst point of each underlying's cell: the corner, and the two gaps."""
    step, row = divmod(worst, ROWS)
    chosen = np.where(windows[:, step], scan.floor[:, row], NEVER).argmin(axis=1).tolist()
    found: list[list[int]] = [[], [], []]
    every = np.arange(len(chosen))
    sides = scan.side[every, row, chosen]
    bounds = scan.bound[every, row, chosen].tolist()
    dips = scan.dip[every, row, sides, chosen].tolist()
    for u, (first, last) in enumerate(scan.spans):
        cell, n = chosen[u], last - first
        at = 1 + (row + int(sides[u])) * cells.NODES + cell
        a, b = scan.worth[first:last, at : at + 2].T.tolist()
        apart = sum(a) - sum(b)
        mark = scan.mark[first:last].tolist()
        move = [value - now for value, now in zip(a if apart <= 0 else b, mark, strict=True)]
        bent = [0] * n
        if dips[u]:
            differences = [x - y for x, y in zip(a, b, strict=True)]
            bent = _bent(dips[u], scan.gap[first:last, row, cell].tolist(), differences, apart)
        bound = scan.bounds[first:last, bounds[u], row, cell].tolist()
        changes = [*move, *(-x for x in bent), *(-x for x in bound)]
        if sum(changes) > 0:
            changes = stepped(changes, lambda x: x * offset_ppm // PPM)
        for k, part in enumerate(found):
            part.extend(-x for x in changes[k * n : (k + 1) * n])
    return list(zip(("scan", "gap in spot", "gap in volatility"), found, strict=True))


def _bent(dip: int, gaps: list[int], differences: list[int], apart: int) -> list[int]:
    """Euler shares of (G - D/4)²/G. With E = 4G - D a leg of g, d has the weight 2·(4g - d)·G - E·g;
    the weights sum to E·G > 0."""
    sign = 1 if apart >= 0 else -1
    gap = sum(gaps)
    excess = 4 * gap - abs(apart)
    return apportion(
        dip, [2 * (4 * g - sign * d) * gap - excess * g for g, d in zip(gaps, differences, strict=True)]
    )


def _tail(scan: _Scan, tail: int, offset_ppm: int) -> list[int]:
    found: list[int] = []
    for first, last in scan.spans:
        changes = (scan.worth[first:last, 1 + cells.GRID + tail] - scan.mark[first:last]).tolist()
        if sum(changes) > 0:
            changes = stepped(changes, lambda x: x * offset_ppm // PPM)
        found.extend(-x for x in changes)
    return found


def _short_minimum(tables: Tables, extra: np.ndarray, legs: np.ndarray, lots: np.ndarray) -> list[int]:
    """Nano by leg: at a strike that is net short its longs take off what they cover."""
    naked = (-lots * extra[:, cells.EXTRA_SHORT_MINIMUM]).tolist()
    groups = tables.leg_group[legs].tolist()
    totals: dict[int, int] = {}
    for group, part in zip(groups, naked, strict=True):
        totals[group] = totals.get(group, 0) + part
    return [part if group >= 0 and totals[group] > 0 else 0 for group, part in zip(groups, naked, strict=True)]


def _flat(
    tables: Tables, values: np.ndarray, extra: np.ndarray, legs: np.ndarray, lots: np.ndarray, scan: _Scan
) -> list[tuple[str, np.ndarray]]:
    """The add-ons that no factor scales, nano by leg."""
    mark = values[:, cells.MARK]
    size = np.abs(lots)
    up = lots * (values[:, cells.BASIS] - mark)
    down = lots * (values[:, cells.BASIS + 1] - mark)
    block = tables.leg_block[legs]
    new = _changes_of(block)
    starts, of = np.flatnonzero(new), np.cumsum(new) - 1
    ups, downs = np.add.reduceat(up, starts), np.add.reduceat(down, starts)
    basis = -np.where((ups <= downs)[of], up, down) * (np.minimum(ups, downs) < 0)[of]
    gross = size * extra[:, cells.EXTRA_NOTIONAL]
    crowd = np.zeros_like(gross)
    params = tables.underlying_params[scan.underlyings]
    whole = np.add.reduceat(gross, [first for first, _ in scan.spans])
    above = (whole - params[:, cells.PARAM_CONCENTRATION_FROM] * 1000).tolist()
    for u in range(len(above)):
        if above[u] > 0 and (charge := ceil_div(above[u] * int(params[u, cells.PARAM_CONCENTRATION_RATE]), PPM)):
            first, last = scan.spans[u]
            crowd[first:last] = apportion(charge, gross[first:last].tolist())
    haircut = size * np.where(lots > 0, extra[:, cells.EXTRA_LONG], extra[:, cells.EXTRA_SHORT])
    return [
        ("basis", basis),
        ("concentration", crowd),
        ("haircuts", haircut),
        ("rounding of rows", size * extra[:, cells.EXTRA_DUST]),
    ]
