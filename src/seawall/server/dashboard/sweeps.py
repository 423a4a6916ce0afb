"""Full evaluations in the background: every account's exact figures now, and the stress grid cell by cell.

An engine with certificates leaves accounts alone, so its last figures of most of them are old. A thread of the
dashboard evaluates copies instead, within a share of wall time: the whole book at present prices, then the next
cells of a grid that began at one moment, and again. A larger book is looked at less often; the screen tells the age.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from seawall.server.dashboard.stress import SPOT, VOL, Book, stress_cell, sweep

__all__ = ["Swept", "Sweeps"]

IDLE_S = 3.0  # without being wanted, nothing is evaluated
CELLS_A_ROUND = 2


class Swept(msgspec.Struct, frozen=True, eq=False):
    """Exact figures of every account, int64[A, 3] micro, at a market version and time."""

    figures: np.ndarray
    version: int
    at_ns: int


class Sweeps:
    """The thread. take: gives (Book, version), a copy that is this side's own, or None where there is none yet.
    share: of wall time, at most."""

    def __init__(self, take: Callable[[], tuple[Book, int] | None], share: float) -> None:
        self._take = take
        self._share = share
        self.swept: Swept | None = None
        self.grid: dict[str, Any] | None = None
        self.failure: BaseException | None = None
        self._wanted = 0.0
        self._cells: list[Any] = []
        self._pinned: Book | None = None
        self._spent = 0.0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def want(self) -> None:
        """Somebody looks: goes on for IDLE_S. Raises what the thread failed with."""
        if self.failure is not None:
            raise RuntimeError("the evaluation in the background failed") from self.failure
        self._wanted = time.monotonic()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="dashboard-sweeps", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Ends the thread after the evaluation at hand."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(30)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                if time.monotonic() - self._wanted > IDLE_S:
                    self._stop.wait(0.1)
                    continue
                started = time.monotonic()
                self._round()
                took = time.monotonic() - started
                self._stop.wait(max(took / self._share - took, 0.1))
        except BaseException as error:  # noqa: BLE001 - raised again by `want`, in the thread that shows it
            self.failure = error

    def _round(self) -> None:
        taken = self._take()
        if taken is None:
            return
        book, version = taken
        figures = sweep(book)
        self.swept = Swept(figures, version, book.market.as_of_ns)
        if self._pinned is None:
            self._pinned, self._cells, self._spent = book, [], 0.0
        for _ in range(CELLS_A_ROUND):
            self._cell(self._pinned)
            if self._pinned is None:
                break

    def _cell(self, book: Book) -> None:
        """The next cell; after the last one the grid is there."""
        at = len(self._cells)
        started = time.monotonic()
        self._cells.append(stress_cell(book, SPOT[at % len(SPOT)], VOL[at // len(SPOT)]))
        self._spent += time.monotonic() - started
        if len(self._cells) == len(SPOT) * len(VOL):
            rows = [self._cells[k : k + len(SPOT)] for k in range(0, len(self._cells), len(SPOT))]
            self.grid = {
                "spot": list(SPOT),
                "vol": list(VOL),
                "cells": rows,
                "at_ms": book.market.as_of_ns // 1_000_000,
                "took_ms": int(self._spent * 1000),
                "accounts": len(book.cash_nano),
            }
            self._pinned = None
