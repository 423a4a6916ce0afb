"""The compiled fold is the ledger, only faster: the same state, the same receipts, the same refusals after any history."""

from __future__ import annotations

import gc
import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.ledger_scenes import HOUR_NS, LISTINGS, USD, settle_all, venue
from seawall.core.errors import InputError, LimitExceeded, StaleEvent
from seawall.ledger import events as ev
from seawall.ledger.bulk import BulkFold
from seawall.ledger.ledger import Ledger

USERS = ["alice", "bob", "carol", "alice:b", "bob:perp"]
NAMES = st.sampled_from([*USERS, *USERS, "insurance", "backstop"])
ANY = st.sampled_from([*USERS, "insurance", "backstop", "fees", "rounding", "funding", "expiry", "outside", "nobody", "new"])
ASSETS = st.sampled_from(["USD", "USD", "BTC", "ETH", "DOGE"])
INSTRUMENTS = st.sampled_from(["BTC-PERP", "BTC-PERP", "ETH-PERP", "BTC-DEC", "BTC-C", "ETH-BTC-PERP", "BTC", "ETH", "NO"])
AMOUNTS = st.one_of(st.integers(1, 10**12), st.sampled_from([0, -1, 2**61, 2**62, 2**63 - 1, 2**63, 2**64 - 1]))
LOTS = st.one_of(st.integers(-1_000, 1_000), st.sampled_from([2**40, -(2**52), 2**62, -(2**63), 2**63 - 1]))
PRICES = st.one_of(st.integers(1, 10**12), st.sampled_from([0, 1, 2**53 - 1, 2**53]))
PPM = st.one_of(st.integers(-300, 1_000), st.sampled_from([10**6, -(10**6), 10**6 + 1]))
KEYS = st.sampled_from(["", "", "", "", "", "", "k", "l", "ключ", "a\nb", "k" * 128, "k" * 129])
STATES = st.sampled_from(["active", "reduce-only", "in-liquidation", "frozen", "closed"])
STEPS = st.sampled_from([0, 0, 0, 0, 1, 10**9, HOUR_NS, 30 * 86_400 * 10**9, -1])


def one(kind, /, **fields):
    return st.builds(kind, at_ns=st.just(0), key=KEYS, **fields)


TRADES = one(
    ev.Trade, maker=NAMES, taker=NAMES, instrument=INSTRUMENTS, lots=LOTS, price_nano=PRICES, maker_fee_ppm=PPM,
    taker_fee_ppm=PPM, fees=st.sampled_from(["fees", "fees", "fees", "insurance", "nobody"]),
)  # fmt: skip
DAILY = st.one_of(
    TRADES, TRADES, TRADES,
    one(ev.Deposit, account=NAMES, asset=ASSETS, amount=AMOUNTS), one(ev.Deposit, account=ANY, asset=ASSETS, amount=AMOUNTS),
    one(ev.Withdraw, account=ANY, asset=ASSETS, amount=AMOUNTS),
    one(ev.Transfer, source=ANY, target=ANY, asset=ASSETS, amount=AMOUNTS),
    one(ev.Charge, account=ANY, target=ANY, asset=ASSETS, amount=AMOUNTS),
    one(ev.Cover, fund=ANY, account=ANY, asset=ASSETS, amount=AMOUNTS),
    one(ev.Settle, account=ANY),
)  # fmt: skip
RARE = st.one_of(
    one(ev.SetState, account=NAMES, state=STATES),
    one(ev.Premium, instrument=INSTRUMENTS, index_nano=PRICES, impact_bid_nano=PRICES, impact_ask_nano=st.just(2**53)),
    one(ev.Funding, instrument=INSTRUMENTS, price_nano=PRICES),
    one(ev.Accrue, asset=ASSETS, borrow_ppm=st.integers(0, 10**7), reserve_ppm=st.integers(0, 10**6)),
    one(ev.Expire, instrument=st.sampled_from(["BTC-DEC", "BTC-C", "ETH-BTC-PERP"]), price_nano=PRICES),
    one(ev.Open, account=st.sampled_from(["new", "dave"])),
    one(ev.OpenBucket, owner=st.sampled_from(["carol", "dave"]), bucket=st.just("b"), instrument=st.just("")),
    one(ev.ListInstrument, instrument=st.just("NO"), kind=st.just("perpetual"), settlement=st.just("BTC")),
    one(ev.ListAsset, asset=st.just("DOGE"), decimals=st.integers(0, 9)),
)  # fmt: skip


@st.composite
def histories(draw, most=60):
    """Events one after the other, sometimes one that is too old."""
    found, now = [], 0
    for event in draw(st.lists(st.one_of(DAILY, DAILY, DAILY, RARE), min_size=1, max_size=most)):
        step = draw(STEPS)
        now = max(now, now + step)
        found.append(msgspec.structs.replace(event, at_ns=max(0, now + min(0, step))))
    return found


