"""Records out of a journal, in order and brought up to the present schema; the chain is checked along the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from seawall.core.errors import BrokenJournal
from seawall.journal.check import Chain, head_of
from seawall.journal.files import HEAD_FILE, HeadFile, Identity
from seawall.journal.schema import Schema
from seawall.journal.store import Bad, store_class

__all__ = ["Batch", "batches"]


class Batch(NamedTuple):
    """Records that were written together: the first one's sequence, and what they were written under."""

    first_seq: int
    epoch: int
    market_seq: int
    schema: int
    records: list[bytes]


def batches(folder: Path | str, after: int = 0, schema: Schema | None = None) -> Iterator[Batch]:
    """Every record whose sequence is above `after`, by batch; also while a writer goes on.

    schema: brings records up to its version; None: as they were written. BrokenJournal where the log cannot be read on; a torn
    end is where reading stops, as it is not part of the log.
    """
    folder = Path(folder)
    identity = Identity.read(folder)
    head, _ = HeadFile.read(folder, identity)
    chain = Chain.from_start(identity) if after <= 0 else None
    for item in store_class(identity.backend, str(folder)).scan(folder, identity, after + 1):
        if isinstance(item, Bad):
            if item.cut is None:
                raise _unreadable(folder, item.place, item.problem)
            break
        header = item.frame.header
        if chain is None:
            chain = Chain(head_of(header, item.frame.hash))
        elif problem := chain.follow(item):
            raise _unreadable(folder, item.place, problem)
        records = item.frame.records()
        first_seq = header.first_seq
        if first_seq <= after:
            records, first_seq = records[after + 1 - first_seq :], after + 1
        if schema is not None:
            records = schema.upgrade(records, header.schema, item.place)
        yield Batch(first_seq, header.epoch, header.market_seq, header.schema, records)
    reached = after if chain is None else max(after, chain.head.seq)
    if head is not None and reached < head.seq:
        raise _unreadable(folder, HEAD_FILE, f"the log ends with {reached:,}, acknowledged were records up to {head.seq:,}")


def _unreadable(folder: Path, place: str, problem: str) -> BrokenJournal:
    return BrokenJournal(str(folder / place), problem, "see: seawall journal verify")
