"""Deciding a whole log again: does the engine say what the records say? For `seawall journal verify --deep`.

A start asks the engine about the end of a log and otherwise believes what the log says was decided (`refolding.py`), since its
hash chain holds. This asks about all of it, at the speed at which it was lived through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np

from seawall.core.errors import BrokenJournal, InputError
from seawall.journal.reading import packed
from seawall.ledger.chart import GENESIS

from .records import SCHEMA
from .recovery import gathered
from .refolding import Refolding

__all__ = ["Deep", "verify_deep"]

_NEVER = 1 << 62


class Deep(msgspec.Struct, frozen=True):
    """What the engine said of a whole log. records; said: of how many the log says what was decided, and the engine said the
    same; state_hash: at the end, by either way."""

    records: int
    said: int
    state_hash: str


def verify_deep(folder: Path, progress: Callable[[int], object] = lambda _: None) -> Deep:
    """Decides every record of a log again and compares; nothing is changed, and a writer may go on meanwhile.

    progress hears how many records are done. Raises BrokenJournal at the first record that says something else than the
    engine, or where what the log says makes another state than the engine.
    """
    last, accounts = 0, len(GENESIS)
    for data, sizes in gathered(packed(folder, 0, SCHEMA)):
        last += len(sizes)
        accounts += data.count(b"\xa4open") + data.count(b"\xaaopenbucket")  # as many at most
    engine = Refolding(str(folder), None, accounts, 0)
    for data, sizes in _until(folder, last):
        engine.take(data, sizes)
        progress(engine.sequence)
    bulk = Refolding(str(folder), None, accounts, _NEVER)
    for data, sizes in _until(folder, last):
        bulk.take(data, sizes)
    found, told = engine.clearing(), bulk.clearing()
    if found is None or told is None:
        raise InputError(str(folder), "a journal without records", "the log of a service")
    if told.state_hash() != found.state_hash():
        raise BrokenJournal(str(folder), "what the log says makes another state than the engine", "report this")
    return Deep(last, engine.said, found.state_hash())


def _until(folder: Path, last: int) -> Iterator[tuple[bytes, np.ndarray]]:
    """The records up to a sequence, some thousands at a time."""
    done = 0
    for data, sizes in gathered(packed(folder, 0, SCHEMA)):
        kept = sizes[: last - done]
        if len(kept):
            yield data[: int(kept.sum())], kept
        done += len(kept)
