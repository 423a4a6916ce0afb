"""How far a band grows towards a stage: every underlying both ways, then single sides that cost nothing.

The room left on a line falls linearly in the share of the way, and in how much of the stray there is by then, so
the greatest share that stands has a closed form; so has the split of the room between underlyings.
"""

import numpy as np

from seawall.engine import faces
from seawall.engine.bands import FALL, RISE, early, height, stray_of, total_bend, total_stray
from seawall.engine.faces import LOWER, ON, STRAY_RATE, UPPER
from seawall.engine.pieces import BASE, BY_GAP, BY_PART, STAGE
from seawall.kernels.compiled import inner, once

LEAST_TAKEN = 1e-3  # of what the greediest underlying takes, for the split of a band


@inner
def reach(scratch, count, joint, cash):
    """The greatest share of the way, in [0, 1], from the band so far to the stage that
    stands, for every underlying both ways at once. The bounds at a share are linear in it, and in how much
    of the stray there is by then."""
    best, rate = 1.0, scratch.rule[STRAY_RATE]
    for i in range(count):
        _set_parts(scratch, i)
    for which in range(0, 2 * UPPER, UPPER):
        if not scratch.rule[which + ON]:
            continue
        bent = total_bend(scratch, count, which, BASE)
        for j in range(joint if which == LOWER else 1):
            left = height(scratch, count, cash, which, j, BASE) - bent
            if left < 0.0:
                return 0.0
            drop, stray = 0.0, 0.0
            for i in range(count):
                by_chord, by_stray = _losses(scratch, i, which, j)
                drop += by_chord
                stray += by_stray
            if left - stray * early(scratch.rule, best) < best * drop:
                best = left / (drop + rate * stray) if rate * (left - stray) < drop else (left - stray) / drop
                scratch.tightest[0], scratch.tightest[1] = which, j
    return best


@once
def _set_parts(scratch, i):
    """Notes what part of the stage there is from either edge of the band so far to its end."""
    ends = scratch.ends[STAGE, i]
    width = ends[RISE] - ends[FALL]
    for side in range(2):
        part = 1.0
        if scratch.rule[STRAY_RATE] < np.inf:
            part = min(1.0, abs(ends[side] - scratch.edges[i, side]) / width)
        scratch.bend[i, BY_PART + side] = part


@once
def _stray(scratch, i, side, which, gain):
    """What the strays may take on the way from one edge to its end, beyond what the chord gains meanwhile."""
    return max(0.0, scratch.bend[i, BY_PART + side] * stray_of(scratch, i, which) - gain / scratch.rule[STRAY_RATE])


@once
def _losses(scratch, i, which, j):
    """How much nearer to its line one underlying's part comes on the way to the stage, on the worse side: by
    its chord, and by strays."""
    if which == LOWER:
        here, there = scratch.lower[BASE], scratch.lower[STAGE]
        least = min(here[FALL, i, j], here[RISE, i, j])
        fall, rise = least - there[FALL, i, j], least - there[RISE, i, j]
    else:
        here, there = scratch.upper[BASE], scratch.upper[STAGE]
        most = max(here[FALL, i, 0], here[RISE, i, 0])
        fall, rise = there[FALL, i, 0] - most, there[RISE, i, 0] - most
    by_fall = _stray(scratch, i, FALL, which, max(0.0, -fall))
    by_rise = _stray(scratch, i, RISE, which, max(0.0, -rise))
    return max(0.0, fall, rise), max(by_fall, by_rise)


@once
def _advance(scratch, i, side, share, joint):
    """Takes one side of the band so far a share of the way to the stage."""
    part = early(scratch.rule, share)
    here, there = scratch.lower[BASE, side, i], scratch.lower[STAGE, side, i]
    for j in range(joint):
        fall = here[j] - there[j]
        stray = _stray(scratch, i, side, LOWER, max(0.0, -fall))
        here[j] -= share * max(0.0, fall) + scratch.bend[i, BY_GAP] + part * stray
    mine, theirs = scratch.upper[BASE, side, i], scratch.upper[STAGE, side, i]
    rise = theirs[0] - mine[0]
    mine[0] += share * max(0.0, rise) + part * _stray(scratch, i, side, UPPER, max(0.0, -rise))
    mine[1] = min(mine[1], theirs[1])
    scratch.edges[i, side] += share * (scratch.ends[STAGE, i, side] - scratch.edges[i, side])


