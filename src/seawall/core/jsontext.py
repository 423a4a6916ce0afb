"""JSON in, plain Python out: numbers keep every digit, a key said twice is an error, garbage is one message.

msgspec parses; fractions stay text until `units.parse_decimal` reads them, because a float on the way would
round. A value like 1e400 is therefore seen, and refused, as what was written.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from .errors import DuplicateRow, UnreadableFile, show

__all__ = ["Digits", "parse_json", "with_floats"]


class Digits(str):
    """The text of a JSON number with a fraction or an exponent."""

    __slots__ = ()


_DECODER = msgspec.json.Decoder(float_hook=Digits)


def parse_json(data: bytes, place: str) -> Any:
    """The document in `data`; UnreadableFile where it is no JSON, DuplicateRow for a key repeated."""
    try:
        document = _DECODER.decode(data)
        _refuse_repeated_keys(data, place)
    except RecursionError:
        raise UnreadableFile(place, "JSON nested too deeply", "a few levels") from None
    except (msgspec.DecodeError, UnicodeError, ValueError) as error:
        raise UnreadableFile(place, f"no JSON ({error})", "a JSON document") from None
    return document


def with_floats(value: Any) -> Any:
    """The document with its fractions as floats, for figures that are floats by definition."""
    if isinstance(value, Digits):
        return float(value)
    if isinstance(value, list):
        return [with_floats(each) for each in value]
    return {key: with_floats(each) for key, each in value.items()} if isinstance(value, dict) else value


def _refuse_repeated_keys(data: bytes, place: str) -> None:
    """msgspec lets the last of two equal keys win; a second reading only for the keys finds them."""

    def check(pairs: list[tuple[str, Any]]) -> None:
        if len({key for key, _ in pairs}) != len(pairs):
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen:
                    raise DuplicateRow(place, f"the key {show(key)} twice in one object", "each key once")
                seen.add(key)

    json.loads(data, object_pairs_hook=check, parse_int=len, parse_float=len)
