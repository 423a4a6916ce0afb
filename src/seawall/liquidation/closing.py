"""One failed account from its breach to rest: which mechanism acts next, and nothing before its turn.

    cancel orders → the owner's own window → slices to the routes → account auction → backstop
    → market at the funds' cost → deleveraging of what they cannot bear → tranche, providers, fund, haircut, claims

`apply(event)` answers with orders, withdrawals, commands for the venue's mechanisms (`closing_desk.py` carries them out)
and reports. The machine acts on a `Look` alone, and only on one made from its present version, so that nothing is sold on
figures that a fill has overtaken. It sells nothing of an account that is in health. An event whose number is not above the
last one does nothing: a journal may be read again from anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from seawall.core.errors import BadNumber, InputError, StaleEvent
from seawall.core.units import PPM
from seawall.liquidation.account_auction import StartAccount
from seawall.liquidation.account_slices import Leg, value_of
from seawall.liquidation.auction_events import BackstopDue, Cancel, Ended, Outcome, Sold, Started
from seawall.liquidation.closing_events import (
    CancelOrders,
    Command,
    Deleverage,
    Deleveraged,
    Filled,
    Flatten,
    HandOver,
    Held,
    Look,
    Order,
    PlaceOrder,
    Reduce,
    RefusedAction,
    Renew,
    Residual,
    Rested,
    Slice,
    Stage,
    Staged,
    Withdraw,
)
from seawall.liquidation.closing_state import ClosingRules, ClosingState, bankruptcy_losses
from seawall.liquidation.layers import Shortfall
from seawall.liquidation.severity import shortfall
from seawall.liquidation.transfers import Delivery, pay
from seawall.liquidation.waterfall import Settled

__all__ = ["Closing"]


class Closing:
    """The state machine of one account; see above. Raises InputError for events that are not its own, StaleEvent for
    time that goes back; in both cases nothing has changed."""

    def __init__(self, account: str, rules: ClosingRules, state: ClosingState | None = None) -> None:
        self.account, self.rules = account, rules
        self.state = state or ClosingState()

    def apply(self, event: Any) -> list[Any]:
        """One event; its outcomes in the order in which they are to be carried out."""
        handlers: dict[type, Callable[[Any], list[Any]]] = {
            Look: self._look,
            Reduce: self._reduce,
            Flatten: self._flatten,
            Filled: self._filled,
            Deleveraged: self._deleveraged,
        }
        if type(event) not in handlers or event.account != self.account:
            raise InputError(f"closing of {self.account}", type(event).__name__, "an event of this account's closing")
        if event.number <= self.state.number:
            return []
        if event.at_ns < self.state.now_ns:
            raise StaleEvent(f"closing of {self.account}", str(event.at_ns), f"a time of at least {self.state.now_ns}")
        before = self.state
        try:
            self._set(number=event.number, now_ns=event.at_ns)
            return handlers[type(event)](event)
        except InputError:
            self.state = before
            raise

    # ------------------------------------------------------------------ figures come in

    def _look(self, look: Look) -> list[Any]:
        if look.version != self.state.version:
            return [self._refused(look, "state-changed")]
        self._set(look=look)
        health = look.equity_micro - look.maintenance_micro
        out: list[Any] = []
        if self.state.stage == Stage.REST:
            if health >= 0:
                return []
            self._set(episode=self.state.episode + 1, breached_ns=look.at_ns)
            out += self._go(Stage.RESCUE, "health below zero")
        if look.orders:
            out.append(CancelOrders(self.account, look.orders))
        if self.state.waiting:
            return out
        if not any(held.lots for held in look.positions):
            return out + self._flat(look)
        if health >= 0:  # nothing more is sold; the episode ends with the buffer
            target = look.maintenance_micro - (-look.maintenance_micro * self.rules.buffer_ppm // PPM)
            stop = self._renew(look) + self._withdraw(owner=False)
            return out + stop + (self._end("recovered") if look.equity_micro >= target and not stop else [])
        return out + self._act(look)

    def _act(self, look: Look) -> list[Any]:
        """Stages follow each other within one look until one of them has something to wait for."""
        steps = {
            Stage.RESCUE: self._rescue,
            Stage.SELLING: self._sell,
            Stage.AUCTION: self._auction,
            Stage.BACKSTOP: self._backstop,
            Stage.FUNDS: self._last_resort,
            Stage.DELEVERAGING: self._last_resort,
        }
        out: list[Any] = []
        while True:
            stage = self.state.stage
            out += steps[Stage(stage)](look)
            if self.state.stage == stage or self.state.waiting:
                return out

    def _rescue(self, look: Look) -> list[Any]:
        over = look.at_ns >= self.state.breached_ns + self.rules.rescue_ns
        if over or look.equity_micro <= 0:
            return self._go(Stage.SELLING, "the owner's window is over" if over else "nothing left to rescue")
        return []

    def _sell(self, look: Look) -> list[Any]:
        """Slices within what pacing leaves; orders of the owner come first and are not sold twice."""
        why = ""
        if look.equity_micro <= 0:
            why = "insolvent"
        elif look.kind == "hand_over":
            why = "the market would leave it worse"
        elif look.at_ns >= self.state.breached_ns + self.rules.rescue_ns + self.rules.selling_ns:
            why = "the routes had their time"
        if why:
            return self._withdraw(owner=True) if self.state.orders else self._go(Stage.AUCTION, why)
        if any(order.lane != "owner" for order in self.state.orders):
            return []
        wanted = [(close, self._lots(look, close)) for close in look.closes]
        if look.atomic and any(lots != close.lots for close, lots in wanted):
            return []  # together or not at all
        together = f"{self.account}/{self.state.episode}/{look.number}" if look.atomic else ""
        return [
            self._place(close.symbol, lots, close.limit_nano, close.reserve_nano, "slice", together)
            for close, lots in wanted
            if lots
        ]

    def _lots(self, look: Look, close: Slice) -> int:
        """Signed lots of a close as far as the position, the owner's orders, pacing and dust leave it."""
        held = next((each for each in look.positions if each.symbol == close.symbol), None)
        if held is None or close.lots * held.lots >= 0 or abs(close.lots) > abs(held.lots):
            raise BadNumber(f"closing of {self.account}, plan", f"{close.lots} lots of {close.symbol}", "a part of what is held")
        free = abs(held.lots) - self._in_flight(close.symbol)
        size = min(abs(close.lots), free, look.room_lots.get(close.symbol, free))
        dust = -(-self.rules.dust_micro * 1000 // max(held.mark_nano, 1))
        if size < abs(close.lots) and 0 < free - size < dust:
            size = free - dust
        return max(size, 0) if close.lots > 0 else -max(size, 0)

    def _auction(self, look: Look) -> list[Any]:
        if not self.state.auctioned:
            self._set(auctioned=True)
            legs, cash = _legs(look)
            start = StartAccount(
                owner=self.account, keeper="", bucket=self.rules.bucket, legs=legs, cash_micro=cash,
                health_micro=look.equity_micro - look.maintenance_micro, breached_ns=self.state.breached_ns,
                at_ns=look.at_ns,
            )  # fmt: skip
            return self._command(start)
        if self.state.auction and not self.state.due:
            return self._renew(look)
        return self._go(Stage.BACKSTOP, "no bids down to the floor" if self.state.due else "no auction")

    def _backstop(self, look: Look) -> list[Any]:
        return self._command(
            HandOver(self.account, self.rules.bucket, self.state.auction, look.positions, look.equity_micro)
        )

    def _last_resort(self, look: Look) -> list[Any]:
        """To the market what the layers before deleveraging can pay for; only the rest is deleveraged. A solvent account is
        offered at its bankruptcy price, where nobody else bears anything, and otherwise waits."""
        if self.state.orders:
            return []
        solvent = look.equity_micro >= 0
        short = -look.equity_micro if solvent else max(0, -look.equity_micro - self.state.spent_micro)
        held = [each for each in look.positions if each.lots]
        losses = bankruptcy_losses(short * 1000, [(each.lots, each.mark_nano) for each in held])
        orders: list[Any] = []
        cut: list[tuple[Held, int, int]] = []
        for each, loss in zip(held, losses):
            sign = 1 if each.lots > 0 else -1
            price = max(each.mark_nano + sign * loss, 0)
            size = abs(each.lots)
            if each.symbol in self.state.residual and not solvent:
                orders.append(self._place(each.symbol, -each.lots, None, price, "residual"))
                continue
            market = size if solvent else min(max(look.bearable_lots.get(each.symbol, 0), 0), size)
            if market:
                orders.append(self._place(each.symbol, -sign * market, price if solvent else None, price, "wave"))
            if size > market:
                cut.append((each, -sign * (size - market), price))
        if not cut:
            return orders
        out = self._go(Stage.DELEVERAGING, "more than the funds can bear")
        for each, lots, price in cut:
            placed = self._place(each.symbol, lots, price, price, "adl")
            orders.append(Deleverage(self.account, placed.order, each.mark_nano))
        return out + orders

    def _flat(self, look: Look) -> list[Any]:
        """Without positions: an account that owes nothing rests, any other goes through the waterfall once."""
        out = self._withdraw(owner=True)
        if out:
            return out
        if look.equity_micro >= 0:
            return self._end("closed")
        if self.state.stage < Stage.FUNDS:
            out += self._go(Stage.FUNDS, "flat with a shortfall")
        need = Shortfall(look.market, self.account, -look.equity_micro, self.rules.cap_event, look.winners)
        return out + self._command(need)

    # ------------------------------------------------------------------ the owner's lane

    def _reduce(self, event: Reduce) -> list[Any]:
        """Admitted whatever the margin says, before anything of the venue's: it can only reduce."""
        look = self.state.look
        held = next((each for each in look.positions if each.symbol == event.symbol), None) if look else None
        if not Stage.RESCUE <= self.state.stage <= Stage.SELLING:
            return [self._refused(event, self._no_lane())]
        free = abs(held.lots) - self._in_flight(event.symbol) if held else 0
        if held is None or event.lots * held.lots >= 0 or abs(event.lots) > free:
            return [self._refused(event, "not-a-reduction")]
        out = self._withdraw(owner=False, symbol=event.symbol)
        return [*out, self._place(event.symbol, event.lots, event.limit_nano, 0, "owner")]

    def _flatten(self, event: Flatten) -> list[Any]:
        look = self.state.look
        if not Stage.RESCUE <= self.state.stage <= Stage.SELLING or look is None:
            return [self._refused(event, self._no_lane())]
        if self.state.flattened:
            return [self._refused(event, "flattened-already")]
        self._set(flattened=True)
        out = self._withdraw(owner=False)
        for held in look.positions:
            size = abs(held.lots) - self._in_flight(held.symbol)
            if size > 0:
                out.append(self._place(held.symbol, -size if held.lots > 0 else size, None, 0, "owner"))
        return out

    def _no_lane(self) -> str:
        """At rest an account trades as everybody does, and this machine does not see it."""
        return "not-in-liquidation" if self.state.stage == Stage.REST else "past-the-owners-turn"

    def _in_flight(self, symbol: str) -> int:
        return sum(abs(order.lots) for order in self.state.orders if order.symbol == symbol and order.lane == "owner")

    # ------------------------------------------------------------------ what came of orders

    def _filled(self, event: Filled) -> list[Any]:
        order = next((each for each in self.state.orders if each.id == event.order), None)
        if order is None or order.lane == "adl":
            return [self._refused(event, "unknown-order")]
        if event.lots * order.lots < 0 or abs(event.lots) > abs(order.lots):
            return [self._refused(event, "more-than-ordered")]
        if event.lots:
            cost = 0
            if order.lane == "wave" and order.limit_nano is None:
                side = 1 if order.lots > 0 else -1
                cost = shortfall(side, abs(event.lots), event.proceeds_micro, order.price_nano)
            self._set(spent_micro=self.state.spent_micro + cost)
            self._traded(order.symbol, event.lots)
        left = msgspec.structs.replace(order, lots=order.lots - event.lots)
        rest = (left,) if left.lots and not event.done else ()
        self._set(orders=tuple(x for each in self.state.orders for x in (rest if each.id == order.id else (each,))))
        return []

    def _deleveraged(self, event: Deleveraged) -> list[Any]:
        """Each counterparty trades at the bankruptcy price, the fraction of a micro against it."""
        order = next((each for each in self.state.orders if each.id == event.order and each.lane == "adl"), None)
        if order is None:
            return [self._refused(event, "unknown-order")]
        if any(part.lots < 1 for part in event.parts) or sum(part.lots for part in event.parts) > abs(order.lots):
            return [self._refused(event, "more-than-ordered")]
        out: list[Any] = []
        sign = -1 if order.lots > 0 else 1  # of what the account held
        for part in event.parts:
            nano = part.lots * order.price_nano
            out.append(Delivery(self.account, part.party, order.symbol, sign * part.lots, "deleveraging", order.price_nano))
            if sign > 0:
                out += pay(part.party, self.account, self.rules.asset, -(-nano // 1000), "deleveraging")
            else:
                out += pay(self.account, part.party, self.rules.asset, nano // 1000, "deleveraging")
        closed = sum(part.lots for part in event.parts)
        self._set(orders=tuple(each for each in self.state.orders if each.id != order.id))
        if closed:
            self._traded(order.symbol, -sign * closed)
        if closed < abs(order.lots):
            self._set(residual=(*self.state.residual, order.symbol))
            out.append(Residual(self.account, order.symbol, sign * (abs(order.lots) - closed)))
        return out

    def _traded(self, symbol: str, lots: int) -> None:
        """The account changed: the last look's lots follow, its figures do not, so the next act awaits a new one."""
        look = self.state.look
        if look is not None:
            positions = tuple(
                msgspec.structs.replace(held, lots=held.lots + lots) if held.symbol == symbol else held
                for held in look.positions
            )
            look = msgspec.structs.replace(look, positions=positions)
        self._set(look=look, version=self.state.version + 1)

    # ------------------------------------------------------------------ answers of the venue's mechanisms

    def news(self, said: Sequence[Outcome]) -> None:
        """What the auction house said, whoever asked: sales of this account's auction, its floor, its end."""
        for outcome in said:
            if isinstance(outcome, Started) and outcome.owner == self.account:
                self._set(auction=outcome.auction, due=False, version=self.state.version + 1)
            elif self.state.auction and getattr(outcome, "auction", 0) == self.state.auction:
                if isinstance(outcome, Sold):
                    self._set(version=self.state.version + 1)
                elif isinstance(outcome, BackstopDue):
                    self._set(due=True)
                elif isinstance(outcome, Ended):
                    # an account that recovered may be auctioned again, one that nobody wanted may not
                    self._set(auction=0, auctioned=outcome.cause != "healthy")

    def answer(self, command: str, said: Any) -> list[Any]:
        """The answer to a command; one that nobody waits for, or that comes again, does nothing.

        said: of a hand-over whether the providers took it, None where bids changed the account first; of a shortfall its
        `Settled`; of the house, anything.
        """
        if not command or command != self.state.waiting:
            return []
        self._set(waiting="")
        look = self.state.look
        if isinstance(said, Settled):
            self._set(version=self.state.version + 1)
            return [*said.events, *self._end("settled", said.residual_micro)]
        if said is True:
            self._set(version=self.state.version + 1)
            return []
        if said is False and look is not None:
            return self._go(Stage.FUNDS, "the providers cannot take it") + self._act(look)
        if self.state.stage == Stage.AUCTION and not self.state.auction and look is not None:
            same = look.version == self.state.version  # refused: nothing has changed, so the same look serves
            return self._act(look) if same and look.equity_micro < look.maintenance_micro else []
        return []

    # ------------------------------------------------------------------ inside

    def _set(self, **changes: Any) -> None:
        self.state = msgspec.structs.replace(self.state, **changes)

    def _go(self, stage: Stage, why: str) -> list[Any]:
        before, look = Stage(self.state.stage), self.state.look
        if stage == before:
            return []
        self._set(stage=int(stage))
        figures = (look.equity_micro, look.maintenance_micro) if look else (0, 0)
        return [Staged(self.account, before, stage, why, *figures)]

    def _end(self, cause: str, residual_micro: int = 0) -> list[Any]:
        """Back to rest; what the owner still has in the market stays his."""
        if self.state.stage == Stage.REST:
            return []
        out: list[Any] = []
        if self.state.auction:
            out += self._command(Cancel(auction=self.state.auction, at_ns=self.state.now_ns, cause=cause))
        out += self._go(Stage.REST, cause)
        changes: dict[str, Any] = {"flattened": False, "auctioned": False, "due": False, "spent_micro": 0, "residual": ()}
        self._set(**changes)
        return [*out, Rested(self.account, cause, residual_micro)]

    def _place(self, symbol: str, lots: int, limit: int | None, price: int, lane: str, together: str = "") -> PlaceOrder:
        self._set(sequence=self.state.sequence + 1)
        order = Order(f"{self.account}/{self.state.episode}/{self.state.sequence}", symbol, lots, limit, price, lane)
        self._set(orders=(*self.state.orders, order))
        return PlaceOrder(self.account, order, together)

    def _withdraw(self, owner: bool, symbol: str = "") -> list[Any]:
        mine = (each for each in self.state.orders if each.lane != "adl" and (owner or each.lane != "owner"))
        return [Withdraw(self.account, each.id) for each in mine if not symbol or each.symbol == symbol]

    def _command(self, event: Any) -> list[Any]:
        self._set(sequence=self.state.sequence + 1)
        self._set(waiting=f"{self.account}/{self.state.episode}/{self.state.sequence}")
        return [Command(self.state.waiting, self.account, event)]

    def _renew(self, look: Look) -> list[Any]:
        """New figures to a running auction."""
        if not self.state.auction:
            return []
        legs, cash = _legs(look)
        return self._command(Renew(self.state.auction, legs, cash, look.equity_micro - look.maintenance_micro))

    def _refused(self, event: Any, reason: str) -> RefusedAction:
        return RefusedAction(self.account, type(event).__name__, reason)


def _legs(look: Look) -> tuple[tuple[Leg, ...], int]:
    """Positions as an auction takes them, and the cash that makes them worth the equity."""
    legs = tuple(Leg(held.symbol, held.lots, held.mark_nano) for held in look.positions)
    return legs, look.equity_micro - value_of(legs, 0)
