"""Integers at addresses: for kernels that work on many columns at once, each an array that Python may move in between.

An address is an int64, an index counts elements of the named width. Nothing is checked: who calls has looked.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = ["fetch", "get8", "get32", "get64", "getu8", "set32", "set64", "setu8", "word_at"]


def _place(builder: Any, base: Any, index: Any, bits: int) -> Any:
    return builder.gep(builder.inttoptr(base, ir.IntType(bits).as_pointer()), [index])


def _getting(bits: int, signed: bool = True) -> Any:
    def typed(_: Any, base: Any, index: Any) -> Any:
        def lower(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            found = builder.load(_place(builder, *arguments, bits))
            if bits == 64:
                return found
            return (builder.sext if signed else builder.zext)(found, ir.IntType(64))

        return types.int64(types.int64, types.int64), lower

    return intrinsic(typed)


@intrinsic
def word_at(_: Any, base: Any) -> Any:
    """The int64 at an address that need not be a multiple of eight."""

    def lower(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(builder.inttoptr(arguments[0], ir.IntType(64).as_pointer()), align=1)

    return types.int64(types.int64), lower


def _setting(bits: int) -> Any:
    def typed(_: Any, base: Any, index: Any, value: Any) -> Any:
        def lower(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            base, index, value = arguments
            kept = value if bits == 64 else builder.trunc(value, ir.IntType(bits))
            builder.store(kept, _place(builder, base, index, bits))
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, types.int64), lower

    return intrinsic(typed)


@intrinsic
def fetch(_: Any, base: Any, index: Any) -> Any:
    """Asks for the memory around an int64 ahead of its use."""

    def lower(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        byte = ir.IntType(8).as_pointer()
        place = builder.bitcast(_place(builder, *arguments, 64), byte)
        kind = ir.FunctionType(ir.VoidType(), [byte, *[ir.IntType(32)] * 3])
        call = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        builder.call(call, [place, *(ir.Constant(ir.IntType(32), flag) for flag in (1, 3, 1))])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), lower


get8, get32, get64, getu8 = _getting(8), _getting(32), _getting(64), _getting(8, signed=False)
set32, set64, setu8 = _setting(32), _setting(64), _setting(8)
