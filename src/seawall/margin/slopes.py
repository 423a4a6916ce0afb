"""How fast an account's figures can change: bounds per leg, and what they add up to for an account.

For models whose figures are Lipschitz in the values of legs: a mean or an order statistic of scenarios, or
the root of a quadratic form. A bound holds for every relative move of an index within a rung, in either
direction, and for every moment until a time; `engine/banded.py` makes bands of prices from them. Proofs:
docs/tripwires.md, "Bands from slopes". Floats: they screen, and every sum of them is widened.
"""

from typing import Any, NamedTuple

import numpy as np

from seawall.core.times import YEAR_NS
from seawall.kernels.tables import Tables

RUNGS = np.array([0.0025, 0.0075, 0.02, 0.05, 0.12, 0.3])  # relative moves of an index, either way
WIDEST = float(RUNGS[-1])
FOREVER_NS = 2**62
LIFE_SHARE = 4  # a bound in time holds for this part of an option's life
PEAK = 0.3989422805  # of the normal density, rounded up
EQUITY, INITIAL, MAINTENANCE = 0, 1, 2  # of equity, of equity less initial, and less maintenance margin
SIDES = 3
WIDER = 1.0 + 1e-9  # for float64 sums of the slopes themselves
VALUE_ERROR = 1e-9  # of the most that a lot can be worth: floats that make the values
NANO_FLAT = 300_000.0  # roundings to micro, times the most that a rule multiplies them by
EXPOSURE_FLAT = 10_000.0  # and per underlying
SIZE_FLAT = 2e6  # gross notional is rounded up to a thousandth, before a charge takes its rate of it
SIZE_ERROR = 4e-6  # of a unit's measure: a root in whole parts per million

Array = np.ndarray[Any, Any]


class LegSlopes(NamedTuple):
    """Bounds for L legs and U underlyings, K rungs; nano per lot and per unit of relative move, or per ns.

    low, high: float64[L], of the value; linear: float64[L], of a leg that is a straight line, else 0; gross:
    float64[3, K, L], on top, of either margin's own terms; deviation: float64[3, U], what margin takes of the
    slope of straight lines; multiple: float64[3, U], of the value's slope, at the worst scenario; time:
    float64[3, L], nano per ns; until_ns: int64[L], how long from now; minimum: float64[3], of naked shorts'
    notional; lot_error: float64[3] and own_error: float64[3, L], nano per lot, what floats and roundings may hide;
    charge, naked, notional: float64[L], nano per lot, as in the tables. size_*: concentration and liquidity, of gross
    notional above size_from (rate size_rate) and above size_liquid (0: none), times size_tail, stretched by size_root at most.
    """

    low: Array
    high: Array
    linear: Array
    gross: Array
    deviation: Array
    multiple: Array
    time: Array
    until_ns: Array
    minimum: Array
    lot_error: Array
    own_error: Array
    charge: Array
    naked: Array
    notional: Array
    size_from: Array
    size_rate: Array
    size_liquid: Array
    size_tail: Array
    size_root: float


class Positions(NamedTuple):
    """Positions of n accounts, and the open orders of those that have any, sorted by account and underlying.

    account: int64[P], 0 to n − 1, rising; leg: int64[P], a row of the slopes; lots: float64[P]; order: bool[P].
    """

    account: Array
    leg: Array
    lots: Array
    order: Array


class AccountSlopes(NamedTuple):
    """For n accounts: per unit of relative move float64[n, 3, K]; per ns float64[n, 3]; slack, nano, float64[n, 3];
    until_ns int64[n], from now."""

    move: Array
    time: Array
    slack: Array
    until_ns: Array


def plain(board: Any, tables: Tables, charge: int, naked: int) -> LegSlopes:
    """Slopes of a board (as `Model.tables` takes it) with nothing in them but what every model has: values,
    and the columns `charge` and `naked` of the tables' extra."""
    legs, underlyings = board.legs, len(board.underlyings)
    count = len(legs.kind)
    low, high, linear = value_slopes(legs, discounts(legs, board.as_of_ns, board.rate))
    return LegSlopes(
        low=low, high=high, linear=linear,
        gross=np.zeros((SIDES, len(RUNGS), count)),
        deviation=np.zeros((SIDES, underlyings)),
        multiple=np.ones((SIDES, underlyings)),
        time=np.zeros((SIDES, count)),
        until_ns=lives(legs, board.as_of_ns)[2],
        minimum=np.zeros(SIDES),
        lot_error=np.full(SIDES, 4.0),
        own_error=np.zeros((SIDES, count)),
        charge=tables.extra[:, charge].astype(np.float64),
        naked=tables.extra[:, naked].astype(np.float64),
        notional=np.zeros(count),
        size_from=np.zeros(underlyings), size_rate=np.zeros(underlyings), size_liquid=np.zeros(underlyings),
        size_tail=np.zeros((SIDES, underlyings)), size_root=1.0,
    )  # fmt: skip


