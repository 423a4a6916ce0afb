"""Lazy indices: the error bound, independence of order, and the same result as eager sharing to within it."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seawall.core.errors import BadNumber, InputError
from seawall.liquidation.adl_index import LEAST, ONE, SideIndex

moves = st.one_of(
    st.tuples(st.just("move"), st.integers(-(10**9), 10**9), st.just(0)),
    st.tuples(st.just("adl"), st.integers(0, 900_000), st.integers(0, 10**15)),
    st.tuples(st.just("settle"), st.integers(0, 7), st.just(0)),
)


def test_a_known_answer():
    """100 lots, 40 of them closed at a cost of 1,000 nano; three positions of 50, 30 and 20."""
    side = SideIndex(1)
    held = [side.open(n) for n in (50, 30, 20)]
    side.move(7)
    side.deleverage(40, 1_000)
    side.move(-2)
    assert [side.lots(p) for p in held] == [29, 17, 11]  # ⌊30⌋, ⌊18⌋, ⌊12⌋ less a floor of A each
    exact = [50 * 7 - 500 - 60, 30 * 7 - 300 - 36, 20 * 7 - 200 - 24]
    assert all(0 <= want - side.pnl_nano(p) <= 1 for want, p in zip(exact, held))
    assert side.open_lots == 60


@settings(max_examples=300)
@given(sizes=st.lists(st.integers(1, 10**9), min_size=1, max_size=8), steps=st.lists(moves, max_size=25))
def test_the_error_bound_holds_against_exact_fractions(sizes, steps):
    """Lots and P&L of every account against its exact share; of the side against what the venue counts."""
    side = SideIndex(1)
    positions = [side.open(n) for n in sizes]
    exact_lots, exact_pnl = [Fraction(n) for n in sizes], [Fraction(0)] * len(sizes)
    booked, settlements, deleveragings, price_path = [0] * len(sizes), [0] * len(sizes), 0, 0
    for kind, one, two in steps:
        if kind == "move":
            side.move(one)
            price_path += abs(one)
            exact_pnl = [p + n * one for p, n in zip(exact_pnl, exact_lots)]
        elif kind == "adl" and side.open_lots:
            before = side.open_lots
            lots = before * one // 10**6
            side.deleverage(lots, two)
            deleveragings += 1
            exact_pnl = [p - Fraction(two) * n / before for p, n in zip(exact_pnl, exact_lots)]
            exact_lots = [n * (before - lots) / before for n in exact_lots]
        elif kind == "settle":
            who = one % len(sizes)
            if positions[who] is not None:
                positions[who], pnl = side.settle(positions[who])
                booked[who] += pnl
                settlements[who] += 1
    now = [side.lots(p) if p is not None else 0 for p in positions]
    dust = side.open_lots - sum(now)
    assert 0 <= dust < side.dust_bound + len(sizes) + 1
    for who, have in enumerate(now):
        gone = Fraction(settlements[who] + 1) + Fraction(deleveragings * sizes[who], LEAST)
        assert 0 <= exact_lots[who] - have <= gone
        if settlements[who] == 0:
            pnl = side.pnl_nano(positions[who])
            # only A's own flooring: sizes·moves·2**-64, and a nano each for the floors
            slack = 2 + deleveragings + Fraction(deleveragings * sizes[who] * (price_path + 10**15), LEAST)
            assert abs(exact_pnl[who] - pnl) <= slack


@settings(max_examples=150)
@given(
    sizes=st.lists(st.integers(1, 10**6), min_size=2, max_size=6),
    steps=st.lists(moves, max_size=15),
    settled_one=st.lists(st.integers(0, 14), max_size=6),
    settled_two=st.lists(st.integers(0, 14), max_size=6),
)
def test_nobody_depends_on_when_others_are_settled(sizes, steps, settled_one, settled_two):
    results = []
    for schedule in (settled_one, settled_two):
        side = SideIndex(-1)
        positions = [side.open(n) for n in sizes]
        others = list(positions)
        for at, (kind, one, two) in enumerate(steps):
            if kind == "move":
                side.move(one)
            elif kind == "adl" and side.open_lots:
                side.deleverage(side.open_lots * one // 10**6, two)
            for who in range(1, len(sizes)):
                if at in schedule and others[who] is not None:
                    others[who] = side.settle(others[who])[0]
        results.append((side.lots(positions[0]), side.pnl_nano(positions[0])))
    assert results[0] == results[1]


@settings(max_examples=150)
@given(sizes=st.lists(st.integers(1, 10**7), min_size=1, max_size=8), share=st.integers(0, 10**6), cost=st.integers(0, 10**18))
def test_one_deleveraging_is_the_eager_sharing_to_a_lot_and_the_cost_is_covered(sizes, share, cost):
    side = SideIndex(1)
    held = [side.open(n) for n in sizes]
    total = sum(sizes)
    lots = min(total * share // 10**6, total - 1)
    side.deleverage(lots, cost)
    for size, position in zip(sizes, held):
        eager = Fraction(size * (total - lots), total)
        assert 0 <= eager - side.lots(position) < 1 + Fraction(1, 2**30)
    borne = -sum(side.pnl_nano(p) for p in held)
    assert cost <= borne <= cost + len(sizes) + 1


def test_a_side_closed_to_the_last_lot_starts_anew():
    side = SideIndex(1)
    old = side.open(100)
    side.move(5)
    side.deleverage(100, 30)
    assert (side.open_lots, side.epoch, side.drains) == (0, 1, False)
    assert (side.lots(old), side.pnl_nano(old)) == (0, 469)  # the cost is rounded up
    new = side.open(10)
    side.move(-1)
    assert (side.lots(new), side.pnl_nano(new), side.pnl_nano(old)) == (10, -10, 469)
    assert side.settle(old) == (None, 469)


def test_a_side_that_has_shrunk_too_far_drains():
    side = SideIndex(1)
    side.open(2**50)
    for _ in range(3):
        side.deleverage(side.open_lots - side.open_lots // 2**12, 0)
    assert side.drains
    with pytest.raises(InputError, match="drains"):
        side.open(1)
    side.deleverage(side.open_lots, 0)
    assert not side.drains


def test_closing_and_dust():
    side = SideIndex(1)
    one, two = side.open(7), side.open(4)
    side.deleverage(5, 0)  # 6 left: 3.8 and 2.2
    one, _ = side.close(one, 3)
    two, _ = side.close(two, 2)
    assert (one, two) == (None, None)
    assert side.open_lots == 1 <= side.dust_bound
    side.write_off_dust(1)
    assert (side.open_lots, side.epoch) == (0, 1)
    with pytest.raises(BadNumber):
        side.open(0)
    with pytest.raises(BadNumber):
        side.deleverage(1, 0)
    with pytest.raises(BadNumber):
        SideIndex(0)
    assert ONE > LEAST
