"""Clock, caps, breaker, claims and the sharing out of a lot."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.core.errors import InputError, InvariantError
from seawall.liquidation.auction_parts import ActiveList, Breaker, Claims, Clock, Holes, share_out, timely_reward_micro
from seawall.liquidation.auction_rules import KeeperRules


@given(amount=st.integers(0, 10**12), asked=st.lists(st.integers(0, 10**12), max_size=8))
def test_a_lot_is_shared_out_whole_and_nobody_gets_more_than_asked(amount, asked):
    got = share_out(amount, asked)
    assert sum(got) == min(amount, sum(asked))
    assert all(0 <= part <= wanted for part, wanted in zip(got, asked))
    for i, a in enumerate(asked):
        for j, b in enumerate(asked):
            if a == b:
                assert abs(got[i] - got[j]) <= 1
            elif a > b:
                assert got[i] >= got[j] - 1


@given(amount=st.integers(0, 10**9), asked=st.lists(st.integers(1, 10**9), min_size=1, max_size=5), cut=st.fractions(0, 1))
def test_asking_under_two_names_gains_at_most_a_unit(amount, asked, cut):
    first = int(asked[0] * cut)
    whole = share_out(amount, asked)
    split = share_out(amount, [first, asked[0] - first, *asked[1:]])
    assert abs(split[0] + split[1] - whole[0]) <= 2


@given(stops=st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), max_size=6))
def test_a_clock_counts_only_the_time_it_runs(stops):
    clock, now, ran = Clock(0), 0, 0
    for run, halt in stops:
        now, ran = now + run, ran + run
        assert clock.elapsed(now) == ran
        clock = clock.stop(now).stop(now)
        now += halt
        assert clock.elapsed(now) == ran
        clock = clock.go(now).go(now)
    assert clock.elapsed(now + 7) == ran + 7


def test_the_breaker_has_four_levels():
    allowed = [(b.may_start, b.may_restart, b.may_bid) for b in map(Breaker, range(4))]
    assert allowed == [(True, True, True), (False, True, True), (False, False, True), (False, False, False)]
    with pytest.raises(InputError):
        Breaker(4)


def test_holes_cap_each_bucket_and_the_total():
    holes = Holes(100)
    assert holes.room_micro("a", 60) == 60
    holes.add("a", 50)
    assert (holes.room_micro("a", 60), holes.room_micro("b", 60)) == (10, 50)
    holes.add("b", 60)
    assert holes.room_micro("a", 60) == 0
    holes.release("b", 60)
    assert holes.all_open_micro == 50
    with pytest.raises(InvariantError):
        holes.release("a", 51)


@given(owed=st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 100)), max_size=6), money=st.lists(st.integers(0, 80), max_size=6))
def test_claims_are_paid_in_order_and_never_beyond_the_money(owed, money):
    claims = Claims()
    for keeper, amount in owed:
        claims = claims.add(keeper, amount)
    paid = 0
    for available in money:
        claims, now, rest = claims.pay(available)
        assert sum(amount for _, amount in now) + rest == available
        paid += available - rest
        assert rest == 0 or not claims.owed
    assert paid <= sum(money)
    assert sum(amount for _, amount in claims.owed) + paid == sum(amount for _, amount in owed)


def test_a_late_start_earns_less_and_risk_removed_earns_more():
    rules = KeeperRules(tip_micro=100, chip_ppm=10_000, timely_ns=10)
    assert timely_reward_micro(rules, 5_000, 10) == 150
    assert timely_reward_micro(rules, 5_000, 20) == 75
    assert timely_reward_micro(rules, 50_000, 0) == 600
    assert timely_reward_micro(rules, -5, 0) == 100


@given(numbers=st.sets(st.integers(0, 50)), data=st.data())
def test_the_active_list_holds_what_is_open(numbers, data):
    active, left = ActiveList(sorted(numbers)), set(numbers)
    for gone in data.draw(st.permutations(sorted(numbers)))[:5]:
        active.remove(gone)
        left.remove(gone)
        assert set(active.numbers) == left
        assert len(active.numbers) == len(left)
    with pytest.raises(KeyError):
        active.remove(99)
