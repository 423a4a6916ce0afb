"""Binding: rows of decimals meet the legs of a market and become whole lots and nano, exactly, by the million.

Quantities must be whole lots. Perpetuals, futures and baskets enter at `entry` (the mark where none is
given): quantity × entry is taken out of cash, rounded against the account, so that equity is cash +
Σ lots × value. An inverse contract is a constant leg and floor(quantity / entry) coins instead, see
`market/legs.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from seawall.core.errors import (
    BadNumber,
    ExpiredInstrument,
    InputError,
    LimitExceeded,
    NotWholeLots,
    UnknownInstrument,
    show,
)
from seawall.core.times import format_ns
from seawall.core.units import NANO, VALUE_NANO_MAX, format_decimal, format_nano
from seawall.kernels.muldiv import mul_div_floor_array

from .accounts import Accounts
from .coins import coins_of

if TYPE_CHECKING:
    from .book import Book

__all__ = ["bind"]

Array = np.ndarray[Any, Any]
_CASH, _VALUED, _ENTERED, _INVERSE = 0, 1, 2, 3
_PRICE_NANO_MAX = 9 * 10**18


@dataclass(frozen=True, slots=True)
class _Table:
    """The distinct instruments of a book: how each is entered, its lot in nano, its symbol's legs."""

    way: Array
    lot_nano: Array
    legs: list[tuple[int, ...]]


def bind(book: Book, legs: Any, settlement: str, as_of_ns: int | None) -> Accounts:
    """The accounts of a book over `legs` (of a Market); see `Book.bind`."""
    table = _table(book, legs, settlement, as_of_ns)
    way = table.way[book.instrument]
    lots = _lots(book, table, legs)
    worth = np.zeros(len(book))
    _add_worth(worth, lots, book, table, legs)
    taken = _taken(book, table, legs, way, lots, worth)
    _refuse_exposure(book, worth)
    cash_nano = _sums(np.where(way == _CASH, lots, -taken), book.account, len(book.names))
    parts = [_positions(book, table, way, lots), *coins_of(book, legs, table.way == _INVERSE, table.legs, lots)]
    owner, leg, held = (np.concatenate([part[n] for part in parts]) for n in range(3))
    row_ptr, leg, held = _grouped(owner, leg, held, len(book.names), len(legs))
    accounts = Accounts(book.names.to_list(), cash_nano, row_ptr, leg, held)
    accounts.check()
    return accounts


def _table(book: Book, legs: Any, settlement: str, as_of_ns: int | None) -> _Table:
    count = len(book.instruments)
    way, lot_nano = np.zeros(count, np.int8), np.ones(count, np.int64)
    found: list[tuple[int, ...]] = []
    for number, symbol in enumerate(book.instruments):
        if symbol == settlement:
            found.append(())
            continue
        instrument = legs.instruments.get(symbol)
        if instrument is None:
            place = book.row_place(_first(book, number))
            raise UnknownInstrument(place, show(symbol), f"an instrument of the market, or {settlement}")
        if as_of_ns is not None and 0 < instrument.expiry_ns < as_of_ns:
            past = f"a contract that expired at {format_ns(instrument.expiry_ns)}"
            raise ExpiredInstrument(book.row_place(_first(book, number)), past, "one that is alive")
        way[number] = _VALUED if instrument.kind in ("spot", "option") else _ENTERED
        if instrument.inverse:
            way[number] = _INVERSE
        lot_nano[number] = instrument.lot_nano
        found.append(tuple(leg for leg, _ in legs.expand(symbol)))
    return _Table(way, lot_nano, found)


def _first(book: Book, instrument: int) -> int:
    return int(np.argmax(book.instrument == instrument))


