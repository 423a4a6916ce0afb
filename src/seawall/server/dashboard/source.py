"""What the dashboard is told, and by whom: the protocol of its two sources, and the records they hand over.

One source reads a service from outside (`service_source.py`), the other an engine in this process (`engine_source.py`).
Both give looks: copies of the arrays of all accounts at one moment, which the dashboard may keep as long as it likes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
import numpy as np

from seawall.core.errors import SeawallError

__all__ = ["ClosingSeen", "Facts", "Look", "Names", "PriceSeen", "Source", "Unanswered"]

STATUSES = ("ok", "margin_call", "liquidatable", "bankrupt")


class Unanswered(SeawallError):
    """The engine did not answer in time, or cannot answer this at all: the words say which."""


class PriceSeen(msgspec.Struct, frozen=True):
    """A price as it last came in: a decimal, its time, and who said it."""

    name: str
    price: str
    at_ns: int
    sources: tuple[str, ...] = ()


class Look(msgspec.Struct, frozen=True, eq=False):
    """All accounts at one moment. Amounts are micro of the settlement currency.

    at_ns: the engine's time. now_ns: the time against which ages are told. heard_s: monotonic time of this process at
    which the source last heard of the engine. sequence, version: of the last event, of the market. levels int8[A]: position
    in STATUSES. figures int64[A, 3]: equity, initial, maintenance, each account at its last exact evaluation, the
    oldest of which was at figures_at_ns. facts: small things by name for the screen, such as durable_seq.
    """

    at_ns: int
    now_ns: int
    heard_s: float
    sequence: int
    version: int
    levels: np.ndarray
    figures: np.ndarray
    figures_at_ns: int
    prices: tuple[PriceSeen, ...]
    facts: dict[str, Any] = {}


class ClosingSeen(msgspec.Struct, frozen=True, eq=False):
    """What is being closed, as it was last told: answers of the API (`/v1/closings`, `/v1/auctions`, `/v1/waterfall`) as they
    came, and messages of its stream.

    why: where nothing can be told, the reason in words; then all else is empty. heard_s: monotonic time of this process
    at which the oldest of the answers came. news: newest last, {n, at_ms, data} with n rising.
    """

    why: str = ""
    heard_s: float = 0.0
    closings: dict[str, Any] = {}
    auctions: dict[str, Any] = {}
    waterfall: dict[str, Any] = {}
    news: tuple[dict[str, Any], ...] = ()


class Facts(msgspec.Struct, frozen=True):
    """What does not change while the source lives: words for the head of the page."""

    title: str
    settlement: str
    model: str
    kind: str  # "service" or "in this process"
    scopes: tuple[str, ...] = ("read",)


class Names:
    """Names of all accounts by row, and the rows whose name contains some text."""

    def __init__(self, names: Sequence[str]) -> None:
        self.all = names
        self._text = ""
        self._starts: list[int] = []
        self._rows: dict[str, int] = {}
        self._built = -1

    def __len__(self) -> int:
        return len(self.all)

    def row(self, name: str) -> int | None:
        """Row of an account, None where there is none of that name."""
        self._build()
        return self._rows.get(name)

    def containing(self, text: str) -> np.ndarray:
        """int64[k], rising: rows whose name contains the text, upper and lower case alike."""
        self._build()
        wanted, found, at = text.lower(), [], 0
        while wanted and "\n" not in wanted:
            at = self._text.find(wanted, at)
            if at < 0:
                break
            row = bisect_right(self._starts, at) - 1
            found.append(row)
            at = self._starts[row + 1]
        return np.array(found, np.int64)

    def _build(self) -> None:
        """One text of all names: looking through it is a search in memory, not a loop over objects."""
        if self._built == len(self.all):
            return
        parts = [name.lower() for name in self.all]
        self._text = "\n".join(parts) + "\n"
        ends = np.cumsum([len(part) + 1 for part in parts])
        self._starts = [0, *ends.tolist()]
        self._rows = {name: row for row, name in enumerate(self.all)}
        self._built = len(self.all)


class Source(Protocol):
    """Where the dashboard gets everything from. Coroutines raise InputError for what was asked wrongly, Unanswered
    where there is no answer."""

    names: Names

    def facts(self) -> Facts:
        """Words for the head of the page."""

    def look(self) -> Look | None:
        """The newest look, or None before the first. Quick: it is asked several times a second."""

    def decisions(self, account: str = "", kind: str = "", count: int = 100, before: int = 0) -> list[dict[str, Any]]:
        """The newest decisions first, of one account or of all, with `n` below `before` where that is not 0."""

    def closing(self, looked_at: bool) -> ClosingSeen:
        """What is being closed, quick as `look`. looked_at: whether anybody sees it; if not, a source may ask less often."""

    async def deleveraging(self, instrument: str, side: str, count: int) -> dict[str, Any]:
        """Who of one side of an instrument ("long" or "short") would be closed first if the other side failed."""

    async def account(self, name: str) -> dict[str, Any]:
        """Positions, open orders, margin explained, corridor, postings."""

    async def curves(self, name: str, underlying: str, span_ppm: int) -> dict[str, Any]:
        """Equity and margin over the price of one underlying, with the liquidation set and the corridor."""

    async def what_if(self, name: str, question: Any) -> dict[str, Any]:
        """Figures before and after what has not happened."""

    async def instruments(self) -> list[dict[str, Any]]:
        """Symbol, kind, underlying, mark and lot of every instrument, for the what-if page."""

    async def stress(self) -> dict[str, Any] | None:
        """The whole book over spot × vol, as last computed; None before the first, or where there is none."""

    async def parameters(self) -> dict[str, Any]:
        """The model's parameters in force, and what has been announced."""

    async def audit(self) -> dict[str, Any]:
        """State hash, log, the comparison of recorded statuses with a full evaluation."""

    async def close(self) -> None:
        """Lets go of everything."""
