"""Functions that become a part of their callers: the same results from compiled code, from Python and uncompiled."""

from __future__ import annotations

import numpy as np
import pytest
from numba import errors, njit

from seawall.kernels.linked import linked

inner = linked(error_model="numpy", _nrt=False)


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
