"""What every policy of a run meets alike: path, book, depth, keepers, money set aside; all from one seed."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from seawall.core.errors import InputError
from seawall.feeds.ticks import Ticks
from seawall.stress.cascade.depth import DepthModel, DepthParameters
from seawall.stress.cascade.keepers import KeeperParameters
from seawall.stress.cascade.venue import Venue
from seawall.stress.cascade.world import World

__all__ = ["Path", "Setting", "path_of"]


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """exogenous_ppm: by underlying, the share of the path's log moves that is taken as given (`default_exogenous_ppm`
    for the others); what is missing is for the cascade to make: a recorded fall has its own cascade in it, and on
    2025-10-10 perpetuals of small names fell two to three times as far as their spot did elsewhere. step_s: seconds a step. fee_ppm: liquidation fee. fund_ppm: of open
    interest, the venue's insurance; backstop_ppm: committed by providers. A policy without a backstop has both as
    its fund, so that every policy has the same money behind it.
    """

    exogenous_ppm: dict[str, int] = msgspec.field(default_factory=lambda: {"BTC": 650_000, "ETH": 600_000, "SOL": 500_000})
    default_exogenous_ppm: int = 400_000
    step_s: float = 1.0
    fee_ppm: int = 4_000
    fund_ppm: int = 3_000
    backstop_ppm: int = 10_000
    depth: DepthParameters = msgspec.field(default_factory=DepthParameters)
    keepers: KeeperParameters = msgspec.field(default_factory=KeeperParameters)

    def checked(self) -> Setting:
        """Itself; InputError for figures out of range."""
        shares = (*self.exogenous_ppm.values(), self.default_exogenous_ppm)
        if min(shares) < 0 or max(shares) > 1_000_000 or self.step_s <= 0:
            raise InputError("cascade", f"{shares} ppm, {self.step_s} s", "shares up to 1,000,000 and a step above 0")
        if min(self.fee_ppm, self.fund_ppm, self.backstop_ppm) < 0:
            raise InputError("cascade", "a fee or fund below zero", "zero or more")
        self.depth.checked()
        self.keepers.checked()
        return self


class Path(msgspec.Struct, frozen=True, eq=False):
    """The exogenous path on an even grid: prices float64[T, U] by underlying of the market."""

    prices: np.ndarray
    step_s: float
    source: str


def path_of(ticks: Ticks, underlyings: tuple[str, ...], setting: Setting, source: str) -> Path:
    """The last price of every name at each step, its log moves scaled by the exogenous share.

    Names that the ticks lack stay still. InputError where none of the market's names ticks.
    """
    present = [name for name in ticks.names if name in underlyings]
    if not present:
        raise InputError(source, f"prices of {', '.join(ticks.names[:4])}", f"a name of the market: {', '.join(underlyings[:8])}")
    step_ns = int(setting.step_s * 1e9)
    grid = np.arange(int(ticks.at_ns[0]), int(ticks.at_ns[-1]) + step_ns, step_ns)
    prices = np.ones((len(grid), len(underlyings)))
    for number, name in enumerate(ticks.names):
        if name not in underlyings:
            continue
        mine = ticks.name == number
        at, price = ticks.at_ns[mine], ticks.price_nano[mine] * 1e-9
        last = np.clip(np.searchsorted(at, grid, side="right") - 1, 0, None)
        series = np.log(price[last])
        share = setting.exogenous_ppm.get(name, setting.default_exogenous_ppm) / 1e6
        prices[:, underlyings.index(name)] = np.exp(series[0] + (series - series[0]) * share)
    return Path(prices, setting.step_s, source)


def world_of(venue: Venue, model: Any, setting: Setting, seed: int, parties: list[str]) -> World:
    """A fresh world over the venue, its depth drawn from the seed."""
    legs, accounts = venue.market.legs, venue.accounts
    long_lots = np.bincount(accounts.leg, np.maximum(accounts.lots, 0), len(legs))
    tradable = legs.role != 0
    units = np.bincount(legs.underlying[tradable], (long_lots * legs.lot * legs.ratio)[tradable], len(legs.index))
    depth = DepthModel(venue.market.underlyings, legs.index, units, setting.depth, seed)
    return World(venue, model, depth, parties)
