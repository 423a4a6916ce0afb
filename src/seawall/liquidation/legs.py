"""Which legs of a failed account to close, and how much of each: a plan of least cost that never makes it worse.

Order of a plan: cancel the open orders; then, where little is left to save, close everything; otherwise close the row
of least cost after which equity covers maintenance margin and its buffer (`leg_search.py`), or as near to it as one
step may come. A plan under which health would end lower at the estimated cost is not made: the account is handed over
to the auction and the backstop instead. Each close carries the prices of `reserve.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
import numpy as np

from seawall.core.errors import invariant
from seawall.core.units import PPM
from seawall.liquidation import reserve
from seawall.liquidation.leg_search import LegSearch
from seawall.liquidation.positions import Positions
from seawall.liquidation.size import SizeRules, is_active, slice_ppm, wants_full_close
from seawall.margin.single import Figures, Single
from seawall.margin.trials import TradingCosts

__all__ = ["Close", "Plan", "plan"]

Array = np.ndarray[Any, Any]
Kind = Literal["none", "partial", "full", "hand_over"]


class Close(msgspec.Struct, frozen=True):
    """One order of a plan: signed lots (negative sells), its estimated cost, of which fee_micro is the liquidation fee.

    give_up_micro: its part of what the whole plan may cost; reserve_nano: its price a lot at that, below which (a sale)
    the account is worse; fillable_nano: the limit for an order on the book. None where a lot has no price in the
    settlement currency (inverse contracts).
    """

    symbol: str
    lots: int
    cost_micro: int
    fee_micro: int
    give_up_micro: int
    reserve_nano: int | None
    fillable_nano: int | None


class Plan(msgspec.Struct, frozen=True):
    """What to do with an account now.

    kind: none (not in liquidation, or nothing may be closed in this step), partial, full, or hand_over (closing on the
    market would leave it worse: auction, backstop). cancel: its open orders, before anything else. closes: in the order
    in which health stays highest. atomic: between them health falls below where it was, so they go together or not at
    all. before, after: figures now, and after the closes at their estimated cost. restored: whether the target is met.
    give_up_micro: the most that the closes may cost together. reason: why not more.
    """

    kind: Kind
    cancel: tuple[str, ...]
    closes: tuple[Close, ...]
    atomic: bool
    before: Figures
    after: Figures
    restored: bool
    cost_micro: int
    give_up_micro: int
    evaluations: int
    reason: str = ""


def plan(
    single: Single,
    rules: SizeRules,
    *,
    active: bool = False,
    orders: Sequence[str] = (),
    costs: TradingCosts | None = None,
    impact_ppm: Mapping[str, int] | None = None,
    room_micro: int | None = None,
    adjustment_ppm: int = 1_000_000,
    spread_ppm: int = 100_000,
    quick: bool = False,
) -> Plan:
    """The plan for one account at the marks of its market.

    single: its positions, cash and model. active: whether it is already in liquidation (hysteresis: `size.is_active`).
    orders: ids of its open orders. costs, impact_ppm: half spreads, and what routes quote beyond them, by symbol.
    room_micro: notional that the caps leave (`size.Meter.left`), None for no cap. adjustment_ppm, spread_ppm: of the
    fillable price. quick: a slice of all positions by the closed form (`size.slice_ppm`) instead of the search, for the
    first moments of a cascade. Raises InputError and LimitExceeded as the margin layer does for such an account and market.
    """
    positions = Positions(single, rules, costs, impact_ppm)
    before = positions.before
    rules = positions.rules
    nothing = np.zeros(len(positions), np.int64)
    if not is_active(before.equity, before.maintenance, active, rules):
        return _plan(positions, "none", (), nothing, (0, 0), "not in liquidation")
    room = _smaller(room_micro, rules.step_micro or None)
    row, kind, reason = _row(positions, room, quick)
    return _plan(positions, kind, tuple(orders), row, (adjustment_ppm, spread_ppm), reason)


def _row(positions: Positions, room: int | None, quick: bool) -> tuple[Array, Kind, str]:
    """Lots to close of each position, what that makes of the plan, and why they are not more."""
    nothing, everything = np.zeros(len(positions), np.int64), positions.size.copy()
    found, reason = _wanted(positions, quick)
    if room is not None and positions.notional_micro(found) > room:
        found = _within(positions, found, room)
        if not found.any():
            return nothing, "none", "the notional that one step may close"
        reason = "the notional that one step may close"
    if not found.any() or not _no_worse(positions, found):
        fits = room is None or positions.notional_micro(everything) <= room
        if not fits or not everything.any() or not _no_worse(positions, everything):
            return nothing, "hand_over", "closing on the market would leave it worse"
        found, reason = everything, ""
    return found, "full" if (found == everything).all() else "partial", reason


def _wanted(positions: Positions, quick: bool) -> tuple[Array, str]:
    """The row that one would close if notional were not capped, and why it is not more."""
    before, rules = positions.before, positions.rules
    if wants_full_close(before.equity, before.maintenance, positions.notional_micro(positions.size), rules):
        return positions.size.copy(), ""
    most = positions.most()
    search = LegSearch(positions, most)
    if not quick or not search.offer(np.minimum(_slice(positions), most)[None, :])[0] >= 0:
        search.run()
    if search.best is not None:
        return search.best, ""
    if (most < positions.size).any():
        return search.nearest, "the share of a position that one step may close"
    if _no_worse(positions, positions.size):  # what cannot be restored is not left half open
        return positions.size.copy(), ""
    return search.nearest, "nothing on the market restores it"


def _slice(positions: Positions) -> Array:
    """The slice of all positions that the closed form says is enough."""
    before, cost = positions.before, positions.costs(positions.size[None, :])
    figures = np.array([before.equity]), np.array([before.maintenance])
    share = int(slice_ppm(*figures, cost, positions.rules.buffer_ppm)[0])
    return np.array([-(-int(size) * share // PPM) for size in positions.size], np.int64)


def _no_worse(positions: Positions, row: Array) -> bool:
    """Whether health does not fall."""
    return positions.figures(row).health >= positions.before.health


def _within(positions: Positions, row: Array, room: int) -> Array:
    """Of slices of a row, and of its positions one by one, the one with most health that fits in a notional."""
    total = positions.notional_micro(row)
    scaled = np.array([int(lots) * room // total for lots in row], np.int64)
    rows = [scaled]
    for c in np.flatnonzero(row).tolist():
        alone = np.zeros_like(row)
        alone[c] = min(int(row[c]), room * 1000 // max(int(positions.notional_nano[c]), 1))
        rows.append(alone)
    halves = [scaled * part // 8 for part in range(1, 8)]
    tried = positions.allowed(np.array(rows + halves, np.int64))
    tried = np.array([each for each in tried if positions.notional_micro(each) <= room] or [np.zeros_like(row)], np.int64)
    healths = positions.healths(tried)
    k = int(np.argmax(healths))
    return tried[k] if int(healths[k]) > positions.before.health else np.zeros_like(row)


def _plan(
    positions: Positions, kind: Kind, cancel: tuple[str, ...], row: Array, fillable: tuple[int, int], reason: str
) -> Plan:
    before, after = positions.before, positions.figures(row)
    cost = int(positions.costs(row[None, :])[0])
    chosen = np.flatnonzero(row).tolist()
    if not chosen:
        return Plan(kind, cancel, (), False, before, before, False, 0, 0, positions.asked, reason)
    invariant(after.health >= before.health, "a liquidation never lowers health", f"{before} to {after}")
    at_marks = after.equity + cost
    given, limit = 0, 0
    if before.maintenance > 0:
        given = reserve.give_up_between(before.equity, before.maintenance, at_marks, after.maintenance)
        released = before.maintenance - after.maintenance
        exact = reserve.fillable_give_up(before.equity, before.maintenance, released, *fillable)
        limit = exact.numerator // exact.denominator
    weights = [int(row[c] * positions.lot_cost_micro[c]) for c in chosen]
    parts = zip(chosen, reserve.allocate(given, weights), reserve.allocate(limit, weights), strict=True)
    closes = {c: _close(positions, row, c, mine, fills) for c, mine, fills in parts}
    order, atomic = _ordered(positions, row, chosen)
    restored = int(positions.gaps(row[None, :])[0]) >= 0
    closed = tuple(closes[c] for c in order)
    return Plan(kind, cancel, closed, atomic, before, after, restored, cost, given, positions.asked, reason)


def _close(positions: Positions, row: Array, c: int, given: int, fills: int) -> Close:
    lots = -int(positions.sign[c]) * int(row[c])
    mark = int(positions.trials.mark_nano[c])
    size = int(row[c])
    return Close(
        positions.symbols[c],
        lots,
        size * int(positions.lot_cost_micro[c]),
        size * int(positions.lot_fee_micro[c]),
        given,
        reserve.limit_nano(mark, lots, given) if mark else None,
        reserve.limit_nano(mark, lots, fills) if mark else None,
    )


def _ordered(positions: Positions, row: Array, chosen: list[int]) -> tuple[list[int], bool]:
    """Positions in an order in which health stays high, each next the best; and whether it falls on the way."""
    done, order, atomic = np.zeros_like(row), [], False
    left = list(chosen)
    while left:
        rows = np.repeat(done[None, :], len(left), axis=0)
        for k, c in enumerate(left):
            rows[k, c] = row[c]
        healths = positions.healths(rows)
        k = int(np.argmax(healths))
        atomic |= int(healths[k]) < positions.before.health
        done = rows[k]
        order.append(left.pop(k))
    return order, atomic


def _smaller(one: int | None, other: int | None) -> int | None:
    given = [each for each in (one, other) if each is not None]
    return min(given) if given else None
