"""Every way in which a market file can be wrong: one line, place, found, expected, and nothing half-done."""

from __future__ import annotations

import copy
import json

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import samples
from seawall.core import errors
from seawall.core.errors import InputError
from seawall.market.market import Market


def change(path, value):
    """A document with one thing set (or, for Ellipsis, taken out)."""
    document = samples.market_document()
    at = document
    for key in path[:-1]:
        at = samples.instrument(document, key[1:]) if isinstance(key, str) and key.startswith("#") else at[key]
    if value is ...:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return document


BAD = [
    (["as_of"], ..., errors.MissingKey, "as_of: found nothing"),
    (["as_of"], "yesterday", errors.BadNumber, "as_of: found"),
    (["settlement"], ..., errors.MissingKey, "settlement"),
    (["settlement"], "BTC-PERP", errors.DuplicateRow, "the settlement currency"),
    (["rate"], "nan", errors.BadNumber, "rate: found"),
    (["rate"], "40", errors.BadNumber, "a yearly rate"),
    (["colour"], "red", errors.UnknownKey, '"colour": found an unknown key'),
    (["underlyings"], {}, errors.UnreadableFile, "underlyings: found an object"),
    (["underlyings"], [], errors.UnreadableFile, "underlyings: found a list of 0"),
    (["underlyings", "BTC", "index"], "0", errors.BadNumber, r"underlyings\.BTC\.index: found \"0\""),
    (["underlyings", "BTC", "index"], "-1", errors.BadNumber, "a number above zero"),
    (["underlyings", "BTC", "index"], "NaN", errors.BadNumber, "a decimal number"),
    (["underlyings", "BTC", "index"], "inf", errors.BadNumber, "a decimal number"),
    (["underlyings", "BTC", "index"], "1e400", errors.BadNumber, "between 1e-60 and 1e60"),
    (["underlyings", "BTC", "index"], "1e30", errors.LimitExceeded, "a number below 9000000000"),
    (["underlyings", "BTC", "index"], True, errors.BadNumber, "found true"),
    (["underlyings", "BTC", "price"], "1", errors.UnknownKey, "price"),
    (["underlyings", "BTC"], "113000", errors.MissingKey, "an index price"),
    (["instruments"], ..., errors.MissingKey, "instruments"),
    (["instruments"], [], errors.UnreadableFile, "at least one object"),
    (["instruments"], {"a": 1}, errors.UnreadableFile, "a list of at least one object"),
    (["instruments", 0], "BTC", errors.UnreadableFile, r"instruments\[0\]: found \"BTC\""),
    (["#BTC-PERP", "symbol"], "BTC", errors.DuplicateRow, r"instruments\[2\]\.symbol: found \"BTC\" again"),
    (["#BTC-PERP", "underlying"], "DOGE", errors.UnknownInstrument, r"\(BTC-PERP\)\.underlying: found \"DOGE\""),
    (["#MIX", "weights"], {"DOGE": "1"}, errors.UnknownInstrument, "weights"),
    (["#BTC-PERP", "mark"], "0", errors.BadNumber, 'mark: found "0"'),
    (["#BTC-PERP", "mark"], None, errors.BadNumber, "mark: found nothing"),
    (["#BTC-PERP", "mark"], [1], errors.BadNumber, "mark: found a list of 1"),
    (["#BTC-PERP", "lot"], "1e9", errors.LimitExceeded, "a lot worth"),
    (["#BTC-PERP", "quoted_at_index"], "0", errors.BadNumber, "quoted_at_index"),
    (["#BTC-PERP", "iv"], "0.5", errors.UnknownKey, "iv"),
    (["#BTC", "mark"], "1", errors.UnknownKey, "mark"),
    (["#BTC-DEC", "expiry"], "2025-10-10T20:59:59Z", errors.ExpiredInstrument, "which is past"),
    (["#BTC-DEC-95-P", "strike_fixes"], "2025-12-26T08:00:00Z", errors.CrossedDates, "before the expiry"),
    (["#BTC-DEC-95-P", "strike_fixes"], "2025-10-01", errors.MissingKey, "the strike as fixed"),
    (["#BTC-DEC-95-P", "strike"], "100000", errors.CrossedDates, "none until strike_fixes"),
    (["#BTC-DEC-120000-C", "iv"], "0", errors.BadNumber, "a volatility above 0"),
    (["#BTC-DEC-120000-C", "iv"], "200", errors.BadNumber, "below 100"),
    (["#BTC-DEC-120000-C", "iv"], ..., errors.MissingKey, "an iv, a mark, or a surface"),
    (["#BTC-DEC-120000-C", "forward"], "-3", errors.BadNumber, "forward: found"),
    (["#BTC-DEC-120000-P", "mark"], "130000", errors.BadNumber, "which some volatility explains"),
    (["surfaces"], {}, errors.UnreadableFile, "surfaces"),
    (["surfaces", 0, "kind"], "sabr", errors.UnreadableFile, "svi or grid"),
    (["surfaces", 0, "b"], ..., errors.MissingKey, r"surfaces\[0\]\.b"),
    (["surfaces", 0, "c"], "1", errors.UnknownKey, r"surfaces\[0\]\.c"),
    (["surfaces", 0, "sigma"], "1e9", errors.BadNumber, "between -1000 and 1000"),
    (["surfaces", 0, "underlying"], "DOGE", errors.UnknownInstrument, "DOGE"),
    (["surfaces", 0, "expiry"], "2025-10-10", errors.ExpiredInstrument, "which is past"),
    (["surfaces", 0, "tau"], "0", errors.BadNumber, "tau"),
    (["surfaces", 0, "a"], "-1", errors.ArbitrageSurface, "total variance"),
    (["version"], 0, errors.BadNumber, "version"),
]


