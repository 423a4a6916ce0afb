"""Derive's models against plain-float twins, on published rows and on random portfolios."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.margin.venues.derive_reference import pmrm_v1, pmrm_v2, standard

from seawall.kernels.tables import BLOCKS
from seawall.margin.conform import derive_pmrm, derive_srm
from seawall.margin.conform.derive_pmrm_input import read_portfolio, read_v1, read_v2
from seawall.margin.conform.reading import kernel_account
from seawall.margin.venues.derive_portfolio import board_tables

DATA = Path(__file__).resolve().parents[2] / "conformance" / "data"
PMRM = json.loads((DATA / "derive_pmrm.json").read_text("utf-8"))
SRM = json.loads((DATA / "derive_srm.json").read_text("utf-8"))
V1 = [v for v in PMRM["vectors"] if v["model"] == "PMRM_v1"]
V2 = [v for v in PMRM["vectors"] if v["model"] == "PMRM_v2"]


def same_margin(twin: dict, kernel: tuple[int, int, int], gross: float) -> None:
    """The kernel's net margins lie below the twin's, by less than a cent."""
    equity, initial, maintenance = kernel
    slack = 1e-6 + 1e-13 * gross
    for name, micro in (("mtm", equity), ("IM", equity - initial), ("MM", equity - maintenance)):
        assert twin[name] - 0.01 <= micro / 1e6 <= twin[name] + slack, name


def assert_portfolio_agrees(source: dict, version: int) -> None:
    raw = source["params"]
    raw = PMRM["param_sets"][raw] if isinstance(raw, str) else raw
    parameters = read_v1(raw) if version == 1 else read_v2(raw)
    portfolio = read_portfolio(source, parameters)
    twin = pmrm_v1(source, raw) if version == 1 else pmrm_v2(source)
    figures = derive_pmrm.compute(parameters, portfolio)
    assert figures.initial == pytest.approx(twin["IM"], rel=1e-9, abs=figures.floor)
    assert figures.maintenance == pytest.approx(twin["MM"], rel=1e-9, abs=figures.floor)
    if version == 2:
        assert figures.changes == pytest.approx(twin["scenario_pnl"], rel=1e-9, abs=figures.floor)
        assert figures.basis == pytest.approx(twin["forward_contingency"], rel=1e-9, abs=figures.floor)
    kernel = kernel_account(
        BLOCKS, board_tables(parameters, portfolio.board), portfolio.lots, math.floor(portfolio.cash * 1e9)
    )
    same_margin(twin, kernel, figures.gross)


@pytest.mark.parametrize("vector", V1, ids=lambda v: v["id"])
def test_version_1_agrees_with_its_twin(vector):
    assert_portfolio_agrees(vector["input"], 1)


@pytest.mark.parametrize("vector", V2, ids=lambda v: v["id"])
def test_version_2_agrees_with_its_twin(vector):
    assert_portfolio_agrees(vector["input"], 2)


@pytest.mark.parametrize("vector", SRM["vectors"], ids=lambda v: v["id"])
def test_the_standard_manager_agrees_with_its_twin(vector):
    assert_standard_agrees(vector["input"])


def assert_standard_agrees(source: dict) -> None:
    twin = standard(source)
    portfolio = derive_srm.read_portfolio(source)
    figures = derive_srm.compute(portfolio)
    for name in ("IM", "MM", "mtm"):
        assert figures[name] == pytest.approx(twin[name], rel=1e-9, abs=1e-9 + 1e-13 * figures["gross"])
    same_margin(twin, derive_srm.kernel_margin(portfolio), figures["gross"])


amounts = st.decimals(-30, 30, places=2).map(float).filter(lambda x: x != 0.0)
shares = st.floats(0.0, 1.0)


@st.composite
def portfolios(draw, version: int) -> dict:
    """Inputs of random portfolios over a published row's parameters."""
    spot = draw(st.floats(50.0, 120_000.0))
    lives = draw(st.lists(st.integers(60, 40_000_000), min_size=0, max_size=4, unique=True))
    expiries, options = [], []
    for life in lives:
        forward = spot * draw(st.floats(0.9, 1.1))
        fixed = draw(st.sampled_from([0.0, 0.3])) * forward
        expiries.append(
            {
                "sec_to_expiry": life,
                "forward_variable": forward - fixed,
                "forward_fixed": fixed,
                "forward_confidence": draw(shares),
                "rate": draw(st.floats(-0.2, 0.4)),
                "rate_confidence": 1.0,
                "vol_confidence": draw(shares),
            }
        )
        vol_confidence = draw(shares)
        for _ in range(draw(st.integers(1, 6))):
            vol = draw(st.floats(0.05, 3.0))
            options.append(
                {
                    "sec_to_expiry": life,
                    "strike": round(spot * draw(st.sampled_from([0.5, 0.8, 0.95, 1.0, 1.05, 1.3, 2.0])), 1),
                    "is_call": draw(st.booleans()),
                    "amount": draw(amounts),
                    "vol": vol,
                    "mark_vol": vol,
                    "vol_confidence": vol_confidence,
                }
            )
    perp = {
        "position": draw(st.sampled_from([0.0, 1.5, -7.25])),
        "price": spot * 1.002,
        "confidence": draw(shares),
    }
    source = {
        "spot": spot,
        "spot_confidence": draw(shares),
        "stable_price": draw(st.sampled_from([1.0, 0.97, 1.01])),
        "cash": draw(st.floats(-1e5, 1e6)),
        "options": options,
        "expiries": expiries,
    }
    if version == 1:
        for expiry in expiries:
            expiry["vol_confidence"] = next(
                o["vol_confidence"] for o in options if o["sec_to_expiry"] == expiry["sec_to_expiry"]
            )
        source["perp"] = perp | {"unsettled_cash": draw(st.floats(-1e3, 1e3))}
        source["base"] = draw(st.sampled_from([0.0, 2.5]))
        source["params"] = draw(st.sampled_from(sorted(PMRM["param_sets"])))
        return source
    source["perp"] = perp | {"unrealised_pnl": draw(st.floats(-1e3, 1e3)), "unrealised_funding": 0.25}
    source["collaterals"] = [
        {
            "name": "ETH",
            "amount": draw(st.floats(0.0, 20.0)),
            "price": spot,
            "confidence": draw(shares),
            "is_risk_cancelling": draw(st.booleans()),
            "im_haircut": 0.01,
            "mm_haircut": 0.02,
        }
    ]
    source["params"] = draw(st.sampled_from(V2))["input"]["params"]
    return source


