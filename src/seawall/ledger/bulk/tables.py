"""Finding things in compiled code: names, positions and keys, in open-addressing tables at addresses.

Names: int32 slots (number + 1, or 0), entries int64 × 2 (where the text begins, its bytes) and the texts back to back, as
`kernels/name_table.py` fills them. Positions: int64 × 2 (account × 2²⁰ + instrument, or −1 where empty; slot, or −1 where
there is none now). Keys: int64 hashes, 0 where empty: one that is found *may* have been used.
"""

from __future__ import annotations

from seawall.kernels.compiled import entry, inner
from seawall.kernels.memory import fetch, get32, get64, getu8, set64

from ..state import INSTRUMENTS_MAX
from .context import PLACES, PLACES_MASK

__all__ = ["add_keys", "add_places", "fetch_place", "hash_text", "key_place", "name_at", "place_of", "slot_at"]

_BASIS = -3750763034362895579  # 0xCBF29CE484222325
_PRIME = 0x100000001B3
_GOLDEN = -7046029254386353131  # 2**64 / golden ratio


@inner
def hash_text(at, size):
    """FNV-1a of 64 bits, as int64."""
    hashed = _BASIS
    for k in range(size):
        hashed = (hashed ^ getu8(at, k)) * _PRIME
    return hashed


@inner
def name_at(slots, mask, entries, text, at, size):
    """The number of the name of `size` bytes at `at`, −1 where there is none."""
    hashed = hash_text(at, size)
    slot = (hashed ^ (hashed >> 32 & 0xFFFFFFFF)) & mask
    while True:
        number = get32(slots, slot) - 1
        if number < 0:
            return -1
        if get64(entries, 2 * number + 1) == size:
            first = text + get64(entries, 2 * number)
            k = 0
            while k < size and getu8(first, k) == getu8(at, k):
                k += 1
            if k == size:
                return number
        slot = (slot + 1) & mask


@inner
def place_of(places, mask, key):
    """Where a position's entry is, or would be."""
    place = (key * _GOLDEN >> 20) & mask
    while True:
        found = get64(places, 2 * place)
        if found == key or found == -1:
            return place
        place = (place + 1) & mask


@inner
def fetch_place(c, row, instrument):
    """Asks for the memory where the search for a position begins."""
    key = row * INSTRUMENTS_MAX + instrument
    fetch(get64(c, PLACES), 2 * ((key * _GOLDEN >> 20) & get64(c, PLACES_MASK)))


@inner
def slot_at(c, row, instrument):
    """The slot of an account's position, −1 where it has none."""
    places = get64(c, PLACES)
    key = row * INSTRUMENTS_MAX + instrument
    place = place_of(places, get64(c, PLACES_MASK), key)
    if get64(places, 2 * place) == key:
        return get64(places, 2 * place + 1)
    return -1


@inner
def key_place(keys, mask, hashed):
    """Where a key's hash is, or would be."""
    place = (hashed >> 7) & mask
    while get64(keys, place) != 0 and get64(keys, place) != hashed:
        place = (place + 1) & mask
    return place


@entry
def add_places(places, mask, keys, slots):
    """Enters positions, keys int64[n] and slots int64[n]; returns how many keys are new."""
    new = 0
    for k in range(keys.shape[0]):
        place = place_of(places, mask, keys[k])
        new += get64(places, 2 * place) == -1
        set64(places, 2 * place, keys[k])
        set64(places, 2 * place + 1, slots[k])
    return new


@entry
def add_keys(keys, mask, text, start, size):
    """Enters the hashes of the texts at text + start int64[n], of size int64[n] bytes; returns how many are new."""
    new = 0
    for k in range(start.shape[0]):
        hashed = hash_text(text + start[k], size[k]) | 1
        place = key_place(keys, mask, hashed)
        new += get64(keys, place) == 0
        set64(keys, place, hashed)
    return new
