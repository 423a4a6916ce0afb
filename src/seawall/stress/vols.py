"""How modelled vols rise when prices fall: one number of stress per underlying, from its own path.

Stress is the fall from the high of the last hours, measured in weekly moves, and it fades with a half-life:
vols jump with the fall and come down slowly. Updates are made at coarse times, because each one is a full
revaluation of the book.
"""

from __future__ import annotations

import msgspec
import numpy as np

from seawall.feeds.ticks import SurfaceUpdate, Ticks
from seawall.stress.board import Board

__all__ = ["VolSchedule", "vol_updates"]


class VolSchedule(msgspec.Struct, frozen=True):
    """When vols are updated: every so many seconds, and when a price has moved by more than `move`.

    every_s: 0 never; at most `limit` updates are made over the whole path (the period grows if need be).
    move: fraction, 0 never. half_life_s: how fast stress fades.
    """

    every_s: float = 60.0
    move: float = 0.05
    half_life_s: float = 2400.0
    limit: int = 500


def vol_updates(board: Board, ticks: Ticks, schedule: VolSchedule) -> tuple[SurfaceUpdate, ...]:
    """Vol updates of the board's options along a path; only vols that changed (at four digits) are listed."""
    if not len(ticks) or not board.symbols or not (schedule.every_s or schedule.move):
        return ()
    number = {name: u for u, name in enumerate(board.underlyings)}
    of_tick = np.array([number.get(name, -1) for name in ticks.names])
    start, end = int(ticks.at_ns[0]), int(ticks.at_ns[-1])
    every = max(int(schedule.every_s * 1e9), (end - start) // max(schedule.limit, 1)) or end - start + 1
    prices = ticks.price_nano * 1e-9
    index = _first_prices(board)
    high = index.copy()
    stress = np.zeros(len(index))
    marked = index.copy()
    last_at = np.full(len(index), start)
    vols = board.vols(board.as_of_ns, index, stress)
    updates: list[SurfaceUpdate] = []
    due = start + every
    weekly = board.calm_vol * np.sqrt(7.0 / 365.0)
    position = 0
    for stop in _stops(ticks, of_tick, prices, every, schedule.move):
        block_u, block_p = of_tick[ticks.name[position:stop]], prices[position:stop]
        at_ns = int(ticks.at_ns[stop - 1])
        known = block_u >= 0
        np.maximum.at(high, block_u[known], block_p[known])
        index[block_u[known]] = block_p[known]  # the last assignment wins: the newest price
        position = stop
        regular = at_ns >= due
        moved = np.abs(index / marked - 1.0) > schedule.move if schedule.move else np.zeros(len(index), bool)
        who = np.ones(len(index), bool) if regular else moved
        if not who.any() or len(updates) >= 4 * schedule.limit:
            continue
        fade = 0.5 ** ((at_ns - last_at) / (schedule.half_life_s * 1e9))
        fall = np.clip(np.log(high / index) / (3.0 * weekly), 0.0, 1.0)
        stress = np.where(who, np.maximum(stress * fade, fall), stress)
        high = np.where(who, index + (high - index) * fade, high)
        last_at[who], marked[who] = at_ns, index[who]
        due = at_ns - (at_ns - start) % every + every if regular else due
        fresh = board.vols(at_ns, index, stress)
        changed = who[board.option_underlying] & (fresh != vols) & ~np.isnan(fresh)
        vols = np.where(changed, fresh, vols)
        picked = np.flatnonzero(changed)
        if len(picked):
            ivs = {
                board.symbols[i]: f"{v:.4f}"
                for i, v in zip(picked.tolist(), fresh[picked].tolist(), strict=True)
            }
            updates.append(SurfaceUpdate(at_ns, ivs))
    return tuple(updates)


def _stops(ticks: Ticks, of_tick: np.ndarray, prices: np.ndarray, every: int, move: float) -> list[int]:
    """Ends of blocks of ticks after which an update may be due: each period's end, and each crossing of the
    move."""
    period = (ticks.at_ns - ticks.at_ns[0]) // every
    stops = set((np.flatnonzero(np.diff(period)) + 2).tolist())
    if move:
        width = np.log1p(move) / 2
        for number in range(len(ticks.names)):
            where = np.flatnonzero(ticks.name == number)
            if of_tick[number] >= 0 and len(where) > 1:
                cell = np.floor(np.log(prices[where]) / width)
                stops.update((where[1:][np.diff(cell) != 0] + 1).tolist())
    return sorted(stop for stop in stops | {len(ticks)} if 0 < stop <= len(ticks))


def _first_prices(board: Board) -> np.ndarray:
    return np.array([float(board.document["underlyings"][name]["index"]) for name in board.underlyings])
