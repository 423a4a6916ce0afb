"""Money and trades: deposits, withdrawals, transfers, charges, covers and fills.

One function per event; each checks everything that can be checked first and then posts. Whatever takes a
balance out settles the account before, so that nobody leaves ahead of his own funding.
"""

from __future__ import annotations

from typing import Any

from seawall.core.errors import InputError, LimitExceeded, show
from seawall.core.units import INT64_MAX, LOT_VALUE_NANO_MAX, NANO, PPM, VALUE_NANO_MAX

from .chart import ACTIVE, FEES, FUNDS, LIQUIDATING, REDUCE_ONLY, ROUNDING, STATES, TRADERS, TREASURY, USER
from .doors import (
    account_of,
    asset_of,
    enough,
    instrument_of,
    may_receive,
    may_send,
    not_closed,
    of_kind,
    state_of,
    whole,
)
from .events import Charge, Cover, Deposit, ListInstrument, Trade, Transfer, Withdraw
from .posting import Poster
from .state import NOBODY, State

__all__ = ["HANDLERS", "check_figures", "fill_side"]


def deposit(poster: Poster, event: Deposit) -> None:
    """outside → account."""
    state = poster.state
    row, asset = account_of(state, event.account), asset_of(state, event.asset)
    amount = whole(event.amount, "amount")
    may_receive(state, row, "account")
    _no_bucket(state, row, "account")
    poster.post(poster.outside, asset, -amount)
    poster.post(row, asset, amount)


def withdraw(poster: Poster, event: Withdraw) -> None:
    """account → outside, after settling the account; never more than its balance."""
    state = poster.state
    row, asset = account_of(state, event.account), asset_of(state, event.asset)
    amount = whole(event.amount, "amount")
    may_send(state, row, "account")
    _no_bucket(state, row, "account")
    poster.settle(row)
    enough(state.balance[asset][row], amount, "amount")
    poster.post(row, asset, -amount)
    poster.post(poster.outside, asset, amount)


def transfer(poster: Poster, event: Transfer) -> None:
    """source → target, after settling a user's account; never more than its balance."""
    state = poster.state
    source, target = account_of(state, event.source, "source"), account_of(state, event.target, "target")
    asset, amount = asset_of(state, event.asset), whole(event.amount, "amount")
    if source == target:
        raise InputError("target", show(event.target), "another account than the source")
    if state.kind[source] == USER:
        may_send(state, source, "source")
        of_kind(state, target, (USER,), "target")
        may_receive(state, target, "target")
        same = _owner(state, source) == _owner(state, target)
        if not same and (state.parent[source] != NOBODY or state.parent[target] != NOBODY):
            raise InputError("target", show(event.target), "an account or bucket of the same owner")
        poster.settle(source)
    else:
        of_kind(state, source, (*TREASURY, ROUNDING), "source")
        of_kind(state, target, TREASURY, "target")
    enough(state.balance[asset][source], amount, "amount")
    poster.post(source, asset, -amount)
    poster.post(target, asset, amount)


def charge(poster: Poster, event: Charge) -> None:
    """A user's account → fees, a fund or the backstop, into debt where it must."""
    state = poster.state
    row, target = account_of(state, event.account), account_of(state, event.target, "target")
    asset, amount = asset_of(state, event.asset), whole(event.amount, "amount")
    of_kind(state, row, (USER,), "account")
    may_receive(state, row, "account")  # neither frozen nor closed
    of_kind(state, target, TREASURY, "target")
    poster.post(row, asset, -amount)
    poster.post(target, asset, amount)


def cover(poster: Poster, event: Cover) -> None:
    """A fund or the backstop → a user's debt, after settling the account; never more than either side."""
    state = poster.state
    fund, row = account_of(state, event.fund, "fund"), account_of(state, event.account)
    asset, amount = asset_of(state, event.asset), whole(event.amount, "amount")
    of_kind(state, fund, FUNDS, "fund")
    of_kind(state, row, (USER,), "account")
    not_closed(state, row, "account")
    poster.settle(row)
    enough(state.balance[asset][fund], amount, "amount")
    enough(-state.balance[asset][row], amount, "amount")
    poster.post(fund, asset, -amount)
    poster.post(row, asset, amount)


