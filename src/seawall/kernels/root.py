"""The square root of an integer, rounded up."""

import numpy as np

from seawall.kernels.compiled import inner


@inner
def root_up(square):
    """⌈√square⌉ for 0 <= square < 2**63 - 2**33; the float is only a first guess."""
    root = np.int64(np.sqrt(np.float64(square)))
    while root * root > square:
        root -= 1
    while root * root < square:
        root += 1
    return root
