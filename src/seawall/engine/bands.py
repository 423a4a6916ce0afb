"""Bounds of an account's health on a band that grows, stage by stage of the node ladder.

A stage is the pair of nodes around the price on one width of the ladder, for every underlying of the
account. Between two nodes the parts of health (`faces.py`) lie above their chords less the stray of
the legs, so between the band so far and a stage the bounds at a share of the way are linear in the
share.
"""

import numpy as np

from seawall.engine import faces
from seawall.engine.faces import FACTOR, FLAT, LOWER, ON, STRAY_RATE, UPPER, WITH_GAP
from seawall.engine.pieces import (
    BASE,
    BY_GAP,
    BY_STRAY,
    FIRST,
    LAST,
    NODES_LOW,
    NOW_LOW,
    POINT,
    STAGE,
    UNDERLYING,
    USES_NEAR,
    YOUNGER_LOW,
    leg_lots,
    profile,
    size_of,
)
from seawall.engine.state import BUILT, NEAR, PRESENT, RING, SPAN
from seawall.kernels import cells
from seawall.kernels.compiled import inner, once
from seawall.kernels.tables import tables_at

FALL, RISE = 0, 1
NANO_PER_ACCOUNT = 20_000.0
RELATIVE_SLACK = 1e-12


@inner
def charge_share(params, kind):
    """How far charges may move for each unit that values move."""
    return 1.0 + (params[cells.PARAM_CONCENTRATION_RATE] * 1e-6 if kind is None else 0.0)


@inner
def penalty(rule, side, low, high, share):
    """How far a part of the bound may be off where values may be `low` lower and `high` higher:
    a value counts at most max(1, factor) times one way and factor - 1 times the other."""
    factor, flat = rule[side + FACTOR], rule[side + FLAT]
    worse, other = (low, high) if side == LOWER else (high, low)
    return max(1.0, factor) * worse + max(0.0, factor - 1.0) * other + flat * share * (low + high)


@once
def _strays(nodes, holdings, piece, width, node, out):
    """out = (nano below, nano above) that the piece may leave its chords in the interval above a node."""
    ring = node & (RING - 1)
    out[0] = 0.0
    out[1] = 0.0
    for k in range(size_of(piece)):
        leg, lots = leg_lots(holdings, piece, k)
        if lots > 0:
            out[0] += lots * nodes.stray[width, ring, leg]
        else:
            out[1] -= lots * nodes.stray[width, ring, leg]


@inner
def prepare(kind, tables, nodes, holdings, scratch, count, width, with_orders, joint, is_point):
    """Makes the stage of one width of the ladder, both sides. is_point: whether the band so far is the present point."""
    for i in range(count):
        piece = scratch.pieces[i]
        u = piece[UNDERLYING]
        node = nodes.key[u, width, PRESENT]
        made = nodes.made_ns[u, width]
        made_ns = min(made[node & (RING - 1)], made[(node + SPAN) & (RING - 1)])
        younger_ns = np.float64(made_ns - nodes.times[u, BUILT])
        off_low, off_high = _offs(kind, tables, scratch, i, NODES_LOW, younger_ns)
        near = piece[USES_NEAR] > 0
        for side in range(2):
            ring = (node + SPAN * side) & (RING - 1)
            at = NEAR + side if near else width
            here = tables_at(tables, nodes.values[at, ring], nodes.extra[at, ring])
            profile(kind, here, holdings, piece, with_orders, near or side == FALL, scratch.profiles[side])
        if kind is None:
            _stage_gaps(scratch, i, scratch.exact[with_orders, i])
            if scratch.rule[UPPER + ON]:
                low, high = nodes.values[width, node & (RING - 1)], nodes.values[width, (node + SPAN) & (RING - 1)]
                _sure_basis(tables, low, high, holdings, piece, scratch.basis)
        for side in range(2):
            _put(kind, tables, scratch, i, scratch.profiles[side], STAGE, side, joint, scratch.basis[side])
            _shift(scratch, i, STAGE, side, joint, off_low, off_high)
            scratch.ends[STAGE, i, side] = nodes.ladder[u, width, side]
        if kind is None and scratch.rule[LOWER + FACTOR] > 0.0:
            _point_with_gaps(kind, tables, scratch, i, scratch.exact[with_orders, i], joint, is_point)
        _strays(nodes, holdings, piece, width, node, scratch.stray[i])
    bend(scratch, count, BASE)


@once
def _point_with_gaps(kind, tables, scratch, i, exact, joint, is_point):
    """Bounds the present point from below with the gaps of the stage, term by term: where corners differ much, wider
    gaps take nothing."""
    params = tables.underlying_params[scratch.pieces[i, UNDERLYING]]
    for slot in (POINT, BASE):
        if slot == BASE and not is_point:
            break
        z, gap = scratch.lower[slot, FALL, i], scratch.gap[slot, i]
        for c in range(faces.GAPS):
            gap[c] = scratch.gap[STAGE, i, c]
        if slot == POINT:
            faces.lower(kind, exact, gap, params, scratch.rule, joint, scratch.work, z)
        for j in range(joint):
            z[j] = z[j] - scratch.charged[i, 0] if slot == POINT else scratch.lower[POINT, FALL, i, j]
            scratch.lower[slot, RISE, i, j] = z[j]


