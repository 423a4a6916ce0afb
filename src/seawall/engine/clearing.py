"""The clearing: ledger and engine as one fold over one total order of events.

A ledger event is posted first; then the engine's book is made to follow (`mirror.py`) and the accounts that it
changed are evaluated. What needs margin (withdrawals, transfers, orders) is judged before anything changes, at the
moment of the event before it, so that a refusal leaves no trace and need not be in the log. No I/O, no clock: same
genesis and events, same state, same decisions.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np

from seawall.core import events as core_events
from seawall.core.errors import InputError, LimitExceeded, StaleEvent, UnreadableFile, invariant, show
from seawall.core.units import NANO, parse_positive
from seawall.engine.clearing_events import TICK, ClearingEvent, Marks, Outcome, Ticks
from seawall.engine.decision import Decision, Figures, Verdict
from seawall.engine.desk import PRICE_LIMIT_NANO
from seawall.engine.genesis import Genesis
from seawall.engine.loop import Engine
from seawall.engine.mirror import Mirror
from seawall.kernels.orders import LEG, LOTS
from seawall.ledger import events as ledger_events
from seawall.ledger.chart import ACTIVE, LIQUIDATING, REDUCE_ONLY, STATES, USER
from seawall.ledger.doors import account_of, state_of
from seawall.ledger.events import LedgerEvent, Receipt
from seawall.ledger.ledger import Ledger
from seawall.ledger.worth import holders

__all__ = ["Clearing"]

_LEDGER_EVENTS: tuple[type, ...] = LedgerEvent.__args__
_ORDER_ID_CHARACTERS_MAX = 128


class Clearing:
    """Everybody's money, positions and margin.

    genesis: what the log begins with; capacity: accounts that there is room for, those of the venue among them
    (not a part of the state: a restart may give more).
    """

    def __init__(self, genesis: Genesis, capacity: int = 10_000) -> None:
        market = genesis.open_market()
        self._begin(genesis, genesis.open_ledger(market), market, genesis.open_model(), capacity, None)
        self.at_ns = genesis.at_ns
        self.sequence = 1

    def _begin(
        self, genesis: Genesis, ledger: Ledger, market: Any, model: Any, capacity: int, levels: np.ndarray | None
    ) -> None:
        self.genesis = genesis
        self.capacity = capacity
        self.ledger = ledger
        self.mirror = Mirror(ledger, market)
        self.engine = Engine(
            self.mirror.accounts(capacity), market, model, hysteresis_ppm=genesis.hysteresis_ppm, levels=levels
        )
        names = np.full(capacity, "", object)  # an array of strings is nothing that the garbage collector walks through
        names[: len(ledger.state.names)] = ledger.state.names
        self.engine.book.names = names
        self.engine.book.index = ledger.state.rows
        self.orders: dict[tuple[int, str], core_events.Order] = {}

    # -- the one door --------------------------------------------------------------------------

    def apply(self, event: ClearingEvent) -> Outcome:
        """Applies one event. Raises InputError, and changes nothing, where it cannot be; a request that margin
        refuses changes nothing either, and its outcome has sequence 0."""
        if event.at_ns < self.at_ns:
            raise StaleEvent(type(event).__name__.lower(), f"time {event.at_ns}", f"at or after {self.at_ns}")
        outcome = self._dispatch(event)
        if outcome.sequence:
            self.sequence = outcome.sequence
            self.at_ns = event.at_ns
        return outcome

    def judge(self, event: ClearingEvent) -> Verdict | None:
        """What margin says of a request, nothing changed; None where margin is not asked."""
        match event:
            case ledger_events.Withdraw():
                return self._leaving(event.account, event.asset, event.amount)
            case ledger_events.Transfer():
                return self._leaving(event.source, event.asset, event.amount)
            case core_events.Order():
                return self.check(event.account, event.instrument, event.quantity, event.price)
        return None

    def check(self, account: str, instrument: str, quantity: str, price: str) -> Verdict:
        """The verdict on an order: states of accounts first, then margin."""
        row = self._user(account)
        verdict = self.engine.check(account, instrument, quantity, price)
        refusal = self._state_refuses(row, instrument, quantity)
        if refusal:
            return Verdict(False, refusal, verdict.before, verdict.before)
        return verdict

    def _dispatch(self, event: ClearingEvent) -> Outcome:
        if isinstance(event, _LEDGER_EVENTS):
            return self._post(event)  # type: ignore[arg-type]
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
        raise InputError("event", show(type(event).__name__), "an event of the clearing")

    def _done(self, decisions: list[Decision], receipt: Receipt | None = None, verdict: Verdict | None = None) -> Outcome:
        return Outcome(self.sequence + 1, receipt, verdict, tuple(decisions))

    # -- money and positions -------------------------------------------------------------------

    def _post(self, event: LedgerEvent) -> Outcome:
        match event:
            case ledger_events.Open() | ledger_events.OpenBucket():
                return self._open(event)
            case ledger_events.Funding() | ledger_events.Expire() | ledger_events.Accrue():
                return self._everybody(event)
            case ledger_events.ListAsset() | ledger_events.ListInstrument():
                raise InputError("event", type(event).__name__, "listings of the genesis alone")
            case ledger_events.SetState() if event.state == "closed":
                self._refuse_open_orders(event.account)
        verdict = self.judge(event)
        if verdict is not None and not verdict.admitted:
            return Outcome(0, None, verdict)
        self._refuse_exposure(event)
        receipt = self.ledger.apply(event)
        moved = self.mirror.moved(receipt.postings)
        return self._done(self._follow(moved, event.at_ns, _cause(event)), receipt, verdict)

    def _follow(self, moved: dict[int, dict[int, int]], at_ns: int, cause: str) -> list[Decision]:
        """The book takes over what the ledger says of these rows, and they are evaluated."""
        if not moved:
            return []
        engine, book = self.engine, self.engine.book
        for row, wanted in moved.items():
            if wanted:
                engine.watch.before_change(row)
            book.match(row, wanted, self.mirror.cash_of(row))
            if wanted:
                engine.watch.after_change()
        return self._evaluate(np.array(sorted(moved), np.int64), at_ns, cause)

    def _evaluate(self, rows: np.ndarray, at_ns: int, cause: str) -> list[Decision]:
        changed = self.engine.watch.accounts_changed(rows, at_ns)
        self.engine.at_ns = at_ns
        return self.engine._decisions(changed, cause)

    def _open(self, event: Any) -> Outcome:
        row = len(self.ledger.state.names)
        if row >= self.capacity:
            raise LimitExceeded("account", f"number {row + 1:,}", f"at most the {self.capacity:,} that there is room for")
        receipt = self.ledger.apply(event)
        self.engine.book.names[row] = self.ledger.state.names[row]
        return self._done([], receipt)

    def _everybody(self, event: Any) -> Outcome:
        """Funding, interest and last prices: cash of all holders at once."""
        state, book = self.ledger.state, self.engine.book
        gone = []
        if isinstance(event, ledger_events.Expire):
            number = state.instrument_of.get(event.instrument, -1)
            _, rows, _ = holders(state, number)
            gone = [(row, self.mirror.legs_of[number]) for row in rows.tolist() if self.mirror.trader(row)]
        receipt = self.ledger.apply(event)
        count = len(state.names)
        cash = self.mirror.cash_nano()
        changed = cash != book.cash_nano[:count]
        lots: dict[int, dict[int, int]] = {row: dict.fromkeys(legs, 0) for row, legs in gone}
        if isinstance(event, ledger_events.Accrue) and state.asset_of[event.asset] in self.mirror.spot_of:
            lots |= self._coins_changed(state.asset_of[event.asset])
        for row, wanted in lots.items():
            self.engine.watch.before_change(row)
            book.match(row, wanted, int(cash[row]))
            self.engine.watch.after_change()
            changed[row] = True
        rows = np.flatnonzero(changed)
        book.outside_nano += int((cash[rows] - book.cash_nano[rows]).sum())
        book.cash_nano[rows] = cash[rows]
        return self._done(self._evaluate(rows, event.at_ns, _cause(event)) if len(rows) else [], receipt)

    def _coins_changed(self, asset: int) -> dict[int, dict[int, int]]:
        leg, _ = self.mirror.spot_of[asset]
        balance = self.ledger.state.balance[asset]
        rows = [row for row in np.flatnonzero(np.frombuffer(balance, np.int64)).tolist() if self.mirror.trader(row)]
        fresh = {row: self.mirror.coins_of(row, asset) for row in rows}
        return {row: {leg: lots} for row, lots in fresh.items() if lots != self.engine.book.lots_of(row, leg)}

    # -- doors ---------------------------------------------------------------------------------

    def _user(self, account: str) -> int:
        row = account_of(self.ledger.state, account)
        if self.ledger.state.kind[row] != USER:
            raise InputError("account", show(account), "a user's account")
        return row

    def _leaving(self, account: str, asset: str, amount: int) -> Verdict | None:
        """Whether free collateral covers what is to leave an account; None where it is not margined."""
        state = self.ledger.state
        row = account_of(state, account)
        if not self.mirror.trader(row) or type(amount) is not int or amount <= 0:
            return None
        number = state.asset_of.get(asset, -1)
        before = self.engine.figures(account)
        after = before
        if number == self.mirror.asset:
            leaves = -(-amount * self.mirror.unit_nano // 1000)
            after = Figures(before.equity_micro - leaves, before.initial_micro, before.maintenance_micro)
        elif number in self.mirror.spot_of:
            leg, lot_units = self.mirror.spot_of[number]
            lots = (state.balance[number][row] - amount) // lot_units - self.engine.book.lots_of(row, leg)
            if lots:
                found = self.engine.watch.what_if(row, [(leg, lots)], 0)
                after = Figures(int(found[0]), int(found[1]), int(found[2]))
        admitted = after.free_collateral_micro >= 0
        reason = "free collateral covers it" if admitted else "free collateral would be negative"
        return Verdict(admitted, reason, before, after)

    def _refuse_exposure(self, event: LedgerEvent) -> None:
        """What could let an account's products leave int64 is refused before it is posted."""
        state, mirror, requests = self.ledger.state, self.mirror, self.engine.requests
        match event:
            case ledger_events.Trade():
                number = state.instrument_of.get(event.instrument, -1)
                if number < 0 or type(event.lots) is not int or type(event.price_nano) is not int:
                    return  # the ledger says what is wrong
                self.engine.watch.listed(event.instrument, "fill", event.at_ns)
                legs = mirror.legs_of[number]
                listing = state.instruments[number]
                if listing.base:
                    legs = (mirror.spot_of[state.asset_of[listing.base]][0],)
                for name, lots in ((event.maker, -event.lots), (event.taker, event.lots)):
                    row = state.rows.get(name, -1)
                    if row >= 0 and mirror.trader(row):
                        requests._exposure(row, [(leg, lots) for leg in legs], lots * event.price_nano)
            case ledger_events.Deposit() | ledger_events.Transfer() | ledger_events.Cover():
                target = event.target if isinstance(event, ledger_events.Transfer) else event.account
                row, asset = state.rows.get(target, -1), state.asset_of.get(event.asset, -1)
                if row < 0 or not mirror.trader(row) or type(event.amount) is not int:
                    return
                if asset == mirror.asset:
                    requests._exposure(row, [], event.amount * mirror.unit_nano)
                elif asset in mirror.spot_of:
                    leg, lot_units = mirror.spot_of[asset]
                    requests._exposure(row, [(leg, event.amount // lot_units + 1)], 0)

    def _refuse_open_orders(self, account: str) -> None:
        row = self.ledger.state.rows.get(account, -1)
        if row >= 0 and self.engine.book.orders.length[row]:
            raise InputError("account", f"{show(account)} with open orders", "an account with nothing left")

    # -- orders --------------------------------------------------------------------------------

    def _order(self, event: core_events.Order) -> Outcome:
        row = self._user(event.account)
        if not 0 < len(event.id) <= _ORDER_ID_CHARACTERS_MAX or not event.id.isprintable():
            raise UnreadableFile("order id", show(event.id), f"1 to {_ORDER_ID_CHARACTERS_MAX} printable characters")
        if (row, event.id) in self.orders:
            raise InputError(f"order of {event.account}", f"{show(event.id)}, which is open", "a new id")
        self.engine.watch.listed(event.instrument, "order", event.at_ns)
        verdict = self.check(event.account, event.instrument, event.quantity, event.price)
        if not verdict.admitted:
            return Outcome(0, None, verdict)
        engine = self.engine
        rows, _, _ = engine.requests._parse(event.instrument, event.quantity, event.price, engine.at_ns)
        engine.watch.before_change(row)
        engine.book.place(row, event.id, rows)
        engine.watch.after_change()
        self.orders[row, event.id] = event
        return self._done(self._evaluate(np.array([row]), event.at_ns, f"order {event.id}"), None, verdict)

    def _cancel(self, event: core_events.Cancel) -> Outcome:
        row = self._user(event.account)
        if (row, event.id) not in self.orders:
            raise InputError(f"cancel of {event.account}", show(event.id), "the id of an open order")
        self.engine.watch.before_change(row)
        self.engine.book.cancel(row, event.id)
        del self.orders[row, event.id]
        return self._done(self._evaluate(np.array([row]), event.at_ns, f"cancel {event.id}"))

    def _state_refuses(self, row: int, symbol: str, quantity: str) -> str:
        """Why the state of an account, or what its bucket is for, does not allow an order; empty where it does."""
        state = self.ledger.state
        only = state.only[row]
        if only >= 0 and state.instruments[only].instrument != symbol:
            return f"the bucket is for {state.instruments[only].instrument} alone"
        found = state_of(state, row)
        if found == ACTIVE:
            return ""
        if found not in (REDUCE_ONLY, LIQUIDATING):
            return f"the account is {STATES[found]}"
        lots = self.engine.watch.listed(symbol, "order", self.engine.at_ns).lots_of(quantity)
        book = self.engine.book
        (orders,) = book.orders.rows(row)
        for leg, _ in self.engine.watch.desk.base.legs.expand(symbol):
            held = book.lots_of(row, leg)
            waiting = int(orders[(orders[:, LEG] == leg) & (np.sign(orders[:, LOTS]) == np.sign(lots)), LOTS].sum())
            if (held > 0) == (lots > 0) or abs(lots + waiting) > abs(held):
                return f"the account is {STATES[found]}: the order does not only reduce"
        return ""

    # -- the market ----------------------------------------------------------------------------

    def _ticks(self, event: Ticks) -> list[Decision]:
        engine = self.engine
        count = len(engine.watch.underlying_index)
        if len(event.packed) % TICK.itemsize or not event.packed:
            raise UnreadableFile("ticks", f"{len(event.packed)} bytes", f"a multiple of {TICK.itemsize}, not 0")
        rows = event.rows()
        for underlying, price_nano in rows:
            if not 0 <= underlying < count:
                raise InputError("ticks", f"underlying {underlying}", f"one from 0 to {count - 1}")
            if not 0 < price_nano < PRICE_LIMIT_NANO:
                raise LimitExceeded("ticks", f"a price of {price_nano} nano", f"above 0, below {PRICE_LIMIT_NANO}")
        names = tuple(engine.watch.underlying_index)
        decisions: list[Decision] = []
        for underlying, price_nano in rows:
            price = Decimal(price_nano).scaleb(-9)
            changed = engine.watch.tick(underlying, price, event.at_ns)
            engine.at_ns = event.at_ns
            if len(changed):
                decisions += engine._decisions(changed, f"tick {names[underlying]} {price_nano / NANO:.12g}")
        return decisions

    def _marks(self, event: Marks) -> list[Decision]:
        engine = self.engine
        parsed = []
        for symbol, text in event.prices.items():
            instrument = engine.watch.listed(symbol, "mark", event.at_ns)
            price = parse_positive(text, f"mark {symbol}")
            engine.watch.desk.with_mark(symbol, price, event.at_ns)
            parsed.append((instrument, price))
        if not parsed:
            raise InputError("marks", "no price", "at least one")
        decisions: list[Decision] = []
        for instrument, price in parsed:
            changed = engine.watch.mark(instrument, price, event.at_ns)
            engine.at_ns = event.at_ns
            decisions += engine._decisions(changed, f"mark {instrument.symbol} {price}")
        return decisions

    # -- proofs --------------------------------------------------------------------------------

    def check_mirror(self) -> None:
        """InvariantError unless the engine's book is the ledger's, account by account."""
        wrong = self.mirror.differences(self.engine.book)
        invariant(not wrong, "the engine's book follows the ledger", ", ".join(wrong[:5]))


def _cause(event: Any) -> str:
    name = type(event).__name__.lower()
    match event:
        case ledger_events.Trade():
            return f"fill {event.lots} lots of {event.instrument}"
        case ledger_events.Funding() | ledger_events.Expire():
            return f"{name} {event.instrument}"
        case ledger_events.Deposit() | ledger_events.Withdraw() | ledger_events.Transfer() | ledger_events.Charge():
            return f"{name} {event.amount} {event.asset}"
    return name
