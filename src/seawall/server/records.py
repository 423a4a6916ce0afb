"""Journal records: who wrote, under which idempotency key, and what, as one MessagePack array each.

    [family, key_id, key, event]        0: genesis, 1: ledger event, 2: market or order, 3: ticks, 4: marks

Ledger events and ticks are arrays (`ledger/events.py`, `engine/clearing_events.py`), the others maps by field name; a
genesis is a map. key_id: the API key that wrote, "" for the service itself. One record is one event of the clearing,
so a record's sequence in the journal is the event's in the clearing. `SCHEMA` is the version of this format; an older
one is brought up by its upgrades when it is read.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from seawall.core.errors import UnreadableFile
from seawall.core.events import Cancel, Clock, Order, Parameters, Surface
from seawall.engine.clearing_events import ClearingEvent, Marks, Ticks
from seawall.engine.genesis import Genesis
from seawall.journal import Schema
from seawall.ledger.events import LedgerEvent

__all__ = ["SCHEMA", "Record", "decode", "encode"]

SCHEMA = Schema(1)
GENESIS, LEDGER, MARKET, TICKS, MARKS = range(5)

_ENCODER = msgspec.msgpack.Encoder()
_Market = Surface | Parameters | Clock | Order | Cancel
_DECODERS: dict[int, Any] = {
    GENESIS: msgspec.msgpack.Decoder(Genesis),
    LEDGER: msgspec.msgpack.Decoder(LedgerEvent),
    MARKET: msgspec.msgpack.Decoder(_Market),
    TICKS: msgspec.msgpack.Decoder(Ticks),
    MARKS: msgspec.msgpack.Decoder(Marks),
}
_ENVELOPE = msgspec.msgpack.Decoder(tuple[int, str, str, msgspec.Raw])
_FAMILIES: dict[Any, int] = {Ticks: TICKS, Marks: MARKS, Genesis: GENESIS}
_FAMILIES |= dict.fromkeys((Surface, Parameters, Clock, Order, Cancel), MARKET)


class Record(NamedTuple):
    """What one record says."""

    key_id: str
    key: str
    event: Any


def encode(event: ClearingEvent | Genesis, key_id: str = "", key: str = "") -> bytes:
    """One record."""
    return _ENCODER.encode((_FAMILIES.get(type(event), LEDGER), key_id, key, event))


def decode(data: bytes, place: str = "record") -> Record:
    """What a record says; UnreadableFile (naming `place`) where it is none."""
    try:
        family, key_id, key, raw = _ENVELOPE.decode(data)
        return Record(key_id, key, _DECODERS[family].decode(raw))
    except (msgspec.DecodeError, KeyError, RecursionError, UnicodeError) as error:
        raise UnreadableFile(place, f"{type(error).__name__}: {error}", "one record of the service") from None
