"""What a strategy is, and how one is found: by its short name, an entry point of `seawall.keeper`, or module:attribute.

A strategy is asked about one auction at a time and answers with a wish or nothing; what it may have in all is decided after it
(`limits.py`). It sees figures and no network, so it can be tested, replayed and exchanged.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from decimal import Decimal
from importlib import metadata
from typing import Any, Protocol

import msgspec

from seawall.core.errors import BadNumber, InputError, show
from seawall.core.units import parse_decimal
from seawall.keeper.opportunity import Opportunity, View

__all__ = ["GROUP", "RankedWish", "SHIPPED", "Strategy", "Wish", "convert_options", "load_strategy"]

GROUP = "seawall.keeper"
SHIPPED = {
    "value": "seawall.keeper.strategies.value:Value",
    "market-maker": "seawall.keeper.strategies.market_maker:MarketMaker",
    "ranked": "seawall.keeper.strategies.ranked:Ranked",
}


class Wish(msgspec.Struct, frozen=True):
    """A share of what is left of the account, the most paid for the whole of it (negative: the least pay), and why."""

    share: Decimal
    limit: Decimal
    why: str = ""


class RankedWish(msgspec.Struct, frozen=True, kw_only=True):
    """A bid to stand before the breach. insolvent: None for no accounts below nothing. See `liquidation/ranked_events.py`."""

    bucket: str
    size: Decimal
    share: Decimal
    budget: Decimal
    insolvent: Decimal | None = None
    hours: Decimal = Decimal(24)


class Strategy(Protocol):
    """Made with its options as keyword arguments; InputError for options that it does not have or that cannot be."""

    def wish(self, auction: Opportunity, view: View) -> Wish | None:
        """What it would have of an auction now, if anything. Must not block."""
        ...

    def standing(self, view: View) -> tuple[RankedWish, ...]:
        """What it wants to stand before any breach; asked at the start and whenever one is used up or over."""
        ...


def load_strategy(name: str, options: Mapping[str, Any]) -> Strategy:
    """A strategy by name. InputError where there is none of that name, or it refuses its options."""
    path = SHIPPED.get(name) or _entry_point(name) or (name if ":" in name else "")
    module, _, attribute = path.partition(":")
    try:
        made = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        expected = ", ".join(SHIPPED) + f", an entry point of {GROUP}, or module:attribute ({error})"
        raise InputError("strategy", show(name), expected) from None
    try:
        found: Strategy = made(**options)
    except TypeError as error:
        raise InputError(f"strategy {name}", ", ".join(options) or "no options", f"its options ({error})") from None
    missing = [method for method in ("wish", "standing") if not callable(getattr(found, method, None))]
    if missing:
        raise InputError(f"strategy {name}", f"no {missing[0]}()", "wish(auction, view) and standing(view)")
    return found


def _entry_point(name: str) -> str:
    return next((point.value for point in metadata.entry_points(group=GROUP) if point.name == name), "")


def convert_options(place: str, options: Mapping[str, Any], ranges: Mapping[str, tuple[str, str, str]]) -> dict[str, Decimal]:
    """Options by name: given, or the first of (default, least, most). Raises InputError for unknown names, BadNumber for values."""
    for name in options:
        if name not in ranges:
            raise InputError(f"{place} option", show(name), "one of " + ", ".join(ranges))
    out = {}
    for name, (default, least, most) in ranges.items():
        value = parse_decimal(options.get(name, default), f"{place}.{name}")
        if not Decimal(least) <= value <= Decimal(most):
            raise BadNumber(f"{place}.{name}", show(str(value)), f"{least} to {most}")
        out[name] = value
    return out
