"""The book in columns, a page of rows at a time: what a process beside the service needs to evaluate all accounts itself.

A page is a copy of some rows, made in about a millisecond; pages that are asked for one after another may be of different
moments, each account whole. Rows are those of the engine and of the status board.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np
from fastapi import Response
from msgspec import Meta

from seawall.ledger.chart import USER
from seawall.server.api.routes import Ask, Routes, answer

__all__ = ["BookPage", "routes"]


class BookQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """first: row to begin with; count: rows at most."""

    first: Annotated[int, Meta(ge=0, le=100_000_000)] = 0
    count: Annotated[int, Meta(ge=1, le=50_000)] = 20_000


class BookPage(msgspec.Struct, frozen=True):
    """Rows from `first` on, of `rows` in all, as of event `sequence`. The columns are little-endian: cash_nano int64 (nano of
    the settlement currency, the cost of positions included), users bool (an account of a user), orders int64 (open ones),
    lengths int64, positions per account; then of all their positions in order leg int32 (rows of the market's legs,
    of which there are `legs`), lots int64."""

    first: int
    rows: int
    legs: int
    sequence: int
    at_ns: int
    cash_nano: bytes
    users: bytes
    orders: bytes
    lengths: bytes
    leg: bytes
    lots: bytes


async def get_book(ask: Ask) -> Response:
    """Cash and positions of many accounts, in columns; for evaluations of the whole book beside the service."""
    clearing = ask.desk.service.clearing
    book, state = clearing.engine.book, clearing.ledger.state
    rows = len(state.names)
    first = min(ask.query.first, rows)
    these = slice(first, min(first + ask.query.count, rows))
    lengths = np.array(book.positions.length[these], np.int64)
    ends = np.concatenate([[0], np.cumsum(lengths)])
    at = np.repeat(np.array(book.positions.start[these]) - ends[:-1], lengths) + np.arange(ends[-1])
    leg, lots = (column[at] for column in book.positions.columns)
    page = BookPage(
        first=first,
        rows=rows,
        legs=len(clearing.engine.watch.desk.base.legs.symbols),
        sequence=clearing.sequence,
        at_ns=clearing.at_ns,
        cash_nano=np.array(book.cash_nano[these], "<i8").tobytes(),
        users=(np.frombuffer(state.kind, np.int8)[these] == USER).tobytes(),
        orders=np.array(book.orders.length[these], "<i8").tobytes(),
        lengths=lengths.astype("<i8").tobytes(),
        leg=leg.astype("<i4").tobytes(),
        lots=lots.astype("<i8").tobytes(),
    )
    return answer(ask, page)


def routes() -> Routes:
    """The route of this module."""
    found = Routes("venue")
    found.add("GET", "/v1/book", get_book, scope="read", answers=BookPage, query=BookQuery, cost=20)
    return found
