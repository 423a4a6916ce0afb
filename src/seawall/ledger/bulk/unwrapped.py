"""Records of a journal taken apart: `Unwrapped`, what `envelopes.unwrap` finds in arrays of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from .envelopes import WIDTH, unwrap

__all__ = ["Unwrapped"]

Array = np.ndarray[Any, Any]
_BEYOND = 8  # bytes behind texts that are read and written word by word


class Unwrapped:
    """Records that stood back to back in `data`: table int64[n, WIDTH]; events uint8 and sizes int64[ledger events]."""

    def __init__(self, data: bytes, sizes: Array) -> None:
        count = len(sizes)
        self.data = data
        self.starts = np.zeros(count + 1, np.int64)
        np.cumsum(sizes, out=self.starts[1:])
        self.table = np.zeros((count, WIDTH), np.int64)
        events = np.empty(len(data) + _BEYOND, np.uint8)
        ends = np.zeros(count + 1, np.int64)
        text = np.frombuffer(data + bytes(_BEYOND), np.uint8)
        copied = unwrap(text.ctypes.data, self.starts, events.ctypes.data, self.table.ctypes.data, ends)
        self.sizes = np.diff(ends[: copied + 1])
        self.events = events[: ends[copied]].tobytes()

    def record(self, k: int) -> bytes:
        """The k-th record."""
        return self.data[self.starts[k] : self.starts[k + 1]]
