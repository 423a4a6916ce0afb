"""What a backend has to do: keep frames in order, and not return from `append` before the disk has them.

A backend knows where bytes lie; whether they are the right ones is decided above it, in `check.py`, the same for all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from seawall.core.errors import InputError
from seawall.journal.files import Identity
from seawall.journal.frame import Frame

__all__ = ["BACKENDS", "Bad", "Found", "Store", "store_class"]

BACKENDS = ("sqlite", "segments")


class Found(NamedTuple):
    """A frame whose checksums hold, and where it lies."""

    place: str
    frame: Frame


class Bad(NamedTuple):
    """The end of what can be read: where, and why. cut: the file and length that leave out a torn tail, if it is one."""

    place: str
    problem: str
    cut: tuple[Path, int] | None = None


class Store(Protocol):
    """A backend. `scan` needs no writer and changes nothing; everything else is the one writer's."""

    @classmethod
    def create(cls, folder: Path) -> None:
        """An empty log in the folder, on the disk."""

    @classmethod
    def files(cls, folder: Path) -> list[Path]:
        """The files that make up the log."""

    @classmethod
    def scan(cls, folder: Path, identity: Identity, from_seq: int) -> Iterator[Found | Bad]:
        """Frames in order, from the one that holds `from_seq` on; after a Bad nothing more comes."""

    def __init__(self, folder: Path, next_seq: int) -> None:
        """Opens the log for writing; waits until what is in it is on the disk."""

    def append(self, frames: Sequence[tuple[int, bytes]]) -> None:
        """Adds frames (first sequence, bytes), all or none, and returns when the disk has them.

        Raises OSError or sqlite3.Error; then nothing may be appended any more.
        """

    def close(self) -> None:
        """Closes the log."""


def store_class(name: str, place: str) -> type[Store]:
    """The backend of that name; InputError for a name that is none."""
    if name == "sqlite":
        from seawall.journal.sqlite import SqliteStore

        return SqliteStore
    if name == "segments":
        from seawall.journal.segments import SegmentStore

        return SegmentStore
    raise InputError(place, f"backend {name!r}", f"one of {', '.join(BACKENDS)}")
