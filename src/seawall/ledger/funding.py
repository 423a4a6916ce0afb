"""Funding rates: from impact prices to a premium, from premiums to a clamped rate, from a rate to an index.

All in integers. The index is pico (10⁻¹² of the settlement currency) per lot and only ever adds up: what an
account owes since it was last settled is lots × (index now − index then), whatever the number of intervals
between. Roundings: premiums, means and index steps go toward zero, because one number serves both sides; what
an account then pays or gets is rounded down, against it (`Ledger`).

Sources. Premium from impact prices, mean over the expected samples, rate clip and index as dYdX v4
(x/perpetuals/keeper/perpetual.go, x/perpetuals/lib/lib.go, x/perpetuals/types/liquidity_tier.go at 84d4664b).
Damped interest as Hyperliquid documents it: P + clip(interest − P, ±0.05 %), 0.01 % per 8 h, capped at 4 % an hour.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from seawall.core.errors import BadNumber, show
from seawall.core.units import PPM

__all__ = [
    "EIGHT_HOURS_S",
    "FundingRule",
    "clamp_of_margins_ppm",
    "index_step_pico",
    "mean_premium_ppm",
    "premium_ppm",
    "settlement_pico",
    "without_tails",
]

EIGHT_HOURS_S = 28_800
_RATE_PPM_MAX = 2**32 - 1


class FundingRule(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """How a perpetual's funding is made: rates are ppm per `period_s`, charged every `interval_s`.

    samples: premiums expected in an interval; missing ones count as zero. sample_cap_ppm: the clip of each.
    interest_ppm: added to the mean premium. damp_ppm: where not −1, the interest less the premium is clipped to
    ±damp before it is added, so that small premiums leave the rate at the interest. cap_ppm: the clip of the rate.
    """

    interval_s: int = 3_600
    period_s: int = EIGHT_HOURS_S
    samples: int = 60
    sample_cap_ppm: int = 60_000_000
    interest_ppm: int = 0
    damp_ppm: int = -1
    cap_ppm: int = 40_000

    def check(self, place: str) -> None:
        """BadNumber where a figure is none that a rule can have."""
        for name, low, high in (
            ("interval_s", 1, 7 * 86_400),
            ("period_s", 1, 365 * 86_400),
            ("samples", 1, 10**6),
            ("sample_cap_ppm", 0, _RATE_PPM_MAX),
            ("interest_ppm", -PPM, PPM),
            ("damp_ppm", -1, PPM),
            ("cap_ppm", 0, _RATE_PPM_MAX),
        ):
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                raise BadNumber(f"{place}.{name}", show(value), f"a whole number from {low} to {high}")

    def rate_ppm(self, premium_ppm: int) -> int:
        """The rate per period of a mean premium."""
        if self.damp_ppm < 0:
            rate = premium_ppm + self.interest_ppm
        else:
            rate = premium_ppm + _clip(self.interest_ppm - premium_ppm, self.damp_ppm)
        return _clip(rate, self.cap_ppm)


def premium_ppm(index_nano: int, impact_bid_nano: int, impact_ask_nano: int, cap_ppm: int) -> int:
    """(max(0, bid − index) − max(0, index − ask)) ÷ index in ppm, toward zero, clipped to ±cap.

    The impact bid is the mean price at which a set notional can be sold into the book now, the impact ask the
    one at which it can be bought; an index between the two has no premium.
    """
    above = max(0, impact_bid_nano - index_nano)
    below = max(0, index_nano - impact_ask_nano)
    return _clip(_toward_zero((above - below) * PPM, index_nano), cap_ppm)


def mean_premium_ppm(total_ppm: int, count: int, expected: int) -> int:
    """The mean of `count` samples that sum to `total_ppm`, toward zero; missing ones up to `expected` are zero."""
    return _toward_zero(total_ppm, max(count, expected))


def without_tails(samples: Sequence[int], removed_ppm: int) -> list[int]:
    """The samples in order, less floor(removed × n) at the low end and ceil(removed × n) at the high end."""
    low = len(samples) * removed_ppm // PPM
    high = -(-len(samples) * removed_ppm // PPM)
    return sorted(samples)[low : len(samples) - high]


def clamp_of_margins_ppm(factor_ppm: int, initial_ppm: int, maintenance_of_initial_ppm: int) -> int:
    """dYdX's bound of a rate: factor × (initial margin − maintenance margin), maintenance a fraction of initial.

    Rounding: maintenance down, the product down, at most 2**32 − 1 ppm.
    """
    maintenance_ppm = initial_ppm * maintenance_of_initial_ppm // PPM
    return min(factor_ppm * (initial_ppm - maintenance_ppm) // PPM, _RATE_PPM_MAX)


def index_step_pico(rate_ppm: int, interval_s: int, period_s: int, value: tuple[int, int]) -> int:
    """What an interval adds to the index, pico per lot.

    value: one lot's value in micro as a fraction (numerator, denominator > 0); ppm × micro = pico. Rounding:
    toward zero twice, after the value and after the period, as dYdX does.
    """
    return _toward_zero(_toward_zero(rate_ppm * interval_s * value[0], value[1]), period_s)


def settlement_pico(lots: int, index_then_pico: int, index_now_pico: int) -> int:
    """What a position gets (pays, where negative) since it was settled last, exactly: −lots × step of the index."""
    return -lots * (index_now_pico - index_then_pico)


def _clip(value: int, bound: int) -> int:
    return max(-bound, min(bound, value))


def _toward_zero(value: int, over: int) -> int:
    return value // over if value >= 0 else -(-value // over)
