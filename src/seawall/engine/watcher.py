"""Watching by certificates: which accounts an event must look at, and only those.

Owns the arrays of `state.py` and calls the compiled step. A tick moves one price, drains the
wheel buckets that it crosses, adds the certificates that ran out of time and the accounts that
have none, and hands that list to `step.process`. Nothing limits its length.
"""

from decimal import Decimal
from typing import Any

import numpy as np

from seawall.core import events
from seawall.engine import pieces, step
from seawall.engine.book import EngineBook
from seawall.engine.desk import Desk
from seawall.engine.glide import Glide, next_glide
from seawall.engine.hashing import state_hash
from seawall.engine.pricer import Pricer
from seawall.engine.state import (
    ACCOUNT_ITEMS,
    BEGIN,
    CASH,
    CERTIFIED,
    CLOCKS,
    EPOCH,
    EVALUATED,
    EXPOSURE_ITEMS,
    FILLED,
    HOT_COUNT,
    HOT_PLACE,
    IN_ALL,
    ITEM_FALL,
    ITEM_MOVES,
    ITEM_RISE,
    LEADER,
    LENGTH,
    LOOSE,
    MOTIONS,
    MOVING,
    NOW,
    ORDER_LENGTH,
    RELEASE_PPM,
    START,
    SUMS,
    TOUCHED,
    VERSION,
    Holdings,
    Watch,
)
from seawall.kernels import rows, wheel
from seawall.kernels.account import evaluate_one
from seawall.kernels.bound import UNBOUND
from seawall.kernels.direct import Direct
from seawall.kernels.tables import Tables
from seawall.margin.evaluate import status_codes
from seawall.margin.model import Model, leg_arrays

