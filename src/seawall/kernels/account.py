"""Evaluates accounts one by one under whichever kind of model the tables hold."""

import numpy as np

from seawall.kernels import blocks, cells, payoff, quadratic, tail, tail_book, tiers, worst
from seawall.kernels.compiled import whole
from seawall.kernels.tables import BLOCKS, CELLS, PAYOFF, QUADRATIC, TAIL, TIERS, Tables


def evaluate_accounts(
    kind: int,
    tables: Tables,
    starts: np.ndarray,
    stops: np.ndarray,
    legs: np.ndarray,
    lots: np.ndarray,
    cash_nano: np.ndarray,
    out: np.ndarray,
) -> None:
    """out[a] = equity, initial, maintenance (micro) and worst scenario of every account.

    starts, stops: int64[A], each account's slice of legs (int32[]) and lots (int64[]), sorted by
    leg; cash_nano: int64[A]; out: int64[A, 4]. Each kind of tables has a loop of its own, so that
    a process compiles only what it uses.
    """
    _LOOPS[kind](tables, starts, stops, legs, lots, cash_nano, out)


def evaluate_one(kind: int, tables: Tables, legs: np.ndarray, lots: np.ndarray, cash_nano: int) -> np.ndarray:
    """int64[4] of one account that holds lots (int64) of legs (int32, rising)."""
    out = np.zeros((1, 4), np.int64)
    spans = np.array([0, len(legs), cash_nano], np.int64)
    _LOOPS[kind](tables, spans[:1], spans[1:2], legs, lots, spans[2:], out)
    return out[0]


@whole
def _tiers(tables, starts, stops, legs, lots, cash_nano, out):
    for a in range(len(out)):
        tiers.account(tables, legs, lots, starts[a], stops[a], cash_nano[a], out[a])


@whole
def _cells(tables, starts, stops, legs, lots, cash_nano, out):
    count = max(tables.underlying_params.shape[0], 1)
    profiles = np.zeros((count, cells.PROFILE), np.int64)
    underlyings = np.zeros(count, np.int32)
    for a in range(len(out)):
        cells.account(tables, legs, lots, starts[a], stops[a], cash_nano[a], profiles, underlyings, out[a])


@whole
def _blocks(tables, starts, stops, legs, lots, cash_nano, out):
    scratch = np.zeros(blocks.scratch_size(tables), np.int64)
    for a in range(len(out)):
        blocks.account(tables, legs, lots, starts[a], stops[a], cash_nano[a], scratch, out[a])


@whole
def _payoff(tables, starts, stops, legs, lots, cash_nano, out):
    scratch = np.zeros(2, np.int64)
    for a in range(len(out)):
        payoff.account(tables, legs, lots, starts[a], stops[a], cash_nano[a], scratch, out[a])


def _tail(
    tables: Tables,
    starts: np.ndarray,
    stops: np.ndarray,
    legs: np.ndarray,
    lots: np.ndarray,
    cash_nano: np.ndarray,
    out: np.ndarray,
) -> None:
    scratch = np.zeros((5, worst.room(tables.values.shape[1] - 1)), np.int64)
    left = tail_book.evaluate(tables, starts, stops, legs, lots, cash_nano, out) if len(out) > 1 else None
    if left is None:
        tail.accounts(tables, starts, stops, legs, lots, cash_nano, scratch, out)
    elif len(left):
        figures = out[left]
        tail.accounts(tables, starts[left], stops[left], legs, lots, cash_nano[left], scratch, figures)
        out[left] = figures


@whole
def _quadratic(tables, starts, stops, legs, lots, cash_nano, out):
    vector = np.zeros(tables.underlying_params.shape[0] + 5, np.int64)
    factors = np.zeros(len(vector), np.int64)
    for a in range(len(out)):
        quadratic.account(tables, legs, lots, starts[a], stops[a], cash_nano[a], vector, factors, out[a])


_LOOPS = {TIERS: _tiers, CELLS: _cells, BLOCKS: _blocks, PAYOFF: _payoff, TAIL: _tail, QUADRATIC: _quadratic}
