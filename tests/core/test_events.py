"""Events keep every digit through JSON, and garbage is refused with its place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.core import events
from seawall.core.errors import UnreadableFile

name = st.text(min_size=1, max_size=8)
amount = st.decimals(allow_nan=False, allow_infinity=False).map(str)
at = {"at_ns": st.integers(0, 2**63 - 1)}
every_event = st.one_of(
    st.builds(events.Tick, underlying=name, price=amount, **at),
    st.builds(events.Mark, instrument=name, price=amount, **at),
    st.builds(events.Surface, updates=st.dictionaries(name, amount, max_size=3), **at),
    st.builds(events.Deposit, account=name, amount=amount, **at),
    st.builds(events.Withdraw, account=name, amount=amount, **at),
    st.builds(events.Fill, account=name, instrument=name, quantity=amount, price=amount, **at),
    st.builds(events.Order, account=name, id=name, instrument=name, quantity=amount, price=amount, **at),
    st.builds(events.Cancel, account=name, id=name, **at),
    st.builds(
        events.Parameters,
        changes=st.dictionaries(name, amount, max_size=3),
        glide_ns=st.integers(0, 2**62),
        shape=st.sampled_from(["linear", "geometric"]),
        **at,
    ),
    st.builds(events.Clock, **at),
)


@given(every_event)
def test_an_event_survives_json_as_the_same_record(event):
    line = events.encode(event)
    assert b"\n" not in line
    assert events.decode(line) == event


@given(st.binary(max_size=60))
def test_garbage_is_one_error_that_names_its_place(line):
    with pytest.raises(UnreadableFile, match=r"^log: line 7: found "):
        events.decode(line, "log: line 7")


@pytest.mark.parametrize(
    "line",
    [
        '{"event":"tick","at_ns":1,"underlying":"BTC","price":1.5}',
        '{"event":"tick","at_ns":1,"underlying":"BTC","price":"1","extra":1}',
        '{"event":"tick","at_ns":"1","underlying":"BTC","price":"1"}',
        '{"event":"tick","underlying":"BTC","price":"1"}',
        '{"event":"boom","at_ns":1}',
        "[" * 100_000,
    ],
)
def test_events_are_read_strictly(line):
    with pytest.raises(UnreadableFile):
        events.decode(line)


def test_records_cannot_be_changed():
    tick = events.Tick(at_ns=1, underlying="BTC", price="1")
    with pytest.raises(AttributeError):
        tick.price = "2"
