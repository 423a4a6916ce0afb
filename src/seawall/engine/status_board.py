"""The status board: every account's margin status in a memory-mapped file that other processes read without a call.

The engine is its one writer. It writes a batch of rows at a time, each under its own sequence lock, and only what is durable
already: that is the caller's duty. Each start makes a new file of a higher generation and moves it into place, so that a
reader of the old one sees that it was replaced and never a mixture. The layout is in `statusboard/layout.py`.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seawall.core.errors import DuplicateRow, InputError, UnreadableFile, show
from seawall.kernels.name_table import put_strings
from seawall.kernels.seqlock import write_lines
from seawall.statusboard import layout

__all__ = ["StatusBoard"]

Array = np.ndarray[Any, Any]
_LIVE = np.array([layout.LIVE_LINE], np.int64)
_ZEROS = bytes(1 << 20)


class StatusBoard:
    """A board open for writing. Make one with `StatusBoard.create`; not for two threads at once.

    path, rows and generation are those of the file. A row is the account's number in the engine's book.
    """

    def __init__(self, path: Path, fixed: layout.Fixed, board: mmap.mmap, names: int, mode: int) -> None:
        self.path = path
        self._fixed, self._map, self._names, self._mode = fixed, board, names, mode
        self._words = np.frombuffer(board, np.int64)
        self._rows_at = layout.first_line()
        self._live = np.zeros((1, 7), np.int64)
        self._live[0, 5] = layout.RUNNING

    @property
    def rows(self) -> int:
        """How many rows the board has."""
        return self._fixed.rows

    @property
    def generation(self) -> int:
        """Which creation of the board this is."""
        return self._fixed.generation

    @classmethod
    def create(
        cls, path: Path | str, rows: int, names: Sequence[str] = (), *, generation: int = 1, mode: int = 0o640
    ) -> StatusBoard:
        """A new board with no row published, in the place of whatever is at `path`; its room is taken from the disk at once.

        rows: how many it can hold. names: of rows 0, 1, … generation: at least this (the journal's epoch); it is always
        above that of the board that stood there, which is marked as replaced. mode: of both files. Stale until the first
        `header`. Raises InputError for what cannot be, OSError where the disk refuses.
        """
        path = Path(path)
        if type(rows) is not int or not 1 <= rows < 2**30 or len(names) > rows:
            raise InputError("status board", f"{show(rows)} rows for {len(names):,} names", "room for each, at least 1")
        before = _standing(path)
        generation = max(generation, 1, 0 if before is None else before.generation + 1)
        fixed = layout.Fixed(rows, generation, os.getpid(), layout.boot_id())
        board = path.with_name(path.name + ".new")
        listed = layout.names_path(board)
        named = _write_names(listed, generation, rows, names, mode)
        try:
            mapped = _write_board(board, fixed, mode)
            made = cls(path, fixed, mapped, named, mode)
            made._live[0, 4] = len(names)
            write_lines(made._words, _LIVE, made._live)
        except BaseException:
            os.close(named)
            raise
        old = _map_for_writing(path) if before is not None else None
        os.replace(listed, layout.names_path(path))
        os.replace(board, path)
        if old is not None:
            _retire(old)
        return made

    def write(self, rows: Array, values: Array) -> None:
        """Publishes values int64[k, 7] (the fields of `layout.FIELDS`) in the rows int64[k]: durable ones only.

        C-contiguous arrays are read as they are. InputError, with nothing written, for a row that the board does not have.
        """
        if values.shape != (len(rows), 7):
            raise InputError("status board", f"values of shape {values.shape}", f"({len(rows)}, 7)")
        words = self._words[8 * self._rows_at :]
        done = write_lines(words, np.ascontiguousarray(rows, np.int64), np.ascontiguousarray(values, np.int64))
        if done < len(rows):
            raise InputError("status board", f"row {rows[done]}", f"a row from 0 to {self.rows - 1}")

    def header(self, heartbeat_ns: int, monotonic_ns: int, durable_seq: int, market_version: int) -> None:
        """The engine's sign of life, to be given several times as often as readers' limit of age.

        heartbeat_ns: the time, for people. monotonic_ns: time.monotonic_ns(), by which readers judge.
        """
        self._live[0, :4] = heartbeat_ns, monotonic_ns, durable_seq, market_version
        write_lines(self._words, _LIVE, self._live)

    def add_names(self, names: Sequence[str]) -> int:
        """Names of the next rows without one; the first of these rows. Before a row is written it should have its name.

        DuplicateRow for a name that is there, InputError where there is no room: then nothing was added.
        """
        first = int(self._live[0, 4])
        if first + len(names) > self.rows:
            raise InputError("status board", f"{first + len(names):,} names", f"at most {self.rows:,}")
        fixed = layout.NamesFixed(self.generation, layout.index_slots(self.rows), self.rows)
        encoded = [_bytes_of(name) for name in names]
        taken: dict[int, bytes] = {}
        for name in encoded:
            taken[self._free_slot(fixed, name, taken)] = name
        end = os.fstat(self._names).st_size
        for row, (slot, name) in enumerate(taken.items(), first):
            # What a reader follows is written last: the name, where it stands, then the slot that leads there.
            os.pwrite(self._names, name, end)
            os.pwrite(self._names, struct.pack("<qq", end, len(name)), fixed.entries_at + 16 * row)
            os.pwrite(self._names, (row + 1).to_bytes(4, "little"), layout.NAMES_HEADER_BYTES + 4 * slot)
            end += len(name)
        self._live[0, 4] = first + len(names)
        write_lines(self._words, _LIVE, self._live)
        return first

    def close(self, state: int = layout.CLOSED) -> None:
        """Says that nobody writes here any more, and lets go of the files, which stay."""
        if self._names < 0:
            return
        self._live[0, 5] = state
        write_lines(self._words, _LIVE, self._live)
        self._words = np.zeros(0, np.int64)
        self._map.close()
        os.close(self._names)
        self._names = -1

    def __enter__(self) -> StatusBoard:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _free_slot(self, fixed: layout.NamesFixed, name: bytes, taken: dict[int, bytes]) -> int:
        slot = layout.name_hash(name, fixed.slots)
        while True:
            row = int.from_bytes(os.pread(self._names, 4, layout.NAMES_HEADER_BYTES + 4 * slot), "little") - 1
            if row >= 0:
                start, size = struct.unpack("<qq", os.pread(self._names, 16, fixed.entries_at + 16 * row))
                found = os.pread(self._names, size, start)
            elif slot in taken:
                found = taken[slot]
            else:
                return slot
            if found == name:
                raise DuplicateRow("status board", show(name.decode()), "a name that no row has")
            slot = (slot + 1) & (fixed.slots - 1)


def _bytes_of(name: str) -> bytes:
    data = name.encode()
    if not data:
        raise InputError("status board", "an empty name", "a name")
    return data


def _standing(path: Path) -> layout.Fixed | None:
    """The fixed line of the board at a path, None where there is none that holds."""
    try:
        with path.open("rb", buffering=0) as file:
            return layout.Fixed.decode(file.read(layout.LINE_BYTES), path.stat().st_size, str(path))
    except (FileNotFoundError, UnreadableFile):
        return None


def _map_for_writing(path: Path) -> mmap.mmap:
    with path.open("r+b", buffering=0) as file:
        return mmap.mmap(file.fileno(), layout.HEADER_BYTES)


def _retire(board: mmap.mmap) -> None:
    """Marks the header page of a board as replaced, for those who still have it mapped."""
    words = np.frombuffer(board, np.int64)
    live = words[8 * layout.LIVE_LINE + 1 : 8 * layout.LIVE_LINE + 8].reshape(1, 7).copy()
    live[0, 5] = layout.REPLACED
    write_lines(words, _LIVE, live)
    del words
    board.close()


def _write_board(path: Path, fixed: layout.Fixed, mode: int) -> mmap.mmap:
    size = layout.board_bytes(fixed.rows)
    file = _new_file(path, mode)
    try:
        os.pwrite(file, fixed.encode(), 0)
        _take_room(file, size)
        return mmap.mmap(file, size)
    finally:
        os.close(file)


def _take_room(file: int, size: int) -> None:
    """A disk that is full must say so here: in a store to mapped memory it would kill the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
        return
    at = layout.LINE_BYTES
    while at < size:
        at += os.pwrite(file, _ZEROS[: size - at], at)


def _write_names(path: Path, generation: int, rows: int, names: Sequence[str], mode: int) -> int:
    fixed = layout.NamesFixed(generation, layout.index_slots(rows), rows)
    encoded = [_bytes_of(name) for name in names]
    blob = b"".join(encoded)
    length = np.fromiter(map(len, encoded), np.int64, len(encoded))
    entries = np.zeros((rows, 2), np.int64)
    entries[: len(names), 1] = length
    entries[: len(names), 0] = np.cumsum(length) - length
    table = np.zeros(fixed.slots, np.int32)
    text = np.frombuffer(blob, np.uint8)
    twice = put_strings(table, text, np.ascontiguousarray(entries[:, 0]), np.ascontiguousarray(entries[:, 1]), 0, len(names))
    if twice >= 0:
        raise DuplicateRow("status board", show(names[twice]), "each name once")
    entries[: len(names), 0] += fixed.blob_at
    file = _new_file(path, mode)
    try:
        at = 0
        for data in (fixed.encode(), table.tobytes(), entries.tobytes(), blob):
            rest = memoryview(data)
            while len(rest):
                written = os.pwrite(file, rest, at)
                rest, at = rest[written:], at + written
    except BaseException:
        os.close(file)
        raise
    return file


def _new_file(path: Path, mode: int) -> int:
    path.unlink(missing_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    os.fchmod(file, mode)
    return file
