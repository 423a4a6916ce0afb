"""What the service does by itself: the passing of time, snapshots, the status board's sign of life and late rows.

A snapshot is copied on the loop and made in a thread (`engine/frozen.py`), so that ticks wait for the copy alone.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
import numpy as np

from seawall.core.errors import JournalStopped
from seawall.engine.clearing import Clearing
from seawall.engine.frozen import Frozen, columns_of, freeze, hash_of
from seawall.engine.status_board import StatusBoard
from seawall.journal import Journal

__all__ = ["BoardFeed", "Snapshotter", "SnapshotTaken"]

CHUNK = 16_384  # rows of the board compared at once: 0.1 ms, which a question may have to wait
LATE_S = 0.02  # between two chunks
BEATS = 5  # chunks between two looks at the clock and at what is due


class SnapshotTaken(msgspec.Struct, frozen=True):
    """sequence and hash of the state; how long the loop was held for the copy, and how long all of it took."""

    sequence: int
    at_ns: int
    state_hash: str
    held_s: float
    seconds: float
    path: str


class Snapshotter:
    """Takes snapshots, one at a time, and knows the last one."""

    def __init__(self, journal: Journal, clearing: Clearing) -> None:
        self._journal = journal
        self._clearing = clearing
        self._lock = asyncio.Lock()
        self.last: SnapshotTaken | None = None
        self.failed = ""

    async def take(self) -> SnapshotTaken | None:
        """A snapshot of now; None where the disk refuses it (`failed` says why: the log is whole without)."""
        async with self._lock:
            began = time.monotonic()
            frozen, at_ns = freeze(self._clearing), self._clearing.at_ns
            held_s = time.monotonic() - began
            try:
                sequence, state_hash, path = await asyncio.to_thread(self._write, frozen)
            except (OSError, JournalStopped) as error:
                self.failed = str(error)
                return None
            self.failed = ""
            seconds = time.monotonic() - began
            self.last = SnapshotTaken(sequence, at_ns, state_hash, round(held_s, 4), round(seconds, 3), path)
            return self.last

    def _write(self, frozen: Frozen) -> tuple[int, str, str]:
        sequence = frozen.head[1]
        frame = self._journal.frame_of(sequence)
        columns = columns_of(frozen)
        state_hash = hash_of(columns)
        path = self._journal.snapshot(sequence, columns, bytes.fromhex(state_hash), frame)
        return sequence, state_hash, str(path)


class BoardFeed:
    """Rows of the status board: those of an event at once, those that ticks evaluated without a change within a sweep."""

    def __init__(self, board: StatusBoard, clearing: Clearing, journal: Journal) -> None:
        self.board = board
        self._clearing = clearing
        self._journal = journal
        self._shown = np.full((board.rows, 4), -1, np.int64)  # figures and status as they are on the board, or wait to be
        self._named = len(clearing.ledger.state.names)
        self._next = 0

    def values(self, rows: np.ndarray) -> np.ndarray:
        """int64[n, 7] of these rows now, and notes them as shown."""
        clearing = self._clearing
        watch = clearing.engine.watch
        out = np.empty((len(rows), 7), np.int64)
        out[:, :3] = watch.last_figures()[rows, :3]
        out[:, 3] = watch.levels[rows]
        out[:, 4], out[:, 5], out[:, 6] = clearing.sequence, watch.version, clearing.engine.at_ns
        self._shown[rows] = out[:, :4]
        return out

    def everything(self) -> None:
        """All rows, at the start."""
        rows = np.arange(self._named)
        self.board.write(rows, self.values(rows))

    def opened(self) -> list[str]:
        """Names that the board does not have yet, noted as if it had."""
        names = self._clearing.ledger.state.names[self._named :]
        self._named += len(names)
        return names

    def late(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the next chunk that differ from what is shown, and their values."""
        count = self._named
        first = self._next if self._next < count else 0
        last = min(count, first + CHUNK)
        self._next = last
        watch = self._clearing.engine.watch
        figures, shown = watch.last_figures(), self._shown
        differ = watch.levels[first:last] != shown[first:last, 3]
        for column in range(3):  # column by column takes a fifth of the time of any(axis=1)
            differ |= figures[first:last, column] != shown[first:last, column]
        rows = first + np.flatnonzero(differ)
        return rows, self.values(rows)

    def beat(self, now_ns: int) -> None:
        """The sign of life."""
        durable: Any = self._journal.durable.seq
        self.board.header(now_ns, time.monotonic_ns(), durable, self._clearing.engine.watch.version)
