"""The replay loop: order, counting, sampling and logging, with an engine that only remembers."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from types import SimpleNamespace

import numpy as np
import pytest

from seawall.core.errors import InputError
from seawall.core.events import Mark, Surface, Tick
from seawall.feeds.ticks import PriceHistory, SurfaceUpdate, Ticks
from seawall.stress.replay import HEALTH_LABELS, DecisionLog, Replay

START = 1_760_128_200_000_000_000
SECOND = 10**9
PERPETUAL = SimpleNamespace(kind="perpetual", expiry_ns=0)


def decision(sequence, at_ns, kind="liquidatable", account="a"):
    return SimpleNamespace(
        sequence=sequence, at_ns=at_ns, account=account, kind=kind, market_version=sequence,
        equity_micro=5_500_000, initial_micro=9_000_000, maintenance_micro=7_000_000, health_micro=-1_500_000,
        cause="tick BTC 99",
    )  # fmt: skip


class MemoryEngine:
    """Applies events to a list; declares its one account at every tenth event."""

    def __init__(self):
        self.market = SimpleNamespace(as_of_ns=START, underlyings=("BTC", "ETH"), instruments={"BTC-PERP": PERPETUAL})
        self.events = []
        self.counts = {"ok": 3}
        self.names = ["a", "b", "c"]
        self.metrics = {"touched": 3}

    def apply(self, event):
        self.events.append(event)
        count = len(self.events)
        return [decision(count, event.at_ns)] if count % 10 == 0 else []

    def sweep(self):
        return np.array([[7_000_000, 5_000_000, 4_000_000, 0], [-1, 5, 4, 0], [0, 0, 0, 0]])

    def state_hash(self):
        return "ab" * 32


def history(prices=30, names=("BTC", "ETH"), surfaces=(), start=START):
    at_ns = start + np.arange(prices, dtype=np.int64) * SECOND
    ticks = Ticks(names, at_ns, (np.arange(prices) % len(names)).astype(np.int32), np.full(prices, 10**12, np.int64))
    return PriceHistory("memory", ticks, {name: name for name in names}, (), tuple(surfaces))


def test_ticks_and_vol_updates_reach_the_engine_in_time_order_ticks_first():
    engine = MemoryEngine()
    updates = [SurfaceUpdate(START + 2 * SECOND, {"X": "0.5"}), SurfaceUpdate(START + 60 * SECOND, {"X": "0.6"})]
    replay = Replay(engine, history(5, surfaces=updates))
    replay.run()
    kinds = [type(event) for event in engine.events]
    assert kinds == [Tick, Tick, Tick, Surface, Tick, Tick, Surface]
    assert [event.at_ns for event in engine.events] == sorted(event.at_ns for event in engine.events)
    assert replay.summary()["surface_updates"] == 2
    assert engine.events[0] == Tick(at_ns=START, underlying="BTC", price="1000")


def test_a_price_of_an_instrument_is_a_mark():
    engine = MemoryEngine()
    Replay(engine, history(2, names=("BTC-PERP",))).run()
    assert engine.events[0] == Mark(at_ns=START, instrument="BTC-PERP", price="1000")


def test_paced_in_pieces_it_does_exactly_what_it_does_at_once():
    whole, paced = MemoryEngine(), MemoryEngine()
    at_once, in_pieces = Replay(whole, history(100), samples=7), Replay(paced, history(100), samples=7)
    at_once.run()
    target = START
    while not in_pieces.done:
        in_pieces.advance(target, budget_s=1e-9)
        target += 700_000_000
    assert paced.events == whole.events
    assert len(in_pieces.log) == len(at_once.log) == 10
    assert [sample.at_ns for sample in in_pieces.samples] == [sample.at_ns for sample in at_once.samples]
    assert [sample.ticks for sample in in_pieces.samples] == [sample.ticks for sample in at_once.samples]


def test_samples_are_spread_over_market_time_and_end_with_the_end():
    replay = Replay(MemoryEngine(), history(100), samples=10)
    replay.run()
    assert 9 <= len(replay.samples) <= 12
    assert replay.samples[-1].ticks == 100
    assert replay.samples[-1].decisions["liquidatable"] == 10


def test_prices_from_before_the_market_are_left_out_and_counted():
    engine = MemoryEngine()
    replay = Replay(engine, history(10, start=START - 4 * SECOND))
    replay.run()
    assert replay.summary()["skipped_ticks"] == 4
    assert replay.summary()["ticks"] == 6
    with pytest.raises(InputError, match="expected a price at or after the market's time"):
        Replay(MemoryEngine(), history(3, start=START - 100 * SECOND))


def test_a_price_of_something_that_the_market_does_not_have_is_an_error():
    with pytest.raises(InputError, match="found prices of DOGE"):
        Replay(MemoryEngine(), history(3, names=("BTC", "DOGE")))


def test_the_summary_counts_ticks_accounts_and_decisions_by_kind():
    replay = Replay(MemoryEngine(), history(100))
    replay.run()
    summary = replay.summary()
    assert summary["ticks"] == 100
    assert summary["accounts"] == 3
    assert summary["decisions"] == {"margin_call": 0, "liquidatable": 10, "bankrupt": 0, "recovered": 0}
    assert summary["state_hash"] == "ab" * 32
    assert summary["from"] == "2025-10-10T20:30:00Z"


def test_a_look_counts_accounts_by_health_and_names_the_worst():
    replay = Replay(MemoryEngine(), history(3))
    look = replay.look(worst=2)
    assert sum(look.health) == 3
    by_label = dict(zip(HEALTH_LABELS, look.health, strict=True))
    assert {label: n for label, n in by_label.items() if n} == {"bankrupt": 1, "50 – 100 %": 1, "no margin": 1}
    assert look.worst == [("b", -1, 4), ("a", 7_000_000, 4_000_000)]


def test_the_decision_log_is_a_table_with_exact_amounts(tmp_path):
    import polars as pl

    log = DecisionLog()
    log.extend([decision(1, START), decision(2, START + 1, kind="recovered", account="b")])
    log.write(tmp_path / "d.parquet")
    frame = pl.read_parquet(tmp_path / "d.parquet")
    assert frame["health"].to_list() == [Decimal("-1.5")] * 2
    assert frame["kind"].to_list() == ["liquidatable", "recovered"]
    assert frame["at"][0] == dt.datetime(2025, 10, 10, 20, 30, tzinfo=dt.UTC)
    assert log.counts["recovered"] == 1
