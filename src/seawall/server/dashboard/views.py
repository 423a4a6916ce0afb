"""The live view of a look: totals, counts, the accounts nearest to the line, prices with their age, and histories.

Everything here is arithmetic on arrays of all accounts, a few milliseconds for a million; nothing loops over them.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import numpy as np

from seawall.core.units import MICRO, PPM, format_micro
from seawall.server.dashboard.closings import Sections, age_ms
from seawall.server.dashboard.fold import RINGS, View
from seawall.server.dashboard.source import ClosingSeen, Look, PriceSeen, Source
from seawall.server.ranking import least

__all__ = ["EDGES", "ViewMaker", "account_row", "nearest"]

NEAREST = 50
# Health over maintenance margin: below the first edge, between edges, above the last; then those without margin.
EDGES = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
STALE_S = 10.0  # a price older than this, against the source's clock
POINT_S = 0.5
DAY_POINT_S = 120.0
PATHS = 12  # prices that the histories keep


def account_row(look: Look, row: int) -> list[int]:
    """[level, equity, initial, maintenance] of one account; micro, which fit a browser's exact integers."""
    equity, initial, maintenance = look.figures[row, :3].tolist()
    return [int(look.levels[row]), equity, initial, maintenance]


def nearest(look: Look, count: int, least_micro: int) -> dict[str, np.ndarray]:
    """Rows of the accounts at or near liquidation, by three rankings. "ratio": by health ÷ maintenance, among those whose
    maintenance is at least least_micro, so that dust does not fill the list; "next": the same, of those whose health is
    not below zero; "shortfall": by health in money among those below zero, the largest shortfall first."""
    equity, maintenance = look.figures[:, 0], look.figures[:, 2]
    health = equity - maintenance
    ratio = np.full(len(health), np.inf)
    large = maintenance >= max(least_micro, 1)
    np.divide(health, maintenance, out=ratio, where=large)
    money = np.where(health < 0, health.astype(np.float64), np.inf)
    above = np.where(health >= 0, ratio, np.inf)
    return {"ratio": _least(ratio, count), "next": _least(above, count), "shortfall": _least(money, count)}


def _least(keys: np.ndarray, count: int) -> np.ndarray:
    """Positions of the least `count` finite keys, in order."""
    chosen = least(keys, count)
    return chosen[np.isfinite(keys[chosen])]


def histogram(look: Look) -> list[int]:
    """Accounts by health ÷ maintenance: bankrupt, then by EDGES, then those that need no margin; ten numbers."""
    equity, maintenance = look.figures[:, 0], look.figures[:, 2]
    ratio = (equity - maintenance) / np.maximum(maintenance, 1)
    bins = 1 + np.searchsorted(EDGES, ratio, side="right")
    bins = np.where(equity < 0, 0, np.where(maintenance > 0, bins, len(EDGES) + 2))
    return np.bincount(bins, minlength=len(EDGES) + 3).tolist()


