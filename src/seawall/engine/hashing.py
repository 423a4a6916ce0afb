"""The hash of an engine's state, whichever way it watches its accounts."""

import hashlib

import msgspec
import numpy as np

from seawall.engine.book import EngineBook
from seawall.engine.desk import Desk
from seawall.engine.glide import Glide
from seawall.margin.model import Model

__all__ = ["state_hash"]


def state_hash(book: EngineBook, desk: Desk, level: np.ndarray, at_ns: int, model: Model, glide: Glide | None) -> str:
    """SHA-256 over balances, orders, statuses, prices and parameters, in account order."""
    digest = hashlib.sha256()
    digest.update(at_ns.to_bytes(8, "little"))
    for array in (book.cash_nano, book.positions.length, book.orders.length, level, desk.index_nano):
        digest.update(np.ascontiguousarray(array).tobytes())
    for pool in (book.positions, book.orders):
        at = np.repeat(pool.start - np.cumsum(pool.length) + pool.length, pool.length)
        order = at + np.arange(len(at))
        for column in pool.columns:
            digest.update(np.ascontiguousarray(column[order]).tobytes())
    for legs in (desk.base.legs,):
        for name in ("value_num", "value_den", "iv"):
            digest.update(np.ascontiguousarray(getattr(legs, name)).tobytes())
    digest.update(msgspec.json.encode(sorted((account, name) for account, name in book.open)))
    digest.update(msgspec.json.encode(model.parameters, order="deterministic"))
    if glide is not None:
        digest.update(msgspec.json.encode([glide.start_ns, glide.length_ns, glide.stage]))
        for staged in glide.models[glide.stage :]:
            digest.update(msgspec.json.encode(staged.parameters, order="deterministic"))
    return digest.hexdigest()
