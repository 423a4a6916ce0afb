"""What waits for the disk: answers, messages and rows of the status board, let go in order once their record is durable.

One task waits for the journal, whoever wrote; so it does not matter whether the writer still listens. Where the journal
stops, everybody who waits is told that, and nothing of it is ever shown.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from seawall.core.errors import JournalStopped, SeawallError
from seawall.journal import Journal

__all__ = ["Outbox", "Unavailable"]


class Unavailable(SeawallError):
    """The journal takes nothing at present; what was not acknowledged may be sent again under the same key."""

    exit_code = 5


class _Entry(NamedTuple):
    sequence: int
    shows: tuple[Callable[[], None], ...]
    done: asyncio.Future[None] | None


class Outbox:
    """Entries by rising sequence, and the task that lets them go."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._entries: deque[_Entry] = deque()
        self._filled = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name="outbox")
        self.stopped: str = ""

    def put(self, sequence: int, *shows: Callable[[], None]) -> None:
        """Calls `shows` in order when the record is durable."""
        self._entries.append(_Entry(sequence, shows, None))
        self._filled.set()

    async def wait(self, sequence: int) -> None:
        """Returns when everything up to a sequence is durable and shown; Unavailable where it will not be."""
        if self.stopped:
            raise Unavailable(self.stopped)
        self.check()
        if not self._entries and sequence <= self._journal.durable.seq:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._entries.append(_Entry(sequence, (), done))
        self._filled.set()
        await done

    def check(self) -> None:
        """Raises what ended the task, if something did."""
        if self._task.done() and not self._task.cancelled():
            self._task.result()

    async def close(self) -> None:
        """Lets go of everything that is durable by now, and ends."""
        self._flush()
        self._task.cancel()
        await asyncio.wait([self._task])
        self._fail("the service is closed")

    async def _run(self) -> None:
        while True:
            if not self._entries:
                self._filled.clear()
                await self._filled.wait()
            try:
                await self._journal.wait_async(self._entries[0].sequence)
            except JournalStopped as error:
                self._flush()
                self.stopped = str(error)
                self._fail(self.stopped)
                return
            self._flush()

    def _flush(self) -> None:
        durable = self._journal.durable.seq
        entries: Any = self._entries
        while entries and entries[0].sequence <= durable:
            entry = entries.popleft()
            for show in entry.shows:
                show()
            if entry.done is not None and not entry.done.done():
                entry.done.set_result(None)

    def _fail(self, reason: str) -> None:
        while self._entries:
            done = self._entries.popleft().done
            if done is not None and not done.done():
                done.set_exception(Unavailable(reason))
