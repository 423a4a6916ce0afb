"""Splits the requirement of `kernels/tail.py`: what each leg loses in the scenarios of the tail.

Expected shortfall is a weighted mean over the tail, so a leg's part is the same mean of its own losses (its Euler
share; Tasche 1999). Value at risk is the loss in one scenario, and so are its parts. Where scenarios lose alike, the
earlier one stands nearer to the worst: the total is the same, and the parts are always the same.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from seawall.kernels import tail
from seawall.kernels.tables import Tables
from seawall.margin.parts.joint import MINIMUM, NOTHING, PPM, ceil_ppm, decided, naked_nano, owed_nano, root_up
from seawall.margin.parts.rounding import apportion, ceil_div, stepped
from seawall.margin.parts.shares import Parts, ScenarioLoss, columns_of, nothing

__all__ = ["split"]

MEASURES = ("value at risk", "expected shortfall")  # by SCALAR_MEAN
FACTORS = (tail.SCALAR_FACTOR_INITIAL, tail.SCALAR_FACTOR_MAINTENANCE)
TAILS = (tail.SCALAR_TAIL_INITIAL, tail.SCALAR_TAIL_MAINTENANCE)
UNITS = (tail.PARAM_TAIL_INITIAL, tail.PARAM_TAIL_MAINTENANCE)


def split(tables: Tables, legs: np.ndarray, lots: np.ndarray, cash_nano: int) -> Parts:
    """The measure or the short-option minimum, haircuts, concentration, liquidity horizon, rounding of rows."""
    if len(legs) == 0:
        return nothing(cash_nano)
    scalars = tables.scalars.tolist()
    cash, *equity = stepped([cash_nano, *owed_nano(tables, legs, lots)], lambda nano: nano // 1000)
    sums = lots @ tables.values[legs]
    losses = sums[0] - sums[1:]
    size = np.abs(lots).tolist()
    naked = naked_nano(tables, legs, lots, tail.EXTRA_NAKED)
    minimum = ceil_ppm(sum(naked), scalars[tail.SCALAR_SHORT_MINIMUM])
    measure = MEASURES[scalars[tail.SCALAR_MEAN]]
    none = [0] * len(legs)
    rows = {name: [none, none] for name in (measure, "rounding of rows", MINIMUM)}
    rules = []
    for k in range(2):
        share, factor = scalars[TAILS[k]], scalars[FACTORS[k]]
        parts = [*_measured(tables, legs, lots, losses, share), *(share * count for count in size)]
        risk = ceil_div(sum(parts), share)
        rules.append(NOTHING if max(risk, minimum) <= 0 else MINIMUM if minimum > risk else measure)
        if rules[k] == measure:
            found = stepped(parts, lambda x, t=share, f=factor: ceil_ppm(ceil_div(x, 1000 * t), f))  # type: ignore[misc]
            rows[measure][k], rows["rounding of rows"][k] = found[: len(legs)], found[len(legs) :]
        elif rules[k] == MINIMUM:
            rate = scalars[tail.SCALAR_SHORT_MINIMUM]
            rows[MINIMUM][k] = stepped(naked, lambda x, r=rate, f=factor: ceil_ppm(ceil_div(ceil_ppm(x, r), 1000), f))  # type: ignore[misc]
    charges = (np.abs(lots) * tables.extra[legs, tail.EXTRA_CHARGE]).tolist()
    rows["haircuts"] = [stepped(charges, lambda nano: ceil_div(nano, 1000))] * 2
    rows |= _by_size(tables, legs, lots, scalars[tail.SCALAR_ROOT_MAX])
    columns = columns_of([(name, one, other) for name, (one, other) in rows.items()])
    return Parts(cash, equity, columns, [ScenarioLoss(-1, -1, losses.tolist())], decided(rules))


def _measured(tables: Tables, legs: np.ndarray, lots: np.ndarray, losses: np.ndarray, share: int) -> Iterator[int]:
    """Each leg's loss in the tail, times the tail's weight in ppm; exact."""
    order = np.argsort(-losses, kind="stable")
    weights = tables.scenario_params[0][order]
    before = weights.cumsum() - weights
    kept = before < share
    columns = order[kept]
    taken = np.minimum(weights, share - before)[kept]
    if not tables.scalars[tail.SCALAR_MEAN]:
        columns, taken = columns[-1:], np.array([share])
    values = tables.values[legs]
    lost = values[:, :1] - values[:, 1 + columns]
    # split at one million, so that weighing stays within int64
    high, low = (lost // PPM @ taken).tolist(), (lost % PPM @ taken).tolist()
    for count, above, below in zip(lots.tolist(), high, low, strict=True):
        yield count * (above * PPM + below)


def _by_size(tables: Tables, legs: np.ndarray, lots: np.ndarray, root_max_ppm: int) -> dict[str, list[list[int]]]:
    """What an underlying's gross notional costs, in proportion to it: neither charge is homogeneous."""
    gross = (np.abs(lots) * tables.extra[legs, tail.EXTRA_NOTIONAL]).tolist()
    found: dict[str, list[list[int]]] = {name: [[], []] for name in ("concentration", "liquidity horizon")}
    underlying = tables.leg_underlying[legs]
    for u in dict.fromkeys(underlying.tolist()):
        mine = [gross[k] for k in np.flatnonzero(underlying == u).tolist()]
        params = tables.underlying_params[u].tolist()
        total = ceil_div(sum(mine), PPM)
        above = max(total - params[tail.PARAM_CONCENTRATION_FROM], 0)
        crowd = ceil_ppm(above * 1000, params[tail.PARAM_CONCENTRATION_RATE])
        liquid = params[tail.PARAM_LIQUID]
        more = 0
        if 0 < liquid < total:
            more = min(root_up(ceil_div(total * PPM, liquid) * PPM), root_max_ppm) - PPM
        for k in range(2):
            late = ceil_ppm(ceil_ppm(total * 1000, params[UNITS[k]]), more)
            for name, charge in (("concentration", crowd), ("liquidity horizon", late)):
                found[name][k] += apportion(charge, mine) if charge else [0] * len(mine)
    return found
