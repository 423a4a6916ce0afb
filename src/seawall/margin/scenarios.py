"""Where the columns of a tail come from: joint moves of indices and volatilities, drawn or remembered.

Three sources, one result (`Moves`). *Monte Carlo*, seeded, needs no data: Student-t moves on one common
factor, common jumps, volatilities that rise as prices fall. *Historical*: the moves of a history that the
caller gives, period by period. *Filtered historical*: the same, each divided by the volatility that was
forecast for its period and multiplied by the present one (Barone-Adesi, Giannopoulos and Vosper 1999,
"VaR without correlations for portfolios of derivative securities"). All moves leave here as whole parts
per million; formulas and limits: docs/models.md.
"""

from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np

from seawall.core.errors import InputError, UnsafeParameters
from seawall.core.units import PPM
from seawall.kernels.shocked import exponentials, logarithms
from seawall.margin.draws import normals, stream, uniforms
from seawall.margin.parameters import check_bounds

FALL_MAX_PPM, RISE_MAX_PPM = 950_000, 900_000  # at the exposure limit the sums of any scenario still fit int64
VOL_MOVE_MAX_PPM = 5_000_000
HOURS_PER_YEAR = 8760
COLUMNS_MAX = 20_000
WARM_UP = 30  # periods whose mean square starts the filter

Array = np.ndarray[Any, Any]


class FactorParameters(msgspec.Struct, frozen=True, kw_only=True):
    """How indices and volatilities move together. Dicts are by underlying; `default_*` serves the others. Rates in ppm.

    horizon_hours: how long positions are held before they are closed. volatility_ppm: of an index, per
    year. correlation_ppm: its loading on the common factor (two underlyings correlate by the product of
    theirs). vol_deviation_ppm: relative standard deviation of a 30-day volatility in a day. spot_vol_ppm:
    minus the correlation of an index with its volatility.
    """

    horizon_hours: int = 24
    volatility_ppm: dict[str, int] = msgspec.field(default_factory=lambda: {"BTC": 550_000, "ETH": 750_000})
    default_volatility_ppm: int = 1_100_000
    correlation_ppm: dict[str, int] = msgspec.field(default_factory=lambda: {"BTC": 900_000, "ETH": 900_000})
    default_correlation_ppm: int = 750_000
    vol_deviation_ppm: int = 60_000
    spot_vol_ppm: int = 500_000


FACTOR_BOUNDS = {
    "horizon_hours": (1, HOURS_PER_YEAR),
    "volatility_ppm": (0, 10 * PPM),
    "default_volatility_ppm": (0, 10 * PPM),
    "correlation_ppm": (0, PPM),
    "default_correlation_ppm": (0, PPM),
    "vol_deviation_ppm": (0, PPM),
    "spot_vol_ppm": (0, PPM),
}


class ScenarioParameters(FactorParameters, frozen=True, kw_only=True):
    """On top of the factors'.

    source: monte-carlo, historical or filtered.
    Monte Carlo: columns, seed; degrees of freedom of the moves (0: normal, else 3 or more);
    jumps_per_year, of all underlyings at once, of so many daily standard deviations (jump_mean_ppm,
    negative: down; jump_deviation_ppm); jump_vol_ppm, what a jump adds to volatilities.
    History: history_ppm, relative moves of the index a period, oldest first; vol_history_ppm, those of
    volatilities (where there are none, vol_response_ppm of the index's absolute move); period_hours;
    decay_ppm, the weight of a period against the next (1,000,000: all alike); filter_ppm, the decay of
    the variance in the filter.
    """

    source: Literal["monte-carlo", "historical", "filtered"] = "monte-carlo"
    columns: int = 500
    seed: int = 1
    degrees: int = 4
    jumps_per_year: int = 12
    jump_mean_ppm: int = -2_000_000
    jump_deviation_ppm: int = 2_000_000
    jump_vol_ppm: int = 200_000
    history_ppm: dict[str, tuple[int, ...]] = msgspec.field(default_factory=dict)
    vol_history_ppm: dict[str, tuple[int, ...]] = msgspec.field(default_factory=dict)
    vol_response_ppm: int = 1_000_000
    period_hours: int = 24
    decay_ppm: int = PPM
    filter_ppm: int = 970_000


