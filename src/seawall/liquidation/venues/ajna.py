"""Ajna: an auction without an oracle, whose kicker posts a bond and wins or loses by the price that takers pay.

The price falls from 256 times a reference by halving (20 minutes six times, two hours six times, then each hour). A taker
below the neutral price means that the kicker was right: the bond earns. Above it, the kick was a nuisance: the bond pays.
Source of every figure: ajna-finance/contracts @ 0f59e78, tests/forge/unit/Auctions.t.sol and the formulas it asserts.
"""

from fractions import Fraction

from seawall.core.times import HOUR_NS, SECOND_NS
from seawall.liquidation.curves import RAY, Halving, halving_share_ray, price

__all__ = [
    "BOND_FACTOR_MAX",
    "BOND_FACTOR_MIN",
    "CURVE",
    "START_MULTIPLE",
    "WAD",
    "auction_price",
    "bond_factor",
    "bond_penalty_wad",
    "reserve_price",
]

WAD = 10**18
MINUTE_NS = 60 * SECOND_NS
START_MULTIPLE = 256
CURVE = Halving(((120 * MINUTE_NS, 20 * MINUTE_NS), (720 * MINUTE_NS, 120 * MINUTE_NS), (MINUTE_NS, 60 * MINUTE_NS)))
"""2**-6 after two hours and 2**-12 after fourteen; from there on it halves each hour."""
BOND_FACTOR_MIN, BOND_FACTOR_MAX = Fraction(5, 1000), Fraction(3, 100)
RESERVE_START = 10**9


def auction_price(reference: Fraction, elapsed_ns: int) -> Fraction:
    """The price after some time, in the reference's unit, rounded down to 1e-27 of it."""
    scaled = int(START_MULTIPLE * reference * RAY)
    return Fraction(price(CURVE, scaled, elapsed_ns), RAY)


def bond_factor(neutral_price: Fraction, threshold_price: Fraction) -> Fraction:
    """The bond as a share of the debt: a tenth of how far neutral is above threshold, from 0.5 % to 3 %."""
    return max(BOND_FACTOR_MIN, min(BOND_FACTOR_MAX, (neutral_price / threshold_price - 1) / 10))


def bond_penalty_wad(
    debt_to_collateral: Fraction, neutral_price: Fraction, taken_at: Fraction, bond_factor_wad: int
) -> int:
    """What the kicker gains (above zero) or loses per unit of debt taken, in wad.

    The factor times clamp((neutral - price) / (neutral - debt per collateral), -1, 1), or its sign alone where
    the debt per collateral is not below neutral. The quotient rounds toward zero, the product half up.
    """
    distance = neutral_price - taken_at
    if debt_to_collateral < neutral_price:
        ratio = distance * WAD / (neutral_price - debt_to_collateral)
        share = max(-WAD, min(WAD, int(ratio)))  # int(): toward zero, as the source divides
    else:
        share = WAD * ((distance > 0) - (distance < 0))
    size = (bond_factor_wad * abs(share) + WAD // 2) // WAD
    return size if share >= 0 else -size


def reserve_price(reserves: Fraction, elapsed_ns: int) -> Fraction:
    """The auction of a pool's reserves: 10**9 divided by what it held at the kick, halving each hour."""
    share = halving_share_ray(((HOUR_NS, HOUR_NS),), elapsed_ns)
    return Fraction(RESERVE_START) / reserves * Fraction(share, RAY)
