"""Events: everything that can happen to the engine, as frozen records in one total order.

Each carries its time; amounts and prices are decimal strings, exact as they were sent. A log is one JSON
object per line with the kind in `"event"`; reading is strict, so an unknown field is an error and not a typo
that goes unheard.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from .errors import UnreadableFile

__all__ = [
    "Cancel",
    "Clock",
    "Deposit",
    "Event",
    "Fill",
    "Mark",
    "Order",
    "Parameters",
    "Surface",
    "Tick",
    "Withdraw",
    "decode",
    "encode",
]


class _Base(
    msgspec.Struct, frozen=True, tag_field="event", tag=str.lower, forbid_unknown_fields=True, kw_only=True
):
    at_ns: int


class Tick(_Base, frozen=True, kw_only=True):
    """The index price of an underlying is now `price`."""

    underlying: str
    price: str


class Mark(_Base, frozen=True, kw_only=True):
    """The mark price of one instrument is now `price`."""

    instrument: str
    price: str


class Surface(_Base, frozen=True, kw_only=True):
    """Implied vols by option symbol, decimal strings (0.52 is 52 %)."""

    updates: dict[str, str]


class Deposit(_Base, frozen=True, kw_only=True):
    """`amount` of the settlement currency into an account."""

    account: str
    amount: str


class Withdraw(_Base, frozen=True, kw_only=True):
    """`amount` of the settlement currency out of an account."""

    account: str
    amount: str


class Fill(_Base, frozen=True, kw_only=True):
    """An account bought (quantity > 0) or sold at `price`. A fact, whatever the margin says."""

    account: str
    instrument: str
    quantity: str
    price: str


class Order(_Base, frozen=True, kw_only=True):
    """An account wants to buy (quantity > 0) or sell at `price` or better."""

    account: str
    id: str
    instrument: str
    quantity: str
    price: str


class Cancel(_Base, frozen=True, kw_only=True):
    """An open order is withdrawn."""

    account: str
    id: str


class Parameters(_Base, frozen=True, kw_only=True):
    """Model parameters begin to move to `changes`, over `glide_ns` (0: at once)."""

    changes: dict[str, str]
    glide_ns: int = 0
    shape: Literal["linear", "geometric"] = "linear"


class Clock(_Base, frozen=True, kw_only=True):
    """Nothing but the passing of time."""


Event = Tick | Mark | Surface | Deposit | Withdraw | Fill | Order | Cancel | Parameters | Clock

_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def encode(event: Event) -> bytes:
    """One JSON object, no line end: {"event":"tick","at_ns":1,"underlying":"BTC","price":"61250.5"}."""
    return _ENCODER.encode(event)


def decode(line: bytes | str, place: str = "event") -> Event:
    """The event of one line; UnreadableFile (naming `place`) where it is none."""
    try:
        return _DECODER.decode(line)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise UnreadableFile(place, str(error), "one event as a JSON object") from None