class Moves(NamedTuple):
    """moves_ppm, vols_ppm: int64[U, S], relative moves of each index and of its 30-day volatility.
    weights_ppm: int64[S], their sum one million."""

    moves_ppm: Array
    vols_ppm: Array
    weights_ppm: Array


def moves(parameters: ScenarioParameters, underlyings: tuple[str, ...]) -> Moves:
    """The scenarios of these underlyings; InputError where a history lacks one of them."""
    if parameters.source == "monte-carlo":
        logs, vols = _drawn(parameters, underlyings)
        weights = np.ones(parameters.columns)
    else:
        logs, vols, weights = _remembered(parameters, underlyings)
    relative = np.array([exponentials(row) - 1.0 for row in logs]).reshape(logs.shape)
    moves_ppm = np.clip(np.rint(relative * PPM), -FALL_MAX_PPM, RISE_MAX_PPM).astype(np.int64)
    vols_ppm = np.clip(np.rint(vols * PPM), -PPM, VOL_MOVE_MAX_PPM).astype(np.int64)
    return Moves(moves_ppm, vols_ppm, shares_ppm(weights))


def history_ppm(returns: Any) -> dict[str, tuple[int, ...]]:
    """Relative returns by underlying (a mapping of sequences, or a DataFrame: one column each, one row a
    period, 0.01 is 1 %) as the parameter `history_ppm` or `vol_history_ppm` takes them."""
    columns = returns.to_dict(as_series=False) if hasattr(returns, "to_dict") else dict(returns)
    out = {}
    for name, values in columns.items():
        array = np.asarray(values, np.float64)
        if array.ndim != 1 or not np.isfinite(array).all():
            raise InputError(f"returns of {name}", "a gap or a table", "one finite number for each period")
        out[str(name)] = tuple(int(x) for x in np.rint(array * PPM))
    return out


def shares_ppm(weights: Array) -> Array:
    """int64[S] that add up to one million, in proportion to weights: by largest remainder, later ones first."""
    exact = weights * (PPM / weights.sum())
    whole = np.floor(exact).astype(np.int64)
    left = PPM - int(whole.sum())
    order = np.lexsort((-np.arange(len(exact)), whole - exact))
    whole[order[:left]] += 1
    return whole


