"""A clearing without its engine, taken along a log: the ledger moves, and what was decided is taken from the log.

Nobody is evaluated on the way, so ledger events may be folded in bulk beside it (`ledger/bulk`). At the end
`Clearing.of_state` makes an engine of `state()`, evaluates everybody once, and finds each with the status that the log
says, or refuses.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from seawall.core import events as core_events
from seawall.core.errors import InputError, LimitExceeded, show
from seawall.core.units import parse_positive
from seawall.engine.clearing_events import ClosingStep, Marks, Outcome, Ticks
from seawall.engine.closing_fold import ClosingFold
from seawall.engine.decision import STATUSES
from seawall.engine.desk import PRICE_LIMIT_NANO, Desk
from seawall.engine.facts import Facts
from seawall.engine.frozen import State
from seawall.engine.genesis import Genesis
from seawall.engine.glide import Glide, next_glide
from seawall.engine.keys import Keys
from seawall.ledger import events as ledger_events
from seawall.margin.model import Model

__all__ = ["Refold"]


class Refold:
    """The state that a Clearing has after the same events.

    ledger, keys: moved by whoever folds in bulk too. at_ns, sequence: of the last event; `passed` notes them.
    """

    def __init__(self, state: State) -> None:
        self.genesis = state.genesis
        self.ledger = state.ledger
        self.keys: Keys = state.keys
        self.at_ns, self.sequence, self._engine_at_ns, self._decisions, self._version = state.head
        self._levels = state.levels.astype(np.int8)
        self._desk = Desk(state.market)
        self._model: Model = state.model
        self._glide: Glide | None = state.glide
        self._orders = {(row, order.id): (order, rows) for row, order, rows in state.orders}
        self._closings = ClosingFold.opened(state.genesis, state.market, state.ledger, state.closing)

    @classmethod
    def begun(cls, genesis: Genesis) -> Refold:
        """As of the first record."""
        market = genesis.open_market()
        ledger = genesis.open_ledger(market)
        levels = np.zeros(len(ledger.state.names), np.int8)
        head = (genesis.at_ns, 1, market.as_of_ns, 0, 0)
        model = genesis.open_model()
        return cls(State(head, genesis, ledger, levels, market, model, None, [], Keys(genesis.keys_ns)))

    @classmethod
    def of(cls, clearing: Any) -> Refold:
        """Of a clearing, which is not to be used any more."""
        engine, watch = clearing.engine, clearing.engine.watch
        head = (clearing.at_ns, clearing.sequence, engine.at_ns, engine.sequence, watch.version)
        levels = watch.levels[: len(clearing.ledger.state.names)]
        orders = [(row, order, engine.book.open[row, id]) for (row, id), order in clearing.orders.items()]
        market = watch.snapshot(engine.at_ns)
        closing = None if clearing.desk is None else clearing.desk.freeze()
        return cls(
            State(
                head, clearing.genesis, clearing.ledger, levels, market, watch.model, watch.glide, orders, clearing.keys, closing
            )
        )

    def state(self) -> State:
        """What `Clearing.of_state` goes on from."""
        self.keys.forget(self.at_ns)
        self._glide_to(self._engine_at_ns)
        self._make_room()
        head = (self.at_ns, self.sequence, self._engine_at_ns, self._decisions, self._version)
        market = self._desk.snapshot(self._engine_at_ns)
        orders = [(row, order, rows) for (row, _), (order, rows) in self._orders.items()]
        closing = None if self._closings is None else self._closings.desk.freeze()
        return State(
            head, self.genesis, self.ledger, self._levels, market, self._model, self._glide, orders, self.keys, closing
        )

    def evaluated(self, versions: int, at_ns: int) -> None:
        """The market version has moved by so many, the last time at `at_ns`."""
        if versions:
            self._version += versions
            self._engine_at_ns = at_ns

    def decided(self, facts: Facts) -> None:
        """Statuses are what an event made them. InputError where they cannot be."""
        if not facts.changes:
            return
        try:
            rows = facts.changed()
        except ValueError:
            raise InputError("facts", f"{len(facts.changes)} bytes of changes", "whole rows") from None
        accounts, statuses = rows["account"], rows["status"]
        self._make_room()
        known = (0 <= accounts) & (accounts < len(self._levels)) & (0 <= statuses) & (statuses < len(STATUSES))
        if not known.all():
            found = rows[int(np.argmin(known))]
            raise InputError("facts", f"account {found['account']}, status {found['status']}", "an account and a status")
        self._levels[accounts] = statuses
        self._decisions += len(rows)

    def apply(self, event: Any, facts: Facts) -> Outcome:
        """One event that is not folded in bulk; InputError where it cannot be. Statuses and versions are not moved here."""
        sequence = self.sequence + 1
        match event:
            case Ticks():
                self._ticks(event)
            case Marks():
                for symbol, text in event.prices.items():
                    self._desk.listed(symbol, "mark", event.at_ns)
                    price = parse_positive(text, f"mark {symbol}")
                    self._desk.base = self._desk.with_mark(symbol, price, event.at_ns)
            case core_events.Surface():
                self._desk.base = self._desk.base.with_iv(self._desk.parse_surface(event.updates, event.at_ns))
            case core_events.Parameters():
                glide = next_glide(self._glide, self._model, event, self._desk.base)
                self._glide_to(event.at_ns)
                self._glide = glide
            case core_events.Clock():
                pass
            case core_events.Order():
                self._order(event, facts)
            case core_events.Cancel():
                row = self.ledger.state.rows.get(event.account, -1)
                if self._orders.pop((row, event.id), None) is None:
                    raise InputError(f"cancel of {event.account}", show(event.id), "the id of an open order")
            case ClosingStep():
                return Outcome(sequence, self._closing(event, sequence), facts.told())
            case ledger_events.ListAsset() | ledger_events.ListInstrument() | ledger_events.Close():
                raise InputError("event", type(event).__name__, "listings in the genesis, closings in steps alone")
            case ledger_events.Expire() if self._closings is not None:
                receipt = self.ledger.apply(event)
                more = self._closings.expired(event, sequence).receipt
                if more is not None:
                    receipt = ledger_events.Receipt(more.sequence, receipt.postings + more.postings)
                return Outcome(sequence, receipt, facts.told())
            case _:
                return Outcome(sequence, self.ledger.apply(event), facts.told())
        return Outcome(sequence, None, facts.told())

    # -- inside --------------------------------------------------------------------------------

    def _ticks(self, event: Ticks) -> None:
        index_nano = self._desk.index_nano
        for underlying, price_nano in event.rows():
            if not 0 <= underlying < len(index_nano):
                raise InputError("ticks", f"underlying {underlying}", f"one from 0 to {len(index_nano) - 1}")
            if not 0 < price_nano < PRICE_LIMIT_NANO:
                raise LimitExceeded("ticks", f"a price of {price_nano} nano", f"above 0, below {PRICE_LIMIT_NANO}")
            index_nano[underlying] = price_nano

    def _order(self, event: core_events.Order, facts: Facts) -> None:
        row = self.ledger.state.rows.get(event.account, -1)
        if row < 0 or (row, event.id) in self._orders:
            raise InputError(f"order of {event.account}", show(event.id), "a new id of an account")
        if not facts.rows:
            raise InputError(f"order of {event.account}", "an order without its rows", "what it opened")
        self._orders[row, event.id] = event, list(facts.rows)

    def _closing(self, event: ClosingStep, sequence: int) -> ledger_events.Receipt | None:
        if self._closings is None:
            raise InputError("closing", "a step", "a venue whose genesis has terms of closing")
        done = self._closings.apply(event, sequence)
        for account, id in done.cancelled:
            self._orders.pop((self.ledger.state.rows[account], id), None)
        return done.receipt

    def _glide_to(self, at_ns: int) -> None:
        """The stage that a glide has come to."""
        glide = self._glide
        if glide is None or (stage := glide.stage_at(at_ns)) <= glide.stage:
            return
        glide.stage = stage
        self._model = glide.models[stage - 1]
        if glide.done:
            self._glide = None

    def _make_room(self) -> None:
        missing = len(self.ledger.state.names) - len(self._levels)
        if missing > 0:
            self._levels = np.concatenate([self._levels, np.zeros(missing, np.int8)])
