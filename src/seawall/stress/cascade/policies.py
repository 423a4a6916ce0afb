"""What a venue does with failed accounts: the policies that a cascade compares.

`Dump` sells the whole position at market at once, as most venues do, insures what is lost, and when the fund is
empty deleverages winners by rank. `Slices` follows Hyperliquid's published rule: a fifth first of what is large, the
rest after a cooldown, the vault below two thirds of maintenance. Both are the plain rules with no knowledge of
depth; `seawall_policy` is the venue that this project builds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from seawall.stress.cascade.loop import Run

__all__ = ["Dump", "Policy", "Slices"]

CAUTIOUS_MICRO = 100_000_000_000
"""100,000 quote units: positions above it are sold in slices (Hyperliquid's documentation)."""


class Policy(Protocol):
    """A way of liquidating."""

    name: str
    backstop: bool
    """Whether providers' capital is a backstop of its own; else it is part of the fund."""

    def step(self, run: Run, failed: list[int]) -> None:
        """One second. failed: accounts below maintenance at its marks that have open contracts."""
        ...


class Dump:
    """The whole account at market at once; the fund; the ranked queue."""

    name = "dump"
    backstop = False

    def step(self, run: Run, failed: list[int]) -> None:
        world = run.world
        equity = world.equity_micro
        for account in sorted(failed, key=lambda a: int(equity[a])):
            if equity[account] < 0 and not run.fund_covers(-int(equity[account]) * 1000):
                run.deleverage_ranked(account)
            run.close(account, {row: int(world.lots[row]) for row in world.open_rows(account)})


class Slices:
    """A fifth of what is large, all of what is small, the rest after a cooldown; the vault takes what is near
    bankruptcy and works it off slowly."""

    name = "slices"
    backstop = False
    share_ppm = 200_000
    cooldown_s = 30.0
    vault_ppm = 666_667

    def __init__(self) -> None:
        self._sliced_s: dict[int, float] = {}

    def step(self, run: Run, failed: list[int]) -> None:
        world = run.world
        equity, maintenance = world.equity_micro, world.maintenance_micro
        for account in sorted(failed, key=lambda a: int(equity[a])):
            if equity[account] < 0:
                if not run.fund_covers(-int(equity[account]) * 1000):
                    run.deleverage_ranked(account)
                run.hand_over(account, "fund")
            elif int(equity[account]) * 1_000_000 < int(maintenance[account]) * self.vault_ppm:
                run.hand_over(account, "fund")
            else:
                self._sell(run, account)
        run.work_off("fund")

    def _sell(self, run: Run, account: int) -> None:
        world = run.world
        rows = world.open_rows(account)
        gross = sum(abs(int(world.lots[row])) * int(world.mark_nano[world.leg[row]]) for row in rows) // 1000
        since = run.now_s - self._sliced_s.get(account, -np.inf)
        if since < self.cooldown_s:
            return
        whole = gross <= CAUTIOUS_MICRO or account in self._sliced_s
        self._sliced_s[account] = run.now_s
        part = {row: int(world.lots[row]) if whole else _share(int(world.lots[row]), self.share_ppm) for row in rows}
        run.close(account, part)


def _share(lots: int, ppm: int) -> int:
    """A share of signed lots, at least one, rounded up."""
    size = -(-abs(lots) * ppm // 1_000_000)
    return size if lots > 0 else -size
