"""How much debt an auction of collateral takes on, and how much of it one taker buys: the slice rules.

Amounts are whole numbers of any units in which collateral × price and debt units × rate are money; every division rounds
down unless said. Source: MakerDAO dss @ fa4f663, src/dog.sol and src/clip.sol, whose vectors these functions meet.
"""

from typing import NamedTuple

__all__ = ["Sale", "Slice", "needs_restart", "sale_of", "slice_of"]

LIMIT_HIT = "liquidation-limit-hit"
NOT_UNSAFE = "not-unsafe"
DUSTY = "dusty-auction-from-partial-liquidation"
NOTHING = "null-auction"
NO_PARTIAL = "no-partial-purchase"


class Sale(NamedTuple):
    """collateral and debt (in debt units) that go into an auction, and its target, the debt with its penalty."""

    collateral: int
    debt: int
    target: int


class Slice(NamedTuple):
    """collateral bought and money owed for it."""

    collateral: int
    owed: int


def sale_of(
    collateral: int, debt: int, rate: int, value_per_unit: int, chop: int, one: int, dust: int, room: int
) -> Sale | str:
    """What may be auctioned of an unsafe position, or why nothing may.

    rate: money per debt unit; value_per_unit: money that a unit of collateral may borrow; chop/one: debt with its
    penalty over the debt; dust: least debt, money; room: what the caps leave, money with penalty. A rest below dust goes
    in too (the caps are then exceeded by less than dust · chop); an auction of less than dust is not begun.
    """
    if value_per_unit <= 0 or collateral * value_per_unit >= debt * rate:
        return NOT_UNSAFE
    if room <= 0:
        return LIMIT_HIT
    part = min(debt, room * one // rate // chop)
    if part < debt:
        if (debt - part) * rate < dust:
            part = debt
        elif part * rate < dust:
            return DUSTY
    sold = collateral * part // debt
    if sold <= 0:
        return NOTHING
    return Sale(sold, part, part * rate * chop // one)


def slice_of(target: int, collateral: int, rest_least: int, price: int, amount: int, up: bool = False) -> Slice | str:
    """What a taker of up to `amount` gets at a price, or why nothing.

    Never more money than the target (the last lot is then rounded down, or with `up` up: the owner's loss is less than
    the price of one), and never so much that a rest of the target between 0 and `rest_least` stays.
    """
    part = min(collateral, amount)
    owed = part * price
    if owed > target:
        return Slice(-(-target // price) if up else target // price, target)
    if owed < target and part < collateral and target - owed < rest_least:
        if target <= rest_least:
            return NO_PARTIAL
        owed = target - rest_least
        return Slice(owed // price, owed)
    return Slice(part, owed)


def needs_restart(elapsed: int, tail: int, price: int, top: int, cusp: int, one: int) -> bool:
    """Later than the tail, or below cusp/one of the opening price."""
    return elapsed > tail or price * one // top < cusp
