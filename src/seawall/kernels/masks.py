"""Compares of many numbers at once, held in vector registers: loops that test number by number cost more than the
arithmetic that made the numbers, since their branches are coin tosses. LLVM maps the wide vectors to whatever the
machine has."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

BITS = 64  # numbers that `at_most` tests
RANKED = 32  # numbers that `weight_above` ranks

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_TESTED = ir.VectorType(_I32, BITS)
_RANKS = ir.VectorType(_I64, RANKED)


def _spread(builder, value, row):
    """A vector of one value."""
    one = builder.insert_element(ir.Constant(row, ir.Undefined), value, _I32(0))
    places = ir.Constant(ir.VectorType(_I32, row.count), [0] * row.count)
    return builder.shuffle_vector(one, ir.Constant(row, ir.Undefined), places)


def _arrays(context, builder, signature, arguments):
    return [
        context.make_array(kind)(context, builder, value)
        for kind, value in zip(signature.args, arguments, strict=True)
        if isinstance(kind, types.Array)
    ]


@intrinsic
def at_most(typing_context, values, first, limit):
    """uint64: bit k is whether values[first + k] <= limit; values: int32[>= first + 64], contiguous; limit: int32."""

    def generate(context, builder, signature, arguments):
        (array,) = _arrays(context, builder, signature, arguments)
        start = builder.bitcast(builder.gep(array.data, [arguments[1]]), _TESTED.as_pointer())
        limits = _spread(builder, arguments[2], _TESTED)
        return builder.bitcast(builder.icmp_signed("<=", builder.load(start, align=4), limits), _I64)

    return types.uint64(values, types.int64, types.int32), generate


@intrinsic
def lowest(typing_context, bits):
    """int64: the number of the lowest bit that is set, 64 where none is."""

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate


@intrinsic
def bits_set(typing_context, bits):
    """int64: how many bits are set."""

    def generate(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


@intrinsic
def weight_above(typing_context, values, weights, count, first, out):
    """out[first + k] = Σ weights[j] over j < count with values[j] > values[first + k], for k < 32.

    values, weights, out: int64[>= first + 32, >= count], contiguous; what lies beyond `count` is read and written,
    and means nothing.
    """

    def generate(context, builder, signature, arguments):
        value_array, weight_array, out_array = _arrays(context, builder, signature, arguments)
        count, first = arguments[2], arguments[3]
        own = builder.bitcast(builder.gep(value_array.data, [first]), _RANKS.as_pointer())
        ranked = builder.load(own, align=8)
        none = ir.Constant(_RANKS, [0] * RANKED)
        sums = cgutils.alloca_once_value(builder, none)
        with cgutils.for_range(builder, count, intp=_I64) as loop:
            value = builder.load(builder.gep(value_array.data, [loop.index]))
            weight = builder.load(builder.gep(weight_array.data, [loop.index]))
            above = builder.icmp_signed(">", _spread(builder, value, _RANKS), ranked)
            more = builder.select(above, _spread(builder, weight, _RANKS), none)
            builder.store(builder.add(builder.load(sums), more), sums)
        target = builder.bitcast(builder.gep(out_array.data, [first]), _RANKS.as_pointer())
        builder.store(builder.load(sums), target, align=8)
        return context.get_dummy_value()

    return types.void(values, weights, types.int64, types.int64, out), generate
