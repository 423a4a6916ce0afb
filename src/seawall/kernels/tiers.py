"""Margin by notional alone: every position pays its own piecewise-linear charge, nothing nets.

A tier set is a run of rows [from, initial rate, its deduction, maintenance rate, its deduction,
maintenance share of initial]; a position of notional N pays ceil(N · rate) - deduction of the
last row whose `from` is at most N. With deductions chosen so that neighbours agree at the edge
the charge is continuous and convex. Where the share of initial is set, maintenance is
ceil(ceil(N · rate) · share), the two ceilings of dYdX v4 (protocol/x/perpetuals/lib).
"""


from seawall.kernels.compiled import inner
from seawall.kernels.fixed import mul_ppm_ceil

# extra[:, k]: integers per leg; the first five follow the price (`tier_rows.py`)
EXTRA_NOTIONAL = 0  # nano per lot
EXTRA_INITIAL_RATE = 1  # ppm; the initial rate is at least this
EXTRA_LONG = 2  # charge per long lot, nano, both contexts
EXTRA_SHORT = 3  # charge per short lot, nano, both contexts
EXTRA_SET = 4  # tier set
EXTRA_SHORT_ONLY = 5  # 1 where only a short position has a notional (options)
EXTRA_HAIRCUT = 6  # ppm of the value of collateral
EXTRA_OPEN_INTEREST = 7  # lots
EXTRA_COLLATERAL = 8  # 1 where the leg has no notional, only a haircut
EXTRAS = 9

# scenario_params[row, k]
TIER_FROM = 0  # micro
TIER_INITIAL = 1  # ppm
TIER_INITIAL_DEDUCTION = 2  # micro
TIER_MAINTENANCE = 3  # ppm
TIER_MAINTENANCE_DEDUCTION = 4  # micro
TIER_SHARE = 5  # ppm of initial, 0 = unused
TIER_INTEREST_FROM = 6  # micro of open interest, in the first row of a set; 0, 0 = off
TIER_INTEREST_TO = 7
TIER_WIDTH = 8

# scalars[k]
SCALAR_TRUNCATE = 0
SCALAR_SETS = 1
SCALAR_FIRST_ROW = 4


@inner
def position_notional(extra, leg, size, truncate):
    """Notional in micro: rounded up, or toward zero where the venue does."""
    nano = size * extra[leg, EXTRA_NOTIONAL]
    return nano // 1000 if truncate else -((-nano) // 1000)


@inner
def tier_row(rows, scalars, tier_set, notional_micro):
    """The last row of the set whose `from` is at most the notional."""
    row = scalars[SCALAR_FIRST_ROW + tier_set]
    last = scalars[SCALAR_FIRST_ROW + tier_set + 1]
    while row + 1 < last and rows[row + 1, TIER_FROM] <= notional_micro:
        row += 1
    return row


@inner
def position_margin(extra, rows, scalars, leg, size):
    """(initial, maintenance) in micro of `size` lots of a leg, without the flat charges."""
    notional = position_notional(extra, leg, size, scalars[SCALAR_TRUNCATE])
    row = tier_row(rows, scalars, extra[leg, EXTRA_SET], notional)
    initial = max(
        mul_ppm_ceil(notional, rows[row, TIER_INITIAL]) - rows[row, TIER_INITIAL_DEDUCTION],
        mul_ppm_ceil(notional, extra[leg, EXTRA_INITIAL_RATE]),
    )
    maintenance = mul_ppm_ceil(notional, rows[row, TIER_MAINTENANCE])
    maintenance -= rows[row, TIER_MAINTENANCE_DEDUCTION]
    share = rows[row, TIER_SHARE]
    if share:
        maintenance = mul_ppm_ceil(maintenance, share)
    return initial, maintenance


@inner
def position_charge(extra, leg, quantity):
    """Flat charge in micro of a position, rounded up."""
    rate = extra[leg, EXTRA_LONG] if quantity > 0 else extra[leg, EXTRA_SHORT]
    return -((-(abs(quantity) * rate)) // 1000)


@inner
def account(tables, legs, lots, start, stop, cash_nano, out):
    """One account: out = equity (floor), initial, maintenance (ceil) in micro, -1."""
    values, extra = tables.values, tables.extra
    rows, scalars = tables.scenario_params, tables.scalars
    truncate = scalars[SCALAR_TRUNCATE]
    equity_nano = cash_nano
    equity_micro = 0
    initial = 0
    maintenance = 0
    for p in range(start, stop):
        leg = legs[p]
        quantity = lots[p]
        value = quantity * values[leg, 0]
        if quantity < 0 and tables.leg_right[leg] != 0:
            value += quantity  # an option's value is rounded down: a short owes up to 1 nano more
        if truncate:
            equity_micro += value // 1000 if value >= 0 else -((-value) // 1000)
        else:
            equity_nano += value
        size = 0 if quantity > 0 and extra[leg, EXTRA_SHORT_ONLY] else abs(quantity)
        position_initial, position_maintenance = position_margin(extra, rows, scalars, leg, size)
        charge = position_charge(extra, leg, quantity)
        initial += position_initial + charge
        maintenance += position_maintenance + charge
    out[0] = equity_micro + equity_nano // 1000
    out[1] = initial
    out[2] = maintenance
    out[3] = -1
