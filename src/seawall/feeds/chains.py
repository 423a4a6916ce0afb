"""Option chains: a sequence of quotes of many options becomes a market, ticks of its index and new vols.

The first snapshot names the instruments; later ones move the index and the vols of those that are still
alive. An option quoted in coin is valued here in the quote currency, where the vol means the same thing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import polars as pl

from seawall.core.errors import BadNumber, InputError, MissingKey, StaleEvent, show
from seawall.core.times import format_ns
from seawall.core.units import format_nano
from seawall.feeds import tables
from seawall.feeds.ticks import PriceHistory, SurfaceUpdate, Ticks

__all__ = ["is_chain", "read_chain", "snapshots"]

_IV = ("mark_iv", "iv")
_INDEX = ("index_price", "underlying_price", "index")
_FORWARD = ("futures_price", "forward", "underlying_price")
_EXPIRY_HOUR_NS = 8 * 3600 * 10**9  # a date alone means 08:00 UTC, the field's hour of expiry
_LOTS = {"BTC": "0.01", "ETH": "0.1"}


def is_chain(frame: pl.DataFrame) -> bool:
    """Whether the rows are quotes of options: a strike, an expiry and an implied vol."""
    columns = set(frame.columns)
    return {"strike", "expiry"} <= columns and bool(columns & set(_IV))


def read_chain(
    frame: pl.DataFrame, place: str, names: Collection[str] | None, start_ns: int | None, end_ns: int | None
) -> PriceHistory:
    """The chain as a market (that of the first time at or after start_ns), index ticks and vol updates.

    names: as for prices; None takes every option of the first snapshot.
    """
    table = _normalised(frame, place)
    if start_ns is not None:
        table = table.filter(pl.col("at_ns") >= start_ns)
    if end_ns is not None:
        table = table.filter(pl.col("at_ns") < end_ns)
    if table.is_empty():
        raise InputError(place, "no quote in the asked span", "a span that the file covers")
    first = _first_quotes(table)
    if first.is_empty():
        found = "no quote with a vol and an index price of an option that is alive"
        raise InputError(place, found, "one within two minutes of the first time asked for")
    market = _market_of(first, int(table["at_ns"][0]))
    wanted = set(first["option"].to_list())
    if names is not None:
        wanted &= set(names) | {s for s, u in first.select("option", "underlying").iter_rows() if u in names}
    underlyings = sorted(u for u in market["underlyings"] if names is None or u in names)
    if not underlyings:
        raise InputError(
            place, f"a chain of {', '.join(market['underlyings'])}", f"one of {', '.join(names or ())}"
        )
    index = table.filter(pl.col("index_nano").is_not_null()).group_by(
        "underlying", "at_ns", maintain_order=True
    )
    prices = index.agg(pl.col("index_nano").median().round().cast(pl.Int64)).sort(
        "at_ns", maintain_order=True
    )
    parts = []
    for number, name in enumerate(underlyings):
        part = prices.filter(pl.col("underlying") == name)
        parts.append((part["at_ns"].to_numpy(), number, part["index_nano"].to_numpy()))
    later = table.filter((pl.col("at_ns") < pl.col("expiry_ns")) & pl.col("iv").is_not_null())
    updates = tuple(_updates(later.filter(pl.col("option").is_in(list(wanted)))))
    series = {name: f"{name} option chain" for name in underlyings}
    return PriceHistory(place, Ticks.merge(underlyings, parts), series, (), updates, market)


def snapshots(frame: pl.DataFrame, place: str) -> Iterator[tuple[int, dict]]:
    """Every snapshot of the chain as (at_ns, a document in the shape of market.json)."""
    for part in _normalised(frame, place).partition_by("at_ns", maintain_order=True):
        at_ns = int(part["at_ns"][0])
        yield at_ns, _market_of(_first_quotes(part), at_ns)


def _normalised(frame: pl.DataFrame, place: str) -> pl.DataFrame:
    """Columns at_ns, row, option, underlying, expiry_ns, strike (text), right, iv, index_nano,
    forward_nano."""
    columns = frame.columns

    def pick(names: tuple[str, ...], what: str) -> str:
        found = next((name for name in names if name in columns), None)
        if found is None:
            raise MissingKey(place, f"columns {', '.join(columns)}", f"{what} ({' or '.join(names)})")
        return found

    time = pick(tables.TIME, "a time column")
    expiry = tables.to_ns(frame["expiry"], place)
    if frame["expiry"].dtype == pl.Date:
        expiry = expiry + _EXPIRY_HOUR_NS
    table = frame.select(
        tables.to_ns(frame[time], place).alias("at_ns"),
        expiry.alias("expiry_ns"),
        pl.int_range(1, frame.height + 1, dtype=pl.Int64).alias("row"),
        _strike(frame, place),
        _right(frame, place),
        _vol(frame, pick(_IV, "an implied vol"), place).alias("iv"),
        tables.to_text(frame, pick(tables.SYMBOL, "a symbol or currency"), place).alias("symbol"),
        _nano(frame, pick(_INDEX, "an index price"), place).alias("index_nano"),
        _nano(frame, pick(_FORWARD, "a forward price"), place).alias("forward_nano"),
    )
    table = table.with_columns(pl.col("symbol").str.split("-").list.first().alias("underlying"))
    own = pl.col("symbol") != pl.col("underlying")
    day = (
        pl.col("expiry_ns")
        .cast(pl.Datetime("ns"))
        .dt.strftime("%d%b%y")
        .str.strip_prefix("0")
        .str.to_uppercase()
    )
    letter = pl.when(pl.col("right") == "call").then(pl.lit("C")).otherwise(pl.lit("P"))
    made = pl.concat_str([pl.col("underlying"), day, pl.col("strike"), letter], separator="-")
    table = table.with_columns(
        day.alias("day"), pl.when(own).then(pl.col("symbol")).otherwise(made).alias("option")
    )
    # A chain may be listed option by option; what must hold is that one option's quotes do not run back.
    back = table.select((pl.col("at_ns").diff().over("option") < 0).fill_null(False)).to_series().arg_true()
    if len(back):
        row = int(back[0])
        found = f"{table['option'][row]} at a time before its last quote"
        raise StaleEvent(f"{place} row {row + 1}", found, "quotes of an option in time order")
    return table.sort("at_ns", maintain_order=True)


def _vol(frame: pl.DataFrame, name: str, place: str) -> pl.Series:
    vol = tables.to_number(frame, name, place)
    _refuse(vol, (vol <= 0) | ~vol.is_finite(), place, "a volatility above zero")
    return vol


def _nano(frame: pl.DataFrame, name: str, place: str) -> pl.Series:
    """Prices in 10⁻⁹; null where there is none, or NaN."""
    number = tables.to_number(frame, name, place).fill_nan(None)
    _refuse(number, (number <= 0) | (number >= 9e9), place, tables.PRICE_EXPECTED)
    return tables.to_nano(number)


def _refuse(column: pl.Series, wrong: pl.Series, place: str, expected: str) -> None:
    """BadNumber for the first row that is wrong."""
    bad = wrong.fill_null(False).arg_true()
    if len(bad):
        row = int(bad[0])
        raise BadNumber(f"{place} row {row + 1}", f"{column.name} = {show(column[row])}", expected)


def _strike(frame: pl.DataFrame, place: str) -> pl.Series:
    number = tables.to_number(frame, "strike", place)
    _refuse(number, ~((number > 0) & (number < 9e9)).fill_null(False), place, tables.PRICE_EXPECTED)
    whole = number == number.round()
    text = pl.select(
        pl.when(whole).then(number.round().cast(pl.Int64).cast(pl.String)).otherwise(number.cast(pl.String))
    ).to_series()
    return text.alias("strike")


def _right(frame: pl.DataFrame, place: str) -> pl.Expr:
    if "is_call" in frame.columns:
        calls = frame["is_call"]
        if calls.dtype != pl.Boolean or calls.null_count():
            found = f"column 'is_call' of type {calls.dtype}, {calls.null_count()} empty"
            raise InputError(place, found, "true or false in every row")
        return pl.when(pl.col("is_call")).then(pl.lit("call")).otherwise(pl.lit("put")).alias("right")
    if "right" in frame.columns:
        return pl.col("right").cast(pl.String).str.to_lowercase().alias("right")
    if "symbol" in frame.columns and frame["symbol"].cast(pl.String).str.contains(r"-[CP]$").all():
        return (
            pl.when(pl.col("symbol").str.ends_with("C"))
            .then(pl.lit("call"))
            .otherwise(pl.lit("put"))
            .alias("right")
        )
    raise InputError(
        place, "no way to tell calls from puts", "a column is_call or right, or symbols ending in -C or -P"
    )


def _first_quotes(table: pl.DataFrame) -> pl.DataFrame:
    """The first complete quote of each option alive at the first snapshot (within two minutes of it)."""
    start = int(table["at_ns"][0])
    # Feeds that tick option by option do not quote all of them in the first instant.
    complete = pl.col("iv").is_not_null() & pl.col("index_nano").is_not_null()
    near = table.filter((pl.col("at_ns") <= start + 120 * 10**9) & (pl.col("expiry_ns") > start) & complete)
    return near.unique("option", keep="first", maintain_order=True)


def _market_of(quotes: pl.DataFrame, at_ns: int) -> dict:
    """A document in the shape of market.json: spot, perpetual, dated futures and options of each index."""
    index = {
        name: format_nano(round(value))
        for name, value in quotes.group_by("underlying")
        .agg(pl.col("index_nano").median())
        .sort("underlying")
        .iter_rows()
        if value is not None
    }
    quotes = quotes.filter(pl.col("underlying").is_in(list(index)))
    instruments: list[dict] = []
    for name, price in index.items():
        instruments.append(
            {"symbol": name, "kind": "spot", "underlying": name, "lot": "0.0001", "haircut": "0.1"}
        )
        instruments.append(
            {"symbol": f"{name}-PERP", "kind": "perpetual", "underlying": name, "lot": "0.001", "mark": price}
        )
    forwards = quotes.group_by("underlying", "expiry_ns", "day", maintain_order=True).agg(
        pl.col("forward_nano").median()
    )
    forward_of: dict[tuple[str, int], str] = {}
    for name, expiry_ns, day, forward in forwards.sort("underlying", "expiry_ns").iter_rows():
        if forward is None:
            continue
        text = forward_of[name, expiry_ns] = format_nano(round(forward))
        future = {"symbol": f"{name}-{day}", "kind": "future", "underlying": name, "lot": "0.001"}
        instruments.append(future | {"expiry": format_ns(expiry_ns), "mark": text})
    rows = quotes.select("option", "underlying", "right", "strike", "expiry_ns", "iv").iter_rows()
    for option, name, right, strike, expiry_ns, iv in rows:
        row = {
            "symbol": option,
            "kind": "option",
            "underlying": name,
            "lot": _LOTS.get(name, "1"),
            "right": right,
        }
        row |= {"strike": strike, "expiry": format_ns(expiry_ns), "iv": _decimal(iv)}
        if (name, expiry_ns) in forward_of:
            row["forward"] = forward_of[name, expiry_ns]
        instruments.append(row)
    underlyings = {name: {"index": price} for name, price in index.items()}
    document = {"as_of": format_ns(at_ns), "settlement": "USD", "rate": "0"}
    return document | {"underlyings": underlyings, "instruments": instruments}


def _updates(table: pl.DataFrame) -> Iterator[SurfaceUpdate]:
    """One update per time, of the vols that changed since their last quote."""
    changed = (pl.col("iv") != pl.col("iv").shift(1).over("option")).fill_null(False)
    moved = table.filter(changed).select("at_ns", "option", "iv")
    for at_ns, part in moved.group_by("at_ns", maintain_order=True):
        ivs = dict(zip(part["option"].to_list(), map(_decimal, part["iv"].to_list()), strict=True))
        yield SurfaceUpdate(int(at_ns[0]), ivs)


def _decimal(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")
