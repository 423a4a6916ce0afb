"""Concentrated liquidity: each position serves one range of ticks, and the curve is a chain of pieces.

Inside a piece with liquidity L the square root s of the price moves by

    Δbase = L·(1/s₁ − 1/s₀),    Δquote = L·(s₁ − s₀)          price at tick t = 1.0001^t

(Adams et al., *Uniswap v3 Core*, 2021, equations 6.13 to 6.16). s is an integer over 2**96. Base is counted in
10⁻⁹ of a lot and quote in nano, so that crossing ticks costs nothing that anybody can see; every step rounds for the
pool. The fee is a part of the quote amount and is set apart in `fees_nano`, not put back into the curve.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from functools import lru_cache
from math import isqrt

from seawall.core.errors import BadNumber
from seawall.core.units import NANO, PPM
from seawall.liquidation.routes.route import LOTS_MAX, SELL, Fill, check_fee, check_order, check_price, nothing

__all__ = ["TICK_MAX", "Concentrated", "base_between", "quote_between", "root_at_tick", "root_of_price"]

Q96 = 1 << 96
TICK_MAX = 887_272
_WIDE_BITS = 320


@lru_cache(maxsize=65_536)
def root_at_tick(tick: int) -> int:
    """⌊√(1.0001^tick)·2**96⌋. Raises BadNumber beyond ±887,272.

    >>> root_at_tick(0) == 2**96
    True
    """
    if abs(tick) > TICK_MAX:
        raise BadNumber("tick", str(tick), f"-{TICK_MAX} to {TICK_MAX}")
    # 1.0001^|tick| by squaring with 320 fractional bits: its error stays far below one unit of 2**-96
    power, factor, left = 1 << _WIDE_BITS, (10_001 << _WIDE_BITS) // 10_000, abs(tick)
    while left:
        if left & 1:
            power = power * factor >> _WIDE_BITS
        factor = factor * factor >> _WIDE_BITS
        left >>= 1
    if tick < 0:
        power = (1 << 2 * _WIDE_BITS) // power
    return isqrt(power << _WIDE_BITS) >> (_WIDE_BITS - 96)


def root_of_price(price_nano: int, up: bool = False) -> int:
    """√(price per 10⁻⁹ lot in nano)·2**96 of a price in nano per lot."""
    square = (price_nano << 192) // NANO
    root = isqrt(square)
    return root + (up and root * root * NANO < price_nano << 192)


def base_between(low: int, high: int, liquidity: int, up: bool) -> int:
    """L·(1/low − 1/high) in base units, low <= high over 2**96."""
    value, by = liquidity * Q96 * (high - low), low * high
    return -(-value // by) if up else value // by


def quote_between(low: int, high: int, liquidity: int, up: bool) -> int:
    """L·(high − low) in quote units."""
    value = liquidity * (high - low)
    return -(-value // Q96) if up else value // Q96


class Concentrated:
    """A pool of positions (lower tick, upper tick, liquidity) at one price.

    base_units and quote_nano are what it really holds: always at least what its positions are owed.
    """

    def __init__(self, name: str, price_nano: int, fee_ppm: int = 0) -> None:
        check_fee(name, fee_ppm)
        check_price(name, price_nano)
        self.name = name
        self.fee_ppm = fee_ppm
        self.root = root_of_price(price_nano)
        self.base_units = 0
        self.quote_nano = 0
        self.fees_nano = 0
        self._ticks: list[int] = []
        self._roots: list[int] = []
        self._net: dict[int, int] = {}

    def add(self, lower: int, upper: int, liquidity: int) -> tuple[int, int]:
        """Puts liquidity in; base units and quote nano to bring, rounded up. Raises BadNumber."""
        if liquidity <= 0 or lower >= upper:
            raise BadNumber(f"{self.name}, position", f"{liquidity} on {lower} to {upper}", "liquidity above zero on lower < upper")
        base, quote = self._amounts(lower, upper, liquidity, up=True)
        self._change(lower, upper, liquidity)
        self.base_units += base
        self.quote_nano += quote
        return base, quote

    def remove(self, lower: int, upper: int, liquidity: int) -> tuple[int, int]:
        """Takes liquidity out; base units and quote nano received, rounded down."""
        base, quote = self._amounts(lower, upper, liquidity, up=False)
        self._change(lower, upper, -liquidity)
        self.base_units -= base
        self.quote_nano -= quote
        return base, quote

    def owed(self) -> tuple[int, int]:
        """Base units and quote nano that the positions together are entitled to, rounded down: `held` is never less."""
        base = quote = liquidity = 0
        for tick, low, high in zip(self._ticks, self._roots, self._roots[1:]):
            liquidity += self._net[tick]
            middle = min(max(self.root, low), high)
            base += base_between(middle, high, liquidity, up=False)
            quote += quote_between(low, middle, liquidity, up=False)
        return base, quote

    def depth(self, side: int, limit_nano: int) -> int:
        """Lots until the price, fee included, reaches the limit."""
        if side == SELL:
            gross = -(-limit_nano * PPM // (PPM - self.fee_ppm))
            target = root_of_price(max(gross, 1), up=True)
            return self._base_down(target) // NANO if target < self.root else 0
        gross = limit_nano * PPM // (PPM + self.fee_ppm)
        target = root_of_price(max(gross, 0))
        return self._base_up(target) // NANO if target > self.root else 0

    def quote(self, side: int, lots: int) -> Fill:
        """What `take` would do."""
        return self._trade(side, lots)[0]

    def take(self, side: int, lots: int) -> Fill:
        """Trades, and moves the price through the ticks on its way."""
        fill, root, quote_nano = self._trade(side, lots)
        self.root = root
        self.base_units += (fill.lots if side == SELL else -fill.lots) * NANO
        self.quote_nano -= quote_nano if side == SELL else -quote_nano
        # what is not the curve's is the fee, and what rounding to micro leaves beside it
        self.fees_nano += (quote_nano if side == SELL else -quote_nano) - fill.proceeds_micro * 1000
        return fill

    def _trade(self, side: int, lots: int) -> tuple[Fill, int, int]:
        check_order(side, lots)
        if side == SELL:
            lots = min(lots, self._base_down(self._roots[0]) // NANO if self._roots else 0, LOTS_MAX)
        else:
            lots = min(lots, self._base_up(self._roots[-1]) // NANO if self._roots else 0, LOTS_MAX)
        root, quote_nano = self._down(lots * NANO) if side == SELL else self._up(lots * NANO)
        fee_nano = -(-quote_nano * self.fee_ppm // PPM)
        if side == SELL:
            price = root * root * NANO >> 192
            marginal = price * (PPM - self.fee_ppm) // PPM
            proceeds = (quote_nano - fee_nano) // 1000
        else:
            price = -(-root * root * NANO >> 192)
            marginal = -(-price * (PPM + self.fee_ppm) // PPM)
            proceeds = -(quote_nano + fee_nano) // 1000
        if not lots:
            return nothing(marginal), self.root, 0
        return Fill(lots, proceeds, -(-fee_nano // 1000), marginal), root, quote_nano

    def _amounts(self, lower: int, upper: int, liquidity: int, up: bool) -> tuple[int, int]:
        low, high = root_at_tick(lower), root_at_tick(upper)
        middle = min(max(self.root, low), high)
        return base_between(middle, high, liquidity, up), quote_between(low, middle, liquidity, up)

    def _change(self, lower: int, upper: int, liquidity: int) -> None:
        for tick, change in ((lower, liquidity), (upper, -liquidity)):
            if tick not in self._net:
                insort(self._ticks, tick)
                self._net[tick] = 0
            self._net[tick] += change
        running = 0
        for tick in self._ticks:
            running += self._net[tick]
            if running < 0:
                self._change(lower, upper, -liquidity)
                raise BadNumber(f"{self.name}, position", str(-liquidity), "liquidity that is in the range")
        for tick in [tick for tick in self._ticks if not self._net[tick]]:
            self._ticks.remove(tick)
            del self._net[tick]
        self._roots = [root_at_tick(tick) for tick in self._ticks]

    def _pieces_down(self) -> list[tuple[int, int, int]]:
        """(from, to, liquidity) below the price, nearest first; from > to."""
        last = bisect_left(self._roots, self.root)
        liquidity, pieces = 0, []
        for position in range(last):
            liquidity += self._net[self._ticks[position]]
            above = self._roots[position + 1] if position + 1 < len(self._roots) else self.root
            pieces.append((min(above, self.root), self._roots[position], liquidity))
        return pieces[::-1]

    def _pieces_up(self) -> list[tuple[int, int, int]]:
        """(from, to, liquidity) above the price, nearest first; from < to."""
        first = bisect_right(self._roots, self.root)
        liquidity = sum(self._net[tick] for tick in self._ticks[:first])
        pieces, at = [], self.root
        for position in range(first, len(self._roots)):
            pieces.append((at, self._roots[position], liquidity))
            at = self._roots[position]
            liquidity += self._net[self._ticks[position]]
        return pieces

    def _base_down(self, target: int) -> int:
        return sum(
            base_between(max(low, target), high, liquidity, up=False) for high, low, liquidity in self._pieces_down() if high > target
        )

    def _base_up(self, target: int) -> int:
        return sum(
            base_between(low, min(high, target), liquidity, up=False) for low, high, liquidity in self._pieces_up() if low < target
        )

    def _down(self, units: int) -> tuple[int, int]:
        """Sells base units: the root after, and quote paid out, rounded down in each piece."""
        root, out = self.root, 0
        for high, low, liquidity in self._pieces_down():
            if not units:
                break
            need = base_between(low, high, liquidity, up=True)
            if units >= need:
                units -= need
                root, out = low, out + quote_between(low, high, liquidity, up=False)
                continue
            root = -(-liquidity * Q96 * high // (liquidity * Q96 + units * high))
            return root, out + quote_between(root, high, liquidity, up=False)
        return root, out

    def _up(self, units: int) -> tuple[int, int]:
        """Buys base units: the root after, and quote to pay in, rounded up in each piece."""
        root, paid = self.root, 0
        for low, high, liquidity in self._pieces_up():
            if not units:
                break
            there = base_between(low, high, liquidity, up=False)
            if units >= there:
                units -= there
                root, paid = high, paid + quote_between(low, high, liquidity, up=True)
                continue
            root = min(high, -(-liquidity * Q96 * low // (liquidity * Q96 - units * low)))
            return root, paid + quote_between(low, root, liquidity, up=True)
        return root, paid
