"""Posting: the only code that changes a balance, a position or its cost, each change a line of the event.

A touch settles first: interest of a balance before it changes, funding of a position before its lots change.
What an account gets is rounded down (what it pays, up); the fraction goes to the dust of its asset or
instrument, and every whole unit of dust from the clearing account to `rounding`. So when everybody has been
settled a clearing account stands at exactly zero.
"""

from __future__ import annotations

from array import array

from seawall.core.errors import invariant

from .chart import USER
from .events import Posting
from .funding import settlement_pico
from .state import NOBODY, State

__all__ = ["INDEX_SCALE", "Poster"]

INDEX_SCALE = 10**15
"""An interest index is in units of 10⁻¹⁵ per unit of balance."""


class Poster:
    """Writes one event's lines into a State."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.lines: list[Posting] = []
        rows = state.rows
        self.rounding, self.outside, self.fees = rows["rounding"], rows["outside"], rows["fees"]
        self.funding, self.interest, self.expiry = rows["funding"], rows["interest"], rows["expiry"]

    def post(self, row: int, asset: int, amount: int) -> None:
        """Adds to a balance, after settling its interest."""
        if not amount:
            return
        state = self.state
        column = state.balance[asset]
        bears = state.borrow_index[asset] and state.kind[row] == USER
        if bears:
            self.settle_interest(row, asset)
        before = column[row]
        state.note((column, row, before))
        column[row] = before + amount
        if bears:
            state.put(state.mark[asset], row, self._index(asset, before + amount))
        self.lines.append(Posting(state.names[row], "balance", state.assets[asset].asset, amount))

    def settle_interest(self, row: int, asset: int) -> int:
        """The balance after interest: balance × step of the borrowers' or the lenders' index since its last touch."""
        state = self.state
        column = state.balance[asset]
        held = column[row]
        if held and state.borrow_index[asset] and state.kind[row] == USER:
            index = self._index(asset, held)
            step = index - state.mark[asset][row]
            if step:
                state.put(state.mark[asset], row, index)
                self.clear(row, asset, held * step, INDEX_SCALE, self.interest, state.interest_dust, asset)
                return column[row]
        return held

    def clear(self, row: int, asset: int, exact: int, scale: int, clearing: int, dust: array[int], at: int) -> None:
        """Gives an account floor(exact ÷ scale) from a clearing account, and the fraction to its dust."""
        got, rest = divmod(exact, scale)
        self.post(row, asset, got)
        self.post(clearing, asset, -got)
        if rest:
            rest += dust[at]
            if rest >= scale:
                rest -= scale
                self.post(clearing, asset, -1)
                self.post(self.rounding, asset, 1)
            self.state.put(dust, at, rest)

    def settle_position(self, slot: int) -> None:
        """Funding since the last touch; where the instrument has expired, its value, and the position is gone."""
        state = self.state
        instrument = state.held[slot]
        index, since = state.index_pico[instrument], state.since_pico[slot]
        price_nano = state.expiry_nano[instrument]
        if index == since and price_nano < 0:
            return
        row, lots = state.holder[slot], state.lots[slot]
        asset, _, _, _, nano, pico = state.terms[instrument]
        if row == self.expiry:
            return  # holds the other side of what has been settled, and is settled by the rest
        if index != since:
            state.put(state.since_pico, slot, index)
            exact = settlement_pico(lots, since, index)
            self.clear(row, asset, exact, pico, self.funding, state.funding_dust, instrument)
        if price_nano >= 0:
            cost = state.cost[slot]
            self._cost(slot, -cost)
            self.post(row, asset, cost)
            self.clear(row, asset, lots * price_nano, nano, self.expiry, state.expiry_dust, instrument)
            self._lots(slot, -lots)
            other = state.slot(self.expiry, instrument)
            self._lots(other if other != NOBODY else state.make_slot(self.expiry, instrument), lots)

    def settle(self, row: int) -> None:
        """Everything an account has coming or owes becomes balance."""
        state = self.state
        for slot in state.positions(row):
            self.settle_position(slot)
        for asset in state.by_name:
            self.settle_interest(row, asset)

    def position(self, row: int, instrument: int) -> tuple[int, int]:
        """(slot or NOBODY, lots) of an account's position, settled."""
        slot = self.state.slot(row, instrument)
        if slot == NOBODY:
            return NOBODY, 0
        self.settle_position(slot)
        return slot, self.state.lots[slot]

    def hold(self, row: int, instrument: int, slot: int, lots: int, cash: int) -> None:
        """Adds lots, settled, and their cash: to the balance, or if the instrument is entered at a price to the cost.

        Closing part of a position releases floor(cost × part) into the balance, the rest with its last lot.
        """
        state = self.state
        if slot == NOBODY:
            slot = state.make_slot(row, instrument)
        asset, _, _, entered, _, _ = state.terms[instrument]
        held = state.lots[slot]
        self._lots(slot, lots)
        if not entered:
            self.post(row, asset, cash)
        elif held == 0 or (held > 0) == (lots > 0):
            self._cost(slot, cash)
        else:
            closed, opened = min(abs(lots), abs(held)), max(0, abs(lots) - abs(held))
            kept = cash - cash * closed // abs(lots) if opened else 0
            released = state.cost[slot] * closed // abs(held)
            self._cost(slot, kept - released)
            self.post(row, asset, released + cash - kept)

    def check(self) -> None:
        """InvariantError unless the lines sum to zero per asset and instrument."""
        sums: dict[str, int] = {}
        for line in self.lines:
            unit = line.unit
            if unit in sums:
                sums[unit] += line.amount
            else:
                sums[unit] = line.amount
        if any(sums.values()):
            invariant(False, "the postings of an event sum to zero", str(sums))

    def _index(self, asset: int, balance: int) -> int:
        if not balance:
            return 0
        return self.state.borrow_index[asset] if balance < 0 else self.state.supply_index[asset]

    def _lots(self, slot: int, lots: int) -> None:
        state = self.state
        column = state.lots
        before = column[slot]
        state.note((column, slot, before))
        column[slot] = before + lots
        if before + lots == 0:
            state.emptied(slot)
        symbol = state.terms[state.held[slot]][1]
        self.lines.append(Posting(state.names[state.holder[slot]], "lots", symbol, lots, symbol))

    def _cost(self, slot: int, amount: int) -> None:
        if not amount:
            return
        state = self.state
        column = state.cost
        before = column[slot]
        state.note((column, slot, before))
        column[slot] = before + amount
        _, symbol, settlement, _, _, _ = state.terms[state.held[slot]]
        self.lines.append(Posting(state.names[state.holder[slot]], "cost", settlement, amount, symbol))
