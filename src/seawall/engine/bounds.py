"""Bounds of equity less a multiple of a requirement, from bounds of the columns it is made of.

Every aggregation in Seawall is monotone in its columns (minima, sums, two-slope offsets), so
feeding it the least value of every column gives a lower bound, the greatest an upper bound. The
one term that enters twice, the mark (in equity with +1, in the losses with -factor), is taken at
whichever end of its interval is worse, underlying by underlying. All in float64 nano: bounds
are widened by a slack far above float rounding before they decide anything.
"""

import numpy as np
from numba import njit

from seawall.kernels import cells, tiers

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
TIER_COLUMNS = 2  # of these, the first two are values; the rest are charges


@njit(error_model="numpy")
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


@njit(error_model="numpy")
def tier_bound(low, high, count, cash, which, multiple, lower):
    """Bound of equity - multiple · requirement; low, high: float64[>= count, TIER_PROFILE]."""
    values = low if lower else high
    charges = high if lower else low
    total = cash
    for i in range(count):
        if which == NOTHING:
            total += values[i, TIER_MARK]
            continue
        # a long option's value is in equity and in the requirement; at multiples other than 1
        # what is left over is at most 0 for an upper bound, and for multiples below 1 it counts
        if multiple < 1.0 and not lower:
            total += values[i, TIER_MARK]
        else:
            total += values[i, TIER_NET]
        margin = charges[i, TIER_MAINTENANCE]
        if which == INITIAL:
            margin = charges[i, TIER_INITIAL] + charges[i, TIER_ORDERS]
        total -= multiple * (margin + charges[i, TIER_CHARGE])
    return total


@njit(error_model="numpy")
def _weighed(mark, floor, factor, offset):
    """mark + factor · change, a gain counting at the offset rate."""
    change = floor - mark
    return mark + factor * (change if change < 0.0 else change * offset)


@njit(error_model="numpy")
def _worse(mark_low, mark_high, floor, factor, offset):
    return min(_weighed(mark_low, floor, factor, offset), _weighed(mark_high, floor, factor, offset))


@njit(error_model="numpy")
def _better(mark_low, mark_high, floor, factor, offset):
    # concave in the mark with its kink where the change is 0
    kink = min(max(floor, mark_low), mark_high)
    ends = max(_weighed(mark_low, floor, factor, offset), _weighed(mark_high, floor, factor, offset))
    return max(ends, _weighed(kink, floor, factor, offset))


@njit(error_model="numpy")
def cell_bound(low, high, count, underlyings, params, offset, cash, factor, flat, lower, floors):
    """Bound of equity - factor · risk - flat · charges.

    low, high: float64[>= count, cells.PROFILE]; floors: float64[>= count, cells.CELLS], work.
    """
    values = low if lower else high
    charges = high if lower else low
    equity = cash
    minimum = 0.0
    fees = 0.0
    for i in range(count):
        equity += values[i, cells.MARK]
        minimum += charges[i, cells.SHORT_MINIMUM]
        above = charges[i, cells.GROSS] - params[underlyings[i], cells.PARAM_CONCENTRATION_FROM] * 1000.0
        fees += charges[i, cells.BASIS_CHARGE] + charges[i, cells.LINEAR_CHARGE]
        if above > 0.0:
            fees += above * params[underlyings[i], cells.PARAM_CONCENTRATION_RATE] * 1e-6
    if factor == 0.0:
        return equity - flat * fees
    least = min(equity, equity - factor * minimum)
    for i in range(count):
        _cell_floors(values[i], charges[i], floors[i])
    if count == 1:
        worst = floors[0, 0]
        for c in range(1, cells.CELLS):
            worst = min(worst, floors[0, c])
        for tail in range(cells.TAILS):
            worst = min(worst, values[0, 1 + cells.GRID + tail])
        total = _side(low[0, cells.MARK], high[0, cells.MARK], worst, factor, offset, lower)
        return min(least, cash + total) - flat * fees
    for level in range(cells.LEVELS - 1):
        for step in range(cells.STEPS):
            total = cash
            for i in range(count):
                u = underlyings[i]
                first = params[u, cells.PARAM_FIRST + step]
                last = params[u, cells.PARAM_LAST + step]
                worst = floors[i, level * cells.SPOT_CELLS + first]
                for cell in range(first + 1, last + 1):
                    worst = min(worst, floors[i, level * cells.SPOT_CELLS + cell])
                total += _side(low[i, cells.MARK], high[i, cells.MARK], worst, factor, offset, lower)
            least = min(least, total)
    for tail in range(cells.TAILS):
        total = cash
        for i in range(count):
            value = values[i, 1 + cells.GRID + tail]
            total += _side(low[i, cells.MARK], high[i, cells.MARK], value, factor, offset, lower)
        least = min(least, total)
    return least - flat * fees


@njit(error_model="numpy")
def _side(mark_low, mark_high, floor, factor, offset, lower):
    if lower:
        return _worse(mark_low, mark_high, floor, factor, offset)
    return _better(mark_low, mark_high, floor, factor, offset)


@njit(error_model="numpy")
def _cell_floors(values, charges, out):
    for level in range(cells.LEVELS - 1):
        for cell in range(cells.SPOT_CELLS):
            a = 1 + level * cells.NODES + cell
            b = a + cells.NODES
            corner = min(min(values[a], values[a + 1]), min(values[b], values[b + 1]))
            at = level * cells.SPOT_CELLS + cell
            out[at] = corner - charges[cells.GAP + at]


@njit(error_model="numpy")
def bound(kind_is_cells, low, high, count, underlyings, tables, cash, which, multiple, lower, floors):
    """Bound of equity - multiple · requirement(which), for either kind of tables."""
    if not kind_is_cells:
        return tier_bound(low, high, count, cash, which, multiple, lower)
    scalars = tables.scalars
    factor = 0.0
    flat = 0.0
    if which == INITIAL:
        factor = multiple * scalars[cells.SCALAR_INITIAL_FACTOR] * 1e-6
        flat = multiple
    elif which == MAINTENANCE:
        factor = multiple * scalars[cells.SCALAR_MAINTENANCE_FACTOR] * 1e-6
        flat = multiple
    offset = scalars[cells.SCALAR_OFFSET] * 1e-6
    return cell_bound(
        low, high, count, underlyings, tables.underlying_params, offset, np.float64(cash), factor, flat, lower, floors
    )
