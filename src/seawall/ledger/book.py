"""Book: who owns what, as files say it: rows of account, instrument, quantity. `bind` makes it arrays.

A file is checked when it is read, as far as it can be without a market: columns, numbers, duplicates. The
market's part (unknown symbols, whole lots, values) is checked in `bind`. Either all of a book is right or
none of it is used; the error names the first row that is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from seawall.core.errors import DuplicateRow, MissingKey, UnreadableFile, show

from . import binding
from .accounts import Accounts
from .amounts import Amounts, parse_amounts
from .files import check_columns, read_table, table_of_rows

__all__ = ["Book"]

Array = np.ndarray[Any, Any]
_NAME_CHARACTERS_MAX = 256
_REPEATED = 100  # a column with so many rows per distinct value is coded without looking for runs
_CROSS = ("", "false", "no", "0")
_OWN_POOL = ("true", "yes", "1")


@dataclass(frozen=True, eq=False, slots=True)
class Book:
    """The rows of a book, checked and numbered. Make one with `Book.load` or `Book.from_rows`.

    place: the file, for errors. names: the accounts in order of appearance, isolated pools among them as
    "alice:BTC-PERP". account int32[n] and instrument int32[n] number `names` and `instruments`. entry: None
    where the book has no such column.
    """

    place: str
    names: pl.Series
    instruments: list[str]
    account: Array
    instrument: Array
    quantity: Amounts
    entry: Amounts | None

    def __len__(self) -> int:
        return len(self.account)

    @classmethod
    def load(cls, path: str | Path, market: Any = None) -> Book:
        """The book in a .parquet, .csv or .jsonl file. With a market, it is also tried against it."""
        book = cls._of_table(read_table(Path(path)), str(path))
        if market is not None:
            book.bind(market)
        return book

    @classmethod
    def from_rows(
        cls, rows: pl.DataFrame | Iterable[Mapping[str, Any]], market: Any = None, place: str = "book"
    ) -> Book:
        """A book from a table or from objects: {"account": "a", "instrument": "BTC", "quantity": "1"}."""
        if isinstance(rows, pl.DataFrame):
            check_columns(rows.columns, place)
        else:
            rows = table_of_rows(rows, place)
        book = cls._of_table(rows, place)
        if market is not None:
            book.bind(market)
        return book

    def bind(self, market: Any, settlement: str | None = None) -> Accounts:
        """The accounts as integer arrays over the legs of a market.

        market: a Market, or its legs together with `settlement`. An InputError names the first row that the
        market cannot place: an unknown or expired instrument, a quantity between lots, a value too large.
        """
        legs = getattr(market, "legs", market)
        currency = settlement if settlement is not None else market.settlement
        return binding.bind(self, legs, currency, getattr(market, "as_of_ns", None))

    def row_place(self, row: int) -> str:
        """How errors name a row: file, number from one, account and instrument."""
        name = f"{self.names[int(self.account[row])]}, {self.instruments[int(self.instrument[row])]}"
        return f"{self.place}: row {row + 1} ({name})"

    @classmethod
    def _of_table(cls, table: pl.DataFrame, place: str) -> Book:
        if table.height == 0:
            raise UnreadableFile(place, "a book without rows", "at least one row")
        account = _names(table["account"], place)
        instrument = _names(table["instrument"], place)
        pool = _pools(table, instrument, place)
        instruments, instrument_ids = _numbered(instrument)
        if pool is not None:
            account = _pooled(account, pool, place)
        names, account_ids = _numbered(account)

        def at(key: str) -> Any:
            return lambda row: f"{place}: row {row + 1} ({account[row]}, {instrument[row]}).{key}"

        quantity = parse_amounts(table["quantity"], at("quantity"))
        if not quantity.given.all():
            raise MissingKey(at("quantity")(int(np.argmin(quantity.given))), "nothing", "a quantity")
        entry = parse_amounts(table["entry"], at("entry")) if "entry" in table.columns else None
        book = cls(place, names, instruments.to_list(), account_ids, instrument_ids, quantity, entry)
        _refuse_duplicates(book)
        return book


def _names(column: pl.Series, place: str) -> pl.Series:
    """A column of names as text; MissingKey or UnreadableFile for the first that is none."""
    if column.dtype in (pl.Categorical, pl.Enum) or column.dtype.is_integer():
        column = column.cast(pl.String)
    if column.dtype != pl.String:
        raise UnreadableFile(f"{place}: column {column.name}", f"the type {column.dtype}", "text")
    length = column.str.len_bytes().fill_null(0)
    bad = (length == 0) | (length > _NAME_CHARACTERS_MAX)
    if bad.any():
        row = int(bad.arg_max() or 0)
        where = f"{place}: row {row + 1}.{column.name}"
        if not column[row]:
            raise MissingKey(where, "nothing", "a name")
        raise UnreadableFile(where, show(column[row]), f"a name of at most {_NAME_CHARACTERS_MAX} bytes")
    return column


def _numbered(column: pl.Series) -> tuple[pl.Series, Array]:
    """Distinct values in order of appearance, and the number of each row's value."""
    distinct = column.unique(maintain_order=True).rename("name")
    if len(distinct) * _REPEATED < len(column):
        return distinct, _codes(column, distinct)
    # Books mostly come sorted by account: then numbering the runs is all there is to do.
    run = column.rle_id().to_numpy()
    if int(run[-1]) + 1 == len(distinct):
        return distinct, run.astype(np.int32)
    heads = column.gather(np.flatnonzero(np.diff(run, prepend=np.uint32(2**32 - 1))))
    return distinct, _codes(heads, distinct)[run]


