"""One step of the engine, compiled: wake accounts, evaluate, decide, certify, file again."""

import numpy as np
from numba import njit

from seawall.engine import bounds
from seawall.engine import nodes as node_rows
from seawall.engine.certificate import (
    HIGH,
    LOW,
    PLAIN,
    WITH_ORDERS,
    certify,
    profile,
    profile_width,
    slices,
)
from seawall.engine.state import (
    ACCOUNT_ITEMS,
    CERTIFIED,
    EVALUATED,
    HOT_COUNT,
    ITEM_BASIS,
    ITEM_TIME,
    ITEM_VOL,
    LADDER,
    ROW_FILLS,
    TOUCHED,
    Holdings,
)
from seawall.kernels import anchors, cells, rows, tier_rows, tiers, wheel
from seawall.kernels.fixed import mul_ppm_ceil
from seawall.kernels.normal import log_
from seawall.kernels.tables import CELLS

PRICE_BUCKET = 2e-5  # of log-price
TIME_SHIFT = 30  # buckets of 2**30 ns, about a second
MOVE_BUCKET = 1e-5  # of relative volatility or basis


@njit(error_model="numpy")
def refresh_leg(kind, board, leg, now_ns, version, sums, work):
    """Brings one leg's rows to the present price and time, if they are not there."""
    if board.stamp[leg] == version:
        return
    board.stamp[leg] = version
    sums[ROW_FILLS] += 1
    legs, tables = board.legs, board.tables
    index = board.index[legs.underlying[leg]]
    if kind != CELLS:
        tier_rows.refresh_leg(legs, leg, index, now_ns, board.model[rows.MODEL_RATE], tables)
        return
    values = tables.values[leg]
    rows.fill_values(legs, leg, index, now_ns, board.shocks, board.model, work, values)
    step = board.steps[legs.underlying[leg]]
    cell = anchors.price_cell(index, step)
    life = anchors.life_step(rows.option_life(legs, leg, now_ns))
    if board.gap_cell[leg] != cell or board.gap_life[leg] != life:
        board.gap_cell[leg] = cell
        board.gap_life[leg] = life
        rows.fill_gaps(
            legs,
            leg,
            anchors.cell_low(cell, step),
            anchors.cell_high(cell, step),
            anchors.life_low(life),
            anchors.life_high(life),
            board.shocks,
            board.model,
            values[cells.GAP_LONG :],
        )
    rows.fill_extra(legs, leg, index, values[0], tables.scalars[cells.SCALAR_SHORT_MINIMUM], tables.extra[leg])


@njit(error_model="numpy")
def evaluate(kind, board, holdings, account, count, now_ns, version, scratch, sums, out):
    """Exact figures of a sliced account at the present market, open orders included.

    out: int64[4], equity, initial, maintenance (micro), worst scenario. Leaves the profiles in
    scratch.region[·, ·, LADDER] for a certificate.
    """
    start, length = holdings.start[account], holdings.length[account]
    for p in range(start, start + length):
        refresh_leg(kind, board, holdings.leg[p], now_ns, version, sums, scratch.float_work)
    order_start, order_length = holdings.order_start[account], holdings.order_length[account]
    for o in range(order_start, order_start + order_length):
        refresh_leg(kind, board, holdings.order_leg[o], now_ns, version, sums, scratch.float_work)
    has_orders = order_length > 0
    tables = board.tables
    entries = profile_width(kind)
    for i in range(count):
        for s in range(2 if has_orders else 1):
            exact = scratch.exact[s, i]
            profile(kind, tables, holdings, i, scratch, s == WITH_ORDERS, scratch.profile_work, exact)
            for side in range(2):
                for e in range(entries):
                    scratch.region[s, i, LADDER, side, LOW, e] = exact[e]
                    scratch.region[s, i, LADDER, side, HIGH, e] = exact[e]
            if kind != CELLS:
                for side in range(2):
                    scratch.region[s, i, LADDER, side, LOW, bounds.TIER_ORDERS] = 0.0
    cash = holdings.cash_nano[account]
    if kind == CELLS:
        cells.conclude(
            scratch.exact[PLAIN],
            scratch.exact[WITH_ORDERS],
            has_orders,
            count,
            scratch.underlyings,
            tables.underlying_params,
            tables.scalars,
            cash,
            out,
        )
        return
    tiers.account(tables, holdings.leg, holdings.lots, start, start + length, cash, out)
    if has_orders:
        for i in range(count):
            out[1] += scratch.exact[WITH_ORDERS, i, bounds.TIER_ORDERS] // 1000


@njit(error_model="numpy")
def next_level(level, figures, release_ppm):
    """Status after an evaluation. Worsening is immediate; a status is left only once equity
    stands above its line by `release_ppm` of the requirement, so that it does not flap."""
    equity, initial, maintenance = figures[0], figures[1], figures[2]
    plain = 0
    if equity < 0:
        plain = 3
    elif equity < maintenance:
        plain = 2
    elif equity < initial:
        plain = 1
    if plain >= level:
        return plain
    while level > plain:
        line = initial if level == 1 else maintenance
        room = mul_ppm_ceil(max(line, 0), release_ppm)
        need = line + room if level < 3 else room
        if equity < need:
            break
        level -= 1
    return level


