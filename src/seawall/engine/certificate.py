"""Certificates: price bands inside which an account's status provably stays what it is.

For an account the parts of its health (`faces.py`) are known at the present point and at the nodes
of the price ladder (`nodes.py`). On the way from the band so far to a pair of nodes around it every
part is at least the mix of both, less the stray of its legs and what time, volatility and basis may
do until the certificate ends (`bands.py`). A band stands if health cannot reach the next line
whatever every underlying does inside its own band. Proof and picture: docs/tripwires.md.
"""

import numpy as np

from seawall.engine import bands, faces, growth
from seawall.engine.bands import FALL, RISE
from seawall.engine.faces import ON, UPPER, WITH_GAP
from seawall.engine.leader import LED_ENDS, hedged, lead, own_rate
from seawall.engine.nodes import ANCHOR_WIDTH, near_cells
from seawall.engine.pieces import (
    BY_BASIS,
    BY_VOL,
    NODES_HIGH,
    NODES_LOW,
    NOW_HIGH,
    NOW_LOW,
    RATE_HIGH,
    RATE_LOW,
    SLACKS,
    STAGE,
    UNDERLYING,
    USES_NEAR,
    YOUNGER_HIGH,
    YOUNGER_LOW,
    leg_lots,
    size_of,
)
from seawall.engine.state import (
    BASIS_SLOPE,
    BUILT,
    CARRY,
    CASH,
    DECAY,
    DECAY_LIMIT,
    GAP_UNTIL,
    LADDER,
    LADDER_STEP,
    LOOSE,
    MOVING,
    ORDER_LENGTH,
    SINCE_NODES,
    VEGA,
)
from seawall.kernels import anchors, cells
from seawall.kernels.compiled import inner, once

WIDEST = np.int64(LADDER - 1)
FIRST_WIDTH = np.int64(6)  # for a first certificate
OCTAVE = 4  # steps in which an account's slope is remembered
BY_TIME = np.int64(1 << 12)  # above every slope
TIME_LEVELS = 4
NARROWLY = np.int64(1 << 15)
BY_LEADER = np.int64(1 << 16)
LED_SHARE = 0.75  # of a stage, that a band in the leader's coordinates is said to take
# attempts at a band: within the ladder; within the narrowest stage, with the gaps of the present step of
# life; and within the present anchor cells
WIDE, IN_STAGE, IN_CELL = range(3)
ATTEMPTS = 3
LONGEST_NS = 30 * 3_600 * 10**9
SHORTEST_NS = 10**9
NEARLY_WHOLE = 0.9  # of the narrowest stage, for wider ones to be looked for
LITTLE = 0.3  # of the narrowest stage, for a band inside the present anchor cell to be looked for
ENOUGH = 0.4  # of a stage, for narrower ones not to be worth their making
LEAST_WAY = 1.0 / 16.0  # of the narrowest grid's steps, that a band is said to go
LEAST_SHARE = 1e-3  # of the narrowest stage, for a band to be worth filing
RESERVE_SHARE = 0.2  # of the safety, left for moves of volatility, and of basis
TIME_SHARE = 0.03  # of the safety, left for the passing of time, at the lowest level; twice at the next
NANO_PER_LOT = 6.0  # rows and nodes are each rounded once, and a chord of theirs
NANO_PER_POSITION = 10_000.0  # a position's margin is rounded to micro, more than once


@once
def _add_slack(slopes, size, is_long, nodes_ns, now_ns, out):
    """Adds one leg's part to slack[i]."""
    rest = NANO_PER_LOT * size + NANO_PER_POSITION
    low = slopes[DECAY] if is_long else slopes[CARRY]
    high = slopes[CARRY] if is_long else slopes[DECAY]
    limit = slopes[DECAY_LIMIT]
    low_limit = limit if is_long else np.inf
    high_limit = np.inf if is_long else limit
    out[NODES_LOW] += size * min(low_limit, low * nodes_ns) + rest
    out[NODES_HIGH] += size * min(high_limit, high * nodes_ns) + rest
    out[NOW_LOW] += size * min(low_limit, low * now_ns) + rest
    out[NOW_HIGH] += size * min(high_limit, high * now_ns) + rest
    out[BY_VOL] += size * slopes[VEGA]
    out[BY_BASIS] += size * slopes[BASIS_SLOPE]
    out[RATE_LOW] += size * low
    out[RATE_HIGH] += size * high
    if low_limit == np.inf:
        out[YOUNGER_LOW] += size * low
    if high_limit == np.inf:
        out[YOUNGER_HIGH] += size * high


