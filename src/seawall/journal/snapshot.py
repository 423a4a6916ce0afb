"""Snapshots: a state at a sequence as named columns, so that a restart folds only what came after it.

The caller gives the columns and the hash of the state; the file adds which frame of the log the state belongs to, and a
hash of itself. A snapshot is evidence too: a log that no longer reaches it, or reaches it with another hash, has lost
or changed records.

    offset  size  field
         0     4  magic "SWJS"
         4     4  bytes of the header
         8     …  header, msgpack: identity, sequence, frame, schema, state_hash, columns (name, dtype, shape, offset, bytes)
         …     …  each column's bytes, C order, at a multiple of 64 counted from the header's end rounded up to 64
       end    32  SHA-256 of everything before
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from seawall.core.errors import InputError
from seawall.journal.files import Head, Identity, write_durably

__all__ = ["FOLDER", "Snapshot", "SnapshotDamaged", "newest", "paths", "read", "write"]

FOLDER = "snapshots"
KEPT = 3
_START = struct.Struct("<4sI")
_MAGIC = b"SWJS"
_ALIGN = 64


class SnapshotDamaged(Exception):
    """A file that is no whole snapshot of this journal; the text says what was found."""


class Snapshot(NamedTuple):
    """A state: every record up to `seq` is in it. frame: the frame of the log that holds `seq`."""

    path: Path
    seq: int
    frame: Head
    schema: int
    state_hash: bytes
    columns: dict[str, np.ndarray]


class _Column(msgspec.Struct, frozen=True, array_like=True):
    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    size: int


class _Header(msgspec.Struct, frozen=True):
    identity: bytes
    seq: int
    frame: Head
    schema: int
    state_hash: bytes
    columns: list[_Column]


def paths(folder: Path) -> list[Path]:
    """The snapshots of a journal, oldest first."""
    return sorted((folder / FOLDER).glob("snapshot-*.bin"))


def write(
    folder: Path,
    identity: Identity,
    seq: int,
    frame: Head,
    schema: int,
    state_hash: bytes,
    columns: Mapping[str, np.ndarray],
) -> Path:
    """Writes the snapshot and returns its path; the three newest are kept.

    columns: arrays of any shape and any dtype of fixed size; InputError for an array of Python objects.
    """
    listed: list[_Column] = []
    data: list[memoryview | bytes] = []
    at = 0
    for name, values in columns.items():
        array = np.ascontiguousarray(values)
        if array.dtype.hasobject or array.dtype.names is not None:
            raise InputError(f"snapshot column {name}", f"dtype {array.dtype}", "numbers, booleans or text of fixed size")
        part = array.reshape(-1).view(np.uint8).data if array.size else b""
        listed.append(_Column(name, array.dtype.str, np.shape(values), at, len(part)))
        padding = -len(part) % _ALIGN
        data += [part, bytes(padding)]
        at += len(part) + padding
    header = msgspec.msgpack.encode(_Header(identity.id, seq, frame, schema, state_hash, listed))
    start = _START.pack(_MAGIC, len(header)) + header
    parts = [start + bytes(-len(start) % _ALIGN), *data]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    path = folder / FOLDER / f"snapshot-{seq:020d}.bin"
    path.parent.mkdir(exist_ok=True)
    write_durably(path, *parts, digest.digest())
    for old in paths(folder)[:-KEPT]:
        old.unlink(missing_ok=True)
    return path


def read(path: Path, identity: Identity) -> Snapshot:
    """The snapshot of that file, its columns read-only. SnapshotDamaged where anything of it does not hold."""
    data = path.read_bytes()
    if len(data) < _START.size + 32 or hashlib.sha256(memoryview(data)[:-32]).digest() != data[-32:]:
        raise SnapshotDamaged("the hash of the file does not hold")
    magic, size = _START.unpack_from(data)
    if magic != _MAGIC:
        raise SnapshotDamaged("no snapshot (other first bytes)")
    header = msgspec.msgpack.decode(data[_START.size : _START.size + size], type=_Header)
    if header.identity != identity.id:
        raise SnapshotDamaged("a snapshot of another journal")
    base = _START.size + size
    base += -base % _ALIGN
    columns = {each.name: _column(data, base, each) for each in header.columns}
    return Snapshot(path, header.seq, header.frame, header.schema, header.state_hash, columns)


def newest(folder: Path, identity: Identity) -> tuple[Snapshot | None, list[tuple[Path, str]]]:
    """The newest snapshot that holds, and the newer ones that do not with what is wrong with them."""
    damaged: list[tuple[Path, str]] = []
    for path in reversed(paths(folder)):
        try:
            return read(path, identity), damaged
        except FileNotFoundError:
            continue  # a writer that goes on keeps the newest only
        except SnapshotDamaged as error:
            damaged.append((path, str(error)))
    return None, damaged


def _column(data: bytes, base: int, column: _Column) -> np.ndarray:
    dtype: Any = np.dtype(column.dtype)
    count = column.size // dtype.itemsize if dtype.itemsize else 0
    return np.frombuffer(data, dtype, count, base + column.offset).reshape(column.shape)
