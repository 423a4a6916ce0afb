"""A source over a running service, from outside: its status board, its stream, and its API for the rest.

The board gives every account's status and figures without a call; the stream gives decisions and prices; positions and the
market come through the API when an account is looked into, and page by page for the sweeps. The service does not wait for
any of it, and this process may end and begin again without its noticing.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import numpy as np

from seawall.client.sending import Retry, headers_of, trusted
from seawall.client.stream import follow_async
from seawall.client.types import Message, Snapshot
from seawall.core.errors import InputError, SeawallError, UnreadableFile
from seawall.core.units import MICRO, NANO, PPM
from seawall.server.dashboard import account as accounts_of
from seawall.server.dashboard.remote_book import RemoteBook
from seawall.server.dashboard.service_closing import ServiceClosing
from seawall.server.dashboard.service_metrics import Quantile, buckets_of, stages_of
from seawall.server.dashboard.source import STATUSES, ClosingSeen, Facts, Look, Names, PriceSeen, Unanswered
from seawall.server.dashboard.sweeps import Sweeps
from seawall.statusboard.reader import BoardReader, Header

__all__ = ["ServiceSource"]

KEPT = 50_000  # decisions
STATUS_S = 1.0
AGAIN_S = 1.0  # after a broken stream
SHARE = 0.25


class ServiceSource:
    """url: of the service; board: its status board's file; key: an API key that may read, empty for none. Made on a loop
    by `await ServiceSource.open(…)`."""

    def __init__(self, url: str, board: Path, key: str = "", *, share: float = SHARE) -> None:
        self.url, self._board_path = url.rstrip("/"), board
        self._headers = headers_of(key or None)
        self._http = httpx.AsyncClient(base_url=self.url, headers=self._headers, timeout=10.0, verify=trusted(), trust_env=False)
        self._remote = RemoteBook(self.url, self._headers)
        self._closing = ServiceClosing(self.url, self._headers, self._http)
        self._sweeps = Sweeps(self._take, share)
        self.names = Names([])
        self._rows = np.zeros(0, np.int64)
        self._board: BoardReader | None = None
        self._last: Look | None = None
        self._lock = threading.Lock()
        self._log: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._heard = 0
        self._prices: dict[str, PriceSeen] = {}
        self._status: dict[str, Any] = {}
        self._ticks = Quantile()
        self._facts = Facts(self.url, "", "", "service")
        self._tasks: list[asyncio.Task[None]] = []
        self._problem = ""

    @classmethod
    async def open(cls, url: str, board: Path, key: str = "", *, share: float = SHARE) -> ServiceSource:
        """Waits for the service and its board. Raises Unanswered where there is none."""
        source = cls(url, board, key, share=share)
        market, model = await asyncio.to_thread(source._remote.market)
        await asyncio.to_thread(source._remote.take)
        await source._read_status()
        source._facts = Facts(str(source._status["name"]), market.settlement, model.name, "service")
        await asyncio.to_thread(source._open_board)
        closing = source._closing
        work = {"stream": source._follow(), "status": source._poll(), "closings": closing.run(), "their stream": closing.follow()}
        source._tasks = [asyncio.create_task(one, name=name) for name, one in work.items()]
        return source

    def facts(self) -> Facts:
        return self._facts

    # -- looks ---------------------------------------------------------------------------------

    def look(self) -> Look | None:
        """The board's rows of users' accounts, their figures from the last sweep where it is the newer. A board whose service
        is silent or gone says nothing: then the last look stays, with its age."""
        for task in self._tasks:
            if task.done() and not task.cancelled() and task.exception() is not None:
                raise RuntimeError(f"the task {task.get_name()} has failed") from task.exception()
        with self._lock:
            board = self._board
            if board is None or self._outdated(board):
                board = self._open_board()
                if board is None:
                    return self._older()
            values, known = board.read_all(0, len(self._remote.users))
            told = board.header()
            if not isinstance(told, Header) or not told.fresh or not known.any():
                return self._older()
        users = np.flatnonzero(self._remote.users[: len(known)] & known)
        if len(users) != len(self._rows):
            names = list(board.names())
            self._rows, self.names = users, Names([names[row] for row in users.tolist()])
        values = values[users]
        now = time.monotonic()
        self._sweeps.want()
        figures, oldest = values[:, :3], int(values[:, 6].min()) if len(values) else 0
        swept = self._sweeps.swept
        if swept is not None and len(swept.figures) > (users.max() if len(users) else -1):
            newer = (values[:, 6] > swept.at_ns) | (self._remote.orders[users] > 0)
            figures, oldest = np.where(newer[:, None], figures, swept.figures[users]), swept.at_ns
        status = self._status
        facts: dict[str, Any] = {"durable_seq": status.get("durable_sequence", 0), "lag": status.get("lag", 0), "state": status.get("state", "")}
        if self._ticks.seconds is not None:
            facts |= {"tick_p99_us": round(self._ticks.seconds * 1e6, 1), "tick_count": self._ticks.count}
        self._last = Look(
            at_ns=told.heartbeat_ns,
            now_ns=time.time_ns(),
            heard_s=now - told.age_s,
            sequence=told.durable_seq,
            version=told.market_version,
            levels=values[:, 3].astype(np.int8),
            figures=figures,
            figures_at_ns=oldest,
            prices=tuple(self._prices.values()),
            facts=facts | ({"problem": problem} if (problem := self._problem or self._closing.problem) else {}),
        )
        return self._last

    def _older(self) -> Look | None:
        """The last look, told at the present time; None before the first."""
        return None if self._last is None else msgspec.structs.replace(self._last, now_ns=time.time_ns())

    def _outdated(self, board: BoardReader) -> bool:
        """Whether another board stands at the path: the service has started again."""
        found = board.read(0)
        return not found and getattr(found, "reason", "") == "replaced"

    def _open_board(self) -> BoardReader | None:
        if self._board is not None:
            self._board.close()
            self._board = None
        try:
            self._board = BoardReader(self._board_path)
        except UnreadableFile as error:
            self._problem = str(error)
            return None
        self._problem = ""
        return self._board

    def _take(self) -> tuple[Any, int] | None:
        """The whole book for the sweeps; none while the service does not answer, which the board tells anyway."""
        try:
            return self._remote.take()
        except Unanswered as error:
            self._problem = str(error)
            return None

    # -- the stream ----------------------------------------------------------------------------

    async def _follow(self) -> None:
        """Decisions and prices, for as long as this lives; a broken stream is begun again."""
        channels = ("decision", "price", "parameters")
        while True:
            try:
                async for told in follow_async(self.url, self._headers, channels, (), Retry(), trusted()):
                    self._hear(told)
            except SeawallError as error:
                self._problem = str(error)
            await asyncio.sleep(AGAIN_S)

    def _hear(self, told: Snapshot | Message) -> None:
        if isinstance(told, Snapshot):
            for row in told.data.get("prices", ()):
                self._price(row["name"], row["price"], row["at_ns"], row["source"])
        elif told.type == "price":
            for name, row in told.data.items():
                self._price(name, row["price"], told.at_ns, row["source"])
        elif told.type == "decision":
            self._decided(told.data)

    def _price(self, name: str, price: str, at_ns: int, source: str) -> None:
        self._prices[name] = PriceSeen(name, price, at_ns, (source,) if source else ())

    def _decided(self, one: dict[str, Any]) -> None:
        with self._lock:
            self._heard += 1
            row = {"n": self._heard, "at_ms": one["at_ns"] // 1_000_000, "equity": one["equity_micro"],
                   "initial": one["initial_micro"], "maintenance": one["maintenance_micro"], "version": one["market_version"]}  # fmt: skip
            self._log.append(row | {name: one[name] for name in ("account", "kind", "status", "cause", "sequence")})

    def decisions(self, account: str = "", kind: str = "", count: int = 100, before: int = 0) -> list[dict[str, Any]]:
        with self._lock:
            rows = list(self._log) if account or kind or before else [self._log[-k] for k in range(min(count, len(self._log)), 0, -1)]
        found = (
            row
            for row in reversed(rows)
            if (not account or row["account"] == account) and (not kind or row["kind"] == kind) and (not before or row["n"] < before)
        )
        return [row for row, _ in zip(found, range(count))]

    # -- questions -----------------------------------------------------------------------------

    def closing(self, looked_at: bool) -> ClosingSeen:
        return self._closing.seen(looked_at)

    async def deleveraging(self, instrument: str, side: str, count: int) -> dict[str, Any]:
        return await self._closing.deleveraging(instrument, side, count)

    async def account(self, name: str) -> dict[str, Any]:
        found = await asyncio.to_thread(accounts_of.detail, await self._held(name))
        return found | {"history": self.decisions(account=name)}

    async def curves(self, name: str, underlying: str, span_ppm: int) -> dict[str, Any]:
        return await asyncio.to_thread(accounts_of.curves, await self._held(name), underlying, span_ppm)

    async def what_if(self, name: str, question: accounts_of.Question) -> dict[str, Any]:
        return await asyncio.to_thread(accounts_of.what_if, await self._held(name), question)

    async def instruments(self) -> list[dict[str, Any]]:
        market, _ = await asyncio.to_thread(self._remote.market)
        return await asyncio.to_thread(accounts_of.instruments_of, market)

    async def stress(self) -> dict[str, Any] | None:
        return self._sweeps.grid

    async def parameters(self) -> dict[str, Any]:
        found = await self._get("/v1/parameters")
        coming = {"gliding": True} if found["gliding"] else None
        return {"model": found["model"], "values": found["parameters"], "coming": coming}

    async def audit(self) -> dict[str, Any]:
        """The log's offsets; state hash and writes where the key may see them."""
        await self._read_status()
        status = self._status
        wanted = ("state", "reason", "durable_sequence", "lag", "accounts", "capacity", "snapshot_failed")
        refused = ""
        try:
            state_hash = (await self._get("/v1/state-hash"))["hash"]
            page = await self._get("/v1/audit")
        except SeawallError as error:
            state_hash, page, refused = None, {"entries": []}, str(error)
        writes = [
            {"sequence": one["sequence"], "at_ms": one["at_ns"] // 1_000_000, "key": one["key_name"] or one["key_id"] or "the service", "what": one["kind"]}
            for one in reversed(page["entries"])
        ]
        return {
            "state_hash": state_hash,
            "at_ms": status["at_ns"] // 1_000_000,
            "decisions": self._heard,
            "accounts": status["accounts"],
            "contradicted": [],
            "contradictions": None,
            "metrics": {},
            "journal": {name: status[name] for name in wanted if status.get(name) not in (None, "")} | ({"writes": refused} if refused else {}),
            "writes": writes,
        }

    async def close(self) -> None:
        """Ends the tasks, lets go of connections and of the board."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._sweeps.close)
        await self._http.aclose()
        self._remote.close()
        with self._lock:
            if self._board is not None:
                self._board.close()
                self._board = None

    # -- inside --------------------------------------------------------------------------------

    async def _poll(self) -> None:
        while True:
            try:
                await self._read_status()
                await self._read_metrics()
            except Unanswered as error:
                self._problem = str(error)
            await asyncio.sleep(STATUS_S)

    async def _read_status(self) -> None:
        self._status = await self._get("/v1/status")

    async def _read_metrics(self) -> None:
        """How long a tick takes from the request to being durable with its decisions, and how many are at each stage of closing."""
        try:
            answer = await self._http.get("/metrics")
        except httpx.HTTPError as error:
            raise Unanswered(f"the service does not answer ({error or type(error).__name__})") from None
        if answer.status_code == 200:
            self._ticks.add(time.monotonic(), buckets_of(answer.text, "tick"))
            self._closing.stages = stages_of(answer.text)

    async def _held(self, name: str) -> accounts_of.Held:
        """An account's holdings and the market, of about the same moment."""
        row = self.names.row(name)
        if row is None:
            raise InputError("account", repr(name), "an account of the venue")
        path = f"/v1/accounts/{quote(name, safe='')}"
        view, corridor = await asyncio.gather(self._get(path), self._get(f"{path}/corridors"))
        market, model = await asyncio.to_thread(self._remote.market)
        page = await asyncio.to_thread(self._remote.page, int(self._rows[row]), 1)
        figures = view["figures"]
        return accounts_of.Held(
            account=name,
            market=market,
            model=model,
            legs=np.frombuffer(page.leg, "<i4").astype(np.int32),
            lots=np.frombuffer(page.lots, "<i8").astype(np.int64),
            cash_nano=int(np.frombuffer(page.cash_nano, "<i8")[0]),
            level=STATUSES.index(view["status"]),
            figures=(_micro(figures["equity"]), _micro(figures["initial_margin"]), _micro(figures["maintenance_margin"])),
            orders=tuple(view["orders"]),
            corridor=_corridor(corridor),
            balances=tuple({"asset": asset, "amount": amount} for asset, amount in view["balances"].items()),
            state=view["state"],
        )

    async def _get(self, path: str) -> dict[str, Any]:
        try:
            answer = await self._http.get(path)
        except httpx.HTTPError as error:
            raise Unanswered(f"the service does not answer ({error or type(error).__name__})") from None
        if answer.status_code != 200:
            raise Unanswered(f"the service answers {answer.status_code} to {path}: {answer.text[:200]}")
        found: dict[str, Any] = msgspec.json.decode(answer.content)
        return found


def _micro(text: str) -> int:
    return int(Decimal(text) * MICRO)


def _corridor(view: dict[str, Any]) -> dict[str, Any]:
    """A corridor of the API in the integers of the engine's own."""

    def ppm(share: str | None) -> int | None:
        return None if share is None else int(Decimal(share) * PPM)

    rows = [
        {
            "underlying": one["underlying"],
            "price_nano": int(Decimal(one["price"]) * NANO),
            "low_nano": int(Decimal(one["low"]) * NANO),
            "high_nano": int(Decimal(one["high"]) * NANO),
            "vol_ppm": ppm(one["vol"]),
            "basis_ppm": ppm(one["basis"]),
        }
        for one in view["corridors"]
    ]
    return {"status": view["status"], "until_ns": view["until_ns"], "none": view["none"], "corridors": rows}
