"""The power goes: what a disk had at one instant, under a writer that is at work, holds everything it acknowledged.

The journal lies on a file system in an image file. The writer is stopped, the image is copied (what reached the disk, without what
the system still had in memory), and the copy is mounted and opened. A backend that does not sync must fail this, or the
test would prove nothing. Needs the right to mount; skips without.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from conftest import environment
from journal.damage import BACKENDS, records
from seawall.core.errors import JournalError, UnreadableFile
from seawall.journal import Journal, examine

WRITER = """
import os, sys
from seawall.journal import Journal, segments

if sys.argv[3] == "lying":
    segments.sync_data = lambda descriptor: None
journal = Journal.open(sys.argv[1], backend=sys.argv[2])
while True:
    first = journal.durable.seq
    last = journal.append([b"record %d " % (first + n) + bytes(300) for n in range(1, 11)])
    os.write(1, b"%d\\n" % last)
"""


def run(*line):
    return subprocess.run(list(map(str, line)), capture_output=True, text=True)


@contextmanager
def mounted(image, folder):
    folder.mkdir(exist_ok=True)
    done = run("mount", "-o", "loop", image, folder)
    if done.returncode:
        pytest.skip(f"may not mount an image: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        tries = 0
        while run("umount", folder).returncode and tries < 50:
            tries += 1
            time.sleep(0.1)
        assert tries < 50, f"{folder} stays mounted"


def cut_off(tmp_path, backend, how):
    """Runs a writer until the power goes: (the image as the disk had it then, the last sequence it was told)."""
    image, copy = tmp_path / "disk.img", tmp_path / "after.img"
    with image.open("wb") as file:
        file.truncate(48 << 20)
    if shutil.which("mkfs.ext4") is None or run("mkfs.ext4", "-q", image).returncode:
        pytest.skip("cannot make a file system")
    with mounted(image, tmp_path / "disk") as disk:
        line = [sys.executable, "-c", WRITER, str(disk / "j"), backend, how]
        writer = subprocess.Popen(line, stdout=subprocess.PIPE, env=environment())
        try:
            for _ in range(40):
                assert writer.stdout.readline(), "the writer ended"
            writer.send_signal(signal.SIGSTOP)
            os.set_blocking(writer.stdout.fileno(), False)
            time.sleep(0.05)  # a write that is under way may end
            told = writer.stdout.read() or b""
            shutil.copyfile(image, copy)
        finally:
            writer.kill()
            writer.wait()
            writer.stdout.close()
    return copy, max([400, *map(int, told.split())])


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_was_acknowledged_before_a_power_cut_is_there_after_it(tmp_path, backend):
    image, told = cut_off(tmp_path, backend, "honest")
    with mounted(image, tmp_path / "after") as disk:
        assert examine(disk / "j").status in ("whole", "torn")
        with Journal.open(disk / "j") as journal:
            assert journal.durable.seq >= told
        numbers = [int(each.split()[1]) for each in records(disk / "j")]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_writer_that_does_not_sync_fails_it(tmp_path):
    image, told = cut_off(tmp_path, "segments", "lying")
    with mounted(image, tmp_path / "after") as disk:
        try:
            with Journal.open(disk / "j") as journal:
                reached = journal.durable.seq
        except (JournalError, UnreadableFile):
            reached = 0
    assert reached < told
