"""Risk rows of single legs: the value of one lot at every node, and the gaps between nodes.

Values are float64 once per leg and rounded down once, to nano. The gaps are certified bounds on
how far a leg strays from the bilinear surface through a cell's corners:

* first shock (spot): a European option is convex in the forward, so it lies at most
  ¼·(Δ(b) - Δ(a))·(b - a) below its chord on [a, b] and never above it;
* second shock (total volatility s): its slope there is the vega, so it strays from its chord by
  at most ¼·(vega_max - vega_min)·(s_b - s_a), on either side.

Both are taken over an *interval* of spot (one step of the anchor grid) and of remaining life
(one step of the life grid), so the gaps are constant while the market stays inside: the same
integers serve an evaluation and every certificate that spans it.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from seawall.kernels import cells
from seawall.kernels.black76 import call_put, call_put_log
from seawall.kernels.fixed import mul_ppm_ceil, mul_ppm_floor
from seawall.kernels.muldiv import mul_div_floor
from seawall.kernels.normal import exp_, log_, norm_cdf, norm_pdf

LINEAR, OPTION, FORWARD_START, CONSTANT = 0, 1, 2, 3
NANO = 1e9
YEAR_NS = 365 * 86_400 * 1e9
TINY_VOL = 1e-9

# shocks[u, k, c], float64: per underlying and column
SHOCK_MULTIPLE, SHOCK_LOG, SHOCK_DAMPING, SHOCK_LEVEL = 0, 1, 2, 3

# model[k], float64
MODEL_VOL_UP, MODEL_VOL_DOWN, MODEL_POWER_SHORT, MODEL_POWER_LONG, MODEL_FLOOR_YEARS = 0, 1, 2, 3, 4
MODEL_BASIS, MODEL_BASIS_SLOPE, MODEL_RATE, MODEL_ANCHOR = 5, 6, 7, 8
VOL_REFERENCE_YEARS = 30.0 / 365.0


class LegArrays(NamedTuple):
    """What the row kernels read of each leg: arrays of length L.

    kind, role, right: int8; underlying, block: int32; expiry_ns, fix_ns: int64; value_num,
    value_den, lot_num, lot_den: int64, the ratios of a lot's value and of its size to the index
    in nano; value_nano, notional_nano: int64, of the legs that do not follow the index; lot,
    ratio, strike, iv: float64.
    """

    kind: np.ndarray
    role: np.ndarray
    right: np.ndarray
    underlying: np.ndarray
    block: np.ndarray
    expiry_ns: np.ndarray
    fix_ns: np.ndarray
    value_num: np.ndarray
    value_den: np.ndarray
    lot_num: np.ndarray
    lot_den: np.ndarray
    value_nano: np.ndarray
    notional_nano: np.ndarray
    lot: np.ndarray
    ratio: np.ndarray
    strike: np.ndarray
    iv: np.ndarray


@njit(error_model="numpy")
def vol_multiples(years, model):
    """(down, up) multiples of a volatility with `years` to live: term-scaled as in Derive's
    PMRM (research: (30 d / max(t, floor))^p), so that σ·multiple·√t grows with t."""
    life = max(years, model[MODEL_FLOOR_YEARS])
    power = model[MODEL_POWER_SHORT] if life <= VOL_REFERENCE_YEARS else model[MODEL_POWER_LONG]
    scale = exp_(power * log_(VOL_REFERENCE_YEARS / life))
    return max(0.0, 1.0 - model[MODEL_VOL_DOWN] * scale), 1.0 + model[MODEL_VOL_UP] * scale


@njit(error_model="numpy")
def option_life(legs, leg, now_ns):
    """Years of life that carry volatility: to expiry, from the fixing of a dynamic strike."""
    start = now_ns
    if legs.kind[leg] == FORWARD_START and legs.fix_ns[leg] > start:
        start = legs.fix_ns[leg]
    return max(0.0, (legs.expiry_ns[leg] - start) / YEAR_NS)


@njit(error_model="numpy")
def discount(legs, leg, now_ns, model):
    return exp_(-model[MODEL_RATE] * max(0.0, (legs.expiry_ns[leg] - now_ns) / YEAR_NS))


@njit(error_model="numpy")
def option_forward_strike(legs, leg, index):
    forward = index * legs.ratio[leg]
    strike = legs.strike[leg]
    if legs.kind[leg] == FORWARD_START:
        strike = strike * forward
    return forward, strike


@njit(error_model="numpy")
def index_nano(index):
    """An index price in nano; exact for prices below 9 million with nine decimals."""
    return np.int64(np.rint(index * NANO))


@njit(error_model="numpy")
def linear_value(legs, leg, index):
    """Nano per lot at an index price, rounded down; what does not follow the index stays."""
    if legs.kind[leg] == CONSTANT:
        return legs.value_nano[leg]
    return mul_div_floor(index_nano(index), legs.value_num[leg], legs.value_den[leg])


@njit(error_model="numpy")
def mark_value(legs, leg, index, now_ns, rate):
    """Nano per lot of the mark, rounded down. rate: the discount rate per year."""
    if legs.kind[leg] == LINEAR or legs.kind[leg] == CONSTANT:
        return linear_value(legs, leg, index)
    forward, strike = option_forward_strike(legs, leg, index)
    life = option_life(legs, leg, now_ns)
    years = max(0.0, (legs.expiry_ns[leg] - now_ns) / YEAR_NS)
    value = call_put(forward, strike, legs.iv[leg] * np.sqrt(life), legs.right[leg])
    return np.int64(np.floor(exp_(-rate * years) * legs.lot[leg] * NANO * value))


@njit(error_model="numpy")
def fill_values(legs, leg, index, now_ns, shocks, model, work, out):
    """out[: COLUMNS + 2] = value of one lot at each node and basis shift, nano, rounded down.

    work: float64[>= 3 · (COLUMNS + 2)].
    """
    if legs.kind[leg] == LINEAR or legs.kind[leg] == CONSTANT:
        _fill_linear(legs, leg, index, now_ns, shocks, model, out)
    else:
        _fill_option(legs, leg, index, now_ns, shocks, model, work, out)


@njit(error_model="numpy")
def basis_shift(legs, leg, now_ns, model):
    """Relative move of this expiry's forward against the index; none for what is the index."""
    if legs.role[leg] == 0 or legs.role[leg] == 4 or legs.role[leg] == 5:
        return 0.0
    years = max(0.0, (legs.expiry_ns[leg] - now_ns) / YEAR_NS)
    return model[MODEL_BASIS] + model[MODEL_BASIS_SLOPE] * years


