"""An explanation adds up to the evaluation, to the last micro, and says what two evaluations would say."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import seawall as sw
from margin import scenes
from margin.test_what_if import MARKETS, MODELS, SYMBOLS, WHOLE, book_of
from seawall.core.errors import InputError, InvariantError
from seawall.ledger.accounts import Accounts
from seawall.margin.evaluate import evaluate, evaluate_bound
from seawall.margin.explain import explain, explain_account
from seawall.margin.parts.rounding import apportion, stepped
from seawall.margin.whatif import Calculator

counts = st.integers(-5_000, 5_000).filter(bool)
FIGURES = ("equity_micro", "initial_margin_micro", "maintenance_margin_micro")


def sums(found) -> tuple[int, int, int]:
    equity = found.cash_micro + int(found.equity_micro.sum())
    return equity, int(found.initial_micro.sum()), int(found.maintenance_micro.sum())


def without(accounts: Accounts, row: int, legs: set[int]) -> Accounts:
    """One account of a bound book, less some legs."""
    first, last = accounts.row_ptr[row], accounts.row_ptr[row + 1]
    keep = [k for k in range(first, last) if int(accounts.leg[k]) not in legs]
    return Accounts(
        ["a"], accounts.cash_nano[[row]], np.array([0, len(keep)]), accounts.leg[keep], accounts.lots[keep]
    )


def check(calculator: Calculator, account: str) -> None:
    """Parts, worst scenario and savings of an account against evaluations of their own."""
    row = calculator.row[account]
    found = explain_account(calculator, account)
    whole = evaluate_bound(without(calculator.accounts, row, set()), calculator.tables, calculator.model)
    assert sums(found) == tuple(int(getattr(whole, name)[0]) for name in FIGURES)
    assert found.worst_scenario == whole.worst_scenario[0]
    every = found.scenarios(10_000)
    losses = [one.loss_micro for one in every]
    assert losses == sorted(losses, reverse=True)
    if found.worst_scenario not in ("", "none"):
        assert every[0].name == found.worst_scenario
    legs = calculator.market.legs
    covered = sorted(k for position in found.positions for k in position.legs)
    assert covered == list(range(len(found.legs)))
    for position in found.positions:
        gone = {legs.symbols.index(found.legs[k]) for k in position.legs}
        rest = evaluate_bound(without(calculator.accounts, row, gone), calculator.tables, calculator.model)
        saved = [int(getattr(rest, name)[0]) - int(getattr(whole, name)[0]) for name in FIGURES[1:]]
        assert [position.initial_saving_micro, position.maintenance_saving_micro] == saved
        assert position.hedges == any(saving > 0 for saving in saved)



@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=60)
@given(data=st.data(), cash_nano=st.integers(-(10**15), 10**15))
def test_parts_sum_to_the_evaluation_of_any_book(name, data, cash_nano):
    at, symbols = MARKETS[name], SYMBOLS[name]
    held = data.draw(st.dictionaries(st.sampled_from(symbols), counts, max_size=8), "held")
    held = {s: abs(n) if at.instruments[s].kind == "spot" else n for s, n in held.items()}
    book = book_of(at, held, cash_nano)
    found = explain(book, at, MODELS[name], "a")
    whole = evaluate(book, at, MODELS[name])
    assert sums(found) == tuple(int(getattr(whole, field)[1]) for field in FIGURES)
    check(Calculator(book, at, MODELS[name]), "a")


@pytest.mark.parametrize("version", [1, 2])
@settings(max_examples=30)
@given(lots=st.lists(st.integers(-3_000, 3_000), min_size=7, max_size=7))
def test_parts_sum_under_derives_rules_with_several_expiries_and_strikes(version, lots):
    rows = [scenes.perpetual("BTC")]
    for hours in (30, 24 * 40):
        rows += [scenes.option(f"{r}{k}-{hours}", r, k, hours, 0.6) for r, k in (("call", 110e3), ("put", 110e3), ("call", 125e3))]
    at = scenes.market(rows, {"BTC": 113_000})
    book = scenes.book(at, {row["symbol"]: n for row, n in zip(rows, lots, strict=True) if n}, "1000000.000001")
    check(Calculator(book, at, sw.models.get("derive-portfolio", version=version)), "a")
    check(Calculator(book, at, "derive-standard"), "a")


@settings(max_examples=150)
@given(data=st.data(), seed=st.integers(0, 2**32), scale=st.sampled_from([30, 10**6, 10**12]))
def test_parts_sum_on_tables_of_random_numbers(data, seed, scale):
    """Every kink is met: windows, corners, dips, three bounds between levels, curves, minima, concentration."""
    calculator = Calculator(book_of(WHOLE, {}, 0), WHOLE, "portfolio")
    calculator.tables = scenes.random_tables(WHOLE, seed, scale)
    legs = st.integers(0, len(WHOLE.legs.symbols) - 1)
    limit = 2**40 // scale // 30 if scale > 10**6 else 5_000
    sizes = st.integers(-max(1, limit), max(1, limit)).filter(bool)
    books = [data.draw(st.dictionaries(legs, sizes, max_size=11), "lots")]
    calculator.accounts = scenes.accounts_of(books, [data.draw(st.integers(-(10**12), 10**12), "cash")])
    calculator.row = {"a0": 0}
    check(calculator, "a0")


def test_a_book_beyond_int64_once_scaled_is_shared_exactly():
    """Running totals that could leave int64 under a factor of ten are taken on integers without an end."""
    at = scenes.market([scenes.perpetual("BTC", "1"), scenes.option("C", "call", 110e3, 700, 0.7, lot="1")], {"BTC": 113e3})
    model = sw.models.get("portfolio", initial_factor_ppm=10_000_000)
    found = explain(scenes.book(at, {"BTC-PERP": 9_000, "C": -9_000}), at, model, "a")
    whole = evaluate(scenes.book(at, {"BTC-PERP": 9_000, "C": -9_000}), at, model)
    assert sums(found) == tuple(int(getattr(whole, field)[0]) for field in FIGURES)


def test_a_perpetual_alone_under_the_portfolio_model():
    """1.5 BTC at 113,000: 14 % of its value down, times 1.25; basis 0.25 % up or down, no factor."""
    at = scenes.market([scenes.perpetual("BTC")], {"BTC": 113_000})
    found = explain(scenes.book(at, {"BTC-PERP": 150}, "20000"), at, "portfolio", "a")
    parts = dict(zip(found.components, found.initial_micro[0].tolist(), strict=True))
    worth = Fraction(169_500_000_000)
    assert abs(parts["scan"] - worth * Fraction(14, 100) * Fraction(125, 100)) <= 1
    assert abs(parts["basis"] - worth * Fraction(25, 10_000)) <= 1
    assert found.decided_by == "scan"
    assert found.worst_scenario.startswith("common factor -1.00")
    assert found.scenarios(1)[0].loss_micro == worth * Fraction(14, 100)
    assert found.positions[0].initial_saving_micro == -int(found.initial_micro.sum())


def test_a_coin_hedges_the_call_that_was_sold_against_it():
    rows = [{"symbol": "BTC", "kind": "spot", "underlying": "BTC", "lot": "0.01", "haircut": "0"}]
    rows.append(scenes.option("C", "call", 120e3, 24 * 77, 0.52))
    at = scenes.market(rows, {"BTC": 113_000})
    found = explain(scenes.book(at, {"BTC": 100, "C": -100}), at, "portfolio", "a")
    saves = {one.name: one for one in found.positions}
    assert saves["C"].hedges
    held = dict(zip(found.legs, found.initial_micro.sum(axis=1).tolist(), strict=True))
    # the worst is a fall, in which the coin loses and the call gives some of it back
    assert held["BTC"] > 0 > held["C"]


def test_the_longs_of_a_short_butterfly_between_nodes_bear_its_gap():
    """Only long lots bend the wrong way: what lies between the nodes is the body's doing."""
    rows = [scenes.option(f"C{k}", "call", k, 1, 0.3) for k in (97_250, 98_250, 99_250)]
    at, model = scenes.market(rows, {"BTC": 100_000}), sw.models.get("portfolio", short_minimum_ppm=0)
    found = explain(scenes.book(at, {"C97250": -100, "C98250": 200, "C99250": -100}), at, model, "a")
    gap = dict(zip(found.legs, found.initial_micro[:, found.components.index("gap in spot")].tolist(), strict=True))
    assert sum(gap.values()) > 0
    assert gap["C98250"] > abs(gap["C97250"]) + abs(gap["C99250"])


