"""Before a service listens: one question of each kind, so that what they need is compiled, or loaded, before a client waits
for it. Compiling holds the loop for seconds; nothing of the venue changes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from seawall.core.units import format_decimal
from seawall.kernels.rows import LINEAR
from seawall.ledger.accounts import Accounts
from seawall.liquidation.adl_book import OtherSide
from seawall.liquidation.legs import plan
from seawall.liquidation.size import SizeRules
from seawall.margin.explain import explain_account
from seawall.margin.liquidation import liquidation_prices
from seawall.margin.single import Single
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
    if venue.clearing.desk is not None:
        _closings(venue.clearing, market)


def _closings(clearing: Any, market: Any) -> None:
    """A plan of each kind, and the other side of one, for an account that fails and is nobody's."""
    model, legs = clearing.engine.watch.model, market.legs
    held = [mine[0] for mine in clearing.mirror.legs_of if len(mine) == 1 and legs.kind[mine[0]] == LINEAR][:2]
    if not held:
        return
    held = sorted(set(held))
    some = np.array(held, np.int32)
    worth = sum(1_000_000 * clearing.engine.watch.mark_nano(leg) for leg in held)
    single = Single(market, model, some, np.full(len(held), 1_000_000, np.int64), -worth)
    needs = single.evaluate().maintenance * 1_000
    failing = Single(market, model, some, np.full(len(held), 1_000_000, np.int64), needs // 2 - worth)
    for quick in (False, True):
        plan(failing, SizeRules(minimum_micro=0, dust_micro=0, full_below_micro=0), active=True, quick=quick)
    tables = model.tables(market)
    short = Accounts(["x"], np.array([2**50]), np.array([0, 1]), some[:1], np.array([-10], np.int64))
    delta = tables.values[:, 0].astype(np.float64)
    if delta[held[0]]:
        other = OtherSide(short, tables, model.kind, held[0], -1, int(tables.values[held[0], 0]), delta)
        other.allocate(5, np.array([10**9], np.int64))
