"""Health in pieces that depend on one underlying each, and that lie above their chords.

Whatever the model, equity less a multiple of a requirement is

    cash + min over j of Σ over underlyings i of z[i, j](price of i)

where j runs over the joint scenarios of the model (`cells.py`; tiers have none: one j). Between
two prices every z is at least its chord less the stray of the legs, because each is a minimum of
sums of terms that are linear, or convex with a bounded stray, or minus a convex charge. So the
values at the nodes of the ladder bound it everywhere between them. From above a minimum is
bounded by any one of its terms: the *witness*, the scenario and corner that is worst at the start.
All in float64 nano; `certificate.py` leaves a slack far above float rounding.
"""

import numpy as np

from seawall.kernels import cells, tiers
from seawall.kernels.compiled import inner, once

GAPS = 2 * cells.CELLS

# which requirement
INITIAL, MAINTENANCE, NOTHING = 0, 1, 2

# a tier profile (one underlying of one account), nano
TIER_MARK = 0  # value of everything
TIER_NET = 1  # value without long options, which `tiers.py` charges back
TIER_INITIAL = 2
TIER_MAINTENANCE = 3
TIER_CHARGE = 4  # flat charges without those of long options
TIER_ORDERS = 5  # initial margin of open orders
TIER_PROFILE = 6

# joint scenarios of `cells.py`: steps × levels, tails, the short-option minimum, no loss
GRID_JOINT = cells.STEPS * (cells.LEVELS - 1)
SHORT_MINIMUM_JOINT = GRID_JOINT + cells.TAILS
NO_LOSS = SHORT_MINIMUM_JOINT + 1
JOINT = NO_LOSS + 1

# witness[i, k]: the kind of term, its column, whether its change counts at the offset rate, the
# profile's entry with its gap (-1: none) and the share of the way to the next column, ppm
WITNESS_TERM, WITNESS_COLUMN, WITNESS_OFFSET, WITNESS_GAP, WITNESS_SHARE = range(5)
WITNESS = 5
MARK_TERM, COLUMN_TERM, SHORT_MINIMUM_TERM = 0, 1, 2

# rule[k]: what is bounded. A requirement is factor · risk + flat · charges (tiers: flat alone)
# where the entries of the bound from below, and from above, begin; typed, so that no function is
# compiled once for each
LOWER, UPPER = np.int64(0), np.int64(4)
WHICH, FACTOR, FLAT, ON = 0, 1, 2, 3
OFFSET = 8
WITH_GAP = 9  # whether gaps are those of the present anchor cell and step of life alone
STRAY_RATE = 10  # how fast strays may grow from an end of a chord on, in shares of the chord
RULE = 11


@once
def set_rule(kind, level, release, scalars, rule):
    """What must be shown for a status to stay: equity above the next line below it, and under
    `1 + release` times the line above it (under `release` times maintenance when bankrupt)."""
    rule[LOWER + WHICH] = min(level, NOTHING)
    rule[LOWER + ON] = level < 3
    rule[UPPER + WHICH] = min(level - 1, MAINTENANCE)
    rule[UPPER + ON] = level > 0
    for side in range(0, 2 * UPPER, UPPER):
        multiple = 1.0 if side == LOWER else (release if level == 3 else 1.0 + release)
        which = rule[side + WHICH]
        rule[side + FLAT] = 0.0 if which == NOTHING else multiple
        rule[side + FACTOR] = 0.0
        if kind is None and which != NOTHING:
            at = cells.SCALAR_INITIAL_FACTOR if which == INITIAL else cells.SCALAR_MAINTENANCE_FACTOR
            rule[side + FACTOR] = multiple * scalars[at] * 1e-6
    rule[WITH_GAP] = 0.0
    # options are smooth or bend once; a margin rate that reaches 100 % may rise at once
    rule[STRAY_RATE] = 4.0 if kind is None else np.inf
    rule[OFFSET] = scalars[cells.SCALAR_OFFSET] * 1e-6 if kind is None else 0.0


