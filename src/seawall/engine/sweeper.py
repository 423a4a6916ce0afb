"""Watching by full evaluation: for models whose health has no certificate yet.

Whenever the market or the time moves, every account is evaluated. The verdicts are those of
`watcher.py`; only the work differs.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from seawall.core import events
from seawall.engine.book import EngineBook
from seawall.engine.desk import Desk
from seawall.engine.glide import Glide, next_glide
from seawall.engine.hashing import state_hash
from seawall.engine.step import next_level
from seawall.kernels.account import evaluate_one
from seawall.kernels.orders import LEG, LIMIT, LOTS
from seawall.kernels.tables import Tables
from seawall.margin.evaluate import status_codes
from seawall.margin.model import Model

SUBSETS_OF = 6  # open orders of one account whose fills are tried in every combination


class Sweeper:
    """Evaluates everybody at every event; same interface as Watcher."""

    def __init__(self, book: EngineBook, market: Any, model: Model, tables: Tables, hysteresis_ppm: int) -> None:
        self.book = book
        self.desk = Desk(market)
        self.model = model
        self.tables = tables
        self.hysteresis_ppm = hysteresis_ppm
        self.version = 0
        self.at_ns = market.as_of_ns
        self.glide: Glide | None = None
        self.levels = np.zeros(len(book.names), np.int8)
        self.rows = np.zeros((len(book.names), 4), np.int64)

    @property
    def underlying_index(self) -> dict[str, int]:
        return self.desk.underlying_index

    def expect_moves(self) -> None:
        """Nothing is certified here."""

    def start(self) -> np.ndarray:
        return self._decide()

    def tick(self, underlying: int, price: Decimal, at_ns: int) -> np.ndarray:
        self.desk.set_index(underlying, price, f"tick {list(self.underlying_index)[underlying]}")
        return self.pass_time(at_ns)

    def pass_time(self, at_ns: int) -> np.ndarray:
        self._glide_step(at_ns)
        self.at_ns = at_ns
        return self._refresh()

    def mark(self, instrument: Any, price: Decimal, at_ns: int) -> np.ndarray:
        self.desk.base = self.desk.with_mark(instrument.symbol, price, at_ns)
        return self.pass_time(at_ns)

    def check_mark(self, instrument: Any) -> None:
        self.desk.with_mark(instrument.symbol, Decimal(1), self.at_ns)

    def listed(self, symbol: str, place: str, at_ns: int) -> Any:
        return self.desk.listed(symbol, place, at_ns)

    def parse_surface(self, updates: dict[str, str], at_ns: int) -> dict[str, Decimal]:
        return self.desk.parse_surface(updates, at_ns)

    def surface(self, vols: dict[str, Decimal], at_ns: int) -> np.ndarray:
        self.desk.base = self.desk.base.with_iv(vols)
        return self.pass_time(at_ns)

    def announce(self, event: events.Parameters) -> None:
        self.glide = next_glide(self.glide, self.model, event, self.desk.base)

    def account_changed(self, account: int, at_ns: int) -> np.ndarray:
        return self.pass_time(at_ns)

    def accounts_changed(self, accounts: np.ndarray | list[int], at_ns: int) -> np.ndarray:
        return self.pass_time(at_ns)

    def _glide_step(self, at_ns: int) -> None:
        if self.glide is not None and self.glide.stage_at(at_ns) > self.glide.stage:
            self.glide.stage = self.glide.stage_at(at_ns)
            self.model = self.glide.models[self.glide.stage - 1]
            if self.glide.done:
                self.glide = None

    def look_at(self, at_ns: int) -> None:
        self._glide_step(at_ns)
        self.at_ns = at_ns
        self.tables = self.model.tables(self.desk.snapshot(at_ns))

    def follow(self, account: int, wanted: dict[int, int], cash_nano: int) -> None:
        """The book takes over what the ledger says of an account."""
        self.book.match(account, wanted, cash_nano)

    def before_change(self, account: int) -> None:
        """Nothing is filed here."""

    def after_change(self) -> None:
        """Nothing is filed here."""

    def restore(self, account: int) -> None:
        """Nothing is filed here."""

    def mark_nano(self, leg: int) -> int:
        return int(self.tables.values[leg, 0])

    def _refresh(self) -> np.ndarray:
        self.version += 1
        self.tables = self.model.tables(self.desk.snapshot(self.at_ns))
        return self._decide()

    def _decide(self) -> np.ndarray:
        self.rows = self.sweep_on(self.tables)
        after = self.expected_levels(self.rows)
        moved = np.flatnonzero(after != self.levels)
        out = np.column_stack([moved, self.levels[moved], after[moved], self.rows[moved, :3]]).astype(np.int64)
        self.levels = after.astype(np.int8)
        return out

    def figures(self, account: int) -> np.ndarray:
        legs, lots = self.book.positions.rows(account)
        row = self._one(legs, lots, int(self.book.cash_nano[account]))
        return self._with_orders(account, row)

    def _after(self, account: int, changes: list[tuple[int, int]], paid_nano: int | None) -> np.ndarray:
        """`what_if` without open orders."""
        held = dict(zip(*(column.tolist() for column in self.book.positions.rows(account)), strict=True))
        paid_nano = self._paid(changes, paid_nano)
        for leg, lots in changes:
            held[leg] = held.get(leg, 0) + lots
        legs = np.array(sorted(leg for leg, lots in held.items() if lots), np.int32)
        lots_ = np.array([held[int(leg)] for leg in legs], np.int64)
        return self._one(legs, lots_, int(self.book.cash_nano[account]) - paid_nano)

    def what_if(self, account: int, changes: list[tuple[int, int]], paid_nano: int | None) -> np.ndarray:
        """int64[4] as if lots were added by leg for paid_nano, or at the mark where None; initial
        margin with the open orders on top."""
        return self._with_orders(account, self._after(account, changes, paid_nano), changes, paid_nano)

    def _one(self, legs: np.ndarray, lots: np.ndarray, cash_nano: int) -> np.ndarray:
        return evaluate_one(self.model.kind, self.tables, legs, lots, cash_nano)

    def _with_orders(
        self, account: int, row: np.ndarray, changes: Sequence[tuple[int, int]] = (), paid_nano: int | None = 0
    ) -> np.ndarray:
        """Initial margin with open orders: the least free collateral after any subset of fills at
        their limits, against the present equity. With many orders, what each would cost alone."""
        (rows,) = self.book.orders.rows(account)
        if len(rows) == 0:
            return row
        orders = [(int(one[LEG]), int(one[LOTS]), int(one[LIMIT])) for one in rows]
        free = worst = int(row[0] - row[1])
        if len(orders) > SUBSETS_OF:
            for leg, lots, limit in orders:
                alone = self._one(np.array([leg], np.int32), np.array([lots], np.int64), -lots * limit)
                worst += min(0, int(alone[0] - alone[1]))
        else:
            paid = self._paid(changes, paid_nano)
            for chosen in range(1, 1 << len(orders)):
                some = [order for k, order in enumerate(orders) if chosen >> k & 1]
                fills = [*changes, *((leg, lots) for leg, lots, _ in some)]
                trial = self._after(account, fills, paid + sum(lots * limit for _, lots, limit in some))
                worst = min(worst, int(trial[0] - trial[1]))
        row[1] += free - worst
        return row

    def _paid(self, changes: Sequence[tuple[int, int]], paid_nano: int | None) -> int:
        if paid_nano is not None:
            return paid_nano
        # an option's value is rounded down: its seller gets no more
        rounded = sum(1 - lots for leg, lots in changes if lots < 0 and self.tables.leg_right[leg])
        return rounded + sum(lots * self.mark_nano(leg) for leg, lots in changes)

    def sweep(self, at_ns: int) -> np.ndarray:
        return self.sweep_on(self.model.tables(self.desk.snapshot(at_ns)))

    def sweep_on(self, tables: Tables) -> np.ndarray:
        """int64[A, 4] of every account on given tables."""
        out = self.book.evaluate(self.model.kind, tables)
        for account in np.flatnonzero(self.book.orders.length):
            out[account] = self._with_orders(int(account), out[account])
        return out

    def expected_levels(self, figures: np.ndarray) -> np.ndarray:
        """Statuses after an evaluation, with hysteresis."""
        plain = status_codes(figures[:, 0], figures[:, 1], figures[:, 2])
        expected = np.maximum(plain, self.levels)
        for account in np.flatnonzero(plain < self.levels):
            expected[account] = next_level(int(self.levels[account]), figures[account], self.hysteresis_ppm)
        return expected

    def last_figures(self) -> np.ndarray:
        return self.rows

    def snapshot(self, at_ns: int) -> Any:
        return self.desk.snapshot(at_ns)

    def metrics(self) -> dict[str, int]:
        count = self.version * len(self.levels)
        return {"touched": count, "evaluated": count, "certified": 0, "hot": len(self.levels), "version": self.version}

    def state_hash(self, at_ns: int) -> str:
        return state_hash(self.book, self.desk, self.levels, at_ns, self.model, self.glide)
