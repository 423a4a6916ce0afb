"""Certificates: price bands inside which an account's status provably stays what it is.

For an account the parts of its health (`faces.py`) are known at the nodes of the price ladder
(`nodes.py`). On a band made of whole cells every part is at least its least value at the nodes,
less the stray of its legs and what time, volatility and basis may do until the certificate ends;
a share of the way to a wider band it is at least the mix of both, less the strays (`bands.py`).
A band stands if health cannot reach the next line whatever every underlying does inside its own
band. Proof and picture: docs/tripwires.md.
"""

import numpy as np

from seawall.engine import bands, faces
from seawall.engine.bands import FALL, RISE
from seawall.engine.faces import ON, UPPER, WITH_GAP
from seawall.engine.pieces import (
    BASE,
    BY_BASIS,
    BY_VOL,
    FAR,
    FIRST,
    LAST,
    LEAST_BASIS,
    NEAR,
    NODES_HIGH,
    NODES_LOW,
    NOW_HIGH,
    NOW_LOW,
    ORDER_FIRST,
    ORDER_LAST,
    RATE_HIGH,
    RATE_LOW,
    STAGE,
    TRIAL,
    UNDERLYING,
)
from seawall.engine.state import (
    AROUND,
    BASIS_SLOPE,
    BUILT,
    CARRY,
    CASH,
    DECAY,
    DECAY_LIMIT,
    GAP_UNTIL,
    LADDER,
    LENGTH,
    LOOSE,
    MOVING,
    ORDER_LENGTH,
    SINCE_NODES,
    START,
    VEGA,
)
from seawall.kernels import orders
from seawall.kernels.compiled import inner, once
from seawall.kernels.tables import CELLS

STAGES = 2 * LADDER  # of each width: to the ends of the present cell, then one cell further
LONGEST_NS = 30 * 3_600 * 10**9
SHORTEST_NS = 10**9
ENOUGH = 0.25  # of a coarse cell, for finer ones not to be worth their making
LEAST_SHARE = 1e-3  # of a finest cell, for a band to be worth filing
RESERVE_SHARE = 0.2  # of the safety, left for moves of volatility, and of basis
TIME_SHARE = 0.1  # of the safety, left for the passing of time
NANO_PER_LOT = 4.0  # rows and nodes are each rounded once
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


@inner
def _slacken(nodes, holdings, scratch, count, now_ns, until_ns, drift):
    """Sets slack for a certificate from now to until_ns; returns the end of validity of its legs."""
    valid_ns = np.iinfo(np.int64).max
    for i in range(count):
        piece, out = scratch.pieces[i], scratch.slack[i]
        u = piece[UNDERLYING]
        for k in range(LEAST_BASIS):
            out[k] = 0.0
        nodes_ns = np.float64(until_ns - nodes.times[u, BUILT])
        left_ns = np.float64(until_ns - now_ns)
        vol, basis = scratch.reserve[0], scratch.reserve[1]
        positions = piece[LAST] - piece[FIRST]
        for k in range(positions + piece[ORDER_LAST] - piece[ORDER_FIRST]):
            if k < positions:
                leg = np.int64(holdings.leg[piece[FIRST] + k])
                lots = holdings.lots[piece[FIRST] + k]
            else:
                order = holdings.orders[piece[ORDER_FIRST] + k - positions]
                leg, lots = order[orders.LEG], order[orders.LOTS]
            size = np.float64(abs(lots))
            _add_slack(nodes.slopes[leg], size, lots > 0, nodes_ns, left_ns, out)
            valid_ns = min(valid_ns, nodes.valid_ns[leg])
        jolt = out[BY_VOL] * vol + out[BY_BASIS] * basis
        drifted = out[BY_VOL] * drift[u, SINCE_NODES] + out[BY_BASIS] * drift[u, SINCE_NODES + 1]
        for k in range(2):
            out[NODES_LOW + k] += jolt + drifted
            out[NOW_LOW + k] += jolt
    return valid_ns


