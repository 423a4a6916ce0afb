"""Options margined per block by the milder of two rules: leg by leg, or worst payoff at expiry.

For each block (one underlying, one expiry), as value to the account (losses negative):

    isolated = -Σ over shorts of a charge per lot, longs count nothing
    payoff   = min over prices in {0} ∪ {strikes held} of min(Σ lots · payoff at that price, 0)
               + min(Σ over calls of lots, 0) · charge per unpaired call
    block    = max(isolated, payoff)

Between two strikes a payoff is a straight line, so its minimum over all prices up to the last
strike is at a strike or at zero; above it, calls short of cover lose without bound, which the
unpaired charge stands for. Other legs count their mark less a charge per lot.
"""

from numba import njit

from seawall.kernels.wide import product_down

# extra[:, k]: integers per leg; charges in nano per lot
EXTRA_LONG_INITIAL = 0
EXTRA_LONG_MAINTENANCE = 1
EXTRA_SHORT_INITIAL = 2
EXTRA_SHORT_MAINTENANCE = 3
EXTRA_ISOLATED_INITIAL = 4
EXTRA_ISOLATED_MAINTENANCE = 5
EXTRA_STRIKE = 6  # strike × the block's unit of quantity, nano, rounded down
EXTRA_UNITS_DOWN = 7  # lot ÷ the block's unit, `wide.PLACES` binary places
EXTRA_UNITS_UP = 8
EXTRAS = 9

# block_params[b, k]: per unit of unpaired calls, nano, rounded up
BLOCK_UNPAIRED_INITIAL = 0
BLOCK_UNPAIRED_MAINTENANCE = 1
BLOCKS_WIDTH = 2

INITIAL = 0
MAINTENANCE = 1


@njit(inline="always")
def _units(extra, leg, quantity):
    """Units per lot, rounded against the holder of `quantity` lots."""
    return extra[leg, EXTRA_UNITS_DOWN] if quantity > 0 else extra[leg, EXTRA_UNITS_UP]


@njit
def payoff_at(tables, legs, lots, start, stop, price):
    """Σ lots · payoff when the block settles at `price` (strike column's unit), nano, rounded down."""
    extra, right = tables.extra, tables.leg_right
    total = 0
    for p in range(start, stop):
        leg, quantity = legs[p], lots[p]
        inside = (price - extra[leg, EXTRA_STRIKE]) * right[leg]
        if inside > 0:
            total += product_down(quantity, inside, _units(extra, leg, quantity))
        if quantity < 0:
            total += quantity  # the strike column is rounded: up to 1 nano per lot
        else:
            total -= quantity
    return total


@njit
def worst_payoff(tables, legs, lots, start, stop):
    """min(payoff at 0 and at every strike held, 0), nano."""
    worst = min(payoff_at(tables, legs, lots, start, stop, 0), 0)
    for p in range(start, stop):
        if p == start or tables.leg_group[legs[p]] != tables.leg_group[legs[p - 1]]:
            strike = tables.extra[legs[p], EXTRA_STRIKE]
            worst = min(worst, payoff_at(tables, legs, lots, start, stop, strike))
    return worst


@njit
def unpaired(tables, legs, lots, start, stop, per_unit):
    """min(Σ over calls of lots, 0) · charge per unit, nano, rounded down."""
    total = 0
    for p in range(start, stop):
        leg, quantity = legs[p], lots[p]
        if tables.leg_right[leg] > 0:
            total += product_down(quantity, per_unit, _units(tables.extra, leg, quantity))
    return min(total, 0)


@njit
def option_block(tables, legs, lots, start, stop, out):
    """Value of the options [start, stop), one block: out = initial, maintenance, nano."""
    extra = tables.extra
    isolated_initial = 0
    isolated_maintenance = 0
    short_initial = 0
    short_maintenance = 0
    for p in range(start, stop):
        leg, quantity = legs[p], lots[p]
        if quantity < 0:
            isolated_initial += quantity * extra[leg, EXTRA_ISOLATED_INITIAL]
            isolated_maintenance += quantity * extra[leg, EXTRA_ISOLATED_MAINTENANCE]
            short_initial += quantity * extra[leg, EXTRA_SHORT_INITIAL]
            short_maintenance += quantity * extra[leg, EXTRA_SHORT_MAINTENANCE]
    worst = worst_payoff(tables, legs, lots, start, stop)
    block = tables.block_params[tables.leg_block[legs[start]]]
    initial = worst + unpaired(tables, legs, lots, start, stop, block[BLOCK_UNPAIRED_INITIAL])
    maintenance = worst + unpaired(tables, legs, lots, start, stop, block[BLOCK_UNPAIRED_MAINTENANCE])
    out[INITIAL] = max(isolated_initial, initial) + short_initial
    out[MAINTENANCE] = max(isolated_maintenance, maintenance) + short_maintenance


@njit
def account(tables, legs, lots, start, stop, cash_nano, scratch, out):
    """One account: out = equity (floor), initial, maintenance (ceil) in micro, -1.

    scratch: int64[2]. A requirement is equity less the rule's net margin; it is negative where
    the rule counts collateral above its mark.
    """
    values, extra = tables.values, tables.extra
    equity = cash_nano
    initial = cash_nano
    maintenance = cash_nano
    p = start
    while p < stop:
        leg, quantity = legs[p], lots[p]
        if tables.leg_right[leg] == 0:
            value = quantity * values[leg, 0]
            size = abs(quantity)
            if quantity < 0:
                value -= size  # marks are rounded down: a short owes up to 1 nano more
            side = 0 if quantity > 0 else 2
            equity += value
            initial += value - size * extra[leg, side + INITIAL]
            maintenance += value - size * extra[leg, side + MAINTENANCE]
            p += 1
            continue
        first = p
        this_block = tables.leg_block[leg]
        while p < stop and tables.leg_block[legs[p]] == this_block:
            quantity = lots[p]
            equity += quantity * values[legs[p], 0] + min(quantity, 0)
            p += 1
        option_block(tables, legs, lots, first, p, scratch)
        initial += scratch[INITIAL]
        maintenance += scratch[MAINTENANCE]
    out[0] = equity // 1000
    out[1] = out[0] - initial // 1000
    out[2] = out[0] - maintenance // 1000
    out[3] = -1
