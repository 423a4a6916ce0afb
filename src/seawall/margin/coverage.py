"""Which moves a margin covers: every account's loss in each of many moves against what it must hold.

Losses do not depend on the model, so they are made once, in chunks that stay in the cache, and compared with
the margin of each model there. Moves are the columns of a tail model's tables: options are revalued in full.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from seawall.core.errors import InputError
from seawall.core.units import INT64_MAX, PPM
from seawall.margin.tail import ExpectedShortfallModel

__all__ = ["Covered", "coverage", "gross_notional", "remembered"]

Array = np.ndarray[Any, Any]
_CHUNK = 1 << 17  # position × move products at a time: a megabyte
_LOW = (1 << 32) - 1


@dataclass(frozen=True, eq=False)
class Covered:
    """initial_ppm, maintenance_ppm: int64[A], weight of the moves in which an account loses no more than its margin.
    worst_uncovered_micro: over the moves, the most that accounts together lose beyond their initial margin, rounded up.
    """

    initial_ppm: Array
    maintenance_ppm: Array
    worst_uncovered_micro: int


class _Counts:
    """What is being counted for one model."""

    def __init__(self, result: Any, moves: int) -> None:
        # a margin beyond the greatest loss covers it as well as itself does
        largest = INT64_MAX // 1000
        self.limits = [
            np.minimum(each, largest) * 1000 for each in (result.initial_margin_micro, result.maintenance_margin_micro)
        ]
        self.covered = [np.full(len(result), PPM, np.int64) for _ in range(2)]
        self.high, self.low = np.zeros((2, moves), np.int64)

    def take(self, rows: Array, losses: Array, worst: Array, weights: Array) -> None:
        """Counts a chunk: losses int64[n, S] nano of accounts `rows`, and the worst of each, int64[n]."""
        for context, limits in enumerate(self.limits):
            some = np.flatnonzero(worst > limits[rows])  # the others are covered in every move
            limit = limits[rows[some]]
            chosen = losses[some]
            beyond = chosen > limit[:, None]
            self.covered[context][rows[some]] = PPM - beyond @ weights
            if context == 0:
                account, move = np.nonzero(beyond)
                excess = chosen[account, move] - limit[account]
                np.add.at(self.high, move, excess >> 32)
                np.add.at(self.low, move, excess & _LOW)

    def done(self) -> Covered:
        """The sums over accounts are Python ints: these may leave int64."""
        sums = [(high << 32) + low for high, low in zip(self.high.tolist(), self.low.tolist(), strict=True)]
        return Covered(self.covered[0], self.covered[1], -(-max(sums, default=0) // 1000))


def coverage(accounts: Any, values: Array, weights: Array, results: Sequence[Any]) -> list[Covered]:
    """One Covered for each result (`evaluate`) of the same accounts.

    values: int64[L, 1 + S] nano, the mark and the value in each move of one lot of each leg; weights: int64[S] ppm,
    their sum a million. An account's loss in a move is Σ lots·(mark − value) + Σ |lots| nano, the last for what
    rounding values down can hide. The caller has checked that such sums fit int64 (`check_exposure`).
    """
    counts = [_Counts(result, len(weights)) for result in results]
    for rows, losses in _losses(accounts, values):
        worst = losses.max(axis=1)
        for each in counts:
            each.take(rows, losses, worst, weights)
    return [each.done() for each in counts]


def _losses(accounts: Any, values: Array) -> Iterator[tuple[Array, Array]]:
    """(rows int64[n], losses int64[n, S] nano) of accounts that hold something, chunk by chunk."""
    falls = values[:, :1] - values[:, 1:]
    rows = np.flatnonzero(np.diff(accounts.row_ptr) > 0)
    starts, stops = accounts.row_ptr[:-1][rows], accounts.row_ptr[1:][rows]
    per_chunk = max(_CHUNK // max(falls.shape[1], 1), 1)
    first = 0
    while first < len(rows):
        last = max(int(np.searchsorted(stops, starts[first] + per_chunk, "right")), first + 1)
        held = slice(int(starts[first]), int(stops[last - 1]))
        lots = accounts.lots[held, None]
        parts = falls[accounts.leg[held]] * lots
        parts += np.abs(lots)
        yield rows[first:last], np.add.reduceat(parts, starts[first:last] - starts[first], axis=0)
        first = last


def gross_notional(accounts: Any, market: Any) -> Array:
    """int64[A] micro, rounded up: Σ |lots| · notional of a lot: at its mark, or of an option the underlying's."""
    legs = market.legs
    of_lot = np.where(legs.right != 0, legs.notional_nano, np.abs(legs.value_nano))
    # a running sum over the book may wrap; its differences, which fit, come out right modulo 2**64
    running = np.concatenate([[0], np.cumsum(np.abs(accounts.lots) * of_lot[accounts.leg])])
    sums: Array = running[accounts.row_ptr[1:]] - running[accounts.row_ptr[:-1]]
    return -((-sums) // 1000)


def remembered(
    measure: ExpectedShortfallModel, moves_ppm: Mapping[str, Sequence[int]], market: Any, accounts: Any
) -> ExpectedShortfallModel:
    """The yardstick with given moves for scenarios, all of the same weight. Underlyings that nobody holds need none.

    Raises InputError for an underlying that is held and has no moves, UnsafeParameters for moves that are none.
    """
    names = market.underlyings
    held = {names[u] for u in np.unique(market.legs.underlying[accounts.leg])}
    lacking = [name for name in names if name in held and name not in moves_ppm]
    if lacking:
        raise InputError("moves", f"none of {lacking[0]}", "moves of every underlying that the book holds")
    count = max((len(each) for each in moves_ppm.values()), default=0)
    history = {name: tuple(int(x) for x in moves_ppm.get(name, (0,) * count)) for name in names}
    parameters = msgspec.structs.replace(
        measure.parameters,
        source="historical",
        history_ppm=history,
        vol_history_ppm={},
        period_hours=measure.parameters.horizon_hours,
        decay_ppm=PPM,
    )
    return ExpectedShortfallModel(parameters)
