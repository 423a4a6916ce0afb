"""The `portfolio` aggregation once more, in plain Python on whole numbers and fractions.

Written from docs/models.md, in the order in which it is read there: values, gaps, windows, tails, minimum,
add-ons, factors. It reads the same tables as the kernels, so the two may be compared to the last digit. With
`exact=False` nothing is rounded, and the rows may be floats.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

NODES, LEVELS, TAILS = 9, 3, 4
CELLS = (NODES - 1) * (LEVELS - 1)
MARK, BASIS_UP, BASIS_DOWN = 0, 32, 33
GAP_LONG, GAP_SHORT = 34, 34 + CELLS
NOTIONAL, CHARGE_LONG, CHARGE_SHORT, SHORT_MINIMUM, DUST = 0, 1, 2, 3, 4
STEPS = NODES - 1

Held = dict[int, int]


class Rounding:
    """Floor and ceil, or neither."""

    def __init__(self, exact: bool) -> None:
        self.floor: Callable[[Any], Any] = math.floor if exact else lambda x: x
        self.ceil: Callable[[Any], Any] = math.ceil if exact else lambda x: x
        self.unit = 1 if exact else 0
        self.share: Callable[[Any, int], Any] = (lambda x, ppm: Fraction(x * ppm, 10**6)) if exact else _float_share


def _float_share(amount: float, ppm: int) -> float:
    return amount * ppm / 1e6


def column(tables: Any, held: Held, c: int) -> Any:
    return sum(count * _number(tables.values[leg, c]) for leg, count in held.items())


def _number(value: Any) -> Any:
    return value.item()


def gap(tables: Any, held: Held, cell: int) -> Any:
    """Σ over strikes of |net lots| × the gap of their side: calls and puts of one strike net."""
    nets: dict[int, int] = defaultdict(int)
    row: dict[int, int] = {}
    for leg, count in sorted(held.items()):
        strike = int(tables.leg_group[leg])
        if strike >= 0:
            nets[strike] += count
            row[strike] = leg
    total = 0
    for strike, net in nets.items():
        side = GAP_LONG if net > 0 else GAP_SHORT
        total += abs(net) * _number(tables.values[row[strike], side + cell])
    return total


def cell_floor(tables: Any, held: Held, level: int, cell: int) -> Any:
    """Least value in a cell: the least of its corners less the gap."""
    corners = [1 + (level + up) * NODES + cell + right for up in (0, 1) for right in (0, 1)]
    return min(column(tables, held, c) for c in corners) - gap(tables, held, level * STEPS + cell)


def short_minimum(tables: Any, held: Held) -> Any:
    """Per strike, the shorts that no long of the same strike covers."""
    nets: dict[int, int] = defaultdict(int)
    row: dict[int, int] = {}
    for leg, count in sorted(held.items()):
        strike = int(tables.leg_group[leg])
        if strike >= 0:
            nets[strike] += count
            row[strike] = leg
    return sum(max(0, -net) * _number(tables.extra[row[strike], SHORT_MINIMUM]) for strike, net in nets.items())


def mark(tables: Any, held: Held, round_: Rounding) -> Any:
    """Value now; an option's is rounded down, so a short owes a nano more a lot."""
    owed = sum(-count for leg, count in held.items() if count < 0 and tables.leg_right[leg])
    return column(tables, held, MARK) - owed * round_.unit


def basis(tables: Any, held: Held) -> Any:
    """Per expiry, the worse of its forward moving up or down against the index."""
    blocks: dict[int, Held] = defaultdict(dict)
    for leg, count in held.items():
        blocks[int(tables.leg_block[leg])][leg] = count
    charge = 0
    for block in blocks.values():
        now = column(tables, block, MARK)
        charge += max(0, *(now - column(tables, block, c) for c in (BASIS_UP, BASIS_DOWN)))
    return charge


def add_ons(tables: Any, held: Held, params: Any, round_: Rounding) -> Any:
    """Basis, collateral haircuts and concentration of one underlying; a nano a lot for rounded rows."""
    charge = basis(tables, held)
    gross = 0
    for leg, count in held.items():
        extra = [_number(x) for x in tables.extra[leg]]
        charge += abs(count) * (extra[CHARGE_LONG if count > 0 else CHARGE_SHORT] + extra[DUST] * round_.unit)
        gross += abs(count) * extra[NOTIONAL]
    above = max(0, gross - int(params[2 * STEPS]) * 1000)
    return charge + round_.ceil(round_.share(above, int(params[2 * STEPS + 1])))


def scan(tables: Any, parts: dict[int, Held], offset_ppm: int, round_: Rounding) -> tuple[Any, int]:
    """(worst joint loss, its number): steps of the common factor × two halves of volatility, then tails."""
    now = {u: mark(tables, held, round_) for u, held in parts.items()}
    floors = {
        (u, level): [cell_floor(tables, held, level, cell) for cell in range(STEPS)]
        for u, held in parts.items()
        for level in (0, 1)
    }

    def joint(values: Iterable[tuple[int, Any]]) -> Any:
        moved = [value - now[u] for u, value in values]
        return sum(x if x < 0 else round_.floor(round_.share(x, offset_ppm)) for x in moved)

    losses: list[tuple[Any, int]] = [(0, -1)]
    for step in range(STEPS):
        for level in (0, 1):
            reached = []
            for u in parts:
                params = tables.underlying_params[u]
                first, last = int(params[step]), int(params[STEPS + step])
                reached.append((u, min(floors[u, level][first : last + 1])))
            losses.append((-joint(reached), 2 * step + level))
    for tail in range(TAILS):
        at = 1 + NODES * LEVELS + tail
        losses.append((-joint((u, column(tables, held, at)) for u, held in parts.items()), 2 * STEPS + tail))
    worst = max(loss for loss, _ in losses)
    return worst, next(number for loss, number in losses if loss == worst)


def portfolio(tables: Any, held: Held, cash_nano: Any, exact: bool = True) -> tuple[Any, Any, Any, int]:
    """equity, initial, maintenance in micro, and the number of the worst scenario."""
    round_ = Rounding(exact)
    parts: dict[int, Held] = defaultdict(dict)
    for leg, count in sorted(held.items()):
        parts[int(tables.leg_underlying[leg])][leg] = count
    initial_factor, maintenance_factor, offset = (int(x) for x in tables.scalars[:3])
    equity = cash_nano + sum(mark(tables, part, round_) for part in parts.values())
    loss, worst = scan(tables, dict(parts), offset, round_)
    loss = max(loss, sum(short_minimum(tables, part) for part in parts.values()))
    flat = sum(add_ons(tables, part, tables.underlying_params[u], round_) for u, part in parts.items())
    initial, maintenance = (
        round_.ceil(round_.share(loss, factor)) + flat for factor in (initial_factor, maintenance_factor)
    )

    def micro(nano: Any) -> Any:
        return Fraction(nano, 1000) if exact else nano / 1000

    return round_.floor(micro(equity)), round_.ceil(micro(initial)), round_.ceil(micro(maintenance)), worst
