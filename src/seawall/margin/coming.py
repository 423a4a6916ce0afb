"""Margin as of a coming moment: an expiry, a settlement, a fixing of strikes, an announced change of parameters.

Prices and volatilities stay as they are; time does not. What has expired by then has been settled into cash at
the index, strikes that are fixed by then are fixed at the index, and the model is the one announced for then.
What is left is an ordinary book at an ordinary market, and the ordinary functions answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from seawall.core.errors import InputError, StaleEvent, UnreadableFile, show
from seawall.core.jsontext import with_floats
from seawall.core.times import format_ns, parse_iso_ns
from seawall.core.units import NANO
from seawall.ledger.accounts import Accounts
from seawall.margin.evaluate import Result, evaluate_bound
from seawall.margin.model import Model
from seawall.margin.models import get, resolve
from seawall.margin.single import Single
from seawall.market.legs import CONSTANT
from seawall.market.market import Market
from seawall.market.quotes import round_nano

__all__ = ["Announced", "AsOf", "announcement", "as_of"]

Array = np.ndarray[Any, Any]


class Announced(NamedTuple):
    """From start_ns on, margin is by this model."""

    start_ns: int
    model: Model


class AsOf(NamedTuple):
    """A book at a coming moment. settled: instruments that have expired by then; fixed: options whose strike has
    been fixed by then."""

    accounts: Accounts
    market: Market
    model: Model
    settled: tuple[str, ...]
    fixed: tuple[str, ...]

    def evaluate(self) -> Result:
        """Equity and margin of every account then."""
        return evaluate_bound(self.accounts, self.model.tables(self.market), self.model)

    def single(self, account: str) -> Single:
        """One account then, for further questions; InputError where the book has none of that name."""
        if account not in self.accounts.names:
            raise InputError("account", repr(account), "an account of the book")
        k = self.accounts.names.index(account)
        rows = slice(self.accounts.row_ptr[k], self.accounts.row_ptr[k + 1])
        cash = int(self.accounts.cash_nano[k])
        return Single(self.market, self.model, self.accounts.leg[rows], self.accounts.lots[rows], cash)


def as_of(
    book: Any,
    market: Market,
    model: str | Model,
    at: Any,
    announced: Iterable[Announced] = (),
) -> AsOf:
    """The book and the market at a coming moment, at the present prices and volatilities.

    at: a time (ISO 8601 or ns) from the market's on. announced: changes of parameters; the last that has
    started by then counts. An option or a future that expires at that moment or before has been settled at
    the index of its underlying, an inverse future in coin, each rounded against the account by less than a
    nano a lot (a coin lot). Raises StaleEvent for a time before the market's, InputError where every
    instrument has expired by then, and what `evaluate` raises.
    """
    at_ns = parse_iso_ns(at, "at")
    if at_ns < market.as_of_ns:
        raise StaleEvent("at", format_ns(at_ns), f"a time from {format_ns(market.as_of_ns)} on")
    started = [each for each in announced if each.start_ns <= at_ns]
    then = max(started, key=lambda each: each.start_ns).model if started else resolve(model)
    settled = tuple(name for name, each in market.instruments.items() if 0 < each.expiry_ns <= at_ns)
    alive = {name: each for name, each in market.instruments.items() if not 0 < each.expiry_ns <= at_ns}
    fixed = tuple(name for name, each in alive.items() if each.is_forward_start and each.strike_fixes_ns <= at_ns)
    if not alive:
        raise InputError("at", format_ns(at_ns), "a time at which some instrument of the market is alive")
    accounts = book.bind(market)
    later = _later(market, at_ns, set(settled), set(fixed))
    return AsOf(_settle(accounts, market, later), later, then, settled, fixed)


def announcement(content: Any, place: str = "announcement") -> Announced:
    """Of a document {"from": time, "model": name, "parameters": {…}}; parameters may be left out."""
    keys = {"from", "model", "parameters"}
    if not isinstance(content, dict) or not {"from", "model"} <= set(content) <= keys:
        found = show(content) if not isinstance(content, dict) else "the keys " + ", ".join(map(str, content))
        raise UnreadableFile(place, found, "an object with from, model and, where they differ, parameters")
    name, parameters = content["model"], content.get("parameters", {})
    if not isinstance(name, str) or not isinstance(parameters, dict):
        raise UnreadableFile(place, f"{show(name)}, {show(parameters)}", "a model's name and an object of parameters")
    return Announced(parse_iso_ns(content["from"], f"{place}: from"), get(name, **with_floats(parameters)))


def _later(market: Market, at_ns: int, settled: set[str], fixed: set[str]) -> Market:
    """The market at that time: without what has settled, with strikes fixed, every option at its own present vol."""
    vols = {market.legs.symbols[leg]: float(market.legs.iv[leg]) for leg in np.flatnonzero(market.legs.right)}
    document = market.to_document()
    # a surface would give another volatility to a shorter life; vols are held, one by one
    document.pop("surfaces", None)
    document["as_of"] = format_ns(at_ns)
    rows = []
    for row in document["instruments"]:
        symbol = row["symbol"]
        if symbol in settled:
            continue
        instrument = market.instruments[symbol]
        if instrument.kind == "option":
            row["iv"] = repr(vols[symbol])
        if symbol in fixed:
            strike = Fraction(instrument.strike_fraction or 1) * Fraction(market.index[instrument.underlying])
            row["strike"] = str(round_nano(strike))
        rows.append(row)
    document["instruments"] = rows
    return Market.from_document(document)


def _settle(accounts: Accounts, market: Market, later: Market) -> Accounts:
    """The accounts over the later market's legs, with what has expired paid out."""
    legs = market.legs
    owner = np.repeat(np.arange(len(accounts)), np.diff(accounts.row_ptr))
    cash = accounts.cash_nano.copy()
    leg, lots = accounts.leg.astype(np.int64), accounts.lots
    coins: list[tuple[int, int, int]] = []
    number = {symbol: k for k, symbol in enumerate(later.legs.symbols)}
    moved = np.array([number.get(symbol, -1) for symbol in legs.symbols], np.int64)
    for gone in np.flatnonzero(moved < 0).tolist():
        rows = np.flatnonzero(leg == gone)
        if legs.kind[gone] == CONSTANT:
            coins += [(int(owner[k]), *_coins_paid(market, later, gone, int(lots[k]))) for k in rows.tolist()]
            continue
        paid = _pay_off(market, gone)
        down, up = paid.numerator // paid.denominator, -(-paid.numerator // paid.denominator)
        np.add.at(cash, owner[rows], lots[rows] * np.where(lots[rows] > 0, down, up))
    for account, coin, count in coins:
        if coin < 0:
            cash[account] += count
    extra = [each for each in coins if each[1] >= 0]
    kept = moved[leg] >= 0
    owner = np.concatenate([owner[kept], np.array([each[0] for each in extra], np.int64)])
    leg = np.concatenate([moved[leg[kept]], np.array([each[1] for each in extra], np.int64)])
    lots = np.concatenate([lots[kept], np.array([each[2] for each in extra], np.int64)])
    keys, place = np.unique(owner * len(later.legs) + leg, return_inverse=True)
    sums = np.zeros(len(keys), np.int64)
    np.add.at(sums, place, lots)
    keys, sums = keys[sums != 0], sums[sums != 0]
    owner, leg = np.divmod(keys, max(len(later.legs), 1))
    row_ptr = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(accounts)))]).astype(np.int64)
    out = Accounts(accounts.names, cash, row_ptr, leg.astype(np.int32), sums)
    out.check()
    return out


