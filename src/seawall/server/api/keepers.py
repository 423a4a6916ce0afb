"""What keepers look at: the key that the venue signs receipts with, and the bids that stand before anybody fails."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import Response
from msgspec import Meta

from seawall.core.errors import show
from seawall.core.units import PPM, format_decimal, format_micro, parse_decimal
from seawall.server.api.desk import Desk
from seawall.server.api.errors import Refusal
from seawall.server.api.routes import Ask, Routes, answer

__all__ = ["RankedView", "VenueKey", "routes"]


class VenueKey(msgspec.Struct, frozen=True):
    """Both are in everything that is signed for this venue. public_key: Ed25519, 64 hex digits."""

    venue: str
    public_key: str


class StandingView(msgspec.Struct, frozen=True):
    """A standing bid, with what is left of its size and budget. keeps_promise: whether its bidder is a designated liquidator of the
    bucket who keeps what it has promised standing."""

    bidder: str
    id: str
    bucket: str
    size: str
    share: str
    insolvent: str
    budget: str
    until_ns: int
    keeps_promise: bool


class RankedView(msgspec.Struct, frozen=True):
    """Standing bids, the best of each bucket first; escrow: the sum of their budgets."""

    total: int
    bids: tuple[StandingView, ...]
    escrow: str
    sequence: int
    at_ns: int


class RankedQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Of one bidder, or of a bucket."""

    bidder: Annotated[str, Meta(max_length=128)] = ""
    bucket: Annotated[str, Meta(max_length=128)] = ""


async def get_venue_key(ask: Ask) -> Response:
    """The venue's name and public key, which signs the receipts of keepers."""
    notary = ask.desk.notary
    if notary is None:
        raise _none(ask.desk)
    return answer(ask, VenueKey(notary.venue, notary.public))


async def list_ranked_bids(ask: Ask) -> Response:
    """Bids that stand before anybody fails, with what is left of them."""
    clearing = ask.desk.service.clearing
    if clearing.desk is None:
        raise _none(ask.desk)
    ranked, query = clearing.desk.ranked, ask.query
    chosen = [
        each for each in ranked.standing.values() if query.bidder in ("", each.bidder) and query.bucket in ("", each.bucket)
    ]
    chosen.sort(key=lambda each: (each.bucket, -each.share_ppm, each.filed))
    rows = tuple(
        StandingView(
            each.bidder, each.id, each.bucket, format_micro(each.size_micro), _share(each.share_ppm),
            "" if each.insolvent_ppm < 0 else _share(each.insolvent_ppm), format_micro(each.budget_micro), each.until_ns,
            ranked.keeps_promise(each.bidder, each.bucket),
        )
        for each in chosen
    )  # fmt: skip
    return answer(ask, RankedView(len(rows), rows, format_micro(ranked.escrow_micro), clearing.sequence, clearing.at_ns))


def _share(ppm: int) -> str:
    return format_decimal(parse_decimal(ppm, "share") / PPM)


def _none(desk: Desk) -> Refusal:
    return Refusal(404, "no-closing", "venue", show(desk.config.venue.name), "a venue that closes failed accounts: a table [closing]")


def routes() -> Routes:
    """The routes of this module."""
    found = Routes("keepers")
    found.add("GET", "/v1/keepers/venue-key", get_venue_key, scope="read", answers=VenueKey, refuses=(404,))
    found.add(
        "GET", "/v1/ranked-bids", list_ranked_bids, scope="read", answers=RankedView, query=RankedQuery, refuses=(404,), cost=10
    )
    return found
