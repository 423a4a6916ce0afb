"""kill -9 of a real service at random moments: nothing acknowledged is lost, nothing is invented, the state is the log's."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import environment

PROGRAM = Path(__file__).with_name("killed_services.py")


def rounds_of(tmp_path, rounds, timeout):
    seed = random.randrange(10**6)
    line = [sys.executable, str(PROGRAM), str(tmp_path), str(rounds), str(seed)]
    path = os.pathsep.join([environment()["PYTHONPATH"], str(Path(__file__).parents[1])])
    done = subprocess.run(line, capture_output=True, text=True, env=environment() | {"PYTHONPATH": path}, timeout=timeout)
    assert done.returncode == 0, f"seed {seed}: {done.stderr[-2000:]}"
    return json.loads(done.stdout)


def test_killed_services_lose_nothing_that_they_acknowledged_and_invent_nothing(tmp_path):
    found = rounds_of(tmp_path, 8, 240)
    assert found["rounds"] == 8
    assert found["acknowledged"] > 20, "the services were killed before they wrote"


@pytest.mark.soak
def test_five_hundred_killed_services(tmp_path):
    found = rounds_of(tmp_path, 500, 7_200)
    assert found["acknowledged"] > 5_000
    assert found["from_snapshot"] > 100
