"""The content of market.json: checked and turned into the parts of a Market, and back.

The same code reads a JSON document and a folder of Parquet tables, which is the same document in tables.
Every complaint names the file, the row and the key. Nothing is returned unless everything is right.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import msgspec

from seawall.core.errors import (
    BadNumber,
    CrossedDates,
    DuplicateRow,
    ExpiredInstrument,
    MissingKey,
    UnknownInstrument,
    UnknownKey,
    UnreadableFile,
    show,
)
from seawall.core.instruments import Instrument, instrument_row, parse_instrument, parse_symbol
from seawall.core.times import YEAR_NS, format_ns, parse_iso_ns
from seawall.core.units import NANO, parse_decimal, parse_positive, to_int_exact

from . import pricing
from .layout import build_legs, default_coin_lot
from .quotes import Quote, round_nano
from .surface import Surface, check_butterflies, check_calendar
from .surface_rows import parse_surface, surface_row

if TYPE_CHECKING:
    from .market import Market

__all__ = ["Places", "market_document", "parse_market", "surface_vols"]

_TOP_KEYS = ("as_of", "settlement", "rate", "underlyings", "instruments", "surfaces", "version")
_RATE_MAX = 10


class Places(msgspec.Struct, frozen=True):
    """How error messages name a key of the document: in a JSON file, or in a folder of tables."""

    file: str
    tables: bool = False

    def key(self, name: str) -> str:
        """A key of the top level."""
        return f"{self.file}/market.parquet: column {name}" if self.tables else f"{self.file}: {name}"

    def row(self, table: str, position: int) -> str:
        """A row of a table, counted from one; an item of a list, counted from zero."""
        if self.tables:
            return f"{self.file}/{table}.parquet: row {position + 1}"
        return f"{self.file}: {table}[{position}]"

    def underlying(self, name: str) -> str:
        """An entry of `underlyings`."""
        return f"{self.file}/underlyings.parquet: {name}" if self.tables else f"{self.file}: underlyings.{name}"


class _Setting(msgspec.Struct):
    """What instruments are read against."""

    places: Places
    as_of_ns: int
    rate: float
    settlement: str
    index: dict[str, Decimal]


def parse_market(content: Any, place: str | Places) -> dict[str, Any]:
    """The fields of a `Market`; an InputError for the first thing that is wrong."""
    places = place if isinstance(place, Places) else Places(place)
    if not isinstance(content, dict):
        raise UnreadableFile(places.file, show(content), "an object with " + ", ".join(_TOP_KEYS[:5]))
    for key in content:
        if key not in _TOP_KEYS:
            raise UnknownKey(places.key(show(key)), "an unknown key", "one of " + ", ".join(_TOP_KEYS))
    for key in ("as_of", "settlement", "underlyings", "instruments"):
        if key not in content:
            raise MissingKey(places.key(key), "nothing", f"the key {key}")
    rate = parse_decimal(content.get("rate", "0"), places.key("rate"))
    if abs(rate) >= _RATE_MAX:
        raise BadNumber(places.key("rate"), show(content["rate"]), "a yearly rate such as 0.04")
    index, coin_lots = _underlyings(content["underlyings"], places)
    setting = _Setting(
        places=places,
        as_of_ns=parse_iso_ns(content["as_of"], places.key("as_of")),
        rate=float(rate),
        settlement=parse_symbol(content["settlement"], places.key("settlement")),
        index=index,
    )
    rows = _list(content["instruments"], places.key("instruments"))
    instruments = _instruments(rows, setting)
    quotes = _quotes(rows, instruments, setting)
    surfaces, ivs = _vols(content.get("surfaces", []), rows, instruments, quotes, setting)
    inverse = {instrument.underlying for instrument in instruments.values() if instrument.inverse}
    coin_lots = {name: coin_lots.get(name) or default_coin_lot(index[name]) for name in index if name in inverse}
    return {
        "as_of_ns": setting.as_of_ns,
        "settlement": setting.settlement,
        "rate_decimal": rate,
        "version": _version(content.get("version", 1), places.key("version")),
        "index": index,
        "instruments": instruments,
        "quotes": quotes,
        "surfaces": surfaces,
        "coin_lots": coin_lots,
        "legs": build_legs(index, instruments, quotes, ivs, coin_lots, places.file),
    }


def market_document(market: Market) -> dict[str, Any]:
    """The document that `parse_market` reads back to the same market, decimals as strings."""
    rows = []
    for symbol, instrument in market.instruments.items():
        row = instrument_row(instrument)
        quote = market.quotes[symbol]
        if quote.price is not None and quote.follows is None:
            row["forward" if instrument.kind == "option" else "mark"] = str(quote.price)
            if quote.at_index != market.index[instrument.underlying]:
                row["quoted_at_index"] = str(quote.at_index)
        if quote.iv is not None:
            row["iv"] = repr(quote.iv)
        rows.append(row)
    document: dict[str, Any] = {
        "as_of": format_ns(market.as_of_ns),
        "settlement": market.settlement,
        "rate": str(market.rate_decimal),
        "underlyings": {name: {"index": str(price)} for name, price in market.index.items()},
        "instruments": rows,
    }
    for name, lot in market.coin_lots.items():
        document["underlyings"][name]["coin_lot"] = str(lot)
    if market.surfaces:
        document["surfaces"] = [surface_row(surface) for surface in market.surfaces.values()]
    if market.version != 1:
        document["version"] = market.version
    return document


def surface_vols(
    surface: Surface, instruments: Iterable[Instrument], quotes: dict[str, Quote], place: str
) -> dict[str, float]:
    """Vols of the options that take theirs from this surface; ArbitrageSurface where they cannot be."""
    vols: dict[str, float] = {}
    strikes = []
    for instrument in instruments:
        if instrument.kind != "option" or quotes[instrument.symbol].iv is not None:
            continue
        if (instrument.underlying, instrument.expiry_ns) != (surface.underlying, surface.expiry_ns):
            continue
        if instrument.strike is not None:
            strike = float(instrument.strike)
        else:
            strike = float(instrument.strike_fraction or 1) * surface.forward
        strikes.append(strike)
        vol = surface.vol(strike)
        if not 1e-6 <= vol < pricing.IV_MAX:
            raise BadNumber(f"{place}, {instrument.symbol}", f"a volatility of {vol:g}", "one from 1e-6 to 100")
        vols[instrument.symbol] = vol
    check_butterflies(surface, strikes, place)
    return vols


def _list(value: Any, place: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not value:
        raise UnreadableFile(place, show(value), "a list of at least one object")
    for position, row in enumerate(value):
        if not isinstance(row, dict):
            raise UnreadableFile(f"{place}[{position}]", show(row), "an object")
    return value


def _version(value: Any, place: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value < 2**62:
        raise BadNumber(place, show(value), "a whole number of at least 1")
    return value


def _underlyings(value: Any, places: Places) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    if not isinstance(value, dict) or not value:
        raise UnreadableFile(places.key("underlyings"), show(value), 'an object such as {"BTC": {"index": "113000"}}')
    index: dict[str, Decimal] = {}
    coin_lots: dict[str, Decimal] = {}
    for name, entry in value.items():
        place = places.underlying(parse_symbol(name, places.key("underlyings")))
        if not isinstance(entry, dict) or "index" not in entry:
            raise MissingKey(f"{place}.index", show(entry), "an index price")
        for key in entry:
            if key not in ("index", "coin_lot"):
                raise UnknownKey(f"{place}.{key}", "an unknown key", "index or coin_lot")
        index[name] = parse_positive(entry["index"], f"{place}.index")
        to_int_exact(index[name], NANO, f"{place}.index")
        if "coin_lot" in entry:
            coin_lots[name] = parse_positive(entry["coin_lot"], f"{place}.coin_lot")
    return index, coin_lots


def _instruments(rows: list[dict[str, Any]], setting: _Setting) -> dict[str, Instrument]:
    instruments: dict[str, Instrument] = {}
    first: dict[str, str] = {}
    for position, row in enumerate(rows):
        place = setting.places.row("instruments", position)
        instrument = parse_instrument(row, place)
        symbol = instrument.symbol
        if symbol in instruments:
            raise DuplicateRow(f"{place}.symbol", f"{show(symbol)} again", f"each symbol once (also {first[symbol]})")
        if symbol == setting.settlement:
            raise DuplicateRow(f"{place}.symbol", f"{show(symbol)}, the settlement currency", "another symbol")
        for name in instrument.underlyings:
            if name not in setting.index:
                key = "weights" if instrument.kind == "basket" else "underlying"
                expected = "one of underlyings: " + ", ".join(list(setting.index)[:20])
                raise UnknownInstrument(f"{place} ({symbol}).{key}", show(name), expected)
        _check_dates(instrument, f"{place} ({symbol})", setting.as_of_ns)
        instruments[symbol] = instrument
        first[symbol] = place
    return instruments


def _check_dates(instrument: Instrument, place: str, as_of_ns: int) -> None:
    if instrument.expiry_ns and instrument.expiry_ns < as_of_ns:
        found = f"{format_ns(instrument.expiry_ns)}, which is past"
        raise ExpiredInstrument(f"{place}.expiry", found, f"a time from {format_ns(as_of_ns)} on")
    if instrument.strike_fixes_ns:
        fixed = instrument.strike_fixes_ns <= as_of_ns
        if fixed and instrument.strike is None:
            found = f"nothing, though it was fixed at {format_ns(instrument.strike_fixes_ns)}"
            raise MissingKey(f"{place}.strike", found, "the strike as fixed")
        if not fixed and instrument.strike is not None:
            found = f"a strike before {format_ns(instrument.strike_fixes_ns)}"
            raise CrossedDates(f"{place}.strike", found, "none until strike_fixes")


def _quotes(rows: list[dict[str, Any]], instruments: dict[str, Instrument], setting: _Setting) -> dict[str, Quote]:
    quotes: dict[str, Quote] = {}
    futures: dict[tuple[str, int], str] = {}
    for position, (row, instrument) in enumerate(zip(rows, instruments.values())):
        if instrument.kind in ("perpetual", "future"):
            quotes[instrument.symbol] = _given(row, "mark", position, instrument, setting)
        if instrument.kind == "future":
            futures.setdefault((instrument.underlying, instrument.expiry_ns), instrument.symbol)
    for position, (row, instrument) in enumerate(zip(rows, instruments.values())):
        if instrument.kind == "option":
            key = (instrument.underlying, instrument.expiry_ns)
            quote = _given(row, "forward", position, instrument, setting, futures.get(key))
            if quote.follows:
                quote = msgspec.structs.replace(quotes[quote.follows], follows=quote.follows)
            quotes[instrument.symbol] = quote
        elif instrument.symbol not in quotes:
            quotes[instrument.symbol] = Quote()
    return {symbol: quotes[symbol] for symbol in instruments}


def _given(
    row: dict[str, Any],
    key: str,
    position: int,
    instrument: Instrument,
    setting: _Setting,
    future: str | None = None,
) -> Quote:
    """The quote in `row[key]`, or what stands in: the future of the same expiry, or the carried index."""
    place = f"{setting.places.row('instruments', position)} ({instrument.symbol})"
    index = setting.index[instrument.underlying]
    if key in row:
        at_index = index
        if "quoted_at_index" in row:
            at_index = parse_positive(row["quoted_at_index"], f"{place}.quoted_at_index")
        return Quote(price=parse_positive(row[key], f"{place}.{key}"), at_index=at_index)
    if "quoted_at_index" in row:
        raise MissingKey(f"{place}.{key}", "quoted_at_index alone", f"the {key} that was quoted then")
    if future is not None:
        return Quote(follows=future)
    years = (instrument.expiry_ns - setting.as_of_ns) / YEAR_NS if instrument.expiry_ns else 0.0
    if setting.rate == 0 or years == 0:
        return Quote()
    grown = Fraction(index) * Fraction(pricing.carry(setting.rate, years))
    return Quote(price=round_nano(grown), at_index=index)


def _vols(
    given: Any,
    rows: list[dict[str, Any]],
    instruments: dict[str, Instrument],
    quotes: dict[str, Quote],
    setting: _Setting,
) -> tuple[dict[tuple[str, int], Surface], dict[str, float]]:
    """Surfaces, and the vol of every option; a vol of its own, or behind its mark, goes into its quote."""
    for position, (row, instrument) in enumerate(zip(rows, instruments.values())):
        if instrument.kind == "option" and ("iv" in row or "mark" in row):
            place = f"{setting.places.row('instruments', position)} ({instrument.symbol})"
            iv = _own_vol(row, instrument, quotes[instrument.symbol], setting, place)
            quotes[instrument.symbol] = msgspec.structs.replace(quotes[instrument.symbol], iv=iv)
    surfaces, places = _surfaces(given, instruments, quotes, setting)
    ivs = {symbol: quote.iv for symbol, quote in quotes.items() if quote.iv is not None}
    for key, surface in surfaces.items():
        ivs.update(surface_vols(surface, instruments.values(), quotes, places[key]))
    for position, instrument in enumerate(instruments.values()):
        if instrument.kind == "option" and instrument.symbol not in ivs:
            place = f"{setting.places.row('instruments', position)} ({instrument.symbol})"
            raise MissingKey(f"{place}.iv", "nothing", "an iv, a mark, or a surface of this expiry")
    return surfaces, ivs


def _own_vol(row: dict[str, Any], instrument: Instrument, quote: Quote, setting: _Setting, place: str) -> float:
    mark = parse_positive(row["mark"], f"{place}.mark") if "mark" in row else None
    if "iv" in row or mark is None:
        return pricing.parse_iv(row.get("iv"), f"{place}.iv")
    forward = float(setting.index[instrument.underlying]) * float(quote.ratio)
    start = setting.as_of_ns
    if instrument.strike is None:
        strike = float(instrument.strike_fraction or 1) * forward
        start = instrument.strike_fixes_ns
    else:
        strike = float(instrument.strike)
    years = (instrument.expiry_ns - setting.as_of_ns) / YEAR_NS
    life = (instrument.expiry_ns - start) / YEAR_NS
    discount = pricing.carry(-setting.rate, years)
    return pricing.implied_iv(mark, forward, strike, life, instrument.right, discount, f"{place}.mark")


def _surfaces(
    given: Any, instruments: dict[str, Instrument], quotes: dict[str, Quote], setting: _Setting
) -> tuple[dict[tuple[str, int], Surface], dict[tuple[str, int], str]]:
    surfaces: dict[tuple[str, int], Surface] = {}
    places: dict[tuple[str, int], str] = {}
    if given == []:
        return surfaces, places
    forwards = {
        (instrument.underlying, instrument.expiry_ns): float(setting.index[instrument.underlying])
        * float(quotes[instrument.symbol].ratio)
        for instrument in instruments.values()
        if instrument.kind in ("future", "option")
    }
    for position, row in enumerate(_list(given, setting.places.key("surfaces"))):
        place = setting.places.row("surfaces", position)
        surface = parse_surface(row, place, setting.as_of_ns, setting.rate, setting.index, forwards)
        key = (surface.underlying, surface.expiry_ns)
        if key in surfaces:
            again = f"{surface.underlying} {format_ns(surface.expiry_ns)} again"
            raise DuplicateRow(place, again, f"each expiry once (also {places[key]})")
        surfaces[key] = surface.checked(place)
        places[key] = place
    check_calendar(surfaces.values(), setting.places.key("surfaces"))
    return surfaces, places
