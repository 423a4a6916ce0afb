"""The stream's hub: numbers without gaps, frames made once, resuming exactly, slow listeners out, the writer never held up."""

from __future__ import annotations

import asyncio
import json
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.core.errors import InputError
from seawall.server.config import StreamConfig
from seawall.server.hub import BEHIND, CHANNELS, CLOSING, Dropped, Hub, parse_channels

FEW = StreamConfig(kept=16, behind=8)


def say(hub, kind, seq, account="", data=None):
    hub.publish(kind, {"seq": seq} if data is None else data, seq=seq, at_ns=seq * 10, account=account)


async def frames(subscription):
    return [msgspec.json.decode(frame) for frame in await subscription.next()]


def test_numbers_of_a_subscription_rise_by_one_whatever_else_is_published():
    async def story():
        hub = Hub()
        for k in range(5):
            say(hub, CHANNELS[k % 5], k)
        one = hub.subscribe(["decision", "price"])
        start = json.loads(one.begin())
        assert (start["type"], start["n"], start["reason"], start["contiguous"]) == ("snapshot", 2, "new", True)
        for k in range(5, 25):
            say(hub, CHANNELS[k % 5], k)
        got = await frames(one)
        assert [frame["n"] for frame in got] == list(range(3, 3 + len(got)))
        assert [frame["type"] for frame in got] == ["decision", "price"] * 4
        assert all(frame["data"]["seq"] == frame["seq"] for frame in got)

    asyncio.run(story())


@given(
    kinds=st.lists(st.sampled_from(CHANNELS), min_size=1, max_size=60),
    channels=st.frozensets(st.sampled_from(CHANNELS), min_size=1),
    left=st.integers(0, 60),
)
def test_who_resumes_gets_exactly_what_it_missed_or_is_told_of_the_gap(kinds, channels, left):
    async def story():
        hub = Hub(FEW)
        said = []
        after = 0
        for k, kind in enumerate(kinds):
            say(hub, kind, k)
            if kind in channels:
                said.append(k)
            if k + 1 == left:
                after = hub.number(channels)
        subscription = hub.subscribe(channels, after=after, stream=hub.id)
        start = json.loads(subscription.begin())
        missed = said[after:]
        kept = [k for k in missed if k >= len(kinds) - FEW.kept]
        if start["type"] == "resumed":
            assert start["n"] == after
            got = await frames(subscription) if missed else []
            assert [frame["seq"] for frame in got] == missed
            assert [frame["n"] for frame in got] == list(range(after + 1, after + 1 + len(missed)))
        else:
            assert start["reason"] == "gap"
            assert kept != missed, "nothing was gone, and it was refused all the same"
            assert start["n"] == len(said)

    asyncio.run(story())


def test_numbers_of_another_run_or_of_the_future_are_a_new_snapshot():
    hub = Hub()
    say(hub, "price", 1)
    for after, stream, reason in ((0, "other", "restarted"), (2, hub.id, "gap"), (-1, hub.id, "gap")):
        subscription = hub.subscribe(["price"], after=after, stream=stream)
        start = json.loads(subscription.begin())
        assert (start["type"], start["reason"]) == ("snapshot", reason)


def test_a_frame_is_encoded_once_for_all_listeners():
    async def story():
        hub = Hub()
        many = [hub.subscribe(["price"]) for _ in range(50)]
        say(hub, "price", 1)
        first = await many[0].next()
        for each in many[1:]:
            (frame,) = await each.next()
            assert frame is first[0], "the same bytes, not equal ones"

    asyncio.run(story())


def test_json_and_msgpack_say_the_same():
    async def story():
        hub = Hub()
        a, b = hub.subscribe(["price"], format="json"), hub.subscribe(["price"], format="msgpack")
        assert msgspec.json.decode(a.begin()) == msgspec.msgpack.decode(b.begin())
        say(hub, "price", 1)
        assert msgspec.json.decode((await a.next())[0]) == msgspec.msgpack.decode((await b.next())[0])

    asyncio.run(story())


