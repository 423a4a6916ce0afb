"""Questions to a running venue: accounts, margin, prices, totals, all answered from memory, nothing changed.

Figures are exact at the last event. They may be ahead of the disk by what is being written at this moment; each view
carries its `sequence`, and `Service.settled` waits until the disk has it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from seawall.core.units import MICRO, parse_decimal, to_int_exact
from seawall.engine.clearing import Clearing
from seawall.engine.corridor import Corridors
from seawall.engine.decision import Figures, Verdict
from seawall.ledger.accounts import Accounts
from seawall.margin.explain import Explanation, explain_account
from seawall.margin.liquidation import Crossings, liquidation_prices
from seawall.margin.whatif import Calculator

from . import views
from .looks import look

__all__ = ["Looking"]


class _One:
    """A book of one account of a clearing, as the functions of `seawall.margin` take books."""

    def __init__(self, clearing: Clearing, name: str) -> None:
        book, row = clearing.engine.book, clearing.engine.account_of(name)
        legs, lots = (column.copy() for column in book.positions.rows(row))
        cash = np.array([int(book.cash_nano[row])], np.int64)
        self._accounts = Accounts([name], cash, np.array([0, len(legs)], np.int64), legs, lots)

    def bind(self, market: Any) -> Accounts:
        return self._accounts


class Looking:
    """The reading half of the service."""

    clearing: Clearing
    _clock: Callable[[], int]
    _seen: dict[str, tuple[int, str]]

    def account(self, name: str) -> views.AccountView:
        """Everything about one account."""
        return views.account_view(self.clearing, name)

    def figures(self, name: str) -> Figures:
        """Exact figures at the present market."""
        return self.clearing.engine.figures(name)

    def what_if(
        self, name: str, trades: Mapping[str, str] | Sequence[tuple[str, str]], deposit: str | None = None
    ) -> Figures:
        """Figures as if trades (instrument, quantity) were done at the mark, and money deposited (withdrawn, where
        negative)."""
        pairs = list(trades.items()) if isinstance(trades, Mapping) else list(trades)
        found = self.clearing.engine.what_if(name, pairs)
        if deposit is None:
            return found
        more = to_int_exact(parse_decimal(deposit, "deposit"), MICRO, "deposit")
        return Figures(found.equity_micro + more, found.initial_micro, found.maintenance_micro)

    def check(self, name: str, instrument: str, quantity: str, price: str) -> Verdict:
        """What an order would be answered."""
        return self.clearing.check(name, instrument, quantity, price)

    def explain(self, name: str) -> Explanation:
        """Margin leg by leg and component by component, open orders left out; milliseconds, with many options tens."""
        one = _One(self.clearing, name)
        return explain_account(Calculator(one, self.clearing.engine.market, self.clearing.engine.watch.model), name)

    def liquidation(self, name: str, underlying: str, **options: Any) -> Crossings:
        """Prices of an underlying at which health crosses zero, the others held; see `seawall.margin.liquidation`.

        It looks at up to 3,000 markets: milliseconds to a second, so not for every tick.
        """
        one, engine = _One(self.clearing, name), self.clearing.engine
        return liquidation_prices(one, engine.market, engine.watch.model, name, underlying, **options)

    def corridors(self, name: str) -> Corridors:
        """The certified safe corridor of an account."""
        return self.clearing.engine.corridors(name)

    def accounts(self, **how: Any) -> views.Page:
        """A page of accounts: status, sort, descending, search, offset, limit, users_only; see `views.page`. It holds the loop, for a
        million accounts for a tenth of a second and more: `looks.Looks` does the same beside it."""
        return views.page(look(self.clearing), **how)

    def overview(self, worst: int = 50) -> views.Overview:
        """Totals, counts, histogram and the accounts nearest to liquidation; as `accounts`, it holds the loop."""
        return views.overview(look(self.clearing), worst)

    def prices(self) -> list[views.PriceView]:
        """Index prices with age and source."""
        return views.prices(self.clearing, self._seen, self._clock())

    def market(self) -> Any:
        """The present market as a snapshot (`seawall.Market`)."""
        return self.clearing.engine.market

    def parameters(self) -> dict[str, Any]:
        """The model, its parameters at present, and whether they are moving."""
        watch = self.clearing.engine.watch
        return {
            "model": watch.model.name,
            "parameters": msgspec.to_builtins(watch.model.parameters),
            "gliding": watch.glide is not None,
        }