def trade(poster: Poster, event: Trade) -> None:
    """Lots from seller to buyer; the buyer pays ceil(notional), the seller gets floor(notional), `rounding` the rest.

    Each fee is ceil(notional × ppm), so a rebate is rounded down.
    """
    state = poster.state
    maker, taker = account_of(state, event.maker, "maker"), account_of(state, event.taker, "taker")
    number = instrument_of(state, event.instrument)
    fees = account_of(state, event.fees, "fees")
    if state.kind[fees] != FEES:
        of_kind(state, fees, (FEES,), "fees")
    lots, price, taker_ppm, maker_ppm = event.lots, event.price_nano, event.taker_fee_ppm, event.maker_fee_ppm
    check_figures(lots, price, taker_ppm, maker_ppm)
    if maker == taker:
        raise InputError("taker", show(event.taker), "another account than the maker")
    notional = abs(lots) * price
    if notional >= VALUE_NANO_MAX:
        raise LimitExceeded("lots", show(lots), f"a notional below {VALUE_NANO_MAX // NANO}")
    asset, _, _, _, per, _ = state.terms[number]
    paid, got = -(-notional // per), notional // per
    bought, sold = (-paid, got) if lots > 0 else (got, -paid)
    taker_fee, maker_fee = -(-notional * taker_ppm // (per * PPM)), -(-notional * maker_ppm // (per * PPM))
    fill_side(poster, taker, number, lots, bought, price, "taker")
    poster.post(taker, asset, -taker_fee)
    fill_side(poster, maker, number, -lots, sold, price, "maker")
    poster.post(maker, asset, -maker_fee)
    poster.post(fees, asset, taker_fee + maker_fee)
    poster.post(poster.rounding, asset, paid - got)


def check_figures(lots: object, price: object, taker_ppm: object = 0, maker_ppm: object = 0) -> None:
    """BadNumber or InputError for figures that no fill has."""
    whole(price, "price_nano", 1, LOT_VALUE_NANO_MAX - 1)
    if whole(lots, "lots", -INT64_MAX) == 0:
        raise InputError("lots", "0", "lots bought or sold")
    whole(maker_ppm, "maker_fee_ppm", -whole(taker_ppm, "taker_fee_ppm", -PPM, PPM), PPM)


def fill_side(
    poster: Poster, row: int, number: int, lots: int, cash: int, price: int, place: str, forced: bool = False
) -> None:
    """One side of a fill: `lots` to an account, for `cash` (negative: paid). forced: whatever state the account is in."""
    state = poster.state
    if state.kind[row] not in TRADERS:
        of_kind(state, row, TRADERS, place)
    only = state.only[row]
    if only != NOBODY and only != number:
        found = f"{show(state.terms[number][1])} in {show(state.names[row])}"
        raise InputError(place, found, f"a fill in {show(state.terms[only][1])}")
    listing = state.instruments[number]
    if listing.base:
        _spot(poster, row, listing, number, lots, cash, place, forced)
        return
    slot, held = poster.position(row, number)
    if not forced:
        _may_trade(state, row, held, lots, place)
    if abs(held + lots) * price >= VALUE_NANO_MAX:
        raise LimitExceeded(place, f"{held + lots} lots", f"a position worth less than {VALUE_NANO_MAX // NANO}")
    poster.hold(row, number, slot, lots, cash)


def _spot(
    poster: Poster, row: int, listing: ListInstrument, number: int, lots: int, cash: int, place: str, forced: bool
) -> None:
    """Spot moves balances; what is not borrowable may not go below zero, nor further below, unless it is forced to."""
    state = poster.state
    base, quote = state.asset_of[listing.base], state.settled_in[number]
    units = lots * listing.lot_units
    if not forced:
        _may_trade(state, row, poster.settle_interest(row, base), units, place)
    for asset, change in ((base, units), (quote, cash)):
        if change < 0 and not forced and not state.assets[asset].borrowable:
            enough(poster.settle_interest(row, asset), -change, f"{place}, {state.assets[asset].asset}")
    poster.post(row, base, units)
    poster.post(row, quote, cash)


def _may_trade(state: State, row: int, held: int, change: int, place: str) -> None:
    """By effect, not by a flag: whoever may only reduce may only come closer to zero, and not past it."""
    if state.state[row] == ACTIVE and state.parent[row] == NOBODY:
        return
    found = state_of(state, row)
    if found == ACTIVE:
        return
    if found not in (REDUCE_ONLY, LIQUIDATING):
        raise InputError(place, f"{show(state.names[row])}, which is {STATES[found]}", "an account that may trade")
    if (held > 0) == (change > 0) or abs(change) > abs(held):
        what = f"{change} on a holding of {held} by {show(state.names[row])}, which is {STATES[found]}"
        raise InputError(place, what, "a fill that only reduces")


def _no_bucket(state: State, row: int, place: str) -> None:
    if state.parent[row] != NOBODY:
        raise InputError(place, show(state.names[row]), "an account, not a bucket, which is filled by transfers")


def _owner(state: State, row: int) -> int:
    return row if state.parent[row] == NOBODY else state.parent[row]


HANDLERS: dict[type, Any] = {
    Deposit: deposit,
    Withdraw: withdraw,
    Transfer: transfer,
    Charge: charge,
    Cover: cover,
    Trade: trade,
}
