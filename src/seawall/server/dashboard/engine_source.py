"""A source over an engine of this process: for `seawall demo` and for tests.

The engine's thread calls `publish` between events; that copies the arrays of all accounts at most every PERIOD_S and
answers the few questions that are waiting, each some microseconds of reading. Everything else (views, explanations,
curves, full evaluations, the stress grid) is computed from those copies in the dashboard's own threads.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

import msgspec
import numpy as np

from seawall.core.units import format_micro, format_nano
from seawall.engine.banded import Banded
from seawall.engine.decision import Decision
from seawall.engine.sweeper import Sweeper
from seawall.server.dashboard import account as accounts_of
from seawall.server.dashboard import stress as stress_of
from seawall.server.dashboard.source import ClosingSeen, Facts, Look, Names, PriceSeen, Unanswered
from seawall.server.dashboard.sweeps import Sweeps

__all__ = ["EngineSource"]

T = TypeVar("T")
PERIOD_S = 0.2
ANSWER_S = 5.0
KEPT = 50_000  # decisions
CLOSES_NOBODY = "The engine of this page tells who is liquidatable and closes nobody: closings are a service's."


class EngineSource:
    """An engine as the dashboard's source; see the module for who calls what.

    engine: a `seawall.Engine`. origin: who says the prices, for the screen. share: of wall time, at most, for full
    evaluations in the background; 0 for none, and then figures are those of each account's last evaluation.
    """

    def __init__(self, engine: Any, *, title: str = "Seawall", origin: str = "replay", share: float = 0.35) -> None:
        self.engine = engine
        self.names = Names(engine.names)
        self.origin = origin
        self._title = title
        self._facts: dict[str, Any] = {}
        self._log: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._heard = 0
        self._lock = threading.Lock()
        self._seen: dict[str, int] = dict.fromkeys(engine.watch.underlying_index, engine.at_ns)
        self._marks: dict[str, tuple[str, int]] = {}
        self._questions: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._look: Look | None = None
        self._due = 0.0
        self._ordered = np.zeros(len(engine.names), np.bool_)
        self._seen_version = np.zeros(0, np.int64)
        self._taken: tuple[stress_of.Book, int] | None = None
        self._wants_book = share > 0
        self._sweeps = Sweeps(self._take, share) if share > 0 else None
        self.record(engine.opening)
        self.publish(force=True)

    # -- on the engine's thread ----------------------------------------------------------------

    def record(self, decisions: list[Decision]) -> None:
        """Decisions, in their order."""
        rows = [
            {
                "at_ms": one.at_ns // 1_000_000,
                "account": one.account,
                "kind": one.kind,
                "status": one.status,
                "equity": one.equity_micro,
                "initial": one.initial_micro,
                "maintenance": one.maintenance_micro,
                "cause": one.cause,
                "version": one.market_version,
                "sequence": one.sequence,
            }
            for one in decisions
        ]
        with self._lock:
            for row in rows:
                self._heard += 1
                self._log.append({"n": self._heard, **row})

    def heard(self, name: str, price: str, at_ns: int | None = None) -> None:
        """A price has come in, of an underlying or the mark of an instrument; at the engine's present time, unless
        another is given."""
        at_ns = self.engine.at_ns if at_ns is None else at_ns
        if name in self._seen:
            self._seen[name] = at_ns
        else:
            self._marks[name] = (price, at_ns)

    def publish(self, *, force: bool = False, now_ns: int | None = None, **facts: Any) -> None:
        """Between events: answers what is asked, and copies the arrays if a look is due. now_ns: the time against which
        ages are told, the engine's own unless given. facts: small things for the screen, kept until replaced."""
        while self._questions:
            ask, answer = self._questions.popleft()
            try:
                answer.set_result(ask())
            except Exception as error:  # noqa: BLE001 - raised again where it was asked
                answer.set_exception(error)
        now = time.monotonic()
        if now < self._due and not force:
            return
        self._due = now + PERIOD_S
        self._facts.update(facts)
        if self._wants_book:
            self._taken, self._wants_book = (self._book(), self.engine.watch.version), False
        watch, engine = self.engine.watch, self.engine
        self._look = Look(
            at_ns=engine.at_ns,
            now_ns=engine.at_ns if now_ns is None else now_ns,
            heard_s=now,
            sequence=engine.sequence,
            version=watch.version,
            levels=np.array(watch.levels, np.int8),
            figures=np.array(watch.last_figures()[:, :3], np.int64),
            figures_at_ns=engine.at_ns,
            prices=self._prices(),
            facts=dict(self._facts),
        )
        # after the look: a reader that sees the newer look with the older array only misses some overlays
        self._seen_version = np.array(watch.state.seen) if hasattr(watch, "state") else np.zeros(0, np.int64)

    def _prices(self) -> tuple[PriceSeen, ...]:
        desk, origin = self.engine.watch.desk, (self.origin,)
        found = [
            PriceSeen(name, format_nano(int(desk.index_nano[k])), self._seen[name], origin)
            for name, k in self.engine.watch.underlying_index.items()
        ]
        found += [PriceSeen(name, price, at_ns, origin) for name, (price, at_ns) in self._marks.items()]
        return tuple(found)

    # -- the protocol --------------------------------------------------------------------------

    def facts(self) -> Facts:
        market = self.engine.watch.desk.base
        return Facts(self._title, market.settlement, self.engine.model.name, "in this process")

    def look(self) -> Look | None:
        """The newest look, its figures from the last full evaluation where an account has not been touched since."""
        look = self._look
        if look is None or self._sweeps is None:
            return look
        self._sweeps.want()
        swept, seen = self._sweeps.swept, self._seen_version
        if swept is None or isinstance(self.engine.watch, Sweeper) and not isinstance(self.engine.watch, Banded):
            return look
        newer = seen > swept.version if len(seen) else np.zeros(len(look.levels), np.bool_)
        newer |= self._ordered
        figures = np.where(newer[:, None], look.figures, swept.figures)
        return msgspec.structs.replace(look, figures=figures, figures_at_ns=swept.at_ns)

    def _take(self) -> tuple[stress_of.Book, int] | None:
        """The copy of the book that the engine's thread has left, and asks for the next."""
        taken, self._taken = self._taken, None
        self._wants_book = True
        return taken

    def decisions(self, account: str = "", kind: str = "", count: int = 100, before: int = 0) -> list[dict[str, Any]]:
        with self._lock:
            if not account and not kind and not before:
                return [self._log[-k] for k in range(1, min(count, len(self._log)) + 1)]
            rows = list(self._log)
        found = []
        for row in reversed(rows):
            if (account and row["account"] != account) or (kind and row["kind"] != kind) or (before and row["n"] >= before):
                continue
            found.append(row)
            if len(found) >= count:
                break
        return found

    def closing(self, looked_at: bool) -> ClosingSeen:
        """Nothing, and why."""
        return ClosingSeen(CLOSES_NOBODY)

    async def deleveraging(self, instrument: str, side: str, count: int) -> dict[str, Any]:
        """Nothing, and why."""
        raise Unanswered(CLOSES_NOBODY)

    async def account(self, name: str) -> dict[str, Any]:
        held = await self._ask(lambda: self._held(name))
        found = await asyncio.to_thread(accounts_of.detail, held)
        return found | {"history": self.decisions(account=name)}

    async def curves(self, name: str, underlying: str, span_ppm: int) -> dict[str, Any]:
        held = await self._ask(lambda: self._held(name))
        return await asyncio.to_thread(accounts_of.curves, held, underlying, span_ppm)

    async def what_if(self, name: str, question: accounts_of.Question) -> dict[str, Any]:
        held = await self._ask(lambda: self._held(name))
        return await asyncio.to_thread(accounts_of.what_if, held, question)

    async def instruments(self) -> list[dict[str, Any]]:
        market = await self._ask(lambda: self.engine.market)
        return await asyncio.to_thread(accounts_of.instruments_of, market)

    async def stress(self) -> dict[str, Any] | None:
        return None if self._sweeps is None else self._sweeps.grid

    async def parameters(self) -> dict[str, Any]:
        def read() -> dict[str, Any]:
            glide = self.engine.watch.glide
            model = self.engine.watch.model
            coming = None
            if glide is not None:
                coming = {
                    "start_ms": glide.start_ns // 1_000_000,
                    "end_ms": (glide.start_ns + glide.length_ns) // 1_000_000,
                    "stage": glide.stage,
                    "stages": len(glide.models),
                    "target": msgspec.to_builtins(glide.models[-1].parameters),
                }
            return {"model": model.name, "values": msgspec.to_builtins(model.parameters), "coming": coming}

        return await self._ask(read)

    async def audit(self) -> dict[str, Any]:
        """The state hash, and how many recorded statuses a full evaluation contradicts."""

        def read() -> dict[str, Any]:
            wrong = self.engine.audit()
            return {
                "state_hash": self.engine.state_hash(),
                "at_ms": self.engine.at_ns // 1_000_000,
                "decisions": self.engine.sequence,
                "accounts": len(self.engine.names),
                "contradicted": wrong[:50],
                "contradictions": len(wrong),
                "metrics": {k: v for k, v in self.engine.metrics.items() if isinstance(v, int | float)},
                "journal": None,
                "writes": [],
            }

        return await self._ask(read)

    async def close(self) -> None:
        """Questions that still wait are told that nobody will answer."""
        while self._questions:
            self._questions.popleft()[1].set_exception(Unanswered("the dashboard is closing"))
        if self._sweeps is not None:
            await asyncio.to_thread(self._sweeps.close)

    # -- inside --------------------------------------------------------------------------------

    async def _ask(self, question: Callable[[], T]) -> T:
        """What the question returns on the engine's thread; Unanswered where that does not come by in time."""
        answer: Future[T] = Future()
        self._questions.append((question, answer))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(answer), ANSWER_S)
        except TimeoutError:
            raise Unanswered("the engine has not answered in time") from None

    def _held(self, name: str) -> accounts_of.Held:
        engine = self.engine
        row = engine.account_of(name)
        legs, lots = engine.book.positions.rows(row)
        figures = engine.figures(name)
        orders = [
            {"id": order, "leg": engine.watch.desk.base.legs.symbols[leg], "lots": count, "limit": format_nano(limit)}
            for (owner, order), rows in engine.book.open.items()
            if owner == row
            for leg, count, limit in rows
        ]
        corridor = msgspec.to_builtins(engine.corridors(name))
        return accounts_of.Held(
            account=name,
            market=engine.market,
            model=engine.watch.model,
            legs=np.array(legs, np.int32),
            lots=np.array(lots, np.int64),
            cash_nano=int(engine.book.cash_nano[row]),
            level=int(engine.watch.levels[row]),
            figures=(figures.equity_micro, figures.initial_micro, figures.maintenance_micro),
            orders=tuple(orders),
            corridor=corridor,
            balances=({"asset": engine.watch.desk.base.settlement, "amount": format_micro(int(engine.book.cash_nano[row]) // 1000)},),
        )

    def _book(self) -> stress_of.Book:
        """A copy of every position, and which accounts have open orders."""
        book = self.engine.book
        starts = np.array(book.positions.start, np.int64)
        leg, lots = (np.array(column) for column in book.positions.columns)
        self._ordered = np.asarray(book.orders.length) > 0
        return stress_of.Book(
            starts, starts + book.positions.length, leg, lots, np.array(book.cash_nano), self.engine.market, self.engine.watch.model
        )
