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
    LEAST_BASIS,
    NODES_LOW,
    NOW_LOW,
    POINT,
    STAGE,
    UNDERLYING,
    USES_NEAR,
    leg_lots,
    profile,
    size_of,
)
from seawall.engine.state import NEAR, PRESENT, RING, SPAN
from seawall.kernels import cells
from seawall.kernels.compiled import inner, once
from seawall.kernels.tables import CELLS, tables_at

FALL, RISE = 0, 1
NANO_PER_ACCOUNT = 20_000.0
RELATIVE_SLACK = 1e-12
LEAST_TAKEN = 1e-3  # of what the greediest underlying takes, for the split of a band


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
def prepare(kind, tables, nodes, holdings, scratch, count, width, with_orders, joint):
    """Makes the stage of one width of the ladder, both sides."""
    for i in range(count):
        piece = scratch.pieces[i]
        u = piece[UNDERLYING]
        node = nodes.key[u, width, PRESENT]
        off_low, off_high = _offs(kind, tables, scratch, i, NODES_LOW)
        near = piece[USES_NEAR] > 0
        for side in range(2):
            ring = (node + SPAN * side) & (RING - 1)
            at = NEAR + side if near else width
            here = tables_at(tables, nodes.values[at, ring], nodes.extra[at, ring])
            profile(kind, here, holdings, piece, with_orders, near or side == FALL, scratch.profiles[side])
        if kind == CELLS:
            _stage_gaps(scratch, i, scratch.exact[with_orders, i])
        for side in range(2):
            _put(kind, tables, scratch, i, scratch.profiles[side], STAGE, side, joint)
            _shift(scratch, i, STAGE, side, joint, off_low, off_high)
            scratch.ends[STAGE, i, side] = nodes.ladder[u, width, side]
        _strays(nodes, holdings, piece, width, node, scratch.stray[i])
    bend(scratch, count, BASE)


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
def _offs(kind, tables, scratch, i, slack_from):
    """What the bounds from below and from above may be off by for a piece's slack."""
    share = charge_share(tables.underlying_params[scratch.pieces[i, UNDERLYING]], kind)
    low, high = scratch.slack[i, slack_from], scratch.slack[i, slack_from + 1]
    return penalty(scratch.rule, LOWER, low, high, share), penalty(scratch.rule, UPPER, low, high, share)


@once
def _put(kind, tables, scratch, i, x, slot, side, joint):
    """Turns a profile into the parts of both bounds."""
    rule, work = scratch.rule, scratch.work
    params = tables.underlying_params[scratch.pieces[i, UNDERLYING]]
    if rule[LOWER + ON]:
        faces.lower(kind, x, scratch.gap[slot, i], params, rule, joint, work, scratch.lower[slot, side, i])
    if rule[UPPER + ON]:
        out = scratch.upper[slot, side, i]
        faces.upper(kind, x, params, rule, scratch.witness[i], scratch.slack[i, LEAST_BASIS], out)


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
        if kind == CELLS:
            _take_gaps(profiles[i], scratch.gap[BASE, i])
        scratch.charged[i, 0] = scratch.charged[i, 1] = 0.0
        _put(kind, tables, scratch, i, profiles[i], BASE, FALL, joint)
        for j in range(joint):
            scratch.lower[BASE, RISE, i, j] = scratch.lower[BASE, FALL, i, j]
        for k in range(2):
            scratch.upper[BASE, RISE, i, k] = scratch.upper[BASE, FALL, i, k]