@inner
def certify(kind, board, nodes, holdings, scratch, account, count, level, release, now_ns, motion, drift, exact):
    """Finds bands for an account that `slices` has cut into `count` underlyings.

    exact: whether scratch.exact holds the profiles at the present point; without, only accounts
    of level 0 can be certified. motion: float64[MOTIONS], drift: float64[U, DRIFTS]: `state.py`. Returns the end of the certificate in ns, or
    0 where none could be had; edges[i] = (fall, rise) prices of the i-th underlying.
    """
    rule, tables = scratch.rule, board.tables
    faces.set_rule(kind, level, release, tables.scalars, rule)
    with_orders = np.int64(level == 0 and holdings.accounts[account, ORDER_LENGTH] > 0)
    joint = 1 if kind != CELLS or count == 1 else faces.JOINT
    cash = np.float64(holdings.accounts[account, CASH])
    first = np.int64(0)
    if exact and kind == CELLS and rule[UPPER + ON]:
        bands.choose_witnesses(kind, tables, scratch, count, joint, scratch.exact[0])
    for narrow in range(2 if exact else 1):
        # second, where nothing else is to be had: the present anchor cell and step of life alone
        rule[WITH_GAP] = narrow
        for i in range(count):
            sure = narrow and kind == CELLS and rule[UPPER + ON]
            scratch.slack[i, LEAST_BASIS] = bands.least_basis(tables, nodes, holdings, scratch, i) if sure else 0.0
        until_ns = _stand(
            kind, board, nodes, holdings, scratch, account, count, with_orders, joint, cash, now_ns, motion, drift,
            exact,
        )  # fmt: skip
        if until_ns == 0:
            continue
        if narrow:
            bands.prepare(kind, tables, nodes, holdings, scratch, count, first, STAGE, with_orders, joint)
            share = bands.reach(scratch, count, joint, cash, STAGE)
            bands.move(scratch, count, joint, STAGE, share)
        else:
            share = _widen(kind, tables, nodes, holdings, scratch, count, with_orders, joint, cash)
        if share > LEAST_SHARE:
            return until_ns
        if kind != CELLS:
            break
    return np.int64(0)


@inner
def _stand(
    kind, board, nodes, holdings, scratch, account, count, with_orders, joint, cash, now_ns, motion, drift, exact
):
    """Makes the band so far from the present point; returns the end of the certificate, or 0."""
    until_ns = np.int64(now_ns)
    scratch.reserve[0] = scratch.reserve[1] = 0.0
    # first as if no time passed, to see how much there is to share; then until the end
    for attempt in range(2):
        valid_ns = _slacken(nodes, holdings, scratch, count, now_ns, until_ns, drift)
        if exact:
            bands.prepare_point(kind, board.tables, scratch, count, scratch.exact[with_orders], joint)
        else:
            first = np.int64(0)
            bands.prepare(kind, board.tables, nodes, holdings, scratch, count, first, STAGE, with_orders, joint)
            bands.start_from_cells(scratch, count, joint)
        safety = bands.safety(scratch, count, joint, cash, BASE)
        if safety <= 0.0:
            return np.int64(0)
        if attempt == 0:
            if scratch.rule[WITH_GAP] > 0.0:
                valid_ns = min(valid_ns, _gaps_until(board, holdings, account))
            until_ns = _ending(kind, board.tables, scratch, count, safety, now_ns, valid_ns)
            if until_ns <= now_ns:
                return np.int64(0)
            _set_reserves(kind, board.tables, scratch, count, safety, motion, drift)
    if exact:
        for i in range(count):
            scratch.edges[i, FALL] = scratch.edges[i, RISE] = board.index[scratch.pieces[i, UNDERLYING]]
    return until_ns


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
def _widen(kind, tables, nodes, holdings, scratch, count, with_orders, joint, cash):
    """Widens the band so far, from coarse cells to fine ones, until one takes it far enough; at the
    end, single sides that cost nothing. Returns the share of a stage it took at best.

    The ends of the present cell may be close to the price on one side, so a cell that is taken whole
    is followed by its neighbours, and by finer ones where those are too much.
    """
    for slot in range(NEAR, FAR + 1):
        stage = STAGES - 2 + slot - NEAR
        bands.prepare(kind, tables, nodes, holdings, scratch, count, stage, slot, with_orders, joint)
    best = 0.0
    whole = False
    for narrower in range(LADDER):
        width = LADDER - 1 - narrower
        near, far = (NEAR, FAR) if narrower == 0 else (STAGE, STAGE)
        if narrower > 0:
            bands.prepare(kind, tables, nodes, holdings, scratch, count, 2 * width, near, with_orders, joint)
        share = bands.reach(scratch, count, joint, cash, near)
        if share < ENOUGH and not whole and width > 0:
            continue
        bands.move(scratch, count, joint, near, share)
        best = max(best, share)
        if share < 1.0:
            break
        whole = True
        if narrower > 0:
            bands.prepare(kind, tables, nodes, holdings, scratch, count, 2 * width + 1, far, with_orders, joint)
        share = bands.reach(scratch, count, joint, cash, far)
        bands.move(scratch, count, joint, far, share)
        if share >= ENOUGH:
            break
    _extend(nodes, scratch, count, joint, cash)
    return best


