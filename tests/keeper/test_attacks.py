"""Scripts of those who would game keepers' rewards, auctions and signatures; each shows what the attack earns: nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.memory import RULES, START_NS, UNIT, Memory
from liquidation.test_account_auction import of, reasons
from seawall.client.errors import ServiceError
from seawall.client.keyfile import PrivateKey
from seawall.core.signing import BidTerms, sign
from seawall.core.times import SECOND_NS
from seawall.liquidation.account_auction import FEES, Look
from seawall.liquidation.account_slices import PPB
from seawall.liquidation.auction_events import Bid, Oracle, Restart, Restarted, Sold
from seawall.liquidation.auction_house import FUND
from seawall.liquidation.auction_rules import KeeperRules

KEY, OTHER = PrivateKey(bytes([1]) * 32), PrivateKey(bytes([2]) * 32)
GENEROUS = msgspec.structs.replace(RULES, keeper=KeeperRules(tip_micro=50 * UNIT, chip_ppm=500_000), tail_ns=120 * SECOND_NS)


def bid(memory: Memory, who: str, share: int = PPB, limit: int | None = None, number: int = 1, **more: Any) -> list[Any]:
    sale = memory.house.sales[number]
    asked = memory.house.price_of(sale, memory.now_ns) if limit is None else limit
    fields: dict[str, Any] = {"version": sale.version, "free_micro": 10**13} | more
    return memory.apply(Bid(auction=number, bidder=who, amount=share, limit=asked, at_ns=memory.now_ns, **fields))


def worth(memory: Memory, *names: str) -> int:
    return sum(memory.equity(name) for name in names)


def terms(memory: Memory, who: str = "ann", **more: Any) -> BidTerms:
    fields: dict[str, Any] = {
        "venue": memory.notary.venue, "venue_key": memory.notary.public, "auction": 1, "version": 1, "share_ppb": PPB,
        "limit_micro": 10**12, "bidder": who, "nonce": "0123456789abcdef", "expires_ns": memory.now_ns + SECOND_NS,
    }  # fmt: skip
    return BidTerms(**(fields | more))


# ---------------------------------------------------------------------- money


@settings(max_examples=60)
@given(
    seconds=st.integers(0, 100), slices=st.lists(st.integers(1, 999_999_999), min_size=1, max_size=12), equity=st.integers(100, 4_900),
    generous=st.booleans(),
)  # fmt: skip
def test_an_owner_who_buys_itself_back_under_another_name_is_poorer_by_what_the_fee_was_not_given_back(
    tmp_path_factory, seconds, slices, equity, generous
):
    """Wash bids and self-liquidation for rewards: the discount goes from one pocket to the other, rewards come out of the own fee."""
    memory = Memory(tmp_path_factory.mktemp("venue"), GENEROUS if generous else RULES)
    memory.keeper("alter", 10**6, KEY)
    memory.ledger.cash["owner"] = 0
    memory.fail("owner", {"X": 1_000}, equity)
    fee = sum(move.amount_micro for move in memory.out if getattr(move, "cause", "") == "auction fee")
    before = worth(memory, "owner", "alter") + fee
    memory.beat(seconds)
    for share in slices:
        if 1 not in memory.house.sales:
            break
        bid(memory, "alter", share)
        memory.beat(0.5)
    rewards = sum(move.amount_micro for move in memory.out if getattr(move, "cause", "") == "keeper reward")
    assert worth(memory, "owner", "alter") == before - fee + rewards
    assert rewards <= fee
    assert memory.ledger.cash[FEES] + memory.ledger.cash.get(FUND, 0) == fee - rewards


def test_an_owner_and_those_known_to_be_with_it_do_not_buy_below_the_oracle(tmp_path):
    memory = Memory(tmp_path)
    memory.fail("owner", {"X": 1_000}, 3_000)
    memory.house.sales[1] = msgspec.structs.replace(memory.house.sales[1], affiliates=("friend",))
    memory.beat(30)
    assert reasons(bid(memory, "owner")) == ["self-bid"]
    assert reasons(bid(memory, "friend")) == ["self-bid-below-oracle"]


def test_a_bidder_without_money_takes_nothing_from_those_who_have_some(tmp_path):
    """Bids that cannot be paid would push down everybody's part of a tick, if they counted."""
    memory = Memory(tmp_path)
    memory.keeper("ann", 10**6, KEY)
    memory.fail("owner", {"X": 1_000}, 3_000)
    memory.beat(10)
    for number in range(50):
        assert reasons(bid(memory, f"puppet{number}", free_micro=0)) == ["no-cash"]
    most = memory.house.most_ppb(memory.house.sales[1], memory.now_ns)
    bid(memory, "ann")
    memory.beat()
    (fill,) = [each for each in memory.out if isinstance(each, Sold)]
    assert fill.amount == most


