"""Worst loss over a range of two shocks, with no holes between the nodes.

Each underlying's columns are revalued at nodes of a grid (first shock × second shock). Between
nodes the value of a portfolio is bounded, not guessed. Across a cell in the first shock, a share
x of the way from corner A to corner B, it is at least

    (1 - x)·A + x·B - 4·x·(1 - x)·G,    G = Σ net long lots · spot gap,

because a European option is convex in spot and its slope rises by at most 4·gap / width; the
least of that over x is the smaller corner less (G - |A - B|/4)² / G, or the corner itself where
one side rises more than the slope can turn: a position that only gains or loses across the cell
pays nothing. In the second shock it is that less the least of three bounds: Σ |lots| · vega gap,
what all longs, and what all shorts, may move by between the two levels (an option only gains by
volatility, so a book of longs alone is worst at the lower level). `rows.py` derives all of them.
Several underlyings move jointly: for each step of a common factor, each takes the worst of a
window of its cells, and gains offset losses at a stated rate. `docs/models.md` has the proofs.

The intermediate result for one underlying of one account is its *profile*, one int64 vector, so
that the exact evaluation and the bounds over price bands (`certificate.py`) share every step.
"""


from seawall.kernels.compiled import inner
from seawall.kernels.fixed import mul_ppm_ceil, mul_ppm_floor
from seawall.kernels.lanes import project32
from seawall.kernels.muldiv import mul_div_floor

NODES = 9  # nodes of the first shock, symmetric around no shock
LEVELS = 3  # nodes of the second shock: down, none, up
GRID = NODES * LEVELS
TAILS = 4
COLUMNS = 1 + GRID + TAILS  # column 0 is the mark: 32 in all
SPOT_CELLS = NODES - 1
CELLS = SPOT_CELLS * (LEVELS - 1)
DIP_EXACT = 1 << 50  # nano; above, a gap is taken in units of 4096

# values[:, COLUMNS], values[:, COLUMNS + 1]: the two basis columns; then the gaps of each cell
BASIS = COLUMNS
ROW_GAP = BASIS + 2  # in the first shock, in the second, and what the second moves a lot by
WIDTH = ROW_GAP + 3 * CELLS

# the profile of one underlying in one account
MARK = 0
GAP = COLUMNS  # per cell: in the first shock; in the second; moves of longs; moves of shorts
VEGA_GAP = GAP + CELLS
MOVE_LONG = VEGA_GAP + CELLS
MOVE_SHORT = MOVE_LONG + CELLS
BASIS_CHARGE = MOVE_SHORT + CELLS
LINEAR_CHARGE = BASIS_CHARGE + 1
SHORT_MINIMUM = LINEAR_CHARGE + 1
GROSS = SHORT_MINIMUM + 1
FLOOR = GROSS + 1  # per cell its least value, set by `floors`
PROFILE = FLOOR + CELLS

# extra[:, k]: integers per leg
EXTRA_NOTIONAL = 0  # nano per lot
EXTRA_LONG = 1  # charge per long lot, nano
EXTRA_SHORT = 2  # charge per short lot, nano
EXTRA_SHORT_MINIMUM = 3  # nano per naked short lot
EXTRA_DUST = 4  # nano per lot: what rounding rows down may have hidden
EXTRA_HAIRCUT = 5  # ppm of the value of collateral
EXTRA_CURVE = 6  # three: the bits of volatility, ratio and lot; a strike's legs net where they are equal
EXTRAS = 9

# underlying_params[u, k]
STEPS = SPOT_CELLS  # steps of the common factor
PARAM_FIRST = 0  # first and last cell of the window at each step
PARAM_LAST = STEPS
PARAM_CONCENTRATION_FROM = 2 * STEPS  # micro
PARAM_CONCENTRATION_RATE = 2 * STEPS + 1  # ppm of what lies above

# scalars[k]
SCALAR_INITIAL_FACTOR = 0  # ppm
SCALAR_MAINTENANCE_FACTOR = 1  # ppm
SCALAR_OFFSET = 2  # ppm of a gain that offsets losses elsewhere
SCALAR_SHORT_MINIMUM = 3  # ppm of notional, for refreshing EXTRA_SHORT_MINIMUM


