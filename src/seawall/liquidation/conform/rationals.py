"""Exact numbers of vectors: integers, decimals and fractions as they are written, of a size that arithmetic can bear."""

from fractions import Fraction
from typing import Any

from seawall.margin.conform.reading import BadVector, reads

LENGTH_MAX = 400  # characters of a number; its exponent is held to as much
EXPONENT_MAX = 400


@reads
def rational(value: Any) -> Fraction:
    """The exact number that an int, a float's shortest digits, or a string ("0.1", "49999/100") writes. Raises BadVector."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise BadVector("vector", f"{value!r}", "a number")
    text = str(value).strip()
    exponent = text.lower().partition("e")[2] or "0"
    if len(text) > LENGTH_MAX or abs(int(exponent)) > EXPONENT_MAX:
        raise BadVector("vector", f"a number of {len(text)} characters, exponent {exponent[:20]}", f"at most {LENGTH_MAX}")
    return Fraction(text)