@inner
def tier_profile(tables, legs, lots, start, stop, out):
    """out[TIER_PROFILE] of the positions [start, stop) at the tables' prices."""
    extra, rows, scalars = tables.extra, tables.scenario_params, tables.scalars
    for k in range(TIER_PROFILE):
        out[k] = 0
    for p in range(start, stop):
        leg = legs[p]
        quantity = lots[p]
        value = quantity * tables.values[leg, 0]
        out[TIER_MARK] += value
        if quantity > 0 and extra[leg, tiers.EXTRA_SHORT_ONLY]:
            continue
        out[TIER_NET] += value
        initial, maintenance = tiers.position_margin(extra, rows, scalars, leg, abs(quantity))
        out[TIER_INITIAL] += initial * 1000
        out[TIER_MAINTENANCE] += maintenance * 1000
        out[TIER_CHARGE] += tiers.position_charge(extra, leg, quantity) * 1000


@inner
def _tier_margin(x, which):
    if which == NOTHING:
        return 0
    margin = x[TIER_MAINTENANCE] if which == MAINTENANCE else x[TIER_INITIAL] + x[TIER_ORDERS]
    return margin + x[TIER_CHARGE]


@inner
def _charges(x, params):
    """Charges of a profile of `cells.py` that no factor scales."""
    above = x[cells.GROSS] - params[cells.PARAM_CONCENTRATION_FROM] * 1000.0
    concentration = max(0.0, above) * params[cells.PARAM_CONCENTRATION_RATE] * 1e-6
    return x[cells.LINEAR_CHARGE] + concentration


@inner
def _dip(gap, difference):
    excess = gap - 0.25 * difference
    return excess * excess / gap if excess > 0.0 else 0.0


@inner
def lower(kind, x, gaps, params, rule, joint, work, z):
    """z[: joint] of a profile x with gaps (float64[GAPS], of each cell in the first shock, then in the second). joint: 1 where the account has one
    underlying (or the model no scenarios), else JOINT. work: float64[CELLS]."""
    factor, flat = rule[LOWER + FACTOR], rule[LOWER + FLAT]
    if kind is not None:
        which = np.int64(rule[LOWER + WHICH])
        z[0] = x[TIER_MARK] if which == NOTHING else x[TIER_NET] - flat * _tier_margin(x, which)
        return
    mark = np.float64(x[cells.MARK])
    fees = flat * (x[cells.BASIS_CHARGE] + _charges(x, params)) if flat > 0.0 else 0.0
    for j in range(joint):
        z[j] = mark - fees
    if factor == 0.0:
        return
    for level in range(cells.LEVELS - 1):
        for cell in range(cells.SPOT_CELLS):
            a = 1 + level * cells.NODES + cell
            b = a + cells.NODES
            at = level * cells.SPOT_CELLS + cell
            low = min(x[a], x[a + 1]) - _dip(gaps[at], abs(x[a] - x[a + 1]))
            high = min(x[b], x[b + 1]) - _dip(gaps[at], abs(x[b] - x[b + 1]))
            work[at] = min(low, high) - gaps[cells.CELLS + at]
    if joint == 1:
        worst = work[0]
        for at in range(1, cells.CELLS):
            worst = min(worst, work[at])
        for tail in range(cells.TAILS):
            worst = min(worst, np.float64(x[1 + cells.GRID + tail]))
        change = min(0.0, worst - mark)
        z[0] += factor * min(change, -np.float64(x[cells.SHORT_MINIMUM]))
        return
    offset = rule[OFFSET]
    for step in range(cells.STEPS):
        first, last = params[cells.PARAM_FIRST + step], params[cells.PARAM_LAST + step]
        for level in range(cells.LEVELS - 1):
            worst = work[level * cells.SPOT_CELLS + first]
            for cell in range(first + 1, last + 1):
                worst = min(worst, work[level * cells.SPOT_CELLS + cell])
            change = worst - mark
            z[2 * step + level] += factor * min(change, change * offset)
    for tail in range(cells.TAILS):
        change = x[1 + cells.GRID + tail] - mark
        z[GRID_JOINT + tail] += factor * min(change, change * offset)
    z[SHORT_MINIMUM_JOINT] -= factor * x[cells.SHORT_MINIMUM]


