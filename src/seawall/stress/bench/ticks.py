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
TURNS, SWEEPS = 20, 5


class Run(NamedTuple):
    """CPU seconds of a tick (mean) and of a sweep (least), and what happened on the way."""

    tick_s: float
    sweep_s: float
    ticks: int
    touched: int
    decisions: int


def measure(setting: Setting, names: set[str]) -> list[Measure]:
    """The tick measures among `names`. The crash follows the calm, on the same engine; the engine of a tenth of the
    accounts takes turns with the whole one, so that both see the same moods of the machine."""
    seconds = (20, 20) if setting.quick else (CALM_SECONDS, CRASH_SECONDS)
    found = []
    subjects = [_Subject(setting, setting.book)]
    if "tick_growth_10x" in names:
        subjects.append(_Subject(setting, setting.population(setting.size // 10)))
    subject = subjects[0]
    large, *small = _run(subjects, _calm(setting, seconds[0]), "calm")
    if "tick_vs_sweep_calm" in names:
        found.append(_ratio("tick_vs_sweep_calm", large))
    if "tick_vs_sweep_crash" in names:
        path = crash(subject.prices, subject.at_ns, seconds[1], setting.seed + 1)
        found.append(_ratio("tick_vs_sweep_crash", _run([subject], path, "crash")[0]))
    for run in small:
        tenth = f"with a tenth of the accounts {run.tick_s * 1e6:.2f} us"
        words = f"a calm tick takes {large.tick_s * 1e6:.2f} us, {tenth}"
        found.append(measured("tick_growth_10x", large.tick_s / run.tick_s, words))
    return found


def _calm(setting: Setting, seconds: int) -> Path:
    return calm(PRICES, setting.market.as_of_ns, seconds, setting.seed)


def _ratio(name: str, run: Run) -> Measure:
    words = f"full sweep {run.sweep_s * 1e3:,.0f} ms, tick {run.tick_s * 1e6:,.2f} us, mean of {run.ticks:,}"
    happened = f"{run.touched:,} accounts touched, {run.decisions:,} decisions; same statuses at the end"
    return measured(name, run.sweep_s / run.tick_s, f"{words}; {happened}")


def _run(subjects: list[_Subject], path: Path, words: str) -> list[Run]:
    """Each plays the path, in turns, stopping for a sweep now and then; at the end verdicts are compared."""
    subjects[0].setting.say(f"ticks: {words}, {path.ticks:,} ticks")
    before = [subject.engine.metrics["touched"] for subject in subjects]
    tick_s = [0.0] * len(subjects)
    sweep_s, decisions = [float("inf")] * len(subjects), [0] * len(subjects)
    parts = np.linspace(0, len(path.at_ns), TURNS + 1).astype(int).tolist()
    for turn, (first, last) in enumerate(zip(parts, parts[1:], strict=False)):
        for k, subject in enumerate(subjects):
            start = time.process_time()
            decisions[k] += subject.play(path, first, last)
            tick_s[k] += time.process_time() - start
            if turn % (TURNS // SWEEPS) == 0:
                sweep_s[k] = min(sweep_s[k], subject.sweep())
    runs = []
    for k, subject in enumerate(subjects):
        subject.compare()
        touched = subject.engine.metrics["touched"] - before[k]
        runs.append(Run(tick_s[k] / path.ticks, sweep_s[k], path.ticks, touched, decisions[k]))
    return runs


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

    def play(self, path: Path, first: int, last: int) -> int:
        tick = self.engine.tick
        decisions = 0
        for prices, at_ns in zip(path.prices[first:last], path.at_ns[first:last], strict=True):
            for name, price in zip(path.underlyings, prices, strict=True):
                decisions += len(tick(name, price, at=at_ns))
        if last > first:
            self.prices = dict(zip(path.underlyings, path.prices[last - 1], strict=True))
            self.at_ns = path.at_ns[last - 1]
        return decisions

    def sweep(self) -> float:
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

    def compare(self) -> None:
        """Every account has the status that a full evaluation gives it (hysteresis included)."""
        wrong = self.engine.audit()
        if wrong:
            raise InvariantError("ticks and sweep agree", f"{len(wrong)} accounts differ, {wrong[0]} first")

    def _warm_up(self) -> None:
        """Compiles everything, on prices that do not move."""
        for name, price in self.prices.items():
            self.engine.tick(name, price, at=self.at_ns)
        self.sweep()
