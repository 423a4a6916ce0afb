"""What the clearing applies: ledger events, events of the engine, batches of prices, and steps of closing accounts.

Ledger events are the record of money, the engine's own events those of the market and of open orders. The engine's
Deposit, Withdraw and Fill are not among them: its book follows the ledger.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from seawall.core.events import Cancel, Clock, Order, Parameters, Surface
from seawall.engine.decision import Decision, Verdict
from seawall.ledger.events import LedgerEvent, Receipt
from seawall.liquidation.closing_desk import ToHouse, ToLayers
from seawall.liquidation.closing_events import Deleveraged, Flatten, Look, Reduce

__all__ = [
    "TICK",
    "ClearingEvent",
    "ClosingStep",
    "Executed",
    "Marks",
    "MarketEvent",
    "Outcome",
    "Ticks",
    "Unloaded",
    "pack_ticks",
]

TICK: Any = np.dtype([("underlying", "<i4"), ("price_nano", "<i8")])
"""One price in a batch: the number of the underlying in the market's order, nano per unit. 12 bytes."""


class Ticks(msgspec.Struct, frozen=True, array_like=True, tag="ticks", kw_only=True):
    """Index prices in the order in which they came, all of one time; packed: rows of TICK."""

    at_ns: int
    packed: bytes

    def rows(self) -> list[tuple[int, int]]:
        """(underlying, price in nano) of each."""
        rows: list[tuple[int, int]] = np.frombuffer(self.packed, TICK).tolist()
        return rows


class Marks(msgspec.Struct, frozen=True, array_like=True, tag="marks", kw_only=True):
    """Mark prices by instrument, decimal strings."""

    at_ns: int
    prices: dict[str, str]


class Executed(msgspec.Struct, frozen=True, tag="executed", kw_only=True):
    """An order of a closing traded with `maker`: lots signed as the order's, at a price per lot. done: it is over.

    Without lots and done, nothing is left of it: what confirms a withdrawal.
    """

    account: str
    order: str
    maker: str = ""
    lots: int = 0
    price_nano: int = 0
    done: bool = False


class Unloaded(msgspec.Struct, frozen=True, tag="unloaded", kw_only=True):
    """A bucket's inherited position was traded away: lots signed as the trade (negative sells a long), at a price per lot."""

    bucket: str
    instrument: str
    maker: str
    lots: int
    price_nano: int


class ClosingStep(msgspec.Struct, frozen=True, array_like=True, tag="closing", kw_only=True):
    """One event of closing failed accounts. Number and time of what is inside are those of the step, whatever they say.

    Everything that others had to compute (exact figures, plans, executions, who is deleveraged) is inside, so that a
    replay asks no market. On the wire it stands among ledger events, whose order it shares.
    """

    at_ns: int
    key: str = ""
    what: Look | Reduce | Flatten | Deleveraged | ToHouse | ToLayers | Executed | Unloaded


MarketEvent = Marks | Surface | Parameters | Clock | Order | Cancel
ClearingEvent = LedgerEvent | MarketEvent | Ticks | ClosingStep


class Outcome(msgspec.Struct, frozen=True):
    """What an event did. sequence: its number in the log, from one; 0 where it was refused and nothing happened.

    receipt: of a ledger event; verdict: of a request that margin admits or refuses; decisions: statuses that
    changed by it, the most severe first; repeated: its key was used before by the same event, and this is what
    happened then. versions: by how many the market version moved, −1 where it cannot be said (`facts.py`). closing: what
    the closing desk said, but for transfers and deliveries, which are postings of the receipt.
    """

    sequence: int
    receipt: Receipt | None = None
    verdict: Verdict | None = None
    decisions: tuple[Decision, ...] = ()
    repeated: bool = False
    versions: int = 0
    closing: tuple[Any, ...] = ()


def pack_ticks(prices: list[tuple[int, int]]) -> bytes:
    """(underlying, price in nano) pairs as the rows of `Ticks.packed`."""
    return np.array(prices, TICK).tobytes()
