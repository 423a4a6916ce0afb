"""Recorded events into a ledger, by the hundred thousand a second: compiled code does what happens all the time.

`BulkFold.apply` leaves the ledger exactly as `Ledger.apply` would, event by event: the same integers, the same
receipts of keys, the same hash. Whatever the compiled fold does not know, or what might be refused, it hands to
`Ledger.apply`, which decides. Between two calls the State is whole and may be read; it may be written to by nobody else.
"""

from __future__ import annotations

import gc
from array import array
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from seawall.core.errors import InputError, invariant

from ..events import Posting, Receipt, decode
from ..ledger import Ledger
from ..state import INSTRUMENTS_MAX, NOBODY, State
from . import context as ctx
from .events import fold
from .tables import add_keys, add_names, add_places

__all__ = ["BulkFold", "receipt_of"]

Array = np.ndarray[Any, Any]
_CHUNK = 8_192  # records a call of the compiled fold
_SPARE = 2 * _CHUNK  # positions that so many may open
_BEYOND = 8  # bytes behind texts that are read word by word
_KNOWN = frozenset((b"deposit", b"withdraw", b"transfer", b"charge", b"cover", b"trade", b"settle"))
_COLUMNS = (
    (ctx.KIND, "kind"), (ctx.STATE, "state"), (ctx.PARENT, "parent"), (ctx.ONLY, "only"), (ctx.HEAD, "head"),
    (ctx.HOLDER, "holder"), (ctx.HELD, "held"), (ctx.NEXT, "next"), (ctx.BEFORE, "before"),
    (ctx.LOTS, "lots"), (ctx.COST, "cost"), (ctx.SINCE, "since_pico"), (ctx.FREE, "free"),
    (ctx.INDEX, "index_pico"), (ctx.EXPIRY, "expiry_nano"),
    (ctx.FUNDING_DUST, "funding_dust"), (ctx.EXPIRY_DUST, "expiry_dust"),
    (ctx.BORROW, "borrow_index"), (ctx.SUPPLY, "supply_index"), (ctx.INTEREST_DUST, "interest_dust"),
)  # fmt: skip
_ROWS = (
    (ctx.OUTSIDE, "outside"), (ctx.ROUNDING, "rounding"), (ctx.FUNDING_ROW, "funding"),
    (ctx.INTEREST_ROW, "interest"), (ctx.EXPIRY_ROW, "expiry"),
)  # fmt: skip
_SLOT_COLUMNS = ("held", "next", "before", "lots", "cost", "since_pico")


