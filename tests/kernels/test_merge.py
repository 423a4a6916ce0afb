"""A row of positions with trades added: as a dictionary adds them up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seawall.kernels.merge import merge, worth

LEGS = 30


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.integers(0, LEGS - 1), st.integers(-5, 5).filter(bool), max_size=12),
    st.lists(st.tuples(st.integers(0, LEGS - 1), st.integers(-5, 5)), max_size=8),
    st.integers(0, 4),
    st.integers(0, 2**32),
)
def test_a_row_with_trades_is_what_a_dictionary_adds_up_to(held, changes, start, seed):
    random = np.random.default_rng(seed)
    stamp, current = random.integers(0, 3, LEGS), random.integers(0, 3, 3)
    underlying = random.integers(0, 3, LEGS).astype(np.int32)
    length, room = len(held), len(held) + len(changes)
    legs, lots = np.full(start + length + 2, 99, np.int32), np.full(start + length + 2, 99)
    legs[start : start + length] = sorted(held)
    lots[start : start + length] = [held[leg] for leg in sorted(held)]
    more = np.array([*changes, (0, 0)])
    out_legs, out_lots, stale = np.zeros(room, np.int32), np.zeros(room, np.int64), np.zeros(room, np.int32)
    count, behind = merge(
        legs, lots, start, length, more[:, 0].astype(np.int32), more[:, 1].copy(), len(changes), stamp, current,
        underlying, out_legs, out_lots, stale,
    )  # fmt: skip
    total = dict(held)
    for leg, lot_count in changes:
        total[leg] = total.get(leg, 0) + lot_count
    assert list(zip(out_legs[:count].tolist(), out_lots[:count].tolist(), strict=True)) == [
        (leg, total[leg]) for leg in sorted(total) if total[leg]
    ]
    assert stale[:behind].tolist() == [leg for leg in sorted(total) if stamp[leg] < current[underlying[leg]]]


def test_worth_is_that_of_whole_numbers():
    random = np.random.default_rng(1)
    legs, lots = random.integers(0, LEGS, 50).astype(np.int32), random.integers(-(2**40), 2**40, 50)
    limit = random.integers(1, 2**50, LEGS)
    exact = sum(abs(int(q)) * int(limit[leg]) for leg, q in zip(legs[7:40], lots[7:40], strict=True))
    assert worth(legs, lots, 7, 33, limit) == pytest.approx(exact, rel=1e-12)
    assert worth(legs, lots, 7, 0, limit) == 0.0