@njit(error_model="numpy")
def _fill_linear(legs, leg, index, now_ns, shocks, model, out):
    base = linear_value(legs, leg, index)
    shock = shocks[legs.underlying[leg]]
    basis = basis_shift(legs, leg, now_ns, model)
    if legs.kind[leg] == CONSTANT:
        for c in range(cells.COLUMNS):
            out[c] = base
        out[cells.BASIS] = np.int64(np.floor(base / (1.0 + basis)))
        out[cells.BASIS + 1] = np.int64(np.floor(base / (1.0 - basis)))
        return
    for c in range(cells.COLUMNS):
        change = mul_ppm_floor(base, np.int64(np.rint((shock[SHOCK_MULTIPLE, c] - 1.0) * 1e6)))
        out[c] = base + mul_ppm_floor(change, np.int64(np.rint(shock[SHOCK_DAMPING, c] * 1e6)))
    out[cells.BASIS] = base + np.int64(np.floor(base * basis))
    out[cells.BASIS + 1] = base + np.int64(np.floor(-base * basis))


@njit(error_model="numpy")
def _fill_option(legs, leg, index, now_ns, shocks, model, work, out):
    columns = cells.COLUMNS + 2
    shock = shocks[legs.underlying[leg]]
    forward, strike = option_forward_strike(legs, leg, index)
    moneyness = log_(forward / strike)
    life = option_life(legs, leg, now_ns)
    down, up = vol_multiples(life, model)
    total = legs.iv[leg] * np.sqrt(life)
    scale = discount(legs, leg, now_ns, model) * legs.lot[leg] * NANO
    moves = 0.0 if legs.kind[leg] == FORWARD_START else 1.0  # a dynamic strike moves with spot
    basis = basis_shift(legs, leg, now_ns, model)
    right = legs.right[leg]
    multiple, log_multiple, volatility = work[:columns], work[columns : 2 * columns], work[2 * columns :]
    for c in range(cells.COLUMNS):
        level = shock[SHOCK_LEVEL, c]
        multiple[c] = shock[SHOCK_MULTIPLE, c]
        log_multiple[c] = moves * shock[SHOCK_LOG, c]
        volatility[c] = total * (down if level < 0.0 else (up if level > 0.0 else 1.0))
    multiple[cells.BASIS] = 1.0 + basis
    multiple[cells.BASIS + 1] = 1.0 - basis
    for c in range(cells.BASIS, columns):
        log_multiple[c] = moves * log_(multiple[c])
        volatility[c] = total
    for c in range(columns):
        scenario_strike = strike * (multiple[c] if moves == 0.0 else 1.0)
        multiple[c] = scale * call_put_log(
            forward * multiple[c], scenario_strike, moneyness + log_multiple[c], volatility[c], right
        )
    base = multiple[0]
    for c in range(columns):
        damping = shock[SHOCK_DAMPING, c] if c < cells.COLUMNS else 1.0
        out[c] = np.int64(np.floor(base + damping * (multiple[c] - base)))


