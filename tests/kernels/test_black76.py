"""Black-76 against its textbook formula in plain Python, and against what must hold whatever the formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.kernels import black76

forwards = st.floats(1e-3, 1e6)
moneyness = st.floats(-3, 3)
total_vols = st.floats(1e-4, 5)
rights = st.sampled_from([1.0, -1.0])


def cdf(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


def twin(f: float, k: float, s: float, right: float) -> float:
    """The textbook: right·(F·Φ(right·d1) − K·Φ(right·d2))."""
    if s <= 1e-12:
        return max(right * (f - k), 0.0)
    d1 = math.log(f / k) / s + s / 2
    return right * (f * cdf(right * d1) - k * cdf(right * (d1 - s)))


def value(f: float, k: float, s: float, right: float) -> float:
    return float(black76.values(f, k, s, right)[0])


@given(forwards, moneyness, total_vols, rights)
def test_values_are_those_of_the_textbook(f, m, s, right):
    k = f * math.exp(m)
    assert abs(value(f, k, s, right) - twin(f, k, s, right)) <= 3e-15 * (f + k)


@given(forwards, moneyness, total_vols)
def test_a_call_less_a_put_is_the_forward_less_the_strike(f, m, s):
    k = f * math.exp(m)
    assert abs(value(f, k, s, 1) - value(f, k, s, -1) - (f - k)) <= 1e-15 * 4 * (f + k)


@given(forwards, moneyness, total_vols, rights)
def test_values_lie_between_intrinsic_value_and_the_asset(f, m, s, right):
    k = f * math.exp(m)
    found = value(f, k, s, right)
    assert max(right * (f - k), 0.0) <= found <= (f if right > 0 else k) * (1 + 1e-14)


@given(moneyness, total_vols, rights)
def test_values_never_fall_with_volatility(m, s, right):
    found = black76.values(1.0, math.exp(m), np.linspace(s, s + 1, 50), right)
    assert np.all(np.diff(found) >= -3e-15 * (1 + math.exp(m)))


@given(total_vols, rights)
def test_values_are_convex_in_the_forward(s, right):
    found = black76.values(np.linspace(0.2, 5, 200), 1.0, s, right)
    assert np.all(np.diff(found, 2) >= -1e-14)


@given(forwards, moneyness, rights)
def test_without_volatility_an_option_is_worth_exactly_its_intrinsic_value(f, m, right):
    k = f * math.exp(m)
    assert value(f, k, 0.0, right) == max(right * (f - k), 0.0)


def test_the_far_tail_keeps_its_relative_accuracy():
    s, k = 0.2, 1 / math.exp(0.2 * 7)
    d1 = math.log(1 / k) / s + s / 2
    found = value(1.0, k, s, -1)
    assert found == pytest.approx(k * cdf(-(d1 - s)) - cdf(-d1), rel=1e-12)
    assert 0 < found < 1e-12


def test_the_grid_gives_the_same_values_as_one_at_a_time():
    rng = np.random.default_rng(1)
    f, k, s = rng.uniform(50, 150, 20), rng.uniform(50, 150, 20), rng.uniform(0.05, 0.5, 20)
    right = rng.choice([-1.0, 1.0], 20)
    spot, vol = np.linspace(0.7, 1.3, 7), np.linspace(0.6, 1.6, 7)
    out = np.empty((20, 7))
    black76.values_grid(f, k, np.log(f / k), s, right, spot, np.log(spot), vol, out)
    for c in range(7):
        each = black76.values(f * spot[c], k, s * vol[c], right)
        np.testing.assert_allclose(out[:, c], each, rtol=0, atol=1e-12)


@given(moneyness, st.floats(0.05, 2), st.floats(0.02, 3), rights, st.floats(-0.1, 0.1))
def test_every_greek_is_the_derivative_that_it_says(m, vol, years, right, rate):
    f, k = 100.0, 100.0 * math.exp(m)

    def price(f=f, vol=vol, years=years, rate=rate):
        return math.exp(-rate * years) * twin(f, k, vol * math.sqrt(years), right)

    g = {name: float(column[0]) for name, column in black76.greeks(f, k, vol, years, right, rate).items()}

    def slope(name, h):
        at = {"f": f, "vol": vol, "years": years, "rate": rate}[name]
        return (price(**{name: at + h}) - price(**{name: at - h})) / (2 * h)

    def bend(name, h):
        at = {"f": f, "vol": vol}[name]
        return (price(**{name: at + h}) - 2 * price() + price(**{name: at - h})) / (h * h)

    close = {"rel": 2e-4, "abs": 2e-5}
    assert g["value"] == pytest.approx(price(), abs=1e-11)
    assert g["delta"] == pytest.approx(slope("f", 1e-3), **close)
    assert g["gamma"] == pytest.approx(bend("f", 1e-2), rel=1e-3, abs=1e-6)
    assert g["vega"] == pytest.approx(slope("vol", 1e-5), rel=1e-4, abs=1e-4)
    assert -g["theta"] == pytest.approx(slope("years", 1e-5), rel=1e-3, abs=1e-3)
    assert g["rho"] == pytest.approx(slope("rate", 1e-5), rel=1e-4, abs=1e-3)
    assert g["volga"] == pytest.approx(bend("vol", 1e-3), rel=2e-2, abs=2e-2)
    h = 1e-3
    cross = price(f=f + h, vol=vol + h) - price(f=f + h, vol=vol - h) - price(f=f - h, vol=vol + h)
    cross = (cross + price(f=f - h, vol=vol - h)) / (4 * h * h)
    assert g["vanna"] == pytest.approx(cross, rel=2e-2, abs=1e-3)


@given(moneyness, st.floats(0.01, 3), st.floats(0.01, 3), rights, st.floats(-0.1, 0.2))
def test_the_vol_behind_a_price_gives_the_price_and_is_the_vol_where_there_is_vega(m, vol, years, right, rate):
    f, k = 50_000.0, 50_000.0 * math.exp(m)
    price = math.exp(-rate * years) * value(f, k, vol * math.sqrt(years), right)
    found = float(black76.implied_vols(price, f, k, years, right, rate)[0])
    again = math.exp(-rate * years) * value(f, k, found * math.sqrt(years), right)
    assert again == pytest.approx(price, abs=1e-13 * (f + k))
    vega = float(black76.greeks(f, k, vol, years, right, rate)["vega"][0])
    if vega > 1e-4 * f:
        assert found == pytest.approx(vol, rel=1e-9)


@pytest.mark.parametrize("price", [-0.01, 19.9, 120.0, 130.0, math.nan, math.inf])
def test_a_price_outside_the_bounds_has_no_vol(price):
    assert math.isnan(black76.implied_vols(price, 120.0, 100.0, 1.0, 1, 0.0)[0])


def test_a_price_at_intrinsic_value_has_a_vol_of_zero():
    assert black76.implied_vols(20.0, 120.0, 100.0, 1.0, 1, 0.0)[0] == 0.0


def test_the_textbook_number_of_an_at_the_money_year_is_reproduced():
    # F = K = 100, σ = 20 %, one year: 100·(2Φ(0.1) − 1)
    assert value(100, 100, 0.2, 1) == pytest.approx(7.965567455405804, rel=1e-14)


def test_values_do_not_depend_on_how_many_are_computed_together():
    rng = np.random.default_rng(3)
    f, k, s = rng.uniform(50, 150, 1001), rng.uniform(50, 150, 1001), rng.uniform(0.01, 1, 1001)
    together = black76.values(f, k, s, 1.0)
    alone = np.array([value(f[i], k[i], s[i], 1.0) for i in range(1001)])
    assert together.tobytes() == alone.tobytes()
