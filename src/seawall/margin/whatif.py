"""What an account would need after trades that have not happened: the pre-trade question.

The same kernels as `evaluate`, on one row. The last book, market and model asked about stay
compiled, so that a series of questions costs microseconds each; `Engine.what_if` asks the same
of a running engine.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from seawall.core.errors import InputError, NotWholeLots
from seawall.core.units import parse_decimal
from seawall.kernels.account import evaluate_accounts
from seawall.margin.evaluate import Result
from seawall.margin.model import Model
from seawall.margin.models import resolve

Trades = Mapping[str, str] | Sequence[tuple[str, str]]


class Calculator:
    """A bound book and compiled tables, ready for questions about single accounts."""

    def __init__(self, book: Any, market: Any, model: str | Model) -> None:
        self.model = resolve(model)
        self.market = market
        self.accounts = book.bind(market)
        self.row = {name: k for k, name in enumerate(self.accounts.names)}
        self.tables = self.model.tables(market)

    def what_if(self, account: str, trades: Trades) -> Result:
        """One row: the account with trades (instrument, signed quantity) done at the mark."""
        k = self.row.get(account)
        if k is None:
            raise InputError("account", repr(account), "an account of the book")
        first, last = self.accounts.row_ptr[k], self.accounts.row_ptr[k + 1]
        held = dict(zip(self.accounts.leg[first:last].tolist(), self.accounts.lots[first:last].tolist(), strict=True))
        cash_nano = int(self.accounts.cash_nano[k])
        for symbol, quantity in trades.items() if isinstance(trades, Mapping) else trades:
            for leg, lots in self._legs(symbol, quantity):
                held[leg] = held.get(leg, 0) + lots
                cash_nano -= lots * int(self.tables.values[leg, 0])
                if lots < 0 and self.tables.leg_right[leg]:
                    cash_nano -= 1 - lots  # an option's value is rounded down: its seller gets no more
        legs = sorted(leg for leg, lots in held.items() if lots)
        out = np.zeros((1, 4), np.int64)
        evaluate_accounts(
            self.model.kind,
            self.tables,
            np.zeros(1, np.int64),
            np.array([len(legs)], np.int64),
            np.array(legs, np.int32),
            np.array([held[leg] for leg in legs], np.int64),
            np.array([cash_nano], np.int64),
            out,
        )
        return Result([account], out, self.model)

    def _legs(self, symbol: str, quantity: str) -> list[tuple[int, int]]:
        legs = self.market.legs
        expanded = legs.expand(symbol)
        instrument = self.market.instruments[symbol]
        lots = Fraction(parse_decimal(quantity, f"quantity of {symbol}")) / Fraction(instrument.lot)
        if lots.denominator != 1:
            raise NotWholeLots(f"quantity of {symbol}", str(quantity), f"a whole number of lots of {instrument.lot}")
        changes = [(leg, int(lots) * each) for leg, each in expanded]
        if instrument.inverse:
            number, over = legs.coin_lot(instrument.underlying)
            entry = Fraction(self.market.index[instrument.underlying]) * self.market.quotes[symbol].ratio
            coins = lots * Fraction(instrument.lot) / entry * over / number
            # the coin is paid for by the contract's own constant leg: both change hands at the mark
            changes.append((legs.coin_leg(instrument.underlying), coins.numerator // coins.denominator))
        return changes


_last: list[Any] = [None, None, None, None]


def what_if(book: Any, market: Any, model: str | Model, account: str, trades: Trades) -> Result:
    """One-row Result of an account after trades at the mark; nothing is changed.

    trades: {instrument: signed quantity} or pairs. Raises InputError for names and quantities
    that the market does not have.
    """
    if not (_last[0] is book and _last[1] is market and (_last[2] is model or _last[2] == model)):
        _last[:] = [book, market, model, Calculator(book, market, model)]
    result: Result = _last[3].what_if(account, trades)
    return result
