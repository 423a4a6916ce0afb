"""What both clients share: reading answers, and when and how soon to try again.

A request is tried again when no answer came or the service said "not now" (429, 503). That is safe for reads, and for writes
because each carries an idempotency key, which stays the same over all tries.
"""

from __future__ import annotations

import os
import random
import secrets
import ssl
from typing import Any, NamedTuple

import msgspec

from seawall.client.calls import Call
from seawall.client.errors import ServiceError
from seawall.client.types import Verdict
from seawall.core.errors import UnreadableFile

__all__ = ["CA_VARIABLE", "KEY_VARIABLE", "Retry", "headers_of", "read_answer", "trusted"]

KEY_VARIABLE = "SEAWALL_KEY"
CA_VARIABLE = "SEAWALL_CA"
AGAIN = (429, 503)


class Retry(NamedTuple):
    """How often to try again, and the first pause; each pause is twice the last, at most `longest_s`, with some chance."""

    times: int = 4
    first_s: float = 0.1
    longest_s: float = 5.0

    def pause_s(self, tried: int, asked_s: float = 0.0) -> float:
        """Before the try after `tried` ones; never sooner than the service asked for."""
        backoff = min(self.first_s * 2**tried, self.longest_s) * (0.5 + random.random() / 2)
        return max(backoff, min(asked_s, self.longest_s))


def trusted(verify: Any = True) -> Any:
    """What TLS is verified by, as httpx takes it: where the environment names a file in SEAWALL_CA, the certificates in it besides those
    of the system, the service's own among them if it is there. UnreadableFile where it cannot be read."""
    path = os.environ.get(CA_VARIABLE)
    if verify is not True or not path:
        return verify
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(path)
    except (OSError, ssl.SSLError) as error:
        raise UnreadableFile(CA_VARIABLE, f"{path} ({error})", "a file of PEM certificates") from None
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def headers_of(key: str | None) -> dict[str, str]:
    """The headers of a key; None: the one in the environment, if any."""
    text = os.environ.get(KEY_VARIABLE, "") if key is None else key
    return {"Authorization": f"Bearer {text}"} if text else {}


def prepare(call: Call[Any]) -> tuple[bytes | None, dict[str, str]]:
    """(body, headers) of a call, the same for all its tries."""
    headers = {"Accept": "application/json"}
    body = None
    if call.body is not None:
        body = msgspec.json.encode(call.body)
        headers["Content-Type"] = "application/json"
    if call.writes:
        headers["Idempotency-Key"] = call.key or secrets.token_hex(16)
    return body, headers


def query_of(call: Call[Any]) -> dict[str, str]:
    """The query's values as text."""
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in (call.query or {}).items()}


def read_answer(call: Call[Any], status: int, content: bytes, headers: Any) -> Any:
    """The record of an answer. Raises ServiceError where it is no."""
    if status == 200:
        return msgspec.json.decode(content, type=call.kind)
    raise failure(status, content, headers)


def failure(status: int, content: bytes, headers: Any) -> ServiceError:
    """What an answer that is no says."""
    try:
        found = msgspec.json.decode(content)
        error = found["error"]
    except (msgspec.DecodeError, KeyError, TypeError):
        found, error = {}, {"code": "answer", "place": "service", "found": f"{len(content)} bytes", "expected": "an error object"}
    verdict = msgspec.convert(found["verdict"], Verdict) if found.get("verdict") else None
    try:
        retry_s = float(headers.get("Retry-After", 0))
    except ValueError:
        retry_s = 0.0
    return ServiceError(status, error, verdict, retry_s)
