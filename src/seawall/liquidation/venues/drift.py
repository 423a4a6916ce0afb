"""Drift v2's liquidation arithmetic: how much to close or to swap, what fees leave, how a bankrupt's loss is spread.

The shape is that of `size.py` (shortage over gain per unit, fees inside the gain), but each division truncates where
its own code does, so it is re-stated here in its order. Prices and quote 10⁻⁶, base 10⁻⁹, weights 10⁻⁴, fees 10⁻⁶.
Source: `drift-labs/protocol-v2` @ 0ae3e3b1, programs/drift/src/math/liquidation.rs. Raises InputError where the
source's checked arithmetic does (a negative difference, a division by zero, an amount beyond its type).
"""

from __future__ import annotations

from seawall.core.errors import InputError

__all__ = [
    "asset_for_liability",
    "base_to_cover",
    "deposit_index_cut",
    "fund_fee_perp",
    "fund_fee_spot",
    "funding_deltas",
    "liability_for_asset",
    "liability_to_cover",
    "liquidator_fee",
    "share_to_liquidate",
    "swap_price",
    "swap_within_bounds",
    "transfer_meets_limit",
]

QUOTE = PRICE = FEE = 1_000_000
BASE = 1_000_000_000
WEIGHT = SHARE = 10_000
MARGIN_TO_FEE = FEE // WEIGHT
U32_MAX, U64_MAX, U128_MAX = 2**32 - 1, 2**64 - 1, 2**128 - 1
SMALL_SHORTAGE = 50 * QUOTE  # a shortage below it is closed at once
GRACE_SLOTS = 1_500  # of an idle account, before the liquidator's fee starts to grow
FEE_PER_SLOT = 1
FUNDING_TO_QUOTE = 1_000
DECIMALS_MAX = 38


