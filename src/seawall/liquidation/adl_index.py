"""Deleveraging of a whole side in constant time, applied by each account when it is next looked at.

Two indices per side say what has happened to one lot since any moment: A, what is left of it, and K, what it has made
(nano per lot, times A). A position remembers (basis, A₀, K₀) of when it was last settled:

    lots now = ⌊basis·A/A₀⌋              P&L since = ⌊basis·(K − K₀)/A₀⌋ nano
    price moves by Δ:                     K ← K ± A·Δ
    q of OI lots are closed, at a cost D:  K ← K − ⌈D·A/OI⌉,  then  A ← ⌊A·(OI − q)/OI⌋

(Percolator's A/K indices; Yakovenko, A., Apache-2.0 sources at d594e6a9. Formulas only; the error bound below is ours.)
Nobody's result depends on when, or in which order, others are settled. All roundings are against the account.

**Error bound.** A is an integer near 2⁹⁶ and is floored once per deleveraging, which takes less than OI/A lots from
the side; a settlement takes less than one lot. So after n deleveragings with A ≥ 2⁶⁴ and m settlements of accounts

    0 ≤ open lots − Σ lots of accounts < m + N + n·2⁻¹¹        (N accounts not settled now; OI ≤ 2⁵³)

and accounts together bear of a cost D at least D·(1 − dust/OI) and at most D + (N + 1) nano. The dust, and its part of
D, are the venue's rounding account's: `dust_bound` is that limit, kept with the state.
"""

from __future__ import annotations

from fractions import Fraction

import msgspec

from seawall.core.errors import BadNumber, InputError, invariant
from seawall.liquidation.routes.route import LOTS_MAX

__all__ = ["ONE", "Position", "SideIndex"]

ONE = 1 << 96
LEAST = 1 << 64


class Position(msgspec.Struct, frozen=True):
    """One account's part of a side as of its last settlement. lots at that moment; the indices then."""

    lots: int
    kept: int
    earned: int
    epoch: int


class SideIndex:
    """Longs (side 1) or shorts (-1) of one instrument. open_lots: what the side has open by the venue's count."""

    def __init__(self, side: int) -> None:
        if side not in (1, -1):
            raise BadNumber("index, side", str(side), "1 or -1")
        self.side = side
        self.open_lots = 0
        self.epoch = 0
        self.dust_bound = Fraction(0)
        self._kept = ONE
        self._earned = 0
        self._ended: dict[int, int] = {}

    @property
    def drains(self) -> bool:
        """Whether A is so small that the side only takes closing trades until it is empty and starts anew."""
        return self._kept < LEAST

    def open(self, lots: int) -> Position:
        """A new position at the present price. Raises InputError while the side drains, BadNumber for bad lots."""
        if not 0 < lots <= LOTS_MAX - self.open_lots:
            raise BadNumber("index, position", str(lots), f"1 to {LOTS_MAX - self.open_lots}")
        if self.drains:
            raise InputError("index", "a side that drains", "closing trades until it is empty")
        self.open_lots += lots
        return Position(lots, self._kept, self._earned, self.epoch)

    def move(self, change_nano: int) -> None:
        """The mark moves by so much per lot."""
        self._earned += self.side * self._kept * change_nano

    def lots(self, position: Position) -> int:
        """Lots now."""
        if position.epoch != self.epoch:
            return 0
        return position.lots * self._kept // position.kept

    def pnl_nano(self, position: Position) -> int:
        """P&L since the last settlement, rounded down."""
        end = self._earned if position.epoch == self.epoch else self._ended[position.epoch]
        return position.lots * (end - position.earned) // position.kept

    def settle(self, position: Position) -> tuple[Position | None, int]:
        """The position at the present indices (None if nothing is left of it) and the P&L to book."""
        lots, pnl = self.lots(position), self.pnl_nano(position)
        if position.epoch == self.epoch and position.kept != self._kept:
            self.dust_bound += 1
        return (Position(lots, self._kept, self._earned, self.epoch) if lots else None), pnl

    def close(self, position: Position, lots: int) -> tuple[Position | None, int]:
        """The owner closes lots of his own: settles first, then takes them out."""
        settled, pnl = self.settle(position)
        held = settled.lots if settled else 0
        if not 0 < lots <= held:
            raise BadNumber("index, closing", str(lots), f"1 to {held}")
        self.open_lots -= lots
        self._restart_if_empty()
        left = held - lots
        return (Position(left, self._kept, self._earned, self.epoch) if left else None), pnl

    def deleverage(self, lots: int, cost_nano: int) -> None:
        """Closes lots of the side and makes it bear a cost, both in proportion to lots held. O(1)."""
        if not 0 <= lots <= self.open_lots or cost_nano < 0 or (cost_nano and not self.open_lots):
            raise BadNumber("index, deleveraging", f"{lots} lots at {cost_nano}", f"0 to {self.open_lots} lots, a cost of at least 0")
        if not self.open_lots:
            return
        self._earned -= -(-cost_nano * self._kept // self.open_lots)
        if lots:
            self.dust_bound += Fraction(self.open_lots, self._kept)
            self._kept = self._kept * (self.open_lots - lots) // self.open_lots
            self.open_lots -= lots
        self._restart_if_empty()

    def write_off_dust(self, lots: int) -> None:
        """Closes lots that belong to no account: those of the rounding account, at most `dust_bound`."""
        invariant(0 <= lots <= self.dust_bound and lots <= self.open_lots, "dust written off is within its bound")
        self.open_lots -= lots
        self._restart_if_empty()

    def _restart_if_empty(self) -> None:
        """Nothing is open: positions still on the books have no lots, only P&L up to here; A starts at one again."""
        if self.open_lots:
            return
        self._ended[self.epoch] = self._earned
        self.epoch += 1
        self._kept, self._earned = ONE, 0
        self.dust_bound = Fraction(0)
