"""`dydx`: dYdX v4's liquidity tiers, exact to the integer, in the tier kernel of `fixed` and `cross`.

Notional truncates toward zero; initial margin is one ceiling, maintenance two; open interest
raises the initial rate and never maintenance, so it liquidates nobody. Only perpetuals and cash
of the settlement currency; nothing nets. The same rules as functions: `dydx_rules.py`.

Tiers: the mainnet genesis file (rates); caps of open interest from the repository's newer test
genesis, since the mainnet one predates them. Live values are governed: pass your own.
"""

from typing import Any

import msgspec
import numpy as np

from seawall.core.errors import UnsafeParameters
from seawall.kernels import tiers
from seawall.kernels.tables import Tables
from seawall.margin.parameters import changed
from seawall.margin.tiered import PPM, Tier, TieredModel, check_interest
from seawall.margin.venues.dydx_rules import maintenance_ppm
from seawall.margin.venues.listed import check_listed


class LiquidityTier(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Initial rate, maintenance as a fraction of it (ppm); caps of open interest in whole quote
    units, 0, 0 = initial margin never scales."""

    initial_ppm: int
    maintenance_fraction_ppm: int
    open_interest_lower_cap: int = 0
    open_interest_upper_cap: int = 0


class DydxParameters(msgspec.Struct, frozen=True, kw_only=True):
    """tiers: by name. tier_of: tier of each underlying, `default_tier` for the others."""

    tiers: dict[str, LiquidityTier] = msgspec.field(
        default_factory=lambda: {
            "large": LiquidityTier(50_000, 600_000),
            "mid": LiquidityTier(100_000, 500_000, 40_000_000, 100_000_000),
            "long-tail": LiquidityTier(200_000, 500_000, 5_000_000, 10_000_000),
            "safety": LiquidityTier(1_000_000, 200_000, 2_000_000, 5_000_000),
        }
    )
    tier_of: dict[str, str] = msgspec.field(
        default_factory=lambda: {"BTC": "large", "ETH": "large", "SOL": "mid", "XRP": "mid", "DOGE": "mid"}
    )
    default_tier: str = "long-tail"
    step_move_ppm: int = 10_000
    liquidation_fee_ppm: int = 15_000


class DydxModel(TieredModel):
    """See the module; parameters: DydxParameters."""

    name = "dydx"
    truncates = True

    def __init__(self, parameters: DydxParameters) -> None:
        check_parameters(parameters)
        super().__init__(parameters)

    def _names(self) -> list[str]:
        return sorted(self.parameters.tiers)

    def _named_sets(self) -> list[tuple[str, tuple[Tier, ...]]]:
        out: list[tuple[str, tuple[Tier, ...]]] = []
        for name in self._names():
            tier = self.parameters.tiers[name]
            maintenance = maintenance_ppm(tier.initial_ppm, tier.maintenance_fraction_ppm)
            out.append((name, (Tier(0, tier.initial_ppm, maintenance),)))
        return out

    def _set_of(self, underlying: str) -> int:
        return self._names().index(self.parameters.tier_of.get(underlying, self.parameters.default_tier))

    def _set_open_interest(self, rows: np.ndarray, first: list[int]) -> None:
        for row, name in zip(first, self._names(), strict=False):
            tier = self.parameters.tiers[name]
            fraction = tier.maintenance_fraction_ppm
            rows[row, tiers.TIER_MAINTENANCE] = tier.initial_ppm if fraction else 0
            rows[row, tiers.TIER_SHARE] = fraction
            rows[row, tiers.TIER_INTEREST_FROM] = tier.open_interest_lower_cap * PPM
            rows[row, tiers.TIER_INTEREST_TO] = tier.open_interest_upper_cap * PPM

    def tables(self, market: Any) -> Tables:
        check_listed(self.name, market, ("perpetual",))
        return super().tables(market)


def dydx(**parameters: Any) -> DydxModel:
    """The model with the default tiers, overridden by keyword."""
    return DydxModel(changed(DydxModel.name, DydxParameters(), parameters))


def check_parameters(parameters: DydxParameters) -> None:
    """Refuses a tier that nothing defines, rates outside 0 to 100 %, crossed caps."""
    for underlying, name in [*parameters.tier_of.items(), ("default_tier", parameters.default_tier)]:
        if name not in parameters.tiers:
            raise UnsafeParameters(f"dydx tier of {underlying}", repr(name), "one of " + ", ".join(parameters.tiers))
    for name, tier in parameters.tiers.items():
        if not (0 <= tier.initial_ppm <= PPM and 0 <= tier.maintenance_fraction_ppm <= PPM):
            found = f"{tier.initial_ppm} ppm, fraction {tier.maintenance_fraction_ppm} ppm"
            raise UnsafeParameters(f"dydx tier {name}", found, "rates from 0 to 1,000,000 ppm")
        check_interest(f"dydx tier {name}", tier.open_interest_lower_cap, tier.open_interest_upper_cap)
