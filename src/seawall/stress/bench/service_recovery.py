"""Recovery of a service from its own log: events that a clearing decided, and the restart that takes them from the records.

Real process: `python -m seawall.server.replaying` lives the log and recovers it, three times, to the same state hash. Wall time
of the best, from `Journal.open` to everybody evaluated.
"""

from __future__ import annotations

import json
import subprocess
import sys

from seawall.core.errors import InvariantError
from seawall.stress.bench.measure import Measure, measured
from seawall.stress.bench.service import child_environment
from seawall.stress.bench.setting import Setting

__all__ = ["MEASURES", "measure"]

MEASURES = ("service_recovery_events_per_s",)
PATIENCE_S = 900.0


def measure(setting: Setting, names: set[str]) -> list[Measure]:
    """The one measure."""
    events, accounts = (10_000, 200) if setting.quick else (500_000, 20_000)
    setting.say(f"service recovery: living {events:,} events of {accounts:,} accounts, then recovering them")
    line = [sys.executable, "-m", "seawall.server.replaying", str(events), str(accounts)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE_S, env=child_environment())
    if done.returncode:
        raise InvariantError("a service recovers its log", done.stderr[-400:])
    found = json.loads(done.stdout)
    words = f"{found['events']:,} events, {found['accounts']:,} accounts, {found['keys']:,} keys, {found['decisions']:,} decisions"
    words += f"; 90 % fills; the last {found['asked']} decided again; lived at {found['lived_per_s']:,}/s"
    return [measured(MEASURES[0], float(found["events_per_s"]), words)]
