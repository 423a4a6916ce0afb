"""Certificates: price bands inside which an account's status provably stays what it is.

For an account the projected columns are known at the nodes of the price ladder (`nodes.py`);
on a band made of whole cells, or of a share t of the way from one band to a wider one, every
column is bounded by its values at the ends less the stray of its legs; the aggregation turns
those into a bound of health (`bounds.py`). A band stands if health cannot reach the next status
whatever every underlying does inside its own band, with time running to the certificate's end
and volatility and basis moving within their reserves. Proof and picture: docs/tripwires.md.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from seawall.engine import bounds
from seawall.engine.nodes import ladder_step
from seawall.engine.state import LADDER, RING
from seawall.kernels import anchors, cells, orders, rows
from seawall.kernels.tables import CELLS, tables_at

FALL, RISE = 0, 1
LOW, HIGH = 0, 1
PLAIN, WITH_ORDERS = 0, 1
LONGEST_NS = 30 * 3_600 * 10**9
SHORTEST_NS = 10**9
TIME_SHARE = 0.1  # of the lower bound, left for the passing of time
NANO_PER_ROUNDING = 4.0  # per lot: rows and nodes are each rounded once
NANO_PER_ACCOUNT = 20_000.0
RELATIVE_SLACK = 1e-12


class Scratch(NamedTuple):
    """Work arrays of one certificate, allocated once.

    region[:, :, LADDER] is the present point. profile: int64[RING, W]; first, last, order_first, order_last: int64[U], slices by
    underlying; underlyings: int32[U]; region: float64[2, U, LADDER, 2, 2, W], bounds of the
    columns by set of orders, underlying, width, side and end; stray: float64[U, LADDER, 2, 2];
    ready: bool[U, LADDER]; slack: float64[U, 2]; side: float64[2, U, 2, 2,
    W]; ends: float64[2, 2, U, W]; floors: float64[U, CELLS]; edges: float64[U, 2]; kept:
    float64[2, 2, W]; exact: int64[2, U, W]; profile_work: int64[2]; float_work.
    """

    profile: np.ndarray
    first: np.ndarray
    last: np.ndarray
    order_first: np.ndarray
    order_last: np.ndarray
    underlyings: np.ndarray
    region: np.ndarray
    stray: np.ndarray
    ready: np.ndarray
    slack: np.ndarray
    side: np.ndarray
    ends: np.ndarray
    floors: np.ndarray
    edges: np.ndarray
    kept: np.ndarray
    exact: np.ndarray
    profile_work: np.ndarray
    float_work: np.ndarray


def make_scratch(underlyings: int) -> Scratch:
    """Scratch for markets of up to that many underlyings."""
    width = max(cells.PROFILE, bounds.TIER_PROFILE)
    count = max(underlyings, 1)
    return Scratch(
        profile=np.zeros((RING, width), np.int64),
        first=np.zeros(count, np.int64),
        last=np.zeros(count, np.int64),
        order_first=np.zeros(count, np.int64),
        order_last=np.zeros(count, np.int64),
        underlyings=np.zeros(count, np.int32),
        region=np.zeros((2, count, LADDER + 1, 2, 2, width)),
        stray=np.zeros((count, LADDER, 2, 2)),
        ready=np.zeros((count, LADDER), np.bool_),
        slack=np.zeros((count, 2)),
        side=np.zeros((2, count, 2, 2, width)),
        ends=np.zeros((2, 2, count, width)),
        floors=np.zeros((count, cells.CELLS)),
        edges=np.zeros((count, 2)),
        kept=np.zeros((2, 2, width)),
        exact=np.zeros((2, count, width), np.int64),
        profile_work=np.zeros(2, np.int64),
        float_work=np.zeros(rows.WORK),
    )


@njit(error_model="numpy")
def slices(board, holdings, account, scratch):
    """Cuts an account's positions and orders by underlying; returns how many underlyings."""
    of = board.tables.leg_underlying
    p, stop = holdings.start[account], holdings.start[account] + holdings.length[account]
    o = holdings.order_start[account]
    order_stop = o + holdings.order_length[account]
    count = 0
    while p < stop or o < order_stop:
        by_position = of[holdings.leg[p]] if p < stop else np.int32(2**31 - 1)
        by_order = of[holdings.order_leg[o]] if o < order_stop else np.int32(2**31 - 1)
        underlying = min(by_position, by_order)
        scratch.underlyings[count] = underlying
        scratch.first[count] = p
        scratch.order_first[count] = o
        while p < stop and of[holdings.leg[p]] == underlying:
            p += 1
        while o < order_stop and of[holdings.order_leg[o]] == underlying:
            o += 1
        scratch.last[count] = p
        scratch.order_last[count] = o
        count += 1
    return count


