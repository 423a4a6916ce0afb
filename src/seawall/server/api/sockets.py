"""The two WebSockets: `/v1/ws`, questions and answers, and `/v1/stream`, what has happened.

Text frames are JSON, binary frames MessagePack; an answer comes in the format of its question. A key that is revoked while
its socket is open ends the socket within a second; nothing is answered on a key that opens nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect

from seawall.core.errors import InputError
from seawall.server.api.desk import Desk
from seawall.server.api.errors import Refusal, failure_of
from seawall.server.api.questions import ANSWERS, COSTS, Question, Write
from seawall.server.api.writing import SCOPE_OF, write
from seawall.server.hub import CLOSING, REVOKED, Dropped, Format, Subscription, parse_channels
from seawall.server.keys import Key, allows
from seawall.server.protocol import ABORT
from seawall.server.reading import decode

__all__ = ["router"]

GARBAGE = 4000  # close codes of our own: frames that are none
FLOOD = 4029  # far more questions than the key may ask
SOCKETS = 4030  # more sockets than a key may have
REFUSED_MAX = 1_000  # questions over the rate, or garbage, after which a socket is closed
WRITING_MAX = 1_024  # writes of one socket that wait for the disk
CLOSE_GRACE_S = 3.0  # after which a socket whose peer takes nothing is cut
FIRST_FRAME_S = 10.0
SUBSCRIBING_COSTS = 20.0  # requests: a snapshot is made

log = logging.getLogger("seawall")
router = APIRouter()

_JSON = msgspec.json.Encoder().encode
_PACK = msgspec.msgpack.Encoder().encode
_READ_JSON: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Question)
_READ_PACK: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(Question)


class Subscribe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="op", tag="subscribe"):
    """The first frame on the stream. accounts: decisions and changes of these alone; after, stream: the last `n` that
    was seen and the `stream` it was of, to go on from there."""

    channels: list[str]
    accounts: list[str] = []
    after: int | None = None
    stream: str = ""


@router.websocket("/v1/ws")
async def questions(socket: WebSocket) -> None:
    """Questions and answers."""
    await _hold(socket, lambda opened: _Conversation(opened).run())


@router.websocket("/v1/stream")
async def stream(socket: WebSocket) -> None:
    """What has happened: a snapshot, then numbered messages."""
    await _hold(socket, _listen)


async def _hold(socket: WebSocket, talk: Callable[[_Open], Coroutine[Any, Any, None]]) -> None:
    """An accepted socket, from its first frame to its end: counted by key, and ended when its key is."""
    opened = _Open(socket)
    sockets, key = opened.desk.sockets, opened.key.id
    await socket.accept()
    if sockets.get(key, 0) >= opened.desk.config.limits.sockets_per_key:
        await opened.close(SOCKETS, "too many sockets of this key")
        return
    sockets[key] = sockets.get(key, 0) + 1
    talking, watching = asyncio.create_task(talk(opened)), asyncio.create_task(opened.revoked())
    try:
        await asyncio.wait((talking, watching), return_when=asyncio.FIRST_COMPLETED)
        if not talking.done():
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)
            await opened.close(REVOKED, "the key opens nothing any more")
        else:
            talking.result()
    except WebSocketDisconnect:
        pass  # the client left: nothing is owed to it
    finally:
        for task in (talking, watching):
            task.cancel()
        sockets[key] -= 1
        if not sockets[key]:
            del sockets[key]


async def _listen(opened: _Open) -> None:
    desk = opened.desk
    subscription = None
    try:
        first, format = await asyncio.wait_for(opened.receive(), FIRST_FRAME_S)
        asked = decode(first, Subscribe, "subscribe", binary=format == "msgpack")
        desk.take(opened.key, SUBSCRIBING_COSTS)
        for name in asked.accounts:
            desk.service.figures(name)  # an account that there is not is told now, not by silence
        subscription = desk.hub.subscribe(
            parse_channels(asked.channels), asked.accounts, after=asked.after, stream=asked.stream, format=format
        )
        if "decision" in asked.channels and not subscription.resumed:
            await desk.overview()  # the snapshot begins with it, and is made while nothing else is
        await _feed(opened, subscription, format)
    except TimeoutError:
        await opened.close(GARBAGE, "no subscription came")
    except (InputError, Refusal) as error:
        await opened.fail(error)
    except Dropped as dropped:
        desk.metrics.count("seawall_stream_dropped_total", reason=str(dropped.code))
        await opened.close(dropped.code, dropped.reason)
    finally:
        if subscription is not None:
            subscription.close()


async def _feed(opened: _Open, subscription: Subscription, format: Format) -> None:
    """Sends until the subscription is over or the client has gone."""
    sending = asyncio.create_task(_send_all(opened, subscription, format))
    listening = asyncio.create_task(opened.until_gone())
    subscription.on_drop = lambda: asyncio.get_running_loop().call_soon(listening.cancel)
    try:
        await asyncio.wait((sending, listening), return_when=asyncio.FIRST_COMPLETED)
        if subscription.over is not None:
            raise subscription.over
        if sending.done() and not sending.cancelled():
            sending.result()
    finally:
        for task in (sending, listening):
            task.cancel()
        await asyncio.gather(sending, listening, return_exceptions=True)


async def _send_all(opened: _Open, subscription: Subscription, format: Format) -> None:
    send = opened.socket.send_text if format == "json" else opened.socket.send_bytes
    first: Any = subscription.begin()
    await send(first.decode() if format == "json" else first)
    while True:
        for frame in await subscription.next():
            content: Any = frame.decode() if format == "json" else frame
            await send(content)


class _Open:
    """An accepted socket of a key, closed for good whatever its peer does."""

    def __init__(self, socket: WebSocket) -> None:
        self.socket = socket
        self.desk: Desk = socket.app.state.desk
        self.key: Key = socket.scope["state"]["key"]

    async def revoked(self) -> None:
        """Returns when the key opens nothing any more."""
        while self.desk.keys.still(self.key.id) is not None:
            await asyncio.sleep(0.5)

    async def receive(self) -> tuple[bytes, Format]:
        """The next frame. Raises WebSocketDisconnect when there will be none."""
        message = await self.socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        text = message.get("text")
        return (text.encode(), "json") if text is not None else (message["bytes"], "msgpack")

    async def until_gone(self) -> None:
        """Reads and ignores until the client leaves; a client that talks on a stream without end is cut."""
        for _ in range(REFUSED_MAX):
            await self.receive()
        await self.close(FLOOD, "nothing is to be said here")

    async def fail(self, error: Exception) -> None:
        """Says what is wrong and closes."""
        refusal = failure_of(error)
        if refusal is not None:
            await self.socket.send_text(_JSON({"type": "error", "status": refusal.status} | refusal.body()).decode())
        await self.close(GARBAGE, "no subscription")

    async def close(self, code: int, reason: str) -> None:
        """Closes with a code; cuts the connection of a peer that does not take even that."""
        abort = self.socket.scope["extensions"].get(ABORT)
        if abort is not None:
            asyncio.get_running_loop().call_later(CLOSE_GRACE_S, abort)
        try:
            async with asyncio.timeout(CLOSE_GRACE_S):
                await self.socket.close(code, reason[:120])
        except (TimeoutError, RuntimeError, WebSocketDisconnect):
            log.debug("a socket of key %s was gone before it could be closed", self.key.id)


class _Conversation:
    """Questions of one socket, each answered under its id."""

    def __init__(self, opened: _Open) -> None:
        self._opened, self._desk, self._key = opened, opened.desk, opened.key
        self._bad = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until the client leaves, or is sent away."""
        receive = self._opened.receive
        try:
            while self._bad < REFUSED_MAX and not self._desk.hub.closing:
                body, format = await receive()
                await self._one(body, format)
            if self._desk.hub.closing:
                await self._opened.close(CLOSING, "the service stops")
            else:
                await self._opened.close(FLOOD, "too many frames that could not be answered")
        finally:
            for task in list(self._tasks):
                # What was written is written: only the answer has nobody to go to.
                task.cancel()

    async def _one(self, body: bytes, format: Format) -> None:
        start = time.perf_counter()
        question: Any = None
        try:
            question = self._read(body, format)
            kind = type(question)
            self._desk.take(self._key, COSTS.get(kind, 1.0))
            if kind is Write:
                self._begin(question, format)
                return
            value: Any = {"id": question.id, "ok": True, "data": ANSWERS[kind](self._desk, question)}
        except Exception as error:  # noqa: BLE001  what is no answer is logged with its traceback, and the socket lives on
            value = self._failed(question, error)
        await self._say(value, format)
        self._desk.metrics.observe("ws", time.perf_counter() - start)

    def _read(self, body: bytes, format: Format) -> Any:
        try:
            return _READ_JSON.decode(body) if format == "json" else _READ_PACK.decode(body)
        except (msgspec.DecodeError, RecursionError, UnicodeError, ValueError, OverflowError):
            self._bad += 1
            # The slow way, which says what is wrong.
            return decode(body, Question, "frame", binary=format == "msgpack")  # type: ignore[arg-type]

    def _begin(self, question: Write, format: Format) -> None:
        scope = SCOPE_OF[type(question.request)]
        if not any(allows(self._key, one) for one in scope.split("|")):
            raise Refusal(403, "scope", f"key {self._key.id}", "scopes " + ", ".join(self._key.scopes), f"the scope {scope}")
        if len(self._tasks) >= WRITING_MAX:
            raise Refusal(429, "writes", "socket", f"{len(self._tasks)} writes under way", f"at most {WRITING_MAX}", retry_s=0.1)
        task = asyncio.create_task(self._write(question, format))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write(self, question: Write, format: Format) -> None:
        try:
            written = await write(self._desk, self._key, question.request, question.idempotency)
            value: Any = {"id": question.id, "ok": True, "data": written}
        except Exception as error:  # noqa: BLE001  as above
            value = self._failed(question, error)
        try:
            await self._say(value, format)
        except (WebSocketDisconnect, RuntimeError):
            log.debug("a socket of key %s left before its write was answered", self._key.id)

    def _failed(self, question: Any, error: Exception) -> dict[str, Any]:
        refusal = failure_of(error)
        if refusal is None:
            log.error("answering %s failed", type(question).__name__, exc_info=error)
            refusal = Refusal(500, "internal", "service", "a bug of ours", "an answer; it is in the log")
        if refusal.status == 429:
            self._bad += 1
        name = getattr(type(question), "__struct_config__", None)
        op = str(name.tag) if name is not None else "none"
        self._desk.metrics.count("seawall_socket_requests_total", op=op, status=str(refusal.status))
        found = {"id": getattr(question, "id", None), "ok": False, "status": refusal.status} | refusal.body()
        return found | ({"retry_s": round(refusal.retry_s, 3)} if refusal.retry_s else {})

    async def _say(self, value: Any, format: Format) -> None:
        if format == "json":
            await self._opened.socket.send_text(_JSON(value).decode())
        else:
            await self._opened.socket.send_bytes(_PACK(value))
