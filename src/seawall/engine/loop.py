"""The engine: one writer, events in order in, decisions out.

Every event enters by `apply`, moves the market or one account, wakes the accounts whose
certificates it breaks, and returns the changes of status in order of severity. The state is a
function of the first snapshot and the events alone: no clock, no randomness, no I/O in here.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np

from seawall.core import events
from seawall.core.errors import InputError, StaleEvent, UnknownInstrument
from seawall.core.times import parse_iso_ns
from seawall.engine.banded import Banded
from seawall.engine.book import EngineBook
from seawall.engine.corridor import Corridors, corridors_of
from seawall.engine.decision import STATUSES, Decision, Figures, Verdict
from seawall.engine.requests import Requests
from seawall.engine.sweeper import Sweeper
from seawall.engine.watcher import Watcher
from seawall.margin.envelope import check_envelope
from seawall.margin.evaluate import Result, check_exposure
from seawall.margin.model import Model
from seawall.margin.models import resolve

HYSTERESIS_PPM = 20_000  # of a requirement, above the line, before a status is left


class Engine:
    """Decisions about every account of a book, at the event that makes them true.

    book: a Book (or bound accounts); market: a Market; model: a name or a Model; expect_moves:
    certificates keep room for moves of vols and bases from the start, rather than from the first such
    move on (it changes corridors, never a decision). levels: int8[A], the statuses to go on from (a restart), rather
    than from "ok"; orders: (row, id, rows as `EngineBook.place` takes them) that are open already. Raises UnsafeParameters where the model does
    not survive one step (`margin/envelope.py`) and InputError for a book that the market or the
    model cannot place.

    >>> engine = Engine(book, market, "portfolio")            # doctest: +SKIP
    >>> for decision in engine.tick("BTC", "61250.5", at=ns): ...   # doctest: +SKIP
    """

    def __init__(
        self,
        book: Any,
        market: Any,
        model: str | Model,
        *,
        hysteresis_ppm: int = HYSTERESIS_PPM,
        expect_moves: bool = False,
        levels: np.ndarray | None = None,
        orders: Iterable[tuple[int, str, list[tuple[int, int, int]]]] = (),
    ) -> None:
        self.model = resolve(model)
        check_envelope(self.model, market)
        accounts = book.bind(market) if hasattr(book, "bind") else book
        tables = self.model.tables(market)
        check_exposure(accounts, tables)
        self.book = EngineBook(accounts, np.asarray(market.legs.underlying))
        for row, id, rows in orders:
            self.book.place(row, id, rows)
        self.at_ns = market.as_of_ns
        self.sequence = 0
        kind = Watcher if self.model.certifies else Banded if self.model.banded else Sweeper
        self.watch = kind(self.book, market, self.model, tables, hysteresis_ppm)
        if expect_moves:
            self.watch.expect_moves()
        if levels is not None:
            self.watch.levels[:] = levels
        self.requests = Requests(self)
        self.opening = self.decisions(self.watch.start(), "start")

    # -- the market ------------------------------------------------------------------------

    def tick(self, name: str, price: str, at: int | str | None = None) -> list[Decision]:
        """A price of an underlying (moves all its instruments) or of one instrument (its mark)."""
        at_ns = self._time(at)
        if name in self.watch.underlying_index:
            return self.apply(events.Tick(at_ns=at_ns, underlying=name, price=str(price)))
        return self.apply(events.Mark(at_ns=at_ns, instrument=name, price=str(price)))

    def surface(self, updates: dict[str, str], at: int | str | None = None) -> list[Decision]:
        """New implied volatilities by option symbol."""
        return self.apply(events.Surface(at_ns=self._time(at), updates=updates))

    def clock(self, at: int | str) -> list[Decision]:
        """Time passes and nothing else happens."""
        return self.apply(events.Clock(at_ns=self._time(at)))

    def set_parameters(
        self, changes: dict[str, str], at: int | str | None = None, glide_ns: int = 0, shape: str = "linear"
    ) -> list[Decision]:
        """Announces new model parameters, reached over glide_ns in steps; refused (nothing
        changes) where the set does not survive one step."""
        return self.apply(
            events.Parameters(at_ns=self._time(at), changes=changes, glide_ns=glide_ns, shape=shape)  # type: ignore[arg-type]
        )

    # -- one account -----------------------------------------------------------------------

    def deposit(self, account: str, amount: str, at: int | str | None = None) -> list[Decision]:
        """Settlement currency into an account."""
        return self.apply(events.Deposit(at_ns=self._time(at), account=account, amount=str(amount)))

    def withdraw(self, account: str, amount: str, at: int | str | None = None) -> Verdict:
        """Settlement currency out, if free collateral covers it."""
        decisions = self.apply(events.Withdraw(at_ns=self._time(at), account=account, amount=str(amount)))
        return msgspec.structs.replace(self.requests.last, decisions=tuple(decisions))

    def fill(
        self, account: str, instrument: str, quantity: str, price: str, at: int | str | None = None
    ) -> list[Decision]:
        """A trade that has happened: a fact, recorded whatever the margin says."""
        return self.apply(
            events.Fill(
                at_ns=self._time(at), account=account, instrument=instrument, quantity=str(quantity), price=str(price)
            )
        )

    def order(
        self, account: str, id: str, instrument: str, quantity: str, price: str, at: int | str | None = None
    ) -> Verdict:
        """Opens an order if initial margin covers it, or if it only reduces risk."""
        decisions = self.apply(
            events.Order(
                at_ns=self._time(at),
                account=account,
                id=id,
                instrument=instrument,
                quantity=str(quantity),
                price=str(price),
            )
        )
        return msgspec.structs.replace(self.requests.last, decisions=tuple(decisions))

    def cancel(self, account: str, id: str, at: int | str | None = None) -> list[Decision]:
        """Closes an open order."""
        return self.apply(events.Cancel(at_ns=self._time(at), account=account, id=id))

    def check(self, account: str, instrument: str, quantity: str, price: str) -> Verdict:
        """What `order` would answer, with nothing changed and nothing recorded."""
        return self.requests.check(account, instrument, str(quantity), str(price))

    def what_if(self, account: str, trades: list[tuple[str, str]] | dict[str, str]) -> Figures:
        """Margin as if the trades (instrument, quantity) were done at the mark."""
        return self.requests.what_if(account, trades)

    # -- the one door ----------------------------------------------------------------------

    def apply(self, event: events.Event) -> list[Decision]:
        """Applies one event; returns the changes of status it caused, most severe first.

        Raises InputError and changes nothing where the event cannot be: unknown names, prices
        that are not positive, a time before the last event's (StaleEvent), an expired contract.
        """
        if event.at_ns < self.at_ns:
            raise StaleEvent(type(event).__name__.lower(), f"time {event.at_ns}", f"at or after {self.at_ns}")
        changed = self._dispatch(event)
        self.at_ns = event.at_ns
        return self.decisions(changed, _cause(event))

    def _dispatch(self, event: events.Event) -> np.ndarray:
        match event:
            case events.Tick():
                underlying = self.watch.underlying_index.get(event.underlying)
                if underlying is None:
                    raise UnknownInstrument("tick", repr(event.underlying), "an underlying of the market")
                price = _price(event.price, f"tick {event.underlying}")
                return self.watch.tick(underlying, price, event.at_ns)
            case events.Clock():
                return self.watch.pass_time(event.at_ns)
            case events.Mark():
                instrument = self._listed(event.instrument, "mark", event.at_ns)
                price = _price(event.price, f"mark {event.instrument}")
                self.watch.check_mark(instrument)
                return self.watch.mark(instrument, price, event.at_ns)
            case events.Surface():
                vols = self.watch.parse_surface(event.updates, event.at_ns)
                return self.watch.surface(vols, event.at_ns)
            case events.Parameters():
                self.watch.announce(event)
                return self.watch.pass_time(event.at_ns)
            case _:
                return self.requests.apply(event)

    def _listed(self, symbol: str, place: str, at_ns: int) -> Any:
        return self.watch.listed(symbol, place, at_ns)

    def _time(self, at: int | str | None) -> int:
        if at is None:
            return self.at_ns
        return at if isinstance(at, int) else parse_iso_ns(at)

    def decisions(self, changed: np.ndarray, cause: str) -> list[Decision]:
        """Rows (account, old, new, equity, initial, maintenance) as decisions, worst first."""
        if len(changed) == 0:
            return []
        health = changed[:, 3] - changed[:, 5]
        order = np.lexsort((changed[:, 0], health, -changed[:, 2]))
        out = []
        for account, old, new, equity, initial, maintenance in changed[order].tolist():
            self.sequence += 1
            out.append(
                Decision(
                    sequence=self.sequence,
                    at_ns=self.at_ns,
                    account=self.book.names[account],
                    kind=STATUSES[new] if new > old else "recovered",
                    status=STATUSES[new],
                    market_version=self.watch.version,
                    equity_micro=equity,
                    initial_micro=initial,
                    maintenance_micro=maintenance,
                    health_micro=equity - maintenance,
                    cause=cause,
                )
            )
        return out

    # -- looking in ------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        """Account names, in the order of all arrays."""
        return tuple(self.book.names)

    @property
    def market(self) -> Any:
        """The present market as a snapshot that `evaluate` takes and files can hold."""
        return self.watch.snapshot(self.at_ns)

    @property
    def metrics(self) -> dict[str, int]:
        """Counters since the start: accounts touched, evaluated, certified, kept hot, …"""
        return self.watch.metrics()

    @property
    def counts(self) -> dict[str, int]:
        """Accounts by status."""
        tally = np.bincount(self.watch.levels, minlength=len(STATUSES))
        return {name: int(tally[k]) for k, name in enumerate(STATUSES)}

    def status(self, account: str) -> str:
        """"ok", "margin_call", "liquidatable" or "bankrupt"."""
        return STATUSES[int(self.watch.levels[self.account_of(account)])]

    def account_of(self, account: str) -> int:
        """Row number of an account; InputError where there is none."""
        found = self.book.index.get(account)
        if found is None:
            raise InputError("account", repr(account), "an account of the book")
        return found

    def figures(self, account: str) -> Figures:
        """Exact figures of one account at the present market."""
        return self.requests.figures(self.account_of(account))

    def corridors(self, account: str) -> Corridors:
        """The bands of prices inside which the account's status provably stays what it is, whatever each
        underlying does inside its own: its certificate. Where it has none, `none` says why."""
        return corridors_of(self.watch, self.account_of(account), self.at_ns)

    def sweep(self) -> np.ndarray:
        """int64[A, 4]: equity, initial, maintenance (micro), worst scenario of every account from
        a full evaluation at the present market. Decides nothing."""
        return self.watch.sweep(self.at_ns)

    def results(self) -> Result:
        """`sweep` as a Result, with names and DataFrame."""
        return Result(list(self.book.names), self.sweep(), self.model)

    def audit(self) -> list[str]:
        """Accounts whose recorded status differs from what a full evaluation says: always
        none, unless a certificate lied. Slow; for background checks and tests."""
        wrong = self.watch.expected_levels(self.sweep()) != self.watch.levels
        return [self.book.names[k] for k in np.flatnonzero(wrong)]

    def worst(self, count: int) -> list[tuple[str, Figures]]:
        """The accounts of least health over maintenance, by their last exact evaluation."""
        rows = self.watch.last_figures()
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(rows[:, 2] > 0, (rows[:, 0] - rows[:, 2]) / rows[:, 2].astype(np.float64), np.inf)
        count = min(count, len(ratio))
        if count == 0:
            return []
        chosen = np.argpartition(ratio, count - 1)[:count]
        chosen = chosen[np.argsort(ratio[chosen], kind="stable")]
        return [(self.book.names[k], Figures(*(int(v) for v in rows[k, :3]))) for k in chosen]

    def health_histogram(self, edges: tuple[float, ...] = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)) -> list[int]:
        """Accounts by health over maintenance margin, by their last exact evaluation: below the
        first edge, between edges, above the last (accounts that need no margin among these)."""
        rows = self.watch.last_figures()
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(rows[:, 2] > 0, (rows[:, 0] - rows[:, 2]) / rows[:, 2].astype(np.float64), np.inf)
        bins = np.searchsorted(np.array(edges), ratio, side="right")
        return [int(n) for n in np.bincount(bins, minlength=len(edges) + 1)]

    def state_hash(self) -> str:
        """SHA-256 of everything that the future depends on: balances, orders, statuses, prices."""
        return self.watch.state_hash(self.at_ns)


def _price(text: str, place: str) -> Decimal:
    from seawall.core.units import parse_decimal

    price = parse_decimal(text, place)
    if price <= 0:
        raise InputError(place, text, "a price above 0")
    return price


def _cause(event: events.Event) -> str:
    match event:
        case events.Tick():
            return f"tick {event.underlying} {event.price}"
        case events.Mark():
            return f"mark {event.instrument} {event.price}"
        case events.Surface():
            return f"surface of {len(event.updates)} options"
        case events.Deposit() | events.Withdraw():
            return f"{type(event).__name__.lower()} {event.amount}"
        case events.Fill():
            return f"fill {event.quantity} {event.instrument} at {event.price}"
        case events.Order() | events.Cancel():
            return f"{type(event).__name__.lower()} {event.id}"
        case events.Parameters():
            return "parameters " + ", ".join(sorted(event.changes))
    return "clock"
