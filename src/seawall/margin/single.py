"""One account at any market: its legs alone, re-priced and evaluated in microseconds.

`evaluate` prices every leg of a board; a question about one account needs its few. `Single` holds
those legs, their tables made once, and refreshes only what a price, a volatility or the time
moves; the account kernels then answer exactly what they would answer on the whole board. Tools
that ask many such questions (`liquidation.py`, `headroom.py`, `diff.py`) stand on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from seawall.core.errors import BadNumber, InputError, LimitExceeded, StaleEvent, UnknownInstrument
from seawall.core.times import format_ns
from seawall.core.units import LOT_VALUE_NANO_MAX, NANO, parse_positive, to_int_exact
from seawall.kernels.account import evaluate_one
from seawall.kernels.board import NEVER, fill_cells, price_cells
from seawall.kernels.tables import CELLS, TIERS, Tables
from seawall.kernels.tier_rows import fill_tiers
from seawall.margin.evaluate import EXPOSURE_LIMIT_NANO
from seawall.margin.model import leg_arrays
from seawall.margin.models import resolve

OPTION_ROLE = 3
IV_LEAST, IV_MOST = 1e-6, 99.999999
_BY_LEG = (
    "instrument kind role underlying expiry_ns fix_ns block strike_group value_nano notional_nano limit_nano value_num "
    "value_den lot_num lot_den lot ratio strike right iv haircut_ppm open_interest_lots"
).split()


class Figures(NamedTuple):
    """What an account has and needs, micro; worst: the index that `Model.worst_label` words."""

    equity: int
    initial: int
    maintenance: int
    worst: int

    @property
    def health(self) -> int:
        """Equity less maintenance margin; negative: liquidatable."""
        return self.equity - self.maintenance

    @property
    def free(self) -> int:
        """Equity less initial margin."""
        return self.equity - self.initial


class Rows(NamedTuple):
    """Rows of an account's legs at one set of prices: values int64[n, C], extra int64[n, K]."""

    values: np.ndarray
    extra: np.ndarray


