"""What routes answer with, where the service's own views do not say it: small frozen records, decimals as strings."""

from __future__ import annotations

from typing import Any

import msgspec

from seawall.server.recovery import Recovered
from seawall.server.views import FiguresView, PriceView, figures_view

__all__ = [
    "AuditEntry",
    "AuditPage",
    "BandView",
    "CheckBody",
    "CorridorsView",
    "CrossingView",
    "DecisionView",
    "Health",
    "LiquidationView",
    "ParametersView",
    "PostingView",
    "PricesView",
    "Ready",
    "StateHash",
    "StatusView",
    "VerdictView",
    "WhatIfBody",
    "WrittenView",
    "decision_view",
    "verdict_view",
    "written_view",
]


class WhatIfBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Trades at the mark, as [instrument, signed quantity] pairs; deposit: money in (out, where negative)."""

    trades: list[tuple[str, str]] = []
    deposit: str | None = None


class CheckBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An order that might be placed: buys, or sells where the quantity is negative."""

    instrument: str
    quantity: str
    price: str


class VerdictView(msgspec.Struct, frozen=True):
    """Whether margin admits it, why, and the account before and after."""

    admitted: bool
    reason: str
    before: FiguresView
    after: FiguresView


class DecisionView(msgspec.Struct, frozen=True):
    """An account's status changed. kind: the new status, or `recovered`; number: of this decision among all."""

    number: int
    at_ns: int
    account: str
    kind: str
    status: str
    market_version: int
    equity: str
    initial_margin: str
    maintenance_margin: str
    health: str
    cause: str


class PostingView(msgspec.Struct, frozen=True):
    """One line of what an event posted. part: balance, cost or lots; amount: in the smallest units of `unit`, or lots."""

    account: str
    part: str
    unit: str
    amount: int
    instrument: str


class WrittenView(msgspec.Struct, frozen=True):
    """A write that is durable. sequence: of its record; repeated: its idempotency key had been used by the same request.
    closing: what was said about closings, as on the stream; receipt: the venue's signature, where a keeper had signed."""

    sequence: int
    at_ns: int
    repeated: bool
    postings: tuple[PostingView, ...]
    verdict: VerdictView | None
    decisions: tuple[DecisionView, ...]
    closing: tuple[dict[str, Any], ...] = ()
    receipt: str = ""


class CrossingView(msgspec.Struct, frozen=True):
    """Health changes its sign between two neighbouring prices. falling: liquidatable above it, rather than below."""

    below: str
    above: str
    health_below: str
    health_above: str
    falling: bool


class LiquidationView(msgspec.Struct, frozen=True):
    """Prices of an underlying at which an account is liquidated, the others held, between low and high on a grid of
    tick. complete: whether it is proved that there are no others."""

    account: str
    underlying: str
    crossings: tuple[CrossingView, ...]
    low: str
    high: str
    tick: str
    complete: bool
    health: str


class BandView(msgspec.Struct, frozen=True):
    """Prices of one underlying between which an account's status provably stays. vol, basis: relative room, fractions."""

    underlying: str
    price: str
    low: str
    high: str
    vol: str | None
    basis: str | None


class CorridorsView(msgspec.Struct, frozen=True):
    """The certified safe corridor of an account; until_ns: the last moment it holds; none: why there is none."""

    account: str
    status: str
    at_ns: int
    until_ns: int
    corridors: tuple[BandView, ...]
    none: str


class PricesView(msgspec.Struct, frozen=True):
    """Index prices with their ages and sources, the oldest age first among equals of the market's order."""

    prices: list[PriceView]
    sequence: int
    at_ns: int


class ParametersView(msgspec.Struct, frozen=True):
    """The model and its parameters at present; gliding: whether they are on their way to announced ones."""

    model: str
    parameters: dict[str, Any]
    gliding: bool


class Health(msgspec.Struct, frozen=True):
    """The process answers."""

    live: bool


class Ready(msgspec.Struct, frozen=True):
    """The service accepts writes."""

    ready: bool


class StateHash(msgspec.Struct, frozen=True):
    """SHA-256 of everything that the future depends on, after the event of this sequence."""

    sequence: int
    state_hash: str


class StatusView(msgspec.Struct, frozen=True):
    """How the service is. state: "ok", or why nothing is written; journal: what waits for the disk; lag: events applied and
    not yet durable; snapshot: the last one that this process took; board: the path of the status board."""

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


class AuditEntry(msgspec.Struct, frozen=True):
    """One record of the journal: who wrote (a key's id, empty for the service itself), under which idempotency key, what."""

    sequence: int
    at_ns: int
    key_id: str
    key_name: str
    idempotency: str
    kind: str
    event: dict[str, Any]


class AuditPage(msgspec.Struct, frozen=True):
    """Entries in the order of the journal; next: the sequence to ask from for more, 0 at the end."""

    entries: list[AuditEntry]
    next: int
    durable_sequence: int


def verdict_view(verdict: Any) -> VerdictView:
    """A verdict in decimals."""
    return VerdictView(verdict.admitted, verdict.reason, figures_view(verdict.before), figures_view(verdict.after))


def decision_view(one: Any) -> DecisionView:
    """A decision in decimals."""
    from seawall.core.units import format_micro

    return DecisionView(
        number=one.sequence,
        at_ns=one.at_ns,
        account=one.account,
        kind=one.kind,
        status=one.status,
        market_version=one.market_version,
        equity=format_micro(one.equity_micro),
        initial_margin=format_micro(one.initial_micro),
        maintenance_margin=format_micro(one.maintenance_micro),
        health=format_micro(one.health_micro),
        cause=one.cause,
    )


def written_view(written: Any, receipt: str = "") -> WrittenView:
    """What a write did, as it is told. receipt: the venue's signature, of what was signed."""
    lines = written.receipt.postings if written.receipt is not None else ()
    return WrittenView(
        sequence=written.sequence,
        at_ns=written.at_ns,
        repeated=written.repeated,
        postings=tuple(PostingView(x.account, x.part, x.unit, x.amount, x.instrument) for x in lines),
        verdict=verdict_view(written.verdict) if written.verdict is not None else None,
        decisions=tuple(decision_view(one) for one in written.decisions),
        closing=tuple(written.closing),
        receipt=receipt,
    )
