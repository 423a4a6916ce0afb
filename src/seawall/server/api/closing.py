"""Looking at closings: who is being closed, auctions with their prices, who stands behind them, who would be deleveraged."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from fastapi import Response
from msgspec import Meta

from seawall.core.errors import show
from seawall.server.api.desk import Desk
from seawall.server.api.errors import Refusal
from seawall.server.api.routes import Ask, Routes, answer
from seawall.server.closing import views
from seawall.server.closing.liquidator import Liquidator
from seawall.server.quantities import instrument_of

__all__ = ["routes"]


class PageQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which of them."""

    offset: Annotated[int, Meta(ge=0, le=100_000_000)] = 0
    limit: Annotated[int, Meta(ge=1, le=1_000)] = 100


class AuctionsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which of them, and how many points each curve has; 0: none."""

    offset: Annotated[int, Meta(ge=0, le=100_000_000)] = 0
    limit: Annotated[int, Meta(ge=1, le=100)] = 25
    points: Annotated[int, Meta(ge=0, le=61)] = views.POINTS


class DeleveragingQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Of which instrument, and the side that would be closed."""

    instrument: str
    side: Literal["long", "short"]
    limit: Annotated[int, Meta(ge=1, le=1_000)] = 50


async def list_closings(ask: Ask) -> Response:
    """Accounts that are being closed, those in the latest stage first, with their orders in the market."""
    service, found = ask.desk.service, _liquidator(ask.desk)
    page = views.closings_view(service.clearing, service.narrator, len(found.schedule), ask.query.offset, ask.query.limit)
    return answer(ask, page)


async def list_auctions(ask: Ask) -> Response:
    """Auctions that run, each with its price now and its curve at the present figures."""
    service, query = ask.desk.service, ask.query
    _liquidator(ask.desk)
    return answer(ask, views.auctions_view(service.clearing, service.now_ns(), query.offset, query.limit, query.points))


async def get_waterfall(ask: Ask) -> Response:
    """Tranches, providers, global fund and claims; the last shortfalls, and what each layer has paid."""
    service = ask.desk.service
    _liquidator(ask.desk)
    return answer(ask, views.waterfall_view(service.clearing, service.narrator, service.now_ns()))


async def get_deleveraging(ask: Ask) -> Response:
    """Who would be closed first if the other side of an instrument failed."""
    service, query = ask.desk.service, ask.query
    found = _liquidator(ask.desk)
    instrument_of(service.clearing, query.instrument)
    return answer(ask, views.deleveraging_view(service.clearing, found.others, query.instrument, query.side, query.limit))


def _liquidator(desk: Desk) -> Liquidator:
    found = desk.service.liquidator
    if found is None:
        name = desk.config.venue.name
        raise Refusal(404, "no-closing", "venue", show(name), "a venue that closes failed accounts itself: a table [closing]")
    return found


def routes() -> Routes:
    """The routes of this module."""
    found = Routes("closing")
    add = found.add
    add("GET", "/v1/closings", list_closings, scope="read", answers=views.ClosingsView, query=PageQuery, refuses=(404,), cost=5)
    add("GET", "/v1/auctions", list_auctions, scope="read", answers=views.AuctionsView, query=AuctionsQuery, refuses=(404,), cost=10)
    add("GET", "/v1/waterfall", get_waterfall, scope="read", answers=views.WaterfallView, refuses=(404,), cost=5)
    add(
        "GET", "/v1/deleveraging", get_deleveraging, scope="read", answers=views.DeleveragingView, query=DeleveragingQuery,
        refuses=(404,), cost=50,
    )  # fmt: skip
    return found
