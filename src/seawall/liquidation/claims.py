"""What nobody could pay: a hole in the venue's money, filled from the future income of the fund before anything else.

The residual of a waterfall is paid to the debtor out of an account in debt, `deferred`: so much more is owed to everybody
than there is. `owed` says whose money it is that is missing, in proportion to what each has gained on the other side; as
income fills the hole their claims fall in proportion. What they have is theirs meanwhile: claims bar nobody from
withdrawing, so income goes into the hole and not to them a second time. Parts by largest remainder: whole, their sum exact.
"""

from __future__ import annotations

from collections.abc import Mapping

from seawall.core.errors import BadNumber
from seawall.liquidation.transfers import Transfer, pay

__all__ = ["DeferredClaims", "apportion_largest"]


def apportion_largest(total: int, weights: Mapping[str, int]) -> dict[str, int]:
    """`total` >= 0 in proportion to weights >= 0, whole parts, summing to it; ties go to the first name.

    >>> apportion_largest(10, {"a": 1, "b": 1, "c": 1})
    {'a': 4, 'b': 3, 'c': 3}
    """
    whole = sum(weights.values())
    if total < 0 or whole <= 0 or min(weights.values()) < 0:
        raise BadNumber("apportionment", f"{total} over {whole}", "a total of at least 0, weights with a sum above 0")
    parts = {name: total * weight // whole for name, weight in weights.items()}
    left = total - sum(parts.values())
    order = sorted(weights, key=lambda name: (-(total * weights[name] % whole), name))
    for name in order[:left]:
        parts[name] += 1
    return parts


class DeferredClaims:
    """The book of claims. hole_micro: the debt of `deferred`; owed: creditor → micro of it, what is unclaimed left out."""

    def __init__(self, asset: str) -> None:
        self.name = "deferred"
        self.asset = asset
        self.hole_micro = 0
        self.owed: dict[str, int] = {}

    @property
    def total_micro(self) -> int:
        """All that is owed."""
        return sum(self.owed.values())

    def issue(self, residual_micro: int, creditors: Mapping[str, int]) -> dict[str, int]:
        """Adds a residual, shared by creditors' weights; each one's new claim, none where nobody has a weight."""
        self.hole_micro += residual_micro
        if residual_micro == 0 or not any(creditors.values()):
            return {}
        new = {name: part for name, part in apportion_largest(residual_micro, creditors).items() if part}
        for name, part in new.items():
            self.owed[name] = self.owed.get(name, 0) + part
        return new

    def income(self, payer: str, amount_micro: int) -> tuple[int, tuple[Transfer, ...]]:
        """Fills the hole; what was used, and the transfer. Claims fall in proportion, what is unclaimed with them."""
        used = min(amount_micro, self.hole_micro)
        if used == 0:
            return 0, ()
        left = self.total_micro * (self.hole_micro - used) // self.hole_micro
        if self.owed:
            kept = apportion_largest(left, self.owed)
            self.owed = {name: part for name, part in kept.items() if part}
        self.hole_micro -= used
        return used, pay(payer, self.name, self.asset, used, "deferred claims")
