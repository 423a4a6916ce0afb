"""Columns of an account that can be among its worst, found without reading its rows of int64.

Of every leg a row of 16-bit numbers is kept: q, such that its changes from the mark are q·2ᵏ + r with |q| < 2¹⁵
and |r| ≤ 2ᵏ⁻¹, one k a leg. They are a quarter of the bytes, which is what time goes into: rows of many
scenarios do not fit the cache that is near. An account's lots are scaled to small whole numbers m ≈ κ·lots·2ᵏ, one
real κ > 0 for all its legs, and its sums of m·q fit 32 bits. Of a column's exact change X,

    |κ·X − Σ m·q| ≤ Σ |κ·lots·2ᵏ − m|·|q| + Σ κ·|lots|·|r| ≤ n·2¹⁴ + 2¹⁵ = E,

n the number of legs: rounding m takes at most ½ + 2⁻³⁷ (it is made of floats) times 2¹⁵ − 1, and κ·Σ |lots|·2ᵏ ≤ 2¹⁶.
Let columns of the tail's weight have Σ m·q ≤ t. Their κ·X are at most t + E; so are those of the worst columns of
that weight, whichever they are, and so their Σ m·q are at most t + 2·E. What lies above is no part of the tail, nor
the very worst; what does not is summed exactly. So a screen never changes a result, it only leaves work out.
"""

from typing import NamedTuple

import numpy as np

from seawall.kernels.compiled import entry, inner, once
from seawall.kernels.masks import BITS, at_most, bits_set, lowest

SMALL_MAX = (1 << 15) - 1
SCALE = 1 << 16  # Σ |m| is at most that, so that Σ |m·q| fits int32
MANY = 128  # positions; of more, the error would leave too many columns
GROSS_MAX = float(1 << 47)  # Σ |lots|·2ᵏ: changes of accounts below are less than 2**62 in every column
VALUE_MAX = 1 << 61
USUAL = 4  # columns picked of one word of bits
ONE = np.uint64(1)
STEPS = 64
FEW = 4  # less than one column in that many may be left, or all are summed


class Screen(NamedTuple):
    """A board's, see `make`. marks: int64[L], column 0 of its values; weights_ppm: int32[room(S)], of the columns in
    the same order, 0 beyond column S."""

    order: np.ndarray
    marks: np.ndarray
    rows: np.ndarray
    small: np.ndarray
    shift: np.ndarray
    weights_ppm: np.ndarray


