"""The processes of a rehearsal: begun in order, watched, and ended in order.

The service first, then the money behind it, then keepers, and last the markets outside, with which the crash begins. Each
speaks to the service over its public API alone; whichever dies is named with what it said last.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from seawall.client import Client, ServiceError, Unreachable
from seawall.client.sending import Retry
from seawall.core.errors import InputError
from seawall.rehearsal.venue import MAKER, PROVIDERS, Rehearsal

__all__ = ["KEEPERS", "Processes"]

KEEPERS = (("keeper-1", "value"), ("keeper-2", "market-maker"), ("keeper-3", "ranked"))
READY_S = 180.0  # kernels may have to be compiled
STOP_S = 15.0
PLENTY = "1000000000"


class Processes:
    """Children by name. Use as a context: whatever happens, none of them stays."""

    def __init__(self, rehearsal: Rehearsal) -> None:
        self.rehearsal = rehearsal
        self.folder = Path(rehearsal.folder)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.client = Client(rehearsal.url, retry=Retry(times=0))

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    # -- begin ---------------------------------------------------------------------------------

    def serve(self) -> None:
        """The service, until it answers."""
        self._start("service", "-m", "seawall.cli.main", "serve", "-c", str(self.folder / "venue.toml"))
        end = time.monotonic() + READY_S
        while True:
            self.check()
            try:
                self.client.status()
                return
            except (Unreachable, ServiceError) as error:
                if time.monotonic() > end:
                    raise InputError("rehearsal, service", str(error), f"an answer within {READY_S:g} s") from error
                time.sleep(0.05)

    def fund(self) -> None:
        """Those who trade with closings, bid in auctions and stand behind the venue, and the venue's own money."""
        client, it = self.client, self.rehearsal
        for name in (MAKER, *(name for name, _ in KEEPERS), *PROVIDERS):
            client.open_account(name)
        client.deposit(MAKER, PLENTY)
        for name, _ in KEEPERS:
            client.deposit(name, str(max(it.committed * 2, 10_000)))
        client.deposit("insurance", str(it.fund))
        for market in it.interest_units:
            client.fund(str(it.fund // 4 // len(it.interest_units)), market=market)
        client.fund(str(it.fund // 2))
        for name in PROVIDERS:
            client.deposit(name, str(it.committed))
            client.commit("main", name, str(it.committed // len(PROVIDERS)))

    def keepers(self) -> None:
        """One process each, with a strategy of its own."""
        for name, strategy in KEEPERS:
            self._start(
                name, "-m", "seawall.cli.main", "keeper", "--url", self.rehearsal.url, "--account", name, "--strategy", strategy
            )  # fmt: skip

    def crash(self) -> None:
        """The markets outside begin to move."""
        self._start("outside", "-m", "seawall.rehearsal.outside", str(self.folder))

    # -- watch ---------------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """Whether the crash has been played to its end."""
        self.check()
        return self._running["outside"].poll() is not None

    def check(self) -> None:
        """Raises InputError where a process has died, with its last words."""
        for name, process in self._running.items():
            code = process.poll()
            if code is not None and (code or name != "outside"):
                raise InputError(f"rehearsal, {name}", f"ended with {code}: {self._last_words(name)}", "a process that goes on")

    def kill(self, name: str) -> None:
        """As a machine would that loses power: SIGKILL."""
        self._running.pop(name).kill()

    def close(self) -> None:
        """Ends all of them, the service last, and waits."""
        for name in sorted(self._running, key=lambda name: name == "service"):
            process = self._running[name]
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()
        self.client.close()

    def _start(self, name: str, *arguments: str) -> None:
        log = (self.folder / f"{name}.log").open("ab")
        environment: dict[str, Any] = os.environ | {"PYTHONUNBUFFERED": "1"}
        self._running[name] = subprocess.Popen(
            [sys.executable, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
        )
        log.close()

    def _last_words(self, name: str) -> str:
        text = (self.folder / f"{name}.log").read_text("utf-8", "replace").strip()
        return text.rpartition("\n")[2] or "nothing"
