"""Requests about closings become events: the order that was executed, the money that a bidder has free, the time of a tick."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from seawall.core.errors import InputError, UnknownKey, show
from seawall.core.signing import money_micro, share_ppm
from seawall.core.units import MICRO, parse_decimal, parse_positive, to_int_exact
from seawall.engine.admission import user
from seawall.engine.clearing import Clearing
from seawall.engine.clearing_events import ClosingStep, Executed, Unloaded
from seawall.engine.closing_admission import free_micro
from seawall.ledger.chart import ACTIVE, STATES
from seawall.ledger.doors import state_of
from seawall.liquidation import layers
from seawall.liquidation.account_slices import PPB
from seawall.liquidation.auction_events import Bid, Restart, SetBreaker
from seawall.liquidation.closing_desk import ClosingDesk, ToHouse, ToLayers
from seawall.liquidation.closing_events import Flatten, Order, Reduce
from seawall.liquidation.ranked_events import CancelRanked, Designate, FileRanked
from seawall.server import requests as wire
from seawall.server.quantities import instrument_of, lot_price

__all__ = ["CLOSING_TURNS", "committed_micro"]

AMOUNT_MICRO_MAX = 2**53


def _desk(clearing: Clearing) -> ClosingDesk:
    """The desk of a venue that closes failed accounts."""
    if clearing.desk is None:
        raise InputError("venue", "no terms of closing", "a venue that began with a table [closing]")
    return clearing.desk


def _reduce(clearing: Clearing, it: wire.Reduce) -> Reduce:
    _in_liquidation(clearing, it.account)
    instrument = instrument_of(clearing, it.instrument)
    limit = lot_price(instrument, it.limit, "limit") if it.limit else None
    return Reduce(
        number=0, account=it.account, at_ns=0, symbol=it.instrument, lots=instrument.lots_of(it.quantity), limit_nano=limit
    )


def _flatten(clearing: Clearing, it: wire.Flatten) -> Flatten:
    _in_liquidation(clearing, it.account)
    return Flatten(number=0, account=it.account, at_ns=0)


def _executed(clearing: Clearing, it: wire.Executed) -> Executed:
    order = _order(clearing, it.account, it.order)
    instrument = instrument_of(clearing, order.symbol)
    if parse_decimal(it.quantity, "quantity") == 0:
        if not it.done or it.price or it.maker:
            raise InputError("executed", "no quantity", "a trade, or done alone")
        return Executed(account=it.account, order=it.order, done=True)
    price_nano = lot_price(instrument, it.price, "price")
    return Executed(
        account=it.account, order=it.order, maker=it.maker, lots=instrument.lots_of(it.quantity), price_nano=price_nano, done=it.done
    )


def _unloaded(clearing: Clearing, it: wire.Unload) -> Unloaded:
    _desk(clearing)
    instrument = instrument_of(clearing, it.instrument)
    return Unloaded(
        bucket=it.bucket, instrument=it.instrument, maker=it.maker, lots=instrument.lots_of(it.quantity),
        price_nano=lot_price(instrument, it.price),
    )  # fmt: skip


def _bid(clearing: Clearing, it: wire.Bid) -> ToHouse:
    house = _desk(clearing).house
    row = user(clearing, it.bidder)
    share = to_int_exact(parse_positive(it.share, "share"), PPB, "share")
    if share > PPB:
        raise InputError("share", show(it.share), "a share above 0, at most 1")
    free = max(free_micro(clearing, row) - committed_micro(house, it.bidder), 0)
    bid = Bid(
        auction=it.auction, bidder=it.bidder, amount=share, limit=_money(it.limit, "limit"), version=it.version,
        free_micro=free, at_ns=0,
    )  # fmt: skip
    return ToHouse(number=0, at_ns=0, event=bid)


def _ranked_bid(clearing: Clearing, it: wire.RankedBid) -> ToHouse:
    """Money that is put aside must be there, in an account that may trade."""
    house, state = _desk(clearing).house, clearing.ledger.state
    row = user(clearing, it.bidder)
    if state_of(state, row) != ACTIVE or state.parent[row] >= 0:
        raise InputError("bidder", f"{show(it.bidder)}, {STATES[state_of(state, row)]}", "an active account, not a bucket")
    if it.bucket not in house.rules:
        raise UnknownKey("bucket", show(it.bucket), "one of " + ", ".join(house.rules))
    if not 1 <= len(it.id) <= 64 or not it.id.isprintable():
        raise InputError("id", show(it.id), "1 to 64 printable characters")
    event = FileRanked(
        bidder=it.bidder, id=it.id, bucket=it.bucket, size_micro=_positive(it.size, "size"), share_ppm=share_ppm(it.share, "share"),
        insolvent_ppm=share_ppm(it.insolvent, "insolvent") if it.insolvent else -1, budget_micro=_positive(it.budget, "budget"),
        until_ns=it.until_ns, free_micro=max(free_micro(clearing, row) - committed_micro(house, it.bidder), 0), at_ns=0,
    )  # fmt: skip
    return ToHouse(number=0, at_ns=0, event=event)


def _ranked_cancel(clearing: Clearing, it: wire.RankedCancel) -> ToHouse:
    _desk(clearing)
    user(clearing, it.bidder)
    return ToHouse(number=0, at_ns=0, event=CancelRanked(bidder=it.bidder, id=it.id, at_ns=0))


def _designate(clearing: Clearing, it: wire.Designate) -> ToHouse:
    house = _desk(clearing).house
    user(clearing, it.bidder)
    if it.bucket not in house.rules:
        raise UnknownKey("bucket", show(it.bucket), "one of " + ", ".join(house.rules))
    size = money_micro(it.size, "size")
    if not 0 <= size <= AMOUNT_MICRO_MAX:
        raise InputError("size", show(it.size), "0 or more")
    event = Designate(bidder=it.bidder, bucket=it.bucket, size_micro=size, share_ppm=share_ppm(it.share, "share"), at_ns=0)
    return ToHouse(number=0, at_ns=0, event=event)


def _positive(text: str, place: str) -> int:
    found = to_int_exact(parse_positive(text, place), MICRO, place)
    if found > AMOUNT_MICRO_MAX:
        raise InputError(place, show(text), f"at most {AMOUNT_MICRO_MAX // MICRO}")
    return found


def committed_micro(house: Any, bidder: str) -> int:
    """What a bidder's bids of this tick may take of its money: each its limit, and the requirement that it takes on with the
    buffer."""
    total = 0
    for number, bids in house.pending.items():
        sale = house.sales[number]
        need = sale.requirement_micro + sale.requirement_micro * house.rules[sale.bucket].buffer_ppm // MICRO + 1
        total += sum(-(-(max(bid.limit, 0) + need) * bid.amount // PPB) for bid in bids if bid.bidder == bidder)
    return total


def _restart(clearing: Clearing, it: wire.Restart) -> ToHouse:
    _desk(clearing)
    user(clearing, it.keeper)
    return ToHouse(number=0, at_ns=0, event=Restart(auction=it.auction, keeper=it.keeper, at_ns=0))


def _breaker(clearing: Clearing, it: wire.Breaker) -> ToHouse:
    _desk(clearing)
    if it.level not in (0, 1, 2, 3):
        raise InputError("level", str(it.level), "a level from 0 to 3")
    return ToHouse(number=0, at_ns=0, event=SetBreaker(level=it.level, at_ns=0))


def _provider(kind: Callable[..., Any]) -> Callable[..., ToLayers]:
    """Turns a request of a provider."""

    def turn(clearing: Clearing, it: Any) -> ToLayers:
        vaults = _desk(clearing).layers.vaults
        if it.bucket not in vaults:
            raise UnknownKey("bucket", show(it.bucket), "one of " + ", ".join(vaults))
        amount = (_amount(it.amount),) if hasattr(it, "amount") else ()
        return ToLayers(number=0, at_ns=0, event=kind(it.bucket, it.provider, *amount))

    return turn


def _fund(clearing: Clearing, it: wire.Fund) -> ToLayers:
    desk = _desk(clearing)
    if it.market and it.market not in desk.layers.tranches:
        raise UnknownKey("market", show(it.market), "one of " + ", ".join(desk.layers.tranches))
    return ToLayers(number=0, at_ns=0, event=layers.Income(it.source, _amount(it.amount), it.market))


def _in_liquidation(clearing: Clearing, account: str) -> None:
    """The owner's lane is open while his account is being rescued or sold."""
    user(clearing, account)
    closing = _desk(clearing).closings.get(account)
    stages = ("at rest", "rescue", "selling")
    if closing is None or closing.state.stage not in (1, 2):
        found = "at rest" if closing is None or not closing.state.stage else "past its owner's turn"
        raise InputError("account", f"{show(account)}, {found}", f"an account that is in {stages[1]} or {stages[2]}")


