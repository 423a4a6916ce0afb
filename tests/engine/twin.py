"""The slow engine: its own bookkeeping, and every account evaluated afresh after every event.

It shares with the engine the margin kernels, which have tests of their own, and nothing else: it keeps its own
snapshot of the market, its own lots, cash and statuses, applies the hysteresis rule and the stages of a glide in
plain Python, and says which decisions an event should have caused. What open orders cost it asks the engine for,
since `evaluate` knows no orders; that they cost initial margin only it checks itself.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import msgspec
import numpy as np

from engine.books import Case
from seawall.core import events
from seawall.engine.loop import Engine
from seawall.ledger.accounts import Accounts
from seawall.margin.evaluate import evaluate_bound
from seawall.margin.model import Model

STATUSES = ("ok", "margin_call", "liquidatable", "bankrupt")
NANO = 10**9
HYSTERESIS_PPM = 20_000
STAGES = 32


class Expected(NamedTuple):
    """What a decision should say."""

    account: str
    kind: str
    status: str
    equity_micro: int
    initial_micro: int
    maintenance_micro: int


class Twin:
    """Follows an engine event by event; `apply` first here, then on the engine, then `decisions`."""

    def __init__(self, case: Case) -> None:
        self.market = case.market
        self.model = case.model
        self.at_ns = self.market.as_of_ns
        accounts = case.book.bind(self.market)
        self.names = accounts.names
        self.cash_nano = [int(cash) for cash in accounts.cash_nano]
        self.held: list[dict[int, int]] = []
        for first, last in zip(accounts.row_ptr[:-1], accounts.row_ptr[1:]):
            self.held.append(dict(zip(accounts.leg[first:last].tolist(), accounts.lots[first:last].tolist())))
        self.open_orders: dict[tuple[str, str], list[tuple[int, int]]] = {}
        self.levels = [0] * len(self.names)
        self.glides: list[Announcement] = []
        self.figures = self.sweep()

    # -- one event -------------------------------------------------------------------------

    def apply(self, event: events.Event) -> None:
        """Prices, time, parameters, and what an account does without being asked."""
        match event:
            case events.Tick():
                self.market = self.market.with_index({event.underlying: event.price}, event.at_ns)
            case events.Mark():
                self.market = self.market.at(event.at_ns).with_mark(event.instrument, event.price)
            case events.Surface():
                self.market = self.market.at(event.at_ns).with_iv(event.updates)
        self.at_ns = event.at_ns
        self.market = self.market.at(event.at_ns)
        self._glide()
        match event:
            case events.Parameters():
                self.glides.append(Announcement(self.model, event))
                self._glide()
            case events.Deposit():
                self.cash_nano[self.place(event.account)] += _nano(event.amount)
            case events.Fill():
                self._trade(self.place(event.account), *self.trade(event.instrument, event.quantity, event.price))
            case events.Cancel():
                del self.open_orders[event.account, event.id]

    def admit(self, event: events.Withdraw | events.Order) -> None:
        """Carries out a request that was admitted."""
        if isinstance(event, events.Withdraw):
            self.cash_nano[self.place(event.account)] -= _nano(event.amount)
        else:
            changes, _ = self.trade(event.instrument, event.quantity, event.price)
            self.open_orders[event.account, event.id] = changes

    def decisions(self, engine: Engine) -> list[Expected]:
        """Evaluates everybody and says who changed status, most severe first."""
        self.figures = self.sweep()
        for place in self.with_orders():
            figures = engine.figures(self.names[place])
            plain = (figures.equity_micro, figures.maintenance_micro)
            assert plain == (self.figures[place, 0], self.figures[place, 2]), f"{self.names[place]}: orders in {plain}"
            self.figures[place, 1] = figures.initial_micro
        changed = []
        for place, row in enumerate(self.figures.tolist()):
            old = self.levels[place]
            new = self.levels[place] = next_level(old, *row[:3])
            if new != old:
                kind = STATUSES[new] if new > old else "recovered"
                expected = Expected(self.names[place], kind, STATUSES[new], *row[:3])
                changed.append((-new, row[0] - row[2], place, expected))
        return [expected for *_, expected in sorted(changed)]

    # -- figures ---------------------------------------------------------------------------

    def place(self, account: str) -> int:
        return self.names.index(account)

    def with_orders(self) -> set[int]:
        """Accounts that have open orders."""
        return {self.place(account) for account, _ in self.open_orders}

    def sweep(self) -> np.ndarray:
        """int64[A, 4] of every account at the twin's own market, without open orders."""
        return self._evaluate(self.names, self.held, self.cash_nano)

    def filled(self, place: int, changes: list[tuple[int, int]], paid_nano: int) -> list[int]:
        """Figures of one account after a trade that has not happened."""
        held = dict(self.held[place])
        _add(held, changes)
        return self._evaluate([self.names[place]], [held], [self.cash_nano[place] - paid_nano])[0].tolist()

    def trade(self, symbol: str, quantity: str, price: str) -> tuple[list[tuple[int, int]], int]:
        """(lots by leg, nano paid) of a trade; an inverse contract is entered for coin."""
        instrument, legs = self.market.instruments[symbol], self.market.legs
        units = Fraction(quantity)
        lots = int(units / Fraction(instrument.lot))
        changes = [(leg, lots) for leg in legs.leg_of[symbol]]
        if not instrument.inverse:
            exact = units * Fraction(price) * NANO
            return changes, -((-exact.numerator) // exact.denominator)
        coin = legs.coin_of[instrument.underlying]
        coins = units / Fraction(price) / Fraction(int(legs.lot_num[coin]), int(legs.lot_den[coin]))
        return [*changes, (coin, coins.numerator // coins.denominator)], 0

    def _glide(self) -> None:
        for glide in self.glides:
            if glide.stage_at(self.at_ns) > glide.stage:
                glide.stage = glide.stage_at(self.at_ns)
                self.model = glide.applied(self.model)

    def _trade(self, place: int, changes: list[tuple[int, int]], paid_nano: int) -> None:
        _add(self.held[place], changes)
        self.cash_nano[place] -= paid_nano

    def _evaluate(self, names: list[str], held: list[dict[int, int]], cash_nano: list[int]) -> np.ndarray:
        rows = [sorted(one.items()) for one in held]
        accounts = Accounts(
            names=list(names),
            cash_nano=np.array(cash_nano, np.int64),
            row_ptr=np.cumsum([0, *(len(row) for row in rows)]).astype(np.int64),
            leg=np.array([leg for row in rows for leg, _ in row], np.int32),
            lots=np.array([lots for row in rows for _, lots in row], np.int64),
        )
        result = evaluate_bound(accounts, self.model.tables(self.market), self.model)
        return np.column_stack(
            [result.equity_micro, result.initial_margin_micro, result.maintenance_margin_micro, result.worst]
        )


def next_level(level: int, equity: int, initial: int, maintenance: int, release_ppm: int = HYSTERESIS_PPM) -> int:
    """The status rule: worse at once; better only where equity stands a share of the requirement above the line."""
    lines = (initial, maintenance, 0)
    plain = sum(equity < line for line in lines) if equity >= maintenance else (3 if equity < 0 else 2)
    while level > plain:
        requirement = initial if level == 1 else maintenance
        room = -((-max(requirement, 0) * release_ppm) // 1_000_000)
        if equity < lines[level - 1] + room:
            return level
        level -= 1
    return plain


class Announcement:
    """Parameters on their way: 32 equal stages from the values at the announcement to the targets."""

    def __init__(self, model: Model, event: events.Parameters) -> None:
        self.event = event
        self.stage = 0
        self.start: dict[str, int] = {}
        for path in event.changes:
            name, _, key = path.partition(".")
            value: Any = getattr(model.parameters, name)
            self.start[path] = value.get(key, getattr(model.parameters, f"default_{name}")) if key else value

    def stage_at(self, at_ns: int) -> int:
        if not self.event.glide_ns:
            return STAGES
        return min(STAGES, STAGES * (at_ns - self.event.at_ns) // self.event.glide_ns)

    def applied(self, model: Model) -> Model:
        """A model with this announcement's parameters at its present stage."""
        share = self.stage / STAGES
        fields: dict[str, Any] = {}
        for path, start in self.start.items():
            name, _, key = path.partition(".")
            end = int(self.event.changes[path])
            value = round(start + (end - start) * share)
            if self.event.shape == "geometric" and start > 0 and end > 0:
                value = round(start ** (1.0 - share) * end**share)
            value = end if self.stage == STAGES else value
            if key:
                value = {**fields.get(name, getattr(model.parameters, name)), key: value}
            fields[name] = value
        return type(model)(msgspec.structs.replace(model.parameters, **fields))


def _add(held: dict[int, int], changes: list[tuple[int, int]]) -> None:
    for leg, lots in changes:
        held[leg] = held.get(leg, 0) + lots
        if held[leg] == 0:
            del held[leg]


def _nano(amount: str) -> int:
    return int(Decimal(amount) * NANO)
