"""Several keepers over the same auctions: who gets what at which price, with and without the others, and with most of them gone."""

from __future__ import annotations

import asyncio
import io
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.memory import RULES, UNIT, Memory
from keeper.test_bot import PACE, WIDE
from seawall.client.keyfile import PrivateKey
from seawall.keeper.bot import Keeper
from seawall.keeper.limits import Limits
from seawall.keeper.log import Log
from seawall.keeper.strategy import load_strategy
from seawall.liquidation.account_auction import FEES
from seawall.liquidation.auction_events import BackstopDue, Ended, Sold
from seawall.liquidation.auction_house import FUND
from seawall.liquidation.ranked import ESCROW

D = Decimal


def keepers(memory: Memory, edges: list[str], cash: int = 100_000, limits: Limits = WIDE, strategy: str = "value") -> list[Keeper]:
    """One per edge, k0, k1, …"""
    found = []
    for number, edge in enumerate(edges):
        name, key = f"k{number}", PrivateKey(bytes([number + 1]) * 32)
        options = {"edge": edge, "skew": "0", "least": "0"} if strategy == "value" else {"carry": edge, "least": "0", "hedged": "0"}
        log = Log(lambda: memory.now_ns, to=io.StringIO())
        found.append(Keeper(memory.keeper(name, cash, key), name, key, load_strategy(strategy, options), limits, log, pace=PACE))
    return found


async def compete(memory: Memory, all_of_them: list[Keeper], beats: int, seconds: float = 1.0, each: Any = None) -> None:
    """Everybody looks in every tick, in an order that changes; `each` is called with the number of the beat."""
    for keeper in all_of_them:
        await keeper.begin()
    listeners = [asyncio.create_task(keeper._listen()) for keeper in all_of_them]
    await asyncio.sleep(0)
    for beat in range(beats):
        if each is not None:
            each(beat)
        turned = all_of_them[beat % len(all_of_them) :] + all_of_them[: beat % len(all_of_them)] if all_of_them else []
        for keeper in turned:
            await keeper.look()
        memory.beat(seconds)
        for _ in range(2):
            await asyncio.sleep(0)
    for keeper in all_of_them:
        await keeper.look()
    for listener in listeners:
        listener.cancel()
    await asyncio.gather(*listeners, return_exceptions=True)


def shares(memory: Memory) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in memory.out:
        if isinstance(each, Sold):
            found[each.bidder] = found.get(each.bidder, 0) + each.amount
    return found


def first_price(memory: Memory) -> Decimal:
    return D(next(each.price for each in memory.out if isinstance(each, Sold))) / UNIT


def test_the_keenest_is_served_first_and_the_owner_gets_more_than_from_the_greedy_alone(tmp_path):
    prices = {}
    for name, edges in {"all": ["0.02", "0.004", "0.01"], "greedy": ["0.02"]}.items():
        memory = Memory(tmp_path / name)
        crowd = keepers(memory, edges)
        memory.fail("owner", {"X": 1_000}, 6_000 - 2_500)
        asyncio.run(compete(memory, crowd, 400))
        prices[name] = first_price(memory)
        assert not memory.house.sales
        if name == "all":
            served = shares(memory)
            assert max(served, key=served.__getitem__) == "k1"
    assert prices["all"] > prices["greedy"]


def test_equals_in_a_tick_share_what_is_sold_and_pay_the_same(tmp_path):
    memory = Memory(tmp_path)
    crowd = keepers(memory, ["0.005", "0.005", "0.005"])
    memory.fail("owner", {"X": 3_000}, 9_000)
    asyncio.run(compete(memory, crowd, 60))
    fills = [each for each in memory.out if isinstance(each, Sold)][:3]
    assert {fill.bidder for fill in fills} == {"k0", "k1", "k2"}
    assert len({fill.price for fill in fills}) == 1
    assert max(fill.amount for fill in fills) - min(fill.amount for fill in fills) <= 1


def test_standing_bids_come_before_live_ones_and_save_the_owner_the_wait(tmp_path):
    memory = Memory(tmp_path)
    crowd = keepers(memory, ["0.005", "0.01"])
    key = PrivateKey(bytes([9]) * 32)
    options = {"buckets": "major", "share": "0.98", "size": "100000", "budget": "50000"}
    ahead = Keeper(memory.keeper("rob", 100_000, key), "rob", key, load_strategy("ranked", options), WIDE,
                   Log(lambda: memory.now_ns, to=io.StringIO()), pace=PACE)  # fmt: skip
    failing = {1: lambda: memory.fail("owner", {"X": 1_000}, 3_000)}
    asyncio.run(compete(memory, [ahead, *crowd], 30, each=lambda beat: failing.get(beat, lambda: None)()))
    first = next(each for each in memory.out if isinstance(each, Sold))
    assert first.bidder == "rob"
    fee = next(move.amount_micro for move in memory.out if getattr(move, "cause", "") == "auction fee")
    assert first.price >= (3_000 * UNIT - fee) * 9_799 // 10_000  # at the opening, not a second later
    assert memory.ledger.cash[ESCROW] == memory.ranked.escrow_micro


