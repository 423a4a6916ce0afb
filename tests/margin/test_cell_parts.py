"""The compiled split of an account under cells is, figure by figure, what every array of every cell says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margin import cell_parts_twin, scenes
from margin.test_what_if import MARKETS, MODELS, SYMBOLS, WHOLE, book_of
from seawall.margin.parts.cells import split
from seawall.margin.whatif import Calculator

counts = st.integers(-5_000, 5_000).filter(bool)


def same(tables, legs, lots, cash_nano) -> None:
    """Every part of both splits."""
    found, expected = (each(tables, legs, lots, cash_nano) for each in (split, cell_parts_twin.split))
    assert (found.cash, list(found.equity)) == (expected.cash, list(expected.equity))
    assert found.decided_by == expected.decided_by
    assert found.scenarios == expected.scenarios
    assert found.columns.names == expected.columns.names
    assert found.columns.initial.tolist() == expected.columns.initial.tolist()
    assert found.columns.maintenance.tolist() == expected.columns.maintenance.tolist()


@settings(max_examples=300, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**32), scale=st.sampled_from([30, 10**6, 10**12]))
def test_it_is_the_twin_on_tables_of_random_numbers(data, seed, scale):
    tables = scenes.random_tables(WHOLE, seed, scale)
    limit = 2**40 // scale // 30 if scale > 10**6 else 5_000
    sizes = st.integers(-max(1, limit), max(1, limit)).filter(bool)
    held = data.draw(st.dictionaries(st.integers(0, len(WHOLE.legs.symbols) - 1), sizes, max_size=11), "lots")
    legs = np.array(sorted(held), np.int32)
    lots = np.array([held[leg] for leg in sorted(held)], np.int64)
    same(tables, legs, lots, data.draw(st.integers(-(10**12), 10**12), "cash"))


@settings(max_examples=60, deadline=None)
@given(
    held=st.dictionaries(st.sampled_from(SYMBOLS["portfolio"]), counts, min_size=1, max_size=8),
    cash_nano=st.integers(-(10**15), 10**15),
)
def test_it_is_the_twin_on_a_market(held, cash_nano):
    at = MARKETS["portfolio"]
    held = {s: abs(n) if at.instruments[s].kind == "spot" else n for s, n in held.items()}
    calculator = Calculator(book_of(at, held, cash_nano), at, MODELS["portfolio"])
    accounts, k = calculator.accounts, calculator.row["a"]
    mine = slice(accounts.row_ptr[k], accounts.row_ptr[k + 1])
    same(calculator.tables, accounts.leg[mine], accounts.lots[mine], int(accounts.cash_nano[k]))


@pytest.mark.parametrize("lots", [[7, -5], [-7, 5], [7, 5], [-7, -5]])
def test_gaps_beyond_a_million_are_shared_alike(lots):
    """Dips are taken in units of 4096 there."""
    tables = scenes.random_tables(WHOLE, 5, 2**54)
    legs = np.flatnonzero(tables.leg_group >= 0)[:2].astype(np.int32)
    same(tables, legs, np.array(lots, np.int64), 10**12)
