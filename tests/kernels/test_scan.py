"""The vector kernels give what plain Python gives, bit for bit, on any slice and any row stride."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from seawall.kernels.lanes import LANES, project32
from seawall.kernels.scan import scan


def plain_sums(rows, legs, lots, start, stop):
    sums = [0] * LANES
    for p in range(start, stop):
        for c in range(LANES):
            sums[c] += int(lots[p]) * int(rows[legs[p], c])
    return sums


@njit
def call_project32(values, legs, lots, start, stop, out):
    project32(values, legs, lots, start, stop, out)


def random_book(seed: int, width: int, accounts: int = 40):
    rng = np.random.default_rng(seed)
    rows = rng.integers(-(10**12), 10**12, (30, width))
    counts = rng.integers(0, 12, accounts)
    row_ptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    legs = rng.integers(0, 30, row_ptr[-1]).astype(np.int32)
    lots = rng.integers(-(10**5), 10**5, row_ptr[-1])
    return rows, row_ptr, legs, lots


@pytest.mark.parametrize("width", [32, 33, 66])
def test_project32_is_the_plain_loop(width):
    rows, row_ptr, legs, lots = random_book(width, width)
    for start, stop in [*zip(row_ptr[:-1], row_ptr[1:]), (0, len(lots))]:
        out = np.full(LANES + 3, 7, np.int64)
        call_project32(rows, legs, lots, start, stop, out)
        assert out[:LANES].tolist() == plain_sums(rows, legs, lots, start, stop)
        assert out[LANES:].tolist() == [7, 7, 7], "wrote beyond its 32 columns"


@pytest.mark.parametrize("columns", [1, 5, 32])
def test_scan_finds_the_worst_column_of_every_account(columns):
    rows, row_ptr, legs, lots = random_book(columns, 32)
    out = np.zeros(len(row_ptr) - 1, np.int64)
    scan(rows, row_ptr, legs, lots, 0, len(out), columns, out)
    expected = [min(plain_sums(rows, legs, lots, a, b)[:columns]) for a, b in zip(row_ptr[:-1], row_ptr[1:])]
    assert out.tolist() == expected


def test_scan_touches_only_its_range_of_accounts():
    rows, row_ptr, legs, lots = random_book(5, 32)
    whole = np.zeros(len(row_ptr) - 1, np.int64)
    scan(rows, row_ptr, legs, lots, 0, len(whole), 32, whole)
    parts = np.full(len(whole), -1, np.int64)
    scan(rows, row_ptr, legs, lots, 10, 20, 32, parts)
    assert parts[10:20].tolist() == whole[10:20].tolist()
    assert (parts[:10] == -1).all()
    assert (parts[20:] == -1).all()
