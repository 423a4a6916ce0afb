"""The compiled form of a margin model on one market: integer arrays that the kernels read.

One row per leg (a piece of an instrument that depends on one underlying), whatever the model:
what differs between models is what the columns mean, and each model's file says that.
"""

from typing import NamedTuple

import numpy as np

from seawall.kernels.compiled import inner

TIERS = 0
CELLS = 1
BLOCKS = 2
PAYOFF = 3
TAIL = 4
QUADRATIC = 5


class Tables(NamedTuple):
    """Arrays of a model at one market version; all C-contiguous.

    values: int64[L, C], nano of the settlement currency per lot; column 0 is the mark.
    extra: int64[L, K], further integers per leg (charges in nano per lot, rates in ppm, …).
    leg_block, leg_group, leg_underlying: int32[L], dense ids; group -1 where no option.
    leg_right: int8[L], +1 call, -1 put, 0 otherwise.
    block_params: int64[B, P]; scenario_params: int64[S, Q]; underlying_params: int64[U, R].
    scalars: int64[M].
    """

    values: np.ndarray
    extra: np.ndarray
    leg_block: np.ndarray
    leg_group: np.ndarray
    leg_underlying: np.ndarray
    leg_right: np.ndarray
    block_params: np.ndarray
    scenario_params: np.ndarray
    underlying_params: np.ndarray
    scalars: np.ndarray


def no_tables() -> Tables:
    """Arrays of the types above, of no legs."""
    ids, rows = np.zeros(0, np.int32), np.zeros((0, 0), np.int64)
    return Tables(rows, rows, ids, ids, ids, np.zeros(0, np.int8), rows, rows, rows, np.zeros(0, np.int64))


@inner
def tables_at(tables, values, extra):
    """The same tables with other rows."""
    return Tables(
        values,
        extra,
        tables.leg_block,
        tables.leg_group,
        tables.leg_underlying,
        tables.leg_right,
        tables.block_params,
        tables.scenario_params,
        tables.underlying_params,
        tables.scalars,
    )
