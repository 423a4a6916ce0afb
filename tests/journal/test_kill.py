"""kill -9 of a real writer at random moments: nothing acknowledged is lost, nothing is there twice."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from conftest import environment
from journal.damage import BACKENDS

PROGRAM = Path(__file__).with_name("killed_writers.py")
POINTS = Path(__file__).with_name("killed_at_points.py")


@pytest.fixture
def quick_disk(tmp_path):
    """A folder in memory where there is one: what a killed process leaves is the same on any disk."""
    memory = Path("/dev/shm")
    if not (memory.is_dir() and os.access(memory, os.W_OK)):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="seawall-test-", dir=memory) as name:
        yield Path(name)


def rounds_of(tmp_path, backend, rounds, timeout):
    seed = random.randrange(10**6)
    line = [sys.executable, str(PROGRAM), str(tmp_path), backend, str(rounds), str(seed)]
    done = subprocess.run(line, capture_output=True, text=True, env=environment(), timeout=timeout)
    assert done.returncode == 0, f"seed {seed}: {done.stderr[-2000:]}"
    return json.loads(done.stdout)


@pytest.mark.parametrize("backend", BACKENDS)
def test_killed_writers_lose_nothing_that_they_acknowledged(tmp_path, backend):
    found = rounds_of(tmp_path, backend, 30, 100)
    assert found["rounds"] == 30
    assert found["acknowledged"] > 100, "the writers were killed before they wrote"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_writer_killed_at_each_of_its_write_points_lost_nothing_and_left_what_opens(quick_disk, backend):
    line = [sys.executable, str(POINTS), str(quick_disk), backend]
    done = subprocess.run(line, capture_output=True, text=True, env=environment(), timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout)["points"] > 60


@pytest.mark.soak
@pytest.mark.parametrize("backend", BACKENDS)
def test_five_hundred_killed_writers_lose_nothing(tmp_path, backend):
    assert rounds_of(tmp_path, backend, 500, 3000)["acknowledged"] > 5_000
