"""A service's own log, lived and then recovered: how many of its events a second come up again, by the state hash the same.

    python -m seawall.server.replaying EVENTS ACCOUNTS

The events pass through the clearing one by one, as requests do, and stand in the journal as the service writes them: 90 %
fills between any two accounts, with fees for both; deposits under idempotency keys; ticks that move statuses and certificates;
withdrawals that margin has admitted. Recovery is `recover`, from `Journal.open`, which verifies the chain, to the clearing with
everybody evaluated. Prints one JSON object. Nobody needs this to run a venue.
"""

from __future__ import annotations

import gc
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from seawall.engine.clearing import Clearing
from seawall.engine.clearing_events import Ticks, pack_ticks
from seawall.engine.facts import facts_of
from seawall.engine.genesis import Genesis
from seawall.journal import Journal
from seawall.ledger import events as ev

from .records import SCHEMA, encode, with_facts
from .recovery import recover
from .refolding import scoped

__all__ = ["lived", "recovered"]

START_NS = 1_700_000_000 * 10**9
STEP_NS = 100_000
PRICES = {"BTC": 60_000, "ETH": 3_000, "SOL": 150}
GROUP = 100  # records written together, as a group commit gathers under load
REPEATS = 3
WRITER = "desk"


def lived(folder: Path, events: int, accounts: int) -> tuple[str, float]:
    """Writes the log; (the state hash at its end, events a second at which it was lived through)."""
    first = genesis()
    clearing = Clearing(first, accounts + 64)
    pending = [encode(first)]
    with Journal.open(folder, schema=SCHEMA) as journal:
        for number in range(accounts):
            pending.append(_applied(clearing, ev.Open(at_ns=START_NS, account=_name(number)), ""))
        for number in range(accounts):
            money = ev.Deposit(at_ns=START_NS, account=_name(number), asset="USD", amount=1_000 * 10**6)
            pending.append(_applied(clearing, money, ""))
        began = time.perf_counter()
        for key, event in _day(events, accounts):
            record = _applied(clearing, event, key)
            if record:
                pending.append(record)
            if len(pending) >= GROUP:
                journal.submit(pending)
                pending = []
        taken = time.perf_counter() - began
        if pending:
            journal.submit(pending)
    return clearing.state_hash(), events / taken


def recovered(folder: Path, capacity: int) -> tuple[Clearing, Any, float]:
    """(the clearing, how it came up, seconds from `Journal.open`)."""
    gc.collect()
    began = time.perf_counter()
    with Journal.open(folder, schema=SCHEMA) as journal:
        clearing, report = recover(journal, None, capacity)
        return clearing, report, time.perf_counter() - began


def genesis() -> Genesis:
    """Three perpetuals, cross margin."""
    market = {
        "as_of": "2023-11-14T22:13:20Z",
        "settlement": "USD",
        "underlyings": {name: {"index": str(price)} for name, price in PRICES.items()},
        "instruments": [
            {"symbol": f"{name}-PERP", "kind": "perpetual", "underlying": name, "lot": "0.01", "mark": str(price)}
            for name, price in PRICES.items()
        ],
    }
    return Genesis(at_ns=START_NS, market=market, model="cross")


def _day(count: int, accounts: int) -> Iterator[tuple[str, Any]]:
    rng = random.Random(7)
    names, walk = list(PRICES), [float(price) for price in PRICES.values()]
    for number in range(count):
        now, what = START_NS + number * STEP_NS, rng.random()
        one, other = rng.randrange(accounts), rng.randrange(accounts - 1)
        if what < 0.9:
            k = rng.randrange(len(names))
            price_nano = int(walk[k] * rng.uniform(0.999, 1.001) * 100) * 10**5
            lots = rng.choice((-1, 1)) * (1 + int(rng.random() * 3_000_000 / walk[k] / 10))
            yield "", ev.Trade(
                at_ns=now, maker=_name(one), taker=_name(other + (other >= one)), instrument=f"{names[k]}-PERP", lots=lots,
                price_nano=price_nano, maker_fee_ppm=-50, taker_fee_ppm=350,
            )  # fmt: skip
        elif what < 0.97:
            amount = 10**6 * rng.randrange(1, 2_000)
            yield f"d{number}", ev.Deposit(at_ns=now, account=_name(one), asset="USD", amount=amount)
        elif what < 0.98:
            yield f"w{number}", ev.Withdraw(at_ns=now, account=_name(one), asset="USD", amount=10**6)
        else:
            k = rng.randrange(len(names))
            walk[k] *= rng.uniform(0.9995, 1.0005)
            yield "", Ticks(at_ns=now, packed=pack_ticks([(k, int(walk[k] * 100) * 10**7)]))


def _applied(clearing: Clearing, event: Any, key: str) -> bytes:
    """The record of an event, empty where margin refuses it or there is nothing to take."""
    if isinstance(event, ev.Withdraw):
        verdict = clearing.judge(event)
        if verdict is None or not verdict.admitted or clearing.ledger.balance(event.account, "USD") < event.amount:
            return b""
    outcome = clearing.apply(event, scoped(WRITER, key))
    return with_facts(encode(event, WRITER, key), event, facts_of(clearing, event, outcome))


def _name(number: int) -> str:
    return f"account-{number:07d}"


def main(words: list[str]) -> None:
    """EVENTS ACCOUNTS: prints what was measured."""
    events, accounts = int(words[0]), int(words[1])
    with tempfile.TemporaryDirectory(prefix="seawall-replaying-", dir=Path.cwd()) as name:
        lived(Path(name) / "first", 2_000, 50)  # compiles, and loads
        recovered(Path(name) / "first", 200)
        state_hash, lived_per_s = lived(Path(name) / "log", events, accounts)
        best: tuple[float, Any] | None = None
        size = 0
        for _ in range(REPEATS):
            clearing, report, taken = recovered(Path(name) / "log", accounts + 64)
            assert clearing.state_hash() == state_hash, "recovery ended in another state"
            size, decisions, keys = clearing.sequence, clearing.engine.sequence, len(clearing.keys.done)
            best = (taken, report) if best is None or taken < best[0] else best
            del clearing
        assert best is not None
        print(
            json.dumps(
                {
                    "events_per_s": round(size / best[0]), "events": size, "accounts": accounts, "seconds": round(best[0], 3),
                    "lived_per_s": round(lived_per_s), "asked": best[1].asked, "decisions": decisions, "keys": keys,
                }
            )
        )  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1:])
