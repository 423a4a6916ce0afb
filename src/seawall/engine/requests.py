"""What accounts ask for: orders, cancels, fills, deposits, withdrawals, and pre-trade checks.

An order is admitted if initial margin covers the account with it, in the worst subset of fills;
or if filling it would lower maintenance margin without raising the size of any position, which
is decided by its effect and never by a flag, whatever the free collateral. A fill is a fact and
always recorded.
"""

from decimal import Decimal
from fractions import Fraction
from math import floor
from operator import mul
from typing import Any

import numpy as np

from seawall.core import events
from seawall.core.errors import DuplicateRow, InputError, LimitExceeded
from seawall.core.units import MICRO, NANO, PPM, parse_positive, to_int_exact
from seawall.engine.decision import Figures, Verdict
from seawall.kernels.direct import Direct
from seawall.kernels.merge import worth
from seawall.kernels.orders import LEG, LOTS

EXPOSURE_LIMIT_NANO = 2**62
SURE = 0.999  # of the limit: below it a float sum decides, above it whole numbers do
Rows = list[tuple[int, int, int]]


class Requests:
    """Account events on an engine; `last` is the verdict of the latest."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self._worth = Direct(worth)
        self._limit = self._limit_copy = np.zeros(0, np.int64)
        self.last = Verdict(True, "", Figures(0, 0, 0), Figures(0, 0, 0))

    def apply(self, event: events.Event) -> np.ndarray:
        match event:
            case events.Deposit():
                return self._deposit(event)
            case events.Withdraw():
                return self._withdraw(event)
            case events.Fill():
                return self._fill(event)
            case events.Order():
                return self._order(event)
            case events.Cancel():
                return self._cancel(event)
        raise InputError("event", type(event).__name__, "an event of seawall.core.events")

    def figures(self, account: int) -> Figures:
        """Exact figures at the present market."""
        return _figures(self.engine.watch.figures(account))

    def what_if(self, account: str, trades: Any) -> Figures:
        """Figures as if (instrument, quantity) trades were done at the mark."""
        row = self.engine.account_of(account)
        changes: list[tuple[int, int]] = []
        for symbol, quantity in trades.items() if isinstance(trades, dict) else trades:
            instrument = self.engine.watch.listed(symbol, "what-if", self.engine.at_ns)
            changes += self._legs(instrument, _lots(instrument, quantity), None)
        self.refuse_exposure(row, changes, 0)
        return _figures(self.engine.watch.what_if(row, changes, None))

    def check(self, account: str, symbol: str, quantity: str, price: str) -> Verdict:
        """The verdict on an order, nothing changed."""
        row = self.engine.account_of(account)
        rows, changes, paid_nano = self.parse(symbol, quantity, price, self.engine.at_ns)
        self.refuse_exposure(row, changes, paid_nano)
        book = self.engine.book
        before = self.figures(row)
        self.engine.watch.before_change(row)
        book.place(row, "", rows)
        self.engine.watch.after_change()
        verdict = self._judge(row, changes, paid_nano, before, self.figures(row))
        book.cancel(row, "")
        self.engine.watch.restore(row)
        return verdict

    # -- events --------------------------------------------------------------------------------

    def _deposit(self, event: events.Deposit) -> np.ndarray:
        row = self.engine.account_of(event.account)
        amount = _money(event.amount, f"deposit to {event.account}")
        self.refuse_exposure(row, [], amount)
        self.engine.book.move_cash(row, amount)
        return self._changed(row, event.at_ns)

    def _withdraw(self, event: events.Withdraw) -> np.ndarray:
        row = self.engine.account_of(event.account)
        amount = _money(event.amount, f"withdrawal from {event.account}")
        self._at(event.at_ns)
        before = self.figures(row)
        after = Figures(before.equity_micro - amount // 1000, before.initial_micro, before.maintenance_micro)
        admitted = after.free_collateral_micro >= 0
        reason = "free collateral covers it" if admitted else "free collateral would be negative"
        self.last = Verdict(admitted, reason, before, after)
        if admitted:
            self.engine.book.move_cash(row, -amount)
        return self._changed(row, event.at_ns)

    def _fill(self, event: events.Fill) -> np.ndarray:
        row = self.engine.account_of(event.account)
        _, changes, paid_nano = self.parse(event.instrument, event.quantity, event.price, event.at_ns)
        self.refuse_exposure(row, changes, paid_nano)
        self.engine.watch.before_change(row)
        self.engine.book.trade(row, changes, paid_nano)
        self.engine.watch.after_change()
        return self._changed(row, event.at_ns)

    def _order(self, event: events.Order) -> np.ndarray:
        row = self.engine.account_of(event.account)
        if not event.id or (row, event.id) in self.engine.book.open:
            raise DuplicateRow(f"order {event.id!r} of {event.account}", "an id that is empty or open", "a new id")
        rows, changes, paid_nano = self.parse(event.instrument, event.quantity, event.price, event.at_ns)
        self.refuse_exposure(row, changes, paid_nano)
        self._at(event.at_ns)
        before = self.figures(row)
        self.engine.watch.before_change(row)
        self.engine.book.place(row, event.id, rows)
        self.engine.watch.after_change()
        after = self.figures(row)
        self.last = self._judge(row, changes, paid_nano, before, after)
        if not self.last.admitted:
            self.engine.book.cancel(row, event.id)
        return self._changed(row, event.at_ns)

    def _cancel(self, event: events.Cancel) -> np.ndarray:
        row = self.engine.account_of(event.account)
        if (row, event.id) not in self.engine.book.open:
            raise InputError(f"cancel of {event.account}", repr(event.id), "the id of an open order")
        self.engine.watch.before_change(row)
        self.engine.book.cancel(row, event.id)
        return self._changed(row, event.at_ns)

    def _at(self, at_ns: int) -> None:
        """Moves the clock, so that figures are those of the event's time."""
        self.engine.at_ns = at_ns
        self.engine.watch.look_at(at_ns)

    def _changed(self, row: int, at_ns: int) -> np.ndarray:
        self.engine.at_ns = at_ns
        changed: np.ndarray = self.engine.watch.account_changed(row, at_ns)
        return changed

    # -- rules ---------------------------------------------------------------------------------

    def _judge(
        self, row: int, changes: list[tuple[int, int]], paid_nano: int, before: Figures, after: Figures
    ) -> Verdict:
        if after.free_collateral_micro >= 0:
            return Verdict(True, "initial margin covers it", before, after)
        if self._reduces(row, changes):
            filled = _figures(self.engine.watch.what_if(row, changes, paid_nano))
            if filled.maintenance_micro < before.maintenance_micro:
                return Verdict(True, "it only reduces risk", before, after)
        return Verdict(False, "initial margin does not cover it", before, after)

    def _reduces(self, row: int, changes: list[tuple[int, int]]) -> bool:
        """Whether no position ends larger, with every open order on the same side filled too; the
        order itself is among the open ones."""
        book = self.engine.book
        (orders,) = book.orders.rows(row)
        order_leg, order_lots = orders[:, LEG], orders[:, LOTS]
        for leg, lots in changes:
            held = book.lots_of(row, leg)
            same_side = order_lots[(order_leg == leg) & (np.sign(order_lots) == np.sign(lots))]
            if abs(held + int(same_side.sum())) > abs(held) or abs(held + lots) > abs(held):
                return False
        return True

    def refuse_exposure(self, row: int, changes: list[tuple[int, int]], cash_nano: int) -> None:
        """Refuses what could let an account's products leave int64."""
        book, limit = self.engine.book, self.engine.watch.desk.base.legs.limit_nano
        if limit is not self._limit:  # another market: a copy, so that its type is known
            self._limit, self._limit_copy = limit, np.array(limit, np.int64)
        new = abs(book.cash_nano.item(row)) + abs(cash_nano) + sum([abs(q) * limit.item(leg) for leg, q in changes])
        positions = book.positions
        held = self._worth(*positions.columns, positions.start.item(row), positions.length.item(row), self._limit_copy)
        if new < EXPOSURE_LIMIT_NANO and 4.0 * (held + new) < SURE * EXPOSURE_LIMIT_NANO:
            return
        legs, lots = positions.rows(row)
        total = new + sum(map(mul, map(abs, lots.tolist()), limit[legs].tolist()))
        if 4 * total >= EXPOSURE_LIMIT_NANO:
            raise LimitExceeded(
                f"account {book.names[row]!r}",
                f"exposure of {total // NANO:,} after this event",
                f"less than the exposure limit of {EXPOSURE_LIMIT_NANO // 4 // NANO:,}",
            )

    # -- parsing -------------------------------------------------------------------------------

    def parse(self, symbol: str, quantity: str, price: str, at_ns: int) -> tuple[Rows, list[tuple[int, int]], int]:
        """(order rows, lots by leg, nano paid) of a trade; inverse contracts pay in coin."""
        instrument = self.engine.watch.listed(symbol, "trade", at_ns)
        lots = _lots(instrument, quantity)
        limit = parse_positive(price, f"price of {symbol}")
        changes = self._legs(instrument, lots, limit)
        if instrument.inverse:
            paid_nano = 0
        else:
            exact = Fraction(lots) * Fraction(instrument.lot) * Fraction(limit) * NANO
            paid_nano = -((-exact.numerator) // exact.denominator)
        return self._limits(instrument, changes, limit, lots), changes, paid_nano

    def _legs(self, instrument: Any, lots: int, price: Decimal | None) -> list[tuple[int, int]]:
        """Lots by leg of a trade; `price` is where an inverse contract is entered (None: the mark)."""
        legs = self.engine.watch.desk.base.legs
        changes = [(leg, lots * each) for leg, each in legs.expand(instrument.symbol)]
        if instrument.inverse:
            coin = legs.coin_leg(instrument.underlying)
            number, over = legs.coin_lot(instrument.underlying)
            entry = Fraction(price) if price is not None else self._mark(instrument)
            coins = Fraction(lots) * Fraction(instrument.lot) / entry * over / number
            changes.append((coin, coins.numerator // coins.denominator))
        return [(leg, count) for leg, count in changes if count]

    def _mark(self, instrument: Any) -> Fraction:
        legs = self.engine.watch.desk.base.legs
        leg = legs.expand(instrument.symbol)[0][0]
        underlying = int(legs.underlying[leg])
        index = Fraction(int(self.engine.watch.desk.index_nano[underlying]), NANO)
        return index * Fraction(float(legs.ratio[leg]))

    def _limits(self, instrument: Any, changes: list[tuple[int, int]], limit: Decimal, lots: int) -> Rows:
        """Order rows (leg, lots, nano per lot at the limit), rounded against the account."""
        exact = Fraction(instrument.lot) * Fraction(limit) * NANO
        if len(changes) == 1 and not instrument.inverse:
            rounded = -((-exact.numerator) // exact.denominator) if lots > 0 else exact.numerator // exact.denominator
            return [(changes[0][0], changes[0][1], rounded)]
        # several legs share what the price is away from the mark by the size of their values
        marks = {leg: self.engine.watch.mark_nano(leg) for leg, _ in changes}
        if instrument.inverse:
            return [(leg, count, marks[leg]) for leg, count in changes]
        away = exact - sum(marks.values())
        gross = sum(abs(mark) for mark in marks.values())
        return [
            (leg, count, floor(marks[leg] + away * abs(marks[leg]) / gross) + (1 if count > 0 else 0))
            for leg, count in changes
        ]


def _figures(row: np.ndarray) -> Figures:
    return Figures(int(row[0]), int(row[1]), int(row[2]))


def _money(text: str, place: str) -> int:
    """Nano of an amount above zero that is whole in micro."""
    return to_int_exact(parse_positive(text, place), MICRO, place) * (NANO // PPM)


def _lots(instrument: Any, quantity: Any) -> int:
    lots: int = instrument.lots_of(quantity)
    if lots == 0:
        raise InputError(f"quantity of {instrument.symbol}", str(quantity), "a quantity other than 0")
    if abs(lots) >= 2**62:
        raise LimitExceeded(f"quantity of {instrument.symbol}", str(quantity), "fewer than 2**62 lots")
    return lots