@inner
def apply_slack(kind, tables, scratch, count, joint):
    """Takes the present slack off the band so far, in place of what was taken before."""
    for i in range(count):
        off_low, off_high = _offs(kind, tables, scratch, i, NOW_LOW)
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
def least_basis(tables, nodes, holdings, scratch, i):
    """What of the i-th piece's basis charge is sure between the finest nodes: the charge now less
    the most that its legs' basis columns can move by."""
    piece = scratch.pieces[i]
    node = nodes.key[piece[UNDERLYING], 0, PRESENT]
    charge = np.float64(scratch.exact[0, i, cells.BASIS_CHARGE])
    for p in range(piece[FIRST], piece[LAST]):
        leg = holdings.leg[p]
        row = tables.values[leg]
        moved = 0
        for side in range(2):
            there = nodes.values[0, (node + SPAN * side) & (RING - 1), leg]
            for k in range(cells.BASIS, cells.BASIS + 2):
                moved = max(moved, abs((there[k] - there[cells.MARK]) - (row[k] - row[cells.MARK])))
        stray = nodes.stray[0, node & (RING - 1), leg]
        charge -= abs(holdings.lots[p]) * (moved + 2.0 * stray)
    return max(0.0, charge)


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


@inner
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


@inner
def _stray_of(scratch, i, which):
    return scratch.bend[i, BY_STRAY + (0 if which == LOWER else 1)]


@once
def total_stray(scratch, count, which):
    """What a mix with the stage may leave its chords by, over all underlyings."""
    out = 0.0
    for i in range(count):
        out += _stray_of(scratch, i, which)
    return out


@inner
def reach(scratch, count, joint, cash):
    """The greatest share of the way, in [0, 1], from the band so far to the stage that
    stands, for every underlying both ways at once. The bounds at a share are linear in it, and in how much
    of the stray there is by then."""
    best, rate = 1.0, scratch.rule[STRAY_RATE]
    for which in range(0, 2 * UPPER, UPPER):
        if not scratch.rule[which + ON]:
            continue
        bent, stray = total_bend(scratch, count, which, BASE), total_stray(scratch, count, which)
        for j in range(joint if which == LOWER else 1):
            left = height(scratch, count, cash, which, j, BASE) - bent
            if left < 0.0:
                return 0.0
            drop = 0.0
            for i in range(count):
                drop += _drop(scratch, i, which, j)
            if left - stray * early(scratch.rule, best) < best * drop:
                best = left / (drop + rate * stray) if rate * (left - stray) < drop else (left - stray) / drop
                scratch.tightest[0], scratch.tightest[1] = which, j
    return best


@inner
def _drop(scratch, i, which, j):
    """How much nearer to its line one underlying's part is in the stage than in the band so far."""
    if which == LOWER:
        here, there = scratch.lower[BASE], scratch.lower[STAGE]
        return max(0.0, min(here[FALL, i, j], here[RISE, i, j]) - min(there[FALL, i, j], there[RISE, i, j]))
    here, there = scratch.upper[BASE], scratch.upper[STAGE]
    return max(0.0, max(there[FALL, i, 0], there[RISE, i, 0]) - max(here[FALL, i, 0], here[RISE, i, 0]))


@once
def _advance(scratch, i, side, share, joint):
    """Takes one side of the band so far a share of the way to the stage."""
    part = early(scratch.rule, share)
    here, there = scratch.lower[BASE, side, i], scratch.lower[STAGE, side, i]
    for j in range(joint):
        here[j] += share * min(0.0, there[j] - here[j]) - scratch.bend[i, BY_GAP] - part * scratch.bend[i, BY_STRAY]
    mine, theirs = scratch.upper[BASE, side, i], scratch.upper[STAGE, side, i]
    mine[0] += share * max(0.0, theirs[0] - mine[0]) + part * scratch.bend[i, BY_STRAY + 1]
    mine[1] = min(mine[1], theirs[1])
    scratch.edges[i, side] += share * (scratch.ends[STAGE, i, side] - scratch.edges[i, side])


@inner
def _takes(scratch, i, which, j):
    """What one underlying takes at most of the distance to a line for each share of the way; where strays are
    there at once, besides them."""
    by_stray = 0.0
    if scratch.rule[STRAY_RATE] < np.inf:
        by_stray = scratch.rule[STRAY_RATE] * _stray_of(scratch, i, which)
    return _drop(scratch, i, which, j) + by_stray


