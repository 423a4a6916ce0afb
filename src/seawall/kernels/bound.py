"""Calling one compiled function from another by its address, bound when the program runs: what is linked would be
optimised and translated once more as a part of its caller, and what goes through Python costs some microseconds a call.
"""

import zlib
from typing import Any

import numpy as np
from llvmlite import ir
from numba import typeof
from numba.core import cgutils, types
from numba.extending import intrinsic

__all__ = ["ADDRESS", "UNBOUND", "bind", "call_at", "unbound"]

ADDRESS, _TYPES = 0, 1
UNBOUND = 0


def unbound() -> np.ndarray:
    """int64[2], a place for an address, with none in it."""
    return np.full(2, UNBOUND, np.int64)


def bind(place: np.ndarray, function: Any, arguments: tuple[Any, ...]) -> None:
    """Puts the address of a compiled function into `place`, for calls with arguments of the types of these; compiles
    it if need be."""
    signature = tuple(typeof(argument) for argument in arguments)
    function.compile(signature)
    compiled = function.overloads[signature]
    place[_TYPES] = _mark(signature)
    place[ADDRESS] = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)


def _mark(signature: tuple[Any, ...]) -> int:
    return zlib.crc32(", ".join(map(str, signature)).encode())


@intrinsic
def call_at(typing_context: Any, place: Any, arguments: Any) -> Any:
    """Calls the function bound in `place` with a tuple of arguments; it returns nothing. Where the types of the
    arguments are others than it was bound for: RuntimeError."""
    if not isinstance(arguments, types.BaseTuple):
        return None

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place_type, given = signature.args
        wanted = [types.unliteral(each) for each in given]
        parts = [
            context.cast(builder, part, each, to)
            for part, each, to in zip(cgutils.unpack_tuple(builder, values[1], len(given)), given, wanted, strict=True)
        ]
        held = context.make_array(place_type)(context, builder, value=values[0])
        word = ir.IntType(64)
        address, mark = (builder.load(builder.gep(held.data, [ir.IntType(32)(k)])) for k in (ADDRESS, _TYPES))
        with builder.if_then(builder.icmp_signed("!=", mark, word(_mark(tuple(wanted)))), likely=False):
            context.call_conv.return_user_exc(builder, RuntimeError, ("bound for arguments of other types",))
        function = context.call_conv.get_function_type(types.void, wanted)
        status, _ = context.call_conv.call_function(
            builder, builder.inttoptr(address, function.as_pointer()), types.void, wanted, parts
        )
        with builder.if_then(status.is_error, likely=False):
            context.call_conv.return_status_propagate(builder, status)
        return context.get_dummy_value()

    return types.void(place, arguments), build
