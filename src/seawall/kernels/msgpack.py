"""Reading MessagePack at an address, as far as flat arrays of integers and texts go: https://msgpack.org, the format.

Each function takes where it reads and where the data ends, and returns what comes after as its last value: −1 where
something else stands there, or the data ends before it.
"""

from seawall.kernels.compiled import inner
from seawall.kernels.memory import getu8

__all__ = ["read_array", "read_int", "read_text", "skip"]


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


@inner
def _body(head):
    """(bytes of a length behind a head, bytes in any case, whether the length counts elements: 1, or pairs: 2); −1 where no
    value begins so."""
    if head < 0x80 or head >= 0xE0 or head == 0xC0 or head == 0xC2 or head == 0xC3:
        return 0, 0, 0
    if head < 0x90:
        return 0, head & 0x0F, 2
    if head < 0xA0:
        return 0, head & 0x0F, 1
    if head < 0xC0:
        return 0, head & 0x1F, 0
    if 0xC4 <= head <= 0xC6:
        return 1 << (head - 0xC4), 0, 0
    if 0xD9 <= head <= 0xDB:
        return 1 << (head - 0xD9), 0, 0
    if head == 0xCA or head == 0xCE or head == 0xD2:
        return 0, 4, 0
    if head == 0xCB or head == 0xCF or head == 0xD3:
        return 0, 8, 0
    if head == 0xCC or head == 0xD0:
        return 0, 1, 0
    if head == 0xCD or head == 0xD1:
        return 0, 2, 0
    if head == 0xDC or head == 0xDD:
        return 2 << (head - 0xDC), 0, 1
    if head == 0xDE or head == 0xDF:
        return 2 << (head - 0xDE), 0, 2
    return -1, 0, 0


@inner
def skip(at, end):
    """What comes after one value of any kind but an extension."""
    left = 1
    while left > 0:
        if at >= end:
            return -1
        lengths, size, counts = _body(getu8(at, 0))
        if lengths < 0 or at + 1 + lengths > end:
            return -1
        at += 1
        if lengths:
            size = _big_endian(at, lengths)
            at += lengths
        left -= 1
        if counts:
            left += counts * size
        elif size > end - at:
            return -1
        else:
            at += size
    return at
