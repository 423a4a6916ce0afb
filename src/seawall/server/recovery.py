"""From a folder to a clearing: the newest snapshot that holds, every record after it, and what was found along the way.

The journal has checked its chain when it opened. Here the snapshot's columns must hash to what it says, each record must
apply again as the event that it is, under the sequence that it has; anything else stops the start with the place.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import msgspec

from seawall.core.errors import BrokenJournal, InputError, show
from seawall.engine.clearing import Clearing
from seawall.engine.frozen import hash_of
from seawall.engine.genesis import Genesis
from seawall.journal import Journal

from .records import Record, decode, encode

__all__ = ["Recovered", "recover", "scoped"]


class Recovered(msgspec.Struct, frozen=True):
    """How a service came up. sequence: of the last record; snapshot: the record after which the snapshot was taken, 0
    where there was none; replayed: records applied on top; accounts; begun: whether the journal is new; seconds of
    reading and restoring the snapshot, of the replay, and in all; torn: what was cut off an end that nobody was told of."""

    sequence: int
    snapshot: int
    replayed: int
    accounts: int
    begun: bool
    restore_s: float
    replay_s: float
    seconds: float
    torn: str = ""


class _Restored(NamedTuple):
    clearing: Clearing | None
    sequence: int


def recover(journal: Journal, genesis: Genesis | None, capacity: int) -> tuple[Clearing, Recovered]:
    """The clearing that a journal's records make. A journal without any begins with `genesis`.

    Raises BrokenJournal for a record that cannot be what was applied, InputError for a new journal without a genesis.
    """
    began = time.monotonic()
    restored = _restore(journal, capacity)
    restored_s = time.monotonic() - began
    clearing, sequence, replayed = restored.clearing, restored.sequence, 0
    for batch in journal.batches(after=sequence):
        for data in batch.records:
            sequence += 1
            record = decode(data, f"{journal.path}: record {sequence}")
            clearing = _replay(journal, clearing, record, sequence, capacity)
            replayed += 1
    begun = clearing is None
    if clearing is None:
        clearing = _begin(journal, genesis, capacity)
    seconds = time.monotonic() - began
    report = Recovered(
        sequence=clearing.sequence,
        snapshot=restored.sequence,
        replayed=replayed,
        accounts=len(clearing.ledger.state.names),
        begun=begun,
        restore_s=round(restored_s, 3),
        replay_s=round(seconds - restored_s, 3),
        seconds=round(seconds, 3),
        torn="; ".join(str(finding) for finding in journal.recovery.findings) if journal.recovery.status == "torn" else "",
    )
    return clearing, report


def scoped(key_id: str, key: str) -> str:
    """An idempotency key as the clearing knows it: each API key has its own."""
    return f"{key_id}/{key}" if key else ""


def _restore(journal: Journal, capacity: int) -> _Restored:
    snapshot = journal.latest_snapshot()
    if snapshot is None:
        return _Restored(None, 0)
    said, found = snapshot.state_hash.hex(), hash_of(snapshot.columns)
    if found != said:
        raise _broken(journal, snapshot.seq, f"the snapshot's columns hash to {found}, it says {said}")
    clearing = Clearing.from_columns(snapshot.columns, capacity)
    if clearing.sequence != snapshot.seq:
        raise _broken(journal, snapshot.seq, f"the snapshot's clearing is at {clearing.sequence}")
    return _Restored(clearing, snapshot.seq)


def _replay(journal: Journal, clearing: Clearing | None, record: Record, sequence: int, capacity: int) -> Clearing:
    event = record.event
    if clearing is None:
        if not isinstance(event, Genesis):
            raise _broken(journal, sequence, f"a log that begins with {show(type(event).__name__)}, not with a genesis")
        return Clearing(event, capacity)
    try:
        outcome = clearing.apply(event, scoped(record.key_id, record.key))
    except InputError as error:
        raise _broken(journal, sequence, f"an event that was applied once is refused now: {error}") from error
    if outcome.sequence != sequence:
        raise _broken(journal, sequence, "an event that was applied once is refused now, or was applied before")
    return clearing


def _begin(journal: Journal, genesis: Genesis | None, capacity: int) -> Clearing:
    if genesis is None:
        raise InputError(str(journal.path), "a journal without records", "a genesis to begin it with")
    clearing = Clearing(genesis, capacity)
    journal.append([encode(genesis)])
    return clearing


def _broken(journal: Journal, sequence: int, problem: str) -> BrokenJournal:
    place: Any = f"{journal.path}: record {sequence:,}"
    return BrokenJournal(place, problem, "open it with the version of Seawall that wrote it, and report this")
