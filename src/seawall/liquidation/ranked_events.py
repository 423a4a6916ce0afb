"""What standing bids are told, what they answer, and what they remember: frozen records that a journal can hold."""

from __future__ import annotations

import msgspec

from seawall.core.errors import InputError

__all__ = ["CancelRanked", "Designate", "Dropped", "FileRanked", "Filed", "InPlay", "Ranked", "RankedRules", "RankedState"]


class RankedRules(msgspec.Struct, frozen=True, kw_only=True):
    """each_most, all_most: standing bids of one bidder, and of all; budget_least_micro: below that one is not filed, or over."""

    each_most: int = 16
    all_most: int = 1_024
    least_micro: int = 1_000_000

    def checked(self) -> RankedRules:
        """Itself; InputError for figures under which nothing can be filed."""
        if self.each_most < 1 or self.all_most < 1 or self.least_micro < 1:
            raise InputError("ranked rules", f"{self.each_most}, {self.all_most}, {self.least_micro}", "all above zero")
        return self


class FileRanked(msgspec.Struct, frozen=True, tag="file-ranked", kw_only=True):
    """A standing bid. size_micro: the maintenance requirement that it takes over at most, in all. share_ppm: of the value, the
    most it pays for an account that is worth something. insolvent_ppm: of the requirement, the least that it is paid on top of
    the deficit for one that is not; -1: it takes none. budget_micro: for prices and margin of what it takes, put aside now.
    free_micro: the cash that the ledger says its bidder can part with."""

    bidder: str
    id: str
    bucket: str
    size_micro: int
    share_ppm: int
    insolvent_ppm: int
    budget_micro: int
    until_ns: int
    free_micro: int
    at_ns: int


class CancelRanked(msgspec.Struct, frozen=True, tag="cancel-ranked", kw_only=True):
    """A standing bid goes, or (id "") all of its bidder."""

    bidder: str
    id: str
    at_ns: int


class Designate(msgspec.Struct, frozen=True, tag="designate", kw_only=True):
    """A market maker promises to keep so much requirement standing at this share or better; size 0: no longer."""

    bidder: str
    bucket: str
    size_micro: int
    share_ppm: int
    at_ns: int


class Ranked(msgspec.Struct, frozen=True, kw_only=True):
    """A standing bid with what is left of it. filed: the how manieth of all."""

    bidder: str
    id: str
    bucket: str
    size_micro: int
    share_ppm: int
    insolvent_ppm: int
    budget_micro: int
    until_ns: int
    filed: int


class InPlay(msgspec.Struct, frozen=True):
    """What of a standing bid waits for the end of a tick."""

    bidder: str
    id: str
    auction: int
    version: int
    budget_micro: int
    size_micro: int


class RankedState(msgspec.Struct, frozen=True):
    """All that standing bids remember."""

    filed: int = 0
    standing: tuple[Ranked, ...] = ()
    in_play: tuple[InPlay, ...] = ()
    designated: tuple[Designate, ...] = ()
    tried: tuple[tuple[int, int, str, str], ...] = ()


class Filed(msgspec.Struct, frozen=True, tag="filed"):
    """A standing bid stands."""

    bidder: str
    id: str


class Dropped(msgspec.Struct, frozen=True, tag="dropped"):
    """A standing bid is over: used up, expired, cancelled. left_micro: of its size."""

    bidder: str
    id: str
    cause: str
    left_micro: int