@njit(error_model="numpy")
def unfile(holdings, watch, account):
    """Takes every item of an account out of the wheel and the account off the hot list."""
    accounts = len(watch.level)
    for k in range(ACCOUNT_ITEMS):
        wheel.remove(watch.wheel, ACCOUNT_ITEMS * account + k)
    start = holdings.watch_start[account]
    for e in range(start, start + holdings.watch_length[account]):
        wheel.remove(watch.wheel, ACCOUNT_ITEMS * accounts + 2 * e)
        wheel.remove(watch.wheel, ACCOUNT_ITEMS * accounts + 2 * e + 1)
    place = watch.hot_place[account]
    if place >= 0:
        last = watch.sums[HOT_COUNT] - 1
        moved = watch.hot[last]
        watch.hot[place] = moved
        watch.hot_place[moved] = place
        watch.hot_place[account] = -1
        watch.sums[HOT_COUNT] = last


@njit(error_model="numpy")
def keep_hot(watch, account):
    """Puts an account on the list that every event evaluates."""
    if watch.hot_place[account] < 0:
        at = watch.sums[HOT_COUNT]
        watch.hot[at] = account
        watch.hot_place[account] = at
        watch.sums[HOT_COUNT] = at + 1


@njit(error_model="numpy")
def price_bucket(price, origin):
    """Bucket of a price on its wheel; the origin is the bucket of the first price less half."""
    return np.int64(np.floor(log_(price) / PRICE_BUCKET)) - origin


