"""The one writer: takes records from any thread, writes them in groups, and tells when the disk has them.

A record gets its sequence when it is taken. One thread, the committer, writes whatever has gathered as one group: the longer
the disk takes, the larger the next group, so there is nothing to tune. Only after the disk has the group *and* the head file says
so does anybody hear of it. The first write that fails is the last: the journal stops, says why, and what was
acknowledged until then is safe.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np

from seawall.core.errors import InputError, JournalBusy, JournalStopped, LimitExceeded
from seawall.journal import snapshot as snapshots
from seawall.journal.background import Beside
from seawall.journal.check import Report
from seawall.journal.files import Head, HeadFile, Identity
from seawall.journal.frame import BODY_BYTES_MAX, encode, frame_hash
from seawall.journal.lock import Lock
from seawall.journal.opening import create, prepare
from seawall.journal.reading import Batch, Packed, batches, packed
from seawall.journal.schema import Schema
from seawall.journal.store import Store, store_class

__all__ = ["Journal", "Limits"]

RECORD_BYTES_MAX = 1 << 24
FRAME_BYTES = 1 << 22  # a frame is closed when it has grown to this
HEAD_SYNC_S = 1.0


class Limits(NamedTuple):
    """When a slow disk is too slow: so many bytes waiting, or one write under way for so long."""

    pending_bytes: int = 64 << 20
    stall_s: float = 2.0


class _Group(NamedTuple):
    """What one call handed in: its records, and the market sequence they were made under."""

    records: Sequence[bytes]
    market_seq: int
    size: int


class Journal:
    """A journal open for writing. Make one with `Journal.open`; close it, or use it in a `with`."""

    def __init__(
        self,
        folder: Path,
        identity: Identity,
        lock: Lock,
        store: Store,
        head_file: HeadFile,
        recovery: Report,
        epoch: int,
        schema: Schema,
        limits: Limits,
        on_durable: Callable[[Head], None] | None,
    ) -> None:
        self.path = folder
        self._restored = recovery.from_snapshot
        self.recovery = recovery._replace(from_snapshot=self._restored and self._restored._replace(columns={}))
        self.epoch = epoch
        self.schema = schema
        self._identity, self._lock, self._store, self._head_file = identity, lock, store, head_file
        self._limits, self._on_durable = limits, on_durable
        self._process = os.getpid()
        self._durable = recovery.head._replace(epoch=epoch)
        self._next_seq = self._durable.seq + 1
        self._market_seq = self._durable.market_seq
        self._pending: list[_Group] = []
        self._pending_bytes = 0
        self._writing_since: float | None = None
        self._reason: str | None = None
        self._closing = False
        self._frames: deque[Head] = deque([recovery.head], maxlen=4096)
        self._waiting: deque[tuple[int, asyncio.AbstractEventLoop, asyncio.Future[int]]] = deque()
        self._mutex = threading.Lock()
        self._snapshotting = threading.Lock()
        self._work = threading.Condition(self._mutex)
        self._done = threading.Condition(self._mutex)
        # Against a power cut the head may lag so much: it then proves less, and is never ahead of the log.
        self._head_syncs = Beside("journal head", head_file.sync, HEAD_SYNC_S, lambda error: self._stop(_reason(error)))
        self._committer = threading.Thread(target=self._commit_groups, name="journal committer", daemon=True)
        self._committer.start()

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        backend: str = "sqlite",
        schema: Schema | None = None,
        limits: Limits | None = None,
        whole: bool = False,
        on_durable: Callable[[Head], None] | None = None,
        wrap: Callable[[Store], Store] | None = None,
    ) -> Journal:
        """Opens the journal in this folder, or makes one where there is nothing; the only writer until it is closed.

        The log is verified from the newest snapshot on (whole: from its beginning), a torn end is cut off; `recovery` says
        what was found. backend: for a new journal; an old one keeps its own. schema: of new records, with the upgrades of old
        ones. on_durable hears each new head on the committer's thread, after the disk has it. wrap: puts something
        around the backend, such as a slow or failing disk.

        Raises JournalLocked where there is another writer, BrokenJournal for damage that no crash explains, JournalError
        for records of a schema that cannot be read, JournalStopped where the folder cannot be written to.
        """
        folder = Path(path)
        schema = schema or Schema()
        try:
            create(folder, backend)
            identity = Identity.read(folder)
            lock = Lock(folder)
        except OSError as error:
            raise _stopped(folder, _reason(error), None) from error
        try:
            recovery, epoch, head_file = prepare(folder, identity, schema, whole)
            store = store_class(identity.backend, str(folder))(folder, recovery.head.seq + 1)
            # The epoch counts, and what was found in the log is acknowledged, only once the disk has both.
            head_file.write_both(recovery.head._replace(epoch=epoch))
        except (OSError, sqlite3.Error) as error:
            lock.release()
            raise _stopped(folder, _reason(error), None) from error
        except BaseException:
            lock.release()
            raise
        if wrap is not None:
            store = wrap(store)
        return cls(folder, identity, lock, store, head_file, recovery, epoch, schema, limits or Limits(), on_durable)

    # ------------------------------------------------------------------------------------- writing

    def refuse_if_unable(self, size: int = 0) -> None:
        """Raises JournalStopped or JournalBusy where so many bytes would not be taken now."""
        with self._mutex:
            self._refuse_if_unable(size)

    def submit(self, records: Sequence[bytes], market_seq: int | None = None, *, promised: bool = False) -> int:
        """Takes records without waiting and returns the sequence of the last one; `wait` tells when they are durable.

        market_seq: the market data that they were made under, never less than before (None: the same as before). promised: a
        slow disk is no reason to refuse, because the caller asked `refuse_if_unable` before it acted. All are
        taken or none. Raises JournalStopped or JournalBusy where nothing is accepted, InputError for what is no record.
        """
        records = list(records)
        size = self._check(records)
        with self._mutex:
            self._refuse_if_unable(size, promised)
            market_seq = self._market_seq if market_seq is None else market_seq
            if not self._market_seq <= market_seq < 1 << 64:
                raise InputError("market_seq", market_seq, f"at least {self._market_seq}, the one before")
            self._market_seq = market_seq
            self._next_seq += len(records)
            self._pending.append(_Group(records, market_seq, size))
            self._pending_bytes += size
            if len(self._pending) == 1:
                self._work.notify()
            return self._next_seq - 1

    def wait(self, seq: int, timeout_s: float | None = None) -> bool:
        """Waits until the disk has everything up to `seq`; False after `timeout_s`: then nothing is known yet.

        Raises JournalStopped where it will never be.
        """
        with self._mutex:
            if not 0 <= seq < self._next_seq:
                raise InputError("sequence", seq, f"one that was taken, up to {self._next_seq - 1}")
            self._done.wait_for(lambda: self._durable.seq >= seq or self._reason is not None, timeout_s)
            if self._durable.seq >= seq:
                return True
            if self._reason is not None:
                raise self._refusal()
            return False

    def append(self, records: Sequence[bytes], market_seq: int | None = None) -> int:
        """`submit` and `wait`: returns the sequence of the last record when the disk has it."""
        seq = self.submit(records, market_seq)
        self.wait(seq)
        return seq

    async def append_async(
        self, records: Sequence[bytes], market_seq: int | None = None, *, promised: bool = False
    ) -> int:
        """`append` for a coroutine: one wake-up a group, however many wait for it."""
        seq = self.submit(records, market_seq, promised=promised)
        await self.wait_async(seq)
        return seq

    async def wait_async(self, seq: int) -> None:
        """`wait` for a coroutine. Those who wait are told in the order of their sequences if they came in it."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()
        with self._mutex:
            if self._durable.seq >= seq:
                return
            if self._reason is not None:
                raise self._refusal()
            self._waiting.append((seq, loop, future))
        await future

    def frame_of(self, seq: int) -> Head:
        """The frame of the log that holds a record, waiting until that is durable.

        InputError for sequence 0, or one so old that its frame is no longer at hand.
        """
        if not seq > 0:
            raise InputError("snapshot", f"sequence {seq}", "at least 1: before it there is no state to keep")
        self.wait(seq)
        with self._mutex:
            frame = next((each for each in self._frames if each.first_seq <= seq <= each.seq), None)
        if frame is None:
            raise InputError("snapshot", f"sequence {seq}", f"one of the last {self._frames.maxlen} batches")
        return frame

    def snapshot(
        self, seq: int, columns: Mapping[str, np.ndarray], state_hash: bytes, frame: Head | None = None
    ) -> Path:
        """Writes the state after record `seq`, waiting until that record is durable.

        columns: arrays by name. state_hash: what the caller's state says of itself, to be compared after a restart. frame:
        what `frame_of` said, for who makes columns for long. Returns the file. InputError as `frame_of`.
        """
        frame = frame or self.frame_of(seq)
        with self._snapshotting:
            return snapshots.write(self.path, self._identity, seq, frame, self.schema.version, state_hash, columns)

    # ------------------------------------------------------------------------------------- reading

    def latest_snapshot(self) -> snapshots.Snapshot | None:
        """The newest snapshot that holds, with its columns; fold `batches(after=snapshot.seq)` on top of it."""
        restored, self._restored = self._restored, None  # read at the start, and given away: it may be large
        paths = snapshots.paths(self.path)
        if restored is not None and restored.path == paths[-1]:
            return restored
        return snapshots.newest(self.path, self._identity)[0]

    def batches(self, after: int = 0) -> Iterator[Batch]:
        """Every record above `after`, brought up to the present schema."""
        return batches(self.path, after, self.schema)

    def packed(self, after: int = 0) -> Iterator[Packed]:
        """The same, each batch as one piece of bytes."""
        return packed(self.path, after, self.schema)

    @property
    def durable(self) -> Head:
        """Up to where the disk has everything."""
        return self._durable

    def status(self) -> dict[str, Any]:
        """state (accepting, busy, stopped, closed), reason, durable and next sequence, and what waits for the disk."""
        with self._mutex:
            since = self._writing_since
            state = "stopped" if self._reason else "busy" if self._too_slow(0) else "accepting"
            return {
                "state": "closed" if self._closing else state,
                "reason": self._reason or self._too_slow(0),
                "epoch": self.epoch,
                "durable_sequence": self._durable.seq,
                "next_sequence": self._next_seq,
                "pending_bytes": self._pending_bytes,
                "writing_s": 0.0 if since is None else time.monotonic() - since,
            }

    # ------------------------------------------------------------------------------------- closing

    def close(self) -> None:
        """Writes what was taken, then lets go of the lock. JournalStopped where some of it could not be written."""
        if os.getpid() != self._process:
            self._lock.release()
            return
        with self._mutex:
            already, self._closing = self._closing, True
            self._work.notify()
        if already:
            return
        self._committer.join()
        self._head_syncs.close()
        try:
            self._store.close()
            if self._reason is None:
                self._head_file.sync()
        except (OSError, sqlite3.Error) as error:
            self._reason = self._reason or _reason(error)
        finally:
            self._head_file.close()
            self._lock.release()
        if self._reason is not None and self._durable.seq < self._next_seq - 1:
            raise self._refusal()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self.close()
        except JournalStopped:
            if error is None:
                raise

    # ----------------------------------------------------------------------------------- committer

    def _commit_groups(self) -> None:
        while True:
            with self._mutex:
                while not self._pending:
                    if self._closing:
                        return
                    self._work.wait()
                groups, self._pending = self._pending, []
                self._writing_since = time.monotonic()
            try:
                self._commit(groups)
            except (OSError, sqlite3.Error) as error:
                self._stop(_reason(error))
                return
            except BaseException as error:
                self._stop(f"{type(error).__name__}: {error}")
                raise

    def _commit(self, groups: list[_Group]) -> None:
        """Makes one group durable, then known."""
        frames, heads = self._encode(groups)
        self._store.append(frames)
        self._head_file.write(heads[-1])
        size = sum(group.size for group in groups)
        with self._mutex:
            self._durable = heads[-1]
            self._frames.extend(heads)
            self._pending_bytes -= size
            self._writing_since = None
            self._done.notify_all()
            ready = []
            while self._waiting and self._waiting[0][0] <= self._durable.seq:
                ready.append(self._waiting.popleft())
        _resolve(ready, None)
        if self._on_durable is not None:
            self._on_durable(self._durable)
        self._head_syncs.ask()

    def _encode(self, groups: list[_Group]) -> tuple[list[tuple[int, bytes]], list[Head]]:
        """One frame for each run of records under one market sequence."""
        head = self._durable
        group_seq = head.seq + 1
        frames, heads = [], []
        for records, market_seq in _runs(groups):
            first_seq = head.seq + 1
            data = encode(
                records, salt=self._identity.salt, schema=self.schema.version, epoch=self.epoch, first_seq=first_seq,
                market_seq=market_seq, group_seq=group_seq, previous=head.hash,
            )  # fmt: skip
            head = Head(self.epoch, head.seq + len(records), market_seq, len(records), frame_hash(data))
            frames.append((first_seq, data))
            heads.append(head)
        return frames, heads

    def _stop(self, reason: str) -> None:
        with self._mutex:
            self._reason = reason
            self._pending.clear()
            self._writing_since = None
            self._done.notify_all()
            ready = list(self._waiting)
            self._waiting.clear()
        _resolve(ready, self._refusal())

    # -------------------------------------------------------------------------------------- guards

    def _check(self, records: Sequence[bytes]) -> int:
        if not records:
            raise InputError("journal record", "an empty batch", "at least one record")
        for record in records:
            if type(record) is not bytes:
                raise InputError("journal record", f"a {type(record).__name__}", "bytes")
            if len(record) > RECORD_BYTES_MAX:
                raise LimitExceeded("journal record", f"{len(record):,} bytes", f"at most {RECORD_BYTES_MAX:,}")
        size = sum(map(len, records))
        if size > self._limits.pending_bytes:
            raise LimitExceeded("journal batch", f"{size:,} bytes", f"at most {self._limits.pending_bytes:,}")
        return size

    def _refuse_if_unable(self, size: int, promised: bool = False) -> None:
        if os.getpid() != self._process:
            raise _stopped(self.path, "this is a forked child, the journal stayed with its parent", None)
        if self._reason is not None:
            raise self._refusal()
        if self._closing:
            raise _stopped(self.path, "the journal was closed", self._durable)
        if not promised and (slow := self._too_slow(size)):
            raise JournalBusy(str(self.path), slow, "this record was not taken; offer it again later")

    def _too_slow(self, size: int) -> str | None:
        if self._pending_bytes + size > self._limits.pending_bytes:
            return f"the disk does not keep up, {self._pending_bytes:,} bytes wait for it"
        if self._writing_since is not None and time.monotonic() - self._writing_since > self._limits.stall_s:
            return f"the disk has been silent for more than {self._limits.stall_s:g} s"
        return None

    def _refusal(self) -> JournalStopped:
        return _stopped(self.path, self._reason or "closed", self._durable)


