"""Downloads price history from an exchange into Parquet that `read_prices` reads back.

The idea: a download is a resumable walk forward in time. Each page is appended to a part file per symbol,
so that an interrupted run goes on where it stopped and a finished file can be extended later; the output
appears under its own name only once it is whole.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import polars as pl

from seawall.core.errors import InputError, MissingExtra
from seawall.feeds.prices import underlying_of

__all__ = ["BarSource", "CcxtSource", "Unreachable", "download"]

_SCHEMA: dict[str, type[pl.DataType] | pl.DataType] = {
    "venue": pl.String, "symbol": pl.String, "ts": pl.Datetime("ms"), "open": pl.Float64, "high": pl.Float64,
    "low": pl.Float64, "close": pl.Float64, "volume": pl.Float64,
}  # fmt: skip
_PAGES_A_PART = 20
_TRIES = 5

T = TypeVar("T")
Bar = Sequence[float]  # [open time in ms, open, high, low, close, volume]


class Unreachable(Exception):
    """A source did not answer, or asked to be left alone for a while; asking again later may work."""


class BarSource(Protocol):
    """An exchange's history of bars."""

    name: str

    def step_ms(self, timeframe: str) -> int:
        """Length of one bar. Raises InputError for a timeframe that the exchange does not have."""

    def check_symbol(self, symbol: str) -> None:
        """Raises InputError if the exchange does not list the symbol."""

    def bars(self, symbol: str, timeframe: str, since_ms: int, limit: int) -> list[Bar]:
        """Up to `limit` bars that open at or after since_ms, oldest first. Raises Unreachable."""


class CcxtSource:
    """Any exchange of the ccxt library; the library keeps its rate limit."""

    def __init__(self, exchange: str):
        try:
            import ccxt
        except ImportError as error:
            raise MissingExtra("ccxt", "feeds") from error
        if exchange not in ccxt.exchanges:
            raise InputError(
                "exchange", repr(exchange), "one of ccxt's, such as binance, bybit, okx or coinbase"
            )
        self.name = exchange
        self._errors = ccxt.NetworkError
        self._refusals = ccxt.BaseError
        self._exchange = getattr(ccxt, exchange)({"enableRateLimit": True})

    def step_ms(self, timeframe: str) -> int:
        """See BarSource."""
        known = self._exchange.timeframes or {}
        if timeframe not in known:
            raise InputError("timeframe", repr(timeframe), "one of " + ", ".join(known))
        return int(self._exchange.parse_timeframe(timeframe)) * 1000

    def check_symbol(self, symbol: str) -> None:
        """See BarSource."""
        markets = self._ask(self._exchange.load_markets)
        if symbol not in markets:
            base = symbol.split("/")[0].upper()
            near = [name for name in markets if name.startswith(base + "/")][:6]
            raise InputError(
                "symbol", repr(symbol), "one of " + (", ".join(near) or f"{self.name}'s, as BTC/USDT")
            )

    def bars(self, symbol: str, timeframe: str, since_ms: int, limit: int) -> list[Bar]:
        """See BarSource."""
        return self._ask(self._exchange.fetch_ohlcv, symbol, timeframe, since_ms, limit)

    def _ask(self, call: Callable[..., T], *args: object) -> T:
        try:
            return call(*args)
        except self._errors as error:
            raise Unreachable(str(error).splitlines()[0][:160]) from error
        except self._refusals as error:
            raise InputError(
                self.name, f"refusal: {str(error).splitlines()[0][:160]}", "history of bars"
            ) from error


