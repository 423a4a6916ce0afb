"""`seawall efficiency`: a table, an object, files and pictures that say the same; one line for nonsense."""

from __future__ import annotations

import json
from decimal import Decimal

import polars as pl
import pytest
from tests.cli.test_bad_input import BOOK, MARKET
from typer.testing import CliRunner

from seawall.cli.app import app

MODELS = ["fixed", "cross", "portfolio", "greeks", "expected-shortfall"]
MORE = "bob,USD,4000,,\nbob,BTC-PERP,-0.1,,\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "market.json").write_text(json.dumps(MARKET))
    (tmp_path / "book.csv").write_text(BOOK + MORE)
    rows = [f"2025-10-{1 + hour // 24:02}T{hour % 24:02}:00:00Z,BTC,{100_000 + 500 * (hour % 7)}" for hour in range(72)]
    (tmp_path / "prices.csv").write_text("ts,symbol,price\n" + "\n".join(rows) + "\n")
    return tmp_path


def invoke(*words):
    return CliRunner().invoke(app, ["efficiency", *map(str, words)])


def answer(*words):
    done = invoke("book.csv", "market.json", *words, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_the_object_has_five_models_whose_margins_are_those_of_margin(folder):
    found = answer()
    assert [row["model"] for row in found["models"]] == MODELS
    assert (found["confidence_ppm"], found["horizon_hours"], found["moves"]) == (990_000, 24, 500)
    assert found["moves_from"] == "monte-carlo"
    fixed = Decimal(found["models"][0]["initial_margin"])
    for row in found["models"]:
        line = ["margin", "book.csv", "market.json", "--model", row["model"], "--json"]
        accounts = json.loads(CliRunner().invoke(app, line).stdout)["results"]
        assert sum(Decimal(each["initial_margin"]) for each in accounts) == Decimal(row["initial_margin"])
        assert fixed - Decimal(row["initial_margin"]) == Decimal(row["saved"])
        assert row["accounts"] == 2


def test_the_table_says_what_the_object_says(folder):
    done = invoke("book.csv", "market.json")
    assert done.exit_code == 0, done.output
    for row in answer()["models"]:
        (line,) = [line for line in done.stdout.splitlines() if line.strip().startswith(row["model"] + " ")]
        assert f"{Decimal(row['initial_margin']):,.2f}" in line
        assert f"{row['covered_initial_ppm'] // 1000 / 10:.1f} %" in line
    assert "2 accounts" in done.stdout
    assert "of 500 modelled moves over 24 h" in done.stdout


def test_coverage_of_realised_moves_is_of_the_file(folder):
    found = answer("--prices", "prices.csv", "--models", "fixed,cross")
    assert (found["moves"], found["moves_from"], found["prices"]) == (48, "given", "prices.csv")
    assert all(row["covered_initial_ppm"] == 10**6 for row in found["models"])  # no move beyond 3 %
    shown = invoke("book.csv", "market.json", "--prices", "prices.csv", "-m", "fixed", "--horizon-hours", "1")
    assert "of 71 realised moves over 1 h, one every 1 h from 2025-10-01T00:00:00Z" in shown.stdout


def test_one_account_and_every_account(folder):
    whole, bob = answer("--by-account"), answer("--account", "bob")
    by_name = {row["account"]: row["models"] for row in whole["accounts"]}
    assert list(by_name) == ["alice", "bob"]
    assert by_name["bob"] == [{k: v for k, v in row.items() if k != "worst_uncovered"} for row in bob["models"]]
    assert [row["accounts"] for row in bob["models"]] == [1] * 5
    shown = invoke("book.csv", "market.json", "--by-account").stdout
    assert shown.count("expected-shortfall") == 2
    assert "bob: expected shortfall (99 % over 24 h)" in shown
    narrow = answer("--confidence", "97.5%", "--horizon-hours", "1", "--account", "bob")
    assert narrow["confidence_ppm"] == 975_000
    assert Decimal(narrow["models"][0]["expected_shortfall"]) < Decimal(bob["models"][0]["expected_shortfall"]) / 3


def test_prices_of_what_other_accounts_hold_are_not_asked_for(folder):
    ether = {"symbol": "ETH-PERP", "kind": "perpetual", "underlying": "ETH", "lot": "0.01"}
    (folder / "more.json").write_text(json.dumps(MARKET | {"instruments": [*MARKET["instruments"], ether]}))
    (folder / "more.csv").write_text(BOOK + MORE + "carl,ETH-PERP,1,,\n")
    words = ("more.csv", "more.json", "--prices", "prices.csv")
    assert "no price of ETH" in invoke(*words).stderr
    done = invoke(*words, "--account", "bob", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["models"] == answer("--account", "bob", "--prices", "prices.csv")["models"]
    assert Decimal(found["models"][0]["initial_margin"]) > 0


def test_a_model_that_cannot_margin_the_book_has_a_row_of_dashes_and_a_reason(folder):
    done = invoke("book.csv", "market.json", "--models", "all")
    assert done.exit_code == 0
    (line,) = [line for line in done.stdout.splitlines() if line.strip().startswith("dydx ")]
    assert set(line.split()[1:]) == {"-"}
    assert done.stderr.startswith("dydx: model dydx, instrument BTC-26DEC25-120000-C: found")
    assert len(answer("--models", "all")["models"]) == 9


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_the_whole_table_is_written(folder, suffix):
    path = folder / f"rows{suffix}"
    done = invoke("book.csv", "market.json", "--out", path)
    assert f"table: {path}" in done.stdout
    frame = pl.read_parquet(path) if suffix == ".parquet" else pl.read_csv(path)
    assert frame.height == 10
    sums = frame.filter(pl.col("model") == "cross")["initial_margin"].cast(pl.Float64).sum()
    assert sums == pytest.approx(float(answer()["models"][1]["initial_margin"]))


@pytest.mark.parametrize("more", [(), ("--by-account",), ("--account", "alice"), ("-m", "all"), ("-m", "all", "--by-account")])
@pytest.mark.parametrize(("suffix", "magic"), [(".png", b"\x89PNG"), (".svg", b"<?xml")])
def test_pictures_are_drawn_and_named(folder, more, suffix, magic):
    pytest.importorskip("matplotlib")
    path = folder / f"picture{suffix}"
    done = invoke("book.csv", "market.json", "--plot", path, *more)
    assert done.exit_code == 0, done.output
    assert f"picture: {path}" in done.stdout
    assert path.read_bytes().startswith(magic)


def test_accounts_without_positions_and_books_of_cash_alone_are_answered(folder):
    pytest.importorskip("matplotlib")
    (folder / "cash.csv").write_text("account,instrument,quantity\nzoe,USD,10\n")
    words = ("cash.csv", "market.json", "--prices", "prices.csv", "--plot", folder / "cash.png")
    for more in ((), ("--by-account",)):
        done = invoke(*words, *more)
        assert done.exit_code == 0, done.output
    row = json.loads(invoke(*words, "--json").stdout)["models"][0]
    assert (row["idle"], row["per_shortfall_ppm"], row["covered_initial_ppm"]) == ("10.000000", None, None)


BAD = {
    "no such model": (("book.csv", "market.json", "-m", "fixed,nonsense"), "one of fixed, cross"),
    "no model": (("book.csv", "market.json", "-m", ""), "one of fixed, cross"),
    "no such account": (("book.csv", "market.json", "--account", "zed"), "an account of the book"),
    "no book": (("none.csv", "market.json"), "none.csv"),
    "no prices": (("book.csv", "market.json", "--prices", "none.csv"), "none.csv"),
    "prices of another": (("book.csv", "market.json", "--prices", "other.csv"), "a price of BTC"),
    "too few hours": (("book.csv", "market.json", "--prices", "prices.csv", "--horizon-hours", "71"), "72 hours or more"),
    "a confidence without a sign": (("book.csv", "market.json", "--confidence", "0.99"), "like 97.5%"),
    "certainty": (("book.csv", "market.json", "--confidence", "100%"), "below 100%"),
    "words for a confidence": (("book.csv", "market.json", "--confidence", "high%"), "--confidence"),
    "a picture of another kind": (("book.csv", "market.json", "--plot", "a.gif"), ".png or .svg"),
    "a table of another kind": (("book.csv", "market.json", "--out", "a.xlsx"), ".parquet or .csv"),
    "a picture nowhere": (("book.csv", "market.json", "--plot", "none/a.png"), "none/a.png"),
}


@pytest.mark.parametrize(("words", "says"), BAD.values(), ids=BAD.keys())
def test_nonsense_is_one_line_and_exit_code_two(folder, words, says):
    (folder / "other.csv").write_text("ts,symbol,price\n2025-10-01T00:00:00Z,DOGE,1\n2025-10-03T00:00:00Z,DOGE,1\n")
    before = sorted(folder.iterdir())
    done = invoke(*words)
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert says in done.stderr
    assert sorted(folder.iterdir()) == before


def test_too_many_accounts_are_not_drawn_side_by_side(folder):
    rows = "".join(f"a{k},BTC-PERP,0.1,,\n" for k in range(13))
    (folder / "many.csv").write_text("account,instrument,quantity,isolated,entry\n" + rows)
    done = invoke("many.csv", "market.json", "--by-account", "--plot", "many.png")
    assert done.exit_code == 2
    assert "1 to 12 accounts" in done.stderr


@pytest.mark.parametrize("words", [("--horizon-hours", "0"), ("--horizon-hours", "soon"), ("--nonsense",)])
def test_a_wrong_option_is_exit_code_two(folder, words):
    done = invoke("book.csv", "market.json", *words)
    assert done.exit_code == 2
    assert "Traceback" not in done.output