def _drawn(p: ScenarioParameters, underlyings: tuple[str, ...]) -> tuple[Array, Array]:
    """Logarithmic moves and relative moves of volatilities, float64[U, S]; the second half mirrors the first."""
    half = -(-p.columns // 2)

    def pair(name: str) -> Array:
        drawn = normals(stream(p.seed, name), half)
        return np.concatenate([drawn, -drawn])[: p.columns]

    mix = np.ones(half)
    if p.degrees:
        squares = normals(stream(p.seed, "chi-square"), half * p.degrees).reshape(half, p.degrees) ** 2
        total = np.zeros(half)
        for k in range(p.degrees):  # in this order on every machine
            total += squares[:, k]
        mix = np.sqrt((p.degrees - 2) / total)
    mix = np.concatenate([mix, mix])[: p.columns]
    days = p.horizon_hours / 24
    chance = 1.0 - float(exponentials(np.array([-p.jumps_per_year * p.horizon_hours / HOURS_PER_YEAR]))[0])
    jumps = uniforms(stream(p.seed, "jump"), p.columns) < chance
    size = np.where(jumps, (p.jump_mean_ppm + p.jump_deviation_ppm * pair("jump size")) / PPM, 0.0)
    common, common_vol = pair("common"), pair("common volatility")
    lean = p.spot_vol_ppm / PPM
    logs, vols = np.zeros((2, len(underlyings), p.columns))
    for u, name in enumerate(underlyings):
        loading = p.correlation_ppm.get(name, p.default_correlation_ppm) / PPM
        own = np.sqrt(1.0 - loading * loading)
        daily = p.volatility_ppm.get(name, p.default_volatility_ppm) / PPM * np.sqrt(24 / HOURS_PER_YEAR)
        z = loading * common + own * pair(f"own {name}")
        g = loading * common_vol + own * pair(f"own volatility {name}")
        logs[u] = daily * (np.sqrt(days) * mix * z + size)
        turned = np.sqrt(1.0 - lean * lean) * g - lean * z
        vols[u] = p.vol_deviation_ppm / PPM * np.sqrt(days) * mix * turned + np.where(jumps, p.jump_vol_ppm / PPM, 0.0)
    return logs, vols


def _remembered(p: ScenarioParameters, underlyings: tuple[str, ...]) -> tuple[Array, Array, Array]:
    """As `_drawn`, with the weight of each period."""
    count = len(next(iter(p.history_ppm.values())))
    stretch = np.sqrt(p.horizon_hours / p.period_hours)
    logs, vols = np.zeros((2, len(underlyings), count))
    for u, name in enumerate(underlyings):
        if name not in p.history_ppm:
            raise InputError("history_ppm", f"no history of {name}", "one of every underlying of the market")
        relative = np.array(p.history_ppm[name], np.float64) / PPM
        rows = logarithms(1.0 + relative)
        logs[u] = stretch * (filtered(rows, p.filter_ppm / PPM) if p.source == "filtered" else rows)
        given = p.vol_history_ppm.get(name)
        vols[u] = np.array(given) / PPM if given else np.abs(relative) * (p.vol_response_ppm / PPM)
        vols[u] *= stretch
    weights = np.ones(count)
    for k in range(count - 2, -1, -1):  # products, not powers: these round alike everywhere
        weights[k] = weights[k + 1] * (p.decay_ppm / PPM)
    return logs, vols, weights


def filtered(logs: Array, decay: float) -> Array:
    """Each move over its forecast volatility, times the present one; float64[T].

    The forecast is an EWMA of squares, v' = decay·v + (1 − decay)·x², from the mean of the first periods.
    """
    variance = 0.0
    first = logs[:WARM_UP]
    for x in first.tolist():
        variance += x * x / len(first)
    forecast = np.zeros(len(logs))
    for k, x in enumerate(logs.tolist()):
        forecast[k] = variance
        variance = decay * variance + (1.0 - decay) * x * x
    return np.where(forecast > 0.0, logs * np.sqrt(variance / np.where(forecast > 0.0, forecast, 1.0)), logs)


def check_scenarios(p: ScenarioParameters) -> None:
    """Refuses what no scenarios can be made of; UnsafeParameters names the parameter."""
    bounds = FACTOR_BOUNDS | {
        "columns": (2, COLUMNS_MAX),
        "seed": (0, 2**63),
        "degrees": (0, 100),
        "jumps_per_year": (0, HOURS_PER_YEAR),
        "period_hours": (1, HOURS_PER_YEAR),
        "decay_ppm": (500_000, PPM),
        "filter_ppm": (500_000, PPM - 1),
    }
    check_bounds(p, bounds)
    if p.degrees in (1, 2):
        raise UnsafeParameters("degrees", str(p.degrees), "0, or 3 or more: below, moves have no variance")
    if p.source != "monte-carlo":
        _check_history(p)


def _check_history(p: ScenarioParameters) -> None:
    if not p.history_ppm:
        raise UnsafeParameters("history_ppm", f"none, with source {p.source}", "relative moves by underlying")
    count = len(next(iter(p.history_ppm.values())))
    if not 2 <= count <= COLUMNS_MAX:
        raise UnsafeParameters("periods of history", str(count), f"2 to {COLUMNS_MAX:,}")
    for field in ("history_ppm", "vol_history_ppm"):
        for name, values in getattr(p, field).items():
            if len(values) != count:
                raise UnsafeParameters(f"{field} of {name}", f"{len(values)} periods", f"{count}, as the others have")
            if min(values) <= -PPM or max(values) > 1_000 * PPM:
                raise UnsafeParameters(f"{field} of {name}", "a fall of 100 % or more", "relative moves above -100 %")
