"""What a service answers, as frozen records: amounts, prices and quantities are Decimal, times ns since 1970.

The fields are those of the service's own records by name; fields that a newer service adds are ignored.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

__all__ = [
    "Account",
    "AccountRow",
    "Corridor",
    "Corridors",
    "Crossing",
    "Decision",
    "Figures",
    "Liquidation",
    "Message",
    "Order",
    "Overview",
    "Page",
    "Parameters",
    "Position",
    "Posting",
    "Price",
    "Prices",
    "Recovered",
    "Snapshot",
    "Status",
    "Verdict",
    "Written",
]


class _Record(msgspec.Struct, frozen=True):
    pass


class Figures(_Record, frozen=True):
    """One account's margin in the settlement currency."""

    equity: Decimal
    initial_margin: Decimal
    maintenance_margin: Decimal
    health: Decimal
    free_collateral: Decimal


class Position(_Record, frozen=True):
    """quantity: signed, in units; mark: of one unit; value: of the position at it. entry, unrealised: "" where it has none."""

    instrument: str
    quantity: Decimal
    lots: int
    mark: Decimal
    value: Decimal
    entry: str = ""
    unrealised: str = ""


class Order(_Record, frozen=True):
    """An open order."""

    id: str
    instrument: str
    quantity: Decimal
    price: Decimal
    at_ns: int


class Account(_Record, frozen=True):
    """Everything about one account."""

    account: str
    kind: str
    state: str
    status: str
    figures: Figures
    balances: dict[str, Decimal]
    cash: Decimal
    positions: tuple[Position, ...]
    orders: tuple[Order, ...]
    buckets: tuple[str, ...]
    sequence: int
    at_ns: int


class AccountRow(_Record, frozen=True):
    """One line of a table of accounts."""

    account: str
    kind: str
    state: str
    status: str
    equity: Decimal
    initial_margin: Decimal
    maintenance_margin: Decimal
    health: Decimal
    free_collateral: Decimal
    margin_ratio: float | None


class Page(_Record, frozen=True):
    """total: accounts that the filter leaves, of which `rows` are those from `offset` on."""

    total: int
    offset: int
    rows: tuple[AccountRow, ...]
    sequence: int


class Overview(_Record, frozen=True):
    """Totals over users' accounts; histogram: accounts by health over maintenance, between `edges`."""

    accounts: int
    by_status: dict[str, int]
    by_state: dict[str, int]
    equity: Decimal
    initial_margin: Decimal
    maintenance_margin: Decimal
    funds: dict[str, Decimal]
    open_orders: int
    edges: tuple[float, ...]
    histogram: tuple[int, ...]
    worst: tuple[AccountRow, ...]
    sequence: int
    at_ns: int


class Verdict(_Record, frozen=True):
    """Whether margin admits an order, why, and the account before and after."""

    admitted: bool
    reason: str
    before: Figures
    after: Figures


class Decision(_Record, frozen=True):
    """An account's status changed."""

    number: int
    at_ns: int
    account: str
    kind: str
    status: str
    market_version: int
    equity: Decimal
    initial_margin: Decimal
    maintenance_margin: Decimal
    health: Decimal
    cause: str


class Posting(_Record, frozen=True):
    """One line of what an event posted, in the smallest units of `unit`, or lots."""

    account: str
    part: str
    unit: str
    amount: int
    instrument: str


class Written(_Record, frozen=True):
    """A write that is durable; repeated: the service had done the same under this key before. closing: what was said about
    closings, as on the stream; receipt: the venue's signature, where a keeper had signed (docs/keepers.md)."""

    sequence: int
    at_ns: int
    repeated: bool
    postings: tuple[Posting, ...]
    verdict: Verdict | None
    decisions: tuple[Decision, ...]
    closing: tuple[dict[str, Any], ...] = ()
    receipt: str = ""


class Crossing(_Record, frozen=True):
    """Neighbouring prices between which health changes its sign; falling: liquidatable above, rather than below."""

    below: Decimal
    above: Decimal
    health_below: Decimal
    health_above: Decimal
    falling: bool


class Liquidation(_Record, frozen=True):
    """Prices at which an account is liquidated; complete: whether it is proved that there are no others."""

    account: str
    underlying: str
    crossings: tuple[Crossing, ...]
    low: Decimal
    high: Decimal
    tick: Decimal
    complete: bool
    health: Decimal


class Corridor(_Record, frozen=True):
    """Prices of one underlying between which an account's status provably stays; vol, basis: relative room."""

    underlying: str
    price: Decimal
    low: Decimal
    high: Decimal
    vol: Decimal | None
    basis: Decimal | None


class Corridors(_Record, frozen=True):
    """The certified safe corridor of an account; until_ns: the last moment it holds; none: why there is none."""

    account: str
    status: str
    at_ns: int
    until_ns: int
    corridors: tuple[Corridor, ...]
    none: str


class Price(_Record, frozen=True):
    """An index price, its age and source."""

    name: str
    price: Decimal
    at_ns: int
    age_s: float
    source: str


class Prices(_Record, frozen=True):
    """All index prices."""

    prices: tuple[Price, ...]
    sequence: int
    at_ns: int


class Parameters(_Record, frozen=True):
    """The model and its parameters at present."""

    model: str
    parameters: dict[str, Any]
    gliding: bool


class Recovered(_Record, frozen=True):
    """How a service came up: the last record, the snapshot it began from, what was replayed on top, how much of that was decided
    again."""

    sequence: int
    snapshot: int
    replayed: int
    accounts: int
    begun: bool
    restore_s: float
    replay_s: float
    seconds: float
    torn: str
    asked: int


class Status(_Record, frozen=True):
    """How the service is. state: "ok", or why nothing is written."""

    name: str
    version: str
    stream: str
    state: str
    reason: str
    sequence: int
    durable_sequence: int
    lag: int
    at_ns: int
    staleness_s: float
    accounts: int
    capacity: int
    journal: dict[str, Any]
    snapshot: dict[str, Any] | None
    snapshot_failed: str
    board: str | None
    recovered: Recovered
    listeners: int
    keys_problem: str
    started_ns: int


class Snapshot(_Record, frozen=True):
    """How a subscription begins, or begins anew: the state as of number `n`; reason: new, restarted or gap."""

    n: int
    stream: str
    seq: int
    at_ns: int
    reason: str
    data: dict[str, Any] = {}


class Message(_Record, frozen=True):
    """One message of the stream: its number, the journal's sequence it tells of, its channel and content."""

    n: int
    seq: int
    at_ns: int
    type: str
    data: Any
