"""`expected-shortfall` and `value-at-risk`: margin from a distribution of joint moves.

Each scenario is one column: every option is revalued in full at the scenario's index and volatility. The
requirement is the mean loss of the worst part of the scenarios, or the loss at its edge, of the account
as a whole, so hedges and diversification count as the scenarios have them. On top: a minimum for short
options, collateral haircuts, concentration, and a longer horizon for what cannot be closed within it.
`kernels/tail.py` decides, in integers; formulas, sources and limits: docs/models.md.
"""

from typing import Any, ClassVar

import msgspec
import numpy as np

from seawall.core.errors import UnsafeParameters
from seawall.core.units import PPM
from seawall.kernels import tail, worst
from seawall.kernels.shocked import logarithms
from seawall.kernels.tables import TAIL, Tables
from seawall.margin import slopes
from seawall.margin.model import Model, check_discount, haircuts_nano, leg_arrays, tables_of
from seawall.margin.parameters import check_bounds
from seawall.margin.scenarios import Moves, ScenarioParameters, check_scenarios, moves
from seawall.margin.slopes import LegSlopes

ROLE_OPTION = 3
THOUSANDTHS = 1_000
REFERENCE_YEARS = 30 / 365
AMOUNT_MAX = 10**13  # whole quote units; no account is worth a thousandth of it