@pytest.mark.parametrize(("path", "value", "kind", "words"), BAD, ids=lambda v: str(v)[:40])
def test_one_wrong_thing_is_one_line_that_names_it(tmp_path, path, value, kind, words):
    file = tmp_path / "market.json"
    file.write_text(json.dumps(change(path, value)))
    with pytest.raises(kind, match=words) as raised:
        Market.load(file)
    message = str(raised.value)
    assert message.startswith(f"{file}: ") or message.startswith(f"{file} (")
    assert ": found " in message
    assert ", expected " in message
    assert "\n" not in message
    assert raised.value.exit_code == 2


def test_two_surfaces_of_one_expiry_are_refused():
    document = samples.market_document()
    document["surfaces"] *= 2
    with pytest.raises(errors.DuplicateRow, match=r"surfaces\[1\]: found ETH 2025-12-26T08:00:00Z again"):
        Market.from_document(document)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no JSON"),
        (b"\x00\xff" * 100, "no JSON"),
        (b'{"as_of": ', "no JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[1, 2]", "found a list of 2"),
        (b'"market"', 'found "market"'),
        (b'{"as_of": 1, "as_of": 2}', "twice in one object"),
    ],
    ids=range(7),
)
def test_a_file_that_is_no_market_is_refused(tmp_path, data, words):
    file = tmp_path / "market.json"
    file.write_bytes(data)
    with pytest.raises(InputError, match=words):
        Market.load(file)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(errors.UnreadableFile, match="No such file"):
        Market.load(tmp_path / "market.json")


@pytest.mark.parametrize("table", ["market", "underlyings", "instruments"])
def test_a_folder_with_a_missing_or_damaged_table_is_refused(tmp_path, table):
    Market.from_document(samples.market_document()).save(tmp_path / "m")
    file = tmp_path / "m" / f"{table}.parquet"
    whole = file.read_bytes()
    for damaged in (b"", b"garbage", whole[: len(whole) // 2], b"PAR1" + b"\x07" * 100 + b"PAR1"):
        file.write_bytes(damaged)
        with pytest.raises(errors.UnreadableFile, match=f"{table}.parquet: found"):
            Market.load(tmp_path / "m")
    file.unlink()
    with pytest.raises(errors.UnreadableFile, match=f"{table}.parquet: found"):
        Market.load(tmp_path / "m")


def test_a_bad_cell_of_a_table_is_named_by_file_row_and_column(tmp_path):
    Market.from_document(samples.market_document()).save(tmp_path / "m")
    file = tmp_path / "m" / "instruments.parquet"
    table = pl.read_parquet(file)
    bad = pl.when(pl.col("symbol") == "BTC-PERP").then(pl.lit("-5")).otherwise(pl.col("mark"))
    table.with_columns(mark=bad).write_parquet(file)
    with pytest.raises(errors.BadNumber, match=r"instruments\.parquet: row 3 \(BTC-PERP\)\.mark: found \"-5\""):
        Market.load(tmp_path / "m")


def test_tables_with_number_columns_are_read_as_their_decimal_text(tmp_path):
    market = Market.from_document(samples.market_document())
    market.save(tmp_path / "m")
    file = tmp_path / "m" / "underlyings.parquet"
    pl.read_parquet(file).with_columns(pl.col("index").cast(pl.Float64)).write_parquet(file)
    again = Market.load(tmp_path / "m")
    assert again.legs.value_nano.tobytes() == market.legs.value_nano.tobytes()


def test_numbers_in_json_mean_what_was_written():
    document = samples.market_document()
    document["underlyings"]["BTC"]["index"] = 113000
    samples.instrument(document, "BTC-PERP")["mark"] = 112950.0
    samples.instrument(document, "BTC-PERP")["lot"] = 0.001
    numbers, text = Market.from_document(document), Market.from_document(samples.market_document())
    assert numbers.legs.value_nano.tobytes() == text.legs.value_nano.tobytes()


def test_saving_over_something_that_is_no_market_is_refused(tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("x")
    with pytest.raises(InputError, match="something that is no market"):
        Market.from_document(samples.market_document()).save(tmp_path / "precious")
    assert (tmp_path / "precious" / "file").read_text() == "x"


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.sampled_from(["", "0", "-1", "1e400", "NaN", "1e-60", "9e9", "BTC", "call", "2025-12-26T08:00:00Z", "\x00"]),
    st.text(max_size=5),
)
values = st.one_of(scalars, st.lists(scalars, max_size=3), st.dictionaries(st.text(max_size=3), scalars, max_size=2))


def spots(node, path=()):
    """The path of everything in a document."""
    if path:
        yield path
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in inner:
        yield from spots(value, (*path, key))


def has(node, key):
    """Whether a document that has been changed already still has that place."""
    return (isinstance(node, dict) and key in node) or (isinstance(node, list) and key in range(len(node)))


SPOTS = list(spots(samples.market_document()))


@settings(max_examples=300)
@given(st.lists(st.tuples(st.sampled_from(SPOTS), values), min_size=1, max_size=3))
def test_a_document_with_anything_in_it_loads_or_is_refused_in_one_line(changes):
    document = copy.deepcopy(samples.market_document())
    for path, value in changes:
        at = document
        for key in path[:-1]:
            at = at[key] if has(at, key) else None
        if has(at, path[-1]):
            at[path[-1]] = value
    message = ""
    try:
        market = Market.from_document(document)
    except InputError as error:
        message = str(error)
        assert message
    else:
        assert (market.legs.limit_nano > 0).all()
    assert "\n" not in message
