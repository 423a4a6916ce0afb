"""The audit trail: who wrote what, read from the journal's own records, so that it cannot say anything else than they do.

A record carries the id of the key that wrote it; the file of keys gives the name. Reading goes over the disk, in a
thread, beside the writer, and at most `SCANNED_MAX` records far at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from seawall.engine.clearing_events import ClosingStep
from seawall.journal import batches
from seawall.server.api.answers import AuditEntry, AuditPage
from seawall.server.records import SCHEMA, decode

__all__ = ["read_audit", "event_words"]

SCANNED_MAX = 20_000
ACCOUNT_FIELDS = ("account", "maker", "taker", "source", "target", "owner", "fund")


def read_audit(folder: Path, durable: int, query: Any, names: dict[str, str]) -> AuditPage:
    """The entries of a query (`api.looking.AuditQuery`) among records up to `durable`. names: of keys by id."""
    after = max(durable + query.after, 0) if query.after < 0 else query.after
    found: list[AuditEntry] = []
    scanned = 0
    sequence = after
    for batch in batches(folder, after, SCHEMA) if after < durable else ():
        for place, record in enumerate(batch.records):
            sequence = batch.first_seq + place
            if sequence > durable:
                return AuditPage(found, 0, durable)
            entry = _entry(sequence, record, names)
            if _wanted(entry, query):
                found.append(entry)
            scanned += 1
            if len(found) == query.limit or scanned == SCANNED_MAX:
                return AuditPage(found, sequence if sequence < durable else 0, durable)
    return AuditPage(found, 0, durable)


def event_words(event: Any) -> tuple[str, dict[str, Any]]:
    """(kind, fields) of an event of the journal, of a step of closing what is inside; prices of a batch of ticks are counted, not
    listed."""
    if isinstance(event, ClosingStep):
        event, step = event.what, "closing "
    else:
        step = ""
    kind = step + type(event).__name__
    words = msgspec.structs.asdict(event)
    words.pop("at_ns", None)
    if isinstance(words.get("packed"), bytes):
        words["packed"] = f"{len(words['packed'])} bytes"
    if kind == "Genesis":
        words["market"] = f"{len(words['market'].get('instruments', []))} instruments"
    return kind.lower(), msgspec.to_builtins(words)


def _entry(sequence: int, data: bytes, names: dict[str, str]) -> AuditEntry:
    record = decode(data, f"record {sequence}")
    kind, words = event_words(record.event)
    return AuditEntry(
        sequence=sequence,
        at_ns=record.event.at_ns,
        key_id=record.key_id,
        key_name=names.get(record.key_id, ""),
        idempotency=record.key,
        kind=kind,
        event=words,
    )


def _wanted(entry: AuditEntry, query: Any) -> bool:
    if query.key and query.key not in (entry.key_id, entry.key_name):
        return False
    if query.kind and query.kind != entry.kind:
        return False
    return not query.account or any(entry.event.get(name) == query.account for name in ACCOUNT_FIELDS)
