"""`fixed` and `cross` are their plain twin to the last digit; their tiers have no steps and no way around."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.margin.scenes import accounts_of, market, perpetual
from tests.margin.tiered_twin import Tiers, tiered

import samples
from seawall.kernels import tiers
from seawall.kernels.tier_rows import PPM, interest_rate
from seawall.ledger.book import Book
from seawall.margin import models
from seawall.margin.evaluate import evaluate, evaluate_bound
from seawall.market.market import Market

MARKET = Market.from_document(samples.market_document())
LEGS = len(MARKET.legs)
OPTION_ROLE = 3
lots_by_leg = st.dictionaries(st.integers(0, LEGS - 1), st.integers(-(10**5), 10**5).filter(bool), max_size=LEGS)
cash = st.integers(-(10**15), 10**15)


def option_marks(at: Market, tables: Any) -> dict[int, int]:
    return {int(leg): int(tables.values[leg, 0]) for leg in np.flatnonzero(at.legs.role == OPTION_ROLE)}


@st.composite
def tier_sets(draw: st.DrawFn) -> Tiers:
    count = draw(st.integers(1, 4))
    starts = [0, *sorted(draw(st.lists(st.integers(1, 10**9), min_size=count - 1, max_size=count - 1, unique=True)))]
    rates = sorted(draw(st.lists(st.integers(0, 10**6), min_size=2 * count, max_size=2 * count)))
    maintenance = sorted(draw(st.lists(st.integers(0, rates[0]), min_size=count, max_size=count)))
    return [(start, rates[k], maintenance[k]) for k, start in enumerate(starts)]


def as_parameter(tiers: Tiers) -> list[dict[str, int]]:
    return [{"notional_from": a, "initial_ppm": b, "maintenance_ppm": c} for a, b, c in tiers]


@settings(max_examples=150)
@given(
    books=st.lists(lots_by_leg, min_size=1, max_size=3), cash_nano=cash, rates=st.tuples(*[st.integers(0, 10**6)] * 2)
)
def test_fixed_is_a_static_rate_on_every_position_alone(books, cash_nano, rates):
    initial, maintenance = max(rates), min(rates)
    model = models.get("fixed", initial_ppm=initial, maintenance_ppm=maintenance)
    tables = model.tables(MARKET)
    found = evaluate_bound(accounts_of(books, [cash_nano] * len(books)), tables, model)
    for k, held in enumerate(books):
        twin = tiered(MARKET, option_marks(MARKET, tables), lambda _: [(0, initial, maintenance)], held, cash_nano)
        row = (found.equity_micro[k], found.initial_margin_micro[k], found.maintenance_margin_micro[k])
        assert tuple(map(int, row)) == twin
    assert set(found.worst) == {-1}


@settings(max_examples=150)
@given(
    books=st.lists(lots_by_leg, min_size=1, max_size=3),
    cash_nano=cash,
    sets=st.tuples(tier_sets(), tier_sets()),
    bounds=st.tuples(st.integers(0, 5 * 10**8), st.integers(0, 5 * 10**8)),
)
def test_cross_is_tiers_open_interest_and_haircuts(books, cash_nano, sets, bounds):
    bounds = (min(bounds), max(bounds))
    model = models.get(
        "cross",
        default_tiers=as_parameter(sets[0]),
        tiers={"BTC": as_parameter(sets[1])},
        open_interest_from=bounds[0],
        open_interest_to=bounds[1],
    )
    tables = model.tables(MARKET)
    found = evaluate_bound(accounts_of(books, [cash_nano] * len(books)), tables, model)
    for k, held in enumerate(books):
        of = {"BTC": sets[1], "ETH": sets[0]}
        twin = tiered(MARKET, option_marks(MARKET, tables), of.__getitem__, held, cash_nano, bounds)
        row = (found.equity_micro[k], found.initial_margin_micro[k], found.maintenance_margin_micro[k])
        assert tuple(map(int, row)) == twin


def margins(at: Market, counts: list[int], **parameters: Any) -> tuple[list[int], list[int]]:
    """Initial and maintenance of one perpetual in various sizes."""
    model = models.get("cross", **parameters)
    found = evaluate_bound(accounts_of([{0: n} for n in counts], [0] * len(counts)), model.tables(at), model)
    return found.initial_margin_micro.tolist(), found.maintenance_margin_micro.tolist()


TIERS: Tiers = [(0, 20_000, 12_500), (1_000_000, 50_000, 25_000), (3_000_000, 400_000, 90_000)]


def test_tiers_are_continuous_at_their_edges_and_convex():
    at = market([perpetual("BTC", lot="0.001")], {"BTC": "100000"})
    for edge, before, after in ((10_000, 0, 1), (30_000, 1, 2)):  # lots of 100 at the edges of 1 and 3 million
        counts = list(range(edge - 3, edge + 4))
        for found, rate in zip(margins(at, counts, default_tiers=as_parameter(TIERS), tiers={}), (1, 2)):
            steps = np.diff(found)
            assert steps.tolist() == [100 * TIERS[before][rate]] * 3 + [100 * TIERS[after][rate]] * 3
    sizes = list(range(0, 60_000, 500))
    for found in margins(at, sizes, default_tiers=as_parameter(TIERS), tiers={}):
        assert (np.diff(found, n=2) >= 0).all()
        assert found[0] == 0


def test_splitting_a_position_over_accounts_is_the_only_thing_that_lowers_a_tier():
    """A long and a short of one size pay the same; two positions pay what each pays, nothing nets."""
    at = market([perpetual("BTC", lot="0.001"), perpetual("ETH", lot="0.01")], {"BTC": "100000", "ETH": "4000"})
    model = models.get("cross", default_tiers=as_parameter(TIERS), tiers={})
    books = [{0: 20_000}, {0: -20_000}, {1: -70_000}, {0: 20_000, 1: -70_000}]
    found = evaluate_bound(accounts_of(books, [0] * 4), model.tables(at), model)
    for of in (found.initial_margin_micro, found.maintenance_margin_micro):
        assert of[0] == of[1]
        assert of[3] == of[0] + of[2]


def test_open_interest_raises_the_initial_rate_alone_and_reaches_one_hundred_percent():
    # 2,500 BTC of open interest at 112,950: 282.375 million
    held = [{int(MARKET.legs.leg_of["BTC-PERP"][0]): 100}]
    notional = 11_295_000_000
    shares = {}
    for high in (0, 200, 282, 283, 400, 10_000):
        model = models.get("cross", open_interest_from=100_000_000 if high else 0, open_interest_to=high * 10**6)
        found = evaluate_bound(accounts_of(held, [0]), model.tables(MARKET), model)
        shares[high] = int(found.initial_margin_micro[0]) / notional
        assert found.maintenance_margin_micro[0] == notional * 12_500 // 10**6
    assert shares[0] == 0.02
    assert shares[200] == shares[282] == 1.0
    assert shares[283] == pytest.approx(0.02 + 0.98 * 182.375 / 183, abs=1e-6)
    assert shares[400] == pytest.approx(0.02 + 0.98 * 182.375 / 300, abs=1e-6)
    assert shares[10_000] == pytest.approx(0.02 + 0.98 * 182.375 / 9_900, abs=1e-6)


@pytest.mark.parametrize("lots", [10**9, 10**13, 2**62])
def test_open_interest_beyond_any_bound_is_one_hundred_percent_and_does_not_wrap(lots):
    row = np.zeros(tiers.TIER_WIDTH, np.int64)
    row[tiers.TIER_INITIAL], row[tiers.TIER_INTEREST_FROM], row[tiers.TIER_INTEREST_TO] = 20_000, 10**17, 10**18
    for notional_nano in (10**9, 10**12, 2**52):
        interest = lots * notional_nano // 1000
        share = (PPM - 20_000) * (interest - 10**17) // (9 * 10**17)
        assert interest_rate(row, lots, notional_nano) == min(PPM, 20_000 + max(0, share))


def test_collateral_counts_at_its_haircut_and_never_as_a_position():
    at = MARKET
    book = Book.from_rows([{"account": "a", "instrument": "BTC", "quantity": "2"}])
    for name in ("fixed", "cross"):
        result = evaluate(book, at, name)
        assert result.equity_micro[0] == 226_000 * 10**6
        assert result.initial_margin_micro[0] == result.maintenance_margin_micro[0] == 226_000 * 8 * 10**4


def test_an_isolated_pool_is_an_account_of_its_own():
    rows = [
        {"account": "a", "instrument": "USD", "quantity": "10000", "isolated": ""},
        {"account": "a", "instrument": "BTC-PERP", "quantity": "1", "entry": "100000", "isolated": ""},
        {"account": "a", "instrument": "BTC-DEC", "quantity": "2", "entry": "120000", "isolated": "true"},
        {"account": "a", "instrument": "USD", "quantity": "900", "isolated": "BTC-DEC"},
    ]
    pools = {"a": rows[:2], "a:BTC-DEC": rows[2:]}
    for name in ("fixed", "cross", "portfolio"):
        whole = evaluate(Book.from_rows(rows), MARKET, name)
        assert whole.names == list(pools)
        for k, part in enumerate(pools.values()):
            alone = [{key: row[key] for key in row if key != "isolated"} for row in part]
            single = evaluate(Book.from_rows(alone), MARKET, name)
            for field in ("equity_micro", "initial_margin_micro", "maintenance_margin_micro"):
                assert getattr(whole, field)[k] == getattr(single, field)[0], (name, field)
        assert whole.status == ["ok", "bankrupt"]
