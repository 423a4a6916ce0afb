"""What closing a failed account posts: forced fills, lots that change hands, payments and states, in one event.

The account that is closed is not asked: neither its state nor its balance can stop it. Everybody else is: a maker trades
as in any fill. Lots are entered with their taker at the price named, and the same money goes back to it, so that handing
them over moves no value by itself: the payments do.
"""

from __future__ import annotations

from typing import Any

from seawall.core.errors import InputError, LimitExceeded, show
from seawall.core.units import LOT_VALUE_NANO_MAX, NANO, VALUE_NANO_MAX

from .chart import ACTIVE, FEES, LIQUIDATING, STATES, TRADERS, USER
from .doors import account_of, asset_of, instrument_of, of_kind, whole
from .events import Close, ForcedFill, Lots
from .money import check_figures, fill_side
from .posting import Poster
from .state import NOBODY

__all__ = ["HANDLERS"]


def close(poster: Poster, event: Close) -> None:
    """Fills, lots, payments, states, in this order."""
    state = poster.state
    asset = asset_of(state, event.asset)
    for fill in event.fills:
        _fill(poster, fill)
    for moved in event.lots:
        _hand_over(poster, moved)
    for payment in event.payments:
        payer, payee = account_of(state, payment.payer, "payer"), account_of(state, payment.payee, "payee")
        of_kind(state, payer, (*TRADERS, FEES), "payer")
        of_kind(state, payee, (*TRADERS, FEES), "payee")
        amount = whole(payment.amount, "amount")
        poster.post(payer, asset, -amount)
        poster.post(payee, asset, amount)
    for name, wanted in event.states:
        row = account_of(state, name)
        of_kind(state, row, (USER,), "account")
        before, after = state.state[row], STATES.index(wanted)
        if {before, after} <= {ACTIVE, LIQUIDATING}:  # what is frozen or may only reduce stays so
            state.put(state.state, row, after)


def _fill(poster: Poster, event: ForcedFill) -> None:
    """The buyer pays ceil(notional), the seller gets floor(notional), `rounding` the rest, as in any fill."""
    state = poster.state
    row, maker = account_of(state, event.account), account_of(state, event.maker, "maker")
    number = instrument_of(state, event.instrument)
    lots, price = event.lots, event.price_nano
    check_figures(lots, price)
    if row == maker:
        raise InputError("maker", show(event.maker), "another account than the one that is closed")
    notional = abs(lots) * price
    if notional >= VALUE_NANO_MAX:
        raise LimitExceeded("lots", show(lots), f"a notional below {VALUE_NANO_MAX // NANO}")
    asset, _, _, _, per, _ = state.terms[number]
    paid, got = -(-notional // per), notional // per
    mine, other = (-paid, got) if lots > 0 else (got, -paid)
    fill_side(poster, maker, number, -lots, other, price, "maker")
    fill_side(poster, row, number, lots, mine, price, "account", forced=True)
    poster.post(poster.rounding, asset, paid - got)


def _hand_over(poster: Poster, event: Lots) -> None:
    """Lots from one account to another. Of a contract that has expired meanwhile, what they were worth."""
    state = poster.state
    giver, taker = account_of(state, event.giver, "giver"), account_of(state, event.taker, "taker")
    of_kind(state, giver, TRADERS, "giver")
    of_kind(state, taker, TRADERS, "taker")
    number = state.instrument_of.get(event.instrument, NOBODY)
    if number == NOBODY:
        instrument_of(state, event.instrument)
    lots, price = event.lots, event.price_nano
    if whole(lots, "lots", -VALUE_NANO_MAX, VALUE_NANO_MAX) == 0:
        raise InputError("lots", "0", "lots that change hands")
    whole(price, "price_nano", 0, LOT_VALUE_NANO_MAX - 1)
    asset, _, _, entered, per, _ = state.terms[number]
    listing = state.instruments[number]
    if listing.base:
        base = state.asset_of[listing.base]
        poster.post(giver, base, -lots * listing.lot_units)
        poster.post(taker, base, lots * listing.lot_units)
        return
    given, _ = poster.position(giver, number)
    taken, held = poster.position(taker, number)
    if state.expiry_nano[number] >= 0:
        worth = lots * state.expiry_nano[number] // per
        poster.post(giver, asset, -worth)
        poster.post(taker, asset, worth)
        return
    if abs(held + lots) * price >= VALUE_NANO_MAX:
        raise LimitExceeded("lots", f"{held + lots} lots", f"a position worth less than {VALUE_NANO_MAX // NANO}")
    cash = lots * price // per if entered else 0
    poster.hold(giver, number, given, -lots, cash)
    poster.hold(taker, number, taken, lots, -cash)
    poster.post(giver, asset, -cash)
    poster.post(taker, asset, cash)


HANDLERS: dict[type, Any] = {Close: close}