class Single:
    """One account's positions on a market and a model.

    market, model: as `evaluate` takes them. legs: int32[n] of `market.legs`, rising; lots:
    int64[n]; cash_nano: as in `Accounts`. Raises what `evaluate` raises for such a market.
    Attributes: prices_nano int64[U], iv float64[n], now_ns: the present, from which questions depart.
    """

    def __init__(self, market: Any, model: Any, legs: Any, lots: Any, cash_nano: int) -> None:
        self.market = market
        self.model = resolve(model)
        self.of_board = np.asarray(legs, np.int32)
        self.held = len(legs)
        self.cash_nano = int(cash_nano)
        # a block's largest lot and forward set its units under a venue's payoff rule, held or not
        shown = self.of_board
        if self.model.kind not in (CELLS, TIERS):
            shown = _with_companions(market.legs, self.of_board)
        self.legs = restrict(market.legs, shown)
        self.lots = np.zeros(len(shown), np.int64)
        self.lots[np.searchsorted(shown, self.of_board)] = lots
        self.position = np.flatnonzero(self.lots).astype(np.int32)
        self.size = np.ascontiguousarray(self.lots[self.position])
        self.prices_nano = np.asarray(market.legs.index_nano, np.int64)
        self.iv = self.legs.iv
        self.now_ns = int(market.as_of_ns)
        self.rate = float(market.rate)
        self.underlyings: tuple[str, ...] = market.underlyings
        self.tables: Tables = self.model.tables(self._board(self.legs, self.now_ns, market.instruments))
        self.arrays = leg_arrays(self.legs)
        self.every = np.arange(len(shown), dtype=np.int32)
        self._fast = self.model.kind == TIERS or (self.model.kind == CELLS and hasattr(self.model, "shocks"))
        if self._fast and self.model.kind == CELLS:
            model_: Any = self.model
            self.shocks = model_.shocks(self.underlyings)
            self.constants = model_.constants(self.rate)
            self.steps = model_.anchor_steps(self.underlyings)
        self._gaps = np.full((len(shown), 3), NEVER)
        self._lot_count = np.abs(self.lots).astype(np.float64)
        strikes = np.abs(self.legs.lot) * NANO * np.where(self.legs.kind == 1, self.legs.strike, 0.0)
        self._strike_nano = float(strikes.max(initial=0.0))
        dynamic = np.where(self.legs.kind == 2, np.maximum(1.0, self.legs.strike), 1.0)
        # largest value of a lot per unit of each index, whatever the volatility
        self._unit = np.zeros(len(self.underlyings))
        np.maximum.at(self._unit, self.legs.underlying, np.abs(self.legs.lot) * self.legs.ratio * dynamic)

    @classmethod
    def of(cls, book: Any, market: Any, model: Any, account: str) -> Single:
        """The named account of a book; InputError where the book has none of that name."""
        accounts = book.bind(market)
        if account not in accounts.names:
            raise InputError("account", repr(account), "an account of the book")
        row = accounts.names.index(account)
        first, last = accounts.row_ptr[row], accounts.row_ptr[row + 1]
        return cls(market, model, accounts.leg[first:last], accounts.lots[first:last], accounts.cash_nano[row])

    def prices(self, index: Mapping[str, Any]) -> np.ndarray:
        """int64[U] nano: the present index prices with some replaced; at most nine decimals each."""
        out = self.prices_nano.copy()
        for name, price in index.items():
            out[self.number(name)] = to_int_exact(parse_positive(price, f"index of {name}"), NANO, f"index of {name}")
        return out

    def number(self, underlying: str) -> int:
        """The position of an underlying in the arrays by underlying; UnknownInstrument otherwise."""
        if underlying not in self.underlyings:
            raise UnknownInstrument("underlying", repr(underlying), "one of " + ", ".join(self.underlyings))
        return self.underlyings.index(underlying)

    def vols(self, relative: float = 0.0, points: float = 0.0) -> np.ndarray:
        """float64[n] vols: each present one × (1 + relative) + points, held within what a market takes."""
        if not np.isfinite([relative, points]).all():
            raise BadNumber("vol", f"{relative}, {points}", "finite moves")
        return np.clip(self.iv * (1.0 + relative) + points, IV_LEAST, IV_MOST)

    def evaluate(
        self,
        prices_nano: np.ndarray | None = None,
        iv: np.ndarray | None = None,
        now_ns: int | None = None,
        cash_nano: int = 0,
    ) -> Figures:
        """Exactly what `evaluate` says of the account on a market with these prices, vols and time.

        prices_nano: int64[U] (`prices`); iv: float64[n] (`vols`); now_ns: not before the present;
        cash_nano: further cash. None: the present. Raises LimitExceeded beyond the limits of values.
        """
        rows = self.rows(prices_nano, iv, now_ns)
        return self.figures(self.tables._replace(values=rows.values, extra=rows.extra), cash_nano)

    def worth(self, values: np.ndarray, cash_nano: int = 0) -> float:
        """Σ |lots| × the largest entry of each row, and |cash|, nano: what has to fit int64."""
        largest = np.abs(values).max(axis=1, initial=0).astype(np.float64)
        return float(self._lot_count @ largest) + abs(self.cash_nano + cash_nano)

    def figures(self, tables: Tables, cash_nano: int = 0, checked: bool = False) -> Figures:
        """The account under tables of its legs; LimitExceeded where its sums could leave int64.

        checked: the caller knows that they do not.
        """
        cash = self.cash_nano + int(cash_nano)
        worth = 0.0 if checked else self.worth(tables.values, int(cash_nano))
        if worth >= EXPOSURE_LIMIT_NANO:
            found = f"positions and cash worth {worth / NANO:.6g}"
            raise LimitExceeded("account", found, f"less than {EXPOSURE_LIMIT_NANO // NANO:,}")
        return Figures(*evaluate_one(self.model.kind, tables, self.position, self.size, cash).tolist())

    def rows(
        self,
        prices_nano: np.ndarray | None = None,
        iv: np.ndarray | None = None,
        now_ns: int | None = None,
        cells: tuple[np.ndarray, int] | None = None,
    ) -> Rows:
        """Fresh or reused rows at a market; valid until the next call where `cells` is None.

        cells: first anchor cell by underlying (int64[U]) and how many the gaps are to hold on:
        then the rows are new arrays. Only models with fast rows take it.
        """
        prices = self.prices_nano if prices_nano is None else prices_nano
        now = self._later(now_ns)
        self._refuse(prices)
        if not self._fast:
            return self._whole(prices, self.iv if iv is None else iv, now)
        arrays = self.arrays if iv is None else self.arrays._replace(iv=np.ascontiguousarray(iv))
        index = prices / NANO
        if self.model.kind == TIERS:
            tables = self.tables
            if cells is not None:
                tables = tables._replace(values=tables.values.copy(), extra=tables.extra.copy())
            fill_tiers(arrays, self.every, index, now, self.rate, tables)
            return Rows(tables.values, tables.extra)
        values, extra, gaps = self.tables.values, self.tables.extra, self._gaps
        first, span = price_cells(index, self.steps), 1
        if cells is not None:
            values, extra, (first, span) = values.copy(), extra.copy(), cells
        if cells is not None or iv is not None:
            gaps = np.full((len(self.lots), 3), NEVER)
            self._gaps[:] = NEVER
        fill_cells(
            arrays, self.every, index, first, span, self.steps, 0, np.zeros(2), now, self.shocks, self.constants,
            self.model.parameters.short_minimum_ppm, gaps, values, extra,
        )  # fmt: skip
        return Rows(values, extra)

    @property
    def bounded(self) -> bool:
        """Whether rows are monotone in a price, so that bounds over an interval can be proved."""
        return self._fast

    def traded(self, changes: Mapping[int, int], cash_nano: int) -> Single:
        """The account with further lots of legs of the board and further cash."""
        held = dict(zip(self.of_board.tolist(), self.lots_of_board(), strict=True))
        for leg, further in changes.items():
            held[leg] = held.get(leg, 0) + further
        legs = sorted(leg for leg, each in held.items() if each)
        lots = np.array([held[leg] for leg in legs], np.int64)
        return Single(self.market, self.model, np.array(legs, np.int32), lots, self.cash_nano + cash_nano)

    def lots_of_board(self) -> list[int]:
        """Lots of each leg of `of_board`."""
        return [int(each) for each in self.size]

    def _later(self, now_ns: int | None) -> int:
        now = self.now_ns if now_ns is None else int(now_ns)
        if now < self.now_ns:
            raise StaleEvent("now_ns", format_ns(now), f"a time from {format_ns(self.now_ns)} on")
        return now

    def _refuse(self, prices: np.ndarray) -> None:
        """The limit on the value of one lot that `Legs.checked` holds a market to."""
        largest = max(float((self._unit * prices).max(initial=0.0)), self._strike_nano)
        if largest >= LOT_VALUE_NANO_MAX:
            found = f"a lot worth {largest / NANO:.0f}"
            raise LimitExceeded("index", found, f"at most {Decimal(LOT_VALUE_NANO_MAX) / NANO} a lot")

    def _whole(self, prices: np.ndarray, iv: np.ndarray, now: int) -> Rows:
        """The model's own tables: for models whose rows are not refreshed leg by leg."""
        legs = replace(self.legs, iv=iv).with_index(np.asarray(prices, np.int64))
        self.tables = self.model.tables(self._board(legs, now, {}))
        return Rows(self.tables.values, self.tables.extra)

    def _board(self, legs: Any, now_ns: int, instruments: Mapping[str, Any]) -> Any:
        return SimpleNamespace(
            legs=legs, as_of_ns=now_ns, rate=self.rate, underlyings=self.underlyings, instruments=instruments
        )


def restrict(legs: Any, which: np.ndarray) -> Any:
    """The legs `which` (int32, rising) alone; blocks, strikes and underlyings keep their numbers."""
    changes: dict[str, Any] = {name: np.ascontiguousarray(getattr(legs, name)[which]) for name in _BY_LEG}
    return replace(legs, symbols=[legs.symbols[leg] for leg in which], leg_of={}, coin_of={}, **changes)


def _with_companions(legs: Any, which: np.ndarray) -> np.ndarray:
    """`which` and, of each of their blocks, the options of the largest lot and the largest forward."""
    found = set(which.tolist())
    for block in np.unique(legs.block[which]):
        options = np.flatnonzero((legs.block == block) & (legs.role == OPTION_ROLE))
        if len(options):
            found |= {int(options[np.argmax(legs.lot[options])]), int(options[np.argmax(legs.ratio[options])])}
    return np.array(sorted(found), np.int32)


__all__ = ["Figures", "Rows", "Single", "restrict"]
