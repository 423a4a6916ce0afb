"""A constant-product pool: base × quote never falls, so it never pays out more than the curve allows.

    sell n lots:  out = ⌊ y·γn / (x + γn) ⌋          buy n lots:  in = ⌈ y·n / (γ·(x − n)) ⌉

x lots and y micro are its reserves, γ = 1 − fee, the fee stays in the pool (Uniswap v2's rule). Splitting a sale of
a + b never gains: after the first part x has grown by a, not by γa, and (x + γa)/(x + a) ≤ 1.
"""

from __future__ import annotations

from math import isqrt

from seawall.core.errors import BadNumber
from seawall.core.units import PPM
from seawall.liquidation.routes.route import LOTS_MAX, SELL, Fill, check_fee, check_order

__all__ = ["ConstantProduct"]


class ConstantProduct:
    """Reserves of base_lots and quote_micro. Raises BadNumber for reserves that are not positive."""

    def __init__(self, name: str, base_lots: int, quote_micro: int, fee_ppm: int = 0) -> None:
        check_fee(name, fee_ppm)
        for field, value in (("base_lots", base_lots), ("quote_micro", quote_micro)):
            if value <= 0:
                raise BadNumber(f"{name}, {field}", str(value), "a reserve above zero")
        self.name = name
        self.base_lots = base_lots
        self.quote_micro = quote_micro
        self.fee_ppm = fee_ppm

    def depth(self, side: int, limit_nano: int) -> int:
        """Lots until the curve's slope, fee included, reaches the limit."""
        keep, x, y = PPM - self.fee_ppm, self.base_lots, self.quote_micro
        if side == SELL:
            if limit_nano <= 0:
                return LOTS_MAX
            # out' = γ·x·y / (x + γn)², all times 10**6
            reach = isqrt(keep * PPM * x * y * 1000 // limit_nano)
            return min(max(0, (reach - x * PPM) // keep), LOTS_MAX)
        if limit_nano <= 0:
            return 0
        # in' = x·y / (γ·(x − n)²)
        least = -(-y * x * PPM * 1000 // (keep * limit_nano))
        root = isqrt(least)
        return max(0, x - max(1, root + (root * root < least)))

    def quote(self, side: int, lots: int) -> Fill:
        """What `take` would do; a buyer cannot empty the pool."""
        check_order(side, lots)
        keep, x, y = PPM - self.fee_ppm, self.base_lots, self.quote_micro
        if side == SELL:
            gross = x * PPM + keep * lots
            out = y * keep * lots // gross
            free = y * lots // (x + lots)  # the same trade without fee: the difference is what the fee cost
            return Fill(lots, out, free - out, keep * PPM * x * y * 1000 // (gross * gross))
        lots = min(lots, x - 1)
        paid = -(-y * lots * PPM // ((x - lots) * keep))
        free = -(-y * lots // (x - lots))
        return Fill(lots, -paid, paid - free, -(-y * x * PPM * 1000 // (keep * (x - lots) ** 2)))

    def take(self, side: int, lots: int) -> Fill:
        """Trades; the product of the reserves is at least what it was."""
        fill = self.quote(side, lots)
        self.base_lots += fill.lots if side == SELL else -fill.lots
        self.quote_micro -= fill.proceeds_micro
        return fill

    @property
    def product(self) -> int:
        """base × quote: the invariant."""
        return self.base_lots * self.quote_micro
