"""From a folder to a clearing: the newest snapshot that holds, every record after it, and what was found along the way.

The journal has checked its chain when it opened. Here the snapshot's columns must hash to what it says, and each record must
apply again as the event that it is, under the sequence that it has. What was decided is taken from the records
(`refolding.py`); the engine decides the last ones again, and evaluates everybody. Anything else than what the log says stops
the start with the place.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import numpy as np

from seawall.core.errors import BrokenJournal, InputError
from seawall.engine.clearing import Clearing
from seawall.engine.frozen import State, hash_of, state_of
from seawall.engine.genesis import Genesis
from seawall.journal import Journal
from seawall.journal.reading import Packed

from .records import encode
from .refolding import Refolding, scoped

__all__ = ["ASKED", "Recovered", "gathered", "recover", "scoped"]

ASKED = 256
AT_ONCE = 16_384  # records folded together


class Recovered(msgspec.Struct, frozen=True):
    """How a service came up. sequence: of the last record; snapshot: the record after which the snapshot was taken, 0
    where there was none; replayed: records applied on top; accounts; begun: whether the journal is new; seconds of
    reading the snapshot, of the replay, and in all; torn: what was cut off an end that nobody was told of; asked: records of
    which the engine decided again what they say."""

    sequence: int
    snapshot: int
    replayed: int
    accounts: int
    begun: bool
    restore_s: float
    replay_s: float
    seconds: float
    torn: str = ""
    asked: int = 0


def recover(journal: Journal, genesis: Genesis | None, capacity: int, asked: int = ASKED) -> tuple[Clearing, Recovered]:
    """The clearing that a journal's records make. A journal without any begins with `genesis`.

    asked: about how many of the last records the engine is asked. Raises BrokenJournal for a record that cannot be what was
    applied, InputError for a new journal without a genesis.
    """
    began = time.monotonic()
    state = _restore(journal)
    restored_s = time.monotonic() - began
    snapshot = 0 if state is None else state.head[1]
    refolding = Refolding(str(journal.path), state, capacity, journal.durable.seq - asked + 1)
    for data, sizes in gathered(journal.packed(after=snapshot)):
        refolding.take(data, sizes)
    clearing = refolding.clearing()
    begun = clearing is None
    if clearing is None:
        clearing = _begin(journal, genesis, capacity)
    seconds = time.monotonic() - began
    report = Recovered(
        sequence=clearing.sequence,
        snapshot=snapshot,
        replayed=refolding.sequence - snapshot,
        accounts=len(clearing.ledger.state.names),
        begun=begun,
        restore_s=round(restored_s, 3),
        replay_s=round(seconds - restored_s, 3),
        seconds=round(seconds, 3),
        torn="; ".join(str(finding) for finding in journal.recovery.findings) if journal.recovery.status == "torn" else "",
        asked=refolding.asked,
    )
    return clearing, report


def gathered(batches: Iterable[Packed]) -> Iterator[tuple[bytes, np.ndarray]]:
    """Batches put together to some ten thousand records each: (records back to back, the length of each, int64[n])."""
    parts: list[Packed] = []
    count = 0
    for batch in batches:
        parts.append(batch)
        count += len(batch.sizes)
        if count >= AT_ONCE:
            yield b"".join([part.data for part in parts]), np.concatenate([part.sizes for part in parts])
            parts, count = [], 0
    if parts:
        yield b"".join([part.data for part in parts]), np.concatenate([part.sizes for part in parts])


def _restore(journal: Journal) -> State | None:
    snapshot = journal.latest_snapshot()
    if snapshot is None:
        return None
    said, found = snapshot.state_hash.hex(), hash_of(snapshot.columns)
    if found != said:
        raise _broken(journal, snapshot.seq, f"the snapshot's columns hash to {found}, it says {said}")
    state = state_of(snapshot.columns)
    if state.head[1] != snapshot.seq:
        raise _broken(journal, snapshot.seq, f"the snapshot's clearing is at {state.head[1]}")
    return state


def _begin(journal: Journal, genesis: Genesis | None, capacity: int) -> Clearing:
    if genesis is None:
        raise InputError(str(journal.path), "a journal without records", "a genesis to begin it with")
    clearing = Clearing(genesis, capacity)
    journal.append([encode(genesis)])
    return clearing


def _broken(journal: Journal, sequence: int, problem: str) -> BrokenJournal:
    place: Any = f"{journal.path}: record {sequence:,}"
    return BrokenJournal(place, problem, "open it with the version of Seawall that wrote it, and report this")
