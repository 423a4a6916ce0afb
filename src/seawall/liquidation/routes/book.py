"""A limit order book: resting orders by price, then by time, matched exactly.

A taker walks the levels from the best one. Money is summed in nano over all trades of the order and rounded once;
each maker is rounded too, against him, and what the roundings leave is the book's `rounding_micro`, so that taker,
makers, fee and rounding sum to zero. Ranked bids that keepers file before a breach, and a backstop's standing quote,
are resting orders of a book as well.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from itertools import accumulate

import msgspec

from seawall.core.errors import BadNumber, DuplicateRow
from seawall.core.units import PPM
from seawall.liquidation.routes.route import (
    BUY,
    SELL,
    Fill,
    check_fee,
    check_order,
    check_price,
    no_worse,
    nothing,
)

__all__ = ["OrderBook", "Trade"]


class Resting(msgspec.Struct):
    """One order in the book."""

    order_id: int
    owner: str
    lots: int


class Trade(msgspec.Struct, frozen=True):
    """One maker's part of a match. maker_micro: his cash, signed, rounded down."""

    order_id: int
    maker: str
    lots: int
    price_nano: int
    maker_micro: int


class _Ladder:
    """One side as arrays: net prices from the best level on, and running sums of lots and notional."""

    def __init__(self, levels: list[tuple[int, int]], fee_ppm: int, taker: int) -> None:
        self.taker = taker
        # a fee rounds against the taker: added for a buyer, taken off for a seller, up in both cases
        self.net = [price + taker * -(-price * fee_ppm // PPM) for price, _ in levels]
        self.prices = [price for price, _ in levels]
        self.lots = [0, *accumulate(lots for _, lots in levels)]
        self.notional = [0, *accumulate(price * lots for price, lots in levels)]
        self.keys = [taker * price for price in self.net]

    def depth(self, limit_nano: int) -> int:
        return self.lots[bisect_left(self.keys, self.taker * limit_nano + 1)]

    def walk(self, lots: int) -> tuple[int, int, int]:
        """Lots filled, notional in nano, and the net price of the last level touched (of the first, if none)."""
        if not self.prices:
            return 0, 0, 0
        filled = min(lots, self.lots[-1])
        level = max(bisect_left(self.lots, filled) - 1, 0)
        notional = self.notional[level] + (filled - self.lots[level]) * self.prices[level]
        return filled, notional, self.net[level]


class OrderBook:
    """Price-time priority. `depth`, `quote` and `take` are the route; `add` and `cancel` are the makers'."""

    def __init__(self, name: str, fee_ppm: int = 0) -> None:
        check_fee(name, fee_ppm)
        self.name = name
        self.fee_ppm = fee_ppm
        self.rounding_micro = 0
        self._levels: dict[int, dict[int, deque[Resting]]] = {BUY: {}, SELL: {}}
        self._prices: dict[int, list[int]] = {BUY: [], SELL: []}  # ascending
        self._where: dict[int, tuple[int, int]] = {}
        self._ladders: dict[int, _Ladder] = {}

    def add(self, order_id: int, owner: str, side: int, price_nano: int, lots: int) -> tuple[Trade, ...]:
        """Matches what crosses, rests the remainder, and returns the trades.

        Raises BadNumber for a price or size out of range, DuplicateRow for an order id in use.
        """
        check_order(side, lots)
        check_price(self.name, price_nano)
        if lots == 0:
            raise BadNumber(f"{self.name}, order {order_id}, lots", "0", "at least 1")
        if order_id in self._where:
            raise DuplicateRow(f"{self.name}, order {order_id}", str(order_id), "an order id not in the book")
        filled, trades = self._match(side, lots, price_nano, owner)
        if lots > filled:
            if price_nano not in self._levels[side]:
                self._levels[side][price_nano] = deque()
                insort(self._prices[side], price_nano)
            self._levels[side][price_nano].append(Resting(order_id, owner, lots - filled))
            self._where[order_id] = (side, price_nano)
            self._ladders.pop(-side, None)
        return trades

    def cancel(self, order_id: int) -> int:
        """Takes an order out; the lots it still had, 0 if it is not there."""
        if order_id not in self._where:
            return 0
        side, price_nano = self._where.pop(order_id)
        queue = self._levels[side][price_nano]
        gone = next(order for order in queue if order.order_id == order_id)
        queue.remove(gone)
        if not queue:
            self._drop_level(side, price_nano)
        self._ladders.pop(-side, None)
        return gone.lots

    def cancel_owner(self, owner: str) -> int:
        """Takes out all orders of one owner (the first step of a liquidation); how many there were."""
        mine = [
            order.order_id for levels in self._levels.values() for queue in levels.values() for order in queue if order.owner == owner
        ]
        for order_id in mine:
            self.cancel(order_id)
        return len(mine)

    def levels(self, side: int) -> list[tuple[int, int]]:
        """(price in nano, lots) of one side's resting orders, best first."""
        prices = self._prices[side]
        ordered = prices if side == SELL else reversed(prices)
        return [(price, sum(order.lots for order in self._levels[side][price])) for price in ordered]

    def depth(self, side: int, limit_nano: int) -> int:
        """Lots at levels whose price net of the fee is no worse than the limit."""
        return self._ladder(side).depth(limit_nano)

    def quote(self, side: int, lots: int) -> Fill:
        """What `take` would do."""
        check_order(side, lots)
        filled, notional_nano, marginal_nano = self._ladder(side).walk(lots)
        return self._fill(side, filled, notional_nano, marginal_nano)

    def take(self, side: int, lots: int) -> Fill:
        """A market order without an owner; see `execute` for its trades."""
        return self.execute(side, lots)[0]

    def execute(
        self, side: int, lots: int, limit_nano: int | None = None, taker: str = ""
    ) -> tuple[Fill, tuple[Trade, ...]]:
        """Matches at once, rests nothing. limit_nano: worst net price. The taker's own orders are cancelled."""
        check_order(side, lots)
        if limit_nano is None:
            return self._settle(side, *self._match(side, lots, None, taker))
        if taker:
            self.cancel_owner(taker)
        allowed = min(lots, self.depth(side, limit_nano))
        return self._settle(side, *self._match(side, allowed, None, taker))

    def _settle(self, side: int, filled: int, trades: tuple[Trade, ...]) -> tuple[Fill, tuple[Trade, ...]]:
        notional = sum(trade.lots * trade.price_nano for trade in trades)
        if not trades:
            return nothing(self._ladder(side).walk(0)[2]), trades
        last = trades[-1].price_nano
        fill = self._fill(side, filled, notional, last + side * -(-last * self.fee_ppm // PPM))
        self.rounding_micro -= fill.proceeds_micro + fill.fee_micro + sum(trade.maker_micro for trade in trades)
        return fill, trades

    def _fill(self, side: int, filled: int, notional_nano: int, marginal_nano: int) -> Fill:
        if not filled:
            return nothing(marginal_nano)
        fee_micro = -(-notional_nano * self.fee_ppm // (1000 * PPM))
        return Fill(filled, -side * notional_nano // 1000 - fee_micro, fee_micro, marginal_nano)

    def _match(self, side: int, lots: int, limit_nano: int | None, taker: str) -> tuple[int, tuple[Trade, ...]]:
        """limit_nano: worst price before fee, as a resting order means it."""
        trades: list[Trade] = []
        left = lots
        prices, levels = self._prices[-side], self._levels[-side]
        while left and prices:
            price = prices[0] if side == BUY else prices[-1]
            if limit_nano is not None and not no_worse(side, price, limit_nano):
                break
            queue = levels[price]
            while left and queue:
                order = queue[0]
                if taker and order.owner == taker:  # nobody trades with himself: his resting order goes
                    queue.popleft()
                    del self._where[order.order_id]
                    continue
                part = min(left, order.lots)
                trades.append(Trade(order.order_id, order.owner, part, price, side * part * price // 1000))
                left -= part
                order.lots -= part
                if not order.lots:
                    queue.popleft()
                    del self._where[order.order_id]
            if not queue:
                self._drop_level(-side, price)
            self._ladders.pop(side, None)
        return lots - left, tuple(trades)

    def _drop_level(self, side: int, price_nano: int) -> None:
        del self._levels[side][price_nano]
        self._prices[side].pop(bisect_left(self._prices[side], price_nano))

    def _ladder(self, taker: int) -> _Ladder:
        if taker not in self._ladders:
            self._ladders[taker] = _Ladder(self.levels(-taker), self.fee_ppm, taker)
        return self._ladders[taker]
