"""Rows at fixed price nodes around the market, and the slopes of value in time and volatility.

A certificate must know what a portfolio is worth at prices that have not come yet. It is
projected on rows computed at the nodes of a ladder of grids over log-price (steps of 1, 4, 16
and 64 anchors); between nodes, `stray` bounds how far a leg may leave its chord. The rows are
shared by all accounts and survive until the price leaves their cells or they grow old.
"""

import numpy as np
from numba import njit

from seawall.engine.state import LADDER, NODE_FILLS, RING
from seawall.kernels import anchors, cells, rows, tier_rows
from seawall.kernels.normal import norm_cdf
from seawall.kernels.tables import CELLS, TIERS, tables_at

VEGA_MAX = 0.3989422804014328  # greatest vega per unit of total volatility and strike: φ(0)
LADDER_GROWTH = 4
OLDEST_NS = 4 * 3_600 * 10**9
YOUNGEST_NS = 30 * 10**9


@njit(error_model="numpy")
def ladder_step(steps, underlying, width):
    """Log-price step of one width of the ladder."""
    step = steps[underlying]
    for _ in range(width):
        step *= LADDER_GROWTH
    return step


@njit(error_model="numpy")
def ensure(kind, board, nodes, underlying, now_ns, sums):
    """Makes the nodes around the present price of an underlying, where they are not there."""
    if now_ns >= nodes.rebuild_ns[underlying]:
        _start(board, nodes, underlying, now_ns)
    for width in range(LADDER):
        step = ladder_step(board.steps, underlying, width)
        cell = anchors.price_cell(board.index[underlying], step)
        for node in range(cell - 1, cell + 3):
            if nodes.key[underlying, width, node & (RING - 1)] != node:
                _fill(kind, board, nodes, underlying, width, node, step, now_ns)
                sums[NODE_FILLS] += 1


