"""One account cut into its underlyings, and the work arrays that a certificate is made in."""

from typing import NamedTuple

import numpy as np

from seawall.engine import faces
from seawall.engine.state import LENGTH, ORDER_LENGTH, ORDER_START, START
from seawall.kernels import cells, orders
from seawall.kernels.compiled import inner, once

# slots of bounds: the band so far, a stage of the ladder, and the present point
BASE, STAGE, POINT = (np.int64(k) for k in range(3))
SLOTS = 3
# pieces[i, k]: the underlying, its slices of positions and of orders, and whether NEAR rows are used
UNDERLYING, FIRST, LAST, ORDER_FIRST, ORDER_LAST, USES_NEAR = range(6)
PIECE = 6
# slack[i, k]: what columns may fall and rise by since the nodes were built, and since now; nano
# per ns of the two; nano per unit of relative volatility and of relative basis; nano per ns that nodes
# made later have less of the first two
NODES_LOW, NODES_HIGH, NOW_LOW, NOW_HIGH, RATE_LOW, RATE_HIGH, BY_VOL, BY_BASIS, YOUNGER_LOW, YOUNGER_HIGH = (
    np.int64(k) for k in range(10)
)
SLACKS = 10
# bend[i, k]: from below by the growth of gaps; by the stray from below, and from above; and what part of the
# stage there is from either edge of the band so far to its end
BY_GAP, BY_STRAY, BY_PART = np.int64(0), np.int64(1), np.int64(3)
BENDS = 5


class Scratch(NamedTuple):
    """Work arrays of one certificate, allocated once.

    pieces: int64[U, PIECE]; lower: float64[SLOTS, 2, U, JOINT], z in a slot and on a side, less every
    slack; upper: float64[SLOTS, 2, U, 2], value and charge in the witness scenario; stray:
    float64[U, 2], nano that the stage may leave its chords by, below and above; bend: float64[U, BENDS],
    what a mix with it may be off by; gap: float64[SLOTS, U, GAPS], greatest gaps;
    kept: float64[JOINT], a side of the band as it was; heights: float64[JOINT], its distances from the
    lines; basis: float64[2], charges for the basis at either node; shares: float64[U], how far of the way to the stage each underlying goes; tightest: int64[2], the line that limits it, bounded from below or above, and its scenario; slack: float64[U, SLACKS]; charged:
    float64[U, 2], what of it the band so far has been charged, from below and from above; reserve:
    float64[2], relative moves of volatility and basis that there is room for; led: float64[LED] and sums: float64[SUMS, JOINT + 1], see `leader.py`; edges, kept_edges: float64[U, 2],
    prices so far, and of the better band; ends: float64[SLOTS, U, 2], those of a slot; profiles: int64[2, W]; exact: int64[2, U, W],
    profiles at the present point without and with orders; witness: int64[U, WITNESS]; rule:
    float64[RULE]; work: float64[CELLS + JOINT]; figures: int64[4].
    """

    pieces: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    stray: np.ndarray
    bend: np.ndarray
    gap: np.ndarray
    kept: np.ndarray
    heights: np.ndarray
    basis: np.ndarray
    shares: np.ndarray
    tightest: np.ndarray
    slack: np.ndarray
    charged: np.ndarray
    reserve: np.ndarray
    led: np.ndarray
    sums: np.ndarray
    edges: np.ndarray
    kept_edges: np.ndarray
    ends: np.ndarray
    profiles: np.ndarray
    exact: np.ndarray
    witness: np.ndarray
    rule: np.ndarray
    work: np.ndarray
    figures: np.ndarray