def base_to_cover(shortage: int, margin_ratio: int, fee: int, fund_fee: int, price: int, quote_price: int) -> int:
    """Base to close so that margin released less fees covers a shortage; all (2⁶⁴−1) where closing releases nothing."""
    ratio = margin_ratio * MARGIN_TO_FEE
    if price == 0 or ratio <= fee:
        return U64_MAX
    gain = price * quote_price // PRICE * (ratio - fee) // FEE
    per_base = _less(gain, price * fund_fee // FEE)
    return _fits(_over(shortage * BASE, per_base), U64_MAX)


def liability_to_cover(
    shortage: int,
    asset_weight: int,
    asset_multiplier: int,
    liability_weight: int,
    liability_multiplier: int,
    liability_decimals: int,
    liability_price: int,
    fund_fee: int,
) -> int:
    """Liability to repay with an asset so that a shortage is covered, at least 1; all (2¹²⁸−1) where a swap frees nothing."""
    if asset_weight >= liability_weight:
        return U128_MAX
    up, down = _scales(liability_decimals, 6)
    liability_part = liability_weight * 10
    asset_part = _over(asset_weight * 10 * asset_multiplier, liability_multiplier)
    if asset_part >= liability_part:
        return U128_MAX
    fees = liability_price * fund_fee // FEE * liability_weight * 10
    per_unit = _less(liability_price * (liability_part - asset_part), fees)
    return max(_over(shortage * up * PRICE * WEIGHT * 10, per_unit) // down, 1)


def liability_for_asset(
    asset: int,
    asset_multiplier: int,
    asset_decimals: int,
    asset_price: int,
    liability_multiplier: int,
    liability_decimals: int,
    liability_price: int,
) -> int:
    """Liability that an amount of an asset repays, rounded up at both divisions."""
    up, down = _scales(liability_decimals, asset_decimals)
    amount = asset * up * asset_price * liability_multiplier
    return _over_up(_over_up(amount, liability_price * asset_multiplier), down)


def asset_for_liability(
    asset: int,
    asset_multiplier: int,
    asset_decimals: int,
    asset_price: int,
    liability: int,
    liability_multiplier: int,
    liability_decimals: int,
    liability_price: int,
) -> int:
    """Asset that repaying a liability costs, at least 1; all of it where the difference is worth under one of quote."""
    up, down = _scales(asset_decimals, liability_decimals)
    amount = liability * up * liability_price * asset_multiplier
    transfer = max(_over(amount, asset_price * liability_multiplier) // down, 1)
    value_up, value_down = _scales(asset_decimals, 6)
    # the source multiplies where one would divide; kept, since it decides
    difference = abs(transfer - asset) * asset_price // PRICE * value_up // value_down
    return asset if difference < QUOTE else transfer


def funding_deltas(loss: int, base_long: int, base_short: int) -> int:
    """Change of both cumulative funding rates that spreads a loss over all open base: rounded up, then scaled."""
    return _over_up(abs(loss) * BASE, abs(base_long) + abs(base_short)) * FUNDING_TO_QUOTE


def deposit_index_cut(loss: int, deposit_balance: int, interest: int, decimals: int) -> int:
    """Cut of the deposit index that spreads a borrower's loss over deposits, rounded up; 0 where there are none."""
    if decimals > 19:
        raise InputError("decimals", str(decimals), "at most 19")
    total = deposit_balance * interest // 10 ** (19 - decimals)
    return _over_up(interest * loss, total) if total else 0


def share_to_liquidate(shortage: int, freed: int, last_slot: int, slot: int, initial_share: int, duration: int) -> int:
    """Share (10⁻⁴) of what is short that may be closed now: all below 50 of quote, else growing with the slots since."""
    if shortage < SMALL_SHORTAGE:
        return SHARE
    elapsed = _less(slot, last_slot)
    freeable = min((elapsed * SHARE // duration if duration else SHARE) + initial_share, SHARE)
    most = (shortage + freed) * freeable // SHARE
    return max(most - freed, 0) * SHARE // shortage


def fund_fee_perp(
    shortage: int, base: int, margin_ratio: int, fee: int, price: int, quote_price: int, fee_max: int
) -> int:
    """The insurance fund's fee: 95 % of what margin leaves after the liquidator's fee and the shortage, at most fee_max."""
    ratio = margin_ratio * MARGIN_TO_FEE
    if price == 0 or quote_price == 0 or ratio <= fee or base == 0:
        return 0
    short = _over(shortage * BASE // base * PRICE, price * quote_price // PRICE)
    implied = max(max(ratio - fee, 0) - min(short, U32_MAX), 0) * 19 // 20
    return min(fee_max, implied)


def fund_fee_spot(
    shortage: int,
    amount: int,
    asset_weight: int,
    asset_multiplier: int,
    liability_weight: int,
    liability_multiplier: int,
    liability_decimals: int,
    liability_price: int,
    fee_max: int,
) -> int:
    """`fund_fee_perp` for a borrow: what weights leave after multipliers and the shortage, at most fee_max."""
    if asset_weight >= liability_weight or liability_price == 0 or amount == 0 or liability_multiplier == 0:
        return 0
    liability, asset = liability_weight * (FEE // WEIGHT), asset_weight * (FEE // WEIGHT)
    short = shortage * FEE * _power(liability_decimals) // amount // liability_price
    left = max(max(liability - asset * asset_multiplier // liability_multiplier, 0) - short, 0)
    return min(fee_max, min(left * FEE // liability, U32_MAX))


def liquidator_fee(base_fee: int, fee_max: int, last_slot: int, slot: int) -> int:
    """The liquidator's fee: from 1,500 idle slots on it grows by 10⁻⁶ a slot, at most to fee_max."""
    elapsed = _less(slot, last_slot)
    if elapsed < GRACE_SLOTS:
        return base_fee
    return min(min(base_fee + min(elapsed * FEE_PER_SLOT, U32_MAX), U32_MAX), fee_max)


def swap_price(out: int, given: int, out_decimals: int, in_decimals: int) -> int:
    """Price of a swap, out over given, in PRICE."""
    return _over(out * PRICE // _power(out_decimals) * _power(in_decimals), given)


def transfer_meets_limit(
    asset: int, liability: int, asset_decimals: int, liability_decimals: int, limit_price: int | None
) -> bool:
    """Whether a transfer gives its taker at least the limit price (asset per liability); always where there is none."""
    return limit_price is None or swap_price(asset, liability, asset_decimals, liability_decimals) >= limit_price


def swap_within_bounds(
    asset: int,
    liability: int,
    asset_decimals: int,
    liability_decimals: int,
    asset_price: int,
    liability_price: int,
    asset_multiplier: int,
    liability_multiplier: int,
) -> bool:
    """Whether a swap brings at least the price that a liquidation with both multipliers would have."""
    worst = _over(_over(asset_price * PRICE * liability_multiplier, liability_price), asset_multiplier)
    return swap_price(liability, asset, liability_decimals, asset_decimals) >= worst


def _scales(decimals: int, reference: int) -> tuple[int, int]:
    """(multiplier, divisor) from the reference's decimals to those."""
    more = decimals - reference
    return (_power(more), 1) if more > 0 else (1, _power(-more))


def _power(decimals: int) -> int:
    if not 0 <= decimals <= DECIMALS_MAX:
        raise InputError("decimals", str(decimals), f"0 to {DECIMALS_MAX}")
    return 10**decimals


def _over(amount: int, divisor: int) -> int:
    if divisor <= 0:
        raise InputError("divisor", str(divisor), "above zero")
    return amount // divisor


def _over_up(amount: int, divisor: int) -> int:
    return -_over(-amount, divisor)


def _less(amount: int, taken: int) -> int:
    if taken > amount:
        raise InputError("difference", f"{amount} - {taken}", "zero or more")
    return amount - taken


def _fits(amount: int, most: int) -> int:
    if not 0 <= amount <= most:
        raise InputError("amount", str(amount), f"0 to {most}")
    return amount
