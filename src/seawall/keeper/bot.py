"""The reference keeper: looks at what is on sale, lets a strategy decide, cuts it to the limits, asks the venue what it would do to its
own account, signs, sends, and keeps books of what came of it.

One loop, one bid per auction and version at a time. Whatever the stream loses is found again by looking: the stream only says when
to look. It stops at once for what trying again cannot mend (a key that is refused, a receipt that is not the venue's), waits longer
and longer for a venue that does not answer, and ends in order when it is told to: no new bid, standing ones taken back, books closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from seawall.client.errors import ServiceError, Unreachable
from seawall.client.keyfile import PrivateKey
from seawall.core.errors import SeawallError
from seawall.core.signing import BidTerms, ReceiptTerms, sign, signed_by
from seawall.keeper.accounting import Books
from seawall.keeper.limits import Limits, Open, cut
from seawall.keeper.log import Log
from seawall.keeper.opportunity import ONE, ZERO, Contract, Opportunity, View, slice_of
from seawall.keeper.standing import StandingBids
from seawall.keeper.strategy import Strategy, Wish
from seawall.keeper.venue import Answer, Identity, News, Venue

__all__ = ["BadReceipt", "Hedge", "Keeper", "Pace", "Traded"]

MICRO, PPB = 10**6, 10**9
SECOND_NS = 10**9
NONCE_BYTES = 16
HALVINGS = 3
FATAL = (400, 401, 403, 404, 413)

Traded = tuple[str, Decimal, Decimal, Decimal]
"""A trade of a hedge: instrument, signed quantity, price, fee."""
Hedge = Callable[[Mapping[str, Decimal], View], Awaitable[list[Traded]]]
"""Told what came in and what is held; does what it wants anywhere and says which trades it did."""


class BadReceipt(SeawallError):
    """The venue's answer is not signed by the venue."""

    exit_code = 1


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """busy_s, idle_s: between looks while something is on sale, and otherwise; wait_s: after so long a bid of which nothing was heard
    is over; expiry_s: of a bid's signature; first_s, longest_s: pauses while the venue does not answer."""

    busy_s: float = 0.25
    idle_s: float = 2.0
    wait_s: float = 5.0
    expiry_s: float = 10.0
    first_s: float = 0.5
    longest_s: float = 30.0


class _Waiting(msgspec.Struct, frozen=True):
    version: int
    share: Decimal
    open: Open
    at_ns: int


