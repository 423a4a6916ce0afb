"""The stream: what has happened, numbered, for any number of listeners, at a cost to the writer that does not depend on them.

`publish` appends one message to a ring and wakes who waits; it never encodes, never sends, never waits. A listener has a
cursor into the ring, and the frames of a message are made once, when the first listener of a channel set needs them, and shared.
Who falls too far behind, or takes nothing for too long, is dropped with a reason; nobody else notices.

A message's number counts the messages of the listener's channel set: within one subscription `n` rises by exactly 1. Nothing has
to be kept for that: a message knows how many of each kind there were up to it, and the number is a sum.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable
from typing import Any, Literal

import msgspec

from seawall.core.errors import InputError, show
from seawall.server.config import StreamConfig

__all__ = ["CHANNELS", "BEHIND", "CLOSING", "REVOKED", "Dropped", "Hub", "Subscription", "parse_channels"]

CHANNELS = ("decision", "account", "price", "parameters", "system", "liquidation")
ABOUT_AN_ACCOUNT = ("decision", "account", "liquidation")

BEHIND = 4008  # close codes of the WebSocket: too slow
REVOKED = 4001  # the key opens nothing any more
CLOSING = 1001  # the service stops
FRAMES_MAX = 64  # handed out at once, so that others get their turn

Format = Literal["json", "msgpack"]
Channels = frozenset[str]

_PLACE = {name: place for place, name in enumerate(CHANNELS)}
_JSON = msgspec.json.Encoder()
_PACK = msgspec.msgpack.Encoder()


class Dropped(Exception):
    """This subscription is over: the close code and the reason for its WebSocket."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class _Message:
    """One message, and the frames that were made of it so far, by format and number."""

    __slots__ = ("account", "at_ns", "counts", "data", "frames", "kind", "seq")

    def __init__(self, kind: str, data: Any, seq: int, at_ns: int, account: str, counts: tuple[int, ...]) -> None:
        self.kind, self.data, self.seq, self.at_ns, self.account, self.counts = kind, data, seq, at_ns, account, counts
        self.frames: dict[tuple[str, int], bytes] = {}

    def number(self, places: tuple[int, ...]) -> int:
        counts = self.counts
        return sum(counts[place] for place in places)

    def frame(self, format: Format, n: int) -> bytes:
        """The frame under this number; made at most once for all that count alike."""
        found = self.frames.get((format, n))
        if found is None:
            encoder = _JSON if format == "json" else _PACK
            found = encoder.encode({"n": n, "seq": self.seq, "at_ns": self.at_ns, "type": self.kind, "data": self.data})
            self.frames[format, n] = found
        return found


