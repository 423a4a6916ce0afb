"""Units of account, and exact conversion between decimals at the edge and integers inside.

Money in the ledger is int64 micro-quote, the value of one lot int64 nano-quote, quantities are whole lots,
rates parts per million. The unit is the last word of a name. Products that are legal:

    lots  [lots]  × value  [nano/lot]      → value [nano]     Σ |…| of an account < 2**62 (`VALUE_NANO_MAX`)
    value [nano]  × rate   [ppm] ÷ 10**6   → value [nano]
    value [nano]  ÷ 1000                   → money [micro]    floor for equity, ceil for requirements
    money [micro] × rate   [ppm] ÷ 10**6   → money [micro]    ceil for requirements
    index [nano]  × lot    [units/lot]     → value [nano/lot] floor: a long is worth no more than the market

Everything else (money × money, lots × lots, nano + micro) is a mistake.
"""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, Inexact, InvalidOperation

from .errors import BadNumber, LimitExceeded, show

__all__ = [
    "INT64_MAX",
    "LOT_VALUE_NANO_MAX",
    "MICRO",
    "NANO",
    "PPM",
    "PRICE_MAX",
    "VALUE_NANO_MAX",
    "ceil_to",
    "exact_product",
    "floor_to",
    "format_decimal",
    "format_micro",
    "format_nano",
    "is_decimal_text",
    "micro_from_nano_ceil",
    "micro_from_nano_floor",
    "parse_decimal",
    "parse_positive",
    "to_int_exact",
]

MICRO = 10**6
NANO = 10**9
PPM = 10**6
INT64_MAX = 2**63 - 1
VALUE_NANO_MAX = 2**62
"""An account's Σ |lots × nano| stays below this, so that no sum of two such figures leaves int64."""
LOT_VALUE_NANO_MAX = 2**53
"""One lot is worth less than this (9 million quote), so that its value is exact as a float too."""
PRICE_MAX = Decimal(9_000_000_000)
"""A price, strike or amount per unit stays below this, so that it fits int64 in nano."""

_EXACT = Context(prec=120, Emin=-400, Emax=400, traps=[Inexact, InvalidOperation])
_WIDE = Context(prec=120, Emin=-400, Emax=400)
_DECIMAL = re.compile(r"[+-]?(?:\d{1,60}\.?\d{0,60}|\.\d{1,60})(?:[eE][+-]?\d{1,4})?", re.ASCII)
_EXPONENT_MAX = 60
_NUMBER = "a decimal number such as 1250.5"


def is_decimal_text(text: str) -> bool:
    """Whether `text` is a plain decimal number: no nan, inf, hex, blanks or underscores."""
    return _DECIMAL.fullmatch(text) is not None


def parse_decimal(value: object, place: str) -> Decimal:
    """The exact decimal of a string, int, float or Decimal; a float stands for its shortest decimal text.

    Raises BadNumber for anything that is not finite and plain, and for magnitudes beyond 10**±60.
    """
    if isinstance(value, Decimal):
        number = value
    elif isinstance(value, str):
        if not is_decimal_text(value):
            raise BadNumber(place, show(value), _NUMBER)
        number = Decimal(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        if value.bit_length() > 256:
            raise BadNumber(place, show(value), "a number below 1e60")
        number = Decimal(value)
    elif isinstance(value, float):
        number = Decimal(repr(value))
    else:
        raise BadNumber(place, show(value), _NUMBER)
    if not number.is_finite():
        raise BadNumber(place, show(str(number)), "a finite decimal number")
    if number and not -_EXPONENT_MAX <= number.adjusted() <= _EXPONENT_MAX:
        raise BadNumber(place, show(value), "a number between 1e-60 and 1e60")
    return number


def parse_positive(value: object, place: str, limit: Decimal = PRICE_MAX) -> Decimal:
    """As `parse_decimal`, and 0 < value < limit."""
    number = parse_decimal(value, place)
    if number <= 0:
        raise BadNumber(place, show(value), "a number above zero")
    if number >= limit:
        raise LimitExceeded(place, show(value), f"a number below {limit}")
    return number


def to_int_exact(number: Decimal, scale: int, place: str, limit: int = INT64_MAX) -> int:
    """`number × scale` (a power of ten) as an int; BadNumber where that is not whole, LimitExceeded beyond ±limit."""
    scaled = _WIDE.multiply(number, Decimal(scale))
    whole = int(scaled)
    if scaled != whole:
        raise BadNumber(place, show(format_decimal(number)), f"at most {len(str(scale)) - 1} decimals")
    if abs(whole) > limit:
        raise LimitExceeded(place, show(format_decimal(number)), f"at most ±{Decimal(limit) / scale}")
    return whole


def floor_to(number: Decimal, scale: int) -> int:
    """`number × scale` rounded down."""
    return int(_WIDE.multiply(number, Decimal(scale)).to_integral_value(ROUND_FLOOR, _WIDE))


def ceil_to(number: Decimal, scale: int) -> int:
    """`number × scale` rounded up."""
    return int(_WIDE.multiply(number, Decimal(scale)).to_integral_value(ROUND_CEILING, _WIDE))


def exact_product(a: Decimal, b: Decimal) -> Decimal:
    """a × b without rounding (Decimal's default context keeps 28 digits only)."""
    return _EXACT.multiply(a, b)


def micro_from_nano_floor(nano: int) -> int:
    """Nano to micro, rounded down: what an account owns."""
    return nano // 1000


def micro_from_nano_ceil(nano: int) -> int:
    """Nano to micro, rounded up: what an account owes."""
    return -(-nano // 1000)


def format_micro(micro: int) -> str:
    """Micro as a decimal string with six digits: -1250000 → "-1.250000"."""
    sign = "-" if micro < 0 else ""
    whole, rest = divmod(abs(int(micro)), MICRO)
    return f"{sign}{whole}.{rest:06d}"


def format_nano(nano: int) -> str:
    """Nano as the shortest decimal string: 61250500000000 → "61250.5"."""
    sign = "-" if nano < 0 else ""
    whole, rest = divmod(abs(int(nano)), NANO)
    return f"{sign}{whole}.{rest:09d}".rstrip("0").rstrip(".")


def format_decimal(number: Decimal) -> str:
    """A decimal without exponent and without trailing zeros, as files carry it."""
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text
