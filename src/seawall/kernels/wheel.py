"""Buckets of doubly linked items along coordinates, for "tell me when this value gets there".

A coordinate (a log-price, a time, a running total) is cut into buckets; an item is filed in the
bucket whose crossing must wake it. Filing and removing are O(1) and allocate nothing; a move
walks only the buckets that it crosses. One item is in at most one bucket.
"""

from typing import NamedTuple

import numpy as np

from seawall.kernels.compiled import inner

NONE = -1
NEXT, PREV, COORDINATE, BUCKET = range(4)


class Wheel(NamedTuple):
    """heads: int32[coordinates, buckets], first item or -1; items: int32[items, 4], the next and the
    previous item or -1, and the coordinate (-1: none) and bucket that an item is filed in. One row per
    item: what filing it touches is one line of the cache."""

    heads: np.ndarray
    items: np.ndarray


def make(coordinates: int, buckets: int, items: int) -> Wheel:
    """An empty wheel."""
    return Wheel(np.full((coordinates, buckets), NONE, np.int32), np.full((items, 4), NONE, np.int32))


@inner
def remove(wheel, item):
    """Takes an item out of its bucket, if it is in one."""
    row = wheel.items[item]
    if row[COORDINATE] < 0:
        return
    after, before = row[NEXT], row[PREV]
    if before >= 0:
        wheel.items[before, NEXT] = after
    else:
        wheel.heads[row[COORDINATE], row[BUCKET]] = after
    if after >= 0:
        wheel.items[after, PREV] = before
    row[COORDINATE] = NONE


@inner
def insert(wheel, item, coordinate, bucket):
    """Files an item that is in no bucket."""
    head = wheel.heads[coordinate, bucket]
    row = wheel.items[item]
    row[NEXT] = head
    row[PREV] = NONE
    if head >= 0:
        wheel.items[head, PREV] = item
    wheel.heads[coordinate, bucket] = item
    row[COORDINATE] = coordinate
    row[BUCKET] = bucket


@inner
def drain(wheel, coordinate, first, last, out, count):
    """Takes out every item of buckets first..last (inclusive) into out[count:]; returns count."""
    for bucket in range(first, last + 1):
        item = wheel.heads[coordinate, bucket]
        if item < 0:
            continue
        wheel.heads[coordinate, bucket] = NONE
        while item >= 0:
            row = wheel.items[item]
            row[COORDINATE] = NONE
            out[count] = item
            count += 1
            item = row[NEXT]
    return count
