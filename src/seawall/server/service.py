"""The service: the clearing, its journal, and everybody who writes, reads or listens, on one loop.

A request becomes an event, the fold applies it, the journal takes it; the answer, the stream and the status board
hear of it once the disk has it. Reads come from memory and so may be ahead of the disk by one group (`settled`
waits for it). All methods belong to the loop's thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from seawall.core.errors import InputError, JournalBusy, JournalStopped, SeawallError, invariant, show
from seawall.core.units import MICRO, parse_decimal, to_int_exact
from seawall.engine.clearing import Clearing
from seawall.engine.clearing_events import Outcome
from seawall.engine.decision import Decision, Figures, Verdict
from seawall.engine.genesis import Genesis
from seawall.journal import Journal, Limits
from seawall.ledger.events import Receipt

from . import requests as wire
from . import views
from .records import SCHEMA, decode, encode, encode_genesis
from .turning import event_of

__all__ = ["Message", "Service", "ServiceConfig", "Unavailable", "Written"]


class Unavailable(SeawallError):
    """The journal takes nothing at present; nothing was lost, the same request may be sent again."""

    exit_code = 5


class ServiceConfig(msgspec.Struct, frozen=True, kw_only=True):
    """folder: of the journal; backend: of a new one; genesis: what a new journal begins with (one that exists keeps
    its own); capacity: accounts that there is room for; limits: when a slow disk is too slow."""

    folder: Path
    genesis: Genesis | None = None
    backend: str = "sqlite"
    capacity: int = 10_000
    limits: Limits = Limits()


class Written(msgspec.Struct, frozen=True):
    """What a write did, durably. sequence: of its record, 0 where margin refused it and nothing was recorded;
    repeated: its idempotency key was used before by the same request, and this is what happened then."""

    sequence: int
    at_ns: int
    receipt: Receipt | None = None
    verdict: Verdict | None = None
    decisions: tuple[Decision, ...] = ()
    repeated: bool = False


class Message(msgspec.Struct, frozen=True):
    """What listeners hear, after it is durable. type: "decision", "account", "price", "parameters" or "system"."""

    type: str
    sequence: int
    at_ns: int
    data: dict[str, Any]


class Service:
    """One venue. Make one with `await Service.open(config)`, end it with `await close()`."""

    def __init__(self, config: ServiceConfig, journal: Journal, clearing: Clearing, clock: Callable[[], int]) -> None:
        self.config = config
        self.journal = journal
        self.clearing = clearing
        self._clock = clock
        self._listeners: list[Callable[[Message], None]] = []
        self._seen: dict[str, tuple[int, str]] = {}
        self.recovered: dict[str, Any] = {}

    @classmethod
    async def open(cls, config: ServiceConfig, clock: Callable[[], int] = time.time_ns) -> Service:
        """Opens the journal and folds it; a new one begins with the genesis of the configuration."""
        journal = Journal.open(config.folder, backend=config.backend, schema=SCHEMA, limits=config.limits)
        try:
            began = time.monotonic()
            clearing, records = _fold(journal, config)
        except BaseException:
            journal.close()
            raise
        service = cls(config, journal, clearing, clock)
        service.recovered = {"records": records, "seconds": time.monotonic() - began, "sequence": clearing.sequence}
        return service

    # -- writing -------------------------------------------------------------------------------

    async def write(self, request: wire.Request, *, key_id: str = "", idempotency: str = "") -> Written:
        """Applies a request and returns when it is durable.

        Raises InputError where it cannot be (nothing is recorded), Unavailable where the journal takes nothing.
        """
        self._refuse_if_unable()
        at_ns = max(self._clock(), self.clearing.at_ns)
        event = event_of(self.clearing, request, at_ns)
        outcome = self.clearing.apply(event)
        if not outcome.sequence:
            return Written(0, at_ns, None, outcome.verdict)
        try:
            sequence = await self.journal.append_async([encode(event, key_id, idempotency)])
        except JournalStopped as error:
            raise Unavailable(str(error)) from error
        invariant(sequence == outcome.sequence, "one record is one event", f"{sequence}, {outcome.sequence}")
        self._tell(request, outcome, at_ns, key_id)
        return Written(sequence, at_ns, outcome.receipt, outcome.verdict, outcome.decisions)

    def _refuse_if_unable(self) -> None:
        status = self.journal.status()
        if status["state"] != "accepting":
            raise Unavailable(f"the journal is {status['state']}: {status['reason']}")

    # -- listening -----------------------------------------------------------------------------

    def listen(self, hear: Callable[[Message], None]) -> None:
        """From now on `hear` is called with every message, in order, once it is durable. It must not block."""
        self._listeners.append(hear)

    def _tell(self, request: wire.Request, outcome: Outcome, at_ns: int, key_id: str) -> None:
        messages: list[tuple[str, dict[str, Any]]] = []
        if isinstance(request, wire.Ticks | wire.Marks):
            for name, price in request.prices.items():
                self._seen[name] = at_ns, request.source or key_id
                messages.append(("price", {"name": name, "price": price, "source": request.source or key_id}))
        if isinstance(request, wire.Parameters):
            messages.append(("parameters", msgspec.to_builtins(request)))
        if outcome.receipt is not None:
            for name in sorted({line.account for line in outcome.receipt.postings}):
                messages.append(("account", {"account": name, "request": request.__struct_config__.tag}))
        messages += [("decision", msgspec.to_builtins(decision)) for decision in outcome.decisions]
        for kind, data in messages:
            message = Message(kind, outcome.sequence, at_ns, data)
            for hear in self._listeners:
                hear(message)

    # -- reading -------------------------------------------------------------------------------

    def account(self, name: str) -> views.AccountView:
        """Everything about one account."""
        return views.account_view(self.clearing, name)

    def figures(self, name: str) -> Figures:
        """Exact figures at the present market."""
        return self.clearing.engine.figures(name)

    def what_if(
        self, name: str, trades: Mapping[str, str] | Sequence[tuple[str, str]], deposit: str | None = None
    ) -> Figures:
        """Figures as if trades (instrument, quantity) were done at the mark, and money deposited (withdrawn, where
        negative)."""
        pairs = list(trades.items()) if isinstance(trades, Mapping) else list(trades)
        found = self.clearing.engine.what_if(name, pairs)
        if deposit is None:
            return found
        more = to_int_exact(parse_decimal(deposit, "deposit"), MICRO, "deposit")
        return Figures(found.equity_micro + more, found.initial_micro, found.maintenance_micro)

    def check(self, name: str, instrument: str, quantity: str, price: str) -> Verdict:
        """What an order would be answered."""
        return self.clearing.check(name, instrument, quantity, price)

    def accounts(self, **how: Any) -> views.Page:
        """A page of accounts: status, sort, descending, search, offset, limit, users_only; see `views.page`."""
        return views.page(self.clearing, **how)

    def overview(self, worst: int = 50) -> views.Overview:
        """Totals, counts, histogram and the accounts nearest to liquidation."""
        return views.overview(self.clearing, worst)

    def prices(self) -> list[views.PriceView]:
        """Index prices with age and source."""
        return views.prices(self.clearing, self._seen, self._clock())

    def market(self) -> Any:
        """The present market as a snapshot (`seawall.Market`)."""
        return self.clearing.engine.market

    def parameters(self) -> dict[str, Any]:
        """The model, its parameters at present, and whether they are moving."""
        watch = self.clearing.engine.watch
        return {
            "model": watch.model.name,
            "parameters": msgspec.to_builtins(watch.model.parameters),
            "gliding": watch.glide is not None,
        }

    def corridors(self, name: str) -> Any:
        """The certified safe corridor of an account."""
        return self.clearing.engine.corridors(name)

    def status(self) -> dict[str, Any]:
        """Health: the journal, how far the fold is ahead of it, and how old the newest event is."""
        journal = self.journal.status()
        now_ns = self._clock()
        return {
            "journal": journal,
            "sequence": self.clearing.sequence,
            "durable_sequence": journal["durable_sequence"],
            "lag": self.clearing.sequence - journal["durable_sequence"],
            "at_ns": self.clearing.at_ns,
            "staleness_s": max(0, now_ns - self.clearing.at_ns) / 1e9,
        }

    # -- the end -------------------------------------------------------------------------------

    async def close(self) -> None:
        """Writes what was taken and lets go of the journal."""
        self.journal.close()


def _fold(journal: Journal, config: ServiceConfig) -> tuple[Clearing, int]:
    """The clearing that a journal's records make, and how many they are."""
    clearing: Clearing | None = None
    count = 0
    for batch in journal.batches():
        for record in batch.records:
            count += 1
            event = decode(record, f"record {count}").event
            if clearing is None:
                invariant(isinstance(event, Genesis), "a log begins with its genesis", show(type(event).__name__))
                clearing = Clearing(event, config.capacity)
                continue
            outcome = clearing.apply(event)
            invariant(outcome.sequence == count, "a recorded event is applied again", f"record {count}")
    if clearing is None:
        if config.genesis is None:
            raise InputError("genesis", "nothing", "a genesis: the journal is new")
        clearing = Clearing(config.genesis, config.capacity)
        try:
            journal.append([encode_genesis(config.genesis)])
        except JournalBusy as error:
            raise Unavailable(str(error)) from error
        count = 1
    return clearing, count
