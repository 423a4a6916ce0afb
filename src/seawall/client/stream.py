"""Following the stream: a snapshot, then every message once, over as many connections as it takes.

After a broken connection the client names the last number it has seen. The service goes on behind it, or says that it
cannot and begins with a new snapshot: then, and only then, something was missed. Numbers are checked: a message that does not
follow the one before is a fault, never passed on in silence.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import msgspec
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import connect

from seawall.client.errors import ServiceError, Unreachable
from seawall.client.sending import Retry, failure
from seawall.client.types import Message, Snapshot
from seawall.core.errors import invariant

__all__ = ["follow", "follow_async"]

NO_MORE = (4000, 4001, 4029, 4030)  # close codes after which trying again would not help


class _Place:
    """Where in the stream a follower is."""

    def __init__(self, channels: Sequence[str], accounts: Sequence[str]) -> None:
        self._asked: dict[str, Any] = {"op": "subscribe", "channels": list(channels), "accounts": list(accounts)}
        self._stream, self._n = "", -1
        self._contiguous = not accounts

    def subscription(self) -> str:
        """The first frame of a connection."""
        more = {"after": self._n, "stream": self._stream} if self._stream else {}
        return msgspec.json.encode(self._asked | more).decode()

    def take(self, frame: str | bytes) -> Snapshot | Message | None:
        """What a frame says; None for one that only says that the stream goes on."""
        found = msgspec.json.decode(frame)
        match found["type"]:
            case "snapshot":
                self._stream, self._n = found["stream"], found["n"]
                return msgspec.convert(found, Snapshot)
            case "resumed":
                invariant(found["n"] == self._n, "a stream goes on where it was left", f"{found['n']}, {self._n}")
                return None
            case "error":
                raise ServiceError(found["status"], found["error"])
        n = found["n"]
        follows = n == self._n + 1 if self._contiguous else n > self._n
        invariant(follows, "a message follows the one before", f"{n} after {self._n}")
        self._n = n
        return msgspec.convert(found, Message)


def _address(url: str) -> str:
    return url.replace("http", "ws", 1) + "/v1/stream"


def _options(url: str, headers: dict[str, str], verify: Any) -> dict[str, Any]:
    options: dict[str, Any] = {"additional_headers": headers, "compression": None, "max_size": 1 << 26, "proxy": None}
    if url.startswith("https") and verify is not True:
        import ssl

        context = verify if isinstance(verify, ssl.SSLContext) else ssl.create_default_context()
        if verify is False:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        options["ssl"] = context
    return options


def _final(error: Exception) -> ServiceError | None:
    """The error that trying again would not mend, if it is one."""
    if isinstance(error, InvalidStatus) and error.response.status_code not in (429, 503):
        return failure(error.response.status_code, bytes(error.response.body or b""), error.response.headers)
    if isinstance(error, ConnectionClosed) and error.rcvd is not None and error.rcvd.code in NO_MORE:
        words = {"code": f"closed {error.rcvd.code}", "place": "stream", "found": error.rcvd.reason, "expected": "an open stream"}
        return ServiceError(401 if error.rcvd.code == 4001 else 429, words)
    return None


def follow(
    url: str, headers: dict[str, str], channels: Sequence[str], accounts: Sequence[str], retry: Retry, verify: Any = True
) -> Iterator[Snapshot | Message]:
    """The stream of a service, until the caller stops. Raises Unreachable after too many tries in a row."""
    place, tried = _Place(channels, accounts), 0
    while True:
        try:
            with connect(_address(url), **_options(url, headers, verify)) as socket:
                socket.send(place.subscription())
                while True:
                    found = place.take(socket.recv())
                    tried = 0
                    if found is not None:
                        yield found
        except (WebSocketException, OSError, TimeoutError) as error:
            final = _final(error)
            if final is not None:
                raise final from error
            if tried >= retry.times:
                raise Unreachable(url, str(error) or type(error).__name__) from error
        time.sleep(retry.pause_s(tried))
        tried += 1


async def follow_async(
    url: str, headers: dict[str, str], channels: Sequence[str], accounts: Sequence[str], retry: Retry, verify: Any = True
) -> AsyncIterator[Snapshot | Message]:
    """`follow` for asyncio."""
    place, tried = _Place(channels, accounts), 0
    while True:
        try:
            async with connect_async(_address(url), **_options(url, headers, verify)) as socket:
                await socket.send(place.subscription())
                while True:
                    found = place.take(await socket.recv())
                    tried = 0
                    if found is not None:
                        yield found
        except (WebSocketException, OSError, TimeoutError) as error:
            final = _final(error)
            if final is not None:
                raise final from error
            if tried >= retry.times:
                raise Unreachable(url, str(error) or type(error).__name__) from error
        await asyncio.sleep(retry.pause_s(tried))
        tried += 1
