"""Parts under expected shortfall, value at risk and Greeks: each leg's own share by its definition, exact in the sum."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.margin import scenes
from tests.margin.test_what_if import WHOLE

import seawall as sw
from seawall.kernels import quadratic
from seawall.kernels.account import evaluate_one
from seawall.margin.explain import explain
from seawall.margin.parts import Parts, parts_of

PPM = 10**6
TAILS = ("expected-shortfall", "value-at-risk")
JOINT = (*TAILS, "greeks")
# small enough that concentration, the liquidity horizon and a minimum are charged to small books
SMALL: dict[str, dict[str, Any]] = dict.fromkeys(
    TAILS,
    {"concentration_from": 20_000, "daily_volume": {"BTC": 500_000}, "default_daily_volume": 90_000, "columns": 77,
     "initial_factor_ppm": 1_300_000, "short_minimum_ppm": 60_000},
)  # fmt: skip
SMALL["greeks"] = {"short_minimum_ppm": 60_000}
MODELS = {name: sw.models.get(name, **SMALL[name]) for name in JOINT}
TABLES = {name: model.tables(WHOLE) for name, model in MODELS.items()}
LEGS = len(WHOLE.legs)
LOTS = st.dictionaries(st.integers(0, LEGS - 1), st.integers(-2_000, 2_000).filter(bool), min_size=1, max_size=7)


def taken_apart(name: str, lots: dict[int, int], tables: Any = None) -> tuple[Parts, np.ndarray]:
    """The parts of an account, and the kernel's figures."""
    tables = TABLES[name] if tables is None else tables
    legs = np.array(sorted(lots), np.int32)
    counts = np.array([lots[leg] for leg in sorted(lots)], np.int64)
    parts = parts_of(MODELS[name].kind, tables, legs, counts, 0)
    return parts, evaluate_one(MODELS[name].kind, tables, legs, counts, 0)


def agree(found: tuple[Parts, np.ndarray]) -> bool:
    parts, out = found
    sums = [parts.cash + sum(parts.equity), int(parts.columns.initial.sum()), int(parts.columns.maintenance.sum())]
    return sums == out[:3].tolist()


def component(parts: Parts, name: str) -> tuple[list[int], list[int]]:
    if name not in parts.columns.names:
        return [0] * len(parts.equity), [0] * len(parts.equity)
    row = parts.columns.names.index(name)
    return parts.columns.initial[row].tolist(), parts.columns.maintenance[row].tolist()


@pytest.mark.parametrize("name", JOINT)
@settings(max_examples=150, deadline=None)
@given(lots=LOTS)
def test_parts_sum_with_every_add_on(name, lots):
    assert agree(taken_apart(name, lots))


@pytest.mark.parametrize("name", JOINT)
def test_parts_sum_at_the_exposure_limit(name):
    random, limits = np.random.default_rng(5), WHOLE.legs.limit_nano
    for _ in range(40):
        legs = random.choice(len(limits), random.integers(1, 5), replace=False)
        shares = random.dirichlet(np.ones(len(legs))) * 0.999 * 2**62
        lots = {int(leg): int(share / limits[leg]) for leg, share in zip(legs, shares, strict=True)}
        lots = {leg: count * int(random.choice((-1, 1))) for leg, count in lots.items() if count}
        assert agree(taken_apart(name, lots))


