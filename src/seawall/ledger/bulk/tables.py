"""Finding things in compiled code: names, positions and keys, in open-addressing tables at addresses.

Names: int32 slots (number + 1, or 0), entries int64 × 4 (bytes of the text | where it begins << 16, and its first three
words, so that most are compared in one cache line) and the texts back to back. Texts are read word by word, up to seven bytes
beyond their end, which there must be. Positions: int64 × 2 (account × 2²⁰ + instrument, or −1 where empty; slot, or −1 where
there is none now). Keys: int64 hashes, 0 where empty: one that is found *may* have been used.
"""

from __future__ import annotations

from seawall.kernels.compiled import entry, inner
from seawall.kernels.memory import fetch, get32, get64, getu8, set32, set64, word_at

from .constants import INSTRUMENTS_MAX
from .context import PLACES, PLACES_MASK

__all__ = [
    "add_keys",
    "add_names",
    "add_places",
    "fetch_place",
    "hash_name",
    "hash_text",
    "key_place",
    "name_at",
    "place_of",
    "slot_at",
]

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
def _word(at, size, k):
    """The k-th eight bytes of a text, zeros behind its end."""
    word, left = word_at(at + 8 * k), size - 8 * k
    return word if left >= 8 else word & ((1 << 8 * left) - 1)


@inner
def hash_name(at, size):
    """A hash of a text's words."""
    hashed = size
    for k in range((size + 7) >> 3):
        hashed = (hashed ^ _word(at, size, k)) * _GOLDEN
        hashed ^= hashed >> 29
    return hashed


@inner
def name_at(slots, mask, entries, text, at, size, hashed):
    """The number of the name of `size` bytes at `at`; where there is none, −1 less the slot where it would go."""
    slot = hashed & mask
    words = (size + 7) >> 3
    while True:
        number = get32(slots, slot) - 1
        if number < 0:
            return -1 - slot
        head = get64(entries, 4 * number)
        if head & 0xFFFF == size:
            k = 0
            while k < words and k < 3 and get64(entries, 4 * number + 1 + k) == _word(at, size, k):
                k += 1
            while 3 <= k < words and _word(text + (head >> 16), size, k) == _word(at, size, k):
                k += 1
            if k == words:
                return number
        slot = (slot + 1) & mask


@entry
def add_names(slots, mask, entries, text, starts, sizes, first, last):
    """Enters the names first to last − 1, name k of sizes[k] bytes at text + starts[k]; the number of one that was there
    already, or −1."""
    for number in range(first, last):
        at, size = text + starts[number], sizes[number]
        set64(entries, 4 * number, starts[number] << 16 | size)
        for k in range(3):
            set64(entries, 4 * number + 1 + k, _word(at, size, k) if 8 * k < size else 0)
        slot = -1 - name_at(slots, mask, entries, text, at, size, hash_name(at, size))
        if slot < 0:
            return number
        set32(slots, slot, number + 1)
    return -1


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
        if k + 16 < keys.shape[0]:
            fetch(places, 2 * ((keys[k + 16] * _GOLDEN >> 20) & mask))
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
