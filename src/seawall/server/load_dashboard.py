"""Ten people at the dashboard, for the bench: a service of this process with prices flowing, a dashboard in a process of its
own, and its clients in another.

`python -m seawall.server.load_dashboard ACCOUNTS SECONDS` prints one JSON object: with one client and with ten, how old a frame
is when it arrives, how long a price takes until it is seen, and what the dashboard's process costs. Clients are protocol
clients, not browsers. The dashboard evaluates the whole book within a share of a core whoever looks, so what a client
costs is the difference of the two.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import msgspec
from websockets.asyncio.client import connect

from seawall.server import run as running
from seawall.server.load import in_a_process, measured

__all__ = ["CLIENTS", "main"]

CLIENTS = 10
TICKS_PER_S = 9.7  # not in step with the frames
WARM_FRAMES = 15
WARM_S = 240.0  # kernels that nobody has compiled yet
_TICKS_PER_CPU_S = os.sysconf("SC_CLK_TCK")


class _Seen:
    """What the clients of one phase saw. ages, delays in ms."""

    def __init__(self, sent: dict[str, float]) -> None:
        self.frames, self.bytes = 0, 0
        self.ages: list[float] = []
        self.delays: list[float] = []
        self._sent = sent

    def hear(self, frame: str, now_s: float, known: set[str]) -> None:
        """One frame, when it came. known: prices that this client has seen already."""
        message = msgspec.json.decode(frame)
        self.frames += 1
        self.bytes += len(frame)
        if message["t"] != "d":
            return
        head = message["set"].get("head")
        if head is not None:
            self.ages.append(now_s * 1e3 - head["now_ms"])
        row = message["map"].get("prices", {}).get("BTC")
        if row is not None and row[0] in self._sent and row[0] not in known:
            known.add(row[0])
            self.delays.append((now_s - self._sent[row[0]]) * 1e3)


async def _client(url: str, seen: _Seen, until: asyncio.Event) -> None:
    known: set[str] = set()
    async with connect(f"{url.replace('http', 'ws', 1)}live", origin=url.rstrip("/"), compression=None, max_size=None) as socket:  # type: ignore[arg-type]
        await socket.recv()  # the snapshot
        while not until.is_set():
            frame = await asyncio.wait_for(socket.recv(), 30)
            seen.hear(str(frame), time.time(), known)


async def _phase(url: str, process: int, clients: int, seconds: float, sent: dict[str, float]) -> dict[str, Any]:
    seen, until = _Seen(sent), asyncio.Event()
    tasks = [asyncio.create_task(_client(url, seen, until)) for _ in range(clients)]
    await asyncio.sleep(1.0)
    seen.__init__(sent)  # type: ignore[misc]  # the first second is of those who come in
    cpu_s, began = _cpu_s(process), time.monotonic()
    await asyncio.sleep(seconds)
    took = time.monotonic() - began
    cpu = (_cpu_s(process) - cpu_s) / took
    until.set()
    await asyncio.gather(*tasks)
    return {
        "clients": clients,
        "frames_per_s": round(seen.frames / took / clients, 2),
        "kb_per_s": round(seen.bytes / took / clients / 1e3, 1),
        "cpu_pct": round(100 * cpu, 1),
        "delta_ms": _quantiles(seen.ages),
        "seen_ms": _quantiles(seen.delays),
    }


def _quantiles(values: list[float]) -> dict[str, float]:
    ranked = sorted(values) or [float("nan")]
    return {name: round(ranked[min(int(len(ranked) * share), len(ranked) - 1)], 2) for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))}


def _cpu_s(process: int) -> float:
    """Processor time of a process with all its threads so far."""
    fields = Path(f"/proc/{process}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_CPU_S


async def _market(service: str, key: str, sent: dict[str, float]) -> None:
    """A price of BTC that no other tick has had, so often a second, until cancelled."""
    async with httpx.AsyncClient(base_url=service, headers={"Authorization": f"Bearer {key}"}, timeout=30, trust_env=False) as http:
        number, began = 0, time.monotonic()
        while True:
            number += 1
            price = f"{100_000 + (number % 2_000) - 1_000 + number % 7 / 10:.1f}"
            sent[price] = time.time()
            answer = await http.post("/v1/ticks", json={"prices": {"BTC": price}})
            answer.raise_for_status()
            await asyncio.sleep(max(began + number / TICKS_PER_S - time.monotonic(), 0))


async def _watch(service: str, board: str, seconds: float, texts: dict[str, str]) -> dict[str, Any]:
    line = [sys.executable, "-m", "seawall.server.dashboard", "--service", service, "--board", board, "--port", "0"]
    environment = os.environ | {"SEAWALL_KEY": texts["read"]}
    process = await asyncio.create_subprocess_exec(*line, stderr=asyncio.subprocess.PIPE, env=environment)
    sent: dict[str, float] = {}
    market = asyncio.create_task(_market(service, texts["risk"], sent))
    try:
        url = await asyncio.wait_for(_address(process), WARM_S)
        await _warm(url)
        found = {"one": await _phase(url, process.pid, 1, seconds, sent), "ten": await _phase(url, process.pid, CLIENTS, seconds, sent)}
        if market.done():
            market.result()  # without prices there is nothing to measure
        return found
    finally:
        market.cancel()
        process.terminate()
        await process.wait()


async def _address(process: asyncio.subprocess.Process) -> str:
    """Where the dashboard says that it is."""
    assert process.stderr is not None
    said = b""
    async for text in process.stderr:
        said += text
        if found := re.search(rb"dashboard (http://\S+)", text):
            return found[1].decode()
    raise RuntimeError(f"the dashboard did not start: {said.decode()[-400:]}")


async def _warm(url: str) -> None:
    """Until the background has evaluated the book once and frames come at their pace."""
    async with connect(f"{url.replace('http', 'ws', 1)}live", origin=url.rstrip("/"), compression=None, max_size=None) as socket:  # type: ignore[arg-type]
        end = time.monotonic() + WARM_S
        frames, grid = 0, False
        while (frames < WARM_FRAMES or not grid) and time.monotonic() < end:
            message = msgspec.json.decode(str(await asyncio.wait_for(socket.recv(), WARM_S)))
            frames += 1
            grid = grid or message.get("set", message.get("view", {})).get("stress") is not None
            if grid and frames > WARM_FRAMES:
                return


def main(words: list[str]) -> None:
    """ACCOUNTS SECONDS: the service, and the rest in another process. `clients URL BOARD SECONDS` is that other."""
    if words[0] == "clients":
        print(json.dumps(asyncio.run(_watch(words[1], words[2], float(words[3]), json.load(sys.stdin)))))
        return

    async def clients(url: str, texts: dict[str, str], board: Path) -> dict[str, Any]:
        return await in_a_process([sys.executable, "-m", "seawall.server.load_dashboard", "clients", url, str(board), words[1]], texts)

    with asyncio.Runner(loop_factory=running._loop_factory()) as runner:
        print(json.dumps(runner.run(measured(int(words[0]), clients))))


if __name__ == "__main__":
    main(sys.argv[1:])
