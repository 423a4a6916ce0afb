"""Vectors of pools, deleveraging and virtual markets: all met, wrong figures fail, bad files say so in one line."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import shared_dir
from seawall.core.errors import InputError
from seawall.liquidation import conform

# GMX v2 @ a5c0c88 (PricingUtils.ts, PairMarket.ts), Synthetix v3 @ 23585f7 (AsyncOrder.sol,
# Liquidation.margin.test.ts, Liquidation.maxLiquidationAmount.test.ts, PerpsMarket.sol), Liquity dev @ 39f1f7f
# (StabilityPool_SPWithdrawalTest.js), BitMEX's, Bybit's and Binance's help pages, arXiv 2512.01112.
GMX = {
    "protocol": "GMX v2",
    "vectors": [
        {
            "name": "a power of 1.75",
            "inputs": {"diff_usd": "100000", "exponent_factor": "1.75", "impact_factor": "0.0000001"},
            "expected": {"value_1e30": "56234132519034907150467965500000"},
        },
        {
            "name": "close short 10k",
            "inputs": {
                "long_oi_usd": 400000,
                "short_oi_usd": 10000,
                "delta_long": 0,
                "delta_short": -10000,
                "positive_factor": 5e-09,
                "negative_factor": 1e-08,
                "exponent": 2,
            },
            "expected": {"price_impact_usd_1e30": "-79000000000000000652818973670000", "approx_usd": -79.0},
        },
    ],
}
SYNTHETIX = {
    "protocol": "Synthetix v3 perps",
    "vectors": [
        {
            "name": "fill price",
            "inputs": {"price": 1200, "size": 100, "skew": 0, "skew_scale": 1000000},
            "expected": {"fill_price": 1200.06},
        },
        {
            "name": "window",
            "inputs": {
                "maker_fee": 0.007,
                "taker_fee": 0.003,
                "skew_scale": 1000,
                "accumulation_multiplier": 1,
                "window_seconds": 10,
                "positions": {"a": 150, "b": 150},
                "events_relative_seconds_account": [[0, "a"], [1, "a"], [7, "a"], [12, "a"], [13, "b"], [24, "b"]],
            },
            "expected": {"remaining_size_after_each_call": [50, 50, 50, 0, 100, 0], "max_in_window": 100},
        },
        {
            "name": "a short's margin",
            "inputs": {
                "collateral_usd": 20000,
                "markets": [
                    {
                        "name": "BTC",
                        "index_price_at_open": 30000,
                        "skew_scale": 100,
                        "size": -1,
                        "skew_before": 0,
                        "initial_margin_fraction": 2.0,
                        "min_initial_margin_ratio": 0.01,
                        "maintenance_scalar": 0.5,
                        "min_position_margin": 0,
                    }
                ],
                "prices": {"BTC": 28000},
            },
            "expected": {
                "pnl": {"BTC": 1850},
                "available_margin": 21850,
                "initial_margin": {"BTC": 840},
                "maintenance_margin": {"BTC": 420},
            },
        },
        {
            "name": "funding",
            "inputs": {"prev_rate": 0, "skew": 300, "skew_scale": 10000, "max_funding_velocity": 0.025, "dt_seconds": 29000},
            "expected": {"velocity_doc": 0.0025, "funding_rate_doc": 0.00083912},
        },
    ],
}
LIQUITY = {
    "cases": [
        {
            "name": "one_liq",
            "deposits": [["A", 10000], ["B", 10000], ["C", 10000]],
            "liquidations_debt_coll_before_gas_comp": [[10000, 100]],
            "gas_comp_frac": "0.005",
            "expect": {"A": {"compounded_wei": "6666666666666666666666", "coll_gain_wei": "33166666666666666667"}},
            "tol_wei": "1e11",
        }
    ]
}
ADL = {
    "bitmex_queue": {
        "accounts": {"1": {"q": 10, "score": 3}, "2": {"q": 10, "score": 6}, "5": {"q": 20, "score": 5}},
        "need": 20,
        "price": 650,
        "expect": {"2": 10, "5": 10},
    },
    "bybit_drawdown": {
        "pool_8h_max": 1000000,
        "symbol_pnl_now": -350000,
        "symbol_pnl_8h_max": 0,
        "trigger": -0.3,
        "expect": {"pnl_ratio": -0.35, "triggered": True, "charged_to_adl": 50000},
    },
    "bybit_bankruptcy_inverse_long": {"entry": "7890.08", "lev": 50, "expect": "7735.372549"},
    "binance": {"unrealised": 40.2, "wallet": 4.27, "margin_ratio": 0.1342, "expect_pnl_pct": 9.41, "expect_lev_pnl": 1.26},
    "waterfill": [
        {
            "w": [100, 200, 700],
            "cap": ["0.5", "1", "1"],
            "B": 300,
            "rw": [4, 1, 1],
            "expect": {"level": "5/18", "h": ["1/2", "5/18", "5/18"], "cash": ["50", "500/9", "1750/9"]},
        },
        {
            "w": [100, 100],
            "cap": ["1/2", "0.25"],
            "B": 100,
            "rw": None,
            "expect": {"level": None, "h": ["1/2", "1/4"], "cash": ["50", "25"], "residual": "25"},
        },
        {
            "w": ["0", 100],
            "cap": ["1", "1/2"],
            "B": "75",
            "rw": [3, "0.5"],
            "expect": {"level": "1", "h": ["1", "1/2"], "cash": [0, 50], "covered": "50"},
        },
    ],
}
FAMILIES = {"gmx": GMX, "synthetix": SYNTHETIX, "liquity": LIQUITY, "adl": ADL}


def judged(folder: Path, data: object) -> conform.conform.FileReport:
    path = folder / "vectors.json"
    path.write_text(json.dumps(data), "utf-8")
    return conform.run([path]).files[0]


@pytest.mark.parametrize("name", FAMILIES)
def test_every_published_figure_is_met(tmp_path, name):
    file = judged(tmp_path, FAMILIES[name])
    assert file.failures == ()
    assert (file.failed, file.unsupported) == (0, 0)
    assert file.passed == {"gmx": 2, "synthetix": 4, "liquity": 1, "adl": 7}[name]


@pytest.mark.parametrize(
    ("file", "count"), [("gmx_price_impact", 20), ("synthetix_perps", 5), ("liquity_stability_pool", 4), ("adl_allocation", 6)]
)
def test_every_figure_of_the_shared_vectors_is_met(file, count):
    found = conform.run([shared_dir() / "vectors" / f"{file}.json"]).files[0]
    assert found.failures == ()
    assert (found.passed, found.failed, found.unsupported) == (count, 0, 0)


def test_price_impact_is_met_to_the_last_digit_also_where_a_tolerance_is_stated():
    path = shared_dir() / "vectors" / "gmx_price_impact.json"
    data = json.loads(path.read_text("utf-8"))
    for row in data["vectors"]:
        row["check"] = "exact"
    cases = conform.markets.gmx_cases(data)
    from seawall.margin.conform.report import Check

    for name, judge in cases:
        check = Check(name)
        judge(check)
        assert check.compared
        assert check.failures == []


def wrong(name: str) -> dict:
    data = copy.deepcopy(FAMILIES[name])
    if name == "gmx":
        data["vectors"][0]["expected"]["value_1e30"] = "56234132519034907150467965500001"
    elif name == "synthetix":
        data["vectors"][1]["expected"]["remaining_size_after_each_call"][4] = 99
    elif name == "liquity":
        data["cases"][0]["expect"]["A"]["compounded_wei"] = "6666666767666666666666"
    else:
        data["waterfill"][0]["expect"]["h"][1] = "5/17"
    return data


@pytest.mark.parametrize("name", FAMILIES)
def test_a_figure_that_is_off_fails(tmp_path, name):
    assert judged(tmp_path, wrong(name)).failed == 1


def test_what_no_rule_reads_is_unsupported_with_its_reason(tmp_path):
    data = copy.deepcopy(ADL) | {"another_queue": {"need": 1}}
    data["waterfill"][0]["floor"] = 3
    file = judged(tmp_path, data)
    assert (file.failed, file.unsupported) == (0, 2)
    assert any("another_queue" in reason for reason in file.reasons)
    assert any("floor" in reason for reason in file.reasons)


@pytest.mark.parametrize("name", ["gmx", "synthetix"])
def test_inputs_that_lack_a_field_leave_the_rest_of_the_file_judged(tmp_path, name):
    data = copy.deepcopy(FAMILIES[name])
    del data["vectors"][0]["inputs"]["price" if name == "synthetix" else "impact_factor"]
    file = judged(tmp_path, data)
    assert (file.failed, file.unsupported, file.passed) == (0, 1, len(data["vectors"]) - 1)


def test_a_level_below_a_cap_that_is_reached_fails(tmp_path):
    data = {"waterfill": [copy.deepcopy(ADL["waterfill"][1])]}
    data["waterfill"][0]["expect"]["level"] = "1/3"
    assert judged(tmp_path, data).failed == 1
    data["waterfill"][0]["expect"]["level"] = "1/2"
    assert judged(tmp_path, data).failed == 0


def test_a_stated_tolerance_is_used_and_no_more(tmp_path):
    data = copy.deepcopy(GMX)
    row = data["vectors"][0]
    row["check"] = "reproduced_rel_err<1e-13"
    row["expected"]["value_1e30"] = str(56234132519034907150467965500000 + 5 * 10**18)
    assert judged(tmp_path, data).failed == 0
    row["expected"]["value_1e30"] = str(56234132519034907150467965500000 + 6 * 10**18)
    assert judged(tmp_path, data).failed == 1


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**40), 10**40), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=6),
    st.just([]), st.just({}), st.just("1e400"), st.just("1/0"), st.just(-1), st.just([[1, 2], 3]),
)


def places(data: object, path: tuple = ()) -> list[tuple]:
    found = [path] if path else []
    if isinstance(data, dict):
        for key, value in data.items():
            found += places(value, (*path, key))
    elif isinstance(data, list):
        for position, value in enumerate(data):
            found += places(value, (*path, position))
    return found


@settings(max_examples=300)
@given(data=st.data(), name=st.sampled_from(sorted(FAMILIES)), junk=JUNK)
def test_a_damaged_file_is_judged_or_refused_in_one_line(tmp_path_factory, data, name, junk):
    damaged = copy.deepcopy(FAMILIES[name])
    where = data.draw(st.sampled_from(places(damaged)))
    inside = damaged
    for key in where[:-1]:
        inside = inside[key]
    inside[where[-1]] = junk
    refusal = ""
    try:
        file = judged(tmp_path_factory.mktemp("v"), damaged)
    except InputError as error:
        refusal = str(error)
    if refusal:
        assert "\n" not in refusal
        return
    assert file.passed + file.failed + file.unsupported >= 1
    json.dumps([failure.found for failure in file.failures])