@once
def _stage_gaps(scratch, i, exact):
    """Sets the greatest gaps of a stage, and makes those of its two profiles the least, if they are known:
    inside the present anchor cell (profile `exact`), or in the two cells that the stage lies in."""
    low, high = scratch.profiles[FALL], scratch.profiles[RISE]
    if scratch.rule[WITH_GAP] == 0.0:
        # those of the interval above the lower node
        _take_gaps(low, scratch.gap[STAGE, i])
        return
    near = scratch.pieces[i, USES_NEAR] > 0
    for c in range(cells.GAP, cells.BASIS_CHARGE):
        one, other = (low[c], high[c]) if near else (exact[c], exact[c])
        low[c] = max(one, other)
        high[c] = min(one, other)
    _take_gaps(low, scratch.gap[STAGE, i])
    for c in range(cells.GAP, cells.BASIS_CHARGE):
        low[c] = high[c]


@inner
def _take_gaps(x, out):
    """out = the gaps of a profile: of each cell in the first shock, then in the second."""
    for c in range(cells.CELLS):
        out[c] = x[cells.GAP + c]
        out[cells.CELLS + c] = cells.vega_gap(x, c)


@once
def _offs(kind, tables, scratch, i, slack_from, younger_ns):
    """What the bounds from below and from above may be off by for a piece's slack, at nodes made `younger_ns` after
    those that it is reckoned from."""
    share = charge_share(tables.underlying_params[scratch.pieces[i, UNDERLYING]], kind)
    slack = scratch.slack[i]
    low = slack[slack_from] - younger_ns * slack[YOUNGER_LOW]
    high = slack[slack_from + 1] - younger_ns * slack[YOUNGER_LOW + 1]
    return penalty(scratch.rule, LOWER, low, high, share), penalty(scratch.rule, UPPER, low, high, share)


@once
def _put(kind, tables, scratch, i, x, slot, side, joint, basis):
    """Turns a profile into the parts of both bounds. basis: see `faces.upper`."""
    rule, work = scratch.rule, scratch.work
    params = tables.underlying_params[scratch.pieces[i, UNDERLYING]]
    if rule[LOWER + ON]:
        faces.lower(kind, x, scratch.gap[slot, i], params, rule, joint, work, scratch.lower[slot, side, i])
    if rule[UPPER + ON]:
        out = scratch.upper[slot, side, i]
        faces.upper(kind, x, params, rule, scratch.witness[i], basis, out)


@once
def _shift(scratch, i, slot, side, joint, off_low, off_high):
    """Takes an allowance off a bound from below and adds one to a bound from above."""
    if scratch.rule[LOWER + ON]:
        for j in range(joint):
            scratch.lower[slot, side, i, j] -= off_low
    if scratch.rule[UPPER + ON]:
        scratch.upper[slot, side, i, 0] += off_high


@once
def start(kind, tables, scratch, count, profiles, joint):
    """Makes the present point the band so far, free of any slack. profiles: int64[U, W]."""
    for i in range(count):
        if kind is None:
            _take_gaps(profiles[i], scratch.gap[BASE, i])
        scratch.charged[i, 0] = scratch.charged[i, 1] = 0.0
        basis = np.float64(profiles[i][cells.BASIS_CHARGE]) if kind is None else 0.0
        _put(kind, tables, scratch, i, profiles[i], BASE, FALL, joint, basis)
        for j in range(joint):
            scratch.lower[BASE, RISE, i, j] = scratch.lower[BASE, FALL, i, j]
        for k in range(2):
            scratch.upper[BASE, RISE, i, k] = scratch.upper[BASE, FALL, i, k]


@inner
def apply_slack(kind, tables, scratch, count, joint):
    """Takes the present slack off the band so far, in place of what was taken before."""
    for i in range(count):
        off_low, off_high = _offs(kind, tables, scratch, i, NOW_LOW, 0.0)
        for side in range(2):
            more_low, more_high = off_low - scratch.charged[i, 0], off_high - scratch.charged[i, 1]
            _shift(scratch, i, BASE, side, joint, more_low, more_high)
        scratch.charged[i, 0], scratch.charged[i, 1] = off_low, off_high


@once
def keep_point(scratch, count, joint):
    """Notes the band so far, which is the present point, in a slot of its own."""
    for i in range(count):
        for side in range(2):
            for j in range(joint):
                scratch.lower[POINT, side, i, j] = scratch.lower[BASE, side, i, j]
            for k in range(2):
                scratch.upper[POINT, side, i, k] = scratch.upper[BASE, side, i, k]
        for c in range(faces.GAPS):
            scratch.gap[POINT, i, c] = scratch.gap[BASE, i, c]


