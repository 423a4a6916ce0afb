"""Worst scenario over blocks that are revalued, discounted and damped each on its own.

Columns of `values`: the mark, one value per scenario, and two values under which only the
block's own level moves (up, down). For each block (one underlying, one expiry):

    change[s] = D(Σ lots · value[s]) - Σ lots · mark          D: one slope for gains, one for debts
    change[s] = -|change[s]|                                  in scenarios that count both ways

Changes are damped and added over the blocks of an underlying; its worst figure is the smallest
of all scenarios and of Σ_blocks min(up - mark, down - mark, 0) · factor, which competes with the
scenarios instead of adding to them. Charges by leg and by naked short (net per strike) follow.

Rows are rounded down, so an account's sums are exact only to one nano per lot: `slack` (a bound
on all roundings, per lot) is taken off every change, so that the result errs against the account.
"""

from numba import njit

from seawall.kernels.project import project
from seawall.kernels.wide import scale_down, scale_up

# extra[:, k]: integers per leg
EXTRA_CHARGE = 0  # nano per lot of either side, both contexts
EXTRA_INITIAL = 1  # nano per lot of either side, initial only
EXTRA_NAKED = 2  # notional of one lot, nano, 0 where no option
EXTRAS = 3

# block_params[b, k]; factors have `wide.PLACES` binary places
BLOCK_GAIN = 0  # slope of D for positive values, rounded down
BLOCK_DEBT = 1  # slope of D for negative values, rounded up
BLOCK_FACTOR = 2  # of the competing figure, rounded up
BLOCK_SLACK = 3  # nano per lot
BLOCKS_WIDTH = 4

# scenario_params[s, k]
SCENARIO_GAIN = 0  # damping of a gain, rounded down
SCENARIO_LOSS = 1  # damping of a loss, rounded up
SCENARIO_BOTH_WAYS = 2  # 1: -|change|
SCENARIOS_WIDTH = 3

# scalars[k]
SCALAR_INITIAL = 0  # factor of the worst figure, initial
SCALAR_MAINTENANCE = 1  # the same, maintenance
SCALAR_CHARGES_INITIAL = 2  # factor of the charges of both contexts, initial
SCALAR_NAKED = 3  # of a naked short's notional, both contexts
SCALAR_NAKED_INITIAL = 4  # the same, initial only
SCALARS = 5

# the accumulators at the front of the scratch
CHARGE = 0
INITIAL = 1
NAKED = 2
COMPETING = 3
EQUITY = 4
ACCUMULATORS = 5


@njit
def scratch_size(tables):
    """Length of the int64 work array of `account`."""
    return ACCUMULATORS + tables.scenario_params.shape[0] + tables.values.shape[1]


@njit(inline="always")
def _charges(tables, legs, lots, start, stop, scratch):
    """Adds the charges of the positions [start, stop), one block; returns Σ |lots| and its shorts."""
    extra, group = tables.extra, tables.leg_group
    size = 0
    shorts = 0
    p = start
    while p < stop:
        this_group = group[legs[p]]
        net = 0
        while p < stop and group[legs[p]] == this_group:
            leg, quantity = legs[p], lots[p]
            lot_count = abs(quantity)
            size += lot_count
            if quantity < 0:
                shorts += lot_count
            scratch[CHARGE] += lot_count * extra[leg, EXTRA_CHARGE]
            scratch[INITIAL] += lot_count * extra[leg, EXTRA_INITIAL]
            if this_group >= 0:
                net += quantity * extra[leg, EXTRA_NAKED]
                if quantity < 0:
                    net -= lot_count
            p += 1
        if net < 0:
            scratch[NAKED] -= net
    return size, shorts


@njit(inline="always")
def _changes(scenarios, block, columns, slack, scratch):
    """Adds one block's damped change in each scenario to the running totals."""
    count = scenarios.shape[0]
    totals = scratch[ACCUMULATORS : ACCUMULATORS + count]
    mark = columns[0]
    for s in range(count):
        value = columns[1 + s]
        change = scale_down(value, block[BLOCK_GAIN] if value >= 0 else block[BLOCK_DEBT]) - mark
        if scenarios[s, SCENARIO_BOTH_WAYS]:
            change = -abs(change)
        change -= slack
        totals[s] += scale_down(change, scenarios[s, SCENARIO_LOSS if change < 0 else SCENARIO_GAIN])
    moved = min(columns[1 + count], columns[2 + count]) - mark
    scratch[COMPETING] += scale_down(min(moved, 0) - slack, block[BLOCK_FACTOR])


@njit
def underlying(tables, legs, lots, start, stop, scratch):
    """Positions [start, stop), all on one underlying: its worst figure (nano) and which scenario
    (the number of scenarios where the competing figure is worse). Adds to the accumulators."""
    count = tables.scenario_params.shape[0]
    columns = scratch[ACCUMULATORS + count :]
    scratch[COMPETING] = 0
    scratch[ACCUMULATORS : ACCUMULATORS + count] = 0
    p = start
    while p < stop:
        this_block = tables.leg_block[legs[p]]
        first = p
        while p < stop and tables.leg_block[legs[p]] == this_block:
            p += 1
        project(tables.values, legs, lots, first, p, columns, tables.values.shape[1])
        size, shorts = _charges(tables, legs, lots, first, p, scratch)
        block = tables.block_params[this_block]
        scratch[EQUITY] += columns[0] - shorts
        _changes(tables.scenario_params, block, columns, size * block[BLOCK_SLACK], scratch)
    worst = scratch[COMPETING]
    index = count
    for s in range(count):
        if scratch[ACCUMULATORS + s] <= worst and (index == count or scratch[ACCUMULATORS + s] < worst):
            worst = scratch[ACCUMULATORS + s]
            index = s
    return worst, index


@njit
def account(tables, legs, lots, start, stop, cash_nano, scratch, out):
    """One account: out = equity (floor), initial, maintenance (ceil) in micro, worst scenario.

    scratch: int64[scratch_size(tables)]. Several underlyings add; the scenario reported is that
    of the underlying with the worst figure, -1 where nothing can lose.
    """
    for k in range(ACCUMULATORS):
        scratch[k] = 0
    scratch[EQUITY] = cash_nano
    scalars = tables.scalars
    loss = 0
    deepest = 0
    out[3] = -1
    p = start
    while p < stop:
        this_underlying = tables.leg_underlying[legs[p]]
        first = p
        while p < stop and tables.leg_underlying[legs[p]] == this_underlying:
            p += 1
        worst, index = underlying(tables, legs, lots, first, p, scratch)
        loss -= worst
        if worst < deepest:
            deepest = worst
            out[3] = index
    naked = scratch[NAKED]
    charges = scratch[CHARGE] + scale_up(naked, scalars[SCALAR_NAKED])
    initial = scale_up(loss, scalars[SCALAR_INITIAL]) + scale_up(charges, scalars[SCALAR_CHARGES_INITIAL])
    initial += scratch[INITIAL] + scale_up(naked, scalars[SCALAR_NAKED_INITIAL])
    maintenance = scale_up(loss, scalars[SCALAR_MAINTENANCE]) + charges
    out[0] = scratch[EQUITY] // 1000
    out[1] = -((-initial) // 1000)
    out[2] = -((-maintenance) // 1000)
