"""Shared deposits that lose and earn in proportion, in constant time however many depositors there are.

A running product P of what a unit deposited at the start is still worth, and per asset a running sum S of what that
unit has earned, answer for every depositor (Liquity's stability pool; Batog, Boca and Johnson (2018), *Scalable
Reward Distribution on the Ethereum Blockchain*):

    loss of ℓ from a total D:  P ← P·(D − ℓ)/D        gain of g:  S ← S + g·P/D
    a deposit d made at (P₀, S₀) is worth ⌊d·P/P₀⌋ and has earned ⌊d·(S − S₀)/P₀⌋

P is an integer over 10³⁶. When it falls below 10¹⁸ it is raised by 10¹⁸ and `scale` counts that; when everything is
lost a new `epoch` begins. Everything rounds down for depositors, so their sum is never more than `total`; the
difference, below one unit for each deposit and operation, stays in `total` and is named `dust`.
"""

from __future__ import annotations

import msgspec

from seawall.core.errors import BadNumber, invariant

__all__ = ["Deposit", "SharedPool"]

_ONE = 10**36
_RAISE = 10**18
_LEAST = 10**18


class Deposit(msgspec.Struct, frozen=True):
    """A deposit as it was last settled, and the pool's figures at that moment."""

    amount: int
    product: int
    epoch: int
    scale: int
    sums: dict[str, int]


class SharedPool:
    """Amounts are whole units of anything (micro, or wei). total: what is in it; owed: gains not yet collected."""

    def __init__(self) -> None:
        self.total = 0
        self.owed: dict[str, int] = {}
        self._product, self._epoch, self._scale = _ONE, 0, 0
        self._sums: dict[tuple[int, int, str], int] = {}
        self._deposits: dict[str, Deposit] = {}
        self._gains: dict[str, dict[str, int]] = {}

    def holders(self) -> list[str]:
        """Whoever has a deposit or uncollected gains, by name."""
        return sorted(self._deposits.keys() | self._gains.keys())

    def worth(self, name: str) -> int:
        """What a deposit is worth now."""
        held = self._deposits.get(name)
        if held is None or held.epoch != self._epoch:
            return 0
        return held.amount * self._product // (held.product * _RAISE ** (self._scale - held.scale))

    def gains(self, name: str) -> dict[str, int]:
        """Gains not yet collected, by asset; zeros are left out."""
        found = dict(self._gains.get(name, {}))
        held = self._deposits.get(name)
        if held is not None:
            for asset in self.owed:
                found[asset] = found.get(asset, 0) + self._earned(held, asset)
        return {asset: amount for asset, amount in found.items() if amount}

    @property
    def dust(self) -> int:
        """What rounding keeps in the pool: `total` less what all deposits are worth, at least 0. Walks all deposits."""
        return self.total - sum(self.worth(name) for name in self._deposits)

    def deposit(self, name: str, amount: int) -> None:
        """Adds to a deposit. Raises BadNumber unless amount is above zero."""
        if amount <= 0:
            raise BadNumber(f"deposit of {name}", str(amount), "an amount above zero")
        self._settle(name, self.worth(name) + amount)
        self.total += amount

    def withdraw(self, name: str, amount: int) -> int:
        """Takes out at most `amount` of what the deposit is worth; what was taken."""
        if amount < 0:
            raise BadNumber(f"withdrawal of {name}", str(amount), "an amount of at least zero")
        worth = self.worth(name)
        taken = min(amount, worth)
        self._settle(name, worth - taken)
        self.total -= taken
        return taken

    def collect(self, name: str) -> dict[str, int]:
        """Pays out the gains of one depositor."""
        self._settle(name, self.worth(name))
        paid = self._gains.pop(name, {})
        for asset, amount in paid.items():
            self.owed[asset] -= amount
        return paid

    def lose(self, amount: int) -> None:
        """Takes `amount` from all in proportion. Raises BadNumber for more than there is."""
        if not 0 <= amount <= self.total:
            raise BadNumber("pool, loss", str(amount), f"0 to {self.total}")
        if amount == 0:
            return
        left = self.total - amount
        if left == 0:
            self._product, self._epoch, self._scale = _ONE, self._epoch + 1, 0
        else:
            product = self._product
            while product * left // self.total < _LEAST:
                product *= _RAISE
                self._scale += 1
            self._product = product * left // self.total
        self.total = left

    def earn(self, asset: str, amount: int) -> bool:
        """Shares a gain among present depositors; False, and nothing happens, if there are none."""
        if amount < 0:
            raise BadNumber("pool, gain", str(amount), "an amount of at least zero")
        if self.total == 0:
            return amount == 0
        key = (self._epoch, self._scale, asset)
        self._sums[key] = self._sums.get(key, 0) + amount * self._product * _ONE // self.total
        self.owed[asset] = self.owed.get(asset, 0) + amount
        return True

    def absorb(self, loss: int, asset: str, gain: int) -> int:
        """Loses `loss`, or all there is, and earns that share of `gain` (floor) for it: Liquity's offset.

        Returns the loss borne. Gains are shared by what deposits were worth before the loss.
        """
        borne = min(loss, self.total)
        if borne:
            invariant(self.earn(asset, gain * borne // loss), "a pool with deposits can earn")
            self.lose(borne)
        return borne

    def _earned(self, held: Deposit, asset: str) -> int:
        start = held.sums.get(asset, 0)
        total = self._sums.get((held.epoch, held.scale, asset), 0) - start
        last = self._scale if held.epoch == self._epoch else self._last_scale(held.epoch, asset)
        for scale in range(held.scale + 1, last + 1):
            total += self._sums.get((held.epoch, scale, asset), 0) // _RAISE ** (scale - held.scale)
        return held.amount * total // (held.product * _ONE)

    def _last_scale(self, epoch: int, asset: str) -> int:
        return max((scale for e, scale, name in self._sums if e == epoch and name == asset), default=0)

    def _settle(self, name: str, amount: int) -> None:
        gains = self.gains(name)
        if gains:
            self._gains[name] = gains
        if amount == 0:
            self._deposits.pop(name, None)
            return
        sums = {asset: self._sums.get((self._epoch, self._scale, asset), 0) for asset in self.owed}
        self._deposits[name] = Deposit(amount, self._product, self._epoch, self._scale, sums)
