"""Splits the requirement of `kernels/cells.py`: the worst scenario's cell, point by point, leg by leg.

The scan is a minimum over steps, levels, cells, corners and bounds. At a kink the kernel's own choice
(the first of equals) stands; inside the chosen one everything is linear in lots but the dip,
(G - D/4)²/G, which is smooth and homogeneous of degree one: its Euler shares sum to it. Together
a leg's part is what it loses at the worst point of the cell. `kernels/cell_shares.py` does all but the shares
that need integers wider than 64 bits.
"""

from __future__ import annotations

import numpy as np

from seawall.kernels import cell_shares, cells
from seawall.kernels.cell_shares import (
    APART,
    BASIS,
    BOUND,
    CASH,
    CHARGE,
    CONCENTRATION,
    COUNT,
    DIP,
    DIPS,
    DUST,
    EQUITY,
    FIRST,
    HAIRCUT,
    LAST,
    LEAST,
    LOSS,
    MINIMUM,
    SCALED,
    SCAN,
    TAIL,
    WORST,
)
from seawall.kernels.tables import Tables
from seawall.margin.parts.rounding import apportion, ceil_div, stepped
from seawall.margin.parts.shares import Columns, Parts, ScenarioLoss, nothing

__all__ = ["split"]

PPM = 1_000_000
EXACT_MAX = 2.0**62  # above, running totals are taken on Python integers
TAIL_FIRST = 2 * cells.STEPS
RANGE = {"scan": SCAN, "gap in spot": DIP, "gap in volatility": BOUND}
FLAT = {"basis": BASIS, "concentration": CONCENTRATION, "haircuts": HAIRCUT, "rounding of rows": DUST}


def split(tables: Tables, legs: np.ndarray, lots: np.ndarray, cash_nano: int) -> Parts:
    """Scan or tail, gaps, short-option minimum, basis, concentration, haircuts, rounding of rows."""
    if len(legs) == 0:
        return nothing(cash_nano)
    head = np.zeros(cell_shares.HEAD, np.int64)
    held = np.zeros((min(len(legs), len(tables.underlying_params)), cell_shares.HELD), np.int64)
    losses = np.zeros(cell_shares.SCENARIOS, np.int64)
    by_leg = np.zeros((cell_shares.ROWS, len(legs)), np.int64)
    cell_shares.take_apart(
        tables.values, tables.extra, tables.leg_block, tables.leg_group, tables.leg_underlying,
        tables.underlying_params, tables.scalars, legs, lots, cash_nano, head, held, losses, by_leg,
    )  # fmt: skip
    counts = head.tolist()
    decided_by = "nothing to lose"
    risk: dict[str, int] = {}
    if counts[LEAST] > counts[LOSS]:
        risk, decided_by = {"short-option minimum": MINIMUM}, "short-option minimum"
    elif counts[WORST] >= TAIL_FIRST:
        risk, decided_by = {"tail": TAIL}, "tail"
    elif counts[WORST] >= 0:
        risk, decided_by = RANGE, "scan"
    factors = tables.scalars[[cells.SCALAR_INITIAL_FACTOR, cells.SCALAR_MAINTENANCE_FACTOR]]
    for mine in held[: counts[COUNT], : cell_shares.SUMS].tolist():
        span = slice(mine[FIRST], mine[LAST])
        if mine[DIPS] and risk is RANGE:
            _share_dip(by_leg[:, span], mine[DIPS], bool(mine[SCALED]), int(tables.scalars[cells.SCALAR_OFFSET]))
        if mine[CHARGE]:
            by_leg[CONCENTRATION, span] = apportion(mine[CHARGE], by_leg[CONCENTRATION, span].tolist())
    columns = _rounded(list({**risk, **FLAT}), len(risk), by_leg[[*risk.values(), *FLAT.values()]], factors)
    return Parts(
        counts[CASH], by_leg[EQUITY], columns, [ScenarioLoss(-1, -1, losses.tolist())], decided_by
    )


def _share_dip(by_leg: np.ndarray, dip: int, scaled: bool, offset_ppm: int) -> None:
    """Euler shares of (G - D/4)²/G in one underlying's DIP. With E = 4G - D a leg of g, d has the weight
    2·(4g - d)·G - E·g; the weights sum to E·G > 0. Gains are scaled with them, on the running total."""
    gaps, differences = by_leg[DIP].tolist(), by_leg[APART].tolist()
    apart, gap = sum(differences), sum(gaps)
    sign = 1 if apart >= 0 else -1
    excess = 4 * gap - abs(apart)
    shares = apportion(
        dip, [2 * (4 * g - sign * d) * gap - excess * g for g, d in zip(gaps, differences, strict=True)]
    )
    by_leg[DIP] = shares
    if scaled:
        rows = list(RANGE.values())
        changes = (-by_leg[rows]).ravel().tolist()
        by_leg[rows] = -np.array(stepped(changes, lambda x: x * offset_ppm // PPM)).reshape(len(rows), -1)


def _rounded(names: list[str], scaled: int, parts: np.ndarray, factors: np.ndarray) -> Columns:
    """Both requirements in micro: the factor of the first `scaled` columns and the last rounding in one step of the
    running total, which is the kernel's, since ⌈(⌈x⌉ + k)/1000⌉ = ⌈(x + k)/1000⌉ for whole k."""
    each = np.full((2, len(names)), PPM)
    each[:, :scaled] = factors[:, None]
    out = np.zeros((2, *parts.shape), np.int64)
    if float(np.abs(parts.astype(np.float64)).sum()) * float(each.max()) / PPM < EXACT_MAX:
        cell_shares.round_up(parts, each, out)
    else:
        for side, of_column in zip(out, each.tolist(), strict=True):
            wide = [int(x) * factor for row, factor in zip(parts, of_column, strict=True) for x in row]
            side[:] = np.array(stepped(wide, lambda x: ceil_div(x, 1000 * PPM)), np.int64).reshape(parts.shape)
    return Columns(names, out[0], out[1])
