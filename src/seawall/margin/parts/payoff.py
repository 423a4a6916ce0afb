"""Splits the requirement of `kernels/payoff.py`: per expiry the milder of two rules, leg by leg.

A requirement is equity less what the rule counts, each rounded down; the running total is taken through
that very difference. Which rule counts, and at which price the pay-off is worst, is the kernel's choice:
the isolated rule on a tie, of equal prices the first of zero and the strikes in order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from seawall.kernels import payoff
from seawall.kernels.tables import Tables
from seawall.kernels.wide import PLACES
from seawall.margin.parts.rounding import stepped
from seawall.margin.parts.shares import Parts, ScenarioLoss, columns_of

__all__ = ["split"]

NAMES = ("options' marks", "isolated shorts", "worst pay-off", "unpaired calls", "charges")
MARKS, ISOLATED, PAYOFF, UNPAIRED, CHARGES = range(5)


class _Leg(NamedTuple):
    quantity: int
    right: int
    mark: int  # nano, with what a short option owes
    extra: list[int]

    def units(self, amount: int) -> int:
        """⌊lots · amount · units⌋, units rounded against the holder."""
        places = self.extra[payoff.EXTRA_UNITS_DOWN if self.quantity > 0 else payoff.EXTRA_UNITS_UP]
        return (self.quantity * amount * places) >> PLACES

    def payoff_at(self, price: int) -> int:
        """What the leg pays at a price at expiry, nano, rounded down by a nano a lot."""
        inside = (price - self.extra[payoff.EXTRA_STRIKE]) * self.right
        return (self.units(inside) if inside > 0 else 0) - abs(self.quantity)


def split(tables: Tables, legs: np.ndarray, lots: np.ndarray, cash_nano: int) -> Parts:
    """Charges of perpetuals and spot; options' marks, and the rule of each expiry."""
    marks, rights = tables.values[legs, 0].tolist(), tables.leg_right[legs].tolist()
    held = [
        _Leg(q, right, q * mark + min(q, 0), extra)
        for q, right, mark, extra in zip(lots.tolist(), rights, marks, tables.extra[legs].tolist(), strict=True)
    ]
    worth = [leg.mark for leg in held]
    cash, *equity = stepped([cash_nano, *worth], lambda nano: nano // 1000)
    n = len(held)
    parts = [[[0] * n for _ in NAMES] for _ in range(2)]
    blocks: dict[int, list[int]] = {}
    for k, (leg, block) in enumerate(zip(held, tables.leg_block[legs].tolist(), strict=True)):
        if leg.right:
            blocks.setdefault(block, []).append(k)
            continue
        for context in range(2):
            rate = leg.extra[(0 if leg.quantity > 0 else 2) + context]
            parts[context][CHARGES][k] = abs(leg.quantity) * rate
    scenarios: list[ScenarioLoss] = []
    rules = set()
    for block, mine in blocks.items():
        options = [held[k] for k in mine]
        prices = [0, *dict.fromkeys(leg.extra[payoff.EXTRA_STRIKE] for leg in options)]
        totals = [sum(leg.payoff_at(price) for leg in options) for price in prices]
        worst = min(totals)
        price = prices[totals.index(worst)]
        underlying = int(tables.leg_underlying[legs[mine[0]]])
        scenarios.append(ScenarioLoss(underlying, block, [-total for total in totals], prices))
        paid = [leg.payoff_at(price) if worst < 0 else 0 for leg in options]
        for context in range(2):
            per_unit = int(tables.block_params[block, context])
            rules.add(_block(parts[context], context, mine, options, paid, per_unit))
    total = cash_nano + sum(worth)

    def difference(required: int) -> int:
        return total // 1000 - (total - required) // 1000

    sides = [stepped([x for column in side for x in column], difference) for side in parts]
    columns = [
        (name, sides[0][k * n : (k + 1) * n], sides[1][k * n : (k + 1) * n]) for k, name in enumerate(NAMES)
    ]
    return Parts(cash, equity, columns_of(columns), scenarios, " and ".join(sorted(rules)))


def _block(
    parts: list[list[int]], context: int, mine: list[int], options: list[_Leg], paid: list[int], per_unit: int
) -> str:
    """Fills in one expiry's parts in one context (0 initial, 1 maintenance); returns the rule that counts."""
    isolated = [
        leg.quantity * leg.extra[payoff.EXTRA_ISOLATED_INITIAL + context] if leg.quantity < 0 else 0 for leg in options
    ]
    unpaired = [leg.units(per_unit) if leg.right > 0 else 0 for leg in options]
    if sum(unpaired) >= 0:
        unpaired = [0] * len(options)
    alone = sum(isolated) >= sum(paid) + sum(unpaired)
    for i, (k, leg) in enumerate(zip(mine, options, strict=True)):
        parts[MARKS][k] = leg.mark
        if alone:
            parts[ISOLATED][k] = -isolated[i]
        else:
            parts[PAYOFF][k], parts[UNPAIRED][k] = -paid[i], -unpaired[i]
        if leg.quantity < 0:
            parts[CHARGES][k] = -leg.quantity * leg.extra[payoff.EXTRA_SHORT_INITIAL + context]
    return "isolated shorts" if alone else "worst pay-off"
