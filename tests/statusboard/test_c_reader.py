"""The reader in C: compiled here, it says what the one in Python says, and no read under a storm of writes is torn."""

from __future__ import annotations

import json
import struct
import subprocess

import numpy as np
import pytest

from conftest import ROOT
from seawall.engine.status_board import StatusBoard
from statusboard.boards import HERE, NAMES, beat, board_at, compiled, storm


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return compiled(ROOT / "examples" / "status_board" / "read_board.c", tmp_path_factory.mktemp("c"))


@pytest.fixture(scope="module")
def storm_reader(tmp_path_factory):
    return compiled(HERE / "storm_reader.c", tmp_path_factory.mktemp("c"))


def run(program, *arguments) -> tuple[int, list[str], str]:
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout.splitlines(), done.stderr


def test_the_example_prints_what_was_published(program, tmp_path):
    path = tmp_path / "board"
    with board_at(path) as board:
        beat(board)
        code, lines, _ = run(program, path, *NAMES[:3])
        assert code == 0
        assert lines[1] == "bob equity 10 initial 11 maintenance 12 status 13 sequence 14 market 15 at 16"
        beat(board)
        code, lines, _ = run(program, path, "alice", "zoë", NAMES[4], "nobody", "")
        assert code == 1
        assert [line.split(" unknown: ")[-1] for line in lines[1:]] == ["unpublished"] * 2 + ["no such row"] * 2


def test_names_that_share_slots_are_all_found(program, tmp_path):
    names = [f"account {k}" for k in range(500)]
    with StatusBoard.create(tmp_path / "board", 500, names[:250]) as board:
        board.add_names(names[250:])
        board.write(np.arange(500), np.arange(500)[:, None] + np.zeros((1, 7), np.int64))
        beat(board)
        code, lines, _ = run(program, tmp_path / "board", *names)
    assert code == 0
    assert [line.split()[3] for line in lines] == [str(k) for k in range(500)]


def test_what_cannot_be_believed_is_unknown(program, tmp_path):
    path = tmp_path / "board"
    board = board_at(path)
    beat(board, 30)
    assert run(program, path, "bob")[:2] == (1, ["bob unknown: stale"])
    beat(board, -30)
    assert run(program, path, "bob")[:2] == (1, ["bob unknown: stale"])
    with path.open("r+b") as file:
        file.seek(4096 + 64)
        file.write(struct.pack("<4q", 3, 77, 77, 77))
    beat(board)
    assert run(program, path, "bob")[:2] == (1, ["bob unknown: busy"])
    board.close()
    assert run(program, path, "bob")[:2] == (1, ["bob unknown: closed"])


@pytest.mark.parametrize("name", ["board", "board.names"])
@pytest.mark.parametrize("cut", [0, 63, 64, 100, 4096])
def test_files_that_were_cut_off_are_no_board(program, tmp_path, name, cut):
    path = tmp_path / "board"
    board_at(path, 400).close()
    file = tmp_path / name
    file.write_bytes(file.read_bytes()[:cut])
    code, _, error = run(program, path, "bob")
    assert (code, "no board" in error) == (2, True)


@pytest.mark.parametrize("at", [0, 4, 16, 24, 61])
def test_a_changed_header_is_no_board(program, tmp_path, at):
    path = tmp_path / "board"
    board_at(path).close()
    data = bytearray(path.read_bytes())
    data[at] ^= 4
    path.write_bytes(data)
    assert run(program, path, "bob")[0] == 2


def test_a_board_that_is_not_there_says_why(program, tmp_path):
    code, _, error = run(program, tmp_path / "nowhere", "bob")
    assert code == 2
    assert "No such file" in error


def torn(reader, tmp_path, rows: int, reads: int) -> dict[str, int]:
    writer = storm(tmp_path / "board", rows)
    try:
        done = subprocess.run([reader, tmp_path / "board", str(reads)], capture_output=True, text=True, timeout=1_500)
        assert writer.poll() is None, "the writer ended before the reader had what it wanted"
    finally:
        writer.communicate("", timeout=60)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("rows", [1, 64])
def test_no_read_is_torn_under_a_storm_of_writes(storm_reader, tmp_path, rows):
    found = torn(storm_reader, tmp_path, rows, 300_000)
    assert found["contended"] >= 300_000
    assert (found["torn"], found["other"]) == (0, 0)


@pytest.mark.soak
@pytest.mark.parametrize(("rows", "reads"), [(1, 10_000_000), (32, 100_000_000), (1024, 100_000_000)])
def test_none_of_a_hundred_million_contended_reads_is_torn(storm_reader, tmp_path, rows, reads):
    found = torn(storm_reader, tmp_path, rows, reads)
    print(found)
    assert found["contended"] >= reads
    assert (found["torn"], found["other"]) == (0, 0)
