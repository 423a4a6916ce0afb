"""The first step of every margin model: lots times risk rows, one integer per column.

The trip count is a run-time value on purpose: with a literal one LLVM unrolls the loop into
scalar code, with a run-time one it emits vector multiply-adds.
"""

from seawall.kernels.compiled import inner


@inner
def project(values, legs, lots, start, stop, out, columns):
    """out[c] = Σ lots[p] · values[legs[p], c] over p in [start, stop), for c < columns."""
    for c in range(columns):
        out[c] = 0
    for p in range(start, stop):
        quantity = lots[p]
        row = values[legs[p]]
        for c in range(columns):
            out[c] += quantity * row[c]
