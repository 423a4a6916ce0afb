"""The clients of the load: a hundred WebSockets in one process, as cheap as they can be made, so that the service is measured.

Open loop: a question is due at its time whatever became of those before, and its latency runs from there. Meanwhile prices tick, and
one price in ten turns the status of an account over; how long until that decision is here is the second latency.
Frames are made and read by hand: a client library would cost more than the service.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import struct
import sys
import time
from typing import Any
from urllib.parse import urlsplit

import msgspec

__all__ = ["Socket", "main"]

CONNECTIONS = 100
TICKS_PER_S = 50
WARM_S = 2.0
PROBES_EVERY = 10


class Socket:
    """One WebSocket: text frames out (masked with zeros, as a client must mask), frames in as bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, url: str, path: str, key: str) -> Socket:
        """Connects and shakes hands."""
        to = urlsplit(url)
        reader, writer = await asyncio.open_connection(to.hostname, to.port)
        nonce = base64.b64encode(os.urandom(16)).decode()
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: {to.netloc}\r\nAuthorization: Bearer {key}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {nonce}\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 101 " not in head.split(b"\r\n", 1)[0]:
            raise ConnectionError(head.decode("latin-1"))
        return cls(reader, writer)

    def send(self, body: bytes) -> None:
        """One text frame."""
        size = len(body)
        head = bytes((0x81, 0x80 | size)) if size < 126 else struct.pack(">BBH", 0x81, 0x80 | 126, size)
        self._writer.write(head + b"\0\0\0\0" + body)

    async def receive(self) -> bytes:
        """The next frame of data."""
        while True:
            first, size = await self._reader.readexactly(2)
            if size == 126:
                (size,) = struct.unpack(">H", await self._reader.readexactly(2))
            elif size == 127:
                (size,) = struct.unpack(">Q", await self._reader.readexactly(8))
            body = await self._reader.readexactly(size)
            if first & 0x0F in (1, 2):
                return body
            if first & 0x0F == 9:
                self._writer.write(bytes((0x8A, 0x80 | size)) + b"\0\0\0\0" + body)
            if first & 0x0F == 8:
                raise ConnectionError(f"closed: {body[2:].decode('utf-8', 'replace')}")

    def abort(self) -> None:
        """Hangs up without a word."""
        self._writer.transport.abort()


