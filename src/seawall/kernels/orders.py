"""Open orders: the worst that any subset of fills could do to one account's profile.

A fill away from the mark loses the same whatever comes after, so that loss is a flat charge, which
no factor scales and no minimum hides; a fill better than the mark is no gain yet. From the mark on,
in each scenario every order is taken as filled where that loses and as unfilled where it gains: the
exact worst case over all subsets of fills. Charges by size take the worse side: all buys or all
sells of a leg; the short minimum takes all sells of a strike. Orders cost initial margin only. Rows
of an account's orders, int64[·, 3], are sorted by leg.
"""


from seawall.kernels import cells, tiers
from seawall.kernels.compiled import inner

# orders[o, k]
LEG, LOTS, LIMIT = 0, 1, 2  # LIMIT in nano per lot


@inner
def held(legs, lots, start, stop, leg):
    """Lots of a leg in the positions [start, stop)."""
    for p in range(start, stop):
        if legs[p] == leg:
            return lots[p]
    return 0


@inner
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


@inner
def fill_loss(quantity, limit, mark, right):
    """What a fill at its limit loses against the mark, nano; a fill at a better price loses nothing."""
    loss = quantity * (limit - mark)
    if right != 0 and quantity < 0:
        loss -= quantity  # an option's value is rounded down: its seller owes up to 1 nano more
    return max(0, loss)


@inner
def naked(tables, legs, lots, start, stop, strike):
    """Σ over the positions [start, stop) on one strike of their shorts less their longs, times the short
    minimum of a lot, nano."""
    total = 0
    for p in range(start, stop):
        if tables.leg_group[legs[p]] == strike:
            total -= lots[p] * tables.extra[legs[p], cells.EXTRA_SHORT_MINIMUM]
    return total


@inner
def add_to_cells(tables, legs, lots, start, stop, orders, first, last, out):
    """Adds the orders [first, last) on one underlying to a profile of `cells.py`."""
    o = first
    while o < last:
        strike = tables.leg_group[orders[o, LEG]]
        sold = 0
        while True:
            leg = orders[o, LEG]
            buys, sells, after = sides(orders, o, last)
            _add_charges(tables, orders, o, after, buys, sells, held(legs, lots, start, stop, leg), out)
            _add_moves(tables.values[leg], buys, sells, out)
            sold += sells * tables.extra[leg, cells.EXTRA_SHORT_MINIMUM]
            o = after
            if o >= last or strike < 0 or tables.leg_group[orders[o, LEG]] != strike:
                break
        if strike >= 0:
            before = naked(tables, legs, lots, start, stop, strike)
            out[cells.SHORT_MINIMUM] += max(0, before + sold) - max(0, before)


@inner
def _add_charges(tables, orders, first, stop, buys, sells, position, out):
    """Adds what the orders [first, stop), all on one leg, cost whatever the scenario: what fills at their
    limits lose against the mark, and charges by size."""
    leg = orders[first, LEG]
    row, extra = tables.values[leg], tables.extra[leg]
    for o in range(first, stop):
        loss = fill_loss(orders[o, LOTS], orders[o, LIMIT], row[cells.MARK], tables.leg_right[leg])
        out[cells.LINEAR_CHARGE] += loss
    shift = max(abs(row[cells.BASIS] - row[cells.MARK]), abs(row[cells.BASIS + 1] - row[cells.MARK]))
    out[cells.BASIS_CHARGE] += max(buys, sells) * shift
    grown = max(0, max(abs(position + buys), abs(position - sells)) - abs(position))
    out[cells.GROSS] += grown * extra[cells.EXTRA_NOTIONAL]
    out[cells.LINEAR_CHARGE] += grown * max(extra[cells.EXTRA_LONG], extra[cells.EXTRA_SHORT])
    out[cells.LINEAR_CHARGE] += (buys + sells) * extra[cells.EXTRA_DUST]


@inner
def _add_moves(row, buys, sells, out):
    """Adds what orders on one leg lose in each scenario from the mark, and their gaps."""
    mark = row[cells.MARK]
    for c in range(1, cells.COLUMNS):
        change = row[c] - mark
        out[c] += buys * min(0, change) - sells * max(0, change)
    for c in range(cells.CELLS):
        out[cells.GAP + c] += buys * row[cells.ROW_GAP + c]
        out[cells.VEGA_GAP + c] += (buys + sells) * row[cells.ROW_GAP + cells.CELLS + c]
        out[cells.MOVE_LONG + c] += buys * row[cells.ROW_GAP + 2 * cells.CELLS + c]
        out[cells.MOVE_SHORT + c] += sells * row[cells.ROW_GAP + 2 * cells.CELLS + c]


@inner
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
            loss += fill_loss(orders[k, LOTS], orders[k, LIMIT], mark, tables.leg_right[leg])
        short_only = extra[leg, tiers.EXTRA_SHORT_ONLY]
        before = max(0, -position) if short_only else abs(position)
        worst = max(0, sells - position) if short_only else max(abs(position + buys), abs(position - sells))
        if short_only:
            loss += buys * extra[leg, tiers.EXTRA_LONG]  # a long option gives no credit
        at_worst, _ = tiers.position_margin(extra, rows, scalars, leg, max(before, worst))
        at_present, _ = tiers.position_margin(extra, rows, scalars, leg, before)
        grown = max(0, worst - before)
        charge = -((-(grown * extra[leg, tiers.EXTRA_SHORT])) // 1000)
        added += at_worst - at_present + charge - ((-loss) // 1000)
        o = after
    return added