def test_a_naked_strangle_far_out_pays_the_short_minimum():
    rows = [scenes.option("C", "call", 300e3, 48, 0.5), scenes.option("P", "put", 30e3, 48, 0.5)]
    at = scenes.market(rows, {"BTC": 113_000})
    found = explain(scenes.book(at, {"C": -100, "P": -50}), at, "portfolio", "a")
    assert found.decided_by == "short-option minimum"
    minimum = found.maintenance_micro[:, found.components.index("short-option minimum")].tolist()
    assert sorted(minimum) == [Fraction(113_000 * 15_000, 2), 113_000 * 15_000]


def test_concentration_is_shared_by_notional():
    at = scenes.market([scenes.perpetual("BTC"), {**scenes.perpetual("BTC"), "symbol": "OTHER"}], {"BTC": 100_000})
    model = sw.models.get("portfolio", concentration_from=100_000, concentration_ppm=100_000)
    found = explain(scenes.book(at, {"BTC-PERP": 300, "OTHER": -100}), at, model, "a")
    charge = found.maintenance_micro[:, found.components.index("concentration")]
    shares = dict(zip(found.legs, charge.tolist(), strict=True))
    assert shares == {"BTC-PERP": 22_500 * 10**6, "OTHER": 7_500 * 10**6}


