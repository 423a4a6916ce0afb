"""How far an account can go: trades, deposits and moves together, the most it can withdraw, its largest order.

All answers are of the exact function, through `Single`; nothing is changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from seawall.core.errors import BadNumber, InputError, LimitExceeded
from seawall.core.units import NANO, parse_decimal, parse_positive
from seawall.margin.single import Figures, Single

__all__ = ["LargestOrder", "largest_order", "scenario", "trade", "withdrawable"]

SIDES = {"buy": 1, "sell": -1}
MOST_LOTS = 1 << 40


class LargestOrder(NamedTuple):
    """lots pass and lots + 1 do not (0: not even one does); quantity: the same in units of the underlying.

    after: the account's figures with it.
    """

    lots: int
    quantity: Decimal
    after: Figures


def trade(single: Single, symbol: str, lots: int, price: Any = None) -> tuple[dict[int, int], int]:
    """(lots by leg of the board, cash in nano) of a trade; at the mark without a price, as `what_if` counts it.

    With a price the cash is rounded against the account, and a difference to the mark is gain or loss.
    """
    market = single.market
    expanded = market.legs.expand(symbol)
    instrument = market.instruments[symbol]
    changes = {leg: lots * each for leg, each in expanded}
    paid = None if price is None else Fraction(parse_positive(price, f"price of {symbol}"))
    if instrument.inverse:
        number, over = market.legs.coin_lot(instrument.underlying)
        entry = paid or Fraction(market.index[instrument.underlying]) * market.quotes[symbol].ratio
        coins = lots * Fraction(instrument.lot) / entry * over / number
        coin = market.legs.coin_leg(instrument.underlying)
        changes[coin] = changes.get(coin, 0) + coins.numerator // coins.denominator
        return changes, 0
    if paid is not None:
        cost = lots * Fraction(instrument.lot) * paid * NANO
        return changes, -cost.numerator // cost.denominator
    cash = 0
    for leg, each in changes.items():
        one = Single(market, single.model, [leg], [1], 0)
        cash -= each * int(one.rows().values[one.position[0], 0])
        if each < 0 and market.legs.right[leg]:
            cash -= 1 - each  # an option's value is rounded down: its seller gets no more
    return changes, cash


def scenario(
    single: Single,
    trades: Mapping[str, Any] | Iterable[tuple[Any, ...]] = (),
    deposit: Any = 0,
    moves: Mapping[str, float] | None = None,
    vol: float = 0.0,
    vol_points: float = 0.0,
    now_ns: int | None = None,
) -> Figures:
    """The account after trades, then a deposit, then moves of prices, vols and time, all before they happen.

    trades: {instrument: signed quantity}, or (instrument, quantity[, price]); at the mark of the
    present without a price. deposit: currency, negative to withdraw. moves: relative, by
    underlying (-0.1: ten per cent down). vol: relative, of every option; vol_points: added to it.
    """
    after = single
    for row in trades.items() if isinstance(trades, Mapping) else trades:
        symbol, quantity, *price = row
        single.market.legs.expand(symbol)
        lots = single.market.instruments[symbol].lots_of(quantity)
        changes, cash = trade(after, symbol, lots, *price)
        after = after.traded(changes, cash)
    nano = Fraction(parse_decimal(deposit, "deposit")) * NANO
    prices = single.prices_nano.copy()
    for name, move in (moves or {}).items():
        number = single.number(name)
        moved = round(int(prices[number]) * (1 + Fraction(str(move))))
        if not 0 < moved < 2**62:
            raise BadNumber(f"move of {name}", str(move), "a move that leaves a price above zero and within limits")
        prices[number] = moved
    iv = after.vols(vol, vol_points) if vol or vol_points else None
    return after.evaluate(prices, iv, now_ns, nano.numerator // nano.denominator)


def withdrawable(single: Single) -> int:
    """The most that can be taken out with equity still at initial margin, micro; 0 where there is none.

    Cash is in equity one for one and in no requirement, so this is free collateral, to the micro. It
    may exceed the cash balance: then the rest would be lent against the positions.
    """
    return max(single.evaluate().free, 0)


def largest_order(single: Single, instrument: str, side: str, price: Any = None) -> LargestOrder:
    """The largest order that leaves equity at initial margin or above.

    side: "buy" or "sell"; price: the mark unless given. Passing is not monotone in the size (an order
    that closes a position passes where half of it may not, and the other way round), so sizes 1, 2, 4, …
    are all tried, and between the largest that passes and its double the boundary is bisected on the
    exact function: the order returned passes, one lot more does not, and no power of two above does.
    """
    if side not in SIDES:
        raise InputError("side", repr(side), "buy or sell")
    single.market.legs.expand(instrument)
    lot = Decimal(single.market.instruments[instrument].lot)

    def after(lots: int) -> Figures | None:
        try:
            return single.traded(*trade(single, instrument, SIDES[side] * lots, price)).evaluate()
        except (LimitExceeded, OverflowError):
            return None

    def passes(lots: int) -> bool:
        found = after(lots)
        return found is not None and found.free >= 0

    best, size = 0, 1
    while size <= MOST_LOTS and after(size) is not None:
        best = size if passes(size) else best
        size *= 2
    low, high = best, max(2 * best, 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if passes(middle) else (low, middle)
    return LargestOrder(low, low * lot, after(low) or single.evaluate())
