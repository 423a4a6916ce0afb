"""Bids filed before the breach: who is served first and at which price, what lies in escrow, and a walk beside a ledger."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liquidation.account_walk import RULES, Ledger, Walk
from liquidation.test_account_auction import MINUTE_NS, UNIT, bid, house, of, reasons, start
from seawall.core.errors import InputError
from seawall.core.times import SECOND_NS
from seawall.core.units import PPM
from seawall.liquidation.account_auction import AccountAuctions, StartAccount
from seawall.liquidation.account_slices import PPB
from seawall.liquidation.auction_events import Bid, Cancel, Oracle, Refused, SetBreaker, Settle, Sold
from seawall.liquidation.ranked import ESCROW, RankedBids, limit_of
from seawall.liquidation.ranked_events import (
    CancelRanked,
    Designate,
    Dropped,
    Filed,
    FileRanked,
    RankedRules,
    RankedState,
)
from seawall.liquidation.transfers import Transfer

BIG = 10**15
BUCKETS = ("x", *RULES)
DAY_NS = 86_400 * SECOND_NS


def ranked(*filings: FileRanked, rules: RankedRules | None = None) -> RankedBids:
    found = RankedBids(rules or RankedRules(), "USD", BUCKETS)
    for filing in filings:
        assert of(Filed, found.apply(filing))
    return found


def filing(bidder: str = "rob", share: int = 900_000, **more: Any) -> FileRanked:
    fields: dict[str, Any] = {
        "id": "1", "bucket": "x", "size_micro": BIG, "insolvent_ppm": -1, "budget_micro": 10**12, "until_ns": DAY_NS,
        "free_micro": BIG, "at_ns": 0,
    }  # fmt: skip
    return FileRanked(bidder=bidder, share_ppm=share, **(fields | more))


def through(standing: RankedBids, auctions: AccountAuctions, *events: Any) -> list[Any]:
    return [outcome for event in events for outcome in standing.through(auctions, event)]


def fills(out: list[Any]) -> dict[str, int]:
    return {fill.bidder: fill.amount for fill in of(Sold, out)}


def test_a_standing_bid_is_served_when_the_price_reaches_its_limit_and_not_before():
    """The price is 90 % of the value after five minutes (curve of the tests of auctions)."""
    standing, auctions = ranked(filing()), house()
    out = through(standing, auctions, start(), *(Settle(at_ns=n * SECOND_NS) for n in range(0, 300)))
    assert not of(Sold, out)
    (fill,) = of(Sold, through(standing, auctions, Settle(at_ns=300 * SECOND_NS)))
    assert (fill.bidder, fill.price) == ("rob", 270 * UNIT)


def test_one_whose_limit_is_reached_at_the_start_is_served_with_the_first_tick():
    standing, auctions = ranked(filing(share=PPM)), house()
    out = through(standing, auctions, start(), Settle(at_ns=0))
    (fill,) = of(Sold, out)
    assert fill.price == 300 * UNIT
    assert auctions.sales[1].clock.elapsed(0) == 0


def test_standing_bids_come_before_live_ones_of_the_same_tick_at_the_same_price():
    standing, auctions = ranked(filing(size_micro=100 * UNIT)), house()
    at = 5 * MINUTE_NS
    out = through(standing, auctions, start(), bid(at, PPB), Settle(at_ns=at))
    served = fills(out)
    assert set(served) == {"ann", "rob"}
    assert served["rob"] == PPB // 4  # a hundred of the requirement of four hundred
    assert served["rob"] + served["ann"] == PPB * 140 // 410  # what restores the account, as without standing bids
    assert len({fill.price for fill in of(Sold, out)}) == 1


def test_better_limits_are_served_first_and_equal_ones_in_proportion():
    standing = ranked(filing("low"), filing("a", 950_000, size_micro=200 * UNIT), filing("b", 950_000, size_micro=100 * UNIT))
    auctions = house()
    out = through(standing, auctions, start(), Settle(at_ns=0), Settle(at_ns=5 * MINUTE_NS))
    served = fills(out)
    most = PPB * 140 // 410
    assert set(served) == {"a", "b"}  # two thirds and a third
    assert sum(served.values()) == most
    assert abs(served["a"] - 2 * served["b"]) <= 2


def test_a_designated_liquidator_who_keeps_its_promise_comes_before_equal_ranks_only():
    standing = ranked(filing("mm", size_micro=40 * UNIT), filing("rob", size_micro=400 * UNIT))
    standing.apply(Designate(bidder="mm", bucket="x", size_micro=40 * UNIT, share_ppm=900_000, at_ns=0))
    assert standing.keeps_promise("mm", "x")
    out = through(standing, auctions := house(), start(), Settle(at_ns=5 * MINUTE_NS))
    assert fills(out)["mm"] == PPB // 10  # all that it offered
    assert not standing.keeps_promise("mm", "x")  # it is used up
    assert auctions.sales[1].version == 2
    better = ranked(filing("mm"), filing("rob", 900_001, size_micro=400 * UNIT))
    better.apply(Designate(bidder="mm", bucket="x", size_micro=1, share_ppm=1, at_ns=0))
    assert set(fills(through(better, house(), start(), Settle(at_ns=5 * MINUTE_NS)))) == {"rob"}


def test_a_promise_is_not_kept_by_a_bid_that_is_too_small_or_too_low():
    standing = ranked(filing("mm", 800_000, size_micro=UNIT))
    for size, share, kept in ((UNIT, 800_000, True), (UNIT + 1, 800_000, False), (UNIT, 800_001, False)):
        standing.apply(Designate(bidder="mm", bucket="x", size_micro=size, share_ppm=share, at_ns=0))
        assert standing.keeps_promise("mm", "x") is kept
    standing.apply(Designate(bidder="mm", bucket="x", size_micro=0, share_ppm=0, at_ns=0))
    assert not standing.designated


def test_the_budget_goes_into_escrow_and_what_is_left_comes_back():
    standing = RankedBids(RankedRules(), "USD", BUCKETS)
    ledger = Ledger()
    ledger.post(standing.apply(filing(budget_micro=500 * UNIT, free_micro=500 * UNIT)))
    assert ledger.cash == {"rob": -500 * UNIT, ESCROW: 500 * UNIT}
    ledger.post(through(standing, house(), start(), Settle(at_ns=5 * MINUTE_NS)))
    assert 0 < ledger.cash[ESCROW] == standing.escrow_micro < 500 * UNIT
    out = standing.apply(CancelRanked(bidder="rob", id="1", at_ns=5 * MINUTE_NS))
    assert [each.cause for each in of(Dropped, out)] == ["cancelled"]
    ledger.post(out)
    assert ledger.cash[ESCROW] == 0


def test_what_leaves_the_escrow_covers_the_price_and_the_margin_of_what_was_taken():
    standing, auctions = ranked(filing()), house()
    out = through(standing, auctions, start(), Settle(at_ns=5 * MINUTE_NS))
    (fill,) = of(Sold, out)
    (used,) = [move for move in of(Transfer, out) if move.cause == "ranked bid used"]
    margin = 140 * UNIT * fill.amount // PPB  # the buffer margin of the whole is -140
    assert 0 <= used.amount_micro - fill.paid_micro - margin <= 2
    assert out.index(used) < out.index(fill)  # so that no balance is overdrawn on the way


def test_a_small_budget_takes_what_it_bears_and_is_then_used_up():
    standing, auctions = ranked(filing(budget_micro=41 * UNIT)), house()
    out = through(standing, auctions, start(), Settle(at_ns=5 * MINUTE_NS))
    assert fills(out)["rob"] == PPB // 10  # a tenth of 270 + 140
    (dropped,) = of(Dropped, out)
    assert dropped.cause == "used up"
    assert not standing.standing


def test_a_size_is_of_the_requirement_and_is_never_exceeded_over_several_auctions():
    standing, auctions = ranked(filing(size_micro=100 * UNIT, share=PPM)), house()
    out = through(standing, auctions, start(), start(owner="second"), Settle(at_ns=0))
    taken = [fill.amount for fill in of(Sold, out)]
    assert taken == [PPB // 4]  # all of it is in play in the first
    assert [each.left_micro for each in of(Dropped, out)] == [0]


def test_an_account_worth_nothing_is_taken_at_the_least_pay_that_was_asked_for():
    """Insolvent by 100, requirement 200: a third of the requirement on top of the deficit, after a third of ten minutes."""
    standing, auctions = ranked(filing(insolvent_ppm=333_333), filing("never")), house()
    through(standing, auctions, start(value=-100, health=-300))
    out = through(standing, auctions, Settle(at_ns=199 * SECOND_NS))
    assert not of(Sold, out)
    (fill,) = of(Sold, through(standing, auctions, Settle(at_ns=200 * SECOND_NS)))
    assert fill.bidder == "rob"
    assert -fill.paid_micro == pytest.approx(166.67 * UNIT, abs=UNIT)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"until_ns": 0}, "over-before-it-begins"),
        ({"share": 0}, "share-out-of-range"),
        ({"share": PPM + 1}, "share-out-of-range"),
        ({"insolvent_ppm": -2}, "share-out-of-range"),
        ({"size_micro": 0}, "too-small"),
        ({"size_micro": 999_999}, "too-small"),
        ({"budget_micro": 999_999}, "too-small"),
        ({"free_micro": 10**12 - 1}, "no-cash"),
        ({"id": ""}, "no-name"),
        ({"bucket": "no such"}, "no-such-bucket"),
        ({"id": "1"}, "filed-already"),
        ({"bidder": "rob"}, "too-many"),
    ],
)
def test_what_cannot_be_filed_is_refused_and_nothing_moves(changes, reason):
    standing = ranked(filing(), filing(id="2"), filing("other"), rules=RankedRules(each_most=2))
    before = standing.state()
    out = standing.apply(filing(**({"bidder": "other", "id": "3"} | changes)))
    assert reasons(out) == [reason]
    assert not of(Transfer, out)
    assert standing.state() == before


def test_rules_under_which_nothing_can_be_filed_and_unknown_events_are_refused():
    with pytest.raises(InputError, match="ranked rules"):
        RankedBids(RankedRules(each_most=0), "USD", BUCKETS)
    with pytest.raises(InputError, match="filing"):
        ranked().apply(Settle(at_ns=0))


def test_a_bid_that_waits_for_its_tick_cannot_be_taken_back_and_one_that_is_over_expires():
    standing, auctions = ranked(filing(share=PPM, until_ns=10)), house()
    through(standing, auctions, start())
    assert reasons(standing.apply(CancelRanked(bidder="rob", id="", at_ns=0))) == ["in-play"]
    out = through(standing, auctions, Settle(at_ns=20))
    assert fills(out)  # it was valid in its tick
    assert [each.cause for each in of(Dropped, out)] == ["expired"]
    assert reasons(standing.apply(CancelRanked(bidder="rob", id="1", at_ns=20))) == ["no-such-bid"]


def test_what_a_failing_bidder_put_aside_is_its_own_again():
    standing = ranked(filing("a"), filing("a", id="2"), filing("b"))
    ledger = Ledger()
    ledger.post(standing.withdraw("a"))
    assert ledger.cash == {"a": 2 * 10**12, ESCROW: -2 * 10**12}
    assert set(standing.standing) == {("b", "1")}
    assert standing.withdraw("a") == []


def test_what_a_failing_bidder_has_in_play_is_over_with_its_tick():
    standing, auctions = ranked(filing(share=PPM)), house()
    through(standing, auctions, start())
    assert standing.withdraw("rob") == []
    out = through(standing, auctions, Settle(at_ns=1), Settle(at_ns=2))
    assert fills(out)
    assert [each.cause for each in of(Dropped, out)] == ["expired"]


def test_an_owner_does_not_buy_itself_and_is_not_offered_it_at_every_tick():
    standing, auctions = ranked(filing("owner")), house()
    out = through(standing, auctions, start(), *(Settle(at_ns=n * MINUTE_NS) for n in range(5, 9)))
    assert not of(Sold, out)
    assert not of(Refused, out)
    assert standing.state().tried == ((1, 1, "owner", "1"),)


def test_a_stale_oracle_and_a_breaker_stop_standing_bids_and_lose_nothing():
    standing, auctions = ranked(filing()), house()
    at = 5 * MINUTE_NS
    stop, go = Oracle(bucket="x", live=False, at_ns=at), Oracle(bucket="x", live=True, at_ns=at + SECOND_NS)
    out = through(standing, auctions, start(), stop, Settle(at_ns=at + 1), Cancel(auction=7, at_ns=at + 2))
    assert not of(Sold, out)
    out = through(standing, auctions, go, SetBreaker(level=3, at_ns=at + 2 * SECOND_NS), Settle(at_ns=at + 2 * SECOND_NS))
    assert not of(Sold, out)
    out = through(standing, auctions, SetBreaker(level=0, at_ns=at + 3 * SECOND_NS), Settle(at_ns=at + 3 * SECOND_NS))
    assert fills(out)


def test_without_standing_bids_the_house_is_what_it_was():
    alone, beside, none = house(), house(), ranked()
    events = [start(), bid(MINUTE_NS, PPB // 10), Settle(at_ns=MINUTE_NS), Settle(at_ns=200 * MINUTE_NS)]
    assert [out for event in events for out in alone.apply(event)] == through(none, beside, *events)
    assert alone.state() == beside.state()


class _Recording(AccountAuctions):
    """Tells of every bid that it takes, before it is cleared."""

    def __init__(self, hear: Any) -> None:
        super().__init__(RULES, 10**13, "USD")
        self.hear = hear

    def _bid(self, bid: Bid) -> list[Any]:
        out = super()._bid(bid)
        if not out:
            self.hear(bid)
        return out


class RankedWalk(Walk):
    """The walk of auctions with bids that were filed, cancelled and expire, beside the same ledger."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.standing = RankedBids(RankedRules(each_most=4), "USD", BUCKETS)
        self.house = _Recording(self.hear)
        self.entered = self.ranked_fills = self.over = 0
        self.given = 0  # what owners have to begin with, which comes from nowhere

    def start(self) -> StartAccount:
        event = super().start()
        self.given += event.cash_micro
        return event

    def hear(self, bid: Bid) -> None:
        """A standing bid enters within its limit, its size and its budget, and only when its limit is reached."""
        self.bids[bid.auction, bid.bidder] = bid
        if not bid.priority:
            return
        self.entered += 1
        sale = self.house.sales[bid.auction]
        mine = [each for each in self.standing.standing.values() if each.bidder == bid.bidder and each.bucket == sale.bucket]
        mine = [each for each in mine if limit_of(each, sale) == bid.limit and bid.free_micro <= each.budget_micro]
        assert any(sale.requirement_micro * bid.amount // PPB <= each.size_micro for each in mine)
        assert bid.limit >= self.house.price_of(sale, bid.at_ns)

    def step(self) -> None:
        r = self.random
        if r.random() < 0.2:
            self.post(self.standing.apply(self.own_event()))
            return
        event = self.event()
        before = dict(self.house.sales)
        out = self.standing.through(self.house, event)
        self.post(out)
        self.ranked_fills += sum(fill.bidder in ("r1", "r2") for fill in of(Sold, out))
        self.check(before, out)

    def post(self, out: list[Any]) -> None:
        self.ledger.post(out)
        self.over += len(of(Dropped, out))
        assert self.ledger.cash.get(ESCROW, 0) == self.standing.escrow_micro
        for each in self.standing.standing.values():
            assert min(each.budget_micro, each.size_micro) > 0
        for play in self.standing.in_play.values():
            assert any(each.bidder == play.bidder for each in self.house.pending[play.auction])

    def own_event(self) -> Any:
        r = self.random
        bidder, id = r.choice(("r1", "r2")), str(r.randint(1, 5))
        if r.random() < 0.2:
            return CancelRanked(bidder=bidder, id=r.choice((id, "")), at_ns=self.now_ns)
        if r.random() < 0.1:
            return Designate(bidder=bidder, bucket="major", size_micro=r.choice((0, 10**9)), share_ppm=900_000, at_ns=self.now_ns)
        event = FileRanked(
            bidder=bidder, id=id, bucket=r.choice(("major", "minor")), size_micro=r.choice((10**6, 10**8, 10**11)),
            share_ppm=r.choice((700_000, 950_000, 980_000, PPM)), insolvent_ppm=r.choice((-1, 0, 200_000, PPM)),
            budget_micro=r.choice((10**6, 10**8, 10**11)), until_ns=self.now_ns + r.choice((1, MINUTE_NS, DAY_NS)),
            free_micro=r.choice((0, 10**9, 10**15)), at_ns=self.now_ns,
        )  # fmt: skip
        return event


@given(st.integers(0, 2**32))
@settings(max_examples=60)
def test_a_walk_with_standing_bids_keeps_the_escrow_and_every_limit(seed):
    walk = RankedWalk(seed)
    for _ in range(300):
        walk.step()
    assert sum(walk.ledger.cash.values()) == walk.given


def test_walks_reach_what_they_are_for():
    walks = [RankedWalk(seed) for seed in range(8)]
    for walk in walks:
        for _ in range(400):
            walk.step()
    assert sum(walk.ranked_fills for walk in walks) > 50
    assert sum(walk.over for walk in walks) > 50
    assert sum(walk.fills for walk in walks) > 200


def test_from_a_snapshot_in_the_middle_the_same_follows():
    walk, twin = RankedWalk(5), RankedWalk(5)
    for at in range(600):
        walk.step()
        twin.step()
        if at % 50 == 25:
            data = msgspec.json.encode(twin.standing.state())
            again = RankedBids(twin.standing.rules, "USD", BUCKETS)
            again.restore(msgspec.json.decode(data, type=RankedState))
            twin.standing = again
        assert twin.standing.state() == walk.standing.state()
        assert twin.ledger.cash == walk.ledger.cash
    assert walk.ranked_fills > 0
    assert twin.house.state() == walk.house.state()
