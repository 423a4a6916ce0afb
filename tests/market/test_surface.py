"""Surfaces: raw SVI and quoted grids, and the arbitrage that gets one refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import samples
from seawall.core.errors import ArbitrageSurface
from seawall.core.times import parse_iso_ns
from seawall.market.market import Market
from seawall.market.surface import GridSurface, SviSurface, check_butterflies, check_calendar
from seawall.market.surface_rows import parse_surface, surface_row

AT = 10**18
YEAR = 365 * 86_400 * 10**9
SVI = {"a": 0.04, "b": 0.1, "rho": -0.3, "m": 0.01, "sigma": 0.2, "forward": 100.0, "tau": 0.25}


def svi(**changes):
    return SviSurface(**{"underlying": "BTC", "expiry_ns": AT, **SVI, **changes})


@given(st.floats(-3, 3))
def test_the_total_variance_is_gatherals_formula(k):
    x = k - 0.01
    expected = 0.04 + 0.1 * (-0.3 * x + math.sqrt(x * x + 0.04))
    assert svi().total_variance(k) == pytest.approx(expected, rel=1e-14)


def test_the_vol_of_a_strike_is_the_root_of_total_variance_over_the_surfaces_own_tau():
    assert svi().vol(110.0) == pytest.approx(math.sqrt(svi().total_variance(math.log(1.1)) / 0.25), rel=1e-14)


@given(
    a=st.floats(-0.2, 0.2),
    b=st.floats(0, 1),
    rho=st.floats(-0.99, 0.99),
    m=st.floats(-1, 1),
    sigma=st.floats(0.01, 1),
)
def test_a_surface_is_refused_if_and_only_if_a_variance_on_it_would_not_be_positive(a, b, rho, m, sigma):
    surface = svi(a=a, b=b, rho=rho, m=m, sigma=sigma)
    # Where the slope is zero the curve has its least value.
    lowest = surface.total_variance(m - rho * sigma / math.sqrt(1 - rho * rho))
    if abs(lowest) < 1e-9:
        return
    if lowest < 0:
        with pytest.raises(ArbitrageSurface, match="a least total variance of"):
            surface.checked("market.json: surfaces[0]")
    else:
        assert surface.checked("x") is surface
        assert min(surface.total_variance(k) for k in np.linspace(-5, 5, 101)) > 0


@pytest.mark.parametrize(("key", "value"), [("b", -0.1), ("rho", 1.0), ("sigma", 0.0), ("b", 1.9)])
def test_parameters_that_are_no_svi_are_named(key, value):
    with pytest.raises(ArbitrageSurface, match=rf"^here\.{key}: found"):
        svi(**{key: value}).checked("here")


def test_variance_that_falls_from_one_expiry_to_the_next_is_refused():
    early, late = svi(), svi(expiry_ns=AT + 1, a=0.01)
    with pytest.raises(ArbitrageSurface, match="does not fall with expiry"):
        check_calendar([late, early], "surfaces")
    check_calendar([svi(), svi(underlying="ETH", a=0.01), svi(expiry_ns=AT + 1, a=0.05)], "surfaces")
    assert late.total_variance(0.0) < early.total_variance(0.0)


def grid(strikes, ivs):
    return GridSurface("BTC", AT, tuple(strikes), tuple(ivs), 100.0, 0.25)


def test_a_grid_gives_its_quotes_back_and_is_flat_outside():
    surface = grid([80.0, 100.0, 120.0], [0.6, 0.5, 0.55])
    assert [surface.vol(k) for k in (80.0, 100.0, 120.0)] == [0.6, 0.5, 0.55]
    assert surface.vol(50.0) == pytest.approx(0.6, rel=1e-14)
    assert surface.vol(500.0) == pytest.approx(0.55, rel=1e-14)
    assert 0.5 < surface.vol(90.0) < 0.6


def test_a_butterfly_of_negative_value_is_refused_with_its_strikes():
    with pytest.raises(ArbitrageSurface, match="a butterfly at 90, 100, 110"):
        check_butterflies(grid([90.0, 100.0, 110.0], [0.5, 0.7, 0.5]), [90.0, 100.0, 110.0], "x")
    with pytest.raises(ArbitrageSurface, match="a call at 110 dearer than at 100"):
        check_butterflies(grid([100.0, 110.0], [0.2, 1.5]), [100.0, 110.0], "x")


@given(st.floats(0.05, 2), st.lists(st.floats(20, 500), min_size=1, max_size=12))
def test_a_flat_surface_has_no_arbitrage_at_any_strikes(vol, strikes):
    surface = grid([100.0], [vol])
    check_butterflies(surface, strikes, "x")
    assert all(surface.vol(k) == pytest.approx(vol) for k in strikes)


@pytest.mark.parametrize("surface", [svi(), grid([80.0, 100.0], [0.6, 0.5])])
def test_a_surface_reads_back_from_its_row(surface):
    row = surface_row(surface)
    assert parse_surface(row, "x", AT - YEAR, 0.0, {"BTC": 1}, {}) == surface


@pytest.mark.parametrize("change", [{"a": "-0.5"}, {"rho": "-1.5"}, {"b": "-1"}])
def test_a_market_with_a_negative_variance_is_refused_by_row(change):
    document = samples.market_document()
    document["surfaces"][0].update(change)
    with pytest.raises(ArbitrageSurface, match=r"^market\.json: surfaces\[0\]"):
        Market.from_document(document, "market.json")


def test_forward_and_tau_default_to_those_of_the_expiry():
    market = Market.from_document(samples.market_document())
    surface = market.surfaces[("ETH", parse_iso_ns(samples.EXPIRY))]
    at = market.legs.symbols.index("ETH-DEC-4000-C")
    assert surface.forward == market.legs.ratio[at] * 3900.25
    assert surface.tau == (parse_iso_ns(samples.EXPIRY) - market.as_of_ns) / YEAR
