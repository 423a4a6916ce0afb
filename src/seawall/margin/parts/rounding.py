"""How whole numbers are shared without a remainder: every rounding is taken on the running total.

A part is the step that the rounded running total takes when the part is added. The parts then sum to the
rounded total exactly, whatever the rounding, and each is less than one unit from its exact share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

__all__ = ["apportion", "ceil_div", "stepped"]


def ceil_div(a: int, b: int) -> int:
    """Smallest integer q with q·b >= a, for b > 0."""
    return -(-a // b)


def stepped(parts: Iterable[int], rounded: Callable[[int], int]) -> list[int]:
    """Steps of rounded(running total of parts); they sum to rounded(Σ parts) - rounded(0)."""
    total, before = 0, rounded(0)
    steps = []
    for part in parts:
        if part == 0:
            steps.append(0)
            continue
        total += part
        after = rounded(total)
        steps.append(after - before)
        before = after
    return steps


def apportion(total: int, weights: Sequence[int]) -> list[int]:
    """`total` shared in proportion to weights (any signs, Σ not 0), summing to it exactly.

    >>> apportion(10, [1, 1, 1])
    [3, 3, 4]
    """
    whole = sum(weights)
    sign = 1 if whole > 0 else -1
    return stepped(weights, lambda running: total * running * sign // (whole * sign))
