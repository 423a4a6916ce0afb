"""Capital efficiency: what each margin model locks up of a book's collateral, and how much risk that covers.

One yardstick for all models: the expected shortfall of each account, its bare tail without minima, haircuts
or charges for size, at one confidence over one horizon. Against it stand what a model demands, what it leaves
idle, what it saves against isolated margin (`fixed`), and how many moves, modelled or realised, the margin
covers. Figures are integers with named roundings; each is defined in docs/models.md, "Capital efficiency".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np

from seawall.core.errors import InputError
from seawall.core.units import PPM, format_micro
from seawall.kernels import tail
from seawall.kernels.tables import Tables
from seawall.margin.coverage import Covered, coverage, gross_notional, remembered
from seawall.margin.evaluate import Result, check_exposure, evaluate_bound
from seawall.margin.models import resolve
from seawall.margin.single import restrict
from seawall.margin.tail import ExpectedShortfallModel

__all__ = ["BASELINE", "MODELS", "RATIO_PPM_MAX", "Efficiency", "Totals", "UnderModel", "efficiency", "efficiency_bound", "ratio_ppm"]

Array = np.ndarray[Any, Any]

MODELS = ("fixed", "cross", "portfolio", "greeks", "expected-shortfall")
BASELINE = "fixed"
RATIO_PPM_MAX = 10**15
"""A ratio is never said to be more than a thousand million."""
UNDEFINED = -1
_WORDS = {"initial": "initial_margin", "maintenance": "maintenance_margin", "shortfall": "expected_shortfall"}
_LOW = (1 << 32) - 1


@dataclass(frozen=True, eq=False)
class UnderModel:
    """The book under one model. Arrays are int64[A], one entry per account; micro or ppm by their last word.

    unsupported: why the model cannot margin the book; then every array is empty and there are no totals.
    equity_micro: as the model rounds it. locked_micro + idle_micro = equity_micro where that is not negative.
    saved_micro: initial margin under `fixed` less that under this model (None where `fixed` cannot margin the
    book). ratios: -1 where the denominator is 0. worst_uncovered_micro: the most that one move takes beyond
    initial margin, summed over accounts.
    """

    model: str
    unsupported: str = ""
    equity_micro: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    initial_micro: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    maintenance_micro: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    locked_micro: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    idle_micro: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    saved_micro: Array | None = None
    per_shortfall_ppm: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    per_notional_ppm: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    covered_initial_ppm: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    covered_maintenance_ppm: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    worst_uncovered_micro: int = 0


class Totals(msgspec.Struct, frozen=True):
    """A book, or some accounts of it, under one model: sums over accounts, and the ratios of the sums. None where a
    denominator is 0, or `fixed` cannot margin the book."""

    accounts: int
    equity_micro: int
    shortfall_micro: int
    notional_micro: int
    initial_micro: int
    maintenance_micro: int
    locked_micro: int
    idle_micro: int
    saved_micro: int | None
    saved_ppm: int | None
    used_ppm: int | None
    per_shortfall_ppm: int | None
    per_notional_ppm: int | None
    covered_initial_ppm: int | None
    covered_maintenance_ppm: int | None


@dataclass(frozen=True, eq=False)
class Efficiency:
    """A book under several models. names: its accounts, as in `evaluate`.

    shortfall_micro, notional_micro: int64[A], the yardstick and the gross notional of each account. holds: bool[A],
    whether it has positions. confidence_ppm, horizon_hours: of the yardstick. moves: how many moves coverage
    counts; source: where they are from ("monte-carlo", "historical", "filtered", "given").
    """

    names: list[str]
    settlement: str
    equity_micro: Array
    shortfall_micro: Array
    notional_micro: Array
    holds: Array
    confidence_ppm: int
    horizon_hours: int
    moves: int
    source: str
    models: tuple[UnderModel, ...]

    def totals(self, under: UnderModel, rows: Sequence[int] | None = None) -> Totals:
        """Sums over the book, or over the accounts with these numbers. InputError where the model cannot margin it."""
        if under.unsupported:
            raise InputError(f"model {under.model}", under.unsupported, "a book that it can margin")
        some = np.arange(len(self.names)) if rows is None else np.asarray(rows, np.int64)
        equity, initial = _total(under.equity_micro[some]), _total(under.initial_micro[some])
        shortfall, notional = _total(self.shortfall_micro[some]), _total(self.notional_micro[some])
        locked, idle = _total(under.locked_micro[some]), _total(under.idle_micro[some])
        saved = saved_ppm = None
        if under.saved_micro is not None:
            saved = _total(under.saved_micro[some])
            before = saved + initial
            saved_ppm = saved * PPM // before if before > 0 else None
        needed = _total(np.maximum(under.initial_micro[some], 0))
        holders = some[self.holds[some]]
        covered = [
            int(each[holders].sum()) // len(holders) if len(holders) else None
            for each in (under.covered_initial_ppm, under.covered_maintenance_ppm)
        ]
        return Totals(
            accounts=len(some),
            equity_micro=equity,
            shortfall_micro=shortfall,
            notional_micro=notional,
            initial_micro=initial,
            maintenance_micro=_total(under.maintenance_micro[some]),
            locked_micro=locked,
            idle_micro=idle,
            saved_micro=saved,
            saved_ppm=saved_ppm,
            used_ppm=-(-locked * PPM // (locked + idle)) if locked + idle else None,
            per_shortfall_ppm=_ratio(needed, shortfall),
            per_notional_ppm=_ratio(needed, notional),
            covered_initial_ppm=covered[0],
            covered_maintenance_ppm=covered[1],
        )

    def to_polars(self) -> Any:
        """One row per model and account: amounts as Decimal(scale 6), ratios as float (null where undefined).
        Models that cannot margin the book have no rows."""
        import polars as pl

        def money(values: Array) -> Any:
            return pl.Series(values, dtype=pl.Int64).cast(pl.Decimal(38, 0)) / pl.Series([10**6]).cast(pl.Decimal(38, 6))

        def share(values: Array) -> Any:
            return pl.Series(np.where(values == UNDEFINED, np.nan, values / PPM)).fill_nan(None)

        frames = []
        for each in self.models:
            if each.unsupported:
                continue
            nothing = pl.Series([None] * len(self.names), dtype=pl.Decimal(38, 6))
            frames.append(
                pl.DataFrame(
                    {
                        "model": [each.model] * len(self.names),
                        "account": self.names,
                        "equity": money(each.equity_micro),
                        "expected_shortfall": money(self.shortfall_micro),
                        "notional": money(self.notional_micro),
                        "initial_margin": money(each.initial_micro),
                        "maintenance_margin": money(each.maintenance_micro),
                        "locked": money(each.locked_micro),
                        "idle": money(each.idle_micro),
                        "saved": nothing if each.saved_micro is None else money(each.saved_micro),
                        "per_shortfall": share(each.per_shortfall_ppm),
                        "per_notional": share(each.per_notional_ppm),
                        "covered_initial": share(each.covered_initial_ppm),
                        "covered_maintenance": share(each.covered_maintenance_ppm),
                    }
                )
            )
        return pl.concat(frames) if frames else pl.DataFrame()

    def to_dict(self, rows: Sequence[int] | None = None) -> dict[str, Any]:
        """Totals of every model as plain data, for the book or some of its accounts: amounts as decimal strings."""
        return {
            "settlement": self.settlement,
            "confidence_ppm": self.confidence_ppm,
            "horizon_hours": self.horizon_hours,
            "moves": self.moves,
            "moves_from": self.source,
            "models": [self._plain(each, rows) for each in self.models],
        }

    def _plain(self, under: UnderModel, rows: Sequence[int] | None) -> dict[str, Any]:
        if under.unsupported:
            return {"model": under.model, "unsupported": under.unsupported}
        plain: dict[str, Any] = {"model": under.model}
        for name, value in msgspec.structs.asdict(self.totals(under, rows)).items():
            word = name.removesuffix("_micro")
            plain[_WORDS.get(word, word)] = value if word == name or value is None else format_micro(value)
        if rows is None:
            plain["worst_uncovered"] = format_micro(under.worst_uncovered_micro)
        return plain


def efficiency(
    book: Any,
    market: Any,
    models: Sequence[Any] = MODELS,
    moves_ppm: Mapping[str, Sequence[int]] | None = None,
    yardstick: ExpectedShortfallModel | None = None,
) -> Efficiency:
    """What each model locks up of a book's collateral, and how much risk that covers.

    book, market: as `evaluate` takes them. models: names or Models; one that cannot margin the book says why in its
    row. moves_ppm: moves that margin has to cover, relative, of each underlying over the yardstick's horizon, in
    step (`feeds.moves.horizon_moves`); None: the yardstick's own scenarios. yardstick: an `expected-shortfall`
    model, of which the scenarios, the horizon and the initial confidence count. Raises InputError for a book or
    moves that do not fit the market, UnsafeParameters for a yardstick that is none.
    """
    return efficiency_bound(book.bind(market), market, models, moves_ppm, yardstick)


def efficiency_bound(
    accounts: Any,
    market: Any,
    models: Sequence[Any] = MODELS,
    moves_ppm: Mapping[str, Sequence[int]] | None = None,
    yardstick: ExpectedShortfallModel | None = None,
) -> Efficiency:
    """`efficiency` of a bound book, or of some of its accounts (`Accounts.take`)."""
    measure = resolve("expected-shortfall" if yardstick is None else yardstick)
    if not isinstance(measure, ExpectedShortfallModel):
        raise InputError("yardstick", repr(measure.name), "an expected-shortfall model")
    chosen = [resolve(model) for model in models]
    bare = _bare(measure.tables(market))
    marked = evaluate_bound(accounts, bare, measure)
    found = [_evaluated(accounts, market, model) for model in chosen]
    base = next((each for model, each in zip(chosen, found, strict=True) if _is_baseline(model)), None)
    if base is None:
        base = _evaluated(accounts, market, resolve(BASELINE))
    values, weights, source = bare.values, bare.scenario_params[0], measure.parameters.source
    if moves_ppm is not None:
        tables = remembered(measure, moves_ppm, market, accounts).tables(market)
        check_exposure(accounts, tables)
        values, weights, source = tables.values, tables.scenario_params[0], "given"
    results = [each for each in found if isinstance(each, Result)]
    counted = iter(coverage(accounts, values, weights, results))
    notional = gross_notional(accounts, market)
    shortfall = marked.initial_margin_micro
    return Efficiency(
        names=accounts.names,
        settlement=market.settlement,
        equity_micro=marked.equity_micro,
        shortfall_micro=shortfall,
        notional_micro=notional,
        holds=np.diff(accounts.row_ptr) > 0,
        confidence_ppm=measure.parameters.initial_confidence_ppm,
        horizon_hours=measure.parameters.horizon_hours,
        moves=len(weights),
        source=source,
        models=tuple(
            UnderModel(model.name, unsupported=each)
            if isinstance(each, str)
            else _under(model.name, each, base, shortfall, notional, next(counted))
            for model, each in zip(chosen, found, strict=True)
        ),
    )


def ratio_ppm(part: Array, whole: Array) -> Array:
    """int64[n]: ⌈part·10⁶ / whole⌉ of int64 part >= 0 and 0 <= whole < 2**56, at most RATIO_PPM_MAX; -1 where whole
    is 0. Long division in steps of a hundred, so that nothing leaves int64."""
    over = np.maximum(whole, 1)
    quotient, rest = np.divmod(part, over)
    most = quotient >= RATIO_PPM_MAX // PPM
    quotient = np.where(most, 0, quotient)
    for _ in range(3):
        more, rest = np.divmod(rest * 100, over)
        quotient = quotient * 100 + more
    out = np.where(most, RATIO_PPM_MAX, quotient + (rest > 0))
    return np.where(whole > 0, out, UNDEFINED)


def _ratio(part: int, whole: int) -> int | None:
    return min(-(-part * PPM // whole), RATIO_PPM_MAX) if whole > 0 else None


def _total(values: Array) -> int:
    """The sum as a Python int, exact whatever its size."""
    return (int((values >> 32).sum()) << 32) + int((values & _LOW).sum())


def _evaluated(accounts: Any, market: Any, model: Any) -> Result | str:
    """The book under a model, or why it cannot margin it. A product that the market lists and nobody holds is no
    reason: then the model gets what is held alone."""
    try:
        return evaluate_bound(accounts, model.tables(market), model)
    except InputError as error:
        refusal = str(error)
    held = np.unique(accounts.leg)
    symbols = {market.legs.symbols[leg] for leg in held}
    instruments = {name: each for name, each in market.instruments.items() if name in symbols}
    if len(held) == 0 or len(instruments) != len(symbols) or len(symbols) == len(market.instruments):
        return refusal  # nothing to leave out, or legs that are not one instrument each
    legs = restrict(market.legs, held)
    board = SimpleNamespace(
        legs=legs, instruments=instruments, as_of_ns=market.as_of_ns, rate=market.rate, underlyings=market.underlyings
    )
    renumbered = replace(accounts, leg=np.searchsorted(held, accounts.leg).astype(np.int32))
    try:
        return evaluate_bound(renumbered, model.tables(board), model)
    except InputError as error:
        return str(error)


def _is_baseline(model: Any) -> bool:
    return bool(model.name == BASELINE and model.parameters == resolve(BASELINE).parameters)


def _bare(tables: Tables) -> Tables:
    """The tail alone: no haircuts, minima or charges for size, and a factor of one."""
    scalars = tables.scalars.copy()
    scalars[tail.SCALAR_FACTOR_INITIAL] = scalars[tail.SCALAR_FACTOR_MAINTENANCE] = PPM
    return tables._replace(extra=np.zeros_like(tables.extra), scalars=scalars)


def _under(
    name: str, result: Result, base: Result | str, shortfall: Array, notional: Array, covered: Covered
) -> UnderModel:
    initial = result.initial_margin_micro
    needed, there = np.maximum(initial, 0), np.maximum(result.equity_micro, 0)
    locked = np.minimum(needed, there)
    return UnderModel(
        model=name,
        equity_micro=result.equity_micro,
        initial_micro=initial,
        maintenance_micro=result.maintenance_margin_micro,
        locked_micro=locked,
        idle_micro=there - locked,
        saved_micro=None if isinstance(base, str) else base.initial_margin_micro - initial,
        per_shortfall_ppm=ratio_ppm(needed, shortfall),
        per_notional_ppm=ratio_ppm(needed, notional),
        covered_initial_ppm=covered.initial_ppm,
        covered_maintenance_ppm=covered.maintenance_ppm,
        worst_uncovered_micro=covered.worst_uncovered_micro,
    )
