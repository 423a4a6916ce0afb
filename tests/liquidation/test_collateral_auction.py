"""Collateral auctions: known fills, attacks that must not pay, and a random walk that keeps every invariant."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liquidation.collateral_walk import RULES, TOTAL_HOLE_MICRO, Walk
from seawall.core.errors import InputError, StaleEvent
from seawall.core.times import SECOND_NS
from seawall.liquidation.auction_events import (
    BackstopDue,
    Bid,
    Cancel,
    Ended,
    Oracle,
    Refused,
    Restart,
    Restarted,
    SetBreaker,
    Settle,
    Sold,
    Started,
    TakeOver,
)
from seawall.liquidation.auction_house import FUND, HouseState
from seawall.liquidation.auction_rules import CollateralRules, KeeperRules
from seawall.liquidation.collateral_auction import CollateralAuctions, CollateralSale, StartCollateral
from seawall.liquidation.curves import linear
from seawall.liquidation.transfers import Transfer, net

MINUTE_NS = 60 * SECOND_NS
KEEPER = KeeperRules(tip_micro=1_000_000, chip_ppm=10_000)
RULE = CollateralRules(
    curve=linear(100 * MINUTE_NS), buf_ppm=1_000_000, tail_ns=60 * MINUTE_NS, cusp_ppm=500_000, floor_ppm=800_000,
    chop_ppm=1_100_000, keeper=KEEPER,
)  # fmt: skip
# 1,000 lots at 5 quote against a debt of 4,000: target 4,400
START = StartCollateral(
    owner="owner", keeper="kim", bucket="ETH", instrument="ETH", lots=1_000, debt_micro=4_000_000_000,
    feed_nano=5_000_000_000, collateral_value_nano=3_900_000_000, requirement_micro=100_000_000, breached_ns=0,
    at_ns=0, affiliates=("friend",),
)  # fmt: skip


def house(rules: CollateralRules = RULE, hole_micro: int = 10**13) -> CollateralAuctions:
    return CollateralAuctions({"ETH": rules}, hole_micro, "USD")


def bid(at_ns: int, amount: int, bidder: str = "ann", limit: int = 5_000_000_000, **more: Any) -> Bid:
    fields = {"auction": 1, "version": 1, "free_micro": 10**12} | more
    return Bid(bidder=bidder, amount=amount, limit=limit, at_ns=at_ns, **fields)


def run(auctions: CollateralAuctions, *events: Any) -> list[Any]:
    return [outcome for event in events for outcome in auctions.apply(event)]


def of(kind: type, out: list[Any]) -> list[Any]:
    return [outcome for outcome in out if isinstance(outcome, kind)]


def reasons(out: list[Any]) -> list[str]:
    return [refused.reason for refused in of(Refused, out)]


def test_an_auction_pays_the_debt_then_the_keeper_then_the_fund_and_the_rest_goes_back():
    out = run(house(), START, bid(0, 880), Settle(at_ns=0))
    (fill,), (end,) = of(Sold, out), of(Ended, out)
    assert (fill.amount, fill.paid_micro, fill.price) == (880, 4_400_000_000, 5_000_000_000)
    assert (end.cause, end.left, end.uncovered_micro) == ("covered", 120, 0)
    gained = net(move for move in out if hasattr(move, "payer"))
    assert gained["owner", "USD"] == 4_000_000_000
    assert gained["kim", "USD"] == 2_000_000  # tip and 1 % of the requirement removed
    assert gained[FUND, "USD"] == 398_000_000
    assert gained["ann", "ETH"] == 880 == -gained["owner", "ETH"]


def test_bids_of_one_tick_share_one_price_in_proportion_whoever_was_first():
    for order in (("ann", "bob"), ("bob", "ann")):
        auctions = house()
        bids = [bid(10 * MINUTE_NS, 900, bidder, 4_600_000_000) for bidder in order]
        out = run(auctions, START, *bids, Settle(at_ns=10 * MINUTE_NS))
        fills = {fill.bidder: (fill.amount, fill.price) for fill in of(Sold, out)}
        assert fills["ann"] == fills["bob"] == (489, 4_500_000_000)  # 4,400 / 4.5 = 977.8, rounded up to 978
        assert of(Ended, out)[0].cause == "covered"


def test_a_part_that_would_leave_dust_is_cut_to_leave_none():
    out = run(house(), START, bid(0, 870), Settle(at_ns=0))
    assert of(Sold, out)[0].amount == 858  # leaves 110, the least debt with its penalty


def test_a_start_beyond_the_holes_is_cut_or_refused():
    out = run(house(hole_micro=2_200_000_000), START)
    assert (of(Started, out)[0].amount, of(Started, out)[0].target_micro) == (500, 2_200_000_000)
    auctions = house(hole_micro=2_200_000_000)
    assert reasons(run(auctions, START, msgspec.structs.replace(START, owner="other"))) == ["liquidation-limit-hit"]


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (bid(1, 10, version=2), "state-changed"),
        (bid(1, 10, limit=4_999_000_000), "too-expensive"),
        (bid(1, 10, "owner"), "self-bid"),
        (bid(2 * MINUTE_NS, 10, "friend"), "self-bid-below-oracle"),
        (bid(1, 10, free_micro=0), "no-cash"),
        (bid(1, 0), "empty-bid"),
        (bid(1, 10, auction=7), "not-running-auction"),
        (bid(61 * MINUTE_NS, 10), "needs-reset"),
        (Restart(auction=1, keeper="rex", feed_nano=1, at_ns=5), "cannot-reset"),
        (TakeOver(auction=1, taker="backstop", amount=5, free_micro=10**12, at_ns=5), "not-called"),
    ],
)
def test_what_may_not_be_is_refused_with_its_reason(event, reason):
    assert reasons(run(house(), START, event)) == [reason]


def test_health_at_or_above_zero_is_never_liquidated():
    fine = msgspec.structs.replace(START, collateral_value_nano=4_000_000_000)
    assert reasons(run(house(), fine)) == ["not-unsafe"]


def test_a_stale_oracle_stops_the_auction_and_its_clock():
    auctions = house()
    stop, go = 10 * MINUTE_NS, 500 * MINUTE_NS
    run(auctions, START, Oracle(bucket="ETH", live=False, at_ns=stop))
    assert reasons(run(auctions, bid(stop, 10))) == ["oracle-stale"]
    assert reasons(run(auctions, Restart(auction=1, keeper="rex", feed_nano=1, at_ns=go - 1))) == ["oracle-stale"]
    assert of(BackstopDue, run(auctions, Oracle(bucket="ETH", live=True, at_ns=go))) == []
    out = run(auctions, bid(go, 10, limit=4_500_000_000), Settle(at_ns=go))
    assert of(Sold, out)[0].price == 4_500_000_000  # as if the outage had not been


def test_bids_that_wait_when_the_price_is_lost_are_refused():
    auctions = house()
    run(auctions, START, bid(5, 10))
    assert reasons(run(auctions, Oracle(bucket="ETH", live=False, at_ns=5))) == ["oracle-stale"]
    assert reasons(run(house(), START, bid(5, 10), SetBreaker(level=3, at_ns=5))) == ["stopped-by-breaker"]
    assert reasons(run(house(), START, bid(5, 10), Cancel(auction=1, at_ns=5))) == ["not-running-auction"]


def test_a_cancelled_auction_leaves_all_as_it_was():
    auctions = house()
    out = run(auctions, START, Cancel(auction=1, at_ns=5))
    assert [move for move in out if hasattr(move, "payer")] == []
    assert (of(Ended, out)[0].left, auctions.holes.all_open_micro, auctions.sales) == (1_000, 0, {})


def test_the_breaker_stops_starts_then_restarts_then_bids():
    auctions = house()
    run(auctions, START, SetBreaker(level=1, at_ns=1))
    assert reasons(run(auctions, msgspec.structs.replace(START, at_ns=1))) == ["stopped-by-breaker"]
    run(auctions, SetBreaker(level=2, at_ns=2))
    late = 61 * MINUTE_NS
    assert reasons(run(auctions, Restart(auction=1, keeper="r", feed_nano=5, at_ns=late))) == ["stopped-by-breaker"]
    assert reasons(run(auctions, SetBreaker(level=3, at_ns=late), bid(late, 5))) == ["stopped-by-breaker"]


def test_nobody_bids_and_the_backstop_takes_all_at_the_floor():
    """March 2020: an auction without bidders sold for nothing. Here the price stops at its floor and the backstop is called."""
    auctions = house()
    assert of(BackstopDue, run(auctions, START, Settle(at_ns=19 * MINUTE_NS))) == []
    (due,) = of(BackstopDue, run(auctions, Settle(at_ns=20 * MINUTE_NS)))
    assert (due.amount, due.price) == (1_000, 4_000_000_000)
    out = run(auctions, TakeOver(auction=1, taker="backstop", amount=10**9, free_micro=10**12, at_ns=21 * MINUTE_NS))
    assert (of(Sold, out)[0].paid_micro, of(Ended, out)[0].uncovered_micro) == (4_000_000_000, 0)
    assert of(Transfer, out)[0].payer == "backstop"


def test_a_backstop_that_ran_dry_takes_what_it_can_and_the_rest_may_restart_a_few_times():
    auctions = house()
    run(auctions, START, Settle(at_ns=20 * MINUTE_NS))
    take = TakeOver(auction=1, taker="backstop", amount=10**9, free_micro=400_000_000, at_ns=21 * MINUTE_NS)
    out = run(auctions, take)
    assert of(Sold, out)[0].amount == 100
    at = 21 * MINUTE_NS
    for expected in (1, 2, 3, None):
        at += 61 * MINUTE_NS
        out = run(auctions, Restart(auction=1, keeper="rex", feed_nano=5_000_000_000, at_ns=at))
        assert bool(of(Restarted, out)) == (expected is not None)
    assert reasons(out) == ["restarted-too-often"]
    (end,) = of(Ended, run(auctions, Cancel(auction=1, at_ns=at)))
    assert (end.left, end.uncovered_micro) == (900, 3_600_000_000)  # said, never silent


def test_a_bid_of_the_same_tick_comes_before_the_backstop():
    auctions = house()
    run(auctions, START, Settle(at_ns=30 * MINUTE_NS), bid(31 * MINUTE_NS, 1_000))
    take = TakeOver(auction=1, taker="backstop", amount=10**9, free_micro=10**12, at_ns=31 * MINUTE_NS)
    out = run(auctions, take)
    assert [fill.bidder for fill in of(Sold, out)] == ["ann"]
    assert reasons(out) == ["sold-to-bidders"]


def test_liquidating_oneself_for_the_reward_loses():
    """An owner whose friend starts the auction and buys it all back gets less than the penalty it pays."""
    for price_minutes in (0, 1):  # the friend may bid down to 1 % below the oracle
        auctions = house()
        at = price_minutes * MINUTE_NS
        start = msgspec.structs.replace(START, keeper="friend")
        out = run(auctions, start, bid(at, 1_000, "friend"), Settle(at_ns=at))
        gained = net(move for move in out if hasattr(move, "payer"))
        together = gained["owner", "USD"] + gained["friend", "USD"]
        lots = gained["owner", "ETH"] + gained["friend", "ETH"]
        assert lots == 0
        assert together == -gained[FUND, "USD"] < 0


def test_restarting_again_and_again_earns_no_more_than_the_penalty():
    """Griefing restarts: claims queue up, but what pays them is the one penalty of the auction."""
    auctions = house(msgspec.structs.replace(RULE, restarts_max=1_000, restart_gap_ns=0))
    run(auctions, START)
    at = 0
    for _ in range(1_000):
        at += 61 * MINUTE_NS
        run(auctions, Restart(auction=1, keeper="rex", feed_nano=5_000_000_000, at_ns=at))
    sale = auctions.sales[1]
    assert sum(owed for _, owed in sale.claims.owed) == 1_002_000_000
    out = run(auctions, bid(at, 1_000, version=sale.version), Settle(at_ns=at))
    gained = net(move for move in out if hasattr(move, "payer"))
    assert gained["rex", "USD"] == 400_000_000 - 2_000_000
    assert gained["owner", "USD"] == 4_000_000_000


def test_a_restart_of_dust_earns_nothing():
    auctions = house()
    run(auctions, START, Settle(at_ns=61 * MINUTE_NS))
    run(auctions, Restart(auction=1, keeper="rex", feed_nano=100_000, at_ns=61 * MINUTE_NS))
    assert [keeper for keeper, _ in auctions.sales[1].claims.owed] == ["kim"]


def test_a_wash_bid_cannot_be_taken_back_and_must_be_covered():
    """A bid without cash is cut to what it can pay when it comes, so that it displaces nobody."""
    auctions = house()
    bids = [bid(0, 1_000, "wash", free_micro=5_000_000), bid(0, 500, "ann")]
    out = run(auctions, START, *bids, bid(0, 1_000, "wash"), Settle(at_ns=0))
    assert {fill.bidder: fill.amount for fill in of(Sold, out)} == {"wash": 1, "ann": 500}
    assert reasons(out) == ["bids-twice-in-a-tick"]


def test_events_in_the_wrong_order_and_unknown_ones_are_errors():
    auctions = house()
    run(auctions, msgspec.structs.replace(START, at_ns=10))
    with pytest.raises(StaleEvent):
        auctions.apply(Settle(at_ns=9))
    with pytest.raises(InputError, match="bucket"):
        auctions.apply(msgspec.structs.replace(START, bucket="unknown", at_ns=10))
    with pytest.raises(InputError, match="event of auctions"):
        auctions.apply(SimpleNamespace(at_ns=10))


@pytest.mark.parametrize("cut", [0, 1, 137, 300, 599])
def test_a_snapshot_and_the_journal_after_it_give_the_same_outcomes_and_the_same_state(cut):
    walk = Walk(7)
    written: list[bytes] = []
    outcomes: list[Any] = []
    snapshots: list[bytes] = []
    apply = walk.house.apply

    def record(event: Any) -> list[Any]:
        snapshots.append(msgspec.json.encode(walk.house.state()))
        written.append(msgspec.json.encode(event))
        outcomes.append(apply(event))
        return outcomes[-1]

    walk.house.apply = record
    for _ in range(600):
        walk.step()
    again = CollateralAuctions(walk.house.rules, TOTAL_HOLE_MICRO, "USD")
    again.restore(msgspec.json.decode(snapshots[cut], type=HouseState[CollateralSale]))
    kinds = Bid | Cancel | Oracle | Restart | SetBreaker | Settle | TakeOver | StartCollateral
    for line, expected in zip(written[cut:], outcomes[cut:], strict=True):
        assert again.apply(msgspec.json.decode(line, type=kinds)) == expected
    assert again.state() == walk.house.state()
    assert {k: v for k, v in again.holes.open_micro.items() if v} == {k: v for k, v in walk.house.holes.open_micro.items() if v}
    assert again.running == walk.house.running


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32))
def test_every_invariant_holds_on_random_walks(seed):
    walk = Walk(seed)
    for _ in range(300):
        walk.step()
    assert walk.house.now_ns == walk.now_ns


def test_a_long_walk_meets_fills_ends_and_the_backstop():
    walk = Walk(20251010)
    for _ in range(5_000):
        walk.step()
    assert walk.fills > 500
    assert walk.ended > 100
    assert walk.due > 50
    assert set(RULES) == set(walk.house.holes.open_micro)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(20))
def test_a_million_steps_keep_every_invariant(seed):
    walk = Walk(seed)
    for _ in range(50_000):
        walk.step()
    assert walk.ended > 100