class BulkFold:
    """Applies encoded events (`events.encode`) to a ledger, which meanwhile nobody else applies anything to.

    by_hand: how many events were left to `Ledger.apply`. keep: hears, instead of the ledger, which events had a key:
    int64[n, 4], rows (number in the call of `apply`, its first line, the line behind its last, sequence), and the lines, int64[m,
    5], which `receipt_of` makes a receipt of; then the ledger itself remembers none.
    """

    def __init__(self, ledger: Ledger, keep: Callable[[Array, Array], object] | None = None) -> None:
        self.by_hand = 0
        self._kept = keep
        self._ledger, self._state = ledger, ledger._state
        self._c = array("q", bytes(8 * len(ctx.NAMES)))
        self._buffers: dict[int, Array] = {}
        for number, size in (
            (ctx.UNDO, 2 * ctx.UNDO_MAX), (ctx.LINES, ctx.LINE_WIDTH * ctx.LINES_MAX), (ctx.KEYED, 4 * ctx.KEYED_MAX),
            (ctx.MADE, ctx.SCRATCH_MAX), (ctx.EMPTIED, ctx.SCRATCH_MAX), (ctx.SORTED, ctx.SCRATCH_MAX), (ctx.BLOCK, ctx.BLOCK_EVENTS * ctx.BLOCK_WIDTH),
        ):  # fmt: skip
            self._keep(number, np.zeros(size, np.int64))
        for number, name in _ROWS:
            self._c[number] = self._state.rows[name]
        self._accounts, self._assets, self._instruments = (_Names() for _ in range(3))
        self._list()
        self._last_key = ""
        self._make_keys()
        self._make_places()
        self._sequence = self._state.sequence

    def apply(self, records: Sequence[bytes], other: Callable[[int], object] | None = None) -> None:
        """Applies the records in order. An event that is refused raises as `Ledger.apply` does; those before it are
        applied then, and none after it.

        other: applies record k by hand (None: `Ledger.apply` of what it decodes to). It hears of each record that is not
        done here, and may be given records that are no ledger events.
        """
        self.apply_packed(b"".join(records), np.fromiter(map(len, records), np.int64, len(records)), other)

    def apply_packed(self, data: bytes | memoryview, sizes: Array, other: Callable[[int], object] | None = None) -> None:
        """`apply` of records that stand back to back in `data`, of sizes int64[n] bytes each."""
        ends = np.cumsum(sizes)
        starts = np.concatenate([[0], ends]).astype(np.int64)
        if starts[-1] != len(data) or (len(sizes) and sizes.min() < 0):
            raise InputError("records", f"{len(data):,} bytes", f"{int(starts[-1]):,}, what their sizes add up to")
        if self._state.sequence != self._sequence:
            self._make_places()  # events were applied otherwise since the last call
        collecting = gc.isenabled()
        gc.disable()  # receipts stay, and hold no cycles: looking through them again and again took a third of the time
        try:
            for first in range(0, len(sizes), _CHUNK):
                edges = starts[first : first + _CHUNK + 1]
                self._apply_chunk(bytes(data[edges[0] : edges[-1]]), edges - edges[0], first, other)
        finally:
            if collecting:
                gc.enable()
            if self._state.moved:
                self._place(np.unique(np.array(self._state.moved, np.int64)))
            self._state.moved, self._sequence = None, self._state.sequence

    def _apply_chunk(self, data: bytes, starts: Array, before: int, other: Callable[[int], object] | None) -> None:
        count = len(starts) - 1
        text = np.frombuffer(data + bytes(_BEYOND), np.uint8)
        places = starts + text.ctypes.data
        self._data, self._starts, self._before = data, starts.tolist(), before
        done, grown = 0, -1
        while done < count:
            self._prepare()
            done = fold(self._c.buffer_info()[0], places.ctypes.data, done, count)
            self._collect()
            if done == count:
                return
            if self._c[ctx.FAILED] == ctx.NO_ROOM and grown != done:
                self._make_places()
                self._make_keys()
                grown = done
                continue
            while True:  # mostly they come in rows: openings, premiums
                if other is None:
                    self._ledger.apply(decode(self._record(done)))
                else:
                    other(before + done)
                self.by_hand += 1
                done += 1
                if done == count or _tag(self._record(done)) in _KNOWN:
                    break

    def _record(self, k: int) -> bytes:
        return self._data[self._starts[k] : self._starts[k + 1]]

    # ------------------------------------------------------------------------- before and after a call

    def _prepare(self) -> None:
        """Brings tables and addresses up to what Python did since the last call."""
        state, c = self._state, self._c
        if len(state.names) > self._accounts.count:
            self._accounts.add(state.names)
            self._accounts.show(c, ctx.ACCOUNT_SLOTS)
        if len(state.assets) + len(state.instruments) > self._assets.count + self._instruments.count:
            self._assets.add([listing.asset for listing in state.assets])
            self._instruments.add([listing.instrument for listing in state.instruments])
            self._list()
        if state.moved:
            self._place(np.unique(np.array(state.moved, np.int64)))
        state.moved = None
        if state._order and state._order[-1] != self._last_key:
            self._enter_new_keys()
        if state.free_count < _SPARE:
            _add_slots(state, max(2 * _SPARE, len(state.lots) // 8))
        room = state.free_count + _SPARE + 2 * ctx.SCRATCH_MAX - len(state.free)
        if room > 0:
            state.free.frombytes(bytes(4 * room))
        if 5 * (c[ctx.PLACES_COUNT] + _SPARE) > 3 * c[ctx.PLACES_MASK]:
            self._make_places()
        for number, name in _COLUMNS:
            c[number] = getattr(state, name).buffer_info()[0]
        for addresses, columns in ((self._balances, state.balance), (self._marks, state.mark)):
            for asset, column in enumerate(columns):
                addresses[asset] = column.buffer_info()[0]
        c[ctx.FREE_COUNT], c[ctx.FREE_MAX] = state.free_count, len(state.free)
        c[ctx.AT_NS], c[ctx.SEQUENCE] = state.at_ns, state.sequence
        c[ctx.LINES_COUNT] = c[ctx.KEYED_COUNT] = c[ctx.CHANGED] = 0

    def _collect(self) -> None:
        """Brings the State up to what the compiled fold did."""
        state, c = self._state, self._c
        if any(self._money) or any(self._held):
            invariant(False, "the postings of an event sum to zero", f"{list(self._money)}, {list(self._held)}")
        state.at_ns, state.sequence, state.free_count = c[ctx.AT_NS], c[ctx.SEQUENCE], c[ctx.FREE_COUNT]
        if c[ctx.CHANGED]:
            state.forget_slots()
        state.moved = []
        count = c[ctx.KEYED_COUNT]
        if count:
            lines = self._buffers[ctx.LINES][: ctx.LINE_WIDTH * c[ctx.LINES_COUNT]].reshape(-1, ctx.LINE_WIDTH)
            keyed = self._buffers[ctx.KEYED][: 4 * count].reshape(-1, 4)
            if self._kept is not None:
                keyed = keyed.copy()
                keyed[:, 0] += self._before
                self._kept(keyed, lines.copy())
                return
            postings = receipt_of(state, 0, lines.tolist()).postings
            data, starts, remember = self._data, self._starts, state.remember
            for record, first, last, sequence in keyed.tolist():
                event = decode(data[starts[record] : starts[record + 1]])
                remember(event, Receipt(sequence, tuple(postings[first:last])))
            self._last_key = state._order[-1]
        if state.receipts:
            state.forget(state.at_ns - self._ledger._keys_ns)

    # ---------------------------------------------------------------------------------------- tables

    def _keep(self, number: int, values: Array) -> None:
        """An array whose address the context carries."""
        self._buffers[number] = values
        self._c[number] = values.ctypes.data

    def _list(self) -> None:
        """The tables of assets and instruments."""
        state, c = self._state, self._c
        self._assets.show(c, ctx.ASSET_SLOTS)
        self._instruments.show(c, ctx.INSTRUMENT_SLOTS)
        c[ctx.ASSETS], c[ctx.INSTRUMENTS] = len(state.assets), len(state.instruments)
        order = sorted(range(len(state.instruments)), key=lambda number: state.instruments[number].instrument)
        rank = {number: place for place, number in enumerate(order)}
        terms = np.zeros((len(order), ctx.TERMS_WIDTH), np.int64)
        for number, (listing, (asset, _, _, entered, nano, pico)) in enumerate(zip(state.instruments, state.terms)):
            base = state.asset_of[listing.base] if listing.base else NOBODY
            terms[number] = asset, entered, nano, pico, base, listing.lot_units, rank[number], 0
        self._keep(ctx.TERMS, terms)
        self._keep(ctx.BORROWABLE, np.array([listing.borrowable for listing in state.assets], np.int64))
        self._keep(ctx.BY_NAME, np.array(state.by_name, np.int64))
        # these few are read and written from Python at every call, which an array does ten times as fast as NumPy
        self._money, self._held = (array("q", bytes(8 * len(each))) for each in (state.assets, state.instruments))
        self._balances, self._marks = (array("q", bytes(8 * max(1, len(state.assets)))) for _ in range(2))
        for number, values in (
            (ctx.MONEY, self._money), (ctx.HELD_LOTS, self._held), (ctx.BALANCE, self._balances), (ctx.MARK, self._marks)
        ):  # fmt: skip
            c[number] = values.buffer_info()[0]

    def _make_places(self) -> None:
        """Where all positions are, with room for twice as many."""
        state = self._state
        holder, held = np.array(state.holder, np.int64), np.array(state.held, np.int64)
        live = np.flatnonzero(holder != NOBODY)
        wanted = max(4 * (len(live) + _SPARE), 8 * len(state.names))  # each time it grows, all are entered again
        size = 1 << (wanted - 1).bit_length()
        places = np.full(2 * size, NOBODY, np.int64)
        self._keep(ctx.PLACES, places)
        self._c[ctx.PLACES_MASK] = size - 1
        self._c[ctx.PLACES_COUNT] = add_places(places.ctypes.data, size - 1, holder[live] * INSTRUMENTS_MAX + held[live], live)

    def _place(self, keys: Array) -> None:
        slots = [self._state.slot(*divmod(key, INSTRUMENTS_MAX)) for key in keys.tolist()]
        c = self._c
        c[ctx.PLACES_COUNT] += add_places(c[ctx.PLACES], c[ctx.PLACES_MASK], keys, np.array(slots, np.int64))

    def _make_keys(self) -> None:
        """Hashes of all keys that are remembered, with room for as many again and those of a call."""
        order = self._state._order
        size = 1 << (4 * (len(order) + ctx.KEYED_MAX) - 1).bit_length()
        self._keep(ctx.KEYS, np.zeros(size, np.int64))
        self._c[ctx.KEYS_MASK], self._c[ctx.KEYS_COUNT] = size - 1, 0
        self._enter(list(order))

    def _enter_new_keys(self) -> None:
        """Keys of events that were applied by hand."""
        order, new = self._state._order, []
        for key in reversed(order):
            if key == self._last_key:
                break
            new.append(key)
        if new:
            self._enter(new)

    def _enter(self, keys: list[str]) -> None:
        if self._state._order:
            self._last_key = self._state._order[-1]
        texts = [key.encode() for key in keys]
        data = np.frombuffer(b"".join(texts) or b"\0", np.uint8)
        size = np.fromiter(map(len, texts), np.int64, len(texts))
        c = self._c
        c[ctx.KEYS_COUNT] += add_keys(
            c[ctx.KEYS], c[ctx.KEYS_MASK], data.ctypes.data, np.cumsum(size) - size, size
        )


def receipt_of(state: State, sequence: int, lines: list[list[int]]) -> Receipt:
    """The receipt of an event that had these lines (`context.LINE_WIDTH`)."""
    names, assets, terms = state.names, state.assets, state.terms
    made = []
    for row, part, unit, amount, instrument in lines:
        if part == ctx.BALANCE_PART:
            made.append(Posting(names[row], "balance", assets[unit].asset, amount))
        elif part == ctx.COST_PART:
            made.append(Posting(names[row], "cost", assets[unit].asset, amount, terms[instrument][1]))
        else:
            made.append(Posting(names[row], "lots", terms[instrument][1], amount, terms[instrument][1]))
    return Receipt(sequence, tuple(made))


class _Names:
    """A growing table of names, as `tables.name_at` reads it."""

    def __init__(self) -> None:
        self.count = self.used = 0
        self.slots = np.zeros(16, np.int32)
        self.entries = np.zeros((8, 4), np.int64)
        self.starts, self.sizes = np.zeros(8, np.int64), np.zeros(8, np.int64)
        self.text = np.zeros(64, np.uint8)

    def add(self, names: Sequence[str]) -> None:
        """Takes in the names from number `count` on."""
        first, last = self.count, len(names)
        if last == first:
            return
        texts = [name.encode() for name in names[first:]]
        sizes = np.fromiter(map(len, texts), np.int64, last - first)
        ends = self.used + np.cumsum(sizes)
        used = int(ends[-1])
        self.text = _grown(self.text, used + _BEYOND)
        self.text[self.used : used] = np.frombuffer(b"".join(texts), np.uint8)
        self.entries, self.starts, self.sizes = (_grown(each, last) for each in (self.entries, self.starts, self.sizes))
        self.starts[first:last], self.sizes[first:last] = ends - sizes, sizes
        self.count, self.used = last, used
        if 2 * last > len(self.slots):
            self.slots = np.zeros(1 << (4 * last - 1).bit_length(), np.int32)
            first = 0
        slots, entries, text = (each.ctypes.data for each in (self.slots, self.entries, self.text))
        twice = add_names(slots, len(self.slots) - 1, entries, text, self.starts, self.sizes, first, last)
        invariant(twice < 0, "names are there once", names[twice])

    def show(self, c: array[int], first: int) -> None:
        """Puts the addresses into the context, from number `first` on."""
        c[first], c[first + 2], c[first + 3] = (each.ctypes.data for each in (self.slots, self.entries, self.text))
        c[first + 1] = len(self.slots) - 1


def _grown(values: Array, count: int) -> Array:
    if count <= len(values):
        return values
    larger = np.zeros((max(count, 2 * len(values)), *values.shape[1:]), values.dtype)
    larger[: len(values)] = values
    return larger


def _add_slots(state: State, count: int) -> None:
    """So many more slots without a position."""
    first = len(state.lots)
    for name in _SLOT_COLUMNS:
        column = getattr(state, name)
        column.frombytes(bytes(column.itemsize * count))
    state.holder.frombytes(np.full(count, NOBODY, np.int32).tobytes())
    del state.free[state.free_count :]
    state.free.frombytes(np.arange(first + count - 1, first - 1, -1, dtype=np.int32).tobytes())
    state.free_count += count


def _tag(record: bytes) -> bytes:
    """The tag of a record that is an event, anything else for one that is none."""
    return record[2 : 2 + (record[1] & 0x1F)] if len(record) > 2 else b""
