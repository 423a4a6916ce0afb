"""Open orders cost what the worst subset of their fills would: against every subset, one by one."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from tests.margin import portfolio_twin as twin
from tests.margin.scenes import accounts_of, random_tables

import samples
from seawall.kernels import cells, orders
from seawall.margin import models
from seawall.margin.evaluate import evaluate_bound
from seawall.market.market import Market

MARKET = Market.from_document(samples.market_document())
LEGS = len(MARKET.legs)
COLUMNS = 1 + twin.NODES * twin.LEVELS + twin.TAILS
Order = tuple[int, int, int]  # leg, signed lots, limit in nano per lot


@njit
def kernel_profile(tables, legs, lots, out):
    cells.profile(
        tables.values, tables.extra, tables.leg_block, tables.leg_group, legs, lots, 0, len(legs), True, out
    )


@njit
def kernel_add(tables, legs, lots, rows, out):
    orders.add_to_cells(tables, legs, lots, 0, len(legs), rows, 0, len(rows), out)


@njit
def kernel_tiers(tables, legs, lots, rows):
    return orders.tier_margin(tables, legs, lots, 0, len(legs), rows, 0, len(rows))


def arrays(held: dict[int, int], open_orders: list[Order]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    legs = sorted(held)
    rows = np.array(sorted(open_orders), np.int64).reshape(-1, 3)
    return np.array(legs, np.int32), np.array([held[leg] for leg in legs], np.int64), rows


def profiles(tables: Any, held: dict[int, int], open_orders: list[Order]) -> tuple[np.ndarray, np.ndarray]:
    """Without and with the orders; all on one underlying."""
    legs, lots, rows = arrays(held, open_orders)
    alone = np.zeros(cells.PROFILE, np.int64)
    kernel_profile(tables, legs, lots, alone)
    together = alone.copy()
    kernel_add(tables, legs, lots, rows, together)
    return alone, together


def subsets(open_orders: list[Order]) -> list[tuple[Order, ...]]:
    return [chosen for n in range(len(open_orders) + 1) for chosen in combinations(open_orders, n)]


def filled(held: dict[int, int], fills: tuple[Order, ...]) -> dict[int, int]:
    after = dict(held)
    for leg, count, _ in fills:
        after[leg] = after.get(leg, 0) + count
    return {leg: count for leg, count in after.items() if count}


BITCOIN = [leg for leg in range(LEGS) if MARKET.legs.underlying[leg] == 0]
lots_of = st.dictionaries(st.sampled_from(BITCOIN), st.integers(-9, 9).filter(bool), max_size=5)
orders_of = st.lists(
    st.tuples(st.sampled_from(BITCOIN), st.integers(-9, 9).filter(bool), st.integers(-1000, 1000)), max_size=6
)


@settings(max_examples=150)
@given(seed=st.integers(0, 2**32), held=lots_of, open_orders=orders_of)
def test_each_scenario_is_the_worst_over_all_subsets_of_fills(seed, held, open_orders):
    tables = random_tables(MARKET, seed, 1000)
    alone, together = profiles(tables, held, open_orders)
    values = tables.values[:, :COLUMNS]
    for c in range(1, COLUMNS):
        moves = values[:, c] - values[:, 0]
        worst = min(sum(n * int(moves[leg]) for leg, n, _ in fills) for fills in subsets(open_orders))
        assert together[c] == alone[c] + worst
    assert together[cells.MARK] == alone[cells.MARK]


@settings(max_examples=150)
@given(seed=st.integers(0, 2**32), held=lots_of, open_orders=orders_of)
def test_what_fills_lose_against_the_mark_is_charged_whatever_the_scenario(seed, held, open_orders):
    """Against the same orders at the mark, where the seller of an option asks for the nano that rounding may hide."""
    tables = order_tables(seed)

    def charge(off: list[int]) -> int:
        limits = [int(tables.values[leg, 0]) + each for (leg, _, _), each in zip(open_orders, off)]
        rows = [(leg, count, limit) for (leg, count, _), limit in zip(open_orders, limits)]
        return int(profiles(tables, held, rows)[1][cells.LINEAR_CHARGE])

    free = [int(count < 0 and tables.leg_right[leg] != 0) for leg, count, _ in open_orders]
    losses = [max(0, count * (off - nano)) for (_, count, off), nano in zip(open_orders, free)]
    assert charge([off for _, _, off in open_orders]) - charge(free) == sum(losses)


def order_tables(seed: int) -> Any:
    """Random tables with what every market's have: a haircut is the same for a long and a short."""
    tables = random_tables(MARKET, seed, 1000)
    tables.extra[:, cells.EXTRA_SHORT] = tables.extra[:, cells.EXTRA_LONG]
    return tables


@settings(max_examples=150)
@given(seed=st.integers(0, 2**32), held=lots_of, open_orders=orders_of)
def test_gaps_and_charges_cover_every_subset_of_fills(seed, held, open_orders):
    tables = order_tables(seed)
    _, together = profiles(tables, held, open_orders)
    entries = range(cells.GAP, cells.FLOOR)
    for fills in subsets(open_orders):
        after, _ = profiles(tables, filled(held, fills), [])
        assert [k for k in entries if after[k] > together[k]] == []


