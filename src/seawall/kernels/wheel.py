"""Buckets of doubly linked items along coordinates, for "tell me when this value gets there".

A coordinate (a log-price, a time, a running total) is cut into buckets; an item is filed in the
bucket whose crossing must wake it. Filing and removing are O(1) and allocate nothing; a move
walks only the buckets that it crosses. One item is in at most one bucket.
"""

from typing import NamedTuple

import numpy as np

from seawall.kernels.compiled import inner

NONE = -1
NEXT, PREV = 0, 1


class Wheel(NamedTuple):
    """heads: int32[coordinates, buckets], first item or -1; links: int32[items, 2], the next and
    the previous item or -1; place: int64[items], the flat bucket an item is filed in or -1."""

    heads: np.ndarray
    links: np.ndarray
    place: np.ndarray


def make(coordinates: int, buckets: int, items: int) -> Wheel:
    """An empty wheel."""
    return Wheel(
        np.full((coordinates, buckets), NONE, np.int32),
        np.full((items, 2), NONE, np.int32),
        np.full(items, NONE, np.int64),
    )


@inner
def remove(wheel, item):
    """Takes an item out of its bucket, if it is in one."""
    place = wheel.place[item]
    if place < 0:
        return
    after, before = wheel.links[item, NEXT], wheel.links[item, PREV]
    if before >= 0:
        wheel.links[before, NEXT] = after
    else:
        width = wheel.heads.shape[1]
        wheel.heads[place // width, place % width] = after
    if after >= 0:
        wheel.links[after, PREV] = before
    wheel.place[item] = NONE


@inner
def insert(wheel, item, coordinate, bucket):
    """Files an item that is in no bucket."""
    head = wheel.heads[coordinate, bucket]
    wheel.links[item, NEXT] = head
    wheel.links[item, PREV] = NONE
    if head >= 0:
        wheel.links[head, PREV] = item
    wheel.heads[coordinate, bucket] = item
    wheel.place[item] = np.int64(coordinate) * wheel.heads.shape[1] + bucket


@inner
def drain(wheel, coordinate, first, last, out, count):
    """Takes out every item of buckets first..last (inclusive) into out[count:]; returns count."""
    for bucket in range(first, last + 1):
        item = wheel.heads[coordinate, bucket]
        while item >= 0:
            after = wheel.links[item, NEXT]
            wheel.place[item] = NONE
            out[count] = item
            count += 1
            item = after
        wheel.heads[coordinate, bucket] = NONE
    return count