def opened(keys_ns: int = 86_400 * 10**9) -> Ledger:
    ledger = Ledger(keys_ns)
    start = [*LISTINGS]
    for name in ("alice", "bob", "carol"):
        start.append(ev.Open(at_ns=0, account=name))
        start.append(ev.Deposit(at_ns=0, account=name, asset="USD", amount=10_000 * USD))
    start.append(ev.OpenBucket(at_ns=0, owner="alice", bucket="b"))
    start.append(ev.OpenBucket(at_ns=0, owner="bob", bucket="perp", instrument="BTC-PERP"))
    for event in start:
        ledger.apply(event)
    return ledger


def one_by_one(ledger: Ledger, records) -> list[tuple[int, str]]:
    """The refusals, by number."""
    refused = []
    for k, record in enumerate(records):
        try:
            ledger.apply(ev.decode(record))
        except InputError as error:
            refused.append((k, str(error)))
    return refused


def in_bulk(ledger: Ledger, records, cuts=(), fold: BulkFold | None = None) -> list[tuple[int, str]]:
    """The same through the compiled fold, in several calls."""
    refused = []
    fold = fold or BulkFold(ledger)
    edges = sorted({0, len(records), *(cut for cut in cuts if cut < len(records))})
    for first, last in zip(edges, edges[1:]):
        part = records[first:last]

        def by_hand(k, part=part, first=first):
            try:
                ledger.apply(ev.decode(part[k]))
            except InputError as error:
                refused.append((first + k, str(error)))

        fold.apply(part, by_hand)
    return refused


def assert_same(one: Ledger, other: Ledger) -> None:
    mine, theirs = one.columns(), other.columns()
    for name, column in mine.items():
        assert list(column) == list(theirs[name]), name
    assert one.state_hash() == other.state_hash()


@given(histories(), st.lists(st.integers(1, 60), max_size=4), st.sampled_from([86_400 * 10**9, HOUR_NS, 0]))
@settings(max_examples=200)
def test_any_history_in_bulk_is_the_history_one_by_one(history, cuts, keys_ns):
    records = [ev.encode(event) for event in history]
    slow, fast = opened(keys_ns), opened(keys_ns)
    assert in_bulk(fast, records, cuts) == one_by_one(slow, records)
    assert_same(fast, slow)
    for ledger in (fast, slow):
        settle_all(ledger)  # by hand, on what the compiled fold left
    assert_same(fast, slow)


@given(histories(30), histories(30), histories(30))
@settings(max_examples=60)
def test_bulk_and_single_events_may_take_turns_also_after_a_restart(first, second, third):
    slow, fast = opened(), opened()
    fold = BulkFold(fast)
    for history, bulk in ((first, True), (second, False), (third, True)):
        records = [ev.encode(event) for event in history]
        expected = one_by_one(slow, records)
        assert (in_bulk(fast, records, fold=fold) if bulk else one_by_one(fast, records)) == expected
        assert_same(fast, slow)
    restored = Ledger.from_columns(fast.columns())
    records = [ev.encode(msgspec.structs.replace(event, at_ns=slow.at_ns, key="")) for event in first]
    assert in_bulk(restored, records) == one_by_one(slow, records)
    assert_same(restored, slow)


@given(st.lists(DAILY, min_size=1, max_size=8), st.data())
@settings(max_examples=150)
def test_damaged_records_are_what_they_are_to_the_decoder(events, data):
    records = []
    for event in events:
        record = bytearray(ev.encode(event))
        for _ in range(data.draw(st.integers(0, 2))):
            record[data.draw(st.integers(0, len(record) - 1))] = data.draw(st.integers(0, 255))
        records.append(bytes(record[: data.draw(st.integers(0, len(record)))] if data.draw(st.booleans()) else record))
    slow, fast = opened(), opened()
    assert in_bulk(fast, records) == one_by_one(slow, records)
    assert_same(fast, slow)


def busy(seed: int, count: int, accounts: int = 40, keys: float = 0.2) -> list[ev.LedgerEvent]:
    """A day of a venue: legal for the most part, positions opened, closed and turned all the time."""
    rng = random.Random(seed)
    names = [f"account {k}" for k in range(accounts)]
    symbols = [f"C{k}-PERP" for k in range(12)]
    events: list[ev.LedgerEvent] = [ev.ListAsset(at_ns=0, asset="USD", decimals=6)]
    rule = ev.FundingRule(samples=1)
    for symbol in symbols:
        events.append(ev.ListInstrument(at_ns=0, instrument=symbol, kind="perpetual", settlement="USD", funding=rule))
    for name in names:
        events.append(ev.Open(at_ns=0, account=name))
        events.append(ev.Deposit(at_ns=0, key=f"first of {name}", account=name, asset="USD", amount=10**12))
    now = 0
    for k in range(count):
        now += rng.randrange(10**9)
        key = f"key {k}" if rng.random() < keys else ""
        maker, taker = rng.sample(names, 2)
        symbol, price, what = rng.choice(symbols), rng.randrange(10**9, 10**11), rng.random()
        if what < 0.85:
            figures = {"lots": rng.choice([-2, -1, 1, 2]) * rng.randrange(1, 4), "price_nano": price, "taker_fee_ppm": 350}
            events.append(ev.Trade(at_ns=now, key=key, maker=maker, taker=taker, instrument=symbol, maker_fee_ppm=-50, **figures))
        elif what < 0.90:
            events.append(ev.Deposit(at_ns=now, key=key, account=maker, asset="USD", amount=rng.randrange(1, 10**9)))
        elif what < 0.95:
            events.append(ev.Withdraw(at_ns=now, key=key, account=maker, asset="USD", amount=rng.randrange(1, 10**6)))
        elif what < 0.98:
            bid = 10**12 + rng.randrange(-(10**9), 10**9)
            events.append(ev.Premium(at_ns=now, instrument=symbol, index_nano=10**12, impact_bid_nano=bid, impact_ask_nano=bid))
        else:
            now += HOUR_NS
            events.append(ev.Funding(at_ns=now, instrument=symbol, price_nano=price))
    return events


