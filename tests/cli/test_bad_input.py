"""Nonsense at the command line: one line that names the place, what was found and what was expected; exit
code 2; nothing written."""

from __future__ import annotations

import copy
import json

import pytest
from typer.testing import CliRunner

from seawall.cli.app import app

EXPIRY = "2025-12-26T08:00:00Z"
OPTION = "BTC-26DEC25-120000-C"
MARKET = {
    "as_of": "2025-10-10T21:00:00Z",
    "settlement": "USD",
    "rate": "0.04",
    "underlyings": {"BTC": {"index": "113000"}, "ETH": {"index": "3900"}},
    "instruments": [
        {"symbol": "BTC", "kind": "spot", "underlying": "BTC", "lot": "0.0001", "haircut": "0.08"},
        {"symbol": "BTC-PERP", "kind": "perpetual", "underlying": "BTC", "lot": "0.001", "mark": "112950"},
        {"symbol": "BTC-26DEC25", "kind": "future", "underlying": "BTC", "lot": "0.001", "expiry": EXPIRY,
         "mark": "113800"},
        {"symbol": OPTION, "kind": "option", "underlying": "BTC", "lot": "0.01", "right": "call",
         "strike": "120000", "expiry": EXPIRY, "forward": "113800", "iv": "0.52"},
    ],
}  # fmt: skip
SPOT, PERPETUAL, FUTURE, CALL = range(4)
HEAD = "account,instrument,quantity,isolated,entry\n"
BOOK = HEAD + f"alice,USD,25000,,\nalice,BTC-PERP,0.75,,112000\nalice,{OPTION},-1.5,,\n"
TICKS = "ts,symbol,price\n"
NOW = "2025-10-10T21:00:0"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "market.json").write_text(json.dumps(MARKET))
    (tmp_path / "book.csv").write_text(BOOK)
    (tmp_path / "prices.csv").write_text(TICKS + NOW + "1Z,BTC,113000\n")
    return tmp_path


def refused(folder, *words):
    """The one line of a command that is refused, and that leaves the folder as it was."""
    before = sorted(path.name for path in folder.iterdir())
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert sorted(path.name for path in folder.iterdir()) == before
    return done.stderr.strip()


def instrument(number, **changes):
    def change(market):
        row = market["instruments"][number]
        row.update(changes)
        for key in [key for key, value in changes.items() if value is None]:
            del row[key]

    return change


def index(value):
    return lambda market: market["underlyings"]["BTC"].update(index=value)


def surface(**parameters):
    def change(market):
        del market["instruments"][CALL]["iv"]
        market["surfaces"] = [{"underlying": "BTC", "expiry": EXPIRY, **parameters}]

    return change


MARKETS = {
    "a price that is no number": (index("nan"), 'underlyings.BTC.index: found "nan"'),
    "an infinite price": (index("inf"), 'underlyings.BTC.index: found "inf"'),
    "a negative price": (index("-5"), 'underlyings.BTC.index: found "-5", expected a number above zero'),
    "a price of zero": (index("0"), 'underlyings.BTC.index: found "0"'),
    "a price beyond every sum": (index("1e30"), "expected a number below 9000000000"),
    "a price finer than the units": (index("0.00000000001"), "expected at most 9 decimals"),
    "an unknown key": (lambda m: m.update(foo=1), '"foo": found an unknown key'),
    "an unknown kind": (instrument(SPOT, kind="swap"), 'instruments[0] (BTC).kind: found "swap"'),
    "an unknown underlying": (instrument(SPOT, underlying="DOGE"), 'underlying: found "DOGE"'),
    "a missing strike": (instrument(CALL, strike=None), f"instruments[3] ({OPTION}).strike: found nothing"),
    "a symbol twice": (lambda m: m["instruments"].append(MARKET["instruments"][0]), "instruments[4].symbol"),
    "a negative mark": (instrument(PERPETUAL, mark="-1"), '(BTC-PERP).mark: found "-1"'),
    "an expired contract": (instrument(FUTURE, expiry="2025-01-01T00:00:00Z"), "which is past"),
    "a time that is none": (instrument(FUTURE, expiry="tomorrow"), '(BTC-26DEC25).expiry: found "tomorrow"'),
    "an option without a vol": (instrument(CALL, iv=None), ".iv: found nothing"),
    "a negative vol": (instrument(CALL, iv="-0.5"), '.iv: found "-0.5"'),
    "a lot of nothing": (instrument(SPOT, lot="0"), ".lot: found"),
    "a haircut above one": (instrument(SPOT, haircut="2"), "expected a fraction from 0 to 1"),
    "a strike fixed after the expiry": (
        instrument(CALL, strike=None, strike_fraction="1", strike_fixes="2026-12-26T08:00:00Z"),
        "strike_fixes: found 2026-12-26T08:00:00Z, expected a time before the expiry",
    ),
    "a mark that no vol explains": (instrument(CALL, iv=None, mark="200000"), '.mark: found "200000"'),
    "no instrument": (lambda m: m.update(instruments=[]), "instruments: found a list of 0"),
    "no time": (lambda m: m.pop("as_of"), "as_of: found nothing"),
    "a surface of negative variance": (
        surface(kind="svi", a="-1", b="0.1", rho="-0.3", m="0", sigma="0.2"),
        "surfaces[0]: found a least total variance of -0.98",
    ),
    "a surface with a wing too steep": (
        surface(kind="svi", a="0.02", b="5", rho="-0.99", m="0", sigma="0.01"),
        "surfaces[0].b: found 5",
    ),
}


