"""The whole book over a grid of spot × volatility: every cell a full evaluation at moved prices.

All index prices move together by the same share, all vols by the same share, at the present time. The middle of the
grid is the present.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np

from seawall.core.errors import LimitExceeded
from seawall.core.units import NANO, format_micro
from seawall.kernels.account import evaluate_accounts
from seawall.margin.evaluate import EXPOSURE_LIMIT_NANO, status_codes
from seawall.margin.model import Model
from seawall.margin.single import IV_LEAST, IV_MOST

__all__ = ["SPOT", "VOL", "Book", "stress_cell", "sweep"]

SPOT = (-0.30, -0.20, -0.10, -0.05, 0.0, 0.05, 0.10, 0.20, 0.30)
VOL = (-0.30, 0.0, 0.25, 0.50, 1.0)


class Book(msgspec.Struct, frozen=True, eq=False):
    """Every account's positions, and the market and model that they stand in. starts, stops int64[A]: an account's slice
    of leg (int32) and lots (int64); cash_nano int64[A]."""

    starts: np.ndarray
    stops: np.ndarray
    leg: np.ndarray
    lots: np.ndarray
    cash_nano: np.ndarray
    market: Any
    model: Model


def sweep(book: Book) -> np.ndarray:
    """int64[A, 3]: equity, initial, maintenance of every account at the present, micro; open orders left out."""
    return _evaluated(book, book.model.tables(book.market))[:, :3].copy()


def stress_cell(book: Book, spot: float, vol: float) -> dict[str, Any] | None:
    """Sums of one cell: accounts by status, maintenance of those below it, and what is missing. None beyond the limits
    of values.

    shortfall: of the accounts below maintenance, how far; deficit: below zero equity, what others would have to pay.
    """
    market, legs = book.market, book.market.legs
    nano = np.maximum(np.round(legs.index_nano * (1.0 + spot)), 1).astype(np.int64)
    moved = replace(legs, iv=np.clip(legs.iv * (1.0 + vol), IV_LEAST, IV_MOST)) if vol else legs
    board = SimpleNamespace(
        legs=moved.with_index(nano), as_of_ns=market.as_of_ns, rate=market.rate,
        underlyings=market.underlyings, instruments=market.instruments,
    )  # fmt: skip
    try:
        out = _evaluated(book, book.model.tables(board))
    except LimitExceeded:
        return None
    equity, initial, maintenance = out[:, 0], out[:, 1], out[:, 2]
    codes = status_codes(equity, initial, maintenance)
    under = codes >= 2
    return {
        "counts": np.bincount(codes, minlength=4)[:4].tolist(),
        "at_risk": format_micro(_sum(maintenance[under])),
        "shortfall": format_micro(_sum((maintenance - equity)[under])),
        "deficit": format_micro(-_sum(equity[equity < 0])),
        "equity": format_micro(_sum(equity)),
    }


def _evaluated(book: Book, tables: Any) -> np.ndarray:
    """int64[A, 4]; LimitExceeded where an account's products could leave int64."""
    largest = np.abs(tables.values).max(axis=1, initial=0).astype(np.float64)
    terms = np.abs(book.lots.astype(np.float64)) * largest[book.leg]
    sums = np.concatenate([[0.0], np.cumsum(terms)])
    worth = sums[book.stops] - sums[book.starts] + np.abs(book.cash_nano.astype(np.float64))
    if len(worth) and worth.max() >= EXPOSURE_LIMIT_NANO:
        found = f"positions and cash worth {worth.max() / NANO:.6g}"
        raise LimitExceeded("stress", found, f"less than {EXPOSURE_LIMIT_NANO // NANO:,}")
    out = np.zeros((len(book.cash_nano), 4), np.int64)
    evaluate_accounts(book.model.kind, tables, book.starts, book.stops, book.leg, book.lots, book.cash_nano, out)
    return out


def _sum(values: np.ndarray) -> int:
    """An exact sum of int64 as a Python integer."""
    return (int((values >> 32).sum()) << 32) + int((values & 0xFFFFFFFF).sum())
