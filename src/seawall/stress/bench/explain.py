"""Why an account's margin is what it is, through the Python API, for accounts of twenty positions.

Every question is about another account of a prepared Calculator: all parts of equity and of both margins, all
scenarios, and what each position saves; names and words are made when they are read. Wall time of every single call, and its 99th percentile.
"""

from __future__ import annotations

import gc
import time

import numpy as np

from seawall.stress.bench.measure import Measure, measured
from seawall.stress.bench.setting import Setting

__all__ = ["MEASURES", "measure"]

MEASURES = ("explain_p99_us",)
POSITIONS = 20
ACCOUNTS = 20_000


def measure(setting: Setting, names: set[str]) -> list[Measure]:
    """The 99th percentile of `explain_account` in microseconds."""
    from seawall.margin.explain import explain_account
    from seawall.margin.whatif import Calculator

    calls = 200 if setting.quick else 5_000
    book = setting.population(min(ACCOUNTS, setting.size))
    calculator = Calculator(book, setting.market, setting.model)
    candidates = np.flatnonzero(np.diff(calculator.accounts.row_ptr) == POSITIONS)
    asked = [calculator.accounts.names[k] for k in np.random.default_rng(setting.seed).choice(candidates, calls)]
    setting.say(f"explain: {calls:,} questions about {len(candidates):,} accounts of {POSITIONS} positions")
    for account in asked[:50]:
        explain_account(calculator, account)
    taken = np.zeros(calls)
    gc.collect()
    for n, account in enumerate(asked):
        start = time.perf_counter_ns()
        explain_account(calculator, account)
        taken[n] = time.perf_counter_ns() - start
    p50, p99 = np.percentile(taken, (50, 99)) / 1e3
    words = f"{calls:,} calls, wall time, median {p50:,.1f} us; with the saving of each of {POSITIONS} positions"
    return [measured("explain_p99_us", float(p99), words)]
