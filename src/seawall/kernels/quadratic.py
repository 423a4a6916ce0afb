"""Delta-gamma-vega: an account's Greeks by underlying, and the root of a quadratic form over them.

Columns of `values`: the mark, then what one lot gains when its underlying's index rises by one standard
deviation (to first order), when its volatility does, and the second-order part of the first; the
factors are index and volatility of each underlying, 2·U of them, with a correlation matrix R. Over the
ellipsoid {x : xᵀR⁻¹x ≤ z²} the loss −(aᵀx + Σ_u γ_u·x_u²) is at most z·√(aᵀRa) + z²·Σ_u max(−γ_u, 0):
the first term is the largest that the linear part can lose (Cauchy-Schwarz), and |x_u| ≤ z. The bound
is met where there is no curvature. Exact integers: the vector is scaled by a power of two until its
entries sum to less than 2**30, and every rounding is added to the result.
"""


from seawall.kernels.compiled import inner
from seawall.kernels.fixed import MILLION, ceil_div, mul_ppm_ceil
from seawall.kernels.root import root_up

COLUMN_DELTA, COLUMN_VEGA, COLUMN_GAMMA = 1, 2, 3
COLUMNS = 4

# extra[:, k]
EXTRA_CHARGE = 0  # nano per lot of either side, both contexts
EXTRA_NAKED = 1  # notional of an option lot, nano, 0 for other legs
EXTRAS = 2

# scalars[k]
SCALAR_INITIAL = 0  # z, ppm
SCALAR_MAINTENANCE = 1
SCALAR_SHORT_MINIMUM = 2  # ppm of a naked short's notional
SCALARS = 3

BITS = 30


@inner
def _size(vector, shift, count):
    """Σ |v|, scaled."""
    total = 0
    for i in range(count):
        total += abs(vector[i] >> shift)
    return total


@inner
def deviation(vector, factors, correlations_ppm, count):
    """An upper bound of √(vᵀRv), above it by at most 2·count + 1 parts in 2**29 of Σ |v|.

    vector: int64[count], nano; factors: int64[count], their rows of correlations_ppm: int64[F, F].
    An entry cut by less than one unit moves the root by less than one unit, since no correlation exceeds 1.
    """
    greatest = 0
    for i in range(count):
        greatest = max(greatest, abs(vector[i]))
    shift = 0
    while greatest >> shift >= 1 << BITS:
        shift += 1
    while _size(vector, shift, count) >= 1 << BITS:
        shift += 1
    high = 0
    low = 0
    for i in range(count):
        a = vector[i] >> shift
        for j in range(count):
            product = a * (vector[j] >> shift)
            rho = correlations_ppm[factors[i], factors[j]]
            high += (product // MILLION) * rho
            low += (product % MILLION) * rho
    square = high + ceil_div(low, MILLION)
    root = root_up(max(square, 0))
    return (root + (count if shift else 0)) << shift


@inner
def _walk(tables, legs, lots, start, stop, vector, factors, totals):
    """Greeks by underlying into vector and factors; returns how many factors. totals: int64[5] of equity,
    curvature, naked notional, flat charge (nano) and lots."""
    values, extra, group = tables.values, tables.extra, tables.leg_group
    count = 0
    p = start
    while p < stop:
        u = tables.leg_underlying[legs[p]]
        delta = vega = gamma = 0
        naked = 0
        strike = -1
        while p < stop and tables.leg_underlying[legs[p]] == u:
            leg, quantity = legs[p], lots[p]
            if group[leg] != strike or strike < 0:
                totals[2] += max(0, -naked)
                naked = 0
                strike = group[leg]
            naked += quantity * extra[leg, EXTRA_NAKED]
            totals[0] += quantity * values[leg, 0]
            if quantity < 0 and tables.leg_right[leg] != 0:
                totals[0] += quantity  # an option's value is rounded down: a short owes up to 1 nano more
            totals[3] += abs(quantity) * extra[leg, EXTRA_CHARGE]
            totals[4] += abs(quantity)
            delta += quantity * values[leg, COLUMN_DELTA]
            vega += quantity * values[leg, COLUMN_VEGA]
            gamma += quantity * values[leg, COLUMN_GAMMA]
            p += 1
        totals[2] += max(0, -naked)
        totals[1] += max(0, -gamma)
        vector[count], factors[count] = delta, 2 * u
        vector[count + 1], factors[count + 1] = vega, 2 * u + 1
        count += 2
    return count


@inner
def account(tables, legs, lots, start, stop, cash_nano, vector, factors, out):
    """One account: out = equity (floor), initial, maintenance (ceil) in micro, -1.

    vector, factors: int64[2·U + 5], the end of which holds totals. Greeks are rounded down: each is off by
    less than a nano per lot, which is added to the root for delta and for vega, and to the curvature.
    """
    scalars = tables.scalars
    totals = vector[len(vector) - 5 :]
    for k in range(5):
        totals[k] = 0
    count = _walk(tables, legs, lots, start, stop, vector, factors, totals)
    spread = deviation(vector, factors, tables.underlying_params, count) + 2 * totals[4]
    curvature = totals[1] + totals[4]
    minimum = mul_ppm_ceil(totals[2], scalars[SCALAR_SHORT_MINIMUM])
    flat = totals[3]
    spread = ceil_div(spread, 1000)
    curvature = ceil_div(curvature, 1000)
    for k in range(2):
        z = scalars[k]
        risk = 0
        if stop > start:
            risk = mul_ppm_ceil(spread, z) + mul_ppm_ceil(mul_ppm_ceil(curvature, z), z)
        out[1 + k] = max(risk, ceil_div(minimum, 1000)) + ceil_div(flat, 1000)
    out[0] = (cash_nano + totals[0]) // 1000
    out[3] = -1
