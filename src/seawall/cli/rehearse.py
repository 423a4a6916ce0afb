"""The demo at a venue of several processes: preparing it, watching it, and what came of it."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

    from seawall.rehearsal.processes import Processes

__all__ = ["rehearse"]


def rehearse(accounts: int, seed: int, pace: float, model: str, folder: Path, live: bool, browse: bool, json: bool) -> None:
    """Plays the modelled crash at a venue in `folder`, which is begun anew. pace: market seconds in one of the wall clock."""
    from seawall.cli import output
    from seawall.rehearsal.processes import Processes
    from seawall.rehearsal.venue import prepare

    folder = folder.resolve()
    if folder.exists():
        shutil.rmtree(folder)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _ended)
    started = time.perf_counter()
    with output.status("preparing the market and its accounts"):
        rehearsal = prepare(folder, accounts, seed, pace, model, dashboard=live)
    with Processes(rehearsal) as processes:
        with output.status("the service begins (the first time its kernels are compiled: a minute)"):
            processes.serve()
            processes.fund()
            processes.keepers()
        processes.crash()
        ready_s = time.perf_counter() - started
        if live:
            _watch(processes, rehearsal.dashboard, browse)
        else:
            with output.status("the crash"):
                while not processes.over:
                    time.sleep(0.2)
        found = _outcome(processes, ready_s)
    if json:
        output.print_json(found)
    else:
        _print(found)


def _ended(number: int, frame: FrameType | None) -> None:
    """Told to end: the processes are ended first, on the way out."""
    raise SystemExit(128 + number)


def _watch(processes: Processes, dashboard: str, browse: bool) -> None:
    """`seawall top` of it, and the dashboard, until the crash is over."""
    from seawall.cli import output
    from seawall.cli.top import View, watch

    if browse and (sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        webbrowser.open(f"{dashboard}liquidations")
    view = View(processes.client, 8, note=f"dashboard {dashboard}")
    view.ask()
    watch(view, output.console(), lambda: not processes.over)


def _outcome(processes: Processes, ready_s: float) -> dict[str, Any]:
    """What the venue says at the end, and what the keepers' own books say."""
    import msgspec

    client = processes.client
    overview, closings, waterfall = client.overview(1), client.closings(limit=1), client.waterfall()
    processes.rest()
    profits = {name: report.get("totals", {}) for name, report in processes.profits().items()}
    return {
        "accounts": overview.accounts,
        "by_status": overview.by_status,
        "still_closing": closings.total,
        "paid_by_layer": {name: str(paid) for name, paid in waterfall.totals.items()},
        "fund_left": str(waterfall.fund.balance),
        "claims_owed": str(waterfall.claims.owed),
        "shortfalls_last": msgspec.to_builtins(waterfall.settled[-5:]),
        "keepers": profits,
        "state_hash": client.state_hash(),
        "ready_s": round(ready_s, 1),
    }


def _print(found: dict[str, Any]) -> None:
    from seawall.cli import output

    rows = [["accounts", f"{found['accounts']:,}"]]
    rows += [[name.replace("_", " "), f"{count:,}"] for name, count in found["by_status"].items()]
    rows += [["still being closed", f"{found['still_closing']:,}"]]
    rows += [[f"paid by {layer}", f"{float(paid):,.2f}"] for layer, paid in found["paid_by_layer"].items()]
    rows += [[f"profit of {name}", f"{float(totals['total']):,.2f}" if "total" in totals else "not reported"] for name, totals in found["keepers"].items()]
    output.print_table(["at the end of the crash", ""], [*rows, ["state hash", found["state_hash"][:16]]])
