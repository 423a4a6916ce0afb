"""One account, or some of them, out of the engine's book, as looks and the other side of a deleveraging need them.

Positions are those of instruments, in the order of the market's legs: a basket is one position, though it has several legs. Coins
left over from inverse contracts are money here, not a position. What depends on the market alone (the model's tables, deltas,
what a lot moves) is made once per version of the market.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from seawall.core.units import NANO
from seawall.engine.clearing import Clearing
from seawall.ledger.accounts import Accounts
from seawall.ledger.worth import pending_of
from seawall.margin.single import Single

__all__ = ["BookOf", "Position"]

Array = np.ndarray[Any, Any]


class Position(NamedTuple):
    """symbol, its first underlying, signed lots, the mark of a lot in nano, and how much moves with the underlying, in
    its notional (float: it decides nothing but an order)."""

    symbol: str
    underlying: str
    lots: int
    mark_nano: int
    notional: float


class BookOf:
    """The book of a clearing. All methods on the loop's thread; nothing of the clearing changes."""

    def __init__(self, clearing: Clearing) -> None:
        self.clearing = clearing
        self._version: tuple[int, int] | None = None
        self._market: Any = None
        self._tables: Any = None
        self._delta: Array | None = None
        legs = clearing.engine.watch.desk.base.legs
        self._names = list(clearing.engine.watch.desk.base.instruments)
        self._instrument = legs.instrument.tolist()

    def positions(self, row: int) -> list[Position]:
        """Of one account."""
        engine = self.clearing.engine
        base = engine.watch.desk.base
        legs, lots = engine.book.positions.rows(row)
        found: dict[int, tuple[int, int]] = {}
        for leg, count in zip(legs.tolist(), lots.tolist(), strict=True):
            number = self._instrument[leg]
            if number >= 0:
                _, before = found.get(number, (0, 0))
                found[number] = count, before + engine.watch.mark_nano(leg)
        out = []
        for number, (count, mark_nano) in found.items():
            instrument = base.instruments[self._names[number]]
            name = instrument.underlyings[0]
            index = int(engine.watch.desk.index_nano[engine.watch.underlying_index[name]])
            notional = abs(count) * float(instrument.lot) * index / NANO
            out.append(Position(instrument.symbol, name, count, mark_nano, notional))
        return out

    def gross_micro(self, rows: Array) -> Array:
        """int64[n]: notional of all positions of these accounts, micro, for their order in the queue."""
        engine = self.clearing.engine
        legs = engine.watch.desk.base.legs
        lot_micro = np.abs(legs.lot) * legs.ratio * (engine.watch.desk.index_nano[legs.underlying] / 1000.0)
        pool = engine.book.positions
        counts = pool.length[rows]
        ends = np.concatenate([[0], np.cumsum(counts)])
        at = np.repeat(pool.start[rows] - ends[:-1], counts) + np.arange(ends[-1])
        worth = np.abs(pool.columns[1][at]) * np.nan_to_num(lot_micro)[pool.columns[0][at]]
        sums = np.concatenate([[0.0], np.cumsum(worth)])
        return np.asarray(np.minimum(sums[ends[1:]] - sums[ends[:-1]], 2.0**60).astype(np.int64))

    def single(self, row: int) -> Single:
        """The account alone, for a plan."""
        engine = self.clearing.engine
        self._refresh()
        legs, lots = (column.copy() for column in engine.book.positions.rows(row))
        return Single(self._market, engine.watch.model, legs, lots, int(engine.book.cash_nano[row]))

    def accounts(self, rows: Array) -> Accounts:
        """These accounts, int64[n], in that order."""
        engine, pool = self.clearing.engine, self.clearing.engine.book.positions
        counts = pool.length[rows]
        row_ptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        at = np.repeat(pool.start[rows] - row_ptr[:-1], counts) + np.arange(row_ptr[-1])
        names = [engine.book.names[row] for row in rows.tolist()]
        leg, lots = pool.columns[0][at], pool.columns[1][at]
        return Accounts(names, np.array(engine.book.cash_nano[rows]), row_ptr, leg, lots)

    @property
    def tables(self) -> Any:
        """The model's tables of the whole board at the present market."""
        self._refresh()
        if self._tables is None:
            self._tables = self.clearing.engine.watch.model.tables(self._market)
        return self._tables

    @property
    def delta_nano(self) -> Array:
        """float64[L]: change of a lot's value for a whole relative move of its underlying; of a linear leg its mark."""
        self._refresh()
        if self._delta is None:
            legs = self._market.legs
            index = np.asarray(legs.index_nano, np.float64)[legs.underlying]
            option = np.nan_to_num(self._market.greeks()["delta"]) * legs.lot * legs.ratio * index
            self._delta = np.where(option != 0.0, option, self.tables.values[:, 0].astype(np.float64))
        return self._delta

    def profit_micro(self, underlying: str) -> Array:
        """int64[accounts]: profit of each account's contracts on an underlying, at the marks, rounded down.

        Perpetuals and futures, which the ledger keeps with their cost, funding due included; spot and options have no entry
        there, so they make no profit that could be taken.
        """
        clearing = self.clearing
        state, mirror, base = clearing.ledger.state, clearing.mirror, clearing.engine.watch.desk.base
        profit = np.zeros(len(state.names), np.int64)
        held = np.frombuffer(state.held, np.int32)
        for number, listing in enumerate(state.instruments):
            entered = state.terms[number][3] and state.settled_in[number] == mirror.asset and mirror.legs_of[number]
            if not entered or state.expiry_nano[number] >= 0 or underlying not in base.instruments[listing.instrument].underlyings:
                continue
            slots = np.flatnonzero((held == number) & (np.frombuffer(state.lots, np.int64) != 0))
            mark = sum(clearing.engine.watch.mark_nano(leg) for leg in mirror.legs_of[number])
            cost = np.frombuffer(state.cost, np.int64)[slots] + pending_of(state, slots, mirror.asset)
            nano = np.frombuffer(state.lots, np.int64)[slots] * mark + cost * mirror.unit_nano
            np.add.at(profit, np.frombuffer(state.holder, np.int32)[slots], nano // 1000)
        return profit

    def _refresh(self) -> None:
        engine = self.clearing.engine
        version = engine.watch.version, engine.at_ns
        if version != self._version:
            self._version, self._market, self._tables, self._delta = version, engine.market, None, None
