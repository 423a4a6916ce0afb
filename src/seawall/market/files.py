"""Where a market document lives: one .json file, or a folder of Parquet tables with the same keys as columns.

The folder holds market.parquet (one row: as_of, settlement, rate), underlyings.parquet (symbol, index),
instruments.parquet and, where there are surfaces, surfaces.parquet. Decimals are strings; Decimal and number
columns are read too. Writing goes to a temporary name first, so a crash leaves the old file whole.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from seawall.core.errors import DuplicateRow, MissingKey, UnreadableFile, show
from seawall.core.jsontext import parse_json

from .document import Places

__all__ = ["load_document", "save_document"]

_FILE_BYTES_MAX = 1 << 30
_TEXT = pl.String


def load_document(path: Path) -> tuple[Any, Places]:
    """The document at `path` and how to name places in it; UnreadableFile where there is none."""
    if path.is_dir():
        return _load_folder(path), Places(str(path), tables=True)
    try:
        if path.stat().st_size > _FILE_BYTES_MAX:
            raise UnreadableFile(str(path), f"{path.stat().st_size:,} bytes", "at most 1 GiB of JSON")
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableFile(str(path), error.strerror or str(error), "a market.json, or a folder of tables") from None
    return parse_json(data, str(path)), Places(str(path))


def save_document(document: dict[str, Any], path: Path) -> None:
    """Writes JSON where the name ends in .json, else a folder of Parquet tables."""
    temporary = path.with_name(f".{path.name}.new")
    if path.suffix == ".json":
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=1))
        os.replace(temporary, path)
        return
    if path.exists() and not (path / "market.parquet").exists():
        raise UnreadableFile(str(path), "something that is no market", "a .json name, or a folder to make")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    for name, rows in _tables(document).items():
        pl.DataFrame(rows, infer_schema_length=None).write_parquet(temporary / f"{name}.parquet")
    shutil.rmtree(path, ignore_errors=True)
    os.replace(temporary, path)


def _tables(document: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    top = {key: document[key] for key in ("as_of", "settlement", "rate", "version") if key in document}
    tables = {
        "market": [top],
        "underlyings": [{"symbol": name, **entry} for name, entry in document["underlyings"].items()],
        "instruments": [_flat(row) for row in document["instruments"]],
    }
    if document.get("surfaces"):
        tables["surfaces"] = document["surfaces"]
    return tables


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """Weights, an object in JSON, are its text in a table."""
    if "weights" in row:
        return {**row, "weights": msgspec.json.encode(row["weights"]).decode()}
    return row


def _load_folder(folder: Path) -> dict[str, Any]:
    market = _rows(folder / "market.parquet")
    if len(market) != 1:
        raise UnreadableFile(f"{folder}/market.parquet", f"{len(market)} rows", "one row")
    document: dict[str, Any] = dict(market[0])
    document["underlyings"] = {}
    for position, row in enumerate(_rows(folder / "underlyings.parquet")):
        place = f"{folder}/underlyings.parquet: row {position + 1}"
        name = row.pop("symbol", None)
        if name is None:
            raise MissingKey(f"{place}.symbol", "nothing", "a name")
        if name in document["underlyings"]:
            raise DuplicateRow(f"{place}.symbol", f"{show(name)} again", "each underlying once")
        document["underlyings"][name] = row
    document["instruments"] = _rows(folder / "instruments.parquet")
    for position, row in enumerate(document["instruments"]):
        if isinstance(row.get("weights"), str):
            place = f"{folder}/instruments.parquet: row {position + 1}.weights"
            row["weights"] = parse_json(row["weights"].encode(), place)
    if (folder / "surfaces.parquet").exists():
        document["surfaces"] = _rows(folder / "surfaces.parquet")
    return document


def _rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a table as objects, without the keys that are null in them."""
    try:
        table = pl.read_parquet(path)
        rows = table.to_dicts()
    except OSError as error:
        raise UnreadableFile(str(path), error.strerror or "nothing", "a Parquet table") from None
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnreadableFile(str(path), f"no Parquet table ({first})", "a Parquet table") from None
    return [{key: value for key, value in row.items() if value is not None} for row in rows]
