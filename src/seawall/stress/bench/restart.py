"""Restart from a snapshot: from opening the journal's folder to a clearing that takes events, a million accounts in it.

Every account has cash and one position in one of twenty perpetuals, under `cross`. Wall time of reading the snapshot with
the check of its file's hash, the check of the state hash, restoring ledger and book, and evaluating and certifying every
account; the least of several repeats, compiled already. At the end the restored clearing must say the same state hash.
"""

from __future__ import annotations

import gc
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from seawall.core.errors import invariant
from seawall.core.times import parse_iso_ns
from seawall.engine.clearing import Clearing
from seawall.engine.frozen import hash_of
from seawall.engine.genesis import Genesis
from seawall.journal import Journal
from seawall.ledger.tables import Tables
from seawall.stress.bench.measure import Measure, measured
from seawall.stress.bench.setting import AS_OF, Setting

__all__ = ["MEASURES", "columns_of_venue", "measure"]

MEASURES = ("snapshot_restart_s",)
PERPETUALS = 20
PRICE = 100
REPEATS = 3
MICRO = 10**6


def measure(setting: Setting, names: set[str]) -> list[Measure]:
    """The restart measure."""
    accounts = setting.size
    setting.say(f"restart: a snapshot of {accounts:,} accounts")
    columns, sequence = columns_of_venue(accounts, setting.seed)
    state_hash = hash_of(columns)
    capacity = accounts + 1_000
    Clearing.from_columns(columns_of_venue(100, setting.seed)[0], 200)  # compiles
    with tempfile.TemporaryDirectory(prefix="seawall-bench-", dir=Path.cwd()) as name:
        path = Path(name) / "journal"
        with Journal.open(path) as journal:
            journal.append([b"event"] * sequence)
            journal.snapshot(sequence, columns, bytes.fromhex(state_hash))
        del columns
        taken: list[float] = []
        parts: dict[str, float] = {}
        clearing: Clearing | None = None
        for _ in range(1 if setting.quick else REPEATS):
            clearing = None  # a restarted process has one
            gc.collect()
            setting.say("restart: from the snapshot")
            start = time.perf_counter()
            clearing, parts = _restart(path, capacity)
            taken.append(time.perf_counter() - start)
        invariant(clearing is not None and clearing.state_hash() == state_hash, "a restart makes the state that the snapshot was taken of")
    words = ", ".join(f"{part} {seconds:.1f} s" for part, seconds in parts.items())
    return [measured("snapshot_restart_s", min(taken), words)]


def _restart(path: Path, capacity: int) -> tuple[Clearing, dict[str, float]]:
    """What the service does at its start, and how long its parts take."""
    marks = [time.perf_counter()]
    with Journal.open(path) as journal:
        snapshot = journal.latest_snapshot()
        assert snapshot is not None
        marks.append(time.perf_counter())
        invariant(hash_of(snapshot.columns) == snapshot.state_hash.hex(), "a snapshot's columns have its hash")
        marks.append(time.perf_counter())
        clearing = Clearing.from_columns(snapshot.columns, capacity)
        marks.append(time.perf_counter())
    names = ("opening and reading", "state hash", "restoring and certifying")
    return clearing, dict(zip(names, np.diff(marks).tolist(), strict=True))


def columns_of_venue(accounts: int, seed: int) -> tuple[Tables, int]:
    """(the columns of a clearing with so many accounts, its sequence), as if it had come to them event by event."""
    instruments = [
        {"symbol": f"C{k}-PERP", "kind": "perpetual", "underlying": f"C{k}", "lot": "0.001", "mark": str(PRICE)}
        for k in range(PERPETUALS)
    ]
    document: dict[str, Any] = {
        "as_of": AS_OF,
        "settlement": "USD",
        "rate": "0",
        "underlyings": {f"C{k}": {"index": str(PRICE)} for k in range(PERPETUALS)},
        "instruments": instruments,
    }
    clearing = Clearing(Genesis(at_ns=parse_iso_ns(AS_OF), market=document, model="cross"), 100)
    columns, state = clearing.columns(), clearing.ledger.state
    first = len(state.names)
    names = [*state.names, *(f"account {k:07d}" for k in range(accounts))]
    columns["ledger.names"] = np.frombuffer("\n".join(names).encode(), np.uint8)
    head = columns["ledger.head"].copy()
    head[3] = len(names)
    columns["ledger.head"] = head
    for name, of_user in (("kind", 0), ("state", 0), ("parent", -1), ("only", -1), ("children", 0)):
        column = columns[f"ledger.{name}"]
        columns[f"ledger.{name}"] = np.concatenate([column, np.full(accounts, of_user, column.dtype)])
    columns["levels"] = np.zeros(len(names), np.int8)
    rng = np.random.default_rng(seed)
    rows = np.arange(first, len(names))
    cash = rng.integers(2_000, 100_000, accounts) * MICRO
    columns["ledger.balance_asset"] = np.zeros(accounts + 1, np.int64)
    columns["ledger.balance_row"] = np.concatenate([[state.rows["outside"]], rows])
    columns["ledger.balance"] = np.concatenate([[-cash.sum()], cash])
    columns["ledger.mark"] = np.zeros(accounts + 1, np.int64)
    lots = rng.integers(1, 10_000, accounts) * np.where(rows % 2, 1, -1)
    columns["ledger.position_row"] = rows.astype(np.int32)
    columns["ledger.position_instrument"] = rng.integers(0, PERPETUALS, accounts).astype(np.int32)
    columns["ledger.lots"], columns["ledger.cost"] = lots, -lots * (PRICE * MICRO // 1000)
    columns["ledger.since_pico"] = np.zeros(accounts, np.int64)
    return columns, clearing.sequence
