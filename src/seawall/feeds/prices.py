"""Price files of any common shape, read into one ordered stream of ticks.

A bar is not a price but four: it is played as the path open, the nearer extreme, the farther extreme, close,
at fixed fractions of its length, so a replay meets the low that a crash really printed. When a file holds
several series of one underlying (spot and perpetual, two venues), one of them becomes its price: one that has prices in
the asked span, an index or mark before spot, spot before perpetuals, more rows before fewer; the choice is
reported, never silent.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

import numpy as np
import polars as pl

from seawall.core.errors import BadNumber, InputError, UnreadableFile
from seawall.feeds import chains, tables
from seawall.feeds.ticks import PriceHistory, Ticks

__all__ = ["read_prices", "underlying_of"]

_PAIR = re.compile(r"^(?P<base>[A-Z0-9]{2,}?)[-_/:]?(?:USDT|USDC|USD|FDUSD|BUSD|EUR)(?:[-_:].*)?$")
_DERIVATIVE = re.compile(r"perp|swap|future|delivery", re.IGNORECASE)
_REFERENCE = re.compile(r"mark|index|oracle", re.IGNORECASE)


def read_prices(
    path: str | Path,
    *,
    names: Collection[str] | None = None,
    symbol: str | None = None,
    venue: str | None = None,
    start_ns: int | None = None,
    end_ns: int | None = None,
) -> PriceHistory:
    """Reads a file of ticks, bars or an option chain.

    names: instruments and underlyings that are wanted (None: all); a symbol among them is kept as it is,
    any other is cut to its underlying ("AAVE-USD" and "BTC/USDT:USDT" become "AAVE" and "BTC").
    symbol: the name of a file's only series where it has no symbol column; venue: take its series alone.
    Raises InputError naming file, row, what was found and what was expected.
    """
    place = str(path)
    frame = tables.read_table(path)
    try:
        if chains.is_chain(frame):
            history = chains.read_chain(frame, place, names, start_ns, end_ns)
        elif tables.is_wide(frame):
            history = _read_wide(frame, place, names)
        else:
            history = _read_long(frame, place, names, symbol, venue, (start_ns, end_ns))
    except (pl.exceptions.InvalidOperationError, pl.exceptions.ComputeError) as error:
        # a list for a symbol, words for a strike: what a whole column could not be turned into
        found = f"a column that cannot be read ({tables.first_line(error)})"
        raise UnreadableFile(place, found, "names, times and numbers") from error
    if start_ns is not None or end_ns is not None:
        history = history.between(start_ns, end_ns)
    return history


def underlying_of(symbol: str) -> str:
    """The underlying of a venue's symbol for a spot pair or a perpetual.

    >>> [underlying_of(s) for s in ("BTCUSDT", "AAVE-USD", "AVAXUSD_PERP", "BTC/USDT:USDT", "ETH")]
    ['BTC', 'AAVE', 'AVAX', 'BTC', 'ETH']
    """
    name = re.sub(r"[-_](PERP|SWAP|PERPETUAL|SPOT)$", "", symbol.strip().upper())
    match = _PAIR.match(name)
    return match["base"] if match else name


def _read_long(
    frame: pl.DataFrame,
    place: str,
    names: Collection[str] | None,
    symbol: str | None,
    venue: str | None,
    span: tuple[int | None, int | None],
) -> PriceHistory:
    columns = tables.recognise(frame, place)
    frame = tables.without_empty_bars(frame.with_row_index(tables.ROW, offset=1), columns, place)
    tables.check_prices(frame, columns, place)
    table = _normalised(frame, columns, place, symbol)
    if venue is not None:
        venues = sorted(table["venue"].unique().to_list())
        if venue not in venues:
            raise InputError(
                place, f"no series of venue {venue!r}", "one of " + (", ".join(venues) or "no venue")
            )
        table = table.filter(pl.col("venue") == venue)
    table = table.sort("venue", "symbol", maintain_order=True)
    parts = table.partition_by("venue", "symbol", maintain_order=True, as_dict=True)
    by_name: dict[str, list[tuple[tuple[bool, int, int], str, pl.DataFrame]]] = {}
    for (part_venue, part_symbol), part in parts.items():
        label = f"{part_venue} {part_symbol}".strip()
        tables.check_time_order(part, place, label, bars="open" in part.columns)
        name = part_symbol if names is not None and part_symbol in names else underlying_of(part_symbol)
        inside = _rows_inside(part, span)
        by_name.setdefault(name, []).append(((inside == 0, _rank(label), -inside), label, part))
    chosen, series, unused = [], {}, []
    ticking = sorted(name for name in by_name if names is None or name in names)
    if not ticking:
        found = ", ".join(sorted(by_name)[:8])
        raise InputError(place, f"prices of {found}", "a price of " + ", ".join(sorted(names or ())[:8]))
    for index, name in enumerate(ticking):
        best, *rest = sorted(by_name[name], key=lambda candidate: candidate[0])
        chosen.append((index, best[2]))
        series[name] = best[1]
        unused += [label for _, label, _ in rest]
    unused += [label for name in by_name if name not in series for _, label, _ in by_name[name]]
    ticks = Ticks.merge(ticking, [_path_of(part, index) for index, part in chosen])
    return PriceHistory(place, ticks, series, tuple(unused))


def _normalised(frame: pl.DataFrame, columns: tables.Columns, place: str, symbol: str | None) -> pl.DataFrame:
    """Columns venue, symbol, at_ns, row, price or open, high, low, close in nano, and step_ns if known."""
    if columns.symbol is None and symbol is None:
        # A file of one series named after it, as in usde_usdt_1m.parquet.
        symbol = re.split(r"[_\-.]", Path(place).stem)[0].upper()
    made: list[pl.Series | pl.Expr] = [
        tables.to_ns(frame[columns.time], place, frame).alias("at_ns"),
        pl.col(tables.ROW).cast(pl.Int64).alias("row"),
    ]
    made.append(
        pl.lit(symbol).alias("symbol")
        if columns.symbol is None
        else tables.to_text(frame, columns.symbol, place).alias("symbol")
    )
    made.append(
        pl.lit("").alias("venue")
        if columns.venue is None
        else pl.col(columns.venue).cast(pl.String).fill_null("").alias("venue")
    )
    targets = ("price",) if len(columns.prices) == 1 else tables.OHLC
    made += [
        tables.to_nano(frame[name]).alias(target)
        for name, target in zip(columns.prices, targets, strict=True)
    ]
    if columns.step is not None:
        made.append(tables.to_steps(frame, columns.step, place).alias("step_ns"))
    return frame.select(made)


def _rows_inside(part: pl.DataFrame, span: tuple[int | None, int | None]) -> int:
    start_ns, end_ns = span
    at_ns = part["at_ns"]
    inside = pl.repeat(True, len(at_ns), eager=True)
    if start_ns is not None:
        inside &= at_ns >= start_ns
    if end_ns is not None:
        inside &= at_ns < end_ns
    return int(inside.sum())


def _rank(label: str) -> int:
    """0 for a mark or index, 1 for spot, 2 for a derivative's own last price."""
    if _REFERENCE.search(label):
        return 0
    return 2 if _DERIVATIVE.search(label) else 1


