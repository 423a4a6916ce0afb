"""What an event must satisfy before it may post: names that exist, amounts that are amounts, states that allow it."""

from __future__ import annotations

from seawall.core.errors import BadNumber, InputError, UnknownInstrument, show
from seawall.core.units import INT64_MAX

from .chart import ACTIVE, CLOSED, FROZEN, KINDS, LIQUIDATING, REDUCE_ONLY, STATES, TREASURY, USER
from .state import NOBODY, State

__all__ = [
    "account_of",
    "asset_of",
    "enough",
    "instrument_of",
    "may_receive",
    "may_send",
    "not_closed",
    "of_kind",
    "state_of",
    "whole",
]


def whole(value: object, place: str, low: int = 1, high: int = INT64_MAX) -> int:
    """An integer from low to high; BadNumber for anything else, booleans and floats included."""
    if type(value) is not int or not low <= value <= high:
        expected = "a whole number above zero" if low == 1 else f"a whole number from {low} to {high}"
        raise BadNumber(place, show(value), expected)
    return value


def account_of(state: State, name: object, place: str = "account") -> int:
    """The row of a name; InputError where there is no such account."""
    row = state.rows.get(name) if type(name) is str else None
    if row is None:
        raise InputError(place, show(name), "an account of the ledger")
    return row


def asset_of(state: State, name: object, place: str = "asset") -> int:
    """The number of an asset; InputError where it is not listed."""
    found = state.asset_of.get(name) if type(name) is str else None
    if found is None:
        raise InputError(place, show(name), "an asset of the ledger")
    return found


def instrument_of(state: State, name: object, place: str = "instrument") -> int:
    """The number of an instrument that is alive; UnknownInstrument or InputError where it is not."""
    found = state.instrument_of.get(name) if type(name) is str else None
    if found is None:
        raise UnknownInstrument(place, show(name), "an instrument of the ledger")
    if state.expiry_nano[found] >= 0:
        raise InputError(place, f"{show(name)}, which has expired", "an instrument that is alive")
    return found


def state_of(state: State, row: int) -> int:
    """An account's state; a bucket is frozen with its owner."""
    parent = state.parent[row]
    if parent != NOBODY and state.state[parent] == FROZEN:
        return FROZEN
    return state.state[row]


def of_kind(state: State, row: int, kinds: tuple[int, ...], place: str) -> None:
    """InputError unless the account is of one of the kinds."""
    if state.kind[row] not in kinds:
        found = f"{show(state.names[row])}, of the kind {KINDS[state.kind[row]]}"
        raise InputError(place, found, "an account of the kind " + " or ".join(KINDS[kind] for kind in kinds))


def may_receive(state: State, row: int, place: str) -> None:
    """InputError unless a balance may come in: users' neither frozen nor closed, and accounts of the treasury."""
    of_kind(state, row, (USER, *TREASURY), place)
    _in_state(state, row, (ACTIVE, REDUCE_ONLY, LIQUIDATING), place)


def may_send(state: State, row: int, place: str) -> None:
    """InputError unless a user or the treasury may take its balance out: only active and reduce-only users."""
    of_kind(state, row, (USER, *TREASURY), place)
    _in_state(state, row, (ACTIVE, REDUCE_ONLY), place)


def not_closed(state: State, row: int, place: str) -> None:
    """InputError for an account that is closed."""
    if state.state[row] == CLOSED:
        _in_state(state, row, (ACTIVE, REDUCE_ONLY, LIQUIDATING, FROZEN), place)


def enough(held: int, amount: int, place: str) -> None:
    """InputError where an amount is more than there is."""
    if amount > held:
        raise InputError(place, show(amount), f"at most the {max(0, held)} that there is")


def _in_state(state: State, row: int, states: tuple[int, ...], place: str) -> None:
    found = state_of(state, row)
    if found not in states:
        expected = "an account that is " + " or ".join(STATES[allowed] for allowed in states)
        raise InputError(place, f"{show(state.names[row])}, which is {STATES[found]}", expected)
