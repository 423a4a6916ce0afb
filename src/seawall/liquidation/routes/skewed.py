"""A virtual market: it trades at the index price and charges for the imbalance a trade leaves behind.

The charge is a potential Φ of the skew s (traders' net lots): a trade of q lots pays P·q + Φ(s + q) − Φ(s).

    LinearSkew    Φ = P·s² / (2·scale)      Synthetix v3: fill price P·(1 + (s + (s + q))/2/scale)
    PowerImpact   Φ = f·(P·|s|)^e           GMX v2: impact of the difference between long and short open interest,
                                            f smaller for trades that reduce it than for trades that add to it

With one f a potential is path independent, so splitting a trade gains nothing; with two, a round trip loses. What
PowerImpact pays for reducing the imbalance comes out of what it charged before, never more.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Protocol

import msgspec

from seawall.core.errors import BadNumber
from seawall.core.units import PPM
from seawall.liquidation.routes.power import power
from seawall.liquidation.routes.route import BUY, LOTS_MAX, SELL, Fill, check_fee, check_order, check_price, nothing

__all__ = ["FLOAT", "LinearSkew", "PowerImpact", "Skewed", "fill_price", "impact_of_difference", "price_impact"]

FLOAT = 10**30
"""GMX counts dollars in 10⁻³⁰."""
_WEI = 10**12
_NANO_TO_FLOAT = 10**21
_SCREEN = 1e-12


def fill_price(price: Fraction, skew: Fraction, size: Fraction, scale: Fraction) -> Fraction:
    """Synthetix v3's fill price, exactly: the mean of the premiums before and after."""
    return price * (1 + (skew + skew + size) / 2 / scale)


