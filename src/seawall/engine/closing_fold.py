"""Steps of closing as postings: what the closing desk says becomes ledger events, here and nowhere else.

The same function folds a step in the clearing and in a replay, which has no engine (`refold.py`). Whatever may be refused
is refused before the desk hears of it; what the desk has said is posted, or something is broken.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from seawall.core.errors import BadNumber, InputError, UnknownKey, invariant, show
from seawall.engine.clearing_events import ClosingStep, Executed, Unloaded
from seawall.engine.genesis import Genesis
from seawall.ledger import events as ledger_events
from seawall.ledger.ledger import Ledger
from seawall.liquidation import layers as last
from seawall.liquidation.closing_desk import ClosingDesk, DeskState, ToHouse, ToLayers
from seawall.liquidation.closing_events import CancelOrders, Filled, Order, Rested, Stage, Staged
from seawall.liquidation.closing_terms import inventory_of
from seawall.liquidation.transfers import Delivery, Transfer
from seawall.market.market import Market

__all__ = ["Closed", "ClosingFold", "order_of"]

NANO_PER_MICRO = 1000


class Closed(msgspec.Struct, frozen=True):
    """What a step did: all postings; what the desk said beside them; the account's own orders that are cancelled."""

    receipt: ledger_events.Receipt | None
    said: tuple[Any, ...]
    cancelled: tuple[tuple[str, str], ...]


