"""Soft liquidation: no auction and no clock, a discount that grows as the account gets worse.

A liquidator pays health per unit of value taken, down to the largest discount. Because the discount starts at nothing,
whoever takes first takes where it just pays him. All figures are exact rationals; the caller rounds when it moves money.
Source of the rule: euler-xyz/euler-vault-kit @ 5b98b42, Liquidation module; the spiral bound is our own.
"""

from fractions import Fraction
from typing import NamedTuple

import msgspec

from seawall.core.errors import InputError
from seawall.core.units import PPM

__all__ = [
    "SOCIALISE_LEAST_UNITS",
    "SoftAsk",
    "SoftOffer",
    "SoftRules",
    "check_soft_rules",
    "health",
    "offer",
    "refusal",
    "takes_the_whole",
]

SOCIALISE_LEAST_UNITS = 10**6
"""A debt below this many units of account is not worth writing off: it stays with its owner."""


class SoftRules(msgspec.Struct, frozen=True):
    """liquidation_ltv_ppm: collateral's share that counts; discount_max_ppm; cool_off_ns after the last good check."""

    liquidation_ltv_ppm: int
    discount_max_ppm: int
    cool_off_ns: int = 0


class SoftOffer(NamedTuple):
    """health (None without debt), the price per unit of value, and the most that can be repaid and taken."""

    health: Fraction | None
    discount_factor: Fraction
    repay_max: Fraction
    yield_max: Fraction


class SoftAsk(NamedTuple):
    """One liquidator's request, with what the venue knows about the account."""

    liquidator: str
    owner: str
    repay: Fraction
    yield_least: Fraction
    collateral_known: bool = True
    collateral_enabled: bool = True
    check_deferred: bool = False
    since_check_ns: int = 0


def check_soft_rules(rules: SoftRules) -> None:
    """Refuses a discount under which liquidating a little makes the account worse.

    A small slice raises health iff health · factor > LTV. The factor is never below health or 1 - largest discount,
    so none spirals anywhere in the discount's range iff (1 - largest discount)² >= LTV. Raises InputError.
    """
    ltv, discount = rules.liquidation_ltv_ppm, rules.discount_max_ppm
    if not 0 < ltv < PPM or not 0 <= discount < PPM or rules.cool_off_ns < 0:
        raise InputError("soft rules", f"LTV {ltv} ppm, discount {discount} ppm", "LTV in (0, 1), discount in [0, 1)")
    if (PPM - discount) ** 2 < ltv * PPM:
        raise InputError("soft rules", f"a discount of {discount} ppm at an LTV of {ltv} ppm", "at most 1 - sqrt(LTV), or liquidations spiral")


def health(collateral_value: Fraction, liquidation_ltv: Fraction, debt_value: Fraction) -> Fraction | None:
    """Σ collateral · LTV ÷ debt; None without debt. Liquidatable at 1 and below."""
    return collateral_value * liquidation_ltv / debt_value if debt_value else None


def takes_the_whole(rules: SoftRules, account_health: Fraction) -> bool:
    """Below LTV ÷ (1 - largest discount) each slice lowers health: the account is closed in one lot."""
    return account_health * (PPM - rules.discount_max_ppm) < rules.liquidation_ltv_ppm


def offer(
    collateral: Fraction,
    collateral_price: Fraction,
    debt: Fraction,
    debt_price: Fraction,
    liquidation_ltv: Fraction,
    discount_max: Fraction,
) -> SoftOffer:
    """What a liquidator may take: all of the debt if the collateral pays for it, else all of the collateral."""
    value, owed = collateral * collateral_price, debt * debt_price
    now = health(value, liquidation_ltv, owed)
    if now is None or now > 1:
        return SoftOffer(now, Fraction(1), Fraction(0), Fraction(0))
    factor = max(now, 1 - discount_max)
    if factor == 0:
        return SoftOffer(now, factor, Fraction(0), collateral)
    if owed / factor > value:
        return SoftOffer(now, factor, value * factor / debt_price, collateral)
    return SoftOffer(now, factor, debt, owed / factor / collateral_price if collateral_price else Fraction(0))


def refusal(rules: SoftRules, ask: SoftAsk, offered: SoftOffer) -> str | None:
    """Why a request is turned down; None if it is not."""
    if ask.liquidator == ask.owner:
        return "self-liquidation"
    if not ask.collateral_known:
        return "collateral not recognised"
    if not ask.collateral_enabled:
        return "collateral not enabled"
    if ask.check_deferred:
        return "the account's check is deferred"
    if ask.since_check_ns < rules.cool_off_ns:
        return "cooling off"
    if ask.repay > offered.repay_max:
        return "repays more than may be"
    taken = offered.yield_max * ask.repay / offered.repay_max if offered.repay_max else Fraction(0)
    return "yields less than asked" if taken < ask.yield_least else None

