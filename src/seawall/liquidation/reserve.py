"""The price below which closing makes an account worse, and what follows from it: limits, fees, who covers the rest.

One rule for a leg, a slice of a book or all of it. Closing that releases part of the maintenance margin may cost at
most that part of the equity: then equity stands in the same ratio to what is still required as before. For one leg
of a linear book that is the zero price `mark · (1 ∓ m · equity / maintenance)` of Lighter and, summed over the whole
book, the bankruptcy price; for a portfolio the release is what the margin function says it is. dYdX v4's bankruptcy
price in quote quantums is the same number in the same rounding (`dydxprotocol/v4-chain` @ 84d4664).

Integers of any size, in any one unit of money; the account is never asked to give up a unit more than the ratio allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from seawall.core.errors import InputError
from seawall.core.units import PPM

__all__ = [
    "allocate",
    "capped_fee",
    "fillable_give_up",
    "give_up",
    "give_up_between",
    "limit_nano",
    "reserve_quote",
    "settle",
    "zero_price",
]

NANO_PER_MICRO = 1_000


def give_up(equity: int, maintenance: int, released: int) -> int:
    """The most that closing may cost against the marks: floor(equity · released / maintenance).

    released: maintenance margin before less after; negative where closing raises it, and then the cost has to be
    negative, a gain, while equity is positive. An insolvent account (equity below 0) may give up nothing and has to
    gain: what is short of that is the fund's to pay. Raises InputError where nothing is required.
    """
    if maintenance <= 0:
        raise InputError("maintenance margin", str(maintenance), "above zero: without a requirement nothing is closed")
    return equity * released // maintenance


def give_up_between(equity: int, maintenance: int, equity_after: int, maintenance_after: int) -> int:
    """`give_up` from two evaluations of an account at the same marks, equity_after before any cost.

    What rounding takes at the trade is part of the cost: equity_after - ceil(equity · maintenance_after / maintenance).
    """
    if maintenance <= 0:
        raise InputError("maintenance margin", str(maintenance), "above zero: without a requirement nothing is closed")
    return equity_after + (-equity * maintenance_after) // maintenance


def reserve_quote(change_of_value: int, equity: int, maintenance: int, released: int) -> int:
    """Signed quote that closing has to bring at least: −ΔN − floor(equity · released / maintenance).

    change_of_value: value of the position after less before, at the mark. Negative: what closing a short may cost.
    """
    return -change_of_value - give_up(equity, maintenance, released)


def zero_price(mark: Fraction, long: bool, maintenance_rate: Fraction, equity: int, maintenance: int) -> Fraction:
    """Lighter's zero price of one leg of a linear book, exact: mark · (1 ∓ rate · equity / maintenance)."""
    if maintenance <= 0:
        raise InputError("maintenance margin", str(maintenance), "above zero: without a requirement nothing is closed")
    moved = maintenance_rate * Fraction(equity, maintenance)
    return mark * (1 - moved if long else 1 + moved)


def fillable_give_up(
    equity: int, maintenance: int, released: int, adjustment_ppm: int = PPM, spread_ppm: int = 100_000
) -> Fraction:
    """What a liquidation order on the book offers against the mark: clip(adjustment · (1 − equity / maintenance), 0, 1)
    · spread · released, exact (dYdX v4's fillable price; defaults are its code's).

    Near health 0 the order is at the mark, at bankruptcy at its widest; a spread of the released margin.
    """
    if maintenance <= 0:
        raise InputError("maintenance margin", str(maintenance), "above zero: without a requirement nothing is closed")
    rating = Fraction(adjustment_ppm, PPM) * (1 - Fraction(equity, maintenance))
    return min(max(rating, Fraction(0)), Fraction(1)) * Fraction(spread_ppm, PPM) * released


def limit_nano(mark_nano: int, lots: int, give_up_micro: int | Fraction) -> int:
    """Limit price of an order of signed lots (negative sells), nano per lot, that gives up no more than `give_up_micro`.

    Rounded against the taker: up for a sale, down for a purchase. Never below 0.
    """
    if lots == 0:
        raise InputError("order", "0 lots", "lots to buy or sell")
    moved = Fraction(give_up_micro) * NANO_PER_MICRO / lots  # per lot; below 0 for a sale
    exact = mark_nano + moved
    rounded = exact.numerator // exact.denominator if lots > 0 else -(-exact.numerator // exact.denominator)
    return max(rounded, 0)


def capped_fee(quote: int, reserve: int, rate_ppm: int) -> int:
    """The liquidation fee of a fill: min(floor(|quote| · rate), quote − reserve), and nothing below the reserve.

    So a fee never takes an account below the ratio it had, and never bankrupts it (dYdX v4; Lighter's share of the
    improvement is the same cap).
    """
    return max(min(abs(quote) * rate_ppm // PPM, quote - reserve), 0)


def settle(quote: int, reserve: int, rate_ppm: int) -> int:
    """What the insurance fund receives of a fill (negative: pays): its capped fee, or what is missing to the reserve."""
    return capped_fee(quote, reserve, rate_ppm) if quote > reserve else quote - reserve


def allocate(amount: int, weights: Sequence[int]) -> list[int]:
    """Shares of an amount by weights, each floor of its exact share, what is left over to the largest remainders.

    The shares sum to the amount; equal remainders go to the earlier. Negative amounts mirror positive ones.
    """
    total = sum(weights)
    if total <= 0 or min(weights) < 0:
        raise InputError("weights", str(list(weights)), "weights of zero or more that are not all zero")
    sign, size = (-1, -amount) if amount < 0 else (1, amount)
    shares = [size * weight // total for weight in weights]
    order = sorted(range(len(shares)), key=lambda k: (-(size * weights[k] % total), k))
    for k in order[: size - sum(shares)]:
        shares[k] += 1
    return [sign * share for share in shares]