class ClosingFold:
    """A desk over a ledger. parties: party of the desk → account of the ledger, of those that are the venue's own."""

    def __init__(self, desk: ClosingDesk, ledger: Ledger, parties: Mapping[str, tuple[str, Any]]) -> None:
        self.desk, self.ledger = desk, ledger
        self._accounts = {party: name for party, (name, _) in parties.items()}
        self._asset = desk.house.asset

    @classmethod
    def opened(cls, genesis: Genesis, market: Market, ledger: Ledger, state: DeskState | None) -> ClosingFold | None:
        """Of a venue with terms of closing, in a state or as of the first moment; None of any other venue."""
        desk = genesis.open_desk(market)
        if desk is None:
            return None
        if state is not None:
            desk.thaw(state)
        return cls(desk, ledger, genesis.parties())

    def apply(self, step: ClosingStep, number: int) -> Closed:
        """One step. Raises InputError, and changes nothing, where it cannot be."""
        what, at_ns = step.what, step.at_ns
        receipts: list[ledger_events.Receipt] = []
        event: Any
        fill: ledger_events.ForcedFill | None
        if isinstance(what, Executed):
            event, fill = self._executed(what, number, at_ns)
        elif isinstance(what, Unloaded):
            event, fill = self._unloaded(what, number, at_ns)
        else:
            event, fill = msgspec.structs.replace(what, number=number, at_ns=at_ns), None
            if isinstance(event, ToHouse):
                event = msgspec.structs.replace(event, event=msgspec.structs.replace(event.event, at_ns=at_ns))
            if isinstance(event, ToLayers) and isinstance(event.event, last.Dispose):
                raise InputError("closing", "a disposal without its trade", "an Unloaded")
        if fill is not None:  # the ledger may refuse the maker; then the desk has heard nothing
            receipts.append(self.ledger.apply(ledger_events.Close(at_ns=at_ns, asset=self._asset, fills=(fill,))))
        try:
            said = self.desk.apply(event)
        except InputError as error:
            invariant(fill is None, "a fill that the ledger has posted is one that the desk takes", str(error))
            raise
        return self._posted(said, at_ns, receipts)

    def expired(self, event: ledger_events.Expire, number: int) -> Closed:
        """What the last price of a contract, which the ledger has by now, means for those who have inherited it."""
        receipts = []
        said = self.desk.expired(number, event.at_ns, event.instrument, event.price_nano)
        for bucket in self.desk.layers.vaults if said else ():
            settle = ledger_events.Settle(at_ns=event.at_ns, account=inventory_of(bucket))
            receipts.append(self.ledger.apply(settle))
        return self._posted(said, event.at_ns, receipts)

    def _posted(self, said: list[Any], at_ns: int, receipts: list[ledger_events.Receipt]) -> Closed:
        if (close := self._close(said, at_ns)) is not None:
            try:
                receipts.append(self.ledger.apply(close))
            except InputError as error:
                invariant(False, "what the closing desk says can be posted", str(error))
        postings = tuple(line for receipt in receipts for line in receipt.postings)
        return Closed(
            ledger_events.Receipt(receipts[-1].sequence, postings) if receipts else None,
            tuple(each for each in said if not isinstance(each, (Transfer, Delivery))),
            tuple((each.account, id) for each in said if isinstance(each, CancelOrders) for id in each.orders),
        )

    def _close(self, said: list[Any], at_ns: int) -> ledger_events.Close | None:
        """Deliveries, transfers and stages as one event of the ledger; None where there is nothing to post."""
        name = self._accounts
        lots = tuple(
            ledger_events.Lots(name.get(d.payer, d.payer), name.get(d.payee, d.payee), d.instrument, d.lots, d.price_nano)
            for d in said
            if isinstance(d, Delivery)
        )
        payments = tuple(
            ledger_events.Payment(name.get(t.payer, t.payer), name.get(t.payee, t.payee), t.amount_micro, t.cause)
            for t in said
            if isinstance(t, Transfer)
        )
        states: list[tuple[str, Any]] = []
        for each in said:
            if isinstance(each, Staged) and each.before == Stage.REST:
                states.append((each.account, "in-liquidation"))
            elif isinstance(each, Rested):
                states.append((each.account, "active"))
        if not (lots or payments or states):
            return None
        return ledger_events.Close(at_ns=at_ns, asset=self._asset, lots=lots, payments=payments, states=tuple(states))

    def _executed(self, what: Executed, number: int, at_ns: int) -> tuple[Filled, ledger_events.ForcedFill | None]:
        order = order_of(self.desk, what.account, what.order)
        place = f"execution of {show(what.order)}"
        if order.lane == "adl":
            raise InputError(place, "an order that is deleveraged", "an order in the market")
        if type(what.lots) is not int or what.lots * order.lots < 0 or abs(what.lots) > abs(order.lots):
            raise BadNumber(f"{place}, lots", show(what.lots), f"0 to {order.lots}")
        if not what.lots:
            if not what.done:
                raise InputError(place, "neither lots nor an end", "at least one of them")
            return self._filled(what, number, at_ns, 0), None
        if order.limit_nano is not None and (what.price_nano - order.limit_nano) * what.lots > 0:
            raise BadNumber(f"{place}, price", f"{what.price_nano} nano", f"the limit of {order.limit_nano} or better")
        fill = ledger_events.ForcedFill(what.account, what.maker, order.symbol, what.lots, what.price_nano)
        nano = -what.lots * what.price_nano
        return self._filled(what, number, at_ns, nano // NANO_PER_MICRO), fill

    def _filled(self, what: Executed, number: int, at_ns: int, proceeds_micro: int) -> Filled:
        return Filled(
            number=number, account=what.account, at_ns=at_ns, order=what.order, lots=what.lots,
            proceeds_micro=proceeds_micro, done=what.done,
        )  # fmt: skip

    def _unloaded(self, what: Unloaded, number: int, at_ns: int) -> tuple[ToLayers, ledger_events.ForcedFill]:
        vault = self.desk.layers.vaults.get(what.bucket)
        if vault is None:
            raise UnknownKey("inventory", show(what.bucket), "one of " + ", ".join(self.desk.layers.vaults))
        held = vault.inventory.get(what.instrument)
        lots = held.lots if held else 0
        if type(what.lots) is not int or what.lots * lots >= 0 or abs(what.lots) > abs(lots):
            raise BadNumber(f"inventory of {what.bucket}", f"{show(what.lots)} lots of {what.instrument}", f"a part of {-lots}")
        due = self.desk.layers.due_ns()
        if due is not None and due <= at_ns:
            raise InputError("inventory", f"an exit due at {due}", "an Advance first")
        event = last.Dispose(what.bucket, f"inventory:{what.bucket}", what.instrument, -what.lots, what.price_nano)
        fill = ledger_events.ForcedFill(inventory_of(what.bucket), what.maker, what.instrument, what.lots, what.price_nano)
        return ToLayers(number=number, at_ns=at_ns, event=event), fill


def order_of(desk: ClosingDesk, account: str, id: str) -> Order:
    """An order that a closing has in the market. Raises InputError where there is none."""
    closing = desk.closings.get(account)
    found = next((each for each in closing.state.orders if each.id == id), None) if closing else None
    if found is None:
        raise InputError(f"order of {show(account)}", show(id), "the id of an order of its closing")
    return found
