"""Rows at fixed price nodes around the market, and the slopes of value in time and volatility.

A certificate must know what a portfolio is worth at prices that have not come yet. It is
projected on rows computed at the nodes of a ladder of grids over log-price (steps of a
quarter, a half, 1, 2, … 64 anchors). Of each grid two nodes matter, SPAN steps apart, so chosen that the
price is at least half a step away from both; between them, `stray` bounds how far a leg may leave its
chord. The rows are shared by all accounts and survive until the price has moved on or they grow old.
"""

import numpy as np

from seawall.engine.state import (
    BASIS_SLOPE,
    CARRY,
    DECAY,
    DECAY_LIMIT,
    LADDER,
    LADDER_STEP,
    NEAR,
    NEAR_UNTIL,
    PRESENT,
    READY,
    REBUILD,
    RING,
    SLOPES,
    SPAN,
    VEGA,
)
from seawall.kernels import anchors, rows
from seawall.kernels.compiled import entry, inner
from seawall.kernels.normal import log_, norm_cdf, norm_pdf

VEGA_MAX = 0.3989422804014328  # φ(0); also the greatest vega per unit of total volatility and strike
LADDER_GROWTH = 2
ANCHOR_WIDTH = 2  # the width whose steps are those of the anchor grid
CEILING = 1.2  # slopes are made for prices of up to so many times the highest node's
OLDEST_NS = 4 * 3_600 * 10**9
YOUNGEST_NS = 30 * 10**9


def ladder_steps(steps: np.ndarray) -> np.ndarray:
    """float64[U, LADDER]: log-price step of every width, from that of the anchor grid."""
    return steps[:, None] * np.float64(LADDER_GROWTH) ** (np.arange(LADDER) - ANCHOR_WIDTH)


@inner
def locate(nodes, underlying, index, now_ns):
    """Whether the nodes around a price are there; notes which they are and their prices."""
    if now_ns >= nodes.times[underlying, REBUILD]:
        return False
    if nodes.times[underlying, READY]:
        return True
    for width in range(LADDER):
        ladder, key = nodes.ladder[underlying, width], nodes.key[underlying, width]
        step = ladder[LADDER_STEP]
        node = anchors.middle_cell(index, step)
        if key[node & (RING - 1)] != node or key[(node + SPAN) & (RING - 1)] != node + SPAN:
            return False
        key[PRESENT] = node
        # a hair inwards, so that a price inside is inside
        ladder[0] = anchors.cell_high(node - 1, step)
        ladder[1] = anchors.cell_low(node + SPAN, step)
    nodes.times[underlying, READY] = 1
    return True


@inner
def near_cells(nodes, underlying, now_ns):
    """In how many anchor cells the narrowest stage lies, 0 where its NEAR rows are not there or hold no
    more."""
    node = nodes.key[underlying, 0, PRESENT]
    low, high = nodes.key[underlying, NEAR, node & (RING - 1)], nodes.key[underlying, NEAR + 1, (node + SPAN) & (RING - 1)]
    if now_ns >= nodes.times[underlying, NEAR_UNTIL] or low != node or high != node + SPAN:
        return np.int64(0)
    finer = LADDER_GROWTH**ANCHOR_WIDTH
    return 1 + (node + SPAN - 1) // finer - node // finer


@entry
def fill_slopes(legs, model, which, ceiling, now_ns, slopes, valid_ns):
    """Measures the slopes of the legs in `which` from now on, for index prices up to `ceiling` in every
    column; returns the shortest life, ns."""
    shortest = np.int64(OLDEST_NS) * 8
    for k in range(len(which)):
        left = _slopes(legs, model, which[k], ceiling, now_ns, slopes[which[k]], valid_ns)
        if left > 0:
            shortest = min(shortest, left)
    return shortest


@inner
def _slopes(legs, model, leg, ceiling, now_ns, out, valid_ns):
    """Sets the slopes and the validity of one leg; returns its remaining life in ns.

    An option's value falls with time through its total volatility s, by at most the vega times
    the fall of s; the greatest vega over all forwards is φ(0)·strike. With s_k(t) = σ·m_k(t)·√t
    and m_k growing slower than √t shrinks, |ds/dt| <= ½·σ·m_up(t)/√t for every shock k, and
    that is greatest at the end of the interval.
    """
    for k in range(SLOPES):
        out[k] = 0.0
    valid_ns[leg] = np.iinfo(np.int64).max
    out[BASIS_SLOPE] = 2.0 * ceiling * legs.ratio[leg] * abs(legs.lot[leg]) * rows.NANO
    if legs.kind[leg] == rows.CONSTANT:
        out[BASIS_SLOPE] = 4.0 * abs(legs.value_nano[leg])
    drift = 2.0 * ceiling * legs.lot[leg] * rows.NANO * model[rows.MODEL_BASIS_SLOPE] / rows.YEAR_NS
    if legs.kind[leg] == rows.LINEAR or legs.kind[leg] == rows.CONSTANT:
        if legs.expiry_ns[leg] > 0:
            out[DECAY] = drift
            out[DECAY_LIMIT] = np.inf
            out[CARRY] = drift
        return np.int64(0)
    life = rows.option_life(legs, leg, now_ns)
    step = anchors.life_step(life)
    shortest = anchors.life_low(step - 1) if step > 0 else 0.0
    # a dynamic strike moves with the forward
    forward, strike = rows.option_forward_strike(legs, leg, ceiling)
    unit = VEGA_MAX * strike * legs.lot[leg] * rows.NANO
    _, up = rows.vol_multiples(life, model)
    total = legs.iv[leg] * up * np.sqrt(life)
    out[VEGA] = unit * total
    out[DECAY_LIMIT] = unit * total
    if shortest > 0.0:
        _, up_then = rows.vol_multiples(shortest, model)
        out[DECAY] = unit * 0.5 * legs.iv[leg] * up_then / np.sqrt(shortest) / rows.YEAR_NS
        out[DECAY_LIMIT] = np.inf
    value_limit = forward if legs.right[leg] > 0 else strike
    interest = abs(model[rows.MODEL_RATE]) * value_limit * legs.lot[leg] * rows.NANO / rows.YEAR_NS
    out[CARRY] = interest + drift
    out[DECAY] += interest + drift
    if out[DECAY_LIMIT] < np.inf:
        # the last minute, and a life of nothing: all of the time value may go at once, and a
        # certificate lasts a second or more
        out[DECAY] += out[DECAY_LIMIT] / 1e9
        out[DECAY_LIMIT] += (interest + drift) * OLDEST_NS * 8.0
    expiry_ns = legs.expiry_ns[leg]
    if now_ns < expiry_ns:
        valid_ns[leg] = expiry_ns - np.int64(np.ceil(shortest * rows.YEAR_NS))
        if legs.kind[leg] == rows.FORWARD_START and now_ns < legs.fix_ns[leg]:
            valid_ns[leg] = min(valid_ns[leg], legs.fix_ns[leg])
    return expiry_ns - now_ns


