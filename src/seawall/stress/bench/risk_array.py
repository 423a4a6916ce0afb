"""Revaluing a board in every scenario: our row kernel against QuantLib, one option at a time.

The rows are those of the `portfolio` model: 32 columns a leg, options by Black-76 at each column's
forward and volatility, linear legs by their delta. QuantLib prices the options only (through its
`blackFormula`, or by bumping the quotes of an `AnalyticEuropeanEngine`); the columns' inputs are
prepared for it outside the clock, and both give the same values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from seawall.kernels import cells, rows
from seawall.margin.model import leg_arrays
from seawall.stress.bench.measure import Measure, interleaved, measured
from seawall.stress.bench.setting import Setting, require

__all__ = ["MEASURES", "measure"]

MEASURES = ("risk_array_vs_quantlib_formula", "risk_array_vs_quantlib_engine")
LABELS = {
    "risk_array_vs_quantlib_formula": "QuantLib blackFormula, loop",
    "risk_array_vs_quantlib_engine": "QuantLib AnalyticEuropeanEngine, bumped quotes",
}


def measure(setting: Setting, names: set[str]) -> list[Measure]:
    """The risk-array measures among `names`."""
    setting.say("risk arrays: preparing QuantLib")
    ours, values = _seawall(setting)
    inputs = _inputs(setting)
    makers = {"risk_array_vs_quantlib_formula": _formula, "risk_array_vs_quantlib_engine": _engine}
    rivals = {name: make(inputs) for name, make in makers.items() if name in names}
    ours()
    for name, call in rivals.items():
        _check_same(name, values, inputs, call())
    setting.say("risk arrays: timing")
    best = interleaved(2 if setting.quick else 5, {"ours": ours, **rivals})
    found = []
    for name in rivals:
        words = f"{LABELS[name]}: {best[name] * 1e3:,.1f} ms against {best['ours'] * 1e3:,.2f} ms"
        size = f"{len(values):,} legs x {cells.COLUMNS} columns"
        found.append(measured(name, best[name] / best["ours"], f"{words}; {size}"))
    return found


@njit(nogil=True, cache=True, error_model="numpy")
def _fill(legs: Any, index: Any, now_ns: int, shocks: Any, model: Any, values: Any) -> None:
    work = np.zeros(rows.WORK)
    for leg in range(legs.kind.shape[0]):
        rows.fill_values(legs, leg, index[legs.underlying[leg]], now_ns, shocks, model, work, values[leg])


def _seawall(setting: Setting) -> tuple[Callable[[], None], np.ndarray]:
    market, model = setting.market, setting.model
    legs = leg_arrays(market.legs)
    shocks, constants = model.shocks(market.underlyings), model.constants(market.rate)
    values = np.zeros((len(legs.kind), cells.COLUMNS + 2), np.int64)
    return lambda: _fill(legs, market.legs.index, market.as_of_ns, shocks, constants, values), values


class Inputs(NamedTuple):
    """Per option and column: forward, strike, total volatility; per option what scales a price to nano."""

    leg: np.ndarray
    call: list[bool]
    forward: list[list[float]]
    strike: list[float]
    total: list[list[float]]
    scale: np.ndarray
    damping: np.ndarray


def _inputs(setting: Setting) -> Inputs:
    market, model = setting.market, setting.model
    legs = leg_arrays(market.legs)
    shocks, constants = model.shocks(market.underlyings), model.constants(market.rate)
    chosen = np.flatnonzero(legs.kind == rows.OPTION)
    life = (legs.expiry_ns[chosen] - market.as_of_ns) / rows.YEAR_NS
    u = legs.underlying[chosen]
    forward = (market.legs.index[u] * legs.ratio[chosen])[:, None] * shocks[u, rows.SHOCK_MULTIPLE]
    multiples = np.array([_vol_multiples(years, constants) for years in life])
    level = shocks[u, rows.SHOCK_LEVEL]
    vol = np.where(level < 0, multiples[:, :1], np.where(level > 0, multiples[:, 1:], 1.0))
    total = (legs.iv[chosen] * np.sqrt(life))[:, None] * vol
    discount = np.exp(-market.rate * life)
    return Inputs(
        chosen,
        (legs.right[chosen] > 0).tolist(),
        forward.tolist(),
        legs.strike[chosen].tolist(),
        total.tolist(),
        discount * legs.lot[chosen] * rows.NANO,
        shocks[u, rows.SHOCK_DAMPING],
    )


@njit(cache=True)
def _vol_multiples(years: float, model: Any) -> Any:
    """(down, up) multiples of volatility, callable from Python."""
    return rows.vol_multiples(years, model)


def _check_same(name: str, values: np.ndarray, inputs: Inputs, prices: np.ndarray) -> None:
    """Rounded down to nano, ours is within a nano and 1e-9 of theirs."""
    theirs = prices * inputs.scale[:, None]
    theirs = theirs[:, :1] + inputs.damping * (theirs - theirs[:, :1])
    difference = np.abs(values[inputs.leg, : cells.COLUMNS] - theirs)
    if not (difference <= 1.5 + 1e-9 * np.abs(theirs).max(axis=1, keepdims=True)).all():
        option, column = np.unravel_index(np.argmax(difference), difference.shape)
        raise AssertionError(f"{name}: option {option}, column {column} differs by {difference.max()} nano")


def _formula(inputs: Inputs) -> Callable[[], np.ndarray]:
    ql = require("QuantLib", "bench")
    kinds = [ql.Option.Call if call else ql.Option.Put for call in inputs.call]
    price = ql.blackFormula

    def run() -> np.ndarray:
        found = []
        for kind, strike, forwards, totals in zip(kinds, inputs.strike, inputs.forward, inputs.total):
            found.append([price(kind, strike, f, s) for f, s in zip(forwards, totals)])
        return np.array(found)

    return run


def _engine(inputs: Inputs) -> Callable[[], np.ndarray]:
    """Each option has its own two quotes; a year of life, so that volatility is total volatility."""
    ql = require("QuantLib", "bench")
    today = ql.Date(2, 1, 2025)
    ql.Settings.instance().evaluationDate = today
    days = ql.Actual365Fixed()
    flat = ql.YieldTermStructureHandle(ql.FlatForward(today, 0.0, days))
    exercise = ql.EuropeanExercise(today + 365)
    fixed = (today, days, flat, exercise)
    options = [_quantlib_option(ql, fixed, *one) for one in zip(inputs.call, inputs.strike)]

    def run() -> np.ndarray:
        found = []
        for (option, forward, vol), forwards, totals in zip(options, inputs.forward, inputs.total):
            line = []
            for f, s in zip(forwards, totals):
                forward.setValue(f)
                vol.setValue(s)
                line.append(option.NPV())
            found.append(line)
        return np.array(found)

    return run


def _quantlib_option(ql: Any, fixed: tuple, call: bool, strike: float) -> tuple:
    today, days, flat, exercise = fixed
    forward, vol = ql.SimpleQuote(strike), ql.SimpleQuote(0.5)
    surface = ql.BlackConstantVol(today, ql.NullCalendar(), ql.QuoteHandle(vol), days)
    process = ql.BlackProcess(ql.QuoteHandle(forward), flat, ql.BlackVolTermStructureHandle(surface))
    kind = ql.Option.Call if call else ql.Option.Put
    option = ql.VanillaOption(ql.PlainVanillaPayoff(kind, strike), exercise)
    option.setPricingEngine(ql.AnalyticEuropeanEngine(process))
    return option, forward, vol
