"""Ten people at the dashboard change a pre-trade check's 99th percentile by less than its noise, compared in one run."""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import threading
import time

import pytest
from websockets.sync.client import connect

from server.dashboard.screen import Screen
from server.running import running

PHASES, PHASE_S, RATE, CLIENTS = 12, 4.0, 250, 10


def checks(socket, seconds):
    """p99 in ms of what-ifs that are sent at a steady rate, whatever the last one took."""
    took, start = [], time.perf_counter()
    for k in range(int(seconds * RATE)):
        due = start + k / RATE
        if (rest := due - time.perf_counter()) > 0:
            time.sleep(rest)
        socket.send(json.dumps({"id": k, "op": "what-if", "account": "alice", "trades": [["BTC-PERP", "0.1"]]}))
        answer = json.loads(socket.recv())
        assert answer["id"] == k
        assert "error" not in answer, answer
        took.append(time.perf_counter() - due)
    return sorted(took)[int(len(took) * 0.99)] * 1e3


CROWD = """
import asyncio, sys
from websockets.asyncio.client import connect

async def one(url, origin, seen):
    async with connect(url, origin=origin, compression=None, max_size=None) as socket:
        async for frame in socket:
            seen[0] += 1

async def main(url, origin, count):
    seen = [0]
    tasks = [asyncio.create_task(one(url, origin, seen)) for _ in range(count)]
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    print(seen[0], flush=True)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


class Crowd:
    """Ten browsers' sockets in a process of their own, which take every frame. `close` returns how many."""

    def __init__(self, screen):
        url, origin = screen.url.replace("http", "ws", 1) + "live", screen.url.rstrip("/")
        line = [sys.executable, "-c", CROWD, url, origin, str(CLIENTS)]
        self.process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def close(self):
        return int(self.process.communicate("\n", timeout=30)[0])


@pytest.mark.soak
def test_ten_dashboard_clients_leave_the_pre_trade_check_alone(tmp_path):
    random.seed(20)
    with running(tmp_path, model="portfolio") as venue:
        screen = Screen(venue)
        found = {0: [], CLIENTS: []}
        prices, stop = 100_000.0, threading.Event()

        def market():
            nonlocal prices
            with venue.client("risk") as client:
                while not stop.wait(0.1):
                    prices *= 1 + random.gauss(0, 1e-4)
                    assert client.post("/v1/ticks", json={"prices": {"BTC": f"{prices:.1f}"}}).status_code == 200

        thread = threading.Thread(target=market, daemon=True)
        thread.start()
        with connect(venue.ws + "/v1/ws", additional_headers=venue.headers("read"), compression=None) as socket:
            checks(socket, 2.0)
            for phase in range(PHASES):
                crowd = Crowd(screen) if phase % 2 else None
                time.sleep(1.5)  # either way: a process begins, or does not
                found[CLIENTS if crowd else 0].append(checks(socket, PHASE_S))
                if crowd:
                    assert crowd.close() > CLIENTS * PHASE_S * 3, "the crowd was not served"
        stop.set()
        thread.join(5)
        screen.close()
    alone, crowded = found[0], found[CLIENTS]
    print(f"p99 ms without {[round(x, 2) for x in alone]}, with {CLIENTS} {[round(x, 2) for x in crowded]}")
    noise = max(alone) - min(alone)
    assert statistics.median(crowded) - statistics.median(alone) <= noise
