"""One account's row of positions with trades added, and what it is worth at most: the steps of a pre-trade question
that are too small to be worth a NumPy call each."""

import numpy as np

from seawall.kernels.compiled import entry


@entry
def merge(legs, lots, start, length, more_legs, more_lots, more, stamp, current, underlying, out_legs, out_lots, stale):
    """out_legs, out_lots = the `length` positions from `start` on with the first `more` of more_legs, more_lots added:
    legs rising, none with 0 lots. stale = those of the legs, traded ones too where nothing is left of them, whose
    stamp is less than their underlying's `current`. Returns (positions, stale legs).

    legs, more_legs, out_legs, stale: int32; lots, more_lots, out_lots: int64; out arrays: length + more entries;
    stamp: int64[L]; current: int64[U]; underlying: int32[L]. Sums must fit int64.
    """
    for k in range(length):
        out_legs[k] = legs[start + k]
        out_lots[k] = lots[start + k]
    count = length
    for m in range(more):
        leg = more_legs[m]
        at = count
        while at > 0 and out_legs[at - 1] >= leg:
            at -= 1
        if at < count and out_legs[at] == leg:
            out_lots[at] += more_lots[m]
            continue
        for k in range(count, at, -1):
            out_legs[k] = out_legs[k - 1]
            out_lots[k] = out_lots[k - 1]
        out_legs[at] = leg
        out_lots[at] = more_lots[m]
        count += 1
    behind = 0
    kept = 0
    for k in range(count):
        leg, held = out_legs[k], out_lots[k]
        stale[behind] = leg
        behind += np.int64(stamp[leg] < current[underlying[leg]])
        out_legs[kept] = leg
        out_lots[kept] = held
        kept += np.int64(held != 0)
    return kept, behind


@entry
def worth(legs, lots, start, length, limit_nano):
    """float64: Σ |lots| · limit_nano of the `length` positions from `start` on, to 1e-12 of it."""
    total = 0.0
    for p in range(start, start + length):
        total += abs(np.float64(lots[p])) * np.float64(limit_nano[legs[p]])
    return total
