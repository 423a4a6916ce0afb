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
SPOT_GAP, VEGA_GAP, VEGA_MOVE = 34, 34 + CELLS, 34 + 2 * CELLS
NOTIONAL, CHARGE_LONG, CHARGE_SHORT, SHORT_MINIMUM, DUST = 0, 1, 2, 3, 4
CURVE = slice(6, 9)  # volatility, forward over index, lot
STEPS = NODES - 1
GAP_EXACT = 2**50

Held = dict[int, int]


class Rounding:
    """Floor and ceil, or neither."""

    def __init__(self, exact: bool) -> None:
        self.floor: Callable[[Any], Any] = math.floor if exact else lambda x: x
        self.ceil: Callable[[Any], Any] = math.ceil if exact else lambda x: x
        self.unit = 1 if exact else 0
        self.ratio: Callable[[Any, Any], Any] = Fraction if exact else (lambda x, y: x / y)

    def share(self, amount: Any, ppm: int) -> Any:
        """amount · ppm / 10⁶"""
        return self.ratio(amount * ppm, 10**6)


def column(tables: Any, held: Held, c: int) -> Any:
    return sum(count * _number(tables.values[leg, c]) for leg, count in held.items())


def _number(value: Any) -> Any:
    return value.item()


def curves(tables: Any, held: Held) -> list[tuple[int, int]]:
    """(a leg, net lots) of every price curve held: a strike's legs of one volatility, forward and lot net."""
    nets: dict[tuple[int, ...], int] = defaultdict(int)
    row: dict[tuple[int, ...], int] = {}
    for leg, count in held.items():
        strike = int(tables.leg_group[leg])
        if strike >= 0:
            curve = (strike, *(_number(x) for x in tables.extra[leg, CURVE]))
            nets[curve] += count
            row[curve] = leg
    return [(row[curve], net) for curve, net in nets.items()]


def spot_gap(tables: Any, held: Held, cell: int) -> Any:
    """Of the curves that are held long: a short one lies above its chord."""
    return sum(net * _number(tables.values[leg, SPOT_GAP + cell]) for leg, net in curves(tables, held) if net > 0)


def vega_gap(tables: Any, held: Held, cell: int) -> Any:
    """The least of what all may stray by, what the longs and what the shorts may move by."""
    both = [(_number(tables.values[leg, VEGA_GAP + cell]), net) for leg, net in curves(tables, held)]
    moves = [(_number(tables.values[leg, VEGA_MOVE + cell]), net) for leg, net in curves(tables, held)]
    return min(
        sum(abs(net) * each for each, net in both),
        sum(max(0, net) * each for each, net in moves),
        sum(max(0, -net) * each for each, net in moves),
    )


def dip(gap: Any, difference: Any, round_: Rounding) -> Any:
    """How far (1 − x)·A + x·B − 4·x·(1 − x)·gap gets below the smaller of A and B, |A − B| = difference."""
    excess = gap - round_.floor(round_.ratio(difference, 4))
    if excess <= 0:
        return 0
    if round_.unit and gap >= GAP_EXACT:
        return -(-excess * (excess // 4096 + 1) // (gap // 4096))
    return round_.ceil(round_.ratio(excess * excess, gap))


def cell_floor(tables: Any, held: Held, level: int, cell: int, round_: Rounding) -> Any:
    """Least value in a cell: on its two levels of volatility the least between the nodes, less the vega gap."""
    at = level * STEPS + cell
    gap = spot_gap(tables, held, at)
    least = []
    for low in (1 + level * NODES + cell, 1 + (level + 1) * NODES + cell):
        a, b = column(tables, held, low), column(tables, held, low + 1)
        least.append(min(a, b) - dip(gap, abs(a - b), round_))
    return min(least) - vega_gap(tables, held, at)


def short_minimum(tables: Any, held: Held) -> Any:
    """Per strike, what the shorts pay that no long of the same strike covers."""
    naked: dict[int, Any] = defaultdict(int)
    for leg, count in held.items():
        if tables.leg_group[leg] >= 0:
            naked[int(tables.leg_group[leg])] -= count * _number(tables.extra[leg, SHORT_MINIMUM])
    return sum(max(0, each) for each in naked.values())


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
        (u, level): [cell_floor(tables, held, level, cell, round_) for cell in range(STEPS)]
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
