"""Water-filling: a total shared in proportion to weights, nobody beyond his cap, whole units, an exact sum.

    xᵢ = min(capᵢ, τ·Wᵢ),   Σ xᵢ = total          τ: the level, the same for all who are not at their cap

Capped pro-rata is the only sharing that is proof against splitting accounts, scale free, monotone and smooth; weights
times leverage make it risk-weighted (Chitra, T., *Autodeleveraging: impossibilities and optimization*, arXiv
2512.01112, 2025, whose hᵢ = min(βᵢ, τ·ωᵢ) with Σ wᵢhᵢ = B is this with W = w·ω and cap = w·β).

`fill` finds the level in floating point and proves it in integers: where a float could err, exact integers decide.
What remains after rounding down goes to the largest remainders, one unit each, ties to the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from seawall.core.errors import BadNumber, invariant

__all__ = ["Filled", "Level", "exact_sum", "fill", "level_exact", "scaled_product"]

Int64Array = np.ndarray[Any, np.dtype[np.int64]]

LIMIT = 2**62
_DOUBT = 1e-9
_REMAINDER_BITS = 60
_FLOAT_EXACT = 2**50


class Level(NamedTuple):
    """The exact answer in fractions. level: None where caps cannot bear the budget. residual: what they leave."""

    level: Fraction | None
    shares: list[Fraction]
    amounts: list[Fraction]
    residual: Fraction


class Filled(NamedTuple):
    """parts: int64[N], Σ = total − residual. level: τ as a fraction of units of weight; None where all are capped."""

    parts: Int64Array
    residual: int
    level: Fraction | None


def level_exact(
    weights: Sequence[Fraction | int],
    caps: Sequence[Fraction | int],
    budget: Fraction | int,
    risk: Sequence[Fraction | int] | None = None,
) -> Level:
    """hᵢ = min(capᵢ, τ·riskᵢ) with Σ weightᵢ·hᵢ = budget; caps are shares of the weight. All in fractions, O(N log N)."""
    omega = [Fraction(r) for r in risk] if risk is not None else [Fraction(1)] * len(weights)
    w, cap = [Fraction(x) for x in weights], [Fraction(c) for c in caps]
    if not len(w) == len(cap) == len(omega):
        raise BadNumber("water level", f"{len(w)}, {len(cap)} and {len(omega)} figures", "as many weights, caps and risks")
    if min([*w, *cap, *omega, Fraction(budget)], default=0) < 0:
        raise BadNumber("water level", "a negative figure", "weights, caps, risks and budget of at least zero")
    live = sorted((i for i in range(len(w)) if w[i] and omega[i]), key=lambda i: cap[i] / omega[i])
    left, mass = Fraction(budget), sum((w[i] * omega[i] for i in live), Fraction(0))
    level = None
    for i in live:
        if left <= mass * cap[i] / omega[i]:
            level, left = left / mass, Fraction(0)
            break
        left -= w[i] * cap[i]
        mass -= w[i] * omega[i]
    if level is None and left == 0:
        level = Fraction(0)
    # a party without weight has a share too, of nothing
    shares = [c if level is None and r else min(c, (level or 0) * r) for c, r in zip(cap, omega)]
    return Level(level, shares, [x * h for x, h in zip(w, shares)], left)


def exact_sum(values: Int64Array) -> int:
    """Σ of int64 as a Python int: halves are summed apart, so that nothing wraps."""
    return (int((values >> 31).sum()) << 31) + int((values & 0x7FFFFFFF).sum())


def scaled_product(one: Int64Array, two: Int64Array) -> Int64Array:
    """one × two (both int64[N] of at least 0) as weights whose sum stays below 2**61.

    Exact where that holds by itself; else in floating point, divided by one power of two: a weight is off by at most
    2**-51 of itself and one unit, the same on every machine (one rounded product of two rounded integers).
    """
    bits = len(one).bit_length() + int(one.max(initial=0)).bit_length() + int(two.max(initial=0)).bit_length()
    if bits <= 61:
        product: Int64Array = one * two
        return product
    scaled: Int64Array = (one.astype(np.float64) * two.astype(np.float64) * 2.0 ** (61 - bits)).astype(np.int64)
    return scaled


def fill(weights: Int64Array, caps: Int64Array, total: int) -> Filled:
    """`total` units over parties in proportion to weights, parts at most caps.

    weights, caps: int64[N], 0 … 2**62. Raises BadNumber outside that. Cost: one sort of N floats and a few passes.
    """
    _check(weights, caps, total)
    parts = np.zeros(len(weights), np.int64)
    live = np.flatnonzero((weights > 0) & (caps > 0))
    w, cap = weights[live], caps[live]
    room = exact_sum(cap)
    if total >= room:
        parts[live] = cap
        return Filled(parts, total - room, None)
    if total == 0:
        return Filled(parts, 0, Fraction(0))
    capped, left, mass = _level(w, cap, total)
    x = np.where(capped, cap, 0)
    free = np.flatnonzero(~capped)
    invariant(left >= 0 and mass > 0, "a level exists below the caps")
    x[free], remainder = _shares(w[free], left, mass)
    missing = total - exact_sum(x)
    if missing:
        x[free[_largest(remainder, missing)]] += 1
    invariant(exact_sum(x) == total and bool((x <= cap).all()), "parts sum to the total and keep to their caps")
    parts[live] = x
    return Filled(parts, 0, Fraction(left, mass))


def _check(weights: Int64Array, caps: Int64Array, total: int) -> None:
    if weights.shape != caps.shape or weights.ndim != 1:
        raise BadNumber("water-filling", f"{weights.shape} and {caps.shape}", "as many weights as caps")
    for name, values in (("weights", weights), ("caps", caps)):
        if values.dtype != np.int64 or (len(values) and not 0 <= values.min() <= values.max() < LIMIT):
            raise BadNumber(f"water-filling, {name}", str(values.dtype), "int64 from 0 to 2**62")
    if total < 0:
        raise BadNumber("water-filling, total", str(total), "at least 0")


def _shares(w: Int64Array, left: int, mass: int) -> tuple[Int64Array, Int64Array]:
    """⌊w·left/mass⌋ and what it leaves, as a number that grows with the remainder; 0 <= left, w <= mass."""
    if mass < 2**61 and left < 2**62:
        whole = (w.astype(np.float64) * (left / mass)).astype(np.int64)
        if int(whole.max(initial=0)) < _FLOAT_EXACT:
            # the float is off by less than one, so the remainder, taken modulo 2**64, is the true one
            remainder = w * np.int64(left) - whole * np.int64(mass)
            correction = remainder // mass
            return whole + correction, remainder - correction * mass
    wide = w.astype(object) * left
    exact = wide // mass
    return exact.astype(np.int64), (((wide - exact * mass) << _REMAINDER_BITS) // mass).astype(np.int64)


def _largest(keys: Int64Array, count: int) -> np.ndarray[Any, np.dtype[np.intp]]:
    """Where the `count` largest keys stand; of equal ones the first."""
    least = np.partition(keys, len(keys) - count)[len(keys) - count]
    above = np.flatnonzero(keys > least)
    return np.concatenate((above, np.flatnonzero(keys == least)[: count - len(above)]))


def _level(w: Int64Array, cap: Int64Array, total: int) -> tuple[np.ndarray[Any, np.dtype[np.bool_]], int, int]:
    """Who is at his cap, and the level of the others as left/mass."""
    ratio = cap / w
    order = np.argsort(ratio, kind="stable")
    caps_below = np.concatenate(([0.0], np.cumsum(cap[order].astype(np.float64))))[:-1]
    mass_from = np.cumsum(w[order][::-1].astype(np.float64))[::-1]
    # with the level at the k-th ratio this much would be shared; it grows with k
    shared = caps_below + ratio[order] * mass_from
    at = int(np.searchsorted(shared, float(total)))
    level = max((float(total) - caps_below[min(at, len(w) - 1)]) / mass_from[min(at, len(w) - 1)], 0.0)
    capped = ratio < level * (1 - _DOUBT)
    doubtful = np.flatnonzero(~capped & (ratio <= level * (1 + _DOUBT)))
    left, mass = total - exact_sum(cap[capped]), exact_sum(w[~capped])
    exact = [(int(cap[i]), int(w[i]), int(i)) for i in doubtful]
    for c, x, i in sorted(exact, key=lambda item: (item[0] << 80) // item[1]):
        if c * mass > x * left:
            break
        capped[i] = True
        left, mass = left - c, mass - x
    return capped, left, mass
