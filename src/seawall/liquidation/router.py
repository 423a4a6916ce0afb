"""Splits an order over markets so that no lot could have been sold better: equal marginal net prices.

Each market's price gets worse with size, so the best split is the one where every market that trades stops at the
same net price. That price is found by bisection on `Route.depth`; the few lots that sit exactly at it go to the
markets in the order given. A lot is not a bit of one, though: in a thin market it moves the price by percents. So single
lots then change markets for as long as that is better: proceeds are concave in each market's lots, and where no exchange
of one lot helps, no split does. The split is quoted against every market alone as well, and the better of them all taken:
rounding can never make the router worse than its best single market.

Impact aware: if selling moves the mark by which other lots (the rest of the same account, or accounts close to their
tripwires) are valued, those lots lose `exposure_lots` × the move. `shadowed` then sends less to the markets that set
the mark: it maximises proceeds − exposure × move over the ways to limit them, the plain split being one of those.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from seawall.core.errors import BadNumber
from seawall.core.units import LOT_VALUE_NANO_MAX
from seawall.liquidation.routes.route import SELL, Fill, Route, check_order, no_worse

__all__ = ["Leg", "Routed", "plan", "route", "shadowed", "split"]

ROUNDING_MICRO = 2
"""Each of two quotes is rounded by less than a micro, before and after."""


class Leg(msgspec.Struct, frozen=True):
    """One market's part."""

    route: str
    fill: Fill


class Routed(msgspec.Struct, frozen=True):
    """A routed order. proceeds_micro: signed, the sum of the legs. marginal_nano: the worst leg's (0 without legs)."""

    legs: tuple[Leg, ...]
    lots: int
    unfilled_lots: int
    proceeds_micro: int
    fee_micro: int
    marginal_nano: int


def plan(routes: Sequence[Route], side: int, lots: int, limit_nano: int | None = None) -> Routed:
    """What `route` would do now; nothing moves."""
    return _priced(routes, side, lots, split(routes, side, lots, limit_nano))


def route(routes: Sequence[Route], side: int, lots: int, limit_nano: int | None = None) -> Routed:
    """Trades the best split. limit_nano: the reserve price, worst net price of any lot; None: no limit.

    Raises BadNumber for an order out of range or two markets of one name.
    """
    sizes = split(routes, side, lots, limit_nano)
    legs = tuple(Leg(r.name, r.take(side, n)) for r, n in zip(routes, sizes) if n)
    return _sum(side, lots, legs)


def split(routes: Sequence[Route], side: int, lots: int, limit_nano: int | None = None) -> list[int]:
    """Lots for each market, in their order; their sum is less than `lots` only where the limit leaves no more."""
    check_order(side, lots)
    if len({r.name for r in routes}) != len(routes):
        raise BadNumber("router", "two markets of one name", "different names")
    worst = (0 if side == SELL else LOT_VALUE_NANO_MAX) if limit_nano is None else max(limit_nano, 0)
    room = [r.depth(side, worst) for r in routes]
    total = min(lots, sum(room))
    if not total:
        return [0] * len(routes)
    equal = _exchanged(routes, side, _equalised(routes, side, total, worst, room), room)
    alone = [[total if i == j else 0 for j in range(len(routes))] for i, most in enumerate(room) if most >= total]
    # `max` keeps the first of equals: the equalised split
    return max([equal, *alone], key=lambda sizes: _proceeds(routes, side, sizes))


def _equalised(routes: Sequence[Route], side: int, total: int, worst: int, room: list[int]) -> list[int]:
    """Bisects the common price p: at p the markets hold at least `total`, one nano better they hold less."""
    open_routes = [(r, most) for r, most in zip(routes, room) if most]
    # nobody sells better than the best first price; whoever can take all of it alone bounds p from the other side
    short = min(side * r.quote(side, 0).marginal_nano for r, _ in open_routes) - 2
    enough, depths, better = side * worst, room, [0] * len(routes)
    for price in (r.quote(side, total).marginal_nano for r, most in open_routes if most >= total):
        if short < side * price < enough:
            found = [min(most, r.depth(side, price)) for r, most in zip(routes, room)]
            if sum(found) >= total:
                enough, depths = side * price, found
    while enough - short > 1:
        middle = (enough + short) // 2
        found = [min(most, r.depth(side, side * middle)) for r, most in zip(routes, room)]
        if sum(found) >= total:
            enough, depths = middle, found
        else:
            short, better = middle, found
    left = total - sum(better)
    sizes = list(better)
    for reach in (depths, room):  # the second only where a float screen of a depth wavers
        for i, most in enumerate(reach):
            part = max(0, min(left, most - sizes[i]))
            sizes[i] += part
            left -= part
    return sizes