@pytest.mark.parametrize("name", TAILS)
@settings(max_examples=100, deadline=None)
@given(lots=LOTS)
def test_a_part_is_what_the_leg_loses_in_the_tail(name, lots):
    tables, model = TABLES[name], MODELS[name]
    parts, _ = taken_apart(name, lots)
    assume(parts.decided_by == model.name.replace("-", " "))
    legs = sorted(lots)
    own = [[lots[leg] * int(tables.values[leg, 0] - value) for value in tables.values[leg, 1:]] for leg in legs]
    losses = [sum(column) for column in zip(*own, strict=True)]
    weights = tables.scenario_params[0].tolist()
    shares = (PPM - model.parameters.initial_confidence_ppm, PPM - model.parameters.maintenance_confidence_ppm)
    factors = (model.parameters.initial_factor_ppm, model.parameters.maintenance_factor_ppm)
    for found, share, factor in zip(component(parts, parts.decided_by), shares, factors, strict=True):
        missing, sums, last = share, [Fraction(0)] * len(legs), -1
        for column in sorted(range(len(losses)), key=lambda c: (-losses[c], c)):
            if missing == 0:
                break
            taken, last = min(weights[column], missing), column
            missing -= taken
            sums = [total + Fraction(one[column] * taken, share) for total, one in zip(sums, own, strict=True)]
        exact = sums if name == "expected-shortfall" else [Fraction(one[last]) for one in own]
        for mine, wanted in zip(found, exact, strict=True):
            assert abs(mine - wanted * factor / (1000 * PPM)) < 1 + Fraction(factor, PPM) + 1


@settings(max_examples=100, deadline=None)
@given(lots=LOTS)
def test_a_part_of_the_form_is_the_leg_times_the_derivative(lots):
    parts, _ = taken_apart("greeks", lots)
    assume(parts.decided_by == "delta, gamma and vega")
    tables = TABLES["greeks"]
    legs = sorted(lots)
    counts = np.array([lots[leg] for leg in legs], float)
    form = tables.underlying_params / PPM
    entries = np.zeros((len(legs), len(form)))
    for k, leg in enumerate(legs):
        u = tables.leg_underlying[leg]
        entries[k, 2 * u], entries[k, 2 * u + 1] = tables.values[leg, [quadratic.COLUMN_DELTA, quadratic.COLUMN_VEGA]] / 1000
    vector = counts @ entries
    root = np.sqrt(max(vector @ form @ vector, 0.0))
    assume(root > 1000)
    gamma = tables.values[legs, quadratic.COLUMN_GAMMA] / 1000
    for k, z in enumerate((3.0, 2.5)):
        delta, vega, bent = (np.array(component(parts, what)[k]) for what in ("delta", "vega", "short gamma"))
        # the difference quotient: the form is smooth away from zero
        step = 1e-6
        for j in range(len(legs)):
            changed = vector + step * counts[j] * entries[j]
            slope = (np.sqrt(changed @ form @ changed) - root) / step
            assert delta[j] + vega[j] == pytest.approx(z * slope, rel=1e-4, abs=z * root * 2e-5 + 20)
        for u in set(tables.leg_underlying[legs].tolist()):
            mine = tables.leg_underlying[legs] == u
            wanted = -z * z * counts[mine] * gamma[mine] if counts[mine] @ gamma[mine] < 0 else 0.0 * gamma[mine]
            assert bent[mine] == pytest.approx(wanted, rel=1e-9, abs=2 * z * z + 2)


def test_a_hedge_takes_off_and_the_book_it_hedges_pays():
    at = scenes.market([scenes.perpetual("BTC"), scenes.perpetual("ETH")], {"BTC": 100_000, "ETH": 4_000})
    for name in JOINT:
        found = explain(scenes.book(at, {"BTC-PERP": 100, "ETH-PERP": -800}, "50000"), at, name, "a")
        parts = dict(zip(found.legs, found.initial_micro.sum(axis=1).tolist(), strict=True))
        assert parts["BTC-PERP"] > 0 > parts["ETH-PERP"]
        assert sum(parts.values()) == int(found.result.initial_margin_micro[0])
        assert {one.name: one.hedges for one in found.positions}["ETH-PERP"]
        assert found.decided_by == {"greeks": "delta, gamma and vega"}.get(name, name.replace("-", " "))


