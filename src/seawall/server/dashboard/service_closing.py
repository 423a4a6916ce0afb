"""What a service closes, from outside: three answers of its API, asked again and again, and its stream's messages.

The answers are asked for twice a second while somebody looks and there is something to see, else less often. A curve is a price per
point, which the service works out on the loop that also answers pre-trade checks: so auctions are asked for without curves, in
small pages, and a curve only when its auction is new or has changed, or was drawn long ago, a few at a time.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any

import httpx
import msgspec

from seawall.client.sending import Retry, trusted
from seawall.client.stream import follow_async
from seawall.client.types import Message
from seawall.core.errors import SeawallError
from seawall.server.dashboard.closings import AUCTIONS_MOST, CLOSINGS_MOST
from seawall.server.dashboard.fold import RINGS
from seawall.server.dashboard.source import ClosingSeen, Unanswered

__all__ = ["ServiceClosing"]

SHARE = 0.25  # of the time, at most, a round of questions is under way: a service that takes long is asked more rarely
BUSY_S = 0.5  # between two rounds of questions while accounts are being closed and somebody looks
QUIET_S = 1.0
UNSEEN_S = 5.0
SLOW_S = 2.0  # at most between two rounds, however slow the service
NONE_SOON_S = 30.0  # a venue without closings is asked again: it may be started with them
RANKS_S = 2.0  # a ranking goes over all holders of an instrument: many who look at one share the answer
PAGE = 25  # auctions of one answer
POINTS = 31  # of a curve
CURVES_AT_ONCE = 4  # of one answer: about a millisecond of the service
CURVE_ANSWERS = 5  # of one round
CURVE_S = 15.0  # an insolvent account's curve moves with the market
NOT_HERE = (404, 409, 501)


class ServiceClosing:
    """url, headers: of the service; http: a client of it. `run` asks and `follow` listens for as long as they are let;
    `seen` is the newest of all."""

    def __init__(self, url: str, headers: dict[str, str], http: httpx.AsyncClient) -> None:
        self._url, self._headers, self._http = url, headers, http
        self._seen = ClosingSeen("Nothing has been heard of closings yet.")
        self._news: deque[dict[str, Any]] = deque(maxlen=RINGS["news"])
        self._heard = 0
        self._looked_at = False
        self._wake = asyncio.Event()
        self._curves: dict[int, tuple[tuple[int, bool], float, list[Any]]] = {}
        self._ranks: dict[tuple[str, str, int], tuple[float, asyncio.Future[dict[str, Any]]]] = {}
        self.stages: dict[str, int] = {}  # how many are at each, from the service's metrics; empty where it does not tell
        self.problem = ""

    def seen(self, looked_at: bool) -> ClosingSeen:
        """The newest. May be called from a thread."""
        self._looked_at = looked_at
        seen = self._seen
        return seen if seen.why else msgspec.structs.replace(seen, news=tuple(self._news))

    async def follow(self) -> None:
        """The stream's messages, in a subscription of their own, so that a burst of them holds up no decision; of a venue
        without closings nothing is followed."""
        while True:
            try:
                if not self._seen.why:
                    async for told in follow_async(self._url, self._headers, ("liquidation",), (), Retry(), trusted()):
                        if isinstance(told, Message) and told.type == "liquidation":
                            self._hear(told.at_ns, told.data)
            except SeawallError as error:
                self.problem = str(error)
            await asyncio.sleep(QUIET_S)

    def _hear(self, at_ns: int, data: dict[str, Any]) -> None:
        """Kept for the feed; what it changed is asked for at once."""
        self._heard += 1
        self._news.append({"n": self._heard, "at_ms": at_ns // 1_000_000, "data": data})
        self._wake.set()

    async def run(self) -> None:
        """Asks until cancelled."""
        while True:
            began = time.monotonic()
            try:
                self._seen = await self._ask()
                self.problem = ""
            except Unanswered as error:  # what was last heard stays, and its age tells
                self.problem = str(error)
            await self._rest(time.monotonic() - began)

    async def _rest(self, took_s: float) -> None:
        """Sleeps until the next round is due; a message of the stream shortens a long sleep, never a short one."""
        await asyncio.sleep(max(BUSY_S, min(took_s * (1 / SHARE - 1), SLOW_S)))
        self._wake.clear()
        seen = self._seen
        busy = bool(seen.closings.get("total")) and self._looked_at
        most = NONE_SOON_S if seen.why else BUSY_S if busy else QUIET_S if self._looked_at else UNSEEN_S
        if most > BUSY_S:
            end = time.monotonic() + most - BUSY_S
            while (left := end - time.monotonic()) > 0 and not self._wake.is_set():
                await asyncio.sleep(min(left, BUSY_S))  # somebody may have come to look
                if self._looked_at and most == UNSEEN_S:
                    return

    async def _ask(self) -> ClosingSeen:
        asked_s = time.monotonic()
        waterfall = await self._get("/v1/waterfall")
        if isinstance(waterfall, str):
            return ClosingSeen(waterfall)
        closings = await self._get(f"/v1/closings?limit={CLOSINGS_MOST}")
        if self.stages and len(closings["closings"]) < closings["total"]:
            closings["stages"] = self.stages
        auctions = await self._auctions()
        return ClosingSeen("", asked_s, closings, auctions, waterfall)

    async def _auctions(self) -> dict[str, Any]:
        """All auctions, as far as the screen has room, each with its curve where that is known; drawn only while somebody looks."""
        found = await self._get(f"/v1/auctions?limit={PAGE}&points=0")
        rows = found["auctions"]
        while len(rows) < min(found["total"], AUCTIONS_MOST):
            page = await self._get(f"/v1/auctions?offset={len(rows)}&limit={PAGE}&points=0")
            if not page["auctions"]:
                break
            rows += page["auctions"]
        self._curves = {row["auction"]: self._curves[row["auction"]] for row in rows if row["auction"] in self._curves}
        for _ in range(CURVE_ANSWERS if self._looked_at else 0):
            first = next((k for k, row in enumerate(rows) if not self._drawn(row)), None)
            if first is None:
                break
            page = await self._get(f"/v1/auctions?offset={first}&limit={CURVES_AT_ONCE}&points={POINTS}")
            for row in page["auctions"]:
                self._curves[row["auction"]] = (_state(row), time.monotonic(), row["curve"])
            if not page["auctions"]:
                break
        alike = {(row["bucket"], row["insolvent"]): self._curves[row["auction"]][2] for row in rows if self._drawn(row)}
        for row in rows:  # until its own has come, an auction has the shape of another under the same terms
            own = self._curves.get(row["auction"])
            row["curve"] = own[2] if own and own[0] == _state(row) else alike.get((row["bucket"], row["insolvent"]), [])
        return found | {"auctions": rows}

    def _drawn(self, row: dict[str, Any]) -> bool:
        known = self._curves.get(row["auction"])
        return known is not None and known[0] == _state(row) and time.monotonic() - known[1] < CURVE_S

    async def _get(self, path: str) -> Any:
        """The answer; words where the service has no closings. Raises Unanswered for all else."""
        try:
            answer = await self._http.get(path)
        except httpx.HTTPError as error:
            raise Unanswered(f"the service does not answer ({error or type(error).__name__})") from None
        if answer.status_code in NOT_HERE:
            return f"This venue closes nobody by itself: the service answers {answer.status_code} to {path}."
        if answer.status_code != 200:
            raise Unanswered(f"the service answers {answer.status_code} to {path}: {answer.text[:200]}")
        return msgspec.json.decode(answer.content)

    async def deleveraging(self, instrument: str, side: str, count: int) -> dict[str, Any]:
        """Who would be closed first; an answer of RANKS_S serves all that ask the same."""
        now, key = time.monotonic(), (instrument, side, count)
        self._ranks = {each: row for each, row in self._ranks.items() if now - row[0] < RANKS_S}
        if key not in self._ranks:
            asking = asyncio.ensure_future(self._ask_ranks(instrument, side, count))
            self._ranks[key] = (now, asking)
        return await asyncio.shield(self._ranks[key][1])

    async def _ask_ranks(self, instrument: str, side: str, count: int) -> dict[str, Any]:
        try:
            answer = await self._http.get("/v1/deleveraging", params={"instrument": instrument, "side": side, "limit": count})
        except httpx.HTTPError as error:
            raise Unanswered(f"the service does not answer ({error or type(error).__name__})") from None
        if answer.status_code != 200:
            raise Unanswered(f"the service answers {answer.status_code}: {answer.text[:200]}")
        found: dict[str, Any] = msgspec.json.decode(answer.content)
        return found


def _state(row: dict[str, Any]) -> tuple[int, bool]:
    """What a curve is of: in another state of its auction it has another shape."""
    return row["version"], row["insolvent"]
