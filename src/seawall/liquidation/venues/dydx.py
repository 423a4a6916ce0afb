"""dYdX v4's liquidations and deleveraging: whose price and size rules are the general ones with its parameters.

The bankruptcy price is `reserve.reserve_quote`, the fillable price `reserve.fillable_give_up`, the insurance fund's
share `reserve.settle`; what is its own is the tick and step rounding, the limits per block, and deleveraging, which
walks counterparties from an arbitrary start and skips those that the update check refuses. Exact integers of quote
and base quantums. Source: `dydxprotocol/v4-chain` @ 84d4664, x/clob/keeper/{liquidations,deleveraging}.go, re-stated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from seawall.core.errors import InputError
from seawall.liquidation import reserve
from seawall.margin.venues import dydx_rules as rules

__all__ = [
    "Fill",
    "Limits",
    "bankruptcy_quote",
    "deleverage",
    "deleverage_at",
    "fillable_price",
    "fund_change",
    "fund_covers",
    "notional_bounds",
    "offset",
    "room",
    "size_to_close",
    "subticks",
]

SUBTICKS_MAX = 2**64 - 1
COUNTERPARTIES_MAX = 500  # counterparties that one deleveraging looks at
Markets = Mapping[int, rules.Perpetual]


class Limits(NamedTuple):
    """Liquidation parameters, quote quantums and ppm; defaults as in the code. Insurance: what the fund may lose."""

    fee_ppm: int = 5_000
    adjustment_ppm: int = 1_000_000
    spread_ppm: int = 100_000
    position_notional_min: int = 1_000
    position_share_ppm: int = 1_000_000
    account_notional_max: int = 100_000_000_000_000
    account_insurance_max: int = 100_000_000_000_000


class Fill(NamedTuple):
    """One counterparty's part of a deleveraging."""

    account: str
    quantums: int


def bankruptcy_quote(account: rules.Account, markets: Markets, key: int, change: int) -> int:
    """Quote quantums that closing `change` base quantums has to bring so that equity per maintenance does not fall.

    Values and requirements are differences of rounded ones. Raises InputError unless the change reduces the position.
    """
    market, total, held = _reducing(account, markets, key, change)
    before, after = _position_risk(market, held), _position_risk(market, held + change)
    value = after.net_collateral - before.net_collateral
    return reserve.reserve_quote(value, total.net_collateral, total.maintenance, before.maintenance - after.maintenance)


def fillable_price(account: rules.Account, markets: Markets, key: int, change: int, limits: Limits) -> Fraction:
    """Quote per base quantum that a liquidation order asks, exact; of the whole position, whatever part is closed."""
    market, total, held = _reducing(account, markets, key, change)
    whole = _position_risk(market, held)
    lost = reserve.fillable_give_up(
        total.net_collateral, total.maintenance, whole.maintenance, limits.adjustment_ppm, limits.spread_ppm
    )
    price = (whole.net_collateral - lost) / held
    if price < 0:
        raise InputError("fillable price", str(price), "a price of zero or more")
    return price


def fund_change(account: rules.Account, markets: Markets, key: int, change: int, quote: int, fee_ppm: int) -> int:
    """What the insurance fund receives (below zero: pays) when closing `change` brings `quote` quote quantums."""
    if change == 0:
        raise InputError("fill", "0 base quantums", "an amount above zero")
    return reserve.settle(quote, bankruptcy_quote(account, markets, key, change), fee_ppm)


def fund_covers(balance: int, change: int) -> bool:
    """Whether a change of the fund is allowed: a gain, or a loss that it holds."""
    return change >= 0 or balance + change >= 0


