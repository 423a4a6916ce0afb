"""Tail of a distribution of scenarios: the order statistic or the mean of an account's worst columns.

Columns of `values`: the mark, then the value of one lot in each of S scenarios. An account's loss in a
scenario is mark − column, one integer; scenarios carry integer weights that add up to one million. Which
columns are the worst, `worst.py` finds from sums over all of them. `tail_book.py` evaluates many accounts
on one board with fewer such sums, and to the same integers.

Floats enter once per leg and column, in `fill_board`, and are rounded down once, to nano; every
loss then pays one nano per lot, the most that those roundings can have hidden.
"""

import numpy as np

from seawall.kernels.black76 import call_put_log
from seawall.kernels.compiled import entry, inner, once
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
from seawall.kernels.worst import measure, rank, worst_of

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

# walked[k]: what an account pays that is no scenario
WALKED_INITIAL = 0  # what size costs, micro
WALKED_MAINTENANCE = 1
WALKED_SIZE = 2  # lots of both sides
WALKED_SHORTS = 3  # short option lots
WALKED_NAKED = 4  # naked notional, nano
WALKED_FLAT = 5  # charges of either side, nano
WALKED = 6


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
def root_ppm(ratio_ppm):
    """⌈√(ratio)⌉ in ppm for a ratio in ppm, 0 <= ratio_ppm < 2**43."""
    return root_up(ratio_ppm * MILLION)


@inner
def _stretch_ppm(gross, liquid, root_max_ppm):
    """√(days to close / horizon) in ppm, rounded up, at most root_max_ppm; gross, liquid in thousandths."""
    if gross // liquid >= MILLION:
        return root_max_ppm
    return min(root_ppm(ceil_div(gross * MILLION, liquid)), root_max_ppm)


@once
def _add_size(gross_nano, params, root_max_ppm, charges):
    """Adds what one underlying's gross notional costs to charges[WALKED_INITIAL], charges[WALKED_MAINTENANCE]."""
    gross = ceil_div(gross_nano, MILLION)
    above = gross - params[PARAM_CONCENTRATION_FROM]
    if above > 0:
        charge = mul_ppm_ceil(above * 1000, params[PARAM_CONCENTRATION_RATE])
        charges[WALKED_INITIAL] += charge
        charges[WALKED_MAINTENANCE] += charge
    liquid = params[PARAM_LIQUID]
    if liquid > 0 and gross > liquid:
        more = _stretch_ppm(gross, liquid, root_max_ppm) - MILLION
        charges[WALKED_INITIAL] += mul_ppm_ceil(mul_ppm_ceil(gross * 1000, params[PARAM_TAIL_INITIAL]), more)
        charges[WALKED_MAINTENANCE] += mul_ppm_ceil(mul_ppm_ceil(gross * 1000, params[PARAM_TAIL_MAINTENANCE]), more)


@once
def walk(tables, legs, lots, start, stop, walked):
    """Everything that is not a scenario into walked (int64[WALKED]), see there."""
    extra, group = tables.extra, tables.leg_group
    walked[WALKED_INITIAL] = 0
    walked[WALKED_MAINTENANCE] = 0
    size, shorts, naked, flat, gross = 0, 0, 0, 0, 0
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
            shorts += max(-quantity, 0) * np.int64(tables.leg_right[leg] != 0)  # no branch: sides are coin tosses
            flat += lot_count * extra[leg, EXTRA_CHARGE]
            gross += lot_count * extra[leg, EXTRA_NOTIONAL]
            net += quantity * extra[leg, EXTRA_NAKED]
            p += 1
        naked += max(0, -net)
        if p == stop or tables.leg_underlying[legs[p]] != u:
            _add_size(gross, tables.underlying_params[u], tables.scalars[SCALAR_ROOT_MAX], walked)
            gross = 0
    walked[WALKED_SIZE] = size
    walked[WALKED_SHORTS] = shorts
    walked[WALKED_NAKED] = naked
    walked[WALKED_FLAT] = flat


@inner
def conclude(scalars, walked, cash_nano, mark, losses, weights, above, count, out):
    """out[:3] = equity (floor), initial, maintenance (ceil) in micro, from Σ lots · mark and the account's worst
    columns as `worst_of` leaves them; above: int64[room(S)]."""
    mean = scalars[SCALAR_MEAN] != 0
    rank(losses, weights, count, above)
    minimum = mul_ppm_ceil(walked[WALKED_NAKED], scalars[SCALAR_SHORT_MINIMUM])
    flat = ceil_div(walked[WALKED_FLAT], 1000)
    out[0] = (cash_nano + mark - walked[WALKED_SHORTS]) // 1000
    for k in range(2):
        risk = measure(losses, weights, above, count, scalars[SCALAR_TAIL_INITIAL + k], mean) + walked[WALKED_SIZE]
        risk = mul_ppm_ceil(ceil_div(max(risk, minimum, 0), 1000), scalars[SCALAR_FACTOR_INITIAL + k])
        out[1 + k] = risk + flat + walked[WALKED_INITIAL + k]


@inner
def nothing(cash_nano, out):
    """out = the figures of an account without positions."""
    out[0] = cash_nano // 1000
    out[1] = 0
    out[2] = 0
    out[3] = -1


@entry
def accounts(tables, starts, stops, legs, lots, cash_nano, scratch, out):
    """out[a] = equity, initial, maintenance in micro, the worst scenario (-1: none loses) of account a.

    scratch: int64[5, room(S)].
    """
    scalars, weights_ppm = tables.scalars, tables.scenario_params[0]
    sums, losses, weights = scratch[0, : tables.values.shape[1]], scratch[1], scratch[2]
    above, walked = scratch[3], scratch[4]
    reach = max(scalars[SCALAR_TAIL_INITIAL], scalars[SCALAR_TAIL_MAINTENANCE])
    for a in range(len(out)):
        start, stop = starts[a], stops[a]
        if start == stop:
            nothing(cash_nano[a], out[a])
            continue
        walk(tables, legs, lots, start, stop, walked)
        _project(tables.values, legs, lots, start, stop, sums)
        count, out[a, 3] = worst_of(sums, weights_ppm, reach, losses, weights)
        conclude(scalars, walked, cash_nano[a], sums[0], losses, weights, above, count, out[a])


@entry
def tails(losses_of, weights_ppm, tail_ppm, mean, scratch, out):
    """out[a] = the measure of row a of losses (int64[A, S]); weights_ppm: int64[S]; scratch: int64[4, worst.room(S)]."""
    columns = losses_of.shape[1]
    sums, losses, weights, above = scratch[0, : columns + 1], scratch[1], scratch[2], scratch[3]
    for a in range(losses_of.shape[0]):
        sums[0] = 0
        for s in range(columns):
            sums[1 + s] = -losses_of[a, s]
        count, _ = worst_of(sums, weights_ppm, tail_ppm, losses, weights)
        rank(losses, weights, count, above)
        out[a] = measure(losses, weights, above, count, tail_ppm, mean)
