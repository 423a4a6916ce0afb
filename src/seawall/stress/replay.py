"""One loop that feeds a price history to an engine and keeps what came of it.

The loop is the same for the demonstration, a user's own files and the benchmarks' stories: events in time
order, decisions appended to a columnar log, and a sample of the whole at evenly spaced market times for the
plot. A live view paces it by asking it to advance to a market time; without one it runs as fast as it can.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from seawall.core.errors import ExpiredInstrument, InputError, LimitExceeded
from seawall.core.events import Event, Mark, Surface, Tick
from seawall.core.times import format_ns
from seawall.core.units import NANO, format_nano
from seawall.engine.desk import PRICE_LIMIT_NANO
from seawall.feeds.tables import write_table
from seawall.feeds.ticks import PriceHistory, Ticks

if TYPE_CHECKING:
    import polars as pl

__all__ = ["HEALTH_LABELS", "KINDS", "Look", "DecisionLog", "Replay", "Sample"]

KINDS = ("margin_call", "liquidatable", "bankrupt", "recovered")
HEALTH_LABELS = ("bankrupt", "below 0", "0 – 10 %", "10 – 25 %", "25 – 50 %", "50 – 100 %", "1 – 2 ×", "2 – 4 ×",
                 "over 4 ×", "no margin")  # fmt: skip
_EDGES = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
_AMOUNTS = ("equity_micro", "initial_micro", "maintenance_micro", "health_micro")


class Sample(msgspec.Struct, frozen=True):
    """The state at one market time: prices by name, totals so far, accounts by status and by HEALTH_LABELS."""

    at_ns: int
    prices: dict[str, float]
    ticks: int
    decisions: dict[str, int]
    statuses: dict[str, int]
    health: list[int]
    busy_s: float


class Look(msgspec.Struct, frozen=True):
    """An exact look at all accounts: how many by HEALTH_LABELS, and the worst of those that need margin.

    worst: (account, equity_micro, maintenance_micro), the largest shortfalls first, then the least room.
    """

    health: list[int]
    worst: list[tuple[str, int, int]]


class DecisionLog:
    """Decisions as columns: 60 bytes each instead of an object, and one Parquet file at the end."""

    def __init__(self) -> None:
        self._numbers = {name: array("q") for name in ("sequence", "at_ns", "market_version", *_AMOUNTS)}
        self._texts: dict[str, list[str]] = {"account": [], "kind": [], "cause": []}
        self.counts = dict.fromkeys(KINDS, 0)
        self.last: list[Any] = []
        self.listener: Callable[[list[Any]], None] | None = None  # is handed whatever is appended

    def __len__(self) -> int:
        return len(self._texts["kind"])

    def extend(self, decisions: list[Any]) -> None:
        """Appends the engine's decisions, in their order."""
        for decision in decisions:
            for name, column in self._numbers.items():
                column.append(getattr(decision, name))
            for name, texts in self._texts.items():
                texts.append(getattr(decision, name))
            self.counts[decision.kind] = self.counts.get(decision.kind, 0) + 1
        self.last = [*self.last, *decisions[-8:]][-8:]
        if self.listener is not None and decisions:
            self.listener(decisions)

    def to_polars(self) -> pl.DataFrame:
        """sequence, at (UTC), account, kind, market_version, amounts as Decimal(scale 6), cause."""
        import polars as pl

        numbers = {
            name: pl.Series(name, np.array(column, np.int64)) for name, column in self._numbers.items()
        }
        amounts = [_money(numbers[name], name.removesuffix("_micro")) for name in _AMOUNTS]
        return pl.DataFrame(
            [
                numbers["sequence"],
                numbers["at_ns"].cast(pl.Datetime("ns", "UTC")).alias("at"),
                pl.Series("account", self._texts["account"], dtype=pl.String),
                pl.Series("kind", self._texts["kind"], dtype=pl.String),
                numbers["market_version"],
                *amounts,
                pl.Series("cause", self._texts["cause"], dtype=pl.String),
            ]
        )

    def write(self, path: str | Path) -> None:
        """Writes the log as Parquet."""
        write_table(self.to_polars(), path)


