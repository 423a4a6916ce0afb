"""The plain backend: frames one after the other in files of bounded size, one write and one sync a batch.

Files are `segment-<first sequence, 20 digits>.log`. A crash can only leave an incomplete end of the last one; a frame that
holds and was written *after* the end was already on the disk shows that the damage is older than any crash.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from seawall.journal.files import Identity, sync_data, sync_folder
from seawall.journal.frame import HEADER_BYTES, MAGIC, FrameError, decode, read_header
from seawall.journal.store import Bad, Found

__all__ = ["SEGMENT_BYTES", "SegmentStore"]

SEGMENT_BYTES = 1 << 28


class SegmentStore:
    """A log in segment files; see `store.Store`."""

    def __init__(self, folder: Path, next_seq: int, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        files = self.files(folder)
        self._path = files[-1] if files else folder / _name(next_seq)
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._end = os.fstat(self._descriptor).st_size
        # What a killed writer left may be in the system's memory only; from here on it counts as durable.
        sync_data(self._descriptor)
        sync_folder(folder)

    @classmethod
    def create(cls, folder: Path) -> None:
        """An empty log: the first segment comes with the first writer."""

    @classmethod
    def files(cls, folder: Path) -> list[Path]:
        """The segments, in order."""
        return sorted(folder.glob("segment-*.log"))

    @classmethod
    def scan(cls, folder: Path, identity: Identity, from_seq: int) -> Iterator[Found | Bad]:
        """Frames in order from the one that holds `from_seq`."""
        files = cls.files(folder)
        started = [path for path in files if _first_seq(path) <= from_seq]
        files = files[max(len(started) - 1, 0) :]
        for path in files:
            expected = _first_seq(path)
            with path.open("rb", buffering=1 << 20) as file:
                for item in _frames(file, path, identity.salt, expected, path == files[-1], from_seq):
                    yield item
                    if isinstance(item, Bad):
                        return

    def append(self, frames: Sequence[tuple[int, bytes]]) -> None:
        """Writes all frames at the end of the last segment and waits for the disk."""
        if self._end >= self._segment_bytes:
            self._next_segment(frames[0][0])
        data = b"".join([data for _, data in frames])
        try:
            _write_all(self._descriptor, data, self._end, self._path)
        except OSError:
            # Nothing of it was acknowledged: away with the part that found room, while that is still possible.
            os.ftruncate(self._descriptor, self._end)
            raise
        sync_data(self._descriptor)
        self._end += len(data)

    def close(self) -> None:
        """Closes the last segment."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _next_segment(self, first_seq: int) -> None:
        path = self._folder / _name(first_seq)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        sync_folder(self._folder)
        os.close(self._descriptor)
        self._path, self._descriptor, self._end = path, descriptor, 0


def _name(first_seq: int) -> str:
    return f"segment-{first_seq:020d}.log"


def _first_seq(path: Path) -> int:
    digits = path.stem.removeprefix("segment-")
    return int(digits) if digits.isdecimal() else 0


def _frames(file: BinaryIO, path: Path, salt: int, expected: int, last: bool, from_seq: int) -> Iterator[Found | Bad]:
    offset = 0
    while head := file.read(HEADER_BYTES):
        place = f"{path.name} at byte {offset:,}"
        try:
            header = read_header(head, salt)
            if header.last_seq < from_seq and (offset or header.first_seq == expected):
                # Not asked for: the header says how far to go.
                file.seek(header.body_bytes, os.SEEK_CUR)
                offset, expected = offset + header.frame_bytes, header.last_seq + 1
                continue
            frame = decode(head + file.read(header.body_bytes), salt)
        except FrameError as error:
            torn = last and not _goes_on(file, offset + 1, salt, expected)
            yield Bad(place, str(error), (path, offset) if torn else None)
            return
        if offset == 0 and header.first_seq != _first_seq(path):
            yield Bad(place, f"a frame that begins with sequence {header.first_seq:,} in a file of that name")
            return
        yield Found(place, frame)
        offset += header.frame_bytes
        expected = header.last_seq + 1


def _goes_on(file: BinaryIO, offset: int, salt: int, expected: int) -> bool:
    """Whether a frame of a later write stands behind the bad one: then the bad one had been on the disk.

    Frames of the same write prove nothing: before the sync a disk may keep the later pages and lose the earlier.
    """
    file.seek(offset)
    rest = file.read()
    at = rest.find(MAGIC)
    while at >= 0:
        try:
            if read_header(rest[at : at + HEADER_BYTES], salt).group_seq > expected:
                return True
        except FrameError:
            pass  # the four letters alone are no frame
        at = rest.find(MAGIC, at + 1)
    return False


def _write_all(descriptor: int, data: bytes, offset: int, path: Path) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        if written <= 0:
            raise OSError(28, "nothing could be written", str(path))
        view, offset = view[written:], offset + written
