"""Products of int64 and a binary fixed-point factor through 128 bits, with a named rounding.

Parts per million are too coarse for a discount on a book of ten million: these factors carry 48
binary places (4e-15). LLVM multiplies and shifts 128-bit integers natively, so the product
is exact before the one rounding; an arithmetic shift right rounds down for either sign.
"""

from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.extending import intrinsic

PLACES = 48
ONE = 1 << PLACES


@intrinsic
def product_down(typing_context, a, b, c):
    """floor(a · b · c / 2**48); the result must fit int64 and a · b · c must fit 128 bits."""

    def generate(context, builder, signature, arguments):
        wide = ir.IntType(128)
        x, y, z = (builder.sext(argument, wide) for argument in arguments)
        product = builder.mul(builder.mul(x, y), z)
        return builder.trunc(builder.ashr(product, ir.Constant(wide, PLACES)), ir.IntType(64))

    return types.int64(types.int64, types.int64, types.int64), generate


@njit(inline="always")
def scale_down(amount, factor):
    """floor(amount · factor / 2**48)."""
    return product_down(amount, factor, 1)


@njit(inline="always")
def scale_up(amount, factor):
    """ceil(amount · factor / 2**48)."""
    return -product_down(-amount, factor, 1)
