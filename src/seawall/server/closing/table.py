"""[closing] of a venue.toml: the terms by which a new journal closes failed accounts, in seconds and whole units.

The terms themselves (`liquidation.closing_terms`) count nanoseconds and micro and stand in the record that opens the log; an existing
journal keeps its own. Everything has a default; a table [closing] that is empty is a venue that closes by the defaults.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import Meta

from seawall.core.times import SECOND_NS
from seawall.core.units import MICRO
from seawall.liquidation.auction_rules import KeeperRules
from seawall.liquidation.closing_terms import AuctionTerms, BucketTerms, ClosingTerms
from seawall.liquidation.funds import Caps

__all__ = ["BucketTable", "ClosingTable", "closing_terms"]

Share = Annotated[int, Meta(ge=0, le=1_000_000)]
Seconds = Annotated[float, Meta(ge=0, le=31_622_400)]
Money = Annotated[int, Meta(ge=0, le=10**12)]

_AUCTION, _VAULT, _TERMS = AuctionTerms(), BucketTerms(), ClosingTerms()


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class BucketTable(_Table, frozen=True, kw_only=True):
    """A risk bucket: its auctions (`AuctionTerms`) and the vault of its providers (`backstop.Terms`). tip, chip_ppm, timely_s: what a keeper
    earns of the fee. Amounts: whole units."""

    opening_ppm: Share = _AUCTION.opening_ppm
    knee_ppm: Share = _AUCTION.knee_ppm
    knee_s: Seconds = _AUCTION.knee_ns / SECOND_NS
    end_s: Seconds = _AUCTION.end_ns / SECOND_NS
    insolvent_s: Seconds = _AUCTION.insolvent_ns / SECOND_NS
    tail_s: Seconds = _AUCTION.tail_ns / SECOND_NS
    buffer_ppm: Share = _AUCTION.buffer_ppm
    fee_ppm: Share = _AUCTION.fee_ppm
    floor_ppm: Share = _AUCTION.floor_ppm
    bidder_margin_ppm: Share = _AUCTION.bidder_margin_ppm
    dust: Money = _AUCTION.dust_micro // MICRO
    hole: Money = _AUCTION.hole_micro // MICRO
    tip: Money = _AUCTION.keeper.tip_micro // MICRO
    chip_ppm: Share = _AUCTION.keeper.chip_ppm
    timely_s: Seconds = _AUCTION.keeper.timely_ns / SECOND_NS
    self_bid_discount_ppm: Share = _AUCTION.self_bid_discount_ppm
    restarts_max: Annotated[int, Meta(ge=0, le=1_000)] = _AUCTION.restarts_max
    restart_gap_s: Seconds = _AUCTION.restart_gap_ns / SECOND_NS
    stop_ppm: Share = _VAULT.stop_ppm
    window_s: Seconds = _VAULT.window_ns / SECOND_NS
    auction_max_s: Seconds = _VAULT.auction_max_ns / SECOND_NS
    exit_cooldown_s: Seconds = _VAULT.exit_cooldown_ns / SECOND_NS
    commitment_min: Money = _VAULT.commitment_min_micro // MICRO


class ClosingTable(_Table, frozen=True, kw_only=True):
    """selling: whether slices go to the venue's markets before the auction. rescue_s: the owner's window; selling_s: how long the markets are tried.
    buffer_ppm: of the maintenance margin, what ends an episode. dust: no position is left that is worth less. fee_ppm: of slices,
    within their reserve. hole: most requirement in all auctions at a time. event_ppm, day_ppm: caps of the global fund; claims_ppm: share of
    its income that pays claims first. markets: underlying → bucket, the first bucket for those not named. buckets: by name."""

    selling: bool = _TERMS.selling
    rescue_s: Seconds = _TERMS.rescue_ns / SECOND_NS
    selling_s: Seconds = _TERMS.selling_ns / SECOND_NS
    buffer_ppm: Share = _TERMS.buffer_ppm
    dust: Money = _TERMS.dust_micro // MICRO
    fee_ppm: Share = _TERMS.fee_ppm
    hole: Annotated[int, Meta(ge=1, le=10**12)] = _TERMS.hole_micro // MICRO
    event_ppm: Share = _TERMS.caps.event_ppm
    day_ppm: Share = _TERMS.caps.day_ppm
    claims_ppm: Share = _TERMS.claims_ppm
    markets: dict[str, str] = {}
    buckets: dict[str, BucketTable] = {}


def closing_terms(table: ClosingTable) -> ClosingTerms:
    """The terms of a table. What cannot work together is refused when the genesis opens its desk."""
    buckets = table.buckets or {"main": BucketTable()}
    return ClosingTerms(
        markets=dict(table.markets),
        buckets={name: _bucket(each) for name, each in buckets.items()},
        selling=table.selling,
        rescue_ns=_ns(table.rescue_s),
        selling_ns=_ns(table.selling_s),
        buffer_ppm=table.buffer_ppm,
        dust_micro=table.dust * MICRO,
        fee_ppm=table.fee_ppm,
        hole_micro=table.hole * MICRO,
        caps=Caps(table.event_ppm, table.day_ppm, _TERMS.caps.window_ns),
        claims_ppm=table.claims_ppm,
    )


def _bucket(table: BucketTable) -> BucketTerms:
    auction = AuctionTerms(
        opening_ppm=table.opening_ppm,
        knee_ppm=table.knee_ppm,
        knee_ns=_ns(table.knee_s),
        end_ns=_ns(table.end_s),
        insolvent_ns=_ns(table.insolvent_s),
        buffer_ppm=table.buffer_ppm,
        fee_ppm=table.fee_ppm,
        floor_ppm=table.floor_ppm,
        bidder_margin_ppm=table.bidder_margin_ppm,
        tail_ns=_ns(table.tail_s),
        dust_micro=table.dust * MICRO,
        hole_micro=table.hole * MICRO,
        keeper=KeeperRules(tip_micro=table.tip * MICRO, chip_ppm=table.chip_ppm, timely_ns=_ns(table.timely_s)),
        self_bid_discount_ppm=table.self_bid_discount_ppm,
        restarts_max=table.restarts_max,
        restart_gap_ns=_ns(table.restart_gap_s),
    )
    return BucketTerms(
        auction=auction,
        stop_ppm=table.stop_ppm,
        window_ns=_ns(table.window_s),
        auction_max_ns=_ns(table.auction_max_s),
        exit_cooldown_ns=_ns(table.exit_cooldown_s),
        commitment_min_micro=table.commitment_min * MICRO,
    )


def _ns(seconds: float) -> int:
    """Nanoseconds of what was written: 0.3 is 300,000,000, not what its float is."""
    return int(Decimal(repr(float(seconds))) * SECOND_NS)
