"""A pre-trade question through the Python API, as a matching engine's gateway would ask it.

Accounts of twenty positions; a price ticks between questions, so that one in ten finds a market at
which nothing has been computed yet. Wall time of every single call, and its 99th percentile.
"""

from __future__ import annotations

import time

import numpy as np

from seawall.stress.bench.measure import Measure, measured
from seawall.stress.bench.paths import calm
from seawall.stress.bench.setting import PRICES, Setting

__all__ = ["MEASURES", "measure"]

MEASURES = ("what_if_p99_us",)
POSITIONS = 20
CALLS_PER_TICK = 10
ACCOUNTS = 20_000


def measure(setting: Setting, names: set[str]) -> list[Measure]:
    """The 99th percentile of `Engine.what_if` in microseconds."""
    from seawall.engine.loop import Engine

    calls = 500 if setting.quick else 20_000
    book = setting.population(min(ACCOUNTS, setting.size))
    engine = Engine(book, setting.market, setting.model)
    held = np.diff(book.accounts.row_ptr)
    candidates = np.flatnonzero(held == POSITIONS)
    accounts = [book.accounts.names[k] for k in candidates]
    symbols = [row["symbol"] for row in setting.board.document["instruments"] if row["kind"] == "option"]
    lots = {row["symbol"]: row["lot"] for row in setting.board.document["instruments"]}
    rng = np.random.default_rng(setting.seed)
    who, what = rng.integers(0, len(accounts), calls), rng.integers(0, len(symbols), calls)
    questions = [(accounts[a], {symbols[i]: lots[symbols[i]]}) for a, i in zip(who, what, strict=True)]
    path = calm(PRICES, setting.market.as_of_ns, calls // CALLS_PER_TICK + 1, setting.seed)
    setting.say(f"what-if: {calls:,} questions about {len(accounts):,} accounts of {POSITIONS} positions")
    for account, trades in questions[:50]:
        engine.what_if(account, trades)
    taken = np.zeros(calls)
    for n, (account, trades) in enumerate(questions):
        if n % CALLS_PER_TICK == 0:
            second = n // CALLS_PER_TICK
            engine.tick("BTC", path.prices[second][0], at=path.at_ns[second])
        start = time.perf_counter_ns()
        engine.what_if(account, trades)
        taken[n] = time.perf_counter_ns() - start
    p50, p99 = np.percentile(taken, (50, 99)) / 1e3
    words = f"{calls:,} calls, wall time, median {p50:,.1f} us; a price ticks every {CALLS_PER_TICK} calls"
    return [measured("what_if_p99_us", float(p99), words)]
