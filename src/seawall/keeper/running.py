"""A keeper as a process: clock, log, signals, the key that is never logged, and the report at the end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from seawall.client.keyfile import PrivateKey
from seawall.client.sending import KEY_VARIABLE
from seawall.keeper.bot import Hedge, Keeper, Pace
from seawall.keeper.limits import Limits
from seawall.keeper.log import Log
from seawall.keeper.remote import RemoteVenue
from seawall.keeper.strategy import Strategy

__all__ = ["keep_running", "write_report"]


def keep_running(
    url: str, account: str, key: PrivateKey, strategy: Strategy, limits: Limits, *, pace: Pace | None = None, hedge: Hedge | None = None,
    keep_standing: bool = False,
) -> Keeper:  # fmt: skip
    """Runs until SIGINT or SIGTERM, and gives the keeper with its books. Raises what `Keeper.run` raises."""
    return asyncio.run(_run(url, account, key, strategy, limits, pace, hedge, keep_standing))


async def _run(
    url: str, account: str, key: PrivateKey, strategy: Strategy, limits: Limits, pace: Pace | None, hedge: Hedge | None,
    keep_standing: bool,
) -> Keeper:  # fmt: skip
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    log = Log(time.time_ns, [key.secret.hex(), os.environ.get(KEY_VARIABLE, "")])
    keeper = Keeper(RemoteVenue(url, key.public), account, key, strategy, limits, log, pace=pace, hedge=hedge, keep_standing=keep_standing)
    await keeper.run(stop)
    return keeper


def write_report(path: Path, report: dict[str, Any], table: str) -> None:
    """As JSON, or the auctions as CSV; replaced as a whole."""
    rough = path.with_name(path.name + ".part")
    rough.write_text(table if path.suffix == ".csv" else json.dumps(report, indent=1) + "\n", "utf-8")
    os.replace(rough, path)
