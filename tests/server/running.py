"""A real service on a loopback port for tests: uvicorn, sockets, journal and all, in a thread of the test's process."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from conftest import ROOT
from seawall.server.config import VenueConfig, load_config
from seawall.server.keys import SCOPES, KeyFile
from seawall.server.run import serve

EXAMPLES = ROOT / "examples"
START_S = 240  # kernels that nobody has compiled yet
PERSON = {"alice", "bob", "carol", "dora"}


def write_config(folder: Path, more: str = "", model: str = "portfolio") -> Path:
    """A venue.toml for tests: the example's market and book, a free port."""
    path = folder / "venue.toml"
    path.write_text(
        f"""log = "debug"
[venue]
market = "{EXAMPLES / "venue-market.json"}"
book = "{EXAMPLES / "venue-book.csv"}"
model = "{model}"
capacity = 64
clock_every_s = 0
[listen]
port = 0
"""
        + more,
        "utf-8",
    )
    return path


class Running:
    """A service in a thread: `url`, a key's text by scope in `keys`, the service, and the desk of its API."""

    def __init__(self, config: VenueConfig, keys: dict[str, str]) -> None:
        self.config, self.keys = config, keys
        self.url = ""
        self.desk: Any = None
        self.service: Any = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.error: BaseException | None = None
        self._started = threading.Event()
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="service under test")

    def start(self) -> Running:
        """Waits until it accepts requests."""
        self._thread.start()
        assert self._started.wait(START_S), "the service did not start"
        if self.error is not None:
            raise self.error
        return self

    def stop(self) -> None:
        """In order, as a signal would."""
        if self.loop is not None and self._stop is not None and self._thread.is_alive():
            self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)
        assert not self._thread.is_alive(), "the service did not stop"
        if self.error is not None:
            raise self.error

    def call(self, what: Any) -> Any:
        """Runs something on the service's own loop."""

        async def run() -> Any:
            found = what()
            return await found if asyncio.iscoroutine(found) else found

        assert self.loop is not None
        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(30)

    def headers(self, scope: str) -> dict[str, str]:
        """What a request with a key of that scope says."""
        return {"Authorization": f"Bearer {self.keys[scope]}"} if self.keys else {}

    def client(self, scope: str = "admin", **options: Any) -> httpx.Client:
        """An HTTP client with a key of that scope."""
        return httpx.Client(base_url=self.url, headers=self.headers(scope), timeout=30, **options)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        found = httpx.URL(self.url)
        return found.host, found.port or 0

    @property
    def ws(self) -> str:
        """The base of WebSocket addresses."""
        return self.url.replace("http", "ws", 1)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001  handed to the test
            self.error = error
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self.loop, self._stop = asyncio.get_running_loop(), asyncio.Event()

        def ready(url: str, desk: Any) -> None:
            self.url, self.desk, self.service = url, desk, desk.service
            self._started.set()

        await serve(self.config, ready, self._stop)


@contextmanager
def running(folder: Path, more: str = "", *, keys: bool = True, rate: float = 1e6, model: str = "portfolio"):
    """A service that is stopped in order at the end. keys: whether there are any, one a scope."""
    config = load_config(write_config(folder, more, model))
    file = KeyFile(config.keys_path)
    texts = {scope: file.create(scope, [scope], requests_per_s=rate)[1] for scope in SCOPES} if keys else {}
    found = Running(config, texts).start()
    try:
        yield found
    finally:
        found.stop()


def error_of(response: httpx.Response) -> dict[str, str]:
    """The error of an answer, which has the one shape that all have."""
    error = json.loads(response.content)["error"]
    assert set(error) == {"code", "place", "found", "expected"}
    return error
