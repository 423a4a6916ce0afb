"""The gate before all routes: who asks, how often, how much, from which page. What does not pass reaches no route.

Plain ASGI, in this order: a WebSocket or a write from a web page of another origin; the key (`Authorization: Bearer …`,
nowhere else, so that no address, log or history ever holds one); how often; how many bytes. It also times and counts
every request, and writes the access log where that is on: never a header, a query or a body.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

from seawall.server.api.desk import Desk
from seawall.server.api.errors import Refusal
from seawall.server.config import is_loopback
from seawall.server.keys import LOCAL, Key
from seawall.server.limits import Buckets

__all__ = ["PUBLIC", "Gate"]

PUBLIC = ("/v1/health", "/v1/ready")
"""What may be asked without a key: whether the service lives, and whether it is ready; neither says more than yes or no."""

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

log = logging.getLogger("seawall.access")

_ALWAYS = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]


class Gate:
    """Wraps the application. `scope["state"]["key"]` is the caller's key behind it."""

    def __init__(self, app: App, desk: Desk) -> None:
        limits = desk.config.limits
        self._app, self._desk = app, desk
        self._config, self._keys, self._metrics = desk.config, desk.keys, desk.metrics
        self._strangers = Buckets(limits.refusals_per_s, 2 * limits.refusals_per_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        answer = _Answer(send)
        headers = dict(scope["headers"])
        start = time.perf_counter()
        try:
            key = self._admit(scope, headers)
            scope.setdefault("state", {})["key"] = key
            if scope["type"] == "websocket":
                await self._app(scope, receive, send)
                return
            await self._app(scope, self._counted(headers, receive), answer.send)
        except Refusal as refusal:
            if answer.started:
                raise
            self._metrics.count("seawall_refused_total", reason=refusal.problem.code)
            await _refuse(scope, answer.send if scope["type"] == "http" else send, refusal)
        finally:
            if scope["type"] == "http":
                self._account(scope, answer.status, time.perf_counter() - start)

    def _admit(self, scope: Scope, headers: dict[bytes, bytes]) -> Key | None:
        address = scope["client"][0] if scope.get("client") else ""
        if scope["path"] in PUBLIC:
            self._stranger(address)
            return None
        self._same_origin(scope, headers)
        key = self._key(headers, address)
        self._desk.take(key)
        return key

    def _key(self, headers: dict[bytes, bytes], address: str) -> Key:
        given = headers.get(b"authorization", b"").decode("latin-1")
        if not given and self._keys.open_to_all:
            return LOCAL
        kind, _, text = given.partition(" ")
        key = self._keys.find(text.strip()) if kind.lower() == "bearer" else None
        if key is None:
            self._stranger(address)
            found = "a key that opens nothing" if given else "no key"
            raise Refusal(401, "key", "Authorization", found, "Bearer and a valid key (seawall keys)")
        return key

    def _stranger(self, address: str) -> None:
        """Counts a request of somebody unknown, by address."""
        wait = self._strangers.take(address)
        if wait:
            raise Refusal(429, "rate", "address", "too many requests without a key", "fewer", retry_s=wait)

    def _same_origin(self, scope: Scope, headers: dict[bytes, bytes]) -> None:
        """A browser says which page asks: only one of this very host may. Without keys, the host must be this machine
        too, or a page could reach the service under a name of its own that leads here.
        """
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if self._keys.open_to_all and not is_loopback(_name_of(host)):
            raise Refusal(403, "host", "Host", "another name than this machine's", "a loopback address, or keys")
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1").lower().partition("://")[2] != host:
            raise Refusal(403, "origin", "Origin", "a page of another origin", "no page, or one of this host")

    def _counted(self, headers: dict[bytes, bytes], receive: Receive) -> Receive:
        most = self._config.limits.body_bytes
        refusal = Refusal(413, "size", "body", "more bytes", f"at most {most:,}")
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > most:
            raise refusal
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > most:
                raise refusal
            return message

        return counted

    def _account(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.count("seawall_requests_total", route=route, method=method, status=str(status))
        self._metrics.observe("http", seconds)
        if self._config.listen.access_log:
            key = (scope.get("state") or {}).get("key")
            log.info("%s %s %d %.2f ms key %s", method, route, status, 1e3 * seconds, key.id if key else "none")


_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE")


class _Answer:
    """Sees which status goes out, and adds the headers that every answer has."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 499  # the client left first
        self.started = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self.status = message["status"]
            message["headers"] = [*message.get("headers", []), *_ALWAYS]
        await self._send(message)


async def _refuse(scope: Scope, send: Send, refusal: Refusal) -> None:
    body = msgspec.json.encode(refusal.body())
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in refusal.headers().items()]
    if refusal.status == 413:
        headers.append((b"connection", b"close"))
    kind = "http" if scope["type"] == "http" else "websocket.http"
    await send({"type": f"{kind}.response.start", "status": refusal.status, "headers": headers})
    await send({"type": f"{kind}.response.body", "body": body})


def _name_of(host: str) -> str:
    """A Host header without its port."""
    if host.startswith("["):
        return host.partition("]")[0][1:]
    return host.partition(":")[0]
