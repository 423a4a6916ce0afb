"""The engine's book: positions, open orders and cash of every account.

Only the methods here change a balance, and each posts the opposite amount to a counter account,
so that all cash sums to what came in from outside.
"""

from bisect import bisect_left
from operator import is_not
from typing import Any

import numpy as np

from seawall.engine.pool import Pool
from seawall.engine.state import (
    ACCOUNT_FIELDS,
    CASH,
    LENGTH,
    ORDER_LENGTH,
    ORDER_START,
    START,
    WATCH_ACCOUNT,
    WATCH_LENGTH,
    WATCH_START,
    Holdings,
)
from seawall.kernels.account import evaluate_accounts
from seawall.kernels.orders import LEG
from seawall.kernels.tables import Tables


class EngineBook:
    """Mutable state of all accounts; `holdings()` is what the kernels read."""

    def __init__(self, accounts: Any, leg_underlying: np.ndarray, index: dict[str, int] | None = None) -> None:
        # a tuple of strings is nothing that the garbage collector walks through
        self.names: Any = tuple(accounts.names) if index is None else accounts.names
        self.index = {name: k for k, name in enumerate(self.names)} if index is None else index
        self.leg_underlying = leg_underlying
        row_ptr = accounts.row_ptr
        table = np.zeros((len(self.names), ACCOUNT_FIELDS), np.int64)
        table[:, CASH] = accounts.cash_nano
        self.accounts = table
        self.cash_nano = table[:, CASH]
        self.positions = Pool(
            row_ptr,
            [accounts.leg.astype(np.int32), accounts.lots.astype(np.int64)],
            table[:, START],
            table[:, LENGTH],
        )
        none = np.zeros((0, 3), np.int64)
        self.orders = Pool(np.zeros_like(row_ptr), [none], table[:, ORDER_START], table[:, ORDER_LENGTH], spare=0)
        self.open: dict[tuple[int, str], list[tuple[int, int, int]]] = {}
        count, owner = _watch_rows(row_ptr, leg_underlying[accounts.leg])
        exposures = np.zeros((len(owner), 2), np.int32)
        exposures[:, WATCH_ACCOUNT] = owner
        ends = np.concatenate([[0], np.cumsum(count)])
        self.watch = Pool(ends, [exposures], table[:, WATCH_START], table[:, WATCH_LENGTH], spare=0)
        self.outside_nano = sum(self.cash_nano.tolist())
        self.clearing_nano = 0
        self._holdings: Holdings | None = None
        self._holdings_of: tuple[list[np.ndarray], ...] = ()

    def holdings(self) -> Holdings:
        of = self.positions.columns, self.orders.columns, self.watch.columns  # new lists where columns have grown
        if self._holdings is None or any(map(is_not, of, self._holdings_of)):
            leg, lots = of[0]
            self._holdings = Holdings(self.accounts, leg, lots, of[1][0], of[2][0])
            self._holdings_of = of
        return self._holdings

    def evaluate(self, kind: int, tables: Tables) -> np.ndarray:
        """int64[A, 4] of every account on given tables, open orders left out."""
        out = np.zeros((len(self.names), 4), np.int64)
        starts = self.positions.start.copy()
        leg, lots = self.positions.columns
        evaluate_accounts(kind, tables, starts, starts + self.positions.length, leg, lots, self.cash_nano.copy(), out)
        return out

    def lots_of(self, account: int, leg: int) -> int:
        positions = self.positions
        start, length = positions.start.item(account), positions.length.item(account)
        legs = positions.columns[0][start : start + length].tolist()
        at = bisect_left(legs, leg)
        return positions.columns[1].item(start + at) if at < length and legs[at] == leg else 0

    def move_cash(self, account: int, amount_nano: int) -> None:
        """Cash from the outside world, or to it where negative."""
        self.cash_nano[account] += amount_nano
        self.outside_nano += amount_nano

    def trade(self, account: int, changes: list[tuple[int, int]], paid_nano: int) -> None:
        """Adds lots by leg and pays for them to the clearing account."""
        for leg, lots in changes:
            self._add(account, leg, lots)
        self.cash_nano[account] -= paid_nano
        self.clearing_nano += paid_nano
        self._widen_watch(account)

    def match(self, account: int, wanted: dict[int, int], cash_nano: int) -> None:
        """Makes cash, and lots by leg, what the ledger says they are."""
        for leg, lots in wanted.items():
            self._put(account, leg, lots)
        self.move_cash(account, cash_nano - self.cash_nano.item(account))
        if wanted:
            self._widen_watch(account)

    def pay(self, accounts: np.ndarray, amounts_nano: np.ndarray) -> None:
        """Cash from the outside world (to it where negative) for many accounts, int64[n] each, every account once."""
        self.cash_nano[accounts] += amounts_nano
        self.outside_nano += sum(amounts_nano.tolist())

    def conserved(self) -> bool:
        """Whether all cash sums to what came from outside."""
        return sum(self.cash_nano.tolist()) + self.clearing_nano == self.outside_nano

    def place(self, account: int, order_id: str, rows: list[tuple[int, int, int]]) -> None:
        """Opens an order of rows (leg, lots, limit in nano per lot)."""
        self.open[account, order_id] = rows
        for row in rows:
            (rows_held,) = self.orders.rows(account)
            self.orders.insert(account, int(np.searchsorted(rows_held[:, LEG], row[0])), row)
        self._widen_watch(account)

    def cancel(self, account: int, order_id: str) -> None:
        """Takes an open order out."""
        for row in self.open.pop((account, order_id)):
            (rows_held,) = self.orders.rows(account)
            same = np.flatnonzero((rows_held == np.array(row)).all(axis=1))
            self.orders.delete(account, int(same[0]))

    def _add(self, account: int, leg: int, lots: int) -> None:
        self._put(account, leg, self.lots_of(account, leg) + lots)

    def _put(self, account: int, leg: int, lots: int) -> None:
        positions = self.positions
        start, length = positions.start.item(account), positions.length.item(account)
        legs = positions.columns[0][start : start + length].tolist()
        at = bisect_left(legs, leg)
        if at < length and legs[at] == leg:
            if lots:
                positions.columns[1][start + at] = lots
            else:
                positions.delete(account, at)
        elif lots:
            positions.insert(account, at, leg, lots)

    def _widen_watch(self, account: int) -> None:
        """Gives an account one row of the watch list per underlying it now spans. The rows it
        leaves behind stay marked with it: the engine has taken their items out before."""
        rows = self.positions.length.item(account) + self.orders.length.item(account)
        if rows <= self.watch.length.item(account):
            return  # no more underlyings than rows
        legs = np.concatenate([self.positions.rows(account)[0], self.orders.rows(account)[0][:, LEG]])
        needed = len(np.unique(self.leg_underlying[legs]))
        if needed > self.watch.length[account]:
            self.watch.reserve(account, needed)
            self.watch.length[account] = needed
            start = int(self.watch.start[account])
            self.watch.columns[0][start : start + needed, WATCH_ACCOUNT] = account


def _watch_rows(row_ptr: np.ndarray, underlying: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(underlyings per account, the account of each such row); rows are sorted by leg and so by
    underlying."""
    accounts = np.repeat(np.arange(len(row_ptr) - 1, dtype=np.int32), np.diff(row_ptr))
    new = np.ones(len(underlying), np.bool_)
    new[1:] = (underlying[1:] != underlying[:-1]) | (accounts[1:] != accounts[:-1])
    owner = accounts[new]
    return np.bincount(owner, minlength=len(row_ptr) - 1).astype(np.int64), owner