def _lots(book: Book, table: _Table, legs: Any) -> Array:
    """int64[n]: whole lots; for cash, its nano."""
    lot = table.lot_nano[book.instrument]
    lots, rest = np.divmod(book.quantity.nano, lot)
    wrong: dict[int, InputError] = {}
    uneven = np.flatnonzero(rest)
    if len(uneven):
        row = int(uneven[0])
        wrong[row] = _uneven(book, legs, row, format_nano(int(book.quantity.nano[row])))
    for row, quantity in book.quantity.odd.items():
        units = Fraction(quantity) * NANO / int(lot[row])
        if units.denominator != 1:
            wrong[row] = _uneven(book, legs, row, format_decimal(quantity))
        elif abs(units) >= VALUE_NANO_MAX:
            cash = table.way[book.instrument[row]] == _CASH
            expected = f"less than {VALUE_NANO_MAX // NANO}" if cash else f"fewer than {VALUE_NANO_MAX} lots"
            wrong[row] = LimitExceeded(f"{book.row_place(row)}.quantity", show(str(quantity)), expected)
        else:
            lots[row] = int(units)
    if wrong:
        raise wrong[min(wrong)]
    return lots


def _uneven(book: Book, legs: Any, row: int, quantity: str) -> InputError:
    symbol = book.instruments[int(book.instrument[row])]
    place = f"{book.row_place(row)}.quantity"
    if symbol not in legs.instruments:
        return BadNumber(place, show(quantity), f"{symbol} with at most nine decimals")
    lot = format_decimal(legs.instruments[symbol].lot)
    return NotWholeLots(place, show(quantity), f"a whole number of lots of {lot}")


def _add_worth(worth: Array, lots: Array, book: Book, table: _Table, legs: Any) -> None:
    """Adds to float64[n] what each row may be worth in nano, at most."""
    most = np.ones(len(table.legs))
    for number, of_symbol in enumerate(table.legs):
        if of_symbol:
            most[number] = sum(float(legs.limit_nano[leg]) for leg in of_symbol)
    worth += np.abs(lots.astype(np.float64)) * most[book.instrument]


def _refuse_exposure(book: Book, worth: Array) -> None:
    """LimitExceeded where Σ |lots × nano| of an account could leave int64; names its largest row."""
    sums = np.bincount(book.account, weights=worth, minlength=len(book.names))
    if len(sums) and sums.max() >= VALUE_NANO_MAX:
        account = int(np.argmax(sums >= VALUE_NANO_MAX))
        rows = np.flatnonzero(book.account == account)
        row = int(rows[np.argmax(worth[rows])])
        found = f"positions worth {sums[account] / NANO:.6g} in this account"
        raise LimitExceeded(f"{book.row_place(row)}.quantity", found, f"less than {VALUE_NANO_MAX // NANO}")


def _taken(book: Book, table: _Table, legs: Any, way: Array, lots: Array, worth: Array) -> Array:
    """int64[n]: quantity × entry in nano, rounded up, of rows that enter at a price; 0 for the others."""
    taken = np.zeros(len(book), np.int64)
    value = np.array([sum(int(legs.value_nano[leg]) for leg in found) for found in table.legs], np.int64)
    default = way == _ENTERED
    if book.entry is not None:
        _check_entries(book, way >= _ENTERED)
        priced = default & book.entry.given
        default = default & ~priced
        rows = np.flatnonzero(priced)
        size = np.abs(lots[rows].astype(np.float64)) * table.lot_nano[book.instrument[rows]]
        worth[rows] += size * (book.entry.nano[rows] / NANO)
        for row, entry in book.entry.odd.items():
            worth[row] += abs(float(lots[row])) * float(table.lot_nano[book.instrument[row]]) * float(entry)
        _refuse_exposure(book, worth)
        taken[rows] = _entry_value(book, table, legs, lots, rows)
    worth[default] *= 2
    _refuse_exposure(book, worth)
    taken[default] = lots[default] * value[book.instrument[default]]
    return taken


def _check_entries(book: Book, entered: Array) -> None:
    entry = book.entry
    assert entry is not None
    plain = entry.given & (entry.nano <= 0)
    plain[list(entry.odd)] = [value <= 0 for value in entry.odd.values()]
    bad = np.flatnonzero(plain & entered)
    if len(bad):
        row = int(bad[0])
        found = str(entry.odd.get(row, format_nano(int(entry.nano[row]))))
        raise BadNumber(f"{book.row_place(row)}.entry", show(found), "a price above zero")
    for row, value in entry.odd.items():
        if value * NANO >= _PRICE_NANO_MAX:
            raise LimitExceeded(f"{book.row_place(row)}.entry", show(str(value)), "a price below 9000000000")


