"""Closings as clients see them: who is being closed, what is on sale at which price, who stands behind it, who would be next.

Read from the desk's state on the loop; nothing that a question looks at is changed by it.
"""

from __future__ import annotations

import copy
from itertools import islice
from typing import Any

import msgspec

from seawall.core.times import SECOND_NS
from seawall.core.units import PPM, format_micro, format_nano
from seawall.engine.clearing import Clearing
from seawall.liquidation.account_auction import AccountSale
from seawall.liquidation.auction_parts import Clock
from seawall.liquidation.waterfall import Layer
from seawall.server.quantities import price_text, quantity_text

from .others import OtherSides
from .said import Narrator, SettledView, share_text, stage_text

__all__ = [
    "AuctionView",
    "AuctionsView",
    "ClosingView",
    "ClosingsView",
    "DeleveragingView",
    "WaterfallView",
    "auctions_view",
    "closings_view",
    "deleveraging_view",
    "waterfall_view",
]

POINTS = 31
SORTED = 5_000  # closings that a question may sort


class ClosingOrder(msgspec.Struct, frozen=True):
    """An order that a closing has in the market: what is left of it. lane: whose it is (`closing_events.Order`)."""

    id: str
    instrument: str
    quantity: str
    limit: str | None
    lane: str


class ClosingView(msgspec.Struct, frozen=True):
    """One account that is being closed, with the figures of its last look. auction: 0 where none runs."""

    account: str
    stage: str
    episode: int
    breached_ns: int
    looked_ns: int
    equity: str
    maintenance: str
    market: str
    bucket: str
    auction: int
    orders: tuple[ClosingOrder, ...]


class ClosingsView(msgspec.Struct, frozen=True):
    """Closings that are open, of `total`; waiting: accounts that fail and wait for a look."""

    total: int
    waiting: int
    closings: tuple[ClosingView, ...]
    sequence: int
    at_ns: int


class AuctionLeg(msgspec.Struct, frozen=True):
    """A position on sale. mark: of one unit."""

    instrument: str
    quantity: str
    mark: str


class AuctionView(msgspec.Struct, frozen=True):
    """One auction of an account. price: asked now for all that is left (minus what a bidder is paid, where insolvent); share_most: the
    largest share that may be sold now; curve: (seconds, price) from the start to the floor at the present figures."""

    auction: int
    owner: str
    bucket: str
    insolvent: bool
    version: int
    elapsed_s: float
    price: str
    share_most: str
    value: str
    requirement: str
    health: str
    due: bool
    fresh: bool
    cash: str
    legs: tuple[AuctionLeg, ...]
    curve: tuple[tuple[float, str], ...]
    bids: int


class AuctionsView(msgspec.Struct, frozen=True):
    """Auctions that run, of `total`. breaker: level of the circuit breaker; stale: buckets whose clocks stand, as their prices are old."""

    at_ns: int
    total: int
    breaker: int
    stale: tuple[str, ...]
    auctions: tuple[AuctionView, ...]


class TrancheView(msgspec.Struct, frozen=True):
    """The venue's own money behind one market."""

    market: str
    balance: str


class ExitView(msgspec.Struct, frozen=True):
    """Money that a provider has asked for, and when it is paid."""

    at_ns: int
    amount: str


class InventoryView(msgspec.Struct, frozen=True):
    """A position that providers inherited, and the margin that came with it."""

    instrument: str
    quantity: str
    margin: str


class VaultView(msgspec.Struct, frozen=True):
    """The providers of a bucket: their money, and what of it may still be lost before the stop."""

    bucket: str
    total: str
    capacity: str
    stopped: bool
    providers: int
    exits: tuple[ExitView, ...]
    inventory: tuple[InventoryView, ...]


class FundView(msgspec.Struct, frozen=True):
    """The global fund. limited_by: what holds the available part: its balance, the cap of the event, or of the day."""

    balance: str
    available: str
    limited_by: str


class ClaimsView(msgspec.Struct, frozen=True):
    """What nobody could pay."""

    owed: str
    creditors: int


class WaterfallView(msgspec.Struct, frozen=True):
    """Who stands behind failures, in order, and what they have borne: settled, totals since the start of the process."""

    asset: str
    tranches: tuple[TrancheView, ...]
    vaults: tuple[VaultView, ...]
    fund: FundView
    claims: ClaimsView
    settled: tuple[SettledView, ...]
    totals: dict[str, str]
    sequence: int
    at_ns: int


class RankView(msgspec.Struct, frozen=True):
    """One of those who would be closed first if the other side failed. leverage: notionals per equity."""

    account: str
    rank: int
    quantity: str
    unhedged: str
    profit: str
    leverage: str
    health: str


class DeleveragingView(msgspec.Struct, frozen=True):
    """Holders of a side of an instrument in the order of deleveraging, the first of `total`."""

    instrument: str
    side: str
    total: int
    rows: tuple[RankView, ...]


