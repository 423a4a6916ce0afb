"""Lots times rows of 32 columns with the 32 sums held in vector registers.

The plain loop of `project.py` keeps its sums in memory and reloads them at every position. Here
they live in one <32 × int64> value for the whole slice, which LLVM maps to whatever vectors the
machine has. Wrap-around int64 arithmetic, so the result is the plain loop's, bit for bit.
"""

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 32

_I64 = ir.IntType(64)
_ROW = ir.VectorType(_I64, LANES)
_SPLAT = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)


@intrinsic
def _weighted_rows(typing_context, values, legs, lots, start, stop, out):
    """out[0:32] = Σ lots[p] · values[legs[p], 0:32]; int64[L, >= 32], int32[], int64[], int64[>= 32]."""
    signature = types.void(values, legs, lots, types.int64, types.int64, out)

    def codegen(context, builder, signature, arguments):
        arrays = [
            context.make_array(kind)(context, builder, value)
            for kind, value in zip(signature.args, arguments, strict=True)
            if isinstance(kind, types.Array)
        ]
        table, leg_array, lot_array, target = arrays
        start, stop = arguments[3], arguments[4]
        stride = cgutils.unpack_tuple(builder, table.strides)[0]
        base = builder.ptrtoint(table.data, _I64)
        sums = cgutils.alloca_once_value(builder, ir.Constant(_ROW, [0] * LANES))
        with cgutils.for_range_slice(builder, start, stop, ir.Constant(_I64, 1), _I64) as (p, _):
            leg = builder.sext(builder.load(builder.gep(leg_array.data, [p])), _I64)
            address = builder.add(base, builder.mul(leg, stride))
            row = builder.load(builder.inttoptr(address, _ROW.as_pointer()), align=8)
            lot = builder.load(builder.gep(lot_array.data, [p]))
            first = builder.insert_element(ir.Constant(_ROW, ir.Undefined), lot, ir.IntType(32)(0))
            spread = builder.shuffle_vector(first, ir.Constant(_ROW, ir.Undefined), _SPLAT)
            builder.store(builder.add(builder.load(sums), builder.mul(spread, row)), sums)
        builder.store(builder.load(sums), builder.bitcast(target.data, _ROW.as_pointer()), align=8)
        return context.get_dummy_value()

    return signature, codegen


@njit(inline="always")
def project32(values, legs, lots, start, stop, out):
    """out[c] = Σ lots[p] · values[legs[p], c] over p in [start, stop), for c < 32.

    values: int64[L, W] with W >= 32, rows contiguous; legs: int32[]; lots: int64[]; out: int64[>= 32].
    """
    _weighted_rows(values, legs, lots, start, stop, out)
