"""100,000 accounts fail in one tick: how long until the first actions are out, on one core, and that nobody is left out.

Timed: the tick through the engine (finding and declaring them), the queue by systemic importance, and the first batch of
sized orders. Then, not timed: every account gets its action, the important lane is in order, none waits beyond
its bound, and the queue's memory has not grown.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from seawall.core.errors import invariant
from seawall.engine.loop import Engine
from seawall.ledger.accounts import Accounts
from seawall.liquidation.queue import LiquidationQueue, importance_micro
from seawall.liquidation.size import SizeRules, linear_lots
from seawall.market.market import Market
from seawall.stress.bench.measure import Measure, measured
from seawall.stress.bench.setting import Setting

__all__ = ["MEASURES", "measure"]

MEASURES = ("mass_liquidation_first_action_s",)
FAILING = 100_000
BATCH = 256
MOVE_PPM = 50_000
MARKET = {
    "as_of": "2025-10-10T20:30:00Z", "settlement": "USD", "underlyings": {"BTC": {"index": "100000"}},
    "instruments": [{"symbol": "BTC-PERP", "kind": "perpetual", "underlying": "BTC", "lot": "0.0001", "mark": "100000"}],
}  # fmt: skip
RULES = SizeRules(buffer_ppm=100_000, fee_ppm=4_000)


class _Book:
    """A bound book, as the engine asks for one."""

    def __init__(self, accounts: Accounts) -> None:
        self.accounts = accounts

    def bind(self, market: Any, settlement: str | None = None) -> Accounts:
        """The accounts."""
        return self.accounts


def measure(setting: Setting, names: set[str]) -> list[Measure]:
    """The least of three goes, each with an engine of its own."""
    failing = 2_000 if setting.quick else FAILING
    market = Market.from_document(MARKET)
    goes = 1 if setting.quick else 3
    setting.say(f"mass liquidation: {failing:,} accounts in one tick")
    _once(market, 500, setting.seed)  # compiles
    best = min(_once(market, failing, setting.seed) for _ in range(goes))
    words = f"tick to the first {BATCH} sized orders, {failing:,} of {2 * failing:,} accounts failing in one tick, one core"
    return [measured("mass_liquidation_first_action_s", best, words)]


def _once(market: Market, failing: int, seed: int) -> float:
    """Seconds from the tick to the first actions; then checks that the rest follows as promised."""
    accounts = _accounts(market, failing, seed)
    engine = Engine(_Book(accounts), market, "cross")
    number = {name: row for row, name in enumerate(accounts.names)}
    queue = LiquidationQueue(len(accounts.names))
    memory = queue.nbytes
    price = 90_000
    started = time.perf_counter()
    decisions = engine.tick("BTC", str(price))
    failed = [decision for decision in decisions if decision.status in ("liquidatable", "bankrupt")]
    rows = np.array([number[decision.account] for decision in failed], np.int64)
    equity = np.array([decision.equity_micro for decision in failed], np.int64)
    maintenance = np.array([decision.maintenance_micro for decision in failed], np.int64)
    lots = accounts.lots[accounts.row_ptr[rows]]
    gross = np.abs(lots) * price // 10_000 * 1_000_000
    weight = importance_micro(equity, gross, MOVE_PPM)
    queue.add(rows, weight)
    first = queue.take(BATCH)
    place = np.zeros(len(accounts.names), np.int64)
    place[rows] = np.arange(len(rows))
    orders = [_order(int(equity[k]), int(maintenance[k]), int(gross[k]), int(lots[k])) for k in place[first].tolist()]
    took = time.perf_counter() - started
    invariant(len(rows) >= failing, "as many accounts fail as the measure says", f"{len(rows)}")
    invariant(all(order != 0 for order in orders), "every action closes something")
    _drain(queue, first, weight[place], len(rows))
    invariant(queue.nbytes == memory, "a queue's memory does not grow")
    return took


def _order(equity: int, maintenance: int, gross: int, lots: int) -> int:
    """Signed lots to close."""
    size = abs(lots)
    cost = gross * RULES.fee_ppm // 1_000 // size
    found = linear_lots(equity, maintenance, maintenance * 1000 // size, cost, RULES, size) if equity > 0 else None
    part = size if found is None else found
    return -part if lots > 0 else part


def _drain(queue: LiquidationQueue, first: np.ndarray, weight: np.ndarray, count: int) -> None:
    """Takes the rest; everybody once, important ones in order, the second lane by arrival."""
    order = first
    while len(queue):
        order = np.concatenate([order, queue.take(4_096)])
    invariant(len(np.unique(order)) == len(order) == count, "everybody is acted upon, once")
    aged = np.arange(count) % queue.aged_every == queue.aged_every - 1
    important = weight[order[~aged]]
    invariant(bool((np.diff(important) <= 0).all()), "the first lane is in order of importance")


def _accounts(market: Market, failing: int, seed: int) -> Accounts:
    """Twice as many accounts: half of them fail in a fall of 10 %, half do not; log-normal sizes."""
    rng = np.random.default_rng(seed)
    count = 2 * failing
    notional = np.minimum(10_000 * np.exp(1.2 * rng.standard_normal(count)), 5e6)
    lots = np.maximum(1, np.rint(notional / 10)).astype(np.int64)
    weak = np.arange(count) % 2 == 0
    leverage = np.where(weak, rng.uniform(9.0, 18.0, count), rng.uniform(1.0, 4.0, count))
    value = int(market.legs.value_nano[0])
    equity = np.rint(lots * 10 / leverage * 1e6).astype(np.int64) * 1000
    names = [f"a{n:06d}" for n in range(count)]
    pointers = np.arange(count + 1, dtype=np.int64)
    return Accounts(names, equity - lots * value, pointers, np.zeros(count, np.int32), lots)