def make_scratch(underlyings: int) -> Scratch:
    """Scratch for markets of up to that many underlyings."""
    width = max(cells.PROFILE, faces.TIER_PROFILE)
    count = max(underlyings, 1)
    return Scratch(
        pieces=np.zeros((count, PIECE), np.int64),
        lower=np.zeros((SLOTS, 2, count, faces.JOINT)),
        upper=np.zeros((SLOTS, 2, count, 2)),
        stray=np.zeros((count, 2)),
        bend=np.zeros((count, BENDS)),
        gap=np.zeros((SLOTS, count, faces.GAPS)),
        kept=np.zeros(faces.JOINT),
        heights=np.zeros(faces.JOINT),
        basis=np.zeros(2),
        shares=np.zeros(count),
        tightest=np.zeros(2, np.int64),
        slack=np.zeros((count, SLACKS)),
        charged=np.zeros((count, 2)),
        reserve=np.zeros(2),
        led=np.zeros(4),
        sums=np.zeros((4, faces.JOINT + 1)),
        edges=np.zeros((count, 2)),
        kept_edges=np.zeros((count, 2)),
        ends=np.zeros((SLOTS, count, 2)),
        profiles=np.zeros((2, width), np.int64),
        exact=np.zeros((2, count, width), np.int64),
        witness=np.zeros((count, faces.WITNESS), np.int64),
        rule=np.zeros(faces.RULE),
        work=np.zeros(cells.CELLS + faces.JOINT),
        figures=np.zeros(4, np.int64),
    )


@inner
def slices(of, holdings, account, pieces):
    """Cuts an account's positions and orders by underlying; returns how many underlyings.

    of: int32[L], the underlying of each leg.
    """
    row = holdings.accounts[account]
    p, stop = row[START], row[START] + row[LENGTH]
    o, order_stop = row[ORDER_START], row[ORDER_START] + row[ORDER_LENGTH]
    count = 0
    while p < stop or o < order_stop:
        by_position = of[holdings.leg[p]] if p < stop else np.int32(2**31 - 1)
        by_order = of[holdings.orders[o, orders.LEG]] if o < order_stop else np.int32(2**31 - 1)
        underlying = min(by_position, by_order)
        piece = pieces[count]
        piece[UNDERLYING] = underlying
        piece[FIRST] = p
        piece[ORDER_FIRST] = o
        while p < stop and of[holdings.leg[p]] == underlying:
            p += 1
        while o < order_stop and of[holdings.orders[o, orders.LEG]] == underlying:
            o += 1
        piece[LAST] = p
        piece[ORDER_LAST] = o
        count += 1
    return count


@inner
def size_of(piece):
    """Positions and orders of a piece, together."""
    return piece[LAST] - piece[FIRST] + piece[ORDER_LAST] - piece[ORDER_FIRST]


@inner
def leg_lots(holdings, piece, k):
    """(leg, lots) of the k-th of a piece's positions and then orders."""
    positions = piece[LAST] - piece[FIRST]
    if k < positions:
        return np.int64(holdings.leg[piece[FIRST] + k]), holdings.lots[piece[FIRST] + k]
    order = holdings.orders[piece[ORDER_FIRST] + k - positions]
    return order[orders.LEG], order[orders.LOTS]


@once
def profile(kind, tables, holdings, piece, with_orders, with_gaps, out):
    """Profile of one underlying of a sliced account, at the tables' prices, into int64[W]; gaps are
    left at 0 where nobody needs them."""
    leg, lots = holdings.leg, holdings.lots
    first, last = piece[FIRST], piece[LAST]
    o, order_stop = piece[ORDER_FIRST], piece[ORDER_LAST]
    if kind is None:
        cells.profile(
            tables.values, tables.extra, tables.leg_block, tables.leg_group, leg, lots, first, last, with_gaps, out
        )
        if with_orders and o < order_stop:
            orders.add_to_cells(tables, leg, lots, first, last, holdings.orders, o, order_stop, out)
        return
    faces.tier_profile(tables, leg, lots, first, last, out)
    if with_orders and o < order_stop:
        added = orders.tier_margin(tables, leg, lots, first, last, holdings.orders, o, order_stop)
        out[faces.TIER_ORDERS] = 1000 * added
