"""`seawall journal`: what people read, what machines read, and an exit code for each answer."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from conftest import environment
from seawall.cli.app import app
from seawall.journal import Journal

SEGMENT = "segment-00000000000000000001.log"


def invoke(*words):
    return CliRunner().invoke(app, ["journal", *map(str, words)])


@pytest.fixture
def path(tmp_path):
    """Six records in three batches: JSON, msgpack and bytes that are neither."""
    with Journal.open(tmp_path / "j", backend="segments") as journal:
        for number in range(3):
            journal.append([b'{"deposit": %d}' % number, b"\x82\xa1a\x01\xa1b\x02" if number else b"\xff\x00"], market_seq=number)
    return tmp_path / "j"


def test_a_whole_journal_is_said_to_be_whole(path):
    done = invoke("verify", path)
    assert done.exit_code == 0
    assert "status        whole" in done.stdout
    assert "6 records in 3 batches, up to sequence 6" in done.stdout
    told = json.loads(invoke("verify", path, "--json").stdout)
    assert (told["status"], told["records"], told["head"]["sequence"], told["findings"]) == ("whole", 6, 6, [])
    head = f"{told['head']['sequence']}:{told['head']['hash']}"
    assert invoke("verify", path, "--expect", head).exit_code == 0
    assert invoke("verify", path, "--expect", f"6:{'0' * 64}").exit_code == 3
    assert invoke("verify", path, "--expect", "6:zz").exit_code == 2
    assert invoke("repair", path).stdout == "nothing to repair\n"


def test_what_a_crash_left_is_1_and_mended(path):
    with (path / SEGMENT).open("ab") as file:
        file.write(b"SWJF\x01")
    done = invoke("verify", path)
    assert done.exit_code == 1
    assert "can be mended without loss" in done.stdout
    assert "left 5 bytes after sequence 6" in done.stdout
    done = invoke("repair", path)
    assert done.exit_code == 0
    assert "cut the unacknowledged end" in done.stdout
    assert invoke("verify", path).exit_code == 0


def test_damage_is_3_and_repaired_only_when_told_up_to_where(path):
    size = (path / SEGMENT).stat().st_size
    os.truncate(path / SEGMENT, size - 1)
    done = invoke("verify", path)
    assert done.exit_code == 3
    assert "DAMAGED" in done.stdout
    assert "repair --keep-until 4" in done.stdout
    told = json.loads(invoke("verify", path, "--json").stdout)
    assert told["status"] == "broken"
    assert told["acknowledged"]["sequence"] == 6
    assert told["findings"][0]["seq"] == 5
    assert invoke("repair", path).exit_code == 3
    assert invoke("export", path).exit_code == 3
    told = json.loads(invoke("repair", path, "--keep-until", 4, "--json").stdout)
    assert told["acknowledged_records_lost"] == 2
    assert (path / "removed" / "0001" / SEGMENT).stat().st_size == size - 1
    assert invoke("verify", path).exit_code == 0


def test_a_journal_that_is_being_written_can_be_read_and_not_repaired(path):
    with Journal.open(path) as journal:
        journal.append([b"[7]"])
        done = invoke("verify", path)
        assert done.exit_code == 0
        assert "being written" in done.stdout
        assert invoke("repair", path).exit_code == 4
        assert invoke("tail", path, "-n", 1).stdout.split() == "7 epoch 2 market 2 schema 1 [7]".split()


def test_what_is_no_journal_is_2(tmp_path):
    for command in ("verify", "repair", "export", "tail"):
        done = invoke(command, tmp_path / "none")
        assert done.exit_code == 2, command
        assert "expected the folder of a journal" in done.stderr


def test_export_has_every_byte_and_what_it_says(path, tmp_path):
    done = invoke("export", path, "--from", 2, "--to", 5)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["sequence"] for row in rows] == [2, 3, 4, 5]
    assert [row["market_sequence"] for row in rows] == [0, 1, 1, 2]
    assert base64.b64decode(rows[0]["data"]) == b"\xff\x00"
    assert "record" not in rows[0]
    assert rows[1]["record"] == {"deposit": 1}
    assert rows[2]["record"] == {"a": 1, "b": 2}
    done = invoke("export", path, "--out", tmp_path / "all.jsonl", "--json")
    assert json.loads(done.stdout)["records"] == 6
    assert len((tmp_path / "all.jsonl").read_text().splitlines()) == 6


def test_tail_shows_the_last_records_and_no_more(path):
    lines = invoke("tail", path, "-n", 2).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["5", "6"]
    assert lines[0].endswith('{"deposit":2}')
    assert invoke("tail", path, "-n", 0).stdout == ""
    assert [json.loads(line)["sequence"] for line in invoke("tail", path, "--json").stdout.splitlines()] == [1, 2, 3, 4, 5, 6]


def test_tail_follows_a_writer_until_it_is_interrupted(path):
    line = [sys.executable, "-m", "seawall.cli.main", "journal", "tail", str(path), "-n", "1", "-f"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()) as tail:
        try:
            assert tail.stdout.readline().split()[0] == "6"
            with Journal.open(path) as journal:
                journal.append([b'"hello"', b'"again"'])
                assert [tail.stdout.readline().split()[-1] for _ in range(2)] == ['"hello"', '"again"']
            tail.send_signal(signal.SIGINT)
            assert tail.wait(30) == 130
        finally:
            tail.kill()
