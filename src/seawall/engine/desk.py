"""The market as the engine keeps it: names, parsing of market events, the present snapshot.

Shared by the two ways of watching (`watcher.py`, `sweeper.py`). Prices move by `set_index`;
rarer changes (marks, volatilities) go through the immutable Market, whose arrays say which legs
changed.
"""

from decimal import Decimal
from typing import Any

import numpy as np

from seawall.core.errors import ExpiredInstrument, InputError, LimitExceeded, UnknownInstrument
from seawall.core.times import format_ns
from seawall.core.units import NANO, parse_decimal, to_int_exact

PRICE_LIMIT_NANO = 9_000_000 * NANO


class Desk:
    """Present index prices and the Market that everything else is read from."""

    def __init__(self, market: Any) -> None:
        self.base = market
        self.index_nano = np.asarray(market.legs.index_nano, np.int64).copy()
        self.underlying_index = {name: k for k, name in enumerate(market.underlyings)}

    def set_index(self, underlying: int, price: Decimal, place: str) -> float:
        """Sets a price; returns it as the float that the kernels use."""
        nano = to_int_exact(price, NANO, place)
        if nano >= PRICE_LIMIT_NANO:
            raise LimitExceeded(place, str(price), f"a price below {PRICE_LIMIT_NANO // NANO}")
        self.index_nano[underlying] = nano
        return nano / NANO

    def snapshot(self, at_ns: int) -> Any:
        """The present market."""
        prices = {
            name: Decimal(int(self.index_nano[k])).scaleb(-9) for name, k in self.underlying_index.items()
        }
        return self.base.with_index(prices, as_of_ns=at_ns)

    def listed(self, symbol: str, place: str, at_ns: int) -> Any:
        """An instrument that has not expired."""
        instrument = self.base.instruments.get(symbol)
        if instrument is None:
            raise UnknownInstrument(place, repr(symbol), "an instrument of the market")
        if instrument.expiry_ns and at_ns >= instrument.expiry_ns:
            raise ExpiredInstrument(
                f"{place} {symbol}", f"time {format_ns(at_ns)}", f"before its expiry {format_ns(instrument.expiry_ns)}"
            )
        return instrument

    def parse_surface(self, updates: dict[str, str], at_ns: int) -> dict[str, Decimal]:
        """Volatilities by symbol, all valid or none taken."""
        vols = {}
        for symbol, text in updates.items():
            instrument = self.listed(symbol, "surface", at_ns)
            if instrument.kind != "option":
                raise InputError(f"surface {symbol}", f"a {instrument.kind}", "an option")
            vol = parse_decimal(text, f"surface {symbol}")
            if not 0 < vol <= 100:
                raise InputError(f"surface {symbol}", str(text), "a volatility above 0, at most 100 (1 is 100 %)")
            vols[symbol] = vol
        return vols

    def with_mark(self, symbol: str, price: Decimal, at_ns: int) -> Any:
        """The market with another mark of one instrument, at the present index."""
        instrument = self.base.instruments[symbol]
        if instrument.kind not in ("perpetual", "future"):
            raise InputError(f"mark {symbol}", f"a {instrument.kind}", "a perpetual or a future (others follow the index)")
        return self.snapshot(at_ns).with_mark(symbol, price)
