"""Shared by the venue models: what a venue lists, floats into nano."""

from typing import Any

import numpy as np

from seawall.core.errors import InputError, LimitExceeded
from seawall.kernels.wide import ONE

NANO = 1e9
NANO_LIMIT = 2.0**62
FACTOR_LIMIT = 2.0**14
ROLE_SPOT, ROLE_OPTION = 0, 3


def check_listed(model: str, market: Any, kinds: tuple[str, ...]) -> None:
    """Raises InputError for the first instrument of a market that the venue has nothing like."""
    for symbol, instrument in market.instruments.items():
        what = instrument.kind
        if instrument.inverse:
            what = f"inverse {what}"
        elif instrument.coin_settled:
            what = f"coin-settled {what}"
        elif instrument.is_forward_start:
            what = f"forward-start {what}"
        if what not in kinds:
            article = "an" if what[0] in "aeiou" else "a"
            raise InputError(f"model {model}, instrument {symbol}", f"{article} {what}", "one of " + ", ".join(kinds))


def nano_down(values: np.ndarray) -> np.ndarray:
    """Quote per lot as int64 nano, rounded down. Raises LimitExceeded beyond int64's half."""
    return _nano(np.floor(values * NANO))


def nano_up(values: np.ndarray) -> np.ndarray:
    """Quote per lot as int64 nano, rounded up. Raises LimitExceeded beyond int64's half."""
    return _nano(np.ceil(values * NANO))


def _nano(scaled: np.ndarray) -> np.ndarray:
    if not np.isfinite(scaled).all():
        raise InputError("derive risk value of one lot", "not a finite number", "finite prices and volatilities")
    if scaled.size and np.abs(scaled).max() >= NANO_LIMIT:
        largest = float(np.abs(scaled).max()) / NANO
        raise LimitExceeded("derive risk value of one lot", f"{largest:.3g}", f"below {NANO_LIMIT / NANO:.3g}")
    return scaled.astype(np.int64)


def factor_down(values: Any) -> np.ndarray:
    """int64 fixed-point factors (`kernels/wide.py`) of non-negative float64, rounded down."""
    return _factor(np.floor(np.asarray(values, np.float64) * ONE))


def factor_up(values: Any) -> np.ndarray:
    """int64 fixed-point factors (`kernels/wide.py`) of non-negative float64, rounded up."""
    return _factor(np.ceil(np.asarray(values, np.float64) * ONE))


def _factor(scaled: np.ndarray) -> np.ndarray:
    if not (np.isfinite(scaled).all() and (scaled >= 0.0).all() and (scaled < FACTOR_LIMIT * ONE).all()):
        raise LimitExceeded("derive factor", "one out of range", f"factors from 0 to {FACTOR_LIMIT:g}")
    return scaled.astype(np.int64)
