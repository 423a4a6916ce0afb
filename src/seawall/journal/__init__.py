"""The journal: an append-only, hash-chained, sequence-numbered log of opaque records that survives its process.

    with Journal.open("venue.journal") as journal:
        for batch in journal.batches():                      # what was recorded before
            ...
        journal.append([b"deposit", b"fill"], market_seq=7)  # returns when both are on the disk

It knows nothing of what a record means. `docs/journal.md` has the format to the byte and what each guarantee rests on.
"""

from __future__ import annotations

from seawall.journal.check import Finding, Report, examine
from seawall.journal.files import Head
from seawall.journal.journal import Journal, Limits
from seawall.journal.reading import Batch, batches
from seawall.journal.schema import Schema
from seawall.journal.snapshot import Snapshot

__all__ = ["Batch", "Finding", "Head", "Journal", "Limits", "Report", "Schema", "Snapshot", "batches", "examine"]
