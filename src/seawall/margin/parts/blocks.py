"""Splits the requirement of `kernels/blocks.py`: the worst scenario of each underlying, block by block.

The scenario is the kernel's choice. Inside it a block's change is linear in lots but for the roundings of
its discount and its damping, which are taken on running totals. Which slope discounts a block, which damping
applies and which way a two-way change counts is decided by the block as a whole, as the kernel does.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from seawall.kernels import blocks
from seawall.kernels.tables import Tables
from seawall.kernels.wide import PLACES
from seawall.margin.parts.rounding import ceil_div, stepped
from seawall.margin.parts.shares import Parts, ScenarioLoss, columns_of, nothing

__all__ = ["split"]


def split(tables: Tables, legs: np.ndarray, lots: np.ndarray, cash_nano: int) -> Parts:
    """Scenario (or basis contingency) and its rounding allowance, charges, naked shorts."""
    if len(legs) == 0:
        return nothing(cash_nano)
    values = tables.values[legs].astype(object)
    quantities = lots.tolist()
    groups, of_block = tables.leg_group[legs].tolist(), tables.leg_block[legs].tolist()
    of_underlying = tables.leg_underlying[legs].tolist()
    options = [group >= 0 for group in groups]
    worth = values * np.array(quantities, object)[:, None]
    owed = [q if q < 0 else 0 for q in quantities]
    cash, *equity = stepped([cash_nano, *(worth[:, 0] + owed).tolist()], lambda nano: nano // 1000)
    columns: list[list[int]] = [[0] * len(legs) for _ in range(2)]
    scenarios: list[ScenarioLoss] = []
    for underlying in dict.fromkeys(of_underlying):
        mine = [k for k, other in enumerate(of_underlying) if other == underlying]
        changes = _changes(tables, worth, quantities, of_block, mine)
        figures = [sum(move) + sum(slack) for move, slack in changes]
        # the kernel's order of preference: the first scenario, then the contingency
        worst = min(range(len(figures)), key=lambda s: (figures[s], s))
        for k, move, slack in zip(mine, *changes[worst], strict=True):
            columns[0][k], columns[1][k] = -move, -slack
        scenarios.append(ScenarioLoss(underlying, -1, [-figure for figure in figures]))
    naked = _naked(tables, legs, quantities, groups, options)
    extra = tables.extra[legs].tolist()
    charge = [abs(q) * row[blocks.EXTRA_CHARGE] for q, row in zip(quantities, extra, strict=True)]
    initial_only = [abs(q) * row[blocks.EXTRA_INITIAL] for q, row in zip(quantities, extra, strict=True)]
    table = _scaled(tables.scalars.tolist(), columns, charge, naked, initial_only)
    sides = [
        stepped([x for part in parts for x in part], lambda nano: ceil_div(nano, 1000))
        for parts in ([row[1] for row in table], [row[2] for row in table])
    ]
    n = len(legs)
    split_columns = [
        (row[0], sides[0][k * n : (k + 1) * n], sides[1][k * n : (k + 1) * n]) for k, row in enumerate(table)
    ]
    return Parts(cash, equity, columns_of(split_columns), scenarios, "scenario" if any(columns[0]) else "")


def _down(factor: int) -> Callable[[int], int]:
    return lambda amount: (amount * factor) >> PLACES


def _up(factor: int) -> Callable[[int], int]:
    return lambda amount: -((-amount * factor) >> PLACES)


Change = tuple[list[int], list[int]]


def _changes(
    tables: Tables, worth: np.ndarray, quantities: list[int], of_block: list[int], mine: list[int]
) -> list[Change]:
    """(change, allowance) in nano by leg in every scenario of one underlying; the contingency comes last."""
    rows = tables.scenario_params.tolist()
    held: list[tuple[list[list[int]], list[int], list[int]]] = []
    for block in dict.fromkeys(of_block[k] for k in mine):
        at = [k for k in mine if of_block[k] == block]
        params = tables.block_params[block].tolist()
        slack = [abs(quantities[k]) * params[blocks.BLOCK_SLACK] for k in at]
        held.append((worth[at].T.tolist(), params, slack))
    out: list[Change] = []
    for s, scenario in enumerate(rows):
        moves: list[int] = []
        slacks: list[int] = []
        for columns, params, slack in held:
            value = columns[1 + s]
            slope = params[blocks.BLOCK_GAIN if sum(value) >= 0 else blocks.BLOCK_DEBT]
            change = [v - m for v, m in zip(stepped(value, _down(slope)), columns[0], strict=True)]
            if scenario[blocks.SCENARIO_BOTH_WAYS] and sum(change) > 0:
                change = [-x for x in change]
            loses = sum(change) - sum(slack) < 0
            damping = _down(scenario[blocks.SCENARIO_LOSS if loses else blocks.SCENARIO_GAIN])
            steps = stepped([*change, *(-x for x in slack)], damping)
            moves += steps[: len(slack)]
            slacks += steps[len(slack) :]
        out.append((moves, slacks))
    moves, slacks = [], []
    for columns, params, slack in held:
        up, down = columns[1 + len(rows)], columns[2 + len(rows)]
        side = up if sum(up) <= sum(down) else down
        change = [v - m for v, m in zip(side, columns[0], strict=True)]
        if sum(change) >= 0:
            change = [0] * len(slack)
        steps = stepped([*change, *(-x for x in slack)], _down(params[blocks.BLOCK_FACTOR]))
        moves += steps[: len(slack)]
        slacks += steps[len(slack) :]
    return [*out, (moves, slacks)]


def _naked(
    tables: Tables, legs: np.ndarray, quantities: list[int], groups: list[int], options: list[bool]
) -> list[int]:
    """Notional in nano by leg, where its strike is net short; longs take off what they cover."""
    rates = tables.extra[legs, blocks.EXTRA_NAKED].tolist()
    parts = [-q * rate - min(q, 0) if option else 0 for q, rate, option in zip(quantities, rates, options, strict=True)]
    totals: dict[int, int] = {}
    for group, part in zip(groups, parts, strict=True):
        totals[group] = totals.get(group, 0) + part
    return [part if totals[group] > 0 else 0 for group, part in zip(groups, parts, strict=True)]


def _scaled(
    scalars: list[int], columns: list[list[int]], charge: list[int], naked: list[int], initial_only: list[int]
) -> list[tuple[str, list[int], list[int]]]:
    """(component, initial, maintenance) in nano by leg: each of the kernel's products, rounded up once, is taken
    on the running total of what it multiplies."""
    n = len(charge)
    losses = [*columns[0], *columns[1]]
    loss_initial = stepped(losses, _up(scalars[blocks.SCALAR_INITIAL]))
    loss_maintenance = stepped(losses, _up(scalars[blocks.SCALAR_MAINTENANCE]))
    naked_both = stepped(naked, _up(scalars[blocks.SCALAR_NAKED]))
    charges = stepped([*charge, *naked_both], _up(scalars[blocks.SCALAR_CHARGES_INITIAL]))
    naked_more = stepped(naked, _up(scalars[blocks.SCALAR_NAKED_INITIAL]))
    naked_initial = [a + b for a, b in zip(charges[n:], naked_more, strict=True)]
    return [
        ("scenario", loss_initial[:n], loss_maintenance[:n]),
        ("charges", charges[:n], charge),
        ("initial charges", initial_only, [0] * n),
        ("naked shorts", naked_initial, naked_both),
        ("rounding of rows", loss_initial[n:], loss_maintenance[n:]),
    ]
