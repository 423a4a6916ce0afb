"""The processes of a rehearsal: begun in order, watched, and ended in order.

The service first, then the money behind it, then keepers, and last the markets outside, with which the crash begins. Each
speaks to the service over its public API alone, with an API key of its own; a keeper's is bound to its account and to the key
that it signs with. Whichever dies is named with what it said last.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from seawall.client import Client, ServiceError, Unreachable
from seawall.client.keyfile import make_key
from seawall.client.sending import KEY_VARIABLE, Retry
from seawall.core.errors import InputError
from seawall.rehearsal.venue import MAKER, PROVIDERS, Rehearsal
from seawall.server.keys import KeyFile

__all__ = ["KEEPERS", "Processes"]

KEEPERS = {"keeper-1": ("value",), "keeper-2": ("market-maker",), "keeper-3": ("ranked", "--option", "buckets=main")}
"""Their strategies, and what these are told."""
READY_S = 600.0  # kernels may have to be compiled, on a machine that has more to do
STOP_S = 15.0
PLENTY = "1000000000"
PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Processes:
    """Children by name. Use as a context: whatever happens, none of them stays."""

    def __init__(self, rehearsal: Rehearsal) -> None:
        self.rehearsal = rehearsal
        self.folder = Path(rehearsal.folder)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        keys = KeyFile(self.folder / "keys.json")
        self._keys: dict[str, str] = {}
        for name, scopes in (("operator", ["read", "trade", "risk", "admin"]), ("outside", ["read", "trade", "risk"])):
            _, self._keys[name] = keys.create(name, scopes)
        for name in KEEPERS:
            public = make_key(self._signing(name)).public
            _, self._keys[name] = keys.create(name, ["read", "trade"], public_key=public, account=name)
        self.client = Client(rehearsal.url, self._keys["operator"], retry=Retry(times=0))

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
        for name in (MAKER, *KEEPERS, *PROVIDERS):
            client.open_account(name)
        client.deposit(MAKER, PLENTY)
        for name in KEEPERS:
            client.deposit(name, str(it.pocket))
        client.deposit("insurance", str(it.fund))
        for market in it.interest_units:
            client.fund(str(it.fund // 4 // len(it.interest_units)), market=market)
        client.fund(str(it.fund // 2))
        for name in PROVIDERS:
            client.deposit(name, str(it.committed))
            client.commit("main", name, str(it.committed // len(PROVIDERS)))

    def keepers(self) -> None:
        """One process each, with a strategy of its own."""
        for name, strategy in KEEPERS.items():
            self._start(
                name, "-m", "seawall.cli.main", "keeper", "--url", self.rehearsal.url, "--account", name, "--strategy", *strategy,
                "--key-file", str(self._signing(name)), "--report", str(self.folder / f"{name}.json"),
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

    def profits(self) -> dict[str, Any]:
        """What each keeper's own report says, once it has ended."""
        found = {}
        for name in KEEPERS:
            path = self.folder / f"{name}.json"
            if path.exists():
                found[name] = json.loads(path.read_text("utf-8"))
        return found

    def close(self) -> None:
        """Ends all of them, the service last, and waits."""
        self._end([name for name in self._running if name != "service"])
        self._end(list(self._running))
        self.client.close()

    def rest(self) -> None:
        """Ends the keepers, in order, so that they report."""
        self._end([name for name in KEEPERS if name in self._running])

    def _end(self, names: list[str]) -> None:
        ending = [self._running.pop(name) for name in names]
        for process in ending:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        end = time.monotonic() + STOP_S
        for process in ending:
            try:
                process.wait(max(end - time.monotonic(), 0.01))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self, name: str, *arguments: str) -> None:
        log = (self.folder / f"{name}.log").open("ab")
        environment = os.environ | {"PYTHONUNBUFFERED": "1", KEY_VARIABLE: self._keys.get(name, "")}
        self._running[name] = subprocess.Popen(
            [sys.executable, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
            start_new_session=True, preexec_fn=_end_with_parent,
        )  # fmt: skip
        log.close()

    def _signing(self, name: str) -> Path:
        return self.folder / f"{name}.key"

    def _last_words(self, name: str) -> str:
        text = (self.folder / f"{name}.log").read_text("utf-8", "replace").strip()
        return text.rpartition("\n")[2] or "nothing"


def _end_with_parent() -> None:
    """In the child: whatever ends the parent, SIGKILL too, ends it in order (Linux; elsewhere only what the parent can tell)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
