"""Vectors that other systems published: every figure met, and a figure that is off noticed.

The files in data/ are figures of makerdao/dss @ fa4f663, derivexyz/v2-core @ 7736900, ajna-finance/contracts @ 0f59e78,
reflexer-labs/geb @ 1a59f16 and euler-xyz/euler-vault-kit @ 5b98b42; each names the test they stand in.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import shared_dir
from seawall.core.errors import InputError
from seawall.liquidation import conform
from seawall.margin.conform import FileReport

DATA = Path(__file__).parent / "data"
NAMES = sorted(path.stem for path in DATA.glob("*.json"))


def load(name: str) -> dict:
    return json.loads((DATA / f"{name}.json").read_text("utf-8"))


def judged(folder: Path, data: object) -> FileReport:
    path = folder / "vectors.json"
    path.write_text(json.dumps(data), "utf-8")
    return conform.run([path]).files[0]


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_is_met(name):
    file = conform.run([DATA / f"{name}.json"]).files[0]
    assert file.failures == ()
    assert (file.failed, file.unsupported) == (0, 0)
    assert file.passed >= 4


@pytest.mark.parametrize("name", NAMES)
def test_the_shared_files_are_met_too(name):
    file = conform.run([shared_dir() / "vectors" / f"{name}.json"]).files[0]
    assert file.failures == ()
    assert all(reason.startswith("disabled in its source") for reason in file.reasons)


def leaves(part: object, path: tuple = ()) -> list[tuple]:
    if isinstance(part, dict | list):
        items = part.items() if isinstance(part, dict) else enumerate(part)
        return [leaf for key, inner in items for leaf in leaves(inner, (*path, key))]
    return [path]


def at(data: object, path: tuple) -> object:
    for key in path:
        data = data[key]
    return data


def off(value: Any) -> object:
    """A figure as wrong as can be noticed: a thousandth off, or one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, str) and value.lstrip("-").isdigit():
        return str(int(value) + max(2, abs(int(value)) // 1000))
    try:
        wrong = float(value) * 1.01 + 1
        return str(wrong) if isinstance(value, str) else wrong
    except ValueError:
        return "some-other-reason"


def asserted(name: str) -> list[tuple]:
    """Paths of figures that a source expects."""
    return [
        path
        for path in leaves(load(name))
        if any(str(key).startswith("expect") for key in path) and at(load(name), path) is not None
    ]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25)
@given(data=st.data())
def test_an_expected_figure_that_is_off_fails(name, data, tmp_path_factory):
    document = load(name)
    path = data.draw(st.sampled_from(asserted(name)))
    *outer, last = path
    at(document, tuple(outer))[last] = off(at(document, path))
    assert judged(tmp_path_factory.mktemp("off"), document).failed == 1, path


def places(part: object, path: tuple = ()) -> list[tuple]:
    items = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    return [path, *(place for key, inner in items for place in places(inner, (*path, key)))]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60)
@given(data=st.data())
def test_a_damaged_file_is_judged_or_refused_in_one_line(name, data, tmp_path_factory):
    document = load(name)
    *outer, last = data.draw(st.sampled_from(places(document)[1:]))
    part = at(document, tuple(outer))
    damage = data.draw(st.sampled_from(["drop", None, "x", -1, 0, 1e308, [], {}, True, "12", [1], {"a": 1}, 10**30]))
    if damage == "drop":
        del part[last]
    else:
        part[last] = damage
    verdict = ""
    try:
        file = judged(tmp_path_factory.mktemp("damaged"), document)
    except InputError as error:
        verdict = str(error)
    else:
        assert file.passed + file.failed + file.unsupported >= 1
    assert not verdict or ("vectors.json" in verdict and "\n" not in verdict)


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_that_nobody_here_computes_is_unsupported_never_passed(name, tmp_path):
    document = load(name)
    before = judged(tmp_path, document)
    path = next(path for path in asserted(name) if str(path[-1]).startswith("expect") or {"expect", "expected"} & set(path))
    outer = path[:-1]
    at(document, outer)["expect_phase_of_the_moon"] = 3
    after = judged(tmp_path, document)
    assert (after.passed, after.unsupported) == (before.passed - 1, 1)
