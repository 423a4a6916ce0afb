"""Splits the requirement of `kernels/quadratic.py`: the root by Euler's theorem, short gamma leg by leg.

√(vᵀRv) is homogeneous of degree one in lots, so a leg that brings the entries w to v has the part wᵀRv / √(vᵀRv), for
delta and for vega (Tasche 1999). The curvature of an underlying that is short gamma is a sum over its legs. What the
kernel's integers add to the exact root is shared by the number of lots, with the rounding of rows.
"""

from __future__ import annotations

import numpy as np

from seawall.kernels import quadratic
from seawall.kernels.tables import Tables
from seawall.margin.parts.joint import MINIMUM, NOTHING, PPM, ceil_ppm, decided, naked_nano, owed_nano, root_up
from seawall.margin.parts.rounding import apportion, ceil_div, stepped
from seawall.margin.parts.shares import Parts, columns_of, nothing

__all__ = ["split"]

FORM = "delta, gamma and vega"
NAMES = ("delta", "vega", "short gamma", "rounding of rows", MINIMUM)


def split(tables: Tables, legs: np.ndarray, lots: np.ndarray, cash_nano: int) -> Parts:
    """Delta, vega and short gamma or the short-option minimum, haircuts, rounding of rows."""
    n = len(legs)
    if n == 0:
        return nothing(cash_nano)
    cash, *equity = stepped([cash_nano, *owed_nano(tables, legs, lots)], lambda nano: nano // 1000)
    size = np.abs(lots).tolist()
    spread = _root(tables, legs, lots, size)
    curved = [*_short_gamma(tables, legs, lots), *size]
    naked = naked_nano(tables, legs, lots, quadratic.EXTRA_NAKED)
    rate = int(tables.scalars[quadratic.SCALAR_SHORT_MINIMUM])
    minimum = ceil_div(ceil_ppm(sum(naked), rate), 1000)
    rows = {name: [[0] * n, [0] * n] for name in NAMES}
    rules = []
    for k, z in enumerate(tables.scalars[[quadratic.SCALAR_INITIAL, quadratic.SCALAR_MAINTENANCE]].tolist()):
        straight = stepped(spread, lambda x, z=z: ceil_ppm(ceil_div(x, 1000), z))  # type: ignore[misc]
        bent = stepped(curved, lambda x, z=z: ceil_ppm(ceil_ppm(ceil_div(x, 1000), z), z))  # type: ignore[misc]
        risk = sum(straight) + sum(bent)
        rules.append(NOTHING if max(risk, minimum) == 0 else MINIMUM if minimum > risk else FORM)
        if rules[k] == FORM:
            rounding = [a + b for a, b in zip(straight[2 * n :], bent[n:], strict=True)]
            for name, part in zip(NAMES, (straight[:n], straight[n : 2 * n], bent[:n], rounding), strict=False):
                rows[name][k] = part
        elif rules[k] == MINIMUM:
            rows[MINIMUM][k] = stepped(naked, lambda x: ceil_div(ceil_ppm(x, rate), 1000))
    charges = (np.abs(lots) * tables.extra[legs, quadratic.EXTRA_CHARGE]).tolist()
    rows["haircuts"] = [stepped(charges, lambda nano: ceil_div(nano, 1000))] * 2
    return Parts(cash, equity, columns_of([(name, one, other) for name, (one, other) in rows.items()]), [], decided(rules))


def _root(tables: Tables, legs: np.ndarray, lots: np.ndarray, size: list[int]) -> list[int]:
    """The bound of √(vᵀRv) in nano, by leg: delta, then vega, then what integers add to it."""
    columns = (quadratic.COLUMN_DELTA, quadratic.COLUMN_VEGA)
    own = [(lots * tables.values[legs, column]).tolist() for column in columns]
    place = {u: k for k, u in enumerate(dict.fromkeys(tables.leg_underlying[legs].tolist()))}
    at = [place[u] for u in tables.leg_underlying[legs].tolist()]
    vector = [0] * (2 * len(place))
    for side in range(2):
        for k, u in enumerate(at):
            vector[2 * u + side] += own[side][k]
    factors = [2 * u + side for u in place for side in range(2)]
    correlations = tables.underlying_params[np.ix_(factors, factors)].tolist()
    slopes = [sum(rho * v for rho, v in zip(row, vector, strict=True)) for row in correlations]  # PPM · Rv
    weights = [part * slopes[2 * u + side] for side in range(2) for part, u in zip(own[side], at, strict=True)]
    square = sum(weights)
    root = root_up(ceil_div(square, PPM))
    shares = apportion(root, weights) if square > 0 else [0] * len(weights)
    added = _deviation(vector, correlations) - root
    return [*shares, *(a + 2 * count for a, count in zip(apportion(added, size), size, strict=True))]


def _deviation(vector: list[int], correlations: list[list[int]]) -> int:
    """`kernels.quadratic.deviation`, on Python integers."""
    shift = 0
    while max(map(abs, vector)) >> shift >= 1 << quadratic.BITS:
        shift += 1
    while sum(abs(v >> shift) for v in vector) >= 1 << quadratic.BITS:
        shift += 1
    cut = [v >> shift for v in vector]
    square = sum(a * b * rho for a, row in zip(cut, correlations, strict=True) for b, rho in zip(cut, row, strict=True))
    return (root_up(ceil_div(square, PPM)) + (len(vector) if shift else 0)) << shift


def _short_gamma(tables: Tables, legs: np.ndarray, lots: np.ndarray) -> list[int]:
    """Nano by leg where its underlying is short gamma; there a leg that is long takes off."""
    parts = (-lots * tables.values[legs, quadratic.COLUMN_GAMMA]).tolist()
    underlyings = tables.leg_underlying[legs].tolist()
    totals: dict[int, int] = {}
    for u, part in zip(underlyings, parts, strict=True):
        totals[u] = totals.get(u, 0) + part
    return [part if totals[u] > 0 else 0 for u, part in zip(underlyings, parts, strict=True)]
