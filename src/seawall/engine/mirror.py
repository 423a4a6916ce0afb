"""The engine's book follows the ledger: cash and lots of every account that may hold positions.

Rows of the two are the same: account number k of the ledger is row k of the engine, and rows above the last account
are spare. Engine cash is the ledger's `cash_of` in nano, so funding, interest and last prices count at once; engine
lots are the ledger's, those of spot the whole lots in a balance, rounded against the account.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from seawall.core.errors import LimitExceeded
from seawall.engine.book import EngineBook
from seawall.ledger.accounts import Accounts
from seawall.ledger.chart import TRADERS
from seawall.ledger.events import Posting
from seawall.ledger.ledger import Ledger
from seawall.ledger.worth import balance_after_touch, balances_after_touch, cash_of, pending_of
from seawall.market.market import Market

__all__ = ["Mirror"]

Array = np.ndarray[Any, Any]


class Mirror:
    """How ledger numbers become engine numbers.

    asset: number of the settlement currency; unit_nano: nano in its smallest unit. legs_of: by ledger instrument,
    the legs of a position (none of spot). spot_of: by ledger asset, (leg, units in a lot).
    """

    def __init__(self, ledger: Ledger, market: Market) -> None:
        state = ledger.state
        self.state = state
        self.asset = state.asset_of[market.settlement]
        self.unit_nano = 10 ** (9 - state.assets[self.asset].decimals)
        legs = market.legs
        self.legs_of: list[tuple[int, ...]] = []
        self.spot_of: dict[int, tuple[int, int]] = {}
        for listing in state.instruments:
            found = tuple(leg for leg, _ in legs.expand(listing.instrument)) if listing.instrument in legs.leg_of else ()
            self.legs_of.append(() if listing.base else found)
            if listing.base and found:
                self.spot_of[state.asset_of[listing.base]] = found[0], listing.lot_units

    # -- all accounts --------------------------------------------------------------------------

    def trader(self, row: int) -> bool:
        """Whether the engine margins an account: users, their buckets, funds and the backstop."""
        return self.state.kind[row] in TRADERS

    def traders(self) -> Array:
        """bool[accounts]."""
        return np.isin(np.frombuffer(self.state.kind, np.int8), np.array(TRADERS, np.int8))

    def accounts(self, capacity: int) -> Accounts:
        """The whole ledger as the engine's arrays, with spare rows up to `capacity`.

        LimitExceeded where the ledger has more accounts than that.
        """
        state = self.state
        count = len(state.names)
        if count > capacity:
            raise LimitExceeded("capacity", f"{capacity:,} accounts", f"at least the {count:,} of the ledger")
        cash = np.zeros(capacity, np.int64)
        cash[:count] = self.cash_nano()
        owner, leg, lots = self.positions()
        row_ptr = np.zeros(capacity + 1, np.int64)
        np.cumsum(np.bincount(owner, minlength=capacity), out=row_ptr[1:])
        names = list(state.names) + [""] * (capacity - count)
        return Accounts(names, cash, row_ptr, leg.astype(np.int32), lots)

    def cash_nano(self) -> Array:
        """int64[accounts]: cash of every account that the engine margins, 0 of the others."""
        state = self.state
        units = balances_after_touch(state, self.asset)
        lots = np.frombuffer(state.lots, np.int64)
        live = np.flatnonzero(lots)
        if len(live):
            owner = np.frombuffer(state.holder, np.int32)[live]
            amounts = np.frombuffer(state.cost, np.int64)[live].copy()
            amounts += pending_of(state, live, self.asset)
            np.add.at(units, owner, amounts)
        return np.where(self.traders(), units * self.unit_nano, 0)

    def positions(self) -> tuple[Array, Array, Array]:
        """(account row, leg, lots), int64[n] each, sorted, of every account that the engine margins."""
        state = self.state
        held, lots = np.frombuffer(state.held, np.int32), np.frombuffer(state.lots, np.int64)
        alive = np.array(state.expiry_nano, np.int64)[held] < 0 if len(held) else np.zeros(0, np.bool_)
        traders = self.traders()
        slots = np.flatnonzero((lots != 0) & alive)
        holder = np.frombuffer(state.holder, np.int32)[slots].astype(np.int64)
        slots, holder = slots[traders[holder]], holder[traders[holder]]
        parts = []
        for number, legs in enumerate(self.legs_of):
            if not legs:
                continue
            mine = np.flatnonzero(held[slots] == number)
            for leg in legs:
                parts.append((holder[mine], np.full(len(mine), leg), lots[slots[mine]]))
        for asset, (leg, lot_units) in self.spot_of.items():
            coins = np.where(traders, balances_after_touch(state, asset) // lot_units, 0)
            owners = np.flatnonzero(coins)
            parts.append((owners, np.full(len(owners), leg), coins[owners]))
        if not parts:
            return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64)
        owners, legs_held, amounts = (np.concatenate([part[k] for part in parts]).astype(np.int64) for k in range(3))
        order = np.lexsort((legs_held, owners))
        return owners[order], legs_held[order], amounts[order]

    # -- one account ---------------------------------------------------------------------------

    def cash_of(self, row: int) -> int:
        """Nano of one account."""
        return cash_of(self.state, row, self.asset) * self.unit_nano

    def coins_of(self, row: int, asset: int, more: int = 0) -> int:
        """Whole lots of spot in a balance, or in it with `more` units."""
        return (balance_after_touch(self.state, row, asset) + more) // self.spot_of[asset][1]

    def moved(self, postings: Iterable[Posting]) -> dict[int, dict[int, int]]:
        """What postings did to the accounts of the engine: by row, the lots by leg that changed, as they are now."""
        state = self.state
        found: dict[int, dict[int, int]] = {}
        for line in postings:
            row = state.rows[line.account]
            if state.kind[row] not in TRADERS:
                continue
            wanted = found.setdefault(row, {})
            if line.part == "lots":
                number = state.instrument_of[line.unit]
                slot = state.slot(row, number)
                lots = state.lots[slot] if slot >= 0 and state.expiry_nano[number] < 0 else 0
                for leg in self.legs_of[number]:
                    wanted[leg] = lots
            elif line.part == "balance" and line.unit in state.asset_of:
                asset = state.asset_of[line.unit]
                if asset in self.spot_of:
                    wanted[self.spot_of[asset][0]] = self.coins_of(row, asset)
        return found

    def differences(self, book: EngineBook) -> list[str]:
        """Accounts of which the engine's book says something else than the ledger: none, or something is broken."""
        fresh = self.accounts(len(book.names))
        wrong = fresh.cash_nano != book.cash_nano
        lengths = np.diff(fresh.row_ptr)
        wrong |= lengths != book.positions.length
        same = np.flatnonzero((lengths == book.positions.length) & (lengths > 0))
        for row in same.tolist():
            legs, lots = book.positions.rows(row)
            span = slice(int(fresh.row_ptr[row]), int(fresh.row_ptr[row + 1]))
            wrong[row] |= not (np.array_equal(legs, fresh.leg[span]) and np.array_equal(lots, fresh.lots[span]))
        return [fresh.names[row] or f"spare row {row}" for row in np.flatnonzero(wrong).tolist()]
