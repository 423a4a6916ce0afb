"""What the disk is asked for beside the commits, so that nobody who waits for an acknowledgement waits for it.

Two threads of one kind: one syncs the head file once a second, the other moves SQLite's write-ahead log into the database. The first
failure is kept and told to who asks; after it nothing more is done.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

__all__ = ["Beside"]


class Beside:
    """A thread that does one thing whenever it was asked to since the last time, with a pause after each.

    failed: what ended it, if something did; `on_failure` is called with that, on the thread.
    """

    def __init__(
        self,
        name: str,
        do: Callable[[], object],
        pause_s: float = 0.0,
        on_failure: Callable[[Exception], object] | None = None,
    ) -> None:
        self.failed: Exception | None = None
        self._do, self._pause_s, self._on_failure = do, pause_s, on_failure
        self._asked, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def ask(self) -> None:
        """It is to be done once more; returns at once."""
        self._asked.set()

    def close(self) -> None:
        """Ends the thread, when what it is at is done."""
        self._over.set()
        self._asked.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self._asked.wait()
            if self._over.wait(self._pause_s):
                return
            self._asked.clear()  # before it is done: who asks meanwhile asks for the next time
            try:
                self._do()
            except Exception as error:  # noqa: BLE001  kept, and told to whom it concerns
                self.failed = error
                if self._on_failure is not None:
                    self._on_failure(error)
                return
