"""The certified safe corridor of an account: its certificate, read back from the wheel and published.

While every price stays inside its corridor, vols and bases inside their reserves, and the time comes to no more
than `until_ns`, the account's status stays what it is, whatever each underlying does inside its own corridor
(docs/tripwires.md). What is published is what is filed: the engine itself stands by these bands. Of a certificate
in a leader's coordinates a box of prices is cut that lies inside it. Nothing here changes anything.
"""

from collections.abc import Callable
from math import exp, log
from typing import Any

import msgspec
import numpy as np

from seawall.core.units import NANO, PPM
from seawall.engine.banded import Banded
from seawall.engine.certificate import BY_LEADER
from seawall.engine.decision import STATUSES
from seawall.engine.desk import PRICE_LIMIT_NANO
from seawall.engine.pricer import MOVE_MARGIN
from seawall.engine.state import (
    ACCOUNT_ITEMS,
    BASIS_SLOPE,
    BEGIN,
    EXPOSURE_ITEMS,
    HOT_PLACE,
    IN_ALL,
    ITEM_FALL,
    ITEM_MOVES,
    ITEM_RISE,
    ITEM_TIME,
    LEADER,
    MOVING,
    VEGA,
    WATCH_START,
)
from seawall.engine.step import MOVE_BUCKET, PRICE_BUCKET, TIME_SHIFT, price_bucket
from seawall.engine.sweeper import Sweeper
from seawall.engine.watcher import Watcher
from seawall.kernels.orders import LEG
from seawall.kernels.wheel import BUCKET, COORDINATE

SPLIT = 0.5  # of what a ratio may do, left to the leader's own price in a box of prices
FOLLOWS_INDEX = (0, 4, 5)  # roles without a mark of their own: spot, basket, coin
HAIR = 1e-12  # relative, inwards, where floats are rounded
SWEPT = "the model has no certificates: every account is evaluated at every event"
HOT = "no certificate at present: the account is evaluated whenever time passes or one of its prices moves"


class Corridor(msgspec.Struct, frozen=True):
    """The prices of one underlying between which nothing can happen, both included, nano of the settlement
    currency.

    vol_ppm, basis_ppm: how far, relative and rounded down, each implied vol of the underlying, and each ratio
    of a mark or forward to its index, may be from its present one besides; None where nothing held depends on it.
    """

    underlying: str
    price_nano: int
    low_nano: int
    high_nano: int
    vol_ppm: int | None
    basis_ppm: int | None


class Lead(msgspec.Struct, frozen=True):
    """A certificate in a leader's coordinates: the leader's price in nano, and by underlying the ratio of its
    price to the leader's, ends included. A box of prices lies inside it, and so is narrower."""

    underlying: str
    low_nano: int
    high_nano: int
    ratios: dict[str, tuple[float, float]]


class Corridors(msgspec.Struct, frozen=True):
    """The certified safe corridor of an account.

    status: what stays so (with hysteresis: a status is left only some way above its line). until_ns: the last
    nanosecond at which it holds, 0 where there is none. corridors: one per underlying held or ordered; any
    event about the account itself ends them. lead: the coordinates of the certificate where they are not the
    prices themselves. none: why there is no corridor, empty where there is one.
    """

    account: str
    status: str
    at_ns: int
    until_ns: int = 0
    corridors: tuple[Corridor, ...] = ()
    lead: Lead | None = None
    none: str = ""


def corridors_of(watch: Watcher | Sweeper, account: int, at_ns: int) -> Corridors:
    """The corridor of an account, by its row, as it is filed at present."""
    name, status = watch.book.names[account], STATUSES[int(watch.levels[account])]
    if isinstance(watch, Banded):
        return _banded(watch, account, at_ns)
    if isinstance(watch, Sweeper):
        return Corridors(name, status, at_ns, none=SWEPT)
    filed = _Filed(watch, account)
    due = filed.bucket(ACCOUNT_ITEMS * account + ITEM_TIME)
    if due is None or watch.state.hot[HOT_PLACE, account] >= 0:
        return Corridors(name, status, at_ns, none=HOT)
    lead = None
    if watch.state.hot[BEGIN, account] >= BY_LEADER:
        lead, boxes = filed.led()
    else:
        boxes = [filed.own(i, u) for i, u in enumerate(filed.underlyings)]
    names = list(watch.underlying_index)
    corridors = tuple(
        Corridor(names[u], int(watch.desk.index_nano[u]), *box, *filed.reserves(i, u))
        for i, (u, box) in enumerate(zip(filed.underlyings, boxes, strict=True))
    )
    return Corridors(name, status, at_ns, filed.until_ns(due), corridors, lead)


