"""`seawall explain` on files: tables that people read, an object that adds up, a picture, one-line errors."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from typer.testing import CliRunner

import samples
from seawall.cli.app import app

BOOK = """account,instrument,quantity
alice,USD,20000
alice,BTC-PERP,0.75
bob,BTC,1.5
bob,BTC-DEC-120000-C,-1.5
bob,ETH-DEC-4000-C,3
"""
MODELS = ("fixed", "cross", "portfolio", "greeks", "expected-shortfall", "value-at-risk")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explain")
    (folder / "market.json").write_text(json.dumps(samples.market_document()))
    (folder / "book.csv").write_text(BOOK)
    return folder


def invoke(files, *words):
    line = ["explain", str(files / "book.csv"), str(files / "market.json"), *map(str, words)]
    return CliRunner().invoke(app, line)


@pytest.mark.parametrize("model", MODELS)
def test_parts_in_json_add_up_to_the_totals_and_these_are_those_of_margin(files, model):
    answer = json.loads(invoke(files, "bob", "--model", model, "--json").stdout)
    for total, part, parts in (
        ("initial_margin", "initial_margin", "initial_parts"),
        ("maintenance_margin", "maintenance_margin", "maintenance_parts"),
    ):
        assert sum(Decimal(leg[part]) for leg in answer["legs"]) == Decimal(answer[total])
        assert all(sum(map(Decimal, leg[parts].values())) == Decimal(leg[part]) for leg in answer["legs"])
    components = sum(Decimal(one["initial"]) for one in answer["components"])
    assert components == Decimal(answer["initial_margin"])
    assert Decimal(answer["cash"]) + sum(Decimal(leg["equity"]) for leg in answer["legs"]) == Decimal(answer["equity"])
    words = ["margin", str(files / "book.csv"), str(files / "market.json"), "--model", model, "--json"]
    rows = json.loads(CliRunner().invoke(app, [*words, "--account", "bob"]).stdout)["results"]
    fields = ("equity", "initial_margin", "maintenance_margin", "status", "worst_scenario")
    assert {name: answer[name] for name in fields} == {name: rows[0][name] for name in fields}


def test_the_tables_name_legs_components_scenarios_and_hedges(files):
    done = invoke(files, "bob", "--scenarios", 2)
    assert done.exit_code == 0
    for words in ("BTC-DEC-120000-C", "scan, BTC", "common factor", "saves initial", "decided by: scan"):
        assert words in done.stdout
    assert done.stdout.count("common factor") == 2


def test_a_chart_is_drawn_and_named(files, tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "bob.svg"
    done = invoke(files, "bob", "--chart", path)
    assert done.exit_code == 0
    assert f"picture: {path}" in done.stdout
    assert "<svg" in path.read_text()


@pytest.mark.parametrize(
    ("words", "says"), [(("nobody",), "an account of the book"), (("bob", "--chart", "a.gif"), ".png or .svg")]
)
def test_bad_input_is_one_line_and_code_2(files, words, says):
    done = invoke(files, *words)
    assert done.exit_code == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