@njit(error_model="numpy")
def profile(kind, tables, holdings, i, scratch, with_orders, work, out):
    """Profile of the i-th underlying of the sliced account, at the tables' prices."""
    first, last = scratch.first[i], scratch.last[i]
    o, order_stop = scratch.order_first[i], scratch.order_last[i]
    if kind == CELLS:
        cells.profile(tables, holdings.leg, holdings.lots, first, last, work, out)
        if with_orders and o < order_stop:
            orders.add_to_cells(
                tables,
                holdings.leg,
                holdings.lots,
                first,
                last,
                holdings.order_leg,
                holdings.order_lots,
                holdings.order_limit_nano,
                o,
                order_stop,
                out,
            )
        return
    bounds.tier_profile(tables, holdings.leg, holdings.lots, first, last, out)
    out[bounds.TIER_ORDERS] = 0
    if with_orders and o < order_stop:
        out[bounds.TIER_ORDERS] = 1000 * orders.tier_margin(
            tables,
            holdings.leg,
            holdings.lots,
            first,
            last,
            holdings.order_leg,
            holdings.order_lots,
            holdings.order_limit_nano,
            o,
            order_stop,
        )


@njit(error_model="numpy")
def value_columns(kind):
    """How many of a profile's first entries are values (the rest are charges)."""
    return cells.COLUMNS if kind == CELLS else bounds.TIER_COLUMNS


@njit(error_model="numpy")
def profile_width(kind):
    """Entries of a profile."""
    return cells.PROFILE if kind == CELLS else bounds.TIER_PROFILE


@njit(error_model="numpy")
def _leg_slack(nodes, holdings, i, scratch, elapsed_ns, vol_move, basis_nano_of, basis_move):
    """Sets slack[i] = (how much lower, how much higher) the columns may be than at the nodes'
    build time after elapsed_ns, a relative volatility move and a relative basis move; returns
    (nano per ns of passing time, earliest end of validity)."""
    low = 0.0
    high = 0.0
    rate = 0.0
    valid_ns = np.iinfo(np.int64).max
    for part in range(2):
        start = scratch.first[i] if part == 0 else scratch.order_first[i]
        stop = scratch.last[i] if part == 0 else scratch.order_last[i]
        legs = holdings.leg if part == 0 else holdings.order_leg
        lots = holdings.lots if part == 0 else holdings.order_lots
        for p in range(start, stop):
            leg = legs[p]
            size = np.float64(abs(lots[p]))
            decay = min(nodes.decay_limit[leg], nodes.decay[leg] * elapsed_ns)
            carry = nodes.carry[leg] * elapsed_ns
            jolt = nodes.vega[leg] * vol_move + basis_nano_of[leg] * basis_move + NANO_PER_ROUNDING
            if lots[p] > 0:
                low += size * (decay + jolt)
                high += size * (carry + jolt)
                rate += size * nodes.decay[leg]
            else:
                low += size * (carry + jolt)
                high += size * (decay + jolt)
                rate += size * nodes.carry[leg]
            valid_ns = min(valid_ns, nodes.valid_ns[leg])
    scratch.slack[i, LOW] = low
    scratch.slack[i, HIGH] = high
    return rate, valid_ns


