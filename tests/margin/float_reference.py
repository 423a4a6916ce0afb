"""The rows of a market in float64, by NumPy and SciPy, and the margins of an account from them.

Nothing here is compiled by us and nothing is rounded, so it says how far the integers are from the formulas.
The aggregation is the twins', without their rounding. What a linear lot is worth is a whole number of nano by
definition of a mark (`market/legs.py`); what an option is worth is not.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from scipy.special import ndtr
from tests.margin import portfolio_twin as twin
from tests.margin.scenes import CONSTANT, FORWARD_START, OPTION, Values

from seawall.margin.portfolio import PortfolioModel, PortfolioParameters
from seawall.margin.tiered import TieredModel
from seawall.market.market import Market

NANO = 1e9
SPOT_ROLE, BASKET_ROLE, COIN_ROLE = 0, 4, 5
CELLS_PER_RANGE, STEPS_PER_CELL = 4, 8
MINUTE = 1 / (365 * 24 * 60)

Array = np.ndarray[Any, Any]


def density(x: Array) -> Array:
    """Of the standard normal."""
    result: Array = np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi)
    return result


class Rows:
    """Float tables of `portfolio` on a market, in nano per lot, laid out like the integer ones."""

    def __init__(self, at: Market, model: PortfolioModel) -> None:
        self.at, self.model, self.p, self.legs = at, model, model.parameters, at.legs
        self.values = Values(at, model.parameters)
        legs = at.legs
        self.tables = SimpleNamespace(
            values=np.array([self.row(leg) for leg in range(len(legs))]),
            extra=np.array([self.charges(leg) for leg in range(len(legs))]),
            leg_group=legs.strike_group,
            leg_block=legs.block,
            leg_right=legs.right,
            leg_underlying=legs.underlying,
            underlying_params=model.underlying_params(at.underlyings),
            scalars=np.array([self.p.initial_factor_ppm, self.p.maintenance_factor_ppm, self.p.offset_ppm]),
        )

    def width(self, leg: int) -> float:
        return self.model.range_of(self.at.underlyings[int(self.legs.underlying[leg])]) / 1e6

    def mark(self, leg: int) -> float:
        """Nano per lot."""
        if self.legs.right[leg]:
            return NANO * float(self.values.at(leg, np.ones(1), np.zeros(1))[0])
        return float(self.legs.value_nano[leg])

    def value(self, leg: int, multiple: float, share: float) -> float:
        if self.legs.right[leg]:
            return NANO * float(self.values.at(leg, np.array([multiple]), np.array([share]))[0])
        return self.mark(leg) * (1.0 if self.legs.kind[leg] == CONSTANT else multiple)

    def row(self, leg: int) -> Array:
        width, mark = self.width(leg), self.mark(leg)
        out = [mark]
        for share in (-1.0, 0.0, 1.0):
            out += [self.value(leg, 1 + width * n / CELLS_PER_RANGE, share) for n in range(-4, 5)]
        for tail in self.p.tails:
            moved = self.value(leg, 1 + width * tail.ranges_ppm / 1e6, 1.0)
            out.append(mark + tail.damping_ppm / 1e6 * (moved - mark))
        basis = 0.0
        if self.legs.role[leg] not in (SPOT_ROLE, BASKET_ROLE, COIN_ROLE):
            basis = self.p.basis_ppm / 1e6 + self.p.basis_per_year_ppm / 1e6 * self.values.years(leg)
        for move in (1 + basis, 1 - basis):
            out.append(mark / move if self.legs.kind[leg] == CONSTANT else self.value(leg, move, 0.0))
        return np.array([*out, *self.gaps(leg)])

    def gaps(self, leg: int) -> Array:
        """Bounds of a lot's straying from its cells' corners: long, then short, over the anchor steps."""
        if self.legs.kind[leg] not in (OPTION, FORWARD_START):
            return np.zeros(2 * twin.CELLS)
        fixed = self.legs.kind[leg] == OPTION
        index, strike = float(self.legs.index[self.legs.underlying[leg]]), float(self.legs.strike[leg])
        step = self.width(leg) / CELLS_PER_RANGE / STEPS_PER_CELL
        cell = np.floor(np.log(index) / step)
        multiples = 1 + self.width(leg) * np.arange(-4, 5) / CELLS_PER_RANGE
        forward = np.exp(np.array([cell, cell + 1]) * step)[:, None] * float(self.legs.ratio[leg]) * multiples
        k = np.log(forward / strike) if fixed else np.full(forward.shape, -np.log(strike))
        quarter = np.floor(4 * np.log2(max(self.values.life(leg), MINUTE * 0.999) / MINUTE))
        lives = [0.0 if quarter < 0 else MINUTE * 2 ** (quarter / 4), MINUTE * 2 ** ((quarter + 1) / 4)]
        roots = [float(self.legs.iv[leg]) * np.sqrt(life) for life in lives]
        (down_low, _), (down_high, up_high) = (self.values.vol_multiples(life) for life in lives)
        below, above = [], []
        for low, high, width in (
            (roots[0] * down_low, roots[1], roots[1] * (1 - down_high)),
            (roots[0], roots[1] * up_high, roots[1] * (up_high - 1)),
        ):
            low, high = max(low, 1e-9), max(high, 1e-9)
            under, over = self.straying(k, forward, low, high, width)
            spot = np.zeros(twin.STEPS)
            if fixed:
                least = ndtr(least_d1(k[0], low, high))[:-1]
                greatest = ndtr(np.maximum(k[1] / low + low / 2, k[1] / high + high / 2))[1:]
                spot = 0.25 * np.maximum(0, greatest - least) * np.diff(forward[1])
            below.append(spot + np.maximum(under[:-1], under[1:]))
            above.append(np.maximum(over[:-1], over[1:]))
        lot = float(self.legs.lot[leg]) * NANO
        return lot * np.concatenate([*below, *above])

    @staticmethod
    def straying(k: Array, forward: Array, low: float, high: float, width: float) -> tuple[Array, Array]:
        """¼·(greatest vega − least vega)·width at each node, below and above the chord in volatility."""
        d_low = np.minimum(k[0] / low, k[0] / high) + low / 2
        d_high = np.maximum(k[1] / low, k[1] / high) + high / 2
        nearest = np.where(d_low > 0, d_low, np.where(d_high < 0, d_high, 0.0))
        farthest = np.maximum(np.abs(d_low), np.abs(d_high))
        gap = 0.25 * (forward[1] * density(nearest) - forward[0] * density(farthest)) * width
        concave = np.abs(k).max(axis=0) < low * low / 2
        nearest_k = np.where(k[0] > 0, k[0], np.where(k[1] < 0, -k[1], 0.0))
        convex = nearest_k > high * high / 2
        return np.where(concave, 0.0, gap), np.where(convex, 0.0, gap)

    def charges(self, leg: int) -> Array:
        """Notional, haircut of a long and of a short lot, short minimum; no lot is rounded, so no dust."""
        legs, mark = self.legs, self.mark(leg)
        notional = abs(mark)
        if legs.right[leg]:
            notional = float(legs.lot[leg] * legs.index[legs.underlying[leg]]) * NANO
        elif legs.kind[leg] == CONSTANT:
            notional = float(legs.lot[leg]) * NANO
        haircut = abs(mark) * float(legs.haircut_ppm[leg]) / 1e6
        return np.array([notional, haircut, haircut, notional * self.p.short_minimum_ppm / 1e6, 0.0])

    def margins(self, held: dict[int, int], cash_nano: int) -> tuple[float, float, float]:
        """equity, initial, maintenance in quote."""
        equity, initial, maintenance, _ = twin.portfolio(self.tables, held, float(cash_nano), exact=False)
        return equity / 1e6, initial / 1e6, maintenance / 1e6


def least_d1(k: Array, low: float, high: float) -> Array:
    """Least k/s + s/2 over s in [low, high]."""
    turn = np.sqrt(2 * np.maximum(k, 0))
    ends = np.minimum(k / low + low / 2, k / high + high / 2)
    return np.where((low < turn) & (turn < high), turn, ends)


def tiered_margins(
    at: Market, model: TieredModel, tiers_of: dict[str, list[tuple[int, int, int]]], held: dict[int, int], cash: int
) -> tuple[float, float, float]:
    """equity, initial, maintenance in quote under `fixed` or `cross` (no open-interest bounds)."""
    legs = at.legs
    values = Values(at, PortfolioParameters())  # at no shock its parameters do not matter
    equity, initial, maintenance = cash / NANO, 0.0, 0.0
    for leg, count in held.items():
        option = bool(legs.right[leg])
        mark = float(values.at(leg, np.ones(1), np.zeros(1))[0]) if option else float(legs.value_nano[leg]) / NANO
        equity += count * mark
        notional = abs(mark)
        if option:
            notional = float(legs.lot[leg] * legs.index[legs.underlying[leg]])
        elif legs.kind[leg] == CONSTANT:
            notional = float(legs.lot[leg])
        if legs.role[leg] in (SPOT_ROLE, COIN_ROLE):
            notional = 0.0
        size = notional * (max(0, -count) if option else abs(count))
        flat = max(0, count) * mark if option else abs(count) * abs(mark) * float(legs.haircut_ppm[leg]) / 1e6
        starts = np.array([tier[0] for tier in tiers_of[at.underlyings[int(legs.underlying[leg])]]] + [np.inf])
        rates = np.array([tier[1:] for tier in tiers_of[at.underlyings[int(legs.underlying[leg])]]]) / 1e6
        inside = np.clip(size - starts[:-1], 0, np.diff(starts))
        initial += float(inside @ rates[:, 0]) + flat
        maintenance += float(inside @ rates[:, 1]) + flat
    return equity, initial, maintenance
