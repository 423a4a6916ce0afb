"""Before a service listens: one question of each kind, so that what they need is compiled, or loaded, before a client waits
for it. Compiling holds the loop for seconds; nothing of the venue changes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from seawall.core.units import format_decimal
from seawall.ledger.accounts import Accounts
from seawall.margin.explain import explain_account
from seawall.margin.liquidation import liquidation_prices
from seawall.margin.whatif import Calculator

from .looking import Looking

__all__ = ["warm"]

_NAME = "insurance"  # an account that every venue has
_CASH_NANO = 10**15


class _OneOfEach:
    """A book of one account with a lot of the first leg of each kind."""

    def __init__(self, market: Any) -> None:
        _, first = np.unique(market.legs.kind, return_index=True)
        legs = np.sort(first).astype(np.int32)
        cash, ends = np.array([_CASH_NANO], np.int64), np.array([0, len(legs)], np.int64)
        self._accounts = Accounts([_NAME], cash, ends, legs, np.ones(len(legs), np.int64))

    def bind(self, market: Any) -> Accounts:
        return self._accounts


def warm(venue: Looking) -> None:
    """Asks what clients ask, of a venue that nobody reads yet."""
    engine = venue.clearing.engine
    market = engine.market
    traded = [one for one in market.instruments.values() if one.kind != "spot" and not 0 < one.expiry_ns <= engine.at_ns]
    for one in {one.kind: one for one in traded}.values():
        lot = format_decimal(one.lot)
        venue.what_if(_NAME, [(one.symbol, lot)])
        engine.check(_NAME, one.symbol, lot, "1")
    book = _OneOfEach(market)
    explain_account(Calculator(book, market, engine.watch.model), _NAME)
    liquidation_prices(book, market, engine.watch.model, _NAME, market.underlyings[0])
    venue.accounts(limit=1)
    venue.overview()
