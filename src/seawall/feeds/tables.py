"""Price files as checked tables: which column is what, what time means, which row is wrong.

Every check runs over whole columns in Polars; only when one fails is the first offending row looked up,
so that the message can name file, row (1 is the first row of data), found and expected.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import polars as pl

from seawall.core.errors import (
    BadNumber,
    DuplicateRow,
    InputError,
    MissingKey,
    StaleEvent,
    UnknownKey,
    UnreadableFile,
    show,
)

__all__ = [
    "ROW",
    "Columns",
    "check_prices",
    "check_time_order",
    "first_line",
    "read_table",
    "recognise",
    "to_nano",
    "to_ns",
    "to_number",
    "to_steps",
    "to_text",
    "write_table",
]

ROW = "row number in the file"

TIME = ("ts", "time", "timestamp", "datetime", "date", "at", "at_ns", "open_time", "snap_ts")
SYMBOL = ("symbol", "instrument", "underlying", "coin", "currency", "pair", "ticker")
VENUE = ("venue", "exchange")
PRICE = ("price", "close", "last", "last_price", "mark", "mark_price", "index", "index_price", "mid")
OHLC = ("open", "high", "low", "close")
STEP = ("bar_min",)
LONGEST_BAR_MIN = 366 * 1_440
PRICE_EXPECTED = "a finite price above zero and below 9,000,000,000"
# Known columns of bar and trade files that say nothing about the price.
IGNORED = (
    "volume", "buy_volume", "quote_volume", "amount", "quantity", "qty", "size", "side", "id", "n", "trades",
    "num_trades", "count", "event", "src", "close_time", "taker_buy_volume", "taker_buy_quote_volume",
    "local_timestamp", "ignore", "quote_asset_volume", "number_of_trades", "taker_buy_base_asset_volume",
    "taker_buy_quote_asset_volume", "vwap",
)  # fmt: skip


class Columns:
    """Which column of a table plays which part; `prices` is (close,) or (open, high, low, close)."""

    def __init__(
        self, time: str, symbol: str | None, venue: str | None, prices: tuple[str, ...], step: str | None
    ):
        self.time, self.symbol, self.venue, self.prices, self.step = time, symbol, venue, prices, step


def read_table(path: str | Path) -> pl.DataFrame:
    """The file as a table. Raises InputError if it is missing, unreadable, empty or of no known kind."""
    path = Path(path)
    suffix = path.suffix.lower()
    readers: dict[str, Callable[[Path], pl.DataFrame]] = {
        ".parquet": pl.read_parquet,
        ".csv": partial(pl.read_csv, infer_schema_length=10_000),
        ".jsonl": partial(pl.read_ndjson, infer_schema_length=10_000),
        ".ndjson": partial(pl.read_ndjson, infer_schema_length=10_000),
        ".feather": pl.read_ipc,
        ".arrow": pl.read_ipc,
    }
    if not path.exists():
        raise UnreadableFile(str(path), "no such file", "a price file (.parquet, .csv, .jsonl or .feather)")
    if suffix not in readers or path.is_dir():
        found = "a folder" if path.is_dir() else f"a name ending in {show(suffix)}"
        raise UnreadableFile(str(path), found, "a file ending in one of " + ", ".join(readers))
    try:
        frame = readers[suffix](path)
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise UnreadableFile(
            str(path), f"unreadable contents ({first_line(error)})", f"a {suffix} table"
        ) from error
    if frame.is_empty():
        raise UnreadableFile(str(path), "no rows", "at least one price")
    return frame


def write_table(frame: pl.DataFrame, path: str | Path) -> None:
    """Writes .parquet or .csv, whole or not at all: beside the place and renamed. Raises InputError where
    nothing can be written."""
    path = Path(path)
    beside = path.with_name(path.name + ".tmp")
    try:
        if path.suffix == ".csv":
            frame.write_csv(beside)
        else:
            frame.write_parquet(beside, compression="zstd")
        os.replace(beside, path)
    except (pl.exceptions.PolarsError, OSError) as error:
        if beside.is_file():
            beside.unlink()
        found = f"no file that can be written ({first_line(error)})"
        raise InputError(str(path), found, "a file in a writable folder") from error


def recognise(frame: pl.DataFrame, place: str) -> Columns:
    """Finds time, symbol, venue and price columns by name, whatever their case.

    Raises InputError for a missing time or price, or for a column that no rule knows.
    """
    by_name = {column.lower().strip(): column for column in frame.columns}

    def pick(names: tuple[str, ...]) -> str | None:
        return next((by_name[name] for name in names if name in by_name), None)

    time = pick(TIME)
    if time is None:
        raise MissingKey(
            place, f"columns {', '.join(frame.columns)}", "a time column named " + " or ".join(TIME[:3])
        )
    prices: tuple[str, ...]
    if all(name in by_name for name in OHLC):
        prices = tuple(by_name[name] for name in OHLC)
    elif (single := pick(PRICE)) is not None:
        prices = (single,)
    else:
        raise MissingKey(
            place, f"columns {', '.join(frame.columns)}", "a price column, or open, high, low and close"
        )
    columns = Columns(time, pick(SYMBOL), pick(VENUE), prices, pick(STEP))
    known = {time, columns.symbol, columns.venue, columns.step, *prices}
    known |= {by_name[name] for name in (*IGNORED, *OHLC, *PRICE) if name in by_name}
    unknown = [column for column in frame.columns if column not in known]
    if unknown:
        expected = "only time, symbol, venue, price or open/high/low/close, volume and the like"
        raise UnknownKey(place, f"unknown column {unknown[0]!r}", expected)
    return columns


def is_wide(frame: pl.DataFrame) -> bool:
    """Whether the table is one time column and one number column per name (BTC, ETH, …)."""
    names = [column for column in frame.columns if column.lower() not in TIME]
    lower = {column.lower() for column in frame.columns}
    return (
        len(names) + 1 == len(frame.columns)
        and bool(names)
        and not lower & set(PRICE + SYMBOL + OHLC)
        and all(name == name.upper() and frame[name].dtype.is_numeric() for name in names)
    )


def without_empty_bars(frame: pl.DataFrame, columns: Columns, place: str) -> pl.DataFrame:
    """Drops bars with none of the four prices (nothing traded); any other gap is left to the checks."""
    if len(columns.prices) == 1:
        return frame
    kept = frame.filter(~pl.all_horizontal(pl.col(name).is_null() for name in columns.prices))
    if kept.is_empty():
        raise UnreadableFile(place, "no price in any row", "at least one price")
    return kept


def row_of(frame: pl.DataFrame, index: int) -> int:
    """Row number in the file (1 is the first row of data) of a row of the table."""
    return int(frame[ROW][index]) if ROW in frame.columns else index + 1


def to_ns(series: pl.Series, place: str, frame: pl.DataFrame | None = None) -> pl.Series:
    """Times as int64 ns since the epoch: dates, ISO text, or numbers in s, ms, us or ns, by their size."""
    frame = series.to_frame() if frame is None else frame
    if series.null_count():
        row = row_of(frame, int(series.is_null().arg_true()[0]))
        raise MissingKey(f"{place} row {row}", f"no {series.name}", "a time")
    kind = series.dtype
    if isinstance(kind, pl.Datetime) and kind.time_zone is not None:
        series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    if isinstance(kind, pl.Datetime) or kind == pl.Date:
        return _dates_to_ns(series, place, frame)
    if kind == pl.String:
        return _text_to_ns(series, place, frame)
    if kind.is_numeric():
        return _number_to_ns(series, place)
    raise InputError(place, f"column {series.name!r} of type {kind}", "a time")


def to_nano(series: pl.Series) -> pl.Series:
    """Prices as int64 in 10⁻⁹. Float32 goes through its shortest decimal, which is what was published;
    NaN becomes null."""
    if series.dtype == pl.Float32:
        series = series.cast(pl.String)
    return (series.cast(pl.Float64) * 1e9).round().cast(pl.Int64, strict=False)


def to_text(frame: pl.DataFrame, name: str, place: str) -> pl.Series:
    """A column of names, every one of them given."""
    kind = frame[name].dtype
    if kind not in (pl.String, pl.Categorical, pl.Enum, pl.Null) and not kind.is_integer():
        raise InputError(place, f"column {name!r} of type {kind}", "names")
    series = frame[name].cast(pl.String)
    empty = (series.is_null() | (series == "")).arg_true()
    if len(empty):
        raise MissingKey(f"{place} row {row_of(frame, int(empty[0]))}", f"no {name}", "a name")
    return series


def to_number(frame: pl.DataFrame, name: str, place: str) -> pl.Series:
    """A column of numbers, or of text that is numbers, as float64; null where there is none."""
    series = frame[name]
    if not series.dtype.is_numeric() and series.dtype not in (pl.String, pl.Null):
        raise InputError(place, f"column {name!r} of type {series.dtype}", "numbers")
    if series.dtype == pl.Float32:
        series = series.cast(pl.String)  # its shortest decimal is what was published
    return series.cast(pl.Float64)


def to_steps(frame: pl.DataFrame, name: str, place: str) -> pl.Series:
    """Lengths of bars, given in minutes, as int64 ns."""
    minutes = to_number(frame, name, place)
    bad = (~((minutes > 0) & (minutes <= LONGEST_BAR_MIN)).fill_null(False)).arg_true()
    if len(bad):
        row = int(bad[0])
        found = f"{name} = {show(frame[name][row])}"
        raise BadNumber(f"{place} row {row_of(frame, row)}", found, "minutes of a bar, above 0, at most a year")
    return (minutes * 60e9).round().cast(pl.Int64)


def check_prices(frame: pl.DataFrame, columns: Columns, place: str) -> None:
    """Every price is finite, above zero and below 9.2e9, and high and low enclose open and close."""
    for name in columns.prices:
        series = frame[name]
        if not series.dtype.is_numeric() and series.dtype != pl.String:
            raise InputError(place, f"column {name!r} of type {series.dtype}", "prices")
        number = series.cast(pl.Float64, strict=False)
        # The smallest price that is not rounded to zero; the largest whose nano value fits 63 bits.
        good = (number >= 5e-10) & (number < 9e9) & number.is_not_nan()
        bad = (~good.fill_null(False)).arg_true()
        if len(bad):
            row = int(bad[0])
            found = f"{name} = {show(series[row])}"
            raise BadNumber(f"{place} row {row_of(frame, row)}", found, PRICE_EXPECTED)
    if len(columns.prices) == 4:
        opens, high, low, close = (frame[name].cast(pl.Float64) for name in columns.prices)
        # Float32 files carry noise in the eighth digit.
        slack = 1 + 2e-6
        inside = (high * slack >= pl.select(pl.max_horizontal(opens, close)).to_series()) & (
            low <= pl.select(pl.min_horizontal(opens, close)).to_series() * slack
        )
        bad = (~inside).arg_true()
        if len(bad):
            row = int(bad[0])
            found = f"open {opens[row]:g}, high {high[row]:g}, low {low[row]:g}, close {close[row]:g}"
            raise BadNumber(f"{place} row {row_of(frame, row)}", found, "low <= open, close <= high")


def check_time_order(part: pl.DataFrame, place: str, series: str, bars: bool) -> None:
    """Within one series (int64 columns at_ns, row) time never runs back, and bars never repeat."""
    step = part["at_ns"].diff()
    bad = ((step < 0) if not bars else (step <= 0)).fill_null(False).arg_true()
    if not len(bad):
        return
    index = int(bad[0])
    when = [str(t) for t in part["at_ns"][index - 1 : index + 1].cast(pl.Datetime("ns"))]
    expected = f"a time {'after' if bars else 'not before'} {when[0]}"
    kind = DuplicateRow if when[0] == when[1] else StaleEvent
    raise kind(f"{place} row {int(part['row'][index])}", f"{series} at {when[1]}", expected)


def _dates_to_ns(series: pl.Series, place: str, frame: pl.DataFrame) -> pl.Series:
    times = series.cast(pl.Datetime("ns"), strict=False)
    if times.null_count():
        row = int(times.is_null().arg_true()[0])
        found = f"{series.name} = {show(series[row])}"
        raise BadNumber(f"{place} row {row_of(frame, row)}", found, "a time between 1678 and 2262")
    return times.cast(pl.Int64)


def _text_to_ns(series: pl.Series, place: str, frame: pl.DataFrame) -> pl.Series:
    number = series.str.strip_chars().cast(pl.Float64, strict=False)
    if not number.null_count():
        whole = series.str.strip_chars().cast(pl.Int64, strict=False)
        return _number_to_ns(number if whole.null_count() else whole, place)
    text = series.str.strip_chars().str.replace(r"(Z|[+-]00:?00)$", "").str.replace(" ", "T", literal=True)
    text = pl.select(pl.when(text.str.contains("T")).then(text).otherwise(text + "T00:00:00")).to_series()
    times = text.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="ns", strict=False)
    if times.null_count():
        row = int(times.is_null().arg_true()[0])
        expected = "a time such as 2025-10-10T21:00:00Z"
        raise BadNumber(f"{place} row {row_of(frame, row)}", f"{series.name} = {show(series[row])}", expected)
    return times.cast(pl.Int64)


def _number_to_ns(series: pl.Series, place: str) -> pl.Series:
    low, high = float(series.min()), float(series.max())  # type: ignore[arg-type]
    limits = ((1e11, 10**9), (1e14, 10**6), (1e17, 10**3), (9.2e18, 1))
    factor = next((factor for limit, factor in limits if high < limit), 0)
    if not (low > 0) or factor == 0 or low * factor < 1e17:
        expected = "seconds, ms, us or ns since 1970, one unit throughout"
        raise BadNumber(place, f"{series.name} from {low:g} to {high:g}", expected)
    if series.dtype.is_integer():
        return series.cast(pl.Int64) * factor
    return (series.cast(pl.Float64) * factor).round().cast(pl.Int64)


def first_line(error: BaseException) -> str:
    """The first line of what an error says."""
    return str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
