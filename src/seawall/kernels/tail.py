"""Tail of a distribution of scenarios: the order statistic or the mean of an account's worst columns.

Columns of `values`: the mark, then the value of one lot in each of S scenarios. An account's loss in a
scenario is mark − column, one integer; scenarios carry integer weights that add up to one million. Only
the columns near the tail are ever ordered: bisection between the least and the greatest sum finds a level
that cuts off the tail and little more, by passes that only add up weights and so vectorise; what lies
beyond is sorted. A heap, which touches each column once, was twice as slow: its branches are coin tosses.
Equal losses are interchangeable, so the result does not depend on the order of columns or of accounts.

Floats enter once per leg and column, in `fill_board`, and are rounded down once, to nano; every
loss then pays one nano per lot, the most that those roundings can have hidden.
"""

import numpy as np

from seawall.kernels.black76 import call_put_log
from seawall.kernels.compiled import entry, inner
from seawall.kernels.fixed import MILLION, ceil_div, mul_ppm_ceil
from seawall.kernels.muldiv import mul_div_floor
from seawall.kernels.normal import exp_, log_
from seawall.kernels.root import root_up
from seawall.kernels.rows import (
    CONSTANT,
    FORWARD_START,
    LINEAR,
    NANO,
    VOL_REFERENCE_YEARS,
    YEAR_NS,
    linear_value,
    mark_value,
    option_forward_strike,
    option_life,
)

FEW = 64  # columns that are sorted by insertion
VOL_MULTIPLE_MIN = 0.05  # no scenario takes a volatility below a twentieth of today's

# scenario_params[0]: the weights of the columns, ppm, one row so that passes over them vectorise

# extra[:, k]: integers per leg
EXTRA_CHARGE = 0  # nano per lot of either side, both contexts: the haircut of collateral
EXTRA_NOTIONAL = 1  # nano per lot
EXTRA_NAKED = 2  # the same for an option, 0 for other legs
EXTRAS = 3

# underlying_params[u, k]; amounts in thousandths of the settlement currency (10**6 nano)
PARAM_CONCENTRATION_FROM = 0
PARAM_CONCENTRATION_RATE = 1  # ppm of the gross notional above
PARAM_LIQUID = 2  # gross notional that can be closed within the horizon, 0 = any
PARAM_TAIL_INITIAL = 3  # ppm: the measure of one unit of notional of this underlying, the worse side
PARAM_TAIL_MAINTENANCE = 4
PARAMS = 5

# scalars[k]
SCALAR_MEAN = 0  # 1: mean of the tail, 0: the loss at its edge
SCALAR_TAIL_INITIAL = 1  # ppm
SCALAR_TAIL_MAINTENANCE = 2
SCALAR_FACTOR_INITIAL = 3  # ppm of the measure
SCALAR_FACTOR_MAINTENANCE = 4
SCALAR_SHORT_MINIMUM = 5  # ppm of a naked short's notional
SCALAR_ROOT_MAX = 6  # ppm: the most that the horizon is stretched by
SCALARS = 7


@inner
def _fill_option(legs, leg, index, now_ns, rate, multiple, log_multiple, vol, term, work, out):
    """A loop for the volatilities and one for the values, so that both vectorise."""
    columns = multiple.shape[0]
    forward, strike = option_forward_strike(legs, leg, index)
    moneyness = log_(forward / strike)
    life = option_life(legs, leg, now_ns)
    years = max(0.0, (legs.expiry_ns[leg] - now_ns) / YEAR_NS)
    total = legs.iv[leg] * np.sqrt(life)
    scale = exp_(-rate * years) * legs.lot[leg] * NANO
    floored = max(life, term[2])
    power = term[0] if floored <= VOL_REFERENCE_YEARS else term[1]
    stretch = exp_(power * log_(VOL_REFERENCE_YEARS / floored))
    right = legs.right[leg]
    for c in range(columns):
        work[c] = total * max(VOL_MULTIPLE_MIN, 1.0 + vol[c] * stretch)
    if legs.kind[leg] == FORWARD_START:
        # the strike moves with the forward, and the value with both
        for c in range(columns):
            work[c] = multiple[c] * call_put_log(forward, strike, moneyness, work[c], right)
    else:
        for c in range(columns):
            work[c] = call_put_log(forward * multiple[c], strike, moneyness + log_multiple[c], work[c], right)
    for c in range(columns):
        out[c] = np.int64(np.floor(scale * work[c]))