@njit
def kernel_conclude(alone, together, params, scalars, cash_nano, out):
    underlyings = np.zeros(1, np.int32)
    cells.conclude(alone, together, True, 1, underlyings, params, scalars, cash_nano, out)


def free_collateral(tables: Any, held: dict[int, int], open_orders: list[Order]) -> int:
    """Micro, from the kernels: equity less the initial margin with the orders."""
    alone, together = profiles(tables, held, open_orders)
    out = np.zeros(4, np.int64)
    kernel_conclude(alone[None, :], together[None, :], tables.underlying_params, tables.scalars, 0, out)
    return int(out[0] - out[1])


def free_after(tables: Any, held: dict[int, int], fills: tuple[Order, ...]) -> int:
    """Micro, from the plain twin: fills at their limits, no order left."""
    paid = sum(count * limit for _, count, limit in fills)
    equity, initial, _, _ = twin.portfolio(tables, filled(held, fills), -paid)
    return equity - initial


def near_mark(tables: Any, shares: list[tuple[int, int, int]]) -> list[Order]:
    """Orders at limits of some ppm from the mark."""
    marks = tables.values[:, 0]
    return [(leg, count, int(marks[leg]) + int(marks[leg]) * ppm // 10**6) for leg, count, ppm in shares]


shares_of = st.lists(
    st.tuples(
        st.sampled_from(BITCOIN),
        st.integers(-900, 900).filter(bool),
        st.sampled_from([0, 1, -1_000, 1_000, 10**5, -(10**5)]),
    ),
    max_size=5,
)
PLAIN = {"initial_factor_ppm": 10**6, "short_minimum_ppm": 0}
parameters_of = st.fixed_dictionaries(
    {
        "initial_factor_ppm": st.sampled_from([10**6, 1_250_000, 3 * 10**6]),
        "short_minimum_ppm": st.sampled_from([0, 15_000, 300_000]),
        "concentration_from": st.sampled_from([0, 50_000_000]),
    }
)


@settings(max_examples=200)
@given(held=lots_of, shares=shares_of, parameters=parameters_of)
def test_no_subset_of_fills_leaves_less_free_collateral_than_was_reserved(held, shares, parameters):
    tables = models.get("portfolio", **parameters).tables(MARKET)
    open_orders = near_mark(tables, shares)
    reserved = free_collateral(tables, held, open_orders)
    for fills in subsets(open_orders):
        assert reserved <= free_after(tables, held, fills) + 2
    assert reserved <= free_collateral(tables, held, [])


CALL, PUT = (MARKET.legs.leg_of[f"BTC-DEC-120000-{right}"][0] for right in "CP")
PERPETUAL = MARKET.legs.leg_of["BTC-PERP"][0]

# Held, orders as (leg, lots, ppm from the mark), parameters: what a minimum or a factor could hide.
HIDDEN: dict[str, tuple[dict[int, int], list[tuple[int, int, int]], dict[str, int]]] = {
    "a sale of the call uncovers the put that it stands for in the minimum": (
        {CALL: 500, PUT: -500},
        [(CALL, -300, 0)],
        {"short_minimum_ppm": 900_000},
    ),
    "the loss of a fill far from the mark is no part of the risk that the minimum covers": (
        {CALL: -500},
        [(PERPETUAL, 100, 50_000)],
        {"short_minimum_ppm": 900_000},
    ),
    "a fill better than the mark does not pay for risk, which a factor makes dearer": (
        {},
        [(PERPETUAL, 1_000, -100_000)],
        {"initial_factor_ppm": 1_250_000},
    ),
}


@pytest.mark.parametrize("what", HIDDEN)
def test_minimum_and_factor_do_not_hide_what_a_fill_costs(what):
    held, shares, parameters = HIDDEN[what]
    tables = models.get("portfolio", **{**PLAIN, **parameters}).tables(MARKET)
    open_orders = near_mark(tables, shares)
    least = min(free_after(tables, held, fills) for fills in subsets(open_orders))
    assert free_collateral(tables, held, open_orders) <= least + 2


@pytest.mark.parametrize("name", ["fixed", "cross"])
@settings(max_examples=100)
@given(held=lots_of, shares=shares_of)
def test_order_margin_by_tiers_covers_every_subset_of_fills(name, held, shares):
    model = models.get(name)
    tables = model.tables(MARKET)
    open_orders = near_mark(tables, shares)
    legs, lots, rows = arrays(held, open_orders)
    added = int(kernel_tiers(tables, legs, lots, rows))
    assert added >= 0
    books, cash = [held], [0]
    for fills in subsets(open_orders):
        books.append(filled(held, fills))
        cash.append(-sum(count * limit for _, count, limit in fills))
    found = evaluate_bound(accounts_of(books, cash), tables, model)
    free = found.free_collateral_micro.tolist()
    # each margin and charge is rounded up to a micro of its own
    assert min(free) >= free[0] - added - 2 * (len(shares) + 1)
