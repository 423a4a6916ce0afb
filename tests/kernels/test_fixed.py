"""Products with parts per million and shares, against Python's integers and fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numba import njit

from seawall.kernels import fixed

PPM = 10**6


@njit
def mul_ppm(a, ppm):
    return fixed.mul_ppm_floor(a, ppm), fixed.mul_ppm_ceil(a, ppm)


@njit
def divide(a, b):
    return fixed.floor_div(a, b), fixed.ceil_div(a, b)


@njit
def share(a, b, c):
    return fixed.share_floor(a, b, c)


amounts = st.integers(-(2**62) + 1, 2**62 - 1)


@given(amounts, st.integers(0, PPM))
@example(2**62 - 1, PPM)
@example(-(2**62) + 1, PPM)
@example(-1, 1)
@example(1, 999_999)
def test_a_share_in_ppm_is_rounded_down_or_up_exactly(amount, ppm):
    exact = Fraction(amount * ppm, PPM)
    assert mul_ppm(amount, ppm) == (math.floor(exact), math.ceil(exact))


@given(st.integers(-(2**60), 2**60), st.integers(0, 7 * PPM))
def test_factors_above_one_are_exact_while_the_result_fits(amount, ppm):
    exact = Fraction(amount * ppm, PPM)
    assert mul_ppm(amount, ppm) == (math.floor(exact), math.ceil(exact))


@given(amounts, st.integers(-PPM, 0))
def test_negative_rates_round_the_same_way(amount, ppm):
    exact = Fraction(amount * ppm, PPM)
    assert mul_ppm(amount, ppm) == (math.floor(exact), math.ceil(exact))


@given(amounts, st.integers(1, 2**40))
def test_division_rounds_where_its_name_says(a, b):
    assert divide(a, b) == (math.floor(Fraction(a, b)), math.ceil(Fraction(a, b)))


@given(st.data())
def test_a_share_of_two_large_amounts_needs_no_wider_type(data):
    c = data.draw(st.integers(1, 2**61 - 1))
    b = data.draw(st.integers(0, c))
    a = data.draw(st.integers(0, 2**31 - 1))
    assert share(a, b, c) == a * b // c


@pytest.mark.parametrize(("a", "b", "c", "expected"), [(0, 5, 7, 0), (PPM, 7, 7, PPM), (PPM, 0, 7, 0), (3, 1, 2, 1)])
def test_shares_at_their_ends(a, b, c, expected):
    assert share(a, b, c) == expected