def test_a_listener_of_some_accounts_hears_of_those_and_of_the_rest_of_the_world():
    async def story():
        hub = Hub()
        one = hub.subscribe(["account", "price"], ["alice"])
        assert json.loads(one.begin())["contiguous"] is False
        say(hub, "account", 1, "bob")
        say(hub, "account", 2, "alice")
        say(hub, "price", 3)
        assert [frame["seq"] for frame in await frames(one)] == [2, 3]
        waiting = asyncio.create_task(one.next())
        await asyncio.sleep(0)
        for k in range(4, 5000):
            say(hub, "account", k, "bob")
        assert hub.check() == 0, "it is not slow: nothing of that was for it"
        say(hub, "account", 5000, "alice")
        assert [msgspec.json.decode(frame)["seq"] for frame in await waiting] == [5000]

    asyncio.run(story())


def test_who_is_too_far_behind_is_dropped_with_a_reason_and_the_others_are_not():
    async def story():
        now = [0.0]
        hub = Hub(FEW, clock=lambda: now[0])
        slow, quick = hub.subscribe(["price"]), hub.subscribe(["price"])
        told = []
        slow.on_drop = lambda: told.append(True)
        for k in range(10):
            say(hub, "price", k)
            await quick.next()
        assert hub.check() == 1
        assert told == [True]
        with pytest.raises(Dropped) as raised:
            await slow.next()
        assert raised.value.code == BEHIND
        assert "10 messages behind, 8 allowed" in raised.value.reason
        assert (hub.listeners, hub.dropped) == (1, 1)

    asyncio.run(story())


def test_who_takes_nothing_for_too_long_is_dropped():
    async def story():
        now = [0.0]
        hub = Hub(FEW, clock=lambda: now[0])
        one = hub.subscribe(["price"])
        say(hub, "price", 1)
        now[0] = FEW.stalled_s
        assert hub.check() == 0
        now[0] += 0.1
        assert hub.check() == 1
        assert one.over.code == BEHIND

    asyncio.run(story())


def test_who_waits_for_news_is_never_slow():
    async def story():
        now = [0.0]
        hub = Hub(FEW, clock=lambda: now[0])
        one = hub.subscribe(["price"])
        waiting = asyncio.create_task(one.next())
        await asyncio.sleep(0)
        now[0] = 1e6
        say(hub, "price", 1)
        assert hub.check() == 0
        assert len(await waiting) == 1

    asyncio.run(story())


def test_who_was_overtaken_by_the_ring_is_dropped_not_misled():
    async def story():
        hub = Hub(FEW)
        one = hub.subscribe(["price"])
        for k in range(FEW.kept + 1):
            say(hub, "price", k)
        with pytest.raises(Dropped, match="17 messages behind, 16 kept"):
            await one.next()

    asyncio.run(story())


def test_prices_are_sent_at_their_pace_the_latest_of_each():
    async def story():
        hub = Hub()
        one = hub.subscribe(["price"])
        for k in range(100):
            hub.price("BTC", {"price": str(k)}, seq=k, at_ns=k)
        hub.price("ETH", {"price": "7"}, seq=100, at_ns=100)
        hub.flush_prices()
        hub.flush_prices()
        (frame,) = await frames(one)
        assert frame["data"] == {"BTC": {"price": "99"}, "ETH": {"price": "7"}}
        assert frame["seq"] == 100

    asyncio.run(story())


def test_closing_ends_every_subscription():
    async def story():
        hub = Hub()
        one = hub.subscribe(["price"])
        waiting = asyncio.create_task(one.next())
        await asyncio.sleep(0)
        hub.close()
        with pytest.raises(Dropped) as raised:
            await waiting
        assert raised.value.code == CLOSING

    asyncio.run(story())


def test_publishing_costs_the_writer_microseconds_with_a_hundred_stalled_listeners():
    hub = Hub()
    for _ in range(100):
        hub.subscribe(CHANNELS)
    start = time.process_time()
    for k in range(20_000):
        say(hub, "decision", k)
    assert (time.process_time() - start) / 20_000 < 50e-6


@pytest.mark.parametrize("names", [[], ["prices"], ["price", "x"]])
def test_channels_that_are_not(names):
    with pytest.raises(InputError, match="channels"):
        parse_channels(names)
