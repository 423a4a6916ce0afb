"""What a share of a whole account costs in an auction, and how large a share restores it: exact formulas.

All figures are rationals (integers included), in one money unit; value: what the account is worth; health: value less its
maintenance requirement; reserved: cash that earlier bidders paid in, which is not for sale, so that a later bidder pays
the same per unit as the first. Source: derivexyz/v2-core @ 7736900, DutchAuction, whose vectors these formulas meet.
"""

from fractions import Fraction

__all__ = [
    "blocks_withdrawals",
    "buffer_margin",
    "fee_at_start",
    "insolvent_price",
    "max_share",
    "requirement_covered",
    "solvent_price",
]

Number = Fraction | int


def buffer_margin(value: Number, health: Number, buffer: Number) -> Fraction:
    """health - buffer · requirement: what must reach zero before an auction may end on its own."""
    return Fraction(health - (value - health) * buffer)


def max_share(value: Number, margin: Number, share: Number, reserved: Number = 0) -> Fraction:
    """The share of the account whose sale at `share` of its value brings its buffer margin to exactly zero; 0 to 1.

    A sale of f leaves (margin - R)(1 - f) + R + f (value - R) share; zero at f = margin / (margin - value·share -
    R (1 - share)). 0 where the margin is not below zero; 1 where no smaller sale is enough.
    """
    if margin >= 0:
        return Fraction(0)
    deeper = margin - value * share - reserved * (1 - share)
    if deeper >= margin:
        return Fraction(1)
    return Fraction(margin) / deeper


def solvent_price(value: Number, share: Number, reserved: Number = 0) -> Fraction:
    """The price of all that is for sale: its value, without the reserved cash, times the curve's share."""
    return Fraction((value - reserved) * share)


def insolvent_price(value: Number, health: Number, elapsed: Number, length: Number) -> Fraction:
    """The price of all of an account that is worth less than it needs: zero or negative, the bidder is paid.

    From the deficit, min(value, 0), to the health, over the length: the deficit and then the whole requirement. Zero
    where health is not negative: there is nothing to auction.
    """
    if health >= 0:
        return Fraction(0)
    deficit = min(value, 0)
    return deficit + Fraction(health - deficit) * min(elapsed, length) / length


def fee_at_start(value: Number, margin: Number, fee: Number) -> Fraction:
    """The fee on what would be sold at no discount; nothing where the account is worth nothing."""
    return max_share(value, margin, 1) * value * fee if value > 0 else Fraction(0)


def requirement_covered(value: Number, margin: Number, sold: Number, reserved: Number = 0) -> Fraction:
    """What a bidder takes on with a share: |margin without the reserved cash| · share, cash it must hold besides the price."""
    return abs(Fraction(margin - reserved)) * sold


def blocks_withdrawals(total_insolvent_health: Number, fund: Number) -> bool:
    """Whether all deficits together (a figure above zero) are more than the fund: then no cash leaves."""
    return total_insolvent_health > fund