@inner
def upper(kind, x, params, rule, witness, basis, out):
    """out = (value, charge) of a profile in the witness scenario: value less charge is at least
    its part of equity less the requirement. The charge rises with the price of every leg; of the gaps, which are
    part of it, what the profile has. basis: what the profile is charged for the basis in the witness's directions,
    nano, linear in its columns and so a part of the value."""
    factor, flat = rule[UPPER + FACTOR], rule[UPPER + FLAT]
    if kind is not None:
        # a long option's value is in equity and in the requirement: at multiples of 1 or more
        # what is left over is at most 0, below 1 it counts
        out[0] = x[TIER_MARK] if flat < 1.0 else x[TIER_NET]
        out[1] = flat * _tier_margin(x, np.int64(rule[UPPER + WHICH]))
        return
    mark = np.float64(x[cells.MARK])
    out[0] = mark
    gap = 0.0
    if witness[WITNESS_TERM] == COLUMN_TERM:
        multiple = factor * (rule[OFFSET] if witness[WITNESS_OFFSET] else 1.0)
        value = np.float64(x[witness[WITNESS_COLUMN]])
        entry = witness[WITNESS_GAP]
        if entry >= 0:
            share = witness[WITNESS_SHARE] * 1e-6
            value += share * (x[witness[WITNESS_COLUMN] + 1] - value)
            if rule[WITH_GAP] > 0.0:
                gap = multiple * (4.0 * share * (1.0 - share) * x[entry] + cells.vega_gap(x, entry - cells.GAP))
        out[0] = mark + multiple * (value - mark)
    elif witness[WITNESS_TERM] == SHORT_MINIMUM_TERM:
        out[0] = mark - factor * x[cells.SHORT_MINIMUM]
    out[0] -= flat * basis
    out[1] = gap + flat * _charges(x, params)


@inner
def choose_witness(x, params, scenario, joint, witness):
    """The term of one underlying's profile that the joint scenario stands on; where the account
    has one underlying, the worst of all."""
    witness[WITNESS_TERM] = MARK_TERM
    witness[WITNESS_OFFSET] = 0
    if joint > 1 and scenario == NO_LOSS:
        return
    if joint > 1 and scenario == SHORT_MINIMUM_JOINT:
        witness[WITNESS_TERM] = SHORT_MINIMUM_TERM
        return
    witness[WITNESS_TERM] = COLUMN_TERM
    witness[WITNESS_GAP] = -1
    best = 1 + cells.GRID
    worst = np.int64(0)
    if joint == 1:
        for tail in range(1, cells.TAILS):
            if x[1 + cells.GRID + tail] < x[best]:
                best = 1 + cells.GRID + tail
        worst = _worst_cell(x, 0, cells.SPOT_CELLS - 1, 0, cells.LEVELS - 2, x[best], best, witness)
        if worst - x[cells.MARK] > -x[cells.SHORT_MINIMUM]:
            witness[WITNESS_TERM] = SHORT_MINIMUM_TERM
    elif scenario >= GRID_JOINT:
        witness[WITNESS_COLUMN] = 1 + cells.GRID + scenario - GRID_JOINT
        worst = x[witness[WITNESS_COLUMN]]
    else:
        step, level = scenario // 2, scenario % 2
        first, last = params[cells.PARAM_FIRST + step], params[cells.PARAM_LAST + step]
        worst = _worst_cell(x, first, last, level, level, np.iinfo(np.int64).max, best, witness)
    witness[WITNESS_OFFSET] = joint > 1 and worst > x[cells.MARK]


@inner
def _worst_cell(x, first, last, low_level, high_level, worst, column, witness):
    """Notes the columns, the gap and the place between them of the cell with the least floor, if it
    is below `worst`; returns that floor."""
    witness[WITNESS_COLUMN] = column
    for level in range(low_level, high_level + 1):
        for cell in range(first, last + 1):
            gap = cells.GAP + level * cells.SPOT_CELLS + cell
            floor = cells.cell_floor(x, level, cell)
            if floor >= worst:
                continue
            worst = floor
            a = 1 + level * cells.NODES + cell
            b = a + cells.NODES
            if min(x[b], x[b + 1]) - cells.dip(x[gap], abs(x[b] - x[b + 1])) < min(x[a], x[a + 1]) - cells.dip(
                x[gap], abs(x[a] - x[a + 1])
            ):
                a = b
            witness[WITNESS_COLUMN] = a
            witness[WITNESS_GAP] = gap
            # the least of (1 - t)·A + t·B - 4·t·(1 - t)·G
            turn = 0.5 - (x[a + 1] - x[a]) / (8.0 * x[gap]) if x[gap] > 0 else (0.0 if x[a] < x[a + 1] else 1.0)
            witness[WITNESS_SHARE] = np.int64(1e6 * min(1.0, max(0.0, turn)))
    return worst
