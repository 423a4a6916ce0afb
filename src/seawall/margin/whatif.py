"""What an account would need after trades that have not happened: the pre-trade question.

The same kernels as `evaluate`, on one row. The last book, market and model asked about stay
compiled, so that a series of questions costs microseconds each; `Engine.what_if` asks the same
of a running engine.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from seawall.core.errors import InputError, LimitExceeded
from seawall.core.units import NANO, VALUE_NANO_MAX
from seawall.kernels.account import evaluate_one
from seawall.margin.evaluate import Result
from seawall.margin.model import Model
from seawall.margin.models import resolve
from seawall.market.legs import CONSTANT, ROLE_COIN

Trades = Mapping[str, str] | Sequence[tuple[str, str]]


class Calculator:
    """A bound book and compiled tables, ready for questions about single accounts."""

    def __init__(self, book: Any, market: Any, model: str | Model) -> None:
        self.model = resolve(model)
        self.market = market
        self.accounts = book.bind(market)
        self.row = {name: k for k, name in enumerate(self.accounts.names)}
        self.tables = self.model.tables(market)

    @cached_property
    def position_of(self) -> np.ndarray:
        """int64[L]: legs of one position have one number, their instrument's. An inverse contract goes with its coin,
        which all inverse contracts of the underlying share, so that they are one position (numbers below 0)."""
        legs = self.market.legs
        inverse = (legs.kind == CONSTANT) | (legs.role == ROLE_COIN)
        return np.where(inverse, -1 - legs.underlying.astype(np.int64), legs.instrument)

    def what_if(self, account: str, trades: Trades) -> Result:
        """One row: the account with trades (instrument, signed quantity) done at the mark."""
        k = self.row.get(account)
        if k is None:
            raise InputError("account", repr(account), "an account of the book")
        first, last = self.accounts.row_ptr[k], self.accounts.row_ptr[k + 1]
        held = dict(zip(self.accounts.leg[first:last].tolist(), self.accounts.lots[first:last].tolist(), strict=True))
        cash_nano = int(self.accounts.cash_nano[k])
        for symbol, quantity in trades.items() if isinstance(trades, Mapping) else trades:
            changes = self._legs(symbol, quantity)
            for leg, lots in changes:
                held[leg] = held.get(leg, 0) + lots
                if self.market.instruments[symbol].inverse:
                    continue  # its coin, rounded down, is what it is entered for; no cash moves
                cash_nano -= lots * int(self.tables.values[leg, 0])
                if lots < 0 and self.tables.leg_right[leg]:
                    cash_nano -= 1 - lots  # an option's value is rounded down: its seller gets no more
        legs = sorted(leg for leg, lots in held.items() if lots)
        self._refuse_exposure(account, held, cash_nano)
        row = np.array(legs, np.int32), np.array([held[leg] for leg in legs], np.int64)
        out = evaluate_one(self.model.kind, self.tables, *row, cash_nano)
        return Result([account], out[np.newaxis], self.model)

    def _refuse_exposure(self, account: str, held: dict[int, int], cash_nano: int) -> None:
        """The limit that binding a book holds it to, so that no product leaves int64."""
        limits = self.market.legs.limit_nano
        worth = sum(abs(lots) * int(limits[leg]) for leg, lots in held.items()) + abs(cash_nano)
        if worth >= VALUE_NANO_MAX:
            raise LimitExceeded(
                f"account {account!r} after these trades",
                f"positions and cash worth {worth / NANO:.6g}",
                f"less than {VALUE_NANO_MAX // NANO}",
            )

    def _legs(self, symbol: str, quantity: str) -> list[tuple[int, int]]:
        legs = self.market.legs
        expanded = legs.expand(symbol)
        instrument = self.market.instruments[symbol]
        lots = instrument.lots_of(quantity)
        changes = [(leg, lots * each) for leg, each in expanded]
        if instrument.inverse:
            number, over = legs.coin_lot(instrument.underlying)
            entry = Fraction(self.market.index[instrument.underlying]) * self.market.quotes[symbol].ratio
            coins = lots * Fraction(instrument.lot) / entry * over / number
            changes.append((legs.coin_leg(instrument.underlying), coins.numerator // coins.denominator))
        return changes


# (book, market, model, calculator) of the last question. Replaced as a whole: another thread's question
# in between costs a compilation, never an answer about the wrong book.
_last: list[tuple[Any, Any, Any, Calculator]] = []


def what_if(book: Any, market: Any, model: str | Model, account: str, trades: Trades) -> Result:
    """One-row Result of an account after trades at the mark; nothing is changed.

    trades: {instrument: signed quantity} or pairs. Raises InputError for names and quantities
    that the market does not have, LimitExceeded where the account would be worth too much.
    """
    return prepared(book, market, model).what_if(account, trades)


def prepared(book: Any, market: Any, model: str | Model) -> Calculator:
    """The calculator of the last question where it was about the same book, market and model, or a new one."""
    for of_book, of_market, of_model, calculator in tuple(_last):
        if of_book is book and of_market is market and (of_model is model or of_model == model):
            return calculator
    calculator = Calculator(book, market, model)
    _last[:] = [(book, market, model, calculator)]
    return calculator