@once
def _spread(scratch, count, joint, cash, share):
    """Sets shares[i], that every underlying may go of the way to the stage, where all of them may go `share`.

    One that takes d of the distance to the tightest line for its whole way is given a share of d^(-1/3): of all
    splits of that distance the one with the least expected rate of trips, Σ 1 / share². The same for all where
    that is no worse, or all may go the whole way.
    """
    shares = scratch.shares
    for i in range(count):
        shares[i] = share
    if count == 1 or share >= 1.0 or share <= 0.0:
        return
    which, j = scratch.tightest[0], scratch.tightest[1]
    most = 0.0
    for i in range(count):
        shares[i] = _takes(scratch, i, which, j)
        most = max(most, shares[i])
    for i in range(count):
        shares[i] = max(shares[i] / most, LEAST_TAKEN) ** (-1.0 / 3.0)
    scale = np.inf
    for which in range(0, 2 * UPPER, UPPER):
        if not scratch.rule[which + ON]:
            continue
        bent = total_bend(scratch, count, which, BASE)
        if scratch.rule[STRAY_RATE] == np.inf:
            bent += total_stray(scratch, count, which)
        for j in range(joint if which == LOWER else 1):
            drop = 0.0
            for i in range(count):
                drop += shares[i] * _takes(scratch, i, which, j)
            left = height(scratch, count, cash, which, j, BASE) - bent
            if left < scale * drop:
                scale = left / drop
    even, uneven = count / (share * share), 0.0
    for i in range(count):
        shares[i] = min(1.0, scale * shares[i])
        uneven += 1.0 / (shares[i] * shares[i])
    if not uneven < even:
        for i in range(count):
            shares[i] = share


@inner
def move(scratch, count, joint, cash, share):
    """Takes the band so far to the stage, every underlying both ways, where all may go a share of the way."""
    if share <= 0.0:
        return
    _spread(scratch, count, joint, cash, share)
    for i in range(count):
        for side in range(2):
            _advance(scratch, i, side, scratch.shares[i], joint)
        here, there = scratch.gap[BASE, i], scratch.gap[STAGE, i]
        for c in range(faces.GAPS):
            here[c] = max(here[c], there[c])


@inner
def extend(scratch, count, joint, cash):
    """Takes single sides of the band so far to the end of the stage wherever that costs nothing."""
    lower, upper, kept = scratch.lower[BASE], scratch.upper[BASE], scratch.kept
    sums = scratch.heights
    for j in range(joint):
        sums[j] = height(scratch, count, cash, LOWER, j, BASE)
    above = height(scratch, count, cash, UPPER, 0, BASE)
    for i in range(count):
        for side in range(2):
            end, edge = scratch.ends[STAGE, i, side], scratch.edges[i, side]
            if (end >= edge) if side == FALL else (end <= edge):
                continue
            for j in range(joint):
                kept[j] = lower[side, i, j]
            value, charge = upper[side, i, 0], upper[side, i, 1]
            _advance(scratch, i, side, 1.0, joint)
            stands = True
            if scratch.rule[LOWER + ON]:
                for j in range(joint):
                    other = lower[1 - side, i, j]
                    stands = stands and sums[j] + min(other, lower[side, i, j]) - min(other, kept[j]) >= 0.0
            lost = 0.0
            if scratch.rule[UPPER + ON]:
                other, owed = upper[1 - side, i, 0], upper[1 - side, i, 1]
                lost = max(other, upper[side, i, 0]) - max(other, value)
                lost += min(owed, charge) - min(owed, upper[side, i, 1])
                stands = stands and above - lost >= 0.0
            if stands:
                for j in range(joint):
                    other = lower[1 - side, i, j]
                    sums[j] += min(other, lower[side, i, j]) - min(other, kept[j])
                above -= lost
                continue
            for j in range(joint):
                lower[side, i, j] = kept[j]
            upper[side, i, 0], upper[side, i, 1] = value, charge
            scratch.edges[i, side] = edge
