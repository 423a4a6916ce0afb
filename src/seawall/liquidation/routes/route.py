"""What a market must answer to take part in a liquidation: how deep, at what money, and do it.

Prices are nano quote per lot *net of the market's fee*, so that markets with different fees compare. Money is what
reaches the taker: positive when selling, negative when buying, always rounded down, that is against the account.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from seawall.core.errors import BadNumber
from seawall.core.units import LOT_VALUE_NANO_MAX, PPM

__all__ = ["BUY", "LOTS_MAX", "SELL", "Fill", "Route", "check_fee", "check_order", "no_worse", "nothing"]

BUY, SELL = 1, -1
LOTS_MAX = 2**53
"""No order and no pool is larger than this many lots."""


class Fill(msgspec.Struct, frozen=True):
    """One trade. lots: taken, at least 0. proceeds_micro: the taker's cash, signed, floor, net of fee_micro.

    marginal_nano: net price of the last bit of it (of the next bit, if nothing was taken), rounded against the taker.
    """

    lots: int
    proceeds_micro: int
    fee_micro: int
    marginal_nano: int


class Route(Protocol):
    """A market. Side is what the *taker* does: BUY (1) closes a short position, SELL (-1) a long one.

    Marginal prices never improve with size (they may stay), so a split that equalises them is the best split.
    """

    name: str

    def depth(self, side: int, limit_nano: int) -> int:
        """Lots that can be taken with no lot of them at a net price worse than limit_nano."""
        ...

    def quote(self, side: int, lots: int) -> Fill:
        """What `take` would do now; fewer lots where the market has fewer."""
        ...

    def take(self, side: int, lots: int) -> Fill:
        """Trades, and moves the market's state."""
        ...


def no_worse(side: int, price_nano: int, limit_nano: int) -> bool:
    """Whether a taker of this side would accept the price."""
    return side * price_nano <= side * limit_nano


def nothing(marginal_nano: int = 0) -> Fill:
    """A fill of no lots."""
    return Fill(0, 0, 0, marginal_nano)


def check_order(side: int, lots: int) -> None:
    """Raises BadNumber for a side other than BUY and SELL, and for lots outside 0 … 2**53."""
    if side not in (BUY, SELL):
        raise BadNumber("order, side", str(side), "1 (buy) or -1 (sell)")
    if not 0 <= lots <= LOTS_MAX:
        raise BadNumber("order, lots", str(lots), f"0 to {LOTS_MAX}")


def check_fee(place: str, fee_ppm: int) -> None:
    """Raises BadNumber for a fee outside 0 … 99.9999 %."""
    if not 0 <= fee_ppm < PPM:
        raise BadNumber(f"{place}, fee_ppm", str(fee_ppm), f"0 to {PPM - 1}")


def check_price(place: str, price_nano: int) -> None:
    """Raises BadNumber for a price that is not positive or beyond what one lot may be worth."""
    if not 0 < price_nano < LOT_VALUE_NANO_MAX:
        raise BadNumber(f"{place}, price_nano", str(price_nano), f"1 to {LOT_VALUE_NANO_MAX - 1}")
