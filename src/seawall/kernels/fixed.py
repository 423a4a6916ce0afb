"""Integer division and parts-per-million products with a named rounding, exact in int64.

Every product `amount × rate` is split at one million first, so that it cannot overflow while
the amount stays below 2**62 and the result fits int64. Division truncates nowhere by accident:
each function names its direction.
"""

from seawall.kernels.compiled import inner

MILLION = 1_000_000


@inner
def floor_div(a, b):
    """Largest integer q with q·b <= a, for b > 0."""
    return a // b


@inner
def ceil_div(a, b):
    """Smallest integer q with q·b >= a, for b > 0."""
    return -((-a) // b)


@inner
def mul_ppm_floor(a, ppm):
    """floor(a·ppm / 10⁶), exact."""
    return (a // MILLION) * ppm + ((a % MILLION) * ppm) // MILLION


@inner
def mul_ppm_ceil(a, ppm):
    """ceil(a·ppm / 10⁶), exact."""
    return (a // MILLION) * ppm - ((-((a % MILLION) * ppm)) // MILLION)


@inner
def share_floor(a, b, c):
    """floor(a·b / c), exact without a wider type, for 0 <= a < 2**31, 0 <= b <= c < 2**61."""
    quotient = 0
    remainder = 0
    bit = 1 << 30
    while bit:
        quotient *= 2
        remainder *= 2
        if a & bit:
            remainder += b
        while remainder >= c:
            remainder -= c
            quotient += 1
        bit >>= 1
    return quotient