def _banded(watch: Banded, account: int, at_ns: int) -> Corridors:
    """The corridor of an account whose bands are kept as prices; they have no room for moves of vols and bases."""
    name, status = watch.book.names[account], STATUSES[int(watch.levels[account])]
    if watch.hot[account]:
        return Corridors(name, status, at_ns, none=HOT)
    held = watch.book.positions.rows(account)[0], watch.book.orders.rows(account)[0][:, LEG]
    legs = np.unique(np.concatenate(held))
    names, board = list(watch.underlying_index), watch.desk.base.legs
    corridors = []
    for u in np.unique(board.underlying[legs]).tolist():
        mine = legs[board.underlying[legs] == u]
        vol_ppm = 0 if board.right[mine].any() else None
        basis_ppm = None if np.isin(board.role[mine], FOLLOWS_INDEX).all() else 0
        ends = int(watch.low[u, account]), int(watch.high[u, account])
        corridors.append(Corridor(names[u], int(watch.desk.index_nano[u]), *ends, vol_ppm, basis_ppm))
    end_ns = int(watch.ends_ns[account])
    if watch.glide is not None:
        end_ns = min(end_ns, watch.glide.next_stage_ns - 1)
    return Corridors(name, status, at_ns, end_ns, tuple(corridors))


class _Filed:
    """What the wheel holds about one account."""

    def __init__(self, watch: Watcher, account: int) -> None:
        self.watch, self.account = watch, account
        self.buckets = watch.state.wheel.heads.shape[1]
        held = watch.book.positions.rows(account)[0], watch.book.orders.rows(account)[0][:, LEG]
        self.legs = np.unique(np.concatenate(held))
        self.of = watch.book.leg_underlying[self.legs]
        # in the order in which the step cuts an account
        self.underlyings: list[int] = np.unique(self.of).tolist()
        self.first = ACCOUNT_ITEMS * len(watch.state.level)
        self.first += EXPOSURE_ITEMS * int(watch.book.accounts[account, WATCH_START])

    def bucket(self, item: int) -> int | None:
        """Where an item is filed, if it is."""
        row = self.watch.state.wheel.items[item]
        return int(row[BUCKET]) if row[COORDINATE] >= 0 else None

    def edges(self, item: int) -> tuple[int, int]:
        """The first and the last bucket between two edges; an edge beyond the wheel is as far as the wheel."""
        fall, rise = self.bucket(item + ITEM_FALL), self.bucket(item + ITEM_RISE)
        return (0 if fall is None else fall + 1), (self.buckets if rise is None else rise) - 1

    def own(self, i: int, u: int) -> tuple[int, int]:
        """The band of the i-th underlying in its own price."""
        first, last = self.edges(self.first + EXPOSURE_ITEMS * i)
        return self._prices(u, first, last)

    def led(self) -> tuple[Lead, list[tuple[int, int]]]:
        """The band of the leader and of the ratios, and a box of prices inside it.

        Prices are inside where the leader's is in its band and each ratio in its own. In the box a share of what the
        ratios may do is the leader's, the rest the others'. Where the account does not hold the leader, that price is
        only a name for how the others move together: it may stay what it is.
        """
        index, leader = self.watch.index, int(self.watch.clock[LEADER])
        count = len(index)
        low, high = self._prices(leader, *self.edges(ACCOUNT_ITEMS * self.account))
        bands = {}
        for i, u in enumerate(self.underlyings):
            if u != leader:
                first, last = self.edges(self.first + EXPOSURE_ITEMS * i)
                bands[u] = int(self.watch.origins[count + u]), first, last
        fall = rise = np.inf  # of the leader, logarithms, that the tightest ratio leaves room for
        ratios = {}
        names = list(self.watch.underlying_index)
        for u, (origin, first, last) in bands.items():
            present = log(index[u] / index[leader])
            fall = min(fall, (origin + last + 1) * PRICE_BUCKET - present)
            rise = min(rise, present - (origin + first) * PRICE_BUCKET)
            ratios[names[u]] = (
                exp((origin + first) * PRICE_BUCKET) * (1.0 + HAIR),
                exp((origin + last + 1) * PRICE_BUCKET) * (1.0 - HAIR),
            )
        here = int(self.watch.desk.index_nano[leader])
        box_low, box_high = low, high
        if leader not in self.underlyings:
            box_low = box_high = here
        elif bands:
            box_low = max(low, int(here * exp(-max(SPLIT * fall - HAIR, 0.0))))
            box_high = min(high, int(here * exp(max(SPLIT * rise - HAIR, 0.0))))
        boxes = [
            (box_low, box_high) if u == leader else self._against(bands[u], box_low, box_high, index[u])
            for u in self.underlyings
        ]
        return Lead(names[leader], low, high, ratios), boxes

    def _against(self, band: tuple[int, int, int], leader_low: int, leader_high: int, price: float) -> tuple[int, int]:
        """The prices at which a ratio is in its band (origin, first and last bucket) for all of the leader's."""
        origin, first, last = band
        low = _first(lambda nano: price_bucket((nano / NANO) / (leader_high / NANO), origin) >= first, price)
        high = _first(lambda nano: price_bucket((nano / NANO) / (leader_low / NANO), origin) > last, price) - 1
        return low, min(high, PRICE_LIMIT_NANO - 1)

    def _prices(self, u: int, first: int, last: int) -> tuple[int, int]:
        """The least and the greatest price whose bucket is in first..last."""
        origin = int(self.watch.origins[u])
        low = _first(lambda nano: price_bucket(nano / NANO, origin) >= first, exp((origin + first) * PRICE_BUCKET))
        high = _first(lambda nano: price_bucket(nano / NANO, origin) > last, exp((origin + last + 1) * PRICE_BUCKET))
        return low, min(high, PRICE_LIMIT_NANO) - 1

    def reserves(self, i: int, u: int) -> tuple[int | None, int | None]:
        """Room for moves of volatility and of basis, ppm."""
        watch = self.watch
        room: list[int | None] = []
        for k, slope in enumerate((VEGA, BASIS_SLOPE)):
            depends = bool(watch.pricer.nodes.slopes[self.legs[self.of == u], slope].any())
            bucket = self.bucket(self.first + EXPOSURE_ITEMS * i + ITEM_MOVES + k)
            if bucket is not None:
                left = bucket * MOVE_BUCKET - watch.pricer.drift[u, IN_ALL + k]
                room.append(max(0, int(left / MOVE_MARGIN * PPM) - 1))
            else:
                # before the first move of all nothing is kept for any; after it, nothing is filed that needs nothing
                room.append(0 if depends and watch.motion[MOVING + k] == 0.0 else None)
        return room[0], room[1]

    def until_ns(self, due: int) -> int:
        """The last moment before the certificate's end, or before a stage of a change of parameters."""
        watch = self.watch
        now = (watch.swept_ns - watch.epoch_ns) >> TIME_SHIFT
        due = now + (due - now) % self.buckets
        end_ns = int(watch.epoch_ns) + (due << TIME_SHIFT)
        if watch.glide is not None:
            end_ns = min(end_ns, watch.glide.next_stage_ns)
        return end_ns - 1


def _first(holds: Callable[[int], Any], near: float) -> int:
    """The least price in nano, from 1 on, at which something holds that goes on holding as prices rise, found from
    a guess of it."""
    low = high = max(1, int(near * NANO))
    step = 1
    while low > 1 and holds(low):
        high, low = low, max(1, low - step)
        step *= 2
    step = 1
    while not holds(high):
        low, high = high, high + step
        step *= 2
    if holds(low):
        return low
    while high - low > 1:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle
    return high
