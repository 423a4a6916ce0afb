"""The soak counts what it says: growth from the medians, writes lost, doubled and invented, and all of it on a small real service."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from seawall.core.errors import InvariantError
from seawall.server import soak
from seawall.server.soak import Plan, growth_mb, searched, tenths_mb

MB = 10**6


def test_growth_is_that_of_the_medians_after_the_warm_up():
    samples = [(float(at), (500 if at < 100 else 100 + at // 100) * MB) for at in range(1_100)]
    assert tenths_mb(samples, 100) == [100 + tenth for tenth in range(1, 11)]
    assert growth_mb(samples, 100) == 9
    peak = [(at, size + (900 * MB if at % 100 < 40 else 0)) for at, size in samples]
    assert growth_mb(peak, 100) == 9
    assert growth_mb([(at, 2_000 * MB - size) for at, size in samples], 100) == -9


def test_growth_of_too_few_samples_is_no_figure():
    with pytest.raises(InvariantError, match="ten times"):
        growth_mb([(float(at), MB) for at in range(20)], 15)
    with pytest.raises(InvariantError, match="each tenth"):
        growth_mb([(float(at), MB) for at in range(20)] + [(100.0, MB)], 5)


@pytest.mark.parametrize(
    ("journaled", "found"),
    [
        ([("a", 2), ("b", 3), ("c", 5)], (0, 0, 0)),
        ([("a", 2), ("c", 5)], (1, 0, 0)),
        ([("a", 2), ("b", 4), ("c", 5)], (1, 0, 0)),
        ([("a", 2), ("b", 3), ("b", 4), ("c", 5)], (0, 1, 0)),
        ([("a", 2), ("b", 3), ("c", 5), ("d", 6)], (0, 0, 1)),
    ],
)
def test_each_acknowledged_write_is_looked_for_once(journaled, found):
    assert tuple(searched({"a": 2, "b": 3, "c": 5}, journaled).values()) == found


def test_what_a_venue_holds_by_design_is_full_before_growth_counts():
    for seconds in (10.0, 90.0, 3_600.0):
        plan = Plan(seconds, 100, 100.0)
        assert plan.keys_s <= plan.warm_s < seconds / 2
        assert plan.kept <= max(plan.warm_s * plan.per_s, 256)
        assert plan.snapshot_s < seconds - plan.warm_s
    assert Plan(3_600.0, 100, 100.0).warm_s == 600


def test_a_small_service_is_soaked(tmp_path):
    found = soak.soaked(Plan(8.0, 12, 60.0), tmp_path)
    assert found["acknowledged"] > 100
    assert found["repeated"] > 0
    assert found["asked"] > 100
    assert found["listened"] > 0
    assert found["events"] > found["acknowledged"]
    assert found["events"] == found["from_snapshot"] + found["replayed"]
    assert found["replayed"] > 0
    assert 0 < found["first_mb"]
    assert abs(found["growth_mb"]) < 200
    assert json.loads((tmp_path / "market.json").read_text())["settlement"] == "USD"


def test_a_record_that_is_gone_ends_the_soak(tmp_path, monkeypatch):
    journaled = soak._journaled
    monkeypatch.setattr(soak, "_journaled", lambda folder: list(journaled(folder))[1:])
    with pytest.raises(InvariantError, match="'lost': 1"):
        soak.soaked(Plan(4.0, 12, 40.0), tmp_path)


def test_a_restart_has_something_to_replay(tmp_path):
    for sequence in (7, 9, 12):
        (tmp_path / f"snapshot-{sequence:020d}.bin").touch()
    soak._leave_the_oldest_snapshot(tmp_path, 12)
    assert [path.name[-6:-4] for path in tmp_path.iterdir()] == ["07"]
    soak._leave_the_oldest_snapshot(tmp_path, 7)
    assert list(tmp_path.iterdir()) == []


def test_a_service_that_does_not_start_says_why(tmp_path):
    (tmp_path / "venue.toml").write_text("[venue]\nmarket = 'nowhere.json'\n")
    with pytest.raises(InvariantError, match="nowhere.json"):
        soak._serve(tmp_path)


def test_clients_that_are_refused_end_the_soak(tmp_path):
    plan = Plan(4.0, 12, 40.0)
    soak._prepare(plan, tmp_path)
    service, url, _ = soak._serve(tmp_path)
    try:
        with pytest.raises(InvariantError, match="every client"):
            soak._loaded(plan, service, url, "no-such-key", tmp_path / "told")
    finally:
        service.kill()
        service.wait()


def test_memory_of_another_process_is_what_it_has():
    code = "data = bytearray(b'x') * 50_000_000; print(len(data), flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.readline()
        assert 50 * MB < soak.resident_bytes(process.pid) < 90 * MB
        process.stdin.close()
