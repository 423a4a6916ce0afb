"""Asking for memory before it is needed. The accounts that a tick wakes lie anywhere in hundreds of megabytes, and
each leads from one place to the next; asked for ahead, the waits for memory pass side by side instead of one after
the other. Nothing that is computed depends on it.
"""

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

__all__ = ["prefetch"]

_READ, _KEEP, _DATA = 0, 3, 1  # of LLVM's intrinsic: for reading, in every level of the cache, no code


@intrinsic
def prefetch(typing_context: Any, array: Any, index: Any) -> Any:
    """Asks for the line of the cache that array[index] lies in. index: one int, or a tuple of one for each axis;
    not checked, and harmless where it is outside."""
    if not isinstance(array, types.Array):
        return None
    result = types.void(array, index)

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind, given = signature.args
        held = context.make_array(kind)(context, builder, value=arguments[0])
        if isinstance(given, types.BaseTuple):
            places = cgutils.unpack_tuple(builder, arguments[1], len(given))
            places = [
                context.cast(builder, place, each, types.intp) for place, each in zip(places, given, strict=True)
            ]
        else:
            places = [context.cast(builder, arguments[1], given, types.intp)]
        pointer = cgutils.get_item_pointer(context, builder, kind, held, places, wraparound=False)
        byte = builder.bitcast(pointer, ir.IntType(8).as_pointer())
        integer = ir.IntType(32)
        hint = builder.module.declare_intrinsic(
            "llvm.prefetch", [byte.type], ir.FunctionType(ir.VoidType(), [byte.type, integer, integer, integer])
        )
        builder.call(hint, [byte, integer(_READ), integer(_KEEP), integer(_DATA)])
        return context.get_dummy_value()

    return result, build
