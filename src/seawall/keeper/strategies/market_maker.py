"""`market-maker`: for hedged books. What nets out costs it little, what does not costs a hedge, and what it holds already counts.

Per underlying, net = Σ quantity · mark of the account and of what is held. A hedged book (most of its notional nets out) is bought
for a small carry on the gross; what is left open in the net costs what hedging it would. A book that takes what is held
closer to flat saves a hedge, and may cost all it is worth but the least that is wanted. Options are hedged by notional here, which is coarse: give `hedge` room for that.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any

from seawall.keeper.opportunity import ZERO, Opportunity, View
from seawall.keeper.strategy import RankedWish, Wish, convert_options

__all__ = ["MarketMaker"]

_RANGES = {
    "carry": ("0.0005", "0", "1"),  # of the gross notional
    "hedge": ("0.003", "0", "1"),  # of the net notional that it must hedge
    "least": ("1", "0", "1e12"),  # money, for the whole of what is sold
    "hedged": ("0.5", "0", "1"),  # share of an account's notional that must net out, or it is not for this strategy
}


class MarketMaker:
    """Options: carry, hedge, least, hedged."""

    def __init__(self, **options: Any) -> None:
        found = convert_options("market-maker", options, _RANGES)
        self.carry, self.hedge, self.least, self.hedged = (found[name] for name in _RANGES)

    def wish(self, auction: Opportunity, view: View) -> Wish | None:
        """All that is sold of a hedged account, once it is cheap enough."""
        if auction.share_most <= 0 or self.netted(auction, view) < self.hedged:
            return None
        ceiling = self.ceiling(auction, view)
        if auction.price > ceiling:
            return None
        return Wish(auction.share_most, ceiling, f"asks {auction.price}, worth {ceiling} hedged")

    def standing(self, view: View) -> tuple[RankedWish, ...]:
        """Nothing: it looks at each auction."""
        return ()

    def netted(self, auction: Opportunity, view: View) -> Decimal:
        """1 - Σ |net| ÷ gross: 1 for a perfect hedge, 0 for one side alone."""
        gross = auction.gross
        return 1 - sum(map(abs, self._nets(auction, view).values()), ZERO) / gross if gross else Decimal(1)

    def ceiling(self, auction: Opportunity, view: View) -> Decimal:
        """The most that it pays for the whole: what its positions are worth less what holding and hedging them costs."""
        held: dict[str, Decimal] = defaultdict(Decimal)
        for instrument, quantity in view.inventory.items():
            if instrument in view.contracts and instrument in view.marks:
                held[view.contracts[instrument].underlying] += quantity * view.marks[instrument]
        worth = auction.cash + sum((leg.quantity * view.mark(leg) for leg in auction.legs), ZERO)
        more = ZERO
        for underlying, net in self._nets(auction, view).items():
            more += abs(held[underlying] + net) - abs(held[underlying])
        return worth - max(self.carry * auction.gross + self.hedge * more, self.least)

    def _nets(self, auction: Opportunity, view: View) -> dict[str, Decimal]:
        nets: dict[str, Decimal] = defaultdict(Decimal)
        for leg in auction.legs:
            contract = view.contracts.get(leg.instrument)
            nets[contract.underlying if contract else leg.instrument] += leg.quantity * view.mark(leg)
        return nets