def _entry_value(book: Book, table: _Table, legs: Any, lots: Array, rows: Array) -> Array:
    """ceil(lots × lot × entry) in nano. The lot is reduced to a fraction, so that its products fit."""
    entry = book.entry
    assert entry is not None
    ratios = [_lot_ratio(legs, symbol) for symbol in book.instruments]
    num = np.array([ratio[0] for ratio in ratios], np.int64)[book.instrument[rows]]
    den = np.array([ratio[1] for ratio in ratios], np.int64)[book.instrument[rows]]
    with np.errstate(over="ignore"):
        taken = -mul_div_floor_array(-(lots[rows] * num), entry.nano[rows], den)
    wide = np.flatnonzero(np.abs(lots[rows].astype(np.float64)) * num >= VALUE_NANO_MAX)
    position = {int(row): at for at, row in enumerate(rows)}
    for row in {*(int(rows[at]) for at in wide), *(row for row in entry.odd if row in position)}:
        at = position[row]
        price = Fraction(entry.odd.get(row, Decimal(int(entry.nano[row])) / NANO))
        exact = int(lots[row]) * Fraction(int(num[at]), int(den[at])) * price * NANO
        taken[at] = -((-exact.numerator) // exact.denominator)
    return taken


def _lot_ratio(legs: Any, symbol: str) -> tuple[int, int]:
    instrument = legs.instruments.get(symbol)
    lot = Fraction(instrument.lot) if instrument is not None else Fraction(1)
    return lot.numerator, lot.denominator


def _positions(book: Book, table: _Table, way: Array, lots: Array) -> tuple[Array, Array, Array]:
    """(account, leg, lots) of every leg of every row but cash."""
    rows = np.flatnonzero((way != _CASH) & (lots != 0))
    numbers = book.instrument[rows]
    owners, found, held = [], [], []
    for part in range(max((len(of_symbol) for of_symbol in table.legs), default=0)):
        leg = np.array([of[part] if part < len(of) else -1 for of in table.legs], np.int32)[numbers]
        chosen = slice(None) if part == 0 else leg >= 0
        owners.append(book.account[rows][chosen])
        found.append(leg[chosen])
        held.append(lots[rows][chosen])
    if not found:
        return np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.int64)
    return np.concatenate(owners), np.concatenate(found), np.concatenate(held)


def _sums(amounts: Array, owner: Array, count: int) -> Array:
    """int64[count]: sums of int64 amounts by owner."""
    if np.any(np.diff(owner) < 0):
        order = np.argsort(owner, kind="stable")
        amounts, owner = amounts[order], owner[order]
    ends = np.searchsorted(owner, np.arange(1, count + 1))
    # Running sums may wrap; their differences, which fit, come out right modulo 2**64.
    running = np.concatenate([[0], np.cumsum(amounts)])
    sums: Array = np.diff(running[np.concatenate([[0], ends])])
    return sums


def _grouped(owner: Array, leg: Array, lots: Array, count: int, width: int) -> tuple[Array, Array, Array]:
    """Row pointers, legs and lots by account, legs rising, equal legs added up, none of zero lots."""
    keys = owner.astype(np.int64) * width + leg
    if np.any(np.diff(keys) <= 0):
        order = np.argsort(keys)
        keys, lots = keys[order], lots[order]
        fresh = np.flatnonzero(np.diff(keys, prepend=-1))
        if len(fresh) != len(keys):
            keys, lots = keys[fresh], np.add.reduceat(lots, fresh)
    if np.any(lots == 0):
        keys, lots = keys[lots != 0], lots[lots != 0]
    owner, leg = np.divmod(keys, max(width, 1))
    row_ptr = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=count))]).astype(np.int64)
    return row_ptr, leg.astype(np.int32), lots
