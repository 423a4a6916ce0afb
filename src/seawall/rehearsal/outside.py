"""The markets outside the venue, as a process of their own: prices come from it, and orders of closings are carried out in it.

One modelled book per underlying (`stress.cascade.depth`): the path gives the price without anybody's liquidations, what is
sold displaces it, and the displaced price is what the venue hears. So a forced sale that is too large is felt by everybody.
Everything goes over the public API: `ticks` in, the `liquidation` stream out, `executions` in.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from decimal import Decimal
from math import floor, log10
from pathlib import Path
from typing import Any

import numpy as np

from seawall.client import AsyncClient, ServiceError
from seawall.client.types import Message
from seawall.core.units import format_decimal
from seawall.liquidation.routes.route import SELL
from seawall.rehearsal.venue import MAKER, SETTING, Rehearsal, load
from seawall.stress.cascade.depth import DepthModel, DepthRoute
from seawall.stress.cascade.setting import path_of
from seawall.stress.crash import modelled_path

__all__ = ["Outside", "run"]

DIGITS = 8
AFTER_S = 45.0


class Working:
    """An order that rests here: signed lots left, its limit in nano per lot (None: any price), those it goes together with."""

    def __init__(self, account: str, id: str, instrument: str, lots: int, limit_nano: int | None, together: str) -> None:
        self.account, self.id, self.instrument, self.lots = account, id, instrument, lots
        self.limit_nano, self.together = limit_nano, together


class Outside:
    """contracts: by symbol, (number of the underlying, units of it in a lot, the lot)."""

    def __init__(self, rehearsal: Rehearsal, client: Any, document: dict[str, Any]) -> None:
        self.rehearsal, self.client = rehearsal, client
        self.names = tuple(document["underlyings"])
        self.path = path_of(modelled_path(rehearsal.seed), self.names, SETTING, "modelled")
        interest = np.array([rehearsal.interest_units[name] for name in self.names])
        self.model = DepthModel(self.names, self.path.prices[0], interest, SETTING.depth, rehearsal.seed)
        self.contracts = {
            row["symbol"]: (self.names.index(row["underlying"]), float(row["lot"]), Decimal(row["lot"]))
            for row in document["instruments"]
        }
        self.orders: dict[str, Working] = {}
        self.executed = 0
        self.over = asyncio.Event()

    async def prices(self) -> None:
        """The path at its pace, displaced by what was sold; each step's prices before the orders are looked at again."""
        loop = asyncio.get_running_loop()
        began, step_s = loop.time(), self.path.step_s
        for number, row in enumerate(self.path.prices):
            self.model.advance(row, step_s)
            await self.client.ticks(dict(zip(self.names, map(_text, self.model.mark.tolist()), strict=True)), source="outside")
            await self._work()
            await asyncio.sleep(max(0.0, began + (number + 1) * step_s / self.rehearsal.pace - loop.time()))
        self.over.set()

    async def settle_down(self, seconds: float) -> None:
        """After the path: prices stay, what was displaced comes back; until nobody is being closed, or so long."""
        end = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < end and (await self.client.closings(limit=1)).total:
            self.model.advance(self.path.prices[-1], self.path.step_s)
            await self.client.ticks(dict(zip(self.names, map(_text, self.model.mark.tolist()), strict=True)), source="outside")
            await self._work()
            await asyncio.sleep(max(self.path.step_s / self.rehearsal.pace, 0.02))

    async def follow(self) -> None:
        """Orders of closings, from the stream; at every start and gap those that are open."""
        async with asyncio.TaskGroup() as telling:
            await self._follow(telling)

    async def _follow(self, telling: asyncio.TaskGroup) -> None:
        async for message in self.client.stream(["liquidation"]):
            if not isinstance(message, Message):
                await self._resume()
                continue
            data = message.data
            match data["what"]:
                case "place-order":
                    self._take(data["account"], data, data.get("together", ""))
                case "withdraw":
                    self.orders.pop(data["order"], None)
                    telling.create_task(self._tell(account=data["account"], order=data["order"], done=True))

    async def _resume(self) -> None:
        """What rests here is what the venue says is open."""
        self.orders.clear()
        offset = 0
        while True:
            page = await self.client.closings(limit=500, offset=offset)
            for closing in page.closings:
                for order in closing.orders:
                    if order.lane != "adl":
                        words = {"order": order.id, "instrument": order.instrument, "quantity": order.quantity, "limit": order.limit}
                        self._take(closing.account, words, "")
            offset += len(page.closings)
            if not page.closings or offset >= page.total:
                return

    def _take(self, account: str, data: dict[str, Any], together: str) -> None:
        _, _, lot = self.contracts[data["instrument"]]
        limit = data["limit"]
        nano = None if limit is None else int(Decimal(limit) * lot * 10**9)
        lots = int(Decimal(data["quantity"]) / lot)
        self.orders[data["order"]] = Working(account, data["order"], data["instrument"], lots, nano, together)

    async def _work(self) -> None:
        """Carries out what can be, in the order in which it came, orders that go together all or none; then tells the venue."""
        told = [fields for fields in self._fills() if fields is not None]
        await asyncio.gather(*(self._tell(**fields) for fields in told))

    def _fills(self) -> Iterator[dict[str, Any] | None]:
        for order in list(self.orders.values()):
            if order.id not in self.orders:
                continue
            group = [each for each in self.orders.values() if each.together == order.together] if order.together else [order]
            if len(group) > 1 and any(self._depth(each) < abs(each.lots) for each in group):
                continue
            for each in group:
                yield self._fill(each)

    def _route(self, order: Working) -> DepthRoute:
        u, units, _ = self.contracts[order.instrument]
        return DepthRoute(self.model, u, units)

    def _depth(self, order: Working) -> int:
        side = 1 if order.lots > 0 else -1
        if order.limit_nano is None:
            return abs(order.lots)
        return min(abs(order.lots), self._route(order).depth(side, order.limit_nano))

    def _fill(self, order: Working) -> dict[str, Any] | None:
        lots = self._depth(order)
        if not lots:
            return None
        side = 1 if order.lots > 0 else -1
        done = self._route(order).take(side, lots)
        _, _, lot = self.contracts[order.instrument]
        nano = abs(done.proceeds_micro) * 1000 // lots
        if side != SELL:
            nano += 1
        if order.limit_nano is not None:
            nano = max(nano, order.limit_nano) if side == SELL else min(nano, order.limit_nano)
        order.lots -= side * lots
        if not order.lots:
            del self.orders[order.id]
        price = format_decimal(Decimal(max(nano, 1)) / 10**9 / lot)
        quantity = format_decimal(side * lots * lot)
        self.executed += 1
        return {
            "account": order.account, "order": order.id, "maker": MAKER, "quantity": quantity, "price": price, "done": not order.lots,
        }  # fmt: skip

    async def _tell(self, **fields: Any) -> None:
        """The venue may have taken the order back meanwhile: then there is nothing to tell."""
        try:
            await self.client.executed(**fields)
        except ServiceError as error:
            if error.status not in (400, 404, 409, 422):
                raise
            print(f"refused: {fields}: {error}", file=sys.stderr, flush=True)
            self.orders.pop(fields["order"], None)


def _text(price: float) -> str:
    """A decimal of some significant digits."""
    places = max(0, DIGITS - 1 - floor(log10(price)))
    return f"{price:.{places}f}"


async def run(folder: Path) -> None:
    """Plays the crash at the service of a rehearsal, and stays some seconds for what is still open."""
    rehearsal = load(folder)
    async with AsyncClient(rehearsal.url) as client:
        outside = Outside(rehearsal, client, await client.market())
        following = asyncio.create_task(outside.follow())
        try:
            await outside.prices()
            await outside.settle_down(AFTER_S)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1])))
