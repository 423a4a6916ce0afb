"""Shared by the readers: bad fields become one kind of error, and one account runs the kernel."""

import functools
import math
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numpy as np

from seawall.core.errors import InputError, LimitExceeded
from seawall.kernels.account import evaluate_one
from seawall.kernels.tables import Tables

EXPOSURE_MAX = 2.0**62
P = ParamSpec("P")
R = TypeVar("R")


class BadVector(InputError):
    """A vector without a field that its family has, or with one of another type."""


def reads(function: Callable[P, R]) -> Callable[P, R]:
    """Marks a function that takes a vector apart: what it cannot find or read is a BadVector."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except KeyError as error:
            raise BadVector("vector", f"no field {error}", "the fields of its family") from error
        except (TypeError, ValueError, AttributeError, IndexError, ArithmeticError) as error:
            raise BadVector("vector", str(error), "fields of the types of its family") from error

    return wrapped


def kernel_account(kind: int, tables: Tables, lots: np.ndarray, cash_nano: int) -> tuple[int, int, int]:
    """Equity, initial and maintenance in micro of one account that holds every leg of its tables.

    lots: int64[L]. Raises LimitExceeded where its sums could leave int64.
    """
    count = len(lots)
    size = np.abs(lots.astype(np.float64))
    widest = max(
        np.abs(part.astype(np.float64)).max(axis=1, initial=0.0) @ size for part in (tables.values, tables.extra)
    )
    exposure = float(widest) + abs(cash_nano)
    if exposure >= EXPOSURE_MAX:
        raise LimitExceeded("account", f"an exposure of {exposure / 1e9:.3g}", f"below {EXPOSURE_MAX / 1e9:.3g}")
    equity, initial, maintenance, _ = evaluate_one(kind, tables, np.arange(count, dtype=np.int32), lots, cash_nano).tolist()
    return equity, initial, maintenance


def nano(cash: float) -> int:
    """Quote as int64 nano, rounded down. Raises LimitExceeded beyond the ledger's range."""
    if not abs(cash) < EXPOSURE_MAX / 1e9:
        raise LimitExceeded("account", f"cash of {cash:.3g}", f"below {EXPOSURE_MAX / 1e9:.3g}")
    return math.floor(cash * 1e9)
