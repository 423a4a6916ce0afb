"""Risk rows of single legs: the value of one lot at every node, and the gaps between nodes.

Values are float64 once per leg and rounded down once, to nano. The gaps are certified bounds on
how far a leg strays from the bilinear surface through a cell's corners, discounted as its values:

* first shock (spot): a European option is convex in the forward, so it lies never above its
  chord on [a, b], and below it by at most ¼·(Δ(b) - Δ(a))·(b - a) and at most ⅛·max Γ·(b - a)²;
* second shock (total volatility s): its slope there is the vega, so it strays from its chord by
  at most ¼·(vega_max - vega_min)·(s_b - s_a), on either side, and at most ⅛·max |∂²V/∂s²|·(s_b - s_a)²,
  where ∂²V/∂s² = F·φ(d1)·d1·d2 / s. It rises by at most vega_max·(s_b - s_a), and by less than F: no
  option has more time value than that. These are taken at the nodes of the first shock alone: on a
  line between two nodes a value is bounded, by the first, from its values at the two nodes.

Both are taken over an *interval* of spot (one step of the anchor grid) and of remaining life
(one step of the life grid), so the gaps are constant while the market stays inside: the same
integers serve an evaluation and every certificate that spans it.
"""

from typing import NamedTuple

import numpy as np

from seawall.kernels import cells
from seawall.kernels.black76 import call_put, call_put_log
from seawall.kernels.compiled import inner
from seawall.kernels.fixed import mul_ppm_ceil, mul_ppm_floor
from seawall.kernels.muldiv import mul_div_floor
from seawall.kernels.normal import bits_of, exp_, log_, norm_cdf, norm_pdf

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
MOVE_UNITS = 4_000_000  # moves of spot are whole quarters of a ppm, for linear legs to move as options do
# work[k] while gaps are made: rows of all nodes of both levels of the second shock
GAP_ROW = cells.NODES * (cells.LEVELS - 1)
GAP_ROWS = 13
LOW, HIGH, WIDTH, MULTIPLE, K_LOW, K_HIGH, VEGA, MOVE, LEAST, MOST, CDF_LEAST, CDF_MOST, SPOT = (
    GAP_ROW * k for k in range(GAP_ROWS)
)
GAP_WORK = GAP_ROW * GAP_ROWS
VALUE_WORK = 4 * (cells.COLUMNS + 2)
WORK = max(VALUE_WORK, GAP_WORK)


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


LEG_TYPES = ("i1",) * 3 + ("i4",) * 2 + ("i8",) * 8 + ("f8",) * 4


def no_legs() -> LegArrays:
    """Arrays of the types above, of no legs."""
    return LegArrays(*(np.zeros(0, kind) for kind in LEG_TYPES))


@inner
def vol_multiples(years, model):
    """(down, up) multiples of a volatility with `years` to live: term-scaled as in Derive's
    PMRM (research: (30 d / max(t, floor))^p), so that σ·multiple·√t grows with t."""
    life = max(years, model[MODEL_FLOOR_YEARS])
    power = model[MODEL_POWER_SHORT] if life <= VOL_REFERENCE_YEARS else model[MODEL_POWER_LONG]
    scale = exp_(power * log_(VOL_REFERENCE_YEARS / life))
    return max(0.0, 1.0 - model[MODEL_VOL_DOWN] * scale), 1.0 + model[MODEL_VOL_UP] * scale


@inner
def option_life(legs, leg, now_ns):
    """Years of life that carry volatility: to expiry, from the fixing of a dynamic strike."""
    start = now_ns
    if legs.kind[leg] == FORWARD_START and legs.fix_ns[leg] > start:
        start = legs.fix_ns[leg]
    return max(0.0, (legs.expiry_ns[leg] - start) / YEAR_NS)


@inner
def discount(legs, leg, now_ns, model):
    """Discount factor to the expiry of a leg."""
    return exp_(-model[MODEL_RATE] * max(0.0, (legs.expiry_ns[leg] - now_ns) / YEAR_NS))


@inner
def option_forward_strike(legs, leg, index):
    """(forward, strike) at an index price; a dynamic strike is a multiple of the forward."""
    forward = index * legs.ratio[leg]
    strike = legs.strike[leg]
    if legs.kind[leg] == FORWARD_START:
        strike = strike * forward
    return forward, strike


