"""Why an account's margin is what it is: its worst scenario, and every leg's part of every component.

The parts of `margin/parts` retrace the kernels; the kernels themselves evaluate the account, and once more
without each of its positions, in one call. Parts that did not add up to the evaluation would be a bug of
ours: an InvariantError, never a remainder.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from seawall.core.errors import InputError, invariant
from seawall.core.units import NANO, format_decimal, format_micro
from seawall.kernels.account import evaluate_accounts
from seawall.kernels.tables import Tables
from seawall.ledger.accounts import Accounts
from seawall.margin.evaluate import EXPOSURE_LIMIT_NANO, Result, check_exposure
from seawall.margin.model import Model
from seawall.margin.parts import Parts, parts_of
from seawall.margin.whatif import Calculator, prepared
from seawall.market.legs import ROLE_BASKET

__all__ = ["Explanation", "Position", "Scenario", "explain", "explain_account"]


class Scenario(NamedTuple):
    """A scenario and the loss in it before factors, micro, rounded up (negative: a gain). underlying: empty
    where all move jointly."""

    name: str
    underlying: str
    loss_micro: int


class Position(NamedTuple):
    """A position and what it saves: the margin without it less the margin with it, micro. Positive: it hedges.

    legs: its rows in the explanation. Inverse contracts of one underlying are one position with their coin.
    """

    name: str
    legs: tuple[int, ...]
    initial_saving_micro: int
    maintenance_saving_micro: int

    @property
    def hedges(self) -> bool:
        """Whether the account would have to hold more without it, in either context."""
        return self.initial_saving_micro > 0 or self.maintenance_saving_micro > 0


class Explanation:
    """One account of n legs, its margin in C components. Amounts are int64 micro of the settlement currency.

    account, model, settlement: names. result: the one-row Result of `evaluate`. legs: their names; leg_rows int32[n]: their
    rows in `Market.legs`; underlyings: one per leg; lots: int64[n]. components: C names. cash_micro, equity_micro int64[n]: they sum to equity.
    initial_micro, maintenance_micro: int64[n, C]; all of one sums to that margin, to the last micro.
    decided_by: which of the competing rules set the requirement, empty where there is one only.
    positions: what each saves, the most first.
    """

    def __init__(
        self,
        account: str,
        calculator: Calculator,
        legs: np.ndarray,
        lots: np.ndarray,
        parts: Parts,
        groups: list[int],
        out: np.ndarray,
    ) -> None:
        market = calculator.market
        self.account = account
        self.model = calculator.model.name
        self.settlement = market.settlement
        self.result = Result([account], out[:1], calculator.model)
        self.leg_rows = legs
        self.lots = lots
        self.components = tuple(parts.columns.names)
        self.cash_micro = parts.cash
        self.equity_micro = np.array(parts.equity, np.int64)
        self.initial_micro = parts.columns.initial.T
        self.maintenance_micro = parts.columns.maintenance.T
        self.decided_by = parts.decided_by
        self._groups = groups
        self._savings = out[1:, 1:3] - out[0, 1:3]
        self._parts = parts
        self._market = market
        self._model: Model = calculator.model
        equity = parts.cash + int(self.equity_micro.sum())
        sums = [equity, int(self.initial_micro.sum()), int(self.maintenance_micro.sum())]
        invariant(sums == out[0, :3].tolist(), "the parts of a margin sum to it")

    @cached_property
    def legs(self) -> list[str]:
        """Names of the legs."""
        return [self._market.legs.symbols[leg] for leg in self.leg_rows.tolist()]

    @cached_property
    def underlyings(self) -> list[str]:
        """The underlying of each leg."""
        table = self._market.legs
        return [table.underlyings[u] for u in table.underlying[self.leg_rows].tolist()]

    @cached_property
    def positions(self) -> list[Position]:
        """The positions and what each saves, the most first."""
        rows: dict[int, list[int]] = {}
        for k, group in enumerate(self._groups):
            rows.setdefault(group, []).append(k)
        found = [
            Position(self._name_of(mine), tuple(mine), *saved)
            for mine, saved in zip(rows.values(), self._savings.tolist(), strict=True)
        ]
        return sorted(found, key=lambda one: (-one.initial_saving_micro, one.name))

    def _name_of(self, mine: list[int]) -> str:
        """A position's instruments. Legs of a basket are named after it and their underlyings."""
        table = self._market.legs
        names = []
        for k in mine:
            name = self.legs[k]
            if table.role[self.leg_rows[k]] == ROLE_BASKET:
                name = name.removesuffix(f"/{self.underlyings[k]}")
            names.append(name)
        return " + ".join(dict.fromkeys(names))

    @property
    def worst_scenario(self) -> str:
        """The evaluation's worst scenario in words; empty where the model has none."""
        return self.result.worst_scenario[0]

    def scenarios(self, count: int = 6) -> list[Scenario]:
        """The worst `count` scenarios, the worst first; without factors, add-ons and competing minima."""
        market, model = self._market, self._model
        rows = [(loss, k, part) for part in self._parts.scenarios for k, loss in enumerate(part.losses)]
        found = []
        for loss, k, part in sorted(rows, key=lambda row: -row[0])[:count]:
            words = model.worst_label(k) if part.block < 0 else self._settles(part.block, part.prices[k])
            underlying = "" if part.underlying < 0 else market.underlyings[part.underlying]
            found.append(Scenario(words, underlying, -(-loss // 1000)))
        return found

    def _settles(self, block: int, price_nano: int) -> str:
        """Words for a price at expiry, where the strike stands in the block's unit of quantity."""
        legs = self._market.legs
        option = (legs.block == block) & (legs.right != 0)
        price = price_nano / NANO / float(legs.lot[option].max())
        day = str(np.datetime64(int(legs.block_expiry_ns[block]), "ns"))[:10]
        return f"settles at {price:,.10g} on {day}"

    def by_component(self) -> list[tuple[str, str, int, int]]:
        """(underlying, component, initial, maintenance) in micro, by the size of initial; no zeros."""
        sums: dict[tuple[str, str], list[int]] = {}
        for k, underlying in enumerate(self.underlyings):
            for c, name in enumerate(self.components):
                row = sums.setdefault((underlying, name), [0, 0])
                row[0] += int(self.initial_micro[k, c])
                row[1] += int(self.maintenance_micro[k, c])
        rows = [(*key, amounts[0], amounts[1]) for key, amounts in sums.items() if any(amounts)]
        return sorted(rows, key=lambda row: (-abs(row[2]), row[0], row[1]))

    def quantity(self, leg: int) -> str:
        """Signed quantity of a leg in units of its instrument, a decimal."""
        instrument = int(self._market.legs.instrument[self.leg_rows[leg]])
        if instrument < 0:
            return f"{int(self.lots[leg])} lots"
        lot = list(self._market.instruments.values())[instrument].lot
        return format_decimal(lot * int(self.lots[leg]))

    def to_dict(self, scenarios: int = 6) -> dict[str, Any]:
        """All of it as plain values, amounts as decimal strings, and so many scenarios."""
        total = self.result
        return {
            "account": self.account,
            "model": self.model,
            "settlement": self.settlement,
            "equity": format_micro(int(total.equity_micro[0])),
            "initial_margin": format_micro(int(total.initial_margin_micro[0])),
            "maintenance_margin": format_micro(int(total.maintenance_margin_micro[0])),
            "status": total.status[0],
            "worst_scenario": self.worst_scenario,
            "decided_by": self.decided_by,
            "cash": format_micro(self.cash_micro),
            "legs": [
                {
                    "leg": self.legs[k],
                    "underlying": self.underlyings[k],
                    "quantity": self.quantity(k),
                    "equity": format_micro(int(self.equity_micro[k])),
                    "initial_margin": format_micro(int(self.initial_micro[k].sum())),
                    "maintenance_margin": format_micro(int(self.maintenance_micro[k].sum())),
                    "initial_parts": self._named(self.initial_micro[k]),
                    "maintenance_parts": self._named(self.maintenance_micro[k]),
                }
                for k in range(len(self.legs))
            ],
            "components": [
                {"underlying": u, "component": c, "initial": format_micro(i), "maintenance": format_micro(m)}
                for u, c, i, m in self.by_component()
            ],
            "scenarios": [
                {"scenario": one.name, "underlying": one.underlying, "loss": format_micro(one.loss_micro)}
                for one in self.scenarios(scenarios)
            ],
            "positions": [
                {
                    "position": one.name,
                    "initial_saving": format_micro(one.initial_saving_micro),
                    "maintenance_saving": format_micro(one.maintenance_saving_micro),
                    "hedges": one.hedges,
                }
                for one in self.positions
            ],
        }

    def _named(self, row: np.ndarray) -> dict[str, str]:
        return {name: format_micro(int(x)) for name, x in zip(self.components, row, strict=True) if x}


def explain(book: Any, market: Any, model: str | Model, account: str) -> Explanation:
    """Explanation of one account's equity and margin.

    book: a Book; market: a Market; model: a name or a Model. The last book, market and model asked about stay
    compiled, as for `what_if`. Raises InputError for an account that the book does not have.
    """
    return explain_account(prepared(book, market, model), account)


def explain_account(calculator: Calculator, account: str) -> Explanation:
    """`explain` on a prepared Calculator."""
    k = calculator.row.get(account)
    if k is None:
        raise InputError("account", repr(account), "an account of the book")
    accounts, tables = calculator.accounts, calculator.tables
    first, last = accounts.row_ptr[k], accounts.row_ptr[k + 1]
    legs, lots = accounts.leg[first:last], accounts.lots[first:last]
    cash_nano = int(accounts.cash_nano[k])
    _refuse_exposure(account, tables, legs, lots, cash_nano)
    groups = _groups(calculator.position_of[legs].tolist())
    out = _with_and_without(calculator, legs, lots, cash_nano, groups)
    parts = parts_of(calculator.model.kind, tables, legs, lots, cash_nano)
    return Explanation(account, calculator, legs, lots, parts, groups, out)


def _refuse_exposure(account: str, tables: Tables, legs: np.ndarray, lots: np.ndarray, cash_nano: int) -> None:
    """LimitExceeded where products could leave int64, as for a whole book."""
    values = tables.values[legs]
    worth = float(np.abs(values).max(axis=1, initial=0).astype(np.float64) @ np.abs(lots)) + abs(cash_nano)
    if worth >= EXPOSURE_LIMIT_NANO / 2:
        own = Accounts([account], np.array([cash_nano]), np.array([0, len(legs)]), np.arange(len(legs)), lots)
        check_exposure(own, tables._replace(values=values))


def _groups(positions: list[int]) -> list[int]:
    """The number of each leg's position, in order of appearance."""
    numbers: dict[int, int] = {}
    return [numbers.setdefault(position, len(numbers)) for position in positions]


def _with_and_without(
    calculator: Calculator, legs: np.ndarray, lots: np.ndarray, cash_nano: int, groups: list[int]
) -> np.ndarray:
    """int64[1 + positions, 4]: the account as it is, then without each of its positions. Cash stays."""
    count = max(groups, default=-1) + 1
    keep = np.array(groups, np.int64) != np.arange(-1, count)[:, None]
    _, kept = keep.nonzero()
    ends = keep.sum(axis=1).cumsum()
    starts = np.zeros_like(ends)
    starts[1:] = ends[:-1]
    out = np.zeros((count + 1, 4), np.int64)
    cash = np.full(count + 1, cash_nano, np.int64)
    evaluate_accounts(calculator.model.kind, calculator.tables, starts, ends, legs[kept], lots[kept], cash, out)
    return out
