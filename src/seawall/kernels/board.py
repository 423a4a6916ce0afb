"""Fills risk rows of many legs at given prices: the one place where options are priced for margin.

The same compiled function makes the rows of a whole board, of the few legs that a tick needs,
and of the nodes that certificates stand on; only the prices and the steps of the grids differ.
"""

import numpy as np

from seawall.kernels import anchors, cells, rows
from seawall.kernels.bound import Bound
from seawall.kernels.compiled import entry, inner, whole
from seawall.kernels.normal import exp_

NEVER = np.iinfo(np.int64).min
FOREVER = np.iinfo(np.int64).max
MANY_LIVES = 1 << 20  # more than there are steps of life


@whole
def fill_cells(
    legs, which, price, cell, span, steps, life_back, loose, now_ns, shocks, model, short_minimum_ppm, gaps,
    values, extra,
):  # fmt: skip
    """Sets values[leg] (int64[cells.WIDTH]) and extra[leg] of the legs in `which` (int32[n]).

    price: float64[U]; cell: int64[U], the first of `span` steps of the price grid that gaps are to
    hold on (0 steps: gaps are left as they are); steps: float64[U], the grid's log-price width; life_back: steps of the life grid that they hold for
    beyond the present one; loose: float64[2], relative moves of volatility and basis that they
    hold for, which a call and a put of one strike may make apart. gaps: int64[L, 3], what the gaps already there were made for, NEVER at first: the
    steps of price and life, and until when the latter last, ns.
    """
    work = np.zeros(rows.WORK)
    apart = loose[0] > 0.0 or loose[1] > 0.0
    for k in range(len(which)):
        leg = which[k]
        u = legs.underlying[leg]
        rows.fill_values(legs, leg, price[u], now_ns, shocks, model, work, values[leg])
        rows.fill_extra(legs, leg, price[u], values[leg, 0], short_minimum_ppm, apart, extra[leg])
        if span == 0:
            continue
        life, rest = life_steps(legs, leg, now_ns)
        if gaps[leg, 0] == cell[u] and gaps[leg, 1] == life + MANY_LIVES * rest:
            continue
        gaps[leg, 0] = cell[u]
        gaps[leg, 1] = life + MANY_LIVES * rest
        gaps[leg, 2] = FOREVER
        if rest > 0:
            gaps[leg, 2] = legs.expiry_ns[leg] - np.int64(np.ceil(anchors.life_low(rest) * rows.YEAR_NS))
        if legs.kind[leg] == rows.FORWARD_START and now_ns < legs.fix_ns[leg]:
            gaps[leg, 2] = min(gaps[leg, 2], legs.fix_ns[leg])
        life_low, life_high = anchors.life_low(max(life - life_back, 0)), anchors.life_high(life)
        # until a dynamic strike is fixed it is discounted for longer than it lives
        dearest = life_low if model[rows.MODEL_RATE] > 0.0 else anchors.life_high(rest)
        rows.fill_gaps(
            legs,
            leg,
            anchors.cell_low(cell[u], steps[u]),
            anchors.cell_high(cell[u] + span - 1, steps[u]),
            life_low,
            life_high,
            exp_(-model[rows.MODEL_RATE] * dearest),
            loose[0],
            loose[1],
            shocks,
            model,
            work,
            values[leg, cells.ROW_GAP :],
        )


_NO_INTS, _NO_FLOATS, _NO_ROWS = np.zeros(0, np.int64), np.zeros(0), np.zeros((0, 0), np.int64)
FILL_CELLS = Bound(
    fill_cells,
    (
        rows.no_legs(), np.zeros(0, np.int32), _NO_FLOATS, _NO_INTS, 0, _NO_FLOATS, 0, _NO_FLOATS, 0, np.zeros((0, 0, 0)),
        _NO_FLOATS, 0, _NO_ROWS, _NO_ROWS, _NO_ROWS,
    ),
    varying=(1, 8),
)  # fmt: skip
"""`fill_cells` for other compiled code: a call names `which` and `now_ns`."""


@inner
def life_steps(legs, leg, now_ns):
    """Steps of the life grid that an option's volatility has left, and that the option has."""
    life = anchors.life_step(rows.option_life(legs, leg, now_ns))
    if legs.kind[leg] != rows.FORWARD_START:
        return life, life
    return life, anchors.life_step(max(0.0, (legs.expiry_ns[leg] - now_ns) / rows.YEAR_NS))


def price_cells(price: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """int64[U]: the step of each grid that each price lies in."""
    out = np.zeros(len(price), np.int64)
    _price_cells(price, steps, out)
    return out


@entry
def price_cell(price, step):
    """The step of a grid that one price lies in."""
    return anchors.price_cell(price, step)


@entry
def _price_cells(price, steps, out):
    for u in range(len(out)):
        out[u] = anchors.price_cell(price[u], steps[u])
