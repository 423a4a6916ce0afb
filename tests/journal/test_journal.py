"""The writer: what it acknowledges is on the disk, in order, once, and it has the journal to itself."""

from __future__ import annotations

import asyncio
import errno
import itertools
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from conftest import environment
from journal.damage import BACKENDS, fill, record, records
from seawall.core.errors import (
    BrokenJournal,
    InputError,
    JournalBusy,
    JournalError,
    JournalLocked,
    JournalStopped,
    LimitExceeded,
    UnreadableFile,
)
from seawall.journal import Journal, Limits, Schema, batches, examine
from seawall.journal import sqlite as sqlite_backend
from seawall.journal.sqlite import FULL_PAGES, PAGE_BYTES, SqliteStore

both = pytest.mark.parametrize("backend", BACKENDS)


class Wrapped:
    """A backend with something in front of its disk."""

    def __init__(self, store, before):
        self._store, self._before = store, before

    def append(self, frames):
        self._before(frames)
        self._store.append(frames)

    def close(self):
        self._store.close()


@both
def test_what_was_appended_is_there_after_opening_anew_in_order_and_under_its_market_sequence(tmp_path, backend):
    with Journal.open(tmp_path / "j", backend=backend) as journal:
        assert journal.append([b"a", b"b"], market_seq=5) == 2
        assert journal.append([b"c"]) == 3
        assert journal.append([b"d"], market_seq=6) == 4
        assert journal.durable.seq == 4
    with Journal.open(tmp_path / "j") as journal:
        assert journal.epoch == 2
        assert journal.append([b"e"]) == 5
        found = [(b.first_seq, b.epoch, b.market_seq, b.records) for b in journal.batches(after=1)]
    assert found == [(2, 1, 5, [b"b"]), (3, 1, 5, [b"c"]), (4, 1, 6, [b"d"]), (5, 2, 6, [b"e"])]
    assert examine(tmp_path / "j").status == "whole"


@both
def test_one_write_keeps_the_market_sequence_of_each_record(tmp_path, backend):
    gate = threading.Event()
    writes = []

    def before(frames):
        writes.append(len(frames))
        gate.wait(10)

    with Journal.open(tmp_path / "j", backend=backend, wrap=lambda store: Wrapped(store, before)) as journal:
        journal.submit([b"first"], 1)
        while not writes:
            time.sleep(0.001)
        for market_seq in (1, 1, 2, 3, 3):
            last = journal.submit([record(market_seq)], market_seq)
        assert journal.durable.seq == 0
        assert not journal.wait(last, timeout_s=0.01)
        gate.set()
        journal.wait(last)
    assert writes == [1, 3], "what gathers during a write is one group, a frame for each market sequence"
    assert [(b.market_seq, len(b.records)) for b in batches(tmp_path / "j")] == [(1, 1), (1, 2), (2, 1), (3, 2)]


