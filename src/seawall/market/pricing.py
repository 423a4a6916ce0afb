"""What options are worth at a snapshot: Black-76 on the forward, discounted from expiry.

T runs from the snapshot to the expiry in years of 365 days. A dynamic strike (forward start) is its fraction
of the forward, and carries volatility from its fixing on only.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np
from numba import njit

from seawall.core.errors import BadNumber, show
from seawall.core.times import YEAR_NS
from seawall.core.units import parse_decimal
from seawall.kernels.black76 import greeks, implied_total_vol, values
from seawall.kernels.normal import exp_

from .legs import CONSTANT, FORWARD_START, LINEAR, Legs

__all__ = [
    "IV_MAX",
    "carry",
    "implied_iv",
    "implied_vol",
    "leg_greeks",
    "leg_marks",
    "option_inputs",
    "parse_iv",
]

IV_MAX = Decimal(100)
Array = np.ndarray[Any, Any]


@njit(cache=True)
def _exp(x):  # type: ignore[no-untyped-def]
    return exp_(x)


@njit(cache=True, error_model="numpy")
def _exps(x):  # type: ignore[no-untyped-def]
    out = np.empty_like(x)
    for i in range(x.shape[0]):
        out[i] = exp_(x[i])
    return out


def carry(rate: float, years: float) -> float:
    """e^{rate·years}, the same float on every machine."""
    return float(_exp(rate * years))


def implied_vol(price: float, forward: float, strike: float, years: float, right: int, discount: float = 1.0) -> float:
    """The volatility under which Black-76 gives `price`; NaN outside the no-arbitrage bounds.

    >>> round(implied_vol(7.965567455405804, 100.0, 100.0, 1.0, 1), 9)
    0.2
    """
    if years <= 0:
        return math.nan
    return float(implied_total_vol(price / discount, forward, strike, right)) / math.sqrt(years)


def option_inputs(legs: Legs, as_of_ns: int) -> tuple[Array, Array, Array, Array]:
    """forward, strike, years that carry volatility, years to expiry: float64[L], harmless where no option."""
    option = (legs.kind != LINEAR) & (legs.kind != CONSTANT)
    dynamic = legs.kind == FORWARD_START
    forward = np.where(option, legs.index[legs.underlying] * legs.ratio, 1.0)
    strike = np.where(option, np.where(dynamic, legs.strike * forward, legs.strike), 1.0)
    start = np.where(dynamic, np.maximum(legs.fix_ns, as_of_ns), as_of_ns)
    life = np.where(option, np.maximum(legs.expiry_ns - start, 0), 0) / YEAR_NS
    years = np.where(option, np.maximum(legs.expiry_ns - as_of_ns, 0), 0) / YEAR_NS
    return forward, strike, life, years


def leg_marks(legs: Legs, as_of_ns: int, rate: float) -> Array:
    """float64[L]: the value of one lot in quote (not nano); options by Black-76, the rest as marked."""
    forward, strike, life, years = option_inputs(legs, as_of_ns)
    vol = np.where(np.isnan(legs.iv), 0.0, legs.iv)
    option = _exps(-rate * years) * values(forward, strike, vol * np.sqrt(life), legs.right) * legs.lot
    linear = (legs.kind == LINEAR) | (legs.kind == CONSTANT)
    return np.where(linear, legs.value_nano * 1e-9, option)


def leg_greeks(legs: Legs, as_of_ns: int, rate: float) -> dict[str, Array]:
    """float64[L] per Greek, of one unit of the underlying; zero for legs that are no option.

    delta and gamma are by the forward, theta by the passing of time per year; see `kernels.black76.greeks`. A
    strike that is not fixed yet moves with the forward: its value is proportional to it, and loses no time.
    """
    forward, strike, life, years = option_inputs(legs, as_of_ns)
    vol = np.where(np.isnan(legs.iv), 0.0, legs.iv)
    found = greeks(forward, strike, vol, life, legs.right, np.float64(0))
    discount = _exps(-rate * years)
    found = {name: column * discount for name, column in found.items()}
    unfixed = (legs.kind == FORWARD_START) & (as_of_ns < legs.fix_ns)
    found["delta"] = np.where(unfixed, found["value"] / forward, found["delta"])
    found["gamma"] = np.where(unfixed, 0.0, found["gamma"])
    found["vanna"] = np.where(unfixed, found["vega"] / forward, found["vanna"])
    found["theta"] = np.where(unfixed, 0.0, found["theta"]) + rate * found["value"]
    found["rho"] = -years * found["value"]
    option = (legs.kind != LINEAR) & (legs.kind != CONSTANT)
    return {name: np.where(option, column, 0.0) for name, column in found.items()}


def implied_iv(
    mark: Decimal, forward: float, strike: float, life: float, right: int, discount: float, place: str
) -> float:
    """The vol under which an option is worth `mark` a unit; BadNumber outside the no-arbitrage bounds."""
    vol = implied_vol(float(mark), forward, strike, life, right, discount)
    if not 0 < vol < IV_MAX:
        low, high = max(right * (forward - strike), 0.0), forward if right > 0 else strike
        expected = f"a price between {low * discount:g} and {high * discount:g}, which some volatility explains"
        raise BadNumber(place, show(str(mark)), expected)
    return vol


def parse_iv(value: object, place: str) -> float:
    """An implied vol, 0.52 for 52 %: from a millionth to below 100."""
    iv = parse_decimal(value, place)
    if not Decimal("1e-6") <= iv < IV_MAX:
        raise BadNumber(place, show(value), f"a volatility above 0 and below {IV_MAX} (0.52 is 52 %)")
    return float(iv)
