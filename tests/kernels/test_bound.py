"""Calls by address: the same as a plain call, and refused for arguments of other types."""

import numpy as np
import pytest
from numba import njit

from seawall.kernels.board import FILL_CELLS
from seawall.kernels.bound import UNBOUND, Bound
from seawall.kernels.prefetch import prefetch
from seawall.kernels.rows import no_legs
from seawall.kernels.tables import no_tables


@njit
def _add(table, pair, scale, which, out):
    for k in range(len(which)):
        out[which[k]] += table[which[k], 1] * pair[0][k] + pair[1][0] * scale


ADD = Bound(
    _add,
    (np.zeros((0, 0), np.int64), (np.zeros(0, np.int64), np.zeros(0, np.int64)), 0, np.zeros(0, np.int32), np.zeros(0, np.int64)),
    varying=(2, 3),
)
_call = ADD.call


@njit
def _caller(block, which, count, scale):
    _call(block, (scale, which[:count]))


def _arguments(seed):
    rng = np.random.default_rng(seed)
    table = rng.integers(-9, 9, (6, 3))
    pair = rng.integers(-9, 9, 4), rng.integers(-9, 9, 2)
    return table, pair, 0, np.zeros(4, np.int32), np.zeros(6, np.int64)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_bound_call_does_what_a_plain_one_does(count):
    table, pair, _, _, out = arguments = _arguments(5)
    which = np.array([4, 0, 2], np.int32)
    block = Bound.block()
    ADD.bind(block, arguments)
    _caller(block, which, count, 7)
    plain = np.zeros(6, np.int64)
    _add(table, pair, 7, which[:count], plain)
    assert out.tolist() == plain.tolist()
    assert (count == 0) == (not out.any())


def test_arguments_of_other_types_are_refused_and_nothing_is_bound():
    table, pair, scale, which, out = _arguments(5)
    block = Bound.block()
    with pytest.raises(TypeError, match="expected"):
        ADD.bind(block, (table.astype(float), pair, scale, which, out))
    assert (block == UNBOUND).all()


def test_samples_have_the_types_of_their_records():
    assert len(no_legs()) == len(FILL_CELLS.types[0]) == 17
    assert {array.dtype.kind for array in no_tables()} == {"i"}


@njit
def _ask(array, place):
    prefetch(array, place)
    prefetch(array, (place, 1))
    return array[place, 0]


def test_asking_for_memory_changes_nothing():
    array = np.arange(6).reshape(3, 2)
    assert _ask(array, 2) == 4
    assert array.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert any("prefetch" in line for text in _ask.inspect_asm().values() for line in text.splitlines())
