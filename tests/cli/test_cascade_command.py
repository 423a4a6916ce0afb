"""`seawall stress cascade`: a table, an object, a picture, a user's own book, and what it refuses."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from seawall.cli.app import app
from seawall.margin import models
from seawall.stress.cascade.venue import VenueMix, modelled_venue
from seawall.stress.crash import modelled_path


def invoke(*words):
    return CliRunner().invoke(app, ["stress", "cascade", *map(str, words)])


def prices(path):
    """A fall of 30 % within a minute, of two names."""
    rows = ["timestamp,symbol,price"]
    for second in range(0, 120, 2):
        share = 1 - 0.3 * min(second / 60, 1.0)
        for name, first in (("BTC", 121_500), ("ETH", 4_360)):
            rows.append(f"2025-10-10T20:{30 + second // 60:02d}:{second % 60:02d}Z,{name},{first * share:.2f}")
    path.write_text("\n".join(rows) + "\n")
    return path


def test_a_users_book_and_prices_give_one_object_with_every_policy(tmp_path):
    venue = modelled_venue(modelled_path(1).first_prices(), 1, models.get("cross"), VenueMix(accounts=60))
    venue.market.save(tmp_path / "market.json")
    legs, accounts = venue.market.legs, venue.accounts
    rows = ["account,instrument,quantity"]
    for a, name in enumerate(accounts.names[:50]):
        rows.append(f"{name},USD,{2_000 + a}")
        for row in range(accounts.row_ptr[a], accounts.row_ptr[a + 1]):
            rows.append(f"{name},{legs.symbols[accounts.leg[row]]},{accounts.lots[row] * legs.lot[accounts.leg[row]]:.9f}")
    (tmp_path / "book.csv").write_text("\n".join(rows) + "\n")
    out = tmp_path / "out"
    done = invoke(
        "--book", tmp_path / "book.csv", "--market", tmp_path / "market.json", "--prices", prices(tmp_path / "p.csv"),
        "--out", out, "--picture", "svg", "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert set(answer["policies"]) == {"dump", "slices", "dutch", "seawall"}
    assert answer["setting"]["default_exogenous_ppm"] == 1_000_000
    assert all(run["liquidated"] > 0 for run in answer["runs"])
    assert json.loads((out / "cascade.json").read_text())["policies"] == answer["policies"]
    if "plot" in answer:
        assert "<svg" in (out / "cascade.svg").read_text()[:600]


def test_the_table_names_every_policy_and_where_prices_are_from(tmp_path):
    done = invoke("--accounts", 40, "--prices", prices(tmp_path / "p.csv"), "--policy", "dump", "--policy", "seawall")
    assert done.exit_code == 0, done.output
    assert "dump" in done.stdout
    assert "seawall" in done.stdout
    assert "p.csv" in done.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--policy", "hope"], "dump, slices, dutch, seawall"),
        (["--depth", "return_s"], "NAME=VALUE"),
        (["--depth", "return_s=0"], "more than zero"),
        (["--depth", "wetness=3"], "return_s"),
        (["--keepers", "count=0"], "at least one"),
        (["--exogenous", "0.7"], "like 70%"),
        (["--exogenous", "120%"], "like 70%"),
        (["--picture", "gif"], "png or svg"),
        (["--book", "b.csv"], "both"),
        (["--prices", "nowhere.csv"], "nowhere.csv"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(words, told):
    done = invoke(*words)
    assert done.exit_code == 2
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
