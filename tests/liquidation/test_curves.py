"""Curves: known prices, never a rise, and what is refused when it is set."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.core.errors import InputError
from seawall.core.times import SECOND_NS
from seawall.liquidation.curves import (
    RAY,
    Curve,
    Halving,
    Line,
    Stair,
    check_curve,
    exponential,
    growing_discount,
    halving_share_ray,
    linear,
    power_ray,
    price,
    share_ray,
    two_leg,
)
from seawall.liquidation.venues import ajna

DAY_NS = 86_400 * SECOND_NS
times = st.integers(0, DAY_NS)
spans = st.integers(1, DAY_NS)


@st.composite
def lines(draw) -> Line:
    stamps = sorted(draw(st.sets(spans, min_size=1, max_size=5)))
    shares = sorted(draw(st.lists(st.integers(0, RAY), min_size=len(stamps) + 1, max_size=len(stamps) + 1)), reverse=True)
    return Line(tuple(zip((0, *stamps), shares)))


@st.composite
def stairs(draw) -> Stair:
    start = draw(st.integers(1, RAY))
    factor = RAY - draw(st.one_of(st.integers(10**13, RAY - 1), st.integers(10**20, 10**25)))
    deadline = draw(st.none() | spans)
    return Stair(factor, draw(st.integers(SECOND_NS // 10, 600 * SECOND_NS)), start, draw(st.integers(0, start)), deadline)


@st.composite
def halvings(draw) -> Halving:
    return Halving(tuple(draw(st.lists(st.tuples(spans, st.integers(SECOND_NS, DAY_NS)), min_size=1, max_size=4))))


curves = st.one_of(lines(), stairs(), halvings())


@given(curve=curves, top=st.integers(1, 10**19), start=times, step=st.one_of(st.integers(0, 3), spans))
def test_a_price_never_rises_with_time(curve: Curve, top: int, start: int, step: int):
    check_curve(curve)
    before, after = share_ray(curve, start), share_ray(curve, start + step)
    if before >= RAY // 10**6:  # an auction asks nothing below a millionth of its top
        assert after <= before
        assert price(curve, top, start + step) <= price(curve, top, start)


@given(curve=curves, top=st.integers(0, 10**30), elapsed=times)
def test_a_price_is_the_top_or_less_and_never_negative(curve: Curve, top: int, elapsed: int):
    assert 0 <= price(curve, top, elapsed) <= top


@given(factor=st.integers(RAY // 2, RAY - 10**13), exponent=st.integers(0, 400))
def test_powers_are_within_their_stated_error(factor: int, exponent: int):
    true = Fraction(factor, RAY) ** exponent
    assert abs(Fraction(power_ray(factor, exponent), RAY) - true) <= Fraction(exponent + 1, RAY)


@given(half_life=st.integers(1, DAY_NS), elapsed=times)
def test_halving_is_the_exact_root_to_a_unit_of_ray(half_life: int, elapsed: int):
    found = halving_share_ray(((half_life, half_life),), elapsed)
    ratio = Fraction(elapsed, half_life)
    if ratio > 90:
        assert found <= 1
        return
    # 2**-x squared twice is 2**-4x: compare with the whole-number power where x is a multiple of a quarter
    quarter = Fraction(int(ratio * 4), 4)
    at_quarter = halving_share_ray(((4, 4),), int(quarter * 4))
    assert abs(Fraction(at_quarter, RAY) ** 4 - Fraction(1, 2 ** int(quarter * 4))) < Fraction(8, RAY)
    assert found <= at_quarter


def test_halving_goes_on_from_leg_to_leg_where_the_last_one_ended():
    minute = 60 * SECOND_NS
    for minutes, exponent in ((0, 0), (20, 1), (120, 6), (240, 7), (840, 12), (900, 13), (1440, 22)):
        assert share_ray(ajna.CURVE, minutes * minute) == RAY >> exponent, minutes


def test_known_prices():
    assert price(linear(3600 * SECOND_NS), 1000, 360 * SECOND_NS) == 900
    assert price(two_leg(RAY, RAY * 8 // 10, 600 * SECOND_NS, 7200 * SECOND_NS), 1000, 960 * SECOND_NS) == 760
    assert price(Stair(RAY * 99 // 100, 90 * SECOND_NS), 10**6, 180 * SECOND_NS) == 980_100
    assert price(exponential(RAY // 2), 1024, 10 * SECOND_NS) == 1
    discount = growing_discount(RAY * 95 // 100, RAY * 93 // 100, RAY - RAY // 10**6, 3600 * SECOND_NS)
    assert share_ray(discount, 3600 * SECOND_NS) == RAY * 93 // 100 < share_ray(discount, 3599 * SECOND_NS)


@pytest.mark.parametrize(
    "curve",
    [
        Line(()),
        Line(((5, RAY),)),
        Line(((0, 1), (5, 2))),
        Line(((0, RAY), (0, 0))),
        Stair(RAY, SECOND_NS),
        Stair(RAY - 1, SECOND_NS),
        Stair(0, SECOND_NS),
        Stair(RAY // 2, 0),
        Stair(RAY // 2, 1, start_ray=5, end_ray=6),
        Stair(RAY // 2, 1, deadline_ns=0),
        Halving(()),
        Halving(((0, 5),)),
    ],
)
def test_a_curve_that_could_rise_or_stand_still_is_refused(curve: Curve):
    with pytest.raises(InputError):
        check_curve(curve)


def test_a_time_before_the_start_is_refused():
    with pytest.raises(InputError, match="elapsed"):
        share_ray(linear(5), -1)
