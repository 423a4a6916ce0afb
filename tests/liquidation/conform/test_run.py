"""The run that judges liquidation's vectors beside margin's: whose reader a file gets, and what it says when none does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seawall.cli.conform import command
from seawall.core.errors import InputError
from seawall.liquidation import conform
from seawall.margin import conform as margin_conform
from seawall.margin.conform import Case
from seawall.margin.conform.reading import BadVector
from seawall.margin.conform.report import Check, Unsupported

MARGIN_DATA = Path(__file__).resolve().parents[2] / "conformance" / "data"


def written(tmp_path: Path, data: object) -> Path:
    path = tmp_path / "vectors.json"
    path.write_text(json.dumps(data), "utf-8")
    return path


def test_margin_vectors_are_judged_as_before():
    path = MARGIN_DATA / "dydx_quantums.json"
    assert conform.run([path]) == margin_conform.run([path])
    assert conform.run([path]).passed > 0


def test_a_reader_handed_in_is_asked_before_those_of_margin(tmp_path):
    def meet(check: Check) -> None:
        check.exact("figure", 1, 1)

    def miss(check: Check) -> None:
        check.exact("figure", 1, 2)

    def refuse(check: Check) -> None:
        raise Unsupported("not asserted")

    def reader(data: object) -> list[Case]:
        return [Case("a", meet), Case("b", miss), Case("c", refuse), Case("d", lambda check: None)]

    file = margin_conform.run([written(tmp_path, {"protocol": "dYdX", "vectors": [{}]})], [reader]).files[0]
    assert (file.passed, file.failed, file.unsupported) == (1, 1, 2)
    assert [failure.name for failure in file.failures] == ["b"]
    assert file.reasons == {"not asserted": 1, "the source asserts no figure": 1}


def test_a_format_that_no_reader_knows_is_unsupported(tmp_path):
    file = margin_conform.run([written(tmp_path, {"cases": [{}, {}]})], [lambda data: None]).files[0]
    assert (file.passed, file.failed, file.unsupported) == (0, 0, 2)


def test_a_file_its_reader_cannot_take_apart_is_one_message_with_the_file_in_it(tmp_path):
    def reader(data: object) -> list[Case]:
        raise BadVector("vector", "a list", "an object")

    path = written(tmp_path, {"cases": []})
    with pytest.raises(InputError) as caught:
        margin_conform.run([path], [reader])
    assert str(caught.value) == f"{path}: found a list, expected an object"


def test_the_command_judges_both_sets(capsys):
    mine = Path(__file__).parent / "data" / "maker_dog.json"
    command([mine, MARGIN_DATA / "dydx_quantums.json"], json=True)
    files = json.loads(capsys.readouterr().out)["files"]
    assert [file["failed"] for file in files] == [0, 0]
    assert all(file["passed"] > 0 for file in files)
