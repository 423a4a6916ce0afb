"""Columns of decimals, exactly, without a Python loop: int64 billionths, and the few that do not fit apart.

Text goes through Polars' 128-bit decimals; a float is taken for its shortest decimal text, which it is if and
only if dividing the billionths back gives the same float. What is left (more than nine decimals, beyond 9.2
billion, an exponent, or no number at all) is read one by one with Python's Decimal, which decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl

from seawall.core.errors import UnreadableFile
from seawall.core.units import NANO, parse_decimal

__all__ = ["Amounts", "parse_amounts"]

Array = np.ndarray[Any, Any]
_TEXT_DECIMALS = 18
_SHORT_TEXT = 18  # a text no longer than this has no more than 18 decimals, however it is written
_FLOAT_EXACT = 2.0**53


@dataclass(frozen=True, eq=False, slots=True)
class Amounts:
    """nano int64[n]: billionths. given bool[n]: whether there was a value. odd: row → value past nano."""

    nano: Array
    given: Array
    odd: dict[int, Decimal]


def parse_amounts(column: pl.Series, place: Callable[[int], str]) -> Amounts:
    """The amounts of a column of text, decimals, integers or floats; place(row) names a row in errors.

    Null and empty text are not given. Raises BadNumber for the first row that is no finite decimal number.
    """
    given = column.is_not_null().to_numpy()
    kind = column.dtype
    if kind == pl.String:
        given = given & (column.str.len_bytes().fill_null(0) > 0).to_numpy()
        nano, sure = _from_text(column)
    elif isinstance(kind, pl.Decimal):
        nano, sure = _from_decimal(column)
    elif kind.is_integer():
        nano, sure = _from_decimal(column.cast(pl.Decimal(38, 0), strict=False))
    elif kind.is_float():
        nano, sure = _from_float(column)
    elif kind == pl.Null:
        nano, sure = np.zeros(len(column), np.int64), np.zeros(len(column), bool)
    else:
        raise UnreadableFile(place(0), f"a column of type {kind}", "decimal numbers, as text")
    odd: dict[int, Decimal] = {}
    for row in np.flatnonzero(given & ~sure).tolist():
        odd[row] = parse_decimal(column[row], place(row))
    return Amounts(np.where(given & sure, nano, 0), given, odd)


def _from_text(column: pl.Series) -> tuple[Array, Array]:
    exact = column.cast(pl.Decimal(38, _TEXT_DECIMALS), strict=False)
    nano, sure = _from_decimal(exact)
    length = column.str.len_bytes()
    if int(length.max() or 0) > _SHORT_TEXT:  # type: ignore[arg-type]
        sure &= ((length <= _SHORT_TEXT) | (column.str.count_matches(r"\.\d{19}") == 0)).fill_null(False).to_numpy()
    if column.str.contains("[eE]").any():
        sure &= ~column.str.contains("[eE]").fill_null(True).to_numpy()
    return nano, sure


def _from_decimal(column: pl.Series) -> tuple[Array, Array]:
    rounded = column.cast(pl.Decimal(38, 9), strict=False)
    nano = rounded.to_physical().cast(pl.Int64, strict=False)
    sure = (rounded == column).fill_null(False) & nano.is_not_null()
    return nano.fill_null(0).to_numpy(), sure.to_numpy()


def _from_float(column: pl.Series) -> tuple[Array, Array]:
    numbers = column.cast(pl.Float64).fill_null(0.0).to_numpy()
    if column.dtype == pl.Float32:
        # A 32-bit float's own shortest text is what was meant, not that of its 64-bit copy.
        return _from_text(column.cast(pl.String))
    with np.errstate(over="ignore", invalid="ignore"):
        nano = np.rint(numbers * NANO)
        sure = np.isfinite(nano) & (np.abs(nano) < _FLOAT_EXACT)
        nano = np.where(sure, nano, 0.0)
    return nano.astype(np.int64), sure & (nano / NANO == numbers)
