"""What the tests of the service share: a small venue, a clock that tests move, a disk that refuses or lies, a loop to run in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from engine.histories import genesis, perpetuals_document
from seawall.server.service import Service, ServiceConfig


class Clock:
    """Nanoseconds since 1970 that go where a test says, backwards too."""

    def __init__(self, now_ns: int) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns


class Disk:
    """A journal's backend behind which a test stands: slow, stopped, or dead from the next write on."""

    def __init__(self) -> None:
        self.fails: OSError | None = None
        self.gate: Callable[[], None] = lambda: None
        self.writes = 0

    def __call__(self, store: Any) -> Any:
        self.store = store
        return self

    def append(self, frames: Any) -> None:
        self.gate()
        if self.fails is not None:
            raise self.fails
        self.writes += 1
        self.store.append(frames)

    def close(self) -> None:
        self.store.close()


def config(folder: Path, **changes: Any) -> ServiceConfig:
    """A service of perpetuals that does nothing by itself."""
    settings: dict[str, Any] = {
        "folder": folder,
        "genesis": genesis("portfolio", perpetuals_document()),
        "capacity": 64,
        "snapshot_every_s": 0.0,
        "snapshot_every_records": 0,
        "snapshot_on_close": False,
        "clock_every_s": 0.0,
    }
    return ServiceConfig(**settings | changes)


def run(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """On a loop of its own, no longer than some minutes (kernels may have to be compiled)."""
    return asyncio.run(asyncio.wait_for(work(), 240))


async def opened(folder: Path, **changes: Any) -> tuple[Service, Clock]:
    """A service and the clock that it reads."""
    made = config(folder, **changes)
    clock = Clock(made.genesis.at_ns if made.genesis else 0)
    return await Service.open(made, clock), clock
