"""Trades tried on one account before they happen: its legs and those of the candidates in one table, exactly.

A search for trades asks thousands of times what an account would have and need. `Trials` prices the account's
legs and the candidates' once; a trial is then a row of lots, and many rows are one call of the account kernel
that decides everywhere else. What a trade costs (fees, half the spread) is taken out of cash with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import msgspec
import numpy as np

from seawall.core.errors import BadNumber, ExpiredInstrument, InputError, UnsafeParameters
from seawall.core.times import format_ns
from seawall.core.units import PPM, VALUE_NANO_MAX
from seawall.kernels.account import evaluate_accounts
from seawall.margin.single import Figures, Single

__all__ = ["IMPOSSIBLE", "TradingCosts", "Trials"]

IMPOSSIBLE = -(2**62)
Array = np.ndarray[Any, Any]


class TradingCosts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What trading costs, ppm: fees of the notional (index × lot), half spreads of the notional of linear
    contracts and of the mark of options. Rounded up to a micro a lot."""

    fee_ppm: int = 500
    spread_ppm: int = 100
    option_fee_ppm: int = 300
    option_spread_ppm: int = 20_000

    def checked(self) -> TradingCosts:
        """Itself; UnsafeParameters outside 0 to 1,000,000, or where fees are zero: then nothing is cheapest."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if not (1 if "fee" in name else 0) <= value <= PPM:
                raise UnsafeParameters(f"costs: {name}", f"{value} ppm", f"{int('fee' in name)} to 1,000,000 ppm")
        return self


class Trials:
    """One account and candidate instruments; see the module.

    candidates: symbols, or the most lots by symbol (None: as many as limits allow). Raises InputError where the
    market does not have one, the model cannot margin one, or one has expired.
    Attributes: single, the account over its legs and the candidates'; symbols; lot_cost_micro int64[m];
    mark_nano int64[m]: what one lot trades at, 0 for inverse contracts; notional_nano int64[m]: index × lot;
    buys, sells int64[m]: the most lots of each; touches float64[m, n]: lots of each leg per lot of a candidate;
    base: the account's figures as it is; asked: how many trials were evaluated.
    """

    def __init__(self, account: Single, candidates: Mapping[str, int | None], costs: TradingCosts) -> None:
        market = account.market
        legs = market.legs
        self.symbols = tuple(candidates)
        expanded = [_legs_of(market, symbol) for symbol in self.symbols]
        held = dict(zip(account.of_board.tolist(), account.lots_of_board(), strict=True))
        union = np.array(sorted(held.keys() | {leg for found in expanded for leg in found}), np.int32)
        lots = np.array([held.get(leg, 0) for leg in union.tolist()], np.int64)
        self.single = Single(market, account.model, union, lots, account.cash_nano)
        at = {name: k for k, name in enumerate(self.single.legs.symbols)}
        self.lots = self.single.lots
        self.base = self.single.evaluate()
        self.asked = 0
        count = len(self.symbols)
        self._own = np.zeros((count, len(self.lots)), np.int64)
        self._coin: dict[int, tuple[int, Fraction]] = {}
        self.touches = np.zeros((count, len(self.lots)))
        for c, symbol in enumerate(self.symbols):
            for leg, each in legs.expand(symbol):
                self._own[c, at[legs.symbols[leg]]] = each
            self.touches[c] = self._own[c]
            if market.instruments[symbol].inverse:
                coin = at[legs.symbols[legs.coin_leg(market.instruments[symbol].underlying)]]
                self._coin[c] = coin, _coins(market, symbol)
                self.touches[c, coin] += float(self._coin[c][1])
        marks = self.single.tables.values[:, 0]
        inverse = np.array([c in self._coin for c in range(count)], bool)
        self._option = (self._own @ (self.single.legs.right != 0)) > 0
        self.mark_nano = np.where(inverse, 0, self._own @ marks)
        self.lot_cost_micro = self._costs(costs, marks)
        self._limits()
        self._bound(list(candidates.values()), account)

    def evaluate(self, lots: Array) -> Array:
        """int64[T, 4] of equity, initial and maintenance margin (micro) and worst scenario after each row of
        int64[T, m] lots; equity is IMPOSSIBLE where limits of values would be exceeded."""
        held = self.lots + self._traded(lots)
        size = np.abs(lots)
        cash = self.single.cash_nano - lots @ self.mark_nano - size @ (1000 * self.lot_cost_micro)
        cash -= ((size + 1) * ((lots < 0) & self._option)).sum(axis=1)
        worth = np.abs(held).astype(np.float64) @ self._worth + np.abs(cash.astype(np.float64))
        fits = worth < VALUE_NANO_MAX
        held[~fits] = 0
        mask = held != 0
        ends = np.cumsum(mask.sum(axis=1), dtype=np.int64)
        starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
        out = np.zeros((len(lots), 4), np.int64)
        which = np.nonzero(mask)[1].astype(np.int32)
        evaluate_accounts(self.single.model.kind, self.single.tables, starts, ends, which, held[mask], cash, out)
        out[~fits, 0] = IMPOSSIBLE
        self.asked += len(lots)
        return out

    def free(self, lots: Array) -> Array:
        """int64[T]: equity less initial margin, micro, after each row of lots; what an account needs is ≥ 0."""
        out = self.evaluate(lots)
        return np.asarray(out[:, 0] - np.where(out[:, 0] == IMPOSSIBLE, 0, out[:, 1]))

    def figures(self, lots: Array) -> Figures:
        """After one row of lots."""
        return Figures(*self.evaluate(np.asarray(lots, np.int64)[None, :])[0].tolist())

    def cost_micro(self, lots: Array) -> int:
        """What a row of lots costs to trade."""
        return sum(int(n) * int(each) for n, each in zip(np.abs(lots), self.lot_cost_micro, strict=True))

    def held_lots(self, c: int) -> int:
        """Lots of a candidate that the account holds (of a basket: as far as all its legs are held)."""
        mine = [int(lots) for lots, each in zip(self.lots, self._own[c], strict=True) if each]
        return min(mine, key=abs) if min(mine) * max(mine) > 0 else 0

    def _traded(self, lots: Array) -> Array:
        """int64[T, n]: lots of each leg that rows of lots add."""
        used = np.flatnonzero(lots.any(axis=0))
        out = np.asarray(lots[:, used] @ self._own[used])
        for c, (coin, rate) in self._coin.items():
            out[:, coin] += [int(n) * rate.numerator // rate.denominator for n in lots[:, c]]
        return out

    def _costs(self, costs: TradingCosts, marks: Array) -> Array:
        self.notional_nano = notional = self._own @ self.single.legs.notional_nano
        linear = notional * (costs.fee_ppm + costs.spread_ppm)
        option = notional * costs.option_fee_ppm + (self._own @ np.abs(marks)) * costs.option_spread_ppm
        ppm = np.where(self._option, option, linear)
        return np.asarray(np.maximum(-(-ppm // (1000 * PPM)), 1))

    def _limits(self) -> None:
        """The most that a lot of each leg counts for in the limit of values."""
        largest = np.abs(self.single.tables.values).max(axis=1, initial=0)
        self._worth = np.maximum(largest, self.single.legs.limit_nano).astype(np.float64)

    def _bound(self, most: list[int | None], account: Single) -> None:
        """A hedge costs no more than equity, since no margin is negative; spot is sold only as far as it is held."""
        worth = np.abs(self.lots).astype(np.float64) @ self._worth + abs(account.cash_nano)
        room = max(VALUE_NANO_MAX - worth, 0.0) / 2
        buys = np.zeros(len(self.symbols), np.int64)
        sells = np.zeros(len(self.symbols), np.int64)
        for c, symbol in enumerate(self.symbols):
            size = int(room / max(float(np.abs(self.touches[c]) @ self._worth), 1.0))
            size = min(size, max(self.base.equity, 0) // int(self.lot_cost_micro[c]))
            limit = most[c]
            size = size if limit is None else min(size, limit)
            buys[c] = sells[c] = size
            if account.market.instruments[symbol].kind == "spot":
                sells[c] = min(size, max(self.held_lots(c), 0))
        self.buys, self.sells = buys, sells


def _legs_of(market: Any, symbol: str) -> list[int]:
    """Legs that trading an instrument touches, its coin included."""
    legs = [leg for leg, _ in market.legs.expand(symbol)]
    instrument = market.instruments[symbol]
    if 0 < instrument.expiry_ns <= market.as_of_ns:
        raise ExpiredInstrument(symbol, f"a contract that expired at {format_ns(instrument.expiry_ns)}", "one to trade")
    if instrument.inverse:
        legs.append(market.legs.coin_leg(instrument.underlying))
    return legs


def _coins(market: Any, symbol: str) -> Fraction:
    """Lots of coin per lot of an inverse contract that is entered at the mark."""
    instrument = market.instruments[symbol]
    number, over = market.legs.coin_lot(instrument.underlying)
    entry = Fraction(market.index[instrument.underlying]) * market.quotes[symbol].ratio
    return Fraction(instrument.lot) / entry * over / number


def most_lots(market: Any, candidates: Sequence[Any] | Mapping[str, Any]) -> dict[str, int | None]:
    """Most lots by symbol of candidates given as symbols, or as most quantities by symbol."""
    out: dict[str, int | None] = {}
    pairs = candidates.items() if isinstance(candidates, Mapping) else [(symbol, None) for symbol in candidates]
    for symbol, quantity in pairs:
        market.legs.expand(symbol)
        if symbol in out:
            raise InputError("candidates", f"{symbol} twice", "each instrument once")
        lots = None if quantity is None else market.instruments[symbol].lots_of(quantity)
        if lots is not None and lots < 0:
            raise BadNumber(f"candidate {symbol}", str(quantity), "the most to buy or sell, zero or more")
        out[symbol] = lots
    return out
