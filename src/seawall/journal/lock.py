"""One writer: a POSIX record lock on `journal.lock`, held by this process and by nothing else.

The kernel drops such a lock when its process ends, however it ends, and a forked child never has it (a `flock` would
stay with the child after its owner died). It does not hold between two parts of one process, and closing any descriptor
of the file drops it: so a table in here refuses a second holder before the file is touched.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from seawall.core.errors import JournalLocked

__all__ = ["FILE", "Lock", "holder"]

FILE = "journal.lock"
_held: dict[str, int] = {}  # folder -> the process that took it; a forked child inherits the table, not the lock


class Lock:
    """Taken when made, given back by `release`. JournalLocked where another writer has it."""

    def __init__(self, folder: Path) -> None:
        self._key = str(folder.resolve())
        if _held.get(self._key) == os.getpid():
            raise _locked(folder, "another Journal of this process")
        self._descriptor = os.open(folder / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        if not self._try():
            who = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise _locked(folder, f"process {who}" if who else "another process")
        _held[self._key] = self._process = os.getpid()
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{self._process}\n".encode(), 0)

    def _try(self) -> bool:
        for _ in range(10):  # someone who only looks whether there is a writer holds a shared lock for a moment
            try:
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                time.sleep(0.01)
            else:
                return True
        return False

    def release(self) -> None:
        """Gives the lock back; in a forked child, which has none, only closes the descriptor."""
        if self._descriptor < 0:
            return
        os.close(self._descriptor)
        self._descriptor = -1
        if _held.get(self._key) == self._process == os.getpid():
            del _held[self._key]


def holder(folder: Path) -> bool:
    """Whether a writer has the journal at this moment."""
    if _held.get(str(folder.resolve())) == os.getpid():
        return True
    try:
        descriptor = os.open(folder / FILE, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False  # never opened for writing
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _locked(folder: Path, who: str) -> JournalLocked:
    return JournalLocked(str(folder), f"{who} writes to it", "a journal has one writer; stop that one first")