def concentration(look: Look) -> dict[str, float]:
    """Shares of all maintenance margin that the ten largest accounts, and the largest hundredth, stand for."""
    maintenance = look.figures[:, 2]
    total = float(maintenance.sum())
    if total <= 0:
        return {"top10": 0.0, "top1pct": 0.0}
    count = len(maintenance)
    sizes = {"top10": min(10, count), "top1pct": max(count // 100, 1)}
    largest = np.sort(np.partition(maintenance, count - max(sizes.values()))[-max(sizes.values()) :])[::-1]
    return {name: round(float(largest[:size].sum()) / total, 4) for name, size in sizes.items()}


class ViewMaker:
    """Looks in, views out; keeps what a single look does not say: first prices, histories, rates.

    least_micro: the maintenance margin from which an account counts in the ranking by ratio.
    """

    def __init__(self, source: Source, *, least_micro: int = 100 * MICRO, stale_s: float = STALE_S) -> None:
        self.source = source
        self.least_micro = least_micro
        self.stale_s = stale_s
        self._first: dict[str, float] = {}
        self._low: dict[str, float] = {}
        self._series: deque[list[Any]] = deque(maxlen=RINGS["series"])
        self._day: deque[list[Any]] = deque(maxlen=RINGS["day"])
        self._points = 0
        self._point_due = self._day_due = 0.0
        self._made = 0
        self._slow: View = {}
        self._rate = (time.monotonic(), 0, 0.0)
        self._closings = Sections()

    def make(self, look: Look, stress: dict[str, Any] | None = None, closing: ClosingSeen = ClosingSeen()) -> View:  # noqa: B008 - frozen
        """The view of one look. Slow sections are made anew at every fifth call."""
        counts = np.bincount(look.levels, minlength=4)[:4].tolist()
        totals = self._totals(look)
        self._remember(look, counts, totals)
        order = {rank: rows.tolist() for rank, rows in nearest(look, NEAREST, self.least_micro).items()}
        names = self.source.names.all
        if self._made % 5 == 0:
            self._slow = {"hist": histogram(look), "conc": concentration(look)}
        self._made += 1
        wanted = dict.fromkeys(row for rows in order.values() for row in rows)
        return {
            "head": self._head(look) | {"closing_ms": age_ms(closing)},
            "totals": {key: format_micro(value) for key, value in totals.items()},
            "counts": counts,
            "prices": {seen.name: self._price(seen, look) for seen in look.prices},
            "order": {rank: [names[k] for k in rows] for rank, rows in order.items()},
            "rows": {names[k]: account_row(look, k) for k in wanted},
            "log": self._log(),
            "series": list(self._series),
            "day": list(self._day),
            "stress": stress,
            **self._slow,
            **self._closings.make(closing),
        }

    def _log(self) -> list[list[Any]]:
        """Decisions as ring points, oldest first."""
        newest = self.source.decisions(count=RINGS["log"])
        return [
            [d["n"], d["at_ms"], d["account"], d["kind"], d["status"], d["equity"], d["maintenance"], d["cause"]]
            for d in reversed(newest)
        ]

    def _totals(self, look: Look) -> dict[str, int]:
        """Sums over accounts in micro, as Python integers: they may leave int64 where accounts do not."""
        equity, initial, maintenance = (look.figures[:, k] for k in range(3))
        health = equity - maintenance
        under = look.levels >= 2
        return {
            "equity": _sum(equity),
            "initial": _sum(initial),
            "maintenance": _sum(maintenance),
            "at_risk": _sum(maintenance[under]),
            "shortfall": -_sum(health[(health < 0) & under]),
            "deficit": -_sum(equity[equity < 0]),
        }

    def _head(self, look: Look) -> dict[str, Any]:
        now, (then, sequence, rate) = time.monotonic(), self._rate
        if now - then >= 1.0:
            rate = (look.sequence - sequence) / (now - then) if sequence else 0.0
            self._rate = (now, look.sequence, rate)
        return {
            "at_ms": look.at_ns // 1_000_000,
            "now_ms": look.now_ns // 1_000_000,
            "heard_ms": int((now - look.heard_s) * 1000),
            "figures_ms": look.figures_at_ns // 1_000_000,
            "accounts": len(look.levels),
            "sequence": look.sequence,
            "version": look.version,
            "events_per_s": round(max(rate, 0.0), 1),
            **look.facts,
        }

    def _price(self, seen: PriceSeen, look: Look) -> list[Any]:
        """[price, change and deepest fall since the first (ppm), time, sources, stale]."""
        price = float(seen.price)
        first = self._first.setdefault(seen.name, price)
        low = min(self._low.get(seen.name, price), price)
        self._low[seen.name] = low
        age_s = (look.now_ns - seen.at_ns) / 1e9
        moves = (round((value / first - 1.0) * PPM) for value in (price, low))
        return [seen.price, *moves, seen.at_ns // 1_000_000, list(seen.sources), int(age_s > self.stale_s)]

    def _remember(self, look: Look, counts: list[int], totals: dict[str, int]) -> None:
        """A point of the histories where one is due: [n, time ms, counts…, equity, maintenance, prices…]."""
        now = time.monotonic()
        if now < self._point_due:
            return
        self._point_due = now + POINT_S
        self._points += 1
        paths = [float(seen.price) for seen in look.prices[:PATHS]]
        amounts = [round(totals[key] / MICRO, 2) for key in ("equity", "maintenance", "at_risk", "deficit")]
        point = [self._points, look.at_ns // 1_000_000, *counts, *amounts, *paths]
        self._series.append(point)
        if now >= self._day_due:
            self._day_due = now + DAY_POINT_S
            self._day.append(point)


def _sum(values: np.ndarray) -> int:
    """An exact sum of int64: the high and low halves apart, so that neither can wrap for 2³¹ accounts."""
    high, low = values >> 32, values & 0xFFFFFFFF
    return (int(high.sum()) << 32) + int(low.sum())
