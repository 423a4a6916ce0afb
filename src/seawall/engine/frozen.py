"""The clearing's state as columns: what a snapshot holds, what the state hash covers, what a restart goes on from.

Three steps, so that a snapshot stalls nobody: `freeze` copies (on the loop, some tens of milliseconds for a million
accounts), `columns_of` sorts and packs (any thread), `thaw` makes the clearing again. Certificates are not state:
they are made anew, and never change a decision.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
import numpy as np

from seawall.core import events as core_events
from seawall.core.errors import UnreadableFile
from seawall.core.units import format_decimal
from seawall.engine.genesis import Genesis
from seawall.engine.glide import Glide
from seawall.engine.keys import Done, Keys, Late
from seawall.ledger.tables import Copies, Tables, copy_of, ledger_of, packed, tables_of, unpacked
from seawall.liquidation import closing_desk
from seawall.margin.model import Model
from seawall.market.market import Market

__all__ = ["Frozen", "State", "columns_of", "freeze", "hash_of", "state_of"]

_VERSION = 1
_CHUNK = 10_000
_PRICES = ("index", "mark", "forward", "quoted_at_index")
_ENCODER = msgspec.msgpack.Encoder()
_ORDER = msgspec.msgpack.Decoder(tuple[int, core_events.Order, list[tuple[int, int, int]]])
_KEYS = msgspec.msgpack.Decoder(list[tuple[str, Done]])
_GENESIS = msgspec.msgpack.Decoder(Genesis)


class Frozen(NamedTuple):
    """A copy of everything that the future depends on. head: at_ns and sequence of the clearing, time, decisions and
    market version of the engine; document: of the market now; model, glide: parameters as JSON; closing: of the desk."""

    head: tuple[int, ...]
    genesis: Genesis
    ledger: Copies
    levels: np.ndarray
    document: dict[str, Any]
    model: bytes
    glide: bytes
    orders: list[bytes]
    keys: list[tuple[str, Done | Late]]
    closing: closing_desk.DeskState | None


class State(NamedTuple):
    """What `columns_of` gave, read back: see `Frozen`."""

    head: tuple[int, ...]
    genesis: Genesis
    ledger: Any
    levels: np.ndarray
    market: Market
    model: Model
    glide: Glide | None
    orders: list[tuple[int, core_events.Order, list[tuple[int, int, int]]]]
    keys: Keys
    closing: closing_desk.DeskState | None = None


def freeze(clearing: Any) -> Frozen:
    """A copy of a Clearing's state."""
    engine, watch = clearing.engine, clearing.engine.watch
    count = len(clearing.ledger.state.names)
    open_rows = engine.book.open
    return Frozen(
        head=(clearing.at_ns, clearing.sequence, engine.at_ns, engine.sequence, watch.version),
        genesis=clearing.genesis,
        ledger=copy_of(clearing.ledger.state),
        levels=watch.levels[:count].astype(np.int8),
        document=watch.snapshot(engine.at_ns).to_document(),
        model=_parameters(watch.model),
        glide=_glide(watch.glide),
        orders=[_ENCODER.encode((row, order, open_rows[row, id])) for (row, id), order in clearing.orders.items()],
        keys=list(clearing.keys.done.items()),
        closing=None if clearing.desk is None else clearing.desk.freeze(),
    )


def columns_of(frozen: Frozen) -> Tables:
    """head int64[6]: version, then `Frozen.head`. genesis, document, model, glide, orders, keys uint8: encoded.
    levels int8[accounts]. closing uint8: the desk's state, where there is a desk. The ledger's tables (`ledger/tables.py`), their names behind "ledger."."""
    # read back as of the first moment, since contracts may have expired by now; its version counts edits, not events
    document = {**_plain(frozen.document), "as_of": frozen.genesis.market["as_of"]}
    document.pop("version", None)
    keys = [
        _ENCODER.encode([(key, done if isinstance(done, Done) else done.done()) for key, done in frozen.keys[at : at + _CHUNK]])
        for at in range(0, len(frozen.keys), _CHUNK)
    ]
    columns: Tables = {
        "head": np.array([_VERSION, *frozen.head], np.int64),
        "genesis": _bytes(_genesis(frozen.genesis)),
        "levels": frozen.levels,
        "document": _bytes(msgspec.json.encode(document, order="deterministic")),
        "model": _bytes(frozen.model),
        "glide": _bytes(frozen.glide),
        "orders": packed(frozen.orders),
        "keys": packed(keys),
    }
    if frozen.closing is not None:
        columns["closing"] = _bytes(closing_desk.encode(frozen.closing))
    columns |= {f"ledger.{name}": column for name, column in tables_of(frozen.ledger).items()}
    return columns


