"""The board in Python: the layout to the byte, and a reader that would rather say unknown than give out a doubtful copy."""

from __future__ import annotations

import os
import signal
import struct
import time
import zlib

import numpy as np
import pytest

from seawall.core.errors import DuplicateRow, InputError, UnreadableFile
from seawall.engine.status_board import StatusBoard
from seawall.statusboard import BoardReader, Row, Unknown, layout
from statusboard.boards import NAMES, beat, board_at, storm

BOTH = pytest.mark.parametrize("compiled", [False, True], ids=["python", "compiled"])


def test_the_board_to_the_byte(tmp_path):
    board = StatusBoard.create(tmp_path / "board", 5, ["alice", "bob"], generation=7)
    board.write(np.array([3]), np.array([[-1, 2, 3, 4, 5, 6, 2**63 - 1]]))
    board.write(np.array([3]), np.array([[-9, 2, 3, 4, 5, 6, 7]]))
    board.header(1_000, 2_000, 3_000, 4_000)
    data = (tmp_path / "board").read_bytes()
    assert len(data) == 4096 + 5 * 64
    assert data[:4] == b"SWSB"
    assert struct.unpack("<IIIqqq", data[4:40]) == (1, 4096, 64, 5, 7, os.getpid())
    assert data[40:56] == layout.boot_id()
    assert data[56:60] == bytes(4)
    assert struct.unpack("<I", data[60:64])[0] == zlib.crc32(data[:60])
    assert struct.unpack("<8q", data[64:128]) == (4, 1_000, 2_000, 3_000, 4_000, 2, 1, 0)
    assert not any(data[128:4096])
    assert struct.unpack("<8q", data[4096 + 3 * 64 :][:64]) == (4, -9, 2, 3, 4, 5, 6, 7)
    assert not any(data[4096 : 4096 + 3 * 64])
    assert oct((tmp_path / "board").stat().st_mode & 0o777) == "0o640"


def test_the_names_to_the_byte(tmp_path):
    StatusBoard.create(tmp_path / "board", 9, ["alice", "zoë"], generation=7).add_names(["bob"])
    data = (tmp_path / "board.names").read_bytes()
    assert data[:4] == b"SWSN"
    assert struct.unpack("<Iqqq", data[4:32]) == (1, 7, 32, 9)
    assert not any(data[32:60])
    assert struct.unpack("<I", data[60:64])[0] == zlib.crc32(data[:60])
    index = np.frombuffer(data[64:192], "<i4")
    assert index[layout.name_hash(b"alice", 32)] == 1
    assert sorted(index.tolist()) == [0] * 29 + [1, 2, 3]
    entries = np.frombuffer(data[192 : 192 + 144], "<i8").reshape(9, 2)
    assert entries[:3].tolist() == [[336, 5], [341, 4], [345, 3]]
    assert not entries[3:].any()
    assert data[336:].decode() == "alicezoëbob"
    assert layout.name_hash(b"", 1 << 62) == (0xCBF29CE484222325 ^ 0xCBF29CE4) & (2**62 - 1)
    assert layout.name_hash(b"a", 1 << 32) == 0xAF63DC4C ^ 0x8601EC8C, "the published FNV-1a of one letter"


@BOTH
def test_a_row_is_found_by_name_and_read(tmp_path, compiled):
    with board_at(tmp_path / "board") as board, BoardReader(tmp_path / "board", compiled=compiled) as reader:
        assert [reader.find(name) for name in NAMES] == [0, 1, 2, 3, 4]
        assert [reader.name(row) for row in range(5)] == list(NAMES) == list(reader.names())
        assert reader.read(1) == Row(10, 11, 12, 13, 14, 15, 16)
        assert reader.read(3) == Unknown("unpublished")
        assert reader.read(8) == reader.read(-1) == Unknown("no such row")
        assert not reader.read(3)
        assert reader.find("nobody") is None
        assert reader.find("alic") is None
        assert reader.find("\ud800") is None
        with pytest.raises(InputError, match="row 5"):
            reader.name(5)
        values, known = reader.read_all()
        assert known.tolist() == [True] * 3 + [False] * 5
        assert values[:3].tolist() == [list(reader.read(row)) for row in range(3)]
        assert not values[3:].any()
        assert reader.read_all(1, 1)[0].tolist() == [list(range(10, 17))]
        header = reader.header()
        assert (header.durable_seq, header.market_version, header.named_rows, header.state) == (41, 42, 5, "running")
        assert header.fresh
        assert header.generation == board.generation == reader.generation