@both
def test_concurrent_callers_share_writes_and_lose_nothing(tmp_path, backend):
    writes, acknowledged = [], []

    def caller(number):
        for each in range(40):
            seq = journal.append([f"{number}-{each}".encode()])
            acknowledged.append((seq, number, each))

    wrap = lambda store: Wrapped(store, lambda frames: writes.append(len(frames)))  # noqa: E731
    with Journal.open(tmp_path / "j", backend=backend, wrap=wrap) as journal:
        threads = [threading.Thread(target=caller, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = records(tmp_path / "j")
    assert len(found) == 16 * 40
    assert all(found[seq - 1] == f"{number}-{each}".encode() for seq, number, each in acknowledged)
    assert len(writes) < 16 * 40 / 2, "no group commit: a sync for each record"


def test_coroutines_are_woken_when_their_record_is_durable(tmp_path):
    heads = []

    async def everyone(journal):
        seqs = await asyncio.gather(*(journal.append_async([record(n)]) for n in range(200)))
        assert max(seqs) <= journal.durable.seq
        return seqs

    with Journal.open(tmp_path / "j", on_durable=heads.append) as journal:
        seqs = asyncio.run(everyone(journal))
    assert sorted(seqs) == list(range(1, 201))
    assert heads[-1].seq == 200
    assert [head.seq for head in heads] == sorted({head.seq for head in heads})


def test_what_is_no_record_is_refused_and_takes_no_sequence(tmp_path):
    with Journal.open(tmp_path / "j", limits=Limits(pending_bytes=1000)) as journal:
        for wrong, error in (([], InputError), (["text"], InputError), ([bytearray(b"x")], InputError),
                             ([bytes(1 << 25)], LimitExceeded), ([bytes(500)] * 3, LimitExceeded)):  # fmt: skip
            with pytest.raises(error):
                journal.append(wrong)
        journal.append([b"a"], market_seq=9)
        with pytest.raises(InputError, match="at least 9"):
            journal.append([b"b"], market_seq=8)
        with pytest.raises(InputError, match="up to 1"):
            journal.wait(2)
        assert journal.append([b"b"]) == 2


# ------------------------------------------------------------------------------------------ the disk


@both
def test_a_failed_write_stops_the_journal_and_everything_acknowledged_is_safe(tmp_path, backend):
    left = [3]

    def before(frames):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.EIO, "Input/output error")

    journal = Journal.open(tmp_path / "j", backend=backend, wrap=lambda store: Wrapped(store, before))
    for number in range(3):
        journal.append([record(number)])
    with pytest.raises(JournalStopped, match=r"input/output error.*up to sequence 3 is safe"):
        journal.append([b"lost"])
    with pytest.raises(JournalStopped):
        journal.submit([b"refused"])
    with pytest.raises(JournalStopped):
        asyncio.run(journal.append_async([b"refused"]))
    assert journal.status()["state"] == "stopped"
    assert "input/output" in journal.status()["reason"]
    with pytest.raises(JournalStopped):
        journal.close()
    with Journal.open(tmp_path / "j") as journal:
        assert journal.append([b"next"]) == 4
    assert records(tmp_path / "j") == [record(0), record(1), record(2), b"next"]


def test_coroutines_that_wait_for_a_failing_disk_are_told(tmp_path):
    gate = threading.Event()

    def before(frames):
        gate.wait(10)
        raise OSError(errno.ENOSPC, "No space left on device")

    async def two(journal):
        tasks = [asyncio.create_task(journal.append_async([b"x"])) for _ in range(2)]
        await asyncio.sleep(0.05)
        gate.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    journal = Journal.open(tmp_path / "j", wrap=lambda store: Wrapped(store, before))
    errors = asyncio.run(two(journal))
    assert [type(error) for error in errors] == [JournalStopped, JournalStopped]
    with pytest.raises(JournalStopped, match="no space left"):
        journal.close()


def test_a_slow_disk_is_said_to_be_slow_and_takes_more_when_it_answers(tmp_path):
    gate = threading.Event()
    limits = Limits(pending_bytes=100, stall_s=0.05)
    wrap = lambda store: Wrapped(store, lambda frames: gate.wait(10))  # noqa: E731
    with Journal.open(tmp_path / "j", limits=limits, wrap=wrap) as journal:
        journal.submit([bytes(60)])
        with pytest.raises(JournalBusy, match="does not keep up"):
            journal.submit([bytes(60)])
        time.sleep(0.1)
        with pytest.raises(JournalBusy, match="silent for more than"):
            journal.submit([b"x"])
        assert journal.status()["state"] == "busy"
        gate.set()
        journal.wait(1, timeout_s=10)
        assert journal.append([b"y"]) == 2
        assert journal.status()["state"] == "accepting"
    assert records(tmp_path / "j") == [bytes(60), b"y"]


def append_on_and_on(journal, batch):
    for _ in range(1000):
        journal.append(batch)
        time.sleep(0.01)


def test_a_head_that_cannot_be_synced_stops_the_journal(tmp_path, monkeypatch):
    monkeypatch.setattr("seawall.journal.journal.HEAD_SYNC_S", 0.01)
    told = threading.Event()

    def sync(head_file):
        if told.is_set():
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("seawall.journal.files.HeadFile.sync", sync)
    journal = Journal.open(tmp_path / "j")
    journal.append([b"one"])
    told.set()
    with pytest.raises(JournalStopped, match=r"input/output error"):
        append_on_and_on(journal, [b"more"])
    journal.close()
    assert records(tmp_path / "j")[0] == b"one"


def test_the_head_is_synced_once_a_second_and_not_when_nothing_came(tmp_path, monkeypatch):
    monkeypatch.setattr("seawall.journal.journal.HEAD_SYNC_S", 0.05)
    synced = []
    monkeypatch.setattr("seawall.journal.files.HeadFile.sync", lambda head_file: synced.append(time.monotonic()))
    with Journal.open(tmp_path / "j") as journal:
        at_start = len(synced)
        time.sleep(0.2)
        assert len(synced) == at_start, "nothing came"
        for _ in range(20):
            journal.append([b"x"])
        end = time.monotonic() + 10
        while len(synced) == at_start and time.monotonic() < end:
            time.sleep(0.01)
        gaps = [later - before for before, later in itertools.pairwise(synced[at_start:])]
        assert len(synced) > at_start
        assert all(gap >= 0.05 for gap in gaps)


def test_the_write_ahead_log_has_its_room_from_the_start_and_keeps_to_it(tmp_path):
    with Journal.open(tmp_path / "j") as journal:
        log = tmp_path / "j" / "frames.db-wal"
        room = log.stat().st_size
        assert room >= FULL_PAGES * PAGE_BYTES
        for _ in range(60):
            journal.append([bytes(PAGE_BYTES)] * 100)
        for _ in range(400):
            journal.append([b"small"])
        assert log.stat().st_size == room, "it begins anew when it is full"
    assert len(records(tmp_path / "j")) == 6400


def test_a_write_ahead_log_that_cannot_be_moved_stops_the_journal(tmp_path, monkeypatch):
    def move(store):
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(SqliteStore, "_move", move)
    journal = Journal.open(tmp_path / "j")
    with pytest.raises(JournalStopped, match=r"disk I/O error"):
        append_on_and_on(journal, [bytes(PAGE_BYTES)] * 100)
    kept = journal.durable.seq
    with pytest.raises(JournalStopped):
        journal.close()
    assert len(records(tmp_path / "j")) == kept > 0


def test_without_room_for_the_write_ahead_log_the_journal_opens_all_the_same(tmp_path, monkeypatch):
    fill(tmp_path / "j", "sqlite", 3)
    real = sqlite_backend._writer

    def full(path):
        connection = real(path)
        connection.execute("PRAGMA max_page_count=8").fetchall()
        return connection

    monkeypatch.setattr(sqlite_backend, "_writer", full)
    with Journal.open(tmp_path / "j") as journal:
        assert journal.append([b"next"]) == 7
    assert records(tmp_path / "j")[-1] == b"next"


# ---------------------------------------------------------------------------------------- one writer


@both
def test_a_second_writer_is_refused_and_a_reader_is_not(tmp_path, backend):
    with Journal.open(tmp_path / "j", backend=backend) as journal:
        journal.append([b"a"])
        with pytest.raises(JournalLocked, match="this process"):
            Journal.open(tmp_path / "j")
        code = "import sys; from seawall.journal import Journal; Journal.open(sys.argv[1])"
        line = [sys.executable, "-c", code, str(tmp_path / "j")]
        other = subprocess.run(line, capture_output=True, text=True, env=environment(), timeout=60)
        assert "JournalLocked" in other.stderr
        report = examine(tmp_path / "j")
        assert (report.status, report.live, report.records) == ("whole", True, 1)
        assert journal.append([b"b"]) == 2, "the journal goes on after others were refused or have read it"
    assert not examine(tmp_path / "j").live


FORKS = """
import os, signal, sys, time
from seawall.core.errors import JournalStopped
from seawall.journal import Journal

journal = Journal.open(sys.argv[1], backend=sys.argv[2])
journal.append([b"before the fork"])
child = os.fork()
if child == 0:
    try:
        journal.append([b"from the child"])
    except JournalStopped as error:
        told = "forked child" in str(error)
    sys.exit(0 if told else 1)  # the ordinary way, with destructors
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
journal.append([b"after the child"])
sleeper = os.fork()
if sleeper == 0:
    time.sleep(60)
    os._exit(0)
print(sleeper, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@both
def test_a_forked_child_neither_writes_nor_keeps_the_lock_of_its_killed_parent(tmp_path, backend):
    import os
    import signal

    line = [sys.executable, "-c", FORKS, str(tmp_path / "j"), backend]
    parent = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
    sleeper = int(parent.stdout.readline() or 0)
    assert sleeper, parent.stderr.read()
    try:
        parent.wait(30)
        os.kill(sleeper, 0)  # it lives
        with Journal.open(tmp_path / "j") as journal:
            journal.append([b"the next writer"])
    finally:
        os.kill(sleeper, signal.SIGKILL)
        parent.stdout.close()
        parent.stderr.close()
    assert records(tmp_path / "j") == [b"before the fork", b"after the child", b"the next writer"]


def test_something_else_in_the_folder_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UnreadableFile, match=r"no journal\.json"):
        Journal.open(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(InputError, match="sqlite, segments"):
        Journal.open(tmp_path / "j", backend="paper")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


# ---------------------------------------------------------------------------------- schema, snapshots


@both
def test_old_records_are_brought_up_to_the_present_schema(tmp_path, backend):
    fill(tmp_path / "j", backend, 1)
    second = Schema(2, {1: lambda old: old + b"|2"})
    with Journal.open(tmp_path / "j", schema=second) as journal:
        journal.append([b"new in 2"])
    third = Schema(3, {1: second.upgrades[1], 2: lambda old: old + b"|3"})
    with Journal.open(tmp_path / "j", schema=third) as journal:
        journal.append([b"new in 3"])
        found = [each for batch in journal.batches() for each in batch.records]
        assert journal.recovery.schemas == (1, 2)
    assert found == [record(1) + b"|2|3", record(2) + b"|2|3", b"new in 2|3", b"new in 3"]
    assert records(tmp_path / "j")[0] == record(1), "the log itself is never rewritten"
    with pytest.raises(JournalError, match="schema 3, this program knows up to 2"):
        Journal.open(tmp_path / "j", schema=second)
    with pytest.raises(JournalError, match="no way from schema 1 to 2"):
        Journal.open(tmp_path / "j", schema=Schema(3, {2: bytes}))


def test_segments_are_closed_at_their_size_and_read_across(tmp_path, monkeypatch):
    from seawall.journal.segments import SegmentStore

    monkeypatch.setattr(SegmentStore.__init__, "__defaults__", (500,))
    truth = fill(tmp_path / "j", "segments", 20)
    files = sorted(path.name for path in (tmp_path / "j").glob("segment-*"))
    assert len(files) == 5
    assert records(tmp_path / "j") == truth
    assert [each for batch in batches(tmp_path / "j", after=25) for each in batch.records] == truth[25:]
    (tmp_path / "j" / files[2]).unlink()
    with pytest.raises(BrokenJournal, match=f"{files[3]}.*should come"):
        Journal.open(tmp_path / "j")


READS = """
import sys, time
from seawall.journal import batches, examine

end, seen = time.monotonic() + 1.5, []
while time.monotonic() < end or len(seen) < 3:
    report = examine(sys.argv[1])
    assert report.live and report.status == "whole", report.findings
    read = sum(len(batch.records) for batch in batches(sys.argv[1]))
    assert read >= report.head.seq, (read, report.head.seq)
    seen.append(report.head.seq)
assert seen == sorted(seen) and seen[-1] > seen[0], seen
"""


@both
def test_a_reader_of_a_busy_journal_never_takes_it_for_damaged(tmp_path, backend, monkeypatch):
    from seawall.journal.segments import SegmentStore

    monkeypatch.setattr(SegmentStore.__init__, "__defaults__", (200_000,))  # new segments while it is read
    with Journal.open(tmp_path / "j", backend=backend) as journal:
        journal.append([b"first"])
        reader = subprocess.Popen(
            [sys.executable, "-c", READS, str(tmp_path / "j")], stderr=subprocess.PIPE, text=True, env=environment()
        )
        market_seq = 0
        while reader.poll() is None:
            market_seq += 1
            for _ in range(3):
                seq = journal.submit([bytes(200)] * 5, market_seq)
                market_seq += 1
            journal.wait(seq)
            if market_seq % 200 < 4:
                journal.snapshot(seq, {}, b"")
        said = reader.stderr.read()
        reader.stderr.close()
    assert reader.returncode == 0, said[-2000:]
