"""What the tests of the journal share: small journals, pictures of them as a crash would leave them, and their frames."""

from __future__ import annotations

import sqlite3
import struct
import subprocess
from pathlib import Path

from seawall.journal import Journal, batches, examine
from seawall.journal.files import Identity
from seawall.journal.store import Found, store_class

BACKENDS = ("sqlite", "segments")


def record(number: int) -> bytes:
    """A record that says which one it is."""
    return f"record {number} ".encode() * (1 + number % 3)


def fill(path: Path, backend: str, frames: int, per_frame: int = 2) -> list[bytes]:
    """A closed journal of so many frames, and its records."""
    truth = [record(number) for number in range(1, frames * per_frame + 1)]
    with Journal.open(path, backend=backend) as journal:
        for at in range(0, len(truth), per_frame):
            journal.append(truth[at : at + per_frame], market_seq=at)
    return truth


def picture(path: Path, to: Path) -> Path:
    """A copy as it lies there, by another process: reading the files in this one would drop the writer's locks."""
    subprocess.run(["cp", "-r", str(path), str(to)], check=True)
    (to / "journal.lock").unlink(missing_ok=True)
    return to


def records(path: Path) -> list[bytes]:
    """Everything in a journal."""
    return [each for batch in batches(path) for each in batch.records]


def written_bytes(path: Path) -> int:
    """Length of a file, of a write-ahead log that of what was committed to it: behind that is room that says nothing."""
    if not path.name.endswith("-wal"):
        return path.stat().st_size
    log = path.read_bytes()
    if not log:
        return 0
    step = 24 + struct.unpack_from(">I", log, 8)[0]  # a head of 24 bytes before each page
    ends = [at + step for at in range(32, len(log), step) if log[at + 8 : at + 16] == log[16:24] and any(log[at + 4 : at + 8])]
    return max(ends, default=0)


def frames(path: Path) -> list[Found]:
    """The frames of a whole journal."""
    identity = Identity.read(path)
    found = list(store_class(identity.backend, "").scan(path, identity, 1))
    assert all(isinstance(each, Found) for each in found)
    return found


def rewrite(path: Path, frames: list[tuple[int, bytes]]) -> None:
    """Puts these frames (row, bytes) in place of the log of a closed journal."""
    segments = sorted(path.glob("segment-*.log"))
    if segments:
        segments[0].write_bytes(b"".join(data for _, data in frames))
        return
    with sqlite3.connect(path / "frames.db") as connection:
        connection.execute("DELETE FROM frames")
        connection.executemany("INSERT INTO frames VALUES (?, ?)", frames)
    connection.close()


def status(path: Path) -> str:
    """What verify says in one word."""
    return examine(path).status
