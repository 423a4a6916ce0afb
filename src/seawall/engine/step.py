"""One step of the engine, compiled: wake accounts, evaluate, decide, certify, file again.

Only integers and bounds in here. Rows at the present price are filled as they are needed, by the kernel that fills
every table. Nodes of the ladder are asked for: the step sets such accounts aside, `pricer.py` makes the nodes, and
the step runs again on those accounts alone.
"""

import numpy as np

from seawall.engine import ahead
from seawall.engine import nodes as node_rows
from seawall.engine.certificate import BY_LEADER, by_what, certify
from seawall.engine.faces import TIER_ORDERS
from seawall.engine.leader import LED_FALL, LED_RISE, ratio_way
from seawall.engine.pieces import BY_VOL, UNDERLYING, profile, slices
from seawall.engine.state import (
    ACCOUNT_ITEMS,
    BEGIN,
    CASH,
    CERTIFIED,
    EPOCH,
    EVALUATED,
    EXPOSURE_ITEMS,
    FILLED,
    HOT_COUNT,
    HOT_LIST,
    HOT_PLACE,
    HOT_WAIT,
    IN_ALL,
    ITEM_MOVES,
    ITEM_TIME,
    LEADER,
    LENGTH,
    MOVING,
    NOW,
    ORDER_LENGTH,
    ORDER_START,
    RELEASE_PPM,
    START,
    TOUCHED,
    VERSION,
    WATCH_LENGTH,
    WATCH_START,
    WATCH_UNDERLYING,
)
from seawall.kernels import cells, orders, tiers, wheel
from seawall.kernels.board import FILL_CELLS
from seawall.kernels.bound import UNBOUND
from seawall.kernels.compiled import entry, inner, once
from seawall.kernels.fixed import mul_ppm_ceil
from seawall.kernels.normal import log_
from seawall.kernels.tables import CELLS
from seawall.kernels.tier_rows import FILL_TIERS

PRICE_BUCKET = 1e-5  # of log-price
TIME_SHIFT = 30  # buckets of 2**30 ns, about a second
MOVE_BUCKET = 1e-5  # of relative volatility or basis
HOT_PATIENCE = 8  # evaluations between attempts to certify an account that has no certificate

# whose events wake accounts of the hot list, if not one underlying's
EVERY_HOT, NO_HOT = -1, -2
# wanted[k], what it leaves behind
DECISIONS, PENDING = 0, 1


def kind_of(kind: int) -> int | None:
    """What the step, and all that it calls, takes for a kind of tables: None for CELLS. It is a type of its own, so
    branches on it are decided when the step is compiled, and the other kind's half is not translated."""
    return None if kind == CELLS else kind


_fill_cells, _fill_tiers = FILL_CELLS.call, FILL_TIERS.call


@once
def fill_rows(kind, board, filler, holdings, account, clock, sums):
    """Brings the rows of an account to the present; False where what fills them has no address yet."""
    row, tables = holdings.accounts[account], board.tables
    count = 0
    for k in range(row[LENGTH] + row[ORDER_LENGTH]):
        if k < row[LENGTH]:
            leg = np.int64(holdings.leg[row[START] + k])
        else:
            leg = holdings.orders[row[ORDER_START] + k - row[LENGTH], orders.LEG]
        if board.fresh[leg] < board.current[tables.leg_underlying[leg]]:
            if filler.bound[0] == UNBOUND:
                return False
            board.fresh[leg] = clock[VERSION]
            filler.which[count] = leg
            count += 1
    if count == 0:
        return True
    which = filler.which[:count]
    sums[FILLED] += count
    if kind is None:
        _fill_cells(filler.bound, (which, clock[NOW]))
    else:
        _fill_tiers(filler.bound, (which, clock[NOW]))
    return True


