"""What a measure is: a name, a number, what it was compared with, and the goal it has to reach.

Ratios are of process CPU time (all threads), the least of several interleaved repeats: on a machine
that does other things as well, that is what stays the same from run to run.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec

__all__ = ["GOALS", "Goal", "Measure", "interleaved", "machine", "measured"]

_LIBRARIES = ("numpy", "numba", "polars", "scipy", "pandas", "duckdb", "QuantLib", "highspy")


class Goal(msgspec.Struct, frozen=True):
    """What a measure has to reach: at least, or at most, `limit` of `unit`. None: reported only."""

    unit: str
    limit: float | None
    at_least: bool = True

    def met(self, value: float) -> bool | None:
        """Whether the value reaches the goal; None where there is no goal."""
        if self.limit is None:
            return None
        return value >= self.limit if self.at_least else value <= self.limit

    def words(self) -> str:
        """As in a table: `>= 200 x`, empty where there is no goal."""
        if self.limit is None:
            return ""
        return f"{'>=' if self.at_least else '<='} {self.limit:,g} {self.unit}"


GOALS: dict[str, Goal] = {
    "help_s": Goal("s", 0.3, at_least=False),
    "demo_cold_s": Goal("s", 30.0, at_least=False),
    "demo_warm_s": Goal("s", 4.0, at_least=False),
    "risk_array_vs_quantlib_formula": Goal("x", 6.0),
    "risk_array_vs_quantlib_engine": Goal("x", 50.0),
    "sweep_ms": Goal("ms", None, at_least=False),
    "sweep_vs_scipy": Goal("x", 3.0),
    "sweep_vs_duckdb": Goal("x", 30.0),
    "sweep_vs_pandas": Goal("x", 60.0),
    "portfolio_sweep_ms": Goal("ms", None, at_least=False),
    "es_vs_numpy": Goal("x", 5.0),
    "what_if_p99_us": Goal("us", 100.0, at_least=False),
    "liquidation_set_ms": Goal("ms", 5.0, at_least=False),
    "hedge_ms": Goal("ms", 50.0, at_least=False),
    "explain_p99_us": Goal("us", 500.0, at_least=False),
    "journal_events_per_s": Goal("/s", 100_000.0),
    "journal_ack_p99_ms": Goal("ms", 3.0, at_least=False),
    "journal_segments_events_per_s": Goal("/s", None),
    "journal_segments_ack_p99_ms": Goal("ms", None, at_least=False),
    "journal_scan_events_per_s": Goal("/s", None),
    "recovery_events_per_s": Goal("/s", 500_000.0),
    "service_recovery_events_per_s": Goal("/s", 500_000.0),
    "snapshot_restart_s": Goal("s", 5.0, at_least=False),
    "status_board_update_ns": Goal("ns", 20.0, at_least=False),
    "status_board_read_us": Goal("us", 1.0, at_least=False),
    "ws_what_if_p99_ms": Goal("ms", 3.0, at_least=False),
    "ws_what_if_per_s": Goal("/s", 5_000.0),
    "tick_to_ws_p99_ms": Goal("ms", 5.0, at_least=False),
    "dashboard_ten_clients_p99_ms": Goal("ms", None, at_least=False),
    "dashboard_ten_clients_cpu_pct": Goal("%", None, at_least=False),
    "soak_rss_growth_mb": Goal("MB", 20.0, at_least=False),
    "tick_vs_sweep_calm": Goal("x", 10_000.0),
    "tick_vs_sweep_crash": Goal("x", 200.0),
    "tick_growth_10x": Goal("x", 1.5, at_least=False),
    "state_gb": Goal("GB", 1.5, at_least=False),
    "cascade_bad_debt_ratio": Goal("x", 5.0),
    "cascade_overshoot_ratio": Goal("x", 2.0),
    "adl_overclosure_ratio": Goal("x", 1.001, at_least=False),
    "mass_liquidation_first_action_s": Goal("s", 1.0, at_least=False),
}


class Measure(msgspec.Struct, frozen=True):
    """One line of the bench. `baseline` says what was timed against what, with both figures."""

    name: str
    value: float
    unit: str
    baseline: str
    goal: float | None
    met: bool | None


def measured(name: str, value: float, baseline: str) -> Measure:
    """A measure with its goal looked up; the value rounded to four significant digits."""
    goal = GOALS[name]
    return Measure(name, float(f"{value:.4g}"), goal.unit, baseline, goal.limit, goal.met(value))


def interleaved(repeats: int, calls: Mapping[str, Callable[[], Any]]) -> dict[str, float]:
    """Least CPU seconds of each call over `repeats` rounds in which every call runs once."""
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(repeats):
        for name, call in calls.items():
            start = time.process_time()
            call()
            best[name] = min(best[name], time.process_time() - start)
    return best


def machine() -> dict[str, Any]:
    """Where the figures are from: processor, cores, memory, versions, load at the time."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(_memory_bytes() / 1e9, 1),
        "load": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": dict(_versions()),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _versions() -> Iterator[tuple[str, str]]:
    for library in _LIBRARIES:
        try:
            yield library, version(library)
        except PackageNotFoundError:
            yield library, "not installed"