class Keeper:
    """One account of one venue. `run` until told to stop; `report` at any time."""

    def __init__(
        self, venue: Venue, account: str, key: PrivateKey, strategy: Strategy, limits: Limits, log: Log, *,
        pace: Pace | None = None, hedge: Hedge | None = None, keep_standing: bool = False,
    ) -> None:  # fmt: skip
        self.venue, self.account, self.key, self.strategy = venue, account, key, strategy
        self.limits, self.log, self.pace, self.hedge = limits.checked(), log, pace or Pace(), hedge
        self.books = Books()
        self.counts = {"bids": 0, "refused": 0, "filled": 0, "receipts": 0, "unreachable": 0, "looks": 0}
        self.identity = Identity("", "")
        self._contracts: dict[str, Contract] = {}
        self._seen: dict[int, Opportunity] = {}
        self._waiting: dict[int, _Waiting] = {}
        self._fills: list[tuple[News, Opportunity]] = []
        self._unseen: list[News] = []
        self._wake = asyncio.Event()
        self._view: View | None = None
        self._first: tuple[Decimal, dict[str, Decimal]] | None = None  # equity with escrow, and inventory
        self._equity = ZERO
        self._standing = StandingBids(self, keep_standing)

    # ------------------------------------------------------------------ the loop

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set. Raises ServiceError for what trying again cannot mend, BadReceipt for a false receipt."""
        listener: asyncio.Task[None] | None = None
        tried = 0
        try:
            while not stop.is_set():
                try:
                    if not self.identity.venue_key:
                        await self.begin()
                    if listener is None:
                        listener = asyncio.create_task(self._listen(), name="news")
                    elif listener.done():
                        listener.result()
                    await self.look()
                    tried, pause = 0, self.pace.busy_s if self._seen else self.pace.idle_s
                except (Unreachable, ServiceError) as error:
                    if isinstance(error, ServiceError) and error.status in FATAL:
                        raise
                    self.counts["unreachable"] += 1
                    pause = min(self.pace.first_s * 2**tried, self.pace.longest_s)
                    self.log("unreachable", why=str(error), again_s=pause)
                    tried += 1
                await self._rest(stop, pause)
        finally:
            if listener is not None:
                listener.cancel()
                await asyncio.gather(listener, return_exceptions=True)
            await self._end()

    async def begin(self) -> None:
        """Who the venue is, and what it lists."""
        identity, self._contracts = await self.venue.identity(), await self.venue.contracts()
        self.identity = identity
        self.log("begun", venue=identity.venue, venue_key=identity.venue_key, account=self.account, key=self.key.public)

    async def _rest(self, stop: asyncio.Event, seconds: float) -> None:
        waits = [asyncio.ensure_future(stop.wait()), asyncio.ensure_future(self._wake.wait())]
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for each in waits:
            each.cancel()
        self._wake.clear()

    async def _end(self) -> None:
        with contextlib.suppress(Unreachable, ServiceError):
            await self._standing.take_back()
        self.log("ended", **self.counts, totals=self.books.report()["totals"])
        await self.venue.close()

    async def _listen(self) -> None:
        async for news in self.venue.news():
            self.hear(news)

    def hear(self, news: News) -> None:
        """One message of the stream: our fills are kept until the next look, everything else only says that it is time for one."""
        if news.what == "sold" and news.data.get("bidder") == self.account:
            seen = self._seen.get(int(news.data["auction"]))
            if seen is None:
                self._unseen.append(news)
            else:
                self._fills.append((news, seen))
        if news.what in ("sold", "ended") and "auction" in news.data:
            self._waiting.pop(int(news.data["auction"]), None)
        self._wake.set()

    # ------------------------------------------------------------------ one look

    async def look(self) -> None:
        """What is on sale, what came in, what to bid for."""
        self.counts["looks"] += 1
        offered = await self.venue.auctions()
        came = await self._settle_fills() or bool(self._seen) or bool(self._unseen)
        now_ns = max((each.at_ns for each in offered), default=0)
        self._seen = {each.auction: each for each in offered}
        self._forget(now_ns)
        if not offered and not came and self._view is not None and not self._standing.due():
            return
        view = await self._look_at_self()
        self._book_unseen(view)
        self._standing.hear(view)
        await self._standing.keep(view)
        for opportunity, wish in self._wishes(offered, view):
            await self._try(opportunity, wish, view)

    async def _look_at_self(self) -> View:
        escrow = await self._standing.refresh()
        me = await self.venue.me(self.account)
        self._equity = me.equity + escrow
        if self._first is None:
            self._first = self._equity, dict(me.inventory)
        self.books.mark(me.marks)
        self._view = View(
            at_ns=me.at_ns, equity=me.equity, free=me.free, cash=me.cash, inventory=me.inventory, marks=me.marks,
            contracts=self._contracts,
        )  # fmt: skip
        return self._view

    def _forget(self, now_ns: int) -> None:
        """Bids whose auction is gone or has changed, or of which nothing was heard for too long."""
        for number, waiting in list(self._waiting.items()):
            seen = self._seen.get(number)
            if seen is None or seen.version != waiting.version or now_ns - waiting.at_ns > self.pace.wait_s * SECOND_NS:
                del self._waiting[number]

    def _wishes(self, offered: list[Opportunity], view: View) -> list[tuple[Opportunity, Wish]]:
        """What the strategy wants, the most profitable first: limits bind, so the order matters."""
        found = []
        for each in offered:
            if not each.fresh or each.auction in self._waiting or each.owner == self.account:
                continue
            wish = self.strategy.wish(each, view)
            if wish is not None and wish.share > 0 and each.price <= wish.limit:
                found.append((each, wish))
        return sorted(found, key=lambda pair: (-(pair[1].limit - pair[0].price) * pair[1].share, pair[0].auction))

    async def _try(self, opportunity: Opportunity, wish: Wish, view: View) -> None:
        found, why = cut(wish, opportunity, view, self.limits, tuple(each.open for each in self._waiting.values()))
        if found is None:
            self.log("no-room", auction=opportunity.auction, why=why)
            return
        share = await self._affordable(opportunity, found.share)
        if share is None:
            self.log("what-if-refused", auction=opportunity.auction, share=found.share)
            return
        await self._send(opportunity, msgspec.structs.replace(found, share=share))

    async def _affordable(self, opportunity: Opportunity, share: Decimal) -> Decimal | None:
        """The share, or a half, a quarter, an eighth of it, that leaves the free collateral that must be left; None for none."""
        for _ in range(HALVINGS + 1):
            trades = {name: quantity for name, quantity in slice_of(opportunity, share, self._contracts).items() if quantity}
            edge = (share * (opportunity.worth - opportunity.price)).quantize(Decimal("0.000001"))
            if trades and await self.venue.free_after(self.account, trades, edge) >= self.limits.free:
                return share
            share = (share / 2).quantize(Decimal("1e-9"))
        return None

    async def _send(self, opportunity: Opportunity, wish: Wish) -> None:
        limit_micro = int((wish.limit * MICRO).to_integral_value(rounding="ROUND_FLOOR"))
        terms = BidTerms(
            venue=self.identity.venue, venue_key=self.identity.venue_key, auction=opportunity.auction,
            version=opportunity.version, share_ppb=int(wish.share * PPB), limit_micro=limit_micro, bidder=self.account,
            nonce=self.nonce(), expires_ns=opportunity.at_ns + int(self.pace.expiry_s * SECOND_NS),
        )  # fmt: skip
        self.log("bid", auction=terms.auction, version=terms.version, share=wish.share, limit=wish.limit, why=wish.why, nonce=terms.nonce)
        cash = opportunity.needs() * wish.share
        opened = Open(slice_of(opportunity, wish.share, self._contracts), cash)
        self._waiting[terms.auction] = _Waiting(terms.version, wish.share, opened, opportunity.at_ns)
        answer = await self.venue.bid(terms, sign(self.key.secret, terms))
        self.counts["bids"] += 1
        self.check(answer, terms.digest())
        if answer.reason:
            self.counts["refused"] += 1
            self._waiting.pop(terms.auction, None)
            self.log("refused", auction=terms.auction, why=answer.reason, sequence=answer.sequence)

    def nonce(self) -> str:
        """A new one, of 128 random bits."""
        return secrets.token_urlsafe(NONCE_BYTES)

    def check(self, answer: Answer, digest: str) -> None:
        """Raises BadReceipt where what was recorded has no receipt of the venue's key."""
        if not answer.sequence:
            return
        terms = ReceiptTerms(
            venue=self.identity.venue, venue_key=self.identity.venue_key, signed=digest, sequence=answer.sequence, at_ns=answer.at_ns
        )
        if not signed_by(self.identity.venue_key, terms, answer.receipt):
            raise BadReceipt(f"record {answer.sequence}: a receipt that {self.identity.venue} did not sign")
        self.counts["receipts"] += 1

    # ------------------------------------------------------------------ what came in

    async def _settle_fills(self) -> bool:
        """Books what the stream told of; whether there was anything."""
        fills, self._fills = self._fills, []
        gained: dict[str, Decimal] = {}
        for news, seen in fills:
            share, paid = Decimal(news.data["share"]), Decimal(news.data["paid"])
            quantities = slice_of(seen, min(share, ONE), self._contracts)
            bought = self.books.bought(
                seen.auction, seen.owner, share=share, paid=paid, worth=share * seen.worth, quantities=quantities,
                marks={leg.instrument: leg.mark for leg in seen.legs}, at_ns=news.at_ns, sequence=news.sequence,
            )  # fmt: skip
            self.counts["filled"] += 1
            self.log("filled", auction=seen.auction, share=share, paid=paid, edge=bought.edge, sequence=news.sequence)
            for name, quantity in quantities.items():
                gained[name] = gained.get(name, ZERO) + quantity
        if gained and self.hedge is not None:
            for instrument, quantity, price, fee in await self.hedge(gained, await self._look_at_self()):
                self.books.traded(instrument, quantity, price, fee)
                self.log("hedged", instrument=instrument, quantity=quantity, price=price, fee=fee)
        return bool(fills)

    def _book_unseen(self, view: View) -> None:
        """Fills of auctions that were over before they were looked at, as those of standing bids are: what the account holds and is
        worth beyond the books is theirs, all in the first of them."""
        fills, self._unseen = self._unseen, []
        if not fills:
            return
        assert self._first is not None, "an account that was looked at"
        held, books = self._first[1], self.books.inventory
        names = {*view.inventory, *held, *books}
        gained = {name: view.inventory.get(name, ZERO) - held.get(name, ZERO) - books.get(name, ZERO) for name in names}
        gained = {name: quantity for name, quantity in gained.items() if quantity}
        marks = {name: view.marks.get(name, self.books.marks.get(name, ZERO)) for name in gained}
        edge = self._other()
        for news in fills:
            paid = Decimal(news.data["paid"])
            self.books.bought(
                int(news.data["auction"]), str(news.data.get("account", "")), share=Decimal(news.data["share"]), paid=paid,
                worth=paid + edge, quantities=gained, marks=marks, at_ns=news.at_ns, sequence=news.sequence,
            )  # fmt: skip
            self.counts["filled"] += 1
            self.log("filled", auction=news.data["auction"], share=news.data["share"], paid=paid, edge=edge, sequence=news.sequence)
            gained, edge = {}, ZERO

    def _other(self) -> Decimal:
        """What of the change in equity the books do not explain."""
        return self._equity - self._first[0] - self.books.totals()["total"] if self._first is not None else ZERO

    def report(self) -> dict[str, Any]:
        """Counts, profit by auction, positions; equity: of the account, with what it has put aside, at the first and the last look, and
        what of its change the books do not explain (rewards, funding, deposits, trades made elsewhere)."""
        out = {"account": self.account, "counts": dict(self.counts)} | self.books.report()
        if self._first is not None:
            out["equity"] = {"first": str(self._first[0]), "last": str(self._equity), "other": str(self._other())}
        return out
