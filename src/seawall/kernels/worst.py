"""The worst of an account's columns, of a given weight: found without ordering the others, then measured.

Only the columns near the tail are ever looked at one by one: bisection between the least and the greatest sum finds
a level that cuts off the tail and little more, by passes that only add up weights and so vectorise. A heap, which
touches each column once, was twice as slow: its branches are coin tosses. Of the few that are left, each gets the
weight of the losses above its own, by compares of all with all; where they are many, they are sorted. Equal losses
are interchangeable, so no result depends on the order of columns.
"""

import numpy as np

from seawall.kernels.compiled import inner
from seawall.kernels.fixed import MILLION, ceil_div
from seawall.kernels.masks import RANKED, weight_above

FEW = 256  # columns that are compared all with all, rather than sorted
PLACES = 20  # losses are split at 2**20 before they are weighed
LOW = (1 << PLACES) - 1


def room(columns: int) -> int:
    """Entries of an array of columns that are ranked: whole vectors."""
    return (columns // RANKED + 1) * RANKED


@inner
def _weight_below(sums, weights_ppm, cut):
    """Weight of the columns with sums <= cut: a pass without branches, which vectorises."""
    total = 0
    for s in range(weights_ppm.shape[0]):
        total += weights_ppm[s] if sums[1 + s] <= cut else 0
    return total


@inner
def _cut(sums, weights_ppm, tail_ppm, least, greatest):
    """A level at or below which lies a weight of tail_ppm at least, and of twice that at most where
    bisection finds such a one: what is left is then a few columns."""
    low = least - 1  # nothing lies there
    high = greatest
    weight = MILLION
    while weight > 2 * tail_ppm:
        middle = (low & high) + ((low ^ high) >> 1)  # of any two int64, without overflow
        if middle == low:
            break
        below = _weight_below(sums, weights_ppm, middle)
        if below >= tail_ppm:
            high = middle
            weight = below
        else:
            low = middle
    return high


@inner
def worst_of(sums, weights_ppm, tail_ppm, losses, weights):
    """The worst columns, of a weight of tail_ppm at least, in no order: how many, and the first of the very worst
    (-1: none loses).

    sums: int64[1 + S]; weights_ppm: int64[S]; losses, weights: int64[>= S + 1], filled. A loss is
    sums[0] − sums[1 + s].
    """
    columns = weights_ppm.shape[0]
    mark = sums[0]
    least = sums[1]
    greatest = sums[1]
    for s in range(columns):
        least = min(least, sums[1 + s])
        greatest = max(greatest, sums[1 + s])
    cut = _cut(sums, weights_ppm, tail_ppm, least, greatest)
    count = 0
    for s in range(columns):  # every entry is written, and kept by moving on
        losses[count] = mark - sums[1 + s]
        weights[count] = weights_ppm[s]
        count += np.int64(sums[1 + s] <= cut)
    index = -1
    if least < mark:
        index = 0
        while sums[1 + index] != least:
            index += 1
    return count, index


@inner
def _sift(losses, weights, start, count):
    """Restores the min-heap of `count` entries below entry `start`."""
    loss, weight = losses[start], weights[start]
    i = start
    while True:
        child = 2 * i + 1
        if child >= count:
            break
        if child + 1 < count and losses[child + 1] < losses[child]:
            child += 1
        if losses[child] >= loss:
            break
        losses[i] = losses[child]
        weights[i] = weights[child]
        i = child
    losses[i] = loss
    weights[i] = weight


@inner
def _sort(losses, weights, count):
    """Greatest loss first."""
    for start in range(count // 2 - 1, -1, -1):
        _sift(losses, weights, start, count)
    for last in range(count - 1, 0, -1):
        losses[0], losses[last] = losses[last], losses[0]
        weights[0], weights[last] = weights[last], weights[0]
        _sift(losses, weights, 0, last)


@inner
def rank(losses, weights, count, above):
    """above[k] = the weight of the columns that lose more than column k; many columns are put in order, worst first.

    losses, weights, above: int64[room(S)].
    """
    if count <= FEW:
        for first in range(0, count, RANKED):
            weight_above(losses, weights, count, first, above)
        return
    _sort(losses, weights, count)
    total = 0
    for k in range(count):
        alike = k > 0 and losses[k] == losses[k - 1]
        above[k] = above[k - 1] if alike else total
        total += weights[k]


@inner
def measure(losses, weights, above, count, tail_ppm, mean):
    """Of ranked columns of a weight of tail_ppm at least: the mean of the worst tail_ppm, rounded up, or the loss at
    their edge.

    Each column counts with what the worse ones leave of tail_ppm, the edge with part of its weight. Columns that lose
    alike there may count too much together, by a weight that is taken off again. Exact in int64 for losses
    below 2**61: they are split at 2**20 before they are weighed.
    """
    if not mean:
        return _edge(losses, weights, above, count, tail_ppm)
    high, low, taken = 0, 0, 0
    for k in range(count):
        weight = min(weights[k], max(tail_ppm - above[k], 0))
        high += (losses[k] >> PLACES) * weight
        low += (losses[k] & LOW) * weight
        taken += weight
    if taken > tail_ppm:
        edge = _edge(losses, weights, above, count, tail_ppm)
        high -= (edge >> PLACES) * (taken - tail_ppm)
        low -= (edge & LOW) * (taken - tail_ppm)
    return ((high // tail_ppm) << PLACES) + ceil_div(((high % tail_ppm) << PLACES) + low, tail_ppm)


@inner
def _edge(losses, weights, above, count, tail_ppm):
    """The least loss of which a part counts."""
    edge = np.iinfo(np.int64).max
    for k in range(count):
        edge = min(edge, losses[k] if weights[k] > 0 and above[k] < tail_ppm else edge)
    return edge
