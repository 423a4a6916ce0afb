"""A volatility surface: the implied vol of every strike of one expiry, as raw SVI or as a quoted grid.

Raw SVI (J. Gatheral, "A parsimonious arbitrage-free implied volatility parameterization", 2004) gives the
total variance w(k) = a + b·(ρ·(k − m) + √((k − m)² + σ²)) at k = ln(K / forward), and vol = √(w / tau). The
surface carries its own forward and tau, as feeds publish them. A surface is refused where a variance would be
negative: w itself anywhere on the curve, or the variance between one expiry and the next.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec
import numpy as np
from numba import njit

from seawall.core.errors import ArbitrageSurface
from seawall.kernels.black76 import values
from seawall.kernels.normal import log_

__all__ = ["GridSurface", "Surface", "SviSurface", "check_butterflies", "check_calendar", "log_scalar"]

_BUTTERFLY_TOLERANCE = 1e-4  # of the forward: quoted vols carry four digits


class SviSurface(msgspec.Struct, frozen=True, tag_field="kind", tag="svi"):
    """Raw SVI of one expiry; `checked` refuses parameters under which w(k) < 0 for some k."""

    underlying: str
    expiry_ns: int
    a: float
    b: float
    rho: float
    m: float
    sigma: float
    forward: float
    tau: float

    def total_variance(self, log_moneyness: float) -> float:
        """w(k)."""
        x = log_moneyness - self.m
        return self.a + self.b * (self.rho * x + math.sqrt(x * x + self.sigma * self.sigma))

    def vol(self, strike: float) -> float:
        """Implied vol of a strike."""
        return math.sqrt(max(0.0, self.total_variance(log_scalar(strike / self.forward))) / self.tau)

    def checked(self, place: str) -> SviSurface:
        """Itself; ArbitrageSurface naming the parameter, or the least variance, at fault."""
        for name, fine, expected in (
            ("b", self.b >= 0, "b of zero or more"),
            ("rho", abs(self.rho) < 1, "rho between -1 and 1"),
            ("sigma", self.sigma > 0, "sigma above zero"),
            ("b", self.b * (1 + abs(self.rho)) <= 2, "b(1 + |rho|) of at most 2 (no wing is steeper)"),
        ):
            if not fine:
                raise ArbitrageSurface(f"{place}.{name}", f"{getattr(self, name):g}", expected)
        # The least w is reached where its slope is zero (Gatheral 2004).
        least = self.a + self.b * self.sigma * math.sqrt(1 - self.rho * self.rho)
        if least <= 0:
            expected = "a + b·sigma·√(1 − rho²) above zero"
            raise ArbitrageSurface(place, f"a least total variance of {least:g}", expected)
        return self


class GridSurface(msgspec.Struct, frozen=True, tag_field="kind", tag="grid"):
    """Quoted vols at rising strikes; variance is linear in ln K between them and flat outside."""

    underlying: str
    expiry_ns: int
    strikes: tuple[float, ...]
    ivs: tuple[float, ...]
    forward: float
    tau: float

    def total_variance(self, log_moneyness: float) -> float:
        """w(k) = vol²·tau at the strike forward·e^k."""
        logs = [log_scalar(strike / self.forward) for strike in self.strikes]
        variance = float(np.interp(log_moneyness, logs, [iv * iv for iv in self.ivs]))
        return variance * self.tau

    def vol(self, strike: float) -> float:
        """Implied vol of a strike; exactly the quote at a quoted strike."""
        if strike in self.strikes:
            return self.ivs[self.strikes.index(strike)]
        return math.sqrt(self.total_variance(log_scalar(strike / self.forward)) / self.tau)

    def checked(self, place: str) -> GridSurface:
        """Itself: quotes above zero (checked on reading) cannot give a negative w."""
        return self


Surface = SviSurface | GridSurface


@njit(cache=True)
def _log(x):  # type: ignore[no-untyped-def]
    return log_(x)


def log_scalar(x: float) -> float:
    """ln x as the kernels compute it, so that a surface gives the same vols on every machine."""
    return float(_log(x))


def check_calendar(surfaces: Iterable[Surface], place: str) -> None:
    """ArbitrageSurface where total variance at the money falls from an expiry to a later one.

    Between the two the variance would be negative. Surfaces of the same underlying are compared.
    """
    last: dict[str, tuple[int, float]] = {}
    for surface in sorted(surfaces, key=lambda s: (s.underlying, s.expiry_ns)):
        w = surface.total_variance(0.0)
        _, before = last.get(surface.underlying, (0, 0.0))
        if w < before * (1 - 1e-9):
            found = f"at-the-money variance {w:g} of {surface.underlying} after {before:g} earlier"
            raise ArbitrageSurface(place, found, "total variance that does not fall with expiry")
        last[surface.underlying] = (surface.expiry_ns, w)


def check_butterflies(surface: Surface, strikes: Iterable[float], place: str) -> None:
    """ArbitrageSurface where a butterfly of listed strikes would cost less than nothing.

    Call values must fall with the strike and be convex in it: their second difference is a probability.
    """
    listed = np.array(sorted(set(strikes)))
    if len(listed) < 2:
        return
    total_vol = np.array([surface.vol(strike) for strike in listed]) * math.sqrt(surface.tau)
    calls = values(np.float64(surface.forward), listed, total_vol, np.float64(1.0)) / surface.forward
    slope = np.diff(calls) / np.diff(listed)
    rising = np.flatnonzero(np.diff(calls) > _BUTTERFLY_TOLERANCE)
    width = np.minimum(np.diff(listed)[1:], np.diff(listed)[:-1])
    concave = np.flatnonzero(np.diff(slope) * width < -_BUTTERFLY_TOLERANCE)
    if len(rising):
        found = f"a call at {listed[rising[0] + 1]:g} dearer than at {listed[rising[0]]:g}"
        raise ArbitrageSurface(place, found, "call values that fall with the strike")
    if len(concave):
        at = listed[concave[0] : concave[0] + 3]
        found = f"a butterfly at {at[0]:g}, {at[1]:g}, {at[2]:g} of negative value"
        raise ArbitrageSurface(place, found, "call values convex in the strike")