@njit(error_model="numpy")
def _prepare(kind, board, nodes, holdings, i, width, scratch, orders_too, work):
    """Bounds of the i-th underlying's columns on the cells below and above, one width."""
    underlying = scratch.underlyings[i]
    step = ladder_step(board.steps, underlying, width)
    cell = anchors.price_cell(board.index[underlying], step)
    split = value_columns(kind)
    entries = profile_width(kind)
    for extra_set in range(2 if orders_too else 1):
        for k in range(RING):
            ring = (cell - 1 + k) & (RING - 1)
            here = tables_at(board.tables, nodes.values[width, ring], nodes.extra[width, ring])
            profile(kind, here, holdings, i, scratch, extra_set == WITH_ORDERS, work, scratch.profile[k])
        for side in range(2):
            low = scratch.region[extra_set, i, width, side, LOW]
            high = scratch.region[extra_set, i, width, side, HIGH]
            a, b, c = side, side + 1, side + 2
            for e in range(entries):
                x, y, z = scratch.profile[a, e], scratch.profile[b, e], scratch.profile[c, e]
                if kind == CELLS and cells.GAP <= e < cells.BASIS_CHARGE:
                    # gaps belong to the cells between the three nodes
                    low[e] = min(x, y)
                    high[e] = max(x, y)
                else:
                    low[e] = min(x, min(y, z))
                    high[e] = max(x, max(y, z))
    for side in range(2):
        below = 0.0
        above = 0.0
        for part in range(2):
            start = scratch.first[i] if part == 0 else scratch.order_first[i]
            stop = scratch.last[i] if part == 0 else scratch.order_last[i]
            legs = holdings.leg if part == 0 else holdings.order_leg
            lots = holdings.lots if part == 0 else holdings.order_lots
            for p in range(start, stop):
                leg = legs[p]
                first = (cell - 1 + side) & (RING - 1)
                second = (cell + side) & (RING - 1)
                stray = max(nodes.stray[width, first, leg], nodes.stray[width, second, leg])
                if lots[p] > 0:
                    below += lots[p] * stray
                else:
                    above -= lots[p] * stray
        scratch.stray[i, width, side, LOW] = below
        scratch.stray[i, width, side, HIGH] = above
    scratch.ready[i, width] = split > 0


@njit(error_model="numpy")
def _blend(kind, low, high, base_low, base_high, wide_low, wide_high, share, below, above):
    """Bounds on the band that reaches `share` of the way from a base band to a wider one."""
    split = value_columns(kind)
    for e in range(profile_width(kind)):
        if kind == CELLS and cells.GAP <= e < cells.BASIS_CHARGE:
            low[e] = min(base_low[e], wide_low[e])
            high[e] = max(base_high[e], wide_high[e])
        else:
            down = base_low[e] + share * (wide_low[e] - base_low[e])
            up = base_high[e] + share * (wide_high[e] - base_high[e])
            low[e] = min(base_low[e], down)
            high[e] = max(base_high[e], up)
            if e < split:
                low[e] -= below
                high[e] += above
    if kind == CELLS:
        low[cells.BASIS_CHARGE] = max(0.0, low[cells.BASIS_CHARGE] - below - above)
        high[cells.BASIS_CHARGE] += below + above
    else:
        low[bounds.TIER_ORDERS] = 0.0


@njit(error_model="numpy")
def _merge(kind, count, scratch, sets):
    """ends = the two sides of every underlying together, widened by the slack of time."""
    split = value_columns(kind)
    for extra_set in range(sets):
        for i in range(count):
            low, high = scratch.ends[extra_set, LOW, i], scratch.ends[extra_set, HIGH, i]
            fall, rise = scratch.side[extra_set, i, FALL], scratch.side[extra_set, i, RISE]
            for e in range(profile_width(kind)):
                low[e] = min(fall[LOW, e], rise[LOW, e])
                high[e] = max(fall[HIGH, e], rise[HIGH, e])
                if e < split:
                    low[e] -= scratch.slack[i, LOW]
                    high[e] += scratch.slack[i, HIGH]
            if kind == CELLS:
                both = scratch.slack[i, LOW] + scratch.slack[i, HIGH]
                low[cells.BASIS_CHARGE] = max(0.0, low[cells.BASIS_CHARGE] - both)
                high[cells.BASIS_CHARGE] += both


