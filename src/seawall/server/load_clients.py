"""The clients of the load: a hundred WebSockets in one process, as cheap as they can be made, so that the service is measured.

Open loop: a question is due at its time whatever became of those before, and its latency runs from there. Meanwhile prices tick, and
every other price turns the status of an account over; how long until that decision is here is the second latency. One plain loop over
`select`, which waits to the microsecond: a client that spun until the next question is due would take one core of the machine that the
service runs on.
"""

from __future__ import annotations

import json
import random
import select
import sys
import time
from collections import deque
from typing import Any

import msgspec

from seawall.server.load_sockets import Wire

__all__ = ["main"]

CONNECTIONS = 100
TICKS_PER_S = 50
WARM_S = 2.0
PROBES_EVERY = 2
PATIENCE_S = 60.0
PRICES = {"BTC": 100_000.0, "ETH": 3_500.0, "SOL": 200.0, "BNB": 1_100.0, "XRP": 2.4}


class _Market:
    """Prices at their pace; every other one is the probe's, and its decision is waited for on the stream."""

    def __init__(self, url: str, keys: dict[str, str], rng: random.Random) -> None:
        self.writer = Wire(url, "/v1/ws", keys["risk"])
        self.stream = Wire(url, "/v1/stream", keys["read"])
        self.stream.send(b'{"op":"subscribe","channels":["decision"],"accounts":["probe"]}')
        self.late: list[float] = []
        self._rng = rng
        self._prices = dict(PRICES)
        self._waiting: deque[float] = deque()
        self._number, self._low = 0, False
        self._start = float("inf")  # until the stream is subscribed: a decision told to nobody would pair the next with its price

    @property
    def due(self) -> float:
        """When the next price is."""
        return self._start + (self._number + 1) / TICKS_PER_S

    @property
    def untold(self) -> int:
        """Prices of the probe whose decision has not come."""
        return len(self._waiting)

    def tick(self) -> None:
        """The price that is due; the latency of a decision runs from when its price was."""
        due = self.due
        self._number += 1
        if self._number % PROBES_EVERY == 0:
            self._low = not self._low
            prices = {"PROBE": "75" if self._low else "100"}
            self._waiting.append(due)
        else:
            name = self._rng.choice(list(self._prices))
            self._prices[name] *= 1 + self._rng.gauss(0, 2e-5)
            prices = {name: f"{self._prices[name]:.5f}"}
        request = {"id": self._number, "op": "write", "request": {"type": "ticks", "prices": prices}}
        self.writer.send(json.dumps(request).encode())

    def hear(self, wire: Wire) -> None:
        """What has come on one of the two."""
        for body in wire.frames():
            if wire is self.writer:
                if b'"ok":true' not in body[:60]:
                    raise RuntimeError(f"a tick was refused: {body[:300]!r}")
                continue
            found = msgspec.json.decode(body)
            if found["type"] == "snapshot":
                self._start = time.perf_counter()
            elif found["type"] == "decision" and self._waiting:
                self.late.append(time.perf_counter() - self._waiting.popleft())


class _Load:
    """The questions: what was sent when, and what came back when."""

    def __init__(self, url: str, accounts: int, keys: dict[str, str]) -> None:
        self.accounts = accounts
        self.failed = 0
        self._rng = random.Random(11)
        self._market = _Market(url, keys, self._rng)
        self._wires = [Wire(url, "/v1/ws", keys["read"]) for _ in range(CONNECTIONS)]
        self._all: list[Wire] = [*self._wires, self._market.writer, self._market.stream]

    def question(self, number: int) -> bytes:
        """A what-if of some account."""
        account = self._rng.randrange(self.accounts)
        name = ("BTC-PERP", "ETH-PERP", "SOL-PERP")[number % 3]
        return b'{"id":%d,"op":"what-if","account":"account-%07d","trades":[["%s","1"]]}' % (number, account, name.encode())

    def open_loop(self, rate: int, seconds: float) -> dict[str, Any]:
        """Offers `rate` a second for so long: answers a second, and the latencies behind the warm-up."""
        due: dict[int, float] = {}
        late: list[float] = []
        total, sent, answered = int(rate * seconds), 0, 0
        start = time.perf_counter()
        while answered < total:
            now = time.perf_counter()
            if now - start > seconds + PATIENCE_S:
                raise RuntimeError(f"{answered} of {total} questions were answered in time")
            while sent < total and start + sent / rate <= now:
                due[sent] = start + sent / rate
                self._wires[sent % CONNECTIONS].send(self.question(sent))
                sent += 1
            for wire in self._wait(start + sent / rate if sent < total else now + 1):
                for body in wire.frames():
                    at = due.pop(self._number(body))
                    answered += 1
                    if at - start > WARM_S:
                        late.append(time.perf_counter() - at)
        decided = [*self._market.late]
        if not late or not decided[2:] or self._market.untold > 2:
            raise RuntimeError(f"{len(late)} answers and {len(decided)} decisions came, {self._market.untold} did not")
        return {
            "answered_per_s": round(total / (time.perf_counter() - start)),
            "what_if_ms": _shares(late),
            "tick_ms": _shares(decided[2:]),
            "decisions": len(decided) - 2,
        }

    def closed_loop(self, seconds: float) -> float:
        """Each connection asks again as soon as it is answered; answers a second."""
        start = time.perf_counter()
        answered = 0
        for place, wire in enumerate(self._wires):
            wire.send(self.question(place))
        while (now := time.perf_counter()) < start + seconds:
            for wire in self._wait(now + 1):
                for body in wire.frames():
                    wire.send(self.question(self._number(body) + CONNECTIONS))
                    answered += 1
        return answered / (time.perf_counter() - start)

    def _wait(self, until: float) -> list[Wire]:
        """Sends the prices that are due; then the connections that have answers, or none at that time."""
        market = self._market
        while market.due <= time.perf_counter():
            market.tick()
        ready, _, _ = select.select(self._all, (), (), max(min(until, market.due) - time.perf_counter(), 0))
        for wire in ready:
            if wire is market.writer or wire is market.stream:
                market.hear(wire)
        return [wire for wire in ready if wire is not market.writer and wire is not market.stream]

    def _number(self, body: bytes) -> int:
        comma = body.index(b",")
        self.failed += b'"ok":true' not in body[comma : comma + 12]
        return int(body[body.index(b":") + 1 : comma])


_SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


def _shares(seconds: list[float]) -> dict[str, float]:
    """Quantiles in milliseconds."""
    values = sorted(seconds)
    return {name: round(1e3 * values[min(int(len(values) * share), len(values) - 1)], 3) for name, share in _SHARES.items()}


def _run(url: str, accounts: int, seconds: float, rate: int, keys: dict[str, str]) -> dict[str, Any]:
    load = _Load(url, accounts, keys)
    found = load.open_loop(rate, seconds)
    closed = load.closed_loop(min(seconds / 3, 5.0))
    if load.failed:
        raise RuntimeError(f"{load.failed} questions failed")
    return found | {
        "connections": CONNECTIONS,
        "offered_per_s": rate,
        "closed_per_s": round(closed),
        "ticks_per_s": TICKS_PER_S,
    }


def main(words: list[str]) -> None:
    """URL ACCOUNTS SECONDS RATE, keys by scope as JSON on stdin: prints what was seen as one JSON object."""
    keys = json.loads(sys.stdin.read())
    print(json.dumps(_run(words[0], int(words[1]), float(words[2]), int(words[3]), keys)))


if __name__ == "__main__":
    main(sys.argv[1:])
