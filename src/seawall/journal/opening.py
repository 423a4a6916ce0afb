"""What happens before a journal takes its first record: it is made, or what a crash left of it is put in order."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from seawall.core.errors import UnreadableFile
from seawall.journal import lock, snapshot
from seawall.journal.check import Report, examine
from seawall.journal.files import IDENTITY_FILE, Head, HeadFile, Identity, sync_folder, write_durably
from seawall.journal.schema import Schema
from seawall.journal.store import store_class

__all__ = ["REMOVED", "create", "cut_off", "make", "new_removed", "prepare"]

REMOVED = "removed"


def create(folder: Path, backend: str) -> None:
    """Makes a journal where there is nothing. UnreadableFile where there is something that is none."""
    if (folder / IDENTITY_FILE).exists():
        return
    if folder.exists() and (not folder.is_dir() or any(path.name != lock.FILE for path in folder.iterdir())):
        raise UnreadableFile(str(folder), "something, and no journal.json in it", "a journal, or an empty folder")
    rough = folder.with_name(f"{folder.name}.new-{os.getpid()}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        make(rough, Identity.new(backend))
        if folder.exists():
            (folder / lock.FILE).unlink(missing_ok=True)
        os.rename(rough, folder)
    except OSError:
        if not (folder / IDENTITY_FILE).exists():
            raise  # not just somebody who was quicker
    finally:
        shutil.rmtree(rough, ignore_errors=True)
    sync_folder(folder.parent)


def make(folder: Path, identity: Identity) -> None:
    """An empty journal in a new folder, the identity last: without it nothing is a journal."""
    store = store_class(identity.backend, str(folder))
    folder.mkdir()
    store.create(folder)
    head_file = HeadFile(folder, identity)
    head_file.write_both(Head(0, 0, 0, 0, identity.genesis))
    head_file.close()
    write_durably(folder / IDENTITY_FILE, identity.text())


def prepare(folder: Path, identity: Identity, schema: Schema, whole: bool) -> tuple[Report, int, HeadFile]:
    """Verifies what is there and cuts off a torn end: (what was found, the new epoch, the head file).

    Raises BrokenJournal where it is damaged, JournalError for a schema that cannot be read. The caller has the lock.
    """
    start = None if whole else snapshot.newest(folder, identity)[0]
    report = examine(folder, start=start, writing=True)
    if report.status == "broken":
        raise report.error()
    for version in report.schemas:
        schema.check(version, str(folder))
    if report.cut is not None:
        cut_off(folder, *report.cut)
    for rough in (folder / snapshot.FOLDER).glob("*.part"):
        rough.unlink()  # of a snapshot that was being written when its process died
    anchored = report.anchored.epoch if report.anchored is not None else 0
    return report, max(anchored, report.head.epoch) + 1, HeadFile(folder, identity)


def cut_off(folder: Path, path: Path, length: int) -> Path:
    """Cuts the file to this length and keeps what was behind it in `removed`; returns where."""
    keep = new_removed(folder) / f"{path.name}.from-byte-{length}"
    write_durably(keep, path.read_bytes()[length:])
    with path.open("rb+") as file:
        file.truncate(length)
        file.flush()
        os.fsync(file.fileno())
    return keep


def new_removed(folder: Path) -> Path:
    """A new folder in `removed`: nothing that was taken out of a journal is ever overwritten."""
    number = 1
    while (path := folder / REMOVED / f"{number:04d}").exists():
        number += 1
    path.mkdir(parents=True)
    return path
