"""Closings of many accounts over one auction house and one set of last layers, as a single fold.

`apply(event)` gives an event to the closing that it concerns, carries out what that commands, in the same step, and feeds
the answers back; what leaves are orders, reports, transfers and deliveries. One number, one step: an event that was applied
does nothing when it comes again, and a snapshot holds closings, house and layers together, so that a process which dies
anywhere pays nothing twice and forgets nothing: with its journal it ends in the same hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from seawall.core.errors import BadNumber, InputError, StaleEvent, UnknownKey, UnreadableFile
from seawall.core.units import PPM
from seawall.liquidation import frozen_state, reserve
from seawall.liquidation import layers as last
from seawall.liquidation.account_auction import AccountAuctions, AccountSale, Look
from seawall.liquidation.auction_events import Bid, Cancel, Ended, Oracle, Restart, SetBreaker, Settle, Sold, Started
from seawall.liquidation.auction_house import FUND, HouseState
from seawall.liquidation.closing import Closing
from seawall.liquidation.closing_events import Command, Deleveraged, Filled, HandOver, RefusedAction, Renew
from seawall.liquidation.closing_events import Look as AccountLook
from seawall.liquidation.closing_state import ClosingRules, ClosingState
from seawall.liquidation.ranked import RankedBids
from seawall.liquidation.ranked_events import CancelRanked, Designate, FileRanked, RankedRules, RankedState
from seawall.liquidation.transfers import Delivery, Transfer, pay

__all__ = ["ClosingDesk", "DeskState", "Seal", "ToHouse", "ToLayers", "decode", "encode"]

_RANKED_EVENTS = (CancelRanked, Designate, FileRanked)
_HOUSE_EVENTS = (Bid, Oracle, Restart, SetBreaker, Settle, *_RANKED_EVENTS)


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """With what a keeper signed: kept with the event, so that anybody can check it later (`core/signing.py`). Decides nothing."""

    venue: str
    venue_key: str
    public_key: str
    nonce: str
    expires_ns: int
    signature: str


class ToHouse(msgspec.Struct, frozen=True, tag="to-house", kw_only=True):
    """An event for the auction house: a bid, the end of a tick, an oracle's state, the breaker; or for its standing bids."""

    number: int
    at_ns: int
    event: Bid | Oracle | Restart | SetBreaker | Settle | FileRanked | CancelRanked | Designate
    seal: Seal | None = None


class ToLayers(msgspec.Struct, frozen=True, tag="to-layers", kw_only=True):
    """An event for the last layers: providers come and go, the venue puts money behind its markets, inventory is marked or sold."""

    number: int
    at_ns: int
    event: last.Advance | last.AskExit | last.Collect | last.Commit | last.Dispose | last.Income | last.MarkInventory


class DeskState(msgspec.Struct, frozen=True):
    """All that a desk remembers. layers: `frozen_state.dump` of its machines."""

    number: int
    now_ns: int
    episodes: int
    closings: dict[str, ClosingState]
    layers: str
    house: HouseState[AccountSale]
    ranked: RankedState = RankedState()


def encode(state: DeskState) -> bytes:
    """A state as JSON; equal states, equal bytes."""
    return msgspec.json.encode(state, order="deterministic")


def decode(data: bytes) -> DeskState:
    """The state of `encode`; UnreadableFile for bytes that it did not write."""
    try:
        return msgspec.json.decode(data, type=DeskState)
    except msgspec.MsgspecError as error:
        raise UnreadableFile("state of the closing desk", str(error), "bytes that `encode` wrote") from None


