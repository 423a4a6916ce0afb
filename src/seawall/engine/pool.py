"""Rows of many owners in shared columns: contiguous per owner, with room to grow.

A row that outgrows its room moves to the end; the columns double when they are full. What the
kernels read are the plain arrays `start`, `length` and `columns`.
"""

from typing import Any

import numpy as np

SPARE = 2  # rows an owner can gain before it moves


class Pool:
    """columns: arrays that share one row numbering; an owner's rows are the `length` from `start`.

    start, length: int64[owners], kept where the caller says; spare: rows of room that owners
    with rows get at the start (owners without any get some only where it is SPARE).
    """

    def __init__(
        self, row_ptr: np.ndarray, columns: list[np.ndarray], start: np.ndarray, length: np.ndarray, spare: int = SPARE
    ) -> None:
        self.start, self.length = start, length
        self.length[:] = np.diff(row_ptr)
        occupied = (self.length > 0) | (spare == SPARE)
        self.room = np.where(occupied, self.length + spare, 0).astype(np.int64)
        ends = np.cumsum(self.room)
        self.start[:] = ends - self.room
        self.used = int(ends[-1]) if len(ends) else 0
        at = np.repeat(self.start - row_ptr[:-1], self.length) + np.arange(len(columns[0]))
        self.columns = []
        for column in columns:
            wide = np.zeros((self.used, *column.shape[1:]), column.dtype)
            wide[at] = column
            self.columns.append(wide)

    def rows(self, owner: int) -> list[np.ndarray]:
        """Views of an owner's rows, one per column."""
        start, length = self.start[owner], self.length[owner]
        return [column[start : start + length] for column in self.columns]

    def insert(self, owner: int, at: int, *values: Any) -> None:
        """Puts a row, one value per column, before the owner's row number `at`."""
        if self.length[owner] == self.room[owner]:
            self.reserve(owner, 2 * int(self.room[owner]) + SPARE)
        start, length = int(self.start[owner]), int(self.length[owner])
        for column, value in zip(self.columns, values, strict=True):
            column[start + at + 1 : start + length + 1] = column[start + at : start + length].copy()
            column[start + at] = value
        self.length[owner] += 1

    def delete(self, owner: int, at: int) -> None:
        """Takes out the owner's row number `at`."""
        start, length = int(self.start[owner]), int(self.length[owner])
        for column in self.columns:
            column[start + at : start + length - 1] = column[start + at + 1 : start + length].copy()
        self.length[owner] -= 1

    def reserve(self, owner: int, room: int) -> None:
        """Moves an owner's rows to the end, with that much room."""
        if self.used + room > len(self.columns[0]):
            size = max(2 * len(self.columns[0]), self.used + room)
            self.columns = [_grown(column, size) for column in self.columns]
        start, length = int(self.start[owner]), int(self.length[owner])
        for column in self.columns:
            column[self.used : self.used + length] = column[start : start + length]
        self.start[owner] = self.used
        self.room[owner] = room
        self.used += room


def _grown(column: np.ndarray, size: int) -> np.ndarray:
    out = np.zeros((size, *column.shape[1:]), column.dtype)
    out[: len(column)] = column
    return out
