"""Tails of many accounts on one board, as `tail.py` has them, by way of a screen.

Of each account the screen leaves some fifteen columns in five hundred, whose sums are then made from the full rows.
What it cannot tell (more positions than it was made for, columns that hardly differ, sizes at the limits) is left
over for the plain way, account by account.
"""

from typing import NamedTuple

import numpy as np

from seawall.kernels import screen, tail, worst
from seawall.kernels.compiled import entry, once
from seawall.kernels.tables import Tables

FROM = 16  # positions for each leg of the board: from there on a screen is worth making
BLOCK = 256  # accounts that are walked before their scenarios are looked at
LEFT = -2  # instead of the worst scenario: not evaluated


class Work(NamedTuple):
    """What evaluating an account writes to; S scenarios, W = screen.room(S), R = worst.room(S).

    walked: int64[BLOCK, WALKED]; losses, weights, above: int64[R]; coarse: int32[W]; multiples: int32[screen.MANY];
    picked: int64[W + screen.USUAL].
    """

    walked: np.ndarray
    losses: np.ndarray
    weights: np.ndarray
    above: np.ndarray
    coarse: np.ndarray
    multiples: np.ndarray
    picked: np.ndarray


def evaluate(
    tables: Tables,
    starts: np.ndarray,
    stops: np.ndarray,
    legs: np.ndarray,
    lots: np.ndarray,
    cash_nano: np.ndarray,
    out: np.ndarray,
) -> np.ndarray | None:
    """Sets out as `account.evaluate_accounts` does; returns the accounts (int64[]) that are left, None for all."""
    count, columns = tables.values.shape[0], tables.values.shape[1] - 1
    if not count or int((stops - starts).sum()) < FROM * count:
        return None
    wide = screen.room(columns)
    order, rows = np.zeros(columns, np.int64), np.zeros((count, columns), np.int64)
    small, shift = np.zeros((count, wide), np.int16), np.zeros(count, np.int64)
    if not screen.make(tables.values, order, rows, small, shift):
        return None
    weights_ppm = np.zeros(wide, np.int32)
    weights_ppm[:columns] = tables.scenario_params[0, order]
    work = Work(
        np.zeros((BLOCK, tail.WALKED), np.int64),
        *np.zeros((3, worst.room(columns)), np.int64),
        np.zeros(wide, np.int32),
        np.zeros(screen.MANY, np.int32),
        np.zeros(wide + screen.USUAL, np.int64),
    )
    marks = tables.values[:, 0].copy()
    screened = screen.Screen(order, marks, rows, small, shift, weights_ppm)
    _accounts(tables, screened, starts, stops, legs, lots, cash_nano, work, out)
    return np.flatnonzero(out[:, 3] == LEFT)


@entry
def _accounts(tables, screened, starts, stops, legs, lots, cash_nano, work, out):
    """Block by block: first of all of its accounts what is no scenario, since the small tables that this is made of
    stay in the near cache only while no long rows pass through."""
    scalars = tables.scalars
    reach = max(scalars[tail.SCALAR_TAIL_INITIAL], scalars[tail.SCALAR_TAIL_MAINTENANCE])
    for first in range(0, len(out), BLOCK):
        last = min(first + BLOCK, len(out))
        for a in range(first, last):
            tail.walk(tables, legs, lots, starts[a], stops[a], work.walked[a - first])
        for a in range(first, last):
            start, stop = starts[a], stops[a]
            if start == stop:
                tail.nothing(cash_nano[a], out[a])
                continue
            count = screen.pick(screened, legs, lots, start, stop, reach, work.multiples, work.coarse, work.picked)
            if count < 0:
                out[a, 3] = LEFT
                continue
            mark = _sum_picked(screened, legs, lots, start, stop, work.picked, count, work.losses)
            out[a, 3] = _weigh(screened, work.picked, count, work.losses, work.weights)
            tail.conclude(
                scalars, work.walked[a - first], cash_nano[a], mark, work.losses, work.weights, work.above, count,
                out[a],
            )  # fmt: skip


@once
def _sum_picked(screened, legs, lots, start, stop, picked, count, losses):
    """losses[k] = Σ lots · (mark − value in the column at place picked[k]); eight positions a pass, since a pass over
    the few columns costs about as much as what it adds up. Returns Σ lots · mark."""
    rows, mark = screened.rows, 0
    for p in range(start, stop):
        mark += lots[p] * screened.marks[legs[p]]
    for k in range(count):
        losses[k] = mark
    p = start
    while p + 8 <= stop:
        a, b, c, d = rows[legs[p]], rows[legs[p + 1]], rows[legs[p + 2]], rows[legs[p + 3]]
        e, f, g, h = rows[legs[p + 4]], rows[legs[p + 5]], rows[legs[p + 6]], rows[legs[p + 7]]
        q, r, s, t = lots[p], lots[p + 1], lots[p + 2], lots[p + 3]
        u, v, w, x = lots[p + 4], lots[p + 5], lots[p + 6], lots[p + 7]
        for k in range(count):
            at = picked[k]
            losses[k] -= (
                q * a[at] + r * b[at] + s * c[at] + t * d[at] + u * e[at] + v * f[at] + w * g[at] + x * h[at]
            )
        p += 8
    if p + 4 <= stop:
        a, b, c, d = rows[legs[p]], rows[legs[p + 1]], rows[legs[p + 2]], rows[legs[p + 3]]
        q, r, s, t = lots[p], lots[p + 1], lots[p + 2], lots[p + 3]
        for k in range(count):
            at = picked[k]
            losses[k] -= q * a[at] + r * b[at] + s * c[at] + t * d[at]
        p += 4
    while p < stop:
        a, q = rows[legs[p]], lots[p]
        for k in range(count):
            losses[k] -= q * a[picked[k]]
        p += 1
    return mark


@once
def _weigh(screened, picked, count, losses, weights):
    """Sets the weights of the picked columns; returns the first column of the very worst, -1 where none loses. Without
    a branch on losses, which are in no order."""
    greatest = 0
    for k in range(count):
        weights[k] = screened.weights_ppm[picked[k]]
        greatest = max(greatest, losses[k])
    index = -1
    if greatest > 0:
        index = len(screened.order)
        for k in range(count):
            index = min(index, screened.order[picked[k]] if losses[k] == greatest else index)
    return index
