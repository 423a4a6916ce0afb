"""Watching by bands from slopes: for models whose figures are Lipschitz in prices and in time.

What `margin/slopes.py` proves of how fast an account's figures can change becomes, for every account, one
relative move that all its underlyings may make at once, and an end. A tick compares the holders' bands with the
new price and evaluates those outside, from rows of the legs that they hold; the verdicts are those of
`sweeper.py`. Proof: docs/tripwires.md, "Bands from slopes".
"""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np

from seawall.core.units import PPM
from seawall.engine.book import EngineBook
from seawall.engine.state import CASH, LENGTH, ORDER_LENGTH, ORDER_START, START
from seawall.engine.step import next_level
from seawall.engine.sweeper import Sweeper
from seawall.kernels import rows
from seawall.kernels.account import evaluate_accounts
from seawall.kernels.orders import LEG, LOTS
from seawall.kernels.tables import Tables
from seawall.margin.evaluate import status_codes
from seawall.margin.model import Model
from seawall.margin.single import restrict
from seawall.margin.slopes import (
    EQUITY,
    FOREVER_NS,
    INITIAL,
    MAINTENANCE,
    RUNGS,
    AccountSlopes,
    Positions,
    account_slopes,
)

NEVER = np.int64(2**63 - 1)
TIME_SHARE = 0.1  # of an account's distance to its line, that the passing of time may take
LEAST_SLOPE = 1e-9  # nano: instead of none, to divide by
LEAST_BAND = 1e-7  # a narrower one is none
JITTER_BAND, JITTER_TIME = 0.05, 0.25  # most that a hash of the account takes off, so that not all end at once
WHOLE = 0.5  # more than this part of the legs: the whole board is made
BANKRUPT = 3
# by status: the margin whose line must not be reached from above, and from below
BELOW = (INITIAL, MAINTENANCE, EQUITY, EQUITY)
ABOVE = (INITIAL, INITIAL, MAINTENANCE, MAINTENANCE)


