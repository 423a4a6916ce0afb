"""Looking at accounts: the table, one account, its margin and why, what would be, and where it ends."""

from __future__ import annotations

import csv
import io
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Response
from msgspec import Meta

from seawall.core.units import PPM, format_decimal, format_micro, format_nano
from seawall.engine.corridor import Corridors
from seawall.margin.liquidation import Crossings
from seawall.server.api import answers as a
from seawall.server.api.routes import Ask, Routes, answer
from seawall.server.views import AccountRow, AccountView, FiguresView, OrderView, Page, PositionView, figures_view, page

__all__ = ["corridors_view", "liquidation_view", "routes"]

CSV_ROWS_MAX = 100_000
STATUSES = Literal["", "ok", "margin_call", "liquidatable", "bankrupt"]
SORTS = Literal[
    "account", "equity", "initial_margin", "maintenance_margin", "health", "free_collateral", "margin_ratio", "status"
]


class AccountsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which accounts, in which order. search: part of a name."""

    status: STATUSES = ""
    search: Annotated[str, Meta(max_length=64)] = ""
    sort: SORTS = "margin_ratio"
    descending: bool = False
    offset: Annotated[int, Meta(ge=0, le=100_000_000)] = 0
    limit: Annotated[int, Meta(ge=1, le=1_000)] = 50
    users_only: bool = True


class CsvQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """As for the table, with more rows at once."""

    status: STATUSES = ""
    search: Annotated[str, Meta(max_length=64)] = ""
    sort: SORTS = "account"
    descending: bool = False
    offset: Annotated[int, Meta(ge=0, le=100_000_000)] = 0
    limit: Annotated[int, Meta(ge=1, le=CSV_ROWS_MAX)] = 10_000
    users_only: bool = True


class LiquidationQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which price moves; the others stay."""

    underlying: str


async def list_accounts(ask: Ask) -> Response:
    """A page of accounts: filtered, sorted, counted; figures of each account's last exact evaluation."""
    how = msgspec.structs.asdict(ask.query)
    return answer(ask, await ask.desk.looks.made(lambda seen: page(seen, **how)))


async def list_accounts_csv(ask: Ask) -> Response:
    """The table of accounts as CSV."""
    how = msgspec.structs.asdict(ask.query)
    return Response(await ask.desk.looks.made(lambda seen: _csv(page(seen, **how))), media_type="text/csv")


def _csv(found: Page) -> str:
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    names = AccountRow.__struct_fields__
    rows.writerow(names)
    rows.writerows([_cell(getattr(row, name)) for name in names] for row in found.rows)
    return out.getvalue()


def _cell(value: Any) -> Any:
    """Text that a spreadsheet would run as a formula is not given to it as one."""
    return "'" + value if isinstance(value, str) and value[:1] in "=+@\t\r" and value else value


async def get_account(ask: Ask) -> Response:
    """Everything about one account: state, balances, positions, orders, margin."""
    return answer(ask, ask.desk.service.account(ask.path["account"]))


async def get_margin(ask: Ask) -> Response:
    """Margin of one account at the present market, exactly."""
    return answer(ask, figures_view(ask.desk.service.figures(ask.path["account"])))


async def list_positions(ask: Ask) -> Response:
    """Positions of one account at present marks."""
    return answer(ask, ask.desk.service.account(ask.path["account"]).positions)


async def list_orders(ask: Ask) -> Response:
    """Open orders of one account."""
    return answer(ask, ask.desk.service.account(ask.path["account"]).orders)


async def explain_margin(ask: Ask) -> Response:
    """Why the margin is what it is: leg by leg, component by component, and the worst scenarios."""
    return answer(ask, ask.desk.service.explain(ask.path["account"]).to_dict())


async def get_liquidation_prices(ask: Ask) -> Response:
    """Prices of one underlying at which the account is liquidated; an option book has several, or none."""
    account, underlying = ask.path["account"], ask.query.underlying
    return answer(ask, liquidation_view(account, underlying, ask.desk.service.liquidation(account, underlying)))


async def get_corridors(ask: Ask) -> Response:
    """The certified safe corridor: between these prices, the account's status provably stays what it is."""
    return answer(ask, corridors_view(ask.desk.service.corridors(ask.path["account"])))


async def what_if(ask: Ask) -> Response:
    """Margin as if trades were done at the mark; nothing changes and nothing is recorded."""
    found = ask.desk.service.what_if(ask.path["account"], ask.body.trades, ask.body.deposit)
    return answer(ask, figures_view(found))


async def check_order(ask: Ask) -> Response:
    """Whether margin would admit an order, and the account before and after; nothing changes."""
    body: a.CheckBody = ask.body
    verdict = ask.desk.service.check(ask.path["account"], body.instrument, body.quantity, body.price)
    return answer(ask, a.verdict_view(verdict))


def liquidation_view(account: str, underlying: str, found: Crossings) -> a.LiquidationView:
    """Crossings as they are told."""
    return a.LiquidationView(
        account=account,
        underlying=underlying,
        crossings=tuple(
            a.CrossingView(
                format_decimal(one.below),
                format_decimal(one.above),
                format_micro(one.health_below),
                format_micro(one.health_above),
                one.falling,
            )
            for one in found.found
        ),
        low=format_decimal(found.low),
        high=format_decimal(found.high),
        tick=format_decimal(found.tick),
        complete=found.complete,
        health=format_micro(found.health),
    )


def corridors_view(found: Corridors) -> a.CorridorsView:
    """Corridors as they are told."""
    return a.CorridorsView(
        account=found.account,
        status=found.status,
        at_ns=found.at_ns,
        until_ns=found.until_ns,
        corridors=tuple(
            a.BandView(
                one.underlying,
                format_nano(one.price_nano),
                format_nano(one.low_nano),
                format_nano(one.high_nano),
                _fraction(one.vol_ppm),
                _fraction(one.basis_ppm),
            )
            for one in found.corridors
        ),
        none=found.none,
    )


def _fraction(ppm: int | None) -> str | None:
    return None if ppm is None else f"{ppm / PPM:.6f}"


def routes() -> Routes:
    """The routes of this module."""
    found = Routes("accounts")
    one = "/v1/accounts/{account}"
    add = found.add
    add("GET", "/v1/accounts", list_accounts, scope="read", answers=Page, query=AccountsQuery, cost=20)
    add("GET", "/v1/accounts.csv", list_accounts_csv, scope="read", answers="csv", query=CsvQuery, media="text/csv", cost=50)
    add("GET", one, get_account, scope="read", answers=AccountView, refuses=(404,))
    add("GET", f"{one}/margin", get_margin, scope="read", answers=FiguresView, refuses=(404,))
    add("GET", f"{one}/positions", list_positions, scope="read", answers=list[PositionView], refuses=(404,))
    add("GET", f"{one}/orders", list_orders, scope="read", answers=list[OrderView], refuses=(404,))
    add("GET", f"{one}/explain", explain_margin, scope="read", answers=dict[str, Any], refuses=(404,), cost=5)
    add(
        "GET", f"{one}/liquidation-prices", get_liquidation_prices, scope="read", answers=a.LiquidationView,
        query=LiquidationQuery, refuses=(404,), cost=20,
    )  # fmt: skip
    add("GET", f"{one}/corridors", get_corridors, scope="read", answers=a.CorridorsView, refuses=(404,))
    add("POST", f"{one}/what-if", what_if, scope="read", answers=FiguresView, body=a.WhatIfBody, refuses=(404,))
    add("POST", f"{one}/check", check_order, scope="read", answers=a.VerdictView, body=a.CheckBody, refuses=(404,))
    return found
