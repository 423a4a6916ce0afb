"""The embedded default: one row a frame in an SQLite database, write-ahead log, full sync at every commit.

SQLite keeps a crash from tearing anything, but it returns flipped bytes as if they were right and takes a damaged
write-ahead log for a shorter one: both are noticed above, by checksum, chain and head. Checkpoints are small and frequent,
because the commit that has to make one waits for it.
"""

from __future__ import annotations

import ctypes
import os
import sqlite3
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from seawall.journal.files import Identity, sync_folder
from seawall.journal.frame import FrameError, decode
from seawall.journal.store import Bad, Found

__all__ = ["FILE", "UNREADABLE", "SqliteStore", "reader"]

FILE = "frames.db"
PAGE_BYTES = 8192
CHECKPOINT_PAGES = 200
ROWS_A_READ = 64
# What a damaged database makes of a read; its messages quote the damage, which need not be text.
UNREADABLE = (sqlite3.Error, UnicodeError, OverflowError)
_TABLE = "CREATE TABLE frames (first_seq INTEGER PRIMARY KEY, frame BLOB NOT NULL)"


class SqliteStore:
    """A log in an SQLite database; see `store.Store`."""

    def __init__(self, folder: Path, next_seq: int) -> None:
        self._connection: sqlite3.Connection | None = _writer(folder / FILE)
        # What a killed writer left may be in the system's memory only; a checkpoint waits for the disk.
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        sync_folder(folder)
        _open_stores.add(self)

    @classmethod
    def create(cls, folder: Path) -> None:
        """An empty database, on the disk."""
        connection = sqlite3.connect(folder / FILE, isolation_level=None)
        connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode=WAL").fetchall()
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(_TABLE)
        connection.close()
        sync_folder(folder)

    @classmethod
    def files(cls, folder: Path) -> list[Path]:
        """The database and its write-ahead log."""
        return [path for path in (folder / FILE, folder / f"{FILE}-wal", folder / f"{FILE}-shm") if path.exists()]

    @classmethod
    def scan(cls, folder: Path, identity: Identity, from_seq: int) -> Iterator[Found | Bad]:
        """Frames in order from the one that holds `from_seq`.

        Reads a few rows at a time: a reader that stays in the log keeps the writer from ever shortening it.
        """
        path = folder / FILE
        if not path.exists():
            yield Bad(FILE, "the file is missing")
            return
        if path.stat().st_size < PAGE_BYTES:
            # Not to be opened, not even for reading: SQLite deletes the write-ahead log of an empty database.
            yield Bad(FILE, f"{path.stat().st_size:,} bytes, less than one page")
            return
        place = FILE
        try:
            connection = reader(path)
            try:
                row = connection.execute("SELECT max(first_seq) FROM frames WHERE first_seq <= ?", (from_seq,)).fetchone()
                after = (row[0] or 1) - 1
                query = "SELECT first_seq, frame FROM frames WHERE first_seq > ? ORDER BY first_seq LIMIT ?"
                while rows := connection.execute(query, (after, ROWS_A_READ)).fetchall():
                    for first_seq, data in rows:
                        place = f"{FILE}, row {first_seq}"
                        item = _found(place, first_seq, data, identity.salt)
                        yield item
                        if isinstance(item, Bad):
                            return
                        after = first_seq
            finally:
                connection.close()
        except UNREADABLE as error:
            yield Bad(place, f"SQLite cannot read on ({error})")

    def append(self, frames: Sequence[tuple[int, bytes]]) -> None:
        """One transaction; COMMIT waits for the disk."""
        connection = self._connection
        assert connection is not None, "append after close"
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO frames VALUES (?, ?)", frames)
            connection.execute("COMMIT")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Closes the database, which moves what is in the write-ahead log into it."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def forget(self) -> None:
        """In a forked child: lets go of the connection without closing it.

        A child that ends in the ordinary way would close it, and with that shorten a log that its parent writes to: one
        reference that nobody gives back keeps it open until the child is gone.
        """
        if self._connection is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._connection))
            self._connection = None


_open_stores: weakref.WeakSet[SqliteStore] = weakref.WeakSet()


def _forget_in_child() -> None:
    for store in list(_open_stores):
        store.forget()


os.register_at_fork(after_in_child=_forget_in_child)


def _found(place: str, first_seq: int, data: object, salt: int) -> Found | Bad:
    if not isinstance(data, bytes):
        return Bad(place, "something that is no bytes")
    try:
        frame = decode(data, salt)
    except FrameError as error:
        return Bad(place, str(error))
    if frame.header.first_seq != first_seq:
        return Bad(place, f"a frame that begins with sequence {frame.header.first_seq:,}")
    return Found(place, frame)


def _writer(path: Path) -> sqlite3.Connection:
    # Used by one thread after the other, never by two at once: the committer alone, once the journal is open.
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
    connection.execute("PRAGMA journal_mode=WAL").fetchall()
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA fullfsync=ON")
    connection.execute("PRAGMA checkpoint_fullfsync=ON")
    connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}").fetchall()
    return connection


def reader(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing: it neither moves the write-ahead log into the database nor deletes it."""
    address = f"file:{quote(str(path.absolute()))}"
    connection = sqlite3.connect(f"{address}?mode=ro", uri=True, isolation_level=None, timeout=30)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        log = path.with_name(f"{FILE}-wal")
        if os.access(path.parent, os.W_OK) or (log.exists() and log.stat().st_size):
            raise
        # A folder that cannot be written to, and nothing waiting in the write-ahead log: the database is all there is.
        connection = sqlite3.connect(f"{address}?mode=ro&immutable=1", uri=True, isolation_level=None)
    except UNREADABLE:
        connection.close()  # left open it would keep an index of the write-ahead log that nobody checks again
        raise
    return connection
