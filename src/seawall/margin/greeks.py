"""`greeks`: delta, gamma and vega over all underlyings, with their correlations.

The parametric model of risk desks: moves of indices and volatilities are an ellipsoid, values are their
second-order expansion. The requirement bounds the loss over that ellipsoid: z standard deviations of the
linear part, exactly, and the worst of each underlying's short gamma; long gamma earns nothing. Exact for
linear books, and blind to whatever an expansion at today's prices does not see. `kernels/quadratic.py`
decides, in integers; formulas and limits: docs/models.md.
"""

from typing import Any

import numpy as np

from seawall.core.errors import UnsafeParameters
from seawall.core.times import YEAR_NS
from seawall.core.units import PPM
from seawall.kernels import quadratic, tail
from seawall.kernels.shocked import exponentials, logarithms
from seawall.kernels.tables import QUADRATIC, Tables
from seawall.margin import greek_slopes, slopes
from seawall.margin.model import Model, check_discount, haircuts_nano, leg_arrays, tables_of
from seawall.margin.parameters import check_bounds
from seawall.margin.scenarios import FACTOR_BOUNDS, HOURS_PER_YEAR, FactorParameters
from seawall.margin.slopes import LegSlopes
from seawall.market.pricing import leg_greeks

LINEAR, ROLE_OPTION = 0, 3
REFERENCE_YEARS = 30 / 365


