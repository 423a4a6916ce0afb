"""The ledger: a pure state machine over double entry in integers, `apply(event) → receipt`.

An event is applied whole or, with an InputError, not at all. Same events, same state: nothing here reads a clock,
draws a number or depends on the order in which names came. Which event posts what: docs/ledger.md.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from seawall.core.errors import DuplicateRow, InputError, LimitExceeded, StaleEvent, UnknownInstrument, show

from . import closing, money, venue
from .canonical import Columns, columns_of, hash_of, state_of_columns
from .chart import STATES
from .doors import account_of, asset_of
from .doors import state_of as effective_state
from .events import LedgerEvent, Receipt
from .posting import Poster
from .state import NOBODY, State

__all__ = ["Ledger"]

_HANDLERS = money.HANDLERS | venue.HANDLERS | closing.HANDLERS
_KEY_CHARACTERS_MAX = 128
_KEEP_KEYS_NS = 86_400 * 10**9


class Ledger:
    """Accounts, balances and positions of a venue.

    Idempotency keys are remembered for `keys_ns` of event time (a day), then forgotten, oldest first.
    """

    def __init__(self, keys_ns: int = _KEEP_KEYS_NS) -> None:
        self._start(State(), keys_ns)

    @classmethod
    def from_columns(cls, columns: Columns, keys_ns: int = _KEEP_KEYS_NS) -> Ledger:
        """The ledger that `columns` gave; UnreadableFile where they do not fit together."""
        ledger = cls.__new__(cls)
        ledger._start(state_of_columns(columns), keys_ns)
        return ledger

    @classmethod
    def of_state(cls, state: State, keys_ns: int = _KEEP_KEYS_NS) -> Ledger:
        """The ledger over tables that were restored (`tables.py`)."""
        ledger = cls.__new__(cls)
        ledger._start(state, keys_ns)
        return ledger

    @property
    def at_ns(self) -> int:
        """The time of the event applied last."""
        return self._state.at_ns

    @property
    def sequence(self) -> int:
        """How many events have been applied."""
        return self._state.sequence

    @property
    def state(self) -> State:
        """The tables themselves, to read (`worth.py`): only `apply` writes to them."""
        return self._state

    def apply(self, event: LedgerEvent) -> Receipt:
        """What the event did. Raises InputError, and changes nothing, where it is illegal.

        An event whose key was used by the same event before (its time apart) changes nothing and returns the
        receipt of then; one whose key was used by another is refused.
        """
        handler = _HANDLERS.get(type(event))
        if handler is None:
            raise InputError("event", show(type(event).__name__), "a ledger event")
        state = self._state
        key = event.key
        if key:
            done = self._done(event)
            if done is not None:
                return done
        elif key != "":
            raise InputError("key", show(key), "text")
        at_ns = event.at_ns
        if type(at_ns) is not int or not state.at_ns <= at_ns < 2**63:
            raise StaleEvent("at_ns", show(at_ns), f"whole nanoseconds from {state.at_ns} on")
        poster = self._poster
        poster.lines = []
        try:
            handler(poster, event)
            poster.check()
        except OverflowError:
            state.undo()
            raise LimitExceeded(type(event).__name__.lower(), "a sum beyond int64", "sums within int64") from None
        except BaseException:
            state.undo()
            raise
        state.keep(at_ns)
        receipt = Receipt(state.sequence, tuple(poster.lines))
        if key:
            state.remember(event, receipt)
        if state.receipts:
            state.forget(at_ns - self._keys_ns)
        return receipt

    def balance(self, account: str, asset: str) -> int:
        """Units of an asset that an account has (owes, where negative), as of its last touch."""
        return self._state.balance[asset_of(self._state, asset)][account_of(self._state, account)]

    def position(self, account: str, instrument: str) -> tuple[int, int]:
        """(lots, cost) of an account's position as of its last touch; cost is what it got for opening, so a
        long's is negative, and (mark value + cost) is its unrealised gain."""
        state = self._state
        row, number = account_of(state, account), state.instrument_of.get(instrument, NOBODY)
        if number == NOBODY:
            raise UnknownInstrument("instrument", show(instrument), "an instrument of the ledger")
        slot = state.slot(row, number)
        return (0, 0) if slot == NOBODY else (state.lots[slot], state.cost[slot])

    def account_state(self, account: str) -> str:
        """The state that counts for an account: its own, or frozen with its owner."""
        return STATES[effective_state(self._state, account_of(self._state, account))]

    def accounts(self) -> Iterator[str]:
        """All names, in the order in which they were opened."""
        return iter(self._state.names)

    def columns(self) -> Columns:
        """Everything as tables of arrays in canonical order, a copy: for snapshots, margin and the state hash."""
        return columns_of(self._state)

    def state_hash(self) -> str:
        """SHA-256 over the canonical columns, in hexadecimal: two ledgers agree if and only if these do."""
        return hash_of(self.columns())

    def _start(self, state: State, keys_ns: int) -> None:
        self._state = state
        self._keys_ns = keys_ns
        self._poster = Poster(state)

    def _done(self, event: LedgerEvent) -> Receipt | None:
        key = event.key
        if type(key) is not str or len(key) > _KEY_CHARACTERS_MAX or not key.isprintable():
            raise InputError("key", show(key), f"text of at most {_KEY_CHARACTERS_MAX} printable characters")
        found = self._state.receipts.get(event.key)
        if found is None:
            return None
        first, receipt = found
        if msgspec.structs.replace(event, at_ns=first.at_ns) != first:
            raise DuplicateRow("key", f"{show(event.key)}, used by another event", "a key of its own for each event")
        return receipt
