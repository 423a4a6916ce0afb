"""The compiled `portfolio` aggregation gives what its plain twin gives, to the last digit.

Over real tables (every kind of instrument, random parameters) and over tables of random numbers, which reach
what prices never do.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.margin.portfolio_twin import Rounding, portfolio
from tests.margin.portfolio_twin import dip as twin_dip
from tests.margin.scenes import accounts_of, random_tables

import samples
from seawall.kernels.cells import dip
from seawall.margin import models
from seawall.margin.evaluate import evaluate_bound
from seawall.market.market import Market

MARKET = Market.from_document(samples.market_document())
LEGS = len(MARKET.legs)
lots_by_leg = st.dictionaries(st.integers(0, LEGS - 1), st.integers(-(10**5), 10**5).filter(bool), max_size=LEGS)
small_lots = st.dictionaries(st.integers(0, LEGS - 1), st.integers(-3, 3).filter(bool), max_size=LEGS)
cash = st.integers(-(10**15), 10**15)


def check(tables: Any, model: Any, books: list[Mapping[int, int]], cash_nano: list[int]) -> None:
    found = evaluate_bound(accounts_of(books, cash_nano), tables, model)
    for k, held in enumerate(books):
        equity, initial, maintenance, worst = portfolio(tables, dict(held), cash_nano[k])
        row = (found.equity_micro[k], found.initial_margin_micro[k], found.maintenance_margin_micro[k], found.worst[k])
        assert tuple(map(int, row)) == (equity, initial, maintenance, worst)


rates = st.integers(0, 10**6)
parameters = st.fixed_dictionaries(
    {
        "range_ppm": st.fixed_dictionaries({"BTC": st.sampled_from([20_000, 140_000, 300_000])}),
        "correlation_ppm": st.fixed_dictionaries({"BTC": rates, "ETH": rates}),
        "offset_ppm": rates,
        "vol_up_ppm": st.integers(0, 2 * 10**6),
        "vol_down_ppm": rates,
        "short_minimum_ppm": st.integers(0, 200_000),
        "basis_ppm": st.integers(0, 20_000),
        "concentration_from": st.sampled_from([0, 10_000, 50_000_000]),
        "concentration_ppm": rates,
        "maintenance_factor_ppm": st.integers(1, 10**6),
        "initial_factor_ppm": st.integers(10**6, 2 * 10**6),
    }
)


@settings(max_examples=150)
@given(given_parameters=parameters, books=st.lists(lots_by_leg | small_lots, min_size=1, max_size=4), cash_nano=cash)
def test_books_on_a_market_of_every_kind_of_instrument(given_parameters, books, cash_nano):
    model = models.get("portfolio", **given_parameters)
    check(model.tables(MARKET), model, books, [cash_nano + 7 * k for k in range(len(books))])


@settings(max_examples=200)
@given(
    seed=st.integers(0, 2**32),
    scale=st.sampled_from([4, 1000, 10**9, 10**12, 10**15]),
    books=st.lists(small_lots, min_size=1, max_size=5),
)
def test_tables_of_random_numbers(seed, scale, books):
    check(random_tables(MARKET, seed, scale), models.get("portfolio"), books, [0] * len(books))


@settings(max_examples=500)
@given(gap=st.integers(0, 2**60), share=st.integers(0, 5 * 10**9))
def test_how_far_a_book_dips_between_nodes_is_never_rounded_down(gap, share):
    """Beyond 2⁵⁰ nano, a million quote, by up to 8 micro a cell."""
    difference = gap * share // 10**9
    excess = gap - Fraction(difference, 4)
    exact = excess**2 / gap if excess > 0 else Fraction(0)
    found = int(dip(gap, difference))
    assert found == twin_dip(gap, difference, Rounding(exact=True))
    assert exact <= found <= exact + (3 if gap < 2**50 else 8200)


def test_windows_of_the_common_factor_reach_what_the_formula_says():
    """Step m in [−1, −¾], ρ = ¾: moves from −1 to −¾·¾ + ¼ = −0.3125 ranges: the first three cells of eight."""
    params = models.get("portfolio").tables(MARKET).underlying_params
    assert (params[0, 0], params[0, 8]) == (0, 2)
    assert (params[0, 7], params[0, 15]) == (5, 7)
    alone = models.get("portfolio", correlation_ppm={"BTC": 0}).tables(MARKET).underlying_params
    assert alone[0, :16].tolist() == [0] * 8 + [7] * 8
    lockstep = models.get("portfolio", correlation_ppm={"BTC": 10**6}).tables(MARKET).underlying_params
    assert lockstep[0, :16].tolist() == [*range(8), *range(8)]


def test_both_contexts_are_one_rule_with_one_factor():
    """Equal factors give equal margins, and what a factor adds is the risk, the same for every one more."""
    held = [{leg: 40 * (-1) ** leg for leg in range(LEGS)}]
    margins = []
    for factor in (10**6, 2 * 10**6, 3 * 10**6):
        model = models.get("portfolio", initial_factor_ppm=factor, maintenance_factor_ppm=factor)
        result = evaluate_bound(accounts_of(held, [0]), model.tables(MARKET), model)
        assert result.initial_margin_micro[0] == result.maintenance_margin_micro[0]
        margins.append(int(result.initial_margin_micro[0]))
    assert margins[1] > margins[0]
    assert abs(margins[2] - 2 * margins[1] + margins[0]) <= 2
