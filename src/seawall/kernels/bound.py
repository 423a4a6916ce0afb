"""Calling one compiled function from another by its address, bound when the program runs. What is linked would be
optimised and translated once more as a part of its caller, and what goes through Python costs some microseconds a
call. Arguments that stay the same are laid down in memory once, as the machine takes them, so that the caller need
not have them.
"""

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from llvmlite import ir
from numba import typeof
from numba.core import types
from numba.extending import intrinsic

__all__ = ["UNBOUND", "Bound"]

UNBOUND = 0  # block[0], while there is no address in it
_WORD = ir.IntType(64)
_WORDS_MAX = 512


class Bound:
    """A compiled function whose calls name some of its arguments only.

    function: it returns nothing; sample: arguments of the types that it is called with; varying: the places of those
    that every call names. `call(block, varying arguments)` is for compiled code: block is what `block` gives, after
    `bind`. Arrays that are bound must not be moved, and are kept alive by whoever binds them.
    """

    def __init__(self, function: Any, sample: tuple[Any, ...], varying: tuple[int, ...]) -> None:
        self.function = function
        self.types = tuple(typeof(argument) for argument in sample)
        self.varying = varying
        self.call = _caller(self.types, varying)

    @staticmethod
    def block() -> np.ndarray:
        """int64[], a place for the address and the arguments, with none in it."""
        return np.full(_WORDS_MAX, UNBOUND, np.int64)

    def bind(self, block: np.ndarray, arguments: tuple[Any, ...]) -> None:
        """Lays down the address, compiling the function if need be, and all arguments; TypeError where they are of
        other types than the sample."""
        found = tuple(typeof(argument) for argument in arguments)
        if found != self.types:
            raise TypeError(f"arguments of types {found}; expected {self.types}")
        self.function.compile(self.types)
        compiled = self.function.overloads[self.types]
        words = [compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)]
        for argument in arguments:
            words += _words(argument)
        block[: len(words)] = words


def _words(value: Any) -> Iterator[int]:
    """What the machine takes for a value, in words of 64 bits, as `_load` reads them."""
    if isinstance(value, np.ndarray):
        yield from (0, 0, value.size, value.itemsize, value.ctypes.data, *value.shape, *value.strides)
    elif isinstance(value, tuple):
        for each in value:
            yield from _words(each)
    elif isinstance(value, float):
        yield struct.unpack("q", struct.pack("d", value))[0]
    else:
        yield int(value)


def _load(context: Any, builder: Any, kind: Any, words: Any, at: int) -> tuple[Any, int]:
    """The value of a type from words[at:], and where the next one begins."""
    if isinstance(kind, types.BaseTuple):
        parts = []
        for each in kind:
            part, at = _load(context, builder, each, words, at)
            parts.append(part)
        return context.make_tuple(builder, kind, parts), at
    place = builder.gep(words, [_WORD(at)])
    value_type = context.get_value_type(kind)
    size = 5 + 2 * kind.ndim if isinstance(kind, types.Array) else 1
    if context.get_abi_sizeof(value_type) != 8 * size:
        raise NotImplementedError(f"arguments of type {kind} cannot be bound")
    return builder.load(builder.bitcast(place, value_type.as_pointer())), at + size


def _caller(kinds: tuple[Any, ...], varying: tuple[int, ...]) -> Any:
    @intrinsic
    def call(typing_context: Any, block: Any, arguments: Any) -> Any:
        """Calls the bound function with a tuple of the varying arguments."""
        if not isinstance(arguments, types.BaseTuple) or len(arguments) != len(varying):
            return None
        if any(types.unliteral(each) != kinds[k] for k, each in zip(varying, arguments, strict=True)):
            return None

        def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            words = context.make_array(signature.args[0])(context, builder, value=values[0]).data
            parts, at = [], 1
            for kind in kinds:
                part, at = _load(context, builder, kind, words, at)
                parts.append(part)
            for place, k in enumerate(varying):
                named = builder.extract_value(values[1], place)
                parts[k] = context.cast(builder, named, signature.args[1][place], kinds[k])
            target = context.call_conv.get_function_type(types.void, kinds).as_pointer()
            status, _ = context.call_conv.call_function(
                builder, builder.inttoptr(builder.load(words), target), types.void, kinds, parts
            )
            with builder.if_then(status.is_error, likely=False):
                context.call_conv.return_status_propagate(builder, status)
            return context.get_dummy_value()

        return types.void(block, arguments), build

    return call