@inner
def evaluate(kind, tables, holdings, account, count, scratch, out):
    """Exact figures of a sliced account from rows of the present, open orders included.

    out: int64[4], equity, initial, maintenance (micro), worst scenario. Leaves the profiles in
    scratch.exact for a certificate.
    """
    row = holdings.accounts[account]
    has_orders = row[ORDER_LENGTH] > 0
    exact = scratch.exact
    for i in range(count):
        for s in range(2 if has_orders else 1):
            profile(kind, tables, holdings, scratch.pieces[i], s == 1, True, exact[s, i])
    if kind is None:
        cells.conclude(
            exact[0], exact[1], has_orders, count, scratch.pieces[:, UNDERLYING], tables.underlying_params,
            tables.scalars, row[CASH], out,
        )  # fmt: skip
        return
    tiers.account(tables, holdings.leg, holdings.lots, row[START], row[START] + row[LENGTH], row[CASH], out)
    if has_orders:
        for i in range(count):
            out[1] += exact[1, i, TIER_ORDERS] // 1000


@entry
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


@entry
def unfile(holdings, watch, account):
    """Takes every item of an account out of the wheel and the account off the hot list."""
    accounts = len(watch.level)
    for k in range(ACCOUNT_ITEMS):
        wheel.remove(watch.wheel, ACCOUNT_ITEMS * account + k)
    row = holdings.accounts[account]
    for e in range(row[WATCH_START], row[WATCH_START] + row[WATCH_LENGTH]):
        for k in range(EXPOSURE_ITEMS):
            wheel.remove(watch.wheel, ACCOUNT_ITEMS * accounts + EXPOSURE_ITEMS * e + k)
    place = watch.hot[HOT_PLACE, account]
    if place >= 0:
        last = watch.sums[HOT_COUNT] - 1
        moved = watch.hot[HOT_LIST, last]
        watch.hot[HOT_LIST, place] = moved
        watch.hot[HOT_PLACE, moved] = place
        watch.hot[HOT_PLACE, account] = -1
        watch.sums[HOT_COUNT] = last


@entry
def change(holdings, watch, room, account, leg, lots, cash_nano):
    """Takes an account out of the wheel and makes its cash, and its lots of a leg, what is said; False, with nothing
    changed but the wheel, where that needs more room than the account has. room: int64[A], rows of positions."""
    unfile(holdings, watch, account)
    row = holdings.accounts[account]
    at, end = row[START], row[START] + row[LENGTH]
    while at < end and holdings.leg[at] < leg:
        at += 1
    if at < end and holdings.leg[at] == leg:
        if lots != 0:
            holdings.lots[at] = lots
        else:
            for k in range(at, end - 1):
                holdings.leg[k] = holdings.leg[k + 1]
                holdings.lots[k] = holdings.lots[k + 1]
            row[LENGTH] -= 1
    elif lots != 0:
        if row[LENGTH] >= room[account] or row[LENGTH] + row[ORDER_LENGTH] >= row[WATCH_LENGTH]:
            return False
        for k in range(end, at, -1):
            holdings.leg[k] = holdings.leg[k - 1]
            holdings.lots[k] = holdings.lots[k - 1]
        holdings.leg[at] = leg
        holdings.lots[at] = lots
        row[LENGTH] += 1
    row[CASH] = cash_nano
    return True


@once
def keep_hot(holdings, watch, pieces, count, account):
    """Puts an account, cut into `count` pieces, on the list that every event evaluates."""
    for i in range(count):
        holdings.watch[holdings.accounts[account, WATCH_START] + i, WATCH_UNDERLYING] = pieces[i, UNDERLYING]
    if watch.hot[HOT_PLACE, account] < 0:
        at = watch.sums[HOT_COUNT]
        watch.hot[HOT_LIST, at] = account
        watch.hot[HOT_PLACE, account] = at
        watch.sums[HOT_COUNT] = at + 1


@entry
def price_bucket(price, origin):
    """Bucket of a price on its wheel; the origin is the bucket of the first price less half."""
    return np.int64(np.floor(log_(price) / PRICE_BUCKET)) - origin


