"""Shared by the readers: exact numbers, rows that must be objects, and fields that are only talk."""

import re
from fractions import Fraction
from typing import Any

from seawall.core.units import parse_decimal
from seawall.margin.conform.fields import Fields
from seawall.margin.conform.reading import BadVector, reads

__all__ = ["exact", "fields", "name_of", "rows", "whole"]

TALK = ("name", "id", "origin", "note", "why", "source", "about", "active_upstream")
DIGITS_MAX = 120
_WHOLE = re.compile(rf"[+-]?\d{{1,{DIGITS_MAX}}}", re.ASCII)


@reads
def whole(value: Any) -> int:
    """An integer, or the digits of one."""
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() < 400:
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise TypeError(f"{value!r} is no integer")


@reads
def exact(value: Any) -> Fraction:
    """The rational that a decimal number says; a float stands for its shortest decimal text."""
    return Fraction(parse_decimal(value, "vector"))


def rows(value: Any, name: str) -> list[dict[str, Any]]:
    """A list of objects, empty where there is none. Raises BadVector for anything else."""
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise BadVector("vector", f"{name} of {type(value).__name__}", "a list of objects")
    return value


def fields(row: Any) -> Fields:
    """The row's fields without those that only say where it is from."""
    taken = Fields(row)
    for name in TALK:
        taken.take(name)
    return taken


def name_of(row: dict[str, Any], kind: str, position: int) -> str:
    """The row's own name, or where it stands."""
    return str(row.get("name") or row.get("id") or f"{kind}[{position}]")