class _Load:
    """What was sent when, and what came back when."""

    def __init__(self, url: str, keys: dict[str, str], accounts: int) -> None:
        self.url, self.keys, self.accounts = url, keys, accounts
        self.late: list[float] = []
        self.decided: list[float] = []
        self.failed = 0
        self._rng = random.Random(11)

    def question(self, number: int) -> bytes:
        """A what-if of some account."""
        account = self._rng.randrange(self.accounts)
        name = ("BTC-PERP", "ETH-PERP", "SOL-PERP", "BTC-27DEC30-100000.0-C")[number & 3 if number & 7 else 3]
        name = "BTC-PERP" if name.startswith("BTC-27") else name
        return b'{"id":%d,"op":"what-if","account":"account-%07d","trades":[["%s","1"]]}' % (number, account, name.encode())

    async def open_loop(self, sockets: list[Socket], rate: int, seconds: float) -> float:
        """Offers `rate` a second for so long; returns answers a second."""
        due: dict[int, float] = {}
        total = int(rate * seconds)
        answered = 0
        done = asyncio.Event()
        start = time.perf_counter()

        async def hear(socket: Socket) -> None:
            nonlocal answered
            while True:
                body = await socket.receive()
                now = time.perf_counter()
                comma = body.index(b",")
                number = int(body[body.index(b":") + 1 : comma])
                self.failed += b'"ok":true' not in body[comma : comma + 12]
                at = due.pop(number)
                if at - start > WARM_S:
                    self.late.append(now - at)
                answered += 1
                if answered == total:
                    done.set()

        ears = [asyncio.create_task(hear(socket)) for socket in sockets]
        sent = 0
        while sent < total:
            now = time.perf_counter()
            until = min(int((now - start) * rate), total)
            while sent < until:
                due[sent] = start + sent / rate
                sockets[sent % len(sockets)].send(self.question(sent))
                sent += 1
            await asyncio.sleep(0.0005)
        await asyncio.wait_for(done.wait(), 60)
        elapsed = time.perf_counter() - start
        for ear in ears:
            ear.cancel()
        await asyncio.gather(*ears, return_exceptions=True)
        return total / elapsed

    async def closed_loop(self, sockets: list[Socket], seconds: float) -> float:
        """Each connection asks again as soon as it is answered; answers a second."""
        until = time.perf_counter() + seconds
        counts = [0] * len(sockets)

        async def talk(place: int, socket: Socket) -> None:
            while time.perf_counter() < until:
                socket.send(self.question(counts[place]))
                await socket.receive()
                counts[place] += 1

        start = time.perf_counter()
        await asyncio.gather(*(talk(place, socket) for place, socket in enumerate(sockets)))
        return sum(counts) / (time.perf_counter() - start)

    async def ticks(self, writer: Socket, stream: Socket) -> None:
        """Prices at their pace; every tenth is the probe's, and its decision is waited for on the stream."""
        prices = {"BTC": 100_000.0, "ETH": 3_500.0, "SOL": 200.0, "BNB": 1_100.0, "XRP": 2.4}
        waiting: dict[int, float] = {}
        number = 0

        async def hear_stream() -> None:
            while True:
                found = msgspec.json.decode(await stream.receive())
                if found["type"] == "decision" and found["data"]["account"] == "probe" and waiting:
                    self.decided.append(time.perf_counter() - waiting.pop(min(waiting)))

        async def hear_answers() -> None:
            while True:
                found = await writer.receive()
                if b'"ok":true' not in found[:60]:
                    raise RuntimeError(f"a tick was refused: {found[:300]!r}")

        ears = [asyncio.create_task(hear_stream()), asyncio.create_task(hear_answers())]
        low = False
        start = time.perf_counter()
        try:
            while True:
                number += 1
                wait = start + number / TICKS_PER_S - time.perf_counter()
                await asyncio.sleep(max(wait, 0))
                if number % PROBES_EVERY == 0:
                    low = not low
                    tick = {"PROBE": "75" if low else "100"}
                    waiting[number] = time.perf_counter()
                else:
                    name = self._rng.choice(list(prices))
                    prices[name] *= 1 + self._rng.gauss(0, 2e-5)
                    tick = {name: f"{prices[name]:.5f}"}
                writer.send(json.dumps({"id": number, "op": "write", "request": {"type": "ticks", "prices": tick}}).encode())
        finally:
            for ear in ears:
                ear.cancel()


async def _run(url: str, accounts: int, seconds: float, rate: int, keys: dict[str, str]) -> dict[str, Any]:
    load = _Load(url, keys, accounts)
    sockets = [await Socket.open(url, "/v1/ws", keys["read"]) for _ in range(CONNECTIONS)]
    writer = await Socket.open(url, "/v1/ws", keys["risk"])
    stream = await Socket.open(url, "/v1/stream", keys["read"])
    stream.send(b'{"op":"subscribe","channels":["decision"],"accounts":["probe"]}')
    await stream.receive()
    ticking = asyncio.create_task(load.ticks(writer, stream))
    per_s = await load.open_loop(sockets, rate, seconds)
    decided = list(load.decided)
    closed = await load.closed_loop(sockets, min(seconds / 3, 5.0))
    if ticking.done():
        ticking.result()
    ticking.cancel()
    late, probes = sorted(load.late), sorted(decided[2:])
    if load.failed or not probes:
        raise RuntimeError(f"{load.failed} questions failed, {len(probes)} decisions came")
    return {
        "connections": CONNECTIONS,
        "offered_per_s": rate,
        "answered_per_s": round(per_s),
        "closed_per_s": round(closed),
        "what_if_ms": {share: round(1e3 * _quantile(late, value), 3) for share, value in _SHARES.items()},
        "tick_ms": {share: round(1e3 * _quantile(probes, value), 3) for share, value in _SHARES.items()},
        "decisions": len(probes),
        "ticks_per_s": TICKS_PER_S,
    }


_SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


def _quantile(values: list[float], share: float) -> float:
    return values[min(int(len(values) * share), len(values) - 1)]


def main(words: list[str]) -> None:
    """URL ACCOUNTS SECONDS RATE, keys by scope as JSON on stdin: prints what was seen as one JSON object."""
    keys = json.loads(sys.stdin.read())
    url, accounts, seconds, rate = words[0], int(words[1]), float(words[2]), int(words[3])
    try:
        import uvloop

        factory = uvloop.new_event_loop
    except ModuleNotFoundError:
        factory = None
    with asyncio.Runner(loop_factory=factory) as runner:
        print(json.dumps(runner.run(_run(url, accounts, seconds, rate, keys))))


if __name__ == "__main__":
    main(sys.argv[1:])
