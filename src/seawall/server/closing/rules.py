"""From the table [liquidator] of a venue.toml to what looks and waiting orders are made by."""

from __future__ import annotations

from seawall.core.units import PPM
from seawall.engine.genesis import Genesis
from seawall.liquidation.size import SizeRules
from seawall.server.config import LiquidatorTable

from .depth import Ladder
from .looks import LookRules

__all__ = ["look_rules"]


def look_rules(table: LiquidatorTable, genesis: Genesis) -> LookRules:
    """The rules of looks. Raises InputError for sizes or ladders that cannot be."""
    terms = genesis.closing
    dust = terms.dust_micro if terms is not None else 0
    size = SizeRules(
        minimum_micro=table.minimum * PPM,
        dust_micro=dust,
        full_below_micro=table.full_below * PPM,
        share_ppm=table.share_ppm,
        step_micro=table.step * PPM,
    ).checked()
    ladders = {
        name: Ladder(f"liquidator.depth.{name}", depth.moves_ppm, [each * PPM for each in depth.notional])
        for name, depth in table.depth.items()
    }
    return LookRules(size=size, ladders=ladders, slippage_ppm=table.slippage_ppm, winners_max=table.winners_max)
