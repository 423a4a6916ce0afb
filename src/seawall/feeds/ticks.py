"""A price stream as three arrays: when, which name, how much.

Prices are integers, 10⁻⁹ of the quote currency per unit (`price_nano`), so that a stream is the same
on every machine and costs 20 bytes a tick; they become decimal strings only where an event is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from seawall.core.errors import InputError
from seawall.core.times import format_ns
from seawall.core.units import format_nano

__all__ = ["PriceHistory", "SurfaceUpdate", "Ticks"]


class Ticks(msgspec.Struct, frozen=True, eq=False):
    """Prices in time order.

    at_ns: int64[T], non-decreasing; name: int32[T], index into `names`; price_nano: int64[T], > 0.
    """

    names: tuple[str, ...]
    at_ns: np.ndarray
    name: np.ndarray
    price_nano: np.ndarray

    def __len__(self) -> int:
        return len(self.at_ns)

    def __iter__(self) -> Iterator[tuple[int, str, str]]:
        """Yields (at_ns, name, price as a decimal string), made in blocks to stay light."""
        names = self.names
        for start in range(0, len(self.at_ns), 8192):
            stop = start + 8192
            rows = zip(
                self.at_ns[start:stop].tolist(),
                self.name[start:stop].tolist(),
                self.price_nano[start:stop].tolist(),
                strict=True,
            )
            for at_ns, name, price_nano in rows:
                yield at_ns, names[name], format_nano(price_nano)

    def between(self, start_ns: int | None = None, end_ns: int | None = None) -> Ticks:
        """The ticks with start_ns <= at_ns < end_ns; None means unbounded."""
        low = 0 if start_ns is None else int(np.searchsorted(self.at_ns, start_ns, "left"))
        high = len(self.at_ns) if end_ns is None else int(np.searchsorted(self.at_ns, end_ns, "left"))
        high = max(low, high)
        return Ticks(self.names, self.at_ns[low:high], self.name[low:high], self.price_nano[low:high])

    def only(self, names: Sequence[str]) -> Ticks:
        """The ticks of the given names alone, in the order of this stream."""
        kept = tuple(name for name in self.names if name in set(names))
        renumber = np.full(len(self.names), -1, np.int32)
        for new, name in enumerate(kept):
            renumber[self.names.index(name)] = new
        index = renumber[self.name]
        mask = index >= 0
        return Ticks(kept, self.at_ns[mask], index[mask], self.price_nano[mask])

    def first_prices(self) -> dict[str, str]:
        """Decimal string of the first price of every name that ticks."""
        present, first = np.unique(self.name, return_index=True)
        prices = self.price_nano[first].tolist()
        return {self.names[n]: format_nano(p) for n, p in zip(present.tolist(), prices, strict=True)}

    @classmethod
    def merge(cls, names: Sequence[str], parts: Sequence[tuple[np.ndarray, int, np.ndarray]]) -> Ticks:
        """One stream of single-name parts (at_ns, index of the name, price_nano); ties keep their order."""
        if not parts:
            empty = np.zeros(0, np.int64)
            return cls(tuple(names), empty, np.zeros(0, np.int32), empty)
        at_ns = np.concatenate([part[0] for part in parts])
        name = np.concatenate([np.full(len(part[0]), part[1], np.int32) for part in parts])
        price = np.concatenate([part[2] for part in parts])
        order = np.argsort(at_ns, kind="stable")
        return cls(tuple(names), at_ns[order], name[order], price[order])


class SurfaceUpdate(msgspec.Struct, frozen=True, eq=False):
    """New implied vols, as decimal strings, of the named options at one time."""

    at_ns: int
    ivs: dict[str, str]


class PriceHistory(msgspec.Struct, frozen=True, eq=False):
    """What a price file holds: its ticks, its vol updates, and the market it describes, if it does.

    series: for each name, the "venue symbol" that it was read from; unused: series left out because
    another one of the same name was preferred; market: a document in the shape of market.json, or None.
    """

    source: str
    ticks: Ticks
    series: dict[str, str]
    unused: tuple[str, ...] = ()
    surfaces: tuple[SurfaceUpdate, ...] = ()
    market: dict | None = None

    def between(self, start_ns: int | None, end_ns: int | None) -> PriceHistory:
        """The part with start_ns <= at_ns < end_ns, of the names that tick in it. Raises InputError if there
        is none."""
        ticks = self.ticks.between(start_ns, end_ns)
        if not len(ticks):
            raise InputError(self.source, "no tick in the asked span", self.span_text())
        ticks = ticks.only([ticks.names[n] for n in np.unique(ticks.name).tolist()])
        series = {name: label for name, label in self.series.items() if name in ticks.names}
        surfaces = tuple(
            s
            for s in self.surfaces
            if (start_ns is None or s.at_ns >= start_ns) and (end_ns is None or s.at_ns < end_ns)
        )
        return msgspec.structs.replace(self, ticks=ticks, series=series, surfaces=surfaces)

    def span_text(self) -> str:
        """The span of the ticks, for messages."""
        first, last = self.ticks.at_ns[[0, -1]].tolist()
        return f"a time from {format_ns(first)} to {format_ns(last)}"