def download(
    source: BarSource,
    symbols: Sequence[str],
    timeframe: str,
    since_ms: int,
    until_ms: int,
    out: str | Path,
    *,
    limit: int = 1000,
    progress: Callable[[str, int, int], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Fetches bars with since_ms <= open < until_ms of each symbol into the Parquet file `out`; returns its
    rows.

    Columns venue, symbol (the underlying), ts (bar open, UTC), open, high, low, close, volume. A part file
    beside `out` keeps what came so far, so calling again continues; an existing `out` of the same venue is
    extended. progress(symbol, bars so far, bars expected); sleep is called between tries. Raises InputError
    for an exchange that cannot be reached, an unknown symbol or timeframe, and an empty span.
    """
    out = Path(out)
    if out.suffix.lower() != ".parquet":
        raise InputError("out", repr(str(out)), "a path ending in .parquet")
    if since_ms >= until_ms:
        raise InputError("since, until", f"{since_ms} .. {until_ms} ms", "since before until")
    step = source.step_ms(timeframe)
    tables = []
    parts = []
    for symbol in symbols:
        _retry(partial(source.check_symbol, symbol), source.name, sleep)
    for symbol in symbols:
        part = out.with_name(
            f"{out.stem}.{source.name}.{symbol.replace('/', '-').replace(':', '-')}.{timeframe}.part"
        )
        parts.append(part)
        tables.append(
            _walk(source, symbol, timeframe, step, since_ms, until_ms, out, part, limit, progress, sleep)
        )
    if not sum(table.height for table in tables):
        raise InputError(source.name, "no bar in the asked span", "a span in which the symbol traded")
    whole = pl.concat([_other_rows(out, source.name, symbols), *tables]).sort("venue", "symbol", "ts")
    _write(whole, out)
    for part in parts:
        part.unlink(missing_ok=True)
    return whole.height


def _walk(
    source: BarSource, symbol: str, timeframe: str, step: int, since_ms: int, until_ms: int, out: Path, part: Path,
    limit: int, progress: Callable[[str, int, int], None] | None, sleep: Callable[[float], None],
) -> pl.DataFrame:  # fmt: skip
    """Every bar of one symbol in the span: those on disk, then page after page."""
    name = underlying_of(symbol)
    done = _known_rows(out, part, source.name, name, step)
    span = pl.col("ts").is_between(_when(since_ms), _when(until_ms), closed="left")
    kept = done.filter(span)
    # Bars on disk count only as far as they reach from the start of the span without being older.
    first, last = (kept["ts"][0], kept["ts"][-1]) if kept.height else (None, None)
    reaches_back = first is not None and _ms(first) - since_ms < step
    cursor = _ms(last) + step if reaches_back else since_ms
    pages: list[list[Bar]] = []
    count = kept.height if reaches_back else 0
    while cursor < until_ms:
        page = _retry(partial(source.bars, symbol, timeframe, cursor, limit), source.name, sleep)
        page = [bar for bar in page if cursor <= bar[0] < until_ms]
        if not page:
            break
        pages.append(page)
        count += len(page)
        cursor = int(page[-1][0]) + step
        if progress is not None:
            progress(symbol, count, max(count, (until_ms - since_ms) // step))
        if len(pages) == _PAGES_A_PART:
            done, pages = _append(done, pages, source.name, name), []
            _write(done, part)
    done = _append(done, pages, source.name, name)
    if done.height:
        _write(done, part)
    return done


def _append(done: pl.DataFrame, pages: list[list[Bar]], venue: str, name: str) -> pl.DataFrame:
    bars = [bar for page in pages for bar in page]
    if not bars:
        return done
    rows = [(venue, name, int(bar[0]), *(None if v is None else float(v) for v in bar[1:6])) for bar in bars]
    schema = _SCHEMA | {"ts": pl.Int64}
    fresh = pl.DataFrame(rows, schema=schema, orient="row").with_columns(pl.col("ts").cast(pl.Datetime("ms")))
    return pl.concat([done, fresh]).unique("ts", keep="last", maintain_order=True).sort("ts")


def _known_rows(out: Path, part: Path, venue: str, name: str, step: int) -> pl.DataFrame:
    """What earlier runs left: the part file if there is one, else the rows of a finished file of the same
    step."""
    empty = pl.DataFrame(schema=_SCHEMA)
    for path in (part, out):
        if path.exists():
            rows = _existing(path).filter((pl.col("venue") == venue) & (pl.col("symbol") == name)).sort("ts")
            gaps = rows["ts"].diff().drop_nulls().dt.total_milliseconds()
            if len(gaps) and int(gaps.min()) != step:  # type: ignore[arg-type]
                found, expected = f"bars of {int(gaps.min()) // 1000} s", f"bars of {step // 1000} s"  # type: ignore[arg-type]
                raise InputError(str(path), found, f"{expected} (or another --out)")
            return rows
    return empty


def _other_rows(out: Path, venue: str, symbols: Sequence[str]) -> pl.DataFrame:
    if not out.exists():
        return pl.DataFrame(schema=_SCHEMA)
    names = [underlying_of(symbol) for symbol in symbols]
    return _existing(out).filter(~((pl.col("venue") == venue) & pl.col("symbol").is_in(names)))


def _existing(path: Path) -> pl.DataFrame:
    try:
        frame = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(str(path), "no readable Parquet", "a file that this command wrote") from error
    if dict(frame.schema) != _SCHEMA:
        raise InputError(str(path), f"columns {', '.join(frame.columns)}", "a file that this command wrote")
    return frame


def _retry(call: Callable[[], T], place: str, sleep: Callable[[float], None]) -> T:
    """Calls again after 1, 2, 4 and 8 seconds when the source does not answer."""
    for attempt in range(_TRIES):
        try:
            return call()
        except Unreachable as error:
            if attempt == _TRIES - 1:
                expected = "an exchange that answers; check the network, or use a price file"
                raise InputError(place, f"no answer ({error})", expected) from error
            sleep(2.0**attempt)
    raise AssertionError("unreachable: the loop returns or raises")


def _write(frame: pl.DataFrame, path: Path) -> None:
    """Whole or not at all: written beside and renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".tmp")
    frame.write_parquet(beside, compression="zstd")
    os.replace(beside, path)


def _when(ms: int) -> pl.Expr:
    return pl.lit(ms).cast(pl.Datetime("ms"))


def _ms(value: object) -> int:
    return int(pl.Series([value], dtype=pl.Datetime("ms")).cast(pl.Int64)[0])
