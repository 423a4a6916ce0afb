"""How fast the Greeks of an option change with its forward and with time, bounded over a band and a while.

Black-76's d1 = ln(F/K)/s + s/2 is monotone in the forward, so over a band of prices and an interval of total
volatility s it lies in an interval; the greatest φ(d)·|d|^n there bounds every derivative used by the model
`greeks`. Formulas and proof: docs/tripwires.md, "Bands from slopes".
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from seawall.core.times import YEAR_NS
from seawall.core.units import PPM
from seawall.margin.slopes import PEAK, RUNGS, WIDER, discounts, forwards, is_option, lives

LEAST_YEARS, LEAST_TOTAL = 1e-18, 1e-9  # as `kernels.black76.greeks` holds them
BITS = 29  # of the scaled vector whose root the kernel takes
STRETCH_POWER = 0.5  # the most that the power of a volatility's term can be

Array = np.ndarray[Any, Any]


class Changes(NamedTuple):
    """Nano per lot: per unit of relative move float64[K, L], and per ns float64[L], of the exposures to a standard
    deviation of the index and of the volatility together (linear), and of half the gamma (curved)."""

    linear: Array
    curved: Array
    linear_time: Array
    curved_time: Array


def changes(board: Any, deviation: Array, vol_step: Array, most_gamma: float) -> Changes:
    """deviation: float64[L], relative, of each leg's index; vol_step: float64[L], of its volatility, now;
    most_gamma: what half the gamma is held to, in exposures of one deviation."""
    legs = board.legs
    option = is_option(legs)
    forward = np.where(option, forwards(legs), 0.0) * discounts(legs, board.as_of_ns, board.rate)
    now, least, _ = lives(legs, board.as_of_ns)
    vol = np.where(option, legs.iv, 1.0)
    most_s = np.maximum(vol * np.sqrt(np.maximum(now, LEAST_YEARS)), LEAST_TOTAL)
    least_s = np.maximum(vol * np.sqrt(np.maximum(least, LEAST_YEARS)), LEAST_TOTAL)
    # volatilities of shorter lives move more: what one deviation is at the end of the while
    shorter = (np.maximum(now, LEAST_YEARS) / np.maximum(least, LEAST_YEARS)) ** STRETCH_POWER
    step = vol_step * np.sqrt(np.maximum(now, LEAST_YEARS)) * shorter
    # a strike that moves with the forward: its value is a multiple of that, and so is its delta's part
    reach = np.where(legs.kind == 2, np.maximum(1.0, legs.strike), 1.0)
    alive = option & (now > 0)
    years = np.maximum(legs.expiry_ns - board.as_of_ns, 0) / YEAR_NS
    fading = np.minimum(1.0, np.exp(-board.rate * years)) / discounts(legs, board.as_of_ns, board.rate)
    per_year = np.where(alive, 1.0 / (2.0 * np.where(alive, least, 1.0)), 0.0)
    density = _densities(legs, option, least_s, most_s)
    grown = forward * (1.0 + RUNGS[:, None])
    linear = grown * deviation * (reach + density[0] / least_s)
    linear += grown * step * (density[0] + density[1] / least_s)
    curved = 0.5 * grown * deviation**2 * (density[0] + density[1] / least_s) / least_s
    # what gamma is held to by the model is a multiple of the forward
    held = 0.5 * grown * deviation * density[0] / least_s >= most_gamma * forward * (1.0 - RUNGS[:, None]) * fading
    curved = np.where(held, np.maximum(curved, most_gamma * grown * deviation), curved)
    density, grown = tuple(each[-1] for each in density), grown[-1]
    by_delta = deviation * (density[1] + density[0] * most_s)
    by_vega = step * (2.0 * density[0] + density[2] + density[1] * most_s)
    by_gamma = 0.5 * deviation**2 * (density[2] + density[1] * most_s + density[0]) / least_s
    rate = np.where(alive, abs(board.rate), 0.0)
    linear_time = grown * (per_year * (by_delta + by_vega) + rate * (deviation * reach + step * density[0]))
    curved_time = grown * (per_year * by_gamma + rate * 0.5 * deviation**2 * density[0] / least_s)
    curved_time = np.where(held[-1], np.maximum(curved_time, rate * most_gamma * grown * deviation), curved_time)
    wide = WIDER**2
    return Changes(linear * wide, curved * wide, linear_time / YEAR_NS * wide, curved_time / YEAR_NS * wide)


def _densities(legs: Any, option: Array, least_s: Array, most_s: Array) -> tuple[Array, ...]:
    """float64[K, L] of the greatest φ(d), φ(d)·|d| and φ(d)·d² of the d1 that each band and a while can meet."""
    forward = legs.index[legs.underlying] * legs.ratio
    strike = np.where(legs.kind == 2, legs.strike * forward, legs.strike)
    money = np.log(np.where(option, forward, 1.0) / np.where(option, strike, 1.0))
    low, high = money + np.log1p(-RUNGS)[:, None], money + np.log1p(RUNGS)[:, None]
    least = np.where(low > 0, low / most_s, low / least_s) + 0.5 * least_s
    most = np.where(high > 0, high / least_s, high / most_s) + 0.5 * most_s
    near = np.where((least < 0) & (most > 0), 0.0, np.minimum(np.abs(least), np.abs(most))) / WIDER
    peak = PEAK * np.exp(-0.5 * np.minimum(near, 1e3) ** 2)
    first = np.where(near <= 1.0, PEAK * np.exp(-0.5), peak * near)
    second = np.where(near * near <= 2.0, PEAK * 2.0 * np.exp(-1.0), peak * near * near)
    return peak, first, second


def looseness(correlations_ppm: Array) -> tuple[float, float]:
    """(a factor on changes, a share of the vector's entries) for a matrix that is no seminorm's to the last digit:
    whole parts per million may leave an eigenvalue below zero, and the kernel's root is scaled to 30 bits.

    With R + δ·I positive, roots of the two forms differ by √δ·|a| at most.
    """
    return _looseness(correlations_ppm.tobytes(), len(correlations_ppm))


@lru_cache(maxsize=64)
def _looseness(correlations_ppm: bytes, size: int) -> tuple[float, float]:
    matrix = np.frombuffer(correlations_ppm, np.int64).reshape(size, size) / PPM
    least = float(np.linalg.eigvalsh(matrix)[0]) if len(matrix) else 1.0
    delta = max(0.0, 1e-9 - least)
    scaled = (4.0 * len(matrix) + 4.0) / 2**BITS
    root = float(np.sqrt(delta))
    return 1.0 + delta + 2.0 * root + scaled, 2.0 * root + 2.0 * scaled
