"""One process, one loop: the service, its API and its stream, from the first check to the last byte on the disk.

Nothing is opened before the address is known to be allowed. SIGTERM and SIGINT stop it in order: no new connections, the stream
closed with its reason, open requests answered, then the journal closed; a second signal stops waiting for clients.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import ssl
import sys
from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Any

import uvicorn

from seawall.core.errors import InputError
from seawall.server.api.app import make_app
from seawall.server.api.desk import Desk
from seawall.server.api.looking import status_view
from seawall.server.config import ListenConfig, VenueConfig, is_loopback
from seawall.server.hub import Hub
from seawall.server.keys import Keys
from seawall.server.metrics import Metrics
from seawall.server.opening import open_service
from seawall.server.protocol import SocketProtocol, http_protocol
from seawall.server.service import Message, Service
from seawall.server.warming import warm

__all__ = ["check_listening", "run", "serve", "url_of"]

KEYS_CHECKED_S = 0.5
RESTART_S = (1.0, 2.0, 5.0, 10.0, 30.0)  # between two starts of a dashboard that dies
KEY_VARIABLE = "SEAWALL_KEY"
CA_VARIABLE = "SEAWALL_CA"
# How long the journal's thread waits before it asks the loop for the interpreter's lock. A loop that is busy gives it away for moments
# too short for a thread to wake, again and again, and each of them starts the wait anew: with the usual 5 ms it goes on until the loop is idle.
SWITCH_S = 5e-5

log = logging.getLogger("seawall")


def run(config: VenueConfig, ready: Callable[[str, Desk], None] | None = None) -> None:
    """Runs a service until a signal ends it. ready: called with its address when it accepts requests.

    Raises InputError for what is wrong with the configuration, the errors of the journal for what is wrong with that.
    """
    _log_to_stderr(config.log)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve(config, ready))


async def serve(
    config: VenueConfig, ready: Callable[[str, Desk], None] | None = None, stop: asyncio.Event | None = None
) -> None:
    """`run` on the present loop. stop: ends it, instead of a signal."""
    keys = Keys(config.keys_path)
    check_listening(config.listen, keys)
    tls = _tls(config)
    listener = _bind(config.listen)
    try:
        service = await open_service(config)
    except BaseException:
        listener.close()
        raise
    try:
        await _serve(config, keys, tls, listener, service, ready, stop)
    finally:
        listener.close()
        await service.close()
        log.info("stopped; everything that was acknowledged is on the disk, up to sequence %d", service.status()["durable_sequence"])


def check_listening(listen: ListenConfig, keys: Keys) -> None:
    """Raises InputError where the address would let in who should not be: anything but loopback needs keys, and TLS or the
    word that something else gives it."""
    if is_loopback(listen.host):
        return
    if keys.open_to_all:
        raise InputError("listen.host", listen.host, "a loopback address, or keys (seawall keys create)")
    if not listen.tls_certificate and not listen.plain:
        raise InputError("listen.host", listen.host, "tls_certificate and tls_key, or plain = true behind a TLS proxy")


def url_of(config: VenueConfig, port: int) -> str:
    """Where the service answers."""
    scheme = "https" if config.listen.tls_certificate else "http"
    host = config.listen.host
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


async def _serve(
    config: VenueConfig,
    keys: Keys,
    tls: ssl.SSLContext | None,
    listener: socket.socket,
    service: Service,
    ready: Callable[[str, Desk], None] | None,
    stop: asyncio.Event | None,
) -> None:
    hub, metrics = Hub(config.stream), Metrics()
    service.listen(_teller(hub))
    app, desk = make_app(config, service, hub, keys, metrics)
    hub.snapshot = _snapshots(desk)
    server = _Server(_uvicorn(config, app, tls))
    url = url_of(config, listener.getsockname()[1])
    log.info("compiling what is not compiled yet")
    warm(service)
    # What the service holds for its whole life is looked at by no later collection: pauses of milliseconds otherwise.
    gc.collect()
    gc.freeze()
    usual_s = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    stopping = asyncio.Event() if stop is None else stop
    if stop is None:
        _on_signals(server, stopping)
    helpers = [asyncio.create_task(hub.run()), asyncio.create_task(_refresh(keys))]
    if config.dashboard.enabled:
        helpers.append(asyncio.create_task(_dashboard(config, url, keys, metrics)))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started and not serving.done():
            await asyncio.sleep(0.005)
        log.info("listening on %s; %s", url, "keys are needed" if not keys.open_to_all else "no keys: loopback, open to all on it")
        if ready is not None:
            ready(url, desk)
        waiting = asyncio.create_task(stopping.wait())
        await asyncio.wait([serving, waiting, *helpers], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        for helper in helpers:
            if helper.done():
                helper.result()  # a helper that ended is a bug: it is heard of, and the service stops in order
    finally:
        hub.close()
        server.should_exit = True
        for helper in helpers:
            helper.cancel()
        await asyncio.gather(*helpers, return_exceptions=True)
        await serving
        sys.setswitchinterval(usual_s)


def _teller(hub: Hub) -> Callable[[Message], None]:
    """Puts what the service says on the stream; prices wait for the next round of them."""

    def hear(message: Message) -> None:
        data = message.data
        if message.type == "price":
            hub.price(data["name"], data, seq=message.sequence, at_ns=message.at_ns)
        else:
            hub.publish(message.type, data, seq=message.sequence, at_ns=message.at_ns, account=data.get("account", ""))

    return hear


def _snapshots(desk: Desk) -> Callable[[frozenset[str], tuple[str, ...]], dict[str, Any]]:
    """What a new listener begins with."""

    def snapshot(channels: frozenset[str], accounts: tuple[str, ...]) -> dict[str, Any]:
        service = desk.service
        found: dict[str, Any] = {}
        if "price" in channels:
            found["prices"] = service.prices()
        if "parameters" in channels:
            found["parameters"] = service.parameters()
        if "decision" in channels and not accounts:
            found["overview"] = desk.last_overview()
        if accounts:
            found["accounts"] = [service.account(name) for name in accounts]
        if "system" in channels:
            found["status"] = status_view(desk)
        return found

    return snapshot


def _uvicorn(config: VenueConfig, app: Any, tls: ssl.SSLContext | None) -> uvicorn.Config:
    settings = uvicorn.Config(
        app,
        loop="none",
        http=http_protocol(config.limits),
        ws=SocketProtocol,
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # who asks is who is connected, whatever a header says
        server_header=False,
        ws_max_size=config.limits.frame_bytes,
        ws_per_message_deflate=False,
        ws_ping_interval=20.0,
        ws_ping_timeout=20.0,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=int(max(config.listen.shutdown_s, 1)),
    )
    settings.load()
    settings.ssl = tls
    return settings


class _Server(uvicorn.Server):
    """uvicorn without its own signals: ours stop the service in order."""

    def capture_signals(self) -> Any:
        return nullcontext()


def _on_signals(server: uvicorn.Server, stopping: asyncio.Event) -> None:
    def heard(number: int) -> None:
        if stopping.is_set():
            server.force_exit = True
            return
        log.info("%s: stopping in order", signal.Signals(number).name)
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, heard, number)


async def _refresh(keys: Keys) -> None:
    """Notices a changed file of keys."""
    while True:
        await asyncio.sleep(KEYS_CHECKED_S)
        problem = keys.problem
        if keys.refresh():
            log.info("the keys have changed")
        elif keys.problem and keys.problem != problem:
            log.error("the file of keys cannot be used, those that were read before stay: %s", keys.problem)


def _bind(listen: ListenConfig) -> socket.socket:
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    # Named as TCP, or the loop does not switch off Nagle's algorithm: every second answer would then wait 40 ms.
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        found.bind((listen.host.strip("[]"), listen.port))
        found.listen(1024)
        found.setblocking(False)
    except OSError as error:
        found.close()
        raise InputError(
            "listen", f"{listen.host}:{listen.port} ({(error.strerror or str(error)).lower()})", "an address to listen on"
        ) from None
    return found


def _tls(config: VenueConfig) -> ssl.SSLContext | None:
    listen = config.listen
    if not listen.tls_certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(config.path(listen.tls_certificate), config.path(listen.tls_key))
    except (OSError, ssl.SSLError) as error:
        raise InputError("listen.tls_certificate", f"{listen.tls_certificate} ({error})", "a PEM certificate and its key") from None
    return context


async def _dashboard(config: VenueConfig, url: str, keys: Keys, metrics: Metrics) -> None:
    """Keeps the dashboard's process running, niced; its end ends nothing here.

    It gets the address, the status board and a key that may read, in its environment, which its own user alone can see.
    """
    screen = config.dashboard
    local = url.replace("//0.0.0.0:", "//localhost:").replace("//[::]:", "//localhost:")  # a name that a certificate can have
    words = [sys.executable, "-m", "seawall.server.dashboard", "--service", local, "--board", str(config.board_path)]
    words += ["--host", screen.host, "--port", str(screen.port)]
    environment = dict(os.environ)
    if config.listen.tls_certificate:
        environment.setdefault(CA_VARIABLE, str(config.path(config.listen.tls_certificate)))
    if not keys.open_to_all:
        environment[KEY_VARIABLE] = keys.lend("dashboard", ["read"])
    tries = 0
    while True:
        metrics.count("seawall_dashboard_starts_total")
        process = await asyncio.create_subprocess_exec(
            *words, env=environment, stdin=asyncio.subprocess.DEVNULL, preexec_fn=lambda: os.nice(screen.nice) and None
        )
        started = asyncio.get_running_loop().time()
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            await _end(process)
            raise
        lived = asyncio.get_running_loop().time() - started
        tries = 0 if lived > 60 else min(tries + 1, len(RESTART_S) - 1)
        log.warning("the dashboard ended with %d after %.0f s; it is started again in %g s", code, lived, RESTART_S[tries])
        await asyncio.sleep(RESTART_S[tries])


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), 5.0)
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ModuleNotFoundError:
        return asyncio.new_event_loop
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def _log_to_stderr(level: str) -> None:
    """Our lines and uvicorn's warnings. uvicorn logs no headers and no bodies; its access log is off."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    for name, least in (("seawall", level), ("uvicorn.error", "warning" if level != "debug" else "info")):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(least.upper())
        logger.propagate = False