def room(columns: int) -> int:
    """Columns of a row of the screen: whole words of bits."""
    return -(-columns // BITS) * BITS


@entry
def make(values, order, rows, small, shift):
    """Sets order, rows, small and shift for values (int64[L, 1 + S]); False where one is too large for changes to fit.

    order: int64[S], the columns, those in which most happens first: accounts' worst are mostly among these, and
    what is read again and again of each row then lies together. rows: int64[L, S] and small: int16[L, room(S)], the
    values of the columns in that order and their q; what lies beyond column S repeats the first. shift: int64[L].
    """
    columns = values.shape[1] - 1
    for c in range(columns):
        order[c] = 0
    for leg in range(values.shape[0]):
        row = values[leg]
        least, greatest = row[0], row[0]
        for c in range(columns):
            least, greatest = min(least, row[1 + c]), max(greatest, row[1 + c])
        if least < -VALUE_MAX or greatest > VALUE_MAX:
            return False
        widest = max(greatest - row[0], row[0] - least)
        k = 0
        while (widest + ((1 << k) >> 1)) >> k > SMALL_MAX:
            k += 1
        shift[leg] = k
        for c in range(columns):
            order[c] += abs(row[1 + c] - row[0]) >> k
    _arrange(order, rows[0])
    for leg in range(values.shape[0]):
        row, mine, out, k = values[leg], rows[leg], small[leg], shift[leg]
        half = row[0] - ((1 << k) >> 1)
        for c in range(columns):
            mine[c] = row[1 + order[c]]
        for c in range(columns):
            out[c] = (mine[c] - half) >> k
        for c in range(columns, small.shape[1]):
            out[c] = out[0]
    return True


@inner
def _arrange(order, amounts):
    """order: at first how much happens in each column, then the columns, those with most first, by so many steps;
    amounts: int64[S], to work in."""
    greatest = 1
    for c in range(len(order)):
        amounts[c] = order[c]
        greatest = max(greatest, amounts[c])
    step = greatest // STEPS + 1
    count = 0
    for level in range(STEPS - 1, -1, -1):
        for c in range(len(order)):
            if amounts[c] // step == level:
                order[count] = c
                count += 1


@once
def _scale(shift, legs, lots, start, stop, multiples):
    """Sets the m of the positions; False where the screen is of no use to them."""
    count = stop - start
    if count > MANY:
        return False
    gross = 0.0
    for p in range(start, stop):
        gross += abs(np.float64(lots[p]) * np.float64(1 << shift[legs[p]]))
    if not 0.0 < gross < GROSS_MAX:
        return False
    scale = (SCALE - count) / gross
    for p in range(start, stop):
        multiples[p - start] = np.int32(np.rint(np.float64(lots[p]) * np.float64(1 << shift[legs[p]]) * scale))
    return True


@once
def _project(small, legs, multiples, start, stop, sums):
    """sums[c] = Σ m · q, int32 throughout; four positions a pass, as in `tail.py`."""
    columns = sums.shape[0]
    for c in range(columns):
        sums[c] = 0
    p = start
    while p + 4 <= stop:
        a, b, c_, d = small[legs[p]], small[legs[p + 1]], small[legs[p + 2]], small[legs[p + 3]]
        x, y = multiples[p - start], multiples[p - start + 1]
        z, w = multiples[p - start + 2], multiples[p - start + 3]
        for c in range(columns):
            sums[c] += np.int32(x * a[c]) + np.int32(y * b[c]) + np.int32(z * c_[c]) + np.int32(w * d[c])
        p += 4
    while p < stop:
        a, x = small[legs[p]], multiples[p - start]
        for c in range(columns):
            sums[c] += np.int32(x * a[c])
        p += 1


@inner
def _weight_below(sums, weights_ppm, cut):
    """As in `worst.py`, of numbers of 32 bits: the sum must stay one for the loop to be as fast as they allow."""
    total = np.int32(0)
    for c in range(sums.shape[0]):
        total = np.int32(total + (weights_ppm[c] if sums[c] <= cut else np.int32(0)))
    return total


@once
def pick(screened, legs, lots, start, stop, tail_ppm, multiples, sums, picked):
    """picked = places of columns, rising, among which are the worst, of a weight of tail_ppm at least; how many, -1
    where the screen does not tell.

    multiples: int32[MANY]; sums: int32[room(S)]; picked: int64[room(S) + USUAL].
    """
    small, weights_ppm, columns = screened.small, screened.weights_ppm, len(screened.order)
    if not _scale(screened.shift, legs, lots, start, stop, multiples):
        return -1
    _project(small, legs, multiples, start, stop, sums)
    least, greatest = sums[0], sums[0]
    for c in range(sums.shape[0]):
        least, greatest = min(least, sums[c]), max(greatest, sums[c])
    low, high = np.int64(least) - 1, np.int64(greatest)
    while True:  # weight at or below low is less than the tail's, at or below high it is not
        middle = (low + high) >> 1
        if middle == low:
            break
        weight = _weight_below(sums, weights_ppm, np.int32(middle))
        if weight < tail_ppm:
            low = middle
        else:
            high = middle
            if 2 * weight <= 3 * tail_ppm:
                break
    high += 2 * ((stop - start + 2) << 14)
    if high >= greatest:
        return -1
    count = 0
    for first in range(0, sums.shape[0], BITS):
        bits = at_most(sums, first, np.int32(high))
        end = count + bits_set(bits)
        for k in range(USUAL):  # as many at least are written, so that most words need no branch
            picked[count + k] = first + lowest(bits)
            bits &= bits - ONE
        count += USUAL
        while count < end:
            picked[count] = first + lowest(bits)
            bits &= bits - ONE
            count += 1
        count = end
    while count > 0 and picked[count - 1] >= columns:
        count -= 1
    return count if FEW * count < columns else -1
