"""`value`: bids when an account costs less than it is worth to this keeper, by an edge, and less the more of it is held already.

Own valuation = cash + Σ quantity · mark, less for each position that adds to what is held a skew: skew · notional · (what would be held of
it after what is sold now, over the room there is for it). Bids once price ≤ valuation − edge · gross, for all that is sold, limited at that figure.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from seawall.keeper.opportunity import ZERO, Opportunity, View
from seawall.keeper.strategy import RankedWish, Wish, convert_options

__all__ = ["Value"]

_RANGES = {
    "edge": ("0.005", "0", "1"),  # of the gross notional
    "least": ("1", "0", "1e12"),  # money, for the whole of what is sold
    "skew": ("0.02", "0", "1"),  # of a position's notional, when its room is full
    "room": ("100000", "1", "1e15"),  # notional of one instrument at which the skew is whole
}


class Value:
    """Options: edge, least, skew, room."""

    def __init__(self, **options: Any) -> None:
        found = convert_options("value", options, _RANGES)
        self.edge, self.least, self.skew, self.room = (found[name] for name in _RANGES)

    def wish(self, auction: Opportunity, view: View) -> Wish | None:
        """All that is sold, as soon as it is cheap enough."""
        ceiling = self.ceiling(auction, view)
        if auction.price > ceiling or auction.share_most <= 0:
            return None
        return Wish(auction.share_most, ceiling, f"asks {auction.price}, worth {ceiling} with the edge")

    def standing(self, view: View) -> tuple[RankedWish, ...]:
        """Nothing: it looks at each auction."""
        return ()

    def ceiling(self, auction: Opportunity, view: View) -> Decimal:
        """The most that it pays for the whole."""
        valuation = auction.cash
        for leg in auction.legs:
            valuation += leg.quantity * view.mark(leg)
            valuation -= self._skew(leg.instrument, leg.quantity, auction.share_most, view.mark(leg), view)
        return valuation - max(self.edge * auction.gross, self.least)

    def _skew(self, instrument: str, quantity: Decimal, share: Decimal, mark: Decimal, view: View) -> Decimal:
        """Grows with what would be held on the same side; a position that reduces what is held is worth its mark."""
        held = view.inventory.get(instrument, ZERO)
        if held * quantity < 0:
            return ZERO
        return self.skew * abs(quantity * mark) * min(abs((held + share * quantity) * mark) / self.room, Decimal(1))
