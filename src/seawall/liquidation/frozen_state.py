"""State machines of this package as bytes and back, so that a snapshot can hold them and a hash can compare them.

Only plain values and the classes named here are taken: integers of any size, text, lists, queues, mappings in their
order, fractions, and the registered machines by their attributes. What comes back behaves as what went in; equal states
give equal bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from fractions import Fraction
from typing import Any

import msgspec

from seawall.core.errors import UnreadableFile, invariant
from seawall.liquidation.adl_index import Position, SideIndex
from seawall.liquidation.backstop import Inventory, Terms, Vault
from seawall.liquidation.claims import DeferredClaims
from seawall.liquidation.drawdown import Drawdown, RollingMax
from seawall.liquidation.funds import Caps, GlobalFund, Tranche
from seawall.liquidation.pool import Deposit, SharedPool

__all__ = ["digest", "dump", "load"]

_STRUCTS: dict[str, type[msgspec.Struct]] = {c.__name__: c for c in (Caps, Deposit, Inventory, Position, Terms)}
_MACHINES: dict[str, type] = {
    c.__name__: c for c in (DeferredClaims, Drawdown, GlobalFund, RollingMax, SharedPool, SideIndex, Tranche, Vault)
}


def dump(value: Any) -> bytes:
    """The state as JSON. Raises InvariantError for a value of a class that is not registered."""
    return json.dumps(_freeze(value), separators=(",", ":"), ensure_ascii=True).encode()


def load(data: bytes) -> Any:
    """What `dump` was given, as new objects. Raises UnreadableFile for bytes that it did not write."""
    try:
        return _thaw(json.loads(data))
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise UnreadableFile("state of the last layers", str(error), "bytes that `dump` wrote") from None


def digest(value: Any) -> str:
    """SHA-256 of the bytes, in hexadecimal."""
    return hashlib.sha256(dump(value)).hexdigest()


def _freeze(value: Any) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        # digits: other readers of JSON lose integers beyond 2**53
        return ["i", str(int(value))]
    if isinstance(value, Fraction):
        return ["f", str(value.numerator), str(value.denominator)]
    if isinstance(value, tuple | list | deque):
        kind = "t" if isinstance(value, tuple) else "q" if isinstance(value, deque) else "l"
        return [kind, [_freeze(item) for item in value]]
    if isinstance(value, dict):
        return ["d", [[_freeze(key), _freeze(item)] for key, item in value.items()]]
    name = type(value).__name__
    if _STRUCTS.get(name) is type(value):
        return ["s", name, [_freeze(getattr(value, field)) for field in value.__struct_fields__]]
    invariant(_MACHINES.get(name) is type(value), "only registered classes are part of a state", name)
    return ["m", name, [[field, _freeze(item)] for field, item in vars(value).items()]]


def _thaw(frozen: Any) -> Any:
    if frozen is None or isinstance(frozen, bool | str):
        return frozen
    kind, *rest = frozen
    if kind == "i":
        return int(rest[0])
    if kind == "f":
        return Fraction(int(rest[0]), int(rest[1]))
    if kind in ("t", "l", "q"):
        items = [_thaw(item) for item in rest[0]]
        return tuple(items) if kind == "t" else deque(items) if kind == "q" else items
    if kind == "d":
        return {_thaw(key): _thaw(item) for key, item in rest[0]}
    if kind == "s":
        return _STRUCTS[rest[0]](*(_thaw(item) for item in rest[1]))
    if kind != "m":
        raise ValueError(f"an unknown kind {kind!r}")
    made: Any = object.__new__(_MACHINES[rest[0]])
    for field, item in rest[1]:
        setattr(made, field, _thaw(item))
    return made