def _pay_off(market: Market, leg: int) -> Fraction:
    """What one lot of a leg pays when it settles at the index, nano."""
    legs = market.legs
    name = market.underlyings[int(legs.underlying[leg])]
    index = Fraction(market.index[name])
    lot = Fraction(int(legs.lot_num[leg]), int(legs.lot_den[leg]))
    if legs.right[leg] == 0:
        return lot * index * NANO
    instrument = market.instruments[legs.symbols[leg]]
    if instrument.strike is None:
        strike = Fraction(instrument.strike_fraction or 1) * index
    else:
        strike = Fraction(instrument.strike)
    return lot * max(int(legs.right[leg]) * (index - strike), Fraction(0)) * NANO


def _coins_paid(market: Market, later: Market, leg: int, lots: int) -> tuple[int, int]:
    """(leg of the coin, lots of it) that settle the face of an inverse future, rounded down; (-1, nano) where no
    inverse contract is left for coin to be held by."""
    instrument = market.instruments[market.legs.symbols[leg]]
    if instrument.underlying not in later.legs.coin_of:
        return -1, -lots * instrument.lot_nano
    number, over = later.legs.coin_lot(instrument.underlying)
    owed = lots * Fraction(instrument.lot) / Fraction(market.index[instrument.underlying]) * over / number
    return later.legs.coin_leg(instrument.underlying), -owed.numerator // owed.denominator