@settings(max_examples=60)
@given(portfolios(1))
def test_random_portfolios_of_version_1_err_against_the_account_by_less_than_a_cent(source):
    assert_portfolio_agrees(source, 1)


@settings(max_examples=60)
@given(portfolios(2))
def test_random_portfolios_of_version_2_err_against_the_account_by_less_than_a_cent(source):
    assert_portfolio_agrees(source, 2)


@settings(max_examples=60)
@given(portfolios(1), st.data())
def test_random_standard_accounts_err_against_the_account_by_less_than_a_cent(source, data):
    template = data.draw(st.sampled_from(SRM["vectors"]))["input"]
    market = {
        "name": "ETH",
        "spot": source["spot"],
        "spot_confidence": source["spot_confidence"],
        "perp": source["perp"],
        "base": source["base"],
        "options": source["options"],
        "expiries": [e | {"forward": e["forward_variable"] + e["forward_fixed"]} for e in source["expiries"]],
    }
    other = next(m for m in template["markets"] if m["name"] == "BTC")
    assert_standard_agrees(
        {
            "stable_price": source["stable_price"],
            "cash": source["cash"],
            "markets": [market, other],
            "params": template["params"],
        }
    )


def test_the_worst_scenario_is_reported():
    vector = next(v for v in V2 if "naked" in v["id"] or "tails" in v["id"])
    parameters = read_v2(vector["input"]["params"])
    portfolio = read_portfolio(vector["input"], parameters)
    figures = derive_pmrm.compute(parameters, portfolio)
    from seawall.kernels.account import evaluate_accounts

    out = np.zeros((1, 4), np.int64)
    count = len(portfolio.lots)
    evaluate_accounts(
        BLOCKS,
        board_tables(parameters, portfolio.board),
        np.zeros(1, np.int64),
        np.full(1, count, np.int64),
        np.arange(count, dtype=np.int32),
        portfolio.lots,
        np.zeros(1, np.int64),
        out,
    )
    assert out[0, 3] == int(figures.changes.argmin())
