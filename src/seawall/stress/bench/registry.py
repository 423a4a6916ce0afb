"""Which module measures what, and the run that goes through them.

A family is a module with `MEASURES` (the names it can measure) and `measure(setting, names)`. The
order is that of memory: what starts other processes first, the large books last.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from seawall.core.errors import InputError
from seawall.stress.bench.measure import GOALS, Measure, machine

__all__ = ["FAMILIES", "LONG", "family_of", "run"]

FAMILIES: dict[str, tuple[str, ...]] = {
    "startup": ("help_s", "demo_cold_s", "demo_warm_s"),
    "state": ("state_gb",),
    "journal": (
        "journal_events_per_s",
        "journal_ack_p99_ms",
        "journal_segments_events_per_s",
        "journal_segments_ack_p99_ms",
        "journal_scan_events_per_s",
    ),
    "recovery": ("recovery_events_per_s",),
    "service_recovery": ("service_recovery_events_per_s",),
    "service": ("ws_what_if_p99_ms", "ws_what_if_per_s", "tick_to_ws_p99_ms"),
    "dashboard": ("dashboard_ten_clients_p99_ms", "dashboard_ten_clients_cpu_pct"),
    "soak": ("soak_rss_growth_mb",),
    "restart": ("snapshot_restart_s",),
    "status_board": ("status_board_update_ns", "status_board_read_us"),
    "risk_array": ("risk_array_vs_quantlib_formula", "risk_array_vs_quantlib_engine"),
    "what_if": ("what_if_p99_us",),
    "liquidation": ("liquidation_set_ms",),
    "hedge": ("hedge_ms",),
    "explain": ("explain_p99_us",),
    "sweep": ("sweep_ms", "sweep_vs_scipy", "sweep_vs_duckdb", "sweep_vs_pandas", "portfolio_sweep_ms"),
    "shortfall": ("es_vs_numpy",),
    "mass_liquidation": ("mass_liquidation_first_action_s",),
    "cascade": ("cascade_bad_debt_ratio", "cascade_overshoot_ratio", "adl_overclosure_ratio"),
    "ticks": ("tick_vs_sweep_calm", "tick_vs_sweep_crash", "tick_growth_10x"),
}

LONG = {"soak": "an hour"}
"""Families that run only when they are named, and how long they take."""


def family_of(name: str) -> str:
    """The module that measures `name`; an unknown name is an InputError that lists the known ones."""
    for family, names in FAMILIES.items():
        if name in names or name == family:
            return family
    raise InputError("bench", repr(name), f"one of {', '.join(GOALS)}, or a family: {', '.join(FAMILIES)}")


def run(
    names: Iterable[str] | None = None,
    quick: bool = False,
    progress: Callable[[str], None] | None = None,
    on_measure: Callable[[Measure], None] | None = None,
) -> dict[str, Any]:
    """Runs the named measures (or families; None: all of them but the `LONG` ones).

    quick: a small book, to test the bench; its figures say nothing. progress hears what is being
    done, on_measure each result as it is found. Returns {"measures": [{"name", "value", "unit",
    "baseline", "goal", "met"}], "machine": {…}, "quick": bool}, in the order of `FAMILIES`.
    """
    wanted = _wanted(names)
    from seawall.stress.bench.setting import Setting

    setting = Setting(quick=quick, say=progress)
    for family, time_taken in LONG.items():
        if names is None:
            setting.say(f"not run, because it takes {time_taken}: seawall bench {family}")
    found: list[Measure] = []
    for family, members in FAMILIES.items():
        chosen = {name for name in members if name in wanted}
        if not chosen:
            continue
        module = importlib.import_module(f"seawall.stress.bench.{family}")
        for result in module.measure(setting, chosen):
            found.append(result)
            if on_measure:
                on_measure(result)
    return {"measures": msgspec.to_builtins(found), "machine": machine(), "quick": quick}


def _wanted(names: Iterable[str] | None) -> set[str]:
    if names is None:
        return {name for family, members in FAMILIES.items() if family not in LONG for name in members}
    wanted: set[str] = set()
    for name in names:
        family = family_of(name)
        wanted |= set(FAMILIES[family]) if name == family else {name}
    return wanted
