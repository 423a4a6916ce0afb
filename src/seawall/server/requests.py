"""Wire types: what users send, as frozen records of text and decimal strings, before they become integers.

Amounts, prices and quantities are decimal strings in whole units (coins, currency, contracts × size), exact or
refused; rates and fees are fractions ("0.0005" is 5 basis points). Nobody sends a time: the service gives it.
`decode_json` and `decode_msgpack` are strict: an unknown field is an error. Every record is told from the others
by its `type`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = [
    "Accrue",
    "Bid",
    "Breaker",
    "Cancel",
    "Charge",
    "Clock",
    "Collect",
    "Commit",
    "Cover",
    "Deposit",
    "Designate",
    "Executed",
    "Exit",
    "Expire",
    "Fill",
    "Flatten",
    "Fund",
    "Funding",
    "Marks",
    "OpenAccount",
    "OpenBucket",
    "Order",
    "Parameters",
    "Premium",
    "RankedBid",
    "RankedCancel",
    "Reduce",
    "Request",
    "Restart",
    "SetState",
    "Settle",
    "Surface",
    "Ticks",
    "Transfer",
    "Unload",
    "Withdraw",
]


def _kebab(name: str) -> str:
    return "".join(("-" if c.isupper() and at else "") + c.lower() for at, c in enumerate(name))


class _Wire(msgspec.Struct, frozen=True, tag_field="type", tag=_kebab, forbid_unknown_fields=True, kw_only=True):
    pass


class OpenAccount(_Wire, frozen=True, kw_only=True):
    """A new account: a user's, or another insurance fund, backstop or fee account of the venue."""

    account: str
    kind: Literal["user", "insurance", "backstop", "fees"] = "user"


class OpenBucket(_Wire, frozen=True, kw_only=True):
    """A new isolated pool "owner:bucket", for one instrument where that is named."""

    owner: str
    bucket: str
    instrument: str = ""


class SetState(_Wire, frozen=True, kw_only=True):
    """A user's account changes state."""

    account: str
    state: Literal["active", "reduce-only", "in-liquidation", "frozen", "closed"]


class Deposit(_Wire, frozen=True, kw_only=True):
    """From the outside world; asset: the settlement currency where none is named."""

    account: str
    amount: str
    asset: str = ""


class Withdraw(_Wire, frozen=True, kw_only=True):
    """To the outside world, if the balance and the free collateral cover it."""

    account: str
    amount: str
    asset: str = ""


class Transfer(_Wire, frozen=True, kw_only=True):
    """Between users, inside one owner's buckets, or between accounts of the venue."""

    source: str
    target: str
    amount: str
    asset: str = ""


class Charge(_Wire, frozen=True, kw_only=True):
    """A user pays fees, a fund or the backstop, into debt where it must."""

    account: str
    amount: str
    target: str = "fees"
    asset: str = ""


class Cover(_Wire, frozen=True, kw_only=True):
    """A fund pays (part of) a user's debt."""

    account: str
    amount: str
    fund: str = "insurance"
    asset: str = ""


class Fill(_Wire, frozen=True, kw_only=True):
    """A trade that has happened: the taker bought `quantity` (sold, where negative) from the maker at `price`."""

    maker: str
    taker: str
    instrument: str
    quantity: str
    price: str
    maker_fee: str = "0"
    taker_fee: str = "0"
    fees: str = "fees"


class Order(_Wire, frozen=True, kw_only=True):
    """An account wants to buy (sell, where negative) at `price` or better."""

    account: str
    id: str
    instrument: str
    quantity: str
    price: str


class Cancel(_Wire, frozen=True, kw_only=True):
    """An open order goes."""

    account: str
    id: str


class Ticks(_Wire, frozen=True, kw_only=True):
    """Index prices by underlying, in the order in which they came."""

    prices: dict[str, str]
    source: str = ""


class Marks(_Wire, frozen=True, kw_only=True):
    """Mark prices of perpetuals and futures."""

    prices: dict[str, str]
    source: str = ""


class Surface(_Wire, frozen=True, kw_only=True):
    """Implied vols by option, fractions."""

    vols: dict[str, str]
    source: str = ""


class Parameters(_Wire, frozen=True, kw_only=True):
    """Parameters of the model begin to move; glide_s: over so many seconds, a decimal."""

    changes: dict[str, str]
    glide_s: str = "0"
    shape: Literal["linear", "geometric"] = "linear"


class Premium(_Wire, frozen=True, kw_only=True):
    """One sample for a perpetual's funding: prices of one unit."""

    instrument: str
    index: str
    impact_bid: str
    impact_ask: str


class Funding(_Wire, frozen=True, kw_only=True):
    """An interval of a perpetual ends, at `price` or, where that is empty, at its mark."""

    instrument: str
    price: str = ""


