"""Worst of 32 scenarios for every account of a book, fused: the sums are never written out."""

import numpy as np
from numba import njit

from seawall.kernels.lanes import LANES, project32


@njit(nogil=True, cache=True)
def scan(rows, row_ptr, legs, lots, first, last, columns, out):
    """out[a] = min over c < columns of Σ lots[p] · rows[legs[p], c], for accounts [first, last).

    rows: int64[L, >= 32] nano per lot; row_ptr: int64[A+1]; legs: int32[]; lots, out: int64[].
    columns <= 32 is a run-time value: a literal would unroll the minimum into scalar code.
    """
    sums = np.zeros(LANES, np.int64)
    for a in range(first, last):
        project32(rows, legs, lots, row_ptr[a], row_ptr[a + 1], sums)
        least = sums[0]
        for c in range(1, columns):
            least = min(least, sums[c])
        out[a] = least
