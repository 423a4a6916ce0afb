"""What a closing is told, made from the mechanisms: a plan's slices, what a wave may sell, fills over the routes, the answer
of those who are deleveraged. All of it is worked out before the event is journaled, so that a replay asks no market.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seawall.liquidation import router
from seawall.liquidation.closing_events import Deleverage, Deleveraged, Filled, Part, PlaceOrder, Slice
from seawall.liquidation.legs import Plan
from seawall.liquidation.routes.route import Route
from seawall.liquidation.severity import plan_wave

__all__ = ["bearable_lots", "deleveraged", "fill", "planned"]


def planned(plan: Plan) -> dict[str, Any]:
    """kind, closes and atomic of a `Look`, from a plan (`legs.plan`).

    Limit of a slice: the fillable price, but never beyond the reserve, so that no slice costs the fund anything. A plan with a
    leg that has no price in the settlement currency (inverse contracts) is handed over to the auction.
    """
    closes = []
    for close in plan.closes:
        if close.reserve_nano is None or close.fillable_nano is None:
            return {"kind": "hand_over", "closes": (), "atomic": False}
        better = max if close.lots < 0 else min
        closes.append(Slice(close.symbol, close.lots, better(close.fillable_nano, close.reserve_nano), close.reserve_nano))
    return {"kind": plan.kind, "closes": tuple(closes), "atomic": plan.atomic}


def deleveraged(cut: Deleverage, names: Sequence[str], lots: Sequence[int], number: int, at_ns: int) -> Deleveraged:
    """The answer of the other side: lots closed of each party (`adl_book.OtherSide.allocate`), nobody with none."""
    parts = tuple(Part(name, int(each)) for name, each in zip(names, lots, strict=True) if each)
    return Deleveraged(number=number, account=cut.account, at_ns=at_ns, order=cut.order.id, parts=parts)


def fill(placed: PlaceOrder, routes: Sequence[Route], number: int, at_ns: int) -> Filled:
    """Carries an order out now, over the routes at the best net price, and closes it: what is left is for a later plan."""
    order = placed.order
    side = 1 if order.lots > 0 else -1
    done = router.route(routes, side, abs(order.lots), order.limit_nano)
    return Filled(
        number=number, account=placed.account, at_ns=at_ns, order=order.id, lots=side * done.lots,
        proceeds_micro=done.proceeds_micro, done=True,
    )  # fmt: skip


def bearable_lots(
    positions: Sequence[tuple[str, int, int]], losses: Sequence[int], funds_micro: int, routes: Mapping[str, Sequence[Route]]
) -> dict[str, int]:
    """Of (symbol, signed lots, mark) with their bankruptcy losses: the lots that the market takes at a cost which `funds`
    can pay, position by position, none of the money counted twice."""
    out: dict[str, int] = {}
    for (symbol, lots, mark), loss in zip(positions, losses):
        side = -1 if lots > 0 else 1
        at = routes[symbol]

        def quote(size: int, side: int = side, at: Sequence[Route] = at) -> tuple[int, int]:
            planned = router.plan(at, side, size)
            return planned.lots, planned.proceeds_micro

        wave = plan_wave(side, abs(lots), max(mark - side * loss, 0), max(funds_micro, 0), quote)
        out[symbol] = wave.market_lots
        funds_micro -= wave.cost_micro
    return out
