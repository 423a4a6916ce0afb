"""a·b/c on int64 against Python's integers, which have no width."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from seawall.kernels.muldiv import mul_div_floor, mul_div_floor_array

whole = st.integers(-(2**62), 2**62)


@given(whole, whole, st.integers(1, 2**51 - 1))
def test_the_quotient_is_that_of_unbounded_integers(a, b, c):
    assume(abs(a * b) // c < 2**62 - 1)
    expected = a * b // c
    assert int(mul_div_floor_array(np.array([a]), np.array([b]), np.array([c]))[0]) == expected
    assert int(mul_div_floor(a, b, c)) == expected


@given(st.integers(1, 2**50), st.integers(-(2**40), 2**40))
def test_exact_quotients_stay_exact(c, q):
    assert int(mul_div_floor_array(np.array([c]), np.array([q]), np.array([c]))[0]) == q


def test_arrays_broadcast():
    found = mul_div_floor_array(np.array([7, -7]), np.array([3]), np.array([2]))
    assert found.tolist() == [10, -11]
