"""What a keeper sees of an auction, and what it knows of itself, as frozen records; amounts are Decimal in whole units.

`read_auctions` reads the answer of GET /v1/auctions. Nothing here asks anybody anything, so that strategies are functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal
from typing import Any

import msgspec

__all__ = ["Contract", "Leg", "Opportunity", "View", "read_auctions", "slice_of"]

ZERO, ONE = Decimal(0), Decimal(1)
PPB = Decimal("1e-9")


class Leg(msgspec.Struct, frozen=True):
    """quantity: signed, in units; mark: of one unit."""

    instrument: str
    quantity: Decimal
    mark: Decimal

    @property
    def notional(self) -> Decimal:
        """Without a sign."""
        return abs(self.quantity * self.mark)


class Opportunity(msgspec.Struct, frozen=True, kw_only=True):
    """An open auction as the venue shows it. price: of all that is for sale, negative where the bidder is paid; share_most:
    the largest share that is sold now; value, requirement, health: of the account. cash: goes with the positions, so that both
    are worth what is for sale, whatever a contract settles. at_ns: the venue's time of these figures."""

    auction: int
    owner: str
    bucket: str
    insolvent: bool
    version: int
    elapsed_s: Decimal
    price: Decimal
    share_most: Decimal
    value: Decimal
    requirement: Decimal
    health: Decimal
    due: bool
    fresh: bool
    cash: Decimal
    legs: tuple[Leg, ...]
    curve: tuple[tuple[Decimal, Decimal], ...] = ()
    bids: int = 0
    at_ns: int = 0

    @property
    def worth(self) -> Decimal:
        """What is for sale at the venue's marks: cash + Σ quantity · mark."""
        return self.cash + sum((leg.quantity * leg.mark for leg in self.legs), ZERO)

    @property
    def gross(self) -> Decimal:
        """Σ |quantity · mark| over the legs."""
        return sum((leg.notional for leg in self.legs), ZERO)

    def needs(self, buffer: Decimal = Decimal("0.15")) -> Decimal:
        """Cash that taking all of it needs, an upper bound: the price, and the requirement with a buffer."""
        return max(self.price, ZERO) + max(self.requirement, -self.health, ZERO) * (ONE + buffer)


class Contract(msgspec.Struct, frozen=True):
    """An instrument: what it depends on, and its smallest quantity."""

    underlying: str
    lot: Decimal


class View(msgspec.Struct, frozen=True, kw_only=True):
    """The keeper itself. cash: it can part with; inventory: signed quantities; marks: of one unit; contracts: by symbol."""

    at_ns: int
    equity: Decimal
    free: Decimal
    cash: Decimal
    inventory: dict[str, Decimal]
    marks: dict[str, Decimal]
    contracts: dict[str, Contract]

    def mark(self, leg: Leg) -> Decimal:
        """Ours, or what the venue shows."""
        return self.marks.get(leg.instrument, leg.mark)


def read_auctions(answer: Mapping[str, Any]) -> list[Opportunity]:
    """The auctions of an answer. Raises msgspec.ValidationError where it is none."""
    at_ns = int(answer["at_ns"])
    return [msgspec.convert({**raw, "at_ns": at_ns}, Opportunity, strict=False) for raw in answer["auctions"]]


def slice_of(opportunity: Opportunity, share: Decimal, contracts: Mapping[str, Contract]) -> dict[str, Decimal]:
    """Quantities that a share delivers: whole lots, rounded toward zero (`liquidation/account_slices.py`)."""
    out = {}
    for leg in opportunity.legs:
        quantity = leg.quantity * share
        if share < ONE and leg.instrument in contracts:
            lot = contracts[leg.instrument].lot
            quantity = (quantity / lot).to_integral_value(ROUND_DOWN) * lot
        out[leg.instrument] = quantity
    return out
