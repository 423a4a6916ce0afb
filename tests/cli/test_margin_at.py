"""`seawall margin --at`: the same table for a coming moment, what has settled by then, and parameters announced."""

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
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("coming")
    (folder / "market.json").write_text(json.dumps(samples.market_document()))
    (folder / "book.csv").write_text(BOOK)
    change = {"from": "2025-11-01T00:00:00Z", "model": "fixed", "parameters": {"initial_ppm": 300000}}
    (folder / "change.json").write_text(json.dumps(change))
    (folder / "wrong.json").write_text(json.dumps({"from": "2025-11-01T00:00:00Z"}))
    return folder


def invoke(files, *words):
    line = ["margin", str(files / "book.csv"), str(files / "market.json"), *map(str, words)]
    return CliRunner().invoke(app, line)


def rows(done):
    assert done.exit_code == 0, done.output
    return {row["account"]: row for row in json.loads(done.stdout)["results"]}


def test_the_call_that_expires_out_of_the_money_leaves_the_coin_alone(files):
    done = invoke(files, "--at", "2025-12-26T08:00:00Z", "--json")
    answer = json.loads(done.stdout)
    assert answer["as_of"] == "2025-12-26T08:00:00Z"
    assert "BTC-DEC-120000-C" in answer["settled"]
    assert answer["fixed"] == []
    then, now = rows(done), rows(invoke(files, "--json"))
    assert Decimal(then["bob"]["equity"]) == Decimal("169500")  # 1.5 BTC; the short call is worthless
    assert Decimal(now["bob"]["equity"]) < Decimal("169500")
    assert then["alice"]["initial_margin"] == now["alice"]["initial_margin"]
    table = invoke(files, "--at", "2025-12-26T08:00:00Z").stdout
    assert "as of 2025-12-26T08:00:00Z" in table
    assert "settled at the index by then: BTC-DEC" in table


def test_announced_parameters_count_from_their_time_on(files):
    change = files / "change.json"
    margins = [
        Decimal(rows(invoke(files, "-m", "fixed", "--at", at, "--announced", change, "--json"))["alice"]["initial_margin"])
        for at in ("2025-10-31T23:59:59Z", "2025-11-01T00:00:00Z")
    ]
    assert margins[1] == 3 * margins[0] > 0


BAD = {
    "a past time": ("--at", "2025-10-01T00:00:00Z"),
    "no time": ("--at", "soon"),
    "parameters without a time": ("--announced", "change.json"),
    "parameters that are not there": ("--at", "2025-11-02T00:00:00Z", "--announced", "none.json"),
    "parameters without a model": ("--at", "2025-11-02T00:00:00Z", "--announced", "wrong.json"),
    "parameters that are a book": ("--at", "2025-11-02T00:00:00Z", "--announced", "book.csv"),
}


@pytest.mark.parametrize("words", BAD.values(), ids=BAD.keys())
def test_nonsense_is_one_line_and_exit_code_two(files, words):
    words = [str(files / word) if word.endswith((".json", ".csv")) else word for word in words]
    done = invoke(files, *words)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