@inner
def profile(values, extra, block, group, legs, lots, start, stop, with_gaps, out):
    """Profile of the positions [start, stop), all on one underlying, into out[PROFILE]; without gaps
    those are left at 0. values, extra, block, group: those of the tables; handed over one by one, since
    a call copies every array that it is given."""
    project32(values, legs, lots, start, stop, out)
    for k in range(GAP, PROFILE):
        out[k] = 0
    p = start
    while p < stop:
        this_block = block[legs[p]]
        up = 0
        down = 0
        while p < stop and block[legs[p]] == this_block:
            first = p
            this_group = group[legs[p]]
            naked = 0
            while True:
                leg = legs[p]
                quantity = lots[p]
                row = values[leg]
                mark = row[MARK]
                up += quantity * (row[BASIS] - mark)
                down += quantity * (row[BASIS + 1] - mark)
                size = abs(quantity)
                out[GROSS] += size * extra[leg, EXTRA_NOTIONAL]
                rate = extra[leg, EXTRA_LONG] if quantity > 0 else extra[leg, EXTRA_SHORT]
                out[LINEAR_CHARGE] += size * (rate + extra[leg, EXTRA_DUST])
                p += 1
                if this_group < 0:
                    break
                naked -= quantity * extra[leg, EXTRA_SHORT_MINIMUM]
                if quantity < 0:
                    out[MARK] -= size
                if p >= stop or group[legs[p]] != this_group:
                    break
            if this_group >= 0:
                out[SHORT_MINIMUM] += max(0, naked)
                if not with_gaps:
                    continue
                if p - first == 1:
                    _gaps(values[legs[first]], lots[first], out)
                else:
                    _strike_gaps(values, extra, legs, lots, first, p, out)
        worst = min(up, down)
        if worst < 0:
            out[BASIS_CHARGE] -= worst


@inner
def same_curve(one, other):
    """Whether two legs of one strike and expiry, by their rows of `extra`, are calls and puts of one
    price curve, and so differ by a straight line."""
    return (
        one[EXTRA_CURVE] == other[EXTRA_CURVE]
        and one[EXTRA_CURVE + 1] == other[EXTRA_CURVE + 1]
        and one[EXTRA_CURVE + 2] == other[EXTRA_CURVE + 2]
    )


@inner
def _strike_gaps(values, extra, legs, lots, first, stop, out):
    """Adds the gaps of the positions [first, stop), all of one strike: those of one curve net. Each
    curve is taken where its first leg stands, so that no other leg makes a difference to it."""
    for a in range(first, stop):
        leg = legs[a]
        net = 0
        for b in range(first, stop):
            if same_curve(extra[leg], extra[legs[b]]):
                if b < a:
                    net = 0
                    break
                net += lots[b]
        if net != 0:
            _gaps(values[leg], net, out)


@inner
def _gaps(row, net, out):
    """Adds the gaps of one curve. A short option bends the other way in spot."""
    # run-time counts, which vectorise
    three = len(row) - ROW_GAP
    one = three // 3
    if net > 0:
        for c in range(three):
            out[GAP + c] += net * row[ROW_GAP + c]
        return
    for c in range(one):
        out[VEGA_GAP + c] -= net * row[ROW_GAP + CELLS + c]
    for c in range(one):
        out[MOVE_SHORT + c] -= net * row[ROW_GAP + 2 * CELLS + c]


@inner
def vega_gap(x, at):
    """How far a cell may lie below its two levels of the second shock. x: a profile."""
    return min(x[VEGA_GAP + at], min(x[MOVE_LONG + at], x[MOVE_SHORT + at]))


@inner
def dip(gap, difference):
    """How far below the smaller corner a cell may reach in the first shock, rounded up:
    (gap - difference/4)² / gap, where the corners differ by `difference` >= 0."""
    excess = gap - (difference >> 2)
    if excess <= 0:
        return 0
    if gap < DIP_EXACT:
        return -mul_div_floor(-excess, excess, gap)
    return -mul_div_floor(-excess, (excess >> 12) + 1, gap >> 12)


@inner
def cell_floor(x, level, cell):
    """Least value in a cell. x: a profile. The bound is concave in the corners, so the worse of the
    two levels of the second shock bounds what lies between them."""
    at = level * SPOT_CELLS + cell
    gap = x[GAP + at]
    a = 1 + level * NODES + cell
    b = a + NODES
    low = min(x[a], x[a + 1]) - dip(gap, abs(x[a] - x[a + 1]))
    high = min(x[b], x[b + 1]) - dip(gap, abs(x[b] - x[b + 1]))
    return min(low, high) - vega_gap(x, at)


@inner
def floors(x):
    """Sets a profile's FLOOR entries."""
    for level in range(LEVELS - 1):
        for cell in range(SPOT_CELLS):
            x[FLOOR + level * SPOT_CELLS + cell] = cell_floor(x, level, cell)