@once
def _jitter(account):
    """A share in [0.99, 1] that is the account's own, so that bands made together part."""
    mixed = (np.uint64(account) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    return 0.99 + 0.01 * np.float64(mixed >> np.uint64(40)) / np.float64(1 << 24)


@inner
def _file_edges(watch, item, coordinate, price, low, high, origin):
    """Files the two edges around a price, or ratio; False where one is too close to be filed."""
    here = price_bucket(price, origin)
    for side in range(2):
        bucket = price_bucket(low if side == 0 else high, origin)
        if (side == 0 and bucket >= here) or (side == 1 and bucket <= here):
            return False
        if 0 <= bucket < watch.wheel.heads.shape[1]:
            wheel.insert(watch.wheel, item + side, coordinate + side, bucket)
    return True


@once
def file(index, nodes, holdings, watch, account, count, scratch, until_ns, led, clock, origins, motion, drift):
    """Files a certificate's band edges and end; False where one is too close to be filed."""
    buckets = watch.wheel.heads.shape[1]
    accounts, underlyings, leader = len(watch.level), len(index), clock[LEADER]
    share = _jitter(account)
    now_ns, epoch = clock[NOW], clock[EPOCH]
    start = holdings.accounts[account, WATCH_START]
    if count > holdings.accounts[account, WATCH_LENGTH]:
        return False
    due = (until_ns - epoch) >> TIME_SHIFT
    now = (now_ns - epoch) >> TIME_SHIFT
    due = min(now + 1 + np.int64(share * (due - now - 1)), now + buckets - 2)
    if due <= now:
        return False
    if led:
        price = index[leader]
        low = price * (1.0 - share * scratch.led[LED_FALL])
        high = price * (1.0 + share * scratch.led[LED_RISE])
        item = ACCOUNT_ITEMS * account
        if not _file_edges(watch, item, EXPOSURE_ITEMS * leader, price, low, high, origins[leader]):
            return False
    for i in range(count):
        u = scratch.pieces[i, UNDERLYING]
        holdings.watch[start + i, WATCH_UNDERLYING] = u
        item = ACCOUNT_ITEMS * accounts + EXPOSURE_ITEMS * (start + i)
        coordinate, origin, price = EXPOSURE_ITEMS * u, origins[u], index[u]
        low, high = scratch.edges[i, 0], scratch.edges[i, 1]
        if led:
            coordinate, origin = EXPOSURE_ITEMS * underlyings + 2 * u, origins[underlyings + u]
            price = index[u] / index[leader]
            way = ratio_way(nodes, scratch, u, leader)
            low, high = price * (1.0 - way), price * (1.0 + way)
        if not led or u != leader:
            low, high = price + share * (low - price), price + share * (high - price)
            if not _file_edges(watch, item, coordinate, price, low, high, origin):
                return False
        for k in range(2):
            if motion[MOVING + k] > 0.0 and scratch.slack[i, BY_VOL + k] > 0.0:
                bucket = np.int64(np.floor((drift[u, IN_ALL + k] + scratch.reserve[k]) / MOVE_BUCKET))
                if bucket >= buckets:
                    return False
                wheel.insert(watch.wheel, item + ITEM_MOVES + k, EXPOSURE_ITEMS * u + ITEM_MOVES + k, bucket)
    time = (EXPOSURE_ITEMS + 2) * underlyings
    wheel.insert(watch.wheel, ACCOUNT_ITEMS * account + ITEM_TIME, time, due % buckets)
    return True


@once
def certify_and_file(kind, board, nodes, holdings, watch, account, count, scratch, clock, motion, drift, origins):
    """Certifies an account and files it; where that cannot be, it is in no bucket."""
    release = clock[RELEASE_PPM] * 1e-6
    until_ns, begin = certify(
        kind, board, nodes, holdings, scratch, account, count, np.int64(watch.level[account]), release, clock[NOW],
        motion, drift, np.int64(watch.hot[BEGIN, account]), clock[LEADER],
    )  # fmt: skip
    watch.hot[BEGIN, account] = begin
    if until_ns > 0 and file(
        board.index, nodes, holdings, watch, account, count, scratch, until_ns, begin >= BY_LEADER, clock, origins,
        motion, drift,
    ):  # fmt: skip
        watch.sums[CERTIFIED] += 1
        return True
    unfile(holdings, watch, account)
    return False


@once
def record(watch, account, figures, release_ppm, decided, wanted):
    """Notes an exact evaluation, and a change of status if it is one."""
    watch.sums[EVALUATED] += 1
    for k in range(4):
        watch.figures[account, k] = figures[k]
    level = np.int64(watch.level[account])
    after = next_level(level, figures, release_ppm)
    if after == level:
        return
    watch.level[account] = after
    row = decided[wanted[DECISIONS]]
    row[0] = account
    row[1] = level
    row[2] = after
    for k in range(3):
        row[3 + k] = figures[k]
    wanted[DECISIONS] += 1


@once
def _gather(watch, holdings, plan, plans, hot_of, version, touched, count):
    """Adds to touched[: count] the accounts that drained buckets and the hot list wake, each once.

    plan: int64[plans, 3], rows (coordinate, first, last bucket). hot_of: EVERY_HOT, NO_HOT or the one
    underlying whose holders are woken. Returns how many there are then.
    """
    ahead.buckets(watch, plan, plans)
    for r in range(plans):
        drained = wheel.drain(watch.wheel, plan[r, 0], plan[r, 1], plan[r, 2], watch.items, 0)
        ahead.owners(holdings, watch, drained)
        for k in range(drained):
            account = ahead.owner(holdings, watch, watch.items[k])
            if watch.seen[account] != version:
                watch.seen[account] = version
                touched[count] = account
                count += 1
    if hot_of == NO_HOT:
        return count
    for k in range(watch.sums[HOT_COUNT]):
        account = watch.hot[HOT_LIST, k]
        row = holdings.accounts[account]
        exposed = hot_of == EVERY_HOT
        for e in range(row[WATCH_START], row[WATCH_START] + row[WATCH_LENGTH]):
            exposed = exposed or holdings.watch[e, WATCH_UNDERLYING] == hot_of
        if exposed and watch.seen[account] != version:
            watch.seen[account] = version
            touched[count] = account
            count += 1
    return count


@entry
def process(
    kind, board, filler, nodes, holdings, watch, scratch, clock, motion, drift, origins, figures_only, plan, plans,
    hot_of, touched, count, nodes_wanted, decided, wanted,
):  # fmt: skip
    """Wakes accounts, evaluates them, notes changes of status and certifies from the exact figures.

    plan, plans, hot_of: whom to wake, see `_gather`. touched: int32[A], `count` accounts to look at
    whoever wakes; those that need nodes, or a filler that is bound, come back in its first
    wanted[PENDING] places, with nodes_wanted: bool[U] saying which. figures_only: puts the figures into `decided` and records nothing. decided: int64[>=
    count, 6], rows (account, old level, new level, equity, initial, maintenance) from
    wanted[DECISIONS] on. clock, motion: int64[4], float64[MOTIONS], see `state.py`.
    """
    wanted[PENDING] = 0
    count = _gather(watch, holdings, plan, plans, hot_of, clock[VERSION], touched, count)
    figures = scratch.figures
    for t in range(-ahead.STAGES, count):
        ahead.look(holdings, watch, touched, t, count)
        if t < 0:
            continue
        account = touched[t]
        pieces = slices(board.tables.leg_underlying, holdings, account, scratch.pieces)
        ready = fill_rows(kind, board, filler, holdings, account, clock, watch.sums)
        if not figures_only:
            for i in range(pieces):
                u = scratch.pieces[i, UNDERLYING]
                if not node_rows.locate(nodes, u, board.index[u], clock[NOW]):
                    nodes_wanted[u] = True
                    ready = False
        if not ready:
            touched[wanted[PENDING]] = account
            wanted[PENDING] += 1
            continue
        evaluate(kind, board.tables, holdings, account, pieces, scratch, figures)
        if figures_only:
            for k in range(4):
                decided[t, k] = figures[k]
            continue
        watch.sums[TOUCHED] += 1
        record(watch, account, figures, clock[RELEASE_PPM], decided, wanted)
        if watch.hot[HOT_PLACE, account] >= 0 and watch.hot[HOT_WAIT, account] > 0:
            watch.hot[HOT_WAIT, account] -= 1
            continue
        by_time = watch.wheel.items[ACCOUNT_ITEMS * account + ITEM_TIME, wheel.COORDINATE] == wheel.NONE
        watch.hot[BEGIN, account] = by_what(np.int64(watch.hot[BEGIN, account]), by_time)
        unfile(holdings, watch, account)
        if not certify_and_file(
            kind, board, nodes, holdings, watch, account, pieces, scratch, clock, motion, drift, origins
        ):
            watch.hot[HOT_WAIT, account] = HOT_PATIENCE
            keep_hot(holdings, watch, scratch.pieces, pieces, account)