def test_tiers_are_paid_by_each_position():
    at = scenes.market([scenes.perpetual("BTC"), scenes.perpetual("ETH", "1")], {"BTC": 100_000, "ETH": 4_000})
    found = explain(scenes.book(at, {"BTC-PERP": -100, "ETH-PERP": 10}), at, "fixed", "a")
    assert found.components == ("position margin",)
    assert dict(zip(found.legs, found.initial_micro[:, 0].tolist(), strict=True)) == {
        "BTC-PERP": 10_000 * 10**6,
        "ETH-PERP": 4_000 * 10**6,
    }
    assert not any(position.hedges for position in found.positions)


def test_derives_spread_pays_its_worst_pay_off():
    """A short call at 110,000 covered by one at 112,000: 2,000 at most, at any price from the upper strike on."""
    rows = [scenes.option(f"C{k}", "call", k, 700, 0.5) for k in (110_000, 112_000)]
    at = scenes.market(rows, {"BTC": 113_000})
    found = explain(scenes.book(at, {"C110000": -100, "C112000": 100}), at, "derive-standard", "a")
    assert found.decided_by == "worst pay-off"
    paid = found.initial_micro[:, found.components.index("worst pay-off")].tolist()
    assert paid[0] == pytest.approx(2_000 * 10**6, abs=2)
    assert paid[1] == pytest.approx(0, abs=2)
    assert found.scenarios(1)[0].name.startswith("settles at 112,000")
    saved = {one.name: one.initial_saving_micro for one in found.positions}
    alone = explain(scenes.book(at, {"C110000": -100}), at, "derive-standard", "a")
    assert saved["C112000"] == int(alone.initial_micro.sum()) - int(found.initial_micro.sum()) > 0


def test_a_basket_is_one_position_and_inverse_contracts_go_with_their_coin():
    found = explain(book_of(WHOLE, {"MIX": 10, "BTC-INV": 500, "BTC-PERP": 3}, 10**14), WHOLE, "portfolio", "a")
    assert {one.name: len(one.legs) for one in found.positions} == {"MIX": 2, "BTC-INV + BTC#coin": 2, "BTC-PERP": 1}


def test_an_account_without_positions_has_nothing_to_explain():
    found = explain(book_of(WHOLE, {}, 1_999), WHOLE, "portfolio", "a")
    assert sums(found) == (1, 0, 0)
    assert found.positions == []
    assert found.to_dict()["legs"] == []


def test_an_unknown_account_is_bad_input():
    with pytest.raises(InputError, match="nobody"):
        explain(book_of(WHOLE, {}, 0), WHOLE, "portfolio", "nobody")


def test_parts_that_do_not_add_up_are_a_bug_and_not_a_remainder(monkeypatch):
    from seawall.margin import explain as module

    honest = module.parts_of

    def off_by_one(*arguments):
        parts = honest(*arguments)
        return parts._replace(cash=parts.cash + 1)

    monkeypatch.setattr(module, "parts_of", off_by_one)
    with pytest.raises(InvariantError, match="parts"):
        explain(book_of(WHOLE, {"BTC-PERP": 3}, 0), WHOLE, "portfolio", "a")


@given(st.lists(st.integers(-(10**20), 10**20), min_size=1).filter(sum), st.integers(-(10**20), 10**20))
def test_shares_sum_exactly_and_each_is_within_one_of_its_own(weights, total):
    shares = apportion(total, weights)
    assert sum(shares) == total
    assert all(abs(share - Fraction(total * w, sum(weights))) < 1 for share, w in zip(shares, weights, strict=True))


def test_running_totals_are_rounded_and_not_the_parts():
    assert stepped([400, 400, 0, 400], lambda nano: nano // 1000) == [0, 0, 0, 1]
    assert stepped([-400, 800], lambda nano: -(-nano // 1000)) == [0, 1]