class Replay:
    """A replay in progress. `advance` feeds events; `samples`, `log` and `summary` are what it leaves.

    Prices before the market's own time are left out and counted (`skipped`); prices of names that the market
    does not have are an error, since a replay that ignores them silently would prove nothing.
    """

    def __init__(self, engine: Any, history: PriceHistory, *, samples: int = 240):
        market = engine.market
        self.engine, self.history, self.log = engine, history, DecisionLog()
        unknown = [
            n for n in history.ticks.names if n not in market.underlyings and n not in market.instruments
        ]
        if unknown:
            raise InputError(history.source, f"prices of {unknown[0]}", "a name of the market")
        ticks = history.ticks.between(market.as_of_ns, None)
        if not len(ticks):
            expected = f"a price at or after the market's time, {format_ns(market.as_of_ns)}"
            last = format_ns(int(history.ticks.at_ns[-1]))
            raise InputError(history.source, f"no price after {last}", expected)
        _check_prices(ticks, market, history.source)
        self.skipped = len(history.ticks) - len(ticks)
        self.names = ticks.names
        self.start_ns, self.end_ns = int(ticks.at_ns[0]), int(ticks.at_ns[-1])
        self.total_ticks = len(ticks)
        self.ticks = 0
        self.surfaces = 0
        self.now_ns = self.start_ns
        self.prices: dict[str, str] = {}
        self.heard_ns: dict[str, int] = {}  # when each was last heard
        self.samples: list[Sample] = []
        self.busy_s = 0.0
        self._underlyings = frozenset(market.underlyings)
        self._ticks = iter(ticks)
        self._next_tick = next(self._ticks, None)
        self._updates = iter(s for s in history.surfaces if s.at_ns >= market.as_of_ns)
        self._next_update = next(self._updates, None)
        # A sample looks at every account: fewer of them for more accounts.
        samples = min(samples, max(24, 6_000_000 // max(len(engine.names), 1)))
        self.step_ns = max((self.end_ns - self.start_ns) // max(samples, 1), 1)
        self._sample_due = self.start_ns + self.step_ns

    @property
    def done(self) -> bool:
        """Whether every event has been fed."""
        return self._next_tick is None and self._next_update is None

    def run(self, progress: Callable[[Replay], None] | None = None) -> None:
        """Feeds everything; progress is called at every sample."""
        while (at_ns := self._next_at()) is not None:
            self.advance(max(at_ns + 1, self._sample_due))
            if progress is not None:
                progress(self)

    def advance(self, until_ns: int, *, budget_s: float | None = None) -> bool:
        """Feeds the events before until_ns, in order; stops early once budget_s of wall time is used.

        Returns whether it got there. Ticks come before a vol update of the same time.
        """
        started = time.perf_counter()
        fed = 0
        while (at_ns := self._next_at()) is not None and at_ns < until_ns:
            if at_ns >= self._sample_due:
                self._sample(started)
                started = time.perf_counter()
            self.log.extend(self.engine.apply(self._take()))
            self.now_ns = at_ns
            fed += 1
            if budget_s is not None and fed % 64 == 0 and time.perf_counter() - started > budget_s:
                self.busy_s += time.perf_counter() - started
                return False
        self.busy_s += time.perf_counter() - started
        if at_ns is None:
            self._sample(None)
        return True

    def look(self, worst: int = 0) -> Look:
        """Evaluates every account at the present market; decides nothing and changes nothing."""
        rows = self.engine.sweep()
        equity, maintenance = rows[:, 0], rows[:, 2]
        ratio = (equity - maintenance) / np.maximum(maintenance, 1)
        bins = 1 + np.searchsorted(_EDGES, ratio, side="right")
        bins = np.where(equity < 0, 0, np.where(maintenance > 0, bins, len(HEALTH_LABELS) - 1))
        health = np.bincount(bins, minlength=len(HEALTH_LABELS)).tolist()
        count = min(worst, len(rows))
        if not count:
            return Look(health, [])
        # The largest shortfalls first (in money), then those nearest to the line.
        key = np.where(equity < maintenance, (equity - maintenance).astype(float), ratio)
        key = np.where((maintenance > 0) | (equity < 0), key, np.inf)
        chosen = np.argpartition(key, count - 1)[:count]
        chosen = chosen[np.argsort(key[chosen], kind="stable")].tolist()
        return Look(health, [(self.engine.names[k], int(equity[k]), int(maintenance[k])) for k in chosen])

    def summary(self) -> dict[str, Any]:
        """Counts, spans and the state hash, as plain values for JSON."""
        engine = self.engine
        metrics = {
            name: value
            for name, value in sorted(dict(engine.metrics).items())
            if isinstance(value, int | float)
        }
        return {
            "prices": self.history.source,
            "from": format_ns(self.start_ns),
            "to": format_ns(self.end_ns),
            "ticks": self.ticks,
            "skipped_ticks": self.skipped,
            "surface_updates": self.surfaces,
            "accounts": sum(engine.counts.values()),
            "accounts_by_status": dict(engine.counts),
            "decisions": dict(self.log.counts),
            "decisions_total": len(self.log),
            "replay_s": round(self.busy_s, 3),
            "ticks_per_s": round(self.ticks / self.busy_s) if self.busy_s else 0,
            "metrics": metrics,
            "state_hash": engine.state_hash(),
        }

    def _next_at(self) -> int | None:
        tick, update = self._next_tick, self._next_update
        if tick is None:
            return None if update is None else update.at_ns
        return tick[0] if update is None or tick[0] <= update.at_ns else update.at_ns

    def _take(self) -> Event:
        tick, update = self._next_tick, self._next_update
        if tick is not None and (update is None or tick[0] <= update.at_ns):
            at_ns, name, price = tick
            self._next_tick = next(self._ticks, None)
            self.ticks += 1
            self.prices[name] = price
            self.heard_ns[name] = at_ns
            if name in self._underlyings:
                return Tick(at_ns=at_ns, underlying=name, price=price)
            return Mark(at_ns=at_ns, instrument=name, price=price)
        assert update is not None
        self._next_update = next(self._updates, None)
        self.surfaces += 1
        return Surface(at_ns=update.at_ns, updates=update.ivs)

    def _sample(self, started: float | None) -> None:
        """Samples the state; the time it takes is not the engine's and is left out of busy_s."""
        if started is not None:
            self.busy_s += time.perf_counter() - started
        engine = self.engine
        prices = {name: float(price) for name, price in self.prices.items()}
        self.samples.append(
            Sample(
                self.now_ns, prices, self.ticks, dict(self.log.counts), dict(engine.counts),
                self.look().health, self.busy_s,
            )
        )  # fmt: skip
        self._sample_due += self.step_ns * max(1, -(-(self.now_ns - self._sample_due) // self.step_ns))


def _check_prices(ticks: Ticks, market: Any, source: str) -> None:
    """Refuses, before anything is fed, prices that the engine would not take when their time comes."""
    for number, name in enumerate(ticks.names):
        mine = ticks.name == number
        if name in market.underlyings:
            highest = int(ticks.price_nano[mine].max(initial=0))
            if highest >= PRICE_LIMIT_NANO:
                expected = f"a price below {PRICE_LIMIT_NANO // NANO:,}"
                raise LimitExceeded(source, f"{name} at {format_nano(highest)}", expected)
            continue
        instrument = market.instruments[name]
        if instrument.kind not in ("perpetual", "future"):
            expected = "prices of underlyings, perpetuals and futures (others follow the index)"
            raise InputError(source, f"prices of {name}, kind {instrument.kind}", expected)
        at_ns = ticks.at_ns[mine]
        if instrument.expiry_ns and len(at_ns) and at_ns[-1] >= instrument.expiry_ns:
            late = int(at_ns[np.searchsorted(at_ns, instrument.expiry_ns)])
            expected = f"a time before its expiry {format_ns(instrument.expiry_ns)}"
            raise ExpiredInstrument(source, f"a price of {name} at {format_ns(late)}", expected)


def _money(micro: pl.Series, name: str) -> pl.Series:
    import polars as pl

    return micro.cast(pl.Decimal(38, 0)).cast(pl.Decimal(38, 6)).alias(name) / 1_000_000
