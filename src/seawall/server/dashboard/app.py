"""The dashboard's web application: pages, questions about single accounts, and the live stream.

One task looks at the source a few times a second, makes a view and publishes it; every socket only passes frames on.
Nothing here changes the engine: what can be asked is answered from copies.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.staticfiles import StaticFiles

from seawall.core.errors import InputError, SeawallError
from seawall.server.dashboard import vendor
from seawall.server.dashboard.account import Question
from seawall.server.dashboard.guard import Guard
from seawall.server.dashboard.hub import Client, Hub
from seawall.server.dashboard.source import Look, Source, Unanswered
from seawall.server.dashboard.table import Query, csv_of, page_of
from seawall.server.dashboard.views import ViewMaker, account_row

__all__ = ["Dashboard", "make_app"]

STATIC = Path(__file__).parent / "static"
PAGES = ("/", "/accounts", "/account/{name:path}", "/liquidations", "/what-if", "/stress", "/prices", "/parameters", "/audit")
PERIOD_S = 0.2
IDLE_PERIOD_S = 1.0
BODY_MOST = 64 * 1024
WORDS_MOST = 2_000  # of a message from a browser


class Dashboard:
    """The running parts: source, view, hub. period_s: between frames."""

    def __init__(self, source: Source, *, period_s: float = PERIOD_S) -> None:
        self.source = source
        self.hub = Hub()
        self.maker = ViewMaker(source)
        self.period_s = period_s
        self.frames = 0
        self.frame_s = 0.0  # the last frame's making
        self.task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Frames until cancelled; fewer while nobody looks, so that histories have no hole."""
        while True:
            started = time.monotonic()
            await self.step()
            self.frame_s = time.monotonic() - started
            period = self.period_s if self.hub.looked_at else IDLE_PERIOD_S
            if self.frame_s < period:
                await self._sleep(period - self.frame_s)
            else:
                await asyncio.sleep(self.period_s)

    async def step(self) -> None:
        """One frame."""
        stress = await self.source.stress()
        made = await asyncio.to_thread(self._make, stress)
        if made is None:
            return
        look, view = made
        self.hub.publish(view)
        self.frames += 1
        rows = {name: self.source.names.row(name) for name in self.hub.watched}
        found = {name: row for name, row in rows.items() if row is not None and row < len(look.levels)}
        self.hub.aside({name: {"row": account_row(look, row), "at_ms": look.at_ns // 1_000_000} for name, row in found.items()})

    def _make(self, stress: dict[str, Any] | None) -> tuple[Look, dict[str, Any]] | None:
        look = self.source.look()
        return None if look is None else (look, self.maker.make(look, stress, self.source.closing(self.hub.looked_at)))

    async def _sleep(self, seconds: float) -> None:
        """Sleeps, but not on while somebody has just come to look."""
        end = time.monotonic() + seconds
        idle = not self.hub.looked_at
        while (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(left, 0.05))
            if idle and self.hub.looked_at:
                return


def make_app(
    source: Source, *, host: str = "127.0.0.1", token: str = "", hosts: tuple[str, ...] = (), period_s: float = PERIOD_S
) -> Any:
    """The ASGI application over a source, guarded. `app.state.dashboard` of the inner one is its Dashboard."""
    dashboard = Dashboard(source, period_s=period_s)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        task = dashboard.task = asyncio.create_task(dashboard.run())
        task.add_done_callback(_report)
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await source.close()

    app = FastAPI(title="Seawall dashboard", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.state.dashboard = dashboard
    _pages(app, dashboard)
    _questions(app, dashboard)
    _live(app, dashboard)
    app.mount("/static", _Fresh(directory=STATIC), name="static")
    app.add_exception_handler(SeawallError, _refused)
    app.add_exception_handler(404, _nowhere)
    guarded = Guard(app, host=host, token=token, hosts=hosts)
    guarded.dashboard = dashboard  # type: ignore[attr-defined]
    return guarded


class _Fresh(StaticFiles):
    """Files that a browser asks again for at every load (an unchanged one costs a line), so that an upgrade shows."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["cache-control"] = "no-cache"
        return response


def _report(task: asyncio.Task[None]) -> None:
    """A frame that could not be made is told to the log; pages say that nothing comes, and /healthz that it is broken."""
    if not task.cancelled() and task.exception() is not None:
        loop = task.get_loop()
        loop.call_exception_handler({"message": "the dashboard's frames have stopped", "exception": task.exception(), "task": task})


async def _refused(_: Request, error: Exception) -> Response:
    status = 400 if isinstance(error, InputError) else 503
    body: dict[str, Any] = {"words": str(error)}
    if isinstance(error, InputError):
        body |= {"place": error.place, "found": str(error.found), "expected": error.expected}
    return JSONResponse({"error": body}, status, headers={"cache-control": "no-store"})


async def _nowhere(request: Request, _: Exception) -> Response:
    if request.url.path.startswith(("/api/", "/static/")):
        return JSONResponse({"error": {"words": "there is nothing of this name"}}, 404)
    return HTMLResponse((STATIC / "nowhere.html").read_text("utf-8"), 404, headers={"cache-control": "no-store"})


def _json(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json", headers={"cache-control": "no-store"})


def _pages(app: FastAPI, dashboard: Dashboard) -> None:
    index = (STATIC / "index.html").read_text("utf-8")
    without = (STATIC / "missing.html").read_text("utf-8")

    async def page() -> Response:
        gone = [name for name in vendor.missing() if not name.endswith(".LICENSE")]
        if gone:
            words = without.replace("{files}", ", ".join(gone)).replace("{command}", vendor.HOW)
            return HTMLResponse(words, 503, headers={"cache-control": "no-store"})
        return HTMLResponse(index, headers={"cache-control": "no-cache"})

    for path in PAGES:
        app.add_api_route(path, page, methods=["GET"], include_in_schema=False)

    @app.get("/favicon.ico", include_in_schema=False)
    async def icon() -> Response:
        return Response(status_code=204)

    @app.get("/healthz", include_in_schema=False)
    async def health() -> Response:
        alive = dashboard.task is not None and not dashboard.task.done()
        return PlainTextResponse("ok\n" if alive else "no frames are made: see the log\n", 200 if alive else 503)


def _questions(app: FastAPI, dashboard: Dashboard) -> None:
    source = dashboard.source

    def look() -> Look:
        found = source.look()
        if found is None:
            raise Unanswered("nothing has been heard of the engine yet")
        return found

    @app.get("/api/facts")
    async def facts() -> Response:
        return _json(source.facts())

    @app.get("/api/accounts")
    async def accounts(request: Request) -> Response:
        query = _query(request)
        return _json(await asyncio.to_thread(lambda: page_of(query, look(), source.names)))

    @app.get("/api/accounts.csv")
    async def csv(request: Request) -> Response:
        query, now = _query(request), await asyncio.to_thread(look)
        headers = {"content-disposition": 'attachment; filename="accounts.csv"', "cache-control": "no-store"}
        return StreamingResponse(csv_of(query, now, source.names), media_type="text/csv; charset=utf-8", headers=headers)

    @app.get("/api/decisions")
    async def decisions(account: str = "", kind: str = "", count: int = 100, before: int = 0) -> Response:
        if not 1 <= count <= 1_000:
            raise InputError("count", count, "1 to 1,000")
        return _json(source.decisions(account, kind, count, before))

    @app.get("/api/deleveraging")
    async def deleveraging(instrument: str, side: str, count: int = 50) -> Response:
        if side not in ("long", "short") or not 1 <= count <= 1_000:
            raise InputError("deleveraging", f"side {side}, count {count}", "long or short, 1 to 1,000")
        return _json(await source.deleveraging(instrument, side, count))

    @app.get("/api/account/{name:path}/curves")
    async def curves(name: str, underlying: str, span_ppm: int = 500_000) -> Response:
        return _json(await source.curves(name, underlying, span_ppm))

    @app.post("/api/account/{name:path}/what-if")
    async def what_if(name: str, request: Request) -> Response:
        return _json(await source.what_if(name, _question(await _body(request))))

    @app.get("/api/account/{name:path}")
    async def account(name: str) -> Response:
        return _json(await source.account(name))

    @app.get("/api/instruments")
    async def instruments() -> Response:
        return _json(await source.instruments())

    @app.get("/api/parameters")
    async def parameters() -> Response:
        return _json(await source.parameters())

    @app.get("/api/audit")
    async def audit() -> Response:
        return _json(await source.audit())


def _query(request: Request) -> Query:
    """The query of an address; InputError for words that it does not have."""
    try:
        return msgspec.convert(dict(request.query_params), Query, strict=False)
    except msgspec.ValidationError as error:
        raise InputError("accounts", str(error), "a filter of the accounts page") from None


async def _body(request: Request) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > BODY_MOST:
            raise InputError("body", "more", f"at most {BODY_MOST:,} bytes")
    return body


def _question(body: bytes) -> Question:
    try:
        return msgspec.json.decode(body, type=Question)
    except msgspec.DecodeError as error:
        raise InputError("what-if", str(error), "trades, deposit, moves, vol") from None


def _live(app: FastAPI, dashboard: Dashboard) -> None:
    @app.websocket("/live")
    async def live(socket: WebSocket) -> None:
        await socket.accept()
        client = dashboard.hub.join()
        sender = asyncio.create_task(_send(socket, client))
        try:
            while True:
                _hear(client, await socket.receive_text())
                if sender.done():
                    break
        except WebSocketDisconnect:
            pass  # the usual end
        except msgspec.DecodeError:
            await socket.close(4400, "a message that is none of ours")
        finally:
            dashboard.hub.leave(client)
            sender.cancel()
            # a frame that was on its way to a closed socket is nobody's
            with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
                await sender


class _Said(msgspec.Struct, forbid_unknown_fields=True):
    """What a browser says: the account that it looks at, and whether it is hidden. Fields not sent stay as they were."""

    watch: str | None | msgspec.UnsetType = msgspec.UNSET
    hidden: bool | msgspec.UnsetType = msgspec.UNSET
    resync: bool = False


def _hear(client: Client, text: str) -> None:
    if len(text) > WORDS_MOST:
        raise msgspec.DecodeError("too long")
    said = msgspec.json.decode(text, type=_Said)
    if said.watch is not msgspec.UNSET:
        client.watching = said.watch
    if said.hidden is not msgspec.UNSET:
        client.hide(said.hidden)
    if said.resync:
        client.resync()


async def _send(socket: WebSocket, client: Client) -> None:
    """Passes frames on, as fast as this one browser takes them."""
    while True:
        for frame in await client.take():
            await socket.send_text(frame.decode())
