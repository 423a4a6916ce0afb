"""The least whole size that passes a test which is asked of many sizes at once.

The searches for trades (`hedge.py`, `liquidation/size.py`) know a shortfall only by evaluating it. Small sizes are all
tried; above, sizes are doubled and the boundary before the first that passes is bisected, which is exact where the
shortfall is convex in the size. Where none passes, the least shortfall is narrowed down between its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["least_size"]

Array = np.ndarray[Any, Any]
EVERY = 64  # sizes up to here are all tried alone; above, they double and the first that passes is bisected
SECTIONS = 16


def least_size(values: Callable[[Array], Array], most: int) -> int:
    """The least size from 1 to `most` whose value is zero or more, 0 for none.

    values: of int64[n] sizes, int64[n]; the size is the least of all where the value is concave in it.
    """
    if most < 1:
        return 0
    doubled = [EVERY << k for k in range(1, 60) if EVERY << k < most]
    sizes = np.unique(np.array([*range(1, min(most, EVERY) + 1), *doubled, most], np.int64))
    found = values(sizes)
    while not (found >= 0).any():
        k = int(np.argmax(found))
        low, high = int(sizes[max(k - 1, 0)]), int(sizes[min(k + 1, len(sizes) - 1)])
        if high - low <= 2 or (low, high) == (int(sizes[0]), int(sizes[-1])):
            return 0
        sizes = np.unique(np.linspace(low, high, SECTIONS + 1).astype(np.int64))
        found = values(sizes)
    k = int(np.argmax(found >= 0))
    low, high = (int(sizes[k - 1]) if k else int(sizes[k]) - 1), int(sizes[k])
    while high - low > 1:
        middle = np.unique(np.linspace(low, high, SECTIONS + 1).astype(np.int64)[1:-1])
        middle = middle[(middle > low) & (middle < high)]
        passing = np.flatnonzero(values(middle) >= 0)
        if len(passing):
            high = int(middle[passing[0]])
            low = int(middle[passing[0] - 1]) if passing[0] else low
        else:
            low = int(middle[-1])
    return high
