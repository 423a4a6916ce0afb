"""The ledger's state: columns of int64, one row per account, asset, instrument or position, and a way back.

No Python object per balance or position: columns are `array("q")`, which NumPy reads without a copy and which
refuse what does not fit int64. Every overwrite goes through `put`, which notes what stood there, so that an
event refused half-way is undone. Row numbers mean nothing outside: names do.
"""

from __future__ import annotations

from array import array
from collections import deque

from .chart import ACTIVE, CLOSED, GENESIS
from .events import LedgerEvent, ListAsset, ListInstrument, Receipt

__all__ = ["INSTRUMENTS_MAX", "NOBODY", "State", "Terms"]

INSTRUMENTS_MAX = 2**20
NOBODY = -1
Terms = tuple[int, str, str, bool, int, int]
"""Of an instrument: the asset it is settled in, its name and that asset's, whether a fill's cash goes to the
position's cost, and how many nano and how many pico make a unit of the asset."""


class State:
    """All of it. Columns by account: kind, state, parent, only (the one instrument of a bucket), children (its open
    buckets), head (its first position). By asset, then account: balance, mark (the interest index it was settled at).

    slot_of finds positions of all accounts, or where `filed` is a set, of those in it. moved, where it is a list, hears
    which positions come and go. The first free_count of free are slots without a position.
    """

    def __init__(self) -> None:
        self.at_ns = 0
        self.sequence = 0
        self.receipts: dict[str, tuple[LedgerEvent, Receipt]] = {}
        self._order: deque[str] = deque()
        self._undo: list[tuple[array[int], int, int]] = []
        self.note = self._undo.append
        self._made: list[int] = []
        self._emptied: list[int] = []

        self.names: list[str] = []
        self.rows: dict[str, int] = {}
        self.kind, self.state = array("b"), array("b")
        self.parent, self.only, self.children, self.head = (array("i") for _ in range(4))

        self.assets: list[ListAsset] = []
        self.asset_of: dict[str, int] = {}
        self.by_name: list[int] = []
        self.balance: list[array[int]] = []
        self.mark: list[array[int]] = []
        self.borrow_index, self.supply_index, self.accrued_ns, self.interest_dust = (array("q") for _ in range(4))

        self.instruments: list[ListInstrument] = []
        self.instrument_of: dict[str, int] = {}
        self.settled_in: list[int] = []
        self.terms: list[Terms] = []
        self.index_pico, self.premium_sum, self.premium_count, self.interval = (array("q") for _ in range(4))
        self.expiry_nano, self.funding_dust, self.expiry_dust = (array("q") for _ in range(3))

        self.slot_of: dict[int, int] = {}
        self.filed: set[int] | None = None
        self.moved: list[int] | None = None
        self.free, self.free_count = array("i"), 0
        self.holder, self.held, self.next, self.before = (array("i") for _ in range(4))
        self.lots, self.cost, self.since_pico = (array("q") for _ in range(3))
        for name, kind in GENESIS:
            self.add_account(name, kind)

    def add_account(self, name: str, kind: int, parent: int = NOBODY, only: int = NOBODY) -> int:
        """A new row; nothing after it in an event may fail."""
        row = len(self.names)
        self.names.append(name)
        self.rows[name] = row
        self.kind.append(kind)
        self.state.append(ACTIVE)
        self.parent.append(parent)
        self.only.append(only)
        self.children.append(0)
        self.head.append(NOBODY)
        for columns in (self.balance, self.mark):
            for column in columns:
                column.append(0)
        if parent != NOBODY:
            self.children[parent] += 1
        return row

    def add_asset(self, listing: ListAsset) -> None:
        """A new asset, of which nobody has anything."""
        self.asset_of[listing.asset] = len(self.assets)
        self.assets.append(listing)
        self.by_name = [self.asset_of[name] for name in sorted(self.asset_of)]
        for columns in (self.balance, self.mark):
            columns.append(array("q", bytes(8 * len(self.names))))
        for column in (self.borrow_index, self.supply_index, self.interest_dust):
            column.append(0)
        self.accrued_ns.append(listing.at_ns)

    def add_instrument(self, listing: ListInstrument, interval: int) -> None:
        """A new instrument; `interval` is the number of the funding interval that is running."""
        self.instrument_of[listing.instrument] = len(self.instruments)
        self.instruments.append(listing)
        asset = self.asset_of[listing.settlement]
        decimals = self.assets[asset].decimals
        self.settled_in.append(asset)
        entered = listing.kind in ("perpetual", "future")
        self.terms.append(
            (asset, listing.instrument, listing.settlement, entered, 10 ** (9 - decimals), 10 ** (12 - decimals))
        )
        for column in (self.index_pico, self.premium_sum, self.premium_count, self.funding_dust, self.expiry_dust):
            column.append(0)
        self.expiry_nano.append(-1)
        self.interval.append(interval)

    def put(self, column: array[int], at: int, value: int) -> None:
        """Overwrites one figure, OverflowError where it does not fit; undone by `undo`.

        Where it happens for every fill, the same two lines stand in place: `note` and the assignment.
        """
        self._undo.append((column, at, column[at]))
        column[at] = value

    def slot(self, row: int, instrument: int) -> int:
        """Where an account's position in an instrument stands, NOBODY where there is none."""
        found = self.slot_of.get(row * INSTRUMENTS_MAX + instrument)
        if found is not None:
            return found
        if self.filed is None or row in self.filed:
            return NOBODY
        self.filed.add(row)
        for slot in self.positions(row):
            self.slot_of[row * INSTRUMENTS_MAX + self.held[slot]] = slot
        return self.slot_of.get(row * INSTRUMENTS_MAX + instrument, NOBODY)

    def forget_slots(self) -> None:
        """Positions were made or dropped elsewhere (`bulk`): accounts are filed again when somebody asks for them."""
        self.slot_of.clear()
        self.filed = set()

    def make_slot(self, row: int, instrument: int) -> int:
        """A position of zero lots, which must have lots or be emptied by the end of the event."""
        if self.free_count:
            self.free_count -= 1
            slot = self.free[self.free_count]
            self.holder[slot], self.held[slot], self.next[slot] = row, instrument, self.head[row]
            self.since_pico[slot] = self.index_pico[instrument]
        else:
            slot = len(self.holder)
            self.holder.append(row)
            self.held.append(instrument)
            self.next.append(self.head[row])
            self.before.append(NOBODY)
            self.lots.append(0)
            self.cost.append(0)
            self.since_pico.append(self.index_pico[instrument])
        first = self.head[row]
        if first != NOBODY:
            self.before[first] = slot
        self.before[slot] = NOBODY
        self.head[row] = slot
        self.slot_of[row * INSTRUMENTS_MAX + instrument] = slot
        if self.moved is not None:
            self.moved.append(row * INSTRUMENTS_MAX + instrument)
        self._made.append(slot)
        return slot

    def emptied(self, slot: int) -> None:
        """A position now has zero lots: it goes when the event is kept."""
        self._emptied.append(slot)

    def positions(self, row: int) -> list[int]:
        """The slots of an account's positions, by symbol."""
        found = []
        slot = self.head[row]
        while slot != NOBODY:
            found.append(slot)
            slot = self.next[slot]
        if len(found) > 1:
            found.sort(key=lambda slot: self.instruments[self.held[slot]].instrument)
        return found

    def keep(self, at_ns: int) -> None:
        """The event happened."""
        for slot in self._emptied:
            if self.lots[slot] == 0 and self.slot(self.holder[slot], self.held[slot]) == slot:
                self._drop(slot)
        self.forget_undo()
        self.at_ns = at_ns
        self.sequence += 1

    def undo(self) -> None:
        """The event did not happen: every figure as it was before."""
        for column, at, value in reversed(self._undo):
            column[at] = value
        for slot in reversed(self._made):
            self._drop(slot)
        self.forget_undo()

    def close(self, row: int) -> None:
        """An account leaves for good."""
        self.put(self.state, row, CLOSED)
        if self.parent[row] != NOBODY:
            self.put(self.children, self.parent[row], self.children[self.parent[row]] - 1)

    def remember(self, event: LedgerEvent, receipt: Receipt) -> None:
        """An event's key is used from now on."""
        self.receipts[event.key] = event, receipt
        self._order.append(event.key)

    def forget(self, before_ns: int) -> None:
        """Keys used before a time are as if they had never been."""
        while self._order and self.receipts[self._order[0]][0].at_ns < before_ns:
            del self.receipts[self._order.popleft()]

    def forget_undo(self) -> None:
        """What has been written so far cannot be undone."""
        self._undo.clear()
        self._made.clear()
        self._emptied.clear()

    def _drop(self, slot: int) -> None:
        row, after, before = self.holder[slot], self.next[slot], self.before[slot]
        if before == NOBODY:
            self.head[row] = after
        else:
            self.next[before] = after
        if after != NOBODY:
            self.before[after] = before
        key = row * INSTRUMENTS_MAX + self.held[slot]
        self.slot_of.pop(key, None)
        if self.moved is not None:
            self.moved.append(key)
        self.lots[slot] = self.cost[slot] = self.since_pico[slot] = 0
        self.holder[slot] = NOBODY
        if self.free_count < len(self.free):
            self.free[self.free_count] = slot
        else:
            self.free.append(slot)
        self.free_count += 1