def _exchanged(routes: Sequence[Route], side: int, sizes: list[int], room: list[int]) -> list[int]:
    """Moves single lots to where they fetch more, by more than the rounding of the two quotes, until none does."""
    sizes = list(sizes)
    fetched = [r.quote(side, n).proceeds_micro for r, n in zip(routes, sizes)]
    while True:
        gains = {i: r.quote(side, sizes[i] + 1).proceeds_micro - fetched[i] for i, r in enumerate(routes) if sizes[i] < room[i]}
        losses = {i: fetched[i] - r.quote(side, sizes[i] - 1).proceeds_micro for i, r in enumerate(routes) if sizes[i]}
        pairs = [(gains[to] - losses[of], to, of) for to in gains for of in losses if to != of]
        if not pairs or max(pairs)[0] <= ROUNDING_MICRO:
            return sizes
        _, to, of = max(pairs)
        fetched[to], fetched[of] = fetched[to] + gains[to], fetched[of] - losses[of]
        sizes[to], sizes[of] = sizes[to] + 1, sizes[of] - 1


def shadowed(
    routes: Sequence[Route],
    side: int,
    lots: int,
    exposure_lots: int,
    mark_makers: frozenset[str],
    limit_nano: int | None = None,
    steps: int = 16,
) -> list[int]:
    """`split` where each nano that the mark_makers' price moves costs exposure_lots nano elsewhere.

    exposure_lots: at least 0, lots valued at that mark on the side that suffers. steps: how many caps of the mark
    makers are tried between nothing and their plain share; the plain split is one of them, so the score (proceeds
    less harm) never ends below it. The order stays whole: what the others cannot take, the mark makers do.
    """
    if exposure_lots < 0 or steps < 1:
        raise BadNumber("router", f"exposure {exposure_lots}, steps {steps}", "exposure >= 0, steps >= 1")
    plain = split(routes, side, lots, limit_nano)
    makers = [i for i, r in enumerate(routes) if r.name in mark_makers]
    share = sum(plain[i] for i in makers)
    others = [r for i, r in enumerate(routes) if i not in makers]
    if not exposure_lots or not share or not others:
        return plain
    inside = [routes[i] for i in makers]
    best, best_score = plain, _score(routes, side, plain, exposure_lots, makers)
    for step in range(steps):
        capped = share * step // steps
        outside = split(others, side, sum(plain) - capped, limit_nano)
        rest = split(inside, side, sum(plain) - sum(outside), limit_nano)
        sizes = [0] * len(routes)
        for i, size in zip(makers, rest):
            sizes[i] = size
        for i, size in zip((i for i in range(len(routes)) if i not in makers), outside):
            sizes[i] = size
        if sum(sizes) < sum(plain):
            continue
        score = _score(routes, side, sizes, exposure_lots, makers)
        if score > best_score:
            best, best_score = sizes, score
    return best


def _score(routes: Sequence[Route], side: int, sizes: list[int], exposure_lots: int, makers: list[int]) -> int:
    """Proceeds less what the exposed lots lose, in nano."""
    harm = 0
    for i in makers:
        if sizes[i]:
            before = routes[i].quote(side, 0).marginal_nano
            harm = max(harm, side * (routes[i].quote(side, sizes[i]).marginal_nano - before))
    return _proceeds(routes, side, sizes) * 1000 - exposure_lots * harm


def _proceeds(routes: Sequence[Route], side: int, sizes: list[int]) -> int:
    return sum(r.quote(side, n).proceeds_micro for r, n in zip(routes, sizes) if n)


def _priced(routes: Sequence[Route], side: int, lots: int, sizes: list[int]) -> Routed:
    return _sum(side, lots, tuple(Leg(r.name, r.quote(side, n)) for r, n in zip(routes, sizes) if n))


def _sum(side: int, lots: int, legs: tuple[Leg, ...]) -> Routed:
    filled = sum(leg.fill.lots for leg in legs)
    marginal = 0
    for leg in legs:
        if marginal == 0 or no_worse(side, marginal, leg.fill.marginal_nano):
            marginal = leg.fill.marginal_nano
    return Routed(
        legs,
        filled,
        lots - filled,
        sum(leg.fill.proceeds_micro for leg in legs),
        sum(leg.fill.fee_micro for leg in legs),
        marginal,
    )


