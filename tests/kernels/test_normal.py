"""exp, log and the normal distribution against libraries that take their time."""

from __future__ import annotations

import math
import time
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from seawall.kernels import normal


@njit(error_model="numpy")
def over(x, out):
    """Rows: exp, log of |x|, Mills ratio of |x|, density, distribution."""
    for i in range(x.shape[0]):
        out[0, i] = normal.exp_(x[i])
    for i in range(x.shape[0]):
        out[1, i] = normal.log_(abs(x[i]))
    for i in range(x.shape[0]):
        out[2, i] = normal.mills(abs(x[i]))
    for i in range(x.shape[0]):
        out[3, i] = normal.norm_pdf(x[i])
    for i in range(x.shape[0]):
        out[4, i] = normal.norm_cdf(x[i])


def computed(x):
    out = np.empty((5, len(x)))
    over(np.asarray(x, np.float64), out)
    return out


def cdf(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


def test_exp_is_right_to_the_last_bits_over_its_whole_range():
    x = np.linspace(-700, 700, 20_001)
    true = np.array([math.exp(v) for v in x])
    assert np.max(np.abs(computed(x)[0] / true - 1)) < 4.5e-16


def test_exp_is_held_at_the_ends_and_never_overflows_or_turns_nan():
    ends = computed(np.array([-1e308, -709.0, 709.0, 1e308, -0.0, 0.0]))[0]
    assert np.all(np.isfinite(ends))
    assert np.all(ends > 0)
    assert ends[4] == ends[5] == 1.0


def test_log_is_right_near_one_and_far_from_it():
    near = np.linspace(0.5, 2.0, 30_001)
    true = np.array([math.log(v) for v in near])
    found = computed(near)[1]
    assert np.max(np.abs(found - true)) < 3e-16
    assert np.max(np.abs(found[true != 0] / true[true != 0] - 1)) < 4e-16
    assert computed(np.array([1.0]))[1, 0] == 0.0
    far = np.exp(np.linspace(-700, 700, 5_001))
    true = np.array([math.log(v) for v in far])
    assert np.max(np.abs(computed(far)[1] - true) / np.maximum(1, np.abs(true))) < 4e-16


@given(st.floats(-700, 700))
def test_log_undoes_exp(x):
    power = computed(np.array([x]))[0]
    assert computed(power)[1, 0] == pytest.approx(x, rel=1e-15, abs=1e-15)


def test_the_distribution_is_within_1e_15_and_its_lower_tail_within_1e_13_of_its_size():
    x = np.linspace(-8, 8, 40_001)
    true = np.array([cdf(v) for v in x])
    found = computed(x)[4]
    assert np.max(np.abs(found - true)) < 1e-15
    assert np.max(np.abs(found / true - 1)[x < 0]) < 1e-13


def test_the_distribution_at_zero_is_exactly_a_half():
    assert computed(np.array([0.0]))[4, 0] == 0.5


def test_the_two_tails_add_up_to_one_and_rise():
    x = np.linspace(0, 40, 4_001)
    low, high = computed(-x)[4], computed(x)[4]
    assert np.max(np.abs(low + high - 1)) < 2e-16
    assert np.all(np.diff(computed(np.linspace(-8, 8, 2_001))[4]) > -2e-16)


def test_the_density_is_that_of_the_standard_library():
    x = np.linspace(-10, 10, 1_001)
    true = np.array([NormalDist().pdf(v) for v in x])
    assert np.max(np.abs(computed(x)[3] / true - 1)) < 1e-13


def test_the_mills_ratio_falls_like_one_over_z_far_out():
    z = np.array([50.0, 100.0, 1e4])
    assert np.max(np.abs(computed(z)[2] * z * math.sqrt(2 * math.pi) - 1)) < 1e-3


def test_a_loop_over_the_distribution_is_vectorised():
    """Not a timed test of speed: scalar code takes ten times as long as this bound allows."""
    x = np.linspace(-8, 8, 8_000)
    out = np.empty((5, len(x)))
    over(x, out)
    best = min(_seconds(x, out) for _ in range(20))
    assert best / len(x) < 100e-9


def _seconds(x, out):
    start = time.perf_counter()
    over(x, out)
    return time.perf_counter() - start