def _path_of(part: pl.DataFrame, index: int) -> tuple[np.ndarray, int, np.ndarray]:
    """One series as ticks: prices as they are, bars as their path."""
    at_ns = part["at_ns"].to_numpy()
    if "price" in part.columns:
        return at_ns, index, part["price"].to_numpy()
    opens, high, low, close = (part[name].to_numpy() for name in tables.OHLC)
    if "step_ns" in part.columns:
        step = part["step_ns"].to_numpy()
    else:
        gaps = np.diff(at_ns)
        # The commonest small gap is the bar length; missing bars only make larger ones.
        step = np.full(len(at_ns), int(gaps.min()) if len(gaps) else 60_000_000_000)
    falls_first = close >= opens  # a bar that ends up most plausibly went down first
    first = np.where(falls_first, low, high)
    second = np.where(falls_first, high, low)
    prices = np.stack([opens, first, second, close], axis=1)
    times = at_ns[:, None] + np.stack([step * 0, step // 3, 2 * step // 3, step - 1], axis=1)
    keep = np.ones(prices.shape, bool)
    keep[:, 1:] = prices[:, 1:] != prices[:, :-1]  # a price that stays is no tick
    return times[keep], index, prices[keep]


def _read_wide(frame: pl.DataFrame, place: str, names: Collection[str] | None) -> PriceHistory:
    """One time column and one column of prices per name; an empty cell means no tick."""
    time = next(column for column in frame.columns if column.lower() in tables.TIME)
    at_ns = tables.to_ns(frame[time], place)
    kept = [column for column in frame.columns if column != time and (names is None or column in names)]
    if not kept:
        found = ", ".join(column for column in frame.columns if column != time)
        raise InputError(place, f"prices of {found}", "a price of " + ", ".join(sorted(names or ())[:8]))
    parts = []
    for index, name in enumerate(kept):
        part = pl.DataFrame({"at_ns": at_ns, "price": frame[name]}).with_row_index("row", offset=1)
        part = part.filter(pl.col("price").is_not_null())
        good = (part["price"] >= 5e-10) & (part["price"] < 9e9)
        bad = (~good).arg_true()
        if len(bad):
            row, found = int(part["row"][int(bad[0])]), part["price"][int(bad[0])]
            raise BadNumber(f"{place} row {row}", f"{name} = {found}", tables.PRICE_EXPECTED)
        tables.check_time_order(part, place, name, bars=False)
        parts.append((part["at_ns"].to_numpy(), index, tables.to_nano(part["price"]).to_numpy()))
    unused = tuple(column for column in frame.columns if column != time and column not in kept)
    return PriceHistory(place, Ticks.merge(kept, parts), {name: name for name in kept}, unused)
