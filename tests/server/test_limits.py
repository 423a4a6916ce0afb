"""Token buckets: never more than burst + rate × time, whatever the pattern, and bounded memory under a flood of names."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from seawall.server.limits import BUCKETS_MAX, Bucket, Buckets


@given(
    rate=st.floats(0.1, 1000),
    burst=st.floats(1, 100),
    steps=st.lists(st.floats(0, 5), max_size=200),
)
def test_no_pattern_gets_more_than_burst_and_rate_allow(rate, burst, steps):
    bucket, now, taken = Bucket(rate, burst, 0.0), 0.0, 0
    for step in steps:
        now += step
        taken += bucket.take(now) == 0.0
        assert taken <= burst + rate * now + 1e-6


@given(rate=st.floats(0.1, 1000), burst=st.floats(1, 20))
def test_after_the_told_wait_there_is_a_token(rate, burst):
    bucket = Bucket(rate, burst, 0.0)
    while (wait := bucket.take(0.0)) == 0.0:
        pass
    assert wait > 0
    assert bucket.take(wait * 0.9) > 0.0
    assert bucket.take(wait * 1.000001 + 1e-9) == 0.0


def test_time_that_stands_still_or_goes_back_gives_nothing():
    bucket = Bucket(10.0, 1.0, 5.0)
    assert bucket.take(5.0) == 0.0
    assert bucket.take(5.0) > 0.0
    assert bucket.take(4.0) > 0.0


def test_a_key_has_its_own_rate_and_others_do_not_feel_it():
    now = [0.0]
    buckets = Buckets(1.0, 2.0, lambda: now[0])
    assert [buckets.take("a") == 0.0 for _ in range(3)] == [True, True, False]
    assert [buckets.take("b") == 0.0 for _ in range(3)] == [True, True, False]
    assert sum(buckets.take("c", rate=50.0) == 0.0 for _ in range(1000)) == 100


def test_a_flood_of_names_is_bounded_and_limited():
    buckets = Buckets(1.0, 2.0, lambda: 0.0)
    granted = sum(buckets.take(f"address {k}") == 0.0 for k in range(3 * BUCKETS_MAX))
    assert len(buckets) <= BUCKETS_MAX + 1
    assert granted <= BUCKETS_MAX + 2
