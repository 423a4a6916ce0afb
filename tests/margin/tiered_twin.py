"""`fixed` and `cross` once more, in plain Python and fractions, from the market and the parameters.

Tiers are written as what they mean, not as the kernels have them: every slice of a position's notional pays
its own tier's rate. Deductions that make a piecewise rule continuous say the same with one product.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from seawall.market.market import Market

NANO, PPM = 10**9, 10**6
Tiers = list[tuple[int, int, int]]  # notional from (whole quote units), initial ppm, maintenance ppm


def leg_value(at: Market, leg: int) -> Fraction:
    """Value of one lot of a leg that is no option, exactly."""
    symbol = at.legs.symbols[leg]
    if symbol.endswith("#coin"):
        name = symbol.removesuffix("#coin")
        return Fraction(at.coin_lots[name]) * Fraction(at.index[name])
    if symbol in at.instruments:
        instrument = at.instruments[symbol]
        ratio = at.quotes[symbol].ratio
        if instrument.inverse:
            return -Fraction(instrument.lot) / ratio
        return Fraction(instrument.lot) * ratio * Fraction(at.index[instrument.underlying])
    basket, part = symbol.split("/")
    instrument = at.instruments[basket]
    return Fraction(instrument.lot) * Fraction(instrument.weights[part]) * Fraction(at.index[part])


def notional_nano(at: Market, leg: int, mark_nano: int) -> int:
    """Of one lot: none for collateral, the underlying's for options, the face of an inverse contract."""
    instrument = at.instruments.get(at.legs.symbols[leg].split("/")[0])
    if instrument is None or instrument.kind == "spot":
        return 0
    if instrument.kind == "option":
        return math.ceil(Fraction(instrument.lot) * Fraction(at.index[instrument.underlying]) * NANO)
    return instrument.lot_nano if instrument.inverse else abs(mark_nano)


def haircut_nano(at: Market, leg: int, mark_nano: int) -> int:
    """Of one lot of collateral."""
    instrument = at.instruments.get(at.legs.symbols[leg])
    return math.ceil(abs(mark_nano) * Fraction(instrument.haircut)) if instrument is not None else 0


def slices(tiers: Tiers, notional_micro: int, rate: int) -> Fraction:
    """Σ over tiers of the part of the notional inside × the tier's rate, micro."""
    total = Fraction(0)
    for k, tier in enumerate(tiers):
        low = tier[0] * PPM
        high = tiers[k + 1][0] * PPM if k + 1 < len(tiers) else notional_micro
        total += Fraction(max(0, min(notional_micro, high) - low) * tier[rate], PPM)
    return total


def interest_ppm(at: Market, leg: int, notional: int, base_ppm: int, bounds: tuple[int, int]) -> int:
    """The initial rate that open interest asks for: linear from the base to 100 % between two bounds."""
    low, high = (bound * PPM for bound in bounds)
    if high == 0:
        return 0
    interest = int(at.legs.open_interest_lots[leg]) * notional // 1000
    if interest <= low:
        return base_ppm
    return PPM if interest >= high else base_ppm + (PPM - base_ppm) * (interest - low) // (high - low)


def tiered(
    at: Market,
    option_marks: dict[int, int],
    tiers_of: Callable[[str], Tiers],
    held: dict[int, int],
    cash_nano: int,
    open_interest: tuple[int, int] = (0, 0),
) -> tuple[int, int, int]:
    """equity, initial and maintenance of one account in micro. option_marks: nano per lot, rounded down."""
    equity, initial, maintenance = cash_nano, 0, 0
    for leg, count in held.items():
        option = leg in option_marks
        mark = option_marks[leg] if option else math.floor(leg_value(at, leg) * NANO)
        equity += count * mark - (max(0, -count) if option else 0)
        notional = notional_nano(at, leg, mark)
        size = max(0, -count) if option else abs(count)
        of_position = math.ceil(Fraction(size * notional, 1000))
        tiers = tiers_of(at.underlyings[int(at.legs.underlying[leg])])
        raised = interest_ppm(at, leg, notional, tiers[0][1], open_interest)
        # a long option gives no credit, collateral less than its mark
        flat = max(0, count) * (mark + 1) if option else abs(count) * haircut_nano(at, leg, mark)
        charge = math.ceil(Fraction(flat, 1000))
        initial += (
            max(math.ceil(slices(tiers, of_position, 1)), math.ceil(Fraction(of_position * raised, PPM))) + charge
        )
        maintenance += math.ceil(slices(tiers, of_position, 2)) + charge
    return equity // 1000, initial, maintenance
