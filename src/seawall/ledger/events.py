"""Ledger events: everything that can change a balance or a position, as frozen records of integers.

Amounts are whole units of their asset (an asset of six decimals: micro), quantities whole lots, prices nano of
the settlement asset per lot, rates ppm; decimals become integers at the edge, before an event exists. Each event
carries its time, and may carry an idempotency `key`: the ledger applies a key once (`Ledger.apply`).

On the wire an event is a MessagePack array: its tag, then the fields in the order in which they stand here,
those of `_Base` first. So fields are only ever appended, with a default, and a tag is never used again.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from seawall.core.errors import UnreadableFile

from .funding import FundingRule

__all__ = [
    "Accrue",
    "Charge",
    "Close",
    "Cover",
    "Deposit",
    "Expire",
    "ForcedFill",
    "Funding",
    "LedgerEvent",
    "ListAsset",
    "ListInstrument",
    "Lots",
    "Open",
    "OpenBucket",
    "Payment",
    "Posting",
    "Premium",
    "Receipt",
    "SetState",
    "Settle",
    "Trade",
    "Transfer",
    "Withdraw",
    "decode",
    "encode",
]


class _Base(msgspec.Struct, frozen=True, tag=str.lower, array_like=True, forbid_unknown_fields=True, kw_only=True):
    at_ns: int
    key: str = ""


class ListAsset(_Base, frozen=True, kw_only=True):
    """An asset begins to exist; one unit of the ledger is 10^-decimals of it.

    borrowable: whether spot trades may leave less than nothing of it.
    """

    asset: str
    decimals: int
    borrowable: bool = False


class ListInstrument(_Base, frozen=True, kw_only=True):
    """A contract begins to trade, settled in an asset. Spot moves `lot_units` of `base` per lot."""

    instrument: str
    kind: Literal["spot", "perpetual", "future", "option"]
    settlement: str
    base: str = ""
    lot_units: int = 0
    funding: FundingRule = FundingRule()


class Open(_Base, frozen=True, kw_only=True):
    """An account begins: a user's, or another insurance fund, backstop or fee account of the venue."""

    account: str
    kind: Literal["user", "insurance", "backstop", "fees"] = "user"


class OpenBucket(_Base, frozen=True, kw_only=True):
    """An isolated pool "owner:bucket" begins, for one instrument where that is named."""

    owner: str
    bucket: str
    instrument: str = ""


class Deposit(_Base, frozen=True, kw_only=True):
    """From the outside world into an account."""

    account: str
    asset: str
    amount: int


class Withdraw(_Base, frozen=True, kw_only=True):
    """Out of an account to the outside world. Free collateral is the engine's question, overdraft the ledger's."""

    account: str
    asset: str
    amount: int


class Transfer(_Base, frozen=True, kw_only=True):
    """Between two users, inside one owner's buckets, or between accounts of the venue."""

    source: str
    target: str
    asset: str
    amount: int


class Charge(_Base, frozen=True, kw_only=True):
    """A user owes fees, a fund or the backstop (a liquidation fee): taken even where that leaves a debt."""

    account: str
    target: str
    asset: str
    amount: int


class Cover(_Base, frozen=True, kw_only=True):
    """A fund or the backstop pays (part of) the debt of a user, never more than it has or the user owes."""

    fund: str
    account: str
    asset: str
    amount: int


class Trade(_Base, frozen=True, kw_only=True):
    """A fill: the taker bought `lots` (sold, where negative) from the maker at `price_nano` per lot.

    Fees are ppm of the notional in the settlement asset; a maker's may be negative (a rebate) down to the taker's.
    """

    maker: str
    taker: str
    instrument: str
    lots: int
    price_nano: int
    maker_fee_ppm: int = 0
    taker_fee_ppm: int = 0
    fees: str = "fees"


class Premium(_Base, frozen=True, kw_only=True):
    """One sample for a perpetual's funding: index and impact prices, nano per unit of the same thing."""

    instrument: str
    index_nano: int
    impact_bid_nano: int
    impact_ask_nano: int


class Funding(_Base, frozen=True, kw_only=True):
    """An interval of a perpetual ends: its samples become a rate, the rate at `price_nano` per lot an index step."""

    instrument: str
    price_nano: int


class Accrue(_Base, frozen=True, kw_only=True):
    """Interest of an asset for the time since its last: borrowers at a rate a year, lenders what that yields.

    reserve_ppm: the part of the borrowers' interest that goes to the fee account.
    """

    asset: str
    borrow_ppm: int
    reserve_ppm: int = 0


class Expire(_Base, frozen=True, kw_only=True):
    """A future, option or perpetual is over: every position in it is worth `price_nano` per lot from now on."""

    instrument: str
    price_nano: int


class Settle(_Base, frozen=True, kw_only=True):
    """Funding, interest and expired positions of an account become balances, as any touch would make them."""

    account: str


class SetState(_Base, frozen=True, kw_only=True):
    """A user's account changes state, see `chart.TRANSITIONS`."""

    account: str
    state: Literal["active", "reduce-only", "in-liquidation", "frozen", "closed"]


class Lots(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """`lots` (negative: a short) go from giver to taker, entered there at `price_nano`; no money is paid for them here."""

    giver: str
    taker: str
    instrument: str
    lots: int
    price_nano: int


class Payment(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """`amount` of the event's asset from payer to payee, and why."""

    payer: str
    payee: str
    amount: int
    cause: str


class ForcedFill(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """An account that is being closed bought `lots` (sold, where negative) from the maker at `price_nano` per lot."""

    account: str
    maker: str
    instrument: str
    lots: int
    price_nano: int


class Close(_Base, frozen=True, kw_only=True):
    """One step of closing failed accounts: fills, then lots that change hands, then payments, then states.

    Whoever is being closed is asked nothing: its state does not matter, and what it owes it owes. Where each line comes
    from: docs/liquidation.md.
    """

    asset: str
    fills: tuple[ForcedFill, ...] = ()
    lots: tuple[Lots, ...] = ()
    payments: tuple[Payment, ...] = ()
    states: tuple[tuple[str, Literal["active", "in-liquidation"]], ...] = ()


LedgerEvent = (
    ListAsset
    | ListInstrument
    | Open
    | OpenBucket
    | Deposit
    | Withdraw
    | Transfer
    | Charge
    | Cover
    | Trade
    | Premium
    | Funding
    | Accrue
    | Expire
    | Settle
    | SetState
    | Close
)


class Posting(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One line of an event: `amount` to an account's balance of an asset, to the cost of its position in an
    instrument (in units of `unit`, the settlement asset), or to the position itself (in lots, `unit` the instrument).
    """

    account: str
    part: Literal["balance", "cost", "lots"]
    unit: str
    amount: int
    instrument: str = ""


class Receipt(msgspec.Struct, frozen=True, array_like=True):
    """What an event did: its number from one, and its postings, which sum to zero per unit."""

    sequence: int
    postings: tuple[Posting, ...]


_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[LedgerEvent] = msgspec.msgpack.Decoder(LedgerEvent)


def encode(event: LedgerEvent) -> bytes:
    """One MessagePack array."""
    return _ENCODER.encode(event)


def decode(data: bytes, place: str = "ledger event") -> LedgerEvent:
    """The event of `encode`; UnreadableFile (naming `place`) where it is none."""
    try:
        return _DECODER.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise UnreadableFile(place, str(error), "one ledger event as a MessagePack array") from None
