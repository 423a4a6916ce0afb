"""The clients of the soak: a steady mixture of everything that is asked of a venue, over WebSocket and HTTP, for as long as told.

Eight writers, two of them over HTTP, each do one thing after the other at their pace: fills (taken back later, so that positions stay
bounded), deposits and withdrawals, orders and their cancels, ticks. Each write has an idempotency key, and one in twenty is sent
again and must be the same event. Others ask what-ifs and look; listeners come, follow, stall and hang up. What was acknowledged is
written down: key and sequence, one line each.

They do what api.md tells every client to do: a write that is refused because the disk is busy, or whose connection ends before its answer, is
sent again under the same key; a listener that is dropped as too slow comes again. A machine that stands still for a while, as machines
that are shared do, is so no failure; how often it happened is counted.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from seawall.server.load_sockets import Socket

__all__ = ["main"]

WRITERS = 8
OVER_HTTP = 2
ASKERS = 4
LISTENERS = 6
REPEATED_SHARE = 0.05
TOO_MUCH_SHARE = 0.05  # of withdrawals, which margin must refuse
OPEN_FILLS = 50  # of one writer, beyond which the oldest is taken back
PRICES = {"BTC": 100_000.0, "ETH": 3_500.0, "SOL": 200.0, "BNB": 1_100.0, "XRP": 2.4}
QUANTITIES = {"BTC": "0.001", "ETH": "0.02", "SOL": "0.3", "BNB": "0.05", "XRP": "20"}
PATHS = {"fill": "fills", "deposit": "deposits", "withdraw": "withdrawals", "order": "orders", "cancel": "cancels", "ticks": "ticks"}
CHANNELS = ("decision", "account", "price", "parameters", "system", "liquidation")
LOOKED_AT = ("/metrics", "/v1/status", "/v1/overview?worst=5", "/v1/accounts?limit=20&sort=margin_ratio", "/v1/market/prices")
CUT = (ConnectionError, asyncio.IncompleteReadError)  # a connection that ended by itself
CUT_MAX = 1_000


class _Questions:
    """A socket of questions, one at a time."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self._number = 0

    async def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """The answer's frame."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number} | question).encode())
        found: dict[str, Any] = msgspec.json.decode(await self._socket.receive())
        if found["id"] != self._number:
            raise RuntimeError(f"an answer to question {found['id']}, {self._number} was asked")
        return found

    async def write(self, request: dict[str, Any], key: str) -> tuple[int, dict[str, Any]]:
        """(status, what was written or what is wrong)."""
        found = await self.ask({"op": "write", "request": request, "idempotency": key})
        return (200, found["data"]) if found["ok"] else (found["status"], found)


class _Http:
    """One connection that stays open, one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str) -> None:
        self._reader, self._writer, self._head = reader, writer, head

    @classmethod
    async def open(cls, url: str, key: str) -> _Http:
        """Connects."""
        to = urlsplit(url)
        reader, writer = await asyncio.open_connection(to.hostname, to.port)
        return cls(reader, writer, f"Host: {to.netloc}\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n")

    async def call(self, line: str, body: bytes = b"", more: str = "") -> tuple[int, bytes]:
        """(status, body) of a request; line: method and path."""
        self._writer.write(f"{line} HTTP/1.1\r\n{self._head}{more}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        size = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        return int(head.split(b" ", 2)[1]), await self._reader.readexactly(size)

    async def write(self, request: dict[str, Any], key: str) -> tuple[int, dict[str, Any]]:
        """As over the socket."""
        fields = {name: value for name, value in request.items() if name != "type"}
        path = f"POST /v1/{PATHS[request['type']]}"
        status, body = await self.call(path, json.dumps(fields).encode(), f"Idempotency-Key: {key}\r\n")
        return status, msgspec.json.decode(body)


class _Soak:
    """What is sent, what was acknowledged, and until when."""

    def __init__(self, url: str, key: str, accounts: int, until: float, per_s: float, told: Any) -> None:
        self.url, self.key, self.accounts, self.until, self.per_s = url, key, accounts, until, per_s
        self.told = told
        names = ("acknowledged", "refused", "repeated", "asked", "looked", "listened", "heard", "busy", "cut", "dropped")
        self.counts = dict.fromkeys(names, 0)
        self.prices = dict(PRICES)
        self.probe_low = False

    def going(self) -> bool:
        """Whether there is time left."""
        return time.monotonic() < self.until

    async def write(self, to: _Writer, rng: random.Random, request: dict[str, Any], key: str) -> bool:
        """Writes, perhaps twice under the one key; whether it is an event."""
        status, found, again = await to.write(request, key)
        if status == 422 and request["type"] in ("withdraw", "order"):
            self.counts["refused"] += 1
            return False
        if status != 200 or (found.get("repeated") and not again):
            raise RuntimeError(f"{request} under {key} was answered with {status}: {str(found)[:300]}")
        self.told.write(f"{key} {found['sequence']}\n")
        self.counts["acknowledged"] += 1
        if rng.random() < REPEATED_SHARE:
            status, same, _ = await to.write(request, key)
            if status != 200 or same["sequence"] != found["sequence"] or not same["repeated"]:
                raise RuntimeError(f"{request} under {key} again was answered with {status}: {str(same)[:300]}")
            self.counts["repeated"] += 1
        return True

    async def writer(self, place: int) -> None:
        """One writer, to the end of time."""
        rng = random.Random(place)
        to = _Writer(self, place < OVER_HTTP)
        done: list[dict[str, Any]] = []
        number, due = 0, time.monotonic()
        while self.going():
            due = max(due + rng.expovariate(self.per_s / WRITERS), time.monotonic() - 1)  # after a pause there is no flood
            await asyncio.sleep(max(due - time.monotonic(), 0))
            number += 1
            request, key = self._request(rng, done), f"w{place}-{number}"
            written = await self.write(to, rng, request, key)
            if written and request["type"] == "order":
                await self.write(to, rng, {"type": "cancel", "account": request["account"], "id": request["id"]}, f"{key}-cancel")

    def _request(self, rng: random.Random, done: list[dict[str, Any]]) -> dict[str, Any]:
        kind = rng.choices(tuple(PATHS), (4, 3, 3, 3, 0, 3))[0]
        name = rng.choice(tuple(PRICES))
        first, second = (f"account-{number:07d}" for number in rng.sample(range(self.accounts), 2))
        if kind == "ticks":
            return {"type": kind, "prices": self._tick(rng, name)}
        if kind in ("deposit", "withdraw"):
            too_much = kind == "withdraw" and rng.random() < TOO_MUCH_SHARE
            return {"type": kind, "account": first, "amount": "1000000" if too_much else f"{rng.randrange(1, 10_000) / 100:.2f}"}
        if kind == "order":
            order = {"type": kind, "account": first, "id": f"{rng.getrandbits(48):012x}", "instrument": f"{name}-PERP"}
            return order | {"quantity": QUANTITIES[name], "price": self._price(name)}
        if len(done) > OPEN_FILLS:
            fill = done.pop(0)
            return fill | {"maker": fill["taker"], "taker": fill["maker"], "price": self._price(fill["instrument"][:-5])}
        fill = {"type": kind, "maker": first, "taker": second, "instrument": f"{name}-PERP"}
        done.append(fill | {"quantity": QUANTITIES[name], "price": self._price(name)})
        return done[-1]

    def _price(self, name: str) -> str:
        return f"{self.prices[name]:.4f}"

    def _tick(self, rng: random.Random, name: str) -> dict[str, str]:
        if rng.random() < 0.1:
            self.probe_low = not self.probe_low
            return {"PROBE": "75" if self.probe_low else "100"}
        back = 1 - self.prices[name] / PRICES[name]
        self.prices[name] *= 1 + 0.01 * back + rng.gauss(0, 5e-4)
        return {name: self._price(name)}

    async def asker(self, place: int) -> None:
        """What-ifs and checks over a socket, at the pace of the writes."""
        rng = random.Random(100 + place)
        to = None
        while self.going():
            await asyncio.sleep(rng.expovariate(self.per_s / ASKERS))
            account, name = f"account-{rng.randrange(self.accounts):07d}", rng.choice(tuple(PRICES))
            try:
                to = to or _Questions(await Socket.open(self.url, "/v1/ws", self.key))
                found = await to.ask({"op": "what-if", "account": account, "trades": [[f"{name}-PERP", QUANTITIES[name]]]})
            except CUT:
                to = None
                await self.cut()
                continue
            if not found["ok"]:
                raise RuntimeError(f"a what-if was answered with {found}")
            self.counts["asked"] += 1

    async def cut(self) -> None:
        """A connection ended by itself: counted, and not made anew at once."""
        self.counts["cut"] += 1
        if self.counts["cut"] > CUT_MAX:
            raise RuntimeError("connections end by themselves again and again")
        await asyncio.sleep(0.2)

    async def looker(self) -> None:
        """What a monitor and a risk officer look at, each on a connection of its own that ends."""
        number = 0
        while self.going():
            path = LOOKED_AT[number % len(LOOKED_AT)]
            try:
                to = await _Http.open(self.url, self.key)
                status, body = await to.call(f"GET {path}", more="Connection: close\r\n")
            except CUT:
                await self.cut()
                continue
            if status != 200:
                raise RuntimeError(f"{path} was answered with {status}: {body[:300]!r}")
            to._writer.transport.abort()
            number += 1
            self.counts["looked"] += 1
            await asyncio.sleep(0.5)

    async def listener(self, place: int) -> None:
        """Comes, follows for seconds, and hangs up; sometimes it goes on where it was, sometimes it takes nothing for long."""
        rng = random.Random(200 + place)
        while self.going():
            socket = await Socket.open(self.url, "/v1/stream", self.key)
            channels = rng.sample(CHANNELS, rng.randrange(1, len(CHANNELS) + 1))
            socket.send(json.dumps({"op": "subscribe", "channels": channels}).encode())
            try:
                if rng.random() < 0.1:
                    await asyncio.sleep(min(rng.uniform(1, 20), max(self.until - time.monotonic(), 0)))
                else:
                    await self._follow(socket, rng.uniform(0.2, 8))
            except CUT:
                self.counts["dropped"] += 1
            socket.abort()
            self.counts["listened"] += 1

    async def _follow(self, socket: Socket, seconds: float) -> None:
        last = msgspec.json.decode(await socket.receive())["n"]
        try:
            async with asyncio.timeout(seconds):
                while True:
                    n = msgspec.json.decode(await socket.receive())["n"]
                    if n != last + 1:
                        raise RuntimeError(f"the stream went from {last} to {n}")
                    last = n
                    self.counts["heard"] += 1
        except TimeoutError:
            return


class _Writer:
    """One writer's connection, made anew when it ends; over HTTP or a socket."""

    def __init__(self, soak: _Soak, http: bool) -> None:
        self._soak, self._http = soak, http
        self._to: _Questions | _Http | None = None

    async def write(self, request: dict[str, Any], key: str) -> tuple[int, dict[str, Any], bool]:
        """(status, what was written or what is wrong, whether it was sent more than once)."""
        again = False
        while True:
            try:
                status, found = await (self._to or await self._open()).write(request, key)
            except CUT:
                self._to = None
                await self._soak.cut()
            else:
                if status != 503:
                    return status, found, again
                self._soak.counts["busy"] += 1
                await asyncio.sleep(0.2)
            again = True

    async def _open(self) -> _Questions | _Http:
        soak = self._soak
        self._to = await _Http.open(soak.url, soak.key) if self._http else _Questions(await Socket.open(soak.url, "/v1/ws", soak.key))
        return self._to


async def _run(url: str, key: str, accounts: int, seconds: float, per_s: float, told: Any) -> dict[str, int]:
    soak = _Soak(url, key, accounts, time.monotonic() + seconds, per_s, told)
    async with asyncio.TaskGroup() as group:
        for place in range(WRITERS):
            group.create_task(soak.writer(place))
        for place in range(ASKERS):
            group.create_task(soak.asker(place))
        for place in range(LISTENERS):
            group.create_task(soak.listener(place))
        group.create_task(soak.looker())
    return soak.counts


def main(words: list[str]) -> None:
    """URL ACCOUNTS SECONDS WRITES_PER_S FILE, the key on stdin: FILE gets what was acknowledged, stdout counts as a JSON object."""
    key = sys.stdin.read().strip()
    url, accounts, seconds, per_s = words[0], int(words[1]), float(words[2]), float(words[3])
    with Path(words[4]).open("w", encoding="ascii") as told:
        print(json.dumps(asyncio.run(_run(url, key, accounts, seconds, per_s, told))))


if __name__ == "__main__":
    main(sys.argv[1:])
