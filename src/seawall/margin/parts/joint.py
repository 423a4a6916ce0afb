"""Shared by the splits of models that margin an account as a whole: exact arithmetic, and what the models have alike."""

from __future__ import annotations

from math import isqrt

import numpy as np

from seawall.kernels.tables import Tables
from seawall.margin.parts.rounding import ceil_div

__all__ = ["MINIMUM", "NOTHING", "PPM", "ceil_ppm", "decided", "naked_nano", "owed_nano", "root_up"]

PPM = 1_000_000
NOTHING, MINIMUM = "nothing to lose", "short-option minimum"  # what may decide instead of a model's measure


def ceil_ppm(amount: int, rate_ppm: int) -> int:
    """⌈amount · rate⌉."""
    return ceil_div(amount * rate_ppm, PPM)


def root_up(square: int) -> int:
    """⌈√square⌉ of a whole number, 0 below it."""
    return isqrt(square - 1) + 1 if square > 0 else 0


def owed_nano(tables: Tables, legs: np.ndarray, lots: np.ndarray) -> list[int]:
    """Marks by leg, with the nano a lot that a short option owes more."""
    option = tables.leg_right[legs] != 0
    found: list[int] = (lots * tables.values[legs, 0] + np.where(option, np.minimum(lots, 0), 0)).tolist()
    return found


def naked_nano(tables: Tables, legs: np.ndarray, lots: np.ndarray, column: int) -> list[int]:
    """Notional by leg of strikes that are net short: there its longs take off what they cover.

    column: of `extra`, an option's notional per lot, 0 for other legs.
    """
    naked = (-lots * tables.extra[legs, column]).tolist()
    groups = tables.leg_group[legs].tolist()
    totals: dict[int, int] = {}
    for group, part in zip(groups, naked, strict=True):
        totals[group] = totals.get(group, 0) + part
    return [part if group >= 0 and totals[group] > 0 else 0 for group, part in zip(groups, naked, strict=True)]


def decided(rules: list[str]) -> str:
    """Words for what set the requirement, of [initial, maintenance]."""
    initial, maintenance = rules
    return initial if initial == maintenance else f"{initial} (initial), {maintenance} (maintenance)"
