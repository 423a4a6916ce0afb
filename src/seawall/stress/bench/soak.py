"""An hour of mixed load on a real service: how much its resident memory grows, and whether any event is lost or doubled.

Real processes: `python -m seawall.server.soak` starts `seawall serve` and its clients, samples the service's memory from outside, kills it,
searches its journal for every acknowledged write, and compares the restarted service's state hash. It is run only by name.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from seawall.core.errors import InvariantError
from seawall.stress.bench.measure import Measure, measured
from seawall.stress.bench.setting import Setting

__all__ = ["MEASURES", "measure"]

MEASURES = ("soak_rss_growth_mb",)
PER_S = 100.0  # things written; as many what-ifs
PATIENCE_S = 1_800.0  # beyond the load: start, reading the journal, restart


def measure(setting: Setting, names: set[str]) -> list[Measure]:
    """The soak measure."""
    name = "soak_rss_growth_mb"
    if not Path("/proc/self/statm").exists():
        return [Measure(name, 0.0, "MB", "not measured: this system does not tell the memory of another process", 20.0, None)]
    seconds, accounts = (90.0, 200) if setting.quick else (3_600.0, 2_000)
    setting.say(f"soak: {seconds:,.0f} s of load on a service of {accounts:,} accounts")
    found = soaked(seconds, accounts, PER_S)
    words = (
        f"{found['first_mb']:.1f} to {found['last_mb']:.1f} MB after {found['warm_s']:.0f} of {found['seconds']:.0f} s; "
        f"{found['events']:,} events, {found['acknowledged']:,} acknowledged, each in the journal once; same state hash after kill -9; "
        f"{found['asked']:,} what-ifs, {found['listened']:,} listeners; keys remembered for {found['keys_s']} s"
    )
    return [measured(name, found["growth_mb"], words)]


def soaked(seconds: float, accounts: int, per_s: float) -> dict[str, Any]:
    """What came of a soak of so long, see `seawall.server.soak`."""
    line = [sys.executable, "-m", "seawall.server.soak", str(seconds), str(accounts), str(per_s)]
    path = os.pathsep.join(part for part in sys.path if part)
    done = subprocess.run(
        line, capture_output=True, text=True, timeout=seconds + PATIENCE_S, env=os.environ | {"PYTHONPATH": path}
    )
    if done.returncode:
        raise InvariantError("the soak ends with nothing lost", done.stderr[-600:])
    found: dict[str, Any] = json.loads(done.stdout)
    return found
