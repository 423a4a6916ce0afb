"""One stream of frames for all browsers: a snapshot, then numbered differences, each encoded once.

Every client has a queue of a few frames. Where it is full the client is slow: its queue is emptied and it takes the
next snapshot instead, so a browser that stalls loses frames and never costs memory. A hidden page is sent nothing
until it is looked at again. Nothing here waits for a client.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import msgspec

from seawall.server.dashboard.fold import View, difference

__all__ = ["DEPTH", "Client", "Hub"]

DEPTH = 4  # frames that wait for one client

_encode = msgspec.json.Encoder().encode


class Client:
    """One browser's place in the stream. `take` gives what it is to be sent next."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._queue: deque[bytes] = deque()
        self._aside: bytes | None = None
        self._ready = asyncio.Event()
        self._behind = True  # starts with a snapshot
        self.hidden = False
        self.watching: str | None = None
        self.resyncs = 0
        self._wake()

    def offer(self, frame: bytes) -> None:
        """A frame for it; a full queue is given up for a snapshot."""
        if self.hidden or self._behind:
            self._wake()
            return
        if len(self._queue) >= DEPTH:
            self._queue.clear()
            self._behind = True
            self.resyncs += 1
        else:
            self._queue.append(frame)
        self._wake()

    def offer_aside(self, message: bytes) -> None:
        """A message about what it watches; only the newest waits."""
        if not self.hidden:
            self._aside = message
            self._wake()

    def hide(self, hidden: bool) -> None:
        """A hidden page is sent nothing; when shown again it begins with a snapshot."""
        if self.hidden and not hidden:
            self._behind = True
        self.hidden = hidden
        self._queue.clear()
        self._aside = None
        self._wake()

    def resync(self) -> None:
        """It has lost its place: a snapshot is next."""
        self._behind = True
        self._queue.clear()
        self._wake()

    async def take(self) -> list[bytes]:
        """Waits for something to send, and empties the queue."""
        while True:
            await self._ready.wait()
            self._ready.clear()
            if self.hidden:
                continue
            out: list[bytes] = []
            if self._behind:
                snapshot = self._hub.snapshot()
                if snapshot is None:
                    continue  # nothing has been published yet
                self._behind = False
                self._queue.clear()
                out.append(snapshot)
            out += self._queue
            self._queue.clear()
            if self._aside is not None:
                out.append(self._aside)
                self._aside = None
            if out:
                return out

    def _wake(self) -> None:
        self._ready.set()


class Hub:
    """All clients, and the view that the last frame left them with. One event loop's own: no locks."""

    def __init__(self) -> None:
        self.clients: set[Client] = set()
        self.number = 0
        self.encodings = 0
        self._view: View | None = None
        self._snapshot: bytes | None = None

    @property
    def looked_at(self) -> bool:
        """Whether anybody sees the frames."""
        return any(not client.hidden for client in self.clients)

    def join(self) -> Client:
        """A new client, which begins with a snapshot."""
        client = Client(self)
        self.clients.add(client)
        return client

    def leave(self, client: Client) -> None:
        """Forgets a client."""
        self.clients.discard(client)

    def publish(self, view: View) -> None:
        """The next frame: the difference to the one before, encoded once for all."""
        self.number += 1
        old, self._view, self._snapshot = self._view, view, None
        if not self.clients:
            return
        if old is None:
            for client in self.clients:
                client.offer(b"")  # wakes it: all begin with the snapshot
            return
        frame = self._encode({"t": "d", "f": self.number, **difference(old, view)})
        for client in self.clients:
            client.offer(frame)

    def aside(self, messages: dict[str, Any]) -> None:
        """One message per watched name, encoded once for all that watch it."""
        for name, message in messages.items():
            encoded = self._encode({"t": "w", "f": self.number, "account": name, **message})
            for client in self.clients:
                if client.watching == name:
                    client.offer_aside(encoded)

    @property
    def watched(self) -> set[str]:
        """Names that somebody watches and sees."""
        return {c.watching for c in self.clients if c.watching is not None and not c.hidden}

    def snapshot(self) -> bytes | None:
        """The whole view as of the last frame, encoded once however many ask; None before the first."""
        if self._view is None:
            return None
        if self._snapshot is None:
            self._snapshot = self._encode({"t": "snap", "f": self.number, "view": self._view})
        return self._snapshot

    def _encode(self, message: Any) -> bytes:
        self.encodings += 1
        return _encode(message)