@once
def _sure_basis(tables, low, high, holdings, piece, out):
    """out: what a piece is charged for the basis at the rows `low` and `high` (int64[L, W]), if every block's basis
    goes the way that is worse at present; no less than that is charged at any price."""
    legs, lots, block, rows = holdings.leg, holdings.lots, tables.leg_block, tables.values
    out[FALL] = 0.0
    out[RISE] = 0.0
    p = piece[FIRST]
    while p < piece[LAST]:
        first, up, down = p, 0, 0
        while p < piece[LAST] and block[legs[p]] == block[legs[first]]:
            row = rows[legs[p]]
            up += lots[p] * (row[cells.BASIS] - row[cells.MARK])
            down += lots[p] * (row[cells.BASIS + 1] - row[cells.MARK])
            p += 1
        if min(up, down) >= 0:
            continue
        column = cells.BASIS if up <= down else cells.BASIS + 1
        for k in range(first, p):
            leg = legs[k]
            out[FALL] -= lots[k] * (low[leg, column] - low[leg, cells.MARK])
            out[RISE] -= lots[k] * (high[leg, column] - high[leg, cells.MARK])


@once
def choose_witnesses(kind, tables, scratch, count, joint, profiles):
    """The witness terms at the profiles (int64[U, W]) of the present point."""
    rule, work = scratch.rule, scratch.work
    z, gaps = work[cells.CELLS :], scratch.gap[STAGE, 0]
    total = scratch.lower[STAGE, FALL, 0]
    kept = rule[LOWER + FACTOR], rule[LOWER + FLAT]
    rule[LOWER + FACTOR], rule[LOWER + FLAT] = rule[UPPER + FACTOR], rule[UPPER + FLAT]
    for i in range(count):
        _take_gaps(profiles[i], gaps)
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


@once
def height(scratch, count, cash, side, scenario, slot):
    """Distance of a slot from its line: from below in one joint scenario, or from above."""
    out = -NANO_PER_ACCOUNT - RELATIVE_SLACK * abs(cash)
    lower, upper = scratch.lower[slot], scratch.upper[slot]
    if side == LOWER:
        out += cash
        for i in range(count):
            out += min(lower[FALL, i, scenario], lower[RISE, i, scenario])
        return out
    out -= cash
    for i in range(count):
        out -= max(upper[FALL, i, 0], upper[RISE, i, 0])
        out += min(upper[FALL, i, 1], upper[RISE, i, 1])
    return out


@inner
def safety(scratch, count, joint, cash):
    """The least distance of the band so far from a line; negative where it does not stand."""
    safety = np.inf
    for which in range(0, 2 * UPPER, UPPER):
        if scratch.rule[which + ON]:
            for j in range(joint if which == LOWER else 1):
                safety = min(safety, height(scratch, count, cash, which, j, BASE))
    return safety


@inner
def bend(scratch, count, slot):
    """Sets what a mix of a slot and the stage may be off by: how much the gaps grow, and the stray between
    them, which near the slot is smaller (`early`)."""
    rule = scratch.rule
    for i in range(count):
        below, above, out = scratch.stray[i, 0], scratch.stray[i, 1], scratch.bend[i]
        out[BY_GAP] = 0.0
        if rule[LOWER + FACTOR] > 0.0:
            here, there = scratch.gap[slot, i], scratch.gap[STAGE, i]
            wider = 0.0
            for c in range(cells.CELLS):
                vega = cells.CELLS + c
                wider = max(wider, max(0.0, there[c] - here[c]) + max(0.0, there[vega] - here[vega]))
            out[BY_GAP] = rule[LOWER + FACTOR] * wider
        out[BY_STRAY + 0] = penalty(rule, LOWER, below, above, 2.0)
        out[BY_STRAY + 1] = penalty(rule, UPPER, below, above, 2.0)


@once
def early(rule, share):
    """The part of the stray that there is at most up to a share of the way: 4·s·(1 - s) at s."""
    return min(1.0, rule[STRAY_RATE] * share)


@once
def total_bend(scratch, count, which, slot):
    """What a mix of a slot and the stage may be off by, over all underlyings, strays apart: the growth of
    gaps and, from above, that a charge may be convex: on the way it may be as low as at the end."""
    out = 0.0
    for i in range(count):
        if which == LOWER:
            out += scratch.bend[i, BY_GAP]
        else:
            here, there = scratch.upper[slot], scratch.upper[STAGE]
            least = min(there[FALL, i, 1], there[RISE, i, 1])
            out += max(0.0, min(here[FALL, i, 1], here[RISE, i, 1]) - least)
    return out


@once
def stray_of(scratch, i, which):
    """What a mix of one underlying with the stage may leave its chord by."""
    return scratch.bend[i, BY_STRAY + (0 if which == LOWER else 1)]


@once
def total_stray(scratch, count, which):
    """What a mix with the stage may leave its chords by, over all underlyings."""
    out = 0.0
    for i in range(count):
        out += stray_of(scratch, i, which)
    return out