@inner
def window_floor(x, params, step, level):
    """Least of the floors in the window of cells that one step of the common factor allows."""
    first, last = params[PARAM_FIRST + step], params[PARAM_LAST + step]
    at = FLOOR + level * SPOT_CELLS
    low = x[at + first]
    for cell in range(first + 1, last + 1):
        low = min(low, x[at + cell])
    return low


@inner
def _offset(change, offset_ppm):
    return change if change < 0 else mul_ppm_floor(change, offset_ppm)


@inner
def scan_risk(profiles, count, underlyings, params, offset_ppm):
    """Worst joint loss (>= 0, nano) over all steps, levels and tails, and which one.

    profiles: int64[>= count, PROFILE], whose FLOOR entries are set here; underlyings: int32[count].
    Index: 2·step + level for the range, 2·STEPS + t for tail t, -1 where nothing loses.
    """
    worst = 0
    index = -1
    for i in range(count):
        floors(profiles[i])
    for step in range(STEPS):
        for level in range(LEVELS - 1):
            total = 0
            for i in range(count):
                x = profiles[i]
                change = window_floor(x, params[underlyings[i]], step, level) - x[MARK]
                total += _offset(change, offset_ppm)
            if total < worst:
                worst = total
                index = 2 * step + level
    for tail in range(TAILS):
        total = 0
        for i in range(count):
            x = profiles[i]
            total += _offset(x[1 + GRID + tail] - x[MARK], offset_ppm)
        if total < worst:
            worst = total
            index = 2 * STEPS + tail
    return -worst, index


@inner
def concentration(gross_nano, params):
    """Charge in nano on the gross notional above the threshold, rounded up."""
    above = gross_nano - params[PARAM_CONCENTRATION_FROM] * 1000
    if above <= 0:
        return 0
    return mul_ppm_ceil(above, params[PARAM_CONCENTRATION_RATE])


@inner
def flat_charges(profiles, count, underlyings, params):
    """Σ of the add-ons that are not scaled by a factor, nano."""
    total = 0
    for i in range(count):
        x = profiles[i]
        total += x[BASIS_CHARGE] + x[LINEAR_CHARGE] + concentration(x[GROSS], params[underlyings[i]])
    return total


@inner
def risk(profiles, count, underlyings, params, offset_ppm):
    """max(scan risk, short-option minimum) in nano, and the worst scenario's index."""
    loss, index = scan_risk(profiles, count, underlyings, params, offset_ppm)
    minimum = 0
    for i in range(count):
        minimum += profiles[i, SHORT_MINIMUM]
    return max(loss, minimum), index


@inner
def split(tables, legs, lots, start, stop, profiles, underlyings):
    """Profiles of one account, one per underlying in order; returns how many."""
    count = 0
    p = start
    while p < stop:
        underlying = tables.leg_underlying[legs[p]]
        first = p
        while p < stop and tables.leg_underlying[legs[p]] == underlying:
            p += 1
        profile(
            tables.values, tables.extra, tables.leg_block, tables.leg_group, legs, lots, first, p, True,
            profiles[count],
        )  # fmt: skip
        underlyings[count] = underlying
        count += 1
    return count


@inner
def conclude(profiles, with_orders, has_orders, count, underlyings, params, scalars, cash_nano, out):
    """out = equity (floor), initial, maintenance (ceil) in micro, worst scenario.

    with_orders: the profiles that initial margin is taken on where has_orders.
    """
    equity = cash_nano
    for i in range(count):
        equity += profiles[i, MARK]
    offset = scalars[SCALAR_OFFSET]
    loss, index = risk(profiles, count, underlyings, params, offset)
    flat = flat_charges(profiles, count, underlyings, params)
    maintenance = mul_ppm_ceil(loss, scalars[SCALAR_MAINTENANCE_FACTOR]) + flat
    if has_orders:
        loss, _ = risk(with_orders, count, underlyings, params, offset)
        flat = flat_charges(with_orders, count, underlyings, params)
    initial = mul_ppm_ceil(loss, scalars[SCALAR_INITIAL_FACTOR]) + flat
    out[0] = equity // 1000
    out[1] = -((-initial) // 1000)
    out[2] = -((-maintenance) // 1000)
    out[3] = index


@inner
def account(tables, legs, lots, start, stop, cash_nano, profiles, underlyings, out):
    """One account without open orders."""
    count = split(tables, legs, lots, start, stop, profiles, underlyings)
    conclude(
        profiles,
        profiles,
        False,
        count,
        underlyings,
        tables.underlying_params,
        tables.scalars,
        cash_nano,
        out,
    )
