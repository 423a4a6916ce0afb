"""kill -9 of a real service in the middle of an auction, a partial fill, a wave of deleveraging: nothing is paid twice or lost."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import environment

PROGRAM = Path(__file__).with_name("killed_closings.py")
TESTS = Path(__file__).parents[2]


def rounds_of(tmp_path, rounds, timeout):
    seed = random.randrange(10**6)
    line = [sys.executable, str(PROGRAM), str(tmp_path), str(rounds), str(seed)]
    path = os.pathsep.join([environment()["PYTHONPATH"], str(TESTS)])
    done = subprocess.run(line, capture_output=True, text=True, env=environment() | {"PYTHONPATH": path}, timeout=timeout)
    assert done.returncode == 0, f"seed {seed}: {done.stderr[-2000:]}"
    return json.loads(done.stdout)


def test_services_killed_while_they_close_accounts_pay_nothing_twice_and_lose_nothing(tmp_path):
    found = rounds_of(tmp_path, 9, 280)
    assert found["acknowledged"] > 100, found
    assert sum(found["traps"].values()) >= 2, found  # killed where it hurts, and not only somewhere
    assert found["seen"].get("Started", 0) > 0, found


@pytest.mark.soak
def test_three_hundred_services_killed_while_they_close_accounts(tmp_path):
    found = rounds_of(tmp_path, 300, 7_200)
    assert all(found["traps"].get(trap, 0) >= 10 for trap in ("auction", "partial", "wave", "staged")), found
    assert found["from_snapshot"] > 100
