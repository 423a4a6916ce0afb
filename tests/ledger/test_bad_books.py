"""Every way in which a book can be wrong: one line, place, found, expected, and nothing half-done."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import samples
from seawall.core import errors
from seawall.core.errors import InputError
from seawall.ledger.accounts import Accounts
from seawall.ledger.book import Book
from seawall.market.market import Market

MARKET = Market.from_document(samples.market_document())
GOOD = [
    {"account": "alice", "instrument": "USD", "quantity": "1000"},
    {"account": "alice", "instrument": "BTC-PERP", "quantity": "0.5", "entry": "112000"},
    {"account": "bob", "instrument": "BTC", "quantity": "2"},
]


def with_row(**row):
    return [*GOOD, {"account": "zoe", "instrument": "BTC-PERP", "quantity": "1", **row}]


BAD = [
    ({"instrument": "DOGE-PERP"}, errors.UnknownInstrument, 'found "DOGE-PERP", expected an instrument'),
    ({"quantity": "0.0005"}, errors.NotWholeLots, 'quantity: found "0.0005", expected a whole number of lots of 0.001'),
    ({"quantity": "0.00000000001"}, errors.NotWholeLots, "a whole number of lots"),
    ({"quantity": "1e-40"}, errors.NotWholeLots, "a whole number of lots"),
    ({"quantity": "nan"}, errors.BadNumber, r'quantity: found "nan", expected a decimal number'),
    ({"quantity": "inf"}, errors.BadNumber, "a decimal number"),
    ({"quantity": float("nan")}, errors.BadNumber, "a decimal number"),
    ({"quantity": "1e400"}, errors.BadNumber, "between 1e-60 and 1e60"),
    ({"quantity": "1,5"}, errors.BadNumber, "a decimal number"),
    ({"quantity": True}, errors.BadNumber, "found true"),
    ({"quantity": [1]}, errors.BadNumber, "found a list of 1"),
    ({"quantity": ""}, errors.MissingKey, "quantity: found nothing"),
    ({"quantity": None}, errors.MissingKey, "quantity: found nothing"),
    ({"quantity": "1e30"}, errors.LimitExceeded, "fewer than 4611686018427387904 lots"),
    ({"quantity": "50000000"}, errors.LimitExceeded, "less than 4611686018"),
    ({"quantity": "-50000000"}, errors.LimitExceeded, r"positions worth 5.6475e\+12"),
    ({"quantity": "30000", "entry": "1000000"}, errors.LimitExceeded, "less than 4611686018"),
    ({"entry": "0"}, errors.BadNumber, 'entry: found "0", expected a price above zero'),
    ({"entry": "-5"}, errors.BadNumber, "a price above zero"),
    ({"entry": "NaN"}, errors.BadNumber, "entry: found"),
    ({"entry": "1e50"}, errors.LimitExceeded, "a price below 9000000000"),
    ({"entry": "0.0000000000001", "instrument": "BTC-INV", "quantity": "10"}, errors.LimitExceeded, "coin worth"),
    ({"account": ""}, errors.MissingKey, "row 4.account: found nothing"),
    ({"account": None}, errors.MissingKey, "row 4.account: found nothing"),
    ({"account": "x" * 1000}, errors.UnreadableFile, "at most 256 bytes"),
    ({"account": 1.5}, errors.BadNumber, "expected text"),
    ({"account": "bob", "instrument": "BTC"}, errors.DuplicateRow, "the same account and instrument as row 3"),
    ({"account": "alice", "instrument": "USD"}, errors.DuplicateRow, "as row 1"),
    ({"instrument": "USD", "quantity": "0.0000000001"}, errors.BadNumber, "USD with at most nine decimals"),
    ({"instrument": "USD", "quantity": "5e9"}, errors.LimitExceeded, "less than 4611686018"),
    ({"colour": "red"}, errors.UnknownKey, 'found the column "colour"'),
]


@pytest.mark.parametrize(("row", "kind", "words"), BAD, ids=lambda v: str(v)[:50])
def test_one_wrong_row_is_one_line_that_names_it(row, kind, words):
    with pytest.raises(kind, match=words) as raised:
        Book.from_rows(with_row(**row), MARKET, place="book.csv")
    message = str(raised.value)
    assert message.startswith("book.csv: row 4")
    assert ": found " in message
    assert ", expected " in message
    assert "\n" not in message
    assert raised.value.exit_code == 2


def test_the_first_wrong_row_is_the_one_that_is_named():
    rows = [*with_row(quantity="0.0005"), {"account": "y", "instrument": "BTC", "quantity": "0.00000001"}]
    with pytest.raises(errors.NotWholeLots, match=r"row 4 \(zoe, BTC-PERP\)"):
        Book.from_rows(rows, MARKET)


@pytest.mark.parametrize("missing", ["account", "instrument", "quantity"])
def test_a_missing_column_is_named(missing):
    table = pl.DataFrame({name: ["x"] for name in ("account", "instrument", "quantity") if name != missing})
    with pytest.raises(errors.MissingKey, match=f'no column "{missing}"'):
        Book.from_rows(table)


def test_an_empty_book_is_refused(tmp_path):
    with pytest.raises(InputError, match="a book without rows"):
        Book.from_rows([])
    for name, data in (("b.csv", b"account,instrument,quantity\n"), ("b.csv", b""), ("b.jsonl", b"\n\n")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError):
            Book.load(tmp_path / name)
    table = pl.DataFrame(schema={"account": pl.String, "instrument": pl.String, "quantity": pl.String})
    table.write_parquet(tmp_path / "b.parquet")
    with pytest.raises(InputError, match="at least one row"):
        Book.load(tmp_path / "b.parquet")


def test_a_position_in_a_contract_that_has_expired_is_refused():
    rows = [{"account": "a", "instrument": "BTC-DEC", "quantity": "1"}]
    book = Book.from_rows(rows, MARKET)
    with pytest.raises(errors.ExpiredInstrument, match="expired at 2025-12-26T08:00:00Z"):
        book.bind(MARKET.at(1_800_000_000 * 10**9))


def test_a_pool_and_an_account_of_the_same_full_name_are_kept_apart():
    rows = [
        {"account": "a:b", "instrument": "BTC", "quantity": "1"},
        {"account": "a", "instrument": "BTC", "quantity": "1", "isolated": "b"},
    ]
    with pytest.raises(errors.DuplicateRow, match="two different pairs"):
        Book.from_rows(rows)


def test_small_positions_that_add_up_to_too_much_are_refused_at_the_account():
    rows = [{"account": "a", "instrument": symbol, "quantity": "15000"} for symbol in ("BTC", "BTC-PERP", "BTC-DEC")]
    with pytest.raises(errors.LimitExceeded, match=r"\(a, BTC-DEC\)"):
        Book.from_rows(rows, MARKET)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("b.parquet", b"", "found no parquet table"),
        ("b.parquet", b"garbage", "found no parquet table"),
        ("b.parquet", b"PAR1" + b"\x00" * 64 + b"PAR1", "found no parquet table"),
        ("b.csv", b"\xff\xfe\x00", "found"),
        ("b.csv", b"account,instrument,quantity\na,b\n", "found"),
        ("b.csv", b"account,instrument,quantity\na,b,1,2,3\n", "found"),
        ("b.csv", b"account,instrument,amount\na,b,1\n", "amount"),
        ("b.jsonl", b'{"account": "a"', "line 1: found no JSON"),
        ("b.jsonl", b"[1]\n", "row 1: found a list of 1"),
        ("b.jsonl", b"[" * 100_000, "line 1: found no JSON"),
        ("b.jsonl", b'{"account":"a","instrument":"BTC","quantity":1e400}', "between 1e-60 and 1e60"),
        ("b.xlsx", b"", r"\.parquet, \.csv or \.jsonl"),
    ],
    ids=range(12),
)
def test_a_file_that_is_no_book_is_refused(tmp_path, name, data, words):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=words) as raised:
        Book.load(tmp_path / name, MARKET)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    for name in ("b.parquet", "b.csv", "b.jsonl"):
        with pytest.raises(errors.UnreadableFile, match="No such file"):
            Book.load(tmp_path / name)


def test_accounts_that_are_damaged_are_refused(tmp_path):
    accounts = Book.from_rows(GOOD).bind(MARKET)
    accounts.save(tmp_path)
    (tmp_path / "positions.parquet").write_bytes(b"x")
    with pytest.raises(errors.UnreadableFile, match="positions.parquet"):
        Accounts.load(tmp_path)


cells = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.sampled_from(["", "alice", "BTC", "BTC-PERP", "BTC-INV", "USD", "MIX", "0.5", "1e400", "true", "NaN", "1e18"]),
    st.text(max_size=4),
)
keys = st.sampled_from(["account", "instrument", "quantity", "isolated", "entry"])


@settings(max_examples=300)
@given(st.lists(st.dictionaries(keys, cells, min_size=3), max_size=5))
def test_rows_of_anything_bind_or_are_refused_in_one_line(rows):
    message = ""
    try:
        accounts = Book.from_rows([*GOOD, *rows]).bind(MARKET)
    except InputError as error:
        message = str(error)
        assert message
    else:
        accounts.check()
    assert "\n" not in message


@settings(max_examples=150)
@given(st.sampled_from(["parquet", "csv", "jsonl"]), st.binary(max_size=120), st.integers(0, 400))
def test_files_of_any_bytes_load_or_are_refused_in_one_line(tmp_path_factory, suffix, noise, where):
    path = tmp_path_factory.mktemp("fuzz") / f"b.{suffix}"
    table = pl.DataFrame(GOOD, schema=["account", "instrument", "quantity"])
    {"parquet": table.write_parquet, "csv": table.write_csv, "jsonl": table.write_ndjson}[suffix](path)
    data = path.read_bytes()
    path.write_bytes(data[:where] + noise + data[where + len(noise) :])
    message = ""
    try:
        Book.load(path, MARKET)
    except InputError as error:
        message = str(error)
        assert message.startswith(str(path))
    assert "\n" not in message
