"""Which accounts wait for a look, and when each is due again: arrays over the accounts, whatever happens.

Candidates are accounts of users that are liquidatable or bankrupt, and those whose closing is open. Who is due joins a queue by
systemic importance, in which every eighth place is the longest waiting's. Memory does not grow with what waits.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from seawall.engine.clearing import Clearing
from seawall.engine.decision import STATUSES
from seawall.ledger.chart import USER
from seawall.liquidation.queue import LiquidationQueue, importance_micro

from .book import BookOf

__all__ = ["Schedule"]

Array = np.ndarray[Any, Any]
LIQUIDATABLE = STATUSES.index("liquidatable")
AT_ONCE = 64  # taken from the queue together


class Schedule:
    """due: everybody who should be looked at, put in the queue; take: the next of them. open: bool[capacity], closings that are not
    at rest. move_ppm: the bad move by which importance is measured."""

    def __init__(self, clearing: Clearing, book: BookOf, move_ppm: int = 100_000) -> None:
        self.clearing, self.book, self.move_ppm = clearing, book, move_ppm
        capacity = clearing.capacity
        self.open = np.zeros(capacity, np.bool_)
        self._next_ns = np.zeros(capacity, np.int64)
        self._breached_ns = np.zeros(capacity, np.int64)  # 0: not waiting for its first look
        self._queue = LiquidationQueue(capacity)
        self._taken: deque[int] = deque()

    def __len__(self) -> int:
        """Accounts that wait."""
        return len(self._queue) + len(self._taken)

    @property
    def nbytes(self) -> int:
        """Memory of all this."""
        return self.open.nbytes + self._next_ns.nbytes + self._breached_ns.nbytes + self._queue.nbytes

    def join(self, now_ns: int) -> int:
        """Puts who is due into the queue; how many are new."""
        state, watch = self.clearing.ledger.state, self.clearing.engine.watch
        count = len(state.names)
        rows = np.flatnonzero((watch.levels[:count] >= LIQUIDATABLE) | self.open[:count])
        rows = rows[self._next_ns[rows] <= now_ns]
        rows = rows[np.frombuffer(state.kind, np.int8)[rows] == USER]
        if not len(rows):
            return 0
        fresh = rows[~self.open[rows] & (self._breached_ns[rows] == 0)]
        self._breached_ns[fresh] = now_ns
        self._next_ns[rows] = np.iinfo(np.int64).max  # until it has been looked at
        figures = watch.last_figures()[rows]
        return self._queue.add(rows, importance_micro(figures[:, 0], self.book.gross_micro(rows), self.move_ppm))

    def take(self) -> int:
        """The row of the next account, −1 where none waits."""
        if not self._taken:
            self._taken.extend(self._queue.take(AT_ONCE).tolist())
        return self._taken.popleft() if self._taken else -1

    def failing(self, row: int) -> bool:
        """Whether an account is a user's, and below its maintenance margin by its status."""
        return bool(self.clearing.engine.watch.levels[row] >= LIQUIDATABLE and self.clearing.ledger.state.kind[row] == USER)

    def is_open(self, name: str) -> bool:
        """Whether an account's closing was open when it was last looked at."""
        row = self.clearing.ledger.state.rows.get(name, -1)
        return row >= 0 and bool(self.open[row])

    def soon(self, row: int) -> None:
        """An account is due at the next beat, wherever it stood."""
        if self._next_ns[row] != np.iinfo(np.int64).max:
            self._next_ns[row] = 0

    def all_soon(self) -> None:
        """Everybody whose closing is open is due at the next beat."""
        rows = np.flatnonzero(self.open)
        self._next_ns[rows] = np.where(self._next_ns[rows] == np.iinfo(np.int64).max, self._next_ns[rows], 0)

    def later(self, row: int, at_ns: int) -> None:
        """An account was looked at: it is due again then."""
        self._next_ns[row] = at_ns

    def breached(self, row: int) -> int:
        """When an account that was not being closed was first seen to be due, 0 where it was not; forgotten by this."""
        found = int(self._breached_ns[row])
        self._breached_ns[row] = 0
        return found