def test_bids_cut_into_a_thousand_pieces_cost_more_and_never_less(tmp_path):
    paid = {}
    for pieces in (1, 100):
        memory = Memory(tmp_path / str(pieces), msgspec.structs.replace(RULES, fee_ppm=0))
        memory.keeper("ann", 10**6, KEY)
        memory.fail("owner", {"X": 100_000}, 300_000)
        memory.beat(10)
        price = memory.house.price_of(memory.house.sales[1], memory.now_ns)
        for _ in range(pieces):
            bid(memory, "ann", PPB // 10 // pieces, limit=price)
            memory.beat(0)
        fills = [each for each in memory.out if isinstance(each, Sold)]
        got = -memory.ledger.lots["owner", "X"] + 100_000
        paid[pieces] = sum(fill.paid_micro for fill in fills) / got
    assert paid[100] >= paid[1] * (1 - 1e-4)


# ---------------------------------------------------------------------- oracle


def test_who_knows_the_next_price_before_the_oracle_buys_at_the_next_price(tmp_path):
    """A bid is cleared at the figures of its tick's end: where the mark has moved up meanwhile, its limit is too low."""
    memory = Memory(tmp_path)
    memory.keeper("ann", 10**6, KEY)
    memory.fail("owner", {"X": 1_000}, 3_000)
    memory.beat(10)
    assert not bid(memory, "ann")  # at exactly what is asked, knowing that X is about to be worth 1 % more
    memory.marks["X"] = 101 * 10**9
    sale = memory.house.sales[1]
    memory.apply(
        Look(auction=1, version=sale.version, legs=memory.legs("owner"), cash_micro=memory.ledger.cash["owner"],
             health_micro=memory.health("owner"), at_ns=memory.now_ns)
    )  # fmt: skip
    memory.beat()
    assert not [each for each in memory.out if isinstance(each, Sold)]
    assert "too-expensive" in reasons(memory.out)


def test_while_the_oracle_is_late_nobody_buys_and_no_time_passes(tmp_path):
    memory = Memory(tmp_path)
    memory.keeper("ann", 10**6, KEY)
    memory.fail("owner", {"X": 1_000}, 3_000)
    memory.beat(10)
    asked = memory.house.price_of(memory.house.sales[1], memory.now_ns)
    assert not bid(memory, "ann")
    assert reasons(memory.apply(Oracle(bucket="major", live=False, at_ns=memory.now_ns))) == ["oracle-stale"]
    assert reasons(bid(memory, "ann")) == ["oracle-stale"]
    memory.beat(500)
    memory.apply(Oracle(bucket="major", live=True, at_ns=memory.now_ns))
    assert memory.house.price_of(memory.house.sales[1], memory.now_ns) == asked
    assert not [each for each in memory.out if isinstance(each, Sold)]


# ---------------------------------------------------------------------- restarts


@settings(max_examples=40)
@given(st.lists(st.integers(0, 200), min_size=1, max_size=40))
def test_restarts_cannot_keep_an_account_from_its_buyers_and_earn_no_more_than_the_fee(tmp_path_factory, waits):
    memory = Memory(tmp_path_factory.mktemp("venue"), GENEROUS)
    memory.fail("owner", {"X": 1_000}, 3_000)
    fee = sum(move.amount_micro for move in memory.out if getattr(move, "cause", "") == "auction fee")
    restarted = 0
    for wait in waits:
        memory.beat(wait)
        sale = memory.house.sales[1]
        out = memory.apply(Restart(auction=1, keeper="griefer", at_ns=memory.now_ns))
        restarted += len(of(Restarted, out))
        if of(Restarted, out):
            assert sale.clock.elapsed(memory.now_ns) > GENEROUS.tail_ns  # only where nobody may bid any more
    earned = sum(move.amount_micro for move in memory.out if getattr(move, "payee", "") == "griefer")
    assert restarted <= GENEROUS.restarts_max
    assert earned <= min(fee, restarted * GENEROUS.keeper.tip_micro)


# ---------------------------------------------------------------------- signatures


def send(memory: Memory, what: BidTerms, key: PrivateKey = KEY, signature: str = "") -> Any:
    venue = memory.venue_of_ann
    return asyncio.run(venue.bid(what, signature or sign(key.secret, what)))


@pytest.fixture
def signed(tmp_path):
    memory = Memory(tmp_path)
    memory.venue_of_ann = memory.keeper("ann", 10**6, KEY)
    memory.fail("owner", {"X": 1_000}, 3_000)
    return memory


def test_a_bid_that_is_sent_again_is_answered_again_and_counted_once(signed):
    first, second = send(signed, terms(signed)), send(signed, terms(signed))
    assert (second.sequence, second.receipt, second.repeated) == (first.sequence, first.receipt, True)
    assert len(signed.house.pending[1]) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"venue": "test-net"},
        {"venue_key": OTHER.public},
        {"bidder": "bob"},
        {"expires_ns": START_NS - 1},
        {"expires_ns": START_NS + 3600 * SECOND_NS},
    ],
)
def test_what_was_signed_for_another_venue_bidder_or_time_is_refused(signed, changes):
    with pytest.raises(ServiceError):
        send(signed, terms(signed, **changes))
    assert not signed.house.pending


def test_another_key_or_other_terms_under_a_signature_are_refused(signed):
    good = terms(signed)
    with pytest.raises(ServiceError, match="not a signature"):
        send(signed, good, OTHER)
    for changes in ({"limit_micro": 10**15}, {"share_ppb": PPB // 2}, {"version": 2}, {"auction": 2}):
        with pytest.raises(ServiceError, match="not a signature"):
            send(signed, msgspec.structs.replace(good, **changes), signature=sign(KEY.secret, good))
    assert not signed.house.pending


def test_a_bid_for_another_state_of_the_auction_is_refused_and_recorded(signed):
    answer = send(signed, terms(signed, version=7))
    assert answer.reason == "state-changed"
    assert answer.sequence > 0