class Banded(Sweeper):
    """Evaluates whom an event may have moved to another status; same interface as Watcher.

    low, high: int64[U, A], nano, the prices between which, ends included, nothing happens to an account (0 and
    NEVER where it does not hold an underlying, reversed where it has no band); ends_ns: int64[A], the last
    moment at which they hold.
    """

    def __init__(self, book: EngineBook, market: Any, model: Model, tables: Tables, hysteresis_ppm: int) -> None:
        super().__init__(book, market, model, tables, hysteresis_ppm)
        count = len(book.names)
        self.low = np.zeros((len(market.underlyings), count), np.int64)
        self.high = np.full((len(market.underlyings), count), NEVER)
        self.ends_ns = np.full(count, market.as_of_ns, np.int64)
        self.hot = np.zeros(count, np.bool_)
        self.stamp = np.zeros(len(tables.values), np.int64)  # the version that a row is of
        self.made_by: Model = model
        self.rebuilt = False  # parameters have changed and nobody has been evaluated with them
        self.touched = self.certified = 0
        self.woken = np.zeros(0, np.int64)  # by the latest event
        self.latest: tuple[int, np.ndarray, Any] = (-1, np.zeros(0, np.int32), None)
        number = np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        self.shade = (number >> np.uint64(40)).astype(np.float64) / 2.0**24

    # -- events --------------------------------------------------------------------------------

    def start(self) -> np.ndarray:
        return self._process(np.arange(len(self.levels)))

    def tick(self, underlying: int, price: Decimal, at_ns: int) -> np.ndarray:
        self.desk.set_index(underlying, price, f"tick {list(self.underlying_index)[underlying]}")
        nano = self.desk.index_nano[underlying]
        outside = (self.low[underlying] > nano) | (self.high[underlying] < nano)
        return self._wake(outside, at_ns)

    def pass_time(self, at_ns: int) -> np.ndarray:
        return self._wake(np.zeros(len(self.levels), np.bool_), at_ns)

    def mark(self, instrument: Any, price: Decimal, at_ns: int) -> np.ndarray:
        return self._new_legs(self.desk.with_mark(instrument.symbol, price, at_ns), at_ns)

    def surface(self, vols: dict[str, Decimal], at_ns: int) -> np.ndarray:
        return self._new_legs(self.desk.base.with_iv(vols), at_ns)

    def account_changed(self, account: int, at_ns: int) -> np.ndarray:
        woken = np.zeros(len(self.levels), np.bool_)
        woken[account] = True
        return self._wake(woken, at_ns)

    def accounts_changed(self, accounts: np.ndarray | list[int], at_ns: int) -> np.ndarray:
        woken = np.zeros(len(self.levels), np.bool_)
        woken[accounts] = True
        return self._wake(woken, at_ns)

    def look_at(self, at_ns: int) -> None:
        self.version += 1
        self._glide_step(at_ns)
        self.at_ns = at_ns

    def mark_nano(self, leg: int) -> int:
        self._fresh(np.array([leg]))
        return super().mark_nano(leg)

    def metrics(self) -> dict[str, int]:
        hot = int(np.count_nonzero(self.hot))
        return {
            "touched": self.touched,
            "evaluated": self.touched,
            "certified": self.certified,
            "hot": hot,
            "version": self.version,
        }

    # -- inside --------------------------------------------------------------------------------

    def _glide_step(self, at_ns: int) -> None:
        before = self.model
        super()._glide_step(at_ns)
        self.rebuilt |= self.model is not before

    def _wake(self, woken: np.ndarray, at_ns: int) -> np.ndarray:
        """Looks at these accounts and at those whose band has ended; at everybody after a change of parameters."""
        self._glide_step(at_ns)
        self.at_ns = at_ns
        self.version += 1
        if self.rebuilt:
            return self._process(np.arange(len(self.levels)))
        return self._process(np.flatnonzero(woken | (self.ends_ns < at_ns)))

    def _new_legs(self, market: Any, at_ns: int) -> np.ndarray:
        """Takes over a market with other ratios or volatilities: wakes the holders of their underlyings."""
        old, new = self.desk.base.legs, market.legs
        moved = (old.ratio != new.ratio) | ((old.iv != new.iv) & ~np.isnan(new.iv))
        moved |= (old.value_num != new.value_num) | (old.value_den != new.value_den)
        moved |= (new.kind == rows.CONSTANT) & (old.value_nano != new.value_nano)
        self.desk.base = market
        woken = np.zeros(len(self.levels), np.bool_)
        for u in np.unique(new.underlying[moved]):
            woken |= (self.low[u] > 0) | (self.high[u] < NEVER)
        return self._wake(woken, at_ns)

    def _board(self, which: np.ndarray) -> Any:
        """The legs `which` at present prices, as a model takes a market; the latest is kept."""
        version, legs, board = self.latest
        if version == self.version and np.array_equal(legs, which):
            return board
        self.latest = (self.version, which, self._made(which))
        return self.latest[2]

    def _made(self, which: np.ndarray) -> Any:
        base = self.desk.base
        legs = base.legs if len(which) == len(base.legs) else restrict(base.legs, which)
        return SimpleNamespace(
            legs=legs.with_index(self.desk.index_nano),
            as_of_ns=self.at_ns,
            rate=base.rate,
            underlyings=base.underlyings,
            instruments={},
        )

    def _fresh(self, legs: np.ndarray) -> None:
        """Brings rows of legs to the present market."""
        stale = np.unique(legs)
        if self.made_by is self.model:
            stale = stale[self.stamp[stale] != self.version]
            if len(stale) == 0:
                return
            if len(stale) <= WHOLE * len(self.stamp):
                made = self.model.tables(self._board(stale.astype(np.int32)))
                self.tables.values[stale], self.tables.extra[stale] = made.values, made.extra
                self.stamp[stale] = self.version
                return
        self.tables = self.model.tables(self._board(np.arange(len(self.stamp), dtype=np.int32)))
        self.made_by = self.model
        self.stamp[:] = self.version

    def _one(self, legs: np.ndarray, lots: np.ndarray, cash_nano: int) -> np.ndarray:
        self._fresh(legs)
        return super()._one(legs, lots, cash_nano)

    def _process(self, woken: np.ndarray) -> np.ndarray:
        """Evaluates these accounts, gives them new bands, and returns the changes of status."""
        self.rebuilt = False
        self.woken = woken
        self.touched += len(woken)
        if len(woken) == 0:
            return np.zeros((0, 6), np.int64)
        table = self.book.accounts[woken]
        starts, lengths = table[:, START], table[:, LENGTH]
        leg, lots = self.book.positions.columns
        at = _spans(starts, lengths)
        self._fresh(leg[at])
        figures = np.zeros((len(woken), 4), np.int64)
        ends = np.cumsum(lengths)
        cash = np.ascontiguousarray(table[:, CASH])
        evaluate_accounts(self.model.kind, self.tables, ends - lengths, ends, leg[at], lots[at], cash, figures)
        for k in np.flatnonzero(table[:, ORDER_LENGTH]):
            figures[k] = self._with_orders(int(woken[k]), figures[k])
        before = self.levels[woken]
        after = _levels(before, figures, self.hysteresis_ppm)
        self.levels[woken] = after
        self.rows[woken] = figures
        self._file(woken, figures)
        moved = np.flatnonzero(after != before)
        columns = (woken[moved], before[moved], after[moved], figures[moved, :3])
        return np.column_stack(columns).astype(np.int64)

    def _file(self, woken: np.ndarray, figures: np.ndarray) -> None:
        """New bands from exact figures."""
        positions, held = self._positions(woken)
        board = self._board(held)
        tables = self.tables._replace(values=self.tables.values[held], extra=self.tables.extra[held])
        slopes = self.model.slopes(board, tables)
        worth = np.maximum(board.legs.limit_nano, np.abs(tables.values[:, 0])).astype(np.float64)
        cash = self.book.accounts[woken, CASH].astype(np.float64)
        found = account_slopes(slopes, board.legs.underlying, worth, positions, cash)
        move, ends = self._room(woken, figures, found)
        self.low[:, woken], self.high[:, woken] = 0, NEVER
        owner, u = woken[positions.account], board.legs.underlying[positions.leg]
        nano, wide = self.desk.index_nano[u], move[positions.account]
        banded = wide >= LEAST_BAND
        # where a band begins and ends, both included, rounded inwards
        self.low[u, owner] = np.where(banded, np.ceil(nano * (1.0 - wide)).astype(np.int64), NEVER)
        self.high[u, owner] = np.where(banded, np.floor(nano * (1.0 + wide)).astype(np.int64), 0)
        self.hot[woken] = move < LEAST_BAND
        self.ends_ns[woken] = self.at_ns + np.where(self.hot[woken], 0, ends)
        self.certified += int(np.count_nonzero(~self.hot[woken]))

    def _room(self, woken: np.ndarray, figures: np.ndarray, found: AccountSlopes) -> tuple[np.ndarray, np.ndarray]:
        """(the relative move that stands, 0 where none does; for how long, ns) of accounts at exact figures."""
        level = self.levels[woken]
        move = np.full(len(woken), RUNGS[-1])
        ends = np.minimum(found.until_ns * (1.0 - JITTER_TIME * self.shade[woken]), FOREVER_NS // 2)
        each = np.arange(len(woken))
        for side, multiple, room, applies in self._lines(level, figures[:, 0], figures[:, 1:3]):
            # equity − m·margin = m·(equity − margin) + (1 − m)·equity, and so are the bounds of its changes
            weights = (multiple, np.abs(1.0 - multiple))
            slack, time, slopes = (_mixed(column, each, side, weights) for column in (found.slack, found.time, found.move))
            left = np.maximum(room * 1e3 - slack, 0.0)
            ends = np.where(applies, np.minimum(ends, TIME_SHARE * left / np.maximum(time, LEAST_SLOPE)), ends)
            fits = (1.0 - TIME_SHARE) * left / np.maximum(slopes, LEAST_SLOPE)
            move = np.where(applies, np.minimum(move, np.minimum(RUNGS[:, None], fits).max(axis=0)), move)
        move = move * (1.0 - JITTER_BAND * self.shade[woken])
        cash_only = (self.book.accounts[woken, LENGTH] == 0) & (self.book.accounts[woken, ORDER_LENGTH] == 0)
        move, ends = np.where(cash_only, RUNGS[-1], move), np.where(cash_only, FOREVER_NS // 2, ends)
        return move, np.floor(ends).astype(np.int64)

    def _lines(self, level: np.ndarray, equity: np.ndarray, margin: np.ndarray) -> list[tuple[np.ndarray, ...]]:
        """For the line below a status and the one above it: (which margin, its multiple, the distance of equity from
        that, micro, whether there is such a line), by account."""
        release = self.hysteresis_ppm / PPM
        out: list[tuple[np.ndarray, ...]] = []
        for below, sides in ((True, BELOW), (False, ABOVE)):
            side = np.array(sides)[level]
            released = np.where(level == BANKRUPT, release, 1.0 + release)
            multiple = np.where(side == EQUITY, 0.0, 1.0 if below else released)
            away = equity - multiple * np.where(side == INITIAL, margin[:, 0], margin[:, 1])
            applies = level < BANKRUPT if below else level > 0
            out.append((side, multiple, away if below else -away, applies))
        return out

    def _positions(self, woken: np.ndarray) -> tuple[Positions, np.ndarray]:
        """(positions and open orders of these accounts, sorted; the legs that they are of, rising)."""
        table = self.book.accounts[woken]
        leg, lots = self.book.positions.columns
        at = _spans(table[:, START], table[:, LENGTH])
        account = np.repeat(np.arange(len(woken)), table[:, LENGTH])
        legs, amounts = leg[at].astype(np.int64), lots[at]
        order = np.zeros(len(legs), np.bool_)
        if table[:, ORDER_LENGTH].any():
            orders = self.book.orders.columns[0][_spans(table[:, ORDER_START], table[:, ORDER_LENGTH])]
            legs = np.concatenate([legs, orders[:, LEG]])
            amounts = np.concatenate([amounts, orders[:, LOTS]])
            account = np.concatenate([account, np.repeat(np.arange(len(woken)), table[:, ORDER_LENGTH])])
            order = np.arange(len(legs)) >= len(order)
            sort = np.lexsort((legs, account))
            legs, amounts, account, order = legs[sort], amounts[sort], account[sort], order[sort]
        held = np.unique(legs)
        self._fresh(held)
        where = np.searchsorted(held, legs)
        return Positions(account, where, amounts.astype(np.float64), order), held.astype(np.int32)


def _mixed(column: np.ndarray, each: np.ndarray, side: np.ndarray, weights: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Of float64[n, 3] or [n, 3, K], float64[n] or [K, n]: a side and equity, each with its weight."""
    return np.asarray(weights[0] * column[each, side].T + weights[1] * column[:, EQUITY].T)


def _spans(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Row numbers of spans, one after the other."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(starts - (ends - lengths), lengths) + np.arange(total)


def _levels(before: np.ndarray, figures: np.ndarray, hysteresis_ppm: int) -> np.ndarray:
    """Statuses after an evaluation, with hysteresis."""
    after = np.maximum(status_codes(figures[:, 0], figures[:, 1], figures[:, 2]), before)
    plain = status_codes(figures[:, 0], figures[:, 1], figures[:, 2])
    for k in np.flatnonzero(plain < before):
        after[k] = next_level(int(before[k]), figures[k], hysteresis_ppm)
    return after
