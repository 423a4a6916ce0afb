"""The two small files beside the log: what the journal is, and how far it is known to reach.

`journal.json` names the format, the backend and a random identity that every checksum and the first hash depend on.
`journal.head` says up to where records were acknowledged, so that a log that became shorter is noticed: no log can tell
that of itself. It is written after the log is on the disk and before anybody is told, in two slots of one sector that take
turns; so it is never ahead of an honest log, and a slot torn by a power cut leaves the other.

    slot, 512 bytes, at 512 × (generation mod 2):
         0     4  magic "SWJH"          32     8  epoch              96  412  zeros
         4     2  format version, 1     40     8  sequence          508    4  CRC-32 of bytes 0 to 507
         6     2  zero                  48     8  market sequence
         8     8  generation            56     8  records of the last frame
        16    16  identity              64    32  hash of the frame that ends with the sequence
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import struct
import zlib
from pathlib import Path
from typing import Any, NamedTuple

from seawall.core.errors import BrokenJournal, UnreadableFile

__all__ = ["HEAD_FILE", "IDENTITY_FILE", "Head", "HeadFile", "Identity", "sync_data", "sync_folder", "write_durably"]

IDENTITY_FILE = "journal.json"
HEAD_FILE = "journal.head"
SLOT_BYTES = 512
_SLOT = struct.Struct("<4sHHQ16sQQQQ32s")
_MAGIC = b"SWJH"


class Identity(NamedTuple):
    """What a journal is: its backend, and 16 random bytes that no other journal has."""

    backend: str
    id: bytes

    @classmethod
    def new(cls, backend: str) -> Identity:
        """A journal that never was."""
        return cls(backend, secrets.token_bytes(16))

    @property
    def salt(self) -> int:
        """Where the checksums of this journal begin."""
        return zlib.crc32(self.id)

    @property
    def genesis(self) -> bytes:
        """What the first frame has in place of a previous hash."""
        return hashlib.sha256(b"seawall journal 1 " + self.backend.encode() + self.id).digest()

    def text(self) -> bytes:
        """The identity file: one way to write it, so that any other byte in it is damage."""
        fields: dict[str, Any] = {"format": 1, "backend": self.backend, "id": self.id.hex()}
        fields["check"] = f"{zlib.crc32(json.dumps(fields).encode()):08x}"
        return (json.dumps(fields) + "\n").encode()

    @classmethod
    def read(cls, folder: Path) -> Identity:
        """UnreadableFile where the folder is no journal, BrokenJournal where its identity is damaged."""
        path = folder / IDENTITY_FILE
        try:
            data = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise UnreadableFile(str(folder), "no journal.json in it", "the folder of a journal") from None
        try:
            fields = json.loads(data)
            if fields["format"] != 1:
                raise UnreadableFile(str(path), f"format {fields['format']}", "format 1")
            identity = cls(str(fields["backend"]), bytes.fromhex(fields["id"]))
            whole = identity.text() == data
        except (ValueError, KeyError, TypeError):
            whole = False
        if not whole:
            raise BrokenJournal(str(path), "the identity of the journal is damaged", "restore this file from a backup")
        return identity


class Head(NamedTuple):
    """Up to where a journal reaches: sequence 0 before the first record, hash of the last frame."""

    epoch: int
    seq: int
    market_seq: int
    n_records: int
    hash: bytes

    @property
    def first_seq(self) -> int:
        """First sequence of the frame that the head is."""
        return self.seq - self.n_records + 1

    def words(self) -> dict[str, Any]:
        """For the JSON of an answer."""
        return {"sequence": self.seq, "hash": self.hash.hex(), "epoch": self.epoch, "market_sequence": self.market_seq}


class HeadFile:
    """The head file, open for writing."""

    def __init__(self, folder: Path, identity: Identity) -> None:
        self._identity = identity
        self.path = folder / HEAD_FILE
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        slots = [slot for slot in _slots(self.path, identity) if isinstance(slot, tuple)]
        self._generation = max((generation for generation, _ in slots), default=0)

    @staticmethod
    def read(folder: Path, identity: Identity) -> tuple[Head | None, list[str]]:
        """The newest head that holds (None: no slot does), and what is wrong with the file, if anything."""
        path = folder / HEAD_FILE
        try:
            slots = _slots(path, identity)
        except FileNotFoundError:
            return None, ["the file is missing"]
        problems = [slot for slot in slots if isinstance(slot, str)]
        held = [slot for slot in slots if isinstance(slot, tuple)]
        return (max(held)[1] if held else None), problems

    def write(self, head: Head) -> None:
        """Hands the head to the operating system: it outlives this process, and a power cut after `sync`."""
        self._generation += 1
        fields = (self._generation, self._identity.id, head.epoch, head.seq, head.market_seq, head.n_records, head.hash)
        data = _SLOT.pack(_MAGIC, 1, 0, *fields).ljust(SLOT_BYTES - 4, b"\0")
        data += struct.pack("<I", zlib.crc32(data))
        if os.pwrite(self._descriptor, data, SLOT_BYTES * (self._generation % 2)) != SLOT_BYTES:
            raise OSError(28, "no space left for the head", str(self.path))

    def write_both(self, head: Head) -> None:
        """Writes both slots and waits for the disk: at the start of an epoch."""
        self.write(head)
        self.write(head)
        os.ftruncate(self._descriptor, 2 * SLOT_BYTES)
        self.sync()

    def sync(self) -> None:
        """Waits for the disk; for the data alone, which spares a file system that keeps a journal of its own a commit."""
        sync_data(self._descriptor)

    def close(self) -> None:
        """Closes the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _slots(path: Path, identity: Identity) -> list[tuple[int, Head] | str]:
    data = path.read_bytes()
    if len(data) != 2 * SLOT_BYTES:
        return [f"{len(data)} bytes where there should be {2 * SLOT_BYTES}"]
    return [_slot(data[at : at + SLOT_BYTES], number, identity) for number, at in enumerate((0, SLOT_BYTES))]


def _slot(data: bytes, number: int, identity: Identity) -> tuple[int, Head] | str:
    if struct.unpack_from("<I", data, SLOT_BYTES - 4)[0] != zlib.crc32(data[:-4]):
        return f"the checksum of slot {number} does not hold"
    magic, version, _, generation, id_, *fields = _SLOT.unpack_from(data)
    if magic != _MAGIC or version != 1 or id_ != identity.id or generation % 2 != number:
        return f"slot {number} belongs to another journal or version"
    return generation, Head(*fields)


def sync_data(descriptor: int) -> None:
    """Waits until the file's data is on the disk, and not in its cache where the system can ask for that."""
    full = getattr(fcntl, "F_FULLFSYNC", None)  # macOS: fsync alone does not empty the drive's cache
    if full is not None:
        fcntl.fcntl(descriptor, full)
    else:
        os.fdatasync(descriptor)


def sync_folder(folder: Path) -> None:
    """Waits until the names in the folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(path: Path, *parts: bytes | memoryview) -> None:
    """A file that is there whole, after a power cut too, or not at all."""
    rough = path.with_name(path.name + ".part")
    with rough.open("wb") as file:
        for part in parts:
            file.write(part)
        file.flush()
        os.fsync(file.fileno())
    os.replace(rough, path)
    sync_folder(path.parent)
