"""A parameter set that could be broken through in one step is refused, in words; the defaults are not."""

from __future__ import annotations

from typing import Any

import pytest

import samples
from seawall.core.errors import InputError, UnsafeParameters
from seawall.margin import models
from seawall.margin.envelope import check_envelope
from seawall.market.market import Market

MARKET = Market.from_document(samples.market_document())
PERPETUALS = {"instruments": [row for row in samples.market_document()["instruments"] if row["symbol"] == "BTC-PERP"]}
SMALL = Market.from_document({**samples.market_document(), **PERPETUALS, "surfaces": []})


@pytest.mark.parametrize("name", models.names())
def test_the_default_set_of_every_model_passes(name):
    model = models.get(name)
    at = MARKET if name in ("fixed", "cross", "portfolio") else SMALL
    check_envelope(model, at)
    for place, have_ppm, need_ppm in model.envelope(at):
        assert have_ppm >= need_ppm > 0, place


def tier(start: int, initial: int, maintenance: int) -> dict[str, int]:
    return {"notional_from": start, "initial_ppm": initial, "maintenance_ppm": maintenance}


def dydx_tier(lower_cap: int, upper_cap: int) -> dict[str, int]:
    caps = {"open_interest_lower_cap": lower_cap, "open_interest_upper_cap": upper_cap}
    return {"initial_ppm": 50_000, "maintenance_fraction_ppm": 600_000, **caps}


# (model, parameters, words of the message): a step and a fee that the maintenance margin does not cover
BROKEN_IN_ONE_STEP: list[tuple[str, dict[str, Any], str]] = [
    ("fixed", {"maintenance_ppm": 40_299}, "tiers of every underlying: found maintenance of 4.0299 %"),
    ("fixed", {"step_move_ppm": 45_000}, "at least 5.545 %: a step of 4.5 % plus a liquidation fee of 1 %"),
    ("fixed", {"liquidation_fee_ppm": 20_000}, "a liquidation fee of 2 %"),
    ("cross", {"step_move_ppm": 8_500}, "tiers of BTC: found maintenance of 1.25 %"),
    ("cross", {"tiers": {"BTC": [tier(0, 20_000, 11_000)]}}, "tiers of BTC: found maintenance of 1.1 %"),
    ("cross", {"default_tiers": [tier(0, 10_000, 10_000)]}, "tiers of other underlyings: found maintenance of 1 %"),
    ("portfolio", {"range_ppm": {"BTC": 60_000, "ETH": 160_000}}, "range of BTC: found maintenance of 6 %"),
    ("portfolio", {"range_ppm": {"BTC": 140_000}, "default_range_ppm": 60_000}, "range of ETH"),
    ("portfolio", {"step_move_ppm": 140_000}, "at least 15.14 %"),
    ("portfolio", {"maintenance_factor_ppm": 400_000}, "range of BTC: found maintenance of 5.6 %"),
    ("portfolio", {"short_minimum_ppm": 10_000}, "short-option minimum: found maintenance of 1 %"),
]


@pytest.mark.parametrize(("name", "parameters", "words"), BROKEN_IN_ONE_STEP)
def test_a_set_that_one_step_breaks_is_refused(name, parameters, words):
    model = models.get(name, **parameters)
    with pytest.raises(UnsafeParameters) as caught:
        check_envelope(model, MARKET)
    assert words in str(caught.value)
    assert f"model {name}" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "parameters"), [("fixed", {"maintenance_ppm": 40_300}), ("cross", {"step_move_ppm": 8_466})]
)
def test_the_edge_itself_is_safe(name, parameters):
    """3 % and 1 % of 103 %: 4.03 %. 1.25 % less 0.4 % of what has moved: 0.8466 % (0.4 % of it is 0.00339 %)."""
    check_envelope(models.get(name, **parameters), MARKET)
    tighter = {key: value + (-1 if key == "maintenance_ppm" else 1) for key, value in parameters.items()}
    with pytest.raises(UnsafeParameters):
        check_envelope(models.get(name, **tighter), MARKET)


@pytest.mark.parametrize("name", models.names())
@pytest.mark.parametrize("field", ["step_move_ppm", "liquidation_fee_ppm"])
@pytest.mark.parametrize("value", [-1, 10**6 + 1, 10**20])
def test_a_step_or_a_fee_that_is_no_share_is_refused(name, field, value):
    model = models.get(name)
    setattr(model, field, value)
    with pytest.raises(UnsafeParameters, match=field):
        check_envelope(model, SMALL)