@once
def _slacken(nodes, holdings, scratch, count, now_ns, until_ns, drift):
    """Sets slack for a certificate from now to until_ns; returns the end of validity of its legs."""
    valid_ns = np.iinfo(np.int64).max
    for i in range(count):
        piece, out = scratch.pieces[i], scratch.slack[i]
        u = piece[UNDERLYING]
        for k in range(SLACKS):
            out[k] = 0.0
        nodes_ns = np.float64(until_ns - nodes.times[u, BUILT])
        left_ns = np.float64(until_ns - now_ns)
        vol, basis = scratch.reserve[0], scratch.reserve[1]
        for k in range(size_of(piece)):
            leg, lots = leg_lots(holdings, piece, k)
            _add_slack(nodes.slopes[leg], np.float64(abs(lots)), lots > 0, nodes_ns, left_ns, out)
            valid_ns = min(valid_ns, nodes.valid_ns[leg])
        jolt = out[BY_VOL] * vol + out[BY_BASIS] * basis
        drifted = out[BY_VOL] * drift[u, SINCE_NODES] + out[BY_BASIS] * drift[u, SINCE_NODES + 1]
        for k in range(2):
            out[NODES_LOW + k] += jolt + drifted
            out[NOW_LOW + k] += jolt
    return valid_ns


@inner
def certify(
    kind, board, nodes, holdings, scratch, account, count, level, release, now_ns, motion, drift, begin, leader
):
    """Finds bands for an account that `slices` has cut into `count` underlyings, from the profiles at
    the present point in scratch.exact.

    begin: what the last certificate left: a slope, see `_width`; BY_TIME times the level of what is left
    for time; at or above BY_LEADER its bands are in the coordinates of the underlying `leader`.
    motion: float64[MOTIONS], drift: float64[U, DRIFTS]: `state.py`. Returns the end of the certificate in ns, or 0 where none could be had, and what it
    leaves for the next; edges[i] = (fall, rise) prices of the i-th underlying, or led where BY_LEADER.
    """
    rule, tables = scratch.rule, board.tables
    faces.set_rule(kind, level, release, tables.scalars, rule)
    with_orders = np.int64(level == 0 and holdings.accounts[account, ORDER_LENGTH] > 0)
    joint = 1 if kind is not None or count == 1 else faces.JOINT
    cash = np.float64(holdings.accounts[account, CASH])
    if kind is None and rule[UPPER + ON]:
        bands.choose_witnesses(kind, tables, scratch, count, joint, scratch.exact[0])
    led, time_level = begin >= BY_LEADER, begin // BY_TIME % TIME_LEVELS
    first, begin = IN_STAGE if begin // NARROWLY % 2 else WIDE, begin % BY_TIME
    time_share = TIME_SHARE * 2.0**time_level
    kept_until_ns, kept_rate, kept_narrow, two_cells = np.int64(0), np.inf, np.int64(0), True
    for turn in range(ATTEMPTS if kind is None else 1):
        attempt = (first + turn) % ATTEMPTS
        narrow = attempt != WIDE
        if attempt == IN_CELL and not two_cells:
            continue
        rule[WITH_GAP] = narrow
        two_cells = False
        for i in range(count):
            piece = scratch.pieces[i]
            piece[USES_NEAR] = near_cells(nodes, piece[UNDERLYING], now_ns) if attempt == IN_STAGE else 0
            two_cells = two_cells or piece[USES_NEAR] == 2
        until_ns, safety = _stand(
            kind, board, nodes, holdings, scratch, count, with_orders, joint, cash, now_ns, motion, drift, time_share
        )
        if until_ns == 0:
            continue
        if narrow:
            bands.prepare(kind, tables, nodes, holdings, scratch, count, np.int64(0), with_orders, joint, True)
            share = growth.reach(scratch, count, joint, cash)
            growth.move(scratch, count, joint, cash, share)
            growth.extend(scratch, count, joint, cash)
            _keep_to_cells(board, nodes, scratch, count, with_orders)
        else:
            width = _width(begin, safety)
            share, way, width, led = _widen(
                kind, board, nodes, holdings, scratch, count, with_orders, joint, cash, width, led, leader
            )
            begin = np.int64(max(1.0, np.rint(OCTAVE * np.log2(safety / way))))
            if led:
                return until_ns, begin + BY_TIME * time_level + BY_LEADER
            if width > 0:
                return until_ns, begin + BY_TIME * time_level
        if share > LEAST_SHARE:
            rate = own_rate(nodes, board.index, scratch, count, scratch.edges, 1.0)
            if rate < kept_rate:
                kept_until_ns, kept_rate, kept_narrow = until_ns, rate, np.int64(narrow)
                for i in range(count):
                    for side in range(2):
                        scratch.kept_edges[i, side] = scratch.edges[i, side]
        if first == IN_STAGE and share > NEARLY_WHOLE:
            two_cells = False
        elif share > LITTLE or (attempt == IN_CELL and kept_until_ns > 0):
            break
    for i in range(count):
        for side in range(2):
            scratch.edges[i, side] = scratch.kept_edges[i, side]
    return kept_until_ns, begin + BY_TIME * time_level + NARROWLY * kept_narrow


