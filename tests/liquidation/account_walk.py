"""A random walk of events through account auctions, beside a plain ledger that posts what comes out."""

from __future__ import annotations

import random
from typing import Any

from seawall.core.times import SECOND_NS
from seawall.core.units import PPM
from seawall.liquidation.account_auction import FEES, AccountAuctions, Look, StartAccount
from seawall.liquidation.account_slices import PPB, Leg, value_of
from seawall.liquidation.auction_events import (
    BackstopDue,
    Bid,
    Cancel,
    Ended,
    Oracle,
    Restart,
    SetBreaker,
    Settle,
    Sold,
    Started,
    TakeOver,
)
from seawall.liquidation.auction_house import FUND
from seawall.liquidation.auction_rules import AccountRules, KeeperRules, check_account_rules
from seawall.liquidation.curves import RAY, two_leg
from seawall.liquidation.transfers import Delivery, Transfer

MINUTE_NS = 60 * SECOND_NS
SYMBOLS = ("A", "B", "C")
RATE_PPM = 100_000
OPEN_MAX = 20
RULES = {
    "major": AccountRules(keeper=KeeperRules(tip_micro=1_000_000, chip_ppm=10_000)),
    "minor": AccountRules(
        curve=two_leg(RAY, RAY * 9 // 10, 5 * MINUTE_NS, 30 * MINUTE_NS), tail_ns=36 * MINUTE_NS, floor_ppm=500_000,
        insolvent_ns=5 * MINUTE_NS, buffer_ppm=200_000, dust_micro=1_000_000,
    ),
}  # fmt: skip
for _rules in RULES.values():
    check_account_rules(_rules)


class Ledger:
    """Cash and lots of everybody."""

    def __init__(self) -> None:
        self.cash: dict[str, int] = {}
        self.lots: dict[tuple[str, str], int] = {}

    def post(self, outcomes: list[Any]) -> None:
        for move in outcomes:
            if isinstance(move, Transfer):
                assert move.amount_micro > 0
                self.cash[move.payer] = self.cash.get(move.payer, 0) - move.amount_micro
                self.cash[move.payee] = self.cash.get(move.payee, 0) + move.amount_micro
            elif isinstance(move, Delivery):
                for who, sign in ((move.payer, -1), (move.payee, 1)):
                    key = (who, move.instrument)
                    self.lots[key] = self.lots.get(key, 0) + sign * move.lots

    def legs(self, who: str, marks: dict[str, int]) -> tuple[Leg, ...]:
        return tuple(Leg(symbol, self.lots.get((who, symbol), 0), marks[symbol]) for symbol in SYMBOLS)


def health_of(legs: tuple[Leg, ...], cash: int) -> int:
    """Value less a tenth of the gross notional."""
    gross = sum(abs(leg.lots * leg.value_nano) for leg in legs) // 1000
    return value_of(legs, cash) - -(-gross * RATE_PPM // PPM)


class Walk:
    """Draws events from a seed; `step()` applies one and checks what came out of it."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.house = AccountAuctions(RULES, 10**13, "USD")
        self.ledger = Ledger()
        self.marks = dict.fromkeys(SYMBOLS, 10**9)
        self.now_ns = 0
        self.bids: dict[tuple[int, str], Bid] = {}
        self.last: dict[int, tuple[Any, Any]] = {}
        self.fees: dict[int, int] = {}
        self.owners = 0
        self.fills = self.ended = self.due = self.insolvent_fills = self.healed = 0
        self.total = 0

    def step(self) -> None:
        event = self.event()
        before = dict(self.house.sales)
        out = self.house.apply(event)
        self.ledger.post(out)
        self.check(before, out)
        if isinstance(event, Bid) and event in self.house.pending.get(event.auction, ()):
            self.bids[event.auction, event.bidder] = event

    def event(self) -> Any:
        r = self.random
        self.now_ns += r.choice((0, 0, 0, 0, 1, SECOND_NS, 30 * SECOND_NS, 2 * MINUTE_NS))
        if r.random() < 0.1:
            symbol = r.choice(SYMBOLS)
            self.marks[symbol] = max(10**6, int(self.marks[symbol] * r.uniform(0.97, 1.03)))
        at = {"at_ns": self.now_ns}
        if self.house.breaker.level and r.random() < 0.2:
            return SetBreaker(level=0, **at)
        if self.house.stale and r.random() < 0.1:
            return Oracle(bucket=min(self.house.stale), live=True, **at)
        numbers, kind = self.house.active.numbers, r.random()
        if len(numbers) > OPEN_MAX:
            return Cancel(auction=r.choice(numbers), **at)
        if kind < 0.1 or not numbers:
            return self.start()
        sale = self.house.sales[r.choice(numbers)]
        auction = sale.number
        if kind < 0.35 or not sale.fresh:
            legs, cash = self.ledger.legs(sale.owner, self.marks), self.ledger.cash.get(sale.owner, 0)
            health = health_of(legs, cash)
            return Look(auction=auction, version=sale.version, legs=legs, cash_micro=cash, health_micro=health, **at)
        if kind < 0.8:
            price = self.house.price_of(sale, self.now_ns)
            return Bid(
                auction=auction,
                bidder=r.choice(("ann", "bob", "cat", "friend", sale.owner)),
                amount=r.choice((0, PPB // 100, PPB // 10, PPB // 10, PPB // 2, PPB)),
                limit=price + r.choice((-1, 0, 0, 10**6)),
                version=sale.version - (r.random() < 0.05),
                free_micro=r.choice((0, 10**8, 10**11, 10**15)),
                **at,
            )
        if kind < 0.86:
            return Settle(**at)
        if kind < 0.89:
            return Restart(auction=auction, keeper="rex", **at)
        if kind < 0.93:
            return TakeOver(auction=auction, taker="backstop", amount=PPB, free_micro=10**15, **at)
        if kind < 0.96:
            return Oracle(bucket=r.choice(tuple(RULES)), live=r.random() < 0.7, **at)
        return SetBreaker(level=r.choice((0, 0, 0, 1, 2, 3)), **at) if kind < 0.98 else Cancel(auction=auction, **at)

    def start(self) -> StartAccount:
        r = self.random
        self.owners += 1
        owner = f"owner{self.owners}"
        for symbol in SYMBOLS:
            self.ledger.lots[owner, symbol] = r.choice((0, 1, -1, r.randint(-(10**6), 10**6)))
        legs = self.ledger.legs(owner, self.marks)
        positions, gross = value_of(legs, 0), sum(abs(leg.lots * leg.value_nano) for leg in legs) // 1000
        self.ledger.cash[owner] = -positions + int(gross * r.uniform(-0.05, 0.12))
        cash = self.ledger.cash[owner]
        return StartAccount(
            owner=owner, keeper=r.choice(("kim", "")), bucket=r.choice(tuple(RULES)), legs=legs, cash_micro=cash,
            health_micro=health_of(legs, cash), breached_ns=max(0, self.now_ns - r.randint(0, MINUTE_NS)),
            at_ns=self.now_ns, affiliates=("friend",),
        )  # fmt: skip

    # ------------------------------------------------------------------ what must hold

    def check(self, before: dict[int, Any], out: list[Any]) -> None:
        house = self.house
        for outcome in out:
            self.due += isinstance(outcome, BackstopDue)
            if isinstance(outcome, Ended):
                self.ended += 1
                self.healed += outcome.cause == "healthy"
            if isinstance(outcome, Started):
                assert house.sales[outcome.auction].health_micro < 0
            if isinstance(outcome, Sold):
                self.check_fill(before.get(outcome.auction), outcome, out)
        # the fund pays for insolvent accounts alone: any other pays its bidders itself
        fund_pays = sum(move.amount_micro for move in out if isinstance(move, Transfer) and move.payer == FUND)
        fills = [fill for fill in out if isinstance(fill, Sold) and before[fill.auction].insolvent]
        assert fund_pays == sum(max(0, -fill.paid_micro) for fill in fills)
        assert house.holes.all_open_micro == sum(sale.open_micro for sale in house.sales.values())
        assert self.ledger.cash.get(FEES, 0) == sum(sale.fee_micro for sale in house.sales.values()) >= 0
        for number, sale in house.sales.items():
            # what the auction thinks its owner has is what the ledger says it has
            assert sale.cash_micro + sale.reserved_micro == self.ledger.cash[sale.owner]
            assert all(leg.lots == self.ledger.lots[sale.owner, leg.instrument] for leg in sale.legs)
            self.check_price(number, sale)

    def check_price(self, number: int, sale: Any) -> None:
        key = (sale.restarts, sale.insolvent)
        elapsed = sale.clock.elapsed(self.now_ns)
        ask = -elapsed if sale.insolvent else self.house.share_of(sale, self.now_ns)
        last_key, last = self.last.get(number, (key, ask))
        assert ask <= last or key != last_key
        self.last[number] = (key, ask)
        if sale.bucket in self.house.stale and self.house.sales[number] is sale:
            assert sale.clock.running_since_ns is None or sale.clock.running_since_ns == self.now_ns

    def check_fill(self, sale: Any, fill: Sold, out: list[Any]) -> None:
        self.fills += 1
        assert sale is not None
        assert sale.bucket not in self.house.stale or any(isinstance(o, Sold) for o in out)
        assert sale.health_micro < 0  # a healthy account is never sold
        assert sale.fresh
        assert fill.bidder != sale.owner
        assert 0 < fill.amount <= PPB
        if fill.price >= 0:
            assert fill.paid_micro == fill.price * fill.amount // PPB
        else:
            self.insolvent_fills += 1
            assert fill.paid_micro == -(-fill.price * fill.amount // PPB)
            assert fill.bidder != "friend"
        if fill.bidder != "backstop":
            bid = self.bids[fill.auction, fill.bidder]
            assert fill.price <= bid.limit
            assert fill.paid_micro <= bid.free_micro
            assert fill.amount <= bid.amount or fill.amount == PPB
        same = [other for other in out if isinstance(other, Sold) and other.auction == fill.auction]
        assert len({other.price for other in same if other.bidder != "backstop"}) <= 1
        self.check_worth(sale, fill, same, out)

    def check_worth(self, sale: Any, fill: Sold, same: list[Sold], out: list[Any]) -> None:
        """What the bidder got, positions and cash, is its share of the value to the micro per position."""
        marks = {leg.instrument: leg.value_nano for leg in sale.legs}
        got = 0
        for move in out:
            if isinstance(move, Delivery) and move.payer == sale.owner and move.payee == fill.bidder:
                got += move.lots * marks[move.instrument]
            elif isinstance(move, Transfer) and move.cause == "cash with positions":
                got += 1000 * move.amount_micro * ((move.payee == fill.bidder) - (move.payer == fill.bidder)) * (
                    sale.owner in (move.payer, move.payee)
                )
        worth = value_of(sale.legs, sale.cash_micro)
        if len(same) == 1:
            assert 0 <= got - 1000 * (worth * fill.amount // PPB) < 1000  # the nano of its positions

