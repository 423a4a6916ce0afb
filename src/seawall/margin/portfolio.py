"""`portfolio`: the least capital that covers a stated set of joint moves, generation 3.

The set: every underlying moves within its range, driven by one common factor m in [-1, 1] and
its own residual e in [-1, 1], move = range · (ρ·m + (1 - ρ)·e); volatilities move together
between the down and the up shock; dampened tails beyond the range. The scan charges a certified
bound of the worst loss over the whole set (`kernels/cells.py`), not over its grid nodes. On top:
a minimum for short options, the risk that each expiry's forward leaves the index, concentration,
collateral haircuts. Formulas, proofs and sources: docs/models.md.
"""

from typing import Any

import msgspec
import numpy as np

from seawall.core.errors import UnsafeParameters
from seawall.kernels import cells, rows
from seawall.kernels.board import NEVER, fill_cells, price_cells
from seawall.kernels.tables import CELLS, Tables
from seawall.margin.model import Model, check_discount, leg_arrays, tables_of
from seawall.margin.parameters import check_bounds

PPM = 1_000_000
HALF = cells.NODES // 2  # spot cells on either side of no move
ANCHORS_PER_CELL = 8  # steps of the price grid in the narrowest of a range's cells


class Tail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A point beyond the range: how many ranges away, and the share of its loss that counts."""

    ranges_ppm: int
    damping_ppm: int


class PortfolioParameters(msgspec.Struct, frozen=True, kw_only=True):
    """All rates in ppm. Dicts are by underlying; `default_*` serves the others.

    range_ppm: largest move of the index that the scan covers.
    correlation_ppm: share of a move that the common factor drives (0 = every underlying alone,
    1,000,000 = all in lock-step).
    offset_ppm: share of a gain in one underlying that may pay for losses in another.
    vol_up_ppm, vol_down_ppm: relative volatility shocks at 30 days, scaled by
    (30 d / max(life, floor))^power, power short or long of 30 days.
    basis_ppm, basis_per_year_ppm: move of an expiry's forward against the index.
    concentration_from: gross notional of an underlying (whole quote units) above which
    concentration_ppm is charged.
    """

    range_ppm: dict[str, int] = msgspec.field(default_factory=lambda: {"BTC": 140_000, "ETH": 160_000})
    default_range_ppm: int = 240_000
    correlation_ppm: dict[str, int] = msgspec.field(default_factory=lambda: {"BTC": 750_000, "ETH": 750_000})
    default_correlation_ppm: int = 500_000
    offset_ppm: int = 900_000
    tails: tuple[Tail, Tail, Tail, Tail] = (
        Tail(-3_000_000, 200_000),
        Tail(-2_000_000, 350_000),
        Tail(2_000_000, 350_000),
        Tail(3_000_000, 200_000),
    )
    vol_up_ppm: int = 500_000
    vol_down_ppm: int = 300_000
    power_short_ppm: int = 300_000
    power_long_ppm: int = 130_000
    life_floor_days: int = 1
    short_minimum_ppm: int = 15_000
    basis_ppm: int = 2_500
    basis_per_year_ppm: int = 5_000
    concentration_from: int = 50_000_000
    concentration_ppm: int = 50_000
    initial_factor_ppm: int = 1_250_000
    maintenance_factor_ppm: int = 1_000_000
    step_move_ppm: int = 50_000
    liquidation_fee_ppm: int = 10_000


class PortfolioModel(Model):
    """See the module; parameters: PortfolioParameters."""

    name = "portfolio"
    kind = CELLS

    def __init__(self, parameters: PortfolioParameters) -> None:
        _check(parameters)
        super().__init__(parameters)

    def range_of(self, underlying: str) -> int:
        return self.parameters.range_ppm.get(underlying, self.parameters.default_range_ppm)

    def correlation_of(self, underlying: str) -> int:
        return self.parameters.correlation_ppm.get(underlying, self.parameters.default_correlation_ppm)

    def shocks(self, underlyings: tuple[str, ...]) -> np.ndarray:
        """float64[U, 4, COLUMNS]: multiple of spot, its log, damping, level of volatility."""
        out = np.zeros((len(underlyings), 4, cells.COLUMNS))
        out[:, rows.SHOCK_MULTIPLE] = 1.0
        out[:, rows.SHOCK_DAMPING] = 1.0
        for u, name in enumerate(underlyings):
            width_ppm = self.range_of(name)
            for level in range(cells.LEVELS):
                for node in range(cells.NODES):
                    c = 1 + level * cells.NODES + node
                    out[u, rows.SHOCK_MULTIPLE, c] = _multiple(width_ppm, PPM * (node - HALF) // HALF)
                    out[u, rows.SHOCK_LEVEL, c] = level - 1
            for t, tail in enumerate(self.parameters.tails):
                c = 1 + cells.GRID + t
                out[u, rows.SHOCK_MULTIPLE, c] = _multiple(width_ppm, tail.ranges_ppm)
                out[u, rows.SHOCK_DAMPING, c] = tail.damping_ppm / PPM
                out[u, rows.SHOCK_LEVEL, c] = 1
        out[:, rows.SHOCK_LOG] = np.log(out[:, rows.SHOCK_MULTIPLE])
        return out

    def constants(self, rate: float) -> np.ndarray:
        """float64[9]: what `kernels/rows.py` calls model."""
        p = self.parameters
        out = np.zeros(9)
        out[rows.MODEL_VOL_UP] = p.vol_up_ppm / PPM
        out[rows.MODEL_VOL_DOWN] = p.vol_down_ppm / PPM
        out[rows.MODEL_POWER_SHORT] = p.power_short_ppm / PPM
        out[rows.MODEL_POWER_LONG] = p.power_long_ppm / PPM
        out[rows.MODEL_FLOOR_YEARS] = p.life_floor_days / 365.0
        out[rows.MODEL_BASIS] = p.basis_ppm / PPM
        out[rows.MODEL_BASIS_SLOPE] = p.basis_per_year_ppm / PPM
        out[rows.MODEL_RATE] = rate
        return out

    def anchor_steps(self, underlyings: tuple[str, ...]) -> np.ndarray:
        """float64[U]: log-price step of the grid on which gaps are constant."""
        ranges = np.array([self.range_of(name) for name in underlyings], np.float64) / PPM
        return ranges / HALF / ANCHORS_PER_CELL

    def underlying_params(self, underlyings: tuple[str, ...]) -> np.ndarray:
        """int64[U, 2·STEPS + 2]: the window of cells at each step, concentration."""
        out = np.zeros((len(underlyings), 2 * cells.STEPS + 2), np.int64)
        for u, name in enumerate(underlyings):
            for step in range(cells.STEPS):
                first, last = window(self.correlation_of(name), step)
                out[u, cells.PARAM_FIRST + step] = first
                out[u, cells.PARAM_LAST + step] = last
            out[u, cells.PARAM_CONCENTRATION_FROM] = self.parameters.concentration_from * PPM
            out[u, cells.PARAM_CONCENTRATION_RATE] = self.parameters.concentration_ppm
        return out

    def tables(self, market: Any) -> Tables:
        check_discount(market)
        legs = market.legs
        count = len(legs.kind)
        steps = self.anchor_steps(market.underlyings)
        values = np.zeros((count, cells.WIDTH), np.int64)
        extra = np.zeros((count, cells.EXTRAS), np.int64)
        extra[:, cells.EXTRA_HAIRCUT] = legs.haircut_ppm
        # a loss is off by up to 2 nano a lot before its factor, the basis charge by one after it
        extra[:, cells.EXTRA_DUST] = 1 - (-2 * self.parameters.initial_factor_ppm // PPM)
        fill_cells(
            leg_arrays(legs),
            np.arange(count, dtype=np.int32),
            legs.index,
            price_cells(legs.index, steps),
            1,
            steps,
            0,
            np.zeros(2),
            market.as_of_ns,
            self.shocks(market.underlyings),
            self.constants(market.rate),
            self.parameters.short_minimum_ppm,
            np.full((count, 3), NEVER),
            values,
            extra,
        )
        p = self.parameters
        scalars = [p.initial_factor_ppm, p.maintenance_factor_ppm, p.offset_ppm, p.short_minimum_ppm]
        return tables_of(legs, values, extra, self.underlying_params(market.underlyings), scalars)

    def worst_label(self, index: int) -> str:
        if index < 0:
            return "none"
        if index >= 2 * cells.STEPS:
            tail = self.parameters.tails[index - 2 * cells.STEPS]
            return f"tail {tail.ranges_ppm / PPM:+.1f} ranges, vol up"
        step, level = divmod(index, 2)
        low = -1.0 + 2.0 * step / cells.STEPS
        return f"common factor {low:+.2f} to {low + 2.0 / cells.STEPS:+.2f}, vol {'down' if level == 0 else 'up'}"

    def envelope(self, market: Any) -> list[tuple[str, int, int]]:
        p = self.parameters
        need = p.step_move_ppm + self.fee_after_step_ppm
        checks = []
        for name in market.underlyings:
            have = self.range_of(name) * p.maintenance_factor_ppm // PPM
            checks.append((f"range of {name}", have, need))
        floor = p.short_minimum_ppm * p.maintenance_factor_ppm // PPM
        fee = self.fee_after_step_ppm
        return [*checks, ("short-option minimum", floor, fee)]


def _multiple(width_ppm: int, ranges_ppm: int) -> float:
    """Of spot, after a move of so many ranges: to a quarter of a ppm, away from no move."""
    units = abs(width_ppm * ranges_ppm) * rows.MOVE_UNITS
    move = -(-units // PPM**2)
    return 1.0 + (move if ranges_ppm > 0 else -move) / rows.MOVE_UNITS


def window(correlation_ppm: int, step: int) -> tuple[int, int]:
    """First and last spot cell that a move can reach while the common factor is in its step.

    The move, in ranges, is ρ·m + (1 - ρ)·e with m in the step and e in [-1, 1]; exact in
    integers: cell bounds are multiples of 2/STEPS.
    """
    rho = correlation_ppm
    low = rho * (2 * step - cells.STEPS) - (PPM - rho) * cells.STEPS
    high = rho * (2 * step + 2 - cells.STEPS) + (PPM - rho) * cells.STEPS
    unit = 2 * PPM
    first = (low + PPM * cells.STEPS) // unit
    last = -((-(high + PPM * cells.STEPS)) // unit) - 1
    return max(0, first), min(cells.SPOT_CELLS - 1, last)


def _check(p: PortfolioParameters) -> None:
    bounds = dict.fromkeys(("range_ppm", "default_range_ppm"), (1, PPM - 1))
    shares = ("correlation_ppm", "default_correlation_ppm", "offset_ppm", "vol_down_ppm", "short_minimum_ppm", "basis_ppm")
    bounds |= dict.fromkeys((*shares, "basis_per_year_ppm", "concentration_ppm"), (0, PPM))
    bounds["vol_up_ppm"] = (0, 10 * PPM)
    # with powers up to one half a shocked total volatility grows with life, which the bounds use
    bounds |= dict.fromkeys(("power_short_ppm", "power_long_ppm"), (0, PPM // 2))
    bounds |= {"life_floor_days": (1, 30), "concentration_from": (0, 9_000_000_000)}
    bounds["maintenance_factor_ppm"] = (1, 10 * PPM)
    bounds["initial_factor_ppm"] = (p.maintenance_factor_ppm, 10 * PPM)
    check_bounds(p, bounds)
    for tail in p.tails:
        if not 0 <= tail.damping_ppm <= PPM:
            raise UnsafeParameters("damping_ppm of a tail", str(tail.damping_ppm), f"0 to {PPM:,}")
        for name, value in {**p.range_ppm, "other underlyings": p.default_range_ppm}.items():
            width_ppm = -(-value * abs(tail.ranges_ppm) // PPM)
            if not 0 < width_ppm < PPM:
                raise UnsafeParameters(f"tail of {name}", f"a move of {width_ppm} ppm", f"1 to {PPM - 1:,}")
