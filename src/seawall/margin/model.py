"""What a margin model is: parameters, and a rule that compiles them with a market into tables.

A model never loops over accounts. It states, as integer arrays (`kernels/tables.py`), what one
lot of each leg is worth in each of its columns and what it adds on; the kernels do the rest,
for one account or a million, in either context (initial and maintenance).
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from seawall.core.errors import InputError
from seawall.core.times import years_between
from seawall.core.units import PPM
from seawall.kernels.rows import LegArrays
from seawall.kernels.tables import Tables
from seawall.margin.slopes import LegSlopes

NONE = np.zeros((1, 1), np.int64)  # in place of parameters that a kind of tables does not have


class Model(ABC):
    """Base of all margin models.

    kind: which account kernel reads the tables (`kernels/tables.py`).
    certifies: whether the engine may skip accounts between ticks by certificates; where False
    it evaluates every holder whenever the market or the time moves, unless the model is
    banded: then bands from `slopes` spare most of them (`engine/banded.py`).
    step_move_ppm, liquidation_fee_ppm: the worst move between two evaluations and the fee that
    maintenance margin must cover together (`margin/envelope.py`).
    """

    name: ClassVar[str]
    kind: ClassVar[int]
    certifies: ClassVar[bool] = True
    banded: ClassVar[bool] = False
    parameters: Any
    step_move_ppm: int
    liquidation_fee_ppm: int

    def __init__(self, parameters: Any) -> None:
        self.parameters = parameters
        self.step_move_ppm = getattr(parameters, "step_move_ppm", 0)
        self.liquidation_fee_ppm = getattr(parameters, "liquidation_fee_ppm", 0)

    @abstractmethod
    def tables(self, market: Any) -> Tables:
        """The whole board at one market snapshot.

        Raises InputError for an instrument that the model cannot margin.
        """

    @property
    def fee_after_step_ppm(self) -> int:
        """The liquidation fee after the worst step, ppm of the notional before it, rounded up."""
        return -(-(PPM + self.step_move_ppm) * self.liquidation_fee_ppm // PPM)

    def slopes(self, board: Any, tables: Tables) -> LegSlopes:
        """How fast figures can change (`margin/slopes.py`), of a banded model; board: legs, as_of_ns, rate and
        underlyings of a market, tables: its own of that board."""
        raise NotImplementedError(f"{self.name} is not banded")

    def worst_label(self, index: int) -> str:
        """Words for the fourth output of the account kernel; empty where there is none."""
        return ""

    def envelope(self, market: Any) -> list[tuple[str, int, int]]:
        """(where, maintenance ppm of a position's notional at its least, ppm needed) per rule."""
        return []


def check_discount(market: Any) -> None:
    """Refuses a rate so negative that an option's discount factor is beyond what limits of values allow for."""
    legs = market.legs
    years = years_between(market.as_of_ns, int(legs.expiry_ns[legs.right != 0].max(initial=0)))
    if -market.rate * years > 1.0:
        raise InputError("rate", f"{market.rate:g}, with an option of {years:.3g} years", "rate × years of -1 or more")


def haircuts_nano(legs: Any) -> np.ndarray:
    """int64[L]: the haircut of a lot's mark, nano, rounded up."""
    pairs = zip(np.abs(legs.value_nano).tolist(), legs.haircut_ppm.tolist(), strict=True)
    return np.array([-(-value * haircut // PPM) for value, haircut in pairs], np.int64)


def tables_of(
    legs: Any, values: np.ndarray, extra: np.ndarray, underlying_params: np.ndarray, scalars: Any, scenario_params: Any = NONE
) -> Tables:
    """Tables of a market's legs, for models that have no parameters per block."""
    return Tables(
        values=values,
        extra=extra,
        leg_block=legs.block,
        leg_group=legs.strike_group,
        leg_underlying=legs.underlying,
        leg_right=legs.right,
        block_params=NONE,
        scenario_params=scenario_params,
        underlying_params=underlying_params,
        scalars=np.asarray(scalars, np.int64),
    )


def leg_arrays(legs: Any) -> LegArrays:
    """The arrays of `Market.legs` that the row kernels read."""
    return LegArrays(
        kind=legs.kind,
        role=legs.role,
        right=legs.right,
        underlying=legs.underlying,
        block=legs.block,
        expiry_ns=legs.expiry_ns,
        fix_ns=legs.fix_ns,
        value_num=legs.value_num,
        value_den=legs.value_den,
        lot_num=legs.lot_num,
        lot_den=legs.lot_den,
        value_nano=legs.value_nano,
        notional_nano=legs.notional_nano,
        lot=legs.lot,
        ratio=legs.ratio,
        strike=legs.strike,
        iv=legs.iv,
    )
