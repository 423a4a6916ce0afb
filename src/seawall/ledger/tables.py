"""The ledger's state as flat tables in the order in which accounts were opened: quick to copy, quick to restore.

`canonical.py` orders everything by name, so that two ledgers agree whatever order names came in; that takes a sort of
all names. A replica and a snapshot have the same history, so here rows keep their numbers, and only positions are
sorted (by account, then instrument), because places of closed positions are reused. Idempotency keys are not in
here: who uses these tables keeps its own.
"""

from __future__ import annotations

from array import array
from typing import Any

import msgspec
import numpy as np

from seawall.core.errors import UnreadableFile, invariant

from .events import ListAsset, ListInstrument, decode, encode
from .ledger import Ledger
from .state import INSTRUMENTS_MAX, NOBODY, State

__all__ = ["Copies", "Tables", "copy_of", "ledger_of", "tables_of"]

Array = np.ndarray[Any, Any]
Tables = dict[str, Array]
"""Name → array; `tables_of` names them."""
Copies = dict[str, Any]

_VERSION = 1
_BY_ACCOUNT = (("kind", np.int8), ("state", np.int8), ("parent", np.int32), ("only", np.int32), ("children", np.int32))
_BY_ASSET = ("borrow_index", "supply_index", "accrued_ns", "interest_dust")
_BY_INSTRUMENT = (
    "index_pico",
    "premium_sum",
    "premium_count",
    "interval",
    "expiry_nano",
    "funding_dust",
    "expiry_dust",
)
_POSITION = (("lots", np.int64), ("cost", np.int64), ("since_pico", np.int64))
_TYPES: dict[Any, str] = {np.int8: "b", np.int32: "i", np.int64: "q"}


def copy_of(state: State) -> Copies:
    """Everything that changes, copied and no more: some tens of milliseconds for a million accounts. `tables_of` makes
    tables of it later, on any thread."""
    invariant(not state.receipts, "keys are kept by whoever copies the tables")
    return {
        "head": np.array([_VERSION, state.at_ns, state.sequence, len(state.names)], np.int64),
        "names": state.names[:],
        "assets": [encode(listing) for listing in state.assets],
        "instruments": [encode(listing) for listing in state.instruments],
        **{name: np.array(getattr(state, name), np.int64) for name in (*_BY_ASSET, *_BY_INSTRUMENT)},
        **{name: _array(getattr(state, name), kind) for name, kind in _BY_ACCOUNT},
        "balance": [_array(column, np.int64) for column in state.balance],
        "mark": [_array(column, np.int64) for column in state.mark],
        "holder": _array(state.holder, np.int32),
        "held": _array(state.held, np.int32),
        **{name: _array(getattr(state, name), kind) for name, kind in _POSITION},
    }


def tables_of(copies: Copies) -> Tables:
    """head int64[4]: version, time, sequence, accounts. names, assets, instruments uint8: texts, each behind the other,
    see `packed`. Then columns by account, asset and instrument; balance_asset, balance_row, balance, mark: of balances
    that are not zero; position_row, position_instrument, lots, cost, since_pico: of positions, by row, then
    instrument."""
    tables: Tables = {"head": copies["head"], "names": np.frombuffer("\n".join(copies["names"]).encode(), np.uint8)}
    for name in ("assets", "instruments"):
        tables[name] = packed(copies[name])
    for name in (*_BY_ASSET, *_BY_INSTRUMENT, *(name for name, _ in _BY_ACCOUNT)):
        tables[name] = copies[name]
    rows = [np.flatnonzero(column) for column in copies["balance"]]
    tables["balance_asset"] = np.repeat(np.arange(len(rows)), [len(part) for part in rows])
    tables["balance_row"] = _joined(rows)
    for name in ("balance", "mark"):
        tables[name] = _joined([column[part] for column, part in zip(copies[name], rows, strict=True)])
    live = np.flatnonzero(copies["lots"])
    holder, held = copies["holder"][live], copies["held"][live]
    order = np.argsort(holder.astype(np.int64) * INSTRUMENTS_MAX + held, kind="stable")
    live = live[order]
    tables["position_row"], tables["position_instrument"] = holder[order], held[order]
    for name, _ in _POSITION:
        tables[name] = copies[name][live]
    return tables


