"""Ten people at the dashboard beside a loaded service: how old a frame is when the last of them has it, and what that costs.

Real processes: `python -m seawall.server.load_dashboard` runs the service, starts a dashboard as `seawall serve` would, and ten
clients that take every frame, after one that did so alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from seawall.core.errors import InvariantError
from seawall.stress.bench.measure import Measure, measured
from seawall.stress.bench.service import PATIENCE_S, child_environment
from seawall.stress.bench.setting import Setting

__all__ = ["MEASURES", "measure"]

MEASURES = ("dashboard_ten_clients_p99_ms", "dashboard_ten_clients_cpu_pct")


def measure(setting: Setting, names: set[str]) -> list[Measure]:
    """The dashboard measures among `names`; one run gives all of them."""
    if not Path("/proc/self/stat").exists():
        setting.say("dashboard: not measured, because this system does not tell a process's time under /proc")
        return []
    seconds = 3.0 if setting.quick else 15.0
    setting.say(f"dashboard: {setting.size:,} accounts, one client and ten, {seconds:g} s each")
    found = _watched(setting.size, seconds)
    one, ten = found["one"], found["ten"]
    seen = f"a price is seen after {ten['seen_ms']['p50']:.0f} ms in the middle, p99 {ten['seen_ms']['p99']:.0f}"
    frames = f"{ten['frames_per_s']:g} frames/s and {ten['kb_per_s']:g} kB/s each"
    words = {
        "dashboard_ten_clients_p99_ms": f"a frame's age at ten clients; one client {one['delta_ms']['p99']:.2f}; {seen}; {found['accounts']:,} accounts",
        "dashboard_ten_clients_cpu_pct": f"of a core, whole dashboard process; with one client {one['cpu_pct']:g}; {frames}",
    }
    values = {"dashboard_ten_clients_p99_ms": ten["delta_ms"]["p99"], "dashboard_ten_clients_cpu_pct": ten["cpu_pct"]}
    return [measured(name, values[name], words[name]) for name in MEASURES if name in names]


def _watched(accounts: int, seconds: float) -> dict[str, Any]:
    """What the clients saw."""
    line = [sys.executable, "-m", "seawall.server.load_dashboard", str(accounts), str(seconds)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE_S, env=child_environment())
    if done.returncode:
        raise InvariantError("the dashboard under load answers", done.stderr[-400:])
    found: dict[str, Any] = json.loads(done.stdout)
    return found
