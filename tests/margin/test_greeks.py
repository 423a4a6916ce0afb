"""Delta, gamma and vega with correlations: closed forms, and never less than the ellipsoid can lose."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf
from tests.margin.scenes import book, market, option, perpetual

import samples
import seawall as sw
from seawall.core.errors import UnsafeParameters
from seawall.kernels import quadratic
from seawall.kernels.account import evaluate_one
from seawall.margin.envelope import check_envelope
from seawall.market.market import Market

PPM = 10**6
WHOLE = Market.from_document(samples.market_document())
BARE = sw.models.get("greeks", short_minimum_ppm=0)
TABLES = BARE.tables(WHOLE)
NO_HAIRCUTS = TABLES._replace(extra=np.zeros_like(TABLES.extra))
LOTS = st.dictionaries(st.integers(0, len(WHOLE.legs) - 1), st.integers(-5_000, 5_000), max_size=6)


def figures(tables: Any, lots: dict[int, int]) -> list[int]:
    held = sorted(leg for leg, count in lots.items() if count)
    counts = np.array([lots[leg] for leg in held], np.int64)
    return evaluate_one(BARE.kind, tables, np.array(held, np.int32), counts, 0).tolist()


def form(tables: Any, lots: dict[int, int]) -> tuple[Any, Any]:
    """Delta and vega by factor, and gamma by underlying, in micro."""
    linear, bend = np.zeros(tables.underlying_params.shape[0]), np.zeros(tables.underlying_params.shape[0] // 2)
    for leg, count in lots.items():
        u = tables.leg_underlying[leg]
        linear[2 * u] += count * tables.values[leg, quadratic.COLUMN_DELTA] / 1000
        linear[2 * u + 1] += count * tables.values[leg, quadratic.COLUMN_VEGA] / 1000
        bend[u] += count * tables.values[leg, quadratic.COLUMN_GAMMA] / 1000
    return linear, bend


@pytest.mark.parametrize(("first", "second"), [(100, 0), (-100, 0), (100, 2000), (100, -2000), (-300, -900)])
def test_a_linear_book_is_the_closed_form(first, second):
    at = market([perpetual("BTC"), perpetual("ETH")], {"BTC": 100_000, "ETH": 4_000})
    found = sw.evaluate(book(at, {"BTC-PERP": first, "ETH-PERP": second}), at, sw.models.get("greeks"))
    a = first * 0.01 * 100_000 * 0.55 / np.sqrt(365)
    b = second * 0.01 * 4_000 * 0.75 / np.sqrt(365)
    deviation = np.sqrt(a * a + b * b + 2 * 0.81 * a * b)
    assert found.initial_margin_micro[0] == pytest.approx(3.0 * deviation * PPM, rel=1e-7, abs=20)
    assert found.maintenance_margin_micro[0] == pytest.approx(2.5 * deviation * PPM, rel=1e-7, abs=20)


@pytest.mark.parametrize("hours", [1 / 3600, 0.01, 1.0])
def test_gamma_at_the_strike_is_never_more_than_the_whole_move(hours):
    at = market([option("call", "call", 100_000, hours, 0.5)], {"BTC": 100_000})
    values = sw.models.get("greeks").tables(at).values
    step_nano = 100_000 * 0.55 / np.sqrt(365) * float(at.legs.lot[0]) * 1e9
    assert 0 < values[0, quadratic.COLUMN_GAMMA] <= step_nano
    if hours < 0.1:  # the expansion alone would say several times that
        assert values[0, quadratic.COLUMN_GAMMA] == pytest.approx(step_nano, rel=1e-9)


def test_a_short_straddle_pays_for_gamma_and_vega_and_a_long_one_for_vega():
    rows = [option(name, name, 100_000, 240, 0.5) for name in ("call", "put")]
    at = market(rows, {"BTC": 100_000})
    days, root = 10, 0.5 * np.sqrt(10 / 365)
    density = np.exp(-(root**2) / 8) / np.sqrt(2 * np.pi)
    step = 0.55 / np.sqrt(365) * 100_000
    gamma = 2 * density / (100_000 * root) * 0.5 * step**2
    vega = 2 * 100_000 * density * np.sqrt(days / 365) * 0.5 * 0.06 * 3**0.3
    delta = float(erf(root / 2 / np.sqrt(2))) * step
    deviation = np.sqrt(delta**2 + vega**2 - 2 * 0.5 * delta * vega)
    long, short = (sw.evaluate(book(at, {"call": q, "put": q}), at, BARE) for q in (100, -100))
    assert long.initial_margin_micro[0] / PPM == pytest.approx(3 * deviation, rel=1e-6)
    assert short.initial_margin_micro[0] / PPM == pytest.approx(3 * deviation + 9 * gamma, rel=1e-6)


@settings(max_examples=80, deadline=None)
@given(LOTS, st.integers(0, 2**32))
def test_no_point_of_the_ellipsoid_loses_more_than_is_charged(lots, seed):
    linear, bend = form(NO_HAIRCUTS, lots)
    points = np.random.default_rng(seed).normal(size=(400, len(linear)))
    root = np.linalg.cholesky(NO_HAIRCUTS.underlying_params / PPM)
    points = (points / np.linalg.norm(points, axis=1)[:, None]) @ root.T
    charged = figures(NO_HAIRCUTS, lots)
    for k, z in ((1, 3.0), (2, 2.5)):
        losses = -(z * points @ linear + z * z * points[:, 0::2] ** 2 @ bend)
        assert charged[k] >= losses.max(initial=0.0) * (1 - 1e-9)


@settings(max_examples=80, deadline=None)
@given(LOTS)
def test_an_account_is_the_quadratic_form_and_little_more(lots):
    linear, bend = form(NO_HAIRCUTS, lots)
    deviation = np.sqrt(max(linear @ NO_HAIRCUTS.underlying_params @ linear / PPM, 0.0))
    dust = sum(abs(count) for count in lots.values()) / 1000
    charged = figures(NO_HAIRCUTS, lots)
    for k, z in ((1, 3.0), (2, 2.5)):
        exact = z * deviation + z * z * np.maximum(-bend, 0).sum()
        slack = z * (2 * dust + np.abs(linear).sum() * 2.0**-24) + z * z * dust + 30
        assert exact * (1 - 1e-9) <= charged[k] <= exact * (1 + 1e-9) + slack


@settings(max_examples=40, deadline=None)
@given(LOTS, st.integers(1, 20), st.integers(0, 20))
def test_a_perfect_offset_never_raises_margin(lots, times, closed):
    whole = figures(TABLES, {leg: times * count for leg, count in lots.items()})
    less = figures(TABLES, {leg: max(times - closed, 0) * count for leg, count in lots.items()})
    slack = max(whole[1], 1000) // 10**6  # the scale of the integers may differ
    assert less[1] <= whole[1] + slack
    assert less[2] <= whole[2] + slack


@settings(max_examples=30, deadline=None)
@given(LOTS)
def test_equity_is_that_of_every_other_model(lots):
    equity = figures(TABLES, lots)[0]
    held = sorted(leg for leg, count in lots.items() if count)
    rows = np.array(held, np.int32), np.array([lots[leg] for leg in held], np.int64)
    for model, tables in OTHERS:
        assert evaluate_one(model.kind, tables, *rows, 0)[0] == equity, model.name


OTHERS = [(model, model.tables(WHOLE)) for model in map(sw.models.get, ("fixed", "expected-shortfall"))]


def test_the_defaults_survive_one_step_and_wrong_parameters_are_refused():
    check_envelope(sw.models.get("greeks"), WHOLE)
    for wrong in (
        {"maintenance_deviations_ppm": 0},
        {"initial_deviations_ppm": 2_000_000},
        {"correlation_ppm": {"BTC": 1_000_001}},
        {"volatility_ppm": {"BTC": -1}},
        {"horizon_hours": 0},
    ):
        with pytest.raises(UnsafeParameters):
            sw.models.get("greeks", **wrong)
