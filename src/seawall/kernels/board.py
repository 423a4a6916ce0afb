"""Fills the risk rows of a whole board, leg by leg."""

import numpy as np
from numba import njit

from seawall.kernels import anchors, cells, rows


@njit(nogil=True, cache=True, error_model="numpy")
def fill_board(legs, index, now_ns, shocks, model, steps, values):
    """values[leg] = node values, basis values, gaps: int64[L, cells.WIDTH], nano per lot.

    index: float64[U]; steps: float64[U], log-price step of the anchor grid per underlying.
    """
    work = np.zeros(rows.WORK)
    for leg in range(legs.kind.shape[0]):
        u = legs.underlying[leg]
        rows.fill_values(legs, leg, index[u], now_ns, shocks, model, work, values[leg])
        cell = anchors.price_cell(index[u], steps[u])
        life = anchors.life_step(rows.option_life(legs, leg, now_ns))
        rows.fill_gaps(
            legs,
            leg,
            anchors.cell_low(cell, steps[u]),
            anchors.cell_high(cell, steps[u]),
            anchors.life_low(life),
            anchors.life_high(life),
            shocks,
            model,
            values[leg, cells.GAP_LONG :],
        )

