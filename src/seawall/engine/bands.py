"""Bounds of an account's health on a band that grows, stage by stage of the node ladder.

A stage is a pair of nodes around the price, for every underlying of the account. Between the band
so far and a stage the parts of health (`faces.py`) lie above their chords less the stray of the
legs in that cell, so the bounds at a share of the way are linear in the share.
"""

import numpy as np

from seawall.engine import faces
from seawall.engine.faces import FACTOR, FLAT, LOWER, ON, UPPER, WITH_GAP
from seawall.engine.pieces import (
    BASE,
    FIRST,
    LAST,
    LEAST_BASIS,
    NODES_LOW,
    NOW_LOW,
    ORDER_FIRST,
    ORDER_LAST,
    STAGE,
    TRIAL,
    UNDERLYING,
    profile,
)
from seawall.engine.state import PRESENT, RING
from seawall.kernels import cells, orders
from seawall.kernels.compiled import inner, once
from seawall.kernels.tables import CELLS, tables_at

FALL, RISE = 0, 1
NANO_PER_ACCOUNT = 20_000.0
RELATIVE_SLACK = 1e-12


@inner
def charge_share(params, kind):
    """How far charges may move for each unit that values move."""
    return 1.0 + (params[cells.PARAM_CONCENTRATION_RATE] * 1e-6 if kind == CELLS else 0.0)


@inner
def penalty(rule, side, low, high, share):
    """How far a part of the bound may be off where values may be `low` lower and `high` higher:
    a value counts at most max(1, factor) times one way and factor - 1 times the other."""
    factor, flat = rule[side + FACTOR], rule[side + FLAT]
    worse, other = (low, high) if side == LOWER else (high, low)
    return max(1.0, factor) * worse + max(0.0, factor - 1.0) * other + flat * share * (low + high)


@once
def _strays(nodes, holdings, piece, width, node, out):
    """out = (nano below, nano above) that the piece may leave its chords in the cell above a node."""
    ring = node & (RING - 1)
    out[0] = 0.0
    out[1] = 0.0
    positions = piece[LAST] - piece[FIRST]
    for k in range(positions + piece[ORDER_LAST] - piece[ORDER_FIRST]):
        if k < positions:
            leg = np.int64(holdings.leg[piece[FIRST] + k])
            lots = holdings.lots[piece[FIRST] + k]
        else:
            order = holdings.orders[piece[ORDER_FIRST] + k - positions]
            leg, lots = order[orders.LEG], order[orders.LOTS]
        if lots > 0:
            out[0] += lots * nodes.stray[width, ring, leg]
        else:
            out[1] -= lots * nodes.stray[width, ring, leg]


@inner
def prepare(kind, tables, nodes, holdings, scratch, count, stage, slot, with_orders, joint):
    """Fills a slot with one stage of the ladder, both sides: the ends of the present cell of a
    width, or those of its neighbours (for which the former must have been prepared before)."""
    width, far = stage // 2, stage % 2
    for i in range(count):
        piece = scratch.pieces[i]
        u = piece[UNDERLYING]
        cell = nodes.key[u, width, PRESENT]
        for side in range(2):
            place = 1 - far if side == FALL else 2 + far
            ring = (cell - 1 + place) & (RING - 1)
            here = tables_at(tables, nodes.values[width, ring], nodes.extra[width, ring])
            x = scratch.profile
            profile(kind, here, holdings, piece, with_orders, x)
            if kind == CELLS:
                if scratch.rule[WITH_GAP] > 0.0:
                    for c in range(cells.GAP, cells.BASIS_CHARGE):
                        x[c] = scratch.exact[with_orders, i, c]
                _take_gaps(scratch, i, slot, side, far, x)
            # the cell between this node and what lies nearer to the price
            between = cell if not far else (cell - 1 if side == FALL else cell + 1)
            _strays(nodes, holdings, piece, width, between, scratch.stray[slot, side, i])
            _put(kind, tables, scratch, i, x, slot, side, NODES_LOW, joint)
            scratch.ends[slot, i, side] = nodes.ladder[u, width, place]


@inner
def _gap_of(x, c):
    """The c-th gap of a profile: in the first shock, then in the second."""
    return np.float64(x[cells.GAP + c] if c < cells.CELLS else cells.vega_gap(x, c - cells.CELLS))


@once
def _take_gaps(scratch, i, slot, side, far, x):
    """Sets the gaps of the cell between a node and what lies nearer to the price: a node's row
    holds those of the cell above it."""
    gap, ahead = scratch.gap, scratch.ahead
    for c in range(faces.GAPS):
        mine = _gap_of(x, c)
        if side == FALL:
            gap[slot, FALL, i, c] = mine
            if not far:
                gap[slot, RISE, i, c] = mine
        elif far:
            gap[slot, RISE, i, c] = ahead[i, c]
        else:
            ahead[i, c] = mine


