"""Accounts: a bound book as arrays, one row per position leg, in the order the kernels walk them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from seawall.core.errors import InputError, UnreadableFile, invariant, show

__all__ = ["Accounts"]

Array = np.ndarray[Any, Any]
_TABLES = ("accounts.parquet", "positions.parquet")


@dataclass(frozen=True, eq=False, slots=True)
class Accounts:
    """A accounts with N positions.

    names: of the accounts; an isolated pool is an account "alice:BTC-PERP". cash_nano int64[A]: cash less
    quantity × entry of perpetuals, futures and baskets, so equity = cash + Σ lots × value. row_ptr
    int64[A + 1]: account a has the rows row_ptr[a] to row_ptr[a + 1]. leg int32[N], rising within an account.
    lots int64[N], never zero.
    """

    names: list[str]
    cash_nano: Array
    row_ptr: Array
    leg: Array
    lots: Array

    def __len__(self) -> int:
        return len(self.names)

    def take(self, rows: Array) -> Accounts:
        """The accounts with these numbers (int64[k]), in that order."""
        counts = np.diff(self.row_ptr)[rows]
        row_ptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        places = np.repeat(self.row_ptr[:-1][rows] - row_ptr[:-1], counts) + np.arange(row_ptr[-1])
        names = [self.names[row] for row in rows]
        return Accounts(names, self.cash_nano[rows], row_ptr, self.leg[places], self.lots[places])

    def check(self) -> None:
        """InvariantError unless the arrays fit together as the class promises."""
        count = len(self.names)
        invariant(len(self.cash_nano) == count, "one cash balance per account")
        invariant(len(self.row_ptr) == count + 1 and self.row_ptr[0] == 0, "row_ptr spans every account")
        invariant(self.row_ptr[-1] == len(self.leg) == len(self.lots), "row_ptr ends with the last position")
        invariant(bool(np.all(np.diff(self.row_ptr) >= 0)), "row_ptr never falls")
        invariant(bool(np.all(self.lots != 0)), "no position of zero lots")
        rising = np.diff(self.leg) > 0
        starts = self.row_ptr[1:-1]
        rising[starts[(starts > 0) & (starts < len(self.leg))] - 1] = True
        invariant(bool(np.all(rising)), "legs rise within an account")

    def only(self, name: str) -> Accounts:
        """The account of that name alone; InputError where there is none."""
        if name not in self.names:
            raise InputError("account", show(name), "an account of the book")
        row = self.names.index(name)
        rows = slice(int(self.row_ptr[row]), int(self.row_ptr[row + 1]))
        row_ptr = np.array([0, rows.stop - rows.start], np.int64)
        return Accounts([name], self.cash_nano[row : row + 1], row_ptr, self.leg[rows], self.lots[rows])

    def save(self, folder: str | Path) -> None:
        """Writes two Parquet tables into a folder; `load` gives back the same arrays."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        counts = np.diff(self.row_ptr)
        accounts = pl.DataFrame({"account": self.names, "cash_nano": self.cash_nano, "rows": counts})
        accounts.write_parquet(folder / _TABLES[0])
        pl.DataFrame({"leg": self.leg, "lots": self.lots}).write_parquet(folder / _TABLES[1])

    @classmethod
    def load(cls, folder: str | Path) -> Accounts:
        """The arrays that `save` wrote; UnreadableFile where they are not there or are damaged."""
        tables = []
        for name in _TABLES:
            path = Path(folder) / name
            try:
                tables.append(pl.read_parquet(path))
            except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
                raise UnreadableFile(str(path), type(error).__name__, "a table written by Accounts.save") from None
        accounts, positions = tables
        loaded = cls(
            names=accounts["account"].to_list(),
            cash_nano=accounts["cash_nano"].to_numpy(),
            row_ptr=np.concatenate([[0], np.cumsum(accounts["rows"].to_numpy())]).astype(np.int64),
            leg=positions["leg"].to_numpy(),
            lots=positions["lots"].to_numpy(),
        )
        loaded.check()
        return loaded