# -- legs ----------------------------------------------------------------------------------------------


def is_option(legs: Any) -> Array:
    """bool[L]."""
    return np.asarray(legs.right != 0)


def forwards(legs: Any) -> Array:
    """float64[L], nano: one lot's units at the forward (options)."""
    return np.asarray(np.abs(legs.lot) * 1e9 * legs.index[legs.underlying] * legs.ratio)


def strikes(legs: Any) -> tuple[Array, Array]:
    """(strike of one lot, nano; the strike as a multiple of the forward where it moves with it, else 0)."""
    dynamic = legs.kind == 2
    forward = forwards(legs)
    strike = np.where(dynamic, legs.strike * forward, legs.strike * np.abs(legs.lot) * 1e9)
    return np.where(is_option(legs), strike, 0.0), np.where(dynamic, legs.strike, 0.0)


def discounts(legs: Any, as_of_ns: int, rate: float) -> Array:
    """float64[L]: the greatest discount factor from now to each expiry."""
    years = np.maximum(legs.expiry_ns - as_of_ns, 0) / YEAR_NS
    return np.asarray(np.maximum(1.0, np.exp(-rate * years)) * WIDER)


def value_slopes(legs: Any, discount: Array) -> tuple[Array, Array, Array]:
    """(low, high, linear): the slope of an option lies between 0 and its forward (a call), between
    minus that and 0 (a put); with a strike that moves with the forward its value is a multiple of that."""
    linear = np.where(legs.kind == 0, legs.value_nano.astype(np.float64), 0.0)
    forward = np.where(is_option(legs), forwards(legs) * discount, 0.0)
    dynamic = legs.kind == 2
    rising = np.where(dynamic, forward * np.maximum(1.0, legs.strike), np.where(legs.right > 0, forward, 0.0))
    falling = np.where(~dynamic & (legs.right < 0), forward, 0.0)
    return linear - falling, linear + rising, linear


