"""The least of many, without sorting all of them: of equal keys those that stand first, so that pages do not overlap."""

from __future__ import annotations

import numpy as np

__all__ = ["least"]


def least(keys: np.ndarray, count: int) -> np.ndarray:
    """int64[min(count, n)]: positions of the least keys (float64[n] or int64[n], none NaN), in order."""
    count = min(count, len(keys))
    if count == 0:
        return np.zeros(0, np.int64)
    limit = np.partition(keys, count - 1)[count - 1]
    chosen = np.flatnonzero(keys <= limit)
    return chosen[np.argsort(keys[chosen], kind="stable")[:count]]
