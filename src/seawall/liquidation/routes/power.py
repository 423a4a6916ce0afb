"""x**y on unsigned fixed point with 18 decimals, by binary logarithm, as contracts compute it.

    x**y = 2**(y·log₂x)

log₂ by repeated squaring, one bit of the mantissa each (60 of them; Turner, C. (2010), *A fast binary logarithm
algorithm*); 2**f as the product over the set bits of f of the roots 2**(2**−i), in 64 fractional bits. Its last four
digits differ from exact arithmetic: they are the published figures' own, so they are reproduced, not corrected.
"""

from __future__ import annotations

from math import isqrt

from seawall.core.errors import BadNumber

__all__ = ["ONE", "exp2", "log2", "power"]

ONE = 10**18
_HALF_ROUND = ONE // 2
_ROOT_BITS = 64


def _roots() -> tuple[int, ...]:
    """2**(2**-i) for i = 1 … 64, in 64 fractional bits, to the nearest."""
    wide, roots = 2 << 512, []
    for _ in range(_ROOT_BITS):
        wide = isqrt(wide << 512)
        roots.append((wide + (1 << 447)) >> 448)
    return tuple(roots)


_ROOTS = _roots()


def log2(x: int) -> int:
    """log₂ of x/10**18 in 18 decimals, truncated, for x >= 10**18."""
    whole = (x // ONE).bit_length() - 1
    result, y, delta = whole * ONE, x >> whole, ONE >> 1
    if y == ONE:
        return result
    while delta:
        y = y * y // ONE
        if y >= 2 * ONE:
            result += delta
            y >>= 1
        delta >>= 1
    return result


def exp2(x: int) -> int:
    """2**(x/10**18) in 18 decimals, truncated, for 0 <= x < 192·10**18. Raises BadNumber."""
    if not 0 <= x < 192 * ONE:
        raise BadNumber("power, exponent of two", str(x), "below 192")
    binary = (x << 64) // ONE
    whole, fraction = binary >> 64, binary & ((1 << 64) - 1)
    result = 1 << 191
    for position, root in enumerate(_ROOTS):
        if fraction >> (63 - position) & 1:
            result = result * root >> 64
    return result * ONE >> (191 - whole)


def power(x: int, y: int) -> int:
    """(x/10**18)**(y/10**18) in 18 decimals for x >= 10**18 and y >= 0. Raises BadNumber.

    >>> power(2 * ONE, 3 * ONE) == 8 * ONE
    True
    """
    if x < ONE or y < 0:
        raise BadNumber("power", f"{x} to the {y}", "a base of at least one, an exponent of at least zero")
    return exp2((log2(x) * y + _HALF_ROUND) // ONE)
