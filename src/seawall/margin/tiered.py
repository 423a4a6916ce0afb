"""`fixed` and `cross`: margin by the notional of each position, generations 1 and 2.

`fixed` charges static rates, each position on its own. `cross` pools the account, raises the
rates with the position's notional in tiers that are continuous at their edges, raises initial
margin with the market's open interest, and takes collateral at a haircut. Both fill the tables
of `kernels/tiers.py`. Options: a long gives no credit (its value is charged back), a short pays
on the notional of its underlying.
"""

from abc import abstractmethod
from typing import Any, ClassVar

import msgspec
import numpy as np

from seawall.core.errors import UnsafeParameters
from seawall.kernels import tiers
from seawall.kernels.tables import TIERS, Tables
from seawall.kernels.tier_rows import fill_tiers
from seawall.margin.model import Model, check_discount, leg_arrays, tables_of

PPM = 1_000_000
SPOT, OPTION_ROLE, COIN = 0, 3, 5
NOTIONAL_MAX = 10**12  # whole quote units: a rate of it still fits int64, and no account holds as much


class Tier(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rates (ppm of notional) of positions from a notional (whole quote units) upwards."""

    notional_from: int
    initial_ppm: int
    maintenance_ppm: int


class FixedParameters(msgspec.Struct, frozen=True, kw_only=True):
    """initial_ppm, maintenance_ppm: of each position's notional. Fee and move: the envelope."""

    initial_ppm: int = 100_000
    maintenance_ppm: int = 50_000
    step_move_ppm: int = 30_000
    liquidation_fee_ppm: int = 10_000


class CrossParameters(msgspec.Struct, frozen=True, kw_only=True):
    """tiers: by underlying, `default_tiers` for the others.

    open_interest_from, open_interest_to: whole quote units between which the initial rate rises
    linearly to 100 % (dYdX v4's rule, perpetuals.md §1.1; 0, 0 = never).
    """

    default_tiers: tuple[Tier, ...] = (
        Tier(0, 50_000, 25_000),
        Tier(1_000_000, 100_000, 50_000),
        Tier(10_000_000, 200_000, 100_000),
    )
    tiers: dict[str, tuple[Tier, ...]] = msgspec.field(
        default_factory=lambda: {
            "BTC": (Tier(0, 20_000, 12_500), Tier(10_000_000, 50_000, 25_000), Tier(50_000_000, 100_000, 50_000)),
            "ETH": (Tier(0, 20_000, 12_500), Tier(10_000_000, 50_000, 25_000), Tier(50_000_000, 100_000, 50_000)),
        }
    )
    open_interest_from: int = 0
    open_interest_to: int = 0
    step_move_ppm: int = 7_500
    liquidation_fee_ppm: int = 4_000


def tier_rows(tier_sets: list[tuple[Tier, ...]]) -> tuple[np.ndarray, list[int]]:
    """Rows for `kernels/tiers.py` and the first row of each set; deductions make each set
    continuous: D_n = D_{n-1} + from_n · (rate_n - rate_{n-1})."""
    rows, first = [], [0]
    for tier_set in tier_sets:
        initial_deduction = maintenance_deduction = 0
        for k, tier in enumerate(tier_set):
            if k:
                before = tier_set[k - 1]
                initial_deduction += tier.notional_from * (tier.initial_ppm - before.initial_ppm)
                maintenance_deduction += tier.notional_from * (tier.maintenance_ppm - before.maintenance_ppm)
            rows.append(
                [
                    tier.notional_from * PPM,
                    tier.initial_ppm,
                    initial_deduction,
                    tier.maintenance_ppm,
                    maintenance_deduction,
                    0,
                    0,
                    0,
                ]
            )
        first.append(len(rows))
    return np.array(rows, np.int64), first


def check_tiers(name: str, tier_set: tuple[Tier, ...]) -> None:
    """Refuses sets that do not start at 0, do not rise, or have initial below maintenance."""
    if not tier_set or tier_set[0].notional_from != 0:
        raise UnsafeParameters(f"tiers of {name}", "no tier from notional 0", "the first tier at 0")
    for before, tier in zip(tier_set, tier_set[1:], strict=False):
        if tier.notional_from <= before.notional_from:
            raise UnsafeParameters(f"tiers of {name}", f"{tier.notional_from} after {before.notional_from}", "rising")
        if tier.initial_ppm < before.initial_ppm or tier.maintenance_ppm < before.maintenance_ppm:
            raise UnsafeParameters(f"tiers of {name} from {tier.notional_from}", "a falling rate", "rates that rise")
    for tier in tier_set:
        if tier.notional_from > NOTIONAL_MAX:
            raise UnsafeParameters(f"tiers of {name}", f"from {tier.notional_from}", f"at most {NOTIONAL_MAX:,}")
        if not 0 <= tier.maintenance_ppm <= tier.initial_ppm <= PPM:
            raise UnsafeParameters(
                f"tiers of {name} from {tier.notional_from}",
                f"initial {tier.initial_ppm} ppm, maintenance {tier.maintenance_ppm} ppm",
                "0 <= maintenance <= initial <= 1,000,000 ppm",
            )


def check_interest(name: str, low: int, high: int) -> None:
    """Refuses bounds of open interest (whole quote units) that are crossed or out of range; to 0 is never."""
    if not 0 <= low <= (high or NOTIONAL_MAX) or not 0 <= high <= NOTIONAL_MAX:
        raise UnsafeParameters(f"open interest of {name}", f"{low} to {high}", f"0 <= from <= to <= {NOTIONAL_MAX:,}")


class TieredModel(Model):
    """Shared by `fixed` (one tier for all) and `cross`."""

    kind = TIERS
    truncates: ClassVar[bool] = False

    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters)
        for name, tier_set in self._named_sets():
            check_tiers(name, tier_set)

    @abstractmethod
    def _named_sets(self) -> list[tuple[str, tuple[Tier, ...]]]:
        """Names and tiers, in the order that `_set_of` numbers them."""

    @abstractmethod
    def _set_of(self, underlying: str) -> int:
        """The number of the set that an underlying is margined by."""

    def envelope(self, market: Any) -> list[tuple[str, int, int]]:
        need = self.step_move_ppm + self.fee_after_step_ppm
        return [(f"tiers of {name}", tier_set[0].maintenance_ppm, need) for name, tier_set in self._named_sets()]

    def tables(self, market: Any) -> Tables:
        check_discount(market)
        legs = market.legs
        count = len(legs.kind)
        rows, first = tier_rows([tier_set for _, tier_set in self._named_sets()])
        self._set_open_interest(rows, first)
        extra = np.zeros((count, tiers.EXTRAS), np.int64)
        set_of_underlying = np.array([self._set_of(name) for name in market.underlyings], np.int64)
        extra[:, tiers.EXTRA_SET] = set_of_underlying[legs.underlying]
        extra[:, tiers.EXTRA_SHORT_ONLY] = legs.role == OPTION_ROLE
        extra[:, tiers.EXTRA_HAIRCUT] = legs.haircut_ppm
        extra[:, tiers.EXTRA_OPEN_INTEREST] = legs.open_interest_lots
        extra[:, tiers.EXTRA_COLLATERAL] = (legs.role == SPOT) | (legs.role == COIN)
        none = np.zeros((len(market.underlyings), 1), np.int64)
        tables = tables_of(legs, np.zeros((count, 1), np.int64), extra, none, [int(self.truncates), len(first) - 1, 0, 0, *first], rows)
        every = np.arange(count, dtype=np.int32)
        fill_tiers(leg_arrays(legs), every, legs.index, market.as_of_ns, market.rate, tables)
        return tables

    def _set_open_interest(self, rows: np.ndarray, first: list[int]) -> None:
        """Writes the open-interest bounds (micro) into the first row of each set."""