@njit(error_model="numpy")
def _d1(log_moneyness, total):
    return log_moneyness / total + 0.5 * total


@njit(error_model="numpy")
def _delta_bounds(log_moneyness, low, high):
    """Least and greatest N(d1) over total volatilities in [low, high].

    d1 = k/s + s/2 rises in s for k <= 0; for k > 0 it falls until s = √(2k), then rises.
    """
    at_low = _d1(log_moneyness, low)
    at_high = _d1(log_moneyness, high)
    least = min(at_low, at_high)
    if log_moneyness > 0.0:
        turn = np.sqrt(2.0 * log_moneyness)
        if low < turn < high:
            least = _d1(log_moneyness, turn)
    return norm_cdf(least), norm_cdf(max(at_low, at_high))


@njit(error_model="numpy")
def _vega_gap(legs, leg, index_low, index_high, multiple, low, high, width):
    """Greatest distance from the chord over a step of total volatility, at one spot node."""
    ratio = legs.ratio[leg]
    f_low = index_low * ratio * multiple
    f_high = index_high * ratio * multiple
    strike = legs.strike[leg]
    if legs.kind[leg] == FORWARD_START:
        f_low = f_high
        strike = strike * f_high
    return 0.25 * _vega_spread(f_low, f_high, strike, low, high) * width


@njit(error_model="numpy")
def _vega_spread(forward_low, forward_high, strike, low, high):
    """Greatest minus least vega (per unit of total volatility) over a box of forward × vol."""
    k_low = log_(forward_low / strike)
    k_high = log_(forward_high / strike)
    d_low = min(k_low / low, k_low / high) + 0.5 * low
    d_high = max(k_high / low, k_high / high) + 0.5 * high
    near = 0.0
    if d_low > 0.0:
        near = d_low
    elif d_high < 0.0:
        near = d_high
    far = max(abs(d_low), abs(d_high))
    return forward_high * norm_pdf(near) - forward_low * norm_pdf(far)