@inner
def by_what(begin, by_time):
    """`begin` for a certificate that follows one that time has ended, or else something else: more is left for
    time, or less."""
    level = begin // BY_TIME % TIME_LEVELS
    after = min(level + 1, TIME_LEVELS - 1) if by_time else max(level - 1, 0)
    return begin + BY_TIME * (after - level)


@once
def _width(begin, safety):
    """The width of the ladder to begin with, where a band is likely to take most of a stage but not all.

    begin: OCTAVE times the binary logarithm of how much of the safety the last band took for each step
    of the narrowest grid, 0 where there was none.
    """
    if begin == 0:
        return FIRST_WIDTH
    way = np.log2(safety) - np.float64(begin) / OCTAVE
    return np.int64(min(max(np.ceil(way), 0.0), WIDEST))


@inner
def _stand(
    kind, board, nodes, holdings, scratch, count, with_orders, joint, cash, now_ns, motion, drift, time_share
):
    """Makes the present point the band so far; returns the end of the certificate, or 0, and how far it
    is from a line."""
    tables = board.tables
    scratch.reserve[0] = scratch.reserve[1] = 0.0
    # first as if no time passed, to see how much there is to share; then until the end
    valid_ns = _slacken(nodes, holdings, scratch, count, now_ns, np.int64(now_ns), drift)
    bands.start(kind, tables, scratch, count, scratch.exact[with_orders], joint)
    bands.apply_slack(kind, tables, scratch, count, joint)
    safety = bands.safety(scratch, count, joint, cash)
    if safety <= 0.0:
        return np.int64(0), safety
    if scratch.rule[WITH_GAP] > 0.0:
        valid_ns = min(valid_ns, _gaps_until(board, holdings, scratch, count))
    until_ns = _ending(kind, tables, scratch, count, safety, now_ns, valid_ns, time_share)
    if until_ns <= now_ns:
        return np.int64(0), safety
    _set_reserves(kind, tables, scratch, count, safety, motion, drift)
    _slacken(nodes, holdings, scratch, count, now_ns, until_ns, drift)
    bands.apply_slack(kind, tables, scratch, count, joint)
    safety = bands.safety(scratch, count, joint, cash)
    if safety <= 0.0:
        return np.int64(0), safety
    bands.keep_point(scratch, count, joint)
    for i in range(count):
        scratch.edges[i, FALL] = scratch.edges[i, RISE] = board.index[scratch.pieces[i, UNDERLYING]]
    return until_ns, safety


@once
def _set_reserves(kind, tables, scratch, count, safety, motion, drift):
    """Leaves a share of the safety for moves of volatility and of basis, where they move at all: room
    for none in the present anchor cell alone, for any where nothing depends on them."""
    for k in range(2):
        scratch.reserve[k] = 0.0
        if motion[MOVING + k] == 0.0 or scratch.rule[WITH_GAP] > 0.0:
            continue
        room = motion[LOOSE + k]
        worst = 0.0
        for side in range(0, 2 * UPPER, UPPER):
            by = 0.0
            for i in range(count):
                u = scratch.pieces[i, UNDERLYING]
                share = bands.charge_share(tables.underlying_params[u], kind)
                move = scratch.slack[i, BY_VOL + k]
                by += bands.penalty(scratch.rule, side, move, move, share)
                if move > 0.0:
                    room = min(room, motion[LOOSE + k] - drift[u, SINCE_NODES + k])
            if scratch.rule[side + ON]:
                worst = max(worst, by)
        if worst > 0.0:
            scratch.reserve[k] = max(0.0, min(room, RESERVE_SHARE * safety / worst))


