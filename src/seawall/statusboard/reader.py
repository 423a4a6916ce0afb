"""Reading a status board from another process, without a call to the engine and without making it wait.

A reading is whole, fresh and of the engine that runs now, or it is `Unknown`: after a bounded number of tries no last copy
is given out. A row is read first and the engine's sign of life after it, so what is returned was in force at the
moment of return. Plain Python reads are in order on x86-64; on other processors the compiled reader is used.
"""

from __future__ import annotations

import mmap
import os
import platform
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seawall.core.errors import InputError, UnreadableFile, show

from . import layout

__all__ = ["BoardReader", "Header", "Row", "Unknown"]

Array = np.ndarray[Any, Any]
_TRIES = 64
_OPENING_TRIES = 50
_OPENING_PAUSE_S = 0.002
_CHUNK = 8_192  # rows that are copied at a time: they stay in the cache between the looks at their locks
_LINE, _WORD = struct.Struct("@8q"), struct.Struct("@q")
_STATES = {layout.CLOSED: "closed", layout.REPLACED: "replaced"}


class Row(NamedTuple):
    """One account as of event `sequence`: money in micro of the settlement currency; `status` with its flags is the engine's."""

    equity_micro: int
    initial_micro: int
    maintenance_micro: int
    status: int
    sequence: int
    market_version: int
    at_ns: int


class Unknown(NamedTuple):
    """No figures. reason: stale (no sign of life), closed, replaced (open the board anew), unpublished, busy, no such row."""

    reason: str

    def __bool__(self) -> bool:
        return False


class Header(NamedTuple):
    """What the engine last said of itself. heartbeat_ns: its clock; age_s: on the machine's own; fresh: within the limit."""

    generation: int
    heartbeat_ns: int
    age_s: float
    durable_seq: int
    market_version: int
    named_rows: int
    state: str
    fresh: bool


