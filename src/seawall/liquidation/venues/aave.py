"""Aave v3's liquidation of a loan: how much debt may be repaid, what collateral is seized, what is left as a deficit.

Half of the debt while the account is near health and the loan is large, else all of it; a leftover must be nothing or
worth trading. Every division rounds against the account: collateral down for the liquidator, debt up where collateral
runs out, the protocol's fee up and out of the bonus alone. Amounts in units of each asset, prices of one scale, rates
in basis points. Source: `aave-dao/aave-v3-origin` @ fd1fbd91, LiquidationLogic, re-stated.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from seawall.core.errors import InputError

__all__ = ["Limits", "Seizure", "close_factor", "health_factor", "leftover_allowed", "most_debt", "seize"]

BPS = 10_000


class Limits(NamedTuple):
    """Close factor (bps), the health factor at or below which it is 100 %, and least sizes in whole units of the base."""

    close_factor_bps: int = 5_000
    full_below: Fraction = Fraction(95, 100)
    large: int = 2_000
    leftover: int = 1_000


LIMITS = Limits()


class Seizure(NamedTuple):
    """Collateral units to the liquidator and to the protocol, debt units repaid, and burned as a deficit."""

    to_liquidator: int
    protocol_fee: int
    repaid: int
    deficit: int


def health_factor(collateral_value: int | Fraction, threshold_bps: int, debt_value: int | Fraction) -> Fraction:
    """Collateral value · liquidation threshold over debt value; below 1: liquidatable."""
    if debt_value <= 0:
        raise InputError("debt", str(debt_value), "above zero")
    return Fraction(collateral_value) * threshold_bps / BPS / debt_value


def close_factor(health: Fraction, collateral: Fraction, debt: Fraction, limits: Limits = LIMITS) -> Fraction:
    """Share of the whole debt that may be repaid at once; collateral and debt: of the reserves concerned, base units."""
    if health > limits.full_below and collateral >= limits.large and debt >= limits.large:
        return Fraction(limits.close_factor_bps, BPS)
    return Fraction(1)


def most_debt(debt: int, debt_price: int, debt_unit: int, total_value: int, factor: Fraction) -> int:
    """Debt units of one reserve that may be repaid: all of it, or what a close factor of the account's whole debt allows.

    total_value: the account's debt in base units; the factor's share of it is rounded half up, then down to units.
    """
    share = total_value * factor + Fraction(1, 2)
    allowed = share.numerator // share.denominator
    if factor >= 1 or -(-debt * debt_price // debt_unit) <= allowed:
        return debt
    return min(allowed * debt_unit // debt_price, debt)


def leftover_allowed(collateral_left: Fraction, debt_left: Fraction, limits: Limits = LIMITS) -> bool:
    """No dust: all debt repaid, or all collateral gone, or enough of both left to be worth a later liquidation."""
    if debt_left == 0 or collateral_left == 0:
        return True
    return collateral_left >= limits.leftover and debt_left >= limits.leftover


def seize(
    debt_to_cover: int,
    debt: int,
    collateral: int,
    debt_price: int,
    collateral_price: int,
    debt_unit: int,
    collateral_unit: int,
    bonus_bps: int,
    fee_bps: int,
) -> Seizure:
    """What repaying part of a debt takes from one collateral, which is all that the account has.

    bonus_bps: 10,500 is a bonus of 5 %. fee_bps: the protocol's share of the bonus. Units: 10^decimals of each asset.
    """
    prices = min(debt_price, collateral_price, debt_unit, collateral_unit)
    if prices <= 0 or bonus_bps < BPS or not 0 <= fee_bps <= BPS or not 0 <= debt_to_cover <= debt:
        found = f"prices {debt_price}, {collateral_price}, bonus {bonus_bps}, fee {fee_bps}, {debt_to_cover} of {debt}"
        raise InputError("liquidation", found, "prices above zero, a bonus of 100 % or more, a fee up to 100 %")
    base = debt_price * debt_to_cover * collateral_unit // (collateral_price * debt_unit)
    taken, repaid = base * bonus_bps // BPS, debt_to_cover
    if taken > collateral:
        taken = collateral
        value = collateral_price * collateral * debt_unit // (debt_price * collateral_unit)
        repaid = -(-value * BPS // bonus_bps)
    bonus = taken - taken * BPS // bonus_bps
    fee = -(-bonus * fee_bps // BPS)
    deficit = debt - repaid if taken == collateral else 0
    return Seizure(taken - fee, fee, repaid, deficit)

