"""What a keeper may have: per instrument, in all, and of its cash. Every wish is cut to it, whatever the strategy says.

A bound that is exceeded already (the market moved) forbids only what makes it worse. Shares are cut to the largest that fits, by
bisection over ppb: what is held after a share is convex in it, so those that fit are one interval from zero.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_DOWN, Decimal
from typing import Any

import msgspec

from seawall.core.errors import BadNumber
from seawall.keeper.opportunity import PPB, ZERO, Opportunity, View
from seawall.keeper.strategy import Wish

__all__ = ["Limits", "Open", "cut"]

UNIT = 10**9


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Money. gross: Σ |quantity · mark| held and bid for; instrument: of each; instruments: of some by name; bid: the most cash that
    one bid may need; reserve: cash that is never spent; free: free collateral that must be left by the venue's what-if."""

    gross: Decimal = Decimal(1_000_000)
    instrument: Decimal = Decimal(250_000)
    instruments: dict[str, Decimal] = {}
    bid: Decimal = Decimal(100_000)
    reserve: Decimal = Decimal(0)
    free: Decimal = Decimal(0)

    def checked(self) -> Limits:
        """Itself; BadNumber for a limit below zero."""
        figures: dict[str, Any] = {name: getattr(self, name) for name in ("gross", "instrument", "bid", "reserve", "free")}
        for name, value in (figures | {f"instruments.{name}": value for name, value in self.instruments.items()}).items():
            if not value.is_finite() or value < 0:
                raise BadNumber(f"limits.{name}", str(value), "0 or more")
        return self

    def of(self, instrument: str) -> Decimal:
        """The limit of one instrument."""
        return self.instruments.get(instrument, self.instrument)


class Open(msgspec.Struct, frozen=True):
    """What a bid that waits for its tick may still bring: quantities, and cash that it may take."""

    quantities: dict[str, Decimal]
    cash: Decimal


def cut(wish: Wish, auction: Opportunity, view: View, limits: Limits, waiting: tuple[Open, ...] = ()) -> tuple[Wish | None, str]:
    """The wish as far as it fits, and which limit cut it ("" for none); None where nothing fits."""
    held = dict(view.inventory)
    spent = ZERO
    for other in waiting:
        spent += other.cash
        for instrument, quantity in other.quantities.items():
            held[instrument] = held.get(instrument, ZERO) + quantity
    share, why = min(wish.share, Decimal(1)), ""
    needs = auction.needs()
    room = min(limits.bid, view.cash - limits.reserve - spent)
    if needs > 0 and needs * share > room:
        share, why = max(room, ZERO) / needs, "cash"
    marks = {leg.instrument: view.mark(leg) for leg in auction.legs} | view.marks
    for leg in auction.legs:
        before = held.get(leg.instrument, ZERO)
        bound = max(limits.of(leg.instrument), abs(before * marks[leg.instrument]))
        fits = _most(share, _within(before, leg.quantity, marks[leg.instrument], bound))
        if fits < share:
            share, why = fits, f"limit of {leg.instrument}"
    others = sum((abs(q * marks[i]) for i, q in held.items() if i in marks and i not in {leg.instrument for leg in auction.legs}), ZERO)

    def gross(part: Decimal) -> Decimal:
        return others + sum(
            (abs((held.get(leg.instrument, ZERO) + part * leg.quantity) * marks[leg.instrument]) for leg in auction.legs), ZERO
        )

    bound = max(limits.gross, gross(ZERO))
    fits = _most(share, lambda part: gross(part) <= bound)
    if fits < share:
        share, why = fits, "gross limit"
    share = share.quantize(PPB, ROUND_DOWN)
    return (msgspec.structs.replace(wish, share=share), why) if share > 0 else (None, why or "no share")


def _within(held: Decimal, quantity: Decimal, mark: Decimal, bound: Decimal) -> Callable[[Decimal], bool]:
    return lambda part: abs((held + part * quantity) * mark) <= bound


def _most(share: Decimal, fits: Callable[[Decimal], bool]) -> Decimal:
    """The largest part of the share that fits, in ppb; 0 always does."""
    if fits(share):
        return share
    low, high = 0, int(share * UNIT)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle * PPB) else (low, middle)
    return low * PPB
