"""Pacing: how much may be sold now, knowing whom the selling itself would break.

Selling v lots moves the price by I(v); every account whose tripwire lies within that move will have to sell too. The loop
gain of a slice is what it makes others sell over what it sells itself. Below one a cascade dies out: each round is
that share of the one before, and 1/(1 − gain) times the slice is sold in the end. `pace` gives the largest slice whose
gain stays within a limit, and otherwise the one that stops short of the first tripwire.

Waiting has a price as well: the market may move on by itself. `patience_s` says how long an account's equity lasts at
the present volatility; one that cannot wait is not throttled but goes to a route that does not move the mark.

The loop-gain view is that of a fixed point x = s + I(C(x)) (shock, impact, closing); it is the measure by which a
cascade is stable, not a forecast of prices.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from seawall.core.errors import InputError
from seawall.core.units import PPM

__all__ = ["Pace", "gain_ppm", "pace", "patience_s", "waiting_ppm"]

Array = np.ndarray[Any, Any]


class Pace(msgspec.Struct, frozen=True):
    """lots: what may be sold now. broken_lots: what its move would make others sell. move_ppm: that move, rounded up.
    throttled: whether less than was wanted."""

    lots: int
    broken_lots: int
    move_ppm: int
    throttled: bool


def pace(
    wanted_lots: int,
    move_ppm: Array,
    depth_lots: Array,
    distance_ppm: Array,
    closing_lots: Array,
    gain_limit_ppm: int = 500_000,
    least_lots: int = 0,
) -> Pace:
    """The largest slice of at most `wanted_lots` whose loop gain is at most the limit.

    move_ppm, depth_lots: int64[K], rising from (0, 0): lots that the book takes within each move; between its
    points the move is interpolated and rounded up, beyond the last one nothing is sold. distance_ppm, closing_lots: int64[n], of the
    accounts ahead in any order: how far the price may move until each trips (0: at the next nano), and what it
    would then have to sell on the same side. least_lots: sold in any case (0: none). Raises InputError for a ladder that does
    not rise or a limit outside 0 to 1,000,000.
    """
    if len(move_ppm) != len(depth_lots) or len(move_ppm) < 2 or move_ppm[0] != 0 or depth_lots[0] != 0:
        raise InputError("pacing, ladder", f"{len(move_ppm)} points", "at least two that begin at (0, 0)")
    if (np.diff(move_ppm) <= 0).any() or (np.diff(depth_lots) < 0).any():
        raise InputError("pacing, ladder", "points that do not rise", "rising moves, lots that do not fall")
    if not 0 <= gain_limit_ppm <= PPM:
        raise InputError("pacing, gain limit", str(gain_limit_ppm), "0 to 1,000,000 ppm")
    wanted = min(max(wanted_lots, 0), int(depth_lots[-1]))
    order = np.argsort(distance_ppm, kind="stable")
    ahead, sums = np.asarray(distance_ppm)[order], np.concatenate([[0], np.cumsum(np.asarray(closing_lots)[order])])
    # Candidates: everything that is wanted, and just short of each tripwire that the whole would reach.
    reach = _move(wanted, move_ppm, depth_lots)
    tripped = int(np.searchsorted(ahead, reach, side="right"))
    short = _lots_within(np.maximum(ahead[:tripped] - 1, 0), move_ppm, depth_lots)
    sizes = np.append(np.minimum(short, wanted), wanted)
    sizes = np.unique(sizes)
    # A slice trips the accounts within its own move, rounded up.
    broken = np.where(sizes > 0, sums[np.searchsorted(ahead, _moves(sizes, move_ppm, depth_lots), side="right")], 0)
    fits = np.flatnonzero(broken <= sizes // PPM * gain_limit_ppm + sizes % PPM * gain_limit_ppm // PPM)
    best = int(sizes[fits[-1]]) if len(fits) else 0
    lots = min(max(best, least_lots), wanted)
    move = _move(lots, move_ppm, depth_lots)
    made = int(sums[np.searchsorted(ahead, move, side="right")]) if lots else 0
    return Pace(lots, made, move, lots < wanted_lots)


def gain_ppm(lots: int, move_ppm: Array, depth_lots: Array, distance_ppm: Array, closing_lots: Array) -> int:
    """Loop gain of selling `lots` now, ppm rounded up: what others would have to sell over it. 0 for no lots."""
    if lots <= 0:
        return 0
    move = _move(min(lots, int(depth_lots[-1])), move_ppm, depth_lots)
    broken = int(np.asarray(closing_lots)[np.asarray(distance_ppm) <= move].sum())
    return -(-broken * PPM // lots)


def patience_s(equity_micro: int, gross_micro: int, vol_ppm: int, quantile_ppm: int = 3_000_000) -> int:
    """Seconds that equity outlasts the market: the largest τ with quantile · σ·√τ · gross ≤ equity, floor.

    vol_ppm: volatility per √s. 0 where there is no equity; 10^9 where nothing moves or nothing is held. (Slow partial
    liquidation pays only while the buffer exceeds a quantile of the move: research on margin cascades since
    Almgren and Chriss 2000 trades impact against exactly this risk.)
    """
    if equity_micro <= 0:
        return 0
    move = vol_ppm * quantile_ppm * gross_micro
    if move <= 0:
        return 10**9
    ratio = equity_micro * PPM * PPM
    return min(ratio * ratio // (move * move), 10**9)


def waiting_ppm(lots: int, rate_lots: int, second_ppm: int) -> int:
    """What the last of `lots` may lose to the market until its turn comes, ppm of the mark, at most all of it; 0 for what
    is sold at once.

    rate_lots: what the market takes in a second (0: as if one). second_ppm: what a second of waiting costs. Seconds are
    rounded up and their moves added up: over a random walk they would grow with the root of time (Almgren and Chriss 2000),
    but who waits in a cascade waits while prices go one way.
    """
    late = lots - max(rate_lots, 0)
    if late <= 0:
        return 0
    return min(-(-late // max(rate_lots, 1)) * second_ppm, PPM)


def _move(lots: int, move_ppm: Array, depth_lots: Array) -> int:
    """ppm of price that selling `lots` takes, rounded up; the last point's move beyond it."""
    return int(_moves(np.array([lots]), move_ppm, depth_lots)[0])


def _moves(lots: Array, move_ppm: Array, depth_lots: Array) -> Array:
    """`_move` of int64[n]."""
    k = np.clip(np.searchsorted(depth_lots, lots, side="left"), 1, len(depth_lots) - 1)
    low, width = depth_lots[k - 1], np.maximum(depth_lots[k] - depth_lots[k - 1], 1)
    step = move_ppm[k] - move_ppm[k - 1]
    # Lots and steps are far from what would leave int64 together: a step is at most some 10^6.
    inside = move_ppm[k - 1] - (-step * np.minimum(lots - low, width) // width)
    return np.asarray(np.where(lots <= 0, 0, inside))


def _lots_within(moves: Array, move_ppm: Array, depth_lots: Array) -> Array:
    """int64[n]: most lots whose move is at most each of `moves`, floor."""
    k = np.clip(np.searchsorted(move_ppm, moves, side="right"), 1, len(move_ppm) - 1)
    low, step = move_ppm[k - 1], move_ppm[k] - move_ppm[k - 1]
    more = (depth_lots[k] - depth_lots[k - 1]) * np.minimum(moves - low, step) // step
    return np.asarray(depth_lots[k - 1] + more)
