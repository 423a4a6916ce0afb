"""Standing bids filed before anybody fails: what a bidder takes of a risk bucket, at what price, with its money put aside.

At the start of an auction and as its price falls, those whose limit is reached become bids of that tick (`Bid.priority`): the
best limits are served first, equal ones in proportion, all at the auction's price, and before bids that come live. The
budget lies with the venue from the filing on, so that a standing bid is money and not a promise. Decision 31.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable
from itertools import takewhile
from typing import Any

import msgspec

from seawall.core.errors import InputError, invariant
from seawall.core.units import PPM
from seawall.liquidation.account_auction import AccountAuctions, AccountSale
from seawall.liquidation.account_slices import PPB
from seawall.liquidation.auction_events import Bid, Refused, Settle, Sold, Started
from seawall.liquidation.ranked_events import (
    CancelRanked,
    Designate,
    Dropped,
    Filed,
    FileRanked,
    InPlay,
    Ranked,
    RankedRules,
    RankedState,
)
from seawall.liquidation.transfers import pay

__all__ = ["ESCROW", "RankedBids"]

ESCROW = "ranked bids"
"""Holds the budgets of all standing bids."""

_LASTING = ("takes-nothing", "no-cash", "self-bid", "self-bid-below-oracle", "empty-bid")  # as long as the auction does not change


class RankedBids:
    """Standing bids of one house of auctions.

    Invariants: what the escrow holds is Σ of their budgets; what is in play of one is within its budget and its size; none
    pays above its limit, or for more requirement than its size.
    """

    def __init__(self, rules: RankedRules, asset: str, buckets: Container[str]) -> None:
        self.rules, self.asset, self.buckets = rules.checked(), asset, buckets
        self.standing: dict[tuple[str, str], Ranked] = {}
        self.in_play: dict[tuple[int, str], InPlay] = {}  # by auction and bidder
        self.designated: dict[tuple[str, str], Designate] = {}  # by bidder and bucket
        self._tried: dict[int, set[tuple[int, str, str]]] = {}  # auction → version, bidder, id that it does not serve
        self._filed = 0
        self._order: dict[tuple[str, bool], list[tuple[str, str]]] = {}  # (bucket, insolvent) → best first; made when asked for
        self._first_until: int | None = None
        self._of: dict[str, int] = {}  # how many a bidder has

    # ------------------------------------------------------------------ filing

    def apply(self, event: FileRanked | CancelRanked | Designate) -> list[Any]:
        """Files, takes back or registers. Raises InputError for no such event."""
        if isinstance(event, FileRanked):
            return self._file(event)
        if isinstance(event, CancelRanked):
            return self._cancel(event)
        if isinstance(event, Designate):
            key = (event.bidder, event.bucket)
            if event.size_micro > 0:
                self.designated[key] = event
            else:
                self.designated.pop(key, None)
            return []
        raise InputError("ranked bids", type(event).__name__, "a filing, a cancellation or a designation")

    def _file(self, event: FileRanked) -> list[Any]:
        fault = self._fault(event)
        if fault is not None:
            return [Refused("file-ranked", event.bidder, fault)]
        self._filed += 1
        bid = Ranked(
            bidder=event.bidder, id=event.id, bucket=event.bucket, size_micro=event.size_micro, share_ppm=event.share_ppm,
            insolvent_ppm=event.insolvent_ppm, budget_micro=event.budget_micro, until_ns=event.until_ns, filed=self._filed,
        )  # fmt: skip
        self.standing[bid.bidder, bid.id] = bid
        self._of[bid.bidder] = self._of.get(bid.bidder, 0) + 1
        self._changed()
        return [Filed(bid.bidder, bid.id), *pay(bid.bidder, ESCROW, self.asset, bid.budget_micro, "ranked bid filed")]

    def _fault(self, event: FileRanked) -> str | None:
        mine = self._of.get(event.bidder, 0)
        if not event.bidder or not event.id:
            return "no-name"
        if event.bucket not in self.buckets:
            return "no-such-bucket"
        if (event.bidder, event.id) in self.standing:
            return "filed-already"
        if event.until_ns <= event.at_ns:
            return "over-before-it-begins"
        if not 0 < event.share_ppm <= PPM or not -1 <= event.insolvent_ppm <= PPM:
            return "share-out-of-range"
        if min(event.size_micro, event.budget_micro) < self.rules.least_micro:
            return "too-small"
        if event.budget_micro > event.free_micro:
            return "no-cash"
        if mine >= self.rules.each_most or len(self.standing) >= self.rules.all_most:
            return "too-many"
        return None

    def _cancel(self, event: CancelRanked) -> list[Any]:
        """One, or all of a bidder; not those whose bid waits for its tick to end: a bid cannot be taken back."""
        chosen = [bid for bid in self.standing.values() if bid.bidder == event.bidder and event.id in ("", bid.id)]
        if not chosen and event.id:
            return [Refused("cancel-ranked", event.bidder, "no-such-bid")]
        out: list[Any] = []
        for bid in chosen:
            if self._plays(bid):
                out.append(Refused("cancel-ranked", event.bidder, "in-play"))
            else:
                out += self._drop(bid, "cancelled")
        return out

    def withdraw(self, bidder: str) -> list[Any]:
        """All of a bidder who fails itself; what is in play is cleared first, and is over then."""
        if not self._of.get(bidder):
            return []
        out: list[Any] = []
        for bid in [bid for bid in self.standing.values() if bid.bidder == bidder]:
            if self._plays(bid):
                self.standing[bid.bidder, bid.id] = msgspec.structs.replace(bid, until_ns=0)
                self._first_until = None
            else:
                out += self._drop(bid, "failed")
        return out

    def _drop(self, bid: Ranked, cause: str) -> list[Any]:
        del self.standing[bid.bidder, bid.id]
        self._of[bid.bidder] -= 1
        if not self._of[bid.bidder]:
            del self._of[bid.bidder]
        self._changed()
        return [
            Dropped(bid.bidder, bid.id, cause, bid.size_micro),
            *pay(ESCROW, bid.bidder, self.asset, bid.budget_micro, "ranked bid " + cause),
        ]

    def _plays(self, bid: Ranked) -> bool:
        return any(play.id == bid.id and play.bidder == bid.bidder for play in self.in_play.values())

    # ------------------------------------------------------------------ with the house

    def through(self, house: AccountAuctions, event: Any) -> list[Any]:
        """An event to the house, with the standing bids that it calls up; the house's outcomes and ours.

        They are entered when an auction starts, before a live bid for it, and at the end of each tick for all: so that
        nobody is served before them in a tick in which their limit is reached.
        """
        if not self.standing:
            return house.apply(event)
        out = self.pass_time(house, event.at_ns)
        if isinstance(event, Settle):
            self._enter(house, house.active.numbers, event.at_ns)
        elif isinstance(event, Bid) and event.auction in house.sales:
            self._enter(house, [event.auction], event.at_ns)
        out += self._watched(house, lambda: house.apply(event))
        self._enter(house, [each.auction for each in out if isinstance(each, Started)], event.at_ns)
        return out

    def pass_time(self, house: AccountAuctions, at_ns: int) -> list[Any]:
        """Bids of a tick that is over are cleared, and what has expired goes."""
        return self._watched(house, lambda: house.advance(at_ns)) + self._expire(at_ns)

    def _changed(self) -> None:
        self._order.clear()
        self._first_until = None

    def _expire(self, at_ns: int) -> list[Any]:
        if self._first_until is None:
            self._first_until = min((bid.until_ns for bid in self.standing.values()), default=at_ns + 1)
        if at_ns < self._first_until:
            return []
        over = [bid for bid in self.standing.values() if bid.until_ns <= at_ns and not self._plays(bid)]
        return [each for bid in over for each in self._drop(bid, "expired")]

    def _enter(self, house: AccountAuctions, numbers: Iterable[int], at_ns: int) -> None:
        """Bids of this tick from all whose limit is reached, auction by auction in the order of their numbers."""
        for number in sorted(numbers):
            sale = house.sales[number]
            if not sale.fresh or sale.requirement_micro <= 0 or sale.health_micro >= 0:
                continue
            price = house.price_of(sale, at_ns)
            tried = self._tried.get(number, ())
            for bid in self._reached(sale, price):
                if (sale.version, bid.bidder, bid.id) in tried:
                    continue
                if any(other.bidder == bid.bidder for other in house.pending.get(number, ())):
                    continue
                self._try(house, sale, bid, price, at_ns)

    def _reached(self, sale: AccountSale, price: int) -> list[Ranked]:
        """Those of the bucket that take it at this price, the best limits first, the earlier filed of equal ones."""
        order = self._order.get((sale.bucket, sale.insolvent))
        if order is None:
            mine = [bid for bid in self.standing.values() if bid.bucket == sale.bucket]
            mine = [bid for bid in mine if not sale.insolvent or bid.insolvent_ppm >= 0]
            mine.sort(key=lambda bid: (-_rank(bid, sale), bid.filed))
            order = self._order[sale.bucket, sale.insolvent] = [(bid.bidder, bid.id) for bid in mine]
        bids = (self.standing[key] for key in order)
        return list(takewhile(lambda bid: limit_of(bid, sale) >= price, bids))

    def _try(self, house: AccountAuctions, sale: AccountSale, bid: Ranked, price: int, at_ns: int) -> None:
        plays = [play for play in self.in_play.values() if (play.bidder, play.id) == (bid.bidder, bid.id)]
        size = bid.size_micro - sum(play.size_micro for play in plays)
        budget = bid.budget_micro - sum(play.budget_micro for play in plays)
        amount = min(PPB, size * PPB // sale.requirement_micro)
        if amount <= 0 or budget <= 0:
            return  # all of it is in play elsewhere
        cost = _up(house.needs_micro(sale, price) * amount / PPB)
        live = Bid(
            auction=sale.number, bidder=bid.bidder, amount=amount, limit=limit_of(bid, sale), version=sale.version,
            free_micro=min(budget, cost), at_ns=at_ns, priority=self._priority(bid, sale),
        )  # fmt: skip
        refused = house.apply(live)
        if refused:  # nobody asked for this bid, so nobody is told of it
            self._remember(sale, bid, refused)
            return
        taken = min(size, -(-sale.requirement_micro * amount // PPB))
        self.in_play[sale.number, bid.bidder] = InPlay(bid.bidder, bid.id, sale.number, sale.version, min(budget, cost), taken)

    def _priority(self, bid: Ranked, sale: AccountSale) -> int:
        """By rank; a designated liquidator who keeps what it has promised standing comes before equal ranks, not before better."""
        return 2 * _rank(bid, sale) + self.keeps_promise(bid.bidder, bid.bucket)

    def keeps_promise(self, bidder: str, bucket: str) -> bool:
        """Whether a designated liquidator has the size standing, at the price or better, that it registered with."""
        promise = self.designated.get((bidder, bucket))
        if promise is None:
            return False
        mine = [bid for bid in self.standing.values() if (bid.bidder, bid.bucket) == (bidder, bucket)]
        return sum(bid.size_micro for bid in mine if bid.share_ppm >= promise.share_ppm) >= promise.size_micro

    # ------------------------------------------------------------------ what became of them

    def _watched(self, house: AccountAuctions, act: Callable[[], list[Any]]) -> list[Any]:
        """What the house does, and what that means for standing bids that were in play before it. Their budgets come out
        of the escrow before the house has the bidders pay."""
        before = {number: house.sales[number] for number, _ in self.in_play}
        prices = {number: house.price_of(sale, house.now_ns) for number, sale in before.items()}
        said = act()
        ours: list[Any] = []
        after: list[Any] = []
        for (number, bidder), play in list(self.in_play.items()):
            if any(other.bidder == bidder for other in house.pending.get(number, ())):
                continue
            del self.in_play[number, bidder]
            sold = next((o for o in said if isinstance(o, Sold) and (o.auction, o.bidder) == (number, bidder)), None)
            if sold is None:
                self._remember(before[number], self.standing[bidder, play.id], said)
                continue
            released, dropped = self._use(house, before[number], play, sold, prices[number])
            ours += released
            after += dropped
        for number in [number for number in self._tried if number not in house.sales]:
            del self._tried[number]
        return ours + said + after

    def _use(self, house: AccountAuctions, sale: AccountSale, play: InPlay, sold: Sold, price: int) -> tuple[list[Any], list[Any]]:
        """Its price and the margin for what it took leave the escrow; (that, what is said where it is used up)."""
        bid = self.standing[play.bidder, play.id]
        cost = min(play.budget_micro, _up(house.needs_micro(sale, price) * sold.amount / PPB))
        removed = min(play.size_micro, -(-sale.requirement_micro * sold.amount // PPB))
        left = msgspec.structs.replace(bid, budget_micro=bid.budget_micro - cost, size_micro=bid.size_micro - removed)
        invariant(left.budget_micro >= 0 and left.size_micro >= 0, "a ranked bid takes no more than it was filed for", bid.id)
        self.standing[bid.bidder, bid.id] = left
        released = list(pay(ESCROW, bid.bidder, self.asset, cost, "ranked bid used"))
        over = min(left.size_micro, left.budget_micro) < self.rules.least_micro
        return released, self._drop(left, "used up") if over and not self._plays(left) else []

    def _remember(self, sale: AccountSale, bid: Ranked, said: Iterable[Any]) -> None:
        """What this version of an auction will not serve is not offered to it at every tick again."""
        if any(isinstance(o, Refused) and o.who == bid.bidder and o.reason in _LASTING for o in said):
            self._tried.setdefault(sale.number, set()).add((sale.version, bid.bidder, bid.id))

    # ------------------------------------------------------------------ state

    def state(self) -> RankedState:
        """Everything, for a snapshot."""
        tried = sorted((auction, *each) for auction, some in self._tried.items() for each in some)
        return RankedState(
            self._filed, tuple(self.standing.values()), tuple(self.in_play.values()), tuple(self.designated.values()), tuple(tried)
        )

    def restore(self, state: RankedState) -> None:
        """Puts a new one where another was."""
        invariant(not self.standing and not self._filed, "only new ranked bids are restored")
        self._filed = state.filed
        self.standing = {(bid.bidder, bid.id): bid for bid in state.standing}
        self._of = dict(Counter(bid.bidder for bid in state.standing))
        self.in_play = {(play.auction, play.bidder): play for play in state.in_play}
        self.designated = {(each.bidder, each.bucket): each for each in state.designated}
        for auction, version, bidder, id in state.tried:
            self._tried.setdefault(auction, set()).add((version, bidder, id))

    @property
    def escrow_micro(self) -> int:
        """What must lie in the escrow."""
        return sum(bid.budget_micro for bid in self.standing.values())


def limit_of(bid: Ranked, sale: AccountSale) -> int:
    """The limit of a bid in this auction, micro for the whole, rounded down, against the bidder's price.

    A share of the value for sale; where the account is worth nothing, minus the deficit and a share of the requirement: the
    least that it must be paid. Nothing is low enough for a bid that does not take such accounts.
    """
    if not sale.insolvent:
        return max(0, sale.value_micro - sale.reserved_micro) * bid.share_ppm // PPM
    if bid.insolvent_ppm < 0:
        return -(2**62)
    return min(sale.value_micro, 0) - -(-sale.requirement_micro * bid.insolvent_ppm // PPM)


def _rank(bid: Ranked, sale: AccountSale) -> int:
    """1 to PPM + 1; higher is better for whoever is sold."""
    return PPM - bid.insolvent_ppm + 1 if sale.insolvent else bid.share_ppm


def _up(number: Any) -> int:
    return int(-(-number // 1))
