"""Option chains become a market, index ticks and vol updates."""

from __future__ import annotations

import polars as pl
import pytest

from conftest import shared_dir
from seawall.core.errors import BadNumber, InputError, MissingKey, StaleEvent
from seawall.feeds import chains, tables
from seawall.feeds.prices import read_prices

HEADER = "snap_ts,currency,expiry,strike,is_call,mark_iv,futures_price,index_price\n"
FIRST = "2026-01-01T00:00:00Z,BTC,2026-01-02T08:00:00Z,90000,true,0.5,88100,88000\n"
SECOND = "2026-01-01T00:00:00Z,BTC,2026-03-27T08:00:00Z,80000,false,0.45,89000,88000\n"


def written(folder, rows, header=HEADER):
    path = folder / "chain.csv"
    path.write_text(header + rows)
    return path


def test_the_first_snapshot_is_the_market_and_later_ones_move_index_and_vols(tmp_path):
    later = (
        (FIRST + SECOND).replace("01-01T00", "01-01T06").replace("88000\n", "87000\n").replace("0.45", "0.55")
    )
    history = read_prices(written(tmp_path, FIRST + SECOND + later))
    document = history.market
    assert document["as_of"] == "2026-01-01T00:00:00Z"
    assert document["underlyings"] == {"BTC": {"index": "88000"}}
    options = {row["symbol"]: row for row in document["instruments"] if row["kind"] == "option"}
    assert set(options) == {"BTC-2JAN26-90000-C", "BTC-27MAR26-80000-P"}
    assert options["BTC-2JAN26-90000-C"]["iv"] == "0.5"
    assert options["BTC-2JAN26-90000-C"]["forward"] == "88100"
    futures = {row["symbol"]: row["mark"] for row in document["instruments"] if row["kind"] == "future"}
    assert futures == {"BTC-2JAN26": "88100", "BTC-27MAR26": "89000"}
    assert [price for _, _, price in history.ticks] == ["88000", "87000"]
    assert [update.ivs for update in history.surfaces] == [{"BTC-27MAR26-80000-P": "0.55"}]


def test_an_option_is_quoted_no_longer_once_it_has_expired(tmp_path):
    later = FIRST.replace("01-01T00", "01-03T00").replace("true,0.5", "true,0.9")
    history = read_prices(written(tmp_path, FIRST + SECOND + later))
    assert history.surfaces == ()


def test_options_known_by_symbol_keep_it_and_a_date_expires_at_eight(tmp_path):
    header = "ts,symbol,expiry,strike,mark_iv,underlying_price\n"
    row = "2025-10-10T00:00:00Z,BTC-USD-251031-80000-P,2025-10-31,80000,0.5,121000\n"
    path = written(tmp_path, row, header)
    frame = pl.read_csv(path, try_parse_dates=True)
    ((_, document),) = chains.snapshots(frame, "chain")
    option = next(row for row in document["instruments"] if row["kind"] == "option")
    assert option["symbol"] == "BTC-USD-251031-80000-P"
    assert option["expiry"] == "2025-10-31T08:00:00Z"
    assert option["right"] == "put"


@pytest.mark.parametrize(
    ("rows", "kind", "message"),
    [
        (FIRST.replace("0.5,", "-0.5,"), BadNumber, "row 1: found mark_iv = -0.5"),
        (FIRST + FIRST.replace("01-01T00", "01-01T06") + FIRST, StaleEvent, "row 3"),
        (FIRST.replace("88000\n", "0\n"), BadNumber, "row 1: found index"),
        (FIRST + SECOND.replace("0.45", "inf"), BadNumber, "row 2: found mark_iv = inf, expected a volatility"),
        (FIRST + SECOND.replace("80000", "-1"), BadNumber, "row 2: found strike = -1"),
        (FIRST + SECOND.replace("88000\n", "1e30\n"), BadNumber, "row 2: found index_price = 1e"),
        (FIRST + SECOND.replace("BTC", ""), MissingKey, "row 2: found no currency, expected a name"),
        (FIRST + SECOND.replace("false", ""), InputError, "1 empty, expected true or false in every row"),
        (FIRST.replace("2026-01-02", "2025-01-02"), InputError, "found no quote with a vol and an index price"),
    ],
)
def test_a_bad_quote_is_named(tmp_path, rows, kind, message):
    with pytest.raises(kind, match=message):
        read_prices(written(tmp_path, rows))


def test_the_real_chains_read_whole():
    history = read_prices(shared_dir() / "data" / "deribit_chain_2026.parquet")
    assert len(history.ticks) == 446
    assert len(history.surfaces) == 222
    assert len(history.market["instruments"]) == 1332
    frame = tables.read_table(shared_dir() / "data" / "okx_btc_options_ticks_20251010.parquet")
    document = next(document for _, document in chains.snapshots(frame.drop_nulls("underlying_price"), "okx"))
    assert document["underlyings"]["BTC"]["index"].startswith("1217")
