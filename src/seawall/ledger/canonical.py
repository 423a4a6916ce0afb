"""The ledger's state as tables in canonical order: what is hashed, and what a snapshot holds.

Accounts, assets and instruments stand in the order of their names, balances and positions in that of the
accounts; zero balances are left out. So two ledgers in the same state give the same columns, whatever order
names were opened in, and the hash of a snapshot's columns is the state hash.
"""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left
from typing import Any

import msgspec
import numpy as np

from seawall.core.errors import UnreadableFile

from .chart import CLOSED
from .events import LedgerEvent, ListAsset, ListInstrument, Receipt, decode, encode
from .state import INSTRUMENTS_MAX, NOBODY, State

__all__ = ["Columns", "columns_of", "hash_of", "state_of_columns"]

Array = np.ndarray[Any, Any]
Columns = dict[str, Any]
"""Name → int64 array, list of text, or list of bytes; `columns_of` names them."""

_VERSION = 1
_TYPES: dict[str, Any] = {"b": np.int8, "i": np.int32, "q": np.int64}
_RECEIPTS = msgspec.msgpack.Decoder(Receipt)
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


def columns_of(state: State) -> Columns:
    """head int64[3]: version, time, sequence. asset, instrument: listings as encoded events, and int64 by each.
    account: names, with kind, state, parent and only (numbers of account and instrument, or −1). balance_account,
    balance_asset, balance, mark: int64[balances]. position_account, position_instrument, lots, cost, since_pico:
    int64[positions]. key, event, receipt: the idempotency keys that are remembered."""
    assets, asset_rank = _ranked(list(state.asset_of))
    instruments, instrument_rank = _ranked(list(state.instrument_of))
    accounts, account_rank = _ranked(state.names)
    columns: Columns = {
        "head": np.array([_VERSION, state.at_ns, state.sequence], np.int64),
        "asset": [encode(state.assets[k]) for k in assets.tolist()],
        "instrument": [encode(state.instruments[k]) for k in instruments.tolist()],
    }
    for name in _BY_ASSET:
        columns[name] = _copy(getattr(state, name))[assets]
    for name in _BY_INSTRUMENT:
        columns[name] = _copy(getattr(state, name))[instruments]
    columns["account"] = [state.names[row] for row in accounts.tolist()]
    columns["kind"], columns["state"] = (_copy(column)[accounts] for column in (state.kind, state.state))
    columns["parent"] = account_rank[_copy(state.parent)][accounts]
    columns["only"] = instrument_rank[_copy(state.only)][accounts]
    columns |= _balances(state, asset_rank, account_rank)
    columns |= _positions(state, instrument_rank, account_rank)
    keys = sorted(state.receipts)
    columns["key"] = keys
    columns["event"] = [encode(state.receipts[key][0]) for key in keys]
    columns["receipt"] = [msgspec.msgpack.encode(state.receipts[key][1]) for key in keys]
    return columns


def hash_of(columns: Columns) -> str:
    """SHA-256 over each column's name, length and little-endian bytes (texts behind their lengths), in order."""
    digest = hashlib.sha256(b"seawall ledger")
    for name, column in columns.items():
        if isinstance(column, np.ndarray):
            parts = [np.ascontiguousarray(column, "<i8").tobytes()]
        else:
            sizes, data = _packed(column)
            parts = [sizes.tobytes(), data]
        digest.update(f"{name}:{len(column)};".encode())
        for part in parts:
            digest.update(part)
    return digest.hexdigest()


def state_of_columns(columns: Columns) -> State:
    """The state whose `columns_of` these are; UnreadableFile where they do not fit together."""
    try:
        state = _state(columns)
        same = _same(columns_of(state), columns)
    except (KeyError, IndexError, ValueError, TypeError, OverflowError, AttributeError, msgspec.MsgspecError) as error:
        raise UnreadableFile("ledger columns", f"{type(error).__name__}: {error}", "columns of a ledger") from None
    if not same:
        raise UnreadableFile("ledger columns", "columns that no ledger gives", "columns in canonical order")
    return state


def _state(columns: Columns) -> State:
    version, at_ns, sequence = columns["head"].tolist()
    if version != _VERSION:
        raise UnreadableFile("ledger columns", f"version {version}", f"version {_VERSION}")
    state = State()
    state.at_ns, state.sequence = at_ns, sequence
    rows = _accounts(state, columns)
    for data in columns["asset"]:
        state.add_asset(_listing(data, ListAsset))
    for data in columns["instrument"]:
        state.add_instrument(_listing(data, ListInstrument), 0)
    for names, count in ((_BY_ASSET, len(state.assets)), (_BY_INSTRUMENT, len(state.instruments))):
        for name in names:
            for k in range(count):
                getattr(state, name)[k] = int(columns[name][k])
    for asset in range(len(state.assets)):
        of_asset = columns["balance_asset"] == asset
        holders = rows[columns["balance_account"][of_asset]]
        for name, kept in (("balance", state.balance), ("mark", state.mark)):
            kept[asset] = _column("q", len(rows), holders, columns[name][of_asset])
    _hold(state, columns, rows)
    found: list[tuple[LedgerEvent, Receipt]] = [
        (decode(event), _RECEIPTS.decode(receipt))
        for event, receipt in zip(columns["event"], columns["receipt"], strict=True)
    ]
    for event, receipt in sorted(found, key=lambda pair: pair[1].sequence):
        state.remember(event, receipt)
    return state


