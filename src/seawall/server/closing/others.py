"""Those on the other side of a failure: who is closed against it, whose profit a haircut may touch, and who would come first.

Users alone, and none who is being closed himself. Margins are exact: the account kernel has the last word on how many lots
anybody can bear, so nobody ends below maintenance for another's failure.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from seawall.core.units import PPM
from seawall.kernels.account import evaluate_accounts
from seawall.ledger.chart import USER
from seawall.liquidation import adl, water
from seawall.liquidation.adl_book import OtherSide
from seawall.liquidation.closing_events import Order, Part
from seawall.liquidation.layers import Winner

from .book import BookOf

__all__ = ["OtherSides", "Ranked"]

Array = np.ndarray[Any, Any]
PROFIT_MAX = 2**60


class Ranked(NamedTuple):
    """One of those who would be closed: signed lots, how many of them nothing offsets, profit of the netting set, leverage (equity
    in notionals, ppm), health."""

    account: str
    lots: int
    unhedged: int
    profit_micro: int
    leverage_ppm: int
    health_micro: int


class OtherSides:
    """Questions about the other side, answered from the book as it is. busy: bool[capacity], who is being closed."""

    def __init__(self, book: BookOf, busy: Array, rules: adl.Rules | None = None) -> None:
        self.book, self.busy, self.rules = book, busy, rules or adl.Rules()

    def parts(self, account: str, order: Order) -> tuple[Part, ...]:
        """Whom to close against an order of the deleveraging, and for how many lots: fewer than asked where the rest would
        touch principal or push somebody below maintenance. Nobody for a position of several legs, or of coins."""
        found = self._side(order.symbol, 1 if order.lots > 0 else -1, order.price_nano, account)
        if found is None:
            return ()
        names, side, profit = found
        closed = side.allocate(abs(order.lots), profit, self.rules).lots
        return tuple(Part(name, lots) for name, lots in zip(names, closed.tolist(), strict=True) if lots)

    def winners(self, market: str, debtor: str, most: int) -> tuple[Winner, ...]:
        """Accounts in profit on a market, the largest profits first: each may lose its profit as far as its health goes."""
        profit = self.book.profit_micro(market)
        rows = np.flatnonzero((profit > 0) & self._may(debtor))
        rows = rows[np.argsort(-profit[rows], kind="stable")[:most]]
        if not len(rows):
            return ()
        accounts = self.book.accounts(rows)
        figures = np.zeros((len(rows), 4), np.int64)
        kind = self.book.clearing.engine.watch.model.kind
        start, stop = accounts.row_ptr[:-1].copy(), accounts.row_ptr[1:].copy()
        evaluate_accounts(kind, self.book.tables, start, stop, accounts.leg, accounts.lots, accounts.cash_nano, figures)
        gains = np.minimum(profit[rows], PROFIT_MAX)
        caps = np.clip(figures[:, 0] - figures[:, 2], 0, gains // PPM * self.rules.haircut_max_ppm + gains % PPM * self.rules.haircut_max_ppm // PPM)
        risk = adl.leverage_risk(self.book.gross_micro(rows), figures[:, 0])
        return tuple(
            Winner(name, gain, cap, weight)
            for name, gain, cap, weight in zip(accounts.names, gains.tolist(), caps.tolist(), risk.tolist(), strict=True)
            if cap > 0
        )

    def ranks(self, symbol: str, side: int, limit: int) -> tuple[int, list[Ranked]]:
        """Who holds a side (1: long) of an instrument, how many, and the first of them in the order in which a failure of
        the other side would close them: unhedged lots before hedged ones, then profit times leverage."""
        clearing = self.book.clearing
        leg = self._leg(symbol)
        if leg is None:
            return 0, []
        found = self._side(symbol, side, clearing.engine.watch.mark_nano(leg), "")
        if found is None:
            return 0, []
        names, other, profit = found
        risk = adl.leverage_risk(other.notional_micro, other.equity_micro)
        weight = water.scaled_product(np.clip(profit, 0, PROFIT_MAX), risk)
        order = np.lexsort((-weight, other.unhedged == 0))[:limit]
        return len(names), [
            Ranked(
                names[k], side * int(other.lots[k]), int(other.unhedged[k]), int(profit[k]), int(risk[k]), int(other.health_micro[k])
            )
            for k in order.tolist()
        ]

    def _side(self, symbol: str, side: int, price_nano: int, account: str) -> tuple[list[str], OtherSide, Array] | None:
        """Names, the other side and its profits; side: of the lots that they hold."""
        clearing, leg = self.book.clearing, self._leg(symbol)
        if leg is None:
            return None
        state = clearing.ledger.state
        number = state.instrument_of[symbol]
        lots = np.frombuffer(state.lots, np.int64)
        slots = np.flatnonzero((np.frombuffer(state.held, np.int32) == number) & (np.sign(lots) == side))
        rows = np.sort(np.frombuffer(state.holder, np.int32)[slots].astype(np.int64))
        rows = rows[self._may(account)[rows]]
        if not len(rows):
            return None
        accounts = self.book.accounts(rows)
        kind = clearing.engine.watch.model.kind
        other = OtherSide(accounts, self.book.tables, kind, leg, side, price_nano, self.book.delta_nano)
        underlying = clearing.engine.watch.desk.base.instruments[symbol].underlyings[0]
        profit = np.clip(self.book.profit_micro(underlying)[rows[other.rows]], -PROFIT_MAX, PROFIT_MAX)
        return [accounts.names[k] for k in other.rows.tolist()], other, profit

    def _leg(self, symbol: str) -> int | None:
        """The leg of a contract that has one."""
        clearing = self.book.clearing
        number = clearing.ledger.state.instrument_of.get(symbol, -1)
        legs = clearing.mirror.legs_of[number] if number >= 0 else ()
        return legs[0] if len(legs) == 1 and self.book.delta_nano[legs[0]] else None

    def _may(self, account: str) -> Array:
        """bool[accounts]: users, but for those being closed and the one named."""
        clearing = self.book.clearing
        state = clearing.ledger.state
        may: Array = (np.frombuffer(state.kind, np.int8) == USER) & ~self.busy[: len(state.names)]
        if account:
            may[state.rows[account]] = False
        return may
