"""Downloading history: pages, resumption, retries and refusals, against an exchange in memory."""

from __future__ import annotations

import builtins

import polars as pl
import pytest

from seawall.core.errors import InputError, MissingExtra
from seawall.feeds.history import CcxtSource, Unreachable, download
from seawall.feeds.prices import read_prices

MINUTE = 60_000
START = 1_760_128_200_000


class MemoryExchange:
    """The in-memory twin of an exchange: bars of a ramp, a page limit, and failures on demand."""

    name = "memory"

    def __init__(self, first=START - 500 * MINUTE, last=START + 500 * MINUTE, page=7, failures=()):
        self.first, self.last, self.page = first, last, page
        self.failures = list(failures)
        self.calls: list[tuple[str, int]] = []

    def step_ms(self, timeframe):
        if timeframe != "1m":
            raise InputError("timeframe", repr(timeframe), "one of 1m")
        return MINUTE

    def check_symbol(self, symbol):
        if symbol not in ("BTC/USDT", "ETH/USDT"):
            raise InputError("symbol", repr(symbol), "one of BTC/USDT, ETH/USDT")

    def bars(self, symbol, timeframe, since_ms, limit):
        self.calls.append((symbol, since_ms))
        if self.failures and (failure := self.failures.pop(0)) is not None:
            raise failure
        first = max(self.first, since_ms + -since_ms % MINUTE)
        opens = range(first, min(self.last, first + min(limit, self.page) * MINUTE), MINUTE)
        return [[at, 1.0, 2.0, 0.5, 1.0 + (at // MINUTE) % 10 / 10, 3.0] for at in opens]


def fetch(exchange, out, minutes=30, symbols=("BTC/USDT",), start=START, **options):
    return download(
        exchange, symbols, "1m", start, start + minutes * MINUTE, out, sleep=lambda _: None, **options
    )


def test_a_span_comes_in_pages_and_reads_back_as_prices(tmp_path):
    out = tmp_path / "h.parquet"
    seen = []
    rows = fetch(MemoryExchange(), out, symbols=("BTC/USDT", "ETH/USDT"), progress=lambda *a: seen.append(a))
    assert rows == 60
    assert seen[-1] == ("ETH/USDT", 30, 30)
    history = read_prices(out)
    assert set(history.ticks.names) == {"BTC", "ETH"}
    assert int(history.ticks.at_ns[0]) == START * 10**6
    assert [path.name for path in tmp_path.iterdir()] == ["h.parquet"]


def test_an_interrupted_download_goes_on_where_it_stopped_and_gives_the_same_file(tmp_path):
    whole, broken = tmp_path / "whole.parquet", tmp_path / "broken.parquet"
    fetch(MemoryExchange(page=1), whole, minutes=50)
    exchange = MemoryExchange(page=1, failures=[None] * 45 + [KeyboardInterrupt()])
    with pytest.raises(KeyboardInterrupt):
        fetch(exchange, broken, minutes=50)
    assert not broken.exists()
    again = MemoryExchange(page=1)
    fetch(again, broken, minutes=50)
    assert again.calls[0] == ("BTC/USDT", START + 40 * MINUTE)  # two parts of twenty pages were kept
    assert pl.read_parquet(broken).equals(pl.read_parquet(whole))


def test_a_finished_file_is_extended_and_other_symbols_in_it_are_kept(tmp_path):
    out = tmp_path / "h.parquet"
    fetch(MemoryExchange(), out, minutes=20, symbols=("ETH/USDT",))
    fetch(MemoryExchange(), out, minutes=20)
    exchange = MemoryExchange()
    assert fetch(exchange, out, minutes=30) == 20 + 30
    assert exchange.calls[0] == ("BTC/USDT", START + 20 * MINUTE)


def test_an_earlier_start_fetches_what_is_missing_before(tmp_path):
    out = tmp_path / "h.parquet"
    fetch(MemoryExchange(), out, minutes=20)
    assert fetch(MemoryExchange(), out, minutes=30, start=START - 10 * MINUTE) == 30


def test_a_silent_exchange_is_asked_again_and_then_reported_in_one_line(tmp_path):
    waits = []
    exchange = MemoryExchange(failures=[Unreachable("timeout")] * 2)
    args = (["BTC/USDT"], "1m", START, START + 5 * MINUTE, tmp_path / "h.parquet")
    assert download(exchange, *args, sleep=waits.append) == 5
    assert waits == [1.0, 2.0]
    silent = MemoryExchange(failures=[Unreachable("timeout")] * 9)
    with pytest.raises(InputError, match=r"memory: found no answer \(timeout\), expected an exchange"):
        download(silent, *args[:4], tmp_path / "i.parquet", sleep=waits.append)
    assert not (tmp_path / "i.parquet").exists()


def test_what_cannot_be_had_is_refused_before_anything_is_written(tmp_path):
    out = tmp_path / "h.parquet"
    with pytest.raises(InputError, match="symbol"):
        fetch(MemoryExchange(), out, symbols=("DOGE/USDT",))
    with pytest.raises(InputError, match="since before until"):
        fetch(MemoryExchange(), out, minutes=-1)
    with pytest.raises(InputError, match="no bar in the asked span"):
        fetch(MemoryExchange(last=START - MINUTE), out)
    with pytest.raises(InputError, match=r"\.parquet"):
        fetch(MemoryExchange(), tmp_path / "h.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_other_bars_is_not_extended(tmp_path):
    out = tmp_path / "h.parquet"
    fetch(MemoryExchange(), out)
    pl.read_parquet(out).gather_every(5).write_parquet(out)
    with pytest.raises(InputError, match="found bars of 300 s, expected bars of 60 s"):
        fetch(MemoryExchange(), out)
    pl.DataFrame({"a": [1]}).write_parquet(out)
    with pytest.raises(InputError, match="a file that this command wrote"):
        fetch(MemoryExchange(), out)


def test_without_ccxt_one_line_names_the_extra(monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "ccxt":
            raise ImportError("no ccxt")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtra, match=r"seawall\[feeds\]"):
        CcxtSource("binance")


def test_an_unknown_exchange_is_refused():
    pytest.importorskip("ccxt")
    with pytest.raises(InputError, match="nosuch"):
        CcxtSource("nosuch")