@njit(error_model="numpy")
def _margin_of_safety(kind, tables, count, scratch, cash, level, release, sets):
    """The least distance (nano, negative: not certified) to a change of status over the ends."""
    is_cells = kind == CELLS
    safety = np.inf
    if level < 3:
        which = bounds.INITIAL if level == 0 else (bounds.MAINTENANCE if level == 1 else bounds.NOTHING)
        s = sets - 1 if level == 0 else PLAIN
        safety = bounds.bound(
            is_cells,
            scratch.ends[s, LOW],
            scratch.ends[s, HIGH],
            count,
            scratch.underlyings,
            tables,
            cash,
            which,
            1.0,
            True,
            scratch.floors,
        )
        safety -= NANO_PER_ACCOUNT + RELATIVE_SLACK * abs(cash)
    if level > 0:
        which = bounds.INITIAL if level == 1 else bounds.MAINTENANCE
        multiple = release if level == 3 else 1.0 + release
        top = bounds.bound(
            is_cells,
            scratch.ends[PLAIN, LOW],
            scratch.ends[PLAIN, HIGH],
            count,
            scratch.underlyings,
            tables,
            cash,
            which,
            multiple,
            False,
            scratch.floors,
        )
        safety = min(safety, -top - NANO_PER_ACCOUNT - RELATIVE_SLACK * abs(cash))
    return safety


@njit(error_model="numpy")
def _set_side(kind, scratch, i, side, base_width, wide, share, sets):
    """Fills side[·, i, side] for a band that reaches from a base (a width, or -1: the present
    point) a share of the way to a wider width; share 0 is the base itself."""
    for extra_set in range(sets):
        out = scratch.side[extra_set, i, side]
        if base_width < 0:
            base = scratch.region[extra_set, i, LADDER, side]
        else:
            base = scratch.region[extra_set, i, base_width, side]
        outer = base if share == 0.0 else scratch.region[extra_set, i, wide, side]
        if share == 0.0:
            below = scratch.stray[i, base_width, side, LOW] if base_width >= 0 else 0.0
            above = scratch.stray[i, base_width, side, HIGH] if base_width >= 0 else 0.0
        else:
            # the chord from the base's end to the wide end may span two cells: ¼·ΔΔ·width of
            # both together is at most four times the larger
            below, above = 4.0 * scratch.stray[i, wide, side, LOW], 4.0 * scratch.stray[i, wide, side, HIGH]
        _blend(kind, out[LOW], out[HIGH], base[LOW], base[HIGH], outer[LOW], outer[HIGH], share, below, above)


@njit(error_model="numpy")
def _edge(board, underlying, width, side):
    """The outermost price of a width's band on one side, rounded inwards."""
    step = ladder_step(board.steps, underlying, width)
    cell = anchors.price_cell(board.index[underlying], step)
    if side == FALL:
        return anchors.cell_high(cell - 2, step)
    return anchors.cell_low(cell + 2, step)


@njit(error_model="numpy")
def _try(kind, tables, count, scratch, cash, level, release, sets, base_width, wide, share):
    """Safety of the band that every underlying reaches on both sides."""
    for i in range(count):
        for side in range(2):
            _set_side(kind, scratch, i, side, base_width, wide, share, sets)
    _merge(kind, count, scratch, sets)
    return _margin_of_safety(kind, tables, count, scratch, cash, level, release, sets)


