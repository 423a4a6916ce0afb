"""--param and --params: every command that asks a model asks the one that they make, or says what is wrong with them."""

from __future__ import annotations

import inspect
import json

import polars as pl
import pytest
from tests.cli.test_bad_input import BOOK, MARKET
from typer.testing import CliRunner

from seawall.cli import compare, demo, diff, explain, liquidation, margin, replay, what_if
from seawall.cli.app import app
from seawall.cli.arguments import ask, given_by
from seawall.core.errors import DuplicateRow, InputError, UnreadableFile
from seawall.core.jsontext import parse_json
from seawall.margin import models
from seawall.margin.coming import announcement

STRICT = {"initial_ppm": 300_000, "maintenance_ppm": 200_000}
WORDS = ("--model", "fixed", "--param", "initial_ppm=300_000", "-p", "maintenance_ppm=200000")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "market.json").write_text(json.dumps(MARKET))
    (tmp_path / "book.csv").write_text(BOOK)
    (tmp_path / "strict.json").write_text(json.dumps(STRICT))
    (tmp_path / "strict.toml").write_text("initial_ppm = 300_000\nmaintenance_ppm = 200_000\n")
    rows = [f"{1_760_130_000 + k},BTC,{113_000 - 300 * k}\n" for k in range(40)]
    (tmp_path / "prices.csv").write_text("ts,symbol,price\n" + "".join(rows))
    return tmp_path


def answer(*words):
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_every_command_with_a_model_takes_its_parameters():
    takes = []
    for module in (compare, demo, diff, explain, liquidation, margin, replay, what_if):
        takes.append({"model", "param", "params"} <= set(inspect.signature(module.command).parameters))
    assert all(takes)
    for one in app.registered_commands:
        names = inspect.signature(one.callback).parameters
        assert "model" not in names or "param" in names, f"{one.name} takes a model without its parameters"


@pytest.mark.parametrize("changed", [WORDS, ("-m", "fixed", "--params", "strict.json"), ("-m", "fixed", "--params", "strict.toml")])
@pytest.mark.parametrize("command", ["margin", "explain", "what-if", "liquidation-price", "compare", "hedge"])
def test_a_command_answers_for_the_changed_model(folder, command, changed):
    who = () if command in ("margin", "compare") else ("alice",)

    def figures(*words):
        found = answer(command, "book.csv", "market.json", *who, *words)
        return found["models"][0] if command == "compare" else found

    as_it_is, strict = figures("-m", "fixed"), figures(*changed)
    assert strict.pop("parameters") == STRICT
    assert as_it_is.pop("parameters") == {}
    assert as_it_is["model"] == strict["model"] == "fixed"
    assert as_it_is != strict
    if command == "explain":
        assert float(strict["maintenance_margin"]) == 4 * float(as_it_is["maintenance_margin"])


def test_diff_says_what_a_change_of_parameters_costs(folder):
    ends = ("diff", "book.csv", "market.json", "book.csv", "market.json", "-m", "fixed")

    def moved(*words):
        parts = answer(*ends, *words)["parts"]
        assert all(float(part["maintenance_margin"]) == 0 for part in parts if part["part"] != "parameters")
        return sum(float(part["maintenance_margin"]) for part in parts)

    assert moved(*WORDS[2:]) == 0, "the later model is the earlier one"
    rise = moved("--param2", "maintenance_ppm=100000")
    assert rise > 0
    assert moved("--params", "strict.json", "--param2", "maintenance_ppm=150000") == -rise
    done = CliRunner().invoke(app, [*ends, *WORDS[2:], "--model2", "portfolio", "--json"])
    assert done.exit_code == 0, "another model takes nothing of the earlier one's parameters"


def test_replay_and_demo_play_the_changed_model_and_record_it(folder):
    plain = answer("replay", "book.csv", "prices.csv", "--market", "market.json", "-m", "fixed")
    strict = answer("replay", "book.csv", "prices.csv", "--market", "market.json", *WORDS)
    assert strict["parameters"] == STRICT
    assert strict["decisions"] != plain["decisions"]
    words = ("demo", "--accounts", "60", "--headless", "--out", "out")

    def held(*more):
        played = answer(*words, *more)
        return played, pl.read_parquet(folder / "out" / "results.parquet")["maintenance_margin"].sum()

    (_, plain), (strict, strictly) = held("-m", "fixed"), held(*WORDS)
    assert strict["parameters"] == STRICT
    assert strictly > 2 * float(plain) > 0
    assert json.loads((folder / "out" / "summary.json").read_text())["parameters"] == STRICT


