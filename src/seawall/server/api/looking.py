"""Looking at the venue: market, prices, parameters, totals, health, metrics, the audit trail."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from fastapi import Response
from msgspec import Meta

from seawall.engine.frozen import columns_of, freeze, hash_of
from seawall.server.api import answers as a
from seawall.server.api.desk import Desk
from seawall.server.api.errors import Refusal
from seawall.server.api.routes import Ask, Routes, answer
from seawall.server.audit import read_audit
from seawall.server.gauges import gauges
from seawall.server.metrics import render
from seawall.server.views import Overview

__all__ = ["routes", "status_view"]


class OverviewQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """worst: how many of the accounts nearest to liquidation."""

    worst: Annotated[int, Meta(ge=0, le=500)] = 50


class AuditQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """after: entries behind this sequence (negative: so many from the end); key, kind, account: only these."""

    after: Annotated[int, Meta(ge=-10_000_000, le=2**62)] = -1000
    limit: Annotated[int, Meta(ge=1, le=1_000)] = 100
    key: Annotated[str, Meta(max_length=64)] = ""
    kind: Annotated[str, Meta(max_length=64)] = ""
    account: Annotated[str, Meta(max_length=128)] = ""


async def get_market(ask: Ask) -> Response:
    """The present market, as a market.json."""
    return answer(ask, ask.desk.service.market().to_document())


async def get_prices(ask: Ask) -> Response:
    """Index prices with their ages and sources."""
    service = ask.desk.service
    status = service.status()
    return answer(ask, a.PricesView(service.prices(), status["sequence"], status["at_ns"]))


async def get_parameters(ask: Ask) -> Response:
    """The model and its parameters at present."""
    return answer(ask, ask.desk.service.parameters())


async def get_overview(ask: Ask) -> Response:
    """Totals, accounts by status, the histogram of health, and the accounts nearest to liquidation."""
    return answer(ask, await ask.desk.overview(ask.query.worst))


async def get_status(ask: Ask) -> Response:
    """How the service is: journal, lag, staleness, recovery."""
    desk = ask.desk
    return answer(ask, status_view(desk))


async def get_state_hash(ask: Ask) -> Response:
    """The hash of the whole state, as snapshots carry it; made in a thread of a copy that holds the loop for a moment."""
    clearing = ask.desk.service.clearing
    frozen, sequence = freeze(clearing), clearing.sequence
    found = await asyncio.to_thread(lambda: hash_of(columns_of(frozen)))
    return answer(ask, a.StateHash(sequence, found))


async def get_health(ask: Ask) -> Response:
    """Whether the process answers."""
    return answer(ask, a.Health(True))


async def get_ready(ask: Ask) -> Response:
    """Whether writes are accepted: 503 while the journal is busy or stopped, or the service is about to stop."""
    if ask.desk.hub.closing or ask.desk.service.status()["state"] != "ok":
        raise Refusal(503, "not-ready", "service", "a journal that accepts nothing", "one that does")
    return answer(ask, a.Ready(True))


async def get_metrics(ask: Ask) -> Response:
    """Metrics in the text format of Prometheus."""
    desk = ask.desk
    return Response(render(desk.metrics, gauges(desk)), media_type="text/plain; version=0.0.4")


async def get_audit(ask: Ask) -> Response:
    """Who wrote what: the journal's records, in order."""
    desk, query = ask.desk, ask.query
    names = {key.id: key.name for key in desk.keys.all()}
    durable = desk.service.status()["durable_sequence"]
    found = await asyncio.to_thread(read_audit, desk.config.journal_folder, durable, query, names)
    return answer(ask, found)


async def get_document(ask: Ask) -> Response:
    """This API as an OpenAPI document."""
    return answer(ask, ask.request.app.openapi())


def status_view(desk: Desk) -> a.StatusView:
    """How the service is."""
    status = desk.service.status()
    return a.StatusView(
        name=desk.config.venue.name,
        version=desk.facts["version"],
        stream=desk.hub.id,
        recovered=desk.service.recovered,
        listeners=desk.hub.listeners,
        keys_problem=desk.keys.problem,
        started_ns=desk.metrics.started_ns,
        **status,
    )


def routes() -> Routes:
    """The routes of this module."""
    found = Routes("venue")
    add = found.add
    anything = dict[str, Any]
    add("GET", "/v1/market", get_market, scope="read", answers=anything, cost=10)
    add("GET", "/v1/market/prices", get_prices, scope="read", answers=a.PricesView)
    add("GET", "/v1/parameters", get_parameters, scope="read", answers=a.ParametersView)
    add("GET", "/v1/overview", get_overview, scope="read", answers=Overview, query=OverviewQuery, cost=5)
    add("GET", "/v1/status", get_status, scope="read", answers=a.StatusView)
    add("GET", "/v1/state-hash", get_state_hash, scope="risk|admin", answers=a.StateHash, cost=100)
    add("GET", "/v1/health", get_health, scope="", answers=a.Health)
    add("GET", "/v1/ready", get_ready, scope="", answers=a.Ready, refuses=(503,))
    add("GET", "/metrics", get_metrics, scope="read", answers="text", media="text/plain", cost=5)
    add("GET", "/v1/audit", get_audit, scope="risk|admin", answers=a.AuditPage, query=AuditQuery, cost=50)
    add("GET", "/v1/openapi.json", get_document, scope="read", answers=anything)
    return found
