"""What a split account is, and which file splits which kind of tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from seawall.kernels.tables import BLOCKS, CELLS, PAYOFF, QUADRATIC, TAIL, TIERS, Tables

__all__ = ["Columns", "Parts", "ScenarioLoss", "columns_of", "nothing", "parts_of"]


class ScenarioLoss(NamedTuple):
    """Losses in nano before factors (negative: gains) of an underlying's scenarios (-1: all move jointly).

    losses: by the kernel's number; where `block` is not -1, by the prices at its expiry (nano).
    """

    underlying: int
    block: int
    losses: list[int]
    prices: Sequence[int] = ()


class Columns(NamedTuple):
    """C components of n legs in micro. names: C; initial, maintenance: int64[C, n]."""

    names: list[str]
    initial: np.ndarray
    maintenance: np.ndarray


class Parts(NamedTuple):
    """One account of n legs. Amounts in micro.

    cash, equity: of cash, and of each leg (n). columns: the components, without those that are 0 for every
    leg. scenarios: by underlying or expiry. decided_by: which of the competing rules set the requirement,
    empty where there is one rule only.
    """

    cash: int
    equity: Sequence[int] | np.ndarray
    columns: Columns
    scenarios: list[ScenarioLoss]
    decided_by: str


def columns_of(rows: Sequence[tuple[str, list[int], list[int]]]) -> Columns:
    """Columns of (name, initial by leg, maintenance by leg)."""
    shape = (len(rows), len(rows[0][1]) if rows else 0)
    initial, maintenance = (np.array([row[k] for row in rows], np.int64).reshape(shape) for k in (1, 2))
    return Columns([row[0] for row in rows], initial, maintenance)


def nothing(cash_nano: int) -> Parts:
    """The parts of an account without positions."""
    return Parts(cash_nano // 1000, [], columns_of([]), [], "")


def parts_of(kind: int, tables: Tables, legs: np.ndarray, lots: np.ndarray, cash_nano: int) -> Parts:
    """The parts of one account. legs: int32[n], rising; lots: int64[n]."""
    from seawall.margin.parts import blocks, cells, greeks, payoff, tails, tiers

    files = {TIERS: tiers, CELLS: cells, BLOCKS: blocks, PAYOFF: payoff, TAIL: tails, QUADRATIC: greeks}
    split: Any = files[kind].split
    found: Parts = split(tables, legs, lots, cash_nano)
    names, initial, maintenance = found.columns
    kept = (initial | maintenance).any(axis=1)
    left = [name for name, keep in zip(names, kept.tolist(), strict=True) if keep]
    return found._replace(columns=Columns(left, initial[kept], maintenance[kept]))
