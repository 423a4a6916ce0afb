"""Snapshots of a journal: what a restart reads of them, which one it trusts, and how many are kept."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from journal.damage import BACKENDS, record
from seawall.core.errors import BrokenJournal, InputError
from seawall.journal import Journal, examine

both = pytest.mark.parametrize("backend", BACKENDS)


@both
def test_a_restart_reads_only_what_came_after_the_newest_snapshot(tmp_path, backend):
    columns = {"account": np.arange(5, dtype=np.int64), "name": np.array(["a", "bc"]), "grid": np.eye(3), "none": np.zeros(0)}
    with Journal.open(tmp_path / "j", backend=backend) as journal:
        for number in range(1, 9):
            journal.append([record(number), record(-number)])
        journal.snapshot(5, {}, b"older")
        journal.snapshot(11, columns, b"hash of the state")
    with Journal.open(tmp_path / "j") as journal:
        held = journal.latest_snapshot()
        assert journal.recovery.first_seq == 11
        assert journal.recovery.frames == 3
        assert (held.seq, held.state_hash, held.schema) == (11, b"hash of the state", 1)
        assert all(np.array_equal(held.columns[name], columns[name]) for name in columns)
        assert held.columns["account"].dtype == np.int64
        rest = [each for batch in journal.batches(after=held.seq) for each in batch.records]
        assert rest == [record(-6), record(7), record(-7), record(8), record(-8)]
        assert journal.append([b"17"]) == 17
    with Journal.open(tmp_path / "j", whole=True) as journal:
        assert journal.recovery.first_seq == 1


def test_a_damaged_snapshot_is_passed_over_for_the_one_before(tmp_path):
    with Journal.open(tmp_path / "j") as journal:
        journal.append([b"a", b"b", b"c"])
        journal.snapshot(1, {}, b"1")
        newest = journal.snapshot(3, {"x": np.arange(99)}, b"3")
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data)
    report = examine(tmp_path / "j")
    assert report.status == "torn"
    assert newest.name in report.findings[0].place
    with Journal.open(tmp_path / "j") as journal:
        assert journal.latest_snapshot().seq == 1


def test_a_snapshot_is_evidence_when_the_log_has_lost_its_end(tmp_path):
    path = tmp_path / "j"
    with Journal.open(path, backend="segments") as journal:
        journal.append([b"a"])
        early = (path / "journal.head").read_bytes(), (path / "segment-00000000000000000001.log").stat().st_size
        journal.append([b"b"])
        journal.snapshot(2, {}, b"2")
    (path / "journal.head").write_bytes(early[0])
    with (path / "segment-00000000000000000001.log").open("rb+") as file:
        file.truncate(early[1])
    with pytest.raises(BrokenJournal, match=r"snapshot-.*acknowledged up to 2"):
        Journal.open(path, whole=True)
    with pytest.raises(BrokenJournal):
        Journal.open(path)


def test_snapshots_taken_at_once_leave_the_three_newest_and_nothing_half_done(tmp_path):
    with Journal.open(tmp_path / "j") as journal:
        journal.append([record(number) for number in range(40)])
        threads = [
            threading.Thread(target=lambda at=at: [journal.snapshot(at + n, {}, b"") for n in range(10)])
            for at in (1, 11, 21, 31)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        names = sorted(path.name for path in (tmp_path / "j" / "snapshots").iterdir())
        assert names == [f"snapshot-{seq:020d}.bin" for seq in (38, 39, 40)]
    (tmp_path / "j" / "snapshots" / "snapshot-00000000000000000041.bin.part").write_bytes(b"half")
    with Journal.open(tmp_path / "j") as journal:
        assert journal.latest_snapshot().seq == 40
    assert len(list((tmp_path / "j" / "snapshots").iterdir())) == 3


def test_a_snapshot_needs_a_record_and_columns_without_objects(tmp_path):
    with Journal.open(tmp_path / "j") as journal:
        journal.append([b"a"])
        with pytest.raises(InputError, match="sequence 0"):
            journal.snapshot(0, {}, b"")
        with pytest.raises(InputError, match="dtype object"):
            journal.snapshot(1, {"x": np.array([{}])}, b"")
