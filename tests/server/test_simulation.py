"""The simulation: whatever the disk does, each request counts once, and the state is that of the log. See `simulation.py`."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import environment
from engine.histories import genesis, perpetuals_document
from seawall.engine.clearing import Clearing
from seawall.server import requests as wire
from seawall.server.turning import event_of
from server.naive import Naive
from server.simulation import simulate


@pytest.mark.parametrize("seed", [0, random.randrange(10**9)], ids=["fixed", "drawn"])
def test_a_venue_lives_through_its_disks(seed):
    found = simulate(seed, 1_200)
    assert found["events"] >= 1_200
    assert found["restarts"] > 3


def test_a_seed_is_one_history():
    assert simulate(77, 400) == simulate(77, 400)


@pytest.mark.parametrize(
    "missed",
    [
        wire.Deposit(account="a", amount="0.000001"),
        wire.Fill(maker="a", taker="b", instrument="BTC-PERP", quantity="0.001", price="113000"),
        wire.Fill(maker="a", taker="b", instrument="BTC", quantity="0.0001", price="1", taker_fee="0.0001"),
    ],
)
def test_the_naive_twin_notices_what_one_of_the_two_has_not_heard_of(missed):
    clearing = Clearing(genesis("fixed", perpetuals_document()), 40)
    naive = Naive(clearing)
    begin = [wire.OpenAccount(account="a"), wire.OpenAccount(account="b")]
    begin += [wire.Deposit(account="a", amount="1", asset="BTC"), wire.Deposit(account="b", amount="9000")]
    for request in begin:
        clearing.apply(event_of(clearing, request, clearing.at_ns))
        naive.apply(request)
    assert naive.differences(clearing) == []
    clearing.apply(event_of(clearing, missed, clearing.at_ns))
    assert naive.differences(clearing)
    naive.apply(missed)
    assert naive.differences(clearing) == []
    naive.apply(missed)
    assert naive.differences(clearing)


@pytest.mark.soak
def test_a_million_events_across_seeds():
    """SEAWALL_SIMULATED: how many events (a million). A process a core, of ten seeds each at a time."""
    goal, first = int(os.environ.get("SEAWALL_SIMULATED", 10**6)), random.randrange(10**9)
    program = str(Path(__file__).with_name("simulation.py"))
    paths = {"PYTHONPATH": os.pathsep.join([environment()["PYTHONPATH"], str(Path(__file__).parents[1])])}
    done, seed = 0, first
    while done < goal:
        running = {}
        for _ in range(os.cpu_count() or 1):
            line = [sys.executable, program, str(seed), "10000", "10"]
            running[seed] = subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=environment() | paths)
            seed += 10
        for number, process in running.items():
            out, _ = process.communicate(timeout=7_200)
            assert process.returncode == 0, f"one of the ten seeds from {number} on: it is named on stderr"
            done += sum(json.loads(line)["events"] for line in out.splitlines())
    assert done >= goal
