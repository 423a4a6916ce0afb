"""A share of an account: whole lots of each position, and the cash that makes up exactly that share of the value.

Lots are rounded toward zero, so a slice's positions are seldom worth their share; the cash that goes with them is what is
missing (or comes back), so that the slice and the rest are worth their shares to the micro.
"""

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["PPB", "Leg", "Slice", "rest_of", "slices_of", "value_of"]

PPB = 10**9
NANO_PER_MICRO = 1000


class Leg(NamedTuple):
    """One position: its lots (negative: short) and what one lot adds to the account's value, nano."""

    instrument: str
    lots: int
    value_nano: int


class Slice(NamedTuple):
    """Lots per leg and cash; value_micro: what both are worth, the share's part of the whole."""

    lots: tuple[int, ...]
    cash_micro: int
    value_micro: int


def value_of(legs: Sequence[Leg], cash_micro: int) -> int:
    """What positions and cash are worth, micro, rounded down."""
    return sum(leg.lots * leg.value_nano for leg in legs) // NANO_PER_MICRO + cash_micro


def slices_of(legs: Sequence[Leg], cash_micro: int, shares_ppb: Sequence[int]) -> list[Slice]:
    """A slice per share. Where the shares are the whole, the largest (the first of them) has the odd lots too.

    It then has the odd micros as well, but only those of slices with lots: a share that is too small for a lot goes to
    nobody, so its value stays whole with the account, and what it lost by rounding down is not the largest's either.
    """
    value = value_of(legs, cash_micro)
    lots = [tuple(_toward_zero(leg.lots * share, PPB) for leg in legs) for share in shares_ppb]
    values = [value * share // PPB for share in shares_ppb]
    if sum(shares_ppb) == PPB:
        largest = max(range(len(shares_ppb)), key=lambda i: (shares_ppb[i], -i))
        others = [part for i, part in enumerate(lots) if i != largest]
        lots[largest] = tuple(leg.lots - sum(part[j] for part in others) for j, leg in enumerate(legs))
        taken = [i for i, part in enumerate(lots) if any(part) or i == largest]
        whole = value * sum(shares_ppb[i] for i in taken) // PPB
        values[largest] = whole - sum(values[i] for i in taken if i != largest)
    out = []
    for part, worth in zip(lots, values):
        positions = sum(size * leg.value_nano for size, leg in zip(part, legs)) // NANO_PER_MICRO
        out.append(Slice(part, worth - positions, worth))
    return out


def rest_of(legs: Sequence[Leg], cash_micro: int, slices: Sequence[Slice]) -> tuple[tuple[Leg, ...], int]:
    """Legs and cash after the slices have gone."""
    left = tuple(
        leg._replace(lots=leg.lots - sum(part.lots[j] for part in slices)) for j, leg in enumerate(legs)
    )
    return left, cash_micro - sum(part.cash_micro for part in slices)


def _toward_zero(numerator: int, denominator: int) -> int:
    size = abs(numerator) // denominator
    return size if numerator >= 0 else -size
