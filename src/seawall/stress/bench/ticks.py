"""The engine's ticks against revaluing the whole book at every tick.

A tick is one price of one underlying through the public API, decimal string in, decisions out; its
cost is the CPU time of all of them over their number, declarations and new certificates included. A
sweep is what the same engine would have to do without tripwires: the model's tables at that market,
then every account, with the fastest kernel there is. At the end both have to name the same accounts.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np

from seawall.core.errors import InvariantError
from seawall.kernels.account import evaluate_accounts
from seawall.stress.bench.measure import Measure, measured
from seawall.stress.bench.paths import Path, calm, crash
from seawall.stress.bench.setting import PRICES, Setting

__all__ = ["MEASURES", "measure"]

MEASURES = ("tick_vs_sweep_calm", "tick_vs_sweep_crash", "tick_growth_10x")
CALM_SECONDS, CRASH_SECONDS = 2_000, 500
SWEEPS = 5


class Run(NamedTuple):
    """CPU seconds of a tick (mean) and of a sweep (least), and what happened on the way."""

    tick_s: float
    sweep_s: float
    ticks: int
    touched: int
    decisions: int


def measure(setting: Setting, names: set[str]) -> list[Measure]:
    """The tick measures among `names`. The crash follows the calm, on the same engine."""
    seconds = (20, 20) if setting.quick else (CALM_SECONDS, CRASH_SECONDS)
    found = []
    small = None
    if "tick_growth_10x" in names:
        few = setting.size // 10
        small = _Subject(setting, setting.population(few)).run(_calm(setting, seconds[0]), "calm")
    subject = _Subject(setting, setting.book)
    large = subject.run(_calm(setting, seconds[0]), "calm")
    if "tick_vs_sweep_calm" in names:
        found.append(_ratio("tick_vs_sweep_calm", large))
    if "tick_vs_sweep_crash" in names:
        path = crash(subject.prices, subject.at_ns, seconds[1], setting.seed + 1)
        found.append(_ratio("tick_vs_sweep_crash", subject.run(path, "crash")))
    if small is not None:
        tenth = f"with a tenth of the accounts {small.tick_s * 1e6:.2f} us"
        words = f"a calm tick takes {large.tick_s * 1e6:.2f} us, {tenth}"
        found.append(measured("tick_growth_10x", large.tick_s / small.tick_s, words))
    return found


def _calm(setting: Setting, seconds: int) -> Path:
    return calm(PRICES, setting.market.as_of_ns, seconds, setting.seed)


def _ratio(name: str, run: Run) -> Measure:
    words = f"full sweep {run.sweep_s * 1e3:,.0f} ms, tick {run.tick_s * 1e6:,.2f} us, mean of {run.ticks:,}"
    happened = f"{run.touched:,} accounts touched, {run.decisions:,} decisions; same statuses at the end"
    return measured(name, run.sweep_s / run.tick_s, f"{words}; {happened}")


class _Subject:
    """An engine and the sweep that it replaces, on one book."""

    def __init__(self, setting: Setting, book: Any) -> None:
        from seawall.engine.loop import Engine

        setting.say(f"engine of {len(book.accounts.names):,} accounts")
        self.setting = setting
        self.accounts = book.accounts
        self.engine = Engine(book, setting.market, setting.model)
        self.prices = dict(PRICES)
        self.at_ns = setting.market.as_of_ns
        self.out = np.zeros((len(self.accounts.names), 4), np.int64)
        self._warm_up()

    def run(self, path: Path, words: str) -> Run:
        """Plays the path, stopping for a sweep now and then, and compares the verdicts at the end."""
        self.setting.say(f"ticks: {words}, {path.ticks:,} ticks")
        touched = self.engine.metrics["touched"]
        tick_s, sweep_s, decisions = 0.0, float("inf"), 0
        seconds = len(path.at_ns)
        parts = np.linspace(0, seconds, SWEEPS + 1).astype(int).tolist()
        for first, last in zip(parts, parts[1:], strict=False):
            start = time.process_time()
            decisions += self._play(path, first, last)
            tick_s += time.process_time() - start
            sweep_s = min(sweep_s, self._sweep())
        self._compare()
        touched = self.engine.metrics["touched"] - touched
        return Run(tick_s / path.ticks, sweep_s, path.ticks, touched, decisions)

    def _play(self, path: Path, first: int, last: int) -> int:
        tick = self.engine.tick
        decisions = 0
        for prices, at_ns in zip(path.prices[first:last], path.at_ns[first:last], strict=True):
            for name, price in zip(path.underlyings, prices, strict=True):
                decisions += len(tick(name, price, at=at_ns))
        if last > first:
            self.prices = dict(zip(path.underlyings, path.prices[last - 1], strict=True))
            self.at_ns = path.at_ns[last - 1]
        return decisions

    def _sweep(self) -> float:
        """CPU seconds of the tables and every account at the engine's present market."""
        market = self.setting.market.with_index(self.prices, self.at_ns)
        model, accounts = self.setting.model, self.accounts
        start = time.process_time()
        tables = model.tables(market)
        first, last = accounts.row_ptr[:-1], accounts.row_ptr[1:]
        evaluate_accounts(
            model.kind, tables, first, last, accounts.leg, accounts.lots, accounts.cash_nano, self.out
        )
        return time.process_time() - start

    def _compare(self) -> None:
        """Every account has the status that a full evaluation gives it (hysteresis included)."""
        wrong = self.engine.audit()
        if wrong:
            raise InvariantError("ticks and sweep agree", f"{len(wrong)} accounts differ, {wrong[0]} first")

    def _warm_up(self) -> None:
        """Compiles everything, on prices that do not move."""
        for name, price in self.prices.items():
            self.engine.tick(name, price, at=self.at_ns)
        self._sweep()
