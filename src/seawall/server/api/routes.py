"""A route is a function with a scope, a body, a query and an answer, and says all four in the OpenAPI document.

Bodies, queries and answers are msgspec records: decoded strictly, encoded straight from the record, in JSON or MessagePack as the
client asks. Nothing is validated on the way out: the types say what comes out, the tests hold it to the document, and a
second look at every answer would cost more than most answers do.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec
from fastapi import Request, Response
from fastapi.routing import APIRouter

from seawall.core.errors import InputError, show
from seawall.server.api.desk import Desk
from seawall.server.api.errors import Refusal, failure_of
from seawall.server.keys import Key, allows
from seawall.server.reading import convert, decode

__all__ = ["BINARY", "JSON", "KEY_CHARACTERS_MAX", "Ask", "Facts", "Routes", "answer", "idempotency_of"]

JSON = "application/json"
BINARY = "application/msgpack"
KEY_HEADER = "idempotency-key"
KEY_CHARACTERS_MAX = 128

log = logging.getLogger("seawall")

_ENCODE = msgspec.json.Encoder().encode
_PACK = msgspec.msgpack.Encoder().encode
_GATE = (401, 403, 408, 429, 431)  # what any route may answer, or what stands before it


class Ask(NamedTuple):
    """One request, read: who asks, the path's variables, the query's record, the body's record."""

    desk: Desk
    request: Request
    key: Key
    path: dict[str, str]
    query: Any
    body: Any


class Facts(NamedTuple):
    """What the OpenAPI document says of a route; answers, body, query: records, or text of a media type."""

    scope: str
    answers: Any
    body: Any
    query: Any
    media: str
    writes: bool
    refuses: tuple[int, ...]


def answer(ask: Ask, value: Any) -> Response:
    """A record as the client wants it: MessagePack where it accepts that, else JSON."""
    if BINARY in ask.request.headers.get("accept", ""):
        return Response(_PACK(value), media_type=BINARY)
    return Response(_ENCODE(value), media_type=JSON)


class Routes:
    """The routes of one subject."""

    def __init__(self, tag: str) -> None:
        self.router = APIRouter(tags=[tag])
        self.facts: dict[str, Facts] = {}

    def add(
        self,
        method: str,
        path: str,
        call: Callable[[Ask], Awaitable[Response]],
        *,
        scope: str,
        answers: Any,
        body: Any = None,
        query: Any = None,
        refuses: tuple[int, ...] = (),
        media: str = JSON,
        writes: bool = False,
        cost: float = 1.0,
    ) -> None:
        """One route. scope: what the key must have, or alternatives "a|b" ("": no key needed); answers: the record of a 200;
        refuses: other statuses, besides those of the gate; writes: takes an idempotency key; cost: requests it counts as."""
        statuses = {*refuses, *_GATE, *((400, 413, 415) if body is not None else ())}
        if query is not None or "{" in path:
            statuses.add(400)
        if not scope:
            statuses -= {401, 403}

        async def endpoint(request: Request) -> Response:
            desk: Desk = request.app.state.desk
            key: Key = request.scope["state"]["key"]
            if scope and not any(allows(key, one) for one in scope.split("|")):
                raise Refusal(403, "scope", f"key {key.id}", "scopes " + ", ".join(key.scopes), f"the scope {scope}")
            if cost > 1:
                desk.take(key, cost - 1)
            asked = _query(request, query)
            given = await _body(request, body) if body is not None else None
            try:
                return await call(Ask(desk, request, key, request.path_params, asked, given))
            except Exception as error:
                if failure_of(error) is not None:
                    raise
                log.error("answering %s failed", path, exc_info=error)
                raise Refusal(500, "internal", "service", "a bug of ours", "an answer; it is in the log") from error

        words = " ".join((call.__doc__ or "").split())
        self.router.add_api_route(
            path,
            endpoint,
            methods=[method],
            name=call.__name__,
            operation_id=call.__name__,
            summary=re.split(r"(?<=[.;:])\s", words, maxsplit=1)[0].rstrip(".;:"),
            description=words + (f"\n\nScope: `{scope.replace('|', '` or `')}`." if scope else "\n\nNeeds no key."),
            response_model=None,
        )
        self.facts[call.__name__] = Facts(scope, answers, body, query, media, writes, tuple(sorted(statuses)))


def idempotency_of(request: Request) -> str:
    """The idempotency key of a write, "" for none."""
    text: str = request.headers.get(KEY_HEADER, "")
    if len(text) > KEY_CHARACTERS_MAX or not text.isascii() or not text.isprintable():
        raise InputError("Idempotency-Key", show(text), f"at most {KEY_CHARACTERS_MAX} printable ASCII characters")
    return text


async def _body(request: Request, kind: Any) -> Any:
    """The body as a record. Raises Refusal (415) for another content type, InputError for what is no such record.

    A web page may send forms and plain text anywhere without asking; JSON it may not, so insisting on the type keeps its
    hands off.
    """
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given not in (JSON, BINARY):
        raise Refusal(415, "content-type", "Content-Type", given[:80] or "none", f"{JSON} or {BINARY}")
    return decode(await request.body(), kind, "body", binary=given == BINARY)


def _query(request: Request, kind: Any) -> Any:
    """The query as a record; a name that there is not, or one given twice, is an error."""
    pairs = request.query_params.multi_items()
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InputError("query", "a name twice", "each name once")
    if kind is None:
        if found:
            raise InputError("query", show(next(iter(found))), "no query")
        return None
    return convert(found, kind, "query", strict=False)