def _codes(column: pl.Series, distinct: pl.Series) -> Array:
    codes: Array = column.cast(pl.Enum(distinct)).to_physical().cast(pl.Int32).to_numpy()
    return codes


def _pools(table: pl.DataFrame, instrument: pl.Series, place: str) -> pl.Series | None:
    """The pool of each row, null for the account's cross pool; None where the whole book is cross."""
    if "isolated" not in table.columns:
        return None
    column = table["isolated"]
    if column.dtype == pl.Boolean:
        column = column.cast(pl.String)
    if column.dtype == pl.Null:
        return None
    if column.dtype in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    if column.dtype != pl.String:
        raise UnreadableFile(f"{place}: column isolated", f"the type {column.dtype}", "true, false or a pool's name")
    frame = pl.DataFrame({"pool": column, "instrument": instrument})
    lower = pl.col("pool").str.to_lowercase()
    pool = frame.select(
        pl.when(pl.col("pool").is_null() | lower.is_in(_CROSS))
        .then(None)
        .when(lower.is_in(_OWN_POOL))
        .then(pl.col("instrument"))
        .otherwise(pl.col("pool"))
        .alias("pool")
    )["pool"]
    return None if pool.null_count() == len(pool) else _names_or_null(pool, place)


def _names_or_null(pool: pl.Series, place: str) -> pl.Series:
    too_long = (pool.str.len_bytes() > _NAME_CHARACTERS_MAX).fill_null(False)
    if too_long.any():
        row = int(too_long.arg_max() or 0)
        raise UnreadableFile(f"{place}: row {row + 1}.isolated", show(pool[row]), "true, false or a pool's name")
    return pool


def _pooled(account: pl.Series, pool: pl.Series, place: str) -> pl.Series:
    """Names of margin accounts, "alice" or "alice:pool"; DuplicateRow where two would be called the same."""
    frame = pl.DataFrame({"account": account, "pool": pool})
    named = frame.select(
        pl.when(pl.col("pool").is_null())
        .then(pl.col("account"))
        .otherwise(pl.concat_str("account", pl.lit(":"), "pool"))
        .alias("name"),
    )["name"]
    # Only a name that already holds a colon can meet a composed one.
    if account.str.contains(":", literal=True).any():
        distinct = frame.with_columns(name=named).unique(["account", "pool"], maintain_order=True)
        twice = distinct.filter(distinct["name"].is_duplicated())
        if twice.height:
            found = f"the account {show(twice['name'][0])} from two different pairs of account and pool"
            raise DuplicateRow(f"{place}: column isolated", found, "names of accounts and pools that stay apart")
    return named


def _refuse_duplicates(book: Book) -> None:
    keys = book.account.astype(np.int64) * len(book.instruments) + book.instrument
    ordered = np.sort(keys)
    same = np.flatnonzero(ordered[1:] == ordered[:-1])
    if len(same):
        first, second = np.flatnonzero(keys == ordered[same[0]])[:2]
        found = f"the same account and instrument as row {first + 1}"
        raise DuplicateRow(book.row_place(int(second)), found, "one row for each")
