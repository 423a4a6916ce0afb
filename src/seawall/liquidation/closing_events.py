"""What the closing of one account is told and what it answers: frozen records that a journal can hold.

Every event has the number of its record in the journal; an account never acts twice on one number. `Look` brings all
that others have to compute (exact margin, plan, pacing, what the funds can bear), so that the state machine itself
needs no market and no model.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import msgspec

from seawall.liquidation.account_slices import Leg
from seawall.liquidation.layers import Winner

__all__ = [
    "CancelOrders",
    "Command",
    "Deleverage",
    "Deleveraged",
    "Filled",
    "Flatten",
    "HandOver",
    "Held",
    "Look",
    "Order",
    "Part",
    "PlaceOrder",
    "Reduce",
    "RefusedAction",
    "Renew",
    "Residual",
    "Rested",
    "Slice",
    "Stage",
    "Staged",
    "Withdraw",
]


class Stage(IntEnum):
    """How far the closing of an account has gone. Within one episode it never goes back, except to REST."""

    REST = 0
    RESCUE = 1
    SELLING = 2
    AUCTION = 3
    BACKSTOP = 4
    FUNDS = 5
    DELEVERAGING = 6


class Held(msgspec.Struct, frozen=True):
    """A position: signed lots, the mark of a lot in nano, and its part of the maintenance margin in micro."""

    symbol: str
    lots: int
    mark_nano: int
    maintenance_micro: int = 0


class Slice(msgspec.Struct, frozen=True):
    """A close of a plan: signed lots (negative sells), the limit of its order and the price below which it harms."""

    symbol: str
    lots: int
    limit_nano: int
    reserve_nano: int


# ---------------------------------------------------------------------------------------------- events


class Look(msgspec.Struct, frozen=True, tag="look", kw_only=True):
    """The account as it is, evaluated exactly, made from its state of number `version`.

    kind, closes, atomic: the plan (`legs.plan`). room_lots: what pacing leaves of each symbol, absent = no bound.
    bearable_lots: of each position, what the market would take at a cost that the layers before deleveraging can pay
    (`severity.plan_wave`). market: whose tranche stands behind it. winners: whom a haircut may touch.
    """

    number: int
    account: str
    at_ns: int
    version: int
    positions: tuple[Held, ...]
    equity_micro: int
    maintenance_micro: int
    market: str
    orders: tuple[str, ...] = ()
    kind: str = "none"
    closes: tuple[Slice, ...] = ()
    atomic: bool = False
    room_lots: dict[str, int] = {}
    bearable_lots: dict[str, int] = {}
    winners: tuple[Winner, ...] = ()


class Reduce(msgspec.Struct, frozen=True, tag="reduce", kw_only=True):
    """The owner closes lots of a position (signed, against what is held), at any price or within a limit."""

    number: int
    account: str
    at_ns: int
    symbol: str
    lots: int
    limit_nano: int | None = None


class Flatten(msgspec.Struct, frozen=True, tag="flatten", kw_only=True):
    """The owner closes everything; once in an episode."""

    number: int
    account: str
    at_ns: int


class Filled(msgspec.Struct, frozen=True, tag="filled", kw_only=True):
    """An order traded signed lots for signed cash (the account's, micro), or is over (`done`)."""

    number: int
    account: str
    at_ns: int
    order: str
    lots: int
    proceeds_micro: int
    done: bool


class Part(msgspec.Struct, frozen=True):
    """What one counterparty was closed for: lots, at least 1."""

    party: str
    lots: int


class Deleveraged(msgspec.Struct, frozen=True, tag="deleveraged", kw_only=True):
    """The answer to a `Deleverage`: who was closed; the lots of the order that nobody could bear are the rest."""

    number: int
    account: str
    at_ns: int
    order: str
    parts: tuple[Part, ...]


# ---------------------------------------------------------------------------------------------- outcomes


class Order(msgspec.Struct, frozen=True):
    """An order in the market, signed lots left. price_nano: of a wave, the bankruptcy price; else the reserve.

    lane: "owner" (first, no fee), "slice" (fee within the reserve), "wave" (what it costs beyond the bankruptcy price is
    the funds'), "adl" (deleveraged), "residual" (at any price). All only ever reduce a position.
    """

    id: str
    symbol: str
    lots: int
    limit_nano: int | None
    price_nano: int
    lane: str


class PlaceOrder(msgspec.Struct, frozen=True, tag="place-order"):
    """To the router. together: an id that orders share which go all or none; empty for a single one."""

    account: str
    order: Order
    together: str = ""


class Withdraw(msgspec.Struct, frozen=True, tag="withdraw"):
    """Take an order out of the market; a `Filled` with `done` confirms it."""

    account: str
    order: str


class CancelOrders(msgspec.Struct, frozen=True, tag="cancel-orders"):
    """The account's own open orders go first."""

    account: str
    orders: tuple[str, ...]


class HandOver(msgspec.Struct, frozen=True, tag="hand-over"):
    """Everything to the providers of the bucket, at the marks, with what the account's equity leaves as margin."""

    account: str
    bucket: str
    auction: int
    positions: tuple[Held, ...]
    equity_micro: int


class Renew(msgspec.Struct, frozen=True, tag="renew"):
    """The account's auction gets the figures of the last look."""

    auction: int
    legs: tuple[Leg, ...]
    cash_micro: int
    health_micro: int


class Command(msgspec.Struct, frozen=True, tag="command"):
    """For a mechanism of the venue (auction house, last layers), in the same step; the answer names the id."""

    id: str
    account: str
    event: Any


class Deleverage(msgspec.Struct, frozen=True, tag="deleverage"):
    """Close signed lots of a position against the other side at the bankruptcy price."""

    account: str
    order: Order
    mark_nano: int


class Staged(msgspec.Struct, frozen=True, tag="staged"):
    """The closing went on: from, to, why, with equity and maintenance margin at that moment."""

    account: str
    before: Stage
    after: Stage
    why: str
    equity_micro: int
    maintenance_micro: int


class Rested(msgspec.Struct, frozen=True, tag="rested"):
    """The episode is over: "recovered", "closed" or "settled"; residual_micro: what became claims."""

    account: str
    cause: str
    residual_micro: int = 0


class Residual(msgspec.Struct, frozen=True, tag="residual"):
    """Lots that no counterparty can bear: they go to the market at any price, and claims bear the loss."""

    account: str
    symbol: str
    lots: int


class RefusedAction(msgspec.Struct, frozen=True, tag="refused-action"):
    """An event that changed nothing: which, why."""

    account: str
    event: str
    reason: str