class BoardReader:
    """The board at `path`, mapped read-only.

    max_age_s: how old the engine's heartbeat may be before nothing is believed. compiled: read with the compiled
    reader (None: where the processor needs it). Raises UnreadableFile where the file is none or no board.
    """

    def __init__(self, path: Path | str, max_age_s: float = 1.0, compiled: bool | None = None) -> None:
        if sys.byteorder != "little":
            raise InputError("status board", "a big-endian machine", "a little-endian one")
        self.path = Path(path)
        self.max_age_s = max_age_s
        ordered = platform.machine().lower() in ("x86_64", "amd64")
        self._compiled = not ordered if compiled is None else compiled
        self._map: mmap.mmap | None = None
        self._names = -1
        self._open()

    @property
    def generation(self) -> int:
        """Which creation of the board this is; it rises with every start of the engine."""
        return self._fixed.generation

    @property
    def rows(self) -> int:
        """How many rows the board has."""
        return self._fixed.rows

    def read(self, row: int) -> Row | Unknown:
        """The figures of a row, or why there are none."""
        if not 0 <= row < self._fixed.rows:
            return Unknown("no such row")
        words, reason = self._line(layout.first_line() + row)
        if why := self._dead():
            return Unknown(why)
        return Row(*words) if words else Unknown(reason)

    def read_all(self, first: int = 0, count: int | None = None) -> tuple[Array, Array]:
        """(int64[n, 7] in the order of `Row`, bool[n]: whether the row is known; one that is not reads zero)."""
        last = self._fixed.rows if count is None else min(self._fixed.rows, first + count)
        if not 0 <= first <= last:
            raise InputError("status board", f"rows from {first}", f"from 0 to {self._fixed.rows}")
        values, known = np.zeros((last - first, 7), np.int64), np.zeros(last - first, bool)
        for start in range(first, last, _CHUNK):
            chunk = slice(start - first, min(start + _CHUNK, last) - first)
            self._lines(np.arange(start, min(start + _CHUNK, last)), values[chunk], known[chunk])
        if self._dead():
            values[:], known[:] = 0, False
        return values, known

    def header(self) -> Header | Unknown:
        """What the engine last said of itself."""
        words, _ = self._line(layout.LIVE_LINE)
        if not words:
            return Unknown("busy")
        heartbeat_ns, beat_ns, durable, market, rows, state, _ = words
        age_ns = time.monotonic_ns() - beat_ns
        fresh = self._dead_words(words) is None
        name = _STATES.get(state, "running")
        return Header(self.generation, heartbeat_ns, age_ns / 1e9, durable, market, rows, name, fresh)

    def reopen(self) -> bool:
        """Opens what stands at the path now; whether that is another board than before. Row numbers may then differ."""
        before = self._fixed
        self.close()
        self._open()
        return self._fixed != before

    # --------------------------------------------------------------------------------------- names

    def find(self, name: str) -> int | None:
        """The row of an account's name, None where the board has none."""
        sought = name.encode("utf-8", "surrogatepass")
        slots = self._names_fixed.slots
        slot = layout.name_hash(sought, slots)
        for _ in range(slots):
            row = int.from_bytes(self._names_at(layout.NAMES_HEADER_BYTES + 4 * slot, 4), "little") - 1
            if row < 0:
                return None
            if self._name_bytes(row) == sought:
                return row
            slot = (slot + 1) & (slots - 1)
        return None

    def name(self, row: int) -> str:
        """The account's name of a row; InputError where it has none."""
        found = self._name_bytes(row) if 0 <= row < self._names_fixed.rows else b""
        if not found:
            raise InputError("status board", f"row {show(row)}", "a row that has a name")
        return found.decode()

    def names(self) -> Iterator[str]:
        """The names of rows 0, 1, … up to the first that has none."""
        fixed = self._names_fixed
        entries = np.frombuffer(self._names_at(fixed.entries_at, 16 * fixed.rows), "<i8").reshape(-1, 2)
        blob = self._names_at(fixed.blob_at, os.fstat(self._names).st_size - fixed.blob_at)
        for start, size in entries.tolist():
            if not start:
                return
            yield blob[start - fixed.blob_at : start - fixed.blob_at + size].decode()

    def _name_bytes(self, row: int) -> bytes:
        start, size = struct.unpack("<qq", self._names_at(self._names_fixed.entries_at + 16 * row, 16))
        return self._names_at(start, size) if start else b""

    def _names_at(self, start: int, size: int) -> bytes:
        data = b""
        while len(data) < size and (more := os.pread(self._names, size - len(data), start + len(data))):
            data += more
        if len(data) != size:
            raise UnreadableFile(str(layout.names_path(self.path)), f"an end after {start + len(data):,} bytes", "names")
        return data

    # ------------------------------------------------------------------------------- opening, closing

    def close(self) -> None:
        """Lets go of both files."""
        self._words = np.zeros(0, np.int64)
        if self._map is not None:
            self._map.close()
            self._map = None
        if self._names >= 0:
            os.close(self._names)
            self._names = -1

    def __enter__(self) -> BoardReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> None:
        for attempt in range(_OPENING_TRIES):
            try:
                self._open_once()
            except OSError as error:
                self.close()
                raise UnreadableFile(str(self.path), error.strerror or str(error), "a status board") from None
            except UnreadableFile:
                self.close()
                raise
            if self._fixed.generation == self._names_fixed.generation:
                return
            self.close()  # between the two renames of a start
            if attempt + 1 < _OPENING_TRIES:
                time.sleep(_OPENING_PAUSE_S)
        found = f"generation {self._names_fixed.generation}"
        raise UnreadableFile(str(layout.names_path(self.path)), found, f"generation {self._fixed.generation}, the board's")

    def _open_once(self) -> None:
        self._names = os.open(layout.names_path(self.path), os.O_RDONLY)
        size = os.fstat(self._names).st_size
        head = os.pread(self._names, layout.NAMES_HEADER_BYTES, 0)
        self._names_fixed = layout.NamesFixed.decode(head, size, str(layout.names_path(self.path)))
        board = os.open(self.path, os.O_RDONLY)
        try:
            size = os.fstat(board).st_size
            self._fixed = layout.Fixed.decode(os.pread(board, layout.LINE_BYTES, 0), size, str(self.path))
            self._map = mmap.mmap(board, layout.board_bytes(self._fixed.rows), access=mmap.ACCESS_READ)
        finally:
            os.close(board)
        self._words = np.frombuffer(self._map, np.int64)
        self._same_boot = self._fixed.boot == layout.boot_id()

    # ---------------------------------------------------------------------------------------- lines

    def _dead(self) -> str | None:
        """Why nothing on this board is to be believed, None where it is alive."""
        words, _ = self._line(layout.LIVE_LINE)
        return self._dead_words(words) if words else "busy"

    def _dead_words(self, words: tuple[int, ...]) -> str | None:
        if words[5] != layout.RUNNING:
            return _STATES.get(words[5], "closed")
        age_ns = time.monotonic_ns() - words[1]
        # Time on this clock begins with the boot: a heartbeat ahead of it, or of another boot, is none.
        return None if self._same_boot and 0 <= age_ns <= self.max_age_s * 1e9 else "stale"

    def _line(self, line: int) -> tuple[tuple[int, ...], str]:
        """(words 1 to 7, "") or ((), why)."""
        if self._map is None:
            raise InputError("status board", "a reader that was closed", "an open one")
        if self._compiled:
            values, known = np.zeros((1, 7), np.int64), np.zeros(1, bool)
            self._read_compiled(np.array([line]), values, known)
            if known[0]:
                return tuple(values[0].tolist()), ""
            return (), "unpublished" if self._words[8 * line] == 0 else "busy"
        at = line * layout.LINE_BYTES
        for _ in range(_TRIES):
            lock, *words = _LINE.unpack_from(self._map, at)
            if not lock & 1 and _WORD.unpack_from(self._map, at)[0] == lock:
                return (tuple(words), "") if lock else ((), "unpublished")
        return (), "busy"

    def _lines(self, rows: Array, values: Array, known: Array) -> None:
        """Rows that follow each other into values and known."""
        if self._compiled:
            self._read_compiled(layout.first_line() + rows, values, known)
            return
        start = 8 * (layout.first_line() + int(rows[0]))
        lines = self._words[start : start + 8 * len(rows)].reshape(-1, 8)
        before = lines[:, 0].copy()
        values[:] = lines[:, 1:]
        known[:] = (before == lines[:, 0]) & (before & 1 == 0) & (before != 0)
        for k in np.flatnonzero(~known & (before != 0)).tolist():
            words, _ = self._line(layout.first_line() + int(rows[k]))
            if words:
                values[k], known[k] = words, True
        values[~known] = 0

    def _read_compiled(self, lines: Array, values: Array, known: Array) -> None:
        from seawall.kernels.seqlock import read_lines

        read_lines(self._words, lines.astype(np.int64), _TRIES, values, known)
