"""Option values of one board under a table of shocked levels and volatilities."""

import numpy as np
from numba import njit

from seawall.kernels.black76 import call_put
from seawall.kernels.normal import exp_, log_

TOTAL_VOL_MAX = 24.0  # beyond it a call is worth its forward


@njit(inline="always")
def undiscounted(forward, strike, total_vol, right):
    """Black-76 without discount; right: +1 call, -1 put. Bounded as Derive's library bounds it: a
    strike of zero or a total volatility of 24 makes a call its forward and a put its strike."""
    if strike <= 0.0 or total_vol >= TOTAL_VOL_MAX:
        return forward if right > 0 else strike
    if forward <= 0.0:
        return 0.0 if right > 0 else strike
    value = call_put(forward, strike, total_vol, right)
    return min(max(value, 0.0), forward if right > 0 else strike)


@njit(nogil=True, cache=True)
def fill_values(forwards, vols, strikes, root_times, rights, scale, out):
    """out[i, c] = scale[i] · value of option i at forward[i, c] and volatility[i, c].

    forwards, vols, out: float64[n, C]; strikes, root_times (√years), scale: float64[n]; rights: int8[n].
    """
    for i in range(forwards.shape[0]):
        for c in range(forwards.shape[1]):
            total = vols[i, c] * root_times[i]
            out[i, c] = scale[i] * undiscounted(forwards[i, c], strikes[i], total, rights[i])


def values(forwards, vols, strikes, root_times, rights, scale):
    """float64[n, C] of `fill_values`."""
    out = np.empty(forwards.shape, np.float64)
    fill_values(
        np.ascontiguousarray(forwards),
        np.ascontiguousarray(vols),
        np.ascontiguousarray(strikes, np.float64),
        np.ascontiguousarray(root_times, np.float64),
        np.ascontiguousarray(rights, np.int8),
        np.ascontiguousarray(scale, np.float64),
        out,
    )
    return out


@njit(nogil=True, cache=True)
def _exponentials(x, out):
    for i in range(x.shape[0]):
        out[i] = exp_(x[i])


@njit(nogil=True, cache=True)
def _logarithms(x, out):
    for i in range(x.shape[0]):
        out[i] = log_(x[i])


def exponentials(x):
    """e^x, float64[n], the same on every machine."""
    x = np.ascontiguousarray(x, np.float64)
    out = np.empty_like(x)
    _exponentials(x.reshape(-1), out.reshape(-1))
    return out


def logarithms(x):
    """Natural logarithm of positive x, float64[n], the same on every machine."""
    x = np.ascontiguousarray(x, np.float64)
    out = np.empty_like(x)
    _logarithms(x.reshape(-1), out.reshape(-1))
    return out
