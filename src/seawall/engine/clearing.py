"""The clearing: ledger and engine as one fold over one total order of events.

A ledger event is posted first; then the engine's book is made to follow (`mirror.py`) and the accounts that it
changed are evaluated. What needs margin (withdrawals, transfers, orders) is judged before anything changes, at the
moment of the event before it (`admission.py`), so that a refusal leaves no trace and need not be in the log. No
I/O, no clock: same genesis and events, same state, same decisions.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import numpy as np

from seawall.core import events as core_events
from seawall.core.errors import InputError, LimitExceeded, StaleEvent, UnreadableFile, invariant, show
from seawall.core.units import format_nano, parse_positive
from seawall.engine import admission
from seawall.engine.clearing_events import TICK, ClearingEvent, ClosingStep, Marks, Outcome, Ticks
from seawall.engine.closing_admission import refuse_pending, refuse_step
from seawall.engine.closing_fold import ClosingFold
from seawall.engine.decision import Decision, Verdict
from seawall.engine.desk import PRICE_LIMIT_NANO
from seawall.engine.frozen import State, columns_of, freeze, hash_of, state_of
from seawall.engine.genesis import Genesis
from seawall.engine.keys import Keys
from seawall.engine.loop import Engine
from seawall.engine.mirror import Mirror
from seawall.ledger import events as ledger_events
from seawall.ledger.doors import asset_of
from seawall.ledger.events import LedgerEvent, Receipt
from seawall.ledger.ledger import Ledger
from seawall.ledger.tables import Tables
from seawall.ledger.worth import balances_after_touch, holders, pending_of
from seawall.liquidation.closing_desk import ClosingDesk

__all__ = ["Clearing"]

_MASS = frozenset((ledger_events.Funding, ledger_events.Expire, ledger_events.Accrue))
_OPENINGS = frozenset((ledger_events.Open, ledger_events.OpenBucket))
_LISTINGS = frozenset((ledger_events.ListAsset, ledger_events.ListInstrument))
_LEDGER_EVENTS = frozenset(LedgerEvent.__args__)
_INSIDE = frozenset((ledger_events.Close,))
_POSTED = _LEDGER_EVENTS - _MASS - _OPENINGS - _LISTINGS - _INSIDE
_ORDER_ID_CHARACTERS_MAX = 128


class Clearing:
    """Everybody's money, positions and margin.

    genesis: what the log begins with, its record number one; capacity: accounts that there is room for, those of the
    venue among them (not a part of the state: a restart may give more).
    """

    def __init__(self, genesis: Genesis, capacity: int = 10_000) -> None:
        market = genesis.open_market()
        if genesis.at_ns < market.as_of_ns:
            raise StaleEvent("genesis", f"time {genesis.at_ns}", f"at or after its market's {market.as_of_ns}")
        self.genesis = genesis
        self.capacity = capacity
        self.at_ns = genesis.at_ns
        self.sequence = 1
        self.keys = Keys(genesis.keys_ns)
        self.orders: dict[tuple[int, str], core_events.Order] = {}
        ledger = genesis.open_ledger(market)
        self.closings = ClosingFold.opened(genesis, market, ledger, None)
        self._join(ledger, market, genesis.open_model(), None, {})

    def _join(
        self, ledger: Ledger, market: Any, model: Any, levels: np.ndarray | None, open_rows: dict[tuple[int, str], Any]
    ) -> None:
        """A ledger, and an engine made of it; levels: int8[accounts], statuses to go on from."""
        self.ledger = ledger
        self.mirror = Mirror(ledger, market)
        accounts = self.mirror.accounts(self.capacity)
        if levels is not None:
            levels = np.concatenate([levels, np.zeros(self.capacity - len(levels), np.int8)])
        self.engine = Engine(
            accounts,
            market,
            model,
            hysteresis_ppm=self.genesis.hysteresis_ppm,
            levels=levels,
            orders=[(row, id, rows) for (row, id), rows in open_rows.items()],
            index=ledger.state.rows,
        )

    @property
    def desk(self) -> ClosingDesk | None:
        """The closing desk, where the venue has one: to read."""
        return None if self.closings is None else self.closings.desk

    # -- the one door --------------------------------------------------------------------------

    def apply(self, event: ClearingEvent, key: str = "") -> Outcome:
        """Applies one event. Raises InputError, and changes nothing, where it cannot be; a request that margin
        refuses changes nothing either, and its outcome has sequence 0. key: applied once, see `keys.py`."""
        if key:
            done = self.keys.repeated(key, event)
            if done is not None:
                return done
        if event.at_ns < self.at_ns:
            raise StaleEvent(type(event).__name__.lower(), f"time {event.at_ns}", f"at or after {self.at_ns}")
        self._began = self.engine.watch.version, self.engine.at_ns
        outcome = self._dispatch(event)
        if outcome.sequence:
            self.sequence = outcome.sequence
            self.at_ns = event.at_ns
            if key:
                self.keys.remember(key, event, outcome)
            if self.keys.done:
                self.keys.forget(event.at_ns)
        return outcome

    def judge(self, event: ClearingEvent) -> Verdict | None:
        """What margin says of a request, nothing changed; None where margin is not asked."""
        return admission.verdict_on(self, event)

    def check(self, account: str, instrument: str, quantity: str, price: str) -> Verdict:
        """The verdict on an order, nothing changed."""
        return admission.check_order(self, account, instrument, quantity, price)

    def _dispatch(self, event: Any) -> Outcome:
        kind = type(event)
        if kind in _LEDGER_EVENTS and event.key:
            raise InputError("event", f"a key of its own, {show(event.key)}", "the key beside the event")
        if kind in _POSTED:
            return self._post(event)
        if kind in _OPENINGS:
            return self._open(event)
        if kind in _MASS:
            return self._mass(event)
        match event:
            case Ticks():
                return self._done(self._ticks(event))
            case Marks():
                return self._done(self._marks(event))
            case core_events.Surface() | core_events.Parameters() | core_events.Clock():
                return self._done(self.engine.apply(event))
            case core_events.Order():
                return self._order(event)
            case core_events.Cancel():
                return self._cancel(event)
            case ClosingStep():
                return self._closing(event)
            case ledger_events.Close():
                raise InputError("event", kind.__name__, "a step of closing")
            case ledger_events.ListAsset() | ledger_events.ListInstrument():
                raise InputError("event", kind.__name__, "listings in the genesis alone")
        raise InputError("event", show(kind.__name__), "an event of the clearing")

    def _done(self, decisions: list[Decision], receipt: Receipt | None = None, verdict: Verdict | None = None) -> Outcome:
        began, began_at_ns = self._began
        versions = self.engine.watch.version - began
        if not versions and self.engine.at_ns != began_at_ns:
            versions = -1
        return Outcome(self.sequence + 1, receipt, verdict, tuple(decisions), False, versions)

    # -- money and positions -------------------------------------------------------------------

    def _post(self, event: Any) -> Outcome:
        if isinstance(event, ledger_events.SetState) and event.state == "closed":
            self._refuse_open_orders(event.account)
        refuse_pending(self, event)
        verdict = admission.verdict_on(self, event)
        if verdict is not None and not verdict.admitted:
            return Outcome(0, None, verdict)
        admission.refuse_exposure(self, event)
        receipt = self.ledger.apply(event)
        moved = self.mirror.moved(receipt.postings)
        cash = {row: self.mirror.cash_of(row) for row in moved}
        return self._done(self._follow(moved, cash, event), receipt, verdict)

    def _follow(self, moved: dict[int, dict[int, int]], cash: dict[int, int], event: Any) -> list[Decision]:
        """The book takes over what the ledger says of these rows, and they are evaluated."""
        if not moved:
            return []
        for row, wanted in moved.items():
            self.engine.watch.follow(row, wanted, cash[row])
        return self._evaluate(sorted(moved), event)

    def _evaluate(self, rows: np.ndarray | list[int], event: Any) -> list[Decision]:
        changed = self.engine.watch.accounts_changed(rows, event.at_ns)
        self.engine.at_ns = event.at_ns
        return self.engine.decisions(changed, _cause(event)) if len(changed) else []

    def _open(self, event: Any) -> Outcome:
        row = len(self.ledger.state.names)
        if row >= self.capacity:
            raise LimitExceeded("account", f"number {row + 1:,}", f"at most the {self.capacity:,} that there is room for")
        receipt = self.ledger.apply(event)
        self.engine.book.names[row] = self.ledger.state.names[row]
        return self._done([], receipt)

    def _mass(self, event: Any) -> Outcome:
        """Funding, interest and last prices: many accounts at once, none of them posted to yet."""
        admission.refuse_mass(self, event)
        state, mirror = self.ledger.state, self.mirror
        if isinstance(event, ledger_events.Accrue):
            return self._interest(event)
        number = state.instrument_of.get(event.instrument, -1)
        slots, rows, _ = holders(state, number)
        before = pending_of(state, slots, mirror.asset)
        receipt = self.ledger.apply(event)
        gained = pending_of(state, slots, mirror.asset) - before
        traders = np.array([mirror.trader(row) for row in rows.tolist()], np.bool_)
        rows, gained = rows[traders], gained[traders]
        if isinstance(event, ledger_events.Expire):
            legs = mirror.legs_of[number]
            cash = self.engine.book.cash_nano[rows] + gained * mirror.unit_nano
            gone = {row: dict.fromkeys(legs, 0) for row in rows.tolist()}
            nano = dict(zip(rows.tolist(), cash.tolist(), strict=True))
            return self._inherited(event, self._follow(gone, nano, event), receipt)
        return self._done(self._paid(rows, gained, event), receipt)

    def _inherited(self, event: ledger_events.Expire, decisions: list[Decision], receipt: Receipt) -> Outcome:
        """What providers have inherited of a contract is over with it."""
        if self.closings is None:
            return self._done(decisions, receipt)
        done = self.closings.expired(event, self.sequence + 1)
        if done.receipt is None:
            return self._done(decisions, receipt)
        moved = self.mirror.moved(done.receipt.postings)
        decisions += self._follow(moved, {row: self.mirror.cash_of(row) for row in moved}, event)
        whole = Receipt(done.receipt.sequence, receipt.postings + done.receipt.postings)
        return msgspec.structs.replace(self._done(decisions, whole), closing=done.said)

    def _interest(self, event: ledger_events.Accrue) -> Outcome:
        state, mirror = self.ledger.state, self.mirror
        number = asset_of(state, event.asset)
        before = balances_after_touch(state, number)
        receipt = self.ledger.apply(event)
        after = balances_after_touch(state, number)
        if number == mirror.asset:
            gained = np.where(mirror.traders(), after - before, 0)
            rows = np.flatnonzero(gained)
            return self._done(self._paid(rows, gained[rows], event), receipt)
        if number not in mirror.spot_of:
            return self._done([], receipt)
        leg, lot_units = mirror.spot_of[number]
        rows = np.flatnonzero(mirror.traders() & (after // lot_units != before // lot_units))
        moved = {row: {leg: int(after[row]) // lot_units} for row in rows.tolist()}
        cash = {row: int(self.engine.book.cash_nano[row]) for row in moved}
        return self._done(self._follow(moved, cash, event), receipt)

    def _paid(self, rows: np.ndarray, gained: np.ndarray, event: Any) -> list[Decision]:
        """Units of the settlement currency to (from) accounts, int64[n] each."""
        if not len(rows):
            return []
        self.engine.book.pay(rows, gained * self.mirror.unit_nano)
        # who is in no trouble and gets something stays so: a certificate holds with more cash all the more
        looked_at = rows[(gained < 0) | (self.engine.watch.levels[rows] > 0)]
        return self._evaluate(looked_at, event)

    def _closing(self, event: ClosingStep) -> Outcome:
        """A step of closing: its postings, the orders that it cancels, and then everybody whom it moved is evaluated."""
        if self.closings is None:
            raise InputError("closing", "a step", "a venue whose genesis has terms of closing")
        verdict = refuse_step(self, event)
        if verdict is not None and not verdict.admitted:
            return Outcome(0, None, verdict)
        done = self.closings.apply(event, self.sequence + 1)
        moved = self.mirror.moved(done.receipt.postings) if done.receipt else {}
        rows = set(moved)
        for account, id in done.cancelled:
            row = self.ledger.state.rows[account]
            if self.orders.pop((row, id), None) is not None:
                self.engine.watch.before_change(row)
                self.engine.book.cancel(row, id)
                rows.add(row)
        for row, wanted in moved.items():
            self.engine.watch.follow(row, wanted, self.mirror.cash_of(row))
        decisions = self._evaluate(sorted(rows), event) if rows else []
        return msgspec.structs.replace(self._done(decisions, done.receipt, verdict), closing=done.said)

    def _refuse_open_orders(self, account: str) -> None:
        row = self.ledger.state.rows.get(account, -1)
        if row >= 0 and self.engine.book.orders.length[row]:
            raise InputError("account", f"{show(account)} with open orders", "an account with nothing left")

    # -- orders --------------------------------------------------------------------------------

    def _order(self, event: core_events.Order) -> Outcome:
        engine, row = self.engine, admission.user(self, event.account)
        if not 0 < len(event.id) <= _ORDER_ID_CHARACTERS_MAX or not event.id.isprintable():
            raise UnreadableFile("order id", show(event.id), f"1 to {_ORDER_ID_CHARACTERS_MAX} printable characters")
        if (row, event.id) in self.orders:
            raise InputError(f"order of {event.account}", f"{show(event.id)}, which is open", "a new id")
        engine.watch.listed(event.instrument, "order", event.at_ns)
        verdict = admission.verdict_on(self, event)
        if verdict is None or not verdict.admitted:
            return Outcome(0, None, verdict)
        rows, _, _ = engine.requests.parse(event.instrument, event.quantity, event.price, engine.at_ns)
        engine.watch.before_change(row)
        engine.book.place(row, event.id, rows)
        engine.watch.after_change()
        self.orders[row, event.id] = event
        return self._done(self._evaluate([row], event), None, verdict)

    def _cancel(self, event: core_events.Cancel) -> Outcome:
        row = admission.user(self, event.account)
        if (row, event.id) not in self.orders:
            raise InputError(f"cancel of {event.account}", show(event.id), "the id of an open order")
        self.engine.watch.before_change(row)
        self.engine.book.cancel(row, event.id)
        del self.orders[row, event.id]
        return self._done(self._evaluate([row], event))

    # -- the market ----------------------------------------------------------------------------

    def _ticks(self, event: Ticks) -> list[Decision]:
        engine = self.engine
        names = tuple(engine.watch.underlying_index)
        if len(event.packed) % TICK.itemsize or not event.packed:
            raise UnreadableFile("ticks", f"{len(event.packed)} bytes", f"a multiple of {TICK.itemsize}, not 0")
        rows = event.rows()
        for underlying, price_nano in rows:
            if not 0 <= underlying < len(names):
                raise InputError("ticks", f"underlying {underlying}", f"one from 0 to {len(names) - 1}")
            if not 0 < price_nano < PRICE_LIMIT_NANO:
                raise LimitExceeded("ticks", f"a price of {price_nano} nano", f"above 0, below {PRICE_LIMIT_NANO}")
        decisions: list[Decision] = []
        for underlying, price_nano in rows:
            changed = engine.watch.tick(underlying, Decimal(price_nano).scaleb(-9), event.at_ns)
            engine.at_ns = event.at_ns
            if len(changed):
                decisions += engine.decisions(changed, f"tick {names[underlying]} {format_nano(price_nano)}")
        return decisions

    def _marks(self, event: Marks) -> list[Decision]:
        engine = self.engine
        parsed = []
        for symbol, text in event.prices.items():
            instrument = engine.watch.listed(symbol, "mark", event.at_ns)
            price = parse_positive(text, f"mark {symbol}")
            engine.watch.desk.with_mark(symbol, price, event.at_ns)  # refused before any of them counts
            parsed.append((instrument, price))
        if not parsed:
            raise InputError("marks", "no price", "at least one")
        decisions: list[Decision] = []
        for instrument, price in parsed:
            changed = engine.watch.mark(instrument, price, event.at_ns)
            engine.at_ns = event.at_ns
            decisions += engine.decisions(changed, f"mark {instrument.symbol} {price}")
        return decisions

    # -- snapshots and proofs ------------------------------------------------------------------

    def columns(self) -> Tables:
        """Everything that the future depends on, as arrays; `frozen.py` has the same in three steps."""
        return columns_of(freeze(self))

    def state_hash(self) -> str:
        """SHA-256 of the columns: equal for the same genesis and events, however the process came to them."""
        return hash_of(self.columns())

    @classmethod
    def from_columns(cls, columns: Tables, capacity: int = 10_000) -> Clearing:
        """The clearing that `columns` were taken of: same hash, and the same decisions for the same events."""
        return cls.of_state(state_of(columns), capacity)

    @classmethod
    def of_state(cls, state: State, capacity: int = 10_000) -> Clearing:
        """The clearing in a state, which is then its own. Everybody is evaluated; InvariantError unless that leaves each
        with the status that the state says."""
        clearing = cls.__new__(cls)
        clearing.genesis, clearing.capacity, clearing.keys = state.genesis, capacity, state.keys
        clearing.at_ns, clearing.sequence, _, decisions, version = state.head
        clearing.orders = {(row, order.id): order for row, order, _ in state.orders}
        open_rows = {(row, order.id): rows for row, order, rows in state.orders}
        clearing.closings = ClosingFold.opened(state.genesis, state.market, state.ledger, state.closing)
        clearing._join(state.ledger, state.market, state.model, state.levels, open_rows)
        engine = clearing.engine
        invariant(not engine.opening, "a restored account has the status that it had", str(engine.opening[:1]))
        engine.sequence, engine.watch.version, engine.watch.glide = decisions, version, state.glide
        return clearing

    def check_mirror(self) -> None:
        """InvariantError unless the engine's book is the ledger's, account by account."""
        wrong = self.mirror.differences(self.engine.book)
        invariant(not wrong, "the engine's book follows the ledger", ", ".join(wrong[:5]))


def _cause(event: Any) -> str:
    name = type(event).__name__.lower()
    match event:
        case ClosingStep():
            return f"closing {type(event.what).__name__.lower()}"
        case ledger_events.Trade():
            return f"fill {event.lots} lots of {event.instrument}"
        case ledger_events.Funding() | ledger_events.Expire():
            return f"{name} {event.instrument}"
        case ledger_events.Deposit() | ledger_events.Withdraw() | ledger_events.Transfer() | ledger_events.Charge():
            return f"{name} {event.amount} {event.asset}"
        case core_events.Order() | core_events.Cancel():
            return f"{name} {event.id}"
    return name