def lives(legs: Any, as_of_ns: int) -> tuple[Array, Array, Array]:
    """(years that carry volatility now; the least until the bound's end; how long that is, ns)."""
    start = np.maximum(legs.fix_ns, as_of_ns)
    left_ns = np.where(is_option(legs), np.maximum(legs.expiry_ns - start, 0), 0)
    until_ns = np.where(left_ns > 0, left_ns // LIFE_SHARE, FOREVER_NS)
    waiting = (legs.kind == 2) & (legs.fix_ns > as_of_ns)
    until_ns = np.where(waiting, np.minimum(until_ns, legs.fix_ns - as_of_ns - 1), until_ns)
    least = np.where(left_ns > 0, left_ns - np.minimum(until_ns, left_ns), 0)
    return left_ns / YEAR_NS, least / YEAR_NS, until_ns


def value_decay(board: Any, rise: Array, vol_multiple: Array) -> Array:
    """float64[L], nano per ns: the most that an option's value changes with time alone, at every price up to
    1 + rise times (and the widest rung beyond) the forward and every volatility up to vol_multiple times its own.

    A value changes by φ(0)·min(F, K) per unit of total volatility at most, and that by ½·σ·multiple/√T per year
    (docs/tripwires.md, Lemma 6); interest takes the rate times the value.
    """
    legs, rate = board.legs, board.rate
    _, least, _ = lives(legs, board.as_of_ns)
    strike, fraction = strikes(legs)
    forward = forwards(legs) * (1.0 + rise) * (1.0 + WIDEST)
    moving = fraction > 0
    strike = np.where(moving, fraction * forward, strike)
    alive = is_option(legs) & (least > 0)
    vol = np.where(alive, legs.iv, 0.0) * vol_multiple
    vega = PEAK * np.minimum(forward, strike)
    by_vol = vega * vol / (2.0 * np.sqrt(np.where(alive, least, 1.0)))
    worth = np.where(legs.right > 0, forward, strike)
    by_rate = abs(rate) * np.maximum(worth, np.where(moving, forward, 0.0))
    out = np.where(alive, by_vol + by_rate, 0.0) * discounts(legs, board.as_of_ns, rate)
    return np.asarray(out / YEAR_NS * WIDER)


# -- accounts ------------------------------------------------------------------------------------------


def account_slopes(
    slopes: LegSlopes, underlying: Array, worth: Array, positions: Positions, cash: Array
) -> AccountSlopes:
    """What legs' slopes add up to. underlying: int64[L]; worth: float64[L], the most that a lot is worth, nano;
    cash: float64[n]. Longs and shorts of one underlying net in the value's slope; open orders add to either side,
    since any of them may be filled."""
    account, leg, lots, order = positions
    count = len(cash)
    size = np.abs(lots)
    move = np.zeros((count, SIDES, len(RUNGS)))
    time = np.zeros((count, SIDES))
    until_ns = np.full(count, FOREVER_NS)
    slack = NANO_FLAT + 1e-12 * np.abs(cash)[:, None] + np.zeros((count, SIDES))
    if len(leg) == 0:
        return AccountSlopes(move, time, slack, until_ns)
    np.minimum.at(until_ns, account, slopes.until_ns[leg])
    for side in range(SIDES):
        time[:, side] = _sums(account, size * slopes.time[side, leg], count) * WIDER
        errors = slopes.lot_error[side] + VALUE_ERROR * worth[leg] + slopes.own_error[side, leg]
        slack[:, side] += _sums(account, size * errors, count)
    of = underlying[leg]
    first = np.flatnonzero(np.concatenate([[True], (account[1:] != account[:-1]) | (of[1:] != of[:-1])]))
    owner, u = account[first], of[first]
    value, straight = _net(slopes, leg, lots, size, order, first)
    shorts = np.add.reduceat(np.where(order | (lots < 0), size, 0.0) * slopes.naked[leg], first)
    charge = np.add.reduceat(size * slopes.charge[leg], first)
    notional = np.add.reduceat(size * slopes.notional[leg], first)
    # the sum of both where orders may be counted one by one: each alone may have another greater part
    ordered = np.maximum.reduceat(order.astype(np.float64), first) if order.any() else np.zeros(len(first))
    ordered = (_sums(owner, ordered, count) > 0)[owner]
    sized = bool(slopes.size_rate.any() or slopes.size_tail.any())
    for side in range(SIDES):
        if side == EQUITY:
            move[:, side] = _sums(owner, value, count)[:, None] * WIDER
            continue
        rounded = EXPOSURE_FLAT + SIZE_FLAT * (slopes.size_rate[u] + 1.5 * slopes.size_tail[side, u] * slopes.size_root)
        slack[:, side] += _sums(owner, rounded + SIZE_ERROR * slopes.size_tail[side, u] * notional, count)
        least = value + slopes.minimum[side] * shorts
        risk = value * slopes.multiple[side, u] + straight * slopes.deviation[side, u]
        if slopes.gross[side].any():
            risk = risk + np.add.reduceat(size * slopes.gross[side][:, leg], first, axis=1)
        part = np.where(ordered, risk + least, np.maximum(risk, least)) + charge
        if sized:
            part = part + _size_slope(slopes, side, u, notional)
        part = np.broadcast_to(part, (len(RUNGS), len(u)))
        for k, row in enumerate(part):
            move[:, side, k] = _sums(owner, row, count) * WIDER
    return AccountSlopes(move, time, slack, until_ns)


def _net(slopes: LegSlopes, leg: Array, lots: Array, size: Array, order: Array, first: Array) -> tuple[Array, Array]:
    """(the greatest slope of the value, of the straight lines) of each account and underlying, either sign."""
    low, high = slopes.low[leg], slopes.high[leg]
    long = lots > 0
    least = lots * np.where(long, low, high)
    most = lots * np.where(long, high, low)
    least, most = np.where(order, np.minimum(least, 0.0), least), np.where(order, np.maximum(most, 0.0), most)
    value = np.maximum(np.abs(np.add.reduceat(least, first)), np.abs(np.add.reduceat(most, first)))
    held = np.where(order, 0.0, lots * slopes.linear[leg])
    either = np.where(order, size * np.abs(slopes.linear[leg]), 0.0)
    return value, np.abs(np.add.reduceat(held, first)) + np.add.reduceat(either, first)


def _size_slope(slopes: LegSlopes, side: int, u: Array, notional: Array) -> Array:
    """float64[K, …] of what one underlying's gross notional costs: convex in it, so steepest at a rung's upper end."""
    most = notional * (1.0 + RUNGS[:, None])
    out = np.where(most > slopes.size_from[u], slopes.size_rate[u], 0.0) * notional
    liquid = slopes.size_liquid[u]
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.minimum(np.sqrt(most / liquid), slopes.size_root)
    stretched = (liquid > 0) & (most >= liquid)
    steep = np.where(stretched, 1.5 * np.maximum(root, 1.0) - 1.0, 0.0)
    return np.asarray(out + slopes.size_tail[side, u] * steep * notional)


def _sums(of: Array, values: Array, count: int) -> Array:
    return np.bincount(of, weights=values, minlength=count)
