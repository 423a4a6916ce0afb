"""How rules of collateral auctions do against modelled keepers: price, time and bad debt over many seeds.

A toy, to choose between rules and not to forecast: keepers need a margin, look now and then, have little capital that comes back
after a while, and may be down; the oracle's price is a random walk. The auctions are the real ones. `compare()` gives the
table of decision 23.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import NamedTuple

from seawall.core.times import SECOND_NS, YEAR_NS
from seawall.liquidation.auction_events import Bid, Ended, Outcome, Restart, Settle, Sold, TakeOver
from seawall.liquidation.auction_rules import CollateralRules
from seawall.liquidation.collateral_auction import CollateralAuctions, StartCollateral
from seawall.liquidation.curves import RAY, Stair, linear

__all__ = ["POLICIES", "SCENARIOS", "Figures", "Scenario", "compare", "trial"]

LOTS = 10_000
FEED_NANO = 10**9
DEBT_SHARE = 0.9
TICK_NS = 5 * SECOND_NS
HORIZON_NS = 3 * 3600 * SECOND_NS
CAPITAL_BACK_NS = 600 * SECOND_NS
MINUTE_NS = 60 * SECOND_NS


class Scenario(NamedTuple):
    """keepers: how many; up: chance that each is there; capital: of each, as a share of the lot; volatility: a year."""

    keepers: int
    up: float
    capital: float
    volatility: float


class Figures(NamedTuple):
    """Means over seeds. price: paid ÷ the oracle's price at the start; bad: debt that nothing paid, as a share of it."""

    sold: float
    price: float
    seconds: float
    bad: float
    backstop: float


SCENARIOS = {
    "calm": Scenario(20, 1.0, 0.5, 0.6),
    "thin capital": Scenario(20, 1.0, 0.04, 0.6),
    "80 % down": Scenario(10, 0.2, 0.15, 0.6),
    "crash": Scenario(20, 0.5, 0.1, 4.0),
}
_LOW = {"floor_ppm": 10_000, "cusp_ppm": 9_000, "dust_micro": 1_000_000}
_FLOOR = {"floor_ppm": 900_000, "cusp_ppm": 800_000, "dust_micro": 1_000_000}


def _stair(seconds: int, tail_minutes: int, fields: dict[str, int]) -> CollateralRules:
    return CollateralRules(curve=Stair(RAY * 99 // 100, seconds * SECOND_NS), tail_ns=tail_minutes * MINUTE_NS, **fields)  # type: ignore[arg-type]


POLICIES = {
    "linear 20 min, no floor": CollateralRules(curve=linear(20 * MINUTE_NS), tail_ns=19 * MINUTE_NS, **_LOW),  # type: ignore[arg-type]
    "1 % / 60 s, no floor": _stair(60, 60, _LOW),
    "linear 20 min, floor": CollateralRules(curve=linear(20 * MINUTE_NS), tail_ns=19 * MINUTE_NS, **_FLOOR),  # type: ignore[arg-type]
    "1 % / 15 s, floor": _stair(15, 20, _FLOOR),
    "1 % / 60 s, floor": _stair(60, 20, _FLOOR),
    "1 % / 180 s, floor": _stair(180, 60, _FLOOR),
}


class _Keeper(NamedTuple):
    name: str
    margin: float
    every: int  # ticks between looks
    capital: float


def trial(rules: CollateralRules, scenario: Scenario, seed: int, backstop: bool) -> Figures:
    """One auction. The same seed gives the same keepers and the same path whatever the rules are."""
    draw = random.Random(seed)
    keepers = []
    for number in range(scenario.keepers):
        keeper = _Keeper(f"k{number}", draw.uniform(0.005, 0.05), draw.randint(1, 6), scenario.capital * LOTS)
        if draw.random() < scenario.up:
            keepers.append(keeper)
    step = scenario.volatility * (TICK_NS / YEAR_NS) ** 0.5
    house = CollateralAuctions({"x": rules}, 10**15, "USD")
    debt = int(LOTS * FEED_NANO * DEBT_SHARE) // 1000
    start = StartCollateral(
        owner="owner", keeper="venue", bucket="x", instrument="x", lots=LOTS, debt_micro=debt, feed_nano=FEED_NANO,
        collateral_value_nano=FEED_NANO * 8 // 10, requirement_micro=0, breached_ns=0, at_ns=0,
    )  # fmt: skip
    house.apply(start)
    spent: dict[str, list[tuple[int, int]]] = {}
    feed, paid, sold, taken, now = float(FEED_NANO), 0, 0, 0, 0
    for tick in range(1, HORIZON_NS // TICK_NS):
        now = tick * TICK_NS
        feed *= 1.0 + draw.gauss(0.0, step)
        events: list[Bid | Settle] = _bids(house, keepers, spent, feed, tick)
        out = [outcome for event in events for outcome in house.apply(event)]
        if 1 in house.sales and house.sales[1].due:
            out += _after_due(house, backstop, int(feed), now)
        for outcome in out:
            if isinstance(outcome, Sold):
                paid, sold = paid + outcome.paid_micro, sold + outcome.amount
                taken += outcome.amount * (outcome.bidder == "backstop")
                spent.setdefault(outcome.bidder, []).append((now, outcome.amount))
        if any(isinstance(outcome, Ended) for outcome in out):
            break
    price = paid * 1000 / sold / FEED_NANO if sold else 0.0
    return Figures(sold / LOTS, price, now / SECOND_NS, max(0, debt - paid) / debt, taken / LOTS)


def _bids(
    house: CollateralAuctions, keepers: list[_Keeper], spent: dict[str, list[tuple[int, int]]], feed: float, tick: int
) -> list[Bid | Settle]:
    """Of the keepers that look now and would profit; then the tick is over."""
    now = tick * TICK_NS
    sale = house.sales.get(1)
    out: list[Bid | Settle] = []
    if sale is None:
        return out
    price = house.price_of(sale, now)
    for keeper in keepers:
        if tick % keeper.every or price > feed * (1.0 - keeper.margin):
            continue
        used = sum(lots for since, lots in spent.get(keeper.name, ()) if now - since < CAPITAL_BACK_NS)
        amount = int(keeper.capital) - used
        if amount > 0:
            out.append(
                Bid(auction=1, bidder=keeper.name, amount=amount, limit=price, version=sale.version,
                    free_micro=10**15, at_ns=now)
            )  # fmt: skip
    out.append(Settle(at_ns=now))
    return out


def _after_due(house: CollateralAuctions, backstop: bool, feed: int, now: int) -> list[Outcome]:
    """The backstop takes the rest, or the auction starts again when it may."""
    if backstop:
        return list(house.apply(TakeOver(auction=1, taker="backstop", amount=LOTS, free_micro=10**15, at_ns=now + 2)))
    return list(house.apply(Restart(auction=1, keeper="venue", feed_nano=feed, at_ns=now + 2)))


def compare(seeds: Iterable[int]) -> dict[tuple[str, str], Figures]:
    """(policy, scenario) → means over the seeds; policies with a floor have a funded backstop."""
    chosen = list(seeds)
    out = {}
    for policy, rules in POLICIES.items():
        for name, scenario in SCENARIOS.items():
            runs = [trial(rules, scenario, seed, backstop="no floor" not in policy) for seed in chosen]
            out[policy, name] = Figures(*(sum(column) / len(runs) for column in zip(*runs)))
    return out
