"""Damage of every kind: what a crash leaves is mended and said, everything else is refused with its place."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from journal.damage import BACKENDS, fill, frames, picture, record, records, rewrite, status, written_bytes
from seawall.core.errors import BrokenJournal, JournalError, UnreadableFile
from seawall.journal import Journal, examine
from seawall.journal.check import integrity
from seawall.journal.repair import repair

both = pytest.mark.parametrize("backend", BACKENDS)
SEGMENT = "segment-00000000000000000001.log"


@pytest.fixture(scope="module", params=[*BACKENDS, "sqlite with a write-ahead log"])
def still(request, tmp_path_factory):
    """A journal of 6 frames and a snapshot that nobody touches: closed, or as a kill leaves it: (path, truth, files)."""
    folder = tmp_path_factory.mktemp("still")
    backend = request.param.split()[0]
    truth = [record(number) for number in range(1, 13)]
    with Journal.open(folder / "open", backend=backend) as journal:
        for at in range(0, 12, 2):
            journal.append(truth[at : at + 2], market_seq=at)
        journal.snapshot(8, {}, b"state")
        if request.param != backend:
            path = picture(folder / "open", folder / "j")
            return path, truth, parts(path)
    path = picture(folder / "open", folder / "j")
    return path, truth, parts(path)


def parts(path: Path) -> list[tuple[Path, int]]:
    """Every file that says something, with its length."""
    silent = ("journal.lock", "frames.db-shm")
    found = [each for each in sorted(path.rglob("*")) if each.is_file() and each.name not in silent]
    return [(each, length) for each in found if (length := written_bytes(each))]


def verdict(path: Path, truth: list[bytes]) -> str:
    """What verify says of a damaged journal; harmless: in bytes that mean nothing, every record is as it was."""
    try:
        report = examine(path)
    except (JournalError, UnreadableFile):
        return "refused"
    if report.status != "whole" or list(integrity(path, report.identity)):
        return report.status
    assert records(path) == truth, "whole, and other records"
    return "harmless"


def test_verify_changes_nothing(still):
    path, truth, files = still
    before = {name: name.read_bytes() for name, _ in files}
    assert status(path) == "whole"
    assert records(path) == truth
    assert {name: name.read_bytes() for name, _ in files} == before


@settings(max_examples=250)
@given(st.data())
def test_a_flip_of_any_byte_anywhere_is_found(still, data):
    path, truth, files = still
    file, length = data.draw(st.sampled_from(files))
    at = data.draw(st.integers(0, length - 1))
    mask = data.draw(st.integers(1, 255))
    with file.open("rb+") as open_file:
        open_file.seek(at)
        byte = open_file.read(1)[0]
        open_file.seek(at)
        open_file.write(bytes([byte ^ mask]))
    try:
        said = verdict(path, truth)
    finally:
        with file.open("rb+") as open_file:
            open_file.seek(at)
            open_file.write(bytes([byte]))
    # In a database some bytes mean nothing: free room in a page, counters. Anywhere else none does.
    assert said != "harmless" or file.name.startswith("frames.db")


@pytest.mark.soak
def test_a_flip_of_every_single_byte_is_found(still):
    path, truth, files = still
    harmless = 0
    for file, length in files:
        whole = file.read_bytes()
        for at in range(length):
            file.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :])
            said = verdict(path, truth)
            assert said != "harmless" or file.name.startswith("frames.db"), f"{file.name} byte {at}"
            harmless += said == "harmless"
        file.write_bytes(whole)
    assert harmless < sum(length for _, length in files)


@settings(max_examples=60)
@given(st.data())
def test_a_file_that_is_gone_or_cut_is_found(still, data):
    path, truth, files = still
    file, length = data.draw(st.sampled_from(files))
    if file.parent.name == "snapshots":
        return
    keep = data.draw(st.sampled_from([None, 0]) | st.integers(0, length - 1))
    whole = file.read_bytes()
    if keep is None:
        file.unlink()
    else:
        os.truncate(file, keep)
    try:
        said = verdict(path, truth)
    finally:
        file.write_bytes(whole)
    # Pages of the database that the write-ahead log still holds are not missed.
    assert said in ("broken", "refused") or (file.name == "frames.db" and (path / "frames.db-wal").exists())
    assert parts(path) == files, "looking at a damaged journal damaged it more"


def test_a_write_ahead_log_cut_anywhere_or_deleted_is_not_taken_for_a_shorter_log(tmp_path):
    with Journal.open(tmp_path / "open") as journal:
        for number in range(1, 4):
            journal.append([record(number)])
        path = picture(tmp_path / "open", tmp_path / "j")
    log = path / "frames.db-wal"
    whole, written = log.read_bytes(), written_bytes(log)
    for length in [*range(0, written, 997), written - 1]:
        log.write_bytes(whole[:length])
        assert status(path) == "broken", length
    log.unlink()
    with pytest.raises(BrokenJournal, match=r"journal\.head.*the log ends with sequence 0.*acknowledged up to 3"):
        Journal.open(path)
    log.write_bytes(whole)
    with Journal.open(path) as journal:
        assert journal.durable.seq == 3, "the refused openings have not touched it"


# ------------------------------------------------------------------------------------- the torn tail


@pytest.fixture
def torn(tmp_path):
    """A journal of segments whose third frame was being written when the process died: (path, the frame's start and end)."""
    path = tmp_path / "j"
    with Journal.open(path, backend="segments") as journal:
        journal.append([record(1)])
        journal.append([record(2)])
        head, start = (path / "journal.head").read_bytes(), (path / SEGMENT).stat().st_size
        journal.append([record(3), record(4)])
        end = (path / SEGMENT).stat().st_size
    return path, head, start, end


def test_a_tail_cut_at_any_byte_is_cut_off_if_it_was_not_acknowledged_and_refused_if_it_was(torn, tmp_path):
    path, early, start, end = torn
    late = (path / "journal.head").read_bytes()
    whole = (path / SEGMENT).read_bytes()
    for length in range(start, end):
        (path / SEGMENT).write_bytes(whole[:length])
        (path / "journal.head").write_bytes(late)
        report = examine(path)
        assert report.status == "broken"
        assert "acknowledged up to 4" in report.findings[0].problem
        (path / "journal.head").write_bytes(early)
        report = examine(path)
        assert report.head.seq == 2
        assert report.status == ("whole" if length == start else "torn")
        if length % 9 == 0:
            shutil.copytree(path, copy := tmp_path / f"{length}")
            with Journal.open(copy) as journal:
                assert journal.recovery.findings or length == start
                assert journal.append([b"new"]) == 3
            assert records(copy) == [record(1), record(2), b"new"]
            assert [each.read_bytes() for each in copy.glob("removed/*/*")] == [whole[start:length]] * (length > start)


def test_a_whole_frame_that_was_not_acknowledged_yet_is_kept(torn):
    path, early, _, _ = torn
    (path / "journal.head").write_bytes(early)
    with Journal.open(path) as journal:
        assert journal.durable.seq == 4


def test_zeros_after_the_end_as_a_power_cut_leaves_them_are_a_torn_tail(torn):
    path, _, _, _ = torn
    with (path / SEGMENT).open("ab") as file:
        file.write(bytes(5000))
    assert status(path) == "torn"
    with Journal.open(path) as journal:
        assert "5,000 bytes after sequence 4" in journal.recovery.findings[0].problem
        assert journal.append([b"x"]) == 5
    assert status(path) == "whole"


def test_a_lost_page_in_a_write_of_several_frames_is_a_torn_tail_and_before_a_later_write_it_is_damage(tmp_path):
    import threading

    gate = threading.Event()

    class Held:
        def __init__(self, store):
            self._store = store

        def append(self, frames):
            gate.wait(10)
            self._store.append(frames)

        def close(self):
            self._store.close()

    path = tmp_path / "j"
    with Journal.open(path, backend="segments", wrap=Held) as journal:
        head = (path / "journal.head").read_bytes()
        journal.submit([b"1"], 1)
        while not journal.status()["writing_s"]:
            pass
        for number in (2, 3, 4):
            journal.submit([str(number).encode()], number)  # three frames of the second write
        gate.set()
    found = frames(path)
    assert [each.frame.header.group_seq for each in found] == [1, 2, 2, 2]
    (path / "journal.head").write_bytes(head)
    datas = [each.frame.data for each in found]
    (path / SEGMENT).write_bytes(datas[0] + bytes(len(datas[1])) + datas[2] + datas[3])
    assert status(path) == "torn"
    (path / SEGMENT).write_bytes(bytes(len(datas[0])) + datas[1] + datas[2] + datas[3])
    assert status(path) == "broken"


def test_a_record_that_looks_like_a_frame_does_not_make_a_torn_tail_look_like_damage(tmp_path):
    fill(tmp_path / "other", "segments", 5)
    bait = frames(tmp_path / "other")[4].frame.data
    path = tmp_path / "j"
    with Journal.open(path, backend="segments") as journal:
        head = (path / "journal.head").read_bytes()
        journal.append([bait, bytes(50)])
    (path / "journal.head").write_bytes(head)
    os.truncate(path / SEGMENT, (path / SEGMENT).stat().st_size - 10)
    assert status(path) == "torn"


# ---------------------------------------------------------------------------------- frames in the middle


def tampered(path: Path, how: str) -> None:
    found = [(each.frame.header.first_seq, each.frame.data) for each in frames(path)]
    if how == "removed":
        found = found[:3] + found[4:]
    elif how == "swapped":
        found[2], found[3] = (found[2][0], found[3][1]), (found[3][0], found[2][1])
    elif how == "doubled":
        found = found[:4] + [(found[3][0] + 1, found[3][1])] + found[4:]
    elif how == "first removed":
        found = found[1:]
    rewrite(path, found)


@both
@pytest.mark.parametrize("how", ["removed", "swapped", "doubled", "first removed"])
def test_a_frame_out_of_its_place_is_refused_with_sequence_and_file(tmp_path, backend, how):
    path = tmp_path / "j"
    fill(path, backend, 8)
    tampered(path, how)
    expected = {"removed": 7, "swapped": 5, "doubled": 9, "first removed": 1}[how]
    with pytest.raises(BrokenJournal) as refused:
        Journal.open(path)
    assert {"sqlite": "frames.db, row", "segments": SEGMENT}[backend] in str(refused.value)
    assert f"{expected}" in refused.value.problem
    assert f"--keep-until {expected - 1}" in refused.value.remedy
    with pytest.raises(BrokenJournal):
        records(path)


@both
def test_another_history_of_the_same_length_is_refused(tmp_path, backend):
    """Somebody restores an old copy and goes on from there: the head remembers what was acknowledged."""
    path = tmp_path / "j"
    fill(path, backend, 3)
    old = picture(path, tmp_path / "old")
    head = []
    for folder, text in ((path, b"the history that was told"), (old, b"another history!!!!!!!!!!")):
        with Journal.open(folder) as journal:
            journal.append([text])
        head.append((folder / "journal.head").read_bytes())
    (old / "journal.head").write_bytes(head[0])
    with pytest.raises(BrokenJournal, match="sequence 7 was acknowledged, and the log has another hash there"):
        Journal.open(old)


@both
def test_a_head_known_from_elsewhere_must_be_on_the_log(tmp_path, backend):
    path = tmp_path / "j"
    fill(path, backend, 4)
    head = examine(path).head
    assert examine(path, expect=(head.seq, head.hash)).status == "whole"
    assert examine(path, expect=(head.seq, bytes(32))).status == "broken"
    assert examine(path, expect=(head.seq + 1, head.hash)).status == "broken"
    assert examine(path, expect=(head.seq - 1, head.hash)).status == "broken"


def test_one_damaged_head_slot_is_mended_and_two_are_not_guessed(tmp_path):
    path = tmp_path / "j"
    fill(path, "segments", 3)
    data = bytearray((path / "journal.head").read_bytes())
    for slot in (0, 512):
        changed = bytearray(data)
        changed[slot + 40] ^= 1
        (path / "journal.head").write_bytes(changed)
        assert status(path) == "torn"
    data[40] ^= 1
    data[552] ^= 1
    (path / "journal.head").write_bytes(data)
    with pytest.raises(BrokenJournal, match="nothing says how far"):
        Journal.open(path)
    (path / "journal.head").unlink()
    with pytest.raises(BrokenJournal, match="missing"):
        Journal.open(path)


# ---------------------------------------------------------------------------------------- repair


@both
def test_repair_gives_up_acknowledged_records_only_when_told_and_keeps_the_old_files(tmp_path, backend):
    path = tmp_path / "j"
    truth = fill(path, backend, 8)
    whole = picture(path, tmp_path / "whole")
    tampered(path, "removed")
    for wrong in (None, 5, 12):
        with pytest.raises(BrokenJournal):
            repair(path, wrong)
    result = repair(path, 6)
    assert result.lost == 10
    assert status(path) == "whole"
    with Journal.open(path) as journal:
        assert journal.append([b"on"]) == 7
        assert journal.epoch == 2
    assert records(path) == [*truth[:6], b"on"]
    kept = result.removed[0]
    assert sorted(each.name for each in kept.iterdir()) != []
    if backend == "segments":
        assert len((kept / SEGMENT).read_bytes()) < len((whole / SEGMENT).read_bytes())
    else:
        with sqlite3.connect(kept / "frames.db") as connection:
            assert connection.execute("SELECT count(*) FROM frames").fetchone() == (7,)
        connection.close()


def test_repair_cuts_a_torn_tail_and_moves_a_damaged_snapshot_away(torn):
    path, early, start, end = torn
    with Journal.open(path) as journal:
        snapshot = journal.snapshot(4, {}, b"")
    snapshot.write_bytes(snapshot.read_bytes()[:-1])
    (path / "journal.head").write_bytes(early)
    os.truncate(path / SEGMENT, end - 1)
    result = repair(path)
    assert result.before.status == "torn"
    assert result.lost == 0
    assert {each.name for each in result.removed} == {f"{SEGMENT}.from-byte-{start}", snapshot.name}
    assert status(path) == "whole"
    assert repair(path).done == []
