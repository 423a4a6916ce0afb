"""Failures as answers: which status an error is, and the one shape that all of them have.

`{"error": {"code", "place", "found", "expected"}}`, the same over HTTP and WebSocket. What was refused by margin carries the verdict
besides. An error that is none of Seawall's own is a bug: it is logged with its traceback, and told to the client without.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from seawall.core.errors import (
    DuplicateRow,
    InputError,
    JournalBusy,
    JournalStopped,
    MissingExtra,
    StaleEvent,
    UnknownInstrument,
)
from seawall.server.outbox import Unavailable

__all__ = ["STATUS_WORDS", "Failure", "Problem", "Refusal", "failure_of"]

STATUS_WORDS = {
    400: "Something in the request cannot be: place, found, expected.",
    401: "No key, or one that opens nothing.",
    403: "The key does not have the scope that this needs.",
    404: "No such account, instrument or path.",
    405: "Another method than this path has.",
    408: "The request did not come in time.",
    409: "The idempotency key was used with another content; or what it is about is over.",
    413: "More bytes than `limits.body_bytes`.",
    415: "A body that is neither JSON nor MessagePack.",
    422: "Refused by margin; the verdict says why.",
    429: "More requests than the key may make; `Retry-After` says when.",
    431: "A head of more bytes than `limits.header_bytes`.",
    500: "A bug of ours.",
    503: "The journal accepts nothing at present: nothing was recorded.",
}


class Problem(msgspec.Struct, frozen=True):
    """What is wrong: a code for machines, where, what was found there, and what was expected."""

    code: str
    place: str
    found: str
    expected: str


class Failure(msgspec.Struct, frozen=True):
    """An answer that is no."""

    error: Problem


class Refusal(Exception):
    """Raised by a route or a gate: this status, with this problem."""

    def __init__(
        self, status: int, code: str, place: str, found: str, expected: str, *, retry_s: float = 0.0, extra: Any = None
    ) -> None:
        super().__init__(status, code, place)
        self.status = status
        self.problem = Problem(code, place, found, expected)
        self.retry_s = retry_s
        self.extra = extra

    def body(self) -> dict[str, Any]:
        """The answer as plain values."""
        found: dict[str, Any] = {"error": self.problem}
        return found | self.extra if self.extra else found

    def headers(self) -> dict[str, str]:
        """What the answer says besides."""
        if self.status == 401:
            return {"WWW-Authenticate": "Bearer"}
        return {"Retry-After": str(max(1, math.ceil(self.retry_s)))} if self.retry_s else {}


def failure_of(error: Exception) -> Refusal | None:
    """The answer that an error is; None for one that is a bug."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, JournalBusy):
        return Refusal(503, "busy", "journal", error.problem, "a disk that keeps up; try again", retry_s=1.0)
    if isinstance(error, JournalStopped):
        return Refusal(503, "stopped", "journal", error.problem, "a journal that accepts; reading goes on", retry_s=30.0)
    if isinstance(error, Unavailable):
        return Refusal(503, "unavailable", "journal", str(error), "a journal that accepts; reading goes on", retry_s=1.0)
    if isinstance(error, MissingExtra):
        return Refusal(503, "missing-extra", error.name, "not installed", f"pip install 'seawall[{error.extra}]'")
    if isinstance(error, InputError):
        status, code = _kind(error)
        return Refusal(status, code, error.place, error.found, error.expected)
    return None


_NO_ACCOUNT = ("an account of the ledger", "an account of the book")


def _kind(error: InputError) -> tuple[int, str]:
    if error.expected in _NO_ACCOUNT:
        return 404, "unknown-account"
    if isinstance(error, UnknownInstrument):
        return 404, "unknown-instrument"
    if isinstance(error, DuplicateRow) :
        return 409, "duplicate"
    if isinstance(error, StaleEvent):
        return 409, "stale"
    return 400, _kebab(type(error).__name__)


def _kebab(name: str) -> str:
    return "".join(("-" if c.isupper() and at else "") + c.lower() for at, c in enumerate(name))
