"""One frame: a batch of records with everything that proves its place in the log.

A frame names its epoch, its first sequence and its market sequence, carries the hash of the frame before it, and has two
checksums: one of the header, so that a length can be trusted before it is followed, and one of the body. Both are
salted with the journal's own identity: a record that a client made up to look like a frame is never taken for one, and
neither is a frame of another journal. Little-endian throughout; the same bytes under every backend.

    offset  size  field
         0     4  magic "SWJF"
         4     2  format version, 1
         6     2  schema version of the records
         8     4  bytes of the body
        12     4  number of records, at least 1
        16     8  epoch: how often the journal was opened for writing
        24     8  sequence of the first record, from 1
        32     8  market sequence that the records were made under
        40     8  first sequence of the write (group commit) that the frame was part of
        48    32  SHA-256 of the whole previous frame (of the identity, for the first)
        80     4  CRC-32 of the body
        84     4  CRC-32 of bytes 0 to 83
        88     …  body: the length of each record as uint32, then the records, back to back
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np

__all__ = [
    "BODY_BYTES_MAX",
    "HEADER_BYTES",
    "MAGIC",
    "Frame",
    "FrameError",
    "Header",
    "decode",
    "encode",
    "frame_hash",
    "read_header",
]

MAGIC = b"SWJF"
FORMAT = 1
BODY_BYTES_MAX = 1 << 26
_FIELDS = struct.Struct("<4sHHIIQQQQ32sI")
_CRC = struct.Struct("<I")
HEADER_BYTES = _FIELDS.size + _CRC.size


class FrameError(Exception):
    """Bytes that are no frame, or no longer; the text says what was found."""


class Header(NamedTuple):
    """The header of a frame whose own checksum held."""

    schema: int
    body_bytes: int
    n_records: int
    epoch: int
    first_seq: int
    market_seq: int
    group_seq: int
    previous: bytes
    body_crc: int

    @property
    def last_seq(self) -> int:
        """Sequence of the last record."""
        return self.first_seq + self.n_records - 1

    @property
    def frame_bytes(self) -> int:
        """Header and body together."""
        return HEADER_BYTES + self.body_bytes


class Frame(NamedTuple):
    """A frame whose checksums held: its header, its bytes, and its own hash."""

    header: Header
    data: bytes
    hash: bytes

    def records(self) -> list[bytes]:
        """The records in order."""
        count = self.header.n_records
        lengths = struct.unpack_from(f"<{count}I", self.data, HEADER_BYTES)
        ends = list(accumulate(lengths, initial=HEADER_BYTES + 4 * count))
        return [self.data[start:end] for start, end in zip(ends, ends[1:], strict=False)]

    def packed(self) -> tuple[np.ndarray, memoryview]:
        """(the length of each record, int64; the records back to back)."""
        count = self.header.n_records
        sizes = np.frombuffer(self.data, "<u4", count, HEADER_BYTES).astype(np.int64)
        return sizes, memoryview(self.data)[HEADER_BYTES + 4 * count :]


def frame_hash(data: bytes) -> bytes:
    """The link that the next frame carries: SHA-256 of the whole frame, 32 bytes."""
    return hashlib.sha256(data).digest()


def encode(
    records: Sequence[bytes],
    *,
    salt: int,
    schema: int,
    epoch: int,
    first_seq: int,
    market_seq: int,
    group_seq: int,
    previous: bytes,
) -> bytes:
    """The bytes of one frame."""
    body = b"".join((struct.pack(f"<{len(records)}I", *map(len, records)), *records))
    fields = _FIELDS.pack(
        MAGIC, FORMAT, schema, len(body), len(records), epoch, first_seq, market_seq, group_seq, previous,
        zlib.crc32(body, salt),
    )  # fmt: skip
    return b"".join((fields, _CRC.pack(zlib.crc32(fields, salt)), body))


def read_header(data: bytes, salt: int) -> Header:
    """The header at the start of `data`. FrameError where there is none that holds."""
    if len(data) < HEADER_BYTES:
        raise FrameError(f"{len(data)} bytes where a header takes {HEADER_BYTES}")
    if data[:4] != MAGIC:
        raise FrameError("no frame (other first bytes)")
    if zlib.crc32(data[: _FIELDS.size], salt) != _CRC.unpack_from(data, _FIELDS.size)[0]:
        raise FrameError("a frame header whose checksum does not hold")
    _, version, *fields = _FIELDS.unpack_from(data)
    if version != FORMAT:
        raise FrameError(f"frame format {version}, which this version of Seawall does not know")
    header = Header(*fields)
    if not 0 < header.n_records <= header.body_bytes // 4 or header.body_bytes > BODY_BYTES_MAX or header.first_seq < 1:
        raise FrameError("a frame header that contradicts itself")
    return header


def decode(data: bytes, salt: int) -> Frame:
    """The frame that `data` is, no more and no less. FrameError where anything of it does not hold."""
    header = read_header(data, salt)
    if len(data) != header.frame_bytes:
        raise FrameError(f"{len(data)} bytes where the header says {header.frame_bytes}")
    body = memoryview(data)[HEADER_BYTES:]
    if zlib.crc32(body, salt) != header.body_crc:
        raise FrameError("a frame body whose checksum does not hold")
    lengths = struct.unpack_from(f"<{header.n_records}I", body)
    if sum(lengths) + 4 * header.n_records != header.body_bytes:
        raise FrameError("record lengths that do not add up to the body")
    return Frame(header, data, frame_hash(data))
