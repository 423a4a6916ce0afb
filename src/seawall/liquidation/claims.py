"""What nobody could pay: a claim on the future income of the fund, shared by those who are owed.

The residual of a waterfall is written down here in full, owed to creditors in proportion to what each of them lost,
and paid as income comes in, in proportion to what is still owed. Amounts are split by largest remainder, so that the
parts are whole and their sum is exact. Claims never bar anybody from withdrawing what is his.
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
    """The book of claims. owed: creditor → micro."""

    def __init__(self, asset: str) -> None:
        self.name = "deferred"
        self.asset = asset
        self.owed: dict[str, int] = {}

    @property
    def total_micro(self) -> int:
        """All that is owed."""
        return sum(self.owed.values())

    def issue(self, residual_micro: int, creditors: Mapping[str, int]) -> dict[str, int]:
        """Adds a residual, shared by creditors' weights; each one's new claim. Raises BadNumber without creditors."""
        if residual_micro == 0:
            return {}
        new = {name: part for name, part in apportion_largest(residual_micro, creditors).items() if part}
        for name, part in new.items():
            self.owed[name] = self.owed.get(name, 0) + part
        return new

    def income(self, payer: str, amount_micro: int) -> tuple[int, tuple[Transfer, ...]]:
        """Pays claims in proportion; what was used, and the transfers. No claim is ever overpaid."""
        used = min(amount_micro, self.total_micro)
        if used == 0:
            return 0, ()
        moves: list[Transfer] = []
        for name, part in apportion_largest(used, self.owed).items():
            self.owed[name] -= part
            moves += pay(payer, name, self.asset, part, "deferred claim")
        self.owed = {name: left for name, left in self.owed.items() if left}
        return used, tuple(moves)