@inner
def index_nano(index):
    """An index price in nano; exact for prices below 9 million with nine decimals."""
    return np.int64(np.rint(index * NANO))


@inner
def linear_value(legs, leg, index):
    """Nano per lot at an index price, rounded down; what does not follow the index stays."""
    if legs.kind[leg] == CONSTANT:
        return legs.value_nano[leg]
    return mul_div_floor(index_nano(index), legs.value_num[leg], legs.value_den[leg])


@inner
def mark_value(legs, leg, index, now_ns, rate):
    """Nano per lot of the mark, rounded down. rate: the discount rate per year."""
    if legs.kind[leg] == LINEAR or legs.kind[leg] == CONSTANT:
        return linear_value(legs, leg, index)
    forward, strike = option_forward_strike(legs, leg, index)
    life = option_life(legs, leg, now_ns)
    years = max(0.0, (legs.expiry_ns[leg] - now_ns) / YEAR_NS)
    value = call_put(forward, strike, legs.iv[leg] * np.sqrt(life), legs.right[leg])
    return np.int64(np.floor(exp_(-rate * years) * legs.lot[leg] * NANO * value))


@inner
def fill_values(legs, leg, index, now_ns, shocks, model, work, out):
    """out[: COLUMNS + 2] = value of one lot at each node and basis shift, nano, rounded down.

    work: float64[WORK].
    """
    if legs.kind[leg] == LINEAR or legs.kind[leg] == CONSTANT:
        _fill_linear(legs, leg, index, now_ns, shocks, model, out)
    else:
        _fill_option(legs, leg, index, now_ns, shocks, model, work, out)


@inner
def basis_shift(legs, leg, now_ns, model):
    """Relative move of this expiry's forward against the index; none for what is the index."""
    if legs.role[leg] == 0 or legs.role[leg] == 4 or legs.role[leg] == 5:
        return 0.0
    years = max(0.0, (legs.expiry_ns[leg] - now_ns) / YEAR_NS)
    return model[MODEL_BASIS] + model[MODEL_BASIS_SLOPE] * years


@inner
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
        move = np.int64(np.rint((shock[SHOCK_MULTIPLE, c] - 1.0) * MOVE_UNITS))
        change = mul_div_floor(base, move, MOVE_UNITS)
        out[c] = base + mul_ppm_floor(change, np.int64(np.rint(shock[SHOCK_DAMPING, c] * 1e6)))
    out[cells.BASIS] = base + np.int64(np.floor(base * basis))
    out[cells.BASIS + 1] = base + np.int64(np.floor(-base * basis))


@inner
def _fill_option(legs, leg, index, now_ns, shocks, model, work, out):
    columns = cells.COLUMNS + 2
    shock = shocks[legs.underlying[leg]]
    forward, strike = option_forward_strike(legs, leg, index)
    moneyness = log_(forward / strike)
    life = option_life(legs, leg, now_ns)
    down, up = vol_multiples(life, model)
    total = legs.iv[leg] * np.sqrt(life)
    scale = discount(legs, leg, now_ns, model) * legs.lot[leg] * NANO
    basis = basis_shift(legs, leg, now_ns, model)
    multiple, log_multiple = work[:columns], work[columns : 2 * columns]
    volatility, values = work[2 * columns : 3 * columns], work[3 * columns : VALUE_WORK]
    for c in range(cells.COLUMNS):
        level = shock[SHOCK_LEVEL, c]
        multiple[c] = shock[SHOCK_MULTIPLE, c]
        log_multiple[c] = shock[SHOCK_LOG, c]
        volatility[c] = total * (down if level < 0.0 else (up if level > 0.0 else 1.0))
    for k in range(2):
        c = cells.BASIS + k
        multiple[c] = 1.0 + basis if k == 0 else 1.0 - basis
        log_multiple[c] = log_(multiple[c])
        volatility[c] = total
    right = np.float64(legs.right[leg])
    if legs.kind[leg] == FORWARD_START:
        # the strike moves with the forward, and the value with both
        for c in range(columns):
            values[c] = multiple[c] * call_put_log(forward, strike, moneyness, volatility[c], right)
    else:
        _price(forward, strike, moneyness, right, multiple, log_multiple, volatility, values)
    base = values[0]
    for c in range(columns):
        damping = shock[SHOCK_DAMPING, c] if c < cells.COLUMNS else 1.0
        out[c] = np.int64(np.floor(scale * (base + damping * (values[c] - base))))


