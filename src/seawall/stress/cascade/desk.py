"""The markets that a careful liquidation may sell to, as routes over the world: the paced book, keepers' filed bids, the
backstop's standing quote; and the batch that sells many accounts' lots there at one price.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from seawall.core.units import PPM
from seawall.liquidation import router
from seawall.liquidation.pacing import Pace, pace
from seawall.liquidation.routes.book import OrderBook, Trade
from seawall.liquidation.routes.route import SELL, Fill, Route, no_worse
from seawall.stress.cascade.depth import DepthRoute
from seawall.stress.cascade.world import MARKET

if TYPE_CHECKING:
    from seawall.stress.cascade.loop import Run

__all__ = ["Bids", "Limited", "Order", "book_pace", "sell_batch", "standing_bids"]

LADDER_PPM = np.array([0, 250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000], np.int64)


class Order(NamedTuple):
    """Lots (above zero) of one contract that an account has to close, and its worst price, nano per lot."""

    account: int
    lots: int
    limit_nano: int


class Limited:
    """A route with a cap on lots: what pacing leaves of it."""

    def __init__(self, inner: Route, most: int) -> None:
        self.inner, self.most, self.name = inner, max(most, 0), inner.name

    def depth(self, side: int, limit_nano: int) -> int:
        """As the route's own, to the cap."""
        return min(self.inner.depth(side, limit_nano), self.most)

    def quote(self, side: int, lots: int) -> Fill:
        """As the route's own, to the cap."""
        return self.inner.quote(side, min(lots, self.most))

    def take(self, side: int, lots: int) -> Fill:
        """Trades, and uses up the cap."""
        fill = self.inner.take(side, min(lots, self.most))
        self.most -= fill.lots
        return fill


class Bids:
    """Resting orders of keepers or of the backstop; `trades` has who took what."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.book = OrderBook(name)
        self.trades: list[Trade] = []

    def depth(self, side: int, limit_nano: int) -> int:
        """Lots no worse than the limit."""
        return self.book.depth(side, limit_nano)

    def quote(self, side: int, lots: int) -> Fill:
        """What `take` would do."""
        return self.book.quote(side, lots)

    def take(self, side: int, lots: int) -> Fill:
        """Matches, and keeps the trades."""
        fill, trades = self.book.execute(side, lots)
        self.trades += trades
        return fill


def standing_bids(run: Run, leg: int, side: int, name: str, quotes: Sequence[tuple[int, int, float]]) -> Bids:
    """Resting orders against a taker of `side`. quotes: (row of the party, its room in nano, its discount in log)."""
    bids = Bids(name)
    depth, u = run.world.depth, int(run.world.underlying[leg])
    fair = float(depth.mid[u]) * float(run.world.lot_units[leg]) * 1e9
    for number, (party, room_nano, edge) in enumerate(quotes):
        price = fair * float(np.exp(side * edge))
        price_nano = int(price) if side == SELL else -int(-price // 1)
        lots = room_nano // price_nano
        if lots > 0:
            bids.book.add(number, str(party), -side, price_nano, lots)
    return bids


def book_pace(run: Run, book: DepthRoute, leg: int, side: int, wanted: int, share_ppm: int, gain_ppm: int) -> Pace:
    """How much of `wanted` the book may get, given whom the move would trip: everybody on the same side whose health
    the move would use up, for a share of what he holds (what a partial liquidation takes)."""
    world = run.world
    best = book.quote(side, 0).marginal_nano
    limits = [best + side * best * int(move) // PPM for move in LADDER_PPM.tolist()]
    depth = np.maximum.accumulate(np.array([0, *(book.depth(side, limit) for limit in limits[1:])], np.int64))
    rows = run.rows_of_leg[leg]
    rows = rows[world.lots[rows] * side < 0]
    owner = world.owner[rows]
    health = world.equity_micro[owner] - world.maintenance_micro[owner]
    size = np.abs(world.lots[rows])
    worth = np.maximum(size * int(world.mark_nano[leg]) // 1000, 1)
    distance = np.maximum(health, 0) * 1.0 / worth * PPM
    ahead = (health >= 0) & (distance < LADDER_PPM[-1])
    return pace(
        wanted, LADDER_PPM, depth, distance[ahead].astype(np.int64), size[ahead] * share_ppm // PPM, gain_ppm
    )


def sell_batch(run: Run, leg: int, side: int, orders: Sequence[Order], routes: Sequence[Route]) -> dict[int, int]:
    """Closes what the routes take within everybody's limit, at one price for all; lots closed by account.

    The order is cut to those whose limit the common mean price meets: whoever asks for more waits. Where there is not
    enough for all, who comes first in `orders` is served first.
    """
    orders = list(orders)
    while orders:
        total = sum(order.lots for order in orders)
        loosest = side * max(side * order.limit_nano for order in orders)
        planned = router.plan(routes, side, total, loosest)
        if not planned.lots:
            return {}
        mean = -side * planned.proceeds_micro * 1000 // planned.lots
        kept = [order for order in orders if no_worse(side, abs(mean), order.limit_nano)]
        if len(kept) == len(orders):
            break
        orders = kept
    if not orders:
        return {}
    done = router.route(routes, side, total, loosest)
    return _share_out(run, leg, side, orders, done, routes) if done.lots else {}


def _share_out(
    run: Run, leg: int, side: int, orders: Sequence[Order], done: router.Routed, routes: Sequence[Route]
) -> dict[int, int]:
    """Books the fills: counterparties against the clearing party, then each account at the mean price, floor."""
    world = run.world
    clearing = world.party["clearing"]
    for part in done.legs:
        route = next(r for r in routes if r.name == part.route)
        inner = route.inner if isinstance(route, Limited) else route
        if isinstance(inner, Bids):
            for trade in inner.trades:
                world.trade(clearing, int(trade.maker), leg, side * trade.lots, trade.maker_micro * 1000)
            run.tally.auctioned_nano += sum(trade.lots * trade.price_nano for trade in inner.trades)
            inner.trades = []
        else:
            world.trade(clearing, world.party[MARKET], leg, side * part.fill.lots, -part.fill.proceeds_micro * 1000)
            run.tally.sold_nano += abs(part.fill.proceeds_micro) * 1000
    closed: dict[int, int] = {}
    left = done.lots
    for order in orders:
        lots = min(order.lots, left)
        if lots <= 0:
            break
        # Floor of the signed proceeds: against the account; the rest of a micro stays with the clearing party.
        proceeds = done.proceeds_micro * lots // done.lots
        world.trade(order.account, clearing, leg, side * lots, -proceeds * 1000)
        run.tally.closed_at(order.account, run.now_s)
        closed[order.account] = side * lots
        left -= lots
    return closed
