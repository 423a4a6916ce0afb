"""The ledger's state as tables in canonical order: what is hashed, and what a snapshot holds.

Accounts, assets and instruments stand in the order of their names, balances and positions in that of the
accounts; zero balances are left out. So two ledgers in the same state give the same columns, whatever order
names were opened in, and the hash of a snapshot's columns is the state hash.
"""

from __future__ import annotations

import hashlib
from array import array
from typing import Any

import msgspec
import numpy as np

from seawall.core.errors import UnreadableFile

from .chart import CLOSED
from .events import LedgerEvent, ListAsset, ListInstrument, Receipt, decode, encode
from .state import NOBODY, State

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
            texts = [text.encode() if isinstance(text, str) else text for text in column]
            parts = [np.array([len(text) for text in texts], "<i8").tobytes(), b"".join(texts)]
        digest.update(f"{name}:{len(column)};".encode())
        for part in parts:
            digest.update(part)
    return digest.hexdigest()


def state_of_columns(columns: Columns) -> State:
    """The state whose `columns_of` these are; UnreadableFile where they do not fit together."""
    try:
        state = _state(columns)
        same = hash_of(columns_of(state)) == hash_of(columns)
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
    row_of = rows.tolist()
    held = ("position_account", "position_instrument", "lots", "cost", "since_pico")
    for account, instrument, lots, cost, since in zip(*(columns[name].tolist() for name in held), strict=True):
        slot = state.make_slot(row_of[account], instrument)
        state.lots[slot], state.cost[slot], state.since_pico[slot] = lots, cost, since
    state.forget_undo()
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
    rows = np.array([state.rows.get(name, NOBODY) for name in names], np.int64)
    new = np.flatnonzero(rows == NOBODY)
    rows[new] = len(state.names) + np.arange(len(new))
    state.names += [names[k] for k in new.tolist()]
    state.rows = {name: row for row, name in enumerate(state.names)}
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
        ("head", "i", np.full(len(rows), NOBODY)),
    ):
        setattr(state, name, _column(code, len(rows), rows, values))
    return rows


def _column(code: str, count: int, at: Array, values: Array) -> array[int]:
    """A column of zeros with these values at these places."""
    column = np.zeros(count, _TYPES[code])
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
