"""Running the dashboard: in a thread beside an engine of this process, or as a process of its own.

Either way it has its own event loop and its own port on loopback, 8810 unless another is asked for. A port that is taken
is an error for a named one; without a name the next free one is taken.
"""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import uvicorn

from seawall.core.errors import InputError
from seawall.server.dashboard.app import make_app
from seawall.server.dashboard.source import Source

__all__ = ["PORT", "Running", "bound", "config_of", "start"]

PORT = 8810
START_S = 20.0


class Running:
    """A dashboard in a thread. `url` is where; `dashboard` its parts, for tests."""

    def __init__(self, source: Source, host: str, port: int | None, **options: Any) -> None:
        self.app = make_app(source, host=host, **options)
        self.dashboard = self.app.dashboard
        self._socket = bound(host, port)
        self.port = int(self._socket.getsockname()[1])
        self.url = f"http://{host if ':' not in host else f'[{host}]'}:{self.port}/"
        self._server = uvicorn.Server(config_of(self.app))
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="dashboard", daemon=True)
        self._thread.start()
        end = time.monotonic() + START_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > end:
                raise InputError("dashboard", "a server that did not start", "one that does: see the log")
            time.sleep(0.01)

    def close(self) -> None:
        """Ends the server; sockets are closed."""
        self._server.should_exit = True
        self._thread.join(10)
        self._socket.close()

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def start(source: Source, *, host: str = "127.0.0.1", port: int | None = None, **options: Any) -> Running:
    """A dashboard in a thread of this process. options: as `make_app` takes them."""
    return Running(source, host, port, **options)


def config_of(app: Any) -> uvicorn.Config:
    """How uvicorn runs it: no compression (it would be done per client), small messages in, a ping every 20 s."""
    return uvicorn.Config(
        app, log_level="warning", access_log=False, lifespan="on", server_header=False, date_header=False,
        ws="websockets-sansio", ws_max_size=4096, ws_per_message_deflate=False, ws_ping_interval=20, ws_ping_timeout=20,
        timeout_graceful_shutdown=2,
    )  # fmt: skip


def bound(host: str, port: int | None) -> socket.socket:
    """A socket on the port; on the next free one from PORT on where none is named. InputError where there is none."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in [port] if port is not None else range(PORT, PORT + 50):
        found = socket.socket(family)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((host, candidate))
            found.listen(128)  # whoever is told the address may come before the server accepts
        except OSError as error:
            found.close()
            if port is not None:
                raise InputError("dashboard port", f"{host}:{port} ({error.strerror})", "a free one") from None
            continue
        return found
    raise InputError("dashboard port", f"{PORT} to {PORT + 49} all taken", "a free one")