def _runs(groups: list[_Group]) -> Iterator[tuple[list[bytes], int]]:
    """Records that go into one frame: one market sequence, and no more bytes than a frame takes."""
    records: list[bytes] = []
    size, market_seq = 0, groups[0].market_seq
    for group in groups:
        if records and (group.market_seq != market_seq or size > FRAME_BYTES):
            yield records, market_seq
            records, size = [], 0
        market_seq = group.market_seq
        if group.size + 4 * len(group.records) <= FRAME_BYTES:
            records += group.records
            size += group.size + 4 * len(group.records)
            continue
        for record in group.records:
            if records and size + len(record) + 4 > BODY_BYTES_MAX // 2:
                yield records, market_seq
                records, size = [], 0
            records.append(record)
            size += len(record) + 4
    yield records, market_seq


def _resolve(
    waiting: list[tuple[int, asyncio.AbstractEventLoop, asyncio.Future[int]]], error: Exception | None
) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[int, asyncio.Future[int]]]] = {}
    for seq, loop, future in waiting:
        by_loop.setdefault(loop, []).append((seq, future))
    for loop, futures in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_settle, futures, error)


def _settle(futures: list[tuple[int, asyncio.Future[int]]], error: Exception | None) -> None:
    for seq, future in futures:
        if future.done():
            continue  # whoever waited has given up
        if error is None:
            future.set_result(seq)
        else:
            future.set_exception(error)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        where = f" ({error.filename})" if error.filename else ""
        return f"{(error.strerror or str(error)).lower()}{where}"
    return str(error)


def _stopped(folder: Path, reason: str, durable: Head | None) -> JournalStopped:
    safe = "nothing was accepted" if durable is None else f"everything up to sequence {durable.seq:,} is safe"
    return JournalStopped(str(folder), f"no more records are accepted: {reason}", f"{safe}; mend the disk and open it anew")
