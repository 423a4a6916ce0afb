"""The service under load: what-ifs over WebSocket at a fixed rate, and how long a price takes to be a decision at a listener.

Real processes: `python -m seawall.server.load` runs the service, its journal on the disk of the working folder, and starts the
clients in a process of their own. Wall time; on a machine with few cores, client and service share them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from seawall.core.errors import InvariantError
from seawall.stress.bench.measure import Measure, measured
from seawall.stress.bench.setting import Setting

__all__ = ["MEASURES", "child_environment", "measure"]

MEASURES = ("ws_what_if_p99_ms", "ws_what_if_per_s", "tick_to_ws_p99_ms")
RATE = 5_000
PATIENCE_S = 900.0


def measure(setting: Setting, names: set[str]) -> list[Measure]:
    """The service measures among `names`; one run gives all of them."""
    rate, seconds = (500, 5.0) if setting.quick else (RATE, 15.0)
    setting.say(f"service: {setting.size:,} accounts, 100 clients, {rate:,} what-ifs/s")
    found = loaded(setting.size, seconds, rate)
    setup = f"{found['accounts']:,} accounts, {found['connections']} clients, {found['ticks_per_s']} ticks/s"
    asked, ticks = found["what_if_ms"], found["tick_ms"]
    words = {
        "ws_what_if_p99_ms": f"open loop, {rate:,}/s offered; p50 {asked['p50']:.2f}, max {asked['max']:.1f} ms; {setup}",
        "ws_what_if_per_s": f"closed loop; open loop {found['answered_per_s']:,} of {rate:,} offered; {setup}",
        "tick_to_ws_p99_ms": f"{found['decisions']} decisions, durable before told; p50 {ticks['p50']:.2f} ms; {setup}",
    }
    values = {
        "ws_what_if_p99_ms": asked["p99"],
        "ws_what_if_per_s": float(found["closed_per_s"]),
        "tick_to_ws_p99_ms": ticks["p99"],
    }
    return [measured(name, values[name], words[name]) for name in MEASURES if name in names]


def loaded(accounts: int, seconds: float, rate: int) -> dict[str, Any]:
    """What the clients of a loaded service saw."""
    line = [sys.executable, "-m", "seawall.server.load", str(accounts), str(seconds), str(rate)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE_S, env=child_environment())
    if done.returncode:
        raise InvariantError("the service under load answers", done.stderr[-400:])
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def child_environment() -> dict[str, str]:
    """For a child that may run elsewhere: where this package came from."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
