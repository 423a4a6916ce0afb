"""How much to close: the target and its buffer, the closed form, the exact search, and the rules that round a size.

A liquidation starts when health is below 0 and ends only when equity stands a buffer above maintenance margin, so that
an account at its line is not closed lot by lot. Where the requirement is linear in the size, the size is a division
(`linear_lots`); otherwise the exact integer margin function is searched (`least_lots`). A size is then one that the
market can use: no order below the minimum, no position left that is dust, all of it where little is left to save.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from seawall.core.errors import StaleEvent, UnsafeParameters
from seawall.core.units import PPM
from seawall.margin.least_size import least_size

__all__ = ["Meter", "SizeRules", "buffered", "gap", "is_active", "least_lots", "linear_lots", "slice_ppm", "wants_full_close"]

Array = np.ndarray[Any, Any]
NANO_PER_MICRO = 1_000
SECOND_NS = 10**9
LARGE = 2**53  # a float holds every integer up to here


class SizeRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of sizes; amounts in micro of the settlement currency, 0 = no such rule; shares in ppm.

    buffer_ppm: a liquidation ends at maintenance margin and this share of it. minimum_micro: least notional of an
    order. dust_micro: no position is left that is worth less. full_below_micro: an account whose positions are worth
    less is closed whole. full_ratio_ppm: so is one whose equity is at or below this share of maintenance margin.
    share_ppm: most of a position in one step. step_micro: most notional of an account in one step.
    fee_ppm: the liquidation fee, of the notional closed, capped by the reserve price (`reserve.capped_fee`).
    """

    buffer_ppm: int = 20_000
    minimum_micro: int = 10_000_000
    dust_micro: int = 10_000_000
    full_below_micro: int = 100_000_000
    full_ratio_ppm: int = 0
    share_ppm: int = PPM
    step_micro: int = 0
    fee_ppm: int = 5_000

    def checked(self) -> SizeRules:
        """Itself; UnsafeParameters for rules that cannot hold together."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            most = PPM if name.endswith("_ppm") else 2**62
            if isinstance(value, bool) or not 0 <= value <= most:
                raise UnsafeParameters(f"size rules: {name}", str(value), f"0 to {most:,}")
        if self.share_ppm == 0:
            raise UnsafeParameters("size rules: share_ppm", "0 ppm", "above zero: nothing could ever be closed")
        if self.step_micro and self.step_micro < max(self.minimum_micro, self.dust_micro):
            found = f"{self.step_micro} beside a minimum of {self.minimum_micro} and dust of {self.dust_micro}"
            raise UnsafeParameters("size rules: step_micro", found, "at least the minimum and the dust")
        return self


def buffered(maintenance: Array, buffer_ppm: int) -> Array:
    """maintenance + ceil(maintenance · buffer / 10⁶) of int64 micro, without leaving int64 on the way."""
    whole, rest = np.divmod(maintenance, PPM)
    return np.asarray(maintenance + whole * buffer_ppm - (-rest * buffer_ppm) // PPM)


def gap(equity: Array, maintenance: Array, buffer_ppm: int) -> Array:
    """Equity less maintenance with its buffer, micro: 0 or more where a liquidation ends."""
    return np.asarray(equity - buffered(maintenance, buffer_ppm))


def is_active(equity: int, maintenance: int, active: bool, rules: SizeRules) -> bool:
    """Whether an account is in liquidation: from health below 0 until equity covers maintenance and the buffer."""
    if equity < maintenance:
        return True
    return active and equity < maintenance - (-maintenance * rules.buffer_ppm) // PPM


def wants_full_close(equity: int, maintenance: int, notional_micro: int, rules: SizeRules) -> bool:
    """Whether little is left to save: positions worth less than `full_below`, or equity at or below `full_ratio`."""
    small = notional_micro < rules.full_below_micro
    return small or (rules.full_ratio_ppm > 0 and equity * PPM <= maintenance * rules.full_ratio_ppm)


def linear_lots(
    equity: int, maintenance: int, released_nano: int, cost_nano: int, rules: SizeRules, most: int
) -> int | None:
    """Least lots n to close so that equity − n·cost ≥ (maintenance − n·released)·(1 + buffer); None if `most` do not do.

    equity, maintenance: micro. released_nano, cost_nano: maintenance margin that a lot releases, and what closing it
    costs (half spread, impact, fee). n = ceil(shortage / gain), exact in integers of any size; the closed form where
    the requirement is linear (the shape of Drift's and Mango's amounts, each with its own rounding).
    """
    scale = PPM + rules.buffer_ppm
    shortage = (maintenance * scale - equity * PPM) * NANO_PER_MICRO
    if shortage <= 0:
        return 0
    gain = released_nano * scale - cost_nano * PPM
    lots = -(-shortage // gain) if gain > 0 else most + 1
    return lots if lots <= most else None


def slice_ppm(equity: Array, maintenance: Array, cost: Array, buffer_ppm: int) -> Array:
    """int64[A]: the share of all positions, ppm rounded up, whose closing restores each account to its buffer.

    equity, maintenance, cost: int64[A] micro, cost of closing everything. With B = maintenance · (1 + buffer) it is
    (B − equity) / (B − cost). A convex requirement that is 0 for no positions falls at least in proportion when all
    positions do, so the share is enough for every such model and exact where the requirement scales with the book;
    hedges stay hedges. 10⁶ where nothing less is enough, 0 where nothing is short. For many accounts at once.
    """
    target = buffered(maintenance, buffer_ppm)
    short, gain = target - equity, target - cost
    possible = (short > 0) & (short < gain)
    short, gain = np.where(possible, short, 0), np.where(possible, gain, 1)
    share, rest = np.zeros_like(short), short
    for _ in range(3):  # a million in three steps of a hundred, so that no product leaves int64
        digits, rest = np.divmod(rest * 100, gain)
        share = share * 100 + digits
    share += rest > 0
    return np.where(possible, np.minimum(share, PPM), np.where(target > equity, PPM, 0)).astype(np.int64)


def least_lots(gaps: Callable[[Array], Array], most: int) -> int:
    """Least size from 1 to `most` at which the gap is 0 or more, 0 where none is; `gaps` is exact and asked in batches.

    First the straight line between the gaps at 0 and at `most`: where the requirement is linear its crossing is the
    answer, and three sizes prove it. Otherwise the search over sizes, exact where the gap is concave.
    """
    if most < 1:
        return 0
    ends = gaps(np.array([0, most], np.int64))
    first, last = int(ends[0]), int(ends[1])
    if first < 0 <= last and last - first < LARGE:
        crossing = -(first * most // (last - first))
        near = np.unique(np.clip(np.arange(crossing - 2, crossing + 3, dtype=np.int64), 0, most))
        passing = gaps(near) >= 0
        if passing.any():
            k = int(np.argmax(passing))
            if k and not passing[:k].any():
                return int(near[k])
    return least_size(gaps, most)


class Meter:
    """What may still be liquidated: at most `block_micro` in a block and `second_micro` a second; 0 = no cap.

    A bucket that holds a second's worth and refills with the time that events carry, in integers; the rest of a
    micro is kept. Two meters, one of an account and one of the venue, are asked one after the other.
    """

    def __init__(self, block_micro: int = 0, second_micro: int = 0) -> None:
        if min(block_micro, second_micro) < 0:
            raise UnsafeParameters("meter", f"{block_micro}, {second_micro} micro", "caps of zero or more")
        self.block_micro, self.second_micro = block_micro, second_micro
        self._block, self._taken = -1, 0
        self._now_ns: int | None = None
        self._held = second_micro * SECOND_NS  # micro × ns

    def left(self, now_ns: int, block: int) -> int | None:
        """Micro that may be taken now, None where nothing is capped. StaleEvent for a time or a block before the last."""
        self._advance(now_ns, block)
        caps = []
        if self.block_micro:
            caps.append(self.block_micro - self._taken)
        if self.second_micro:
            caps.append(self._held // SECOND_NS)
        return max(min(caps), 0) if caps else None

    def take(self, amount_micro: int, now_ns: int, block: int) -> None:
        """Counts what was liquidated; more than was left overdraws, and the caps wait until it is paid back."""
        self._advance(now_ns, block)
        self._taken += amount_micro
        self._held -= amount_micro * SECOND_NS

    def _advance(self, now_ns: int, block: int) -> None:
        before = now_ns if self._now_ns is None else self._now_ns
        if now_ns < before or block < self._block:
            raise StaleEvent("liquidation meter", f"time {now_ns}, block {block}", f"from {before}, {self._block} on")
        self._held = min(self._held + (now_ns - before) * self.second_micro, self.second_micro * SECOND_NS)
        if block > self._block:  # what was overdrawn in a block is owed by the next
            self._taken = max(self._taken - self.block_micro, 0) if self._block >= 0 else 0
            self._block = block
        self._now_ns = now_ns