@inner
def _put(kind, tables, scratch, i, x, slot, side, slack_from, joint):
    """Turns a profile into the parts of both bounds, less the slack of time, volatility, basis."""
    rule, work = scratch.rule, scratch.work
    params = tables.underlying_params[scratch.pieces[i, UNDERLYING]]
    share = charge_share(params, kind)
    low, high = scratch.slack[i, slack_from], scratch.slack[i, slack_from + 1]
    z = work[cells.CELLS :]
    if rule[LOWER + ON]:
        faces.lower(kind, x, scratch.gap[slot, side, i], params, rule, joint, work, z)
        off = penalty(rule, LOWER, low, high, share)
        for j in range(joint):
            scratch.lower[slot, side, i, j] = z[j] - off
    if rule[UPPER + ON]:
        out = scratch.upper[slot, side, i]
        faces.upper(kind, x, params, rule, scratch.witness[i], scratch.slack[i, LEAST_BASIS], out)
        out[0] += penalty(rule, UPPER, low, high, share)


@inner
def prepare_point(kind, tables, scratch, count, profiles, joint):
    """Fills the slot BASE from the exact profiles of the present point."""
    for i in range(count):
        for side in range(2):
            if kind == CELLS:
                for c in range(faces.GAPS):
                    scratch.gap[BASE, side, i, c] = _gap_of(profiles[i], c)
            _put(kind, tables, scratch, i, profiles[i], BASE, side, NOW_LOW, joint)


@inner
def least_basis(tables, nodes, holdings, scratch, i):
    """What of the i-th piece's basis charge is sure inside the finest present cell: the charge now less
    the most that its legs' basis columns can move by."""
    piece = scratch.pieces[i]
    cell = nodes.key[piece[UNDERLYING], 0, PRESENT]
    charge = np.float64(scratch.exact[0, i, cells.BASIS_CHARGE])
    for p in range(piece[FIRST], piece[LAST]):
        leg = holdings.leg[p]
        row = tables.values[leg]
        moved = 0
        for node in range(cell, cell + 2):
            there = nodes.values[0, node & (RING - 1), leg]
            for k in range(cells.BASIS, cells.BASIS + 2):
                moved = max(moved, abs((there[k] - there[cells.MARK]) - (row[k] - row[cells.MARK])))
        stray = nodes.stray[0, cell & (RING - 1), leg]
        charge -= abs(holdings.lots[p]) * (moved + 2.0 * stray)
    return max(0.0, charge)


@inner
def choose_witnesses(kind, tables, scratch, count, joint, profiles):
    """The witness terms at the profiles (int64[U, W]) of the present point."""
    rule, work = scratch.rule, scratch.work
    z = work[cells.CELLS :]
    total = scratch.lower[TRIAL, 0, 0]
    kept = rule[LOWER + FACTOR], rule[LOWER + FLAT]
    rule[LOWER + FACTOR], rule[LOWER + FLAT] = rule[UPPER + FACTOR], rule[UPPER + FLAT]
    for i in range(count):
        gaps = scratch.gap[TRIAL, 0, i]
        for c in range(faces.GAPS):
            gaps[c] = _gap_of(profiles[i], c)
        params = tables.underlying_params[scratch.pieces[i, UNDERLYING]]
        faces.lower(kind, profiles[i], gaps, params, rule, joint, work, z)
        for j in range(joint):
            total[j] = z[j] if i == 0 else total[j] + z[j]
    rule[LOWER + FACTOR], rule[LOWER + FLAT] = kept
    scenario = 0
    for j in range(joint):
        if total[j] < total[scenario]:
            scenario = j
    for i in range(count):
        params = tables.underlying_params[scratch.pieces[i, UNDERLYING]]
        faces.choose_witness(profiles[i], params, scenario, joint, scratch.witness[i])


@inner
def _height(scratch, count, cash, slot, side, scenario):
    """Distance of a slot's bound from its line: from below in one joint scenario, or from above."""
    out = -NANO_PER_ACCOUNT - RELATIVE_SLACK * abs(cash)
    if side == LOWER:
        out += cash
        for i in range(count):
            out += min(scratch.lower[slot, FALL, i, scenario], scratch.lower[slot, RISE, i, scenario])
        return out
    out -= cash
    for i in range(count):
        out -= max(scratch.upper[slot, FALL, i, 0], scratch.upper[slot, RISE, i, 0])
        out += min(scratch.upper[slot, FALL, i, 1], scratch.upper[slot, RISE, i, 1])
    return out


@inner
def safety(scratch, count, joint, cash, slot):
    """The least distance of a slot's bounds from a line; negative where it does not stand."""
    safety = np.inf
    for which in range(0, 2 * UPPER, UPPER):
        if scratch.rule[which + ON]:
            for j in range(joint if which == LOWER else 1):
                safety = min(safety, _height(scratch, count, cash, slot, which, j))
    return safety


@inner
def outside(scratch, i, side, slot):
    """Whether a slot's end lies beyond the band so far."""
    if side == FALL:
        return scratch.ends[slot, i, FALL] < scratch.edges[i, FALL]
    return scratch.ends[slot, i, RISE] > scratch.edges[i, RISE]


