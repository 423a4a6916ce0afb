"""Auctions and keepers for tests: figures that are easy to reckon with."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from seawall.keeper.opportunity import Contract, Leg, Opportunity, View

D = Decimal
CONTRACTS = {
    "BTC-PERP": Contract("BTC", D("0.001")),
    "BTC-26DEC": Contract("BTC", D("0.001")),
    "ETH-PERP": Contract("ETH", D("0.01")),
}


def auction(price: str = "900", legs: Any = (("BTC-PERP", "1", "10000"),), worth: str = "1000", **more: Any) -> Opportunity:
    """An account worth 1,000 at the marks, needing 1,500, for sale at 900."""
    rows = tuple(Leg(name, D(quantity), D(mark)) for name, quantity, mark in legs)
    cash = D(worth) - sum((leg.quantity * leg.mark for leg in rows), D(0))
    found = Opportunity(
        auction=1, owner="owner", bucket="major", insolvent=False, version=1, elapsed_s=D(5), price=D(price), share_most=D(1),
        value=D(worth), requirement=D(1500), health=D(worth) - 1500, due=False, fresh=True, cash=cash, legs=rows, at_ns=10**18,
    )  # fmt: skip
    return msgspec.structs.replace(found, **more)


def view(inventory: dict[str, str] | None = None, cash: str = "100000", **more: Any) -> View:
    """A keeper with so much cash."""
    found = View(
        at_ns=10**18, equity=D(cash), free=D(cash), cash=D(cash),
        inventory={name: D(quantity) for name, quantity in (inventory or {}).items()},
        marks={"BTC-PERP": D(10000), "BTC-26DEC": D(10000), "ETH-PERP": D(500)}, contracts=CONTRACTS,
    )  # fmt: skip
    return msgspec.structs.replace(found, **more)