def _order(clearing: Clearing, account: str, order: str) -> Order:
    closing = _desk(clearing).closings.get(account)
    orders = closing.state.orders if closing is not None else ()
    for each in orders:
        if each.id == order and each.lane != "adl":
            return each
    raise InputError("order", show(order), "an open order of a closing; what traded without one is a fill")


def _amount(text: str) -> int:
    return to_int_exact(parse_positive(text, "amount"), MICRO, "amount")


def _money(text: str, place: str) -> int:
    exact = Fraction(parse_decimal(text, place)) * MICRO
    if exact.denominator != 1 or abs(exact.numerator) > AMOUNT_MICRO_MAX:
        raise InputError(place, show(text), "an amount with at most six decimals")
    return exact.numerator


def _step(turn: Callable[..., Any]) -> Callable[..., ClosingStep]:
    def made(clearing: Clearing, it: Any, at_ns: int) -> ClosingStep:
        return ClosingStep(at_ns=at_ns, what=turn(clearing, it))

    return made


_TURNS: dict[type, Callable[..., Any]] = {
    wire.Reduce: _reduce,
    wire.Flatten: _flatten,
    wire.Executed: _executed,
    wire.Bid: _bid,
    wire.RankedBid: _ranked_bid,
    wire.RankedCancel: _ranked_cancel,
    wire.Designate: _designate,
    wire.Restart: _restart,
    wire.Breaker: _breaker,
    wire.Commit: _provider(layers.Commit),
    wire.Exit: _provider(layers.AskExit),
    wire.Collect: _provider(layers.Collect),
    wire.Fund: _fund,
    wire.Unload: _unloaded,
}
CLOSING_TURNS: dict[type, Callable[..., ClosingStep]] = {kind: _step(turn) for kind, turn in _TURNS.items()}
"""By request; number and time of what is inside are those of the step."""
