"""Instruments: what a contract is, without any price.

One frozen record serves every kind; `parse_instrument` is the only door, so a record that exists is valid.
Which keys a kind may have is the table `KEYS`; prices of the same row (`QUOTE_KEYS`) belong to the market.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from .errors import BadNumber, CrossedDates, LimitExceeded, MissingKey, NotWholeLots, UnknownKey, UnreadableFile, show
from .times import format_ns, parse_iso_ns
from .units import NANO, VALUE_NANO_MAX, format_decimal, parse_decimal, parse_positive, to_int_exact

__all__ = ["CALL", "KEYS", "KINDS", "PUT", "QUOTE_KEYS", "Instrument", "instrument_row", "parse_instrument"]

CALL, PUT = 1, -1
KINDS = ("spot", "perpetual", "future", "option", "basket")
_COMMON = frozenset({"symbol", "kind", "lot", "open_interest"})
KEYS: dict[str, frozenset[str]] = {
    "spot": _COMMON | {"underlying", "haircut"},
    "perpetual": _COMMON | {"underlying", "inverse"},
    "future": _COMMON | {"underlying", "inverse", "expiry"},
    "option": _COMMON
    | {"underlying", "expiry", "right", "strike", "strike_fraction", "strike_fixes", "settled_in"},
    "basket": _COMMON | {"weights"},
}
QUOTE_KEYS: dict[str, frozenset[str]] = {
    "spot": frozenset(),
    "perpetual": frozenset({"mark", "quoted_at_index"}),
    "future": frozenset({"mark", "quoted_at_index"}),
    "option": frozenset({"mark", "iv", "forward", "quoted_at_index"}),
    "basket": frozenset(),
}
_RIGHTS = {"call": CALL, "put": PUT}
_RIGHT_NAMES = {CALL: "call", PUT: "put"}
_SYMBOL_CHARACTERS_MAX = 128
_FRACTION_MAX = Decimal(1000)


class Instrument(msgspec.Struct, frozen=True):
    """A contract. `lot` is in units of the underlying (of quote face for an inverse contract).

    `strike` is None for an option whose strike is not fixed yet: at `strike_fixes_ns` it becomes
    `strike_fraction` × the index (a forward start). `weights` are units of each underlying in one basket.
    """

    symbol: str
    kind: str
    underlying: str
    lot: Decimal
    expiry_ns: int = 0
    right: int = 0
    strike: Decimal | None = None
    strike_fraction: Decimal | None = None
    strike_fixes_ns: int = 0
    haircut: Decimal = Decimal(0)
    inverse: bool = False
    coin_settled: bool = False
    weights: dict[str, Decimal] = {}
    open_interest: Decimal | None = None

    @property
    def lot_nano(self) -> int:
        """One lot in billionths of a unit: exact, since lots have at most nine decimals."""
        return int(self.lot * NANO)

    def lots_of(self, quantity: object) -> int:
        """The lots in a signed quantity; BadNumber where it is no number, NotWholeLots between two lots."""
        place = f"quantity of {self.symbol}"
        number, over = parse_decimal(quantity, place).as_integer_ratio()
        lot, per = self.lot.as_integer_ratio()
        lots, rest = divmod(number * per, over * lot)
        if rest:
            raise NotWholeLots(place, show(quantity), f"a whole number of lots of {format_decimal(self.lot)}")
        return lots

    @property
    def is_forward_start(self) -> bool:
        """Whether the strike is still to be fixed."""
        return self.kind == "option" and self.strike is None

    @property
    def underlyings(self) -> tuple[str, ...]:
        """The underlyings whose price moves it."""
        return tuple(self.weights) if self.kind == "basket" else (self.underlying,)


def parse_instrument(row: dict[str, Any], place: str) -> Instrument:
    """The instrument of one row of a market file; an InputError names the key at fault."""
    symbol = parse_symbol(row.get("symbol"), f"{place}.symbol")
    place = f"{place} ({symbol})"
    kind = row.get("kind")
    if not isinstance(kind, str) or kind not in KEYS:
        raise UnreadableFile(f"{place}.kind", show(kind), "one of " + ", ".join(KINDS))
    allowed = KEYS[kind] | QUOTE_KEYS[kind]
    for key in row:
        if key not in allowed:
            raise UnknownKey(
                f"{place}.{key}", f"a key that no {kind} has", "one of " + ", ".join(sorted(allowed))
            )
    fields: dict[str, Any] = {
        "symbol": symbol,
        "kind": kind,
        "lot": _lot(_need(row, "lot", place), f"{place}.lot"),
    }
    fields["underlying"] = (
        "" if kind == "basket" else _text(_need(row, "underlying", place), f"{place}.underlying")
    )
    if "open_interest" in row:
        interest = _not_negative(row["open_interest"], f"{place}.open_interest")
        if interest >= fields["lot"] * VALUE_NANO_MAX:
            raise LimitExceeded(f"{place}.open_interest", show(row["open_interest"]), "fewer than 2**62 lots")
        fields["open_interest"] = interest
    if kind == "basket":
        fields["weights"] = _weights(_need(row, "weights", place), f"{place}.weights")
    if "haircut" in row:
        fields["haircut"] = _haircut(row["haircut"], f"{place}.haircut")
    if "inverse" in row:
        fields["inverse"] = _flag(row["inverse"], f"{place}.inverse")
    if kind in ("future", "option"):
        fields["expiry_ns"] = parse_iso_ns(_need(row, "expiry", place), f"{place}.expiry")
    if kind == "option":
        _option(row, place, fields)
    return Instrument(**fields)


def parse_symbol(value: object, place: str) -> str:
    """A name: one to 128 printable characters without blanks at its ends."""
    if value is None:
        raise MissingKey(place, "nothing", "a name")
    return _text(value, place)


def instrument_row(instrument: Instrument) -> dict[str, Any]:
    """The row that `parse_instrument` reads back to the same record (decimals as strings, no prices)."""
    row: dict[str, Any] = {"symbol": instrument.symbol, "kind": instrument.kind}
    if instrument.kind == "basket":
        row["weights"] = {name: str(weight) for name, weight in instrument.weights.items()}
    else:
        row["underlying"] = instrument.underlying
    row["lot"] = str(instrument.lot)
    if instrument.kind in ("future", "option"):
        row["expiry"] = format_ns(instrument.expiry_ns)
    if instrument.kind == "option":
        row["right"] = _RIGHT_NAMES[instrument.right]
    for key in ("strike", "strike_fraction", "open_interest"):
        if getattr(instrument, key) is not None:
            row[key] = str(getattr(instrument, key))
    if instrument.strike_fixes_ns:
        row["strike_fixes"] = format_ns(instrument.strike_fixes_ns)
    if instrument.haircut:
        row["haircut"] = str(instrument.haircut)
    if instrument.inverse:
        row["inverse"] = True
    if instrument.coin_settled:
        row["settled_in"] = "coin"
    return row


def _option(row: dict[str, Any], place: str, fields: dict[str, Any]) -> None:
    right = _need(row, "right", place)
    if not isinstance(right, str) or right not in _RIGHTS:
        raise UnreadableFile(f"{place}.right", show(right), "call or put")
    fields["right"] = _RIGHTS[right]
    settled = row.get("settled_in", "quote")
    if settled not in ("coin", "quote"):
        raise UnreadableFile(f"{place}.settled_in", show(settled), "coin or quote")
    fields["coin_settled"] = settled == "coin"
    if "strike" in row:
        fields["strike"] = parse_positive(row["strike"], f"{place}.strike")
    if "strike_fraction" in row or "strike_fixes" in row:
        fraction = _need(row, "strike_fraction", place)
        fields["strike_fraction"] = parse_positive(fraction, f"{place}.strike_fraction", _FRACTION_MAX)
        fixes_ns = parse_iso_ns(_need(row, "strike_fixes", place), f"{place}.strike_fixes")
        if fixes_ns >= fields["expiry_ns"]:
            expected = f"a time before the expiry {format_ns(fields['expiry_ns'])}"
            raise CrossedDates(f"{place}.strike_fixes", format_ns(fixes_ns), expected)
        fields["strike_fixes_ns"] = fixes_ns
    elif "strike" not in row:
        raise MissingKey(f"{place}.strike", "nothing", "a strike, or strike_fraction and strike_fixes")


def _need(row: dict[str, Any], key: str, place: str) -> Any:
    if key not in row:
        raise MissingKey(f"{place}.{key}", "nothing", f"the key {key}")
    return row[key]


def _text(value: object, place: str) -> str:
    fine = type(value) is str and 0 < len(value) <= _SYMBOL_CHARACTERS_MAX
    if not fine or not isinstance(value, str) or not value.isprintable() or value != value.strip():
        raise UnreadableFile(
            place, show(value), f"a name of 1 to {_SYMBOL_CHARACTERS_MAX} printable characters"
        )
    return value


def _lot(value: object, place: str) -> Decimal:
    lot = parse_positive(value, place)
    to_int_exact(lot, NANO, place)  # at most nine decimals
    return lot


def _not_negative(value: object, place: str) -> Decimal:
    number = parse_decimal(value, place)
    if number < 0:
        raise BadNumber(place, show(value), "a number of zero or more")
    return number


def _haircut(value: object, place: str) -> Decimal:
    number = _not_negative(value, place)
    if number > 1:
        raise BadNumber(place, show(value), "a fraction from 0 to 1")
    to_int_exact(number, 10**6, place)
    return number


def _flag(value: object, place: str) -> bool:
    if not isinstance(value, bool):
        raise UnreadableFile(place, show(value), "true or false")
    return value


def _weights(value: object, place: str) -> dict[str, Decimal]:
    if not isinstance(value, dict) or not value:
        raise UnreadableFile(place, show(value), 'an object such as {"BTC": "0.5", "ETH": "4"}')
    weights = {}
    for name, weight in value.items():
        number = parse_decimal(weight, f"{place}.{name}")
        if number == 0 or abs(number) >= 10**9 or number != round(number, 9):
            raise BadNumber(
                f"{place}.{name}", show(weight), "a weight other than zero with at most nine decimals"
            )
        weights[_text(name, place)] = number
    return weights
