"""A service under load, for the bench: a million accounts in this process, a hundred WebSocket clients in another.

`python -m seawall.server.load ACCOUNTS SECONDS RATE` prints one JSON object. The ledger is built event by event and handed to the
service as a snapshot would be; journal, fsync, API, stream and sockets are those of `seawall serve`. Its market lies in
the future of its own clock, so that the options in it never expire.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from seawall.engine.clearing import Clearing
from seawall.engine.genesis import Genesis
from seawall.journal import Journal
from seawall.ledger import events as ev
from seawall.ledger.ledger import Ledger
from seawall.market.market import Market
from seawall.server import run as running
from seawall.server.config import JournalConfig, LimitsConfig, ListenConfig, VenueConfig, VenueTable
from seawall.server.keys import SCOPES, KeyFile, Keys
from seawall.server.records import SCHEMA, encode
from seawall.server.recovery import Recovered
from seawall.server.service import Service, ServiceConfig

__all__ = ["PROBE", "genesis_of", "in_a_process", "ledger_of", "main", "measured"]

PROBE = "PROBE"  # an underlying that one account alone depends on, so that a tick of it makes one decision
PRICES = {"BTC": "100000", "ETH": "3500", "SOL": "200", "BNB": "1100", "XRP": "2.4", PROBE: "100"}
EXPIRY = "2030-12-27T08:00:00Z"
SETTING_OUT_NS = 1_767_600_000 * 10**9
SEED = 7


def genesis_of() -> Genesis:
    """Perpetuals on six underlyings, and forty options on BTC and ETH."""
    lots = {"BTC": "0.001", "ETH": "0.01", "SOL": "0.1", "BNB": "0.01", "XRP": "1", PROBE: "1"}
    instruments: list[dict[str, Any]] = [
        {"symbol": f"{name}-PERP", "kind": "perpetual", "underlying": name, "lot": lots[name], "mark": price}
        for name, price in PRICES.items()
    ]
    for name in ("BTC", "ETH"):
        for step in range(10):
            strike = f"{Decimal(PRICES[name]) * (60 + 10 * step) / 100:f}"
            for right in ("put", "call"):
                symbol = f"{name}-27DEC30-{strike}-{right[0].upper()}"
                row = {"symbol": symbol, "kind": "option", "underlying": name, "lot": lots[name], "right": right}
                instruments.append(row | {"strike": strike, "expiry": EXPIRY, "iv": "0.6"})
    underlyings = {name: {"index": price} for name, price in PRICES.items()}
    document = {"as_of": "2026-01-05T08:00:00Z", "settlement": "USD", "rate": "0.04"}
    document |= {"underlyings": underlyings, "instruments": instruments}  # type: ignore[dict-item]
    return Genesis(at_ns=SETTING_OUT_NS, market=document, model="portfolio")


def ledger_of(genesis: Genesis, market: Market, accounts: int) -> Ledger:
    """So many accounts with money; each is on one side or the other of two trades in the mean, one in five in options."""
    rng = random.Random(SEED)
    ledger = genesis.open_ledger(market)
    at = SETTING_OUT_NS
    names = [f"account-{number:07d}" for number in range(accounts)]
    for name in names:
        ledger.apply(ev.Open(at_ns=at, account=name))
        ledger.apply(ev.Deposit(at_ns=at, account=name, asset="USD", amount=20_000 * 10**6 + rng.randrange(10**10)))
    perpetuals = [s for s, one in market.instruments.items() if one.kind == "perpetual" and one.underlying != PROBE]
    options = [s for s, one in market.instruments.items() if one.kind == "option"]
    price_of = {s: round(market.mark(s) * float(market.instruments[s].lot) * 1e9) for s in perpetuals + options}
    for _ in range(accounts):
        maker, taker = rng.sample(names, 2) if accounts < 1000 else (rng.choice(names), rng.choice(names))
        if maker == taker:
            continue
        symbol = rng.choice(options if rng.random() < 0.2 else perpetuals)
        lots = max(1, int(2_000 * 10**9 / price_of[symbol] * rng.random())) * rng.choice((-1, 1))
        ledger.apply(
            ev.Trade(at_ns=at, maker=maker, taker=taker, instrument=symbol, lots=lots, price_nano=max(price_of[symbol], 1))
        )
    for name, amount, lots in (("probe", 3_000 * 10**6, 100), ("probe-other", 10**13, -100)):
        ledger.apply(ev.Open(at_ns=at, account=name))
        ledger.apply(ev.Deposit(at_ns=at, account=name, asset="USD", amount=amount))
        if lots < 0:
            price_nano = 100 * 10**9
            ledger.apply(
                ev.Trade(at_ns=at, maker=name, taker="probe", instrument=f"{PROBE}-PERP", lots=100, price_nano=price_nano)
            )
    return ledger


def _board() -> Path:
    """In memory where that is a folder: a board on a disk may wait for that disk's own writing (docs/operations.md)."""
    memory = Path("/dev/shm")
    return (memory if memory.is_dir() else Path.cwd()) / f"seawall-load-{os.getpid()}.board"


