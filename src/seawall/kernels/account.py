"""Evaluates accounts one by one under whichever kind of model the tables hold."""

import numpy as np
from numba import njit

from seawall.kernels import blocks, cells, payoff, tiers
from seawall.kernels.tables import BLOCKS, CELLS, PAYOFF, TIERS


@njit(nogil=True, cache=True, error_model="numpy")
def evaluate_accounts(kind, tables, starts, stops, legs, lots, cash_nano, out):
    """out[a] = equity, initial, maintenance (micro) and worst scenario of every account.

    starts, stops: int64[A], each account's slice of legs (int32[]) and lots (int64[]), sorted by
    leg; cash_nano: int64[A]; out: int64[A, 4].
    """
    underlying_count = tables.underlying_params.shape[0]
    work = np.zeros(2, np.int64)
    profiles = np.zeros((max(underlying_count, 1), cells.PROFILE), np.int64)
    underlyings = np.zeros(max(underlying_count, 1), np.int32)
    scratch = np.zeros(max(blocks.scratch_size(tables), 2), np.int64)
    for a in range(len(out)):
        start, stop = starts[a], stops[a]
        if kind == TIERS:
            tiers.account(tables, legs, lots, start, stop, cash_nano[a], out[a])
        elif kind == CELLS:
            cells.account(tables, legs, lots, start, stop, cash_nano[a], work, profiles, underlyings, out[a])
        elif kind == BLOCKS:
            blocks.account(tables, legs, lots, start, stop, cash_nano[a], scratch, out[a])
        elif kind == PAYOFF:
            payoff.account(tables, legs, lots, start, stop, cash_nano[a], scratch, out[a])
