"""The liquidation queue: importance first, nobody starves, and memory that does not grow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seawall.core.errors import InputError
from seawall.liquidation.queue import LiquidationQueue, importance_micro


def test_importance_is_what_a_bad_move_leaves_to_others():
    equity = np.array([100, -5, 2_000, 0])
    gross = np.array([1_000, 1, 10_000, 3])
    # 5 % of 1,000 is within the equity of 100; 5 % of 1 rounds up to 1 beside a hole of 5.
    assert importance_micro(equity, gross, 50_000).tolist() == [0, 6, 0, 1]
    assert importance_micro(np.array([499]), np.array([10_000]), 50_000).tolist() == [1]


def test_the_most_important_come_first_and_every_eighth_is_the_oldest():
    queue = LiquidationQueue(100)
    queue.add(np.arange(20), np.arange(20))
    order = queue.take(9).tolist()
    assert order == [19, 18, 17, 16, 15, 14, 13, 0, 12]
    assert len(queue) == 11
    assert 0 not in queue
    assert 1 in queue


def test_equal_importance_is_served_by_arrival():
    queue = LiquidationQueue(10)
    queue.add(np.array([7, 3]), np.array([5, 5]))
    queue.add(np.array([1]), np.array([5]))
    assert queue.take(3).tolist() == [7, 3, 1]


def test_renewed_importance_keeps_the_place_of_the_waiting():
    queue = LiquidationQueue(50, aged_every=2)
    queue.add(np.array([4]), np.array([0]))
    queue.add(np.array([5, 6]), np.array([9, 8]))
    assert queue.add(np.array([4]), np.array([1])) == 0
    assert queue.take(2).tolist() == [5, 4]


def test_what_recovered_leaves():
    queue = LiquidationQueue(10)
    queue.add(np.array([1, 2]), np.array([3, 4]))
    assert queue.remove(np.array([2, 9])) == 1
    assert queue.take(5).tolist() == [1]
    assert queue.take(5).tolist() == []


@given(st.integers(2, 9), st.lists(st.integers(0, 5), min_size=1, max_size=40), st.integers(0, 30))
def test_nobody_starves_however_much_important_arrives(aged_every, waiting, victim):
    queue = LiquidationQueue(5_000, aged_every)
    count = len(waiting)
    queue.add(np.arange(count), np.array(waiting))
    victim %= count
    bound = aged_every * (count + 1)
    fresh, served = count, 0
    while victim in queue:
        # Two important newcomers for each action: the first lane alone would never reach the victim.
        queue.add(np.arange(fresh, fresh + 2), np.array([1_000, 1_000]))
        fresh += 2
        queue.take(1)
        served += 1
        assert served <= bound


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 1_000)), max_size=200), st.integers(1, 40))
def test_everybody_is_taken_once_and_memory_stays(events, batch):
    queue = LiquidationQueue(100)
    held = queue.nbytes
    expected: set[int] = set()
    for account, weight in events:
        queue.add(np.array([account]), np.array([weight]))
        expected.add(account)
    taken: list[int] = []
    while len(queue):
        taken += queue.take(batch).tolist()
    assert sorted(taken) == sorted(expected)
    assert queue.nbytes == held


def test_a_queue_without_room_is_refused():
    with pytest.raises(InputError):
        LiquidationQueue(0)
    with pytest.raises(InputError):
        LiquidationQueue(5, aged_every=1)