@inner
def _widen(kind, board, nodes, holdings, scratch, count, with_orders, joint, cash, width, led, leader):
    """Widens the band so far: from the stage of a width, or of the first narrower one that it gets far
    enough into, through wider ones as long as they are taken whole; at the end, single sides that cost
    nothing. Where a band in the leader's coordinates trips less often, takes that one. Returns the share
    it took of its first stage, how many steps of the narrowest grid it went, the width of that stage, and
    whether by the leader."""
    tables = board.tables
    bands.prepare(kind, tables, nodes, holdings, scratch, count, width, with_orders, joint, True)
    share = growth.reach(scratch, count, joint, cash)
    if led:
        rate = lead(nodes, board.index, scratch, count, joint, cash, leader)
        if rate < own_rate(nodes, board.index, scratch, count, scratch.ends[STAGE], share):
            width = _follow(
                kind, board, nodes, holdings, scratch, count, with_orders, joint, cash, width, leader, rate
            )
            return 1.0, LED_SHARE * 2.0**width, width, True
    while share < ENOUGH and width > 0:
        width -= 1
        bands.prepare(kind, tables, nodes, holdings, scratch, count, width, with_orders, joint, True)
        share = growth.reach(scratch, count, joint, cash)
    first, way, narrowest = share, share * 2.0**width, width
    growth.move(scratch, count, joint, cash, share)
    while share >= 1.0 and width < WIDEST:
        width += 1
        bands.prepare(kind, tables, nodes, holdings, scratch, count, width, with_orders, joint, False)
        share = growth.reach(scratch, count, joint, cash)
        growth.move(scratch, count, joint, cash, share)
        way += share * 2.0 ** (width - 1)
    growth.extend(scratch, count, joint, cash)
    if count > 1 and hedged(board.index, scratch, count):
        rate = lead(nodes, board.index, scratch, count, joint, cash, leader)
        if rate < own_rate(nodes, board.index, scratch, count, scratch.edges, 1.0):
            width = _follow(
                kind, board, nodes, holdings, scratch, count, with_orders, joint, cash, width, leader, rate
            )
            return 1.0, LED_SHARE * 2.0**width, width, True
    return first, max(way, LEAST_WAY), narrowest, False


@inner
def _follow(kind, board, nodes, holdings, scratch, count, with_orders, joint, cash, width, leader, rate):
    """Widens a band in the leader's coordinates, stage by stage; returns the width it took."""
    led = scratch.led
    while led[LED_ENDS] > 0.0 and width < WIDEST:
        kept = led[0], led[1], led[2]
        bands.prepare(kind, board.tables, nodes, holdings, scratch, count, width + 1, with_orders, joint, False)
        wider = lead(nodes, board.index, scratch, count, joint, cash, leader)
        if wider >= rate:
            led[0], led[1], led[2] = kept
            break
        rate = wider
        width += 1
    return width


@once
def _keep_to_cells(board, nodes, scratch, count, with_orders):
    """Clips the band so far to the present anchor cells of underlyings whose gaps are counted and known in
    no other."""
    for i in range(count):
        x, u = scratch.exact[with_orders, i], scratch.pieces[i, UNDERLYING]
        counted = False
        if scratch.pieces[i, USES_NEAR]:
            continue
        for c in range(cells.GAP, cells.BASIS_CHARGE):
            counted = counted or x[c] > 0
        if counted:
            step = nodes.ladder[u, ANCHOR_WIDTH, LADDER_STEP]
            cell = anchors.price_cell(board.index[u], step)
            edges = scratch.edges[i]
            edges[FALL] = max(edges[FALL], anchors.cell_high(cell - 1, step))
            edges[RISE] = min(edges[RISE], anchors.cell_low(cell + 1, step))


@once
def _gaps_until(board, holdings, scratch, count):
    """Until when the present gaps of an account's positions and orders hold."""
    until_ns = np.iinfo(np.int64).max
    for i in range(count):
        for k in range(size_of(scratch.pieces[i])):
            leg, _ = leg_lots(holdings, scratch.pieces[i], k)
            until_ns = min(until_ns, board.gaps[leg, GAP_UNTIL])
    return until_ns


@once
def _ending(kind, tables, scratch, count, safety, now_ns, valid_ns, time_share):
    """End of a certificate: a share of the safety for the passing of time, within limits."""
    length = np.float64(LONGEST_NS)
    for side in range(0, 2 * UPPER, UPPER):
        rate = 0.0
        for i in range(count):
            share = bands.charge_share(tables.underlying_params[scratch.pieces[i, UNDERLYING]], kind)
            rate += bands.penalty(scratch.rule, side, scratch.slack[i, RATE_LOW], scratch.slack[i, RATE_HIGH], share)
        if scratch.rule[side + ON] and rate > 0.0:
            length = min(length, time_share * safety / rate)
    if length < SHORTEST_NS:
        return np.int64(0)
    return min(now_ns + np.int64(length), valid_ns)
