"""A venue in memory for keepers: real auctions, real standing bids, a plain ledger, signatures checked; time goes when a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from liquidation.account_walk import Ledger
from seawall.client.errors import ServiceError, Unreachable
from seawall.client.keyfile import PrivateKey
from seawall.core.signing import BidTerms, CancelTerms, RankedTerms
from seawall.core.times import SECOND_NS
from seawall.core.units import format_micro, format_nano
from seawall.keeper.opportunity import Contract, Opportunity, read_auctions
from seawall.keeper.venue import Answer, Identity, Me, News, Standing
from seawall.liquidation.account_auction import AccountAuctions, AccountSale, Look, StartAccount
from seawall.liquidation.account_slices import Leg, value_of
from seawall.liquidation.auction_events import Bid, Ended, Refused, Settle, Sold, Started
from seawall.liquidation.auction_rules import AccountRules, KeeperRules
from seawall.liquidation.curves import RAY, two_leg
from seawall.liquidation.ranked import RankedBids
from seawall.liquidation.ranked_events import CancelRanked, FileRanked, RankedRules
from seawall.server.keepers.notary import Notary

D = Decimal
UNIT = 10**6
START_NS = 10**18
BUCKETS = ("major",)
RATE_PPM = 50_000  # maintenance, of the gross notional
RULES = AccountRules(
    curve=two_leg(RAY * 98 // 100, RAY * 8 // 10, 60 * SECOND_NS, 600 * SECOND_NS), insolvent_ns=60 * SECOND_NS,
    tail_ns=660 * SECOND_NS, keeper=KeeperRules(chip_ppm=1_000), dust_micro=10 * UNIT,
)  # fmt: skip


class Memory:
    """One house, its standing bids, everybody's cash and lots. A lot of X is one X."""

    def __init__(self, folder: Path, rules: AccountRules = RULES, *, name: str = "memory") -> None:
        self.house = AccountAuctions({"major": rules}, 10**15, "USD")
        self.ranked = RankedBids(RankedRules(), "USD", BUCKETS)
        self.ledger = Ledger()
        self.notary = Notary(name, folder / "venue.key")
        self.marks = {"X": 100 * 10**9, "Y": 50 * 10**9}
        self.now_ns = START_NS
        self.sequence = 0
        self.owners: dict[int, str] = {}
        self.keys: dict[str, str] = {}
        self.nonces: dict[str, Answer] = {}
        self.listeners: list[asyncio.Queue[News]] = []
        self.out: list[Any] = []
        self.given: dict[str, int] = {}

    # ------------------------------------------------------------------ what a test does

    def keeper(self, account: str, cash: int, key: PrivateKey) -> MemoryVenue:
        """A keeper with so much cash, and its way in."""
        self.keys[account] = key.public
        self.ledger.cash[account] = self.given[account] = cash * UNIT
        return MemoryVenue(self, account)

    def fail(self, owner: str, lots: dict[str, int], equity: int) -> None:
        """An account that fails now, with these positions and this equity."""
        for name, size in lots.items():
            self.ledger.lots[owner, name] = size
        legs = self.legs(owner)
        self.ledger.cash[owner] = equity * UNIT - value_of(legs, 0)
        self.apply(
            StartAccount(
                owner=owner, keeper="", bucket="major", legs=legs, cash_micro=self.ledger.cash[owner],
                health_micro=self.health(owner), breached_ns=self.now_ns, at_ns=self.now_ns,
            )  # fmt: skip
        )

    def beat(self, seconds: float = 1.0) -> None:
        """Time goes on; bids of the tick are cleared; what is open is looked at again."""
        self.now_ns += int(seconds * SECOND_NS)
        self.apply(Settle(at_ns=self.now_ns))
        for sale in list(self.house.sales.values()):
            cash = self.ledger.cash[sale.owner]
            self.apply(
                Look(auction=sale.number, version=sale.version, legs=self.legs(sale.owner), cash_micro=cash,
                     health_micro=self.health(sale.owner), at_ns=self.now_ns)
            )  # fmt: skip

    # ------------------------------------------------------------------ inside

    def apply(self, event: Any) -> list[Any]:
        out = self.ranked.through(self.house, event)
        self.sequence += 1
        self.post(out)
        return out

    def post(self, out: list[Any]) -> None:
        self.ledger.post(out)
        self.out += out
        for said in out:
            if isinstance(said, Started):
                self.owners[said.auction] = said.owner
                self.tell("started", auction=said.auction)
            elif isinstance(said, Sold):
                share, paid = format_nano(said.amount), format_micro(said.paid_micro)
                self.tell("sold", auction=said.auction, bidder=said.bidder, share=share, paid=paid)
            elif isinstance(said, Ended):
                self.tell("ended", auction=said.auction, cause=said.cause)

    def tell(self, what: str, **data: Any) -> None:
        for queue in self.listeners:
            queue.put_nowait(News(what, self.sequence, self.now_ns, data))

    def legs(self, who: str) -> tuple[Leg, ...]:
        return tuple(Leg(name, self.ledger.lots.get((who, name), 0), mark) for name, mark in self.marks.items())

    def equity(self, who: str) -> int:
        return value_of(self.legs(who), self.ledger.cash.get(who, 0))

    def requirement(self, who: str) -> int:
        return sum(abs(leg.lots * leg.value_nano) for leg in self.legs(who)) // 1000 * RATE_PPM // 10**6

    def health(self, who: str) -> int:
        return self.equity(who) - self.requirement(who)

    def view(self, sale: AccountSale) -> dict[str, Any]:
        house, at = self.house, self.now_ns
        return {
            "auction": sale.number, "owner": sale.owner, "bucket": sale.bucket, "insolvent": sale.insolvent, "version": sale.version,
            "elapsed_s": sale.clock.elapsed(at) / SECOND_NS, "price": format_micro(house.price_of(sale, at)),
            "share_most": format_nano(house.most_ppb(sale, at)), "value": format_micro(sale.value_micro),
            "requirement": format_micro(sale.requirement_micro), "health": format_micro(sale.health_micro), "due": sale.due,
            "fresh": sale.fresh, "cash": format_micro(sale.cash_micro), "bids": len(house.pending.get(sale.number, ())), "curve": [],
            "legs": [
                {"instrument": leg.instrument, "quantity": str(leg.lots), "mark": format_nano(leg.value_nano)}
                for leg in sale.legs if leg.lots
            ],
        }  # fmt: skip