@inner
def _bend(scratch, i, side, slot, which, joint):
    """What a mix of the band so far and a slot may be off by: the stray between them, and how much
    the gaps grow."""
    rule = scratch.rule
    below, above = scratch.stray[slot, side, i, 0], scratch.stray[slot, side, i, 1]
    out = penalty(rule, which, below, above, 2.0)
    if which == LOWER and rule[LOWER + FACTOR] > 0.0:
        here, there = scratch.gap[BASE, side, i], scratch.gap[slot, side, i]
        wider = 0.0
        for c in range(cells.CELLS):
            vega = cells.CELLS + c
            wider = max(wider, max(0.0, there[c] - here[c]) + max(0.0, there[vega] - here[vega]))
        out += rule[LOWER + FACTOR] * wider
    return out


@inner
def reach(scratch, count, joint, cash, slot):
    """The greatest share of the way, in [0, 1], from the band so far to a stage in that slot that
    stands, for every underlying both ways at once. The bounds at a share are linear in it."""
    best = 1.0
    for which in range(0, 2 * UPPER, UPPER):
        if not scratch.rule[which + ON]:
            continue
        bend = 0.0
        for i in range(count):
            worst = 0.0
            least = scratch.upper[BASE, FALL, i, 1]
            for side in range(2):
                if outside(scratch, i, side, slot):
                    worst = max(worst, _bend(scratch, i, side, slot, which, joint))
                    least = min(least, scratch.upper[slot, side, i, 1])
            bend += worst
            if which == UPPER:
                # a charge may be convex: on the way it may be as low as at the end
                bend += max(0.0, min(scratch.upper[BASE, FALL, i, 1], scratch.upper[BASE, RISE, i, 1]) - least)
        for j in range(joint if which == LOWER else 1):
            height = _height(scratch, count, cash, BASE, which, j) - bend
            drop = 0.0
            for i in range(count):
                drop += _drop(scratch, i, slot, which, j)
            if height < 0.0:
                best = 0.0
            elif height < best * drop:
                best = height / drop
    return best


@inner
def _drop(scratch, i, slot, which, j):
    """How much nearer to its line one underlying's part is in a slot than in the band so far."""
    drop = 0.0
    here = min(scratch.lower[BASE, FALL, i, j], scratch.lower[BASE, RISE, i, j])
    here_above = max(scratch.upper[BASE, FALL, i, 0], scratch.upper[BASE, RISE, i, 0])
    for side in range(2):
        if not outside(scratch, i, side, slot):
            continue
        if which == LOWER:
            drop = max(drop, here - scratch.lower[slot, side, i, j])
        else:
            drop = max(drop, scratch.upper[slot, side, i, 0] - here_above)
    return drop


@inner
def advance(scratch, i, side, slot, share, joint, base, out):
    """Writes into slot `out` one side of the band a share of the way from `base` to a slot."""
    off = _bend(scratch, i, side, slot, LOWER, joint)
    for j in range(joint):
        here = scratch.lower[base, side, i, j]
        there = scratch.lower[slot, side, i, j]
        scratch.lower[out, side, i, j] = here + share * min(0.0, there - here) - off
    off = _bend(scratch, i, side, slot, UPPER, joint)
    here, charge = scratch.upper[base, side, i, 0], scratch.upper[base, side, i, 1]
    there = scratch.upper[slot, side, i, 0]
    scratch.upper[out, side, i, 0] = here + share * max(0.0, there - here) + off
    scratch.upper[out, side, i, 1] = min(charge, scratch.upper[slot, side, i, 1])
    for c in range(faces.GAPS):
        scratch.gap[out, side, i, c] = max(scratch.gap[base, side, i, c], scratch.gap[slot, side, i, c])


@inner
def move(scratch, count, joint, slot, share):
    """Takes the band so far a share of the way to a slot, every underlying both ways."""
    edges = scratch.edges
    if share <= 0.0:
        return
    for i in range(count):
        for side in range(2):
            if outside(scratch, i, side, slot):
                advance(scratch, i, side, slot, share, joint, BASE, BASE)
                edges[i, side] += share * (scratch.ends[slot, i, side] - edges[i, side])


@inner
def start_from_cells(scratch, count, joint):
    """Makes the present cells of the finest width, in the slot STAGE, the band so far."""
    for i in range(count):
        for side in range(2):
            for j in range(joint):
                lowest = min(scratch.lower[STAGE, FALL, i, j], scratch.lower[STAGE, RISE, i, j])
                scratch.lower[BASE, side, i, j] = lowest
            for c in range(faces.GAPS):
                scratch.gap[BASE, side, i, c] = scratch.gap[STAGE, side, i, c]
            off = _bend(scratch, i, side, STAGE, LOWER, joint)
            for j in range(joint):
                scratch.lower[BASE, side, i, j] -= off
            scratch.edges[i, side] = scratch.ends[STAGE, i, side]