def subticks(price: Fraction, long: bool, subticks_per_tick: int, exponent: int) -> int:
    """A fillable price in subticks, a whole number of ticks: up where a long is sold, down where a short is bought back.

    exponent: of ten, quote quantums per base quantum and subtick. At least one tick, at most what 64 bits hold.
    """
    if price < 0 or subticks_per_tick <= 0 or abs(exponent) > rules.POWER_MAX:
        found = f"{price} in ticks of {subticks_per_tick}, exponent {exponent}"
        raise InputError("fillable price", found, "a price of zero or more in ticks above zero")
    exact = price / Fraction(10) ** exponent
    whole = _ceil(exact) if long else exact.numerator // exact.denominator
    ticks = -(-whole // subticks_per_tick) if long else whole // subticks_per_tick
    return min(max(ticks, 1), SUBTICKS_MAX // subticks_per_tick) * subticks_per_tick


def notional_bounds(notional: int, limits: Limits) -> tuple[int, int]:
    """Least and most of a position's notional that one block may liquidate: the most is at least the least."""
    size = abs(notional)
    least = min(limits.position_notional_min, size)
    return least, max(least, size * limits.position_share_ppm // rules.PPM)


def room(used: int, most: int, same_position: bool) -> int:
    """What is left of an account's limit per block. InputError where it is overdrawn or the position was closed before."""
    if same_position:
        raise InputError("liquidation", "a position already liquidated in this block", "each position once a block")
    if used > most:
        raise InputError("limit of the block", str(used), f"at most {most}")
    return most - used


def size_to_close(held: int, market: rules.Perpetual, account_room: int, step: int, limits: Limits) -> int:
    """Signed base quantums to close now: all of it where the limits allow, or else whole steps, at least one."""
    if held == 0 or step <= 0:
        raise InputError("position", f"{held} in steps of {step}", "a position and a step above zero")
    notional = rules.base_to_quote(held, market.resolution, market.price, market.exponent)
    most = min(notional_bounds(notional, limits)[1], account_room)
    sign = -1 if held > 0 else 1
    if abs(notional) <= most or abs(held) <= step:
        return -held
    size = rules.quote_to_base(most, market.resolution, market.price, market.exponent)
    return sign * min(max(size // step * step, step), abs(held))


def deleverage_at(account: rules.Account, markets: Markets, final_settlement: bool) -> tuple[bool, bool]:
    """Whether an account is deleveraged at its bankruptcy price (negative equity), or at the oracle price (the market
    is in final settlement and equity is not negative)."""
    negative = rules.risk(account, markets).net_collateral < 0
    return negative, not negative and final_settlement


def deleverage(
    failed: rules.Account, other: rules.Account, markets: Markets, key: int, change: int, quote: int
) -> tuple[rules.Account, rules.Account]:
    """Both accounts after `change` of the failed account's position is closed against the other's for `quote`.

    Raises InputError where the change does not reduce both positions, or the update check refuses one of the accounts:
    then their bankruptcy prices do not overlap.
    """
    held, opposite = _held(failed, key), _held(other, key)
    if not (_reduces(held, change) and _reduces(opposite, -change)):
        raise InputError("size", f"{change} of {held} against {opposite}", "a change that reduces both positions")
    after = rules.updated(failed, quote, [(key, change)]), rules.updated(other, -quote, [(key, -change)])
    interest = rules.interest_change([rules.Fill(key, held, change), rules.Fill(key, opposite, -change)])
    if interest:
        market = markets[key]
        markets = {**markets, key: market._replace(open_interest=market.open_interest + interest[1])}
    for before, then in zip((failed, other), after, strict=True):
        verdict = rules.transition(rules.risk(before, markets), rules.risk(then, markets))
        if verdict != rules.SUCCESS:
            raise InputError("deleveraging", verdict, "two accounts that the update leaves no worse")
    return after


def offset(
    accounts: Mapping[str, rules.Account],
    markets: Markets,
    name: str,
    key: int,
    change: int,
    final_settlement: bool = False,
    order: Sequence[str] | None = None,
) -> tuple[dict[str, rules.Account], tuple[Fill, ...], int]:
    """Closes `change` of an account's position against counterparties in an order, each as far as it goes.

    order: names of the counterparties, those on the other side if None. A counterparty that the update check refuses is
    skipped, so a residual can remain. Returns (accounts after, fills, what remains).
    """
    state, fills, left = dict(accounts), [], change
    names = counterparties(accounts, name, key, change) if order is None else order
    for other in names[:COUNTERPARTIES_MAX]:
        held = _held(state[other], key)
        if left == 0 or held * left <= 0:
            continue
        part = held if abs(left) > abs(held) else left
        try:
            if final_settlement:
                market = markets[key]
                quote = rules.base_to_quote(-part, market.resolution, market.price, market.exponent)
            else:
                quote = bankruptcy_quote(state[name], markets, key, part)
            state[name], state[other] = deleverage(state[name], state[other], markets, key, part, quote)
        except InputError:
            continue  # bankruptcy prices that do not overlap: the source skips these, and so a residual is left
        left -= part
        fills.append(Fill(other, abs(part)))
    return state, tuple(fills), left


def counterparties(accounts: Mapping[str, rules.Account], name: str, key: int, change: int) -> list[str]:
    """Names of the accounts that hold the other side of a position, in the order of the mapping."""
    return [other for other, account in accounts.items() if other != name and _held(account, key) * change > 0]


def _held(account: rules.Account, key: int) -> int:
    return account.positions.get(key, rules.Position(0)).quantums


def _reduces(held: int, change: int) -> bool:
    return held * change < 0 and abs(change) <= abs(held)


def _reducing(account: rules.Account, markets: Markets, key: int, change: int) -> tuple[rules.Perpetual, rules.Risk, int]:
    held = _held(account, key)
    if not _reduces(held, change):
        raise InputError("size", f"{change} of a position of {held}", "a change that reduces the position")
    return rules.perpetual_of(markets, key), rules.risk(account, markets), held


def _position_risk(market: rules.Perpetual, quantums: int) -> rules.Risk:
    return rules.risk(rules.Account(0, {0: rules.Position(quantums)} if quantums else {}), {0: market})


def _ceil(exact: Fraction) -> int:
    return -(-exact.numerator // exact.denominator)