@njit(error_model="numpy")
def _start(board, nodes, underlying, now_ns):
    """Forgets the nodes of an underlying and measures its legs' slopes from now on."""
    nodes.key[underlying, :, :] = np.iinfo(np.int64).min
    nodes.built_ns[underlying] = now_ns
    shortest = np.int64(OLDEST_NS) * 8
    for leg in range(board.leg_first[underlying], board.leg_first[underlying + 1]):
        left = _slopes(board, nodes, leg, now_ns)
        if left > 0:
            shortest = min(shortest, left)
    nodes.rebuild_ns[underlying] = now_ns + max(YOUNGEST_NS, min(OLDEST_NS, shortest // 8))


@njit(error_model="numpy")
def _slopes(board, nodes, leg, now_ns):
    """Sets decay, carry, vega and validity of one leg; returns its remaining life in ns.

    An option's value falls with time through its total volatility s, by at most the vega times
    the fall of s; the greatest vega over all forwards is φ(0)·strike. With s_k(t) = σ·m_k(t)·√t
    and m_k growing slower than √t shrinks, |ds/dt| <= ½·σ·m_up(t)/√t for every shock k, and
    that is greatest at the end of the interval.
    """
    legs, model = board.legs, board.model
    nodes.decay[leg] = 0.0
    nodes.decay_limit[leg] = 0.0
    nodes.carry[leg] = 0.0
    nodes.vega[leg] = 0.0
    nodes.valid_ns[leg] = np.iinfo(np.int64).max
    index = board.index[legs.underlying[leg]]
    drift = 2.0 * index * legs.lot[leg] * rows.NANO * model[rows.MODEL_BASIS_SLOPE] / rows.YEAR_NS
    if legs.kind[leg] == rows.LINEAR or legs.kind[leg] == rows.CONSTANT:
        if legs.expiry_ns[leg] > 0:
            nodes.decay[leg] = drift
            nodes.decay_limit[leg] = np.inf
            nodes.carry[leg] = drift
        return np.int64(0)
    life = rows.option_life(legs, leg, now_ns)
    step = anchors.life_step(life)
    shortest = anchors.life_low(step - 1) if step > 0 else 0.0
    forward, strike = rows.option_forward_strike(legs, leg, index)
    if legs.kind[leg] == rows.FORWARD_START:
        strike *= 4.0  # it moves with the forward: leave room for the widest band
    unit = VEGA_MAX * strike * legs.lot[leg] * rows.NANO
    _, up = rows.vol_multiples(life, model)
    total = legs.iv[leg] * up * np.sqrt(life)
    nodes.vega[leg] = unit * total
    nodes.decay_limit[leg] = unit * total
    if shortest > 0.0:
        _, up_then = rows.vol_multiples(shortest, model)
        nodes.decay[leg] = unit * 0.5 * legs.iv[leg] * up_then / np.sqrt(shortest) / rows.YEAR_NS
        nodes.decay_limit[leg] = np.inf
    value_limit = 4.0 * forward if legs.right[leg] > 0 else strike
    interest = abs(model[rows.MODEL_RATE]) * value_limit * legs.lot[leg] * rows.NANO / rows.YEAR_NS
    nodes.carry[leg] = interest + drift
    nodes.decay[leg] += interest + drift
    if nodes.decay_limit[leg] < np.inf:
        # the last minute, and a life of nothing: all of the time value may go at once
        nodes.decay_limit[leg] += (interest + drift) * OLDEST_NS * 8.0
    expiry_ns = legs.expiry_ns[leg]
    if now_ns < expiry_ns:
        nodes.valid_ns[leg] = expiry_ns - np.int64(np.ceil(shortest * rows.YEAR_NS))
        if legs.kind[leg] == rows.FORWARD_START and now_ns < legs.fix_ns[leg]:
            nodes.valid_ns[leg] = min(nodes.valid_ns[leg], legs.fix_ns[leg])
    return expiry_ns - now_ns


@njit(error_model="numpy")
def _fill(kind, board, nodes, underlying, width, node, step, now_ns):
    """Rows of every leg of an underlying at one node, with the gaps of the cell above it."""
    legs, model = board.legs, board.model
    low = anchors.cell_low(node, step)
    high = anchors.cell_high(node, step)
    price = np.float64(low) / (1.0 - anchors.SLACK)
    ring = node & (RING - 1)
    values = nodes.values[width, ring]
    extra = nodes.extra[width, ring]
    work = np.empty(rows.WORK)
    tables = board.tables
    here = tables_at(tables, values, extra)
    for leg in range(board.leg_first[underlying], board.leg_first[underlying + 1]):
        if kind == TIERS:
            tier_rows.refresh_leg(legs, leg, price, now_ns, model[rows.MODEL_RATE], here)
            columns = 1
        elif kind == CELLS:
            rows.fill_values(legs, leg, price, now_ns, board.shocks, model, work, values[leg])
            life = anchors.life_step(rows.option_life(legs, leg, now_ns))
            rows.fill_gaps(
                legs,
                leg,
                low,
                high,
                anchors.life_low(max(life - 1, 0)),
                anchors.life_high(life),
                board.shocks,
                model,
                values[leg, cells.GAP_LONG :],
            )
            rows.fill_extra(
                legs, leg, price, values[leg, 0], tables.scalars[cells.SCALAR_SHORT_MINIMUM], extra[leg]
            )
            columns = cells.COLUMNS
        nodes.stray[width, ring, leg] = _stray(board, leg, low, high, now_ns, columns)
    nodes.key[underlying, width, node & (RING - 1)] = node


@njit(error_model="numpy")
def _stray(board, leg, low, high, now_ns, columns):
    """Greatest distance of one lot below its chord on [low, high], over the columns, nano:
    ¼·(Δ(high) - Δ(low))·(high - low), an option being convex in the forward."""
    legs, model = board.legs, board.model
    if legs.kind[leg] != rows.OPTION:
        return 2.0
    life = rows.option_life(legs, leg, now_ns)
    down, up = rows.vol_multiples(life, model)
    total = legs.iv[leg] * np.sqrt(life)
    shock = board.shocks[legs.underlying[leg]]
    ratio, strike = legs.ratio[leg], legs.strike[leg]
    worst = 0.0
    for c in range(columns + 2):
        multiple = 1.0
        level = 0.0
        if c < columns:
            multiple = shock[rows.SHOCK_MULTIPLE, c]
            level = shock[rows.SHOCK_LEVEL, c]
        else:
            shift = rows.basis_shift(legs, leg, now_ns, model)
            multiple = 1.0 + shift if c == columns else 1.0 - shift
        vol = max(rows.TINY_VOL, total * (down if level < 0.0 else (up if level > 0.0 else 1.0)))
        moneyness = np.log(ratio * multiple / strike)
        d_low = (np.log(low) + moneyness) / vol + 0.5 * vol
        d_high = (np.log(high) + moneyness) / vol + 0.5 * vol
        gap = 0.25 * (norm_cdf(d_high) - norm_cdf(d_low)) * (high - low) * ratio * multiple
        worst = max(worst, gap)
    return worst * legs.lot[leg] * rows.NANO * 1.000001 + 4.0
