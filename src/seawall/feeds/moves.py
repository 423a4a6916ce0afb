"""Realised moves of prices over a horizon, all underlyings over the same spans of time.

A span begins every hour, so spans overlap and neighbouring moves are not independent; a move is from the last
price at its beginning to the last price at its end. Spans at whose ends a price is old (more than a day, or than the
horizon) are left out. Long histories are thinned by whole hours.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec
import numpy as np

from seawall.core.errors import InputError
from seawall.core.times import format_ns
from seawall.core.units import PPM
from seawall.feeds.ticks import PriceHistory

__all__ = ["MOVES_MAX", "HorizonMoves", "horizon_moves"]

HOUR_NS = 3_600 * 10**9
DAY_NS = 24 * HOUR_NS
MOVES_MAX = 2_000


class HorizonMoves(msgspec.Struct, frozen=True, eq=False):
    """moves_ppm: relative moves by name, one for each span, oldest first, rounded to the nearest ppm.

    start_ns: when the first span begins; step_hours: from one beginning to the next; horizon_hours: their length;
    left_out: spans with an old price at an end.
    """

    moves_ppm: dict[str, tuple[int, ...]]
    start_ns: int
    step_hours: int
    horizon_hours: int
    left_out: int = 0

    def __len__(self) -> int:
        return max((len(each) for each in self.moves_ppm.values()), default=0)


def horizon_moves(history: PriceHistory, names: Collection[str], horizon_hours: int) -> HorizonMoves:
    """The moves of these names in a price history.

    names: what has to have prices; spans begin when all of them have one. Raises InputError for a name without
    prices, or where two spans do not fit the file.
    """
    ticks = history.ticks
    series = {}
    for name in sorted(names):
        mine = ticks.name == (ticks.names.index(name) if name in ticks.names else -1)
        if not mine.any():
            raise InputError(history.source, f"no price of {name}", "prices of every underlying that the book holds")
        series[name] = (ticks.at_ns[mine], ticks.price_nano[mine])
    if not series:
        return HorizonMoves({}, int(ticks.at_ns[0]), 1, horizon_hours)
    start = max(int(at[0]) for at, _ in series.values())
    end = min(int(at[-1]) for at, _ in series.values())
    horizon = horizon_hours * HOUR_NS
    spans = max(end - start - horizon, -1) // HOUR_NS + 1
    if spans < 2:
        found = f"{format_ns(start)} to {format_ns(end)}, in which every underlying of the book has prices"
        raise InputError(history.source, found, f"{horizon_hours + 1} hours or more, for two moves over the horizon")
    step = -(-spans // MOVES_MAX)
    begin = start + HOUR_NS * step * np.arange(-(-spans // step))
    fresh = np.ones(len(begin), bool)
    relative = {}
    for name, (at, price) in series.items():
        places = [np.searchsorted(at, moment, "right") - 1 for moment in (begin, begin + horizon)]
        for moment, place in zip((begin, begin + horizon), places, strict=True):
            fresh &= moment - at[place] <= max(horizon, DAY_NS)
        relative[name] = np.rint((price[places[1]] / price[places[0]] - 1.0) * PPM).astype(np.int64)
    if fresh.sum() < 2:
        found = f"{fresh.sum()} spans of {horizon_hours} h with a price of the last day at both ends"
        raise InputError(history.source, found, "two of them")
    moves = {name: tuple(each[fresh].tolist()) for name, each in relative.items()}
    return HorizonMoves(moves, start, step, horizon_hours, int(len(fresh) - fresh.sum()))
