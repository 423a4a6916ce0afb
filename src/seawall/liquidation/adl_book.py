"""The other side of a failed position as it stands in a book, for `adl.allocate`: who holds it, who is hedged, exact health.

A row is an account that holds lots of the failed instrument's leg on the other side. The recheck closes the lots given
at the bankruptcy price and asks the account kernel that decides everywhere else, under the venue's own model: so a
closing that opens up a hedge counts with the maintenance it really causes. The closed form's health cap stays out of
the way (the margin released is taken to be the loss): the kernel alone decides.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from seawall.core.errors import BadNumber
from seawall.kernels.account import evaluate_accounts
from seawall.kernels.tables import Tables
from seawall.liquidation import adl

__all__ = ["OtherSide"]

Array = np.ndarray[Any, Any]
EQUITY, MAINTENANCE = 0, 2


class OtherSide:
    """Accounts of a bound book (`ledger.Accounts`) under a model's kind and tables.

    leg: number of the leg that is closed. side: what closing the *failed* position does, SELL (-1) for a long, so that
    the other side is short. delta_nano: float64[L], value change of a lot for a relative move of its underlying: of a
    linear leg its mark. Attributes: rows, int64[N] numbers of the accounts; lots, unhedged, health_micro int64[N];
    notional_micro, equity_micro int64[N] for `adl.leverage_risk`.
    """

    def __init__(
        self, accounts: Any, tables: Tables, kind: int, leg: int, side: int, bankruptcy_nano: int, delta_nano: Array
    ) -> None:
        if side not in (1, -1) or not 0 <= leg < len(tables.values) or len(delta_nano) != len(tables.values):
            raise BadNumber("other side", f"side {side}, leg {leg}, {len(delta_nano)} deltas", "a side of ±1, a leg and a delta of each")
        if not delta_nano[leg]:
            raise BadNumber("other side, delta", "0", "a leg that moves with its underlying")
        place = np.flatnonzero((accounts.leg == leg) & (np.sign(accounts.lots) == side))
        self.rows = np.searchsorted(accounts.row_ptr, place, side="right") - 1
        mine = accounts.take(self.rows)
        self._tables, self._kind, self._side = tables, kind, side
        self._accounts, self._bankruptcy_nano = mine, bankruptcy_nano
        self._at = np.flatnonzero(mine.leg == leg)  # each row has the leg, once
        self.loss_nano = side * (int(tables.values[leg, 0]) - bankruptcy_nano)
        self.lots = np.abs(mine.lots[self._at])
        same = tables.leg_underlying[mine.leg] == tables.leg_underlying[leg]
        weight = np.where(same, mine.lots * np.asarray(delta_nano, np.float64)[mine.leg], 0.0)
        sums = np.concatenate(([0.0], np.cumsum(weight)))
        net = (sums[mine.row_ptr[1:]] - sums[mine.row_ptr[:-1]]) / float(delta_nano[leg])
        # a screen in floating point decides only who goes first; rounded to lots
        self.unhedged = adl.unhedged_lots(mine.lots[self._at], np.rint(net).astype(np.int64))
        figures = self._figures(np.zeros(len(self.lots), np.int64))
        self.equity_micro = figures[:, EQUITY]
        self.health_micro = figures[:, EQUITY] - figures[:, MAINTENANCE]
        self.notional_micro = self.lots * abs(int(tables.values[leg, 0])) // 1000

    def parties(self, profit_micro: Array, risk_ppm: Array | None = None) -> adl.Parties:
        """profit_micro: int64[N], of each account's netting set. risk_ppm: by leverage where not given."""
        risk = adl.leverage_risk(self.notional_micro, self.equity_micro) if risk_ppm is None else risk_ppm
        no_cap = np.full(len(self.lots), max(self.loss_nano, 0), np.int64)
        return adl.Parties.of(self.lots, profit_micro, self.unhedged, self.health_micro, no_cap, risk)

    def recheck(self, closed: Array) -> Array:
        """Exact health in micro of every row after `closed` lots, int64[N], at the bankruptcy price."""
        figures = self._figures(closed)
        health: Array = figures[:, EQUITY] - figures[:, MAINTENANCE]
        return health

    def allocate(self, lots: int, profit_micro: Array, rules: adl.Rules | None = None) -> adl.Allocation:
        """`adl.allocate` with the exact margin having the last word."""
        return adl.allocate(self.parties(profit_micro), lots, self.loss_nano, rules or adl.Rules(), self.recheck)

    def _figures(self, closed: Array) -> Array:
        mine = self._accounts
        lots = mine.lots.copy()
        lots[self._at] -= self._side * closed
        cash = mine.cash_nano + self._side * closed * self._bankruptcy_nano
        out = np.zeros((len(self.lots), 4), np.int64)
        evaluate_accounts(self._kind, self._tables, mine.row_ptr[:-1], mine.row_ptr[1:], mine.leg, lots, cash, out)
        return out
