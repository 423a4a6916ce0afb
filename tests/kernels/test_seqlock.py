"""The sequence lock is in the machine code, not only in the source: both stores to it, in order, around the data."""

from __future__ import annotations

import platform
import re

import numpy as np
import pytest
from numba import njit

from seawall.kernels.seqlock import read_lines, write_lines

STORE = re.compile(r"^\s+movq\s+%\w+, (\S*\(%(?!rsp)\S+\))$", re.M)


def machine_code(function) -> tuple[str, str]:
    """(optimised LLVM, assembly) of a kernel compiled here and now, without the cache."""
    compiled = njit(error_model="numpy", _nrt=False)(function)
    compiled(np.zeros(16, np.int64), np.array([1]), np.ones((1, 7), np.int64))
    signature = compiled.signatures[0]
    assembly = compiled.inspect_asm(signature).split(".Lfunc_end0")[0]  # what follows is for calls from Python
    return compiled.inspect_llvm(signature), assembly


def lock_is_stored_twice(assembly: str) -> bool:
    """Whether each barrier stands between two stores to one place, the second of them behind those of seven words."""
    parts = assembly.split("#MEMBARRIER")
    stores = [STORE.findall(part) for part in parts]
    around = [(before[-1:], after[7:8]) for before, after in zip(stores, stores[1:])]
    return len(parts) > 1 and all(first == second != [] for first, second in around)


def test_the_compiler_keeps_the_order_of_the_lock():
    llvm, _ = machine_code(write_lines.py_func)
    orders = re.findall(r"store atomic i64 .* (monotonic|release), align 8|fence (release)", llvm)
    row = ["monotonic", "fence", *["monotonic"] * 7, "release"]
    found = [store or "fence" for store, _ in orders]
    assert found
    assert found == row * (len(found) // len(row))


@pytest.mark.skipif(platform.machine() != "x86_64", reason="reads x86-64 assembly")
def test_both_stores_to_the_lock_survive_in_the_assembly():
    assert lock_is_stored_twice(machine_code(write_lines.py_func)[1])


@pytest.mark.skipif(platform.machine() != "x86_64", reason="reads x86-64 assembly")
def test_a_lost_store_would_be_seen():
    _, assembly = machine_code(write_lines.py_func)
    last = STORE.search(assembly, assembly.rindex("#MEMBARRIER"))
    for _ in range(7):
        last = STORE.search(assembly, last.end())
    assert not lock_is_stored_twice(assembly[: last.start()] + assembly[last.end() :])
    assert not lock_is_stored_twice(assembly.replace("#MEMBARRIER", ""))


def test_what_was_written_is_read_and_locks_are_even():
    words = np.zeros(80, np.int64)
    values = np.arange(21).reshape(3, 7)
    assert write_lines(words, np.array([3, 9, 3]), values) == 3
    assert words.reshape(10, 8)[:, 0].tolist() == [0, 0, 0, 4, 0, 0, 0, 0, 0, 2]
    found, known = np.full((4, 7), -1), np.ones(4, bool)
    read_lines(words, np.array([9, 3, 0, 10]), 5, found, known)
    assert known.tolist() == [True, True, False, False]
    assert found.tolist() == [values[1].tolist(), values[2].tolist(), [0] * 7, [0] * 7]


@pytest.mark.parametrize("bad", [-1, 10, 2**62, -(2**63)])
def test_a_line_that_is_not_there_stops_the_whole_batch(bad):
    words = np.zeros(80, np.int64)
    assert write_lines(words, np.array([1, bad]), np.ones((2, 7), np.int64)) == 1
    assert not words.any()


def test_a_line_left_odd_is_not_known_and_the_next_write_mends_it():
    words = np.zeros(8, np.int64)
    write_lines(words, np.array([0]), np.ones((1, 7), np.int64))
    words[0] += 1
    words[1] = 5  # killed after the first word
    found, known = np.zeros((1, 7), np.int64), np.zeros(1, bool)
    read_lines(words, np.array([0]), 100, found, known)
    assert not known[0]
    assert not found.any()
    write_lines(words, np.array([0]), np.full((1, 7), 6))
    assert words.tolist() == [4, *[6] * 7]
