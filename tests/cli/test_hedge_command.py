"""`seawall hedge` on files: a table of trades, an object whose trades do what it says, one-line errors."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from typer.testing import CliRunner

import samples
from seawall.cli.app import app

BOOK = """account,instrument,quantity
alice,USD,8000
alice,BTC-PERP,0.75
bob,USD,-40000
bob,BTC,1.5
bob,BTC-DEC-120000-C,-1.5
carol,USD,-100
dave,USD,90000
dave,BTC-PERP,0.1
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hedge")
    (folder / "market.json").write_text(json.dumps(samples.market_document()))
    (folder / "book.csv").write_text(BOOK)
    return folder


def invoke(files, command, *words):
    return CliRunner().invoke(app, [command, str(files / "book.csv"), str(files / "market.json"), *map(str, words)])


@pytest.mark.parametrize("account", ["alice", "bob"])
@pytest.mark.parametrize("model", ["fixed", "cross", "portfolio", "greeks", "expected-shortfall"])
def test_what_if_of_the_trades_and_their_cost_is_what_the_hedge_promised(files, account, model):
    done = invoke(files, "hedge", account, "--model", model, "--json")
    answer = json.loads(done.stdout)
    assert done.exit_code == (0 if answer["exists"] else 1)
    if not answer["trades"]:
        assert not answer["exists"] or Decimal(answer["before"]["free_collateral"]) >= 0
        return
    words = [f"--trade={trade['instrument']}={trade['quantity']}" for trade in answer["trades"]]
    asked = invoke(files, "what-if", account, "--model", model, *words, f"--deposit=-{answer['cost']}", "--json")
    after = json.loads(asked.stdout)["after"]
    after.pop("status")
    assert answer["after"] == after
    assert Decimal(after["free_collateral"]) >= 0
    assert Decimal(answer["cost"]) == sum(Decimal(trade["cost"]) for trade in answer["trades"])
    asked = invoke(files, "what-if", account, "--model", model, f"--deposit={answer['deposit']}", "--json")
    assert Decimal(json.loads(asked.stdout)["after"]["free_collateral"]) == 0


def test_the_table_shows_trades_figures_and_the_deposit_that_would_do_as_well(files):
    done = invoke(files, "hedge", "alice", "--model", "portfolio", "--candidate", "BTC-PERP")
    assert done.exit_code == 0
    for words in ("sell", "BTC-PERP", "initial margin", "free collateral", "without a trade: a deposit of"):
        assert words in done.stdout


def test_an_account_that_needs_nothing_is_told_so(files):
    done = invoke(files, "hedge", "dave")
    assert done.exit_code == 0
    assert "nothing to do" in done.stdout
    assert json.loads(invoke(files, "hedge", "dave", "--json").stdout)["cost"] == "0.000000"


@pytest.mark.parametrize("words", [("carol",), ("alice", "--candidate", "BTC-PERP=0")])
def test_no_hedge_is_one_clear_message_with_the_deposit_and_exit_code_one(files, words):
    done = invoke(files, "hedge", *words)
    assert done.exit_code == 1
    assert "no trades were found" in done.stdout
    assert "a deposit of" in done.stdout
    answer = json.loads(invoke(files, "hedge", *words, "--json").stdout)
    assert (answer["exists"], answer["trades"], answer["cost"], answer["after"]) == (False, [], None, None)


def test_dearer_trading_costs_more(files):
    costs = []
    for fee in ("0.05%", "0.2%"):
        words = ("alice", "-c", "BTC-PERP", "--fee", fee, "--json")
        costs.append(Decimal(json.loads(invoke(files, "hedge", *words).stdout)["cost"]))
    assert costs[1] > 3 * costs[0] > 0


BAD = {
    "no such account": ("nobody",),
    "no such model": ("alice", "--model", "nonsense"),
    "no such candidate": ("alice", "-c", "DOGE9"),
    "a candidate twice": ("alice", "-c", "BTC-PERP", "-c", "BTC-PERP=1"),
    "a candidate without a most": ("alice", "-c", "BTC-PERP="),
    "a most between lots": ("alice", "-c", "BTC-PERP=0.0001"),
    "a negative most": ("alice", "-c", "BTC-PERP=-1"),
    "no number": ("alice", "-c", "BTC-PERP=many"),
    "a fee without per cent": ("alice", "--fee", "0.05"),
    "a fee of no number": ("alice", "--fee", "cheap%"),
    "a fee too fine": ("alice", "--fee", "0.00001%"),
    "no fee": ("alice", "--fee", "0%"),
    "a negative spread": ("alice", "--spread=-1%"),
}


@pytest.mark.parametrize("words", BAD.values(), ids=BAD.keys())
def test_nonsense_is_one_line_and_exit_code_two(files, words):
    done = invoke(files, "hedge", *words)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert json.loads(invoke(files, "hedge", *words, "--json").stdout)["error"] in done.stderr
