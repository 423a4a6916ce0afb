"""Water-filling: the integers against exact fractions, caps kept, sums exact, no cliffs, nothing won by splitting."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seawall.core.errors import BadNumber
from seawall.liquidation import water

sizes = st.one_of(st.integers(0, 20), st.integers(0, 10**6), st.integers(0, 2**61))


@st.composite
def basins(draw):
    count = draw(st.integers(1, 12))
    weights = draw(st.lists(sizes, min_size=count, max_size=count))
    caps = draw(st.lists(sizes, min_size=count, max_size=count))
    total = draw(st.one_of(st.integers(0, 50), st.integers(0, sum(caps) + 5)))
    return np.array(weights, np.int64), np.array(caps, np.int64), total


def exact(weights, caps, total) -> water.Level:
    shares = [Fraction(int(c), int(w)) if w else Fraction(0) for w, c in zip(weights, caps)]
    return water.level_exact([int(w) for w in weights], shares, total)


def test_the_published_rule_known_answer():
    found = water.level_exact([100, 200, 700], [Fraction(1, 2), 1, 1], 300, [4, 1, 1])
    assert found.level == Fraction(5, 18)
    assert found.shares == [Fraction(1, 2), Fraction(5, 18), Fraction(5, 18)]
    assert found.amounts == [50, Fraction(500, 9), Fraction(1750, 9)]


def test_more_than_all_caps_is_a_residual():
    found = water.level_exact([100, 100], [Fraction(1, 2), Fraction(1, 4)], 100)
    assert (found.level, found.residual, found.amounts) == (None, 25, [50, 25])
    filled = water.fill(np.array([1, 1]), np.array([50, 25]), 100)
    assert (filled.parts.tolist(), filled.residual, filled.level) == ([50, 25], 25, None)


@settings(max_examples=400)
@given(basin=basins())
def test_integers_are_within_a_unit_of_the_exact_shares(basin):
    weights, caps, total = basin
    filled, truth = water.fill(weights, caps, total), exact(weights, caps, total)
    assert int(filled.parts.astype(object).sum()) + filled.residual == total
    assert ((filled.parts >= 0) & (filled.parts <= caps)).all()
    assert filled.residual == truth.residual
    for part, amount in zip(filled.parts.tolist(), truth.amounts):
        assert abs(part - amount) < 1
    if filled.residual == 0 and total and filled.level is not None:
        assert filled.level == truth.level


@settings(max_examples=200)
@given(basin=basins(), more=st.integers(1, 1000))
def test_a_larger_total_takes_no_less_from_anybody_and_there_is_no_cliff(basin, more):
    weights, caps, total = basin
    one, two = water.fill(weights, caps, total).parts, water.fill(weights, caps, total + more).parts
    assert (two >= one - 1).all(), "monotone, up to the unit that rounding gives"
    assert ((two - one) <= more + 1).all(), "continuous: nobody pays more of an increase than the increase"


@settings(max_examples=200)
@given(basin=basins(), cut_ppm=st.integers(0, 10**6), who=st.integers(0, 11))
def test_splitting_an_account_leaves_its_sum_unchanged(basin, cut_ppm, who):
    weights, caps, total = basin
    who %= len(weights)
    # a split of weight and cap in one proportion, as splitting a position does, with even figures to split
    weights, caps = weights // 10**6 * 10**6, caps // 10**6 * 10**6
    part_w, part_c = int(weights[who]) // 10**6 * cut_ppm, int(caps[who]) // 10**6 * cut_ppm
    split_w = np.append(weights, part_w)
    split_c = np.append(caps, part_c)
    split_w[who] -= part_w
    split_c[who] -= part_c
    whole = water.fill(weights, caps, total).parts
    parts = water.fill(split_w, split_c, total).parts
    assert abs(int(whole[who]) - int(parts[who]) - int(parts[-1])) <= 2
    others = np.delete(np.arange(len(weights)), who)
    assert (np.abs(whole[others] - parts[others]) <= 1).all()


@given(st.permutations(range(8)), st.integers(0, 10**6))
def test_the_order_of_the_accounts_matters_by_a_unit_at_most(order, total):
    rng = np.random.default_rng(7)
    weights, caps = rng.integers(1, 10**5, 8), rng.integers(1, 10**5, 8)
    straight = water.fill(weights, caps, total).parts
    mixed = water.fill(weights[list(order)], caps[list(order)], total).parts
    assert (np.abs(straight[list(order)] - mixed) <= 1).all()


def test_many_equal_thresholds_and_zeros_are_no_trouble():
    weights = np.array([0] * 1000 + [3] * 2000, np.int64)
    caps = np.array([5] * 1000 + [7] * 2000, np.int64)
    filled = water.fill(weights, caps, 9_001)
    assert filled.parts[:1000].sum() == 0
    assert sorted(set(filled.parts[1000:].tolist())) == [4, 5]
    assert filled.parts.sum() == 9_001


def test_figures_beyond_the_range_are_refused():
    ones = np.ones(2, np.int64)
    for weights, caps, total in (
        (ones, np.ones(3, np.int64), 1),
        (-ones, ones, 1),
        (ones, ones * 2**62, 1),
        (ones.astype(float), ones, 1),
        (ones, ones, -1),
    ):
        with pytest.raises(BadNumber):
            water.fill(weights, caps, total)
    with pytest.raises(BadNumber):
        water.level_exact([1], [1, 1], 1)
    with pytest.raises(BadNumber):
        water.level_exact([-1], [1], 1)


@given(st.lists(st.integers(0, 2**62 - 1), max_size=40))
def test_exact_sums_never_wrap(values):
    assert water.exact_sum(np.array(values, np.int64)) == sum(values)


@given(st.lists(st.tuples(st.integers(0, 2**60), st.integers(0, 2**40)), min_size=16, max_size=31))
def test_scaled_products_fit_and_keep_their_proportions(pairs):
    one, two = (np.array(column, np.int64) for column in zip(*pairs))
    found = water.scaled_product(one, two)
    assert water.exact_sum(found) < 2**61
    truth = [a * b for a, b in pairs]
    bits = 5 + max(a for a, _ in pairs).bit_length() + max(b for _, b in pairs).bit_length()
    scale = Fraction(2) ** min(0, 61 - bits)
    assert all(abs(int(f) - t * scale) <= t * scale / 2**51 + 1 for f, t in zip(found, truth))
