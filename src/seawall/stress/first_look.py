"""What a first look for designated liquidators costs or saves: real auctions of accounts, modelled keepers, many seeds.

A toy, to choose between rules and not to forecast. The same seed gives the same keepers, outages and prices whatever the rule is:
`open` (everybody at once), `window` (for some seconds only those designated may bid, while the price falls), `held` (the same, while
the price stands at its opening) and `ranked` (no window; those designated have filed standing bids). `compare()` gives the table of
decision 31.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any, NamedTuple

from seawall.core.times import SECOND_NS, YEAR_NS
from seawall.core.units import MICRO, PPM
from seawall.liquidation.account_auction import AccountAuctions, Look, StartAccount
from seawall.liquidation.account_slices import PPB, Leg, value_of
from seawall.liquidation.auction_events import Bid, Settle, Sold
from seawall.liquidation.auction_parts import Clock
from seawall.liquidation.auction_rules import AccountRules
from seawall.liquidation.ranked import RankedBids
from seawall.liquidation.ranked_events import FileRanked, RankedRules
from seawall.liquidation.transfers import Delivery, Transfer

__all__ = ["RULES", "SCENARIOS", "Figures", "Scenario", "compare", "trial"]

OWNER = "owner"
LOTS = 1_000
START_NANO = 100 * 10**9
MARGIN_PPM = 50_000
EQUITY_SHARE = 0.6  # of the requirement, when it fails
KEEPERS, DESIGNATED = 10, 2
HORIZON_S = 1_800
WINDOW_S = 30


class Scenario(NamedTuple):
    """up: chance that a keeper is there; volatility: a year; capital: of each keeper, as a share of what the account needs."""

    up: float
    volatility: float
    capital: float


class Figures(NamedTuple):
    """Means over seeds. discount: of the value that was sold, what its buyers paid less; safe_s: from the breach until the account is
    healthy or gone; kept: of its equity at the breach, what its owner has left then (below nothing: bad debt)."""

    discount: float
    first_s: float
    safe_s: float
    kept: float


SCENARIOS = {
    "calm": Scenario(1.0, 0.6, 1.0),
    "crash": Scenario(0.5, 4.0, 0.5),
    "80 % down": Scenario(0.2, 4.0, 0.5),
}
RULES = ("open", "window", "held", "ranked")


class _Keeper(NamedTuple):
    name: str
    discount: float
    every: int
    designated: bool
    up: bool


def trial(rule: str, scenario: Scenario, seed: int) -> Figures:
    """One account from its breach on."""
    draw = random.Random(seed)
    crowd = [
        _Keeper(f"k{n}", draw.uniform(0.02, 0.10), draw.randint(1, 6), n < DESIGNATED, draw.random() < scenario.up) for n in range(KEEPERS)
    ]
    venue = _Venue(rule, crowd, scenario)
    step = scenario.volatility * (SECOND_NS / YEAR_NS) ** 0.5
    now_s = 0
    for now_s in range(1, HORIZON_S):
        venue.mark = max(10**9, int(venue.mark * (1 + draw.gauss(0.0, step))))
        venue.tick(now_s)
        if not venue.house.sales:
            break
    return venue.figures(now_s)


class _Venue:
    """The auction, its standing bids, and what is the owner's."""

    def __init__(self, rule: str, crowd: list[_Keeper], scenario: Scenario) -> None:
        self.rule, self.crowd = rule, crowd
        self.house = AccountAuctions({"x": AccountRules()}, 10**15, "USD")
        self.ranked = RankedBids(RankedRules(), "USD", ("x",))
        self.mark, self.lots = START_NANO, LOTS
        need = self.requirement()
        self.cash = int(need * EQUITY_SHARE) - value_of(self.legs(), 0)
        self.begun = self.equity()
        self.capital = int(need * scenario.capital)
        self.money = dict.fromkeys((keeper.name for keeper in crowd), self.capital)
        self.sold_value = self.sold_paid = 0.0
        self.first_s = HORIZON_S
        if rule == "ranked":
            for keeper in crowd:  # standing bids need nobody to be there
                if keeper.designated:
                    self.ranked.apply(self._filing(keeper))
                    self.money[keeper.name] = 0
        self.apply(
            StartAccount(owner=OWNER, keeper="", bucket="x", legs=self.legs(), cash_micro=self.cash, health_micro=self.health(),
                         breached_ns=0, at_ns=0), 0,
        )  # fmt: skip

    def _filing(self, keeper: _Keeper) -> FileRanked:
        # What may be called at any time is offered for less than what is looked at first: half a per cent of the value.
        share = int((1 - keeper.discount - 0.005) * PPM)
        return FileRanked(
            bidder=keeper.name, id="1", bucket="x", size_micro=10**15, share_ppm=share, insolvent_ppm=500_000, budget_micro=self.capital,
            until_ns=2**62, free_micro=self.capital, at_ns=0,
        )  # fmt: skip

    def tick(self, now_s: int) -> None:
        """The account is looked at, keepers bid, the tick is over."""
        at_ns = now_s * SECOND_NS
        window = self.rule in ("window", "held") and now_s <= WINDOW_S
        if self.house.sales:
            self.look(at_ns)
        sale = self.house.sales.get(1)
        if sale is None:
            return
        if self.rule == "held" and window:
            sale = self.house._keep(sale, clock=Clock(at_ns))
        price = self.house.price_of(sale, at_ns)
        for keeper in self.crowd:
            if not keeper.up or now_s % keeper.every or (window and not keeper.designated) or self.money[keeper.name] <= 0:
                continue
            limit = int(self.worth() * (1 - keeper.discount)) if not sale.insolvent else int(sale.health_micro * keeper.discount * 10)
            if price <= limit:
                self.apply(
                    Bid(auction=1, bidder=keeper.name, amount=PPB, limit=limit, version=sale.version,
                        free_micro=self.money[keeper.name], at_ns=at_ns), now_s,
                )  # fmt: skip
        self.apply(Settle(at_ns=at_ns), now_s)
        if self.house.sales:
            self.look(at_ns)

    def look(self, at_ns: int) -> None:
        """New figures for the auction."""
        sale = self.house.sales[1]
        event = Look(auction=1, version=sale.version, legs=self.legs(), cash_micro=self.cash, health_micro=self.health(), at_ns=at_ns)
        self.apply(event, at_ns // SECOND_NS)

    def apply(self, event: Any, now_s: int) -> None:
        """One event, and what it moves."""
        legs, cash = self.legs(), self.cash
        for each in self.ranked.through(self.house, event):
            if isinstance(each, Transfer):
                self.cash += each.amount_micro * ((each.payee == OWNER) - (each.payer == OWNER))
            elif isinstance(each, Delivery):
                self.lots -= each.lots
            elif isinstance(each, Sold):
                self.first_s = min(self.first_s, now_s)
                worth = value_of(legs, cash) * each.amount / PPB
                self.sold_value += abs(worth)
                self.sold_paid += worth - each.paid_micro
                self.money[each.bidder] -= int(self.capital * each.amount / PPB)

    def legs(self) -> tuple[Leg, ...]:
        """What the owner holds, at the mark."""
        return (Leg("X", self.lots, self.mark),)

    def worth(self) -> int:
        """Of what is for sale."""
        sale = self.house.sales[1]
        return value_of(sale.legs, sale.cash_micro)

    def requirement(self) -> int:
        """Of maintenance."""
        return self.lots * self.mark // 1000 * MARGIN_PPM // MICRO

    def equity(self) -> int:
        """Of the owner."""
        return value_of(self.legs(), self.cash)

    def health(self) -> int:
        """Equity less requirement."""
        return self.equity() - self.requirement()

    def figures(self, now_s: int) -> Figures:
        """Of this run."""
        discount = self.sold_paid / self.sold_value if self.sold_value else 0.0
        return Figures(discount, self.first_s, now_s, self.equity() / self.begun)


def compare(seeds: Iterable[int]) -> dict[tuple[str, str], Figures]:
    """(rule, scenario) → means over the seeds."""
    chosen = list(seeds)
    out = {}
    for rule in RULES:
        for name, scenario in SCENARIOS.items():
            runs = [trial(rule, scenario, seed) for seed in chosen]
            out[rule, name] = Figures(*(sum(column) / len(runs) for column in zip(*runs)))
    return out