class Hub:
    """The ring and who listens to it. All methods on the loop's thread.

    id names this run: numbers of another run mean nothing here. `snapshot(channels, accounts)` is asked for the state that a
    new listener begins with; it is set by who knows the state.
    """

    def __init__(self, config: StreamConfig | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.config = config or StreamConfig()
        self.id = secrets.token_hex(8)
        self.snapshot: Callable[[Channels, tuple[str, ...]], dict[str, Any]] = lambda channels, accounts: {}
        self.dropped = 0
        self.closing = False
        self._clock = clock
        self._ring: list[_Message | None] = [None] * self.config.kept
        self._head = 0  # messages so far; the next one stands at head % kept
        self._counts = [0] * len(CHANNELS)
        self._last_seq, self._last_at_ns = 0, 0
        self._listeners: set[Subscription] = set()
        self._idle: set[Subscription] = set()
        self._prices: dict[str, Any] = {}
        self._prices_at = (0, 0)

    # -- the writer's side -----------------------------------------------------------------

    def publish(self, kind: str, data: Any, *, seq: int, at_ns: int, account: str = "") -> None:
        """Appends a message of one of CHANNELS. data: plain values or a msgspec record, never changed afterwards;
        seq: the journal's sequence of what it tells, which is durable; account: whom it is about."""
        place = _PLACE[kind]
        self._counts[place] += 1
        message = _Message(kind, data, seq, at_ns, account, tuple(self._counts))
        self._ring[self._head % len(self._ring)] = message
        index = self._head
        self._head += 1
        self._last_seq, self._last_at_ns = seq, at_ns
        if self._idle:
            for listener in [each for each in self._idle if each.wants(message)]:
                listener.wake(index)

    def price(self, name: str, view: Any, *, seq: int, at_ns: int) -> None:
        """A price, sent with the others at the next `flush_prices`, the latest of each name."""
        self._prices[name] = view
        self._prices_at = (seq, at_ns)

    def flush_prices(self) -> None:
        """Publishes the prices that changed since the last time, as one message {name: view}."""
        if self._prices:
            prices, self._prices = self._prices, {}
            self.publish("price", prices, seq=self._prices_at[0], at_ns=self._prices_at[1])

    # -- the listeners' side ---------------------------------------------------------------

    def subscribe(
        self,
        channels: Iterable[str],
        accounts: Iterable[str] = (),
        *,
        after: int | None = None,
        stream: str = "",
        format: Format = "json",
    ) -> Subscription:
        """A new listener. after, stream: the last number it saw and of which run: it goes on from there if it can."""
        chosen = frozenset(channels)
        listener = Subscription(self, chosen, frozenset(accounts), format)
        reason = "new"
        if after is not None:
            found, reason = self._place_of(after, stream, chosen)
            if found is not None:
                listener.cursor, listener.resumed = found, True
        listener.reason = reason
        self._listeners.add(listener)
        return listener

    def _place_of(self, after: int, stream: str, channels: Channels) -> tuple[int | None, str]:
        """Index of the first message behind number `after` of a channel set, or why there is none."""
        if stream != self.id:
            return None, "restarted"
        places = places_of(channels)
        last = sum(self._counts[place] for place in places)
        if not 0 <= after <= last:
            return None, "gap"
        low, high = self.first, self._head
        while low < high:  # numbers only rise along the ring
            middle = (low + high) // 2
            if self.at(middle).number(places) > after:
                high = middle
            else:
                low = middle + 1
        if low < self._head:
            message = self.at(low)
            # At the ring's beginning, what comes before it may be a message of the set that is gone.
            if message.number(places) > after + 1:
                return None, "gap"
        return low, "resumed"

    def number(self, channels: Channels) -> int:
        """Messages of a channel set so far."""
        return sum(self._counts[place] for place in places_of(channels))

    @property
    def head(self) -> int:
        """Messages so far, of all kinds."""
        return self._head

    @property
    def first(self) -> int:
        """Index of the oldest message that is still there."""
        return max(0, self._head - len(self._ring))

    @property
    def seq(self) -> int:
        """The journal's sequence of the last message."""
        return self._last_seq

    @property
    def at_ns(self) -> int:
        """The time of the last message."""
        return self._last_at_ns

    @property
    def listeners(self) -> int:
        """How many there are."""
        return len(self._listeners)

    def at(self, index: int) -> _Message:
        """The message of an index from `first` to `head`."""
        message = self._ring[index % len(self._ring)]
        assert message is not None
        return message

    # -- who must go -----------------------------------------------------------------------

    def check(self) -> int:
        """Drops who is too slow; returns how many. To be called every second or so."""
        now = self._clock()
        slow = 0
        for listener in list(self._listeners):
            if listener in self._idle:
                continue
            behind = self._head - listener.cursor
            if behind > self.config.behind:
                listener.drop(BEHIND, f"too slow: {behind} messages behind, {self.config.behind} allowed")
            elif behind and now - listener.moved > self.config.stalled_s:
                listener.drop(BEHIND, f"too slow: nothing taken for {self.config.stalled_s:g} s")
            else:
                continue
            slow += 1
        self.dropped += slow
        return slow

    async def run(self) -> None:
        """Sends prices at their pace and looks for who is too slow, until it is cancelled."""
        pause, checked = self.config.prices_every_ms / 1e3, 0.0
        while True:
            await asyncio.sleep(pause)
            self.flush_prices()
            if self._clock() - checked >= 0.5:
                checked = self._clock()
                self.check()

    def close(self, reason: str = "the service stops") -> None:
        """Ends all subscriptions; new ones end at once."""
        self.closing = True
        for listener in list(self._listeners):
            listener.drop(CLOSING, reason)

    def forget(self, listener: Subscription) -> None:
        """The listener has gone."""
        self._listeners.discard(listener)
        self._idle.discard(listener)


class Subscription:
    """One listener's place in the stream: `begin` for what to send first, then `next` again and again."""

    def __init__(self, hub: Hub, channels: Channels, accounts: frozenset[str], format: Format) -> None:
        self.channels, self.accounts, self.format = channels, accounts, format
        self.cursor = hub.head
        self.resumed = False
        self.reason = ""
        self.moved = hub._clock()
        self.on_drop: Callable[[], object] = lambda: None
        self._hub = hub
        self._places = places_of(channels)
        self._waiter: asyncio.Future[None] | None = None
        self._over: Dropped | None = None

    def wants(self, message: _Message) -> bool:
        """Whether a message is for this listener."""
        if message.kind not in self.channels:
            return False
        return not self.accounts or message.account in self.accounts or message.kind not in ABOUT_AN_ACCOUNT

    def begin(self) -> bytes:
        """The first frame: the state now with the number it is as of, or that the stream goes on where it was left."""
        hub = self._hub
        head: dict[str, Any] = {
            "type": "resumed" if self.resumed else "snapshot",
            "n": hub.number(self.channels),
            "stream": hub.id,
            "seq": hub.seq,
            "at_ns": hub.at_ns,
            "reason": self.reason,
            "channels": [name for name in CHANNELS if name in self.channels],
            "contiguous": not self.accounts,
        }
        if self.resumed:
            head["n"] = self._before(self.cursor)
        else:
            head["data"] = hub.snapshot(self.channels, tuple(sorted(self.accounts)))
            self.cursor = hub.head
        return (_JSON if self.format == "json" else _PACK).encode(head)

    def _before(self, index: int) -> int:
        """The number of the last message before an index."""
        if index >= self._hub.head:
            return self._hub.number(self.channels)
        message = self._hub.at(index)
        return message.number(self._places) - (message.kind in self.channels)

    async def next(self) -> list[bytes]:
        """The frames that have come, at least one. Raises Dropped when it is over."""
        while True:
            if self._over is not None:
                raise self._over
            frames = self._take()
            if frames:
                return frames
            self._waiter = asyncio.get_running_loop().create_future()
            self._hub._idle.add(self)
            try:
                await self._waiter
            finally:
                self._waiter = None
                self._hub._idle.discard(self)

    def _take(self) -> list[bytes]:
        hub = self._hub
        self.moved = hub._clock()
        if self.cursor < hub.first:
            self.drop(BEHIND, f"too slow: {hub.head - self.cursor} messages behind, {hub.config.kept} kept")
            hub.dropped += 1
            raise self._over or Dropped(BEHIND, "too slow")
        frames: list[bytes] = []
        while self.cursor < hub.head and len(frames) < FRAMES_MAX:
            message = hub.at(self.cursor)
            self.cursor += 1
            if self.wants(message):
                frames.append(message.frame(self.format, message.number(self._places)))
        return frames

    def wake(self, index: int) -> None:
        """There is a message at `index`; nothing before it was wanted."""
        if self._waiter is not None and not self._waiter.done():
            self.cursor = index
            self.moved = self._hub._clock()
            self._hub._idle.discard(self)
            self._waiter.set_result(None)

    def drop(self, code: int, reason: str) -> None:
        """Ends it: `next` raises, and `on_drop` is called for a sender that waits for its socket."""
        if self._over is not None:
            return
        self._over = Dropped(code, reason)
        self._hub.forget(self)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        self.on_drop()

    @property
    def over(self) -> Dropped | None:
        """Why it ended, or None."""
        return self._over

    def close(self) -> None:
        """The listener goes by itself."""
        self._hub.forget(self)


def places_of(channels: Iterable[str]) -> tuple[int, ...]:
    """The counters of a channel set."""
    return tuple(sorted(_PLACE[name] for name in channels))


def parse_channels(names: Iterable[str]) -> Channels:
    """A channel set; InputError for a channel that there is not, or none at all."""
    chosen = frozenset(names)
    for name in sorted(chosen):
        if name not in _PLACE:
            raise InputError("channels", show(name), "some of " + ", ".join(CHANNELS))
    if not chosen:
        raise InputError("channels", "none", "some of " + ", ".join(CHANNELS))
    return chosen
