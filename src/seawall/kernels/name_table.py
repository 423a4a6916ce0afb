"""An index of byte strings: an open-addressing table from a string to its number, for whole columns of strings at once.

A table is int32[a power of two], at most half full: number + 1, or 0. A search begins at the string's FNV-1a hash (64 bits,
its halves xored) and goes on slot by slot. String k is text[start[k] : start[k] + length[k]].
"""

import numpy as np

from seawall.kernels.compiled import entry, inner

__all__ = ["find_string", "put_strings"]

_BASIS = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x100000001B3)
_HALF = np.uint64(32)


@inner
def find_string(table, text, start, length, sought, at, size):
    """The number of sought[at : at + size], or −1 less the slot where it would go."""
    hashed = _BASIS
    for k in range(size):
        hashed = (hashed ^ np.uint64(sought[at + k])) * _PRIME
    mask = np.int64(table.shape[0] - 1)
    slot = np.int64(hashed ^ (hashed >> _HALF)) & mask
    while table[slot]:
        number = table[slot] - 1
        if length[number] == size:
            first = start[number]
            k = 0
            while k < size and text[first + k] == sought[at + k]:
                k += 1
            if k == size:
                return np.int64(number)
        slot = (slot + 1) & mask
    return -1 - slot


@entry
def put_strings(table, text, start, length, first, last):
    """Puts the strings first to last − 1 in; the number of one that was there already, or −1."""
    for number in range(first, last):
        slot = -1 - find_string(table, text, start, length, text, start[number], length[number])
        if slot < 0:
            return number
        table[slot] = number + 1
    return -1
