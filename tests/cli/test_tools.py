"""`liquidation-price`, `what-if` and `diff`: tables for people, JSON for machines, one line for nonsense."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from tests.cli.test_bad_input import BOOK, MARKET, OPTION
from typer.testing import CliRunner

from seawall.cli.app import app
from seawall.cli.corridor import print_table, to_json
from seawall.engine.corridor import Corridor, Corridors, Lead


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "market.json").write_text(json.dumps(MARKET))
    prices = {"BTC": {"index": "110000"}, "ETH": {"index": "3900"}}
    later = MARKET | {"as_of": "2025-10-11T21:00:00Z", "underlyings": prices}
    (tmp_path / "later.json").write_text(json.dumps(later))
    (tmp_path / "book.csv").write_text(BOOK)
    return tmp_path


def invoke(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def answer(*words):
    done = invoke(*words, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_liquidation_prices_are_crossings_that_what_if_confirms(folder):
    found = answer("liquidation-price", "book.csv", "market.json", "alice")
    (btc,) = found["underlyings"]
    assert btc["complete"]
    assert [each["liquidated"] for each in btc["crossings"]] == ["below", "above"]
    for each in btc["crossings"]:
        assert Decimal(each["above"]) - Decimal(each["below"]) == Decimal(btc["tick"])
        for side in ("below", "above"):
            move = (Decimal(each[side]) / 113000 - 1) * 100
            after = answer("what-if", "book.csv", "market.json", "alice", "--move", f"BTC={move:f}%")["after"]
            assert after["health"] == each[f"health_{side}"]
    shown = invoke("liquidation-price", "book.csv", "market.json", "alice")
    assert "at or below" in shown.stdout
    assert "at or above" in shown.stdout


def test_the_vol_and_the_time_of_liquidation_are_crossings_too(folder):
    found = answer("liquidation-price", "book.csv", "market.json", "alice", "--funding", "BTC=1%")
    (vols,) = found["vols"]["crossings"]
    assert Decimal(vols["above"]) - Decimal(vols["below"]) == Decimal("0.0001")
    for side in ("below", "above"):
        move = f"{Decimal(vols[side]) * 100:+f}%"
        after = answer("what-if", "book.csv", "market.json", "alice", "--vol", move)["after"]
        assert after["health"] == vols[f"health_{side}"]
    (time,) = found["time"]["crossings"]
    assert (time["liquidated"], time["health_above"][0]) == ("above", "-")
    assert MARKET["as_of"] < time["below"] < time["above"] < found["time"]["high"]
    free = answer("liquidation-price", "book.csv", "market.json", "alice")
    assert free["time"]["crossings"] == []  # she is short an option: without funding time is on her side
    shown = invoke("liquidation-price", "book.csv", "market.json", "alice", "--funding", "BTC=1%").stdout
    assert all(words in shown for words in ("all vols", "time", "from", "not proved complete: vols, time"))


def test_an_account_that_is_liquidatable_at_every_price_is_told_so(folder):
    (folder / "broke.csv").write_text("account,instrument,quantity\neve,BTC-PERP,0.001\neve,USD,-5000\n")
    shown = invoke("liquidation-price", "broke.csv", "market.json", "eve").stdout
    assert "everywhere" in shown
    assert "nowhere" not in shown


def test_the_safe_corridor_lies_between_the_liquidation_prices(folder):
    words = ("liquidation-price", "book.csv", "market.json", "alice")
    found = answer(*words, "--corridor")
    assert "corridor" not in answer(*words)
    corridor = found["corridor"]
    (btc,) = corridor["underlyings"]
    assert (corridor["status"], corridor["none"]) == ("ok", None)
    assert corridor["until"] > MARKET["as_of"]
    falls, rises = (Decimal(each["below"]) for each in found["underlyings"][0]["crossings"])
    assert falls < Decimal(btc["low"]) < 113000 < Decimal(btc["high"]) <= rises
    assert Decimal(btc["vol"]) > 0
    assert Decimal(btc["basis"]) > 0
    for price in (btc["low"], btc["high"]):
        move = (Decimal(price) / 113000 - 1) * 100
        assert answer("what-if", "book.csv", "market.json", "alice", "--move", f"BTC={move:f}%")["after"]["status"] == "ok"
    shown = invoke(*words, "--corridor")
    assert shown.exit_code == 0, shown.output
    assert "safe corridor: ok until" in shown.stdout
    assert "whatever the others do inside theirs" in shown.stdout


def test_a_corridor_in_a_leaders_coordinates_is_shown_with_them(capsys):
    btc = Corridor("BTC", 113_000 * 10**9, 112_000 * 10**9 + 1, 114_000 * 10**9 - 1, None, 719)
    lead = Lead("BTC", 100_000 * 10**9, 120_000 * 10**9, {"ETH": (0.03, 0.04)})
    found = Corridors("alice", "margin_call", 0, 10**9, (btc,), lead)
    print_table(found)
    shown = capsys.readouterr().out
    assert "112,000.1" in shown  # inwards
    assert "113,999.9" in shown
    assert "±0.071%" in shown
    assert "margin call until 1970-01-01T00:00:01Z" in shown
    assert "the price of BTC and the ratios to it of ETH" in shown
    assert to_json(found)["leader"] == {
        "underlying": "BTC", "low": "100000", "high": "120000", "ratios": {"ETH": {"low": 0.03, "high": 0.04}}
    }  # fmt: skip
    print_table(Corridors("carl", "ok", 0, 10**9))
    assert "at any price" in capsys.readouterr().out


def test_a_model_without_certificates_says_that_it_has_no_corridor(folder):
    kept = [one for one in MARKET["instruments"] if one["kind"] in ("spot", "perpetual", "option")]
    gone = {one["symbol"] for one in MARKET["instruments"]} - {one["symbol"] for one in kept}
    (folder / "market.json").write_text(json.dumps(MARKET | {"instruments": kept}))
    (folder / "book.csv").write_text("\n".join(row for row in BOOK.splitlines() if not gone & set(row.split(","))))
    words = ("liquidation-price", "book.csv", "market.json", "alice", "--model", "derive-portfolio", "--corridor")
    corridor = answer(*words)["corridor"]
    assert (corridor["underlyings"], corridor["until"]) == ([], None)
    assert "no certificates" in corridor["none"]
    assert "no safe corridor: " in invoke(*words).stdout


def test_a_corridor_from_slopes_has_no_room_for_moves_of_vols(folder):
    words = ("liquidation-price", "book.csv", "market.json", "alice", "--model", "expected-shortfall", "--corridor")
    corridor = answer(*words)["corridor"]
    (btc,) = corridor["underlyings"]
    assert Decimal(btc["low"]) < 113000 < Decimal(btc["high"])
    assert (btc["vol"], btc["basis"], corridor["leader"]) == ("0.000000", "0.000000", None)
    assert "±0.000%" in invoke(*words).stdout


def test_what_if_shows_before_and_after(folder):
    found = answer("what-if", "book.csv", "market.json", "alice", "--deposit", "100.5")
    assert Decimal(found["after"]["equity"]) - Decimal(found["before"]["equity"]) == Decimal("100.5")
    assert found["withdrawable"] == found["before"]["free_collateral"]
    words = ("--trade", "BTC-PERP=0.5", "--trade", f"{OPTION}=-1@9000", "--move", "BTC=-10%", "--vol", "+20%")
    shown = invoke("what-if", "book.csv", "market.json", "alice", *words)
    assert shown.exit_code == 0, shown.output
    assert "liquidatable" in shown.stdout


def test_diff_parts_sum_to_the_whole(folder):
    found = answer("diff", "book.csv", "market.json", "book.csv", "later.json")
    for name in ("equity", "initial_margin", "maintenance_margin"):
        moved = sum(Decimal(part[name]) for part in found["parts"])
        assert Decimal(found["before"][name]) + moved == Decimal(found["after"][name])
    assert [part["part"] for part in found["parts"]][:3] == ["spot", "vol", "time"]
    shown = invoke("diff", "book.csv", "market.json", "book.csv", "later.json", "--account", "alice")
    assert shown.exit_code == 0
    assert "trades and cash" in shown.stdout


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (("liquidation-price", "book.csv", "market.json", "nobody"), "account"),
        (("liquidation-price", "book.csv", "market.json", "alice", "--low", "abc"), "low"),
        (("liquidation-price", "book.csv", "market.json", "alice", "-u", "XRP"), "underlying"),
        (("liquidation-price", "book.csv", "market.json", "alice", "--tick", "1e-12"), "tick"),
        (("liquidation-price", "book.csv", "market.json", "alice", "--beta", "nan"), "beta of ETH"),
        (("liquidation-price", "book.csv", "market.json", "alice", "--funding", "BTC=0.01"), "--funding BTC"),
        (("liquidation-price", "book.csv", "market.json", "alice", "--funding", "XRP=1%"), "underlying"),
        (("liquidation-price", "book.csv", "market.json", "nobody", "--corridor"), "account"),
        (("what-if", "book.csv", "market.json", "alice", "--move", "BTC=10"), "--move BTC"),
        (("what-if", "book.csv", "market.json", "alice", "--move", "XRP=-1%"), "underlying"),
        (("what-if", "book.csv", "market.json", "alice", "--vol", "-100%"), "--vol"),
        (("what-if", "book.csv", "market.json", "alice", "--trade", "X"), "--trade"),
        (("what-if", "book.csv", "market.json", "alice", "--trade", "BTC-PERP=0.00001"), "quantity of BTC-PERP"),
        (("what-if", "book.csv", "market.json", "alice", "--trade", "BTC-PERP=1@-5"), "price of BTC-PERP"),
        (("what-if", "book.csv", "market.json", "alice", "--deposit", "x"), "deposit"),
        (("diff", "book.csv", "later.json", "book.csv", "market.json"), "the later market"),
        (("diff", "book.csv", "market.json", "book.csv", "later.json", "--account", "nobody"), "account"),
    ],
)
def test_nonsense_is_one_line(folder, words, place):
    done = invoke(*words)
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert done.stderr.startswith(f"error: {place}: found ")
    assert done.stderr.count("\n") == 1
