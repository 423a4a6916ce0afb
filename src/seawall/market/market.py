"""Market: everything known about prices at one moment, immutable; a change makes the next version.

The state is exact decimals and the vols: index prices, quotes as ratios to the index (see `quotes.py`), vols
per option, of its own or from a surface. The arrays that kernels read, `legs`, are derived once per version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from seawall.core.errors import BadNumber, ExpiredInstrument, StaleEvent, UnknownInstrument, show
from seawall.core.instruments import Instrument
from seawall.core.times import format_ns, parse_iso_ns
from seawall.core.units import NANO, parse_positive, to_int_exact

from . import document, files, pricing
from .layout import build_legs
from .legs import CONSTANT, LINEAR, Legs
from .quotes import Quote
from .surface import Surface, check_calendar

__all__ = ["Market"]

Price = str | int | float | Decimal


@dataclass(frozen=True, eq=False, slots=True)
class Market:
    """A snapshot of a market. Make one with `Market.load` or `Market.from_document`.

    as_of_ns: its time. settlement: the currency of cash, marks and margin. rate: interest per year,
    continuous. version: 1 when loaded, one more for every change. index: price of one unit by underlying.
    instruments: by symbol. surfaces: by (underlying, expiry_ns). legs: the arrays, see `legs.py`.
    """

    as_of_ns: int
    settlement: str
    rate_decimal: Decimal
    version: int
    index: dict[str, Decimal]
    instruments: dict[str, Instrument]
    quotes: dict[str, Quote]
    surfaces: dict[tuple[str, int], Surface]
    coin_lots: dict[str, Decimal]
    legs: Legs = field(repr=False)

    @property
    def rate(self) -> float:
        """Interest per year, continuously compounded."""
        return float(self.rate_decimal)

    @property
    def underlyings(self) -> tuple[str, ...]:
        """Names of the underlyings, in the order of the file."""
        return tuple(self.index)

    @classmethod
    def load(cls, path: str | Path) -> Market:
        """The market in a .json file or in a folder of Parquet tables; an InputError names what is wrong."""
        found, places = files.load_document(Path(path))
        return cls.from_document(found, places)

    @classmethod
    def from_document(cls, content: Any, place: str | document.Places = "market") -> Market:
        """The market of a parsed market.json. `place` heads error messages."""
        return cls(**document.parse_market(content, place))

    def save(self, path: str | Path) -> None:
        """Writes a .json file, or a folder of Parquet tables, that loads to the same arrays."""
        files.save_document(self.to_document(), Path(path))

    def to_document(self) -> dict[str, Any]:
        """The content of market.json, decimals as strings."""
        return document.market_document(self)

    def with_index(self, prices: Mapping[str, Price], as_of_ns: int | None = None) -> Market:
        """The market at other index prices; marks and forwards keep their ratio to the index.

        prices: by underlying, at most nine decimals. as_of_ns: also moves the time, never back.
        """
        index = dict(self.index)
        for name, price in prices.items():
            if name not in index:
                raise UnknownInstrument(f"index of {name}", "an unknown underlying", "one of " + ", ".join(index))
            index[name] = parse_positive(price, f"index of {name}")
            to_int_exact(index[name], NANO, f"index of {name}")
        index_nano = np.array([int(price * NANO) for price in index.values()], np.int64)
        return self._next(index=index, legs=self.legs.with_index(index_nano), as_of_ns=self._later(as_of_ns))

    def at(self, as_of_ns: int) -> Market:
        """The same prices at a later time."""
        return self._next(as_of_ns=self._later(as_of_ns))

    def with_mark(self, symbol: str, price: Price) -> Market:
        """The market with another mark of one perpetual, future or option (whose vol it then implies)."""
        instrument = self._live(symbol)
        mark = parse_positive(price, f"mark of {symbol}")
        if instrument.kind == "option":
            return self.with_iv({symbol: self._vol_behind(instrument, mark)})
        if instrument.kind not in ("perpetual", "future"):
            expected = "a perpetual, a future or an option (its index price moves a spot or a basket)"
            raise BadNumber(f"mark of {symbol}", f"a {instrument.kind}", expected)
        quotes = dict(self.quotes)
        quote = Quote(price=mark, at_index=self.index[instrument.underlying])
        quotes[symbol] = quote
        for name, other in quotes.items():
            if other.follows == symbol:
                quotes[name] = Quote(quote.price, quote.at_index, other.iv, symbol)
        legs = build_legs(self.index, self.instruments, quotes, self._ivs(), self.coin_lots, f"mark of {symbol}")
        return self._next(quotes=quotes, legs=legs)

    def with_iv(self, ivs: Mapping[str, Price]) -> Market:
        """The market with other implied vols of some options; they no longer come from a surface."""
        quotes = dict(self.quotes)
        for symbol, value in ivs.items():
            if self._live(symbol).kind != "option":
                raise BadNumber(f"iv of {symbol}", f"a {self.instruments[symbol].kind}", "an option")
            old = quotes[symbol]
            quotes[symbol] = Quote(old.price, old.at_index, pricing.parse_iv(value, f"iv of {symbol}"), old.follows)
        at = [self.legs.leg_of[symbol][0] for symbol in ivs]
        return self._next(quotes=quotes, legs=self.legs.with_iv(at, [quotes[s].iv or 0.0 for s in ivs]))

    def with_surface(self, surface: Surface) -> Market:
        """The market with another surface for its expiry; options with a vol of their own keep it."""
        place = f"surface of {surface.underlying} {format_ns(surface.expiry_ns)}"
        surfaces = {**self.surfaces, (surface.underlying, surface.expiry_ns): surface.checked(place)}
        check_calendar(surfaces.values(), place)
        ivs = document.surface_vols(surface, self.instruments.values(), self.quotes, place)
        at = [self.legs.leg_of[symbol][0] for symbol in ivs]
        return self._next(surfaces=surfaces, legs=self.legs.with_iv(at, list(ivs.values())))

    def mark(self, symbol: str) -> float:
        """The value of one unit in the settlement currency (of an inverse contract: its quoted price)."""
        instrument = self._known(symbol)
        if instrument.inverse:
            return float(self.index[instrument.underlying]) * float(self.quotes[symbol].ratio)
        legs = self.legs.leg_of[symbol]
        return float(sum(self.leg_marks()[leg] for leg in legs) / float(instrument.lot))

    def leg_marks(self) -> np.ndarray[Any, Any]:
        """float64[L]: value of one lot of each leg, options by Black-76."""
        return pricing.leg_marks(self.legs, self.as_of_ns, self.rate)

    def greeks(self) -> dict[str, np.ndarray[Any, Any]]:
        """float64[L] per Greek, by leg; see `pricing.leg_greeks`."""
        return pricing.leg_greeks(self.legs, self.as_of_ns, self.rate)

    def _known(self, symbol: str) -> Instrument:
        if symbol not in self.instruments:
            raise UnknownInstrument("instrument", show(symbol), "an instrument of the market")
        return self.instruments[symbol]

    def _live(self, symbol: str) -> Instrument:
        instrument = self._known(symbol)
        if instrument.expiry_ns and instrument.expiry_ns < self.as_of_ns:
            expired = f"a price after its expiry {format_ns(instrument.expiry_ns)}"
            raise ExpiredInstrument(symbol, expired, f"none at {format_ns(self.as_of_ns)}")
        return instrument

    def _later(self, as_of_ns: int | None) -> int:
        if as_of_ns is None:
            return self.as_of_ns
        moved = parse_iso_ns(as_of_ns, "as_of_ns")
        if moved < self.as_of_ns:
            raise StaleEvent("as_of_ns", format_ns(moved), f"a time from {format_ns(self.as_of_ns)} on")
        return moved

    def _vol_behind(self, instrument: Instrument, mark: Decimal) -> str:
        leg = self.legs.leg_of[instrument.symbol][0]
        forward, strike, life, years = (float(x[leg]) for x in pricing.option_inputs(self.legs, self.as_of_ns))
        place = f"mark of {instrument.symbol}"
        return repr(
            pricing.implied_iv(mark, forward, strike, life, instrument.right, pricing.carry(-self.rate, years), place)
        )

    def _ivs(self) -> dict[str, float]:
        legs = self.legs
        options = np.flatnonzero((legs.kind != LINEAR) & (legs.kind != CONSTANT))
        return {legs.symbols[leg]: float(legs.iv[leg]) for leg in options}

    def _next(self, **changes: Any) -> Market:
        return replace(self, version=self.version + 1, **changes)
