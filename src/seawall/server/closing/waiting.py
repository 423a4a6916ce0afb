"""Since when orders of a closing wait, and which of them the venue gives up on.

A venue whose executor is away must not wait for it for ever: an order at the funds' cost that nobody executes is asked back after
`order_ns`, one that the account itself has overtaken by trading at once, and one that was asked back and that nobody confirms is
over after `confirm_ns`. What its executor did with it all the same is then an ordinary trade. Times are this process's own; after a restart they begin anew.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from seawall.liquidation.closing_events import Order, PlaceOrder, Withdraw
from seawall.liquidation.closing_state import ClosingState

__all__ = ["Overdue", "Waiting"]

_AT_ANY_COST = ("wave", "residual")


class Overdue(NamedTuple):
    """ask: orders to be asked back; over: orders to be given up."""

    ask: list[Order]
    over: list[Order]


class _Times:
    __slots__ = ("asked_ns", "placed_ns")

    def __init__(self, placed_ns: int) -> None:
        self.placed_ns, self.asked_ns = placed_ns, 0


class Waiting:
    """order_ns, confirm_ns: see above."""

    def __init__(self, order_ns: int, confirm_ns: int) -> None:
        self.order_ns, self.confirm_ns = order_ns, confirm_ns
        self._orders: dict[str, dict[str, _Times]] = {}
        self._unwanted: dict[str, set[str]] = {}

    def heard(self, said: Any, now_ns: int) -> None:
        """What the desk said."""
        if isinstance(said, PlaceOrder):
            self._orders.setdefault(said.account, {})[said.order.id] = _Times(now_ns)
        elif isinstance(said, Withdraw):
            times = self._orders.setdefault(said.account, {}).setdefault(said.order, _Times(now_ns))
            times.asked_ns = times.asked_ns or now_ns

    def overdue(self, account: str, state: ClosingState, held: Mapping[str, int], now_ns: int) -> Overdue:
        """Of a closing's open orders; who is asked back now is noted, and so is what the market has not taken. held: signed lots
        by symbol."""
        ask: list[Order] = []
        over: list[Order] = []
        times = self._orders.setdefault(account, {})
        for gone in times.keys() - {order.id for order in state.orders}:
            del times[gone]
        for order in state.orders:
            if order.lane == "adl":
                continue
            found = times.setdefault(order.id, _Times(now_ns))
            if found.asked_ns:
                if now_ns - found.asked_ns >= self.confirm_ns:
                    over.append(order)
            elif _overtaken(order, held) or (order.lane in _AT_ANY_COST and now_ns - found.placed_ns >= self.order_ns):
                found.asked_ns = now_ns
                ask.append(order)
        self._unwanted.setdefault(account, set()).update(order.symbol for order in over if order.lane == "wave")
        return Overdue(ask, over)

    def asked(self, account: str, order: str) -> bool:
        """Whether an order was asked back."""
        found = self._orders.get(account, {}).get(order)
        return found is not None and found.asked_ns > 0

    def unwanted(self, account: str) -> Collection[str]:
        """Symbols of which the market took nothing in time."""
        return self._unwanted.get(account, ())

    def forget(self, account: str) -> None:
        """The closing is over."""
        self._orders.pop(account, None)
        self._unwanted.pop(account, None)


def _overtaken(order: Order, held: Mapping[str, int]) -> bool:
    """Whether an order would do more than close what is held."""
    lots = held.get(order.symbol, 0)
    return order.lots * lots >= 0 or abs(order.lots) > abs(lots)
