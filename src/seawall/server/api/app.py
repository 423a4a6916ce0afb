"""The application: routes, the gate before them, and failures as answers."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from seawall.core.errors import SeawallError
from seawall.server.api import accounts, book, closing, keepers, looking, sockets, writing
from seawall.server.api.desk import Desk
from seawall.server.api.document import describe
from seawall.server.api.errors import Refusal, failure_of
from seawall.server.api.gate import Gate
from seawall.server.api.routes import Facts
from seawall.server.config import VenueConfig
from seawall.server.hub import Hub
from seawall.server.keepers.notary import Notary
from seawall.server.keys import Keys
from seawall.server.limits import Buckets
from seawall.server.looks import Looks
from seawall.server.metrics import Metrics
from seawall.server.service import Service

__all__ = ["make_app"]

DESCRIPTION = """The API of a running margin service. Amounts, prices and quantities are decimal strings; times are nanoseconds since
1970. Every write is durable when it is answered, and names the key that made it. `/v1/ws` asks and `/v1/stream` tells over
WebSocket, see docs/api.md."""

log = logging.getLogger("seawall")


def make_app(config: VenueConfig, service: Service, hub: Hub, keys: Keys, metrics: Metrics) -> tuple[Gate, Desk]:
    """The ASGI application around a service, and the desk its routes work at."""
    from seawall import __version__

    limits = config.limits
    buckets = Buckets(limits.requests_per_s, limits.burst)
    notary = Notary.of(config) if service.clearing.desk is not None else None
    desk = Desk(config, service, hub, keys, buckets, metrics, {}, {"version": __version__}, Looks(service.clearing), notary)
    if service.liquidator is not None:
        metrics.stages |= service.liquidator.stages
    app = FastAPI(
        title="Seawall", version=__version__, description=DESCRIPTION, openapi_url=None, docs_url=None, redoc_url=None,
        redirect_slashes=False,
    )  # fmt: skip
    app.state.desk = desk
    facts: dict[str, Facts] = {}
    for module in (accounts, writing, looking, book, closing, keepers):
        routes = module.routes()
        app.include_router(routes.router)
        facts |= routes.facts
    app.include_router(sockets.router)
    app.add_exception_handler(SeawallError, _seawall_error)  # type: ignore[arg-type]
    app.add_exception_handler(Refusal, _refused)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, _http_error)  # type: ignore[arg-type]
    app.add_exception_handler(Exception, _bug)
    document: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not document:
            document.update(describe(app, facts))
        return document

    app.openapi = openapi  # type: ignore[method-assign]
    return Gate(app, desk), desk


async def _seawall_error(request: Request, error: SeawallError) -> Response:
    refusal = failure_of(error)
    return _told(refusal) if refusal is not None else await _bug(request, error)


async def _refused(request: Request, refusal: Refusal) -> Response:
    return _told(refusal)


async def _http_error(request: Request, error: HTTPException) -> Response:
    """What the router says: no such path, no such method."""
    code, expected = ("method", "another method") if error.status_code == 405 else ("path", "a path of the API")
    refusal = Refusal(error.status_code, code, "request", f"{request.method} {request.url.path}"[:200], expected)
    found = _told(refusal)
    found.headers.update(error.headers or {})
    return found


async def _bug(request: Request, error: Exception) -> Response:
    log.error("answering %s failed", getattr(request.scope.get("route"), "path", "a request"), exc_info=error)
    return _told(Refusal(500, "internal", "service", "a bug of ours", "an answer; it is in the log"))


def _told(refusal: Refusal) -> Response:
    body = msgspec.json.encode(refusal.body())
    return Response(body, refusal.status, headers=refusal.headers(), media_type="application/json")