def test_a_table_says_that_its_model_was_changed(folder):
    shown = CliRunner().invoke(app, ["margin", "book.csv", "market.json", *WORDS])
    assert "model fixed with initial_ppm, maintenance_ppm changed" in shown.stdout


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        (["offset_ppm=5_0"], {"offset_ppm": 50}),
        (['range_ppm={"SOL": 300000}'], {"range_ppm": {"SOL": 300_000}}),
        (["range_ppm.SOL=300000"], {"range_ppm": {"BTC": 140_000, "ETH": 160_000, "SOL": 300_000}}),
        (['range_ppm={"SOL": 3}', "range_ppm.BTC=4"], {"range_ppm": {"SOL": 3, "BTC": 4}}),
        (["offset_ppm=1", "offset_ppm=2"], {"offset_ppm": 2}),
    ],
)
def test_what_a_parameter_on_the_command_line_means(words, changes):
    asked = given_by("portfolio", {}, words)
    assert asked.changes == changes
    assert asked.model.parameters == models.get("portfolio", **changes).parameters


def test_entries_of_entries_text_and_fractions():
    asked = given_by("derive-standard", {}, ["markets.SOL.perp_mm=0.3", "depeg_factor=1.5"])
    found = asked.model.parameters
    later = announcement(parse_json(b'{"from": "2026-01-01", "model": "derive-standard", "parameters": {"depeg_factor": 1.5}}', ""))
    assert later.model.parameters.depeg_factor == 1.5
    assert (found.markets["SOL"].perp_mm, found.depeg_factor) == (0.3, 1.5)
    assert set(found.markets) == {"BTC", "ETH", "SOL"}
    assert given_by("derive-portfolio", {}, ["version=1", "skew.width_scale=3"]).model.parameters.vol_range_up == 0.6
    asked = given_by("expected-shortfall", {"columns": 100}, ["source=monte-carlo", "seed=9"])
    assert asked.changes == {"columns": 100, "source": "monte-carlo", "seed": 9}


def test_what_the_command_line_says_outranks_the_file(folder):
    asked = ask("fixed", ["initial_ppm=400000"], folder / "strict.toml")
    assert asked.changes == STRICT | {"initial_ppm": 400_000}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["offset"], '--param: found "offset", expected NAME=VALUE or NAME.KEY=VALUE'),
        (["=5"], '--param: found "=5", expected NAME=VALUE or NAME.KEY=VALUE'),
        (["range_ppm.=5"], '--param: found "range_ppm.=5", expected NAME=VALUE or NAME.KEY=VALUE'),
        (["ofset_ppm=5"], 'parameters of portfolio: found "ofset_ppm", expected one of range_ppm, default_range_ppm'),
        (["ofset_ppm.BTC=5"], 'parameters of portfolio: found "ofset_ppm", expected one of range_ppm'),
        (["offset_ppm=0.5"], "parameter offset_ppm: found 0.5, expected a whole number"),
        (["offset_ppm="], 'parameter offset_ppm: found "", expected a whole number'),
        (["offset_ppm=half"], 'parameter offset_ppm: found "half", expected a whole number'),
        (["offset_ppm=1e400"], "parameter offset_ppm: found inf, expected a whole number"),
        (["offset_ppm.BTC=5"], "--param offset_ppm.BTC: found offset_ppm, which is 900000, expected a parameter with"),
        (["offset_ppm=2000000"], "offset_ppm: found 2000000, expected 0 to 1,000,000"),
        (["default_range_ppm=10"], ""),
    ],
)
def test_what_makes_no_model_is_one_line_and_exit_code_2(folder, words, message):
    line = [*(word for each in words for word in ("--param", each))]
    done = CliRunner().invoke(app, ["margin", "book.csv", "market.json", *line])
    if not message:
        assert done.exit_code == 0, "small ranges are for an engine's envelope to refuse"
        return
    assert done.exit_code == 2, done.output
    assert done.stderr.startswith(f"error: {message}"), done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("a.json", "{", UnreadableFile),
        ("a.toml", "= 1", UnreadableFile),
        ("a.toml", b"\xff", UnreadableFile),
        ("a.json", "[1]", InputError),
        ("a.yaml", "a: 1", InputError),
        ("a.json", '{"offset_ppm": 1, "offset_ppm": 2}', DuplicateRow),
        ("a.json", '{"ofset_ppm": 1}', InputError),
    ],
)
def test_a_file_that_holds_no_parameters_is_refused(tmp_path, name, content, error):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(error):
        ask("portfolio", None, tmp_path / name)


def test_a_file_that_is_not_there_and_parameters_of_many_models_are_refused(folder):
    done = CliRunner().invoke(app, ["margin", "book.csv", "market.json", "--params", "absent.json"])
    assert (done.exit_code, done.stderr[:20]) == (2, "error: absent.json: ")
    done = CliRunner().invoke(app, ["compare", "book.csv", "market.json", "-p", "initial_ppm=1"])
    assert done.exit_code == 2
    assert "--model" in done.stderr