def _accounts(state: State, columns: Columns) -> Array:
    """Puts the accounts in; int64[accounts]: the row of each."""
    names = columns["account"]
    rows = np.full(len(names), NOBODY, np.int64)
    for row, name in enumerate(state.names):
        rows[bisect_left(names, name)] = row  # of a name that is not there: then one of these is there twice
    new = np.flatnonzero(rows == NOBODY)
    rows[new] = len(state.names) + np.arange(len(new))
    state.names += [names[k] for k in new.tolist()]
    state.rows = dict(zip(state.names, range(len(state.names))))
    if not len(state.rows) == len(state.names) == len(names):
        raise UnreadableFile("ledger columns", "a name twice, or an account of every ledger missing", "each name once")
    parent = columns["parent"]
    owner = np.where(parent == NOBODY, NOBODY, rows[parent])
    for name, code, values in (
        ("kind", "b", columns["kind"]),
        ("state", "b", columns["state"]),
        ("parent", "i", owner),
        ("only", "i", columns["only"]),
        ("children", "i", np.bincount(parent[(parent != NOBODY) & (columns["state"] != CLOSED)], minlength=len(rows))),
    ):
        setattr(state, name, _column(code, len(rows), rows, values))
    return rows


def _hold(state: State, columns: Columns, rows: Array) -> None:
    """Puts the positions in, those of an account behind each other; `state` files them when somebody asks."""
    account, instrument = columns["position_account"], columns["position_instrument"]
    count = len(account)
    bounded = (0 <= account) & (account < len(rows)) & (0 <= instrument) & (instrument < len(state.instruments))
    rising = np.diff(account * INSTRUMENTS_MAX + instrument) > 0
    if not (bounded.all() and rising.all()):
        raise UnreadableFile("ledger columns", "positions out of order or of nobody", "one of each account and instrument")
    slots, holder = np.arange(count), rows[account]
    first = np.ones(count, bool)
    first[1:] = account[1:] != account[:-1]
    last = np.ones(count, bool)
    last[:-1] = first[1:]
    for name, values in (
        ("holder", holder),
        ("held", instrument),
        ("next", np.where(last, NOBODY, slots + 1)),
        ("before", np.where(first, NOBODY, slots - 1)),
    ):
        setattr(state, name, array("i", values.astype(np.int32).tobytes()))
    state.head = _column("i", len(rows), holder[first], slots[first], NOBODY)
    for name in ("lots", "cost", "since_pico"):
        setattr(state, name, _column("q", count, slots, columns[name]))
    state.forget_slots()


def _column(code: str, count: int, at: Array, values: Array, rest: int = 0) -> array[int]:
    """A column with these values at these places, and `rest` elsewhere."""
    column = np.full(count, rest, _TYPES[code])
    column[at] = values
    return array(code, column.tobytes())


def _balances(state: State, asset_rank: Array, account_rank: Array) -> Columns:
    found: list[Array] = []
    for asset, (balance, mark) in enumerate(zip(state.balance, state.mark)):
        held, marks = _copy(balance), _copy(mark)
        rows = np.flatnonzero(held)
        found.append(np.stack([account_rank[rows], np.full(len(rows), asset_rank[asset]), held[rows], marks[rows]]))
    table = np.concatenate(found, axis=1) if found else np.zeros((4, 0), np.int64)
    table = table[:, np.lexsort((table[1], table[0]))]
    return dict(zip(("balance_account", "balance_asset", "balance", "mark"), table))


def _positions(state: State, instrument_rank: Array, account_rank: Array) -> Columns:
    live = np.flatnonzero(_copy(state.lots))
    account = account_rank[_copy(state.holder)[live]]
    instrument = instrument_rank[_copy(state.held)[live]]
    order = np.lexsort((instrument, account))
    columns = {"position_account": account[order], "position_instrument": instrument[order]}
    for name in ("lots", "cost", "since_pico"):
        columns[name] = _copy(getattr(state, name))[live][order]
    return columns


def _same(ours: Columns, given: Columns) -> bool:
    """Whether two sets of columns are the same, column by column in order: then they have the same hash."""
    if list(ours) != list(given):
        return False
    for name, column in ours.items():
        other = given[name]
        if isinstance(column, np.ndarray):
            if not (isinstance(other, np.ndarray) and other.dtype == np.int64 and np.array_equal(column, other)):
                return False
        elif column != list(other):
            return False
    return True


def _packed(texts: list[Any]) -> tuple[Array, bytes]:
    """(the length in bytes of each, int64; all of them back to back, UTF-8)."""
    if texts and isinstance(texts[0], str) and (joined := "".join(texts)).isascii():
        return np.fromiter(map(len, texts), "<i8", len(texts)), joined.encode()
    data = [text.encode() if isinstance(text, str) else text for text in texts]
    return np.fromiter(map(len, data), "<i8", len(data)), b"".join(data)


def _ranked(names: list[str]) -> tuple[Array, Array]:
    """(numbers in the order of the names, the rank of each number; rank[−1] is −1)."""
    order = np.array(sorted(range(len(names)), key=names.__getitem__), np.int64)
    rank = np.full(len(names) + 1, NOBODY, np.int64)
    rank[order] = np.arange(len(names))
    return order, rank


def _listing(data: bytes, kind: Any) -> Any:
    event = decode(data)
    if not isinstance(event, kind):
        raise UnreadableFile("ledger columns", type(event).__name__, kind.__name__)
    return event


def _copy(column: Any) -> Array:
    return np.frombuffer(column, _TYPES[column.typecode]).astype(np.int64) if len(column) else np.zeros(0, np.int64)
