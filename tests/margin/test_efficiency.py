"""Capital efficiency: figures computed by hand, a plain twin of coverage, and properties of every ratio."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import seawall as sw
from margin import scenes
from seawall.core.errors import InputError, UnsafeParameters
from seawall.core.units import PPM
from seawall.ledger.book import Book
from seawall.margin import coverage as coverage_module
from seawall.margin import efficiency as efficiency_module
from seawall.margin import models
from seawall.margin.coverage import coverage
from seawall.margin.efficiency import RATIO_PPM_MAX, efficiency, ratio_ppm
from seawall.margin.evaluate import evaluate

MOVES = {"BTC": (-200_000, -50_000, 50_000, 100_000)}
HALF = {"initial_confidence_ppm": 500_000, "maintenance_confidence_ppm": 500_000}
LINEAR = scenes.market([scenes.perpetual("BTC", "1")], {"BTC": 100})
BOARD = scenes.market(
    [
        scenes.perpetual("BTC"),
        scenes.perpetual("ETH"),
        scenes.option("C", "call", 115e3, 24 * 30, 0.5),
        scenes.option("P", "put", 100e3, 24 * 90, 0.6),
        {"symbol": "BTC", "kind": "spot", "underlying": "BTC", "lot": "0.01", "haircut": "0.08"},
    ],
    {"BTC": 113_000, "ETH": 3_900},
)
PERPETUALS = scenes.market([scenes.perpetual("BTC"), scenes.perpetual("ETH")], {"BTC": 113_000, "ETH": 3_900})
SYMBOLS = ("BTC-PERP", "ETH-PERP", "C", "P", "BTC")
BOOKS = st.lists(st.dictionaries(st.sampled_from(SYMBOLS), st.integers(-300, 300)), min_size=1, max_size=4)
CASH = st.integers(-50_000, 400_000)


def linear_book():
    rows = scenes.rows_of(LINEAR, {"BTC-PERP": 10}, "120", "long") + scenes.rows_of(LINEAR, {"BTC-PERP": -10}, "70", "short")
    return Book.from_rows(rows + scenes.rows_of(LINEAR, {}, "5", "idler"))


def book_of(held, cash):
    rows = [row for k, lots in enumerate(held) for row in scenes.rows_of(BOARD, lots, str(cash), f"a{k}")]
    return Book.from_rows(rows)


def test_every_figure_of_a_linear_book_is_the_one_computed_by_hand():
    yardstick = models.get("expected-shortfall", source="historical", history_ppm=MOVES, **HALF)
    strict = models.get("fixed", initial_ppm=200_000, maintenance_ppm=50_000)
    found = efficiency(linear_book(), LINEAR, ["fixed", strict], MOVES, yardstick)
    assert found.names == ["long", "short", "idler"]
    # the mean of the worst two of four: (200 + 50) / 2 and (100 + 50) / 2, and ten lots' nano rounds each up
    assert found.shortfall_micro.tolist() == [125_000_001, 75_000_001, 0]
    assert found.notional_micro.tolist() == [1_000_000_000, 1_000_000_000, 0]
    fixed, twice = found.models
    assert fixed.initial_micro.tolist() == [100_000_000, 100_000_000, 0]
    assert fixed.locked_micro.tolist() == [100_000_000, 70_000_000, 0]
    assert fixed.idle_micro.tolist() == [20_000_000, 0, 5_000_000]
    assert fixed.per_shortfall_ppm.tolist() == [800_000, 1_333_334, -1]
    assert fixed.per_notional_ppm.tolist() == [100_000, 100_000, -1]
    # the long loses 200, 50, -50, -100; the short -200, -50, 50, 100 and a hundredth of a micro
    assert fixed.covered_initial_ppm.tolist() == [750_000, 750_000, PPM]
    assert fixed.covered_maintenance_ppm.tolist() == [500_000, 500_000, PPM]
    assert fixed.worst_uncovered_micro == 100_000_001
    assert twice.covered_initial_ppm.tolist() == [750_000, PPM, PPM]
    assert twice.worst_uncovered_micro == 1
    assert twice.saved_micro.tolist() == [-100_000_000, -100_000_000, 0]
    sums = found.totals(twice)
    assert (sums.accounts, sums.initial_micro, sums.saved_micro, sums.saved_ppm) == (3, 400 * PPM, -200 * PPM, -PPM)
    assert (sums.locked_micro, sums.idle_micro, sums.used_ppm) == (190 * PPM, 5 * PPM, 974_359)
    assert sums.per_shortfall_ppm == ceil(Fraction(400 * PPM, 200_000_002) * PPM)
    assert sums.covered_initial_ppm == 875_000  # of the two that hold something
    one = found.totals(fixed, [1])
    assert (one.accounts, one.initial_micro, one.covered_initial_ppm) == (1, 100 * PPM, 750_000)


def test_the_yardstick_is_the_bare_tail_whatever_the_model_charges_on_top():
    heavy = {"short_minimum_ppm": 900_000, "initial_factor_ppm": 3 * PPM, "maintenance_factor_ppm": 2 * PPM,
             "concentration_from": 1, "concentration_ppm": PPM, "daily_volume": {}, "default_daily_volume": 1}  # fmt: skip
    book = book_of([{"BTC-PERP": -10, "P": -7, "BTC": 3}], 100_000)
    plain = efficiency(book, BOARD, ["fixed"])
    loaded = efficiency(book, BOARD, ["fixed"], yardstick=models.get("expected-shortfall", **heavy))
    assert loaded.shortfall_micro.tolist() == plain.shortfall_micro.tolist()
    linear = book_of([{"BTC-PERP": 10, "ETH-PERP": -70}], 100_000)
    found = efficiency(linear, BOARD, ["expected-shortfall"])
    assert found.models[0].initial_micro.tolist() == found.shortfall_micro.tolist()  # no add-ons: the ratio is one
    assert found.totals(found.models[0]).per_shortfall_ppm == PPM
    assert (found.moves, found.source, found.horizon_hours, found.confidence_ppm) == (500, "monte-carlo", 24, 990_000)


@given(BOOKS, CASH, st.lists(st.tuples(st.integers(-400_000, 400_000), st.integers(-500_000, 500_000)), min_size=2, max_size=9))
@settings(max_examples=25)
def test_coverage_is_that_of_a_plain_count_whatever_the_chunks(held, cash, moves):
    book = book_of(held, cash)
    accounts = book.bind(BOARD)
    given_moves = {name: tuple(pair[u] for pair in moves) for u, name in enumerate(("BTC", "ETH"))}
    model = models.get("expected-shortfall", source="historical", history_ppm=given_moves, **HALF)
    tables = model.tables(BOARD)
    weights = tables.scenario_params[0]
    results = [evaluate(book, BOARD, name) for name in ("fixed", "portfolio")]
    before = coverage_module._CHUNK
    try:
        coverage_module._CHUNK = 2 * len(moves)
        small = coverage(accounts, tables.values, weights, results)
    finally:
        coverage_module._CHUNK = before
    whole = coverage(accounts, tables.values, weights, results)
    for result, *both in zip(results, small, whole, strict=True):
        initial, maintenance, worst = plain_coverage(accounts, tables.values.tolist(), weights.tolist(), result)
        for each in both:
            assert each.initial_ppm.tolist() == initial
            assert each.maintenance_ppm.tolist() == maintenance
            assert each.worst_uncovered_micro == worst


def plain_coverage(accounts, values, weights, result):
    """What `coverage` counts, an account and a move at a time."""
    covered = ([], [])
    uncovered = [0] * len(weights)
    for a in range(len(accounts)):
        held = range(accounts.row_ptr[a], accounts.row_ptr[a + 1])
        counts = [0, 0]
        for s, weight in enumerate(weights):
            loss = 0
            for p in held:
                lots, row = int(accounts.lots[p]), values[accounts.leg[p]]
                loss += lots * (row[0] - row[1 + s]) + abs(lots)
            margins = (int(result.initial_margin_micro[a]), int(result.maintenance_margin_micro[a]))
            for context, margin in enumerate(margins):
                counts[context] += weight if loss <= 1000 * margin else 0
            uncovered[s] += max(loss - 1000 * margins[0], 0)
        for context in range(2):
            covered[context].append(counts[context])
    return covered[0], covered[1], -(-max(uncovered) // 1000)


@given(BOOKS, CASH)
@settings(max_examples=25)
def test_ratios_stay_in_their_bounds_and_savings_are_differences(held, cash):
    book = book_of(held, cash)
    found = efficiency(book, BOARD, models.names())
    by_name = {each.model: each for each in found.models}
    bare = book_of([{symbol: count for symbol, count in lots.items() if count} for lots in held], cash)
    refused = any(lots.get(symbol) for lots in held for symbol in ("C", "P", "BTC"))
    assert bool(by_name["dydx"].unsupported) == (refused or not any(any(lots.values()) for lots in held))
    for under in found.models:
        if under.unsupported:
            continue
        alone = evaluate(book, BOARD, under.model) if under.model != "dydx" else evaluate(bare, PERPETUALS, "dydx")
        assert under.initial_micro.tolist() == alone.initial_margin_micro.tolist()
        assert under.maintenance_micro.tolist() == alone.maintenance_margin_micro.tolist()
        assert (under.locked_micro + under.idle_micro).tolist() == np.maximum(alone.equity_micro, 0).tolist()
        assert (np.abs(under.equity_micro - found.equity_micro) <= 10).all()  # roundings of marks differ by nano
        assert (under.locked_micro >= 0).all()
        assert (under.idle_micro >= 0).all()
        assert (under.locked_micro <= np.maximum(under.initial_micro, 0)).all()
        assert under.saved_micro.tolist() == (by_name["fixed"].initial_micro - under.initial_micro).tolist()
        for covered in (under.covered_initial_ppm, under.covered_maintenance_ppm):
            assert ((covered >= 0) & (covered <= PPM)).all()
        assert (under.covered_maintenance_ppm <= under.covered_initial_ppm).all()
        assert ((under.per_shortfall_ppm >= 0) == (found.shortfall_micro > 0)).all()
        sums = found.totals(under)
        assert sums.initial_micro == sum(under.initial_micro.tolist())
        assert sums.used_ppm is None or 0 <= sums.used_ppm <= PPM
    assert not by_name["fixed"].saved_micro.any()


@given(BOOKS, st.integers(0, 10**6))
@settings(max_examples=25)
def test_idle_cash_raises_idle_capital_and_nothing_else(held, more):
    before = efficiency(book_of(held, 10**8), BOARD)
    after = efficiency(book_of(held, 10**8 + more), BOARD)
    assert (before.equity_micro >= max(each.initial_micro.max() for each in before.models)).all()
    assert before.shortfall_micro.tolist() == after.shortfall_micro.tolist()
    for first, second in zip(before.models, after.models, strict=True):
        assert (second.idle_micro - first.idle_micro).tolist() == [more * PPM] * len(held)
        for name in ("initial_micro", "maintenance_micro", "locked_micro", "saved_micro", "per_shortfall_ppm",
                     "per_notional_ppm", "covered_initial_ppm", "covered_maintenance_ppm"):  # fmt: skip
            assert getattr(first, name).tolist() == getattr(second, name).tolist(), name
        assert first.worst_uncovered_micro == second.worst_uncovered_micro


@given(st.lists(st.tuples(st.integers(0, 2**62), st.integers(0, 2**55)), min_size=1))
def test_a_ratio_is_the_exact_quotient_rounded_up(pairs):
    part, whole = (np.array(each, np.int64) for each in zip(*pairs, strict=True))
    expected = [-1 if b == 0 else min(-(-a * PPM // b), RATIO_PPM_MAX) for a, b in pairs]
    assert ratio_ppm(part, whole).tolist() == expected


def test_a_sum_over_accounts_may_leave_int64():
    values = np.array([2**62, 2**62, 2**62, -5], np.int64)
    assert efficiency_module._total(values) == 3 * 2**62 - 5


def test_a_model_that_cannot_margin_the_book_says_so_in_its_row():
    found = sw.efficiency(book_of([{"BTC": 1}], 5), BOARD, ["dydx", "portfolio"])
    dydx, portfolio = found.models
    assert dydx.unsupported.endswith("expected one of perpetual")
    assert portfolio.saved_micro.tolist() == [90_400_000 - portfolio.initial_micro[0]]  # fixed: the haircut of 1,130
    assert found.to_dict()["models"][0] == {"model": "dydx", "unsupported": dydx.unsupported}
    assert found.to_polars()["model"].unique().to_list() == ["portfolio"]
    with pytest.raises(InputError, match="can margin"):
        found.totals(dydx)


def test_a_product_that_nobody_holds_is_no_reason_to_refuse():
    held = [{"BTC-PERP": 10, "ETH-PERP": -7}, {"ETH-PERP": 3}, {}]
    (dydx,) = efficiency(book_of(held, 9_000), BOARD, ["dydx"]).models
    alone = evaluate(book_of(held, 9_000), PERPETUALS, "dydx")
    assert not dydx.unsupported
    assert dydx.initial_micro.tolist() == alone.initial_margin_micro.tolist()
    assert dydx.maintenance_micro.tolist() == alone.maintenance_margin_micro.tolist()
    (only_cash,) = efficiency(book_of([{}], 9_000), BOARD, ["dydx"]).models
    assert only_cash.unsupported


def test_savings_are_against_the_default_fixed_model_only():
    cheap = models.get("fixed", initial_ppm=60_000, maintenance_ppm=50_000)
    found = efficiency(linear_book(), LINEAR, [cheap])
    assert found.models[0].saved_micro.tolist() == [40 * PPM, 40 * PPM, 0]


def test_a_table_has_a_row_for_each_model_and_account():
    frame = efficiency(linear_book(), LINEAR, ["fixed", "cross"]).to_polars()
    assert frame.height == 6
    row = frame.row(2, named=True)
    assert (row["model"], row["account"], str(row["idle"]), row["per_shortfall"]) == ("fixed", "idler", "5.000000", None)


@pytest.mark.parametrize(
    ("moves", "error", "says"),
    [
        ({"ETH": (1, 2)}, InputError, "none of BTC"),
        ({}, InputError, "none of BTC"),
        ({"BTC": (1,)}, UnsafeParameters, "periods of history"),
        ({"BTC": (1, 2), "ETH": (1, 2, 3)}, UnsafeParameters, "as the others have"),
        ({"BTC": (-PPM, 2)}, UnsafeParameters, "above -100 %"),
    ],
)
def test_moves_that_are_none_are_refused(moves, error, says):
    with pytest.raises(error, match=says):
        efficiency(book_of([{"BTC-PERP": 1}], 5), BOARD, ["fixed"], moves)


def test_underlyings_that_nobody_holds_need_no_moves():
    found = efficiency(book_of([{"BTC-PERP": 1}], 5), BOARD, ["fixed"], MOVES)
    assert (found.moves, found.source) == (4, "given")
    assert found.models[0].covered_initial_ppm.tolist() == [750_000]


def test_the_yardstick_is_a_mean_of_a_tail():
    with pytest.raises(InputError, match="expected-shortfall model"):
        efficiency(linear_book(), LINEAR, ["fixed"], yardstick=models.get("value-at-risk"))