def ledger_of(tables: Tables) -> Ledger:
    """The ledger of these tables; UnreadableFile where they are of another version or do not fit together."""
    try:
        version, at_ns, sequence, count = tables["head"].tolist()
        if version != _VERSION:
            raise UnreadableFile("ledger tables", f"version {version}", f"version {_VERSION}")
        state = _state(tables, count)
    except (KeyError, IndexError, ValueError, TypeError, OverflowError, msgspec.MsgspecError) as error:
        raise UnreadableFile("ledger tables", f"{type(error).__name__}: {error}", "tables of a ledger") from None
    state.at_ns, state.sequence = at_ns, sequence
    return Ledger.of_state(state)


def packed(texts: list[bytes]) -> Array:
    """uint8: how many, the length of each, and all of them, lengths as eight bytes."""
    lengths = np.array([len(texts), *map(len, texts)], "<i8")
    return np.frombuffer(lengths.tobytes() + b"".join(texts), np.uint8)


def unpacked(column: Array) -> list[bytes]:
    """The texts of `packed`."""
    data = column.tobytes()
    count = int(np.frombuffer(data, "<i8", 1)[0])
    lengths = np.frombuffer(data, "<i8", count, 8)
    ends = 8 * (count + 1) + np.cumsum(lengths)
    return [data[end - length : end] for end, length in zip(ends.tolist(), lengths.tolist(), strict=True)]


def _state(tables: Tables, count: int) -> State:
    state = State()
    names = tables["names"].tobytes().decode().split("\n")
    if len(names) != count:
        raise UnreadableFile("ledger tables", f"{len(names)} names", f"{count}")
    state.names, state.rows = names, dict(zip(names, range(count), strict=True))
    for name, kind in _BY_ACCOUNT:
        setattr(state, name, _column(tables[name], kind, count))
    for data in unpacked(tables["assets"]):
        listing = decode(data)
        invariant(isinstance(listing, ListAsset), "assets are listings")
        state.add_asset(listing)  # type: ignore[arg-type]
    for data in unpacked(tables["instruments"]):
        contract = decode(data)
        invariant(isinstance(contract, ListInstrument), "instruments are listings")
        state.add_instrument(contract, 0)  # type: ignore[arg-type]
    for names_of, size in ((_BY_ASSET, len(state.assets)), (_BY_INSTRUMENT, len(state.instruments))):
        for name in names_of:
            setattr(state, name, _column(tables[name], np.int64, size))
    for asset in range(len(state.assets)):
        mine = tables["balance_asset"] == asset
        for name, kept in (("balance", state.balance), ("mark", state.mark)):
            full = np.zeros(count, np.int64)
            full[tables["balance_row"][mine]] = tables[name][mine]
            kept[asset] = array("q", full.tobytes())
    _positions(state, tables, count)
    state.forget_undo()
    return state


def _positions(state: State, tables: Tables, count: int) -> None:
    """Slots in order of account and instrument, each account's in a chain."""
    holder, held = tables["position_row"], tables["position_instrument"]
    size = len(holder)
    slots = np.arange(size)
    first = np.ones(size, np.bool_)
    first[1:] = holder[1:] != holder[:-1]
    last = np.roll(first, -1) if size else first
    state.holder, state.held = _column(holder, np.int32, size), _column(held, np.int32, size)
    state.next = _column(np.where(last, NOBODY, slots + 1), np.int32, size)
    state.before = _column(np.where(first, NOBODY, slots - 1), np.int32, size)
    head = np.full(count, NOBODY)
    head[holder[first]] = slots[first]
    state.head = _column(head, np.int32, count)
    for name, kind in _POSITION:
        setattr(state, name, _column(tables[name], kind, size))
    keys = holder.astype(np.int64) * INSTRUMENTS_MAX + held
    state.slot_of = dict(zip(keys.tolist(), range(size), strict=True))


def _column(values: Array, kind: Any, count: int) -> array[int]:
    if len(values) != count:
        raise UnreadableFile("ledger tables", f"a column of {len(values)}", f"{count}")
    return array(_TYPES[kind], np.ascontiguousarray(values, kind).tobytes())


def _array(column: Any, kind: Any) -> Array:
    return np.frombuffer(column, kind).copy() if len(column) else np.zeros(0, kind)


def _joined(parts: list[Array]) -> Array:
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)
