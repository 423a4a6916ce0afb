"""The bench measures what it says: same answers before any timing, goals judged the right way round."""

from __future__ import annotations

import os
import pty
import sys
import time

import msgspec
import numpy as np
import pytest

from seawall.core.errors import InputError, InvariantError
from seawall.stress.bench import GOALS, registry, run, shortfall, startup, sweep
from seawall.stress.bench.measure import Goal, interleaved, machine, measured
from seawall.stress.bench.registry import FAMILIES, LONG, family_of

MUST_REACH = {
    "tick_vs_sweep_calm": (10_000.0, True),
    "tick_vs_sweep_crash": (200.0, True),
    "sweep_vs_scipy": (3.0, True),
    "sweep_vs_duckdb": (30.0, True),
    "sweep_vs_pandas": (60.0, True),
    "risk_array_vs_quantlib_formula": (6.0, True),
    "risk_array_vs_quantlib_engine": (50.0, True),
    "liquidation_set_ms": (5.0, False),
    "hedge_ms": (50.0, False),
    "what_if_p99_us": (100.0, False),
    "es_vs_numpy": (5.0, True),
    "explain_p99_us": (500.0, False),
    "tick_growth_10x": (1.5, False),
    "state_gb": (1.5, False),
    "help_s": (0.3, False),
    "demo_cold_s": (30.0, False),
    "demo_warm_s": (4.0, False),
    "journal_events_per_s": (100_000.0, True),
    "journal_ack_p99_ms": (3.0, False),
    "recovery_events_per_s": (500_000.0, True),
    "service_recovery_events_per_s": (500_000.0, True),
    "ws_what_if_p99_ms": (3.0, False),
    "ws_what_if_per_s": (5_000.0, True),
    "tick_to_ws_p99_ms": (5.0, False),
    "snapshot_restart_s": (5.0, False),
    "soak_rss_growth_mb": (20.0, False),
    "status_board_update_ns": (20.0, False),
    "status_board_read_us": (1.0, False),
    "cascade_bad_debt_ratio": (5.0, True),
    "cascade_overshoot_ratio": (2.0, True),
    "adl_overclosure_ratio": (1.001, False),
    "mass_liquidation_first_action_s": (1.0, False),
}


def test_the_goals_are_those_that_were_promised():
    promised = {name: (goal.limit, goal.at_least) for name, goal in GOALS.items() if goal.limit is not None}
    assert promised == MUST_REACH


def test_every_goal_belongs_to_one_family_that_measures_it():
    names = [name for members in FAMILIES.values() for name in members]
    assert sorted(names) == sorted(GOALS)


def test_a_goal_is_judged_in_its_own_direction():
    assert Goal("x", 3.0).met(3.0) is True
    assert Goal("x", 3.0).met(2.9) is False
    assert Goal("s", 0.3, at_least=False).met(0.3) is True
    assert Goal("s", 0.3, at_least=False).met(0.31) is False
    assert Goal("ms", None).met(1.0) is None
    assert measured("help_s", 0.123456, "").value == 0.1235


def test_interleaved_reports_the_least_of_each():
    calls = []
    best = interleaved(3, {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")})
    assert calls == ["a", "b"] * 3
    assert all(0 <= seconds < 1 for seconds in best.values())


def test_the_machine_says_what_it_is():
    found = machine()
    assert found["cores"] >= 1
    assert found["memory_gb"] > 0.1
    assert found["versions"]["numpy"] == np.__version__


def test_an_unknown_measure_names_the_known_ones():
    with pytest.raises(InputError, match="sweep_vs_scipy"):
        family_of("sweep_vs_abacus")


def test_a_baseline_with_another_answer_stops_the_bench():
    ours = np.array([-10_000_000, -5, 0])
    sweep._check_same("sweep_vs_scipy", ours, ours + 500.0)
    with pytest.raises(AssertionError, match="account 1"):
        sweep._check_same("sweep_vs_scipy", ours, ours + np.array([0.0, -2_000.0, 0.0]))


def test_every_baseline_of_the_sweep_finds_the_same_worst_column():
    rng = np.random.default_rng(3)
    rows = rng.integers(-(10**10), 10**10, (50, sweep.SCENARIOS))
    row_ptr = np.concatenate([[0], np.cumsum(rng.integers(0, 9, 200))]).astype(np.int64)
    legs = rng.integers(0, 50, row_ptr[-1]).astype(np.int32)
    lots = rng.integers(-500, 500, row_ptr[-1])
    book = (rows, row_ptr, legs, lots)
    ours = sweep._seawall(book)()
    for make in (sweep._scipy, sweep._duckdb, sweep._pandas):
        difference = np.abs(make(book)() - ours)
        assert difference.max() < 1_000, make.__name__


def test_a_shortfall_of_another_size_stops_the_bench():
    ours, size = np.array([5_000_000, 0]), np.array([100, 100])
    shortfall._check_same(ours, np.array([5e9 - 100, -7e9]), size)
    with pytest.raises(AssertionError, match="account 0"):
        shortfall._check_same(ours, np.array([5.1e9, -7e9]), size)


@pytest.mark.parametrize("family", ["cascade", "dashboard", "hedge", "journal", "mass_liquidation", "recovery", "restart", "risk_array", "service_recovery", "shortfall", "status_board", "sweep"])
def test_a_family_runs_on_a_small_book_and_its_report_is_plain_json(family):
    report = run([family], quick=True)
    assert {one["name"] for one in report["measures"]} == set(FAMILIES[family])
    for one in msgspec.json.decode(msgspec.json.encode(report))["measures"]:
        assert set(one) == {"name", "value", "unit", "baseline", "goal", "met"}
        assert one["baseline"].startswith("not measured") or one["value"] > 0
        assert one["unit"] == GOALS[one["name"]].unit


def test_an_hour_is_not_spent_unasked():
    said = []
    assert "soak" in LONG
    registry_wants = registry._wanted(None)
    assert registry_wants == set(GOALS) - {name for family in LONG for name in FAMILIES[family]}
    assert registry._wanted(["soak"]) == {"soak_rss_growth_mb"}
    assert run([], quick=True, progress=said.append)["measures"] == []
    assert said == []


def test_waiting_for_a_frame_ends_when_the_program_does():
    process, terminal = pty.fork()
    if process == 0:
        os.execv(sys.executable, [sys.executable, "-c", "print('no picture today')"])
    with pytest.raises(InvariantError, match="no picture today"):
        startup._wait_for(terminal, b"health", time.perf_counter() + 20)
    os.waitpid(process, 0)
    os.close(terminal)


def test_a_frame_is_seen_as_soon_as_it_is_drawn():
    code = "import time; print('account health'); time.sleep(30)"
    start = time.perf_counter()
    process, terminal = startup._spawn([sys.executable, "-c", code], dict(os.environ), ".")
    startup._wait_for(terminal, b"health", start + 20)
    startup._stop(process, terminal)
    assert time.perf_counter() - start < 15