@entry
def fill_strays(legs, model, shocks, which, node, step, now_ns, loose_vol, loose_basis, columns, out):
    """out[leg] = how far one lot of the legs in `which`, all of one underlying, may lie below its
    chord on the SPAN steps above a node, nano."""
    low = anchors.cell_low(node, step)
    high = anchors.cell_high(node + SPAN - 1, step)
    for k in range(len(which)):
        leg = which[k]
        out[leg] = _stray(
            legs, model, shocks[legs.underlying[leg]], leg, low, high, now_ns, loose_vol, loose_basis, columns
        )


@entry
def node_below(index, step):
    """The lower of the two nodes around a price."""
    return anchors.middle_cell(index, step)


@entry
def node_price(node, step):
    """The price of a node."""
    return anchors.cell_low(node, step) / (1.0 - anchors.SLACK)


@inner
def _stray(legs, model, shock, leg, low, high, now_ns, loose_vol, loose_basis, columns):
    """Greatest distance of one lot below its chord on [low, high], over the columns, nano, while the
    slopes hold and volatility and basis stay within what they may loosely move by.

    An option is convex in the forward, so on [a, b] it lies at most ¼·(Δ(b) - Δ(a))·(b - a) below
    its chord, and at most ⅛·max Γ·(b - a)², with Γ = φ(d1) / (F·s); the total volatility s runs
    from what the shortest life leaves to the present one.
    """
    if legs.kind[leg] != rows.OPTION:
        return 2.0
    life = rows.option_life(legs, leg, now_ns)
    step = anchors.life_step(life)
    shortest = anchors.life_low(step - 1) if step > 0 else 0.0
    down, up = rows.vol_multiples(life, model)
    down_then, up_then = rows.vol_multiples(shortest, model)
    total = legs.iv[leg] * (1.0 + loose_vol) * np.sqrt(life)
    total_then = legs.iv[leg] * (1.0 - loose_vol) * np.sqrt(shortest)
    from_forward = low * legs.ratio[leg] * (1.0 - loose_basis)
    to_forward = high * legs.ratio[leg] * (1.0 + loose_basis)
    from_moneyness, to_moneyness = log_(from_forward / legs.strike[leg]), log_(to_forward / legs.strike[leg])
    shift = rows.basis_shift(legs, leg, now_ns, model)
    worst = 0.0
    for c in range(columns + 2):
        level = 0.0
        if c < columns:
            multiple, log_multiple = shock[rows.SHOCK_MULTIPLE, c], shock[rows.SHOCK_LOG, c]
            level = shock[rows.SHOCK_LEVEL, c]
        else:
            multiple = 1.0 + shift if c == columns else 1.0 - shift
            log_multiple = log_(multiple)
        s_high = max(rows.TINY_VOL, total * (down if level < 0.0 else (up if level > 0.0 else 1.0)))
        s_low = max(rows.TINY_VOL, total_then * (down_then if level < 0.0 else (up_then if level > 0.0 else 1.0)))
        length = (to_forward - from_forward) * multiple
        if 0.25 * length <= worst:
            continue
        k_high = to_moneyness + log_multiple
        d_low = rows.least_d1(from_moneyness + log_multiple, s_low, s_high)
        d_high = max(k_high / s_low + 0.5 * s_low, k_high / s_high + 0.5 * s_high)
        near = rows.nearest(d_low, d_high)
        by_gamma = 0.125 * length * length / (from_forward * multiple * s_low)
        # the density at x is at most that at 0 over 1 + x²/2
        if by_gamma * VEGA_MAX <= worst * (1.0 + 0.5 * near * near):
            continue
        peak = norm_pdf(near)
        by_gamma *= peak
        # the distribution function rises by at most its density's peak times the way
        if min(by_gamma, 0.25 * peak * (d_high - d_low) * length) <= worst:
            continue
        by_delta = 0.25 * (norm_cdf(d_high) - norm_cdf(d_low)) * length
        worst = max(worst, min(by_delta, by_gamma))
    return worst * legs.lot[leg] * rows.NANO * 1.000001 + 4.0
