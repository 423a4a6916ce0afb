"""One account's positions as something to close: whole lots of each, what closing costs, and exact figures afterwards.

The searches of `legs.py` ask thousands of times what an account would have and need after closing some lots. A row is
the lots to close of each instrument held, unsigned; many rows are one call of the account kernel that decides
everywhere else, cost paid. `allowed` turns any row into one that the market can use.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from seawall.core.errors import InputError
from seawall.core.units import PPM
from seawall.liquidation.size import SizeRules, gap
from seawall.margin.single import Figures, Single
from seawall.margin.trials import IMPOSSIBLE, TradingCosts, Trials

__all__ = ["Positions", "execution_costs"]

Array = np.ndarray[Any, Any]
NANO_PER_MICRO = 1_000


def execution_costs(spread_ppm: int = 100, option_spread_ppm: int = 20_000) -> TradingCosts:
    """Half spreads alone (ppm of notional, of the mark of options); the liquidation fee is `SizeRules.fee_ppm`."""
    return TradingCosts(fee_ppm=1, spread_ppm=spread_ppm, option_fee_ppm=1, option_spread_ppm=option_spread_ppm)


class Positions:
    """The instruments that an account holds, m of them, in the order of the market's legs.

    single: the account (`margin.single`). impact_ppm: further cost by symbol, of the notional: what the routes quote.
    Coins left over from inverse contracts are no instrument and stay. Raises what `Trials` raises for its market.
    Attributes: symbols; held int64[m] signed lots; size int64[m] their sizes; lot_cost_micro, lot_fee_micro int64[m];
    notional_nano int64[m] of a lot; before: figures as they are; asked: rows evaluated.
    """

    def __init__(
        self,
        single: Single,
        rules: SizeRules,
        costs: TradingCosts | None = None,
        impact_ppm: Mapping[str, int] | None = None,
    ) -> None:
        legs, names = single.legs, list(single.market.instruments)
        numbers = dict.fromkeys(number for number in legs.instrument[single.position].tolist() if number >= 0)
        self.rules = rules.checked()
        self.trials = Trials(single, dict.fromkeys(names[number] for number in numbers), costs or execution_costs())
        count = len(self.trials.symbols)
        held = np.array([self.trials.held_lots(c) for c in range(count)], np.int64)
        self.symbols = self.trials.symbols
        self.held, self.size, self.sign = held, np.abs(held), np.sign(held)
        self.underlying = _underlyings(single, self.symbols)
        self.notional_nano = np.abs(self.trials.notional_nano)
        traded = np.where(self.trials.mark_nano != 0, np.abs(self.trials.mark_nano), self.notional_nano)
        self.lot_fee_micro = _rate(traded, self.rules.fee_ppm)
        impact = np.array([_impact(impact_ppm or {}, symbol) for symbol in self.symbols], np.int64)
        self.trials.lot_cost_micro = self.trials.lot_cost_micro + self.lot_fee_micro + _rate(self.notional_nano, impact)
        self.lot_cost_micro: Array = self.trials.lot_cost_micro
        self.before: Figures = self.trials.base
        lot = np.maximum(self.notional_nano, 1)
        self.least = np.minimum(np.maximum(-(-self.rules.minimum_micro * NANO_PER_MICRO // lot), 1), self.size)
        self.dust = np.maximum(-(-self.rules.dust_micro * NANO_PER_MICRO // lot), 1)
        self.asked = 0

    def __len__(self) -> int:
        return len(self.symbols)

    def outcomes(self, rows: Array) -> Array:
        """int64[T, 4] of equity, initial, maintenance (micro) and worst after closing int64[T, m] rows, cost paid."""
        self.asked += len(rows)
        return self.trials.evaluate(-self.sign * rows)

    def gaps(self, rows: Array) -> Array:
        """int64[T]: equity less maintenance and its buffer; 0 or more: the liquidation ends there."""
        out = self.outcomes(rows)
        return np.where(out[:, 0] == IMPOSSIBLE, IMPOSSIBLE, gap(out[:, 0], out[:, 2], self.rules.buffer_ppm))

    def healths(self, rows: Array) -> Array:
        """int64[T]: equity less maintenance margin."""
        out = self.outcomes(rows)
        return np.where(out[:, 0] == IMPOSSIBLE, IMPOSSIBLE, out[:, 0] - out[:, 2])

    def figures(self, row: Array) -> Figures:
        """After one row."""
        return Figures(*self.outcomes(np.asarray(row, np.int64)[None, :])[0].tolist())

    def costs(self, rows: Array) -> Array:
        """int64[T]: what closing rows costs, micro."""
        return np.asarray(rows @ self.lot_cost_micro)

    def notional_micro(self, row: Array) -> int:
        """Notional of a row of lots, rounded up."""
        return -(-sum(int(n) * int(each) for n, each in zip(row, self.notional_nano, strict=True)) // NANO_PER_MICRO)

    def most(self) -> Array:
        """int64[m]: the most lots of each in one step, all of it where the share would leave dust."""
        share = self.rules.share_ppm
        part = self.size // PPM * share + self.size % PPM * share // PPM
        most = np.minimum(np.maximum(part, self.least), self.size)
        return np.where(self.size - most < self.dust, self.size, most)

    def allowed(self, rows: Array) -> Array:
        """The rows with sizes that can be traded: none, or from the minimum up to all less dust, or all. Rounded up."""
        rows = np.clip(rows, 0, self.size)
        rows = np.where(rows > 0, np.maximum(rows, self.least), 0)
        return np.where(self.size - rows < self.dust, np.where(rows > 0, self.size, 0), rows)


def _underlyings(single: Single, symbols: tuple[str, ...]) -> Array:
    """int64[m]: a number that positions of one underlying (a basket: its first) share."""
    return np.array([single.number(single.market.instruments[symbol].underlyings[0]) for symbol in symbols], np.int64)


def _rate(nano: Array, ppm: Any) -> Array:
    """ceil of a share of nano, in micro."""
    whole, rest = np.divmod(nano, NANO_PER_MICRO * PPM)
    return np.asarray(whole * ppm - (-rest * ppm) // (NANO_PER_MICRO * PPM))


def _impact(given: Mapping[str, int], symbol: str) -> int:
    ppm = given.get(symbol, 0)
    if not 0 <= ppm <= PPM:
        raise InputError(f"impact of {symbol}", f"{ppm} ppm", "0 to 1,000,000 ppm")
    return ppm
