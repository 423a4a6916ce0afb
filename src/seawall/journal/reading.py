"""Records out of a journal, in order and brought up to the present schema; the chain is checked along the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seawall.core.errors import BrokenJournal
from seawall.journal.check import Chain, head_of
from seawall.journal.files import HEAD_FILE, HeadFile, Identity
from seawall.journal.frame import Frame
from seawall.journal.schema import Schema
from seawall.journal.store import Bad, store_class

__all__ = ["Batch", "Packed", "batches", "packed"]


class Batch(NamedTuple):
    """Records that were written together: the first one's sequence, and what they were written under."""

    first_seq: int
    epoch: int
    market_seq: int
    schema: int
    records: list[bytes]


class Packed(NamedTuple):
    """A batch as it stands in its frame: the records back to back, and the length of each, int64."""

    first_seq: int
    epoch: int
    market_seq: int
    schema: int
    data: memoryview
    sizes: np.ndarray


def batches(folder: Path | str, after: int = 0, schema: Schema | None = None) -> Iterator[Batch]:
    """Every record whose sequence is above `after`, by batch; also while a writer goes on.

    schema: brings records up to its version; None: as they were written. BrokenJournal where the log cannot be read on; a torn
    end is where reading stops, as it is not part of the log.
    """
    for frame, place in _frames(Path(folder), after):
        header, records, first_seq = frame.header, frame.records(), frame.header.first_seq
        if first_seq <= after:
            records, first_seq = records[after + 1 - first_seq :], after + 1
        if schema is not None:
            records = schema.upgrade(records, header.schema, place)
        yield Batch(first_seq, header.epoch, header.market_seq, header.schema, records)


def packed(folder: Path | str, after: int = 0, schema: Schema | None = None) -> Iterator[Packed]:
    """`batches` without a Python object per record, for who reads records by the million."""
    for frame, place in _frames(Path(folder), after):
        header, first_seq = frame.header, frame.header.first_seq
        sizes, data = frame.packed()
        if first_seq <= after:
            behind = after + 1 - first_seq
            data, sizes, first_seq = data[int(sizes[:behind].sum()) :], sizes[behind:], after + 1
        if schema is not None and header.schema != schema.version:
            records = schema.upgrade(frame.records()[header.n_records - len(sizes) :], header.schema, place)
            data, sizes = memoryview(b"".join(records)), np.array([len(record) for record in records], np.int64)
        yield Packed(first_seq, header.epoch, header.market_seq, header.schema, data, sizes)


def _frames(folder: Path, after: int) -> Iterator[tuple[Frame, str]]:
    """Every frame with records above `after`, and its place; the chain and the acknowledged end are checked."""
    identity = Identity.read(folder)
    head, _ = HeadFile.read(folder, identity)
    chain = Chain.from_start(identity) if after <= 0 else None
    for item in store_class(identity.backend, str(folder)).scan(folder, identity, after + 1):
        if isinstance(item, Bad):
            if item.cut is None:
                raise _unreadable(folder, item.place, item.problem)
            break
        if chain is None:
            chain = Chain(head_of(item.frame.header, item.frame.hash))
        elif problem := chain.follow(item):
            raise _unreadable(folder, item.place, problem)
        yield item.frame, item.place
    reached = after if chain is None else max(after, chain.head.seq)
    if head is not None and reached < head.seq:
        raise _unreadable(folder, HEAD_FILE, f"the log ends with {reached:,}, acknowledged were records up to {head.seq:,}")


def _unreadable(folder: Path, place: str, problem: str) -> BrokenJournal:
    return BrokenJournal(str(folder / place), problem, "see: seawall journal verify")