def closings_view(clearing: Clearing, narrator: Narrator, waiting: int, offset: int, limit: int) -> ClosingsView:
    """A page of closings, those in the latest stage first; of more than SORTED in the order in which they began."""
    desk = clearing.desk
    assert desk is not None, "a venue that closes failed accounts"
    found = iter(desk.closings.values())
    if len(desk.closings) <= SORTED:
        found = iter(sorted(found, key=lambda each: (-each.state.stage, each.account)))
    chosen = list(islice(found, offset, offset + limit))
    rows = []
    for each in chosen:
        state = each.state
        orders = tuple(
            ClosingOrder(words["order"], words["instrument"], words["quantity"], words["limit"], words["lane"])
            for words in map(narrator.order, state.orders)
        )
        look = state.look
        rows.append(
            ClosingView(
                each.account, stage_text(state.stage), state.episode, state.breached_ns, 0 if look is None else look.at_ns,
                format_micro(0 if look is None else look.equity_micro), format_micro(0 if look is None else look.maintenance_micro),
                state.market, each.rules.bucket, state.auction, orders,
            )
        )  # fmt: skip
    return ClosingsView(len(desk.closings), waiting, tuple(rows), clearing.sequence, clearing.at_ns)


def auctions_view(clearing: Clearing, at_ns: int, offset: int, limit: int, points: int = POINTS) -> AuctionsView:
    """A page of auctions, by number, at a time."""
    desk = clearing.desk
    assert desk is not None, "a venue that closes failed accounts"
    house = desk.house
    at_ns = max(at_ns, house.now_ns)
    numbers = sorted(house.sales)[offset : offset + limit]
    found = tuple(_auction(clearing, house, house.sales[number], at_ns, points) for number in numbers)
    return AuctionsView(at_ns, len(house.sales), house.breaker.level, tuple(sorted(house.stale)), found)


def _auction(clearing: Clearing, house: Any, sale: AccountSale, at_ns: int, points: int) -> AuctionView:
    instruments = clearing.engine.watch.desk.base.instruments
    legs = tuple(
        AuctionLeg(
            leg.instrument, quantity_text(instruments[leg.instrument], leg.lots), price_text(instruments[leg.instrument], leg.value_nano)
        )
        for leg in sale.legs
    )
    rules = house.rules[sale.bucket]
    length_ns = rules.insolvent_ns if sale.insolvent else rules.tail_ns
    still = msgspec.structs.replace(sale, clock=Clock(0))
    at = [length_ns * k // (points - 1) for k in range(points)] if points > 1 else []
    curve = tuple((ns / SECOND_NS, format_micro(house.price_of(still, ns))) for ns in at)
    return AuctionView(
        sale.number, sale.owner, sale.bucket, sale.insolvent, sale.version, sale.clock.elapsed(at_ns) / SECOND_NS,
        format_micro(house.price_of(sale, at_ns)), share_text(house.most_ppb(sale, at_ns)), format_micro(sale.value_micro),
        format_micro(sale.requirement_micro), format_micro(sale.health_micro), sale.due, sale.fresh, format_micro(sale.cash_micro),
        legs, curve, len(house.pending.get(sale.number, ())),
    )  # fmt: skip


def waterfall_view(clearing: Clearing, narrator: Narrator, at_ns: int) -> WaterfallView:
    """All layers now. Their windows move with every question, so copies are asked."""
    desk = clearing.desk
    assert desk is not None, "a venue that closes failed accounts"
    layers = desk.layers
    instruments = clearing.engine.watch.desk.base.instruments
    vaults = []
    for bucket, vault in layers.vaults.items():
        asked, now_ns = copy.deepcopy(vault), max(at_ns, vault.now_ns)
        inventory = tuple(
            InventoryView(symbol, quantity_text(instruments[symbol], held.lots), format_micro(held.margin_micro))
            for symbol, held in sorted(vault.inventory.items())
        )
        exits = tuple(ExitView(when, format_micro(amount)) for when, _, amount in vault.exits())
        capacity = asked.capacity(now_ns)
        vaults.append(
            VaultView(
                bucket, format_micro(vault.pool.total), format_micro(capacity), vault.pool.total > 0 and capacity == 0,
                len(vault.pool.holders()), exits, inventory,
            )
        )  # fmt: skip
    fund = copy.deepcopy(layers.fund)
    room, holds = fund.available(max(at_ns, fund.now_ns), desk.rules_of(min(layers.tranches)).cap_event)
    paying = (Layer.TRANCHE, Layer.BACKSTOP, Layer.FUND, Layer.DELEVERAGING, Layer.DEFERRED)
    return WaterfallView(
        desk.house.asset,
        tuple(TrancheView(name, format_micro(each.balance_micro)) for name, each in layers.tranches.items()),
        tuple(vaults),
        FundView(format_micro(layers.fund.balance_micro), format_micro(room), holds),
        ClaimsView(format_micro(layers.claims.total_micro), len(layers.claims.owed)),
        tuple(reversed(narrator.settled)),
        {layer.name.lower(): format_micro(narrator.totals[layer]) for layer in paying},
        clearing.sequence,
        clearing.at_ns,
    )


def deleveraging_view(clearing: Clearing, others: OtherSides, symbol: str, side: str, limit: int) -> DeleveragingView:
    """Who would be closed first."""
    instrument = clearing.engine.watch.desk.base.instruments[symbol]
    total, ranked = others.ranks(symbol, 1 if side == "long" else -1, limit)
    rows = tuple(
        RankView(
            each.account, place, quantity_text(instrument, each.lots), quantity_text(instrument, each.unhedged),
            format_micro(each.profit_micro), format_nano(each.leverage_ppm * 10**9 // PPM), format_micro(each.health_micro),
        )
        for place, each in enumerate(ranked, 1)
    )  # fmt: skip
    return DeleveragingView(symbol, side, total, rows)