BUCKETS = 1 << 18
EDGE_BUCKETS = 2_000  # a price this near the end of its wheel re-centres it
EDGE_OF_MOVES = BUCKETS // 2  # of all moves of volatility, or basis: everybody is filed anew


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
        self.rebuilt = False  # parameters have changed and nobody has been evaluated with them
        count = len(book.names)
        underlyings = len(market.underlyings)
        items = self._items()
        self.state = Watch(
            level=np.zeros(count, np.int8),
            figures=np.zeros((count, 4), np.int64),
            wheel=wheel.make((EXPOSURE_ITEMS + 2) * underlyings + 1, BUCKETS, items),
            hot=np.full((4, count), -1, np.int32),
            sums=np.zeros(SUMS, np.int64),
            seen=np.full(count, -1, np.int64),
            items=np.zeros(items, np.int32),
        )
        self.state.hot[BEGIN] = 0
        self.scratch = pieces.make_scratch(underlyings)
        self._step, self._unfile, self._change = Direct(step.process), Direct(step.unfile), Direct(step.change)
        self.touched = np.zeros(count, np.int32)
        self.plan = np.zeros((2 * underlyings + 3, 3), np.int64)
        self.plans = 0
        self.hot_of = step.NO_HOT
        self.clock = np.zeros(CLOCKS, np.int64)
        self.decided = np.zeros((count, 6), np.int64)
        self.one_decided = np.zeros((1, 6), np.int64)
        self.wanted = np.zeros(4, np.int64)
        self.nodes_wanted = np.zeros(underlyings, np.bool_)
        self.motion = np.zeros(MOTIONS)
        # of every price, and then of every ratio to the leader's: where its wheel begins, and the bucket
        self.origins = np.zeros(2 * underlyings, np.int64)
        self.places = [0] * (2 * underlyings)
        held = np.asarray(market.legs.underlying)[book.positions.columns[0]]
        self.clock[LEADER] = np.argmax(np.bincount(held, minlength=max(underlyings, 1)))
        self.index = np.asarray(market.legs.index, np.float64).copy()
        self._price_by(tables)

    @property
    def underlying_index(self) -> dict[str, int]:
        return self.desk.underlying_index

    @property
    def levels(self) -> np.ndarray:
        return self.state.level

    def _price_by(self, tables: Tables) -> None:
        """Rows and nodes of a (new) model."""
        self.pricer = Pricer(self.desk.base, self.model, tables, self.index)
        self._step.forget()
        self._loosen()

    def expect_moves(self) -> None:
        """Before the start: certificates are to keep room for moves of volatility and basis though none has moved."""
        self.motion[MOVING:LOOSE] = 1.0
        self._loosen()

    # -- events ------------------------------------------------------------------------------

    def start(self) -> np.ndarray:
        """Evaluates every account and files its first certificate."""
        for u in range(len(self.index)):
            self._place(u)
        return self._recentre()

    def tick(self, underlying: int, price: Decimal, at_ns: int) -> np.ndarray:
        """A new index price."""
        value = self.desk.set_index(underlying, price, f"tick {list(self.underlying_index)[underlying]}")
        self._advance(at_ns)
        if self._glide_step(at_ns, underlying, value):
            return self._everybody()
        self.index[underlying] = value
        self.pricer.moved(underlying, self.version)
        self._overdue(at_ns, underlying)
        for coordinate, before, after in self._place(underlying):
            if not EDGE_BUCKETS < after < BUCKETS - EDGE_BUCKETS:
                return self._recentre()
            if after < before:
                self._wake(coordinate + ITEM_FALL, after, before - 1)
            elif after > before:
                self._wake(coordinate + ITEM_RISE, before + 1, after)
        return self._process(self.touched, 0)

    def pass_time(self, at_ns: int) -> np.ndarray:
        """Time alone."""
        self._advance(at_ns)
        if self._glide_step(at_ns, -1, 0.0) or self.rebuilt:
            return self._everybody()
        self._overdue(at_ns)
        return self._process(self.touched, 0)

    def mark(self, instrument: Any, price: Decimal, at_ns: int) -> np.ndarray:
        """A new mark of one instrument: its ratio to the index changes."""
        market = self.desk.with_mark(instrument.symbol, price, at_ns)
        return self._new_legs(market, at_ns)

    def check_mark(self, instrument: Any) -> None:
        """Refuses marks of what has none."""
        self.desk.with_mark(instrument.symbol, Decimal(1), self.at_ns)

    def listed(self, symbol: str, place: str, at_ns: int) -> Any:
        return self.desk.listed(symbol, place, at_ns)

    def parse_surface(self, updates: dict[str, str], at_ns: int) -> dict[str, Decimal]:
        return self.desk.parse_surface(updates, at_ns)

    def surface(self, vols: dict[str, Decimal], at_ns: int) -> np.ndarray:
        """New volatilities."""
        return self._new_legs(self.desk.base.with_iv(vols), at_ns)

    def announce(self, event: events.Parameters) -> None:
        """A change of parameters, checked stage by stage; it begins with the next step of time.
        Refused while another one is still on its way."""
        glide = next_glide(self.glide, self.model, event, self.desk.base)
        self.look_at(event.at_ns)
        self.glide = glide

    def account_changed(self, account: int, at_ns: int) -> np.ndarray:
        """An account's own event: it is evaluated whatever its certificate says."""
        return self.accounts_changed(np.array([account]), at_ns)

    def accounts_changed(self, accounts: np.ndarray | list[int], at_ns: int) -> np.ndarray:
        """`account_changed` of several at once: int64[n], or a list, each once."""
        self._advance(at_ns)
        if self._glide_step(at_ns, -1, 0.0) or self.rebuilt:
            return self._everybody()
        self._overdue(at_ns)
        if isinstance(accounts, list):
            seen, touched, version = self.state.seen, self.touched, self.version
            for place, account in enumerate(accounts):  # of two it is quicker so
                seen[account], touched[place] = version, account
        else:
            self.state.seen[accounts] = self.version
            self.touched[: len(accounts)] = accounts
        changed = self._process(self.touched, len(accounts))
        # without positions and orders an account changes by its own events alone: it need not be looked at
        held, ordered, place = self.book.positions.length, self.book.orders.length, self.state.hot[HOT_PLACE]
        if isinstance(accounts, list):
            idle = [k for k in accounts if not held.item(k) and not ordered.item(k) and place.item(k) >= 0]
        else:
            idle = accounts[(held[accounts] == 0) & (ordered[accounts] == 0) & (place[accounts] >= 0)].tolist()
        for account in idle:
            self.before_change(account)
        return changed

    def look_at(self, at_ns: int) -> None:
        """Makes figures those of a later time, before the event of that time is applied."""
        if at_ns > self.at_ns:
            self.version += 1
            self.at_ns = at_ns
            self.pricer.later(self.version)
        if self._glide_step(at_ns, -1, 0.0):
            self.rebuilt = True

    def restore(self, account: int) -> None:
        """Files an account again that `before_change` took out and that has not changed."""
        self.touched[0] = account
        self._process(self.touched, 1)

    def mark_nano(self, leg: int) -> int:
        """The present mark of one lot."""
        self._fresh(np.array([leg], np.int32))
        return int(self.pricer.board.tables.values[leg, 0])

    def before_change(self, account: int) -> None:
        """Takes an account out of the wheel before its rows move."""
        self._unfile(self.book.holdings(), self.state, account)

    def follow(self, account: int, wanted: dict[int, int], cash_nano: int) -> None:
        """`EngineBook.match` of an account that is taken out of the wheel where its rows move."""
        book = self.book
        if len(wanted) == 1:
            ((leg, lots),) = wanted.items()
            before = book.cash_nano.item(account)
            if self._change(book.holdings(), self.state, book.positions.room, account, leg, lots, cash_nano):
                book.outside_nano += cash_nano - before
                return
        elif wanted:
            self.before_change(account)
        book.match(account, wanted, cash_nano)
        if wanted:
            self.after_change()

    def after_change(self) -> None:
        """Makes room for exposures that the change may have added."""
        items = self._items()
        if items > len(self.state.items):
            grown = wheel.make(1, 1, items)
            old = self.state.wheel
            grown.items[: len(old.items)] = old.items
            wheels = grown._replace(heads=old.heads)
            self.state = self.state._replace(wheel=wheels, items=np.zeros(items, np.int32))

    # -- inside ------------------------------------------------------------------------------

    def _advance(self, at_ns: int) -> None:
        self.version += 1
        if at_ns > self.at_ns:
            self.pricer.later(self.version)
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
            self._place(underlying)
        self._price_by(self.model.tables(self.desk.snapshot(at_ns)))
        return True

    def _new_legs(self, market: Any, at_ns: int) -> np.ndarray:
        """Takes over a market with other ratios or volatilities: small moves wake what had no
        room for them, large ones every holder."""
        legs, fresh = self.pricer.legs, leg_arrays(market.legs)
        moving = (legs.kind != rows.LINEAR) & (legs.iv != fresh.iv) & ~np.isnan(fresh.iv)
        vol = np.zeros(len(legs.kind))
        vol[moving] = np.abs(fresh.iv[moving] / legs.iv[moving] - 1.0)
        moves = (vol, np.abs(fresh.ratio / legs.ratio - 1.0))
        first = self.pricer.leg_first[:-1]
        listed = np.diff(self.pricer.leg_first) > 0
        sizes = np.zeros((len(self.index), 2))
        for k, move in enumerate(moves):
            sizes[listed, k] = np.maximum.reduceat(move, first[listed]) if listed.any() else 0.0
        self.desk.base = market
        for name in ("value_num", "value_den", "value_nano", "ratio", "iv"):
            getattr(legs, name)[:] = getattr(fresh, name)
        self._advance(at_ns)
        self.pricer.forget_gaps()
        self.pricer.later(self.version)
        moving = self.motion[MOVING:LOOSE]
        new = (sizes > 0.0).any(axis=0) & (moving == 0.0)
        moving[new] = 1.0
        glided = self._glide_step(at_ns, -1, 0.0)
        if new.any():
            self._loosen()
        if new.any() or glided:
            return self._everybody()
        crossed = []
        drift = self.pricer.drift
        for u, k in zip(*(places.tolist() for places in np.nonzero(sizes)), strict=True):
            before = int(drift[u, IN_ALL + k] // step.MOVE_BUCKET)
            self.pricer.drifted(u, k, float(sizes[u, k]))
            after = int(drift[u, IN_ALL + k] // step.MOVE_BUCKET)
            crossed.append((EXPOSURE_ITEMS * u + ITEM_MOVES + k, before, after))
        if any(after >= EDGE_OF_MOVES for _, _, after in crossed):
            drift[:, IN_ALL:] = 0.0
            return self._everybody()
        self._overdue(at_ns)
        for coordinate, before, after in crossed:
            self._wake(coordinate, before, after)
        return self._process(self.touched, 0)

    def _loosen(self) -> None:
        """Makes nodes hold for the moves of volatility and basis, if these move at all."""
        self.pricer.loosen(self.motion[MOVING:LOOSE] > 0.0)
        self.motion[LOOSE:] = self.pricer.loose

    def _overdue(self, at_ns: int, ticked: int = -1) -> None:
        """Plans to wake accounts whose certificate has ended, and those without one; where no time
        has passed, of the latter those that the ticked underlying moves."""
        self.plans = 0
        first = (self.last_ns - self.epoch_ns) >> step.TIME_SHIFT
        last = (at_ns - self.epoch_ns) >> step.TIME_SHIFT
        coordinate = (EXPOSURE_ITEMS + 2) * len(self.index)
        if last - first >= BUCKETS:
            self._wake(coordinate, 0, BUCKETS - 1)
        elif last > first:
            a, b = (first + 1) % BUCKETS, last % BUCKETS
            if a <= b:
                self._wake(coordinate, a, b)
            else:
                self._wake(coordinate, a, BUCKETS - 1)
                self._wake(coordinate, 0, b)
        self.hot_of = ticked if at_ns == self.last_ns and ticked >= 0 else step.EVERY_HOT

    def _wake(self, coordinate: int, first: int, last: int) -> None:
        self.plan[self.plans] = coordinate, first, last
        self.plans += 1

    def _place(self, underlying: int) -> list[tuple[int, int, int]]:
        """Notes the buckets of a price and of the ratios that it changes; returns for each its wheel
        coordinate, and the bucket before and after."""
        count, leader = len(self.index), int(self.clock[LEADER])
        moved = []
        ratios = range(count) if underlying == leader else (underlying,)
        for at in (underlying, *(count + u for u in ratios if u != leader)):
            value = self.index[at] if at < count else self.index[at - count] / self.index[leader]
            coordinate = EXPOSURE_ITEMS * at if at < count else EXPOSURE_ITEMS * count + 2 * (at - count)
            before, after = self.places[at], step.price_bucket(value, self.origins[at])
            self.places[at] = after
            moved.append((coordinate, before, after))
        return moved

    def _recentre(self) -> np.ndarray:
        """Moves the wheels under prices that have left them; everybody is filed anew."""
        shifts = np.array(self.places) - BUCKETS // 2
        self.origins += shifts
        self.places = [BUCKETS // 2] * len(self.places)
        return self._everybody()

    def _items(self) -> int:
        return ACCOUNT_ITEMS * len(self.book.names) + EXPOSURE_ITEMS * len(self.book.watch.columns[0])

    def _everybody(self) -> np.ndarray:
        self.rebuilt = False
        # rows without anything, such as those kept for accounts to come, have the status that they began with; but not who has just
        # lost, or been given, his last unit
        has = self.book.accounts[:, [CASH, LENGTH, ORDER_LENGTH]].any(axis=1)
        rows = np.flatnonzero(has | (self.levels > 0))
        self.touched[: len(rows)] = rows
        self.plans, self.hot_of = 0, step.NO_HOT
        return self._process(self.touched, len(rows))

    def _process(self, touched: np.ndarray, count: int) -> np.ndarray:
        """Looks at `count` accounts and those that the plan wakes; returns the changes of status."""
        self.wanted[step.DECISIONS] = 0
        self._run(False, self.book.holdings(), touched, count, self.decided, self._step)
        found: np.ndarray = self.decided[: self.wanted.item(step.DECISIONS)].copy()
        return found

    def _run(
        self, figures_only: bool, holdings: Holdings, touched: np.ndarray, count: int, decided: np.ndarray, process: Any
    ) -> None:
        """Runs the step (`process`) until nothing is left that waits for nodes."""
        pricer, wanted, clock = self.pricer, self.wanted, self.clock
        clock[NOW], clock[EPOCH], clock[RELEASE_PPM] = self.at_ns, self.epoch_ns, self.hysteresis_ppm
        clock[VERSION] = self.version
        plans, hot_of = self.plans, self.hot_of
        self.plans, self.hot_of = 0, step.NO_HOT
        if count == 0 and plans == 0 and (hot_of == step.NO_HOT or self.state.sums[HOT_COUNT] == 0):
            return
        while True:
            process(
                step.kind_of(self.model.kind), pricer.board, pricer.filler, pricer.nodes, holdings, self.state, self.scratch,
                clock, self.motion, pricer.drift, self.origins, figures_only, self.plan, plans, hot_of, touched, count,
                self.nodes_wanted, decided, wanted,
            )  # fmt: skip
            count = wanted.item(step.PENDING)
            if count == 0:
                return
            plans, hot_of = 0, step.NO_HOT
            if pricer.filler.bound[0] == UNBOUND:
                pricer.bind_filler()
            for u in np.flatnonzero(self.nodes_wanted).tolist():
                pricer.fill_nodes(u, self.at_ns)
                self.nodes_wanted[u] = False

    def _fresh(self, legs: np.ndarray) -> None:
        """Brings rows of legs to the present prices."""
        stale = self.pricer.stale(legs)
        if len(stale):
            self.pricer.fill_rows(np.unique(stale), self.at_ns, self.version)

    # -- looking in --------------------------------------------------------------------------

    def figures(self, account: int) -> np.ndarray:
        """int64[4] of one account at the present market; nothing is recorded."""
        return self._figures(self.book.holdings(), account, self._step)

    def _figures(self, holdings: Holdings, account: int, process: Any) -> np.ndarray:
        self._run(True, holdings, np.array([account], np.int32), 1, self.one_decided, process)
        return self.one_decided[0, :4].copy()

    def what_if(self, account: int, changes: list[tuple[int, int]], paid_nano: int | None) -> np.ndarray:
        """int64[4] as if lots were added by leg for paid_nano, or at the mark where None."""
        book, pricer = self.book, self.pricer
        legs, lots = pricer.row(book, account, changes, self.at_ns, self.version)
        if paid_nano is None:
            paid_nano = sum([self._price_of(leg, more) for leg, more in changes])
        cash_nano = int(book.cash_nano[account]) - paid_nano
        if not book.orders.length[account]:
            return evaluate_one(self.model.kind, pricer.board.tables, legs, lots, cash_nano)
        row = book.accounts[account : account + 1].copy()
        row[0, CASH], row[0, START], row[0, LENGTH] = cash_nano, 0, len(legs)
        return self._figures(book.holdings()._replace(accounts=row, leg=legs, lots=lots), 0, step.process)

    def _price_of(self, leg: int, lots: int) -> int:
        """Nano that lots cost at the mark; an option's seller gets what it was rounded down to."""
        paid_nano = lots * int(self.pricer.board.tables.values[leg, 0])
        if lots < 0 and self.pricer.legs.right[leg]:
            paid_nano += 1 - lots
        return paid_nano

    def sweep(self, at_ns: int) -> np.ndarray:
        """Full evaluation of every account at the present market."""
        tables = self.model.tables(self.desk.snapshot(at_ns))
        return self.sweep_on(tables)

    def sweep_on(self, tables: Tables) -> np.ndarray:
        out = self.book.evaluate(self.model.kind, tables)
        for account in np.flatnonzero(self.book.orders.length):
            out[account] = self.figures(int(account))
        return out

    def expected_levels(self, figures: np.ndarray) -> np.ndarray:
        """Statuses that a full evaluation would leave, given the present ones (hysteresis)."""
        plain = status_codes(figures[:, 0], figures[:, 1], figures[:, 2])
        expected = np.maximum(plain, self.state.level)
        for account in np.flatnonzero(plain < self.state.level):
            expected[account] = step.next_level(int(self.state.level[account]), figures[account], self.hysteresis_ppm)
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
            "node_fills": self.pricer.node_fills,
            "row_fills": self.pricer.row_fills + int(sums[FILLED]),
            "version": self.version,
        }

    def state_hash(self, at_ns: int) -> str:
        return state_hash(self.book, self.desk, self.state.level, at_ns, self.model, self.glide)
