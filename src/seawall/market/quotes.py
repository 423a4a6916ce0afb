"""Quotes: what the market says about one instrument, kept as a ratio to the index at which it was said.

A mark or a forward is quoted while the index stands somewhere; when the index moves, the quote keeps its
ratio to it. Holding the pair (price, index then) instead of a moved price means no drift: ten thousand ticks
give the same mark as one jump, and a saved market loads to the same integers.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import msgspec

from seawall.core.units import NANO

__all__ = ["Quote", "int64_ratio", "round_nano"]

_DENOMINATOR_MAX = 2**51 - 1  # what kernels/muldiv.py divides by
_NUMERATOR_MAX = 2**62


class Quote(msgspec.Struct, frozen=True):
    """`price`: mark (linear) or forward (option) while the index stood at `at_index`; None: none was given.

    `iv`: the option's own implied vol; None where a surface gives it. `follows`: the dated future whose mark
    is this option's forward.
    """

    price: Decimal | None = None
    at_index: Decimal | None = None
    iv: float | None = None
    follows: str | None = None

    @property
    def ratio(self) -> Fraction:
        """price / index, exactly; 1 where no price was given."""
        if self.price is None or self.at_index is None:
            return Fraction(1)
        return Fraction(self.price) / Fraction(self.at_index)


def int64_ratio(value: Fraction) -> tuple[int, int]:
    """Numerator and denominator (< 2**51) of `value`, or of the nearest fraction that fits."""
    if abs(value) >= _NUMERATOR_MAX // 2:
        return (_NUMERATOR_MAX // 2 if value > 0 else -_NUMERATOR_MAX // 2), 1  # a lot refused by `Legs.checked`
    if value.denominator > _DENOMINATOR_MAX or abs(value.numerator) >= _NUMERATOR_MAX:
        value = value.limit_denominator(_DENOMINATOR_MAX)
        if abs(value.numerator) >= _NUMERATOR_MAX:
            value = value.limit_denominator(int(_NUMERATOR_MAX / (abs(value) + 1)))
    return value.numerator, value.denominator


def round_nano(value: Fraction) -> Decimal:
    """The nearest decimal with nine places."""
    return Decimal(round(value * NANO)).scaleb(-9)