@inner
def _price(forward, strike, moneyness, right, multiple, log_multiple, volatility, values):
    """A loop of its own, so that it vectorises."""
    for c in range(values.shape[0]):
        values[c] = call_put_log(forward * multiple[c], strike, moneyness + log_multiple[c], volatility[c], right)


@inner
def least_d1(k, low, high):
    """Least k/s + s/2 over s in [low, high]: it rises in s for k <= 0, else falls until √(2k)."""
    least = min(k / low + 0.5 * low, k / high + 0.5 * high)
    turn = np.sqrt(2.0 * max(k, 0.0))
    return turn if low < turn < high else least


@inner
def nearest(low, high):
    """The number in [low, high] nearest to zero."""
    return max(low, 0.0) + min(high, 0.0)


@inner
def fill_gaps(
    legs, leg, index_low, index_high, life_low, life_high, discounted, loose_vol, loose_basis, shocks, model, work,
    out,
):  # fmt: skip
    """out[: 3·CELLS] = per lot of each cell the gap in the first shock, in the second, and the move
    in the second (nano, rounded up), valid for every index in [index_low, index_high] and life in
    [life_low, life_high] years, for discount factors up to `discounted`, and for relative moves of
    volatility and basis up to loose_vol and loose_basis. work: float64[WORK]."""
    if legs.kind[leg] != OPTION and legs.kind[leg] != FORWARD_START:
        for c in range(3 * cells.CELLS):
            out[c] = 0
        return
    # a dynamic strike moves with spot: linear in the first shock, and its straying in the second is that of
    # an option on a fixed forward
    fixed = legs.kind[leg] == OPTION
    shock = shocks[legs.underlying[leg]]
    scale = legs.lot[leg] * NANO * discounted
    iv = legs.iv[leg]
    forward_low = index_low * legs.ratio[leg] * (1.0 - loose_basis)
    forward_high = index_high * legs.ratio[leg] * (1.0 + loose_basis)
    # a dynamic strike is a multiple of the forward: log-moneyness does not move with spot
    moneyness_low = log_(forward_low / legs.strike[leg]) if fixed else -log_(legs.strike[leg])
    moneyness_high = log_(forward_high / legs.strike[leg]) if fixed else moneyness_low
    moves = 1.0 if fixed else 0.0
    down_low, up_low = vol_multiples(life_low, model)
    down_high, up_high = vol_multiples(life_high, model)
    root_low = iv * (1.0 - loose_vol) * np.sqrt(life_low)
    root_high = iv * (1.0 + loose_vol) * np.sqrt(life_high)
    for level in range(cells.LEVELS - 1):
        low = max(TINY_VOL, root_low * (down_low if level == 0 else 1.0))
        high = max(TINY_VOL, root_high * (1.0 if level == 0 else up_high))
        width = root_high * (1.0 - down_high if level == 0 else up_high - 1.0)
        for node in range(cells.NODES):
            k, shift = level * cells.NODES + node, moves * shock[SHOCK_LOG, 1 + node]
            work[LOW + k], work[HIGH + k], work[WIDTH + k] = low, high, width
            work[MULTIPLE + k] = shock[SHOCK_MULTIPLE, 1 + node]
            work[K_LOW + k], work[K_HIGH + k] = moneyness_low + shift, moneyness_high + shift
    _gap_nodes(forward_low, forward_high, work[:GAP_WORK])
    _gap_cells(forward_low, forward_high, work[:GAP_WORK])
    for level in range(cells.LEVELS - 1):
        for cell in range(cells.SPOT_CELLS):
            k, at = level * cells.NODES + cell, level * cells.SPOT_CELLS + cell
            out[at] = np.int64(np.ceil(scale * work[SPOT + k])) + 1 if fixed else 0
            out[cells.CELLS + at] = np.int64(np.ceil(scale * max(work[VEGA + k], work[VEGA + k + 1]))) + 1
            out[2 * cells.CELLS + at] = np.int64(np.ceil(scale * max(work[MOVE + k], work[MOVE + k + 1]))) + 1


