"""Disks that refuse: full, too small a limit, read-only. The journal stops, says so, and has lost nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from conftest import environment
from journal.damage import BACKENDS, fill, record, records
from seawall.core.errors import JournalStopped
from seawall.journal import Journal, examine

both = pytest.mark.parametrize("backend", BACKENDS)

LIMITED = """
import json, resource, sys
from seawall.core.errors import JournalStopped
from seawall.journal import Journal

journal = Journal.open(sys.argv[1], backend=sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
last = 0
try:
    while True:
        last = journal.append([b"%d " % (last + 1) + bytes(700)])
except JournalStopped as error:
    print(json.dumps({"last": last, "error": str(error), "state": journal.status()["state"]}))
"""


@pytest.fixture
def small_disk(tmp_path):
    """A file system of two megabytes; skips where this process may not mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    line = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(line, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("no mount command")
    if done.returncode:
        pytest.skip(f"may not mount a small disk: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def append_until_refused(journal):
    for number in range(1, 1000):
        try:
            last = journal.append([record(number) + bytes(5000)])
        except JournalStopped as refused:
            return last, str(refused)
    raise AssertionError("two megabytes take five")


@both
def test_a_full_disk_stops_the_journal_and_with_room_again_it_goes_on(small_disk, backend):
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(900_000))
    journal = Journal.open(small_disk / "j", backend=backend)
    last, said = append_until_refused(journal)
    assert last > 20
    assert "full" in said or "no space left" in said
    assert f"up to sequence {last:,} is safe" in said
    with pytest.raises(JournalStopped):
        journal.close()
    assert examine(small_disk / "j").status in ("whole", "torn")
    ballast.unlink()
    with Journal.open(small_disk / "j") as journal:
        there = records(small_disk / "j")
        assert there[:last] == [record(number) + bytes(5000) for number in range(1, last + 1)]
        assert journal.append([b"on"]) == len(there) + 1
    assert examine(small_disk / "j").status == "whole"


@both
def test_a_limit_on_file_sizes_stops_the_journal_without_loss(tmp_path, backend):
    line = [sys.executable, "-c", LIMITED, str(tmp_path / "j"), backend]
    done = subprocess.run(line, capture_output=True, text=True, env=environment(), timeout=60)
    told = json.loads(done.stdout)
    assert told["state"] == "stopped"
    assert told["last"] > 20
    assert f"up to sequence {told['last']:,} is safe" in told["error"]
    with Journal.open(tmp_path / "j"):
        there = records(tmp_path / "j")
    assert there[: told["last"]] == [b"%d " % number + bytes(700) for number in range(1, told["last"] + 1)]
    assert examine(tmp_path / "j").status == "whole"


@both
def test_a_read_only_disk_is_refused_for_writing_and_can_be_verified(small_disk, backend):
    truth = fill(small_disk / "j", backend, 3)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(JournalStopped, match="read-only"):
        Journal.open(small_disk / "j")
    with pytest.raises(JournalStopped, match="read-only"):
        Journal.open(small_disk / "new", backend=backend)
    assert examine(small_disk / "j").status == "whole"
    assert records(small_disk / "j") == truth


@pytest.fixture
def open_folder():
    """A folder that other users may look into, as pytest's own is not."""
    with tempfile.TemporaryDirectory(prefix="seawall-test-") as name:
        os.chmod(name, 0o755)
        yield Path(name)


@both
def test_a_folder_of_somebody_else_is_refused_for_writing_and_can_be_verified(open_folder, backend):
    tmp_path = open_folder
    truth = fill(tmp_path / "j", backend, 3)
    for each in [tmp_path / "j", *(tmp_path / "j").iterdir()]:
        each.chmod(0o555 if each.is_dir() else 0o444)
    code = (
        "import os, sys\n"
        "from seawall.journal import Journal, batches, examine\n"
        "from seawall.core.errors import JournalStopped\n"
        "os.chdir(sys.argv[1])\n"
        "if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "print(examine('j').status, sum(len(b.records) for b in batches('j')))\n"
        "try: Journal.open('j')\n"
        "except JournalStopped as error: print(error)\n"
    )
    line = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(line, capture_output=True, text=True, env=environment() | {"HOME": "/"}, timeout=60)
    for each in [tmp_path / "j", *(tmp_path / "j").iterdir()]:
        each.chmod(0o755 if each.is_dir() else 0o644)
    assert done.stdout.startswith(f"whole {len(truth)}\n"), done.stderr
    assert "permission denied" in done.stdout
    assert os.listdir(tmp_path) == ["j"]