class ExpectedShortfallParameters(ScenarioParameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """On top of the scenarios'. All rates in ppm, amounts in whole quote units.

    initial_confidence_ppm, maintenance_confidence_ppm: the share of scenarios outside the tail.
    initial_factor_ppm, maintenance_factor_ppm: of the measure. short_minimum_ppm: least requirement of a
    naked short option, of its underlying's notional. concentration_*: as in `portfolio`.
    daily_volume: traded in a day, by underlying (0: nothing is charged); volume_share_ppm: what one
    account can close of it; close_days_max: the longest time to close that is charged for.
    term_*: powers of (30 d / life) by which shorter and longer volatilities move more and less.
    """

    initial_confidence_ppm: int = 990_000
    maintenance_confidence_ppm: int = 975_000
    initial_factor_ppm: int = PPM
    maintenance_factor_ppm: int = PPM
    power_short_ppm: int = 300_000
    power_long_ppm: int = 130_000
    life_floor_days: int = 1
    short_minimum_ppm: int = 15_000
    concentration_from: int = 50_000_000
    concentration_ppm: int = 50_000
    daily_volume: dict[str, int] = msgspec.field(
        default_factory=lambda: {"BTC": 20_000_000_000, "ETH": 15_000_000_000}
    )
    default_daily_volume: int = 200_000_000
    volume_share_ppm: int = 100_000
    close_days_max: int = 30
    step_move_ppm: int = 30_000
    liquidation_fee_ppm: int = 10_000


class ValueAtRiskParameters(ExpectedShortfallParameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """As ExpectedShortfallParameters; the edge of a tail is nearer than its mean, so the tails are smaller."""

    initial_confidence_ppm: int = 995_000
    maintenance_confidence_ppm: int = 990_000


class TailModel(Model):
    """Shared by both; see the module."""

    kind = TAIL
    certifies = False
    banded = True
    mean: ClassVar[bool]

    def __init__(self, parameters: ExpectedShortfallParameters) -> None:
        check_scenarios(parameters)
        _check(parameters)
        super().__init__(parameters)
        self._moves: dict[tuple[str, ...], Moves] = {}

    def moves(self, underlyings: tuple[str, ...]) -> Moves:
        """The scenarios, made once for each set of underlyings."""
        if underlyings not in self._moves:
            self._moves[underlyings] = moves(self.parameters, underlyings)
        return self._moves[underlyings]

    def unit_tails_ppm(self, underlyings: tuple[str, ...]) -> np.ndarray:
        """int64[U, 2, 2]: the measure of a unit of notional, long and short, initial and maintenance."""
        found = self.moves(underlyings)
        count, columns = found.moves_ppm.shape
        losses = np.stack([-found.moves_ppm, found.moves_ppm], axis=1).reshape(2 * count, columns) * THOUSANDTHS
        scratch = np.zeros((4, worst.room(columns)), np.int64)
        out = np.zeros((2, 2 * count), np.int64)
        p = self.parameters
        for k, (confidence, factor) in enumerate(
            (
                (p.initial_confidence_ppm, p.initial_factor_ppm),
                (p.maintenance_confidence_ppm, p.maintenance_factor_ppm),
            )
        ):
            tail.tails(losses, found.weights_ppm, PPM - confidence, self.mean, scratch, out[k])
            out[k] = -(-np.maximum(out[k], 0) * factor // (PPM * THOUSANDTHS))
        return out.reshape(2, count, 2).transpose(1, 2, 0)

    def unit_errors_ppm(self, underlyings: tuple[str, ...]) -> np.ndarray:
        """float64[U, 2]: one standard error of the maintenance mean of a unit, long and short, as columns
        are few: √((Var(L | tail) + (1 − t)·(ES − VaR)²) / (n·t)), n columns of equal weight, tail t
        (Manistre and Hancock 2005, "Variance of the CTE estimator")."""
        found = self.moves(underlyings)
        share = 1.0 - self.parameters.maintenance_confidence_ppm / PPM
        columns = found.moves_ppm.shape[1]
        kept = max(int(np.ceil(columns * share)), 1)
        out = np.zeros((len(underlyings), 2))
        for side, sign in enumerate((-1, 1)):
            worst = np.sort(sign * found.moves_ppm, axis=1)[:, -kept:].astype(np.float64)
            spread = worst.var(axis=1) + (1.0 - share) * (worst.mean(axis=1) - worst[:, 0]) ** 2
            out[:, side] = np.sqrt(spread / (columns * share))
        return out

    def tables(self, market: Any) -> Tables:
        check_discount(market)
        p, legs = self.parameters, market.legs
        found = self.moves(market.underlyings)
        columns = found.moves_ppm.shape[1]
        multiple = 1.0 + found.moves_ppm / PPM
        values = np.zeros((len(legs.kind), 1 + columns), np.int64)
        term = np.array([p.power_short_ppm / PPM, p.power_long_ppm / PPM, p.life_floor_days / 365.0])
        tail.fill_board(
            leg_arrays(legs),
            legs.index,
            market.as_of_ns,
            market.rate,
            found.moves_ppm,
            multiple,
            logarithms(multiple.ravel()).reshape(multiple.shape),
            found.vols_ppm / PPM,
            term,
            np.zeros(columns),
            values,
        )
        extra = np.zeros((len(legs.kind), tail.EXTRAS), np.int64)
        extra[:, tail.EXTRA_CHARGE] = haircuts_nano(legs)
        extra[:, tail.EXTRA_NOTIONAL] = np.maximum(legs.notional_nano, np.abs(legs.value_nano))
        extra[:, tail.EXTRA_NAKED] = np.where(legs.role == ROLE_OPTION, legs.notional_nano, 0)
        return tables_of(legs, values, extra, self._underlying_params(market.underlyings), self._scalars(), found.weights_ppm[None, :].copy())

    def slopes(self, board: Any, tables: Tables) -> LegSlopes:
        """A margin is Lipschitz in the scenarios' values: the tail of losses that are each at most d greater is at
        most d greater. Equity less f times it moves as |1 − f| of the mark and f of a scenario."""
        p, legs, found = self.parameters, board.legs, self.moves(board.underlyings)
        rise = np.maximum(found.moves_ppm.max(axis=1), 0) / PPM
        vol = (np.maximum(found.vols_ppm.max(axis=1), 0) / PPM)[legs.underlying]
        floored = np.maximum(slopes.lives(legs, board.as_of_ns)[1], p.life_floor_days / 365)
        power = np.where(floored <= REFERENCE_YEARS, p.power_short_ppm, p.power_long_ppm) / PPM
        multiple = 1.0 + vol * (REFERENCE_YEARS / floored) ** power
        decay = slopes.value_decay(board, rise[legs.underlying], multiple)
        out = slopes.plain(board, tables, tail.EXTRA_CHARGE, tail.EXTRA_NAKED)
        out.notional[:] = tables.extra[:, tail.EXTRA_NOTIONAL]
        params = tables.underlying_params
        out.size_from[:] = params[:, tail.PARAM_CONCENTRATION_FROM] * 1e6
        out.size_rate[:] = params[:, tail.PARAM_CONCENTRATION_RATE] / PPM
        out.size_liquid[:] = params[:, tail.PARAM_LIQUID] * 1e6
        out.time[slopes.EQUITY] = decay
        sides = ((p.initial_factor_ppm, tail.PARAM_TAIL_INITIAL), (p.maintenance_factor_ppm, tail.PARAM_TAIL_MAINTENANCE))
        for side, (factor_ppm, column) in enumerate(sides, start=slopes.INITIAL):
            factor = factor_ppm / PPM
            out.multiple[side] = abs(1.0 - factor) + factor * (1.0 + rise)
            out.time[side] = decay * max(1.0, abs(1.0 - factor) + factor)
            out.minimum[side] = factor * p.short_minimum_ppm / PPM
            out.lot_error[side] = 40.0 * (1.0 + factor)
            out.size_tail[side] = params[:, column] / PPM
        return out._replace(size_root=float(tables.scalars[tail.SCALAR_ROOT_MAX]) / PPM)

    def _underlying_params(self, underlyings: tuple[str, ...]) -> np.ndarray:
        p = self.parameters
        out = np.zeros((len(underlyings), tail.PARAMS), np.int64)
        out[:, tail.PARAM_CONCENTRATION_FROM] = p.concentration_from * THOUSANDTHS
        out[:, tail.PARAM_CONCENTRATION_RATE] = p.concentration_ppm
        for u, name in enumerate(underlyings):
            a_day = p.daily_volume.get(name, p.default_daily_volume) * p.volume_share_ppm
            out[u, tail.PARAM_LIQUID] = a_day * THOUSANDTHS * p.horizon_hours // (24 * PPM)
        out[:, tail.PARAM_TAIL_INITIAL : tail.PARAM_TAIL_MAINTENANCE + 1] = self.unit_tails_ppm(underlyings).max(axis=1)
        return out

    def _scalars(self) -> np.ndarray:
        p = self.parameters
        out = np.zeros(tail.SCALARS, np.int64)
        out[tail.SCALAR_MEAN] = self.mean
        out[tail.SCALAR_TAIL_INITIAL] = PPM - p.initial_confidence_ppm
        out[tail.SCALAR_TAIL_MAINTENANCE] = PPM - p.maintenance_confidence_ppm
        out[tail.SCALAR_FACTOR_INITIAL] = p.initial_factor_ppm
        out[tail.SCALAR_FACTOR_MAINTENANCE] = p.maintenance_factor_ppm
        out[tail.SCALAR_SHORT_MINIMUM] = p.short_minimum_ppm
        longest = np.sqrt(max(p.close_days_max * 24 / p.horizon_hours, 1.0))
        out[tail.SCALAR_ROOT_MAX] = int(np.ceil(longest * PPM))
        return out

    def worst_label(self, index: int) -> str:
        if index < 0:
            return "none"
        words = f"scenario {index + 1}"
        if len(self._moves) != 1:
            return words
        ((names, found),) = self._moves.items()
        shown = [f"{name} {found.moves_ppm[u, index] / 1e4:+.1f} %" for u, name in enumerate(names[:3])]
        return ": ".join([words, ", ".join(shown)])

    def envelope(self, market: Any) -> list[tuple[str, int, int]]:
        p = self.parameters
        need = p.step_move_ppm + self.fee_after_step_ppm
        least = self.unit_tails_ppm(market.underlyings)[:, :, 1].min(axis=1)
        checks = [(f"tail of {name}", int(least[u]), need) for u, name in enumerate(market.underlyings)]
        floor = p.short_minimum_ppm * p.maintenance_factor_ppm // PPM
        return [*checks, ("short-option minimum", floor, self.fee_after_step_ppm)]


class ExpectedShortfallModel(TailModel):
    """The mean loss of the worst scenarios: coherent, so that joining accounts never costs more."""

    name = "expected-shortfall"
    mean = True


class ValueAtRiskModel(TailModel):
    """The loss that all but the worst scenarios stay within; blind to how bad those are."""

    name = "value-at-risk"
    mean = False


def _check(p: ExpectedShortfallParameters) -> None:
    if not 0 < p.maintenance_confidence_ppm <= p.initial_confidence_ppm < PPM:
        raise UnsafeParameters(
            "confidence",
            f"initial {p.initial_confidence_ppm} ppm, maintenance {p.maintenance_confidence_ppm} ppm",
            "0 < maintenance <= initial < 1,000,000",
        )
    if not 0 < p.maintenance_factor_ppm <= p.initial_factor_ppm <= 10 * PPM:
        raise UnsafeParameters(
            "factors",
            f"initial {p.initial_factor_ppm} ppm, maintenance {p.maintenance_factor_ppm} ppm",
            "0 < maintenance <= initial <= 10,000,000",
        )
    bounds = dict.fromkeys(("power_short_ppm", "power_long_ppm"), (0, PPM // 2))
    bounds |= dict.fromkeys(("short_minimum_ppm", "concentration_ppm", "volume_share_ppm"), (0, PPM))
    bounds |= dict.fromkeys(("concentration_from", "daily_volume", "default_daily_volume"), (0, AMOUNT_MAX))
    bounds |= dict.fromkeys(("life_floor_days", "close_days_max"), (1, 365))
    check_bounds(p, bounds)
