"""The service: the clearing, its journal, and everybody who writes, reads or listens, on one loop.

A request becomes an event, the fold applies it, the journal takes it; the answer, the stream and the status board
hear of it once the disk has it (`outbox.py`). So the fold runs ahead of the disk by a group of records, and nobody is
shown that. All methods belong to the loop's thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from seawall.core.errors import InputError, JournalStopped, invariant
from seawall.engine.clearing import Clearing
from seawall.engine.clearing_events import ClearingEvent, ClosingStep, Outcome
from seawall.engine.decision import Decision, Verdict
from seawall.engine.facts import facts_of
from seawall.engine.genesis import Genesis
from seawall.engine.status_board import StatusBoard
from seawall.journal import Journal, Limits
from seawall.ledger.chart import CLEARING, OUTSIDE, ROUNDING
from seawall.ledger.events import Receipt
from seawall.liquidation.closing_desk import Seal

from . import requests as wire
from .closing.liquidator import Liquidator
from .closing.said import Narrator
from .config import LiquidatorTable
from .looking import Looking
from .outbox import Outbox, Unavailable
from .records import SCHEMA, encode, with_facts
from .recovery import ASKED, Recovered, recover, scoped
from .tending import BEATS, LATE_S, BoardFeed, SnapshotTaken, Snapshotter
from .turning import event_of

__all__ = ["Message", "Service", "ServiceConfig", "Unavailable", "Written"]

_SILENT_KINDS = (OUTSIDE, ROUNDING, CLEARING)  # the other sides of everything, which nobody listens for


class ServiceConfig(msgspec.Struct, frozen=True, kw_only=True):
    """folder: of the journal; genesis: what a new one begins with (one that exists keeps its own); backend: of a new
    one; capacity: accounts that there is room for; limits: when a slow disk is too slow.

    board: path of the status board, none where None. snapshot_every_s, snapshot_every_records: when a snapshot is due,
    whichever comes first, 0: never; snapshot_on_close: and at a graceful end. clock_every_s: where nothing else came
    for so long, the time is recorded as an event, so that options decay and glides move; 0: never. asked: of so many records
    at the end of the log the engine decides again at a start what they say. wrap: something around the journal's backend,
    such as a slow or failing disk (`Journal.open`). liquidator: how it works on
    accounts that it closes, where the genesis has terms for that; None: it does not, and somebody else records the steps.
    """

    folder: Path
    genesis: Genesis | None = None
    backend: str = "sqlite"
    capacity: int = 10_000
    limits: Limits = Limits()
    board: Path | None = None
    snapshot_every_s: float = 60.0
    snapshot_every_records: int = 10_000_000
    snapshot_on_close: bool = True
    clock_every_s: float = 1.0
    asked: int = ASKED
    wrap: Any = None
    liquidator: LiquidatorTable | None = LiquidatorTable()


class Written(msgspec.Struct, frozen=True):
    """What a write did, durably. sequence: of its record, 0 where margin refused it and nothing was recorded;
    repeated: its idempotency key was used before by the same request, and this is what happened then. closing: what the
    closing desk said to it."""

    sequence: int
    at_ns: int
    receipt: Receipt | None = None
    verdict: Verdict | None = None
    decisions: tuple[Decision, ...] = ()
    repeated: bool = False
    closing: tuple[Any, ...] = ()


class Message(msgspec.Struct, frozen=True):
    """What listeners hear, after it is durable. type: "decision", "account", "price", "parameters", "liquidation" or "system"."""

    type: str
    sequence: int
    at_ns: int
    data: dict[str, Any]


class Service(Looking):
    """One venue. Make one with `await Service.open(config)`, end it with `await close()`.

    recovered: how it came up. board: the status board, where there is one.
    """

    def __init__(
        self, config: ServiceConfig, journal: Journal, clearing: Clearing, recovered: Recovered, clock: Callable[[], int]
    ) -> None:
        self.config = config
        self.journal = journal
        self.clearing = clearing
        self.recovered = recovered
        self._clock = clock
        self._listeners: list[Callable[[Message], None]] = []
        self._seen: dict[str, tuple[int, str]] = {}
        self._broken = ""
        self._outbox = Outbox(journal)
        self._snapshots = Snapshotter(journal, clearing)
        self.board: StatusBoard | None = None
        self._feed: BoardFeed | None = None
        if config.board is not None:
            names = clearing.ledger.state.names
            self.board = StatusBoard.create(config.board, clearing.capacity, names, generation=journal.epoch)
            self._feed = BoardFeed(self.board, clearing, journal)
            self._feed.everything()
            self._feed.beat(clock())
        self._tending = asyncio.create_task(self._tend(), name="tending")
        self.narrator = Narrator(clearing)
        self.liquidator: Liquidator | None = None
        self._closing: asyncio.Task[None] | None = None
        if clearing.desk is not None and config.liquidator is not None:
            table = config.liquidator
            self.liquidator = Liquidator(clearing, table, self.step, self._tell_closing, clock, lambda: self._seen)
            self._closing = asyncio.create_task(self.liquidator.run(), name="closing")

    @classmethod
    async def open(cls, config: ServiceConfig, clock: Callable[[], int] = time.time_ns) -> Service:
        """Opens the journal and folds it; a new one begins with the genesis of the configuration.

        Raises JournalLocked where another process has it, BrokenJournal for damage, InputError for a configuration
        that cannot be.
        """
        journal = Journal.open(
            config.folder, backend=config.backend, schema=SCHEMA, limits=config.limits, wrap=config.wrap
        )
        try:
            clearing, recovered = recover(journal, config.genesis, config.capacity, config.asked)
            return cls(config, journal, clearing, recovered, clock)
        except BaseException:
            with contextlib.suppress(JournalStopped):
                journal.close()
            raise

    # -- writing -------------------------------------------------------------------------------

    async def write(self, request: wire.Request, *, key_id: str = "", idempotency: str = "", seal: Seal | None = None) -> Written:
        """Applies a request and returns when it is durable and shown.

        key_id: who writes, kept in the record. idempotency: under the same one of the same writer a request is applied
        once, and answered as then. Raises InputError where it cannot be (nothing is recorded), DuplicateRow where the
        key was used for something else, Unavailable where the journal takes nothing or stops before it has this. seal: with
        what the writer has signed the request, kept in the record.
        """
        written = self._apply(request, key_id, idempotency, seal)
        if written.sequence:
            await self._outbox.wait(self.clearing.sequence if written.repeated else written.sequence)
        return written

    def now_ns(self) -> int:
        """The service's clock, which never goes back behind its last event."""
        return max(self._clock(), self.clearing.at_ns)

    async def write_all(self, some: Sequence[wire.Request], *, key_id: str = "") -> list[Written]:
        """Requests in order, one wait for the disk for all of them; those before one that raises are applied."""
        done = [self._apply(request, key_id, "") for request in some]
        await self.settled()
        return done

    async def settled(self) -> None:
        """Returns when everything applied so far is durable and shown; Unavailable where it will not be."""
        await self._outbox.wait(self.clearing.sequence)

    def _apply(self, request: wire.Request, key_id: str, idempotency: str, seal: Seal | None = None) -> Written:
        self._refuse_if_unable()
        if self.liquidator is not None and isinstance(request, wire.Reduce | wire.Flatten):
            self.liquidator.ahead(request.account)
        event = event_of(self.clearing, request, self.now_ns())
        if seal is not None and isinstance(event, ClosingStep):
            event = msgspec.structs.replace(event, what=msgspec.structs.replace(event.what, seal=seal))
        return self._apply_event(event, request, key_id, idempotency)

    def step(self, what: Any) -> Written:
        """Records a step of closing that the service itself makes, now. Raises as `write`, but waits for nothing."""
        self._refuse_if_unable()
        return self._apply_event(ClosingStep(at_ns=self.now_ns(), what=what), None, "", "")

    def _apply_event(self, event: ClearingEvent, request: wire.Request | None, key_id: str, idempotency: str) -> Written:
        clearing = self.clearing
        at_ns = event.at_ns
        record = encode(event, key_id, idempotency)
        self._refuse_if_unable(len(record))
        try:
            outcome = clearing.apply(event, scoped(key_id, idempotency))
        except InputError:
            raise
        except Exception as error:
            self._broken = f"{type(error).__name__}: {error}"
            raise
        answer = Written(
            outcome.sequence, at_ns, outcome.receipt, outcome.verdict, outcome.decisions, outcome.repeated
        )
        if outcome.sequence and not outcome.repeated:
            self._record(with_facts(record, event, facts_of(clearing, event, outcome)), outcome.sequence)
            told = self._show(request, event, outcome, key_id)
            if self.liquidator is not None:
                self.liquidator.heard(event, outcome)
            if told:
                return msgspec.structs.replace(answer, closing=told)
        return answer

    def _record(self, record: bytes, sequence: int) -> None:
        try:
            taken = self.journal.submit([record], promised=True)
        except JournalStopped as error:
            raise Unavailable(str(error)) from error
        invariant(taken == sequence, "one record is one event", f"record {taken}, event {sequence}")

    def _refuse_if_unable(self, size: int = 0) -> None:
        if self._broken:
            raise Unavailable(f"the service has found a defect in itself and takes no more writes: {self._broken}")
        self._outbox.check()
        for task in (self._tending, self._closing):
            if task is not None and task.done() and not task.cancelled():
                task.result()
        try:
            self.journal.refuse_if_unable(size)
        except JournalStopped as error:
            raise Unavailable(str(error)) from error

    # -- showing -------------------------------------------------------------------------------

    def listen(self, hear: Callable[[Message], None]) -> None:
        """From now on `hear` is called with every message, in order, once it is durable. It must not block or raise."""
        self._listeners.append(hear)

    def _show(
        self, request: wire.Request | None, event: ClearingEvent, outcome: Outcome, key_id: str
    ) -> tuple[dict[str, Any], ...]:
        """What is to be seen of an event, made now and let go when it is durable; of it what the closing desk said."""
        messages = self._messages(request, event, outcome, key_id)
        shows: list[Callable[[], None]] = []
        if self._feed is not None:
            shows += self._rows(self._feed, outcome)
        if messages:
            shows.append(lambda: self._tell(messages))
        if shows:
            self._outbox.put(outcome.sequence, *shows)
        return tuple(message.data for message in messages if message.type == "liquidation")

    def _tell(self, messages: list[Message]) -> None:
        for message in messages:
            for hear in self._listeners:
                hear(message)

    def _rows(self, feed: BoardFeed, outcome: Outcome) -> list[Callable[[], None]]:
        shows: list[Callable[[], None]] = []
        if names := feed.opened():
            shows.append(lambda: (feed.board.add_names(names), None)[1])
        index = self.clearing.ledger.state.rows
        changed = {index[decision.account] for decision in outcome.decisions}
        if outcome.receipt is not None:
            changed |= {index[line.account] for line in outcome.receipt.postings}
        if changed:
            rows = np.array(sorted(changed), np.int64)
            values = feed.values(rows)
            shows.append(lambda: feed.board.write(rows, values))
        return shows

    def _tell_closing(self, data: dict[str, Any]) -> None:
        """Something on the stream that is no event of its own, when all before it is durable."""
        message = Message("liquidation", self.clearing.sequence, self.clearing.at_ns, data)
        self._outbox.put(self.clearing.sequence, lambda: self._tell([message]))

    def _messages(self, request: wire.Request | None, event: ClearingEvent, outcome: Outcome, key_id: str) -> list[Message]:
        at_ns = event.at_ns
        found: list[tuple[str, dict[str, Any]]] = []
        cause = "closing" if request is None else request.__struct_config__.tag
        match request:
            case wire.Ticks() | wire.Marks():
                source = request.source or key_id
                for name, price in request.prices.items():
                    self._seen[name] = at_ns, source
                    found.append(("price", {"name": name, "price": price, "source": source}))
            case wire.Parameters():
                found.append(("parameters", msgspec.to_builtins(request)))
            case wire.Order() | wire.Cancel():
                found.append(("account", {"account": request.account, "cause": cause, "order": request.id}))
            case wire.OpenAccount() | wire.SetState():
                found.append(("account", {"account": request.account, "cause": cause}))
            case wire.OpenBucket():
                found.append(("account", {"account": f"{request.owner}:{request.bucket}", "cause": cause}))
        if outcome.receipt is not None:
            by_account: dict[str, list[dict[str, Any]]] = {}
            state = self.clearing.ledger.state
            for line in outcome.receipt.postings:
                if state.kind[state.rows[line.account]] not in _SILENT_KINDS:
                    posting = {"part": line.part, "unit": line.unit, "amount": line.amount, "instrument": line.instrument}
                    by_account.setdefault(line.account, []).append(posting)
            found += [
                ("account", {"account": name, "cause": cause, "postings": lines}) for name, lines in by_account.items()
            ]
        found += [("decision", msgspec.to_builtins(decision)) for decision in outcome.decisions]
        found += [("liquidation", data) for data in self.narrator.tell(event, outcome)]
        return [Message(kind, outcome.sequence, at_ns, data) for kind, data in found]

    # -- by itself -----------------------------------------------------------------------------

    async def _tend(self) -> None:
        """Time, board and snapshots, several times a second, for as long as the journal goes on."""
        config, clearing = self.config, self.clearing
        taken_at, taken_seq = time.monotonic(), clearing.sequence
        snapshot: asyncio.Task[Any] | None = None
        while True:
            for _ in range(BEATS):
                await asyncio.sleep(LATE_S)
                if self._feed is not None:
                    self._late_rows(self._feed)
            if config.clock_every_s and self._clock() - clearing.at_ns > config.clock_every_s * 1e9:
                with contextlib.suppress(Unavailable):
                    self._apply(wire.Clock(), "", "")
            grown, aged = clearing.sequence - taken_seq, time.monotonic() - taken_at
            by_count = 0 < config.snapshot_every_records <= grown
            by_time = 0 < config.snapshot_every_s <= aged and grown > 0
            if (by_count or by_time) and (snapshot is None or snapshot.done()):
                taken_at, taken_seq = time.monotonic(), clearing.sequence
                snapshot = asyncio.create_task(self._snapshots.take(), name="snapshot")

    def _late_rows(self, feed: BoardFeed) -> None:
        rows, values = feed.late()
        if len(rows):
            self._outbox.put(self.clearing.sequence, lambda: feed.board.write(rows, values))
        if not (self._outbox.stopped or self._broken):  # a stopped service gives no sign of life: readers give no credit then
            feed.beat(self._clock())

    async def snapshot(self) -> SnapshotTaken | None:
        """Takes a snapshot now; None where the disk refuses it, which `status()` tells."""
        return await self._snapshots.take()

    def status(self) -> dict[str, Any]:
        """Health. state: "ok", or why nothing is written; lag: events applied that the disk does not have yet;
        staleness_s: age of the newest event; hash: of the last snapshot's state; board: its path."""
        journal = self.journal.status()
        state = "broken" if self._broken else "ok" if journal["state"] == "accepting" else journal["state"]
        return {
            "state": state,
            "reason": self._broken or journal["reason"] or "",
            "journal": journal,
            "sequence": self.clearing.sequence,
            "durable_sequence": journal["durable_sequence"],
            "lag": self.clearing.sequence - journal["durable_sequence"],
            "at_ns": self.clearing.at_ns,
            "staleness_s": max(0, self._clock() - self.clearing.at_ns) / 1e9,
            "accounts": len(self.clearing.ledger.state.names),
            "capacity": self.clearing.capacity,
            "snapshot": None if self._snapshots.last is None else msgspec.to_builtins(self._snapshots.last),
            "snapshot_failed": self._snapshots.failed,
            "board": None if self.board is None else str(self.board.path),
        }

    # -- the end -------------------------------------------------------------------------------

    async def close(self) -> None:
        """Waits for what was taken, takes a snapshot, lets go of the journal. Safe to call twice."""
        for task in (self._closing, self._tending):
            if task is not None and not task.done():
                task.cancel()
                await asyncio.wait([task])
        with contextlib.suppress(Unavailable):
            await self._outbox.wait(self.clearing.sequence)
            if self.config.snapshot_on_close and not self._broken:
                await self._snapshots.take()
        await self._outbox.close()
        if self.board is not None:
            self.board.close()
        with contextlib.suppress(JournalStopped):
            self.journal.close()
