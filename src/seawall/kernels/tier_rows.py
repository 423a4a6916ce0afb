"""Refreshes what `tiers.py` reads of a leg when its price or the time has moved."""

import numpy as np

from seawall.kernels import rows, tiers
from seawall.kernels.bound import Bound
from seawall.kernels.compiled import entry, inner
from seawall.kernels.fixed import mul_ppm_ceil, share_floor
from seawall.kernels.tables import no_tables

PPM = 1_000_000
INTEREST_LIMIT = 4e21  # nano: beyond the highest bound that a model may set, and within int64 in micro


@inner
def refresh_leg(legs, leg, index, now_ns, rate, tables):
    """Mark, notional, charges and open-interest rate of one leg at an index price."""
    mark = rows.mark_value(legs, leg, index, now_ns, rate)
    extra = tables.extra[leg]
    tables.values[leg, 0] = mark
    notional = rows.notional_value(legs, leg, index, mark)
    haircut = mul_ppm_ceil(abs(mark), extra[tiers.EXTRA_HAIRCUT])
    extra[tiers.EXTRA_NOTIONAL] = 0 if extra[tiers.EXTRA_COLLATERAL] else notional
    extra[tiers.EXTRA_LONG] = mark + 1 if extra[tiers.EXTRA_SHORT_ONLY] else haircut
    extra[tiers.EXTRA_SHORT] = haircut
    first = tables.scenario_params[tables.scalars[tiers.SCALAR_FIRST_ROW + extra[tiers.EXTRA_SET]]]
    extra[tiers.EXTRA_INITIAL_RATE] = interest_rate(first, extra[tiers.EXTRA_OPEN_INTEREST], notional)


@inner
def interest_rate(first_row, open_interest_lots, notional_nano):
    """Initial rate in ppm, raised linearly to 100 % between two levels of open interest (dYdX
    v4 `GetAdjustedInitialMarginPpm`; floor); 0 where the market sets none."""
    low, high = first_row[tiers.TIER_INTEREST_FROM], first_row[tiers.TIER_INTEREST_TO]
    if high <= 0:
        return 0
    if np.float64(open_interest_lots) * np.float64(notional_nano) > INTEREST_LIMIT:
        return PPM
    interest = (open_interest_lots // 1000) * notional_nano
    interest += ((open_interest_lots % 1000) * notional_nano) // 1000
    base = first_row[tiers.TIER_INITIAL]
    if interest <= low:
        return base
    if interest >= high:
        return PPM
    return base + share_floor(PPM - base, interest - low, high - low)


@entry
def fill_tiers(legs, which, price, now_ns, rate, tables):
    """`refresh_leg` for the legs in `which` (int32[n]). price: float64[U]."""
    for k in range(len(which)):
        leg = which[k]
        refresh_leg(legs, leg, price[legs.underlying[leg]], now_ns, rate, tables)


FILL_TIERS = Bound(fill_tiers, (rows.no_legs(), np.zeros(0, np.int32), np.zeros(0), 0, 0.0, no_tables()), varying=(1, 3))
"""`fill_tiers` for other compiled code: a call names `which` and `now_ns`."""
