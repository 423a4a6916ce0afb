"""Watching by certificates: which accounts an event must look at, and only those.

Owns the arrays of `state.py` and calls the compiled step. A tick moves one price, drains the
wheel buckets that it crosses, adds the certificates that ran out of time and the accounts that
have none, and hands that list to `step.process`. Nothing limits its length.
"""

import hashlib
from decimal import Decimal
from typing import Any

import numpy as np

from seawall.core import events
from seawall.engine import certificate, step
from seawall.engine.book import EngineBook
from seawall.engine.desk import Desk
from seawall.engine.glide import Glide
from seawall.engine.state import (
    ACCOUNT_ITEMS,
    CERTIFIED,
    EVALUATED,
    HOT_COUNT,
    LADDER,
    NODE_FILLS,
    RING,
    ROW_FILLS,
    TOUCHED,
    Board,
    Nodes,
    Watch,
)
from seawall.kernels import cells, rows, wheel
from seawall.kernels.account import evaluate_accounts
from seawall.kernels.tables import CELLS, Tables
from seawall.margin.evaluate import status_codes
from seawall.margin.model import Model, leg_arrays

BUCKETS = 1 << 17
EDGE_BUCKETS = 2_000  # a price this near the end of its wheel re-centres it
RESERVE = 2e-3  # relative move of volatility or basis that certificates leave room for, once it moves
JOLT = 0.05  # a relative move beyond this is a new surface: every holder is evaluated