async def _loaded(folder: Path, accounts: int) -> Service:
    genesis = genesis_of()
    market = genesis.open_market()
    clearing = Clearing.__new__(Clearing)
    small = Clearing(genesis, 64)
    clearing.__dict__.update(small.__dict__)
    clearing.capacity = accounts + 64
    clearing._join(ledger_of(genesis, market, accounts), market, genesis.open_model(), None, {})
    journal = Journal.open(folder, schema=SCHEMA)
    clearing.sequence = journal.append([encode(genesis)])
    config = ServiceConfig(
        folder=folder, capacity=clearing.capacity, board=_board(), snapshot_every_s=0, snapshot_on_close=False
    )
    offset = SETTING_OUT_NS + 10**9 - time.time_ns()
    recovered = Recovered(1, 0, 0, accounts, True, 0.0, 0.0, 0.0)
    return Service(config, journal, clearing, recovered, lambda: time.time_ns() + offset)


async def measured(accounts: int, clients: Callable[[str, dict[str, str], Path], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """What clients saw of a service with so many accounts, which runs on this loop until they are done. They get its address,
    a key's text by scope, and its status board."""
    with tempfile.TemporaryDirectory(prefix="seawall-load-", dir=Path.cwd()) as name:
        config = VenueConfig(
            venue=VenueTable(market="", capacity=accounts + 64),
            journal=JournalConfig(folder="journal"),
            listen=ListenConfig(port=0),
            limits=LimitsConfig(requests_per_s=1e9, burst=1e9, sockets_per_key=1000),
            root=name,
        )
        file = KeyFile(config.keys_path)
        texts = {scope: file.create(scope, [scope], requests_per_s=1e9)[1] for scope in SCOPES}
        began = time.perf_counter()
        service = await _loaded(config.journal_folder, accounts)
        built_s = time.perf_counter() - began
        listener = running._bind(config.listen)
        stop, found = asyncio.Event(), {}

        async def ask(url: str) -> dict[str, Any]:
            try:
                return await clients(url, texts, _board())
            finally:
                stop.set()

        def ready(url: str, desk: Any) -> None:
            found["clients"] = asyncio.create_task(ask(url))

        try:
            await running._serve(config, Keys(config.keys_path), None, listener, service, ready, stop)
        finally:
            await service.close()
            listener.close()
            for path in _board().parent.glob(_board().name + "*"):
                path.unlink()
        result: dict[str, Any] = found["clients"].result()
        return result | {"accounts": accounts, "built_s": round(built_s, 1), "events": service.status()["sequence"]}


async def in_a_process(words: list[str], texts: dict[str, str]) -> dict[str, Any]:
    """Runs clients in a process of their own, which reads keys and prints what it saw."""
    process = await asyncio.create_subprocess_exec(*words, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate(json.dumps(texts).encode())
    if process.returncode:
        raise RuntimeError(f"the clients ended with {process.returncode}")
    found: dict[str, Any] = json.loads(out)
    return found


def main(words: list[str]) -> None:
    """ACCOUNTS SECONDS RATE [WRAPPER…]: prints the result as one JSON object; the clients are started through the wrapper."""
    accounts, seconds, rate = int(words[0]), float(words[1]), int(words[2])

    async def clients(url: str, texts: dict[str, str], board: Path) -> dict[str, Any]:
        line = [*words[3:], sys.executable, "-m", "seawall.server.load_clients", url, str(accounts), str(seconds), str(rate)]
        return await in_a_process(line, texts)

    with asyncio.Runner(loop_factory=running._loop_factory()) as runner:
        print(json.dumps(runner.run(measured(accounts, clients))))


if __name__ == "__main__":
    main(sys.argv[1:])
