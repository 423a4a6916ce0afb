"""What a closing is told once and what it remembers, as plain values; and the prices at which a bankrupt book is even."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from seawall.core.errors import UnsafeParameters
from seawall.core.times import SECOND_NS
from seawall.liquidation.closing_events import Look, Order, Stage

__all__ = ["ClosingRules", "ClosingState", "bankruptcy_losses"]


class ClosingRules(msgspec.Struct, frozen=True, kw_only=True):
    """bucket: of auction and backstop. rescue_ns: the owner's window from the breach. selling_ns: how long the routes are
    tried after it. buffer_ppm: of the maintenance margin, what ends an episode. dust_micro: no smaller position is left by
    pacing. cap_event: the fund's event under which all shortfalls of one crash are counted."""

    bucket: str
    asset: str = "USD"
    rescue_ns: int = 5 * SECOND_NS
    selling_ns: int = 60 * SECOND_NS
    buffer_ppm: int = 20_000
    dust_micro: int = 0
    cap_event: str = "crash"

    def __post_init__(self) -> None:
        if min(self.rescue_ns, self.selling_ns, self.buffer_ppm, self.dust_micro) < 0:
            raise UnsafeParameters("closing rules", "a negative figure", "windows, buffer and dust of zero or more")


class ClosingState(msgspec.Struct, frozen=True, kw_only=True):
    """All that a closing remembers. number: of the last event. version: rises with all that changes the account.

    market: of the first look, whose tranche and bucket stand behind the account. waiting: the command without an answer. spent_micro: what waves cost the funds so far. residual: symbols that
    nobody can bear. look: the last one, its lots as fills have changed them.
    """

    number: int = 0
    now_ns: int = 0
    version: int = 0
    market: str = ""
    stage: int = Stage.REST
    episode: int = 0
    sequence: int = 0
    breached_ns: int = 0
    flattened: bool = False
    orders: tuple[Order, ...] = ()
    auction: int = 0
    auctioned: bool = False
    due: bool = False
    waiting: str = ""
    spent_micro: int = 0
    residual: tuple[str, ...] = ()
    look: Look | None = None

    @property
    def at_rest(self) -> bool:
        """Whether nothing of it is needed any more: no episode, nothing in the market, no auction."""
        return self.stage == Stage.REST and not (self.orders or self.waiting or self.auction)


def bankruptcy_losses(short_nano: int, positions: Sequence[tuple[int, int]]) -> list[int]:
    """Nano per lot beyond the mark at which each of (signed lots, mark) closes so that together they are worth `short` less
    to the other side: by notional, rounded up. A negative shortage is what a solvent account may give up at most."""
    worth = [abs(lots) * mark for lots, mark in positions]
    total = sum(worth)
    return [-(-short_nano * each // (total * abs(lots))) for each, (lots, _) in zip(worth, positions)]
