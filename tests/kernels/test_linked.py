"""Functions that become a part of their callers: the same results from compiled code, from Python and uncompiled; and
entries, whose linked code is nobody else's."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from llvmlite.binding import Linkage
from numba import errors, njit

from seawall.kernels.linked import entry, linked

inner = linked(error_model="numpy", _nrt=False)
whole = entry(error_model="numpy", _nrt=False)


@inner
def halves(a, b):
    return a // 2 + b / 2


@inner
def total(values, out):
    for k in range(len(values)):
        out[0] += halves(values[k], out[1])


@njit(error_model="numpy", _nrt=False)
def outer(values, out):
    total(values, out)
    total(values[1:], out)


class Arrays(NamedTuple):
    values: np.ndarray
    unread: np.ndarray


@inner
def weighted(arrays, weight):
    out = 0.0
    for k in range(len(arrays.values)):
        out += weight * arrays.values[k]
    return out


@whole
def once_weighted(arrays, out):
    out[0] = weighted(arrays, out[1])


@whole
def twice_weighted(arrays, out):
    once_weighted(arrays, out)
    out[0] += weighted(arrays, out[1] + 1.0)


def test_compiled_code_links_it_at_every_depth():
    values, out, slow = np.arange(9), np.array([0.5, 3.0]), np.array([0.5, 3.0])
    outer(values, out)
    for part in (values, values[1:]):
        for value in part:
            slow[0] += value // 2 + slow[1] / 2
    assert out.tolist() == slow.tolist()


def test_python_may_call_it_before_and_after_compiled_code_does():
    values = np.arange(5)
    results = []
    for called in (total, outer, total):
        out = np.zeros(2)
        called(values, out)
        results.append(out.tolist())
    assert results[0] == results[2] == [4.0, 0.0]
    assert results[1] == [8.0, 0.0]


def test_it_is_compiled_once_for_compiled_code_and_has_no_entry_that_could_be_run():
    outer(np.arange(3), np.zeros(2))
    (compiled,) = halves.overloads.values()
    assert compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name) == 0
    assert f"@{compiled.fndesc.llvm_func_name}" in compiled.library.get_llvm_str()


def test_without_compilation_it_is_the_function_itself(monkeypatch):
    monkeypatch.setattr("numba.config.DISABLE_JIT", True)

    def plain(a):
        return a

    assert inner(plain) is plain


def test_an_error_of_types_is_told_as_usual():
    with pytest.raises(errors.TypingError, match="halves"):
        outer(["a"], np.zeros(2))


def test_an_entry_may_call_linked_functions_and_other_entries():
    arrays, out = Arrays(np.arange(1.0, 5.0), np.zeros(3)), np.array([0.0, 2.0])
    once_weighted(arrays, out)
    assert out.tolist() == [20.0, 2.0]
    twice_weighted(arrays, out)
    assert out.tolist() == [50.0, 2.0]


def test_what_is_linked_into_an_entry_is_its_own_and_loses_the_arguments_that_nobody_reads():
    arrays, out = Arrays(np.arange(1.0, 5.0), np.zeros(3)), np.array([0.0, 2.0])
    once_weighted(arrays, out)
    (part,) = weighted.overloads.values()
    name = part.fndesc.llvm_func_name
    plain = part.library._get_module_for_linking().get_function(name)
    # where the result goes and what was raised, two arrays of seven words each, the weight
    assert len(list(plain.arguments)) == 2 + 2 * 7 + 1
    plain.add_function_attribute("noinline")

    @whole
    def apart(arrays, out):
        out[0] = weighted(arrays, out[1]) - weighted(arrays, out[0])

    apart(arrays, out)
    assert out.tolist() == [-180.0, 2.0]
    (compiled,) = apart.overloads.values()
    kept = compiled.library.get_function(name)
    assert kept.linkage == Linkage.private
    # where the values are, how many there are, the weight; and perhaps where the result goes
    assert len(list(kept.arguments)) <= 4 < len(list(plain.arguments))

    # what others call by that name is not that
    @njit(error_model="numpy", _nrt=False)
    def later(arrays, out):
        out[1] = weighted(arrays, out[1])

    later(arrays, out)
    assert out.tolist() == [-180.0, 20.0]