@entry
def fill_board(legs, index, now_ns, rate, moves_ppm, multiple, log_multiple, vol, term, work, values):
    """values[l] = the mark and the value in each scenario of one lot of leg l, nano, rounded down.

    legs: `rows.LegArrays`; index: float64[U]; rate per year; moves_ppm: int64[U, S], relative moves of
    the index; multiple, log_multiple: float64[U, S], the same as a factor and its logarithm; vol:
    float64[U, S], relative moves of a volatility of 30 days of life; term: float64[3], the powers of
    (30 d / life) by which shorter and longer lives move more and less, and the least life in years;
    work: float64[S]; values: int64[L, 1 + S].
    """
    for leg in range(values.shape[0]):
        u = legs.underlying[leg]
        mark = mark_value(legs, leg, index[u], now_ns, rate)
        row = values[leg]
        row[0] = mark
        if legs.kind[leg] == CONSTANT:
            for c in range(moves_ppm.shape[1]):
                row[1 + c] = mark
        elif legs.kind[leg] == LINEAR:
            base = linear_value(legs, leg, index[u])
            for c in range(moves_ppm.shape[1]):
                row[1 + c] = base + mul_div_floor(base, moves_ppm[u, c], MILLION)
        else:
            _fill_option(
                legs, leg, index[u], now_ns, rate, multiple[u], log_multiple[u], vol[u], term, work, row[1:]
            )  # fmt: skip


@inner
def _project(values, legs, lots, start, stop, sums):
    """sums[c] = Σ lots · value; four positions a pass, since the passes over `sums` cost as much as the rows."""
    columns = sums.shape[0]
    p = start
    for c in range(columns):
        sums[c] = 0
    while p + 4 <= stop:
        a, b, c_, d = values[legs[p]], values[legs[p + 1]], values[legs[p + 2]], values[legs[p + 3]]
        x, y, z, w = lots[p], lots[p + 1], lots[p + 2], lots[p + 3]
        for c in range(columns):
            sums[c] += x * a[c] + y * b[c] + z * c_[c] + w * d[c]
        p += 4
    while p < stop:
        a, x = values[legs[p]], lots[p]
        for c in range(columns):
            sums[c] += x * a[c]
        p += 1


@inner
def _weight_below(sums, weights_ppm, cut):
    """Weight of the columns with sums <= cut: a pass without branches, which vectorises."""
    total = 0
    for s in range(weights_ppm.shape[0]):
        total += weights_ppm[s] if sums[1 + s] <= cut else 0
    return total


@inner
def _cut(sums, weights_ppm, tail_ppm, least, greatest):
    """A level at or below which lies a weight of tail_ppm at least, and of twice that at most where
    bisection finds such a one: what is left to sort is then a few columns."""
    low = least - 1  # nothing lies there
    high = greatest
    weight = MILLION
    while weight > 2 * tail_ppm:
        middle = (low & high) + ((low ^ high) >> 1)  # of any two int64, without overflow
        if middle == low:
            break
        below = _weight_below(sums, weights_ppm, middle)
        if below >= tail_ppm:
            high = middle
            weight = below
        else:
            low = middle
    return high


@inner
def _sift(losses, weights, start, count):
    """Restores the min-heap of `count` entries below entry `start`."""
    loss, weight = losses[start], weights[start]
    i = start
    while True:
        child = 2 * i + 1
        if child >= count:
            break
        if child + 1 < count and losses[child + 1] < losses[child]:
            child += 1
        if losses[child] >= loss:
            break
        losses[i] = losses[child]
        weights[i] = weights[child]
        i = child
    losses[i] = loss
    weights[i] = weight