ACCOUNT = st.tuples(st.integers(-2_000, 2_000), st.integers(-2_000, 2_000), st.integers(-90, 99))


@settings(max_examples=25)
@given(
    edges=st.lists(st.sampled_from(["0.001", "0.005", "0.02"]), min_size=1, max_size=4), accounts=st.lists(ACCOUNT, min_size=1, max_size=4),
    moves=st.lists(st.integers(-300, 300), max_size=20), cash=st.sampled_from([500, 20_000, 10**6]),
)  # fmt: skip
def test_whatever_happens_nothing_is_made_or_lost_and_no_keeper_buys_above_what_it_saw(tmp_path_factory, edges, accounts, moves, cash):
    memory = Memory(tmp_path_factory.mktemp("venue"))
    limits = Limits(gross=D(150_000), instrument=D(80_000), bid=D(10**6))
    crowd = keepers(memory, edges, cash, limits)
    for number, (x, y, per_cent) in enumerate(accounts):
        if x or y:
            needs = (abs(x) * 100 + abs(y) * 50) * 5 // 100
            memory.fail(f"owner{number}", {"X": x, "Y": y}, needs * per_cent // 100)
    fees = sum(memory.ledger.cash.get(name, 0) for name in (FEES, FUND))
    owners = sum(memory.ledger.cash.get(f"owner{n}", 0) for n in range(len(accounts)))
    begun = owners + fees + sum(memory.given.values())

    def move(beat: int) -> None:
        if beat < len(moves):
            memory.marks["X"] = max(10**9, memory.marks["X"] + moves[beat] * 10**7)

    asyncio.run(compete(memory, crowd, 60, 2.0, move))
    assert sum(memory.ledger.cash.values()) == begun
    for name in memory.marks:
        total = sum(lots for (_, symbol), lots in memory.ledger.lots.items() if symbol == name)
        assert total == sum(x if name == "X" else y for x, y, _ in accounts)
    for keeper in crowd:
        for row in keeper.books.purchases.values():
            assert row.edge >= D("-0.001")
        held = {name: abs(memory.ledger.lots.get((keeper.account, name), 0)) for name in memory.marks}
        assert held["Y"] * 50 <= 80_000  # its mark has not moved


@pytest.mark.parametrize("strategy", ["value", "market-maker"])
def test_with_four_fifths_of_the_keepers_gone_the_rest_or_the_backstop_ends_every_auction(tmp_path, strategy):
    memory = Memory(tmp_path)
    crowd = keepers(memory, ["0.002"] * 10, cash=30_000, strategy=strategy)
    for number in range(5):
        memory.fail(f"owner{number}", {"X": 500, "Y": -400}, 1_000)

    def gone(beat: int) -> None:
        if beat == 2:  # in the middle of it, with whatever they have sent
            del crowd[2:]

    asyncio.run(compete(memory, crowd, 700, 1.0, gone))
    ended = {each.auction for each in memory.out if isinstance(each, Ended)}
    called = {each.auction for each in memory.out if isinstance(each, BackstopDue)}
    assert ended | called == {1, 2, 3, 4, 5}
    assert ended


def test_an_auction_in_which_nobody_bids_falls_no_lower_than_its_floor_and_calls_the_backstop_once(tmp_path):
    """March 2020: 36 % of MakerDAO's auctions went for nothing, as nobody else was there. Here the floor is the least."""
    memory = Memory(tmp_path, msgspec.structs.replace(RULES, floor_ppm=900_000))
    memory.fail("owner", {"X": 1_000}, 3_000)
    lowest = 10**18
    for _ in range(700):
        memory.beat()
        for sale in memory.house.sales.values():
            lowest = min(lowest, memory.house.price_of(sale, memory.now_ns))
            assert memory.house.price_of(sale, memory.now_ns) >= sale.value_micro * 9 // 10 - 1
    assert lowest < 3_000 * UNIT
    assert sum(isinstance(each, BackstopDue) for each in memory.out) == 1
    assert not shares(memory)


def test_keepers_that_come_late_find_the_account_still_theirs_to_buy(tmp_path):
    memory = Memory(tmp_path)
    crowd = keepers(memory, ["0.005"])
    memory.fail("owner", {"X": 1_000}, 3_000)
    for _ in range(100):
        memory.beat()
    asyncio.run(compete(memory, crowd, 5))
    assert shares(memory)["k0"] > 0
    assert not memory.house.sales
