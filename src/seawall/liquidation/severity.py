"""How much of a bankrupt position must be deleveraged at all, from what the rest would really fetch; wave by wave.

What a fund needs is a matter of execution, not of marks: selling q lots at p_exec instead of the bankruptcy price
costs (p_bankruptcy − p_exec)·q (100 contracts, bankrupt at 100, executed at 96: 400). So per wave: the most lots whose
execution, stressed, the layers before deleveraging can still pay for go to the market; only the others are deleveraged.
The next wave asks the market again. Over-closure compares what was deleveraged with what the execution of the same
wave shows to have been needed.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import msgspec

from seawall.core.errors import BadNumber
from seawall.core.units import PPM
from seawall.liquidation.routes.route import SELL

__all__ = ["Wave", "Waves", "plan_wave", "shortfall"]

Proceeds = Callable[[int], tuple[int, int]]
"""lots → (lots that the market takes, signed cash in micro), as a route's or the router's quote."""


class Wave(msgspec.Struct, frozen=True):
    """market_lots + deleverage_lots = the position. severity_micro: cost of selling all of it (as far as it goes).

    cost_micro: stressed cost of market_lots, at most what the funds had.
    """

    market_lots: int
    deleverage_lots: int
    severity_micro: int
    cost_micro: int


def shortfall(side: int, lots: int, proceeds_micro: int, bankruptcy_nano: int) -> int:
    """What closing lots for this cash lacks against the bankruptcy price, in micro, rounded up; at least 0.

    side: what closing does, SELL for a long position. proceeds_micro: signed, negative for a purchase.
    """
    due_nano = -side * lots * bankruptcy_nano
    return max(0, -((proceeds_micro * 1000 - due_nano) // 1000))


def plan_wave(
    side: int, lots: int, bankruptcy_nano: int, funds_micro: int, quote: Proceeds, stress_ppm: int = 0
) -> Wave:
    """The most lots that the market may get, by bisection (the cost of selling more is never less).

    stress_ppm: how much worse than quoted the shortfall may turn out. Raises BadNumber for negative figures.
    """
    if min(lots, funds_micro, stress_ppm) < 0 or side not in (SELL, -SELL):
        raise BadNumber("wave", f"{lots} lots, funds {funds_micro}, stress {stress_ppm}", "figures of at least zero, a side of ±1")

    def cost(size: int) -> int:
        plain = shortfall(side, size, quote(size)[1], bankruptcy_nano)
        return plain + -(-plain * stress_ppm // PPM)

    there = min(lots, quote(lots)[0])
    severity = shortfall(side, there, quote(there)[1], bankruptcy_nano)
    if cost(there) <= funds_micro:
        return Wave(there, lots - there, severity, cost(there))
    low, high = 0, there
    while high - low > 1:
        middle = (low + high) // 2
        if cost(middle) <= funds_micro:
            low = middle
        else:
            high = middle
    return Wave(low, lots - low, severity, cost(low))


class Waves:
    """Follows one failure: what was deleveraged, and what the execution prices say was needed."""

    def __init__(self) -> None:
        self.closed_lots = 0
        self.needed_lots = 0

    def add(self, closed_lots: int, needed_lots: int) -> None:
        """One wave: lots deleveraged, and lots that no layer could have paid for at the prices really executed."""
        self.closed_lots += closed_lots
        self.needed_lots += needed_lots

    @property
    def over_closure(self) -> Fraction:
        """closed ÷ needed; 1 where neither."""
        if not self.needed_lots:
            return Fraction(1 + self.closed_lots)
        return Fraction(self.closed_lots, self.needed_lots)