@pytest.mark.parametrize("seed", range(3))
def test_a_long_day_has_the_same_hash_and_is_hardly_ever_done_by_hand(seed):
    records = [ev.encode(event) for event in busy(seed, 20_000)]
    slow, fast = Ledger(), Ledger()
    fold = BulkFold(fast)
    refused = in_bulk(fast, records, [5, 6, 9_000], fold)
    assert refused == one_by_one(slow, records)
    assert fast.state_hash() == slow.state_hash()
    assert fold.by_hand < 0.1 * len(records)
    assert not fast._state._undo


def test_more_keys_and_positions_than_the_first_tables_hold():
    names = [f"account {k}" for k in range(30_000)]
    events: list[ev.LedgerEvent] = [*LISTINGS, *(ev.Open(at_ns=0, account=name) for name in names)]
    for k, name in enumerate(names):
        events.append(ev.Deposit(at_ns=1, key=f"k{k}", account=name, asset="USD", amount=k + 1))
        symbol = ("BTC-PERP", "ETH-PERP", "BTC-DEC")[k % 3]
        events.append(ev.Trade(at_ns=1, maker=name, taker=names[k - 1], instrument=symbol, lots=1, price_nano=10**9))
    events += [ev.Deposit(at_ns=2, key=f"k{k}", account=names[k], asset="USD", amount=k + 1) for k in range(0, 30_000, 1_000)]
    records = [ev.encode(event) for event in events]
    slow, fast = Ledger(), Ledger()
    fold = BulkFold(fast)
    assert in_bulk(fast, records, fold=fold) == one_by_one(slow, records) == []
    assert fast.state_hash() == slow.state_hash()
    assert fold.by_hand == len(LISTINGS) + len(names) + 30, "listings, openings, and keys that were used before"


def test_an_account_with_more_positions_than_the_buffers_hold_is_settled_by_hand():
    events: list[ev.LedgerEvent] = [ev.ListAsset(at_ns=0, asset="USD", decimals=6)]
    events += [ev.Open(at_ns=0, account=name) for name in ("alice", "bob")]
    for k in range(1_100):
        events.append(ev.ListInstrument(at_ns=0, instrument=f"C{k}", kind="future", settlement="USD"))
        events.append(ev.Trade(at_ns=0, maker="alice", taker="bob", instrument=f"C{k}", lots=1 + k, price_nano=10**9))
        events.append(ev.Expire(at_ns=0, instrument=f"C{k}", price_nano=2 * 10**9 + k))
    events += [ev.Settle(at_ns=1, account=name) for name in ("alice", "bob")]
    records = [ev.encode(event) for event in events]
    slow, fast = Ledger(), Ledger()
    assert in_bulk(fast, records) == one_by_one(slow, records) == []
    assert fast.state_hash() == slow.state_hash()
    assert fast.position("bob", "C7") == (0, 0)


def test_a_refused_event_raises_what_the_ledger_says_and_ends_there():
    ledger = venue("alice", "bob", cash=5)
    fold = BulkFold(ledger)
    good = ev.Deposit(at_ns=1, account="bob", asset="USD", amount=1)
    for bad, error in (
        (ev.Withdraw(at_ns=1, account="alice", asset="USD", amount=6), InputError),
        (ev.Deposit(at_ns=1, account="alice", asset="USD", amount=2**63 - 1), LimitExceeded),
        (ev.Deposit(at_ns=0, account="alice", asset="USD", amount=1), StaleEvent),
    ):
        before = ledger.balance("bob", "USD")
        with pytest.raises(error):
            fold.apply([ev.encode(event) for event in (good, bad, good)])
        assert ledger.balance("bob", "USD") == before + 1
    assert ledger.balance("alice", "USD") == 5
    assert gc.isenabled()


def test_nothing_to_do_is_nothing_done():
    ledger = venue("alice")
    before = ledger.state_hash()
    BulkFold(ledger).apply([])
    assert ledger.state_hash() == before
