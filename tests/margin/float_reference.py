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
        """Bounds over the anchor steps of price and life, per cell: the gap in spot, the gap in volatility, the
        move in volatility."""
        if self.legs.kind[leg] not in (OPTION, FORWARD_START):
            return np.zeros(3 * twin.CELLS)
        fixed = self.legs.kind[leg] == OPTION
        index, strike = float(self.legs.index[self.legs.underlying[leg]]), float(self.legs.strike[leg])
        step = self.width(leg) / CELLS_PER_RANGE / STEPS_PER_CELL
        cell = np.floor(np.log(index) / step)
        multiples = 1 + self.width(leg) * np.arange(-4, 5) / CELLS_PER_RANGE
        forward = np.exp(np.array([cell, cell + 1]) * step)[:, None] * float(self.legs.ratio[leg]) * multiples
        k = np.log(forward / strike) if fixed else np.full(forward.shape, -np.log(strike))
        lives = self.life_ends(self.values.life(leg))
        roots = [float(self.legs.iv[leg]) * np.sqrt(life) for life in lives]
        (down_low, _), (down_high, up_high) = (self.values.vol_multiples(life) for life in lives)
        spot, vega, move = [], [], []
        for low, high, width in (
            (roots[0] * down_low, roots[1], roots[1] * (1 - down_high)),
            (roots[0], roots[1] * up_high, roots[1] * (up_high - 1)),
        ):
            low, high = max(low, 1e-9), max(high, 1e-9)
            spot.append(bend(k, forward, low, high) if fixed else np.zeros(twin.STEPS))
            for found, at_nodes in zip((vega, move), self.straying(k, forward, low, high, width)):
                found.append(np.maximum(at_nodes[:-1], at_nodes[1:]))
        years = lives[0] if self.at.rate > 0 else self.life_ends(self.values.years(leg))[1]
        return np.exp(-self.at.rate * years) * float(self.legs.lot[leg]) * NANO * np.concatenate([*spot, *vega, *move])

    @staticmethod
    def life_ends(life: float) -> list[float]:
        """The ends of the step of the life grid that a life in years lies in: quarter octaves above a minute."""
        quarter = np.floor(4 * np.log2(max(life, MINUTE * 0.999) / MINUTE))
        return [0.0 if quarter < 0 else MINUTE * 2 ** (quarter / 4), MINUTE * 2 ** ((quarter + 1) / 4)]

    @staticmethod
    def straying(k: Array, forward: Array, low: float, high: float, width: float) -> tuple[Array, Array]:
        """At each node how far a value strays from its chord in volatility: ¼·(greatest vega − least vega)·width or
        ⅛·(greatest volga)·width². And how far it moves: (greatest vega)·width. Neither is more than the forward."""
        d_low = np.minimum(k[0] / low, k[0] / high) + low / 2
        d_high = np.maximum(k[1] / low, k[1] / high) + high / 2
        vega = forward[1] * density(nearest(d_low, d_high))
        least_vega = forward[0] * density(np.maximum(np.abs(d_low), np.abs(d_high)))
        volga = vega * np.maximum((np.abs(k).max(axis=0) / low) ** 2, high**2 / 4) / low
        gap = np.minimum(0.25 * (vega - least_vega) * width, 0.125 * volga * width**2)
        return np.minimum(gap, forward[1]), np.minimum(vega * width, forward[1])

    def charges(self, leg: int) -> Array:
        """Notional, haircut of a long and of a short lot, short minimum; no lot is rounded, so no dust."""
        legs, mark = self.legs, self.mark(leg)
        notional = abs(mark)
        if legs.right[leg]:
            notional = float(legs.lot[leg] * legs.index[legs.underlying[leg]]) * NANO
        elif legs.kind[leg] == CONSTANT:
            notional = float(legs.lot[leg]) * NANO
        haircut = abs(mark) * float(legs.haircut_ppm[leg]) / 1e6
        minimum = notional * self.p.short_minimum_ppm / 1e6
        curve = [float(x[leg]) for x in (legs.iv, legs.ratio, legs.lot)]
        return np.array([notional, haircut, haircut, minimum, 0.0, 0.0, *curve])

    def margins(self, held: dict[int, int], cash_nano: int) -> tuple[float, float, float]:
        """equity, initial, maintenance in quote."""
        equity, initial, maintenance, _ = twin.portfolio(self.tables, held, float(cash_nano), exact=False)
        return equity / 1e6, initial / 1e6, maintenance / 1e6


def nearest(low: Array, high: Array) -> Array:
    """The numbers in [low, high] nearest to zero."""
    return np.where(low > 0, low, np.where(high < 0, high, 0.0))


def bend(k: Array, forward: Array, low: float, high: float) -> Array:
    """Of each cell: ¼·(rise of the delta)·length or ⅛·(greatest gamma)·length² of the forward."""
    least = least_d1(k[0], low, high)[:-1]
    greatest = np.maximum(k[1] / low + low / 2, k[1] / high + high / 2)[1:]
    length = np.diff(forward[1])
    gamma = density(nearest(least, greatest)) / (forward[0, :-1] * low)
    by_delta: Array = 0.25 * np.maximum(0, ndtr(greatest) - ndtr(least)) * length
    return np.minimum(by_delta, 0.125 * gamma * length**2)


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