def test_two_perpetuals_share_the_root_as_arithmetic_says():
    at = scenes.market([scenes.perpetual("BTC"), scenes.perpetual("ETH")], {"BTC": 100_000, "ETH": 4_000})
    found = explain(scenes.book(at, {"BTC-PERP": 100, "ETH-PERP": 2_000}, "50000"), at, "greeks", "a")
    a, b = 100_000 * 0.55 / np.sqrt(365), 80_000 * 0.75 / np.sqrt(365)
    root = np.sqrt(a * a + b * b + 2 * 0.81 * a * b)
    wanted = [3e6 * a * (a + 0.81 * b) / root, 3e6 * b * (b + 0.81 * a) / root]
    assert found.initial_micro.sum(axis=1) == pytest.approx(wanted, rel=1e-7, abs=20)
    assert found.scenarios() == []
    assert found.worst_scenario == ""


def test_of_scenarios_that_lose_alike_the_first_is_the_one_at_risk():
    tables = TABLES["value-at-risk"]
    values = np.zeros_like(tables.values)
    values[0, 1:], values[9, 1:] = -1_000_000, 1_000_000  # leg 0 loses what leg 9 gains, but for two columns
    values[0, [20, 40]], values[9, [20, 40]] = [-5_000_000, -2_000_000], [0, -3_000_000]
    weights = np.full((1, 77), PPM // 77)
    weights[0, 0] += PPM - weights.sum()
    scalars = tables.scalars.copy()
    scalars[1:3] = 1_000  # less than one scenario's weight
    tied = tables._replace(values=values, scenario_params=weights, scalars=scalars)
    parts, out = taken_apart("value-at-risk", {0: 1_000, 9: 1_000}, tied)
    assert component(parts, "value at risk")[1] == [5_000_000, 0]
    assert out[3] == 19
    other = tied._replace(values=values[:, [0, *range(40, 0, -1), *range(41, 78)]].copy())
    parts, _ = taken_apart("value-at-risk", {0: 1_000, 9: 1_000}, other)
    assert component(parts, "value at risk")[1] == [2_000_000, 3_000_000]


@pytest.mark.parametrize("name", JOINT)
def test_a_short_option_far_out_pays_the_minimum_and_its_cover_takes_off(name):
    rows = [scenes.option(f"C{k}", "call", 400_000, 60, 0.3) for k in (1, 2)]
    at = scenes.market(rows, {"BTC": 100_000})
    found = explain(scenes.book(at, {"C1": -100, "C2": 40}, "50000"), at, name, "a")
    assert found.decided_by == "short-option minimum"
    minimum = found.components.index("short-option minimum")
    assert found.maintenance_micro[:, minimum].tolist() == [1_500 * PPM, -600 * PPM]


def test_each_context_says_what_decided_it():
    rows = [scenes.option("C", "call", 150_000, 600, 0.6)]
    at = scenes.market(rows, {"BTC": 100_000})
    for minimum in range(2_000, 40_000, 500):
        model = sw.models.get("greeks", initial_deviations_ppm=9_000_000, short_minimum_ppm=minimum)
        words = explain(scenes.book(at, {"C": -100}, "50000"), at, model, "a").decided_by
        if "(" in words:
            assert words == "delta, gamma and vega (initial), short-option minimum (maintenance)"
            return
    pytest.fail("no minimum lies between the two")


def test_what_size_costs_is_shared_by_notional():
    at = scenes.market([scenes.perpetual("BTC"), {**scenes.perpetual("BTC"), "symbol": "B2"}], {"BTC": 100_000})
    model = sw.models.get("expected-shortfall", daily_volume={"BTC": 1_000_000}, concentration_from=100_000)
    found = explain(scenes.book(at, {"BTC-PERP": 300, "B2": -100}, "500000"), at, model, "a")
    for name in ("concentration", "liquidity horizon"):
        part = found.initial_micro[:, found.components.index(name)].tolist()
        assert part[0] > 0
        assert abs(dict(zip(found.legs, part, strict=True))["BTC-PERP"] - 3 * dict(zip(found.legs, part, strict=True))["B2"]) <= 4


@pytest.mark.parametrize("name", JOINT)
def test_an_account_without_positions_has_no_parts(name):
    found = explain(scenes.book(WHOLE, {}, "5"), WHOLE, name, "a")
    assert (found.legs, found.components, found.decided_by) == ([], (), "")