class ClosingDesk:
    """fee_ppm: liquidation fee of the slices, within the reserve. rules_of: rules of a closing whose market is named. Buckets
    must be known to house and layers. An account is remembered for as long as it is not at rest.

    Raises InputError (UnknownKey, BadNumber, StaleEvent): then nothing has changed."""

    def __init__(
        self, house: AccountAuctions, layers: last.Layers, rules_of: Callable[[str], ClosingRules], fee_ppm: int = 5_000
    ) -> None:
        self.house, self.layers, self.rules_of, self.fee_ppm = house, layers, rules_of, fee_ppm
        self.ranked = RankedBids(RankedRules(), house.asset, house.rules)
        self.closings: dict[str, Closing] = {}
        self.number = self.now_ns = self.episodes = 0
        self._owners: dict[int, str] = {}  # of the auctions that run

    def apply(self, event: Any) -> list[Any]:
        """One event of the journal."""
        if event.number <= self.number:
            return []
        if event.at_ns < self.now_ns:
            raise StaleEvent("closing desk", str(event.at_ns), f"a time of at least {self.now_ns}")
        if isinstance(event, ToHouse):
            if type(event.event) not in _HOUSE_EVENTS or event.event.at_ns != event.at_ns:
                raise InputError("closing desk", type(event.event).__name__, "an event of the house, of the same time")
            return self._advance(event) + self._house(event.event)
        if isinstance(event, ToLayers):
            return self._to_layers(event)
        closing = self._closing(event)
        if closing is None:
            self.number, self.now_ns = event.number, event.at_ns
            reason = "unknown-order" if isinstance(event, (Filled, Deleveraged)) else "not-in-liquidation"
            return [RefusedAction(event.account, type(event).__name__, reason)]
        failed = event.account not in self.closings
        order = next((x for x in closing.state.orders if x.id == getattr(event, "order", "")), None)
        version = closing.state.version
        outcomes = closing.apply(event)  # refuses before anything else has changed
        self.closings[event.account] = closing
        out = self._advance(event)
        if failed:  # what it has put aside for others' positions is its own again
            out += self.ranked.withdraw(event.account)
        out += self._carry_out(outcomes)
        if isinstance(event, Filled) and order is not None and order.lane == "slice" and closing.state.version > version:
            out += self._fee(closing, event, order.price_nano)
        if closing.state.at_rest:
            del self.closings[event.account]
            self.episodes = max(self.episodes, closing.state.episode)
        return out

    def expired(self, number: int, at_ns: int, instrument: str, price_nano: int) -> list[Any]:
        """A contract has its last price: what providers have inherited of it is disposed of at that."""
        held = {bucket: vault.inventory.get(instrument) for bucket, vault in self.layers.vaults.items()}
        if number <= self.number or not any(held.values()):
            return []
        self.number, self.now_ns = number, at_ns
        out: list[Any] = list(self.layers.apply(at_ns, last.Advance()).moves)
        for bucket, inherited in held.items():
            if inherited is not None:
                sold = last.Dispose(bucket, f"inventory:{bucket}", instrument, inherited.lots, price_nano)
                done = self.layers.apply(at_ns, sold)
                out += [*done.moves, *(self._unpaid(sold, done.short_micro) if done.short_micro else ())]
        return out

    def _to_layers(self, event: ToLayers) -> list[Any]:
        """Exits that are due come first, whatever becomes of the event itself."""
        if isinstance(event.event, last.Advance):
            return self._advance(event)
        due = self.layers.due_ns()
        if due is not None and due <= event.at_ns:
            raise InputError("closing desk", f"an exit due at {due}", "an Advance first")
        done = self.layers.apply(event.at_ns, event.event)
        self.number, self.now_ns = event.number, event.at_ns
        out = [*done.moves, *(() if done.report is None else (done.report,))]
        if done.short_micro and isinstance(event.event, last.Dispose):
            out += self._unpaid(event.event, done.short_micro)
        return out

    def _unpaid(self, sold: last.Dispose, short_micro: int) -> list[Any]:
        """What a vault could not pay of its own inventory's loss is a shortfall of its market, like any other."""
        market = next(name for name, bucket in self.layers.config.markets.items() if bucket == sold.bucket)
        done = self.layers.apply(self.now_ns, last.Shortfall(market, sold.payer, short_micro, "inventory"))
        return [*done.moves, *getattr(done.report, "events", ())]

    def _advance(self, event: Any) -> list[Any]:
        """Time passes for the layers: exits that are due are paid."""
        self.number, self.now_ns = event.number, event.at_ns
        return list(self.layers.apply(event.at_ns, last.Advance()).moves)

    # ------------------------------------------------------------------ state

    def freeze(self) -> DeskState:
        """Everything, for `thaw`. Closings and auctions are shared, not copied: nobody changes them in place."""
        return DeskState(
            self.number,
            self.now_ns,
            self.episodes,
            {name: closing.state for name, closing in self.closings.items()},
            frozen_state.dump(self.layers.machines()).decode(),
            self.house.state(),
            self.ranked.state(),
        )

    def thaw(self, state: DeskState) -> None:
        """Goes on from the state of a desk of the same rules."""
        self.number, self.now_ns, self.episodes = state.number, state.now_ns, state.episodes
        machines = frozen_state.load(state.layers.encode())
        self.layers.restore(machines)
        house = AccountAuctions(self.house.rules, self.house.holes.total_micro, self.house.asset)
        house.restore(state.house)
        self.house = house
        self.ranked = RankedBids(self.ranked.rules, house.asset, house.rules)
        self.ranked.restore(state.ranked)
        self.closings = {name: Closing(name, self.rules_of(each.market), each) for name, each in state.closings.items()}
        self._owners = {each.auction: name for name, each in state.closings.items() if each.auction}

    def snapshot(self) -> bytes:
        """Everything, as bytes."""
        return encode(self.freeze())

    def restore(self, data: bytes) -> None:
        """Goes on from a snapshot of a desk of the same rules."""
        self.thaw(decode(data))

    def digest(self) -> str:
        """SHA-256 of the snapshot: equal states, equal hashes."""
        return hashlib.sha256(self.snapshot()).hexdigest()

    def _closing(self, event: Any) -> Closing | None:
        closing = self.closings.get(event.account)
        if closing is None:
            if not isinstance(event, AccountLook):
                return None
            rules = self.rules_of(event.market)
            if rules.bucket not in self.house.rules or rules.bucket not in self.layers.vaults:
                raise UnknownKey("closing desk, bucket", rules.bucket, "one of the auction house and of the last layers")
            closing = Closing(event.account, rules, ClosingState(episode=self.episodes, market=event.market))
        if isinstance(event, AccountLook):
            if event.market not in self.layers.tranches:
                raise UnknownKey("closing desk, market", event.market, "one with a tranche")
            last.check_winners(event.winners)
        return closing

    # ------------------------------------------------------------------ commands

    def _carry_out(self, outcomes: Sequence[Any]) -> list[Any]:
        out: list[Any] = []
        for outcome in outcomes:
            if not isinstance(outcome, Command):
                out.append(outcome)
                continue
            moves, said = self._execute(outcome)
            out += moves
            out += self._carry_out(self.closings[outcome.account].answer(outcome.id, said))
        return out

    def _execute(self, command: Command) -> tuple[list[Any], Any]:
        event = command.event
        if isinstance(event, last.Shortfall):
            done = self.layers.apply(self.now_ns, event)
            return list(done.moves), done.report
        if isinstance(event, HandOver):
            return self._hand_over(event)
        if isinstance(event, Renew):
            sale = self.house.sales[event.auction]
            event = Look(
                auction=event.auction, version=sale.version, legs=event.legs, cash_micro=event.cash_micro,
                health_micro=event.health_micro, at_ns=self.now_ns,
            )  # fmt: skip
        return self._house(event), None

    def _house(self, event: Any) -> list[Any]:
        """An event to the house; the closings concerned hear what it said, and the fund's side of it goes through the layers."""
        out: list[Any] = []
        market = ""
        for outcome in self._ranked(event) if isinstance(event, _RANKED_EVENTS) else self.ranked.through(self.house, event):
            out.append(outcome)
            if isinstance(outcome, Started):
                self._owners[outcome.auction] = outcome.owner
            closing = self.closings.get(self._owners.get(getattr(outcome, "auction", 0), ""))
            if closing is not None:
                closing.news([outcome])
            if isinstance(outcome, Ended):
                self._owners.pop(outcome.auction, None)
            elif isinstance(outcome, Sold) and closing is not None and closing.state.look is not None:
                market = closing.state.look.market
            elif isinstance(outcome, Transfer) and FUND in (outcome.payer, outcome.payee):
                out += self._fund(outcome, market)
        return out

    def _ranked(self, event: FileRanked | CancelRanked | Designate) -> list[Any]:
        """Bids of the tick that is over are cleared first, as before any event of the house."""
        return self.ranked.pass_time(self.house, event.at_ns) + self.ranked.apply(event)

    def _fund(self, move: Transfer, market: str) -> list[Any]:
        """The auctions' fund keeps nothing: fees go on to the global fund, pay for bidders comes from the layers."""
        if move.payee == FUND:
            return list(self.layers.apply(self.now_ns, last.Income(FUND, move.amount_micro)).moves)
        done = self.layers.apply(self.now_ns, last.Shortfall(market, FUND, move.amount_micro, "auctions"))
        return [*done.moves, *getattr(done.report, "events", ())]

    def _hand_over(self, event: HandOver) -> tuple[list[Any], bool | None]:
        """All positions or none. Whoever owns the account keeps the auction's floor of its equity; the rest is margin."""
        out: list[Any] = []
        if event.auction:
            out += self._house(Cancel(auction=event.auction, at_ns=self.now_ns, cause="backstop"))
            if any(isinstance(each, Sold) and each.auction == event.auction for each in out):
                return out, None  # bids of the tick before came first: what is left is for the next look to say
        held = [each for each in event.positions if each.lots]
        kept = max(event.equity_micro, 0) * self.house.rules[event.bucket].floor_ppm // PPM
        margin = max(0, event.equity_micro - kept - len(held))  # a micro for the rounding of each delivery
        weights = [max(each.maintenance_micro, 0) + 1 for each in held]
        takes = [
            last.TakeOver(event.bucket, event.account, each.symbol, each.lots, each.mark_nano, part, each.maintenance_micro)
            for each, part in zip(held, reserve.allocate(margin, weights))
        ]
        # the providers' cover is looked at as each comes in, so a copy is asked first: a hedge is never taken by halves
        trial = last.Layers(self.layers.config)
        trial.restore(frozen_state.load(frozen_state.dump(self.layers.machines())))
        try:
            for take in takes:
                trial.apply(self.now_ns, take)
        except BadNumber:
            return out, False
        inventory = f"inventory:{event.bucket}"
        for each, take in zip(held, takes):
            nano = each.lots * each.mark_nano
            out.append(Delivery(event.account, inventory, each.symbol, each.lots, "backstop", max(each.mark_nano, 0)))
            out += pay(inventory, event.account, self.house.asset, max(nano // 1000, 0), "backstop")
            out += pay(event.account, inventory, self.house.asset, max(-(nano // 1000), 0), "backstop")
            out += self.layers.apply(self.now_ns, take).moves
        return out, True

    def _fee(self, closing: Closing, event: Filled, reserve_nano: int) -> list[Any]:
        """The liquidation fee of a slice, never beyond its reserve, to the market's tranche."""
        look = closing.state.look
        fee = reserve.capped_fee(event.proceeds_micro, -(event.lots * reserve_nano // 1000), self.fee_ppm)
        if look is None or not fee:
            return []
        return list(self.layers.apply(self.now_ns, last.Income(closing.account, fee, look.market)).moves)