@once
def _gaps_until(board, holdings, account):
    """Until when the present gaps of an account's positions hold."""
    row = holdings.accounts[account]
    until_ns = np.iinfo(np.int64).max
    for p in range(row[START], row[START] + row[LENGTH]):
        until_ns = min(until_ns, board.gaps[holdings.leg[p], GAP_UNTIL])
    return until_ns


@inner
def _ending(kind, tables, scratch, count, safety, now_ns, valid_ns):
    """End of a certificate: a share of the safety for the passing of time, within limits."""
    length = np.float64(LONGEST_NS)
    for side in range(0, 2 * UPPER, UPPER):
        rate = 0.0
        for i in range(count):
            share = bands.charge_share(tables.underlying_params[scratch.pieces[i, UNDERLYING]], kind)
            rate += bands.penalty(scratch.rule, side, scratch.slack[i, RATE_LOW], scratch.slack[i, RATE_HIGH], share)
        if scratch.rule[side + ON] and rate > 0.0:
            length = min(length, TIME_SHARE * safety / rate)
    if length < SHORTEST_NS:
        return np.int64(0)
    return min(now_ns + np.int64(length), valid_ns)


@inner
def _extend(nodes, scratch, count, joint, cash):
    """Takes single sides of the band so far to the end of the ladder wherever that costs nothing."""
    for i in range(count):
        u = scratch.pieces[i, UNDERLYING]
        for side in range(2):
            other = 1 - side
            for k in range(count):
                for s in range(2):
                    for j in range(joint):
                        scratch.lower[TRIAL, s, k, j] = scratch.lower[BASE, s, k, j]
                    for e in range(2):
                        scratch.upper[TRIAL, s, k, e] = scratch.upper[BASE, s, k, e]
            inner = scratch.edges[i, side]
            outer = nodes.ladder[u, LADDER - 1, 0 if side == FALL else AROUND - 1]
            near = nodes.ladder[u, LADDER - 1, 1 if side == FALL else 2]
            if (outer - inner) * (other - side) >= 0.0:
                continue
            if (near - inner) * (other - side) < 0.0:
                bands.advance(scratch, i, side, NEAR, 1.0, joint, BASE, TRIAL)
                bands.advance(scratch, i, side, FAR, 1.0, joint, TRIAL, TRIAL)
            else:
                bands.advance(scratch, i, side, FAR, 1.0, joint, BASE, TRIAL)
            if bands.safety(scratch, count, joint, cash, TRIAL) >= 0.0:
                scratch.edges[i, side] = outer
                for j in range(joint):
                    scratch.lower[BASE, side, i, j] = scratch.lower[TRIAL, side, i, j]
                for e in range(2):
                    scratch.upper[BASE, side, i, e] = scratch.upper[TRIAL, side, i, e]
                for c in range(faces.GAPS):
                    scratch.gap[BASE, side, i, c] = scratch.gap[TRIAL, side, i, c]
