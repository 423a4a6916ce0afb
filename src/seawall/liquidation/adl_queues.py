"""Ranked-queue deleveraging as venues publish it, for compatibility and comparison; and the "ADL light" of an account.

A queue closes whole positions from the highest score on until nothing is needed: whoever stands just behind the cut
pays nothing. (`adl.allocate` has no such cliff.) Scores:

    BitMEX, Bybit   PnL%·L where PnL% > 0, else PnL%/L;  PnL% = (MV − EV)/|EV|,  L = |MV|/(MV − BV)
    Binance         PnL%·MR;  PnL% = max(0, uPnL)/max(1, wallet),  MR = MM/(wallet + uPnL), 0 where that is ≤ 0
    Hyperliquid     (mark/entry)·(notional/account value), for shorts entry/mark (its documents give the long)

MV, EV, BV: values at mark, entry and bankruptcy. Scores are floats: they rank; the lots are integers.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from seawall.core.errors import BadNumber

__all__ = [
    "Queued",
    "binance_score",
    "bitmex_score",
    "close_in_order",
    "hyperliquid_score",
    "inverse_bankruptcy_price",
    "lights",
]

Float64Array = np.ndarray[Any, np.dtype[np.float64]]
Int64Array = np.ndarray[Any, np.dtype[np.int64]]
Int8Array = np.ndarray[Any, np.dtype[np.int8]]


class Queued(NamedTuple):
    """lots: int64[N] closed per account. residual_lots: what the whole queue could not take."""

    lots: Int64Array
    residual_lots: int


def bitmex_score(mark_value: Any, bankruptcy_value: Any, entry_value: Any) -> Float64Array:
    """Signed values, arrays or numbers. An account at or beyond bankruptcy has no leverage to speak of: -inf."""
    mark, bankruptcy, entry = (np.asarray(v, np.float64) for v in (mark_value, bankruptcy_value, entry_value))
    margin = mark - bankruptcy
    alive = (margin > 0) & (entry != 0)
    leverage = np.abs(mark) / np.where(alive, margin, 1.0)
    pnl = (mark - entry) / np.where(alive, np.abs(entry), 1.0)
    rank = np.where(pnl > 0, pnl * leverage, pnl / np.where(leverage > 0, leverage, 1.0))
    return np.where(alive, rank, -np.inf)


def binance_score(unrealised: Any, wallet: Any, maintenance: Any) -> tuple[Float64Array, Float64Array]:
    """PnL% and its product with the margin ratio, by which the queue is ordered."""
    pnl, balance, margin = (np.asarray(v, np.float64) for v in (unrealised, wallet, maintenance))
    share = np.maximum(pnl, 0.0) / np.maximum(balance, 1.0)
    equity = balance + pnl
    ratio = np.where(equity > 0, margin / np.where(equity > 0, equity, 1.0), 0.0)
    return share, share * ratio


def hyperliquid_score(side: Any, mark: Any, entry: Any, notional: Any, account_value: Any) -> Float64Array:
    """side: 1 long, -1 short. An account without value has the score 0."""
    long = np.asarray(side) > 0
    up = np.asarray(mark, np.float64) / np.asarray(entry, np.float64)
    value = np.asarray(account_value, np.float64)
    used = np.where(value > 0, np.abs(np.asarray(notional, np.float64)) / np.where(value > 0, value, 1.0), 0.0)
    return np.where(long, up, 1.0 / up) * used


def close_in_order(lots: Int64Array, scores: Float64Array, need: int) -> Queued:
    """Closes `need` lots from the highest score down; of equal scores the first account is first."""
    held = np.asarray(lots, np.int64)
    if need < 0 or held.shape != np.shape(scores) or (len(held) and held.min() < 0):
        raise BadNumber("queue", f"need {need}, {held.shape} lots, {np.shape(scores)} scores", "lots and a need of at least 0")
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    before = np.concatenate((np.zeros(1, np.int64), np.cumsum(held[order])))[:-1]
    taken = np.zeros_like(held)
    taken[order] = np.clip(need - before, 0, held[order])
    return Queued(taken, need - int(taken.sum()))


def lights(lots: Int64Array, scores: Float64Array) -> Int8Array:
    """int8[N]: 5 for the fifth of accounts that is closed first, …, 1 for the last; 0 without a position.

    With `adl.allocate` as the mode, scores are the shares of profit at stake: weight per micro of cap.
    """
    held = np.flatnonzero(np.asarray(lots) > 0)
    out = np.zeros(len(lots), np.int8)
    if len(held):
        order = held[np.argsort(-np.asarray(scores, np.float64)[held], kind="stable")]
        out[order] = 5 - np.arange(len(order)) * 5 // len(order)
    return out


def inverse_bankruptcy_price(entry: Fraction, leverage: Fraction, side: int) -> Fraction:
    """Of an inverse contract: entry·L/(L + 1) for a long, entry·L/(L − 1) for a short of leverage above one."""
    if leverage <= 0 or (side < 0 and leverage <= 1):
        raise BadNumber("bankruptcy price, leverage", str(leverage), "above 0, above 1 for a short")
    return entry * leverage / (leverage + side)
