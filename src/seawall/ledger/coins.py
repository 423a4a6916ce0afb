"""Coin of inverse contracts: quantity ÷ entry coins, rounded down, in lots of the hidden coin leg.

Where numerator and denominator fit, a whole column is divided at once, exactly; the rest row by row in Python.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from seawall.core.errors import LimitExceeded
from seawall.core.units import NANO, VALUE_NANO_MAX
from seawall.kernels.muldiv import mul_div_floor_array

if TYPE_CHECKING:
    from .book import Book

__all__ = ["coins_of"]

Array = np.ndarray[Any, Any]
_DENOMINATOR_MAX = 2**51


def coins_of(
    book: Book, legs: Any, inverse: Array, legs_of: list[tuple[int, ...]], lots: Array
) -> list[tuple[Array, Array, Array]]:
    """(account, coin leg, lots of coin) for the rows of each inverse contract.

    inverse: bool by instrument of the book; legs_of: its legs; lots int64[n]: of the book's rows.
    """
    made = []
    for number in np.flatnonzero(inverse).tolist():
        symbol = book.instruments[number]
        instrument = legs.instruments[symbol]
        rows = np.flatnonzero((book.instrument == number) & (lots != 0))
        leg = legs_of[number][0]
        coin = legs.coin_leg(instrument.underlying)
        per_coin = Fraction(instrument.lot) / Fraction(int(legs.lot_num[coin]), int(legs.lot_den[coin]))
        # value_num / value_den of the constant leg is its lot × mark / index
        ratio = Fraction(int(legs.value_num[leg]), int(legs.value_den[leg])) / Fraction(instrument.lot)
        mark = ratio * Fraction(int(legs.index_nano[legs.underlying[leg]]), NANO)
        coins = _whole_coins(book, rows, lots[rows], per_coin, mark, int(legs.limit_nano[coin]))
        made.append((book.account[rows], np.full(len(rows), coin, np.int32), coins))
    return made


def _whole_coins(book: Book, rows: Array, lots: Array, per_coin: Fraction, mark: Fraction, worth_nano: int) -> Array:
    """int64[rows]: floor(lots × per_coin / price), price the entry or else the mark."""
    entry = book.entry
    given = entry.given[rows] if entry is not None else np.zeros(len(rows), bool)
    coins = np.zeros(len(rows), np.int64)
    slow = np.ones(len(rows), bool)
    for chosen, num, den in _quotients(book, rows, given, per_coin, mark):
        size = np.abs(lots[chosen] * (float(num) / den))
        fits = (den < _DENOMINATOR_MAX) & (size * worth_nano < VALUE_NANO_MAX / 2)
        if num < VALUE_NANO_MAX:
            at = np.flatnonzero(chosen)[fits]
            coins[at] = mul_div_floor_array(lots[at], np.array([num]), den[fits].astype(np.int64))
            slow[at] = False
    for place in np.flatnonzero(slow).tolist():
        row = int(rows[place])
        price = mark
        if entry is not None and given[place]:
            price = Fraction(entry.odd.get(row, Fraction(int(entry.nano[row]), NANO)))
        amount = Fraction(int(lots[place])) * per_coin / price
        coins[place] = _fits(amount.numerator // amount.denominator, worth_nano, book, row)
    return coins


def _quotients(
    book: Book, rows: Array, given: Array, per_coin: Fraction, mark: Fraction
) -> list[tuple[Array, int, Array]]:
    """(which rows, numerator, denominators as float64) of per_coin / price, where that is two integers."""
    at_mark = per_coin / mark
    parts = [(~given, at_mark.numerator, np.full(int((~given).sum()), float(at_mark.denominator)))]
    if book.entry is not None:
        plain = given & (book.entry.nano[rows] > 0)
        unit = per_coin * NANO
        parts.append((plain, unit.numerator, float(unit.denominator) * book.entry.nano[rows[plain]]))
    return parts


def _fits(coins: int, worth_nano: int, book: Book, row: int) -> int:
    if abs(coins) * worth_nano >= VALUE_NANO_MAX:
        expected = f"less than {VALUE_NANO_MAX // NANO}"
        raise LimitExceeded(
            f"{book.row_place(row)}.entry", f"coin worth {abs(coins) * worth_nano / NANO:.6g}", expected
        )
    return coins
