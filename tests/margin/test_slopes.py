"""Bounds of how fast figures change: no market inside a rung, and no moment before the bound's end, breaks them."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

import samples
from engine.books import Case, random_case
from seawall.core.units import NANO
from seawall.margin import models
from seawall.margin.evaluate import evaluate_bound
from seawall.margin.slopes import EQUITY, INITIAL, RUNGS, AccountSlopes, Positions, account_slopes

MODELS = ("expected-shortfall", "value-at-risk", "greeks")
MOVES = 8  # markets tried inside each rung
# what the defaults leave unused at the sizes of these books, and matrices on the edge of being none
STRESSED: dict[str, dict[str, Any]] = {
    "expected-shortfall": {
        "concentration_from": 20_000, "daily_volume": {}, "default_daily_volume": 300_000, "initial_factor_ppm": 1_400_000,
        "maintenance_factor_ppm": 900_000,
    },
    "value-at-risk": {"daily_volume": {}, "default_daily_volume": 1_000, "close_days_max": 365, "horizon_hours": 2},
    "greeks": {
        "correlation_ppm": {}, "default_correlation_ppm": 1_000_000, "spot_vol_ppm": 999_999,
        "initial_deviations_ppm": 900_000, "maintenance_deviations_ppm": 700_000,
    },
}  # fmt: skip


def bounds(accounts: Any, market: Any, model: Any) -> AccountSlopes:
    tables = model.tables(market)
    account = np.repeat(np.arange(len(accounts.names)), np.diff(accounts.row_ptr))
    lots = accounts.lots.astype(np.float64)
    positions = Positions(account, accounts.leg, lots, np.zeros(len(lots), np.bool_))
    legs = market.legs
    cash = accounts.cash_nano.astype(np.float64)
    return account_slopes(model.slopes(market, tables), legs.underlying, legs.limit_nano.astype(np.float64), positions, cash)


def sides(accounts: Any, market: Any, model: Any) -> np.ndarray:
    """float64[n, 3], nano: equity, and it less either margin."""
    result = evaluate_bound(accounts, model.tables(market), model)
    equity = result.equity_micro
    columns = (equity, equity - result.initial_margin_micro, equity - result.maintenance_margin_micro)
    return np.column_stack(columns) * 1_000.0


def elsewhere(market: Any, rung: float, later_ns: int, rng: random.Random) -> Any:
    """Every index as far as the rung allows, or some way."""
    prices = {}
    for name, price in market.index.items():
        share = rng.choice((-1.0, 1.0, rng.uniform(-1.0, 1.0)))
        prices[name] = Decimal(int(float(price) * (1.0 + 0.999999 * share * rung) * NANO)).scaleb(-9)
    return market.with_index(prices, as_of_ns=market.as_of_ns + later_ns)


@pytest.mark.parametrize("model_name", MODELS)
@pytest.mark.parametrize("stressed", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_no_account_changes_faster_than_its_slopes(model_name: str, stressed: bool, seed: int) -> None:
    rng = random.Random(f"{seed} {model_name}")
    case = random_case(seed + 500, model_name, accounts=30)
    market, model = case.market, models.get(model_name, **(STRESSED[model_name] if stressed else {}))
    if seed % 2:  # near an expiry, where gamma and theta are at their largest
        ends = sorted({one.expiry_ns for one in market.instruments.values() if one.expiry_ns > market.as_of_ns})
        market = market.at(ends[0] - rng.choice((10**9, 60 * 10**9, 1_800 * 10**9)))
    accounts = case.book.bind(market)
    found, before = bounds(accounts, market, model), sides(accounts, market, model)
    tightest = 0.0
    for k, rung in enumerate(RUNGS):
        for _ in range(MOVES):
            later_ns = rng.choice((0, int(found.until_ns.min()), rng.randint(0, int(found.until_ns.min()))))
            after = sides(accounts, elsewhere(market, rung, later_ns, rng), model)
            allowed = found.move[:, :, k] * rung + found.time * later_ns + found.slack
            change = np.abs(after - before)
            assert (change <= allowed).all(), np.argwhere(change > allowed)
            tightest = max(tightest, float((change / allowed).max()))
    assert tightest > 0.5  # a bound that is never near is none worth having


@pytest.mark.parametrize("model_name", MODELS)
def test_the_bound_of_equity_of_a_straight_line_is_its_notional(model_name: str) -> None:
    rows = [("a", "BTC-PERP", "2"), ("b", "BTC-PERP", "2"), ("b", "BTC", "-2"), ("c", "USD", "5")]
    columns = ("account", "instrument", "quantity")
    case = Case(0, model_name, samples.market_document(), [dict(zip(columns, row, strict=True)) for row in rows])
    market, model = case.market, case.model
    accounts = case.book.bind(market)
    found = bounds(accounts, market, model)
    price = market.mark("BTC-PERP")
    places = [accounts.names.index(name) for name in "abc"]
    alone, hedged, cash = (found.move[place] for place in places)
    assert alone[EQUITY, 0] == pytest.approx(2e9 * price, rel=1e-6)
    assert (alone[INITIAL] > alone[EQUITY]).all()
    assert hedged[EQUITY, 0] < 0.01 * alone[EQUITY, 0]  # what the mark differs from the index
    assert (cash == 0).all()
    assert (found.time == 0).all()


def test_time_takes_nothing_of_an_expired_option() -> None:
    rows = [("a", "BTC-DEC-120000-C", "-1")]
    columns = ("account", "instrument", "quantity")
    case = Case(0, "greeks", samples.market_document(), [dict(zip(columns, row, strict=True)) for row in rows])
    market = case.market
    accounts, model = case.book.bind(market), models.get("greeks")
    expiry_ns = market.instruments["BTC-DEC-120000-C"].expiry_ns
    assert (bounds(accounts, market, model).time > 0).all()
    assert (bounds(accounts, market.at(expiry_ns), model).time == 0).all()


def test_half_a_gamma_is_held_to_what_its_delta_can_do() -> None:
    """A second before expiry, at the money: the expansion is without bound, the loss is not."""
    market = Case(0, "greeks", samples.market_document(), []).market
    one = market.instruments["BTC-DEC-120000-C"]
    model = models.get("greeks")
    leg = market.legs.leg_of["BTC-DEC-120000-C"][0]
    late = market.at(one.expiry_ns - 10**6)
    forward = float(late.legs.index[late.legs.underlying[leg]] * late.legs.ratio[leg])
    late = late.with_index({"BTC": Decimal(round(float(late.index["BTC"]) * 120_000 / forward, 6)).quantize(Decimal("0.000001"))})
    row = model.tables(late).values[leg]
    deviation = float(model.deviations(late.underlyings)[late.legs.underlying[leg]])
    assert row[3] == pytest.approx(deviation * 120_000 * float(late.legs.lot[leg]) * 1e9, rel=1e-3)
