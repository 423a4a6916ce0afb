"""The engine's arrays: what the compiled step reads and writes, grouped by subject.

Everything that a tick touches lives here, allocated once. The layouts are internal; the public
face is `loop.py`.
"""

from typing import NamedTuple

import numpy as np

from seawall.kernels.rows import LegArrays
from seawall.kernels.tables import Tables
from seawall.kernels.wheel import Wheel

LADDER = 4  # widths of price cells, in steps of the anchor grid: 1, 4, 16, 64
RING = 4  # nodes kept per width: the cell below, the present one, the one above


class Board(NamedTuple):
    """The market as the kernels see it.

    legs: per-leg constants (iv and ratio change with events); tables: rows at the present
    prices, valid for a leg where stamp == the version; index: float64[U]; gap_cell, gap_life:
    int64[L], the anchor steps that a leg's gaps were made for; shocks, model: `kernels/rows.py`;
    steps: float64[U], log-price step; leg_first: int64[U + 1], legs by underlying.
    """

    legs: LegArrays
    tables: Tables
    index: np.ndarray
    stamp: np.ndarray
    gap_cell: np.ndarray
    gap_life: np.ndarray
    shocks: np.ndarray
    model: np.ndarray
    steps: np.ndarray
    leg_first: np.ndarray


class Nodes(NamedTuple):
    """Rows at the nodes of the price ladder around the present prices.

    values: int64[LADDER, RING, L, W], a node's row with the gaps of the cell above it; extra:
    int64[LADDER, RING, L, K]; stray: float64[LADDER, RING, L], how far one lot may lie below
    its chord on that cell, nano; key: int64[U, LADDER, RING], the node held; built_ns,
    rebuild_ns: int64[U]. Per leg, from the time the nodes were built: decay, carry: float64[L],
    nano per ns that a long may lose and that a short may owe more; decay_limit: float64[L];
    vega: float64[L], nano per unit of relative volatility; valid_ns: int64[L].
    """

    values: np.ndarray
    extra: np.ndarray
    stray: np.ndarray
    key: np.ndarray
    built_ns: np.ndarray
    rebuild_ns: np.ndarray
    decay: np.ndarray
    decay_limit: np.ndarray
    carry: np.ndarray
    vega: np.ndarray
    valid_ns: np.ndarray


class Holdings(NamedTuple):
    """Positions, open orders and exposures of every account; rows of an account are
    contiguous with room to grow.

    cash_nano: int64[A]; start, length, room: int64[A] into leg: int32[P], lots: int64[P];
    order_*: the same for open orders, with limit_nano: int64[O] per lot; watch_*: the
    underlyings an account is filed under, into watch_underlying: int32[E].
    """

    cash_nano: np.ndarray
    start: np.ndarray
    length: np.ndarray
    leg: np.ndarray
    lots: np.ndarray
    order_start: np.ndarray
    order_length: np.ndarray
    order_leg: np.ndarray
    order_lots: np.ndarray
    order_limit_nano: np.ndarray
    watch_start: np.ndarray
    watch_length: np.ndarray
    watch_underlying: np.ndarray
    watch_account: np.ndarray


class Watch(NamedTuple):
    """What has been decided and what would wake each account.

    level: int8[A], 0 ok … 3 bankrupt; figures: int64[A, 4], the last exact evaluation; wheel:
    items 3·a + k of account a (time, volatility, basis), then per exposure e two (fall, rise);
    hot, hot_place: int32[A], accounts with no certificate, and where each stands in the list;
    sums: int64[16], counters by index below.
    """

    level: np.ndarray
    figures: np.ndarray
    wheel: Wheel
    hot: np.ndarray
    hot_place: np.ndarray
    sums: np.ndarray


HOT_COUNT, TOUCHED, EVALUATED, CERTIFIED, NODE_FILLS, ROW_FILLS = range(6)
ACCOUNT_ITEMS = 3
ITEM_TIME, ITEM_VOL, ITEM_BASIS = range(3)
