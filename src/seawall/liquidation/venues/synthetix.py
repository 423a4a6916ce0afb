"""Synthetix v3 perpetuals: its margin, its funding rate, and its cap on how much is liquidated in a window.

Exact fractions; sizes in units of the underlying. Synthetixio/synthetix-v3 @ 23585f7, markets/perps-market.
"""

from __future__ import annotations

from collections import deque
from fractions import Fraction

import msgspec

from seawall.core.errors import BadNumber

__all__ = [
    "LiquidationWindow",
    "Market",
    "available_margin",
    "funding_rate",
    "funding_velocity",
    "initial_margin",
    "maintenance_margin",
]

DAY_SECONDS = 86_400


class Market(msgspec.Struct, frozen=True):
    """One market's margin parameters; fractions of one, sizes in units."""

    skew_scale: Fraction
    initial_margin_fraction: Fraction
    min_initial_margin_ratio: Fraction
    maintenance_scalar: Fraction
    min_position_margin: Fraction


def _ratio(market: Market, size: Fraction) -> Fraction:
    return abs(size) / market.skew_scale * market.initial_margin_fraction + market.min_initial_margin_ratio


def initial_margin(market: Market, size: Fraction, price: Fraction) -> Fraction:
    """|q|·P·(|q|/scale·fraction + least ratio) + least margin of a position."""
    return abs(size) * price * _ratio(market, size) + market.min_position_margin


def maintenance_margin(market: Market, size: Fraction, price: Fraction) -> Fraction:
    """As the initial margin, its ratio times the scalar."""
    return abs(size) * price * _ratio(market, size) * market.maintenance_scalar + market.min_position_margin


def available_margin(collateral: Fraction, pnl: list[Fraction]) -> Fraction:
    """Collateral plus all P&L."""
    return collateral + sum(pnl, Fraction(0))


def funding_rate(before: Fraction, velocity: Fraction, seconds: Fraction) -> Fraction:
    """Rate per day after `seconds` at a velocity per day."""
    return before + velocity * seconds / DAY_SECONDS


def funding_velocity(skew: Fraction, skew_scale: Fraction, most: Fraction) -> Fraction:
    """clip(skew/scale, ±1)·most."""
    return max(Fraction(-1), min(skew / skew_scale, Fraction(1))) * most


class LiquidationWindow:
    """Of any window of so many seconds at most (maker + taker fee)·scale·multiplier·seconds is liquidated.

    With no capacity left, one more window's worth may go per moment while |skew|/scale is below max_premium (0: never).
    """

    def __init__(
        self, fees: Fraction, skew_scale: Fraction, multiplier: Fraction, seconds: Fraction, max_premium: Fraction = Fraction(0)
    ) -> None:
        if min(fees, skew_scale, multiplier, seconds, max_premium) < 0 or not skew_scale:
            raise BadNumber("liquidation window", "a negative figure or no skew scale", "figures of at least zero")
        self.seconds = seconds
        self.skew_scale = skew_scale
        self.max_premium = max_premium
        self.most = fees * skew_scale * multiplier * seconds
        self._done: deque[tuple[Fraction, Fraction]] = deque()
        self._last: Fraction | None = None

    def capacity(self, now: Fraction) -> Fraction:
        """What may still be liquidated at this moment; what left the window is forgotten."""
        while self._done and self._done[0][0] <= now - self.seconds:
            self._done.popleft()
        return max(Fraction(0), self.most - sum((size for _, size in self._done), Fraction(0)))

    def liquidate(self, now: Fraction, wanted: Fraction, skew: Fraction | None = None) -> Fraction:
        """How much of `wanted` goes now; a window of size zero lets everything go (no fees or multiplier set)."""
        if self.most == 0:
            return wanted
        allowed = self.capacity(now)
        if allowed == 0 and skew is not None and self._last != now and abs(skew) / self.skew_scale < self.max_premium:
            allowed = self.most
        size = min(wanted, allowed)
        if size:
            self._done.append((now, size))
            self._last = now
        return size
