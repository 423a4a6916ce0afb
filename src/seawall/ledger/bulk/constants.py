"""Figures of the ledger that are compiled into the fold, once more.

Compiled code is kept on disk under a hash of the files that hold it (`kernels/__init__.py`), this folder among them: a figure
imported from elsewhere could change without it. A test holds these against the ledger's own.
"""

from __future__ import annotations

__all__ = [
    "ACTIVE",
    "BACKSTOP",
    "CLOSED",
    "FEES",
    "FROZEN",
    "INDEX_SCALE",
    "INSTRUMENTS_MAX",
    "INSURANCE",
    "LIQUIDATING",
    "LOT_VALUE_NANO_MAX",
    "PPM",
    "REDUCE_ONLY",
    "ROUNDING",
    "USER",
    "VALUE_NANO_MAX",
]

USER, INSURANCE, BACKSTOP, FEES, ROUNDING = range(5)
ACTIVE, REDUCE_ONLY, LIQUIDATING, FROZEN, CLOSED = range(5)
INDEX_SCALE = 10**15
INSTRUMENTS_MAX = 2**20
PPM = 10**6
VALUE_NANO_MAX = 2**62
LOT_VALUE_NANO_MAX = 2**53
