"""Reading price files: every shape becomes the same ordered ticks, and every bad row is named."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import shared_dir
from seawall.core.errors import (
    BadNumber,
    DuplicateRow,
    InputError,
    MissingKey,
    StaleEvent,
    UnknownKey,
    UnreadableFile,
)
from seawall.feeds.prices import read_prices, underlying_of
from seawall.feeds.ticks import Ticks

START = 1_760_128_200_000_000_000
HEADER = "ts,symbol,price\n"


def written(folder: Path, text: str, name: str = "prices.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def ticks_of(path: Path, **options) -> list[tuple[int, str, str]]:
    return list(read_prices(path, **options).ticks)


def test_a_tick_file_is_merged_into_one_stream_in_time_order(tmp_path):
    path = written(tmp_path, HEADER + "1760128200,BTC,121500\n1760128201,BTC,121499.5\n1760128200,ETH,4360\n")
    assert ticks_of(path) == [
        (START, "BTC", "121500"),
        (START, "ETH", "4360"),
        (START + 10**9, "BTC", "121499.5"),
    ]


@pytest.mark.parametrize(
    "time",
    ["1760128200", "1760128200000", "1760128200000000", "1760128200000000000", "2025-10-10T20:30:00Z",
     "2025-10-10 20:30:00", "2025-10-10T20:30:00.000+00:00"],
)  # fmt: skip
def test_time_may_be_seconds_to_nanoseconds_or_iso_text(tmp_path, time):
    path = written(tmp_path, HEADER + f"{time},BTC,1\n")
    assert ticks_of(path) == [(START, "BTC", "1")]


def test_a_bar_is_played_through_its_nearer_extreme_first(tmp_path):
    text = "ts,symbol,open,high,low,close\n1760128200,BTC,100,110,90,105\n1760128260,BTC,105,120,80,81\n"
    made = ticks_of(written(tmp_path, text))
    assert [price for _, _, price in made] == ["100", "90", "110", "105", "105", "120", "80", "81"]
    offsets = [at - START for at, _, _ in made]
    minute = 60 * 10**9
    assert offsets == [0, minute // 3, 2 * minute // 3, minute - 1] + [minute + o for o in offsets[:4]]


def test_a_bar_without_movement_is_one_tick(tmp_path):
    text = "ts,symbol,open,high,low,close\n1760128200,BTC,100,100,100,100\n1760128260,BTC,100,101,100,101\n"
    assert [price for _, _, price in ticks_of(written(tmp_path, text))] == ["100", "100", "101"]


def test_a_wide_file_has_one_column_per_name_and_gaps_are_no_ticks(tmp_path):
    path = written(tmp_path, "time,BTC,ETH\n1760128200,100,4\n1760128201,,5\n1760128202,101,\n")
    assert [(name, price) for _, name, price in ticks_of(path)] == [
        ("BTC", "100"), ("ETH", "4"), ("ETH", "5"), ("BTC", "101"),
    ]  # fmt: skip


def test_parquet_csv_and_json_lines_give_the_same_ticks(tmp_path):
    frame = pl.DataFrame({"ts": [1760128200, 1760128201], "symbol": ["BTC", "BTC"], "price": [7.12e-6, 8.5]})
    frame.write_parquet(tmp_path / "p.parquet")
    frame.write_csv(tmp_path / "p.csv")
    frame.write_ndjson(tmp_path / "p.jsonl")
    frame.write_ipc(tmp_path / "p.feather")
    expected = [(START, "BTC", "0.00000712"), (START + 10**9, "BTC", "8.5")]
    assert all(
        ticks_of(tmp_path / name) == expected for name in ("p.parquet", "p.csv", "p.jsonl", "p.feather")
    )


def test_a_float32_price_is_read_as_the_decimal_that_was_published(tmp_path):
    frame = pl.DataFrame(
        {"ts": [1760128200], "symbol": ["BTC"], "price": pl.Series([123237.4], dtype=pl.Float32)}
    )
    frame.write_parquet(tmp_path / "p.parquet")
    assert ticks_of(tmp_path / "p.parquet") == [(START, "BTC", "123237.4")]


def test_of_several_series_of_a_name_a_mark_is_preferred_to_spot_and_spot_to_a_perpetual(tmp_path):
    text = "ts,venue,symbol,price\n" + "".join(
        f"1760128200,{venue},{symbol},{price}\n"
        for venue, symbol, price in [("x_perp", "BTC", 1), ("x_spot", "BTC", 2), ("x_mark", "BTC", 3),
                                     ("x", "ETHUSD_PERP", 4), ("y", "ETH-USD", 5)]
    )  # fmt: skip
    path = written(tmp_path, text)
    history = read_prices(path)
    assert history.series == {"BTC": "x_mark BTC", "ETH": "y ETH-USD"}
    assert set(history.unused) == {"x_perp BTC", "x_spot BTC", "x ETHUSD_PERP"}
    assert list(read_prices(path, venue="x_perp").ticks) == [(START, "BTC", "1")]


def test_a_symbol_of_the_market_is_kept_and_others_are_cut(tmp_path):
    path = written(tmp_path, HEADER + "1760128200,BTC-PERP,1\n1760128200,ETHUSDT,2\n1760128200,SOL,3\n")
    history = read_prices(path, names={"BTC-PERP", "ETH"})
    assert set(history.ticks.names) == {"BTC-PERP", "ETH"}
    assert history.unused == ("SOL",)


def test_a_file_without_symbols_is_named_by_the_option_or_after_itself(tmp_path):
    path = written(tmp_path, "ts,price\n1760128200,1\n", "usde_usdt_1m.csv")
    assert [name for _, name, _ in ticks_of(path)] == ["USDE"]
    assert [name for _, name, _ in ticks_of(path, symbol="DAI")] == ["DAI"]


def test_an_exchanges_own_archive_of_bars_is_read_as_it_is(tmp_path):
    text = (
        "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
        "taker_buy_quote_volume,ignore\n"
        "1760128200000,100,110,90,105,1,1760128259999,100,5,0.5,50,0\n"
    )
    ticks = ticks_of(written(tmp_path, text, "BTCUSDT-1m-2025-10-10.csv"))
    assert [name for _, name, _ in ticks] == ["BTC"] * 4
    assert [price for _, _, price in ticks] == ["100", "90", "110", "105"]


def test_a_span_is_half_open(tmp_path):
    path = written(tmp_path, HEADER + "".join(f"{1760128200 + i},BTC,{i + 1}\n" for i in range(5)))
    kept = ticks_of(path, start_ns=START + 10**9, end_ns=START + 3 * 10**9)
    assert [price for _, _, price in kept] == ["2", "3"]
    with pytest.raises(InputError, match="asked span"):
        read_prices(path, start_ns=START + 10**12)


def test_a_span_keeps_the_names_that_tick_in_it_and_no_others(tmp_path):
    path = written(tmp_path, HEADER + "1760128200,BTC,1\n1760128201,ETH,2\n1760128202,BTC,3\n")
    history = read_prices(path, start_ns=START + 10**9, end_ns=START + 2 * 10**9)
    assert history.ticks.names == ("ETH",)
    assert history.series == {"ETH": "ETH"}


def test_of_several_series_of_a_name_one_with_prices_in_the_span_is_preferred(tmp_path):
    rows = [f"{1760128200 + i},x_spot,BTC,{i + 1}\n" for i in range(5)]
    rows += [f"{1760128300 + i},x_perp,BTC,{i + 1}\n" for i in range(3)]
    path = written(tmp_path, "ts,venue,symbol,price\n" + "".join(rows))
    assert read_prices(path).series == {"BTC": "x_spot BTC"}
    late = read_prices(path, start_ns=START + 50 * 10**9)
    assert late.series == {"BTC": "x_perp BTC"}
    assert [price for _, _, price in late.ticks] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("rows", "kind", "message"),
    [
        ("1760128200,BTC,1\n1760128201,BTC,-5\n", BadNumber, "row 2: found price = -5"),
        ("1760128200,BTC,0\n", BadNumber, "row 1: found price = 0"),
        ("1760128200,BTC,1\n1760128201,BTC,nan\n", BadNumber, 'row 2: found price = "nan"'),
        ("1760128200,BTC,inf\n", BadNumber, "row 1: found price = "),
        ("1760128200,BTC,\n1760128200,BTC,1\n", BadNumber, "row 1: found price = nothing"),
        ("1760128200,BTC,1e10\n", BadNumber, "row 1: found price"),
        (
            "1760128201,BTC,1\n1760128202,ETH,1\n1760128200,BTC,1\n",
            StaleEvent,
            "row 3: found BTC at 2025-10-10",
        ),
        ("1760128200,,1\n", MissingKey, "row 1"),
        ("yesterday,BTC,1\n", BadNumber, 'row 1: found ts = "yesterday"'),
        ("-5,BTC,1\n", BadNumber, "seconds, ms, us or ns"),
        ("1760128200,BTC,abc\n", BadNumber, 'row 1: found price = "abc"'),
    ],
)
def test_a_bad_row_is_one_line_that_names_file_row_found_and_expected(tmp_path, rows, kind, message):
    path = written(tmp_path, HEADER + rows)
    with pytest.raises(kind) as caught:
        read_prices(path)
    text = str(caught.value)
    assert str(path) in text
    assert message in text
    assert "expected" in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("symbol,price\nBTC,1\n", MissingKey),
        ("ts,symbol\n1760128200,BTC\n", MissingKey),
        ("ts,symbol,price,colour\n1760128200,BTC,1,red\n", UnknownKey),
        ("ts,symbol,open,high,low,close\n1760128200,BTC,1,2,3,2\n", BadNumber),
        ("ts,symbol,open,high,low,close\n1760128200,BTC,1,2,1,2\n1760128200,BTC,1,2,1,2\n", DuplicateRow),
        ("ts,symbol,open,high,low,close\n1760128200,BTC,1,2,,2\n", BadNumber),
        ("ts,BTC\n1760128200,1\n1760128201,-1\n", BadNumber),
        ("ts,BTC\n1760128201,1\n1760128200,1\n", StaleEvent),
        ("ts,symbol,price\n", UnreadableFile),
        ("", UnreadableFile),
    ],
)
def test_a_bad_table_is_refused(tmp_path, text, kind):
    with pytest.raises(kind):
        read_prices(written(tmp_path, text))


def test_a_missing_file_an_unknown_ending_and_damage_are_told_apart(tmp_path):
    with pytest.raises(UnreadableFile, match="no such file"):
        read_prices(tmp_path / "none.csv")
    with pytest.raises(UnreadableFile, match=r'ending in "\.txt"'):
        read_prices(written(tmp_path, "x", "p.txt"))
    with pytest.raises(UnreadableFile, match="unreadable contents"):
        read_prices(written(tmp_path, "not parquet at all", "p.parquet"))


TIMES = [datetime(2025, 10, 10, 21, 0, second) for second in range(3)]
BARS = {"ts": TIMES, "symbol": ["BTC"] * 3, "venue": ["x"] * 3, "bar_min": [1] * 3}
BARS |= {"open": [9.0] * 3, "high": [10.0] * 3, "low": [8.0] * 3, "close": [9.0] * 3}
CHAIN = {"ts": TIMES, "symbol": ["BTC"] * 3, "expiry": [datetime(2025, 12, 26, 8)] * 3, "strike": [9, 10, 11]}
CHAIN |= {"is_call": [True] * 3, "iv": [0.5] * 3, "index_price": [10.0] * 3, "forward": [10.0] * 3}
WIDE = {"ts": TIMES, "BTC": [9.0] * 3}
ODD = {
    "lists": [[1], [2], [3]],
    "objects": [{"a": 1}] * 3,
    "nothing": [None] * 3,
    "flags": [True, None, False],
    "times": [datetime(9999, 1, 1)] * 3,
    "dates": [date(1, 1, 1)] * 3,
    "spans": [timedelta(1)] * 3,
    "bytes": [b"\xff", b"1", b""],
    "no numbers": [math.nan, math.inf, -math.inf],
    "negative": [-1, -(2**63), 0],
    "huge": [1e300, 1e18, 1.0],
    "blanks": ["", " ", "\t"],
    "escapes": ["\x1b[31mred", "\u202e", "a\nb"],
    "digits of others": ["١٢٣", "１", "½"],
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("table", [BARS, CHAIN, WIDE], ids=["bars", "chain", "wide"])
def test_a_column_of_any_type_is_read_or_refused_in_one_printable_line(tmp_path, table, odd):
    path = tmp_path / "prices.parquet"
    said = []
    for name in table:
        pl.DataFrame(table | {name: odd}, strict=False).write_parquet(path)
        try:
            assert len(read_prices(path).ticks) > 0
        except InputError as error:
            said.append(str(error))
    assert all(line.startswith(str(path)) and line.isprintable() for line in said)
    assert len(said) >= len(table) - 3  # any text may name a symbol or a venue, and a forward may be missing


def test_bars_in_which_nothing_traded_are_left_out(tmp_path):
    text = (
        "ts,symbol,open,high,low,close\n1760128200,BTC,1,1,1,1\n1760128260,BTC,,,,\n1760128320,BTC,2,2,2,2\n"
    )
    assert [price for _, _, price in ticks_of(written(tmp_path, text))] == ["1", "2"]


def test_symbols_of_many_venues_name_their_underlying():
    bitcoin = ("BTCUSDT", "BTC/USDT:USDT", "BTC-PERP", "btc-usd", "BTCUSD_PERP", "BTC-USD-PERPETUAL", "BTC")
    assert {underlying_of(symbol) for symbol in bitcoin} == {"BTC"}
    assert underlying_of("1000PEPE/USDT") == "1000PEPE"
    assert underlying_of("XRP_USDC") == "XRP"
    assert underlying_of("USDE") == "USDE"


@given(
    st.lists(
        st.tuples(st.integers(0, 50), st.integers(0, 2), st.integers(1, 10**15)), min_size=1, max_size=60
    )
)
def test_merging_keeps_every_tick_and_orders_them_by_time(rows):
    parts = []
    for name in range(3):
        own = sorted((at, price) for at, which, price in rows if which == name)
        parts.append((np.array([a for a, _ in own], np.int64), name, np.array([p for _, p in own], np.int64)))
    merged = Ticks.merge(("A", "B", "C"), parts)
    assert sorted(zip(merged.at_ns.tolist(), merged.name.tolist(), merged.price_nano.tolist())) == sorted(
        rows
    )
    assert (np.diff(merged.at_ns) >= 0).all()
    assert len(merged.only(["B"])) == sum(which == 1 for _, which, _ in rows)


@pytest.mark.parametrize(
    ("name", "ticks", "names"),
    [
        ("ohlcv_5m_20251010", 22_118, {"BTC", "DOGE", "ETH", "SOL", "XRP"}),
        ("ohlcv_15m_btc_perp", 148_772, {"BTC"}),
        ("ohlcv_30m_btc_2021_2024", 245_804, {"BTC"}),
        ("ohlcv_1h_perp_mark", 347_742, {"BTC", "ETH"}),
        ("crash_windows_1m_5m", 247_616, {"BTC", "ETH", "FIL", "NEAR", "SOL", "XRP"}),
        ("trades_1m_20251010", 98_534, None),
        ("trades_1s_20251010_crash", 148_137, None),
        ("binance_coinm_markidx_1m_20251009_10", 9_866, {"BTC"}),
        ("usde_usdt_1m_202510", 17_062, {"USDE"}),
    ],
)
def test_real_bars_read_whole(name, ticks, names):
    history = read_prices(shared_dir() / "data" / f"{name}.parquet")
    assert len(history.ticks) == ticks
    assert names is None or set(history.ticks.names) == names


def test_the_real_crash_is_in_the_ticks():
    history = read_prices(shared_dir() / "data" / "ohlcv_5m_20251010.parquet", venue="binance_perp")
    ticks = history.ticks.only(["BTC"])
    assert ticks.price_nano.min() == 101_516_500_000_000
