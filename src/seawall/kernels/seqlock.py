"""Sequence locks over lines of eight int64: one writer, any number of readers, none of which waits for another.

Word 0 of a line is its lock: odd while words 1 to 7 are being written, even afterwards. Every access to a line is an
atomic instruction with its order named. Plain stores will not do: of two increments of word 0 around the data the
compiler makes one, after the data, and readers take torn lines for whole ones (`tests/kernels/test_seqlock.py` looks at the
machine code). The scheme is that of H. Boehm, Can seqlocks get along with programming language memory models?, MSPC 2012.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from seawall.kernels.compiled import entry

__all__ = ["read_lines", "write_lines"]

_WORDS = 8
_BYTES = 8
_AHEAD = 12  # lines: as long as memory takes for one, at a few ns a line


def _address(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Where element arguments[1] of the flat array arguments[0] stands."""
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    return builder.gep(array.data, [arguments[1]])


def _storing(order: str) -> Any:
    def typed(_: Any, words: Any, at: Any, value: Any) -> Any:
        def lower(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            builder.store_atomic(arguments[2], _address(context, builder, signature, arguments), order, _BYTES)
            return context.get_dummy_value()

        return types.void(words, types.intp, types.int64), lower

    return intrinsic(typed)


def _loading(order: str) -> Any:
    def typed(_: Any, words: Any, at: Any) -> Any:
        def lower(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.load_atomic(_address(context, builder, signature, arguments), order, _BYTES)

        return types.int64(words, types.intp), lower

    return intrinsic(typed)


def _fencing(order: str) -> Any:
    def typed(_: Any) -> Any:
        def lower(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            assert isinstance(builder, ir.IRBuilder)
            builder.fence(order)
            return context.get_dummy_value()

        return types.void(), lower

    return intrinsic(typed)


@intrinsic
def _fetch(_: Any, words: Any, at: Any) -> Any:
    """Asks for the line of an element ahead of a write to it."""

    def lower(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = builder.bitcast(_address(context, builder, signature, arguments), ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer(), *[ir.IntType(32)] * 3])
        call = builder.module.declare_intrinsic("llvm.prefetch", [ir.IntType(8).as_pointer()], kind)
        builder.call(call, [place, *(ir.Constant(ir.IntType(32), flag) for flag in (1, 3, 1))])
        return context.get_dummy_value()

    return types.void(words, types.intp), lower


_store, _publish = _storing("monotonic"), _storing("release")
_load, _acquire = _loading("monotonic"), _loading("acquire")
_data_after, _data_before = _fencing("release"), _fencing("acquire")


@entry
def write_lines(words, at, values):
    """Writes values int64[k, 7] into the lines at int64[k] of words int64[8·n], each under its own lock.

    Returns k, or the number of the first line that is not there, and then has written nothing.
    """
    lines = np.int64(words.shape[0] // _WORDS)
    for k in range(at.shape[0]):
        if at[k] < 0 or at[k] >= lines:
            return k
    for k in range(at.shape[0]):
        if k + _AHEAD < at.shape[0]:
            _fetch(words, at[k + _AHEAD] * _WORDS)
        lock = at[k] * _WORDS
        odd = _load(words, lock) | 1  # odd already where a writer was killed in this line
        _store(words, lock, odd)
        _data_after()
        for word in range(7):
            _store(words, lock + 1 + word, values[k, word])
        _publish(words, lock, odd + 1)
    return at.shape[0]


@entry
def read_lines(words, at, tries, values, known):
    """Copies words 1 to 7 of the lines at int64[k] into values int64[k, 7]; known bool[k]: whether they belong together.

    A line is tried `tries` times; one that was never written, or is not whole by then, is not known and reads zero.
    """
    lines = np.int64(words.shape[0] // _WORDS)
    for k in range(at.shape[0]):
        known[k] = False
        lock = at[k] * _WORDS
        if 0 <= at[k] < lines:
            for _ in range(tries):
                before = _acquire(words, lock)
                if before & 1:
                    continue
                for word in range(7):
                    values[k, word] = _load(words, lock + 1 + word)
                _data_before()
                if _load(words, lock) == before:
                    known[k] = before != 0
                    break
        if not known[k]:
            for word in range(7):
                values[k, word] = 0
