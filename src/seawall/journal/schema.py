"""Versions of the records, and how old ones are read: each step turns a record of one version into the next.

The journal is never rewritten: an old frame keeps its version for ever, and its records are brought up when they are read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from seawall.core.errors import JournalError

__all__ = ["Schema"]

Step = Callable[[bytes], bytes]


class Schema(NamedTuple):
    """version: what new records are, 1 to 65535. upgrades[v]: a record of version v as one of v + 1."""

    version: int = 1
    upgrades: Mapping[int, Step] = {}

    def check(self, version: int, place: str) -> None:
        """JournalError where records of that version cannot be read."""
        if version > self.version:
            raise JournalError(
                place,
                f"records of schema {version}, this program knows up to {self.version}",
                "open it with the version of Seawall that wrote it, or a newer one",
            )
        missing = [step for step in range(version, self.version) if step not in self.upgrades]
        if missing:
            raise JournalError(
                place,
                f"records of schema {version} and no way from schema {missing[0]} to {missing[0] + 1}",
                "give the upgrade in Schema.upgrades",
            )

    def upgrade(self, records: list[bytes], version: int, place: str) -> list[bytes]:
        """The records as the present version has them."""
        if version == self.version:
            return records
        self.check(version, place)
        for step in range(version, self.version):
            records = [self.upgrades[step](record) for record in records]
        return records
