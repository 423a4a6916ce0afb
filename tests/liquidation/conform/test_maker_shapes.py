"""Shapes that Maker's formats allow and the carried files do not have: refusals, other curves, other states."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seawall.liquidation import conform
from seawall.margin.conform import FileReport

WAD, RAY, RAD = 10**18, 10**27, 10**45
POSITION = {
    "ink_wad": str(40 * WAD), "art_wad": str(100 * WAD), "rate_ray": str(RAY), "chop_wad": str(11 * WAD // 10),
    "dust_rad": str(20 * RAD), "Hole_rad": str(1000 * RAD), "Dirt_rad": "0", "hole_rad": str(1000 * RAD), "dirt_rad": "0",
    "spot_ray": str(2 * RAY),
}  # fmt: skip
AUCTION = {
    "tab_rad": str(110 * RAD), "lot_wad": str(40 * WAD), "chost_rad": str(22 * RAD), "top_ray": str(5 * RAY), "tail_s": 3600,
    "cusp_ray": str(3 * RAY // 10), "curve": "linear", "tau_s": 36000,
}  # fmt: skip


def judged(tmp_path: Path, data: object) -> FileReport:
    path = tmp_path / "vectors.json"
    path.write_text(json.dumps(data), "utf-8")
    return conform.run([path]).files[0]


@pytest.mark.parametrize(
    ("change", "revert"),
    [
        ({"spot_ray": str(5 * RAY // 2)}, "not-unsafe"),
        ({"hole_rad": str(RAD), "dirt_rad": str(RAD)}, "Dog/liquidation-limit-hit"),
        ({"hole_rad": str(10 * RAD)}, "dusty-auction-from-partial-liquidation"),
        ({"ink_wad": "0", "spot_ray": str(RAY)}, "null-auction"),
    ],
)
def test_a_refused_bark_is_met_by_its_reason_and_by_no_other(tmp_path, change, revert):
    row = {"name": "x", "input": POSITION | change, "expect": {"revert": revert}}
    assert judged(tmp_path, {"cases": [row]}).passed == 1
    other = "null-auction" if revert != "null-auction" else "not-unsafe"
    assert judged(tmp_path, {"cases": [row | {"expect": {"revert": other}}]}).failed == 1
    assert judged(tmp_path, {"cases": [row | {"expect": {"lot_wad": "1"}}]}).failed == 1


def test_a_bark_that_is_taken_fails_a_vector_that_expects_a_refusal(tmp_path):
    row = {"name": "x", "input": POSITION, "expect": {"revert": "limit-hit"}}
    assert judged(tmp_path, {"cases": [row]}).failed == 1


@pytest.mark.parametrize(
    ("step", "revert"),
    [
        ({"t_s": 3601, "amt_wad": str(WAD)}, "needs-reset"),
        ({"t_s": 0, "amt_wad": str(WAD), "max_ray": str(4 * RAY)}, "too-expensive"),
    ],
)
def test_a_refused_take_changes_nothing(tmp_path, step, revert):
    after = {"t_s": 0, "amt_wad": str(10 * WAD), "expect": {"tab_rad": str(60 * RAD), "lot_wad": str(30 * WAD)}}
    steps = [step | {"expect": {"revert": revert}}, after]
    assert judged(tmp_path, {"take": [{"name": "x", "start": AUCTION, "steps": steps}]}).passed == 1
    steps[0]["expect"] = f"revert: Clipper/{revert}"
    assert judged(tmp_path, {"take": [{"name": "x", "start": AUCTION, "steps": steps}]}).passed == 1


def test_a_part_that_would_leave_dust_is_cut_or_refused(tmp_path):
    cut = {"t_s": 0, "amt_wad": str(21 * WAD), "expect": {"owe_rad": str(88 * RAD), "slice_wad": str(176 * WAD // 10)}}
    last = {"t_s": 0, "amt_wad": str(WAD), "expect": {"revert": "no-partial-purchase"}}
    assert judged(tmp_path, {"take": [{"start": AUCTION, "steps": [cut, last]}]}).passed == 1


def test_an_ended_auction_and_an_unknown_curve_are_said(tmp_path):
    whole = {"t_s": 0, "amt_wad": str(22 * WAD), "expect": {"tab_rad": "0"}}
    again = {"t_s": 0, "amt_wad": str(WAD), "expect": {"revert": "not-running-auction"}}
    assert judged(tmp_path, {"take": [{"start": AUCTION, "steps": [whole, again]}]}).passed == 1
    assert judged(tmp_path, {"take": [{"start": AUCTION | {"curve": "spiral"}, "steps": [whole]}]}).unsupported == 1


def test_a_fault_that_no_rule_reads_is_unsupported(tmp_path):
    breaker = {"level": 0, "kick": True, "redo": True, "take": True}
    file = judged(tmp_path, {"circuit_breaker": [breaker], "reject": {"kick": ["moon is full"], "take": []}})
    assert (file.passed, file.unsupported) == (1, 1)