def impact_of_difference(difference: int, factor: int, exponent: int) -> int:
    """GMX v2's f·d^e, all in 10⁻³⁰, truncated at each step as the contract does; 0 below one dollar."""
    if difference < FLOAT:
        return 0
    raised = difference if exponent == FLOAT else power(difference // _WEI, exponent // _WEI) * _WEI
    return raised * factor // FLOAT


def price_impact(before: int, after: int, crosses: bool, positive: int, negative: int, exponent: int) -> int:
    """GMX v2's price impact in 10⁻³⁰ dollars, positive for the trader, of a change of |long − short|.

    before, after: the differences; crosses: long and short changed places. positive counts at most as much as negative.
    """
    positive = min(positive, negative)
    if crosses:
        return impact_of_difference(before, positive, exponent) - impact_of_difference(after, negative, exponent)
    factor = positive if after < before else negative
    return impact_of_difference(before, factor, exponent) - impact_of_difference(after, factor, exponent)


class Impact(Protocol):
    """What a virtual market charges for skew."""

    bounded: bool

    def cost_nano(self, price_nano: int, before_lots: int, after_lots: int) -> int:
        """What the trade that moves the skew so pays (negative: receives), rounded up."""
        ...

    def marginal(self, price_nano: int, side: int, skew_lots: int, ahead: bool) -> Fraction:
        """Price before fees of the bit that comes next (ahead), or of the one that led to this skew."""
        ...

    def reach(self, price_nano: int, side: int, skew_lots: int, limit: Fraction) -> int:
        """Lots of this side until `marginal` passes the limit; may be negative."""
        ...


class LinearSkew(msgspec.Struct, frozen=True):
    """Synthetix v3. scale_lots: the skew at which the premium is 100 %."""

    scale_lots: int
    bounded: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.scale_lots <= LOTS_MAX:
            raise BadNumber("skew, scale_lots", str(self.scale_lots), f"1 to {LOTS_MAX}")

    def cost_nano(self, price_nano: int, before_lots: int, after_lots: int) -> int:
        """P·(s₁² − s₀²)/(2·scale), rounded up."""
        return -(-price_nano * (after_lots**2 - before_lots**2) // (2 * self.scale_lots))

    def marginal(self, price_nano: int, side: int, skew_lots: int, ahead: bool) -> Fraction:
        """P·(1 + s/scale)."""
        return price_nano * (1 + Fraction(skew_lots, self.scale_lots))

    def reach(self, price_nano: int, side: int, skew_lots: int, limit: Fraction) -> int:
        """From P·(1 + (s ± n)/scale) = limit."""
        target = (limit / price_nano - 1) * self.scale_lots
        return math.floor(target) - skew_lots if side == BUY else skew_lots - math.ceil(target)


class PowerImpact(msgspec.Struct, frozen=True):
    """GMX v2. positive, negative, exponent: over 10**30, as its market parameters; exponent at least 1."""

    positive: int
    negative: int
    exponent: int
    bounded: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.positive <= self.negative or self.exponent < FLOAT:
            found = f"{self.positive}, {self.negative}, exponent {self.exponent}"
            raise BadNumber("price impact", found, "0 <= positive <= negative, an exponent of at least 1e30")

    def cost_nano(self, price_nano: int, before_lots: int, after_lots: int) -> int:
        """Minus GMX's impact, rounded up to a nano."""
        before, after = (abs(lots) * price_nano * _NANO_TO_FLOAT for lots in (before_lots, after_lots))
        crosses = before_lots * after_lots < 0
        impact = price_impact(before, after, crosses, self.positive, self.negative, self.exponent)
        return -(impact // _NANO_TO_FLOAT)

    def marginal(self, price_nano: int, side: int, skew_lots: int, ahead: bool) -> Fraction:
        """P·(1 ± e·f·d^(e−1)), d in dollars: in floating point, as a screen; money comes from `cost_nano`."""
        adding = skew_lots * side > 0 or (ahead and skew_lots == 0)  # at balance what comes adds, what came reduced
        factor = (self.negative if adding else self.positive) / FLOAT
        exponent = self.exponent / FLOAT
        distance = abs(skew_lots) * price_nano / 1e9
        premium = exponent * factor * distance ** (exponent - 1)
        sign = side if adding else -side
        return Fraction(price_nano) + Fraction(sign * premium * price_nano)

    def reach(self, price_nano: int, side: int, skew_lots: int, limit: Fraction) -> int:
        """The skew at which the float marginal meets the limit, less a trifle for its own rounding."""
        room = side * float(limit / price_nano - 1)  # how much worse than the index price the taker accepts
        exponent = self.exponent / FLOAT
        factor = (self.negative if room >= 0 else self.positive) / FLOAT
        if exponent == 1.0:
            target = math.inf if room >= self.negative / FLOAT else 0.0 if room >= -self.positive / FLOAT else -math.inf
        elif factor == 0.0:
            target = math.inf if room > 0 else 0.0 if room == 0 else -math.inf
        else:
            distance = (abs(room) / (exponent * factor)) ** (1 / (exponent - 1)) * 1e9 / price_nano
            target = math.copysign(distance, room)
        if target == -math.inf:
            return 0
        if target >= LOTS_MAX:
            return LOTS_MAX
        return math.floor(target - abs(target) * _SCREEN) - side * skew_lots


class Skewed:
    """A virtual market at an index price. skew_lots: traders' net position; pool_micro: impact collected, to pay out."""

    def __init__(
        self,
        name: str,
        price_nano: int,
        impact: Impact,
        skew_lots: int = 0,
        fee_ppm: int = 0,
        skew_max_lots: int = LOTS_MAX,
        pool_micro: int = 0,
    ) -> None:
        check_fee(name, fee_ppm)
        check_price(name, price_nano)
        if abs(skew_lots) > skew_max_lots:
            raise BadNumber(f"{name}, skew_lots", str(skew_lots), f"at most {skew_max_lots} either way")
        self.name = name
        self.price_nano = price_nano
        self.impact = impact
        self.skew_lots = skew_lots
        self.fee_ppm = fee_ppm
        self.skew_max_lots = skew_max_lots
        self.pool_nano = pool_micro * 1000

    def depth(self, side: int, limit_nano: int) -> int:
        """Lots until the marginal price, fee included, reaches the limit or the skew its cap."""
        gross = Fraction(limit_nano * PPM, PPM + side * self.fee_ppm)
        reach = self.impact.reach(self.price_nano, side, self.skew_lots, gross)
        return max(0, min(reach, self._room(side)))

    def quote(self, side: int, lots: int) -> Fill:
        """What `take` would do."""
        return self._trade(side, lots)[0]

    def take(self, side: int, lots: int) -> Fill:
        """Trades: the skew moves, and so does what the impact pool holds."""
        fill, cost_nano = self._trade(side, lots)
        self.skew_lots += side * fill.lots
        if self.impact.bounded:
            self.pool_nano += cost_nano
        return fill

    def _trade(self, side: int, lots: int) -> tuple[Fill, int]:
        check_order(side, lots)
        lots = min(lots, self._room(side))
        marginal = self._marginal(side, self.skew_lots + side * lots, lots == 0)
        if not lots:
            return nothing(marginal), 0
        cost = self.impact.cost_nano(self.price_nano, self.skew_lots, self.skew_lots + side * lots)
        if self.impact.bounded:
            cost = max(cost, -self.pool_nano)
        gross = self.price_nano * lots + side * cost  # what the lots are worth: paid by a buyer, received by a seller
        fee = -(-abs(gross) * self.fee_ppm // PPM)
        return Fill(lots, (-side * gross - fee) // 1000, -(-fee // 1000), marginal), cost

    def _room(self, side: int) -> int:
        room = max(0, self.skew_max_lots - side * self.skew_lots)
        if side == SELL and isinstance(self.impact, LinearSkew):
            # below a skew of -scale its price is negative: nobody sells there
            room = min(room, max(0, self.skew_lots + self.impact.scale_lots))
        return min(room, LOTS_MAX)

    def _marginal(self, side: int, skew_lots: int, ahead: bool) -> int:
        price = self.impact.marginal(self.price_nano, side, skew_lots, ahead) * (PPM + side * self.fee_ppm) / PPM
        return math.ceil(price) if side == BUY else math.floor(price)
