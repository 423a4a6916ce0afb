"""How far a result has fallen from its best of a window, as a share of the largest size in it (Bybit's rule).

    ratio = (P&L now − max P&L in the window) / max size in the window

Both are steps in time: a value counts for the window until the value after it has left it.
"""

from __future__ import annotations

from collections import deque
from fractions import Fraction

from seawall.core.units import PPM

__all__ = ["Drawdown", "RollingMax", "drawdown_ratio", "loss_beyond"]


def drawdown_ratio(pnl_now: Fraction | int, pnl_max: Fraction | int, size_max: Fraction | int) -> Fraction:
    """(now − best)/largest; 0 or negative. size_max above zero."""
    return Fraction(pnl_now - pnl_max) / Fraction(size_max)


def loss_beyond(pnl_now: Fraction | int, pnl_max: Fraction | int, size_max: Fraction | int, stop: Fraction) -> Fraction:
    """The part of the fall that a stop at this share of the size leaves to the next layer, at least 0."""
    return max(Fraction(0), Fraction(pnl_max - pnl_now) - stop * size_max)


class RollingMax:
    """The maximum of a step function over the last window_ns, amortised constant time per step."""

    def __init__(self, window_ns: int) -> None:
        self.window_ns = window_ns
        self._steps: deque[list[int]] = deque()  # [last moment it held, value], values falling

    def add(self, now_ns: int, value: int) -> None:
        """The value from now on."""
        if self._steps:
            self._steps[-1][0] = now_ns  # the newest value held until now
        while self._steps and self._steps[-1][1] <= value:
            self._steps.pop()
        self._steps.append([now_ns, value])

    def at(self, now_ns: int, default: int) -> int:
        """Maximum over [now − window, now], the newest value included; `default` if nothing was added."""
        while len(self._steps) > 1 and self._steps[0][0] < now_ns - self.window_ns:
            self._steps.popleft()
        return self._steps[0][1] if self._steps else default


class Drawdown:
    """Result and size of a vault over a window."""

    def __init__(self, window_ns: int) -> None:
        self._pnl = RollingMax(window_ns)
        self._size = RollingMax(window_ns)

    def observe(self, now_ns: int, pnl: int, size: int) -> None:
        """Both, from now on."""
        self._pnl.add(now_ns, pnl)
        self._size.add(now_ns, size)

    def left(self, now_ns: int, pnl: int, size: int, stop_ppm: int) -> int:
        """What may still be lost before the stop, rounded down; negative where it is passed."""
        best = max(pnl, self._pnl.at(now_ns, pnl))
        largest = max(size, self._size.at(now_ns, size))
        return largest * stop_ppm // PPM - (best - pnl)
