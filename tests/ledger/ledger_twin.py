"""A ledger as one would write it first: exact fractions, everybody paid at once, nothing settled later.

Cash takes the whole notional of a fill and the funding of every interval as it ends. The real ledger must stand
below it for every account, by less than one unit for each rounding that it has done against that account.
"""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction


class Twin:
    """cash in micro, lots by instrument, and how many roundings an account may have suffered."""

    def __init__(self) -> None:
        self.cash: defaultdict[str, Fraction] = defaultdict(Fraction)
        self.lots: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.roundings: defaultdict[str, int] = defaultdict(int)

    def deposit(self, account: str, amount: int) -> None:
        self.cash[account] += amount

    def fill(self, buyer: str, seller: str, instrument: str, lots: int, price_nano: int, fees_ppm: dict) -> None:
        notional = Fraction(lots * price_nano, 1000)
        for account, side in ((buyer, 1), (seller, -1)):
            self.lots[account, instrument] += side * lots
            fee = notional * Fraction(fees_ppm[account], 10**6)
            self.cash[account] -= side * notional + fee
            self.cash["fees"] += fee
            self.roundings[account] += 3  # notional, fee, and the funding that the touch settles

    def fund(self, instrument: str, step_pico: int) -> None:
        for (account, held), lots in self.lots.items():
            if held == instrument:
                self.cash[account] -= Fraction(lots * step_pico, 10**6)

    def expire(self, instrument: str, price_nano: int) -> None:
        for (account, held), lots in self.lots.items():
            if held == instrument:
                self.cash[account] += Fraction(lots * price_nano, 1000)
                self.lots[account, held] = 0
                self.roundings[account] += 1
