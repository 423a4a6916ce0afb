"""uvicorn's protocols with the limits that it leaves to others: how long a request's head may be, how long it may take to
come, how many connections there may be; and a way to cut a WebSocket whose peer takes nothing.

Without these a client that has shown no key could hold memory (a head without end) and descriptors (a head that never ends).
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from seawall.server.config import LimitsConfig

__all__ = ["ABORT", "http_protocol", "SocketProtocol"]

ABORT = "seawall.abort"
"""In the scope of a WebSocket: closes its connection at once, whatever waits to be sent."""


def http_protocol(limits: LimitsConfig) -> type[HttpToolsProtocol]:
    """The HTTP protocol under these limits."""

    class Limited(HttpToolsProtocol):
        head_bytes = 0  # of the head under way: what came of it, or what was parsed of it, whichever is known
        head_timer: asyncio.TimerHandle | None = None
        in_head = True
        refused = False

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.head_timer = self.loop.call_later(limits.header_s, self._late)
            if len(self.connections) > limits.connections:
                self._turn_away(503, b"too many connections")

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_timer()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self.refused:
                return
            if self.in_head and self.head_bytes + len(data) > limits.header_bytes:
                # A head may be followed by a body in the same bytes: only what does not end in time is too long.
                room = max(limits.header_bytes - self.head_bytes, 0)
                if data.find(b"\r\n\r\n", 0, room) < 0 and self.head_timer is not None:
                    self._turn_away(431, b"the head of the request is too long")
                    return
            self.head_bytes += len(data)
            super().data_received(data)

        def on_message_begin(self) -> None:
            if not self.in_head:  # a later request of the connection
                self.in_head = True
                self.head_bytes = 0
                self.head_timer = self.loop.call_later(limits.header_s, self._late)
            self.parsed = 0
            super().on_message_begin()

        def on_url(self, url: bytes) -> None:
            self._parsed(len(url))
            super().on_url(url)

        def on_header(self, name: bytes, value: bytes) -> None:
            self._parsed(len(name) + len(value) + 4)
            super().on_header(name, value)

        def on_headers_complete(self) -> None:
            self._stop_timer()
            self.in_head = False
            if not self.refused:
                super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            if not self.refused:
                super().on_body(body)

        def on_message_complete(self) -> None:
            if not self.refused:
                super().on_message_complete()

        def _parsed(self, size: int) -> None:
            self.parsed += size
            if self.parsed > limits.header_bytes:
                self._turn_away(431, b"the head of the request is too long")

        def _stop_timer(self) -> None:
            if self.head_timer is not None:
                self.head_timer.cancel()
                self.head_timer = None

        def _late(self) -> None:
            self.head_timer = None
            if self.in_head and not self.transport.is_closing():
                self._turn_away(408, b"the head of the request did not come")

        def _turn_away(self, status: int, words: bytes) -> None:
            from http import HTTPStatus

            if self.refused:
                return
            self.refused = True
            phrase = HTTPStatus(status).phrase.encode()
            body = b'{"error":{"code":"connection","place":"request","found":"' + words + b'","expected":"less"}}'
            self.transport.write(
                b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"
                % (status, phrase, len(body), body)
            )
            self.transport.close()

    return Limited


class SocketProtocol(WebSocketsSansIOProtocol):
    """A WebSocket whose scope has ABORT."""

    def handle_connect(self, event: Any) -> None:
        """The handshake; the application's task begins only when the loop turns, so its scope may still be added to."""
        super().handle_connect(event)
        scope: Any = getattr(self, "scope", None)
        if scope is not None:
            scope["extensions"][ABORT] = self.transport.abort
