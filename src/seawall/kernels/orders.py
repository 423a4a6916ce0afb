"""Open orders: the worst that any subset of fills could do to one account's profile.

In each scenario every order is taken as filled where that loses, at its limit, and as unfilled
where it gains; that is the exact worst case over all subsets of fills, and a fill away from the
mark counts as the loss it is. Charges by size take the worse side: all buys or all sells of a
leg. Orders cost initial margin only. Rows of an account's orders, int64[·, 3], are sorted by leg.
"""

from numba import njit

from seawall.kernels import cells, tiers

# orders[o, k]
LEG, LOTS, LIMIT = 0, 1, 2  # LIMIT in nano per lot


@njit(error_model="numpy")
def held(legs, lots, start, stop, leg):
    """Lots of a leg in the positions [start, stop)."""
    for p in range(start, stop):
        if legs[p] == leg:
            return lots[p]
    return 0


@njit(error_model="numpy")
def sides(orders, first, stop):
    """(buys, sells, next) of the run of orders on one leg that starts at `first`."""
    leg = orders[first, LEG]
    buys = 0
    sells = 0
    o = first
    while o < stop and orders[o, LEG] == leg:
        if orders[o, LOTS] > 0:
            buys += orders[o, LOTS]
        else:
            sells -= orders[o, LOTS]
        o += 1
    return buys, sells, o


@njit(error_model="numpy")
def add_to_cells(tables, legs, lots, start, stop, orders, first, last, out):
    """Adds the orders [first, last) on one underlying to a profile of `cells.py`."""
    o = first
    while o < last:
        leg = orders[o, LEG]
        buys, sells, after = sides(orders, o, last)
        position = held(legs, lots, start, stop, leg)
        row, extra = tables.values[leg], tables.extra[leg]
        for k in range(o, after):
            quantity = orders[k, LOTS]
            for c in range(1, cells.COLUMNS):
                gain = quantity * (row[c] - orders[k, LIMIT])
                if gain < 0:
                    out[c] += gain
        for c in range(cells.CELLS):
            out[cells.GAP + c] += buys * row[cells.ROW_GAP + c]
            out[cells.VEGA_GAP + c] += (buys + sells) * row[cells.ROW_GAP + cells.CELLS + c]
            out[cells.MOVE_LONG + c] += buys * row[cells.ROW_GAP + 2 * cells.CELLS + c]
            out[cells.MOVE_SHORT + c] += sells * row[cells.ROW_GAP + 2 * cells.CELLS + c]
        shift = max(abs(row[cells.BASIS] - row[0]), abs(row[cells.BASIS + 1] - row[0]))
        out[cells.BASIS_CHARGE] += max(buys, sells) * shift
        grown = max(0, max(abs(position + buys), abs(position - sells)) - abs(position))
        out[cells.GROSS] += grown * extra[cells.EXTRA_NOTIONAL]
        out[cells.LINEAR_CHARGE] += grown * max(extra[cells.EXTRA_LONG], extra[cells.EXTRA_SHORT])
        out[cells.LINEAR_CHARGE] += (buys + sells) * extra[cells.EXTRA_DUST]
        if tables.leg_right[leg] != 0:
            naked = max(0, sells - max(position, 0))
            out[cells.SHORT_MINIMUM] += naked * extra[cells.EXTRA_SHORT_MINIMUM]
        o = after


@njit(error_model="numpy")
def tier_margin(tables, legs, lots, start, stop, orders, first, last):
    """Initial margin (micro) that the orders [first, last) add under `tiers.py`."""
    extra, rows, scalars = tables.extra, tables.scenario_params, tables.scalars
    added = 0
    o = first
    while o < last:
        leg = orders[o, LEG]
        buys, sells, after = sides(orders, o, last)
        position = held(legs, lots, start, stop, leg)
        mark = tables.values[leg, 0]
        loss = 0
        for k in range(o, after):
            loss += max(0, orders[k, LOTS] * (orders[k, LIMIT] - mark))
        short_only = extra[leg, tiers.EXTRA_SHORT_ONLY]
        before = max(0, -position) if short_only else abs(position)
        worst = max(0, sells - position) if short_only else max(abs(position + buys), abs(position - sells))
        if short_only:
            loss += buys * mark  # a long option gives no credit
        at_worst, _ = tiers.position_margin(extra, rows, scalars, leg, max(before, worst))
        at_present, _ = tiers.position_margin(extra, rows, scalars, leg, before)
        grown = max(0, worst - before)
        charge = -((-(grown * extra[leg, tiers.EXTRA_SHORT])) // 1000)
        added += at_worst - at_present + charge - ((-loss) // 1000)
        o = after
    return added