@BOTH
def test_an_old_sign_of_life_makes_everything_stale(tmp_path, compiled):
    with board_at(tmp_path / "board") as board, BoardReader(tmp_path / "board", 0.5, compiled) as reader:
        for ago_s in (0.6, 3_600.0, -5.0):  # a heartbeat ahead of the clock is of another boot
            beat(board, ago_s)
            assert reader.read(1) == Unknown("stale")
            assert not reader.read_all()[1].any()
            assert not reader.header().fresh
        beat(board)
        assert reader.read(1)


def test_a_board_of_another_boot_is_stale_whatever_its_heartbeat(tmp_path, monkeypatch):
    with board_at(tmp_path / "board"):
        monkeypatch.setattr(layout, "boot_id", lambda: b"another boot....")
        with BoardReader(tmp_path / "board") as reader:
            assert reader.read(1) == Unknown("stale")


def test_before_its_first_sign_of_life_a_board_is_stale(tmp_path):
    board = StatusBoard.create(tmp_path / "board", 4, ["alice"])
    board.write(np.array([0]), np.ones((1, 7), np.int64))
    assert BoardReader(tmp_path / "board").read(0) == Unknown("stale")


@BOTH
@pytest.mark.parametrize("line", [0, 2])
def test_a_writer_killed_in_mid_row_leaves_that_row_unknown_until_the_next_start(tmp_path, compiled, line):
    path = tmp_path / "board"
    with board_at(path) as board, BoardReader(path, compiled=compiled) as reader:
        with path.open("r+b") as file:  # the lock odd and half of the words new: what the kill leaves
            file.seek(4096 + 64 * line)
            file.write(struct.pack("<4q", 3, 77, 77, 77))
        assert reader.read(line) == Unknown("busy")
        assert reader.read(1) == Row(10, 11, 12, 13, 14, 15, 16)
        assert reader.read_all()[1].tolist() == [row < 3 and row != line for row in range(8)]
        board.write(np.array([line]), np.full((1, 7), 5))
        assert reader.read(line) == Row(5, 5, 5, 5, 5, 5, 5)


def test_a_killed_writer_leaves_whole_rows_or_unknown_ones_and_soon_everything_stale(tmp_path):
    path, rows = tmp_path / "board", 4
    for attempt in range(6):
        writer = storm(path, rows)
        time.sleep(0.01 + 0.007 * attempt)
        writer.send_signal(signal.SIGKILL)
        writer.wait(20)
        with BoardReader(path, max_age_s=3_600.0) as reader:
            assert reader.generation == attempt + 1
            for row in range(rows):
                found = reader.read(row)
                if found:
                    assert list(found) == list(range(found[0], found[0] + 7)), "torn"
                else:
                    assert found == Unknown("busy")
            reader.max_age_s = 0.0
            assert reader.read(0).reason in ("stale", "busy")


def test_a_new_start_replaces_the_board_under_its_readers(tmp_path):
    path = tmp_path / "board"
    first = board_at(path)
    with BoardReader(path) as reader, board_at(path, 20, (*NAMES[::-1], "dave")) as second:
        assert reader.read(1) == Unknown("replaced")
        assert not reader.read_all()[1].any()
        assert reader.header().state == "replaced"
        assert second.generation == first.generation + 1
        assert reader.reopen()
        assert (reader.rows, reader.find("dave"), reader.find("alice")) == (20, 5, 4)
        assert reader.read(1) == Row(10, 11, 12, 13, 14, 15, 16)
        assert not reader.reopen(), "the same board again"


def test_a_closed_board_says_so_and_its_successor_is_of_a_higher_generation(tmp_path):
    path = tmp_path / "board"
    board = board_at(path)
    with BoardReader(path) as reader:
        board.close()
        board.close()
        assert reader.read(1) == Unknown("closed")
        with StatusBoard.create(path, 1, generation=9) as later:
            assert later.generation == 9
        with StatusBoard.create(path, 1, generation=3) as latest:
            assert latest.generation == 10
    with pytest.raises(InputError, match="closed"):
        reader.read(1)