class FixedModel(TieredModel):
    """Generation 1: static rates, every position on its own."""

    name = "fixed"

    def _named_sets(self) -> list[tuple[str, tuple[Tier, ...]]]:
        tier = Tier(0, self.parameters.initial_ppm, self.parameters.maintenance_ppm)
        return [("every underlying", (tier,))]

    def _set_of(self, underlying: str) -> int:
        return 0


class CrossModel(TieredModel):
    """Generation 2: one pool, tiers by notional, open interest, haircuts."""

    name = "cross"

    def __init__(self, parameters: CrossParameters) -> None:
        check_interest("every underlying", parameters.open_interest_from, parameters.open_interest_to)
        super().__init__(parameters)

    def _named_sets(self) -> list[tuple[str, tuple[Tier, ...]]]:
        named = sorted(self.parameters.tiers.items())
        return [("other underlyings", self.parameters.default_tiers), *named]

    def _set_of(self, underlying: str) -> int:
        names = sorted(self.parameters.tiers)
        return names.index(underlying) + 1 if underlying in self.parameters.tiers else 0

    def _set_open_interest(self, rows: np.ndarray, first: list[int]) -> None:
        rows[first[:-1], tiers.TIER_INTEREST_FROM] = self.parameters.open_interest_from * PPM
        rows[first[:-1], tiers.TIER_INTEREST_TO] = self.parameters.open_interest_to * PPM
