"""Events out of the envelopes that a journal keeps them in, in compiled code: [family, writer, key, event(, facts)].

Ledger events are copied back to back, as `BulkFold` takes them, each with its envelope's key, which is "writer/key", in the
place of its own, which is empty. Of every record a table says where its parts stand; what cannot be taken apart here has
the family −1, and is for who reads records one by one.
"""

from __future__ import annotations

from seawall.kernels.compiled import entry, inner
from seawall.kernels.memory import get64, getu8, set64, setu8
from seawall.kernels.msgpack import read_array, read_int, read_text, skip

__all__ = ["AT_NS", "EVENT_FAMILY", "FACTS", "FACTS_END", "FAMILY", "KEY", "KEY_SIZE", "PLACE", "WIDTH", "unwrap"]

FAMILY, AT_NS, FACTS, FACTS_END, KEY, KEY_SIZE, PLACE, WIDTH = range(8)
"""Columns of the table. AT_NS: of the event, −1 where it is no array that begins with tag and time. FACTS: where facts begin, 0
where there are none; KEY: where the key stands among the copied events, of KEY_SIZE bytes, 0 where there is none; PLACE: the
number among the copied events."""
EVENT_FAMILY = 1


@inner
def _copy(source, size, target):
    k = 0
    while k + 8 <= size:
        set64(target + k, 0, get64(source + k, 0))
        k += 8
    while k < size:
        setu8(target + k, 0, getu8(source, k))
        k += 1


@inner
def _put_text_head(target, size):
    if size < 32:
        setu8(target, 0, 0xA0 | size)
        return target + 1
    if size < 256:
        setu8(target, 0, 0xD9)
        setu8(target, 1, size)
        return target + 2
    setu8(target, 0, 0xDA)
    setu8(target, 1, size >> 8)
    setu8(target, 2, size & 0xFF)
    return target + 3


@inner
def _split(at, end, row):
    """Reads an envelope: (where the event begins and ends, writer, its bytes, key, its bytes), or −1 and the rest 0."""
    none = (-1, 0, 0, 0, 0, 0)
    count, at = read_array(at, end)
    if at == -1 or count < 4 or count > 5:
        return none
    family, at = read_int(at, end)
    if at == -1:
        return none
    writer, writer_size, at = read_text(at, end)
    if at == -1:
        return none
    key, key_size, at = read_text(at, end)
    if at == -1 or key_size > 0xF000 or writer_size > 0xF00:
        return none
    event_end = end
    if count == 5:
        event_end = skip(at, end)
        if event_end == -1:
            return none
        set64(row, FACTS_END, end)
        set64(row, FACTS, event_end)
    set64(row, FAMILY, family)
    return at, event_end, writer, writer_size, key, key_size


@inner
def _time(at, end):
    """(time of an event that is an array of tag, time, and more, where what follows begins), −1 where it is none."""
    count, at = read_array(at, end)
    if at == -1 or count < 2:
        return -1, -1
    _, _, at = read_text(at, end)
    if at == -1:
        return -1, -1
    at_ns, at = read_int(at, end)
    return (at_ns, at) if at != -1 else (-1, -1)


@entry
def unwrap(text, starts, events, table, ends):
    """Takes apart records k from text + starts[k] to the next; returns how many ledger events it copied to `events`, the
    k-th of them ending at ends[k + 1]."""
    copied, target = 0, events
    for k in range(len(starts) - 1):
        row = table + 8 * WIDTH * k
        set64(row, FAMILY, -1)
        set64(row, AT_NS, -1)
        set64(row, PLACE, -1)
        at, end, writer, writer_size, key, key_size = _split(text + starts[k], text + starts[k + 1], row)
        if at == -1:
            continue
        if get64(row, FACTS) != 0:
            set64(row, FACTS, get64(row, FACTS) - text)
            set64(row, FACTS_END, get64(row, FACTS_END) - text)
        at_ns, rest = _time(at, end)
        set64(row, AT_NS, at_ns)
        if get64(row, FAMILY) != EVENT_FAMILY:
            continue
        if rest == -1 or rest >= end or getu8(rest, 0) != 0xA0:
            set64(row, FAMILY, -1)
            continue
        set64(row, PLACE, copied)
        if key_size:
            _copy(at, rest - at, target)
            size = writer_size + 1 + key_size
            place = _put_text_head(target + (rest - at), size)
            set64(row, KEY, place - events)
            set64(row, KEY_SIZE, size)
            _copy(writer, writer_size, place)
            setu8(place + writer_size, 0, 0x2F)
            _copy(key, key_size, place + writer_size + 1)
            place += size
            _copy(rest + 1, end - rest - 1, place)
            target = place + (end - rest - 1)
        else:
            _copy(at, end - at, target)
            target += end - at
        copied += 1
        ends[copied] = target - events
    return copied
