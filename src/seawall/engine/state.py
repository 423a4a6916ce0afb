"""The engine's arrays: what the compiled step reads and writes, grouped by subject.

Everything that a tick touches lives here, allocated once. The layouts are internal; the public
face is `loop.py`. Few wide arrays rather than many narrow ones: a row is what one account, leg or
underlying needs at once, and compiling a function costs by the number of its arrays.
"""

from typing import NamedTuple

import numpy as np

from seawall.kernels.tables import Tables
from seawall.kernels.wheel import Wheel

LADDER = 9  # widths between price nodes, in steps of the anchor grid: 1/4, 1/2, 1, 2, ... 64
SPAN = 2  # steps from the node below a price to the one above: it stays half a step from both
RING = 8  # nodes kept per width: the two around the price, and those that it may come back to
NEAR = LADDER  # rows of the narrowest width's nodes below, and above, with the gaps that evaluations between have

# board.gaps[leg, k]: the steps of the grids of price and life that a row's gaps are made for, and
# until when the latter lasts, ns
GAP_CELL, GAP_LIFE, GAP_UNTIL = range(3)
# nodes.slopes[leg, k], nano per lot
DECAY, DECAY_LIMIT, CARRY, VEGA, BASIS_SLOPE = range(5)
SLOPES = 5
# nodes.times[u, k]
BUILT, REBUILD, READY, NEAR_UNTIL = range(4)
TIMES = 4
# nodes.ladder[u, width, k]: prices of the nodes below and above the price, and the log-price step
LADDER_STEP = 2
# nodes.key[u, width, RING] is the node below the price
PRESENT = RING
# holdings.accounts[a, k]
CASH, START, LENGTH, ORDER_START, ORDER_LENGTH, WATCH_START, WATCH_LENGTH = range(7)
ACCOUNT_FIELDS = 7
# holdings.watch[e, k]
WATCH_UNDERLYING, WATCH_ACCOUNT = 0, 1
# watch.hot[k]: the accounts without a certificate, where each account stands among them, how many
# more evaluations until another attempt to certify it, and how its next certificate begins
HOT_LIST, HOT_PLACE, HOT_WAIT, BEGIN = range(4)
# watch.sums[k]
HOT_COUNT, TOUCHED, EVALUATED, CERTIFIED, FILLED = range(5)
SUMS = 5
# wheel items: 3·a + k of account a (the leader's fall and rise, the time), then 3·A + 4·e + k of its
# exposure e; and coordinates: 4·u + k of underlying u, 4·U + 2·u + k of its ratio to the leader, and
# the time
ITEM_FALL, ITEM_RISE, ITEM_MOVES = 0, 1, 2
ITEM_TIME = 2
ACCOUNT_ITEMS = 3
EXPOSURE_ITEMS = 4
# clock[k]
NOW, EPOCH, RELEASE_PPM, VERSION, LEADER = range(5)
CLOCKS = 5
# motion[k], for volatility and basis each: whether it moves at all, and how far nodes are made to hold
MOVING, LOOSE = 0, 2
MOTIONS = 4
# drift[u, k], for volatility and basis each: relative moves since the nodes were built, and in all
SINCE_NODES, IN_ALL = 0, 2
DRIFTS = 4


class Board(NamedTuple):
    """The market as the step sees it.

    tables: rows at the present prices, valid for a leg whose row is of a version no older than the current
    one of its underlying; index: float64[U]; current: int64[U]; fresh: int64[L], the version that a row is of;
    gaps: int64[L, 3].
    """

    tables: Tables
    index: np.ndarray
    current: np.ndarray
    fresh: np.ndarray
    gaps: np.ndarray


class Filler(NamedTuple):
    """What fills rows at the present prices.

    bound: int64[], the block of `kernels/bound.py` for `FILL_CELLS` or `FILL_TIERS`; which: int32[L], room for the legs
    of an account.
    """

    bound: np.ndarray
    which: np.ndarray


class Nodes(NamedTuple):
    """Rows at the nodes of the price ladder around the present prices.

    values: int64[NEAR + 2, RING, L, W], a node's row with the gaps of the interval of SPAN steps
    above it, and NEAR rows; extra: int64[NEAR + 2, RING, L, K]; stray: float64[LADDER, RING, L], how far one lot may
    lie below its chord on that interval, nano; key: int64[U, NEAR + 2, RING + 1], the nodes held and
    the present one below; made_ns: int64[U, LADDER, RING], of when their rows are; ladder: float64[U, LADDER, 3];
    times: int64[U, TIMES], ns, and whether the present nodes are known. slopes: float64[L, SLOPES], from the time the nodes were built: nano per ns that a
    long may lose (and its limit) and that a short may owe more, nano per unit of relative
    volatility and of relative basis; valid_ns: int64[L], until when they hold.
    """

    values: np.ndarray
    extra: np.ndarray
    stray: np.ndarray
    key: np.ndarray
    made_ns: np.ndarray
    ladder: np.ndarray
    times: np.ndarray
    slopes: np.ndarray
    valid_ns: np.ndarray


class Holdings(NamedTuple):
    """Positions, open orders and exposures of every account; rows of an account are
    contiguous with room to grow.

    accounts: int64[A, ACCOUNT_FIELDS]; leg: int32[P], lots: int64[P]; orders: int64[O, 3], see
    `kernels/orders.py`; watch: int32[E, 2], the underlyings an account is filed under.
    """

    accounts: np.ndarray
    leg: np.ndarray
    lots: np.ndarray
    orders: np.ndarray
    watch: np.ndarray


class Watch(NamedTuple):
    """What has been decided and what would wake each account.

    level: int8[A], 0 ok … 3 bankrupt; figures: int64[A, 4], the last exact evaluation; hot:
    int32[4, A]; sums: int64[SUMS], counters; seen: int64[A], the last version that woke an account;
    items: int32[items], room for what a bucket holds.
    """

    level: np.ndarray
    figures: np.ndarray
    wheel: Wheel
    hot: np.ndarray
    sums: np.ndarray
    seen: np.ndarray
    items: np.ndarray