@pytest.mark.parametrize(("change", "says"), MARKETS.values(), ids=MARKETS.keys())
def test_a_bad_market_is_named_by_file_and_key(folder, change, says):
    market = copy.deepcopy(MARKET)
    change(market)
    (folder / "bad.json").write_text(json.dumps(market))
    line = refused(folder, "margin", "book.csv", "bad.json", "--out", "result.parquet")
    assert line.startswith("error: bad.json")
    assert says in line


@pytest.mark.parametrize("text", ["", "{not json", "null", "[]", "\x00\x01"])
def test_a_market_that_is_no_document_is_one_line(folder, text):
    (folder / "bad.json").write_text(text)
    assert "bad.json: found" in refused(folder, "margin", "book.csv", "bad.json")


BOOKS = {
    "nothing": ("", 'columns: found no column "account"'),
    "no rows": (HEAD, "found a book without rows"),
    "an unknown instrument": (
        HEAD + "alice,USD,1,,\nalice,DOGE-PERP,1,,\n",
        'row 2 (alice, DOGE-PERP): found "DOGE-PERP"',
    ),
    "a quantity that is no number": (HEAD + "alice,BTC-PERP,nan,,\n", 'row 1 (alice, BTC-PERP).quantity: found "nan"'),
    "an infinite quantity": (HEAD + "alice,BTC-PERP,inf,,\n", 'quantity: found "inf"'),
    "words for a quantity": (HEAD + "alice,BTC-PERP,many,,\n", 'quantity: found "many"'),
    "no quantity": (HEAD + "alice,BTC-PERP,,,\n", "quantity: found nothing"),
    "half a lot": (HEAD + "alice,BTC-PERP,0.0005,,\n", "expected a whole number of lots of 0.001"),
    "a row twice": (HEAD + "alice,BTC-PERP,1,,\nalice,BTC-PERP,2,,\n", "row 2 (alice, BTC-PERP): found the same"),
    "more lots than an integer holds": (HEAD + "alice,BTC-PERP,1e18,,\n", 'found "1E+18", expected fewer than'),
    "a product that could overflow": (HEAD + "alice,BTC-PERP,90000,,\n", "expected less than 4611686018"),
    "cash that could overflow": (HEAD + "alice,USD,1e30,,\n", "expected less than 4611686018"),
    "no account": (HEAD + ",BTC-PERP,1,,\n", "row 1.account: found nothing"),
    "an unknown column": ("account,instrument,quantity,colour\na,BTC-PERP,1,red\n", 'the column "colour"'),
    "a missing column": ("account,instrument\nalice,BTC-PERP\n", 'no column "quantity"'),
    "a negative entry": (HEAD + "alice,BTC-PERP,1,,-5\n", 'entry: found "-5"'),
    "ragged rows": (HEAD + "alice,BTC-PERP\nalice,USD,1,,,,\n", "found no csv table"),
}


@pytest.mark.parametrize(("text", "says"), BOOKS.values(), ids=BOOKS.keys())
def test_a_bad_book_is_named_by_file_and_row(folder, text, says):
    (folder / "bad.csv").write_text(text)
    line = refused(folder, "margin", "bad.csv", "market.json", "--out", "result.parquet")
    assert line.startswith("error: bad.csv")
    assert says in line


PRICES = {
    "no rows": (TICKS, "found no rows"),
    "nothing": ("", "unreadable contents"),
    "a price that is no number": (TICKS + NOW + "1Z,BTC,nan\n", 'row 1: found price = "nan"'),
    "a negative price": (TICKS + NOW + "1Z,BTC,-1\n", "row 1: found price = -1"),
    "a price of zero": (TICKS + NOW + "1Z,BTC,0\n", "row 1: found price = 0"),
    "a price beyond every sum": (TICKS + NOW + "1Z,BTC,1e20\n", "below 9,000,000,000"),
    "a price beyond the engine": (TICKS + NOW + "1Z,BTC,1e8\n", "found BTC at 100000000"),
    "ticks out of order": (TICKS + NOW + "2Z,BTC,1\n" + NOW + "1Z,BTC,2\n", "row 2: found BTC at"),
    "a bar twice": (
        "ts,symbol,open,high,low,close\n" + 2 * (NOW + "1Z,BTC,1,1,1,1\n"),
        "row 2: found BTC at 2025-10-10 21:00:01, expected a time after",
    ),
    "a bar whose high is not": (
        "ts,symbol,open,high,low,close\n" + NOW + "1Z,BTC,100,90,95,100\n",
        "row 1: found open 100, high 90",
    ),
    "an unknown name": (TICKS + NOW + "1Z,DOGE,1\n", "found prices of DOGE"),
    "an unknown column": ("ts,symbol,price,mood\n" + NOW + "1Z,BTC,1,bad\n", "unknown column 'mood'"),
    "a time that is none": (TICKS + "noon,BTC,1\n", 'row 1: found ts = "noon"'),
    "prices before the market": (TICKS + "2024-10-10T21:00:01Z,BTC,1\n", "found no price after 2024-10-10"),
    "a price of an expired future": (
        TICKS + "2026-12-27T00:00:00Z,BTC-26DEC25,113000\n",
        f"a price of BTC-26DEC25 at 2026-12-27T00:00:00Z, expected a time before its expiry {EXPIRY}",
    ),
    "a price of an option": (TICKS + NOW + f"1Z,{OPTION},100\n", f"found prices of {OPTION}, kind option"),
}


