"""Two fixed grids, over log-price and over remaining life, on which bounds are constant.

Both depend only on the price and the life themselves, never on when a process started, so every
machine, replay and shard uses the same steps.
"""

import numpy as np

from seawall.kernels.compiled import inner
from seawall.kernels.normal import exp_, log_

SLACK = 1e-12  # the rounding of exp and log, generously
LIFE_STEP = np.log(2.0) / 4.0
SHORTEST_LIFE = 1.0 / (365.0 * 24.0 * 60.0)  # one minute, in years


@inner
def price_cell(index, step):
    """The step of the log-price grid that an index price lies in."""
    return np.int64(np.floor(log_(index) / step))


@inner
def middle_cell(index, step):
    """The node of the log-price grid that lies between half a step and one and a half below a price."""
    return np.int64(np.floor(log_(index) / step - 0.5))


@inner
def cell_low(cell, step):
    """The lower end of a step of the price grid, a hair below."""
    return exp_(cell * step) * (1.0 - SLACK)


@inner
def cell_high(cell, step):
    """The upper end, a hair above."""
    return exp_((cell + 1) * step) * (1.0 + SLACK)


@inner
def life_step(years):
    """The step of the life grid: quarter octaves above a minute, 0 below."""
    if years <= SHORTEST_LIFE:
        return np.int64(0)
    return 1 + np.int64(np.floor(log_(years / SHORTEST_LIFE) / LIFE_STEP))


@inner
def life_low(step):
    """The shorter end of a step of the life grid, in years."""
    return 0.0 if step == 0 else SHORTEST_LIFE * exp_((step - 1) * LIFE_STEP) * (1.0 - SLACK)


@inner
def life_high(step):
    """The longer end."""
    return SHORTEST_LIFE * exp_(step * LIFE_STEP) * (1.0 + SLACK)
