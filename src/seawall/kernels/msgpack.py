"""Reading MessagePack at an address, as far as flat arrays of integers and texts go: https://msgpack.org, the format.

Each function takes where it reads and where the data ends, and returns what comes after as its last value: −1 where
something else stands there, or the data ends before it.
"""

from seawall.kernels.compiled import inner
from seawall.kernels.memory import getu8

__all__ = ["read_array", "read_int", "read_text"]


@inner
def _big_endian(at, size):
    value = 0
    for k in range(size):
        value = value << 8 | getu8(at, k)
    return value


@inner
def read_array(at, end):
    """(number of elements, next)."""
    if at >= end:
        return 0, -1
    head = getu8(at, 0)
    if head & 0xF0 == 0x90:
        return head & 0x0F, at + 1
    if head == 0xDC and at + 3 <= end:
        return _big_endian(at + 1, 2), at + 3
    return 0, -1


@inner
def read_int(at, end):
    """(an integer that fits int64, next)."""
    if at >= end:
        return 0, -1
    head = getu8(at, 0)
    if head < 0x80:
        return head, at + 1
    if head >= 0xE0:
        return head - 0x100, at + 1
    if 0xCC <= head <= 0xCF:
        size = 1 << (head - 0xCC)
        if at + 1 + size > end:
            return 0, -1
        value = _big_endian(at + 1, size)
        return value, at + 1 + size if value >= 0 else -1
    if 0xD0 <= head <= 0xD3:
        size = 1 << (head - 0xD0)
        if at + 1 + size > end:
            return 0, -1
        value = _big_endian(at + 1, size)
        shift = 64 - 8 * size
        return value << shift >> shift, at + 1 + size
    return 0, -1


@inner
def read_text(at, end):
    """(where the text begins, its bytes, next)."""
    if at >= end:
        return 0, 0, -1
    head = getu8(at, 0)
    if head & 0xE0 == 0xA0:
        start, size = at + 1, head & 0x1F
    elif head == 0xD9 and at + 2 <= end:
        start, size = at + 2, getu8(at, 1)
    elif head == 0xDA and at + 3 <= end:
        start, size = at + 3, _big_endian(at + 1, 2)
    else:
        return 0, 0, -1
    return start, size, start + size if start + size <= end else -1
