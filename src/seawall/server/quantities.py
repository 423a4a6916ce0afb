"""Quantities and prices of contracts: units as users write them, lots and nano per lot as the fold counts them."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

from seawall.core.errors import BadNumber, UnknownInstrument, show
from seawall.core.units import NANO, format_decimal, parse_positive
from seawall.engine.clearing import Clearing

__all__ = ["instrument_of", "lot_price", "price_text", "quantity_text"]


def instrument_of(clearing: Clearing, symbol: str, place: str = "instrument") -> Any:
    """An instrument of the market; UnknownInstrument where there is none of that name."""
    instrument = clearing.engine.watch.desk.base.instruments.get(symbol)
    if instrument is None:
        raise UnknownInstrument(place, show(symbol), "an instrument of the market")
    return instrument


def lot_price(instrument: Any, text: str, place: str = "price") -> int:
    """Nano per lot of a price per unit; refused where that is not whole."""
    price = parse_positive(text, place)
    exact = Fraction(price) * Fraction(instrument.lot) * NANO
    if exact.denominator != 1:
        expected = f"a price that is whole nano per lot of {format_decimal(instrument.lot)}"
        raise BadNumber(place, show(text), expected)
    return exact.numerator


def quantity_text(instrument: Any, lots: int) -> str:
    """Signed lots as units."""
    return format_decimal(instrument.lot * lots)


def price_text(instrument: Any, nano_per_lot: int) -> str:
    """Nano per lot as a price of one unit; exact for lots that are a power of ten, else rounded to 18 decimals."""
    return format_decimal(Decimal(nano_per_lot).scaleb(-9) / instrument.lot)