@njit(error_model="numpy")
def fill_gaps(legs, leg, index_low, index_high, life_low, life_high, shocks, model, out):
    """out[: 2·CELLS] = gap per long lot, then per short lot, of each cell (nano, rounded up),
    valid for every index in [index_low, index_high] and life in [life_low, life_high] years."""
    if legs.kind[leg] != OPTION:
        # a dynamic strike moves with spot: linear in the first shock, and its straying in the
        # second is that of an option on a fixed forward
        for c in range(2 * cells.CELLS):
            out[c] = 0
        if legs.kind[leg] != FORWARD_START:
            return
    strike = legs.strike[leg]
    ratio = legs.ratio[leg]
    shock = shocks[legs.underlying[leg]]
    scale = legs.lot[leg] * NANO
    iv = legs.iv[leg]
    down_low, up_low = vol_multiples(life_low, model)
    down_high, up_high = vol_multiples(life_high, model)
    root_low = iv * np.sqrt(life_low)
    root_high = iv * np.sqrt(life_high)
    for level in range(cells.LEVELS - 1):
        low = root_low * (down_low if level == 0 else 1.0)
        high = root_high * (1.0 if level == 0 else up_high)
        width = root_high * (1.0 - down_high if level == 0 else up_high - 1.0)
        low = max(low, TINY_VOL)
        high = max(high, TINY_VOL)
        before = _vega_gap(legs, leg, index_low, index_high, shock[SHOCK_MULTIPLE, 1], low, high, width)
        for cell in range(cells.SPOT_CELLS):
            a = shock[SHOCK_MULTIPLE, 1 + cell]
            b = shock[SHOCK_MULTIPLE, 2 + cell]
            after = _vega_gap(legs, leg, index_low, index_high, b, low, high, width)
            vega_gap = max(before, after)
            before = after
            spot_gap = 0.0
            if legs.kind[leg] == OPTION:
                least, _ = _delta_bounds(log_(index_low * ratio * a / strike), low, high)
                _, greatest = _delta_bounds(log_(index_high * ratio * b / strike), low, high)
                spot_gap = 0.25 * max(0.0, greatest - least) * index_high * ratio * (b - a)
            at = level * cells.SPOT_CELLS + cell
            out[at] = np.int64(np.ceil(scale * (spot_gap + vega_gap))) + 1
            out[cells.CELLS + at] = np.int64(np.ceil(scale * vega_gap)) + 1


@njit(error_model="numpy")
def notional_value(legs, leg, index, mark):
    """Nano per lot of the notional: a linear leg's own value, an option's underlying, the face
    of an inverse contract."""
    if legs.kind[leg] == LINEAR:
        return abs(mark)
    if legs.kind[leg] == CONSTANT:
        return legs.notional_nano[leg]
    return -mul_div_floor(-index_nano(index), legs.lot_num[leg], legs.lot_den[leg])


@njit(error_model="numpy")
def fill_extra(legs, leg, index, mark, short_minimum_ppm, out):
    """out = the per-lot charges of `cells.py` at this mark and index (the haircut rate stays)."""
    notional = notional_value(legs, leg, index, mark)
    haircut = mul_ppm_ceil(abs(mark), out[cells.EXTRA_HAIRCUT])
    out[cells.EXTRA_NOTIONAL] = notional
    out[cells.EXTRA_LONG] = haircut
    out[cells.EXTRA_SHORT] = haircut
    out[cells.EXTRA_SHORT_MINIMUM] = mul_ppm_ceil(notional, short_minimum_ppm)
    out[cells.EXTRA_DUST] = 1


@njit(nogil=True, cache=True, error_model="numpy")
def fill_extras(legs, index, values, short_minimum_ppm, extra):
    """`fill_extra` for the whole board."""
    for leg in range(legs.kind.shape[0]):
        fill_extra(legs, leg, index[legs.underlying[leg]], values[leg, 0], short_minimum_ppm, extra[leg])
