"""What a keeper asks of a venue, as a small protocol; `remote.py` is the real one, tests have one in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from seawall.core.signing import BidTerms, CancelTerms, RankedTerms
from seawall.keeper.opportunity import Contract, Opportunity

__all__ = ["Answer", "Identity", "Me", "News", "Standing", "Venue"]


class Identity(msgspec.Struct, frozen=True):
    """A venue's name and public key: both are in everything that is signed for it."""

    venue: str
    venue_key: str


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """The keeper's own account."""

    at_ns: int
    equity: Decimal
    free: Decimal
    cash: Decimal
    inventory: dict[str, Decimal]
    marks: dict[str, Decimal]


class Answer(msgspec.Struct, frozen=True):
    """What the venue said to something signed. sequence: of its record, 0 for none; reason: "" where it was taken; receipt: the
    venue's signature over `ReceiptTerms`; repeated: it had the same before."""

    sequence: int
    at_ns: int
    reason: str = ""
    receipt: str = ""
    repeated: bool = False


class Standing(msgspec.Struct, frozen=True):
    """A standing bid of ours that the venue has. budget: our money that it holds for it."""

    id: str
    bucket: str
    size: Decimal
    budget: Decimal
    until_ns: int


class News(msgspec.Struct, frozen=True):
    """A message of the stream. what: its tag, or "snapshot" where everything must be looked at again; data: its fields."""

    what: str
    sequence: int
    at_ns: int
    data: Mapping[str, Any]


class Venue(Protocol):
    """Every method may raise Unreachable (no answer came) or ServiceError (it says no); `news` goes on by itself after breaks."""

    async def identity(self) -> Identity: ...
    async def contracts(self) -> dict[str, Contract]: ...
    async def auctions(self) -> list[Opportunity]: ...
    async def me(self, account: str) -> Me: ...
    async def free_after(self, account: str, trades: Mapping[str, Decimal], deposit: Decimal) -> Decimal: ...
    async def bid(self, terms: BidTerms, signature: str) -> Answer: ...
    async def file(self, terms: RankedTerms, signature: str) -> Answer: ...
    async def cancel(self, terms: CancelTerms, signature: str) -> Answer: ...
    async def standing(self, account: str) -> list[Standing]: ...
    def news(self) -> AsyncIterator[News]: ...
    async def close(self) -> None: ...
