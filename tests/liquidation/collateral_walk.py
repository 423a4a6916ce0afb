"""A random walk of events through collateral auctions, with every invariant checked at every step."""

from __future__ import annotations

import random
from typing import Any

from seawall.core.times import SECOND_NS
from seawall.core.units import PPM
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
from seawall.liquidation.auction_rules import CollateralRules, KeeperRules, check_collateral_rules
from seawall.liquidation.collateral_auction import CollateralAuctions, StartCollateral
from seawall.liquidation.curves import RAY, Stair, linear, two_leg
from seawall.liquidation.transfers import Transfer, net

MINUTE_NS = 60 * SECOND_NS
TOTAL_HOLE_MICRO = 5_000_000_000
RULES = {
    "ETH": CollateralRules(keeper=KeeperRules(tip_micro=1_000_000, chip_ppm=20_000)),
    "BTC": CollateralRules(
        curve=linear(60 * MINUTE_NS), buf_ppm=1_100_000, tail_ns=50 * MINUTE_NS, cusp_ppm=600_000, floor_ppm=700_000,
        hole_micro=2_000_000_000, restarts_max=1,
    ),
    "ALT": CollateralRules(
        curve=two_leg(RAY, RAY * 7 // 10, 5 * MINUTE_NS, 30 * MINUTE_NS), buf_ppm=PPM, tail_ns=30 * MINUTE_NS,
        cusp_ppm=500_000, floor_ppm=600_000, dust_micro=1_000_000, chop_ppm=1_130_000,
    ),
    "LIN": CollateralRules(curve=Stair(RAY * 9 // 10, 30 * SECOND_NS), cusp_ppm=300_000, floor_ppm=400_000),
}  # fmt: skip
for _rules in RULES.values():
    check_collateral_rules(_rules)


class Walk:
    """Draws events from a seed; `step()` applies one and checks what came out of it."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.house = CollateralAuctions(RULES, TOTAL_HOLE_MICRO, "USD")
        self.now_ns = 0
        self.bids: dict[tuple[int, str], Bid] = {}
        self.last_price: dict[int, tuple[int, int]] = {}  # auction: restarts, price
        self.keepers_paid: dict[int, int] = {}
        self.penalty: dict[int, int] = {}
        self.sold_lots: dict[int, int] = {}
        self.fills = self.ended = self.due = 0

    def step(self) -> None:
        before = dict(self.house.sales)
        event = self.event()
        out = self.house.apply(event)
        self.check(before, out)
        if isinstance(event, Bid) and event in self.house.pending.get(event.auction, ()):
            self.bids[event.auction, event.bidder] = event

    def event(self) -> Any:
        r = self.random
        self.now_ns += r.choice((0, 0, 0, 0, 1, SECOND_NS, 30 * SECOND_NS, 2 * MINUTE_NS))
        at = {"at_ns": self.now_ns}
        kind = r.random()
        numbers = self.house.active.numbers
        auction = r.choice(numbers) if numbers and r.random() < 0.97 else 999_999
        if self.house.breaker.level and r.random() < 0.2:
            return SetBreaker(level=0, **at)
        if self.house.stale and r.random() < 0.1:
            return Oracle(bucket=min(self.house.stale), live=True, **at)
        if kind < 0.15 or not numbers:
            return self.start()
        sale = self.house.sales.get(auction)
        if kind < 0.75 and sale is not None:
            price = self.house.price_of(sale, self.now_ns)
            return Bid(
                auction=auction,
                bidder=r.choice(("ann", "bob", "cat", "dan", "owner0", "friend")),
                amount=max(0, int(sale.lots * r.choice((0.1, 0.25, 0.25, 0.5, 1.0, 2.0)))),
                limit=int(price * r.choice((0.9, 1.0, 1.0, 1.1))),
                version=sale.version - (r.random() < 0.05),
                free_micro=r.choice((0, 10**6, 10**9, 10**13)),
                **at,
            )
        if kind < 0.82:
            return Settle(**at)
        if kind < 0.88:
            return Restart(auction=auction, keeper="rex", feed_nano=r.randint(1, 10**7), **at)
        if kind < 0.93:
            return TakeOver(auction=auction, taker="backstop", amount=r.choice((10, 10**9)), free_micro=10**13, **at)
        if kind < 0.97:
            return Oracle(bucket=r.choice(tuple(RULES)), live=r.random() < 0.7, **at)
        if kind < 0.985:
            return SetBreaker(level=r.choice((0, 0, 0, 1, 2, 3)), **at)
        return Cancel(auction=auction, **at)

    def start(self) -> StartCollateral:
        r = self.random
        lots, feed = r.randint(1, 10**6), r.randint(10**3, 10**7)
        debt = max(1, int(lots * feed / 1000 * r.uniform(0.3, 1.2)))
        return StartCollateral(
            owner=f"owner{r.randint(0, 3)}", keeper="kim", bucket=r.choice(tuple(RULES)), instrument="X", lots=lots,
            debt_micro=debt, feed_nano=feed, collateral_value_nano=int(feed * r.uniform(0.5, 0.9)),
            requirement_micro=r.randint(0, debt), breached_ns=max(0, self.now_ns - r.randint(0, 60 * SECOND_NS)),
            at_ns=self.now_ns, affiliates=("friend",),
        )  # fmt: skip

    # ------------------------------------------------------------------ what must hold

    def check(self, before: dict[int, Any], out: list[Any]) -> None:
        self.check_money(before, out)
        self.check_fills(before, out)
        self.check_prices()
        self.check_holes()
        for outcome in out:
            if isinstance(outcome, BackstopDue):
                self.due += 1
            if isinstance(outcome, Ended):
                self.ended += 1
                assert outcome.left >= 0
                assert outcome.uncovered_micro >= 0
                if outcome.cause == "covered":
                    assert outcome.uncovered_micro <= 6  # a micro of rounding per bidder
            if isinstance(outcome, Started):
                sale = self.house.sales[outcome.auction]
                self.penalty[sale.number] = sale.target_micro - sale.debt_micro
                self.sold_lots[sale.number] = 0

    def check_money(self, before: dict[int, Any], out: list[Any]) -> None:
        moves = [move for move in out if not isinstance(move, (Sold, Ended, Started)) and hasattr(move, "payer")]
        totals: dict[str, int] = {}
        for (_, what), amount in net(moves).items():
            totals[what] = totals.get(what, 0) + amount
        assert all(total == 0 for total in totals.values())
        fills = [fill for fill in out if isinstance(fill, Sold)]
        bought = sum(fill.paid_micro for fill in fills)
        causes: dict[str, int] = {}
        for move in moves:
            if isinstance(move, Transfer):
                assert move.amount_micro > 0
                causes[move.cause] = causes.get(move.cause, 0) + move.amount_micro
                assert (move.payee == FUND) == (move.cause == "liquidation penalty")
        assert causes.get("collateral auction", 0) == bought
        # keepers and fund together never get more than the penalties of these auctions
        beyond = 0
        for number in {fill.auction for fill in fills}:
            sale = before[number]
            paid = sum(fill.paid_micro for fill in fills if fill.auction == number)
            beyond += max(0, min(sale.collected_micro + paid, sale.target_micro) - sale.debt_micro)
            beyond -= max(0, min(sale.collected_micro, sale.target_micro) - sale.debt_micro)
        assert causes.get("keeper reward", 0) + causes.get("liquidation penalty", 0) == beyond

    def check_fills(self, before: dict[int, Any], out: list[Any]) -> None:
        by_slice: dict[tuple[int, int], int] = {}
        for fill in out:
            if not isinstance(fill, Sold):
                continue
            self.fills += 1
            sale = before[fill.auction]
            rules = RULES[sale.bucket]
            assert fill.amount > 0
            assert fill.paid_micro > 0
            assert fill.price >= sale.floor_nano
            assert fill.paid_micro * 1000 <= fill.price * fill.amount < (fill.paid_micro + 1) * 1000
            assert fill.bidder != sale.owner
            if fill.bidder in sale.affiliates:
                assert fill.price * PPM >= sale.feed_nano * (PPM - rules.self_bid_discount_ppm)
            if fill.bidder != "backstop":
                assert by_slice.setdefault((fill.auction, fill.amount), fill.paid_micro) == fill.paid_micro
                bid = self.bids[fill.auction, fill.bidder]
                assert fill.paid_micro * 1000 <= bid.limit * fill.amount
                assert fill.paid_micro <= bid.free_micro
                assert fill.amount <= bid.amount
            self.sold_lots[fill.auction] += fill.amount
        for number, sale in self.house.sales.items():
            if number in before and sale.lots != before[number].lots:
                sold = sum(fill.amount for fill in out if isinstance(fill, Sold) and fill.auction == number)
                assert before[number].lots - sale.lots == sold

    def check_prices(self) -> None:
        for number, sale in self.house.sales.items():
            price = self.house.price_of(sale, self.now_ns)
            restarts, last = self.last_price.get(number, (sale.restarts, price))
            assert price <= last or restarts != sale.restarts
            self.last_price[number] = (sale.restarts, price)
            assert price >= sale.floor_nano >= 1
            stopped = sale.clock.running_since_ns is None
            assert stopped == (sale.bucket in self.house.stale) or sale.bucket not in self.house.stale

    def check_holes(self) -> None:
        assert self.house.holes.all_open_micro == sum(sale.open_micro for sale in self.house.sales.values())
        slack = max(rules.dust_micro * rules.chop_ppm // PPM for rules in RULES.values()) + 2
        assert self.house.holes.all_open_micro <= TOTAL_HOLE_MICRO + slack
        assert sorted(self.house.active.numbers) == sorted(self.house.sales)