@inner
def _sort(losses, weights, count):
    """Greatest loss first: by insertion where they are few, else by a heap, never in quadratic time."""
    if count <= FEW:
        for k in range(1, count):
            loss, weight = losses[k], weights[k]
            i = k
            while i > 0 and losses[i - 1] < loss:
                losses[i] = losses[i - 1]
                weights[i] = weights[i - 1]
                i -= 1
            losses[i] = loss
            weights[i] = weight
        return
    for start in range(count // 2 - 1, -1, -1):
        _sift(losses, weights, start, count)
    for last in range(count - 1, 0, -1):
        losses[0], losses[last] = losses[last], losses[0]
        weights[0], weights[last] = weights[last], weights[0]
        _sift(losses, weights, 0, last)


@inner
def worst_of(sums, weights_ppm, tail_ppm, losses, weights):
    """The worst columns, of a weight of tail_ppm at least: how many, and the first of the very worst (-1:
    none loses).

    sums: int64[1 + S]; weights_ppm: int64[S]; losses, weights: int64[S + 1], filled worst first. A loss is
    sums[0] − sums[1 + s].
    """
    columns = weights_ppm.shape[0]
    mark = sums[0]
    least = sums[1]
    greatest = sums[1]
    for s in range(columns):
        least = min(least, sums[1 + s])
        greatest = max(greatest, sums[1 + s])
    cut = _cut(sums, weights_ppm, tail_ppm, least, greatest)
    count = 0
    for s in range(columns):  # every entry is written, and kept by moving on
        losses[count] = mark - sums[1 + s]
        weights[count] = weights_ppm[s]
        count += np.int64(sums[1 + s] <= cut)
    _sort(losses, weights, count)
    index = -1
    if least < mark:
        index = 0
        while sums[1 + index] != least:
            index += 1
    return count, index


@inner
def measure(losses, weights, count, tail_ppm, mean):
    """Of a tail in order, worst first: the mean of its worst tail_ppm, rounded up, or the loss at their edge.

    The last column counts with the part of its weight that is still missing. Exact in int64 for losses
    below 2**62: they are split at one million before they are weighed.
    """
    missing = tail_ppm
    high = 0
    low = 0
    edge = 0
    for k in range(count):
        weight = min(weights[k], missing)
        edge = losses[k]
        high += (edge // MILLION) * weight
        low += (edge % MILLION) * weight
        missing -= weight
        if missing == 0:
            break
    if not mean:
        return edge
    return (high // tail_ppm) * MILLION + ceil_div((high % tail_ppm) * MILLION + low, tail_ppm)


@inner
def root_ppm(ratio_ppm):
    """⌈√(ratio)⌉ in ppm for a ratio in ppm, 0 <= ratio_ppm < 2**43."""
    return root_up(ratio_ppm * MILLION)


@inner
def _stretch_ppm(gross, liquid, root_max_ppm):
    """√(days to close / horizon) in ppm, rounded up, at most root_max_ppm; gross, liquid in thousandths."""
    if gross // liquid >= MILLION:
        return root_max_ppm
    return min(root_ppm(ceil_div(gross * MILLION, liquid)), root_max_ppm)


@inner
def _add_size(gross_nano, params, root_max_ppm, charges):
    """Adds what one underlying's gross notional costs (micro): charges = [initial, maintenance]."""
    gross = ceil_div(gross_nano, MILLION)
    above = gross - params[PARAM_CONCENTRATION_FROM]
    if above > 0:
        charge = mul_ppm_ceil(above * 1000, params[PARAM_CONCENTRATION_RATE])
        charges[0] += charge
        charges[1] += charge
    liquid = params[PARAM_LIQUID]
    if liquid > 0 and gross > liquid:
        more = _stretch_ppm(gross, liquid, root_max_ppm) - MILLION
        charges[0] += mul_ppm_ceil(mul_ppm_ceil(gross * 1000, params[PARAM_TAIL_INITIAL]), more)
        charges[1] += mul_ppm_ceil(mul_ppm_ceil(gross * 1000, params[PARAM_TAIL_MAINTENANCE]), more)


@inner
def _walk(tables, legs, lots, start, stop, charges):
    """Everything that is not a scenario: (lots of both sides, short option lots, naked notional in nano,
    flat charge in nano); charges = what size costs in micro."""
    extra, group = tables.extra, tables.leg_group
    size = 0
    shorts = 0
    naked = 0
    flat = 0
    gross = 0
    p = start
    while p < stop:
        strike = group[legs[p]]
        u = tables.leg_underlying[legs[p]]
        net = 0
        first = p
        while p < stop and group[legs[p]] == strike and (strike >= 0 or p == first):
            leg, quantity = legs[p], lots[p]
            lot_count = abs(quantity)
            size += lot_count
            if quantity < 0 and tables.leg_right[leg] != 0:
                shorts += lot_count
            flat += lot_count * extra[leg, EXTRA_CHARGE]
            gross += lot_count * extra[leg, EXTRA_NOTIONAL]
            net += quantity * extra[leg, EXTRA_NAKED]
            p += 1
        naked += max(0, -net)
        if p == stop or tables.leg_underlying[legs[p]] != u:
            _add_size(gross, tables.underlying_params[u], tables.scalars[SCALAR_ROOT_MAX], charges)
            gross = 0
    return size, shorts, naked, flat


@inner
def account(tables, legs, lots, start, stop, cash_nano, scratch, out):
    """One account: out = equity (floor), initial, maintenance (ceil) in micro, the worst scenario (-1: none loses).

    scratch: int64[2 + 3·(1 + S)].
    """
    scalars = tables.scalars
    columns = tables.values.shape[1]
    charges = scratch[0:2]
    sums = scratch[2 : 2 + columns]
    losses = scratch[2 + columns : 2 + 2 * columns]
    weights = scratch[2 + 2 * columns : 2 + 3 * columns]
    charges[0] = 0
    charges[1] = 0
    out[3] = -1
    initial = 0
    maintenance = 0
    equity = cash_nano
    if stop > start:
        _project(tables.values, legs, lots, start, stop, sums)
        size, shorts, naked, flat = _walk(tables, legs, lots, start, stop, charges)
        equity += sums[0] - shorts
        tail_initial, tail_maintenance = scalars[SCALAR_TAIL_INITIAL], scalars[SCALAR_TAIL_MAINTENANCE]
        reach = max(tail_initial, tail_maintenance)
        count, out[3] = worst_of(sums, tables.scenario_params[0], reach, losses, weights)
        mean = scalars[SCALAR_MEAN] != 0
        minimum = mul_ppm_ceil(naked, scalars[SCALAR_SHORT_MINIMUM])
        initial = max(measure(losses, weights, count, tail_initial, mean) + size, minimum, 0)
        maintenance = max(measure(losses, weights, count, tail_maintenance, mean) + size, minimum, 0)
        initial = mul_ppm_ceil(ceil_div(initial, 1000), scalars[SCALAR_FACTOR_INITIAL])
        maintenance = mul_ppm_ceil(ceil_div(maintenance, 1000), scalars[SCALAR_FACTOR_MAINTENANCE])
        initial += ceil_div(flat, 1000) + charges[0]
        maintenance += ceil_div(flat, 1000) + charges[1]
    out[0] = equity // 1000
    out[1] = initial
    out[2] = maintenance


@entry
def tails(losses_of, weights_ppm, tail_ppm, mean, scratch, out):
    """out[a] = the measure of row a of losses (int64[A, S]); weights_ppm: int64[S]; scratch: int64[3·(S + 1)]."""
    columns = losses_of.shape[1]
    sums = scratch[0 : columns + 1]
    losses = scratch[columns + 1 : 2 * columns + 2]
    weights = scratch[2 * columns + 2 : 3 * columns + 3]
    for a in range(losses_of.shape[0]):
        sums[0] = 0
        for s in range(columns):
            sums[1 + s] = -losses_of[a, s]
        count, _ = worst_of(sums, weights_ppm, tail_ppm, losses, weights)
        out[a] = measure(losses, weights, count, tail_ppm, mean)
