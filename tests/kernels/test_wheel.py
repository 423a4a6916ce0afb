"""The wheel against a dict: any order of filing, taking out and draining leaves the same items in the same buckets."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from numba import njit

from seawall.kernels import wheel as wheels

COORDINATES, BUCKETS, ITEMS = 3, 7, 12
ELSEWHERE = -77  # what was in the output before, and must still be there


@njit
def insert(wheel, item, coordinate, bucket):
    wheels.insert(wheel, item, coordinate, bucket)


@njit
def remove(wheel, item):
    wheels.remove(wheel, item)


@njit
def drain(wheel, coordinate, first, last, out, count):
    return wheels.drain(wheel, coordinate, first, last, out, count)


items = st.integers(0, ITEMS - 1)
coordinates = st.integers(0, COORDINATES - 1)
buckets = st.integers(0, BUCKETS - 1)


class WheelAgainstDict(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.wheel = wheels.make(COORDINATES, BUCKETS, ITEMS)
        self.filed: dict[int, tuple[int, int]] = {}

    @rule(item=items, coordinate=coordinates, bucket=buckets)
    def move(self, item: int, coordinate: int, bucket: int) -> None:
        """How the engine files: out of the old bucket, if any, into the new."""
        remove(self.wheel, item)
        insert(self.wheel, item, coordinate, bucket)
        self.filed[item] = (coordinate, bucket)

    @rule(item=items)
    def take_out(self, item: int) -> None:
        """Also of items that are in no bucket, which changes nothing."""
        remove(self.wheel, item)
        self.filed.pop(item, None)

    @rule(coordinate=coordinates, ends=st.tuples(buckets, buckets), already=st.integers(0, 3))
    def cross(self, coordinate: int, ends: tuple[int, int], already: int) -> None:
        """Every item of the buckets crossed comes out once, behind what was there; the others stay."""
        first, last = min(ends), max(ends)
        out = np.full(already + ITEMS, ELSEWHERE, np.int32)
        count = drain(self.wheel, coordinate, first, last, out, already)
        expected = {item for item, (c, b) in self.filed.items() if c == coordinate and first <= b <= last}
        assert sorted(out[already:count].tolist()) == sorted(expected)
        assert (out[:already] == ELSEWHERE).all()
        assert (out[count:] == ELSEWHERE).all()
        for item in expected:
            del self.filed[item]

    @rule(coordinate=coordinates, bucket=buckets)
    def cross_nothing(self, coordinate: int, bucket: int) -> None:
        """A move that stays inside its bucket has last < first."""
        out = np.zeros(ITEMS, np.int32)
        assert drain(self.wheel, coordinate, bucket, bucket - 1, out, 2) == 2

    @precondition(lambda self: len(self.filed) == ITEMS)
    @rule()
    def empty(self) -> None:
        for item in list(self.filed):
            self.take_out(item)

    @invariant()
    def every_item_is_where_it_was_filed(self) -> None:
        for item in range(ITEMS):
            coordinate, bucket = self.wheel.items[item, wheels.COORDINATE :].tolist()
            found = (coordinate, bucket) if coordinate >= 0 else None
            assert found == self.filed.get(item)
        filled = {divmod(int(at), BUCKETS) for at in np.flatnonzero(self.wheel.heads >= 0)}
        assert filled == set(self.filed.values())


TestWheelAgainstDict = WheelAgainstDict.TestCase
TestWheelAgainstDict.settings = settings(max_examples=60, stateful_step_count=40)


@settings(max_examples=50)
@given(st.lists(st.tuples(items, buckets), max_size=60))
def test_draining_everything_gives_every_item_once_and_leaves_an_empty_wheel(moves):
    wheel = wheels.make(1, BUCKETS, ITEMS)
    filed = {}
    for item, bucket in moves:
        remove(wheel, item)
        insert(wheel, item, 0, bucket)
        filed[item] = bucket
    out = np.zeros(ITEMS, np.int32)
    count = drain(wheel, 0, 0, BUCKETS - 1, out, 0)
    assert sorted(out[:count].tolist()) == sorted(filed)
    # whatever was drained comes in the order of the buckets
    assert [filed[item] for item in out[:count].tolist()] == sorted(filed.values())
    assert (wheel.heads == -1).all()
    assert (wheel.items[:, wheels.COORDINATE] == -1).all()
    assert drain(wheel, 0, 0, BUCKETS - 1, out, 0) == 0
