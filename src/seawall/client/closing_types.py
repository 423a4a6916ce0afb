"""What a service answers about accounts that are being closed, as frozen records; see `types.py`."""

from __future__ import annotations

from decimal import Decimal

import msgspec

__all__ = [
    "Auction",
    "AuctionLeg",
    "Auctions",
    "Claims",
    "Closing",
    "ClosingOrder",
    "Closings",
    "Deleveraging",
    "Exit",
    "Fund",
    "Inventory",
    "LayerUsed",
    "Rank",
    "Settled",
    "Tranche",
    "Vault",
    "Waterfall",
]


class _Record(msgspec.Struct, frozen=True):
    pass


class ClosingOrder(_Record, frozen=True):
    """An order that a closing has in the market: what is left of it; limit None: at any price."""

    id: str
    instrument: str
    quantity: Decimal
    limit: Decimal | None
    lane: str


class Closing(_Record, frozen=True):
    """An account that is being closed, with the figures of its last look; auction 0: none runs."""

    account: str
    stage: str
    episode: int
    breached_ns: int
    looked_ns: int
    equity: Decimal
    maintenance: Decimal
    market: str
    bucket: str
    auction: int
    orders: tuple[ClosingOrder, ...]


class Closings(_Record, frozen=True):
    """Closings that are open, of `total`; waiting: accounts that fail and wait for a look."""

    total: int
    waiting: int
    closings: tuple[Closing, ...]
    sequence: int
    at_ns: int


class AuctionLeg(_Record, frozen=True):
    """A position on sale."""

    instrument: str
    quantity: Decimal
    mark: Decimal


class Auction(_Record, frozen=True):
    """An auction of an account: price now for all that is left, the largest share that may be sold, (seconds, price) to the end."""

    auction: int
    owner: str
    bucket: str
    insolvent: bool
    version: int
    elapsed_s: float
    price: Decimal
    share_most: Decimal
    value: Decimal
    requirement: Decimal
    health: Decimal
    due: bool
    fresh: bool
    cash: Decimal
    legs: tuple[AuctionLeg, ...]
    curve: tuple[tuple[float, Decimal], ...]
    bids: int


class Auctions(_Record, frozen=True):
    """Auctions that run, of `total`; breaker: level of the circuit breaker; stale: buckets whose clocks stand."""

    at_ns: int
    total: int
    breaker: int
    stale: tuple[str, ...]
    auctions: tuple[Auction, ...]


class Tranche(_Record, frozen=True):
    """The venue's money behind a market."""

    market: str
    balance: Decimal


class Exit(_Record, frozen=True):
    """Money that a provider asked for, and when it is paid."""

    at_ns: int
    amount: Decimal


class Inventory(_Record, frozen=True):
    """A position that providers inherited."""

    instrument: str
    quantity: Decimal
    margin: Decimal


class Vault(_Record, frozen=True):
    """The providers of a bucket; capacity: what they may still lose before the stop."""

    bucket: str
    total: Decimal
    capacity: Decimal
    stopped: bool
    providers: int
    exits: tuple[Exit, ...]
    inventory: tuple[Inventory, ...]


class Fund(_Record, frozen=True):
    """The global fund, what of it is available now, and what holds the rest."""

    balance: Decimal
    available: Decimal
    limited_by: str


class Claims(_Record, frozen=True):
    """What nobody could pay."""

    owed: Decimal
    creditors: int


class LayerUsed(_Record, frozen=True):
    """A layer that was asked, and what ended it."""

    layer: str
    source: str
    capacity: Decimal
    paid: Decimal
    why: str


class Settled(_Record, frozen=True):
    """A shortfall and who bore it; residual: what became claims."""

    sequence: int
    at_ns: int
    account: str
    market: str
    need: Decimal
    layers: tuple[LayerUsed, ...]
    residual: Decimal


class Waterfall(_Record, frozen=True):
    """Who stands behind failures, in order, and what they have borne since the service's start."""

    asset: str
    tranches: tuple[Tranche, ...]
    vaults: tuple[Vault, ...]
    fund: Fund
    claims: Claims
    settled: tuple[Settled, ...]
    totals: dict[str, Decimal]
    sequence: int
    at_ns: int


class Rank(_Record, frozen=True):
    """One of those who would be closed first if the other side failed."""

    account: str
    rank: int
    quantity: Decimal
    unhedged: Decimal
    profit: Decimal
    leverage: Decimal
    health: Decimal


class Deleveraging(_Record, frozen=True):
    """Holders of a side of an instrument in the order of deleveraging, the first of `total`."""

    instrument: str
    side: str
    total: int
    rows: tuple[Rank, ...]