@inner
def _gap_nodes(forward_low, forward_high, work):
    """Sets of every node of both levels: how far a value may lie from its chord over a step of total volatility,
    either way (VEGA), and how much it may rise by (MOVE); the least and greatest d1 there, and Φ of these. For
    log-moneyness in [K_LOW, K_HIGH] and total volatility in [LOW, HIGH]; a loop of its own, so that it vectorises."""
    for k in range(len(work) // GAP_ROWS):
        low, high, width, multiple = work[LOW + k], work[HIGH + k], work[WIDTH + k], work[MULTIPLE + k]
        k_low, k_high = work[K_LOW + k], work[K_HIGH + k]
        d_low = min(k_low / low, k_low / high) + 0.5 * low
        d_high = max(k_high / low, k_high / high) + 0.5 * high
        far = max(abs(d_low), abs(d_high))
        vega_max = forward_high * multiple * norm_pdf(nearest(d_low, d_high))
        by_vega = 0.25 * (vega_max - forward_low * multiple * norm_pdf(far)) * width
        steep = max(abs(k_low), abs(k_high)) / low
        by_volga = 0.125 * vega_max * max(steep * steep, 0.25 * high * high) / low * width * width
        work[VEGA + k] = min(min(by_vega, by_volga), forward_high * multiple)
        work[MOVE + k] = min(vega_max * width, forward_high * multiple)
        least = least_d1(k_low, low, high)
        most = max(k_high / low + 0.5 * low, k_high / high + 0.5 * high)
        work[LEAST + k], work[MOST + k] = least, most
        work[CDF_LEAST + k], work[CDF_MOST + k] = norm_cdf(least), norm_cdf(most)


@inner
def _gap_cells(forward_low, forward_high, work):
    """Sets of every node how far a value may lie below its chord to the next node (SPOT): d1 lies between the least
    at the one and the greatest at the other."""
    for k in range(len(work) // GAP_ROWS - 1):
        length = forward_high * (work[MULTIPLE + k + 1] - work[MULTIPLE + k])
        by_delta = 0.25 * max(0.0, work[CDF_MOST + k + 1] - work[CDF_LEAST + k]) * length
        peak = norm_pdf(nearest(work[LEAST + k], work[MOST + k + 1]))
        by_gamma = 0.125 * peak / (forward_low * work[MULTIPLE + k] * work[LOW + k]) * length * length
        work[SPOT + k] = min(by_delta, by_gamma)


@inner
def fill_extra(legs, leg, index, mark, short_minimum_ppm, apart, out):
    """out = the per-lot charges of `cells.py` at this mark and index, and the price curve that the leg
    is on (a curve of its own where `apart`); what no price changes stays."""
    notional = notional_value(legs, leg, index, mark)
    haircut = mul_ppm_ceil(abs(mark), out[cells.EXTRA_HAIRCUT])
    out[cells.EXTRA_NOTIONAL] = notional
    out[cells.EXTRA_LONG] = haircut
    out[cells.EXTRA_SHORT] = haircut
    out[cells.EXTRA_SHORT_MINIMUM] = mul_ppm_ceil(notional, short_minimum_ppm)
    out[cells.EXTRA_CURVE] = leg if apart else bits_of(legs.iv[leg])
    out[cells.EXTRA_CURVE + 1] = bits_of(legs.ratio[leg])
    out[cells.EXTRA_CURVE + 2] = bits_of(legs.lot[leg])


@inner
def notional_value(legs, leg, index, mark):
    """Nano per lot of the notional: a linear leg's own value, an option's underlying, the face
    of an inverse contract."""
    if legs.kind[leg] == LINEAR:
        return abs(mark)
    if legs.kind[leg] == CONSTANT:
        return legs.notional_nano[leg]
    return -mul_div_floor(-index_nano(index), legs.lot_num[leg], legs.lot_den[leg])
