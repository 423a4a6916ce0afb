"""How much of a planned slice may go to the market now, knowing whom its own move would break (`liquidation.pacing`).

Where the venue has said how deep an underlying's markets are, a slice is no larger than what keeps its loop gain within a limit;
all slices of one stretch of time are counted as one, whoever they are sold for. Who is ahead is estimated from the last exact
figures, in floating point: it decides how much is sold now, never whether somebody is closed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from seawall.core.units import PPM
from seawall.engine.clearing import Clearing
from seawall.liquidation.pacing import pace

from .depth import Ladder

__all__ = ["Pacer"]

Array = np.ndarray[Any, Any]
NEAR = 2.0  # accounts with less health than so many maintenance margins are looked at


class Pacer:
    """ladders: by underlying; without one nothing is held back. stretch_ns: what is sold within it counts together, and for so long who
    is ahead is remembered. now_ns: the clock."""

    def __init__(
        self, clearing: Clearing, ladders: Mapping[str, Ladder], gain_limit_ppm: int, stretch_ns: int, now_ns: Callable[[], int]
    ) -> None:
        self.clearing, self.ladders, self.gain_limit_ppm = clearing, ladders, gain_limit_ppm
        self.stretch_ns, self._now_ns = stretch_ns, now_ns
        self._sold: dict[tuple[str, int], tuple[int, int]] = {}  # begin of the stretch, notional in micro
        self._ahead: dict[tuple[str, int], tuple[int, Array, Array]] = {}

    def room(self, underlying: str, side: int, wanted_lots: int, mark_nano: int) -> int:
        """Of lots that would be traded on a side (-1 sells), those that may be now; they count as sold."""
        ladder = self.ladders.get(underlying)
        if ladder is None or wanted_lots <= 0 or mark_nano <= 0:
            return wanted_lots
        key, now_ns = (underlying, side), self._now_ns()
        began_ns, sold_micro = self._sold.get(key, (now_ns, 0))
        if now_ns - began_ns >= self.stretch_ns:
            began_ns, sold_micro = now_ns, 0
        before = -(-sold_micro * 1000 // mark_nano)
        distance, notional = self._tripwires(key, now_ns)
        closing = (notional * 1000.0 / mark_nano).astype(np.int64)
        paced = pace(
            before + wanted_lots, ladder.moves_ppm, _rising(ladder.lots(mark_nano)), distance, closing, self.gain_limit_ppm
        )
        lots = min(max(paced.lots - before, 0), wanted_lots)
        self._sold[key] = began_ns, sold_micro + lots * mark_nano // 1000
        return lots

    def _tripwires(self, key: tuple[str, int], now_ns: int) -> tuple[Array, Array]:
        """distance_ppm int64[n]: how far the price may move against accounts ahead until they fail; float64[n]: notional that they
        would then have to close, micro."""
        kept = self._ahead.get(key)
        if kept is not None and now_ns - kept[0] < self.stretch_ns:
            return kept[1], kept[2]
        engine = self.clearing.engine
        count = len(self.clearing.ledger.state.names)
        figures = engine.watch.last_figures()[:count]
        health, maintenance = figures[:, 0] - figures[:, 2], figures[:, 2]
        rows = np.flatnonzero((health >= 0) & (health < NEAR * maintenance))
        net = self._net_micro(rows, key[0])
        hurt = np.flatnonzero(net * key[1] < 0)  # selling hurts who is long
        exposed = np.abs(net[hurt])
        distance = np.minimum(health[rows[hurt]] / np.maximum(exposed, 1.0) * PPM, float(PPM)).astype(np.int64)
        self._ahead[key] = now_ns, distance, exposed
        return distance, exposed

    def _net_micro(self, rows: Array, underlying: str) -> Array:
        """float64[n]: signed notional of these accounts in an underlying, linear positions alone."""
        engine = self.clearing.engine
        legs, number = engine.watch.desk.base.legs, engine.watch.underlying_index[underlying]
        linear = (legs.underlying == number) & (legs.kind == 0)
        worth = np.where(linear, np.nan_to_num(legs.lot * legs.ratio) * (engine.watch.desk.index_nano[legs.underlying] / 1000.0), 0.0)
        pool = engine.book.positions
        counts = pool.length[rows]
        ends = np.concatenate([[0], np.cumsum(counts)])
        at = np.repeat(pool.start[rows] - ends[:-1], counts) + np.arange(ends[-1])
        sums = np.concatenate([[0.0], np.cumsum(pool.columns[1][at] * worth[pool.columns[0][at]])])
        return np.asarray(sums[ends[1:]] - sums[ends[:-1]])


def _rising(depth_lots: Array) -> Array:
    return np.maximum.accumulate(depth_lots)
