"""Tables of a book from .parquet, .csv and .jsonl files: columns as they stand, nothing interpreted yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from seawall.core.errors import BadNumber, MissingKey, UnknownKey, UnreadableFile, show
from seawall.core.jsontext import Digits

__all__ = ["COLUMNS", "REQUIRED", "read_table", "table_of_rows"]

REQUIRED = ("account", "instrument", "quantity")
COLUMNS = (*REQUIRED, "isolated", "entry")
_DECODER = msgspec.json.Decoder(float_hook=Digits)
_SHOWN = "columns account, instrument, quantity[, isolated][, entry]"


def read_table(path: Path) -> pl.DataFrame:
    """The table in a file, with the columns of a book and no others."""
    readers = {".parquet": _read_parquet, ".csv": _read_csv, ".jsonl": _read_lines, ".ndjson": _read_lines}
    if path.suffix not in readers:
        raise UnreadableFile(str(path), f"a name ending in {show(path.suffix)}", ".parquet, .csv or .jsonl")
    if path.is_dir():
        raise UnreadableFile(str(path), "a folder", "a book: " + _SHOWN)
    try:
        table = readers[path.suffix](path)
    except OSError as error:
        raise UnreadableFile(str(path), error.strerror or str(error), "a book: " + _SHOWN) from None
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError, UnicodeError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnreadableFile(str(path), f"no {path.suffix[1:]} table ({first})", "a book: " + _SHOWN) from None
    return table


def table_of_rows(rows: Iterable[Mapping[str, Any]], place: str) -> pl.DataFrame:
    """A table of text columns from objects; numbers become their decimal text."""
    columns: dict[str, list[str | None]] = {name: [] for name in COLUMNS}
    seen: set[str] = set(REQUIRED)
    for position, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise UnreadableFile(f"{place}: row {position + 1}", show(row), "an object")
        for key in row:
            if key not in columns:
                raise UnknownKey(f"{place}: row {position + 1}", f"the column {show(key)}", _SHOWN)
            seen.add(key)
        for key, column in columns.items():
            column.append(_text(row.get(key), f"{place}: row {position + 1}.{key}", key))
    return pl.DataFrame({key: columns[key] for key in COLUMNS if key in seen}, schema_overrides=_TEXT)


_TEXT = dict.fromkeys(COLUMNS, pl.String)


def check_columns(names: Iterable[str], place: str) -> None:
    """MissingKey or UnknownKey unless the columns are those of a book."""
    found = list(names)
    for name in found:
        if name not in COLUMNS:
            raise UnknownKey(f"{place}: columns", f"the column {show(name)}", _SHOWN)
    for name in REQUIRED:
        if name not in found:
            raise MissingKey(f"{place}: columns", f"no column {show(name)}", _SHOWN)


def _read_parquet(path: Path) -> pl.DataFrame:
    check_columns(pl.read_parquet_schema(path), str(path))
    return pl.read_parquet(path)


def _read_csv(path: Path) -> pl.DataFrame:
    table = pl.read_csv(path, infer_schema=False, raise_if_empty=False)
    check_columns(table.columns, str(path))
    return table


def _read_lines(path: Path) -> pl.DataFrame:
    def rows() -> Iterable[Any]:
        for number, line in enumerate(data.split(b"\n")):
            if not line.strip():
                continue
            try:
                yield _DECODER.decode(line)
            except (msgspec.DecodeError, RecursionError, UnicodeError, ValueError) as error:
                raise UnreadableFile(f"{path}: line {number + 1}", f"no JSON ({error})", "one object") from None

    data = path.read_bytes()
    return table_of_rows(rows(), str(path))


def _text(value: Any, place: str, key: str) -> str | None:
    if value is None or isinstance(value, str):
        return None if value is None else str(value)
    if isinstance(value, bool) and key == "isolated":
        return "true" if value else "false"
    if key not in ("quantity", "entry") or isinstance(value, bool | dict | list):
        expected = "a decimal number" if key in ("quantity", "entry") else "text"
        raise BadNumber(place, show(value), expected)
    return repr(value) if isinstance(value, float) else str(value)
