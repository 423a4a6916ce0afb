"""Copies of what is known of every account, so that tables and totals over a million of them are made beside the loop.

A copy is taken a piece at a time, with the loop's other work in between: each account is whole and as of its own moment. What is
computed from it runs in one thread, in array operations that give the interpreter's lock away.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np

from seawall.core.units import format_nano
from seawall.engine.clearing import Clearing
from seawall.ledger.chart import FROZEN, TRADERS, USER
from seawall.ledger.state import NOBODY

__all__ = ["CHUNK", "Look", "Looks", "look"]

T = TypeVar("T")

CHUNK = 65_536  # accounts copied at once: less than a millisecond
KEPT_S = 0.5
_PIECE = 4_096


class Look(NamedTuple):
    """names: by row, of which the first `len(kind)` are meant; ranks: their order; kind, state, levels: int8[n]; parent: int32[n], of buckets; figures:
    int64[n, 3], micro, of the last exact evaluation; funds: by name; orders: open ones."""

    names: list[str]
    ranks: Ranks
    kind: np.ndarray
    state: np.ndarray
    parent: np.ndarray
    levels: np.ndarray
    figures: np.ndarray
    funds: dict[str, str]
    orders: int
    sequence: int
    at_ns: int

    def state_of(self, row: int) -> int:
        """An account's state; a bucket is frozen with its owner (`ledger/doors.py`)."""
        parent = self.parent[row]
        return FROZEN if parent != NOBODY and self.state[parent] == FROZEN else int(self.state[row])

    def chosen(self, users_only: bool) -> np.ndarray:
        """bool[n]: accounts of users, or all that may hold positions."""
        return self.kind == USER if users_only else np.isin(self.kind, np.array(TRADERS, np.int8))


class Ranks:
    """Where each name stands among all of them; made once for so many names, of which none ever changes."""

    def __init__(self) -> None:
        self._ranks = np.empty(0, np.int64)

    def of(self, names: list[str], count: int) -> np.ndarray:
        """int64[count]: ranks of the first so many names."""
        if len(self._ranks) != count:
            # Sorted in small pieces and merged, one name after the other: a single sort of a million would hold the interpreter's lock.
            pieces = [sorted(range(at, min(at + _PIECE, count)), key=names.__getitem__) for at in range(0, count, _PIECE)]
            ranks = np.empty(count, np.int64)
            ranks[np.fromiter(heapq.merge(*pieces, key=names.__getitem__), np.int64, count)] = np.arange(count)
            self._ranks = ranks
        return self._ranks


class _Copy:
    """A look under way."""

    def __init__(self, clearing: Clearing, ranks: Ranks) -> None:
        self._clearing, self._ranks = clearing, ranks
        self.count = count = len(clearing.ledger.state.names)
        self._kind, self._state, self._levels = (np.empty(count, np.int8) for _ in range(3))
        self._parent = np.empty(count, np.int32)
        self._figures = np.empty((count, 3), np.int64)

    def take(self, first: int, last: int) -> None:
        """These rows, as they are now."""
        clearing = self._clearing
        state, watch = clearing.ledger.state, clearing.engine.watch
        self._kind[first:last] = np.frombuffer(state.kind, np.int8)[first:last]
        self._state[first:last] = np.frombuffer(state.state, np.int8)[first:last]
        self._parent[first:last] = np.frombuffer(state.parent, np.int32)[first:last]
        self._levels[first:last] = watch.levels[first:last]
        self._figures[first:last] = watch.last_figures()[first:last, :3]

    def done(self) -> Look:
        """The look, as of this moment's sequence."""
        clearing = self._clearing
        state, mirror = clearing.ledger.state, clearing.mirror
        funds = {name: format_nano(mirror.cash_of(state.rows[name])) for name in ("insurance", "backstop", "fees")}
        return Look(
            state.names, self._ranks, self._kind, self._state, self._parent, self._levels, self._figures, funds,
            len(clearing.orders), clearing.sequence, clearing.at_ns,
        )  # fmt: skip


def look(clearing: Clearing) -> Look:
    """All accounts at one moment; milliseconds for a million."""
    copy = _Copy(clearing, Ranks())
    copy.take(0, copy.count)
    return copy.done()


class Looks:
    """The looks of one venue: at most KEPT_S old, one under way at a time, and the thread that makes something of them."""

    def __init__(self, clearing: Clearing) -> None:
        self._clearing = clearing
        self._lock = asyncio.Lock()
        self._ranks = Ranks()
        self._kept: Look | None = None
        self._taken_at = 0.0
        self._thread = ThreadPoolExecutor(1, "looks")

    async def made(self, of: Callable[[Look], T]) -> T:
        """What `of` makes of a look; for a book of one piece at once, on the loop."""
        if len(self._clearing.ledger.state.names) <= CHUNK:
            return of(look(self._clearing))
        async with self._lock:
            if self._kept is None or time.monotonic() - self._taken_at > KEPT_S:
                self._kept = None
                self._kept = await self._copy()
                self._taken_at = time.monotonic()
            kept = self._kept
        return await asyncio.get_running_loop().run_in_executor(self._thread, of, kept)

    async def _copy(self) -> Look:
        copy = _Copy(self._clearing, self._ranks)
        for first in range(0, copy.count, CHUNK):
            copy.take(first, min(first + CHUNK, copy.count))
            await asyncio.sleep(0)
        return copy.done()