class Accrue(_Wire, frozen=True, kw_only=True):
    """Interest of an asset since the last time; rate: a year's, of borrowers."""

    asset: str
    rate: str
    reserve: str = "0"


class Expire(_Wire, frozen=True, kw_only=True):
    """A contract is over; price: what one unit of it is worth, for good."""

    instrument: str
    price: str


class Settle(_Wire, frozen=True, kw_only=True):
    """Funding, interest and expired positions of an account become balances now."""

    account: str


class Reduce(_Wire, frozen=True, kw_only=True):
    """The owner of an account that is being closed closes some of a position himself: quantity against what is held, at any price,
    or at `limit` or better."""

    account: str
    instrument: str
    quantity: str
    limit: str = ""


class Flatten(_Wire, frozen=True, kw_only=True):
    """The owner closes everything; once in an episode."""

    account: str


class Executed(_Wire, frozen=True, kw_only=True):
    """An order of a closing traded `quantity` (the account's, signed) against `maker` at a price of one unit, or is over (`done`); a
    quantity of 0 that is done confirms a withdrawal."""

    account: str
    order: str
    maker: str = ""
    quantity: str = "0"
    price: str = ""
    done: bool = False


class Unload(_Wire, frozen=True, kw_only=True):
    """A position that the providers of a bucket inherited was traded away: `quantity` bought (sold, where negative) from `maker`."""

    bucket: str
    instrument: str
    maker: str
    quantity: str
    price: str


class Bid(_Wire, frozen=True, kw_only=True):
    """For a share (0.25: a quarter) of what an auction has left, with a limit for all of it: the most that is paid, or where
    the bidder is paid minus the least. version: of the auction that the bidder saw. The rest: what a keeper signs with (docs/keepers.md)."""

    auction: int
    bidder: str
    share: str
    limit: str
    version: int
    public_key: str = ""
    nonce: str = ""
    expires_ns: int = 0
    signature: str = ""


class RankedBid(_Wire, frozen=True, kw_only=True):
    """A bid that stands before anybody fails: size: requirement that it takes over at most; share: of the value, the most that it
    pays; insolvent: of the requirement, the least that it is paid on top of a deficit ("": it takes no such account); budget: money put
    aside now. Signed as `Bid` is (docs/keepers.md)."""

    bidder: str
    id: str
    bucket: str
    size: str
    share: str
    budget: str
    until_ns: int
    insolvent: str = ""
    public_key: str = ""
    nonce: str = ""
    expires_ns: int = 0
    signature: str = ""


class RankedCancel(_Wire, frozen=True, kw_only=True):
    """A standing bid goes, or (no id) all of its bidder."""

    bidder: str
    id: str = ""
    public_key: str = ""
    nonce: str = ""
    expires_ns: int = 0
    signature: str = ""


class Designate(_Wire, frozen=True, kw_only=True):
    """A market maker promises to keep so much requirement of a bucket standing at this share or better; size "0": no longer."""

    bidder: str
    bucket: str
    size: str
    share: str


class Restart(_Wire, frozen=True, kw_only=True):
    """A keeper starts an auction again whose time is over."""

    auction: int
    keeper: str


class Commit(_Wire, frozen=True, kw_only=True):
    """A provider puts money behind a bucket."""

    bucket: str
    provider: str
    amount: str


class Exit(_Wire, frozen=True, kw_only=True):
    """A provider asks for money back; it is paid when the cooldown ends, at what it is then worth."""

    bucket: str
    provider: str
    amount: str


class Collect(_Wire, frozen=True, kw_only=True):
    """A provider takes what he has earned."""

    bucket: str
    provider: str


class Fund(_Wire, frozen=True, kw_only=True):
    """The venue puts money of `source` behind a market, or into the global fund where none is named."""

    amount: str
    market: str = ""
    source: str = "insurance"


class Breaker(_Wire, frozen=True, kw_only=True):
    """The auctions' circuit breaker: 0: all is allowed; 1: no start; 2: no restart; 3: no bids."""

    level: int


class Clock(_Wire, frozen=True, kw_only=True):
    """Nothing but the passing of time."""


Request = (
    OpenAccount
    | OpenBucket
    | SetState
    | Deposit
    | Withdraw
    | Transfer
    | Charge
    | Cover
    | Fill
    | Order
    | Cancel
    | Ticks
    | Marks
    | Surface
    | Parameters
    | Premium
    | Funding
    | Accrue
    | Expire
    | Settle
    | Reduce
    | Flatten
    | Executed
    | Unload
    | Bid
    | RankedBid
    | RankedCancel
    | Designate
    | Restart
    | Commit
    | Exit
    | Collect
    | Fund
    | Breaker
    | Clock
)
