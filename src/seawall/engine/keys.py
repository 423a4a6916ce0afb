"""Idempotency keys: an event with a key that was used is not applied again, and gets the answer of then.

One store for all kinds of events, a part of the clearing's state. A key is remembered for a while of event time; the
same key with other content is refused.
"""

from __future__ import annotations

import hashlib
from collections import deque
from typing import Any, NamedTuple, Protocol

import msgspec

from seawall.core.errors import DuplicateRow, InputError, show
from seawall.engine.clearing_events import ClosingStep, Outcome
from seawall.engine.decision import Verdict
from seawall.ledger.events import Receipt
from seawall.liquidation.auction_events import Bid
from seawall.liquidation.closing_desk import ToHouse
from seawall.liquidation.ranked_events import FileRanked

__all__ = ["Done", "Keys", "Late", "done_of"]

KEY_CHARACTERS_MAX = 256
_ENCODER = msgspec.msgpack.Encoder()
_RECEIPT = msgspec.msgpack.Decoder(Receipt | None)
_VERDICT = msgspec.msgpack.Decoder(Verdict | None)


class Done(NamedTuple):
    """What an event with a key did. digest: of its content without its time; receipt, verdict: encoded."""

    sequence: int
    at_ns: int
    digest: bytes
    receipt: bytes
    verdict: bytes


class Late(Protocol):
    """What an event with a key did, worked out when somebody asks (`server/refolding.py`)."""

    at_ns: int

    def done(self) -> Done:
        """The same at every call, from any thread."""
        ...


def done_of(event: Any, outcome: Outcome) -> Done:
    """What is remembered of an event."""
    receipt, verdict = _ENCODER.encode(outcome.receipt), _ENCODER.encode(outcome.verdict)
    return Done(outcome.sequence, event.at_ns, _digest(event), receipt, verdict)


class Keys:
    """Keys and what was done under them, oldest first; forgotten after `keys_ns`."""

    def __init__(self, keys_ns: int, done: dict[str, Done | Late] | None = None) -> None:
        self.keys_ns = keys_ns
        self.done: dict[str, Done | Late] = done or {}
        self._order: deque[str] = deque(self.done)

    def repeated(self, key: str, event: Any) -> Outcome | None:
        """What the key's event did, if it was used by the same; DuplicateRow where it was used by another."""
        if type(key) is not str or len(key) > KEY_CHARACTERS_MAX or not key.isprintable():
            raise InputError("key", show(key), f"text of at most {KEY_CHARACTERS_MAX} printable characters")
        found = self.done.get(key)
        if found is None:
            return None
        if not isinstance(found, Done):
            found = found.done()
        if found.digest != _digest(event):
            raise DuplicateRow("key", f"{show(key)}, used by another event", "a key of its own for each event")
        return Outcome(found.sequence, _RECEIPT.decode(found.receipt), _VERDICT.decode(found.verdict), (), True)

    def remember(self, key: str, event: Any, outcome: Outcome) -> None:
        """The key is used from now on."""
        self.take(key, done_of(event, outcome))

    def take(self, key: str, done: Done | Late) -> None:
        """`remember`, of what is known already; InputError where the key is in use."""
        if key in self.done:
            self.forget(done.at_ns)
            if key in self.done:
                raise InputError("key", f"{show(key)}, used before", "a key of its own for each event")
        self.done[key] = done
        self._order.append(key)

    def forget(self, now_ns: int) -> None:
        """Keys that are older than `keys_ns` are as if they had never been."""
        while self._order and self.done[self._order[0]].at_ns < now_ns - self.keys_ns:
            del self.done[self._order.popleft()]


def _digest(event: Any) -> bytes:
    content = type(event).__name__.encode() + _ENCODER.encode(msgspec.structs.replace(_as_asked(event), at_ns=0))
    return hashlib.blake2b(content, digest_size=16).digest()


def _as_asked(event: Any) -> Any:
    """Without what the service works out at the moment of a bid: the same bid asked again is the same."""
    if not isinstance(event, ClosingStep) or not isinstance(event.what, ToHouse):
        return event
    inside = event.what.event
    if not isinstance(inside, Bid | FileRanked):
        return event
    what = msgspec.structs.replace(event.what, event=msgspec.structs.replace(inside, free_micro=0))
    return msgspec.structs.replace(event, what=what)
