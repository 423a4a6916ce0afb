"""Mango v4's liquidation of a perpetual: base reduction and takeover of positive P&L, in five steps to health 0.

Base is closed at the oracle price less fees, which raises the perpetual's unsettled P&L as health counts it; positive
P&L is taken over for spot, which raises health because the spot is worth more than the weighted P&L. Where P&L counts
for nothing (overall weight 0), base is closed only as far as a later takeover makes it worth while. Lots round up, so
the account ends at or above the target. Exact rationals; the source has 48 binary digits after the point, and its tests
compare within 0.01. Source: `blockworks-foundation/mango-v4` @ 1303a4a1, perp_liq_base_or_positive_pnl, re-stated.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from seawall.core.errors import InputError

__all__ = ["Market", "Position", "liquidate", "spot_to_health_zero"]

LEFT_ALONE = Fraction(-1, 2)  # step 5 starts below this health: a health above -1 ends a liquidation


class Market(NamedTuple):
    """Prices and initial weights; fees as shares. lot: base per lot. Settle token: its own price and weights."""

    base_asset_weight: Fraction
    base_liability_weight: Fraction
    overall_weight: Fraction
    price: Fraction = Fraction(1)
    lot: int = 1
    pnl_fee: Fraction = Fraction(0)
    base_fee: Fraction = Fraction(0)
    platform_fee: Fraction = Fraction(0)
    token_asset_price: Fraction = Fraction(1)  # price times weight, of a deposit
    token_liability_price: Fraction = Fraction(1)  # of a borrow
    other_asset_price: Fraction = Fraction(1)
    other_liability_price: Fraction = Fraction(1)


class Position(NamedTuple):
    """The account: settle token, base lots and quote of the perpetual, another token."""

    token: Fraction
    lots: int
    quote: Fraction
    other: Fraction = Fraction(0)


class _State:
    """What the steps change: unsettled P&L as health counts it, effective settle token, health, and what was done."""

    def __init__(self, market: Market, account: Position) -> None:
        weight = market.base_asset_weight if account.lots > 0 else market.base_liability_weight
        self.market = market
        self.pnl = account.quote + account.lots * market.lot * market.price * weight
        self.token = account.token + self.pnl * (market.overall_weight if self.pnl > 0 else 1)
        self.health = _weighted(self.token, market.token_asset_price, market.token_liability_price)
        self.health += _weighted(account.other, market.other_asset_price, market.other_liability_price)
        self.reduced = 0
        self.taken = Fraction(0)

    def missing(self) -> Fraction:
        """Settle token that would bring health to 0."""
        return spot_to_health_zero(
            self.health, self.token, self.market.token_asset_price, self.market.token_liability_price
        )

    def gain(self, token: Fraction) -> None:
        """Adds settle token, and what that does to health."""
        prices = self.market.token_asset_price, self.market.token_liability_price
        self.health += _weighted(self.token + token, *prices) - _weighted(self.token, *prices)
        self.token += token


def liquidate(market: Market, account: Position, base_max: int, pnl_max: Fraction) -> Position:
    """The account after a liquidator takes over at most base_max lots (signed as the position) and pnl_max of P&L.

    Raises InputError where base_max has the wrong sign, or the weights leave nothing to gain from a lot.
    """
    side = 1 if account.lots > 0 else -1
    if base_max * side < 0:
        raise InputError("most base to take", str(base_max), "the sign of the position")
    fees = market.base_fee + market.platform_fee
    received = 1 - side * fees  # of the oracle price, per unit of base
    weight = market.base_asset_weight if side > 0 else market.base_liability_weight
    per_lot = market.price * market.lot * side * (received - weight)
    if per_lot <= 0:
        raise InputError("gain of a lot", str(per_lot), "above zero: weights beyond the fees")
    state = _State(market, account)
    most = min(abs(base_max), abs(account.lots))
    overall, kept = market.overall_weight, 1 - market.pnl_fee

    if state.pnl < 0:  # step 1: up to here P&L counts in full
        _reduce(state, most, -state.pnl, per_lot, per_lot, per_lot)
    _take_over(state, pnl_max, kept - overall)  # step 2
    if state.pnl >= 0 and state.taken < pnl_max:  # step 3: a lot's P&L is worth what a takeover will pay for it
        _reduce(state, most, pnl_max - state.taken, per_lot * kept, per_lot * overall, per_lot)
    _take_over(state, pnl_max, kept - overall)  # step 4
    if state.health < LEFT_ALONE and overall > 0:  # step 5
        _reduce(state, most, None, per_lot * overall, per_lot * overall, per_lot)

    quote = side * state.reduced * market.lot * market.price * received
    return Position(
        account.token + state.taken * kept,
        account.lots - side * state.reduced,
        account.quote + quote - state.taken,
        account.other,
    )


def spot_to_health_zero(health: Fraction, token: Fraction, asset_price: Fraction, liability_price: Fraction) -> Fraction:
    """Settle token that brings a negative health to 0; a borrow counts at the liability price, what is above at the asset's."""
    if health >= 0:
        return Fraction(0)
    short, given = -health, Fraction(0)
    if token < 0:
        if liability_price > 0 and short <= -token * liability_price:
            return short / liability_price
        given, short = -token, short + token * liability_price
    if asset_price <= 0:
        raise InputError("settle token", f"a weighted price of {asset_price}", "above zero")
    return given + short / asset_price


def _reduce(
    state: _State, most: int, limit: Fraction | None, expected: Fraction, direct: Fraction, per_lot: Fraction
) -> None:
    """Closes lots: as many as reach the limit or health 0 if each brings `expected` token in the end; each brings
    `direct` now and `per_lot` of P&L. Rounded up, so that health 0 is reached."""
    wanted = state.missing()
    wanted = wanted if limit is None else min(wanted, limit)
    if expected <= 0:
        raise InputError("gain of a lot", str(expected), "above zero")
    count = wanted / expected
    lots = max(min(-(-count.numerator // count.denominator), most - state.reduced), 0)
    state.reduced += lots
    state.pnl += per_lot * lots
    state.gain(direct * lots)


def _take_over(state: _State, pnl_max: Fraction, per_unit: Fraction) -> None:
    """Settles positive P&L while health is short; `per_unit`: what a unit gains over its weight as P&L."""
    if state.pnl < 0 or per_unit <= 0:
        return
    settled = max(min(state.missing() / per_unit, pnl_max - state.taken, state.pnl), Fraction(0))
    state.taken += settled
    state.pnl -= settled
    state.gain(settled * per_unit)


def _weighted(amount: Fraction, asset_price: Fraction, liability_price: Fraction) -> Fraction:
    return amount * (asset_price if amount > 0 else liability_price)