@njit(error_model="numpy")
def certify(
    kind, board, nodes, holdings, account, count, level, release, scratch, now_ns, reserve, drift, basis_nano, exact
):
    """Finds bands for an account that `slices` has cut into `count` underlyings.

    exact: whether region[·, ·, LADDER] holds the profiles at the present point. reserve:
    float64[2], relative moves of volatility and basis to leave room for; drift: float64[U, 2],
    how far they have moved since the nodes were built. Returns the end of the certificate in
    ns, or 0 where none could be had; edges[i] = (fall, rise) prices of the i-th underlying.
    """
    has_orders = holdings.order_length[account] > 0
    sets = 2 if has_orders else 1
    cash = np.float64(holdings.cash_nano[account])
    rate = 0.0
    valid_ns = np.iinfo(np.int64).max
    for i in range(count):
        u = scratch.underlyings[i]
        for width in range(LADDER):
            scratch.ready[i, width] = False
        moved_vol, moved_basis = drift[u, 0] + reserve[0], drift[u, 1] + reserve[1]
        elapsed = np.float64(now_ns - nodes.built_ns[u])
        leg_rate, leg_valid = _leg_slack(nodes, holdings, i, scratch, elapsed, moved_vol, basis_nano, moved_basis)
        rate += leg_rate
        valid_ns = min(valid_ns, leg_valid)
    work = scratch.profile_work
    tables = board.tables
    base = -1
    safety = -1.0
    if exact:
        safety = _try(kind, tables, count, scratch, cash, level, release, sets, -1, 0, 0.0)
    else:
        _ready(kind, board, nodes, holdings, count, 0, scratch, has_orders, work)
        safety = _try(kind, tables, count, scratch, cash, level, release, sets, 0, 0, 0.0)
        base = 0
    if safety < 0.0:
        return np.int64(0)
    until_ns = _ending(now_ns, safety, rate, valid_ns)
    if until_ns <= now_ns:
        return np.int64(0)
    for i in range(count):
        u = scratch.underlyings[i]
        elapsed = np.float64(until_ns - nodes.built_ns[u])
        moved_vol, moved_basis = drift[u, 0] + reserve[0], drift[u, 1] + reserve[1]
        _leg_slack(nodes, holdings, i, scratch, elapsed, moved_vol, basis_nano, moved_basis)
    # the widest width that every underlying may move by, both ways
    while base + 1 < LADDER:
        _ready(kind, board, nodes, holdings, count, base + 1, scratch, has_orders, work)
        if _try(kind, tables, count, scratch, cash, level, release, sets, base + 1, 0, 0.0) < 0.0:
            break
        base += 1
    share = _share(kind, tables, count, scratch, cash, level, release, sets, base)
    if share < 0.0:
        return np.int64(0)
    _edges(board, count, scratch, base, share)
    if base + 1 < LADDER:
        _extend(kind, board, nodes, holdings, count, scratch, has_orders, cash, level, release, sets)
    return until_ns


@njit(error_model="numpy")
def _ready(kind, board, nodes, holdings, count, width, scratch, has_orders, work):
    for i in range(count):
        if not scratch.ready[i, width]:
            _prepare(kind, board, nodes, holdings, i, width, scratch, has_orders, work)


@njit(error_model="numpy")
def _ending(now_ns, safety, rate, valid_ns):
    """End of a certificate: a share of the safety for the passing of time, within limits."""
    length = np.float64(LONGEST_NS)
    if rate > 0.0:
        length = min(length, TIME_SHARE * safety / rate)
    if length < SHORTEST_NS:
        return np.int64(0)
    return min(now_ns + np.int64(length), valid_ns)


@njit(error_model="numpy")
def _share(kind, tables, count, scratch, cash, level, release, sets, base):
    """The largest of a few shares of the way to the next width that stands; -1: not even 0."""
    if base + 1 < LADDER:
        share = 0.8
        while share > 0.001:
            if _try(kind, tables, count, scratch, cash, level, release, sets, base, base + 1, share) >= 0.0:
                return share
            share *= 0.6
    if base < 0:
        return -1.0
    _try(kind, tables, count, scratch, cash, level, release, sets, base, base, 0.0)
    return 0.0


@njit(error_model="numpy")
def _edges(board, count, scratch, base, share):
    """edges from a base width (-1: the present price) and a share of the way to the next."""
    for i in range(count):
        u = scratch.underlyings[i]
        for side in range(2):
            inner = board.index[u] if base < 0 else _edge(board, u, base, side)
            outer = inner if share == 0.0 else _edge(board, u, base + 1, side)
            scratch.edges[i, side] = inner + share * (outer - inner)


@njit(error_model="numpy")
def _extend(kind, board, nodes, holdings, count, scratch, has_orders, cash, level, release, sets):
    """Widens single sides to the widest width wherever that costs nothing."""
    widest = LADDER - 1
    _ready(kind, board, nodes, holdings, count, widest, scratch, has_orders, scratch.profile_work)
    for i in range(count):
        for side in range(2):
            kept = scratch.kept
            for extra_set in range(sets):
                kept[extra_set] = scratch.side[extra_set, i, side]
            _set_side(kind, scratch, i, side, widest, widest, 0.0, sets)
            _merge(kind, count, scratch, sets)
            if _margin_of_safety(kind, board.tables, count, scratch, cash, level, release, sets) >= 0.0:
                scratch.edges[i, side] = _edge(board, scratch.underlyings[i], widest, side)
            else:
                for extra_set in range(sets):
                    scratch.side[extra_set, i, side] = kept[extra_set]
