"""a × b ÷ c on int64, exactly, rounded down, where a × b does not fit 64 bits.

A float estimate of the quotient is off by at most a few thousand; its remainder, computed modulo 2**64, is
therefore the true one, and one integer division of it corrects the estimate. Only + − × and // are used, so
the result is the same integer on every machine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

__all__ = ["mul_div_floor", "mul_div_floor_array"]

Int64Array = np.ndarray[Any, np.dtype[np.int64]]


@njit(cache=True, inline="always")
def mul_div_floor(a, b, c):
    """floor(a·b / c) for int64 a, b and 0 < c < 2**51, where |a·b / c| < 2**62."""
    quotient = np.int64(np.floor(np.float64(a) * np.float64(b) / np.float64(c)))
    return quotient + (a * b - quotient * c) // c


def mul_div_floor_array(a: Int64Array, b: Int64Array, c: Int64Array) -> Int64Array:
    """`mul_div_floor` of arrays (broadcast), in NumPy."""
    a, b, c = np.broadcast_arrays(np.asarray(a, np.int64), np.asarray(b, np.int64), np.asarray(c, np.int64))
    quotient = np.floor(a.astype(np.float64) * b.astype(np.float64) / c.astype(np.float64)).astype(np.int64)
    correction: Int64Array = (a * b - quotient * c) // c
    return quotient + correction
