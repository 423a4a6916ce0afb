"""The engine's book: positions, open orders and cash of every account.

Only the methods here change a balance, and each posts the opposite amount to a counter account,
so that all cash sums to what came in from outside.
"""

from typing import Any

import numpy as np

from seawall.engine.pool import Pool
from seawall.engine.state import Holdings


class EngineBook:
    """Mutable state of all accounts; `holdings()` is what the kernels read."""

    def __init__(self, accounts: Any, leg_underlying: np.ndarray) -> None:
        self.names: list[str] = list(accounts.names)
        self.index = {name: k for k, name in enumerate(self.names)}
        self.leg_underlying = leg_underlying
        self.cash_nano = accounts.cash_nano.astype(np.int64).copy()
        row_ptr = accounts.row_ptr
        self.positions = Pool(row_ptr, [accounts.leg.astype(np.int32), accounts.lots.astype(np.int64)])
        none = np.zeros(len(row_ptr), np.int64)
        self.orders = Pool(none, [np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.int64)], spare=0)
        self.open: dict[tuple[int, str], list[tuple[int, int, int]]] = {}
        count, owner = _watch_rows(row_ptr, leg_underlying[accounts.leg])
        self.watch = Pool(np.concatenate([[0], np.cumsum(count)]), [np.zeros(int(count.sum()), np.int32), owner], 0)
        self.outside_nano = sum(self.cash_nano.tolist())
        self.clearing_nano = 0

    def holdings(self) -> Holdings:
        return Holdings(
            cash_nano=self.cash_nano,
            start=self.positions.start,
            length=self.positions.length,
            leg=self.positions.columns[0],
            lots=self.positions.columns[1],
            order_start=self.orders.start,
            order_length=self.orders.length,
            order_leg=self.orders.columns[0],
            order_lots=self.orders.columns[1],
            order_limit_nano=self.orders.columns[2],
            watch_start=self.watch.start,
            watch_length=self.watch.length,
            watch_underlying=self.watch.columns[0],
            watch_account=self.watch.columns[1],
        )

    def lots_of(self, account: int, leg: int) -> int:
        legs, lots = self.positions.rows(account)
        at = int(np.searchsorted(legs, leg))
        return int(lots[at]) if at < len(legs) and legs[at] == leg else 0

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

    def conserved(self) -> bool:
        """Whether all cash sums to what came from outside."""
        return sum(self.cash_nano.tolist()) + self.clearing_nano == self.outside_nano

    def place(self, account: int, order_id: str, rows: list[tuple[int, int, int]]) -> None:
        """Opens an order of rows (leg, lots, limit in nano per lot)."""
        self.open[account, order_id] = rows
        for row in rows:
            legs = self.orders.rows(account)[0]
            self.orders.insert(account, int(np.searchsorted(legs, row[0])), row)
        self._widen_watch(account)

    def cancel(self, account: int, order_id: str) -> None:
        """Takes an open order out."""
        for row in self.open.pop((account, order_id)):
            columns = self.orders.rows(account)
            same = np.flatnonzero((columns[0] == row[0]) & (columns[1] == row[1]) & (columns[2] == row[2]))
            self.orders.delete(account, int(same[0]))

    def _add(self, account: int, leg: int, lots: int) -> None:
        legs, held = self.positions.rows(account)
        at = int(np.searchsorted(legs, leg))
        if at < len(legs) and legs[at] == leg:
            held[at] += lots
            if held[at] == 0:
                self.positions.delete(account, at)
        elif lots:
            self.positions.insert(account, at, (leg, lots))

    def _widen_watch(self, account: int) -> None:
        """Gives an account one row of the watch list per underlying it now spans. The rows it
        leaves behind stay marked with it: the engine has taken their items out before."""
        legs = np.concatenate([self.positions.rows(account)[0], self.orders.rows(account)[0]])
        needed = len(np.unique(self.leg_underlying[legs]))
        if needed > self.watch.length[account]:
            self.watch.reserve(account, needed)
            self.watch.length[account] = needed
            start = int(self.watch.start[account])
            self.watch.columns[1][start : start + needed] = account


def _watch_rows(row_ptr: np.ndarray, underlying: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(underlyings per account, the account of each such row); rows are sorted by leg and so by
    underlying."""
    accounts = np.repeat(np.arange(len(row_ptr) - 1, dtype=np.int32), np.diff(row_ptr))
    new = np.ones(len(underlying), np.bool_)
    new[1:] = (underlying[1:] != underlying[:-1]) | (accounts[1:] != accounts[:-1])
    owner = accounts[new]
    return np.bincount(owner, minlength=len(row_ptr) - 1).astype(np.int64), owner