@once
def _takes(scratch, i, which, j):
    """What one underlying takes at most of the distance to a line for each share of the way; where strays are
    there at once, besides them."""
    by_chord, by_stray = _losses(scratch, i, which, j)
    if scratch.rule[STRAY_RATE] < np.inf:
        by_chord += scratch.rule[STRAY_RATE] * by_stray
    return by_chord


@once
def _spread(scratch, count, joint, cash, share):
    """Sets shares[i], that every underlying may go of the way to the stage, where all of them may go `share`.

    One that takes d of the distance to the tightest line for its whole way is given a share of d^(-1/3): of all
    splits of that distance the one with the least expected rate of trips, Σ 1 / share². The same for all where
    that is no worse, or all may go the whole way.
    """
    shares = scratch.shares
    for i in range(count):
        shares[i] = share
    if count == 1 or share >= 1.0 or share <= 0.0:
        return
    which, j = scratch.tightest[0], scratch.tightest[1]
    most = 0.0
    for i in range(count):
        shares[i] = _takes(scratch, i, which, j)
        most = max(most, shares[i])
    for i in range(count):
        shares[i] = max(shares[i] / most, LEAST_TAKEN) ** (-1.0 / 3.0)
    scale = np.inf
    for which in range(0, 2 * UPPER, UPPER):
        if not scratch.rule[which + ON]:
            continue
        bent = total_bend(scratch, count, which, BASE)
        if scratch.rule[STRAY_RATE] == np.inf:
            bent += total_stray(scratch, count, which)
        for j in range(joint if which == LOWER else 1):
            drop = 0.0
            for i in range(count):
                drop += shares[i] * _takes(scratch, i, which, j)
            left = height(scratch, count, cash, which, j, BASE) - bent
            if left < scale * drop:
                scale = left / drop
    even, uneven = count / (share * share), 0.0
    for i in range(count):
        shares[i] = min(1.0, scale * shares[i])
        uneven += 1.0 / (shares[i] * shares[i])
    if not uneven < even:
        for i in range(count):
            shares[i] = share


@inner
def move(scratch, count, joint, cash, share):
    """Takes the band so far to the stage, every underlying both ways, where all may go a share of the way."""
    if share <= 0.0:
        return
    _spread(scratch, count, joint, cash, share)
    for i in range(count):
        for side in range(2):
            _advance(scratch, i, side, scratch.shares[i], joint)
        here, there = scratch.gap[BASE, i], scratch.gap[STAGE, i]
        for c in range(faces.GAPS):
            here[c] = max(here[c], there[c])


@inner
def extend(scratch, count, joint, cash):
    """Takes single sides of the band so far to the end of the stage wherever that costs nothing."""
    lower, upper, kept = scratch.lower[BASE], scratch.upper[BASE], scratch.kept
    sums = scratch.heights
    for j in range(joint):
        sums[j] = height(scratch, count, cash, LOWER, j, BASE)
    above = height(scratch, count, cash, UPPER, 0, BASE)
    for i in range(count):
        _set_parts(scratch, i)
        for side in range(2):
            end, edge = scratch.ends[STAGE, i, side], scratch.edges[i, side]
            if (end >= edge) if side == FALL else (end <= edge):
                continue
            for j in range(joint):
                kept[j] = lower[side, i, j]
            value, charge = upper[side, i, 0], upper[side, i, 1]
            _advance(scratch, i, side, 1.0, joint)
            stands = True
            if scratch.rule[LOWER + ON]:
                for j in range(joint):
                    other = lower[1 - side, i, j]
                    stands = stands and sums[j] + min(other, lower[side, i, j]) - min(other, kept[j]) >= 0.0
            lost = 0.0
            if scratch.rule[UPPER + ON]:
                other, owed = upper[1 - side, i, 0], upper[1 - side, i, 1]
                lost = max(other, upper[side, i, 0]) - max(other, value)
                lost += min(owed, charge) - min(owed, upper[side, i, 1])
                stands = stands and above - lost >= 0.0
            if stands:
                for j in range(joint):
                    other = lower[1 - side, i, j]
                    sums[j] += min(other, lower[side, i, j]) - min(other, kept[j])
                above -= lost
                continue
            for j in range(joint):
                lower[side, i, j] = kept[j]
            upper[side, i, 0], upper[side, i, 1] = value, charge
            scratch.edges[i, side] = edge
