"""WebSocket clients made by hand, for loads: a client library would cost more than the service that is measured.

`Socket` is for asyncio; `Wire` is a plain socket that never blocks once it is open, for who waits for many of them at once. Frames to the
service are masked with zeros: it must be done, and that costs nothing.
"""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import struct
from collections.abc import Iterator
from urllib.parse import urlsplit

__all__ = ["Socket", "Wire"]


class Socket:
    """One WebSocket: text frames out (masked with zeros, as a client must mask), frames in as bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, url: str, path: str, key: str) -> Socket:
        """Connects and shakes hands."""
        to = urlsplit(url)
        reader, writer = await asyncio.open_connection(to.hostname, to.port)
        writer.write(_handshake(to.netloc, path, key))
        _check(await reader.readuntil(b"\r\n\r\n"))
        return cls(reader, writer)

    def send(self, body: bytes) -> None:
        """One text frame."""
        self._writer.write(_text(body))

    async def receive(self) -> bytes:
        """The next frame of data."""
        while True:
            first, size = await self._reader.readexactly(2)
            if size == 126:
                (size,) = struct.unpack(">H", await self._reader.readexactly(2))
            elif size == 127:
                (size,) = struct.unpack(">Q", await self._reader.readexactly(8))
            body = await self._reader.readexactly(size)
            if first & 0x0F in (1, 2):
                return body
            if first & 0x0F == 9:
                self._writer.write(bytes((0x8A, 0x80 | size)) + b"\0\0\0\0" + body)
            if first & 0x0F == 8:
                raise ConnectionError(f"closed: {body[2:].decode('utf-8', 'replace')}")

    def abort(self) -> None:
        """Hangs up without a word."""
        self._writer.transport.abort()


class Wire:
    """One WebSocket on a plain socket. `send` and `frames` never wait; `fileno` is for `select`."""

    def __init__(self, url: str, path: str, key: str) -> None:
        to = urlsplit(url)
        self._socket = socket.create_connection((to.hostname or "", to.port or 0), timeout=10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(_handshake(to.netloc, path, key))
        came = b""
        while b"\r\n\r\n" not in came:
            more = self._socket.recv(4096)
            if not more:
                raise ConnectionError("closed during the handshake")
            came += more
        head, _, self._rest = came.partition(b"\r\n\r\n")
        _check(head)
        self._socket.setblocking(False)

    def fileno(self) -> int:
        """The descriptor."""
        return self._socket.fileno()

    def send(self, body: bytes) -> None:
        """One text frame. ConnectionError where the service takes nothing any more."""
        frame = _text(body)
        try:
            sent = self._socket.send(frame)
        except BlockingIOError:
            sent = 0
        if sent != len(frame):
            raise ConnectionError("the service takes no more frames")

    def frames(self) -> Iterator[bytes]:
        """Bodies of the frames of data that have come by now; to be called when the descriptor can be read."""
        try:
            came = self._socket.recv(1 << 16)
            if not came:
                raise ConnectionError("closed")
        except BlockingIOError:
            came = b""  # what came with the handshake is still there
        data, at = self._rest + came, 0
        while (there := _frame_at(data, at)) is not None:
            kind, start, end = there
            at = end
            if kind in (1, 2):
                yield data[start:end]
            elif kind == 9:
                self._socket.send(bytes((0x8A, 0x80 | (end - start))) + b"\0\0\0\0" + data[start:end])
            elif kind == 8:
                raise ConnectionError(f"closed: {data[start + 2 : end].decode('utf-8', 'replace')}")
        self._rest = data[at:]

    def close(self) -> None:
        """Hangs up."""
        self._socket.close()


def _frame_at(data: bytes, at: int) -> tuple[int, int, int] | None:
    """(kind, where its body begins and ends) of the frame that begins here; None where it has not come whole."""
    if len(data) < at + 2:
        return None
    size, start = data[at + 1], at + 2
    if size >= 126:
        width = 2 if size == 126 else 8
        if len(data) < start + width:
            return None
        size, start = int.from_bytes(data[start : start + width], "big"), start + width
    return (data[at] & 0x0F, start, start + size) if len(data) >= start + size else None


def _handshake(host: str, path: str, key: str) -> bytes:
    nonce = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {nonce}\r\n\r\n".encode()
    )


def _check(head: bytes) -> None:
    if b" 101 " not in head.split(b"\r\n", 1)[0]:
        raise ConnectionError(head.decode("latin-1"))


def _text(body: bytes) -> bytes:
    size = len(body)
    head = bytes((0x81, 0x80 | size)) if size < 126 else struct.pack(">BBH", 0x81, 0x80 | 126, size)
    return head + b"\0\0\0\0" + body
