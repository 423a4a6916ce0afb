"""What auctions are told and what they answer: frozen records that a journal can hold."""

import msgspec

from seawall.liquidation.transfers import Delivery, Transfer

__all__ = [
    "BackstopDue",
    "Bid",
    "Cancel",
    "Ended",
    "Oracle",
    "Outcome",
    "Refused",
    "Restart",
    "Restarted",
    "SetBreaker",
    "Settle",
    "Sold",
    "Started",
    "TakeOver",
]


class Bid(msgspec.Struct, frozen=True, tag="bid", kw_only=True):
    """A bid of this tick for a part of one auction; it cannot be taken back.

    amount: lots, or ppb of an account. limit: the most it pays, nano per lot of collateral, or micro for the whole of
    an account; for an account below nothing minus the least that it must be paid. version: the auction's state that the
    bidder saw: in another state the bid is refused. free_micro: the cash that the ledger says it can part with.
    priority: of two bids of a tick the one with the higher is served first, at the same price; 0 but for bids that were filed
    ahead (`ranked.py`): no request sets it.
    """

    auction: int
    bidder: str
    amount: int
    limit: int
    version: int
    free_micro: int
    at_ns: int
    priority: int = 0


class TakeOver(msgspec.Struct, frozen=True, tag="take-over", kw_only=True):
    """The backstop takes what nobody bought, at the floor, once it was called (`BackstopDue`)."""

    auction: int
    taker: str
    amount: int
    free_micro: int
    at_ns: int


class Settle(msgspec.Struct, frozen=True, tag="settle", kw_only=True):
    """The tick is over: its bids are cleared at one price, and the backstop is called where nobody buys.

    Any event of a later tick clears bids too.
    """

    at_ns: int


class Restart(msgspec.Struct, frozen=True, tag="restart", kw_only=True):
    """Asked by a keeper, with the oracle's price of one lot now (collateral only)."""

    auction: int
    keeper: str
    at_ns: int
    feed_nano: int = 0


class Oracle(msgspec.Struct, frozen=True, tag="oracle", kw_only=True):
    """A bucket's price went stale or came back: its auctions stop, and the time is not counted."""

    bucket: str
    live: bool
    at_ns: int


class SetBreaker(msgspec.Struct, frozen=True, tag="breaker", kw_only=True):
    """A level from 0 (all allowed) to 3 (nothing)."""

    level: int
    at_ns: int


class Cancel(msgspec.Struct, frozen=True, tag="cancel", kw_only=True):
    """Ends an auction with what is left of it where it was: with its owner."""

    auction: int
    at_ns: int
    cause: str = "cancelled"


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """An event that changed nothing: which, whose, why."""

    event: str
    who: str
    reason: str


class Started(msgspec.Struct, frozen=True, tag="started", kw_only=True):
    """An auction is open. target_micro: debt with its penalty, or the requirement to be removed."""

    auction: int
    owner: str
    amount: int
    target_micro: int
    version: int


class Restarted(msgspec.Struct, frozen=True, tag="restarted"):
    """The price is at its top again."""

    auction: int
    version: int


class Sold(msgspec.Struct, frozen=True, tag="sold", kw_only=True):
    """One bidder's fill. price: nano per lot, or micro for the whole account; paid_micro is negative where it is paid."""

    auction: int
    bidder: str
    amount: int
    paid_micro: int
    price: int


class BackstopDue(msgspec.Struct, frozen=True, tag="backstop-due"):
    """Nobody bought down to the floor, or the time is over: the backstop may take the amount at this price."""

    auction: int
    amount: int
    price: int


class Ended(msgspec.Struct, frozen=True, tag="ended", kw_only=True):
    """An auction is over. left: lots (or ppb) still with the owner; uncovered_micro: debt that nothing paid."""

    auction: int
    cause: str
    left: int
    uncovered_micro: int


Outcome = Refused | Started | Restarted | Sold | BackstopDue | Ended | Transfer | Delivery