@njit(error_model="numpy")
def _jitter(account):
    """A share in [0.8, 1] that is the account's own, so that bands made together part."""
    mixed = (np.uint64(account) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    return 0.8 + 0.2 * np.float64(mixed >> np.uint64(40)) / np.float64(1 << 24)


@njit(error_model="numpy")
def file(board, holdings, watch, account, count, scratch, until_ns, epoch, origins, reserve, totals, now_ns):
    """Files a certificate's band edges and end; False where one is too close to be filed."""
    buckets = watch.wheel.heads.shape[1]
    underlying_count = len(board.index)
    accounts = len(watch.level)
    share = _jitter(account)
    start = holdings.watch_start[account]
    if count > holdings.watch_length[account]:
        return False
    due = (until_ns - epoch) >> TIME_SHIFT
    now = (now_ns - epoch) >> TIME_SHIFT
    due = min(now + 1 + np.int64(share * (due - now - 1)), now + buckets - 2)
    if due <= now:
        return False
    for i in range(count):
        u = scratch.underlyings[i]
        holdings.watch_underlying[start + i] = u
        price = board.index[u]
        here = price_bucket(price, origins[u])
        item = ACCOUNT_ITEMS * accounts + 2 * (start + i)
        for side in range(2):
            edge = price + (scratch.edges[i, side] - price) * share
            bucket = price_bucket(edge, origins[u])
            if (side == 0 and bucket >= here) or (side == 1 and bucket <= here):
                return False
            if 0 <= bucket < buckets:
                wheel.insert(watch.wheel, item + side, 2 * u + side, bucket)
    wheel.insert(watch.wheel, ACCOUNT_ITEMS * account + ITEM_TIME, 2 * underlying_count, due % buckets)
    for k in range(2):
        if reserve[k] > 0.0:
            bucket = np.int64(np.floor((totals[k] + reserve[k]) / MOVE_BUCKET))
            if bucket <= np.int64(np.floor(totals[k] / MOVE_BUCKET)) or bucket >= buckets:
                return False
            item = ACCOUNT_ITEMS * account + (ITEM_VOL if k == 0 else ITEM_BASIS)
            wheel.insert(watch.wheel, item, 2 * underlying_count + 1 + k, bucket)
    return True


@njit(nogil=True, cache=True, error_model="numpy")
def process(
    kind,
    board,
    nodes,
    holdings,
    watch,
    scratch,
    clock,
    touched,
    touched_count,
    exactly,
    reserve,
    drift,
    totals,
    basis_nano,
    origins,
    decided,
    wanted,
):
    """Looks at every touched account once: certifies it from the nodes alone where that is
    enough, else evaluates it, notes a change of status and certifies from the exact figures.

    clock: int64[4], now, epoch, release ppm, version. exactly: evaluate even what a certificate
    would spare. decided: int64[capacity, 6], rows (account, old level, new level, equity,
    initial, maintenance). wanted: int64[4] out; [0] is the number of decisions. An account that
    does not fit `decided` cannot occur: it has room for every account.
    """
    now_ns, epoch, release_ppm, version = clock[0], clock[1], clock[2], clock[3]
    release = release_ppm * 1e-6
    decisions = 0
    figures = np.empty(4, np.int64)
    for t in range(touched_count):
        account = touched[t]
        watch.sums[TOUCHED] += 1
        unfile(holdings, watch, account)
        count = slices(board, holdings, account, scratch)
        for i in range(count):
            node_rows.ensure(kind, board, nodes, scratch.underlyings[i], now_ns, watch.sums)
        level = watch.level[account]
        if not exactly:
            until_ns = certify(
                kind, board, nodes, holdings, account, count, level, release, scratch, now_ns, reserve, drift,
                basis_nano, False,
            )  # fmt: skip
            if until_ns > 0 and file(
                board, holdings, watch, account, count, scratch, until_ns, epoch, origins, reserve, totals, now_ns
            ):
                watch.sums[CERTIFIED] += 1
                continue
            unfile(holdings, watch, account)
        evaluate(kind, board, holdings, account, count, now_ns, version, scratch, watch.sums, figures)
        watch.sums[EVALUATED] += 1
        for k in range(4):
            watch.figures[account, k] = figures[k]
        after = next_level(level, figures, release_ppm)
        if after != level:
            watch.level[account] = after
            decided[decisions, 0] = account
            decided[decisions, 1] = level
            decided[decisions, 2] = after
            for k in range(3):
                decided[decisions, 3 + k] = figures[k]
            decisions += 1
        until_ns = certify(
            kind, board, nodes, holdings, account, count, after, release, scratch, now_ns, reserve, drift,
            basis_nano, True,
        )  # fmt: skip
        if until_ns > 0 and file(
            board, holdings, watch, account, count, scratch, until_ns, epoch, origins, reserve, totals, now_ns
        ):
            watch.sums[CERTIFIED] += 1
            continue
        unfile(holdings, watch, account)
        keep_hot(watch, account)
    wanted[0] = decisions


@njit(nogil=True, cache=True, error_model="numpy")
def wake(watch, holdings, coordinate, first, last, seen, version, items, out, count):
    """Drains buckets first..last of a coordinate into out (accounts, each once per version)."""
    drained = wheel.drain(watch.wheel, coordinate, first, last, items, 0)
    accounts = len(watch.level)
    for k in range(drained):
        item = items[k]
        if item < ACCOUNT_ITEMS * accounts:
            account = item // ACCOUNT_ITEMS
        else:
            account = holdings.watch_account[(item - ACCOUNT_ITEMS * accounts) // 2]
        if seen[account] != version:
            seen[account] = version
            out[count] = account
            count += 1
    return count


@njit(nogil=True, cache=True, error_model="numpy")
def wake_hot(watch, seen, version, out, count):
    """Adds the hot list to out."""
    for k in range(watch.sums[HOT_COUNT]):
        account = watch.hot[k]
        if seen[account] != version:
            seen[account] = version
            out[count] = account
            count += 1
    return count


@njit(nogil=True, cache=True, error_model="numpy")
def figures(kind, board, holdings, account, now_ns, version, scratch, sums, out):
    """Exact figures of one account into out[4]; nothing is filed or decided."""
    count = slices(board, holdings, account, scratch)
    evaluate(kind, board, holdings, account, count, now_ns, version, scratch, sums, out)


@njit(nogil=True, cache=True, error_model="numpy")
def what_if(
    kind, board, holdings, account, change_leg, change_lots, paid_nano, at_mark, now_ns, version, scratch, sums, out
):
    """Figures as if lots were added by leg (sorted) for paid_nano, or at the mark if at_mark."""
    start, length = holdings.start[account], holdings.length[account]
    changes = len(change_leg)
    legs = np.empty(length + changes, np.int32)
    lots = np.empty(length + changes, np.int64)
    count = 0
    p = 0
    c = 0
    while p < length or c < changes:
        leg = np.int32(2**31 - 1)
        if p < length:
            leg = holdings.leg[start + p]
        if c < changes and change_leg[c] < leg:
            leg = change_leg[c]
        total = 0
        if p < length and holdings.leg[start + p] == leg:
            total += holdings.lots[start + p]
            p += 1
        while c < changes and change_leg[c] == leg:
            total += change_lots[c]
            if at_mark:
                refresh_leg(kind, board, leg, now_ns, version, sums, scratch.float_work)
                paid_nano += change_lots[c] * board.tables.values[leg, 0]
                if change_lots[c] < 0 and board.legs.right[leg] != 0:
                    paid_nano += 1 - change_lots[c]
            c += 1
        if total != 0:
            legs[count] = leg
            lots[count] = total
            count += 1
    one = np.zeros(1, np.int64)
    size = np.full(1, count)
    cash = np.full(1, holdings.cash_nano[account] - paid_nano)
    trial = Holdings(
        cash,
        one,
        size,
        legs[:count],
        lots[:count],
        holdings.order_start[account : account + 1],
        holdings.order_length[account : account + 1],
        holdings.order_leg,
        holdings.order_lots,
        holdings.order_limit_nano,
        holdings.watch_start,
        holdings.watch_length,
        holdings.watch_underlying,
        holdings.watch_account,
    )
    figures(kind, board, trial, 0, now_ns, version, scratch, sums, out)