class MemoryVenue:
    """The way in of one keeper: `seawall.keeper.venue.Venue`. down: nothing is answered; dumb: no news comes."""

    def __init__(self, memory: Memory, account: str) -> None:
        self.memory, self.account = memory, account
        self.down = self.dumb = self.closed = False
        self.forge = False
        self.sent: list[tuple[Any, str]] = []

    def _up(self) -> None:
        if self.down:
            raise Unreachable("memory", "down")

    async def identity(self) -> Identity:
        self._up()
        return Identity(self.memory.notary.venue, self.memory.notary.public)

    async def contracts(self) -> dict[str, Contract]:
        self._up()
        return {name: Contract(name, D(1)) for name in self.memory.marks}

    async def auctions(self) -> list[Opportunity]:
        self._up()
        sales = [self.memory.view(sale) for sale in self.memory.house.sales.values()]
        return read_auctions({"at_ns": self.memory.now_ns, "auctions": sales})

    async def me(self, account: str) -> Me:
        self._up()
        memory = self.memory
        equity = memory.equity(account)
        free = D(equity - 2 * memory.requirement(account)) / UNIT
        return Me(
            at_ns=memory.now_ns, equity=D(equity) / UNIT, free=free, cash=max(free, D(0)),
            inventory={leg.instrument: D(leg.lots) for leg in memory.legs(account) if leg.lots},
            marks={name: D(mark) / 10**9 for name, mark in memory.marks.items()},
        )  # fmt: skip

    async def free_after(self, account: str, trades: Mapping[str, Decimal], deposit: Decimal) -> Decimal:
        self._up()
        gross = D(0)
        for leg in self.memory.legs(account):
            gross += abs(leg.lots + trades.get(leg.instrument, D(0))) * leg.value_nano / 10**9
        return D(self.memory.equity(account)) / UNIT + deposit - 2 * gross * RATE_PPM / 10**6

    def _signed(self, terms: Any, signature: str) -> Answer | None:
        self._up()
        self.sent.append((terms, signature))
        memory = self.memory
        fault = memory.notary.fault(terms, signature, memory.keys[self.account], memory.now_ns)
        if fault or terms.bidder != self.account:
            raise ServiceError(403, {"code": "signature", "place": "signature", "found": fault, "expected": "a valid one"})
        done = memory.nonces.get(terms.nonce)
        return None if done is None else Answer(done.sequence, done.at_ns, done.reason, done.receipt, True)

    def _answer(self, terms: Any, out: list[Any], reason: str) -> Answer:
        memory = self.memory
        signed = "0" * 64 if self.forge else terms.digest()
        answer = Answer(memory.sequence, memory.now_ns, reason, memory.notary.receipt(signed, memory.sequence, memory.now_ns))
        memory.nonces[terms.nonce] = answer
        return answer

    async def bid(self, terms: BidTerms, signature: str) -> Answer:
        done = self._signed(terms, signature)
        if done is not None:
            return done
        memory = self.memory
        free = max(0, memory.equity(self.account) - 2 * memory.requirement(self.account))
        bid = Bid(
            auction=terms.auction, bidder=terms.bidder, amount=terms.share_ppb, limit=terms.limit_micro, version=terms.version,
            free_micro=free, at_ns=memory.now_ns,
        )  # fmt: skip
        out = memory.apply(bid)
        return self._answer(terms, out, _reason(out, "bid", terms.bidder))

    async def file(self, terms: RankedTerms, signature: str) -> Answer:
        done = self._signed(terms, signature)
        if done is not None:
            return done
        memory = self.memory
        fields = {name: getattr(terms, name) for name in ("bidder", "id", "bucket", "size_micro", "share_ppm", "insolvent_ppm")}
        event = FileRanked(
            **fields, budget_micro=terms.budget_micro, until_ns=terms.until_ns, at_ns=memory.now_ns,
            free_micro=memory.equity(self.account) - 2 * memory.requirement(self.account),
        )  # fmt: skip
        out = memory.ranked.apply(event)
        memory.sequence += 1
        memory.post(out)
        return self._answer(terms, out, _reason(out, "file-ranked", terms.bidder))

    async def cancel(self, terms: CancelTerms, signature: str) -> Answer:
        done = self._signed(terms, signature)
        if done is not None:
            return done
        out = self.memory.ranked.apply(CancelRanked(bidder=terms.bidder, id=terms.id, at_ns=self.memory.now_ns))
        self.memory.sequence += 1
        self.memory.post(out)
        return self._answer(terms, out, _reason(out, "cancel-ranked", terms.bidder))

    async def standing(self, account: str) -> list[Standing]:
        self._up()
        mine = [each for each in self.memory.ranked.standing.values() if each.bidder == account]
        return [Standing(each.id, each.bucket, D(each.size_micro) / UNIT, D(each.budget_micro) / UNIT, each.until_ns) for each in mine]

    async def news(self) -> AsyncIterator[News]:
        queue: asyncio.Queue[News] = asyncio.Queue()
        self.memory.listeners.append(queue)
        while True:
            found = await queue.get()
            if not self.dumb:
                yield found

    async def close(self) -> None:
        self.closed = True


def _reason(out: list[Any], event: str, who: str) -> str:
    return next((each.reason for each in out if isinstance(each, Refused) and (each.event, each.who) == (event, who)), "")
