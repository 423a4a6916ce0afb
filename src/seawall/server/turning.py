"""Requests become events: decimals become integers, exactly or not at all, and names are looked up where that needs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seawall.core import events as core_events
from seawall.core.errors import InputError, UnknownInstrument, show
from seawall.core.times import SECOND_NS
from seawall.core.units import NANO, PPM, parse_decimal, parse_positive, to_int_exact
from seawall.engine.clearing import Clearing
from seawall.engine.clearing_events import ClearingEvent, Marks, Ticks, pack_ticks
from seawall.ledger import events as ledger_events
from seawall.ledger.doors import asset_of

from . import requests as wire
from .closing.turning import CLOSING_TURNS
from .quantities import instrument_of, lot_price

__all__ = ["event_of"]


def event_of(clearing: Clearing, request: wire.Request, at_ns: int) -> ClearingEvent:
    """The event of a request at a time; an InputError names the field at fault."""
    turn = _TURNS.get(type(request))
    if turn is None:
        raise InputError("request", show(type(request).__name__), "a request of seawall.server.requests")
    event: ClearingEvent = turn(clearing, request, at_ns)
    return event


def _amount(clearing: Clearing, asset: str, text: str) -> tuple[str, int]:
    """(asset, units) of an amount above zero; the settlement currency where none is named."""
    state = clearing.ledger.state
    name = asset or state.assets[clearing.mirror.asset].asset
    decimals = state.assets[asset_of(state, name)].decimals
    return name, to_int_exact(parse_positive(text, "amount"), 10**decimals, "amount")


def _ppm(text: str, place: str) -> int:
    return to_int_exact(parse_decimal(text, place), PPM, place)


def _fill(clearing: Clearing, it: wire.Fill, at_ns: int) -> ledger_events.Trade:
    instrument = instrument_of(clearing, it.instrument)
    return ledger_events.Trade(
        at_ns=at_ns,
        maker=it.maker,
        taker=it.taker,
        instrument=it.instrument,
        lots=instrument.lots_of(it.quantity),
        price_nano=lot_price(instrument, it.price),
        maker_fee_ppm=_ppm(it.maker_fee, "maker_fee"),
        taker_fee_ppm=_ppm(it.taker_fee, "taker_fee"),
        fees=it.fees,
    )


def _money(kind: Callable[..., Any], *names: str) -> Callable[..., Any]:
    """Turns a request about an amount of an asset; names: its other fields."""

    def turn(clearing: Clearing, it: Any, at_ns: int) -> Any:
        asset, amount = _amount(clearing, it.asset, it.amount)
        return kind(at_ns=at_ns, asset=asset, amount=amount, **{name: getattr(it, name) for name in names})

    return turn


def _ticks(clearing: Clearing, it: wire.Ticks, at_ns: int) -> Ticks:
    known = clearing.engine.watch.underlying_index
    prices = []
    for name, text in it.prices.items():
        if name not in known:
            raise UnknownInstrument("prices", show(name), "an underlying of the market")
        price = parse_positive(text, f"price of {name}")
        prices.append((known[name], to_int_exact(price, NANO, f"price of {name}")))
    if not prices:
        raise InputError("prices", "none", "at least one")
    return Ticks(at_ns=at_ns, packed=pack_ticks(prices))


def _parameters(clearing: Clearing, it: wire.Parameters, at_ns: int) -> core_events.Parameters:
    glide_ns = to_int_exact(parse_decimal(it.glide_s, "glide_s"), SECOND_NS, "glide_s")
    return core_events.Parameters(at_ns=at_ns, changes=it.changes, glide_ns=glide_ns, shape=it.shape)


def _premium(clearing: Clearing, it: wire.Premium, at_ns: int) -> ledger_events.Premium:
    index, bid, ask = (
        to_int_exact(parse_positive(getattr(it, name), name), NANO, name) for name in ("index", "impact_bid", "impact_ask")
    )
    return ledger_events.Premium(
        at_ns=at_ns, instrument=it.instrument, index_nano=index, impact_bid_nano=bid, impact_ask_nano=ask
    )


def _funding(clearing: Clearing, it: wire.Funding, at_ns: int) -> ledger_events.Funding:
    instrument = instrument_of(clearing, it.instrument)
    if it.price:
        price_nano = lot_price(instrument, it.price)
    else:
        legs = clearing.engine.watch.desk.base.legs.leg_of[it.instrument]
        price_nano = sum(clearing.engine.watch.mark_nano(leg) for leg in legs)
    return ledger_events.Funding(at_ns=at_ns, instrument=it.instrument, price_nano=price_nano)


def _expire(clearing: Clearing, it: wire.Expire, at_ns: int) -> ledger_events.Expire:
    instrument = instrument_of(clearing, it.instrument)
    price = parse_decimal(it.price, "price")
    price_nano = 0 if price == 0 else lot_price(instrument, it.price)
    return ledger_events.Expire(at_ns=at_ns, instrument=it.instrument, price_nano=price_nano)


def _accrue(clearing: Clearing, it: wire.Accrue, at_ns: int) -> ledger_events.Accrue:
    return ledger_events.Accrue(
        at_ns=at_ns, asset=it.asset, borrow_ppm=_ppm(it.rate, "rate"), reserve_ppm=_ppm(it.reserve, "reserve")
    )


def _same(kind: Callable[..., Any], *names: str, **renamed: str) -> Callable[..., Any]:
    """Turns a request whose fields stay what they are."""

    def turn(clearing: Clearing, it: Any, at_ns: int) -> Any:
        fields = {name: getattr(it, name) for name in names}
        return kind(at_ns=at_ns, **fields, **{name: getattr(it, of) for name, of in renamed.items()})

    return turn


_TURNS: dict[type, Callable[..., Any]] = {
    wire.OpenAccount: _same(ledger_events.Open, "account", "kind"),
    wire.OpenBucket: _same(ledger_events.OpenBucket, "owner", "bucket", "instrument"),
    wire.SetState: _same(ledger_events.SetState, "account", "state"),
    wire.Deposit: _money(ledger_events.Deposit, "account"),
    wire.Withdraw: _money(ledger_events.Withdraw, "account"),
    wire.Transfer: _money(ledger_events.Transfer, "source", "target"),
    wire.Charge: _money(ledger_events.Charge, "account", "target"),
    wire.Cover: _money(ledger_events.Cover, "account", "fund"),
    wire.Fill: _fill,
    wire.Order: _same(core_events.Order, "account", "id", "instrument", "quantity", "price"),
    wire.Cancel: _same(core_events.Cancel, "account", "id"),
    wire.Ticks: _ticks,
    wire.Marks: _same(Marks, "prices"),
    wire.Surface: _same(core_events.Surface, updates="vols"),
    wire.Parameters: _parameters,
    wire.Premium: _premium,
    wire.Funding: _funding,
    wire.Accrue: _accrue,
    wire.Expire: _expire,
    wire.Settle: _same(ledger_events.Settle, "account"),
    wire.Clock: _same(core_events.Clock),
    **CLOSING_TURNS,
}