ONE_TIER: dict[str, Any] = {"tier_of": {}, "default_tier": "large"}
# (model, parameters, words): sets that are wrong by themselves, refused when the model is made
WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("fixed", {"initial_ppm": 40_000}, "0 <= maintenance <= initial"),
    ("fixed", {"maintenance_ppm": -1}, "maintenance -1 ppm"),
    ("cross", {"default_tiers": []}, "no tier from notional 0"),
    ("cross", {"default_tiers": [tier(1, 20_000, 10_000)]}, "the first tier at 0"),
    ("cross", {"default_tiers": [tier(0, 2, 1), tier(0, 3, 1)]}, "0 after 0"),
    ("cross", {"default_tiers": [tier(0, 3, 2), tier(5, 2, 2)]}, "a falling rate"),
    ("cross", {"default_tiers": [tier(0, 10**6 + 1, 2)]}, "initial 1000001 ppm"),
    ("cross", {"default_tiers": [tier(0, 50_000, 25_000), tier(10**12 + 1, 60_000, 25_000)]}, "from 1000000000001"),
    ("cross", {"open_interest_to": 10**12 + 1}, "0 to 1000000000001"),
    ("cross", {"open_interest_from": 10**9, "open_interest_to": 10**6}, "0 <= from <= to"),
    ("cross", {"open_interest_from": -1, "open_interest_to": 10**6}, "0 <= from <= to"),
    ("cross", {"open_interest_from": 10**20}, "open interest of every underlying"),
    ("dydx", {**ONE_TIER, "tiers": {"large": dydx_tier(2, 1)}}, "open interest of dydx tier large"),
    ("dydx", {**ONE_TIER, "tiers": {"large": dydx_tier(0, 10**12 + 1)}}, "open interest of dydx tier large"),
    ("portfolio", {"range_ppm": {"BTC": 0}}, "range_ppm of BTC: found 0"),
    ("portfolio", {"default_range_ppm": 10**6}, "default_range_ppm: found 1000000"),
    ("portfolio", {"range_ppm": {"BTC": 400_000}}, "tail of BTC: found a move of 1200000 ppm"),
    ("portfolio", {"correlation_ppm": {"BTC": 10**6 + 1}}, "correlation_ppm of BTC"),
    ("portfolio", {"offset_ppm": 10**6 + 1}, "offset_ppm"),
    ("portfolio", {"vol_down_ppm": 10**6 + 1}, "vol_down_ppm"),
    ("portfolio", {"power_short_ppm": 500_001}, "power_short_ppm"),
    ("portfolio", {"power_long_ppm": -1}, "power_long_ppm"),
    ("portfolio", {"life_floor_days": 0}, "life_floor_days"),
    ("portfolio", {"basis_ppm": -1}, "basis_ppm"),
    ("portfolio", {"concentration_from": 10**10}, "concentration_from"),
    ("portfolio", {"initial_factor_ppm": 900_000}, "initial_factor_ppm"),
    ("portfolio", {"maintenance_factor_ppm": 0}, "maintenance_factor_ppm"),
    ("portfolio", {"tails": [{"ranges_ppm": 2_000_000, "damping_ppm": 10**6 + 1}] * 4}, "damping_ppm"),
]


@pytest.mark.parametrize(("name", "parameters", "words"), WRONG)
def test_a_set_that_is_wrong_by_itself_is_refused_when_it_is_made(name, parameters, words):
    with pytest.raises(UnsafeParameters) as caught:
        models.get(name, **parameters)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("portfolio", {"range": 1}, '"range"'),
        ("fixed", {"initial_ppm": "5 %"}, "initial_ppm"),
        ("cross", {"tiers": {"BTC": [{"notional_from": 0}]}}, "initial_ppm"),
        ("cross", {"tiers": {"BTC": [{**tier(0, 50_000, 25_000), "maintenance": 1}]}}, "`maintenance`"),
        ("dydx", {"tiers": {"large": {**dydx_tier(0, 0), "rate": 1}}}, "`rate`"),
        ("portfolio", {"tails": [{"ranges_ppm": 2_000_000, "damping_ppm": 1, "vol": 1}] * 4}, "`vol`"),
        ("gross", {}, "one of fixed, cross, portfolio"),
    ],
)
def test_names_and_types_that_are_not_the_models_are_refused(name, parameters, words):
    with pytest.raises(InputError) as caught:
        models.get(name, **parameters)
    assert words in str(caught.value)
