"""The status board's two files, to the byte: what a writer writes and every reader, in any language, relies on.

Everything is little-endian and aligned to its size. The board is a header page and then one line of 64 bytes per row; the
header's second line and every row are int64 × 8, of which word 0 is a sequence lock (`kernels/seqlock.py`). Names stand
in a file of their own beside it, only ever appended to. docs/status_board.md says the same in words.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import NamedTuple

from seawall.core.errors import UnreadableFile

__all__ = [
    "CLOSED",
    "FIELDS",
    "HEADER_BYTES",
    "LINE_BYTES",
    "LIVE_LINE",
    "NAMES_HEADER_BYTES",
    "REPLACED",
    "RUNNING",
    "Fixed",
    "NamesFixed",
    "board_bytes",
    "boot_id",
    "first_line",
    "index_slots",
    "name_hash",
    "names_path",
]

LINE_BYTES = 64
HEADER_BYTES = 4096
LIVE_LINE = 1
NAMES_HEADER_BYTES = 64
RUNNING, CLOSED, REPLACED = 1, 2, 3
FIELDS = ("equity_micro", "initial_micro", "maintenance_micro", "status", "sequence", "market_version", "at_ns")
"""Words 1 to 7 of a row."""

_VERSION = 1
_BOARD = struct.Struct("<4sIIIqqq16sI")
_NAMES = struct.Struct("<4sIqqq28x")
_CRC = struct.Struct("<I")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_FNV_BASIS, _FNV_PRIME, _MASK64 = 0xCBF29CE484222325, 0x100000001B3, 2**64 - 1


class Fixed(NamedTuple):
    """Line 0 of a board, written once: how many rows there are, which creation this is, who writes, since which boot."""

    rows: int
    generation: int
    process: int
    boot: bytes

    def encode(self) -> bytes:
        """64 bytes, the last four a CRC-32 of the others."""
        head = _BOARD.pack(
            b"SWSB", _VERSION, HEADER_BYTES, LINE_BYTES, self.rows, self.generation, self.process, self.boot, 0
        )
        return head + _CRC.pack(zlib.crc32(head))

    @classmethod
    def decode(cls, data: bytes, size: int, place: str) -> Fixed:
        """The fixed line of a file of `size` bytes; UnreadableFile, naming `place`, where it is none."""
        _check(data, b"SWSB", place, "a status board")
        _, _, header, line, rows, generation, process, boot, _ = _BOARD.unpack_from(data)
        if (header, line) != (HEADER_BYTES, LINE_BYTES) or rows < 1 or generation < 1 or size < board_bytes(rows):
            found = f"{size:,} bytes, {rows:,} rows of {line} after {header}, generation {generation}"
            raise UnreadableFile(place, found, "a status board of the length that its header says")
        return cls(rows, generation, process, boot)


class NamesFixed(NamedTuple):
    """The first line of a file of names: of which creation of the board, how many slots its index has and entries it takes."""

    generation: int
    slots: int
    rows: int

    def encode(self) -> bytes:
        """64 bytes, the last four a CRC-32 of the others."""
        head = _NAMES.pack(b"SWSN", _VERSION, self.generation, self.slots, self.rows)
        return head + _CRC.pack(zlib.crc32(head))

    @classmethod
    def decode(cls, data: bytes, size: int, place: str) -> NamesFixed:
        """The first line of a file of `size` bytes; UnreadableFile, naming `place`, where it is none."""
        _check(data, b"SWSN", place, "a file of names of a status board")
        _, _, generation, slots, rows = _NAMES.unpack_from(data)
        found = cls(generation, slots, rows)
        if rows < 1 or slots != index_slots(rows) or size < found.blob_at:
            raise UnreadableFile(place, f"{size:,} bytes, {slots:,} slots, {rows:,} rows", "whole tables")
        return found

    @property
    def entries_at(self) -> int:
        """Where the entries begin, int64 × 2 per row: place in the file and bytes of its name; 0, 0 where it has none."""
        return NAMES_HEADER_BYTES + 4 * self.slots

    @property
    def blob_at(self) -> int:
        """Where the names themselves begin, UTF-8 back to back."""
        return self.entries_at + 16 * self.rows


def board_bytes(rows: int) -> int:
    """The length of a board's file."""
    return HEADER_BYTES + LINE_BYTES * rows


def first_line() -> int:
    """The line of row 0, counted from the beginning of the file."""
    return HEADER_BYTES // LINE_BYTES


def names_path(path: Path) -> Path:
    """The names beside a board."""
    return path.with_name(path.name + ".names")


def index_slots(rows: int) -> int:
    """Slots of the names' index, int32 each (row + 1, or 0): the power of two from twice the rows on, at least 16."""
    return max(16, 1 << (2 * rows - 1).bit_length())


def name_hash(name: bytes, slots: int) -> int:
    """Where a name's search begins: FNV-1a of 64 bits, its halves xored, modulo the slots; then slot by slot."""
    found = _FNV_BASIS
    for byte in name:
        found = (found ^ byte) * _FNV_PRIME & _MASK64
    return (found ^ found >> 32) & (slots - 1)


def boot_id() -> bytes:
    """16 bytes that differ from boot to boot of this machine; zeros where the system does not say."""
    try:
        return bytes.fromhex(_BOOT_ID.read_text("ascii").strip().replace("-", ""))
    except (OSError, ValueError):
        return bytes(16)


def _check(data: bytes, magic: bytes, place: str, what: str) -> None:
    if len(data) < LINE_BYTES or data[:4] != magic:
        raise UnreadableFile(place, f"{len(data):,} bytes that begin with {data[:4]!r}", what)
    if zlib.crc32(data[:60]) != _CRC.unpack_from(data, 60)[0]:
        raise UnreadableFile(place, "a header whose checksum does not hold", what)
    version = int.from_bytes(data[4:8], "little")
    if version != _VERSION:
        raise UnreadableFile(place, f"layout version {version}", f"layout version {_VERSION}")
