"""Journal records: who wrote, under which idempotency key, what, and what was decided by it, as one MessagePack array each.

    [family, key_id, key, event(, facts)]    0: genesis, 1: ledger event or step of closing, 2: market or order, 3: ticks, 4: marks

Ledger events and ticks are arrays (`ledger/events.py`, `engine/clearing_events.py`), the others maps by field name; a
genesis is a map. key_id: the API key that wrote, "" for the service itself. facts: an array (`engine/facts.py`); left out where
nobody's status changed and nothing else is to be told; nil where it is not said what was decided, so that the engine must
be asked again. One record is one event of the clearing, so a record's sequence in the journal is the event's in the
clearing. `SCHEMA` is the version of this format; an older one is brought up by its upgrades when it is read.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from seawall.core.errors import UnreadableFile
from seawall.core.events import Cancel, Clock, Order, Parameters, Surface
from seawall.engine.clearing_events import ClearingEvent, ClosingStep, Marks, Ticks
from seawall.engine.facts import Facts, usual_versions
from seawall.engine.genesis import Genesis
from seawall.journal import Schema
from seawall.ledger.events import LedgerEvent

__all__ = ["SCHEMA", "Record", "decode", "encode", "facts_in", "with_facts"]


def _said_nothing(record: bytes) -> bytes:
    """A record of schema 1, which has no facts, as one of schema 2."""
    return b"\x95" + record[1:] + b"\xc0" if record[:1] == b"\x94" else record


SCHEMA = Schema(2, {1: _said_nothing})
GENESIS, LEDGER, MARKET, TICKS, MARKS = range(5)

_ENCODER = msgspec.msgpack.Encoder()
_Market = Surface | Parameters | Clock | Order | Cancel
_DECODERS: dict[int, Any] = {
    GENESIS: msgspec.msgpack.Decoder(Genesis),
    LEDGER: msgspec.msgpack.Decoder(LedgerEvent | ClosingStep),
    MARKET: msgspec.msgpack.Decoder(_Market),
    TICKS: msgspec.msgpack.Decoder(Ticks),
    MARKS: msgspec.msgpack.Decoder(Marks),
}
_FACTS = msgspec.msgpack.Decoder(Facts | None)
_FAMILIES: dict[Any, int] = {Ticks: TICKS, Marks: MARKS, Genesis: GENESIS}
_FAMILIES |= dict.fromkeys((Surface, Parameters, Clock, Order, Cancel), MARKET)


class _Envelope(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    family: int
    key_id: str
    key: str
    event: msgspec.Raw
    facts: msgspec.Raw = msgspec.Raw()


_ENVELOPE = msgspec.msgpack.Decoder(_Envelope)


class Record(NamedTuple):
    """What one record says. facts: None where it does not say what was decided."""

    key_id: str
    key: str
    event: Any
    facts: Facts | None


def encode(event: ClearingEvent | Genesis, key_id: str = "", key: str = "") -> bytes:
    """One record of an event by which nothing was decided."""
    return _ENCODER.encode((_FAMILIES.get(type(event), LEDGER), key_id, key, event))


def with_facts(record: bytes, event: ClearingEvent, facts: Facts | None) -> bytes:
    """What `encode` gave, with what was decided."""
    if facts is None:
        return _said_nothing(record)
    fields = facts.trimmed()
    if fields == [usual_versions(event)]:
        return record
    return b"\x95" + record[1:] + _ENCODER.encode(fields)


def decode(data: bytes, place: str = "record") -> Record:
    """What a record says; UnreadableFile (naming `place`) where it is none."""
    try:
        envelope = _ENVELOPE.decode(data)
        event = _DECODERS[envelope.family].decode(envelope.event)
        raw = bytes(envelope.facts)
        facts = _FACTS.decode(raw) if raw else Facts(usual_versions(event))
        return Record(envelope.key_id, envelope.key, event, facts)
    except (msgspec.MsgspecError, KeyError, RecursionError, UnicodeError) as error:
        raise UnreadableFile(place, f"{type(error).__name__}: {error}", "one record of the service") from None


def facts_in(data: bytes, place: str) -> Facts | None:
    """The facts of which these are the bytes; UnreadableFile where they are none."""
    try:
        return _FACTS.decode(data)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise UnreadableFile(place, f"facts: {error}", "one record of the service") from None
