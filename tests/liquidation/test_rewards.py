"""What removing risk earns: by the requirement that goes, by how soon, never more than the fee that the auction took."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from liquidation.test_account_auction import RULE, UNIT, bid, house, look, of, run, start
from seawall.core.times import SECOND_NS
from seawall.liquidation.account_slices import PPB, Leg
from seawall.liquidation.auction_events import Settle, Sold
from seawall.liquidation.auction_rules import KeeperRules
from seawall.liquidation.transfers import Transfer

RULES = msgspec.structs.replace(RULE, fee_ppm=20_000, keeper=KeeperRules(chip_ppm=2_000, timely_ns=10 * SECOND_NS))


def rewards(out: list[Any]) -> dict[str, int]:
    found: dict[str, int] = {}
    for move in of(Transfer, out):
        if move.cause == "keeper reward":
            found[move.payee] = found.get(move.payee, 0) + move.amount_micro
    return found


def test_where_the_venue_began_the_auction_bidders_earn_by_what_they_took_and_when():
    """The requirement is 400; a tenth of it at 0.2 % is 0.08, halved when it comes at twice the timely delay."""
    early, late = house(RULES), house(RULES)
    at = 10 * SECOND_NS
    assert rewards(run(early, start(keeper=""), bid(at, PPB // 10), Settle(at_ns=at))) == {"ann": 80_000}
    assert rewards(run(late, start(keeper=""), bid(2 * at, PPB // 10), Settle(at_ns=2 * at))) == {"ann": 40_000}


def test_where_a_keeper_began_it_the_reward_is_the_keepers():
    out = run(house(RULES), start(), bid(SECOND_NS, PPB // 10), Settle(at_ns=SECOND_NS))
    assert rewards(out) == {"kim": 80_000}


def test_twice_the_notional_with_the_same_risk_earns_the_same():
    """Two accounts of one requirement, the second with ten times the lots at a tenth of the value and as much again hedged."""
    plain = start(keeper="")
    hedged = start(keeper="", legs=(*plain.legs, Leg("A", 10**6, 10**9), Leg("B", -(10**6), 10**9)))
    found = [rewards(run(house(RULES), each, bid(SECOND_NS, PPB // 10), Settle(at_ns=SECOND_NS))) for each in (plain, hedged)]
    assert found[0] == found[1] == {"ann": 80_000}


def test_where_the_fee_is_short_bidders_of_a_tick_get_the_same_part_of_what_they_earned():
    rich = msgspec.structs.replace(RULES, keeper=KeeperRules(chip_ppm=900_000))
    auctions = house(rich)
    out = run(auctions, start(keeper=""), bid(SECOND_NS, PPB // 10), bid(SECOND_NS, PPB // 5, "bob"), Settle(at_ns=SECOND_NS))
    fee = next(move.amount_micro for move in of(Transfer, out) if move.cause == "auction fee")
    found = rewards(out)
    assert sum(found.values()) == fee
    assert abs(found["bob"] - 2 * found["ann"]) <= 2
    assert auctions.sales[1].fee_micro == 0


@settings(max_examples=150)
@given(
    chip=st.integers(0, 1_000_000), fee=st.integers(0, 100_000), value=st.integers(-200, 400), gap=st.integers(1, 300),
    bids=st.lists(st.tuples(st.integers(1, 900), st.integers(1, PPB), st.sampled_from(("ann", "bob", "cat"))), max_size=6),
)  # fmt: skip
def test_rewards_never_exceed_the_fee_and_a_later_bid_for_the_same_risk_never_earns_more(chip, fee, value, gap, bids):
    rules = msgspec.structs.replace(RULE, fee_ppm=fee, keeper=KeeperRules(chip_ppm=chip, timely_ns=10 * SECOND_NS))
    auctions = house(rules)
    out = run(auctions, start(keeper="", value=value, health=value - 400 - gap))
    taken = sum(move.amount_micro for move in of(Transfer, out) if move.cause == "auction fee")
    paid, rates = 0, []
    for at, share, who in sorted(bids):
        if 1 not in auctions.sales:
            break
        sale = auctions.sales[1]
        if not sale.fresh:
            run(auctions, look(auctions, at * SECOND_NS, sale.health_micro))
            if 1 not in auctions.sales:
                break
            sale = auctions.sales[1]
        said = run(auctions, bid(at * SECOND_NS, share, who, version=sale.version), Settle(at_ns=at * SECOND_NS))
        earned = sum(rewards(said).values())
        paid += earned
        for fill in of(Sold, said):
            removed = sale.requirement_micro * fill.amount // PPB
            assert earned * 10**6 <= removed * chip  # never more than its rate of the risk
            if removed > UNIT:
                rates.append(earned / removed)
    assert paid <= taken
    assert all(later <= sooner * (1 + 1e-6) + 1e-6 for sooner, later in zip(rates, rates[1:]))