def test_names_are_added_while_readers_look(tmp_path):
    with StatusBoard.create(tmp_path / "board", 600) as board, BoardReader(tmp_path / "board") as reader:
        assert list(reader.names()) == []
        assert board.add_names(["a", "b"]) == 0
        assert board.add_names([f"account {k}" for k in range(598)]) == 2
        assert reader.find("account 597") == 599
        assert reader.find("account 598") is None
        assert len(list(reader.names())) == 600
        assert reader.header().named_rows == 600
        with pytest.raises(InputError, match="at most 600"):
            board.add_names(["one more"])


@pytest.mark.parametrize("names", [["new", "alice"], ["new", "new"]])
def test_a_name_twice_is_refused_and_nothing_is_added(tmp_path, names):
    with board_at(tmp_path / "board", 20) as board, BoardReader(tmp_path / "board") as reader:
        before = (tmp_path / "board.names").read_bytes()
        with pytest.raises(DuplicateRow):
            board.add_names(names)
        assert (tmp_path / "board.names").read_bytes() == before
        assert reader.find("new") is None
    with pytest.raises(DuplicateRow):
        StatusBoard.create(tmp_path / "other", 20, ["a", "b", "a"])


def test_rows_that_are_not_there_and_values_of_another_shape_are_refused(tmp_path):
    with board_at(tmp_path / "board") as board, BoardReader(tmp_path / "board") as reader:
        for rows, values in (([0, 8], np.zeros((2, 7))), ([-1], np.zeros((1, 7))), ([0], np.zeros((1, 6)))):
            with pytest.raises(InputError):
                board.write(np.array(rows), values.astype(np.int64))
        assert reader.read(0) == Row(0, 1, 2, 3, 4, 5, 6), "nothing of a refused batch was written"
    for rows in (0, -1, 2**30):
        with pytest.raises(InputError):
            StatusBoard.create(tmp_path / "b", rows)


def damaged(data: bytes, at: int, value: bytes, mend: bool = True) -> bytes:
    """A header with other bytes and, unless told otherwise, a checksum that holds."""
    data = data[:at] + value + data[at + len(value) :]
    return data[:60] + struct.pack("<I", zlib.crc32(data[:60])) + data[64:] if mend else data


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda data: b"", "0 bytes"),
        (lambda data: data[:63], "63 bytes"),
        (lambda data: data[:-1], "rows of 64"),
        (lambda data: data[:4096], "rows of 64"),
        (lambda data: os.urandom(len(data)), "status board"),
        (lambda data: damaged(data, 0, b"SWSN"), "SWSN"),
        (lambda data: damaged(data, 4, b"\x02"), "layout version 2"),
        (lambda data: damaged(data, 16, b"\x09"), "9 rows"),
        (lambda data: damaged(data, 16, b"\xff" * 8), "-1 rows"),
        (lambda data: damaged(data, 12, b"\x80"), "rows of 128"),
        (lambda data: damaged(data, 24, b"\x05", mend=False), "checksum"),
        (lambda data: damaged(data, 24, b"\x05"), "generation"),
    ],
    ids=["empty", "cut head", "cut row", "no rows", "garbage", "names", "version", "rows", "negative", "line", "flip", "other"],
)
def test_what_is_no_board_is_refused_by_the_reader_and_replaced_by_a_start(tmp_path, monkeypatch, change, says):
    monkeypatch.setattr("seawall.statusboard.reader._OPENING_TRIES", 2)
    path = tmp_path / "board"
    board_at(path).close()
    whole = path.read_bytes()
    path.write_bytes(change(whole))
    with pytest.raises(UnreadableFile, match=says):
        BoardReader(path)
    with board_at(path), BoardReader(path) as reader:
        assert reader.read(2)


@pytest.mark.parametrize("cut", [0, 63, 64, 200])
def test_names_that_were_cut_off_are_refused(tmp_path, cut):
    board_at(tmp_path / "board").close()
    names = tmp_path / "board.names"
    names.write_bytes(names.read_bytes()[:cut])
    with pytest.raises(UnreadableFile, match="names"):
        BoardReader(tmp_path / "board")


def test_a_board_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UnreadableFile, match="nowhere"):
        BoardReader(tmp_path / "nowhere")
