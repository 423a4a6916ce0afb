"""Everybody's money and positions in a cascade, in integers that only trades and payments can change.

Cash is kept as the engine keeps it, less the cost of what is held, so a trade moves lots one way and their
quote the other, and the sum of cash over all parties never changes by a nano, nor the sum of lots of any
contract. Beside the accounts of the book stand the parties that meet them: the outside market (whoever rests in
the order book), keepers, the backstop, the funds and the venue's fees.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from seawall.core.errors import invariant
from seawall.kernels.account import evaluate_accounts
from seawall.market.legs import ROLE_SPOT
from seawall.stress.cascade.depth import DepthModel, DepthRoute
from seawall.stress.cascade.venue import Venue

__all__ = ["MARKET", "World"]

MARKET = "market"


class World:
    """The state of one run.

    accounts: how many of the book; parties come after them, by name in `party`. cash_nano int64[P]; row_ptr,
    leg, lots: positions, rows fixed, lots may be zero; cost_nano int64[N]: what the open lots cost, for
    unrealised profit. place int32[P, L]: row of a position, −1 where a party has none. mark_nano int64[L].
    figures int64[P, 4]: equity, initial, maintenance (micro) at the last evaluation, of the accounts.
    """

    def __init__(self, venue: Venue, model: Any, depth: DepthModel, parties: Sequence[str]) -> None:
        accounts, self.market, self.model, self.depth = venue.accounts, venue.market, model, depth
        legs = venue.market.legs
        self.accounts = len(accounts.names)
        self.names = [*accounts.names, *parties]
        self.party = {name: self.accounts + n for n, name in enumerate(parties)}
        self.row_of = {name: row for row, name in enumerate(self.names)}
        extra, width = len(parties), len(legs)
        grown = np.arange(1, extra + 1) * width + accounts.row_ptr[-1]
        self.row_ptr = np.concatenate([accounts.row_ptr, grown]).astype(np.int64)
        self.leg = np.concatenate([accounts.leg, np.tile(np.arange(width, dtype=np.int32), extra)])
        self.lots = np.concatenate([accounts.lots, np.zeros(extra * width, np.int64)])
        self.cost_nano = np.concatenate([accounts.lots * venue.entry_nano, np.zeros(extra * width, np.int64)])
        self.cash_nano = np.concatenate([accounts.cash_nano, np.zeros(extra, np.int64)])
        self.owner = np.repeat(np.arange(len(self.names)), np.diff(self.row_ptr))
        self.place = np.full((len(self.names), width), -1, np.int32)
        self.place[self.owner, self.leg] = np.arange(len(self.leg))
        self.tradable = np.asarray(legs.role != ROLE_SPOT)
        self.underlying = np.asarray(legs.underlying)
        self.lot_units = np.asarray(legs.lot * legs.ratio)
        self.paid = Counter[str]()  # nano by cause
        self._legs = legs
        self._cash = int(self.cash_nano.sum())
        self._lots = np.bincount(self.leg, self.lots, width)
        self.figures = np.zeros((self.accounts, 4), np.int64)
        self.mark_nano = legs.value_nano
        self.evaluate()

    def endow(self, party: str, amount_nano: int) -> None:
        """Gives a party its capital before the start; counted in what must be conserved."""
        self.cash_nano[self.party[party]] += amount_nano
        self._cash += amount_nano

    def evaluate(self) -> None:
        """Marks everything at the present price and evaluates every account with the margin model."""
        index_nano = np.maximum(np.rint(self.depth.mark * 1e9), 1.0).astype(np.int64)
        self._legs = self.market.legs.with_index(index_nano)
        self.tables = self.model.tables(_At(self.market, self._legs))
        self.mark_nano = self.tables.values[:, 0]
        rows = self.row_ptr
        evaluate_accounts(
            self.model.kind, self.tables, rows[: self.accounts], rows[1 : self.accounts + 1], self.leg, self.lots,
            self.cash_nano, self.figures,
        )  # fmt: skip

    @property
    def legs(self) -> Any:
        """The market's legs at the present price."""
        return self._legs

    @property
    def equity_micro(self) -> np.ndarray:
        return self.figures[:, 0]

    @property
    def maintenance_micro(self) -> np.ndarray:
        return self.figures[:, 2]

    def rows_of(self, account: int) -> slice:
        """The positions of a party."""
        return slice(int(self.row_ptr[account]), int(self.row_ptr[account + 1]))

    def open_rows(self, account: int) -> list[int]:
        """Rows of its contracts that are not flat."""
        start, stop = int(self.row_ptr[account]), int(self.row_ptr[account + 1])
        return [n for n in range(start, stop) if self.lots[n] != 0 and self.tradable[self.leg[n]]]

    def equity_nano(self, account: int) -> int:
        """Of one party, at the present marks, exact."""
        rows = self.rows_of(account)
        return int(self.cash_nano[account]) + int((self.lots[rows] * self.mark_nano[self.leg[rows]]).sum())

    def route(self, leg: int) -> DepthRoute:
        """The order book of a contract."""
        return DepthRoute(self.depth, int(self.underlying[leg]), float(self.lot_units[leg]))

    def take_from_book(self, account: int, leg: int, lots: int, limit_nano: int | None = None) -> tuple[int, int]:
        """A market order (signed lots: below zero sells) against the outside market, to a limit in nano per lot.

        Returns (lots traded, signed as asked; quote paid by the account in nano, below zero when it sells).
        """
        side, size, book = (1 if lots > 0 else -1), abs(lots), self.route(leg)
        if limit_nano is not None:
            size = min(size, book.depth(side, limit_nano))
        fill = book.take(side, size)
        self.trade(account, self.party[MARKET], leg, side * fill.lots, -fill.proceeds_micro * 1000)
        return side * fill.lots, -fill.proceeds_micro * 1000

    def trade(self, account: int, other: int, leg: int, lots: int, quote_nano: int) -> None:
        """`account` gets lots (signed) of a leg from `other` and pays quote_nano (signed) for them."""
        if lots == 0:
            invariant(quote_nano == 0, "no money for no lots")
            return
        self._move(account, leg, lots, quote_nano)
        self._move(other, leg, -lots, -quote_nano)

    def pay(self, payer: int, payee: int, amount_nano: int, cause: str) -> None:
        """Moves cash; counted by cause."""
        invariant(amount_nano >= 0, "a payment is not below zero")
        self.cash_nano[payer] -= amount_nano
        self.cash_nano[payee] += amount_nano
        self.paid[cause] += amount_nano

    def profit_nano(self) -> np.ndarray:
        """int64[N]: unrealised profit of every row at the present marks."""
        return np.asarray(self.lots * self.mark_nano[self.leg] - self.cost_nano)

    def check(self) -> None:
        """InvariantError unless every nano of cash and every lot is where it can have gone."""
        invariant(int(self.cash_nano.sum()) == self._cash, "the sum of cash is what it was at the start")
        sums = np.bincount(self.leg, self.lots, len(self.tradable))
        invariant(bool((sums == self._lots).all()), "long equals short in every contract, as at the start")

    def _move(self, account: int, leg: int, lots: int, quote_nano: int) -> None:
        row = int(self.place[account, leg])
        invariant(row >= 0, "a party trades only what it has a row for")
        before = int(self.lots[row])
        after = before + lots
        cost = int(self.cost_nano[row])
        if before == 0 or before * lots > 0:
            cost += quote_nano
        elif before * after >= 0:
            cost = cost * after // before if before else 0
        else:  # through zero: what is left was opened by this trade
            cost = quote_nano * after // lots
        self.lots[row] = after
        self.cost_nano[row] = cost
        self.cash_nano[account] -= quote_nano


class _At:
    """What a model reads of a market, at other legs: cheaper than a new Market every second."""

    def __init__(self, market: Any, legs: Any) -> None:
        self.legs, self.as_of_ns, self.rate, self.underlyings = legs, market.as_of_ns, market.rate, market.underlyings
        self.instruments = market.instruments
