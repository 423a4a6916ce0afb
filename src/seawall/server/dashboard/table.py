"""The accounts page: filter, sort and page over all accounts on this side, and the same rows as CSV.

A question is answered from a look's arrays. Rows with the same key keep the order of the accounts, so that pages do
not overlap.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from seawall.core.errors import InputError
from seawall.core.units import MICRO, format_micro, parse_decimal
from seawall.server.dashboard.source import STATUSES, Look, Names

__all__ = ["COLUMNS", "Query", "csv_of", "page_of", "rows_of"]

COLUMNS = ("account", "status", "equity", "initial", "maintenance", "health", "free", "ratio")
LIMIT_MOST = 500
_CHUNK = 50_000


class Query(msgspec.Struct, frozen=True):
    """What the page shows: all of its URL. status: words separated by commas, empty for all; search: part of a name;
    least: maintenance margin from which accounts are shown, a decimal."""

    status: str = ""
    search: str = ""
    least: str = ""
    sort: str = "ratio"
    descending: bool = False
    offset: int = 0
    limit: int = 50


def rows_of(query: Query, look: Look, names: Names) -> np.ndarray:
    """int64[k]: rows that pass the filter, sorted. InputError for words that are none."""
    chosen = np.arange(len(look.levels)) if not query.search else _known(names.containing(query.search), look)
    if query.status:
        codes = [_code(word) for word in query.status.split(",")]
        chosen = chosen[np.isin(look.levels[chosen], codes)]
    if query.least:
        least = parse_decimal(query.least, "least")
        chosen = chosen[look.figures[chosen, 2] >= int(least * MICRO)]
    if query.sort == "account":
        by_name = sorted(chosen.tolist(), key=lambda row: names.all[row], reverse=query.descending)
        return np.array(by_name, np.int64)
    keys = _keys(query.sort, look, chosen)
    return chosen[np.argsort(-keys if query.descending else keys, kind="stable")]


def page_of(query: Query, look: Look, names: Names) -> dict[str, Any]:
    """{"total", "offset", "rows": [[name, level, equity, initial, maintenance], …], "at_ms"}."""
    if not 0 <= query.offset or not 1 <= query.limit <= LIMIT_MOST:
        raise InputError("offset, limit", f"{query.offset}, {query.limit}", f"0 or more, 1 to {LIMIT_MOST}")
    rows = rows_of(query, look, names)
    shown = rows[query.offset : query.offset + query.limit]
    figures, levels = look.figures[shown].tolist(), look.levels[shown].tolist()
    return {
        "total": len(rows),
        "offset": query.offset,
        "rows": [[names.all[k], level, *own[:3]] for k, level, own in zip(shown.tolist(), levels, figures, strict=True)],
        "at_ms": look.at_ns // 1_000_000,
    }


def csv_of(query: Query, look: Look, names: Names) -> Iterator[bytes]:
    """All rows of the query as CSV, in pieces; amounts with six decimals."""
    yield (",".join(COLUMNS[:-1]) + "\r\n").encode()
    rows = rows_of(query, look, names)
    for start in range(0, len(rows), _CHUNK):
        piece = rows[start : start + _CHUNK]
        lines = []
        for k, level, (equity, initial, maintenance) in zip(
            piece.tolist(), look.levels[piece].tolist(), look.figures[piece, :3].tolist(), strict=True
        ):
            amounts = (equity, initial, maintenance, equity - maintenance, equity - initial)
            lines.append(",".join([_cell(names.all[k]), STATUSES[level], *map(format_micro, amounts)]))
        yield ("\r\n".join(lines) + "\r\n").encode()


def _known(rows: np.ndarray, look: Look) -> np.ndarray:
    """Rows that the look has: an account may be newer than it."""
    return rows[rows < len(look.levels)]


def _code(word: str) -> int:
    if word not in STATUSES:
        raise InputError("status", repr(word), "some of " + ", ".join(STATUSES))
    return STATUSES.index(word)


def _keys(name: str, look: Look, rows: np.ndarray) -> np.ndarray:
    equity, initial, maintenance = (look.figures[rows, k] for k in range(3))
    if name == "status":
        return look.levels[rows].astype(np.int64)
    if name == "ratio":
        ratio = np.full(len(rows), np.nan)  # sorted last, whichever way
        np.divide(equity - maintenance, maintenance, out=ratio, where=maintenance > 0)
        return ratio
    amounts = {
        "equity": equity,
        "initial": initial,
        "maintenance": maintenance,
        "health": equity - maintenance,
        "free": equity - initial,
    }
    if name not in amounts:
        raise InputError("sort", repr(name), "one of " + ", ".join(COLUMNS))
    return amounts[name]


def _cell(text: str) -> str:
    """A CSV cell: quoted where needed, and never a formula to a spreadsheet."""
    if text[:1] in "=+-@\t\r":
        text = "'" + text
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\r\n') else text
