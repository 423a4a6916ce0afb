"""`ranked`: files standing bids ahead of any breach and keeps them standing; live it bids for nothing.

Options: `buckets`, names separated by commas; `share`, of the value, the most paid; `size`, requirement per bucket; `budget`, money put
aside per bucket; `insolvent`, of the requirement, the least pay for an account below nothing (left out: none); `hours`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from seawall.core.errors import InputError
from seawall.keeper.opportunity import Opportunity, View
from seawall.keeper.strategy import RankedWish, Wish, convert_options

__all__ = ["Ranked"]

_RANGES = {
    "share": ("0.95", "0.000001", "1"),
    "size": ("10000", "1", "1e12"),
    "budget": ("1000", "1", "1e12"),
    "hours": ("24", "0.01", "8760"),
}


class Ranked:
    """Options: buckets, share, size, budget, insolvent, hours."""

    def __init__(self, buckets: str = "", insolvent: Any = None, **options: Any) -> None:
        self.buckets = tuple(dict.fromkeys(name.strip() for name in buckets.split(",") if name.strip()))
        if not self.buckets:
            raise InputError("ranked.buckets", "none", "risk buckets, separated by commas")
        found = convert_options("ranked", options, _RANGES)
        self.share, self.size, self.budget, self.hours = (found[name] for name in _RANGES)
        self.insolvent: Decimal | None = None
        if insolvent is not None:
            self.insolvent = convert_options("ranked", {"insolvent": insolvent}, {"insolvent": ("0", "0", "1")})["insolvent"]

    def wish(self, auction: Opportunity, view: View) -> Wish | None:
        """Nothing: its bids stand already."""
        return None

    def standing(self, view: View) -> tuple[RankedWish, ...]:
        """One bid per bucket."""
        return tuple(
            RankedWish(
                bucket=bucket, size=self.size, share=self.share, budget=self.budget, insolvent=self.insolvent, hours=self.hours
            )
            for bucket in self.buckets
        )