def hash_of(columns: Tables) -> str:
    """SHA-256 over each column's name, type, shape and bytes, in their order, in hexadecimal."""
    digest = hashlib.sha256(b"seawall clearing")
    for name, column in columns.items():
        digest.update(f"{name}:{column.dtype.str}:{column.shape};".encode())
        digest.update(np.ascontiguousarray(column).data if column.size else b"")
    return digest.hexdigest()


def state_of(columns: Tables) -> State:
    """What the columns hold; UnreadableFile where they are of another version or do not fit together."""
    head = tuple(int(x) for x in columns["head"])
    if head[0] != _VERSION:
        raise UnreadableFile("clearing columns", f"version {head[0]}", f"version {_VERSION}")
    try:
        genesis = _GENESIS.decode(columns["genesis"].tobytes())
        document = msgspec.json.decode(columns["document"].tobytes())
        # in the order of the genesis, not in the columns' order of names: ticks are recorded by the underlying's number
        document["underlyings"] = {name: document["underlyings"][name] for name in genesis.market["underlyings"]}
        market = Market.from_document(document, "snapshot market")
        first = genesis.open_model()
        orders = [_ORDER.decode(data) for data in unpacked(columns["orders"])]
        pairs = [pair for data in unpacked(columns["keys"]) for pair in _KEYS.decode(data)]
        glide = _glide_of(first, columns["glide"].tobytes())
        model = _model_of(first, columns["model"].tobytes())
        closing = None if genesis.closing is None else closing_desk.decode(columns["closing"].tobytes())
    except (KeyError, msgspec.MsgspecError) as error:
        raise UnreadableFile("clearing columns", f"{type(error).__name__}: {error}", "columns of a clearing") from None
    tables = {name.removeprefix("ledger."): c for name, c in columns.items() if name.startswith("ledger.")}
    keys = Keys(genesis.keys_ns, dict(pairs))
    engine_at_ns = head[3]
    return State(
        head[1:], genesis, ledger_of(tables), columns["levels"], market.at(engine_at_ns), model, glide, orders, keys, closing
    )


def _genesis(genesis: Genesis) -> bytes:
    """As it was written before there were terms of closing, where there are none: a state keeps its hash."""
    fields = msgspec.structs.asdict(genesis)
    if genesis.closing is None:
        del fields["closing"]
    return _ENCODER.encode(fields)


def _plain(content: Any, key: str = "") -> Any:
    """The document with prices in one way of writing: 113000.0 and 113000 are the same state."""
    if isinstance(content, dict):
        return {name: _plain(value, name) for name, value in content.items()}
    if isinstance(content, list):
        return [_plain(value) for value in content]
    return format_decimal(Decimal(content)) if key in _PRICES and isinstance(content, str) else content


def _bytes(data: bytes) -> np.ndarray:
    return np.frombuffer(data, np.uint8)


def _parameters(model: Model) -> bytes:
    return msgspec.json.encode(model.parameters, order="deterministic")


def _model_of(like: Model, data: bytes) -> Model:
    return type(like)(msgspec.json.decode(data, type=type(like.parameters)))


def _glide(glide: Glide | None) -> bytes:
    if glide is None:
        return b""
    stages = [msgspec.Raw(_parameters(staged)) for staged in glide.models]
    return msgspec.json.encode([glide.start_ns, glide.length_ns, glide.stage, stages])


def _glide_of(like: Model, data: bytes) -> Glide | None:
    if not data:
        return None
    start_ns, length_ns, stage, stages = msgspec.json.decode(data, type=tuple[int, int, int, list[msgspec.Raw]])
    return Glide.going(start_ns, length_ns, stage, [_model_of(like, bytes(each)) for each in stages])
