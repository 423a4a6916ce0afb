"""What a split account is, and which file splits which kind of tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from seawall.kernels.tables import BLOCKS, CELLS, PAYOFF, TIERS, Tables

__all__ = ["Parts", "ScenarioLoss", "parts_of"]

Amounts = list[int] | np.ndarray
Column = tuple[str, Amounts, Amounts]


class ScenarioLoss(NamedTuple):
    """One scenario: of which underlying (-1: all jointly), the kernel's number or a price at expiry in nano
    (where `block` is not -1), and the loss in nano before factors (negative: a gain)."""

    underlying: int
    number: int
    loss_nano: int
    block: int = -1


class Parts(NamedTuple):
    """One account of n legs. Amounts in micro.

    cash, equity: of cash, and of each leg (n). columns: (component, initial per leg, maintenance per leg);
    components that are 0 for every leg are left out. scenarios: worst first. decided_by: which of the
    competing rules set the requirement, empty where there is one rule only.
    """

    cash: int
    equity: list[int]
    columns: Sequence[Column]
    scenarios: list[ScenarioLoss]
    decided_by: str


def parts_of(kind: int, tables: Tables, legs: np.ndarray, lots: np.ndarray, cash_nano: int) -> Parts:
    """The parts of one account. legs: int32[n], rising; lots: int64[n]."""
    from seawall.margin.parts import blocks, cells, payoff, tiers

    split: Any = {TIERS: tiers.split, CELLS: cells.split, BLOCKS: blocks.split, PAYOFF: payoff.split}[kind]
    found: Parts = split(tables, legs, lots, cash_nano)
    kept = [column for column in found.columns if any(column[1]) or any(column[2])]
    return found._replace(columns=kept)
