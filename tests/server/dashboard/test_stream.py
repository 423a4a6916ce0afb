"""The stream of frames alone: folding, numbering, slow and hidden clients, and one encoding for all."""

from __future__ import annotations

import asyncio
import json

import hypothesis.strategies as st
from hypothesis import given

from seawall.server.dashboard.fold import MAPS, RINGS, difference, fold
from seawall.server.dashboard.hub import DEPTH, Hub

KEYS = st.sampled_from(["a", "b", "c", "d"])
VALUES = st.integers(0, 3)


def following(previous, sets, rows, fresh):
    """A view that continues another: sections replaced, rows replaced, points appended to rings."""
    out = {"head": sets, **dict.fromkeys(MAPS, rows)}
    for name, size in RINGS.items():
        points = previous.get(name, [])
        last = points[-1][0] if points else 0
        out[name] = (points + [[last + k + 1, value] for k, value in enumerate(fresh)])[-size:]
    return out


STEPS = st.lists(
    st.tuples(st.dictionaries(KEYS, VALUES), st.dictionaries(KEYS, st.lists(VALUES, max_size=2)), st.lists(VALUES, max_size=90)),
    min_size=1,
    max_size=12,
)  # fmt: skip


@given(STEPS)
def test_a_snapshot_and_the_differences_after_it_fold_to_the_next_snapshot(steps):
    view = following({}, *steps[0])
    held = json.loads(json.dumps(view))
    for step in steps[1:]:
        new = following(view, *step)
        held = fold(held, json.loads(json.dumps(difference(view, new))))
        view = new
        assert held == view


@given(STEPS)
def test_nothing_that_has_not_changed_travels(steps):
    view = following({}, *steps[0])
    assert difference(view, json.loads(json.dumps(view))) == {"set": {}, "map": {}, "ring": {}}


def views(count):
    view = following({}, {"a": 0}, {"x": [0]}, [1])
    out = [view]
    for k in range(1, count):
        view = following(view, {"a": k}, {"x": [k]}, [k])
        out.append(view)
    return out


def taken(client):
    """What a client would be sent now, without waiting; an empty list where there is nothing."""

    async def take():
        try:
            return [json.loads(frame) for frame in await asyncio.wait_for(client.take(), 0.05)]
        except TimeoutError:
            return []

    return asyncio.run(take())


def followed(frames, held=None, number=None):
    """The view after frames, which must be numbered without a hole."""
    for frame in frames:
        if frame["t"] == "snap":
            held, number = frame["view"], frame["f"]
        else:
            assert frame["f"] == number + 1
            held, number = fold(held, frame), frame["f"]
    return held, number


def test_a_client_begins_with_a_snapshot_and_follows_without_a_hole():
    hub, all_views = Hub(), views(4)
    hub.publish(all_views[0])
    client = hub.join()
    held, number = followed(taken(client))
    for view in all_views[1:]:
        hub.publish(view)
    held, number = followed(taken(client), held, number)
    assert held == all_views[-1]
    assert number == hub.number == 4


def test_a_client_that_came_before_the_first_frame_waits_for_it():
    hub = Hub()
    client = hub.join()
    assert taken(client) == []
    hub.publish(views(1)[0])
    assert [frame["t"] for frame in taken(client)] == ["snap"]


def test_a_slow_client_loses_its_queue_and_begins_again_with_a_snapshot():
    hub, all_views = Hub(), views(DEPTH + 6)
    hub.publish(all_views[0])
    client = hub.join()
    taken(client)
    for view in all_views[1:]:
        hub.publish(view)
        assert len(client._queue) <= DEPTH
    frames = taken(client)
    assert [frame["t"] for frame in frames] == ["snap"]
    assert client.resyncs == 1
    assert followed(frames) == (all_views[-1], hub.number)


def test_a_frame_is_encoded_once_however_many_listen():
    hub, all_views = Hub(), views(3)
    hub.publish(all_views[0])
    clients = [hub.join() for _ in range(25)]
    assert all(taken(client) for client in clients)
    assert hub.encodings == 1, "one snapshot for all"
    hub.publish(all_views[1])
    assert hub.encodings == 2
    queued = [client._queue[0] for client in clients]
    assert all(frame is queued[0] for frame in queued), "the same bytes, not copies of them"


def test_nobody_listening_costs_no_encoding():
    hub = Hub()
    for view in views(5):
        hub.publish(view)
    assert hub.encodings == 0
    assert hub.number == 5


def test_a_hidden_client_is_sent_nothing_and_holds_nothing_until_it_is_shown():
    hub, all_views = Hub(), views(20)
    hub.publish(all_views[0])
    client = hub.join()
    taken(client)
    client.hide(True)
    assert not hub.looked_at
    for view in all_views[1:]:
        hub.publish(view)
        hub.aside({"x": {"row": []}})
    assert taken(client) == []
    assert not client._queue
    client.hide(False)
    assert [frame["t"] for frame in taken(client)] == ["snap"]


def test_only_those_who_watch_an_account_hear_of_it_and_only_the_newest_waits():
    hub = Hub()
    hub.publish(views(1)[0])
    watcher, other = hub.join(), hub.join()
    taken(watcher), taken(other)
    watcher.watching = "x"
    assert hub.watched == {"x"}
    for k in range(3):
        hub.aside({"x": {"row": [k]}})
    assert [(frame["t"], frame["row"]) for frame in taken(watcher)] == [("w", [2])]
    assert taken(other) == []


def test_a_client_that_lost_its_place_gets_a_snapshot():
    hub, all_views = Hub(), views(2)
    hub.publish(all_views[0])
    client = hub.join()
    taken(client)
    hub.publish(all_views[1])
    client.resync()
    assert [frame["t"] for frame in taken(client)] == ["snap"]


def test_one_who_leaves_is_forgotten():
    hub = Hub()
    client = hub.join()
    hub.leave(client)
    assert not hub.clients
    hub.publish(views(1)[0])
    assert taken(client)[0]["f"] == 1