class Watcher:
    """Certificates for models whose tables are cells or tiers."""

    def __init__(self, book: EngineBook, market: Any, model: Model, tables: Tables, hysteresis_ppm: int) -> None:
        self.book = book
        self.desk = Desk(market)
        self.model = model
        self.version = 0
        self.hysteresis_ppm = hysteresis_ppm
        self.epoch_ns = market.as_of_ns
        self.at_ns = self.swept_ns = market.as_of_ns
        self.glide: Glide | None = None
        count = len(book.names)
        underlyings = len(market.underlyings)
        items = ACCOUNT_ITEMS * count + 2 * len(book.watch.columns[0])
        self.state = Watch(
            level=np.zeros(count, np.int8),
            figures=np.zeros((count, 4), np.int64),
            wheel=wheel.make(2 * underlyings + 3, BUCKETS, items),
            hot=np.zeros(count, np.int32),
            hot_place=np.full(count, -1, np.int32),
            sums=np.zeros(16, np.int64),
        )
        self.scratch = certificate.make_scratch(underlyings)
        self.seen = np.full(count, -1, np.int64)
        self.touched = np.zeros(count, np.int32)
        self.items = np.zeros(items, np.int32)
        self.decided = np.zeros((count, 6), np.int64)
        self.wanted = np.zeros(4, np.int64)
        self.reserve = np.zeros(2)
        self.totals = np.zeros(2)
        self.origins = np.zeros(underlyings, np.int64)
        self.index = np.asarray(market.legs.index, np.float64).copy()
        self._build(tables)

    @property
    def underlying_index(self) -> dict[str, int]:
        return self.desk.underlying_index

    @property
    def levels(self) -> np.ndarray:
        return self.state.level

    def _build(self, tables: Tables) -> None:
        """Board and nodes for a (new) model or leg table."""
        market = self.desk.base
        legs = leg_arrays(market.legs)
        legs = legs._replace(**{name: np.array(getattr(legs, name)) for name in legs._fields})
        count = len(legs.kind)
        underlyings = len(market.underlyings)
        if self.model.kind == CELLS:
            shocks = self.model.shocks(market.underlyings)
            constants = self.model.constants(market.rate)
            steps = self.model.anchor_steps(market.underlyings)
        else:
            shocks = np.zeros((underlyings, 4, cells.COLUMNS))
            shocks[:, rows.SHOCK_MULTIPLE] = 1.0
            constants = np.zeros(9)
            constants[rows.MODEL_RATE] = market.rate
            steps = np.full(underlyings, 0.005)
        width = tables.values.shape[1]
        self.board = Board(
            legs=legs,
            tables=tables,
            index=self.index,
            stamp=np.full(count, -1, np.int64),
            gap_cell=np.full(count, np.iinfo(np.int64).min),
            gap_life=np.full(count, -1, np.int64),
            shocks=shocks,
            model=constants,
            steps=steps,
            leg_first=np.searchsorted(legs.underlying, np.arange(underlyings + 1)).astype(np.int64),
        )
        self.nodes = Nodes(
            values=np.zeros((LADDER, RING, count, width), np.int64),
            extra=np.tile(tables.extra, (LADDER, RING, 1, 1)),
            stray=np.zeros((LADDER, RING, count)),
            key=np.full((underlyings, LADDER, RING), np.iinfo(np.int64).min),
            built_ns=np.zeros(underlyings, np.int64),
            rebuild_ns=np.full(underlyings, np.iinfo(np.int64).min),
            decay=np.zeros(count),
            decay_limit=np.zeros(count),
            carry=np.zeros(count),
            vega=np.zeros(count),
            valid_ns=np.zeros(count, np.int64),
        )
        self.drift = np.zeros((underlyings, 2))
        self.basis_nano = 4.0 * self.index[legs.underlying] * legs.ratio * np.abs(legs.lot) * rows.NANO
        constant = legs.kind == rows.CONSTANT
        self.basis_nano[constant] = 4.0 * np.abs(legs.value_nano[constant])

    # -- events ------------------------------------------------------------------------------

    def start(self) -> np.ndarray:
        """Evaluates every account and files its first certificate."""
        for u in range(len(self.index)):
            self.origins[u] = step.price_bucket(self.index[u], 0) - BUCKETS // 2
        return self._everybody()

    def tick(self, underlying: int, price: Decimal, at_ns: int) -> np.ndarray:
        """A new index price."""
        before = step.price_bucket(self.index[underlying], self.origins[underlying])
        value = self.desk.set_index(underlying, price, f"tick {list(self.underlying_index)[underlying]}")
        self._advance(at_ns)
        if self._glide_step(at_ns, underlying, value):
            return self._everybody()
        self.index[underlying] = value
        after = step.price_bucket(value, self.origins[underlying])
        count = self._overdue(at_ns)
        if not EDGE_BUCKETS < after < BUCKETS - EDGE_BUCKETS:
            return self._recentre(underlying, value)
        if after < before:
            count = self._wake(2 * underlying, after, before - 1, count)
        elif after > before:
            count = self._wake(2 * underlying + 1, before + 1, after, count)
        return self._process(count, False)

    def pass_time(self, at_ns: int) -> np.ndarray:
        """Time alone."""
        self._advance(at_ns)
        if self._glide_step(at_ns, -1, 0.0):
            return self._everybody()
        return self._process(self._overdue(at_ns), False)

    def mark(self, instrument: Any, price: Decimal, at_ns: int) -> np.ndarray:
        """A new mark of one instrument: its ratio to the index changes."""
        market = self.desk.with_mark(instrument.symbol, price, at_ns)
        return self._new_legs(market, at_ns)

    def check_mark(self, instrument: Any) -> None:
        """Refuses marks of what has none."""
        self.desk.with_mark(instrument.symbol, Decimal(1), self.at_ns)

    def listed(self, symbol: str, place: str, at_ns: int) -> Any:
        return self.desk.listed(symbol, place, at_ns)

    def parse_surface(self, updates: dict[str, str]) -> dict[str, Decimal]:
        return self.desk.parse_surface(updates, self.at_ns)

    def surface(self, vols: dict[str, Decimal], at_ns: int) -> np.ndarray:
        """New volatilities."""
        return self._new_legs(self.desk.base.with_iv(vols), at_ns)

    def announce(self, event: events.Parameters) -> None:
        """A change of parameters, checked stage by stage; it begins with the next step of time."""
        self.glide = Glide(self.model, event, self.desk.base)

    def account_changed(self, account: int, at_ns: int) -> np.ndarray:
        """An account's own event: it is evaluated whatever its certificate says."""
        self._advance(at_ns)
        if self._glide_step(at_ns, -1, 0.0):
            return self._everybody()
        count = self._overdue(at_ns)
        if self.seen[account] != self.version:
            self.seen[account] = self.version
            self.touched[count] = account
            count += 1
        first = self._process_some(np.array([account], np.int32), 1, True)
        rest = self.touched[:count]
        rest = rest[rest != account]
        self.touched[: len(rest)] = rest
        return np.concatenate([first, self._process_some(self.touched, len(rest), False)])

    def look_at(self, at_ns: int) -> None:
        """Makes figures those of a later time, before the event of that time is applied."""
        if at_ns > self.at_ns:
            self.version += 1
            self.at_ns = at_ns

    def restore(self, account: int) -> None:
        """Files an account again that `before_change` took out and that has not changed."""
        self._process_some(np.array([account], np.int32), 1, False)

    def mark_nano(self, leg: int) -> int:
        """The present mark of one lot."""
        step.refresh_leg(
            self.model.kind, self.board, leg, self.at_ns, self.version, self.state.sums, self.scratch.float_work
        )
        return int(self.board.tables.values[leg, 0])

    def before_change(self, account: int) -> None:
        """Takes an account out of the wheel before its rows move."""
        step.unfile(self.book.holdings(), self.state, account)

    def after_change(self) -> None:
        """Makes room for exposures that the change may have added."""
        items = ACCOUNT_ITEMS * len(self.book.names) + 2 * len(self.book.watch.columns[0])
        if items > len(self.items):
            grown = wheel.make(1, 1, items)
            for new, old in zip(grown[1:], self.state.wheel[1:], strict=True):
                new[: len(old)] = old
            self.state = self.state._replace(wheel=grown._replace(heads=self.state.wheel.heads))
            self.items = np.zeros(items, np.int32)

    # -- inside ------------------------------------------------------------------------------

    def _advance(self, at_ns: int) -> None:
        self.version += 1
        self.last_ns, self.swept_ns = self.swept_ns, at_ns
        self.at_ns = at_ns

    def _glide_step(self, at_ns: int, underlying: int, value: float) -> bool:
        """Applies the stages of a glide that have come; True where everything must be redone."""
        if self.glide is None or self.glide.stage_at(at_ns) <= self.glide.stage:
            return False
        self.glide.stage = self.glide.stage_at(at_ns)
        self.model = self.glide.models[self.glide.stage - 1]
        if self.glide.done:
            self.glide = None
        if underlying >= 0:
            self.index[underlying] = value
        self._build(self.model.tables(self.desk.snapshot(at_ns)))
        return True

    def _new_legs(self, market: Any, at_ns: int) -> np.ndarray:
        """Takes over a market with other ratios or volatilities: small moves wake what had no
        room for them, large ones every holder."""
        legs, fresh = self.board.legs, leg_arrays(market.legs)
        option = legs.kind != rows.LINEAR
        vol = np.zeros(len(legs.kind))
        moving = option & (legs.iv != fresh.iv) & ~np.isnan(fresh.iv)
        vol[moving] = np.abs(fresh.iv[moving] / legs.iv[moving] - 1.0)
        basis = np.abs(fresh.ratio / legs.ratio - 1.0)
        self.desk.base = market
        for name in ("value_num", "value_den", "value_nano", "ratio", "iv"):
            getattr(legs, name)[:] = getattr(fresh, name)
        self._advance(at_ns)
        self.board.gap_cell[:] = np.iinfo(np.int64).min
        first_of_its_kind = ((vol.max(initial=0.0) > 0) and self.reserve[0] == 0.0) or (
            (basis.max(initial=0.0) > 0) and self.reserve[1] == 0.0
        )
        for k, move in enumerate((vol, basis)):
            size = move.max(initial=0.0)
            if size > 0.0:
                self.reserve[k] = RESERVE
        if first_of_its_kind or max(vol.max(initial=0.0), basis.max(initial=0.0)) > JOLT:
            self.nodes.rebuild_ns[:] = np.iinfo(np.int64).min
            self.drift[:] = 0.0
            self.totals[:] = 0.0
            return self._everybody()
        if self._glide_step(at_ns, -1, 0.0):
            return self._everybody()
        count = self._overdue(at_ns)
        for k, move in enumerate((vol, basis)):
            before = int(self.totals[k] // step.MOVE_BUCKET)
            self.totals[k] += 1.1 * move.max(initial=0.0)
            after = int(self.totals[k] // step.MOVE_BUCKET)
            if after >= BUCKETS - 2 * int(RESERVE / step.MOVE_BUCKET):
                self.totals[:] = 0.0
                return self._everybody()
            count = self._wake(2 * len(self.index) + 1 + k, before, after, count)
            for u in range(len(self.index)):
                mine = move[self.board.leg_first[u] : self.board.leg_first[u + 1]]
                self.drift[u, k] += 1.1 * mine.max(initial=0.0)
                if self.drift[u, k] > JOLT / 2:
                    self.nodes.rebuild_ns[u] = np.iinfo(np.int64).min
                    self.drift[u, :] = 0.0
        return self._process(count, False)

    def _overdue(self, at_ns: int) -> int:
        """Accounts whose certificate has ended, and those without one."""
        state, version = self.state, self.version
        first = (self.last_ns - self.epoch_ns) >> step.TIME_SHIFT
        last = (at_ns - self.epoch_ns) >> step.TIME_SHIFT
        coordinate = 2 * len(self.index)
        count = 0
        if last - first >= BUCKETS:
            count = self._wake(coordinate, 0, BUCKETS - 1, count)
        elif last > first:
            a, b = (first + 1) % BUCKETS, last % BUCKETS
            if a <= b:
                count = self._wake(coordinate, a, b, count)
            else:
                count = self._wake(coordinate, a, BUCKETS - 1, count)
                count = self._wake(coordinate, 0, b, count)
        if state.sums[HOT_COUNT]:
            count = step.wake_hot(state, self.seen, version, self.touched, count)
        return count

    def _wake(self, coordinate: int, first: int, last: int, count: int) -> int:
        return step.wake(
            self.state,
            self.book.holdings(),
            coordinate,
            first,
            last,
            self.seen,
            self.version,
            self.items,
            self.touched,
            count,
        )

    def _recentre(self, underlying: int, value: float) -> np.ndarray:
        """Moves a wheel under a price that has left it; everybody is filed anew."""
        self.origins[underlying] = step.price_bucket(value, 0) - BUCKETS // 2
        return self._everybody()

    def _everybody(self) -> np.ndarray:
        count = len(self.state.level)
        self.touched[:] = np.arange(count, dtype=np.int32)
        return self._process(count, True)

    def _process(self, count: int, exactly: bool) -> np.ndarray:
        return self._process_some(self.touched, count, exactly)

    def _process_some(self, touched: np.ndarray, count: int, exactly: bool) -> np.ndarray:
        if count == 0:
            return self.decided[:0]
        clock = np.array([self.at_ns, self.epoch_ns, self.hysteresis_ppm, self.version], np.int64)
        step.process(
            self.model.kind,
            self.board,
            self.nodes,
            self.book.holdings(),
            self.state,
            self.scratch,
            clock,
            touched,
            count,
            exactly,
            self.reserve,
            self.drift,
            self.totals,
            self.basis_nano,
            self.origins,
            self.decided,
            self.wanted,
        )
        return self.decided[: self.wanted[0]].copy()

    # -- looking in --------------------------------------------------------------------------

    def figures(self, account: int) -> np.ndarray:
        """int64[4] of one account at the present market; nothing is recorded."""
        out = np.zeros(4, np.int64)
        step.figures(
            self.model.kind, self.board, self.book.holdings(), account, self.at_ns, self.version, self.scratch,
            self.state.sums, out,
        )  # fmt: skip
        return out

    def what_if(self, account: int, changes: list[tuple[int, int]], paid_nano: int | None) -> np.ndarray:
        """int64[4] as if lots were added by leg for paid_nano, or at the mark where None."""
        out = np.zeros(4, np.int64)
        changes = sorted(changes)
        step.what_if(
            self.model.kind,
            self.board,
            self.book.holdings(),
            account,
            np.array([leg for leg, _ in changes], np.int32),
            np.array([lots for _, lots in changes], np.int64),
            paid_nano or 0,
            paid_nano is None,
            self.at_ns,
            self.version,
            self.scratch,
            self.state.sums,
            out,
        )
        return out

    def sweep(self, at_ns: int) -> np.ndarray:
        """Full evaluation of every account at the present market."""
        tables = self.model.tables(self.desk.snapshot(at_ns))
        return self.sweep_on(tables)

    def sweep_on(self, tables: Tables) -> np.ndarray:
        holdings = self.book.holdings()
        out = np.zeros((len(self.book.names), 4), np.int64)
        evaluate_accounts(
            self.model.kind,
            tables,
            holdings.start,
            holdings.start + holdings.length,
            holdings.leg,
            holdings.lots,
            holdings.cash_nano,
            out,
        )
        for account in np.flatnonzero(holdings.order_length):
            out[account] = self.figures(int(account))
        return out

    def expected_levels(self, figures: np.ndarray) -> np.ndarray:
        """Statuses that a full evaluation would leave, given the present ones (hysteresis)."""
        plain = status_codes(figures[:, 0], figures[:, 1], figures[:, 2])
        expected = np.maximum(plain, self.state.level)
        for account in np.flatnonzero(plain < self.state.level):
            expected[account] = step.next_level(
                int(self.state.level[account]), figures[account], self.hysteresis_ppm
            )
        return expected

    def last_figures(self) -> np.ndarray:
        return self.state.figures

    def snapshot(self, at_ns: int) -> Any:
        return self.desk.snapshot(at_ns)

    def metrics(self) -> dict[str, int]:
        sums = self.state.sums
        return {
            "touched": int(sums[TOUCHED]),
            "evaluated": int(sums[EVALUATED]),
            "certified": int(sums[CERTIFIED]),
            "hot": int(sums[HOT_COUNT]),
            "node_fills": int(sums[NODE_FILLS]),
            "row_fills": int(sums[ROW_FILLS]),
            "version": self.version,
        }

    def state_hash(self, at_ns: int) -> str:
        return state_hash(self.book, self.desk, self.state.level, at_ns)


def state_hash(book: EngineBook, desk: Desk, level: np.ndarray, at_ns: int) -> str:
    """SHA-256 over balances, orders, statuses and prices, in account order."""
    digest = hashlib.sha256()
    digest.update(at_ns.to_bytes(8, "little"))
    for array in (book.cash_nano, book.positions.length, book.orders.length, level, desk.index_nano):
        digest.update(np.ascontiguousarray(array).tobytes())
    for pool in (book.positions, book.orders):
        at = np.repeat(pool.start - np.cumsum(pool.length) + pool.length, pool.length)
        order = at + np.arange(len(at))
        for column in pool.columns:
            digest.update(np.ascontiguousarray(column[order]).tobytes())
    for legs in (desk.base.legs,):
        for name in ("value_num", "value_den", "iv"):
            digest.update(np.ascontiguousarray(getattr(legs, name)).tobytes())
    return digest.hexdigest()
