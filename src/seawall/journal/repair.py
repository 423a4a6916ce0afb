"""Putting a damaged journal in order: nothing is deleted, and nothing acknowledged is given up without being told to.

What a crash leaves is mended as opening mends it. For real damage the valid frames before it are copied into new files; that
loses records that were acknowledged, so the caller names the sequence up to which to keep, as `verify` told it. The files as
they were go into `removed`.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NamedTuple

from seawall.core.errors import BrokenJournal
from seawall.journal import snapshot
from seawall.journal.check import Finding, Report, examine, integrity
from seawall.journal.files import Head, HeadFile, Identity, sync_folder
from seawall.journal.lock import Lock
from seawall.journal.opening import cut_off, make, new_removed
from seawall.journal.store import Bad, store_class

__all__ = ["Repaired", "repair"]


class Repaired(NamedTuple):
    """What was found before, what was done about it, where the old files are, and how many acknowledged records are lost."""

    before: Report
    findings: list[Finding]
    done: list[str]
    removed: list[Path]
    lost: int


def repair(folder: Path | str, keep_until: int | None = None) -> Repaired:
    """Mends the journal; raises BrokenJournal where that would lose records and `keep_until` does not say up to which.

    Raises JournalLocked where somebody writes to it.
    """
    folder = Path(folder)
    identity = Identity.read(folder)
    lock = Lock(folder)
    try:
        report = examine(folder, writing=True)
        pages = [] if report.status == "broken" else list(integrity(folder, identity))
        findings = report.findings + pages
        done: list[str] = []
        removed: list[Path] = []
        lost = 0
        if report.status == "broken":
            if keep_until != report.head.seq:
                raise report.error()
            lost = max(0, (report.anchored.seq if report.anchored else 0) - report.head.seq)
        if report.status == "broken" or pages:
            removed.append(_rebuild(folder, identity, report.head))
            done.append(f"copied {report.frames:,} valid batches up to sequence {report.head.seq:,} into new files")
        elif report.cut is not None:
            removed.append(cut_off(folder, *report.cut))
            done.append(f"cut the unacknowledged end off {report.cut[0].name} at byte {report.cut[1]:,}")
        removed += _snapshots(folder, identity, report.head, done)
        if findings:
            _write_head(folder, identity, report)
            done.append(f"wrote the head anew: sequence {report.head.seq:,}")
    finally:
        lock.release()
    return Repaired(report, findings, done, removed, lost)


def _rebuild(folder: Path, identity: Identity, head: Head) -> Path:
    """New log files with every frame up to the head; returns where the old ones went."""
    kind = store_class(identity.backend, str(folder))
    rough = folder / "rebuilt"
    if rough.exists():
        shutil.rmtree(rough)  # of a repair that was itself cut off: all of it is still in the log
    make(rough, identity)
    store = kind(rough, 1)
    for item in kind.scan(folder, identity, 1):
        if isinstance(item, Bad) or item.frame.header.last_seq > head.seq or head.seq == 0:
            break
        store.append([(item.frame.header.first_seq, item.frame.data)])
    store.close()
    copied = examine(rough, expect=(head.seq, head.hash), writing=True)
    if copied.head[1:] != head[1:]:
        raise BrokenJournal(str(rough), "the copy is not what was read", "the journal was left as it was; see its disk")
    away = new_removed(folder)
    for path in kind.files(folder):
        os.rename(path, away / path.name)
    for path in kind.files(rough):
        os.rename(path, folder / path.name)
    shutil.rmtree(rough)
    sync_folder(away)
    sync_folder(folder)
    return away


def _snapshots(folder: Path, identity: Identity, head: Head, done: list[str]) -> list[Path]:
    """Moves away snapshots that do not hold, or are of a state after the head."""
    moved: list[Path] = []
    for path in snapshot.paths(folder):
        try:
            held = snapshot.read(path, identity).frame.seq <= head.seq
        except snapshot.SnapshotDamaged:
            held = False
        if not held:
            moved.append(new_removed(folder) / path.name)
            os.rename(path, moved[-1])
            done.append(f"moved {path.name} away")
    return moved


def _write_head(folder: Path, identity: Identity, report: Report) -> None:
    epoch = max(report.head.epoch, report.anchored.epoch if report.anchored else 0)
    head_file = HeadFile(folder, identity)
    try:
        head_file.write_both(report.head._replace(epoch=epoch))
    finally:
        head_file.close()