class GreeksParameters(FactorParameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """On top of the factors'. Rates in ppm.

    initial_deviations_ppm, maintenance_deviations_ppm: z, standard deviations over horizon_hours.
    power_short_ppm, power_long_ppm: volatilities of shorter and longer lives move by (30 d / life)^power
    times that of 30 days. short_minimum_ppm: least requirement of a naked short option, of its
    underlying's notional.
    """

    initial_deviations_ppm: int = 3_000_000
    maintenance_deviations_ppm: int = 2_500_000
    power_short_ppm: int = 300_000
    power_long_ppm: int = 130_000
    life_floor_days: int = 1
    short_minimum_ppm: int = 15_000
    step_move_ppm: int = 30_000
    liquidation_fee_ppm: int = 10_000


class GreeksModel(Model):
    """See the module; parameters: GreeksParameters."""

    name = "greeks"
    kind = QUADRATIC
    certifies = False
    banded = True

    def __init__(self, parameters: GreeksParameters) -> None:
        _check(parameters)
        super().__init__(parameters)

    def deviations(self, underlyings: tuple[str, ...]) -> np.ndarray:
        """float64[U]: relative standard deviation of each index over the horizon."""
        p = self.parameters
        yearly = np.array([p.volatility_ppm.get(name, p.default_volatility_ppm) for name in underlyings]) / PPM
        return np.asarray(yearly * np.sqrt(p.horizon_hours / HOURS_PER_YEAR))

    def correlations_ppm(self, underlyings: tuple[str, ...]) -> np.ndarray:
        """int64[2U, 2U] of index and volatility of each underlying, in that order; these integers are R."""
        p = self.parameters
        loadings = np.array([p.correlation_ppm.get(name, p.default_correlation_ppm) for name in underlyings]) / PPM
        between = np.outer(loadings, loadings)
        np.fill_diagonal(between, 1.0)
        out = np.zeros((2 * len(underlyings), 2 * len(underlyings)))
        out[0::2, 0::2] = out[1::2, 1::2] = between
        out[0::2, 1::2] = out[1::2, 0::2] = -p.spot_vol_ppm / PPM * between
        return np.rint(out * PPM).astype(np.int64)

    def tables(self, market: Any) -> Tables:
        check_discount(market)
        p, legs = self.parameters, market.legs
        count = len(legs.kind)
        values = np.zeros((count, quadratic.COLUMNS), np.int64)
        values[:, 0] = _marks(market)
        found = leg_greeks(legs, market.as_of_ns, market.rate)
        deviation = self.deviations(market.underlyings)[legs.underlying]
        step = legs.index[legs.underlying] * legs.ratio * deviation  # of the forward, in quote
        lot_nano = legs.lot * 1e9
        vol_step = np.nan_to_num(legs.iv) * self._vol_deviations(market)
        linear = np.where(legs.kind == LINEAR, legs.value_nano * deviation, 0.0)
        values[:, quadratic.COLUMN_DELTA] = np.floor(np.where(legs.right != 0, found["delta"] * step * lot_nano, linear))
        values[:, quadratic.COLUMN_VEGA] = np.floor(found["vega"] * vol_step * lot_nano)
        # beyond the linear part no option loses more than its delta's whole range times the move
        most = self._most_gamma() * step * exponentials(-market.rate * np.maximum(legs.expiry_ns - market.as_of_ns, 0) / YEAR_NS)
        gamma = np.minimum(0.5 * found["gamma"] * step * step, most)
        values[:, quadratic.COLUMN_GAMMA] = np.floor(gamma * lot_nano)
        extra = np.zeros((count, quadratic.EXTRAS), np.int64)
        extra[:, quadratic.EXTRA_CHARGE] = haircuts_nano(legs)
        extra[:, quadratic.EXTRA_NAKED] = np.where(legs.role == ROLE_OPTION, legs.notional_nano, 0)
        scalars = [p.initial_deviations_ppm, p.maintenance_deviations_ppm, p.short_minimum_ppm]
        return tables_of(legs, values, extra, self.correlations_ppm(market.underlyings), scalars)

    def _most_gamma(self) -> float:
        """What half the gamma of one deviation is held to, in exposures: then z² of it is no less than z of those."""
        return 1.0 / min(1.0, self.parameters.maintenance_deviations_ppm / PPM)

    def slopes(self, board: Any, tables: Tables) -> LegSlopes:
        """The root of a quadratic form is a seminorm: it moves by no more than that of the change, which, as no
        correlation exceeds one, is at most the sum of the changes of the Greeks."""
        p, legs = self.parameters, board.legs
        deviation = self.deviations(board.underlyings)
        vol_step = np.nan_to_num(legs.iv) * self._vol_deviations(board)
        found = greek_slopes.changes(board, deviation[legs.underlying], vol_step, self._most_gamma())
        decay = slopes.value_decay(board, np.zeros(len(legs.kind)), np.ones(len(legs.kind)))
        out = slopes.plain(board, tables, quadratic.EXTRA_CHARGE, quadratic.EXTRA_NAKED)
        out.time[slopes.EQUITY] = decay
        loose, hidden = greek_slopes.looseness(tables.underlying_params)
        size = np.abs(tables.values[:, quadratic.COLUMN_DELTA : quadratic.COLUMN_VEGA + 1]).sum(axis=1)
        sides = (p.initial_deviations_ppm, p.maintenance_deviations_ppm)
        for side, z_ppm in enumerate(sides, start=slopes.INITIAL):
            z = z_ppm / PPM
            out.deviation[side] = z * deviation * loose
            out.gross[side] = z * loose * found.linear + z * z * found.curved
            out.time[side] = decay + z * loose * found.linear_time + z * z * found.curved_time
            out.minimum[side] = p.short_minimum_ppm / PPM
            out.lot_error[side] = 40.0 * (1.0 + z) ** 2
            out.own_error[side] = z * hidden * size
        return out

    def _vol_deviations(self, market: Any) -> np.ndarray:
        """float64[L]: relative standard deviation of each leg's volatility over the horizon."""
        p, legs = self.parameters, market.legs
        start = np.maximum(legs.fix_ns, market.as_of_ns)
        life = np.maximum((legs.expiry_ns - start) / (365 * 86_400 * 1e9), p.life_floor_days / 365)
        power = np.where(life <= REFERENCE_YEARS, p.power_short_ppm, p.power_long_ppm) / PPM
        stretch = exponentials(power * logarithms(REFERENCE_YEARS / life))
        return np.asarray(stretch * (p.vol_deviation_ppm / PPM * np.sqrt(p.horizon_hours / 24)))

    def envelope(self, market: Any) -> list[tuple[str, int, int]]:
        p = self.parameters
        need = p.step_move_ppm + self.fee_after_step_ppm
        have = np.floor(self.deviations(market.underlyings) * p.maintenance_deviations_ppm).astype(np.int64)
        checks = [(f"deviations of {name}", int(have[u]), need) for u, name in enumerate(market.underlyings)]
        return [*checks, ("short-option minimum", p.short_minimum_ppm, self.fee_after_step_ppm)]


def _marks(market: Any) -> np.ndarray:
    """int64[L]: the marks that every model takes, from the board kernel under one scenario of no move."""
    none = np.zeros((len(market.underlyings), 1))
    values = np.zeros((len(market.legs.kind), 2), np.int64)
    arrays = leg_arrays(market.legs)
    moves = none.astype(np.int64)
    term = np.array([0.0, 0.0, REFERENCE_YEARS])
    args = (moves, 1.0 + none, none, none, term, np.zeros(1), values)
    tail.fill_board(arrays, market.legs.index, market.as_of_ns, market.rate, *args)
    return values[:, 0]


def _check(p: GreeksParameters) -> None:
    if not 0 < p.maintenance_deviations_ppm <= p.initial_deviations_ppm <= 10 * PPM:
        raise UnsafeParameters(
            "deviations",
            f"initial {p.initial_deviations_ppm} ppm, maintenance {p.maintenance_deviations_ppm} ppm",
            "0 < maintenance <= initial <= 10,000,000",
        )
    bounds = FACTOR_BOUNDS | dict.fromkeys(("power_short_ppm", "power_long_ppm"), (0, PPM // 2))
    bounds |= {"life_floor_days": (1, 365), "short_minimum_ppm": (0, PPM)}
    check_bounds(p, bounds)
