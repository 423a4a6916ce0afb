"""The plumbing of auctions of any kind: ticks, bids pooled and cleared at one price, breaker, stopped clocks, caps.

A house is a state machine: `apply(event)` gives outcomes and changes nothing else. Bids of one tick wait until the tick
is over, so that who was first inside it does not matter; they are checked when they come and cleared together. What is
sold, and what it costs, is its subclass's (`collateral_auction.py`, `account_auction.py`).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from seawall.core.errors import InputError, StaleEvent, invariant
from seawall.liquidation.auction_events import (
    BackstopDue,
    Bid,
    Cancel,
    Ended,
    Oracle,
    Outcome,
    Refused,
    Restart,
    SetBreaker,
    Settle,
    TakeOver,
)
from seawall.liquidation.auction_parts import ActiveList, Breaker, Clock, Holes

__all__ = ["FUND", "House", "HouseState", "OpenSale"]

FUND = "liquidation fund"
"""Takes penalties and fees that no keeper claims; pays bidders for accounts below nothing. The waterfall fills it."""


class OpenSale(Protocol):
    """What the house must know of anything that it auctions."""

    @property
    def number(self) -> int: ...
    @property
    def owner(self) -> str: ...
    @property
    def bucket(self) -> str: ...
    @property
    def affiliates(self) -> tuple[str, ...]: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def version(self) -> int: ...
    @property
    def due(self) -> bool: ...
    @property
    def open_micro(self) -> int: ...


S = TypeVar("S", bound=OpenSale)


class HouseState(msgspec.Struct, Generic[S], frozen=True):
    """All that a house remembers, for a snapshot: with the events after it the same outcomes follow."""

    now_ns: int
    next_number: int
    sales: tuple[S, ...]
    breaker: Breaker
    stale: tuple[str, ...]
    pending: tuple[Bid, ...]


class House(ABC, Generic[S]):
    """Open auctions of one kind.

    Invariants: time never goes back; what the holes count is what the open auctions have open; an auction's version
    rises with every change of what a bidder would get.
    """

    def __init__(self, total_hole_micro: int) -> None:
        self.now_ns = 0
        self.sales: dict[int, S] = {}
        self.active = ActiveList()
        self.holes = Holes(total_hole_micro)
        self.breaker = Breaker()
        self.stale: set[str] = set()
        self.pending: dict[int, list[Bid]] = {}
        self.running: dict[str, int] = {}  # how many auctions an owner has open
        self.next_number = 1

    def apply(self, event: Any) -> list[Outcome]:
        """One event. Raises StaleEvent for one older than the last, InputError for one of no known kind."""
        out = self.advance(event.at_ns)
        if isinstance(event, Settle):
            out += self._settle()
        known: dict[Any, Callable[[Any], list[Outcome]]] = {
            **self._own_events(),
            Bid: self._bid,
            TakeOver: self._take_over,
            Restart: self._restart,
            Oracle: self._oracle,
            SetBreaker: self._set_breaker,
            Cancel: self._cancel,
            Settle: self._call_backstop,
        }
        handle = known.get(type(event))
        if handle is None:
            raise InputError("auction event", type(event).__name__, "an event of auctions")
        return out + handle(event)

    def advance(self, at_ns: int) -> list[Outcome]:
        """Time goes on: bids of a tick that is over are cleared. Raises StaleEvent for a time that has been."""
        if at_ns < self.now_ns:
            raise StaleEvent("auction event", f"{at_ns} ns", f"a time at or after {self.now_ns} ns")
        out = self._settle() if at_ns > self.now_ns else []
        self.now_ns = at_ns
        return out

    def state(self) -> HouseState[S]:
        """The present state; open auctions in the order in which they are listed."""
        return HouseState(
            self.now_ns,
            self.next_number,
            tuple(self.sales[number] for number in self.active.numbers),
            self.breaker,
            tuple(sorted(self.stale)),
            tuple(bid for bids in self.pending.values() for bid in bids),
        )

    def restore(self, state: HouseState[S]) -> None:
        """Puts a new house where another was; its rules and caps are its own."""
        invariant(not self.sales and not self.now_ns, "only a new house is restored")
        for sale in state.sales:
            self._open(sale)
        self.now_ns, self.next_number, self.breaker = state.now_ns, state.next_number, state.breaker
        self.stale = set(state.stale)
        for bid in state.pending:
            self.pending.setdefault(bid.auction, []).append(bid)

    # ------------------------------------------------------------------ what the subclass says

    @abstractmethod
    def _own_events(self) -> dict[type, Callable[[Any], list[Outcome]]]:
        """Further events: the start, at least."""

    @abstractmethod
    def price_of(self, sale: S, at_ns: int) -> int:
        """What it asks now, in the unit of a bid's limit."""

    @abstractmethod
    def _expired(self, sale: S, at_ns: int) -> bool:
        """Whether nobody may bid until it restarts."""

    @abstractmethod
    def _at_floor(self, sale: S, at_ns: int) -> bool:
        """Whether it asks no less any more."""

    @abstractmethod
    def _bid_fault(self, sale: S, bid: Bid, price: int) -> str | None:
        """What else is wrong with a bid at this price."""

    @abstractmethod
    def _clear(self, sale: S, bids: Sequence[Bid], price: int) -> list[Outcome]:
        """Sells to all of these at one price."""

    @abstractmethod
    def _floor_offer(self, sale: S, at_ns: int) -> tuple[int, int]:
        """Amount and price for the backstop."""

    @abstractmethod
    def _do_restart(self, sale: S, event: Restart) -> list[Outcome] | str:
        """Opens again at the top, or says why not."""

    # ------------------------------------------------------------------ bids

    def _bid(self, bid: Bid) -> list[Outcome]:
        fault = self._fault(bid)
        if fault is not None:
            return [Refused("bid", bid.bidder, fault)]
        self.pending.setdefault(bid.auction, []).append(bid)
        return []

    def _fault(self, bid: Bid) -> str | None:
        sale = self.sales.get(bid.auction)
        if sale is None:
            return "not-running-auction"
        if not self.breaker.may_bid:
            return "stopped-by-breaker"
        if sale.bucket in self.stale:
            return "oracle-stale"
        if bid.version != sale.version:
            return "state-changed"
        if bid.amount <= 0 or bid.free_micro < 0:
            return "empty-bid"
        if self._expired(sale, bid.at_ns):
            return "needs-reset"
        if any(other.bidder == bid.bidder for other in self.pending.get(bid.auction, ())):
            return "bids-twice-in-a-tick"
        price = self.price_of(sale, bid.at_ns)
        if bid.limit < price:
            return "too-expensive"
        return self._bid_fault(sale, bid, price)

    def _settle(self) -> list[Outcome]:
        """Clears the bids of the tick that is over, auction by auction in the order of their numbers."""
        out: list[Outcome] = []
        for number in sorted(self.pending):
            out += self._clear_pending(number)
        return out

    def _clear_pending(self, number: int) -> list[Outcome]:
        """The bids that wait for one auction; figures may have changed since they came, so limits are looked at again."""
        sale, bids = self.sales[number], self.pending.pop(number)
        price = self.price_of(sale, self.now_ns)
        out: list[Outcome] = [Refused("bid", bid.bidder, "too-expensive") for bid in bids if bid.limit < price]
        bids = [bid for bid in bids if bid.limit >= price]
        return out + (self._clear(sale, bids, price) if bids else [])

    # ------------------------------------------------------------------ the backstop

    def calls(self, at_ns: int) -> bool:
        """Whether a `Settle` at this time would call the backstop for somebody."""
        waiting = (sale for sale in self.sales.values() if not sale.due and sale.bucket not in self.stale)
        return any(self._at_floor(sale, at_ns) or self._expired(sale, at_ns) for sale in waiting)

    def _call_backstop(self, event: Settle) -> list[Outcome]:
        """Says once per version which auctions nobody took down to their floor or in their time.

        Looks at all that are open, so only when told to: how often is the caller's choice.
        """
        out: list[Outcome] = []
        for number in list(self.active.numbers):
            sale = self.sales[number]
            if sale.due or sale.bucket in self.stale:
                continue
            if self._at_floor(sale, self.now_ns) or self._expired(sale, self.now_ns):
                self._keep(sale, due=True)
                out.append(BackstopDue(number, *self._floor_offer(sale, self.now_ns)))
        return out

    def _take_over(self, event: TakeOver) -> list[Outcome]:
        sale = self.sales.get(event.auction)
        fault = None
        if sale is None:
            fault = "not-running-auction"
        elif not self.breaker.may_bid:
            fault = "stopped-by-breaker"
        elif sale.bucket in self.stale:
            fault = "oracle-stale"
        elif not sale.due:
            fault = "not-called"
        elif event.amount <= 0:
            fault = "empty-bid"
        if sale is None or fault is not None:
            return [Refused("take-over", event.taker, str(fault))]
        out: list[Outcome] = []
        if event.auction in self.pending:  # bids of this tick come before the backstop
            out += self._clear_pending(event.auction)
            sale = self.sales.get(event.auction)
        if sale is None or not sale.due:
            return [*out, Refused("take-over", event.taker, "sold-to-bidders")]
        amount, price = self._floor_offer(sale, event.at_ns)
        bid = Bid(
            auction=event.auction, bidder=event.taker, amount=min(event.amount, amount), limit=price,
            version=sale.version, free_micro=event.free_micro, at_ns=event.at_ns,
        )  # fmt: skip
        fault = self._bid_fault(sale, bid, price)
        if fault is not None:
            return [*out, Refused("take-over", event.taker, fault)]
        return out + self._clear(sale, [bid], price)

    # ------------------------------------------------------------------ restart, clock, breaker, end

    def _restart(self, event: Restart) -> list[Outcome]:
        sale = self.sales.get(event.auction)
        fault: str | None = None
        if sale is None:
            fault = "not-running-auction"
        elif not self.breaker.may_restart:
            fault = "stopped-by-breaker"
        elif sale.bucket in self.stale:
            fault = "oracle-stale"
        elif not self._expired(sale, event.at_ns):
            fault = "cannot-reset"
        if sale is None or fault is not None:
            return [Refused("restart", event.keeper, str(fault))]
        done = self._do_restart(sale, event)
        return [Refused("restart", event.keeper, done)] if isinstance(done, str) else done

    def _oracle(self, event: Oracle) -> list[Outcome]:
        (self.stale.discard if event.live else self.stale.add)(event.bucket)
        for number in self.active.numbers:
            sale = self.sales[number]
            if sale.bucket == event.bucket:
                self._keep(sale, clock=sale.clock.go(event.at_ns) if event.live else sale.clock.stop(event.at_ns))
        if event.live:
            return []
        out: list[Outcome] = []
        for number in sorted(self.pending):  # a price that is not known any more clears nothing
            if self.sales[number].bucket == event.bucket:
                out += [Refused("bid", bid.bidder, "oracle-stale") for bid in self.pending.pop(number)]
        return out

    def _set_breaker(self, event: SetBreaker) -> list[Outcome]:
        self.breaker = Breaker(event.level)
        if self.breaker.may_bid:
            return []
        bids = [bid for number in sorted(self.pending) for bid in self.pending[number]]
        self.pending.clear()
        return [Refused("bid", bid.bidder, "stopped-by-breaker") for bid in bids]

    def _cancel(self, event: Cancel) -> list[Outcome]:
        sale = self.sales.get(event.auction)
        if sale is None:
            return [Refused("cancel", str(event.auction), "not-running-auction")]
        bids = self.pending.pop(event.auction, [])
        refused: list[Outcome] = [Refused("bid", bid.bidder, "not-running-auction") for bid in bids]
        return refused + self._end(sale, event.cause)

    # ------------------------------------------------------------------ state

    def _open(self, sale: S) -> None:
        self.sales[sale.number] = sale
        self.active.add(sale.number)
        self.holes.add(sale.bucket, sale.open_micro)
        self.running[sale.owner] = self.running.get(sale.owner, 0) + 1
        self.next_number = sale.number + 1

    def _keep(self, sale: S, **changes: Any) -> S:
        """The sale with changes; what the holes count follows."""
        changed: S = msgspec.structs.replace(sale, **changes)  # type: ignore[type-var]
        self.holes.release(sale.bucket, sale.open_micro - changed.open_micro)
        self.sales[sale.number] = changed
        return changed

    def _close(self, sale: S) -> None:
        self.holes.release(sale.bucket, sale.open_micro)
        self.active.remove(sale.number)
        self.running[sale.owner] -= 1
        if not self.running[sale.owner]:
            del self.running[sale.owner]
        del self.sales[sale.number]

    @abstractmethod
    def _end(self, sale: S, cause: str) -> list[Outcome]:
        """Closes the sale and says what is left: an `Ended`, and what must be paid out at the end."""


def ended(sale: OpenSale, cause: str, left: int, uncovered_micro: int) -> Ended:
    """The last word about an auction."""
    return Ended(auction=sale.number, cause=cause, left=left, uncovered_micro=uncovered_micro)
