"""Black-76: the value of a European option on a forward, its derivatives, and the volatility behind a price.

With k = ln(F/K), s = σ√T, d1 = k/s + s/2 and d2 = d1 − s, a call is F·Φ(d1) − K·Φ(d2) before discounting
(F. Black, "The pricing of commodity contracts", 1976). Because F·φ(d1) = K·φ(d2), one exponential serves both
tails: F·Φ(−|d1|) = E·R(|d1|) and K·Φ(−|d2|) = E·R(|d2|) with E = F·e^{−d1²/2} and the Mills ratio R of
`normal.py`. Straight-line arithmetic only, so a loop over an array vectorises and is bit-reproducible.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike

from seawall.kernels.normal import exp_, log_, mills, norm_cdf, norm_pdf

__all__ = [
    "GREEKS",
    "call_put",
    "call_put_log",
    "greeks",
    "implied_total_vol",
    "implied_vols",
    "values",
    "values_grid",
]

GREEKS = ("value", "delta", "gamma", "vega", "theta", "rho", "vanna", "volga")
_TOTAL_VOL_MIN = 1e-12
_TOTAL_VOL_MAX = 50.0
_ROUNDS_MAX = 200

Array = np.ndarray[Any, Any]


@njit(cache=True, forceinline=True, error_model="numpy")
def call_put_log(forward, strike, log_moneyness, total_vol, right):
    """As `call_put`, for a caller that has log_moneyness = ln(forward / strike) already."""
    s = max(total_vol, _TOTAL_VOL_MIN)
    s = min(s, _TOTAL_VOL_MAX)
    d1 = log_moneyness / s + 0.5 * s
    d2 = d1 - s
    e = forward * exp_(-0.5 * d1 * d1)
    tail1 = e * mills(abs(d1))
    tail2 = e * mills(abs(d2))
    part1 = forward - tail1 if right * d1 > 0.0 else tail1
    part2 = strike - tail2 if right * d2 > 0.0 else tail2
    intrinsic = max(right * (forward - strike), 0.0)
    value = max(right * (part1 - part2), intrinsic)
    return value if total_vol > _TOTAL_VOL_MIN else intrinsic


@njit(cache=True, forceinline=True, error_model="numpy")
def call_put(forward, strike, total_vol, right):
    """Undiscounted value of a call (right +1) or a put (−1); total_vol = σ√T.

    forward, strike > 0. Absolute error below 3e-15·(forward + strike); never below intrinsic value, and equal
    to it at total_vol <= 1e-12.
    """
    return call_put_log(forward, strike, log_(forward / strike), total_vol, right)


@njit(nogil=True, cache=True, error_model="numpy")
def _values(forward, strike, total_vol, right, out):
    for i in range(out.shape[0]):
        out[i] = call_put(forward[i], strike[i], total_vol[i], right[i])


def values(forward: ArrayLike, strike: ArrayLike, total_vol: ArrayLike, right: ArrayLike) -> Array:
    """float64[n] of `call_put`; arguments broadcast."""
    args = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(x, np.float64)) for x in (forward, strike, total_vol, right))
    )
    out = np.empty(args[0].shape, np.float64)
    _values(*(np.ascontiguousarray(x).ravel() for x in args), out.reshape(-1))
    return out


@njit(nogil=True, cache=True, error_model="numpy")
def values_grid(forward, strike, log_moneyness, total_vol, right, multiple, log_multiple, vol_multiple, out):
    """out[i, c] = call_put(forward[i]·multiple[c], strike[i], total_vol[i]·vol_multiple[c], right[i]).

    All float64; the logs ln(forward/strike) and ln(multiple) are given, so that no log is taken per cell.
    """
    columns = multiple.shape[0]
    for i in range(forward.shape[0]):
        f, k, lm, s, r = forward[i], strike[i], log_moneyness[i], total_vol[i], right[i]
        for c in range(columns):
            out[i, c] = call_put_log(f * multiple[c], k, lm + log_multiple[c], s * vol_multiple[c], r)


@njit(nogil=True, cache=True, error_model="numpy")
def _greeks(forward, strike, vol, years, right, rate, out):
    for i in range(forward.shape[0]):
        f, t, sigma, r = forward[i], years[i], vol[i], right[i]
        root = np.sqrt(max(t, 1e-18))
        s = max(sigma * root, 1e-9)
        df = exp_(-rate[i] * t)
        d1 = log_(f / strike[i]) / s + 0.5 * s
        d2 = d1 - s
        density = df * norm_pdf(d1)
        value = df * call_put(f, strike[i], sigma * root, r)
        vega = f * density * root
        out[0, i] = value
        out[1, i] = df * r * norm_cdf(r * d1)
        out[2, i] = density / (f * s)
        out[3, i] = vega
        out[4, i] = rate[i] * value - 0.5 * f * density * s / max(t, 1e-18)
        out[5, i] = -t * value
        out[6, i] = -density * d2 / max(sigma, 1e-9)
        out[7, i] = vega * d1 * d2 / max(sigma, 1e-9)


def greeks(
    forward: ArrayLike, strike: ArrayLike, vol: ArrayLike, years: ArrayLike, right: ArrayLike, rate: ArrayLike
) -> dict[str, Array]:
    """Discounted value and its derivatives at a fixed forward, float64[n] each; arguments broadcast.

    delta, gamma: by the forward. vega, volga: by the vol (1.0 is 100 points); vanna: by both. theta: by the
    passing of time, per year. rho: by the rate at a fixed forward, which is −T × value.
    """
    given = (forward, strike, vol, years, right, rate)
    args = np.broadcast_arrays(*(np.atleast_1d(np.asarray(x, np.float64)) for x in given))
    out = np.empty((len(GREEKS), args[0].size), np.float64)
    _greeks(*(np.ascontiguousarray(x).ravel() for x in args), out)
    return {name: out[n].reshape(args[0].shape) for n, name in enumerate(GREEKS)}


@njit(nogil=True, cache=True, error_model="numpy")
def implied_total_vol(price, forward, strike, right):
    """σ√T under which `call_put` gives `price` (undiscounted); 0 at intrinsic value, NaN outside the bounds.

    Newton on the out-of-the-money twin, on its logarithm below the inflection point, kept inside a bracket
    that bisection halves whenever a step would leave it: it always ends.
    """
    target = price
    noise = 0.0
    if right * (forward - strike) > 0.0:
        target = price - right * (forward - strike)
        right = -right
        noise = 1e-15 * (forward + strike)  # what the subtraction lost
    limit = forward if right > 0 else strike
    if not (target >= -noise and target < limit):
        return np.nan
    if target <= noise:
        return 0.0
    k = log_(forward / strike)
    s = np.sqrt(2.0 * abs(k)) + 1e-3
    in_log = target < call_put_log(forward, strike, k, s, right)
    low, high = 0.0, _TOTAL_VOL_MAX
    before = high
    for _ in range(_ROUNDS_MAX):
        value = call_put_log(forward, strike, k, s, right)
        miss = value - target
        if miss > 0.0:
            high = s
        else:
            low = s
        vega = forward * norm_pdf(k / s + 0.5 * s)
        step = miss / vega
        if in_log and value > 1e-290 * forward:  # below, exp_ is held at its end and the ratio means nothing
            step = value * (log_(value) - log_(target)) / vega
        moved = abs(step)
        # Done; or the last bits of the value only send it to and fro.
        if moved <= 1e-14 * s or (before <= 1e-9 * s and moved >= before):
            return s
        after = s - step
        s = after if low < after < high else 0.5 * (low + high)
        before = moved
    return s


@njit(nogil=True, cache=True, error_model="numpy")
def _implied_vols(price, forward, strike, years, right, rate, out):
    for i in range(out.shape[0]):
        df = exp_(-rate[i] * years[i])
        out[i] = implied_total_vol(price[i] / df, forward[i], strike[i], right[i]) / np.sqrt(years[i])


def implied_vols(
    price: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    right: ArrayLike,
    rate: ArrayLike,
) -> Array:
    """float64[n] volatilities behind discounted prices; NaN where a price breaks a no-arbitrage bound.

    years > 0; arguments broadcast.
    """
    given = (price, forward, strike, years, right, rate)
    args = np.broadcast_arrays(*(np.atleast_1d(np.asarray(x, np.float64)) for x in given))
    out = np.empty(args[0].size, np.float64)
    _implied_vols(*(np.ascontiguousarray(x).ravel() for x in args), out)
    return out.reshape(args[0].shape)
