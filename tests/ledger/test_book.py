"""A book: rows of any file become the same integers, whatever their order."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import samples
from seawall.ledger.accounts import Accounts
from seawall.ledger.book import Book
from seawall.market.market import Market

MARKET = Market.from_document(samples.market_document())
LEGS = MARKET.legs
ROWS = [
    {"account": "alice", "instrument": "USD", "quantity": "1000.5"},
    {"account": "alice", "instrument": "BTC", "quantity": "0.5"},
    {"account": "alice", "instrument": "BTC-PERP", "quantity": "-1.5", "entry": "112000.5"},
    {"account": "bob", "instrument": "MIX", "quantity": "3"},
    {"account": "bob", "instrument": "USD", "quantity": "-5"},
    {"account": "alice", "instrument": "USD", "quantity": "50", "isolated": "BTC-PERP"},
    {"account": "alice", "instrument": "BTC-PERP", "quantity": "0.002", "isolated": "true"},
    {"account": "bob", "instrument": "BTC-DEC-120000-C", "quantity": "-2e1"},
    {"account": "carol", "instrument": "ETH", "quantity": "0"},
]


def held(accounts, name):
    at = accounts.names.index(name)
    rows = slice(accounts.row_ptr[at], accounts.row_ptr[at + 1])
    return {LEGS.symbols[leg]: int(lots) for leg, lots in zip(accounts.leg[rows], accounts.lots[rows])}


def equity_nano(accounts, name, legs=LEGS):
    at = accounts.names.index(name)
    rows = slice(accounts.row_ptr[at], accounts.row_ptr[at + 1])
    return int(accounts.cash_nano[at]) + sum(
        int(legs.value_nano[leg]) * int(lots) for leg, lots in zip(accounts.leg[rows], accounts.lots[rows])
    )


def same(a, b):
    assert a.names == b.names
    for name in ("cash_nano", "row_ptr", "leg", "lots"):
        assert getattr(a, name).dtype == getattr(b, name).dtype
        assert getattr(a, name).tobytes() == getattr(b, name).tobytes(), name


def test_rows_become_whole_lots_and_nano():
    accounts = Book.from_rows(ROWS).bind(MARKET)
    assert accounts.names == ["alice", "bob", "alice:BTC-PERP", "carol"]
    assert held(accounts, "alice") == {"BTC": 5000, "BTC-PERP": -1500}
    assert held(accounts, "bob") == {"MIX/BTC": 30, "MIX/ETH": 30, "BTC-DEC-120000-C": -2000}
    assert held(accounts, "carol") == {}
    assert accounts.cash_nano[0] == 1000_500_000_000 + 1500 * 112_000_500_000
    assert (accounts.leg.dtype, accounts.lots.dtype) == (np.int32, np.int64)


def test_an_isolated_position_is_an_account_of_its_own():
    accounts = Book.from_rows(ROWS).bind(MARKET)
    assert held(accounts, "alice:BTC-PERP") == {"BTC-PERP": 2}
    assert equity_nano(accounts, "alice:BTC-PERP") == 50 * 10**9


def test_without_an_entry_a_position_enters_at_the_mark_and_is_worth_nothing_yet():
    rows = [
        {"account": symbol, "instrument": symbol, "quantity": quantity}
        for symbol in ("BTC-PERP", "BTC-DEC", "MIX")
        for quantity in ["-7"]
    ]
    accounts = Book.from_rows(rows).bind(MARKET)
    assert [equity_nano(accounts, name) for name in accounts.names] == [0, 0, 0]


@given(
    lots=st.integers(-(10**6), 10**6).filter(bool),
    entry=st.decimals("0.000000001", "900000", places=12).filter(lambda d: d > 0),
)
def test_an_entry_is_taken_from_cash_exactly_or_rounded_up(lots, entry):
    quantity = str(Decimal(lots).scaleb(-3))
    row = {"account": "a", "instrument": "BTC-PERP", "quantity": quantity, "entry": str(entry)}
    accounts = Book.from_rows([row]).bind(MARKET)
    exact = Fraction(quantity) * Fraction(entry) * 10**9
    taken = -int(accounts.cash_nano[0])
    assert taken >= exact
    assert taken - exact < 1


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_every_kind_of_file_gives_the_same_accounts(tmp_path, suffix):
    table = pl.DataFrame(ROWS, schema=["account", "instrument", "quantity", "entry", "isolated"])
    path = tmp_path / f"book.{suffix}"
    {"parquet": table.write_parquet, "csv": table.write_csv, "jsonl": table.write_ndjson}[suffix](path)
    same(Book.load(path).bind(MARKET), Book.from_rows(ROWS).bind(MARKET))


@pytest.mark.parametrize("kind", [pl.Float64, pl.Decimal(38, 9), pl.Decimal(30, 20)])
def test_number_columns_give_the_same_accounts_as_text(kind):
    rows = [row for row in ROWS if row["quantity"] != "-2e1"]
    table = pl.DataFrame(rows, schema=["account", "instrument", "quantity", "entry", "isolated"])
    same(
        Book.from_rows(table.with_columns(pl.col("quantity").cast(kind))).bind(MARKET),
        Book.from_rows(table).bind(MARKET),
    )


def test_categories_booleans_and_integer_accounts_are_read():
    table = pl.DataFrame(
        {
            "account": [7, 7, 8],
            "instrument": pl.Series(["BTC", "BTC-PERP", "BTC"], dtype=pl.Categorical),
            "quantity": [1, 2, 3],
            "isolated": [False, True, None],
        }
    )
    accounts = Book.from_rows(table).bind(MARKET)
    assert accounts.names == ["7", "7:BTC-PERP", "8"]
    assert accounts.lots.tolist() == [10_000, 2_000, 30_000]


@given(st.permutations(list(range(len(ROWS)))))
def test_the_order_of_rows_changes_nothing_but_the_order_of_accounts(order):
    accounts = Book.from_rows([ROWS[n] for n in order]).bind(MARKET)
    usual = Book.from_rows(ROWS).bind(MARKET)
    assert sorted(accounts.names) == sorted(usual.names)
    for name in usual.names:
        assert held(accounts, name) == held(usual, name)
        assert accounts.cash_nano[accounts.names.index(name)] == usual.cash_nano[usual.names.index(name)]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, len(MARKET.instruments) - 1), st.integers(-50, 50))))
def test_any_book_has_the_equity_that_decimals_say(drawn):
    symbols = list(MARKET.instruments)
    rows = {}
    for account, number, lots in drawn:
        rows[account, number] = lots
    rows[0, len(symbols)] = 1
    table = []
    for (account, number), lots in rows.items():
        symbol = symbols[number] if number < len(symbols) else "USD"
        lot = MARKET.instruments[symbol].lot if number < len(symbols) else 1
        table.append({"account": f"a{account}", "instrument": symbol, "quantity": str(lot * lots)})
    accounts = Book.from_rows(table).bind(MARKET)
    accounts.check()
    for name in accounts.names:
        expected = Fraction(0)
        for row in table:
            if row["account"] == name and row["instrument"] in ("BTC", "ETH"):
                expected += Fraction(row["quantity"]) * Fraction(str(MARKET.index[row["instrument"]]))
            if row["account"] == name and row["instrument"] == "USD":
                expected += Fraction(row["quantity"])
        # inverse contracts at their mark are worth nothing but the rounding of coin
        assert abs(equity_nano(accounts, name) - expected * 10**9) <= 2 * 10**7


def test_accounts_survive_a_save_and_load(tmp_path):
    accounts = Book.from_rows(ROWS).bind(MARKET)
    accounts.save(tmp_path / "accounts")
    same(Accounts.load(tmp_path / "accounts"), accounts)


def test_binding_takes_legs_and_a_currency_as_well_as_a_market():
    book = Book.from_rows(ROWS, MARKET)
    same(book.bind(LEGS, "USD"), book.bind(MARKET))


def test_quantities_beyond_int64_nano_are_still_exact():
    document = samples.market_document()
    document["underlyings"]["PEPE"] = {"index": "0.000007"}
    document["instruments"].append({"symbol": "PEPE", "kind": "spot", "underlying": "PEPE", "lot": "1000"})
    market = Market.from_document(document)
    row = {"account": "a", "instrument": "PEPE", "quantity": "123456789000"}
    accounts = Book.from_rows([row]).bind(market)
    assert accounts.lots.tolist() == [123_456_789]


def test_some_accounts_of_a_book_are_those_of_the_whole():
    whole = Book.from_rows(ROWS).bind(MARKET)
    some = whole.take([2, 0])
    some.check()
    assert some.names == [whole.names[2], whole.names[0]]
    for row, of in enumerate((2, 0)):
        here, there = (slice(*each.row_ptr[k : k + 2]) for each, k in ((some, row), (whole, of)))
        assert some.leg[here].tolist() == whole.leg[there].tolist()
        assert some.lots[here].tolist() == whole.lots[there].tolist()
        assert some.cash_nano[row] == whole.cash_nano[of]
    assert len(whole.take([])) == 0
