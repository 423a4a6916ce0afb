"""What the compiled fold works on: one int64 array of addresses, sizes and counters, by the numbers below.

Addresses are those of the State's columns, of small tables of the venue (`session.py` makes them) and of buffers. Python
refreshes them before each call, because columns move when they grow; the kernel writes the counters.
"""

from __future__ import annotations

__all__ = ["NAMES"]

NAMES = (
    # columns of State, by account, position, instrument, asset
    "KIND", "STATE", "PARENT", "ONLY", "HEAD",
    "HOLDER", "HELD", "NEXT", "BEFORE", "LOTS", "COST", "SINCE", "FREE",
    "INDEX", "EXPIRY", "FUNDING_DUST", "EXPIRY_DUST",
    "BORROW", "SUPPLY", "INTEREST_DUST", "BALANCE", "MARK",
    # tables of the venue: by instrument (see TERMS_WIDTH), whether an asset may be borrowed, assets by name
    "TERMS", "BORROWABLE", "BY_NAME", "ASSETS", "INSTRUMENTS",
    # rows of the accounts that every ledger has
    "OUTSIDE", "ROUNDING", "FUNDING_ROW", "INTEREST_ROW", "EXPIRY_ROW",
    # where names and positions are found
    "ACCOUNT_SLOTS", "ACCOUNT_MASK", "ACCOUNT_ENTRIES", "ACCOUNT_TEXT",
    "ASSET_SLOTS", "ASSET_MASK", "ASSET_ENTRIES", "ASSET_TEXT",
    "INSTRUMENT_SLOTS", "INSTRUMENT_MASK", "INSTRUMENT_ENTRIES", "INSTRUMENT_TEXT",
    "PLACES", "PLACES_MASK", "PLACES_COUNT", "KEYS", "KEYS_MASK", "KEYS_COUNT",
    # sums of an event's lines by asset and by instrument, which must come to zero
    "MONEY", "HELD_LOTS",
    # buffers: what stood before, lines, positions made and emptied, sorted positions, events read ahead, events with a key
    "UNDO", "UNDO_COUNT", "LINES", "LINES_COUNT", "LINES_AT",
    "MADE", "MADE_COUNT", "EMPTIED", "EMPTIED_COUNT", "SORTED", "BLOCK", "KEYED", "KEYED_COUNT",
    # state
    "FREE_COUNT", "FREE_MAX", "AT_NS", "SEQUENCE", "CHANGED", "FAILED",
    # of the event that is being applied
    "KEY_SIZE",
)  # fmt: skip
"""Each name is an index of the context; `N` gives it."""

UNDO_MAX, LINES_MAX, SCRATCH_MAX, KEYED_MAX = 1 << 16, 1 << 17, 1 << 10, 1 << 13
"""Entries of the buffers; a larger event is left to `Ledger.apply`."""
LINE_WIDTH = 5
"""Of a line: account, part, asset or instrument, amount, instrument."""
TERMS_WIDTH = 8
"""Of an instrument: settlement asset, whether a fill's cash is cost, nano and pico in a unit, base asset, units per lot of
spot, rank of its symbol, 0."""
BLOCK_EVENTS, BLOCK_WIDTH = 24, 16
"""Events are read so many ahead, and memory that they will need is asked for. Of each: code, time, size and hash of its
key, three unused, then its fields from number 8 on."""
BALANCE_PART, COST_PART, LOTS_PART = range(3)
IMPOSSIBLE, NO_ROOM = 1, 2
"""FAILED: the event is for `Ledger.apply`, which says why; a table or buffer must grow first."""

(
    KIND, STATE, PARENT, ONLY, HEAD,
    HOLDER, HELD, NEXT, BEFORE, LOTS, COST, SINCE, FREE,
    INDEX, EXPIRY, FUNDING_DUST, EXPIRY_DUST,
    BORROW, SUPPLY, INTEREST_DUST, BALANCE, MARK,
    TERMS, BORROWABLE, BY_NAME, ASSETS, INSTRUMENTS,
    OUTSIDE, ROUNDING, FUNDING_ROW, INTEREST_ROW, EXPIRY_ROW,
    ACCOUNT_SLOTS, ACCOUNT_MASK, ACCOUNT_ENTRIES, ACCOUNT_TEXT,
    ASSET_SLOTS, ASSET_MASK, ASSET_ENTRIES, ASSET_TEXT,
    INSTRUMENT_SLOTS, INSTRUMENT_MASK, INSTRUMENT_ENTRIES, INSTRUMENT_TEXT,
    PLACES, PLACES_MASK, PLACES_COUNT, KEYS, KEYS_MASK, KEYS_COUNT,
    MONEY, HELD_LOTS,
    UNDO, UNDO_COUNT, LINES, LINES_COUNT, LINES_AT,
    MADE, MADE_COUNT, EMPTIED, EMPTIED_COUNT, SORTED, BLOCK, KEYED, KEYED_COUNT,
    FREE_COUNT, FREE_MAX, AT_NS, SEQUENCE, CHANGED, FAILED,
    KEY_SIZE,
) = range(len(NAMES))  # fmt: skip
