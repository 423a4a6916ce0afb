"""Records of a log into a clearing: in bulk where they say what was decided, by the engine where they do not.

Ledger events run through compiled code, the market's and the orders' by hand beside it: neither looks at the other, so
only the order within each matters. A run of records of an older schema, and the end of every log (`Refolding.ask_from`),
goes through the engine, event by event; there what records say is compared with what the engine decides.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from seawall.core.errors import BrokenJournal, InputError, InvariantError, show
from seawall.engine.clearing import Clearing
from seawall.engine.clearing_events import Outcome
from seawall.engine.facts import Facts, facts_of
from seawall.engine.frozen import State
from seawall.engine.genesis import Genesis
from seawall.engine.keys import Done, Late, done_of
from seawall.engine.refold import Refold
from seawall.ledger.bulk import BulkFold, Unwrapped, receipt_of
from seawall.ledger.bulk.envelopes import AT_NS, EVENT_FAMILY, FACTS, FACTS_END, FAMILY, KEY, KEY_SIZE, PLACE

from .records import decode, facts_in

__all__ = ["Refolding", "scoped"]

Array = np.ndarray[Any, Any]
_NIL = b"\xc0"


def scoped(key_id: str, key: str) -> str:
    """An idempotency key as the clearing knows it: each API key has its own."""
    return f"{key_id}/{key}" if key else ""


class Refolding:
    """A log's way to a clearing. place: names the log in errors; ask_from: the sequence from which on the engine is asked.

    sequence: of the last record; asked: how many records the engine was asked about; said: how many of those say what was
    decided, and say what the engine says. Raises BrokenJournal for a record that cannot be what was applied, or that says
    something else.
    """

    def __init__(self, place: str, state: State | None, capacity: int, ask_from: int) -> None:
        self.asked = self.said = 0
        self.sequence = 0 if state is None else state.head[1]
        self._place, self._capacity, self._ask_from = place, capacity, ask_from
        self._refold = None if state is None else Refold(state)
        self._clearing: Clearing | None = None
        self._bulk: BulkFold | None = None
        self._keyed: list[tuple[int, str, Done | Late]] = []

    def take(self, data: bytes, sizes: Array) -> None:
        """The next records, back to back, of sizes int64[n] bytes each."""
        batch = Unwrapped(data, sizes)
        first = 0
        if self._clearing is None and self._refold is None and len(sizes):
            self._begin(batch.record(0))
            first = 1
        count = len(sizes)
        until = max(first, min(count, self._ask_from - 1 - self._first(first)))
        silent = _first_silent(batch, first)
        if self._clearing is not None and silent < until:
            until = first  # where one in a piece is silent mostly all are: back and forth takes an evaluation of everybody
        until = min(until, silent)
        if until > first:
            self._in_bulk(batch, first, until)
        for k in range(until, count):
            self._by_engine(batch.record(k))

    def clearing(self) -> Clearing | None:
        """The clearing after all of them; None where there was no record."""
        if self._refold is not None:
            try:
                self._clearing = Clearing.of_state(self._refold.state(), self._capacity)
            except InvariantError as error:
                raise self._broken(f"after it statuses are not those that the log says: {error}") from error
            self._refold = self._bulk = None
        return self._clearing

    # -- one by one ----------------------------------------------------------------------------

    def _begin(self, data: bytes) -> None:
        event = decode(data, self._words(1)).event
        self.sequence = 1
        if not isinstance(event, Genesis):
            raise self._broken(f"a log that begins with {show(type(event).__name__)}, not with a genesis")
        self._refold = Refold.begun(event)

    def _by_engine(self, data: bytes) -> None:
        clearing = self.clearing()
        assert clearing is not None
        self.sequence += 1
        record = decode(data, self._words(self.sequence))
        try:
            outcome = clearing.apply(record.event, scoped(record.key_id, record.key))
        except InputError as error:
            raise self._refused(error) from error
        if outcome.sequence != self.sequence:
            raise self._broken("an event that was applied once is refused now, or was applied before")
        self.asked += 1
        if record.facts is None:
            return
        self.said += 1
        if (found := facts_of(clearing, record.event, outcome)) != record.facts:
            raise self._broken(f"the record says {record.facts}, the engine {found}")

    # -- in bulk -------------------------------------------------------------------------------

    def _in_bulk(self, batch: Unwrapped, first: int, until: int) -> None:
        if self._refold is None:
            assert self._clearing is not None
            self._refold, self._clearing = Refold.of(self._clearing), None
        refold, before = self._refold, self.sequence
        if self._bulk is None:
            self._bulk = BulkFold(refold.ledger, self._keep)
        table = batch.table[first:until]
        others = np.flatnonzero(table[:, FAMILY] != EVENT_FAMILY)
        self._run = _Run(batch, first, until, before, others.tolist())
        at_ns, versions = table[:, AT_NS].copy(), self._run.versions
        ledger = np.flatnonzero(table[:, FAMILY] == EVENT_FAMILY)
        if len(ledger):
            low, high = table[ledger[0], PLACE], table[ledger[-1], PLACE] + 1
            ends = np.concatenate([[0], np.cumsum(batch.sizes)])
            self._run.ledger = first + ledger
            events = memoryview(batch.events)[ends[low] : ends[high]]
            self._bulk.apply_packed(events, batch.sizes[low:high], self._other)
        self._run.others(len(table), self._by_hand)
        for k, (event_at_ns, moved) in self._run.done.items():
            at_ns[k], versions[k] = event_at_ns, moved
        for k in np.flatnonzero(table[:, FACTS]).tolist():
            said = facts_in(batch.data[table[k, FACTS] : table[k, FACTS_END]], self._words(before + 1 + k))
            if said is None:
                continue  # not here: `_first_silent`
            versions[k] = said.versions
            self._at(k, partial(refold.decided, said))
        self._move_on(before, at_ns, versions)

    def _move_on(self, before: int, at_ns: Array, versions: Array) -> None:
        refold = self._refold
        assert refold is not None
        back = np.flatnonzero(np.diff(at_ns, prepend=refold.at_ns) < 0)
        if len(back) or (versions < 0).any():
            self.sequence = before + 1 + int(back[0] if len(back) else np.argmin(versions))
            raise self._broken("a time before that of the record before it, or a market version that goes back")
        moved = np.flatnonzero(versions)
        if len(moved):
            refold.evaluated(int(versions.sum()), int(at_ns[moved[-1]]))
        self._keyed.sort(key=lambda one: one[0])
        for k, key, done in self._keyed:
            self._at(k, partial(refold.keys.take, key, done))
        self._keyed = []
        self.sequence = refold.sequence = before + len(at_ns)
        refold.at_ns = int(at_ns[-1])

    def _by_hand(self, k: int) -> tuple[Any, Facts]:
        """Applies the k-th record of the batch: its event, and what it says."""
        run, refold = self._run, self._refold
        assert refold is not None
        sequence = run.before + 1 + k - run.first
        record = decode(run.batch.record(k), self._words(sequence))
        if isinstance(record.event, Genesis) or record.facts is None:
            self.sequence = sequence
            raise self._broken("a genesis that is not the first record")
        refold.sequence = sequence - 1
        outcome = self._at(k - run.first, partial(refold.apply, record.event, record.facts))
        if record.key:
            self._keyed.append((k - run.first, scoped(record.key_id, record.key), done_of(record.event, outcome)))
        return record.event, record.facts

    def _other(self, place: int) -> None:
        """A ledger event that is not done in bulk. Orders and prices before it count: a step of closing cancels orders."""
        k = int(self._run.ledger[place])
        self._run.others(k - self._run.first, self._by_hand)
        self._run.versions[k - self._run.first] = self._by_hand(k)[1].versions

    def _keep(self, keyed: Array, lines: Array) -> None:
        """Notes events with keys, to be told of when somebody asks."""
        run, refold = self._run, self._refold
        assert refold is not None
        batch, table = run.batch, run.batch.table
        rows = run.ledger[keyed[:, 0]]
        texts, ends = table[rows, KEY], table[rows, KEY] + table[rows, KEY_SIZE]
        records = [batch.record(row) for row in rows.tolist()]
        told = _Told(records, keyed, lines, refold.ledger.state)
        first = run.first
        sequences = run.before + 1 - first + rows
        for k, (row, at_ns, start, end, sequence) in enumerate(
            zip(rows.tolist(), table[rows, AT_NS].tolist(), texts.tolist(), ends.tolist(), sequences.tolist(), strict=True)
        ):
            self._keyed.append((row - first, batch.events[start:end].decode(), _LateDone(at_ns, told, k, sequence)))

    def _at(self, k: int, work: Callable[[], Any]) -> Any:
        """Does something of the k-th record of this run, and names it where that cannot be."""
        try:
            return work()
        except InputError as error:
            self.sequence = self._run.before + 1 + k
            raise self._refused(error) from error

    # -- words ---------------------------------------------------------------------------------

    def _first(self, first: int) -> int:
        """The sequence before the first record of a batch, `first` of whose records are done."""
        return self.sequence - first

    def _words(self, sequence: int) -> str:
        return f"{self._place}: record {sequence}"

    def _refused(self, error: InputError) -> BrokenJournal:
        return self._broken(f"an event that was applied once is refused now: {error}")

    def _broken(self, problem: str) -> BrokenJournal:
        place: Any = f"{self._place}: record {self.sequence:,}"
        return BrokenJournal(place, problem, "open it with the version of Seawall that wrote it, and report this")


class _Run:
    """Records first to until − 1 of a batch; before: the sequence before the first; ledger: which are ledger events;
    versions: by how many each moved the market version; done: of other records, by place in the run, (time, versions)."""

    def __init__(self, batch: Unwrapped, first: int, until: int, before: int, others: list[int]) -> None:
        self.batch, self.first, self.until, self.before = batch, first, until, before
        self.done: dict[int, tuple[int, int]] = {}
        self._others = deque(others)
        self.ledger = np.zeros(0, np.int64)
        self.versions = np.ones(until - first, np.int64)


    def others(self, until: int, by_hand: Callable[[int], tuple[Any, Facts]]) -> None:
        """Applies those records before place `until` of the run that are no ledger events."""
        while self._others and self._others[0] < until:
            k = self._others.popleft()
            event, facts = by_hand(self.first + k)
            self.done[k] = event.at_ns, facts.versions


class _Told:
    """Records with keys that were folded together, and the lines of their postings."""

    __slots__ = ("keyed", "lines", "records", "state")

    def __init__(self, records: list[bytes], keyed: Array, lines: Array, state: Any) -> None:
        self.records, self.keyed, self.lines, self.state = records, keyed, lines, state


class _LateDone:
    """What the k-th of them did, worked out when somebody asks."""

    __slots__ = ("_k", "_made", "_sequence", "_told", "at_ns")

    def __init__(self, at_ns: int, told: _Told, k: int, sequence: int) -> None:
        self.at_ns = at_ns
        self._told: _Told | None = told
        self._k, self._sequence = k, sequence
        self._made: Done | None = None

    def done(self) -> Done:
        made, told = self._made, self._told
        if made is not None:
            return made
        assert told is not None
        record = decode(told.records[self._k])
        _, first, last, sequence = told.keyed[self._k].tolist()
        receipt = receipt_of(told.state, sequence, told.lines[first:last].tolist())
        assert record.facts is not None
        made = done_of(record.event, Outcome(self._sequence, receipt, record.facts.told()))
        self._made = made  # then the rest may go: another thread has taken it, or finds this
        self._told = None
        return made


def _first_silent(batch: Unwrapped, first: int) -> int:
    """The first record from `first` on that does not say what was decided, or that cannot be taken apart; or behind all."""
    table = batch.table
    nil = (table[:, FACTS] > 0) & (table[:, FACTS_END] - table[:, FACTS] == 1)
    for k in (first + np.flatnonzero(nil[first:] | (table[first:, FAMILY] < 0))).tolist():
        if table[k, FAMILY] < 0 or batch.data[table[k, FACTS] : table[k, FACTS_END]] == _NIL:
            return int(k)
    return len(table)
