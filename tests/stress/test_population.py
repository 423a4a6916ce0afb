"""The seeded population: its shape, its exactness, its speed, and its way through a file."""

from __future__ import annotations

import time

import numpy as np
import pytest

from seawall.core.errors import InputError
from seawall.ledger.book import Book
from seawall.market.market import Market
from seawall.stress.board import make_board
from seawall.stress.crash import NAMES, START_NS
from seawall.stress.population import STYLES, Mix, populate

PRICES = {name: str(price) for name, (price, _) in NAMES.items()}
SPOT, PERPETUAL, FUTURE, OPTION = 0, 1, 2, 3


@pytest.fixture(scope="module")
def market():
    return Market.from_document(make_board(PRICES, START_NS).document)


@pytest.fixture(scope="module")
def population(market):
    return populate(market, 20_000, 7)


def owner_of(accounts):
    return np.repeat(np.arange(len(accounts.names)), np.diff(accounts.row_ptr))


def test_the_seed_decides_everything_and_another_seed_another_book(market, population):
    again, other = populate(market, 20_000, 7), populate(market, 20_000, 8)
    for name in ("cash_nano", "row_ptr", "leg", "lots"):
        assert np.array_equal(getattr(population.accounts, name), getattr(again.accounts, name))
    assert population.accounts.names == again.accounts.names
    assert not np.array_equal(population.accounts.cash_nano, other.accounts.cash_nano)


def test_rows_are_sorted_by_leg_within_an_account_without_repeats_or_zero_lots(population):
    accounts = population.accounts
    owner = owner_of(accounts)
    inside = owner[1:] == owner[:-1]
    assert (np.diff(accounts.leg.astype(np.int64))[inside] > 0).all()
    assert (accounts.lots != 0).all()
    assert (np.diff(accounts.row_ptr) >= 1).all()
    assert accounts.row_ptr[-1] == len(accounts.leg) == len(accounts.lots)


def test_every_kind_of_book_is_in_it(market, population):
    accounts, role = population.accounts, market.legs.role
    held = role[accounts.leg]
    assert all((held == kind).mean() > 0.03 for kind in (SPOT, PERPETUAL, FUTURE, OPTION))
    assert set(np.unique(population.style)) == set(range(len(STYLES)))
    option_lots = accounts.lots[held == OPTION]
    assert 0.2 < (option_lots < 0).mean() < 0.8
    assert (accounts.lots[held == SPOT] > 0).all()


def test_an_isolated_pool_holds_one_perpetual_and_is_named_after_its_owner(market, population):
    accounts = population.accounts
    pools = np.flatnonzero(population.style == STYLES.index("isolated"))
    assert 0.05 < len(pools) / len(accounts.names) < 0.15
    assert (np.diff(accounts.row_ptr)[pools] == 1).all()
    for pool in pools[:50].tolist():
        owner, symbol = accounts.names[pool].split(":")
        assert owner == accounts.names[pool - 1]
        assert symbol == market.legs.symbols[accounts.leg[accounts.row_ptr[pool]]]
    assert len(set(accounts.names)) == len(accounts.names)


def test_hedged_accounts_are_nearly_neutral_and_directional_ones_are_not(market, population):
    accounts, legs = population.accounts, market.legs
    linear = np.isin(legs.role, (SPOT, PERPETUAL, FUTURE))[accounts.leg]
    exposure = accounts.lots * (legs.lot * legs.index[legs.underlying])[accounts.leg] * linear
    owner = owner_of(accounts)
    net = np.abs(np.bincount(owner, exposure))
    gross = np.bincount(owner, np.abs(exposure))
    tilt = net / np.maximum(gross, 1.0)
    hedged, directional = population.style == STYLES.index("hedged"), population.style == 0
    assert np.median(tilt[hedged]) < 0.3
    assert np.median(tilt[directional]) > 0.6


def test_a_bench_book_has_eight_positions_in_the_mean_over_its_two_thousand_instruments():
    board = make_board(PRICES, START_NS, instruments=2000)
    market = Market.from_document(board.document)
    accounts = populate(market, 20_000, 7, Mix.bench()).accounts
    assert len(accounts.leg) / 20_000 == pytest.approx(8.0, rel=0.05)
    popularity = np.sort(np.bincount(accounts.leg, minlength=2000))[::-1]
    assert popularity[0] > 20 * popularity[200]


def test_a_hundred_thousand_accounts_are_drawn_in_seconds(market):
    # Not a benchmark: it catches a loop over accounts, which would take a minute.
    start = time.perf_counter()
    populate(market, 100_000, 3)
    assert time.perf_counter() - start < 15.0


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_a_book_file_of_it_binds_to_the_same_ledger(market, population, tmp_path, ending):
    small = populate(market, 400, 5)
    path = tmp_path / f"book.{ending}"
    small.write(market, path)
    read = Book.load(path).bind(market.legs, market.settlement)
    assert sorted(read.names) == sorted(small.accounts.names)
    place = {name: k for k, name in enumerate(read.names)}
    for k, name in enumerate(small.accounts.names):
        ours = slice(*small.accounts.row_ptr[k : k + 2])
        theirs = slice(*read.row_ptr[place[name] : place[name] + 2])
        assert np.array_equal(small.accounts.leg[ours], read.leg[theirs])
        assert np.array_equal(small.accounts.lots[ours], read.lots[theirs])
        # Entries at the mark are rounded against the account, by less than a nano per lot.
        lots = np.abs(small.accounts.lots[ours]).sum()
        assert abs(int(small.accounts.cash_nano[k]) - int(read.cash_nano[place[name]])) <= lots


def test_it_binds_only_to_the_market_it_was_drawn_from(market, population):
    other = Market.from_document(make_board({"BTC": "1000"}, START_NS).document)
    assert population.bind(market.legs, "USD") is population.accounts
    with pytest.raises(InputError, match="drawn from"):
        population.bind(other.legs, "USD")


def test_a_population_of_nobody_is_refused(market):
    with pytest.raises(InputError, match="at least one"):
        populate(market, 0, 1)
