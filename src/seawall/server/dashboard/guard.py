"""Who may look: host, origin and token, checked before anything else, and the headers that every answer carries.

On loopback the dashboard trusts whoever can reach it. Elsewhere it needs a token, which a browser hands over once in the
URL and keeps in a cookie that scripts cannot read. The Host header must be one of ours (against rebinding of names),
and a socket or a POST must come from our own pages.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from seawall.core.errors import InputError

__all__ = ["COOKIE", "CSP", "Guard", "is_loopback"]

COOKIE = "seawall_dashboard"
CSP = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
_TOKEN_LEAST = 16
_LOOPBACK = ("127.0.0.1", "localhost", "::1")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address that is listened on."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """ASGI middleware. hosts: further names under which the dashboard is reached (a proxy's). Raises InputError for an
    address beyond loopback without a token, and for a token that is too short to be one."""

    def __init__(self, app: Any, *, host: str, token: str = "", hosts: tuple[str, ...] = ()) -> None:
        if not token and not is_loopback(host):
            raise InputError("dashboard host", host, "127.0.0.1, or a token beside it")
        if token and len(token) < _TOKEN_LEAST:
            raise InputError("dashboard token", f"{len(token)} characters", f"at least {_TOKEN_LEAST}")
        self.app = app
        self.token = token
        self.hosts = {*_LOOPBACK, *hosts, *(() if host in ("0.0.0.0", "::") else (host,))}
        self.any_host = bool(token) and host in ("0.0.0.0", "::") and not hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(scope, headers)
        if scope["type"] == "websocket":
            if refusal:
                await receive()
                await send({"type": "websocket.close", "code": 4403, "reason": refusal[1]})
                return
            await self.app(scope, receive, send)
            return

        async def with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *_HEADERS]
            await send(message)

        given = dict(parse_qsl(scope["query_string"].decode("latin-1"))).get("token")
        if refusal is None or (given is not None and refusal[0] == 401):
            if self.token and given is not None:
                await self._enter(scope, given, with_headers)
            else:
                await self.app(scope, receive, with_headers)
            return
        await _answer(with_headers, *refusal)

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        """Why not, as a status and words; None where all is well."""
        host = headers.get("host", "")
        if not self.any_host and _name_of(host) not in self.hosts:
            return 421, f"this dashboard is not {host!r}"
        origin = headers.get("origin")
        if scope["type"] == "websocket" or scope.get("method") not in ("GET", "HEAD"):
            if origin is None and not self._bearer(headers):
                return 403, "a request without an origin"
            if origin is not None and urlsplit(origin).netloc != host:
                return 403, f"a request from {origin}"
        if self.token and not (self._bearer(headers) or self._cookie(headers)):
            return 401, "a token is needed: open the address that was printed at the start"
        return None

    def _bearer(self, headers: dict[str, str]) -> bool:
        word, _, given = headers.get("authorization", "").partition(" ")
        return bool(self.token) and word.lower() == "bearer" and self._same(given)

    def _cookie(self, headers: dict[str, str]) -> bool:
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            return False
        return COOKIE in cookies and self._same(cookies[COOKIE].value)

    def _same(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.token.encode())

    async def _enter(self, scope: Scope, given: str, send: Send) -> None:
        """Takes the token out of the address and into a cookie."""
        if not self._same(given):
            await _answer(send, 401, "that is not the token")
            return
        rest = [(k, v) for k, v in parse_qsl(scope["query_string"].decode("latin-1")) if k != "token"]
        path = "/" + scope["path"].lstrip("/")  # never another host
        place = path + ("?" + urlencode(rest) if rest else "")
        secure = "; Secure" if scope.get("scheme") == "https" else ""
        cookie = f"{COOKIE}={self.token}; Path=/; HttpOnly; SameSite=Strict{secure}"
        await send(
            {
                "type": "http.response.start",
                "status": 303,
                "headers": [(b"location", place.encode("latin-1", "replace")), (b"set-cookie", cookie.encode())],
            }
        )
        await send({"type": "http.response.body", "body": b""})


def _name_of(host: str) -> str:
    """The name of a Host header, without its port."""
    return urlsplit("//" + host).hostname or ""


async def _answer(send: Send, status: int, words: str) -> None:
    body = f"{words}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
