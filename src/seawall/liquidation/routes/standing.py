"""One price, so many lots: a backstop's standing quote, or a bid that a keeper filed before the breach.

A `Vault` offers what its cover carries: `lots = (capacity + margin that comes along) / maintenance per lot`, at the index
price less its discount.
"""

from __future__ import annotations

from seawall.core.errors import BadNumber
from seawall.core.units import PPM
from seawall.liquidation.routes.route import BUY, Fill, check_order, check_price, no_worse, nothing

__all__ = ["Standing", "standing_quote"]


class Standing:
    """An offer to take the other side at price_nano, no fee. side: what the *taker* does."""

    def __init__(self, name: str, side: int, price_nano: int, lots: int) -> None:
        check_order(side, lots)
        check_price(name, price_nano)
        self.name = name
        self.side = side
        self.price_nano = price_nano
        self.lots = lots

    def depth(self, side: int, limit_nano: int) -> int:
        """All of it or nothing."""
        return self.lots if side == self.side and no_worse(side, self.price_nano, limit_nano) else 0

    def quote(self, side: int, lots: int) -> Fill:
        """What `take` would do."""
        check_order(side, lots)
        filled = min(lots, self.lots) if side == self.side else 0
        if not filled:
            return nothing(self.price_nano)
        return Fill(filled, -side * filled * self.price_nano // 1000, 0, self.price_nano)

    def take(self, side: int, lots: int) -> Fill:
        """Trades: what is left is less by it."""
        fill = self.quote(side, lots)
        self.lots -= fill.lots
        return fill


def standing_quote(
    name: str, side: int, index_nano: int, discount_ppm: int, cover_micro: int, maintenance_nano: int
) -> Standing:
    """What a backstop with this cover offers a taker of this side. Raises BadNumber for a discount of 100 % or more.

    maintenance_nano: cover that one lot needs. Price against the taker: index − discount for a seller, + for a buyer.
    """
    if not 0 <= discount_ppm < PPM or maintenance_nano <= 0 or cover_micro < 0:
        found = f"discount {discount_ppm}, cover {cover_micro}, maintenance {maintenance_nano}"
        raise BadNumber(f"{name}, quote", found, f"0 <= discount < {PPM}, cover >= 0, maintenance > 0")
    if side == BUY:
        price = -(-index_nano * (PPM + discount_ppm) // PPM)
    else:
        price = index_nano * (PPM - discount_ppm) // PPM
    return Standing(name, side, price, cover_micro * 1000 // maintenance_nano)
