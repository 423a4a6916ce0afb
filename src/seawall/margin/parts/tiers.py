"""Splits a tiered requirement: every position pays its own, so there is nothing to share out.

The arithmetic is that of `kernels/tiers.py`, on Python integers.
"""

from __future__ import annotations

import numpy as np

from seawall.kernels import tiers
from seawall.kernels.tables import Tables
from seawall.margin.parts.rounding import ceil_div, stepped
from seawall.margin.parts.shares import Parts, columns_of

__all__ = ["split"]

PPM = 1_000_000


def split(tables: Tables, legs: np.ndarray, lots: np.ndarray, cash_nano: int) -> Parts:
    """Position margin, haircuts, and the value that long options are not credited with."""
    truncate = bool(tables.scalars[tiers.SCALAR_TRUNCATE])
    quantities = lots.tolist()
    extra = tables.extra[legs].tolist()
    marks = tables.values[legs, 0].tolist()
    options = (tables.leg_right[legs] != 0).tolist()
    worth = [
        quantity * mark + (quantity if quantity < 0 and option else 0)
        for quantity, mark, option in zip(quantities, marks, options, strict=True)
    ]
    if truncate:
        cash = cash_nano // 1000
        equity = [value // 1000 if value >= 0 else -(-value // 1000) for value in worth]
    else:
        cash, *equity = stepped([cash_nano, *worth], lambda nano: nano // 1000)
    initial, maintenance, haircut, uncredited = [], [], [], []
    for quantity, row in zip(quantities, extra, strict=True):
        size = 0 if quantity > 0 and row[tiers.EXTRA_SHORT_ONLY] else abs(quantity)
        ours = _position(tables, row, size, truncate)
        initial.append(ours[0])
        maintenance.append(ours[1])
        rate = row[tiers.EXTRA_LONG] if quantity > 0 else row[tiers.EXTRA_SHORT]
        charge = ceil_div(abs(quantity) * rate, 1000)
        haircut.append(0 if row[tiers.EXTRA_SHORT_ONLY] else charge)
        uncredited.append(charge if row[tiers.EXTRA_SHORT_ONLY] else 0)
    columns = [
        ("position margin", initial, maintenance),
        ("haircuts", haircut, haircut),
        ("options not credited", uncredited, uncredited),
    ]
    return Parts(cash, equity, columns_of(columns), [], "")


def _position(tables: Tables, row: list[int], size: int, truncate: bool) -> tuple[int, int]:
    """(initial, maintenance) of a position's notional, micro."""
    nano = size * row[tiers.EXTRA_NOTIONAL]
    notional = nano // 1000 if truncate else ceil_div(nano, 1000)
    first = int(tables.scalars[tiers.SCALAR_FIRST_ROW + row[tiers.EXTRA_SET]])
    last = int(tables.scalars[tiers.SCALAR_FIRST_ROW + row[tiers.EXTRA_SET] + 1])
    at = first
    while at + 1 < last and tables.scenario_params[at + 1, tiers.TIER_FROM] <= notional:
        at += 1
    tier = tables.scenario_params[at].tolist()
    initial = max(
        ceil_div(notional * tier[tiers.TIER_INITIAL], PPM) - tier[tiers.TIER_INITIAL_DEDUCTION],
        ceil_div(notional * row[tiers.EXTRA_INITIAL_RATE], PPM),
    )
    maintenance = ceil_div(notional * tier[tiers.TIER_MAINTENANCE], PPM) - tier[tiers.TIER_MAINTENANCE_DEDUCTION]
    if tier[tiers.TIER_SHARE]:
        maintenance = ceil_div(maintenance * tier[tiers.TIER_SHARE], PPM)
    return initial, maintenance
