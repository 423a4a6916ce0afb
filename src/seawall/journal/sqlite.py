"""The embedded default: one row a frame in an SQLite database, write-ahead log, full sync at every commit.

SQLite keeps a crash from tearing anything, but it returns flipped bytes as if they were right and takes a damaged
write-ahead log for a shorter one: both are noticed above, by checksum, chain and head.

Two things keep the slowest commits from being several times as slow as the others. The write-ahead log gets its room at the start and is
then written over again and again: a file that grows makes a sync wait for the file system's own journal too. And a second
connection on a thread of its own moves it into the database; only when the log is full does a commit move the rest, which takes two syncs
more, and the log begins anew.
"""

from __future__ import annotations

import ctypes
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from seawall.journal.background import Beside
from seawall.journal.files import Identity, sync_data, sync_folder
from seawall.journal.frame import FrameError, decode
from seawall.journal.store import Bad, Found

__all__ = ["FILE", "UNREADABLE", "SqliteStore", "reader"]

FILE = "frames.db"
PAGE_BYTES = 8192
MOVED_PAGES = 100  # of the write-ahead log, after which the thread moves them
FULL_PAGES = 800  # at which a commit moves what is left
ROOM_PAGES = 1_000  # that it has from the start
ROWS_A_READ = 64
# What a damaged database makes of a read; its messages quote the damage, which need not be text.
UNREADABLE = (sqlite3.Error, UnicodeError, OverflowError)
_INSERT = "INSERT INTO frames VALUES (?, ?)"
_TABLE = "CREATE TABLE frames (first_seq INTEGER PRIMARY KEY, frame BLOB NOT NULL)"


class SqliteStore:
    """A log in an SQLite database; see `store.Store`."""

    def __init__(self, folder: Path, next_seq: int) -> None:
        self._connection: sqlite3.Connection | None = _writer(folder / FILE)
        # What a killed writer left may be in the system's memory only; a checkpoint waits for the disk.
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        _make_room(self._connection, folder / f"{FILE}-wal")
        sync_folder(folder)
        self._mover: sqlite3.Connection | None = _writer(folder / FILE)
        self._turn = threading.Lock()  # to move pages
        self._moving = Beside("journal checkpoints", self._move)
        self._pages = self._unmoved = 0  # in the write-ahead log, and of them since the thread was last asked
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
        if self._moving.failed is not None:
            raise self._moving.failed
        if len(frames) == 1:
            # A statement by itself is a transaction. Each statement more is a turn more for the interpreter's lock.
            connection.execute(_INSERT, frames[0])
        else:
            self._append_all(connection, frames)
        self._make_way(sum(2 + len(data) // PAGE_BYTES for _, data in frames))

    def _append_all(self, connection: sqlite3.Connection, frames: Sequence[tuple[int, bytes]]) -> None:
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(_INSERT, frames)
            connection.execute("COMMIT")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _make_way(self, pages: int) -> None:
        """Sees to it that the write-ahead log, so many pages longer, is moved, and begins anew when it is full."""
        self._pages += pages
        self._unmoved += pages
        if self._pages >= FULL_PAGES:
            with self._turn:
                _move(self._connection)
            self._pages = self._unmoved = 0
        elif self._unmoved >= MOVED_PAGES:
            self._unmoved = 0
            self._moving.ask()

    def _move(self) -> None:
        with self._turn:
            _move(self._mover)

    def close(self) -> None:
        """Closes the database, which moves what is in the write-ahead log into it."""
        if self._connection is not None and self._mover is not None:
            self._moving.close()
            self._mover.close()
            self._connection.close()
            self._mover = self._connection = None

    def forget(self) -> None:
        """In a forked child: lets go of the connection without closing it.

        A child that ends in the ordinary way would close it, and with that shorten a log that its parent writes to: one
        reference that nobody gives back keeps it open until the child is gone.
        """
        for connection in (self._connection, self._mover):
            if connection is not None:
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
        self._connection = self._mover = None


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
    # Used by one thread after the other, never by two at once: by the committer alone, or the checkpoints' thread alone.
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
    connection.execute("PRAGMA journal_mode=WAL").fetchall()
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA fullfsync=ON")
    connection.execute("PRAGMA checkpoint_fullfsync=ON")
    connection.execute("PRAGMA wal_autocheckpoint=0").fetchall()
    return connection


def _move(connection: sqlite3.Connection | None) -> None:
    """What is in the write-ahead log by now goes into the database, as far as no reader needs it; neither they nor a writer wait."""
    assert connection is not None, "moving after close"
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def _make_room(connection: sqlite3.Connection, log: Path) -> None:
    """Makes the write-ahead log as large as it is to be: a transaction that outgrows the cache is written to it and taken back."""
    connection.execute("PRAGMA cache_size=10")
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(_INSERT, (-1, b"\0" * (ROOM_PAGES * PAGE_BYTES)))
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname != "SQLITE_FULL":
            raise  # without the room the log grows as it is written, which is slower and nothing else
    if connection.in_transaction:
        connection.execute("ROLLBACK")
    connection.execute("PRAGMA cache_size=-2000")
    descriptor = os.open(log, os.O_RDONLY)
    try:
        sync_data(descriptor)
    finally:
        os.close(descriptor)


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