@pytest.mark.parametrize(("text", "says"), PRICES.values(), ids=PRICES.keys())
def test_bad_prices_are_named_by_file_and_row(folder, text, says):
    (folder / "bad.csv").write_text(text)
    words = ("replay", "book.csv", "bad.csv", "--market", "market.json", "--model", "fixed", "--out", "out")
    line = refused(folder, *words)
    assert line.startswith("error: bad.csv")
    assert says in line


FILES = {
    "no such book": (("margin", "none.csv", "market.json"), "none.csv: found No such file"),
    "no such market": (("margin", "book.csv", "none.json"), "none.json: found No such file"),
    "no such prices": (("replay", "book.csv", "none.csv"), "none.csv: found no such file"),
    "a folder for a book": (("margin", "folder.csv", "market.json"), "folder.csv: found a folder, expected a book"),
    "a folder for prices": (("replay", "book.csv", "folder.csv"), "folder.csv: found a folder, expected a file"),
    "prices of no kind": (("demo", "--prices", "prices"), 'prices: found a name ending in "", expected a file ending'),
    "a folder without tables": (("margin", "book.csv", "."), "found nothing, expected a Parquet table"),
    "text for Parquet": (("margin", "text.parquet", "market.json"), "found no parquet table"),
    "half a JSON line": (("margin", "half.jsonl", "market.json"), "half.jsonl: line 2: found no JSON"),
    "an unknown model": (("margin", "book.csv", "market.json", "--model", "nope"), "expected one of fixed, cross"),
    "an unknown account": (
        ("margin", "book.csv", "market.json", "--account", "bob", "--out", "result.csv"),
        "found no account 'bob'",
    ),
    "a result of unknown kind": (("margin", "book.csv", "market.json", "--out", "x.txt"), "expected .parquet or .csv"),
    "a result in no folder": (
        ("margin", "book.csv", "market.json", "--model", "fixed", "--out", "no/x.csv"),
        "no/x.csv: found no file that can be written",
    ),
    "a result in the place of a folder": (
        ("margin", "book.csv", "market.json", "--model", "fixed", "--out", "folder.csv"),
        "folder.csv: found no file that can be written",
    ),
    "a model without futures": (
        ("margin", "book.csv", "market.json", "--model", "derive-portfolio"),
        "instrument BTC-26DEC25: found a future",
    ),
    "crossed times": (
        ("replay", "book.csv", "prices.csv", "--from", "2026-01-01T00:00:00Z", "--to", "2025-01-01T00:00:00Z"),
        "--from, --to: found 2026-01-01T00:00:00Z and 2025-01-01T00:00:00Z",
    ),
    "crossed times of a download": (
        ("history", "BTC/USDT", "--from", "2025-10-10T00:00:00Z", "--to", "2025-10-09T00:00:00Z"),
        "--from, --to: found",
    ),
    "a span without prices": (
        ("replay", "book.csv", "prices.csv", "--from", "2026-01-01T00:00:00Z"),
        "found no tick in the asked span, expected a time from 2025-10-10T21:00:01Z",
    ),
    "no such venue": (("replay", "book.csv", "prices.csv", "--venue", "x"), "found no series of venue 'x'"),
    "no vectors": (("conform", "none"), "none: found nothing there"),
    "vectors that are no JSON": (("conform", "book.csv"), "book.csv: found no JSON"),
}


@pytest.mark.parametrize(("words", "says"), FILES.values(), ids=FILES.keys())
def test_a_file_or_an_option_that_cannot_be_is_named(folder, words, says):
    (folder / "folder.csv").mkdir()
    (folder / "prices").write_text(TICKS)
    (folder / "text.parquet").write_text(BOOK)
    (folder / "half.jsonl").write_text('{"account":"a","instrument":"BTC-PERP","quantity":"1"}\n{oops\n')
    assert says in refused(folder, *words)


def test_the_book_and_the_market_of_these_tests_are_good(folder):
    done = CliRunner().invoke(app, ["margin", "book.csv", "market.json", "--json", "--out", "result.csv"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["accounts"] == 1
    assert (folder / "result.csv").read_text().startswith("account,equity,")


def test_a_wrong_option_is_named_to_machines_too(folder):
    done = CliRunner().invoke(app, ["margin", "book.csv", "market.json", "--limit", "0", "--json"])
    assert done.exit_code == 2
    assert "--limit" in json.loads(done.stdout)["error"]
