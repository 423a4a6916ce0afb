"""Expected shortfall of a book: the tail kernel against a gather, a sum and a sort in NumPy.

100,000 accounts of 8 positions on the bench's board, 500 columns. Both get the same integers and give
the mean of the worst twelve and a half columns, one core; the answers are compared before anything is
timed. The kernel also makes equity, both margins and the add-ons, which NumPy is spared, as is allocating:
it writes to buffers made once. Arrays of its own would be a matter of luck: where the allocator, by what ran
before in the process, asks the system for their pages at every step, NumPy takes twice as long.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from seawall.core.units import PPM
from seawall.kernels.account import evaluate_accounts
from seawall.margin.models import get
from seawall.stress.bench.measure import Measure, interleaved, measured
from seawall.stress.bench.setting import Setting

__all__ = ["MEASURES", "measure"]

MEASURES = ("es_vs_numpy",)
POSITIONS = 8
COLUMNS = 500
ACCOUNTS = 100_000
TAIL_PPM = 25_000
NUMPY_CHUNK = 125  # accounts, a divisor of all sizes: NumPy is fastest when the gathered rows stay in the cache


def measure(setting: Setting, names: set[str]) -> list[Measure]:
    """How many times NumPy's CPU time the kernel's is."""
    count = min(ACCOUNTS, setting.size)
    confidence = {"initial_confidence_ppm": PPM - TAIL_PPM, "maintenance_confidence_ppm": PPM - TAIL_PPM}
    bare = {"short_minimum_ppm": 0, "concentration_ppm": 0, "daily_volume": {}, "default_daily_volume": 0}
    model = get("expected-shortfall", columns=COLUMNS, **confidence, **bare)
    setting.say("expected shortfall: pricing the board")
    tables = model.tables(setting.market)
    tables = tables._replace(extra=np.zeros_like(tables.extra))  # no haircuts: nothing but the shortfall
    rng = np.random.default_rng(setting.seed)
    legs = np.sort(rng.integers(0, len(tables.values), (count, POSITIONS)).astype(np.int32), axis=1)
    lots = rng.integers(1, 50, legs.shape) * rng.choice((-1, 1), legs.shape)
    ours, theirs = _seawall(model.kind, tables, legs, lots), _numpy(tables.values, legs, lots)
    _check_same(ours(), theirs(), np.abs(lots).sum(axis=1))
    setting.say("expected shortfall: timing")
    best = interleaved(2 if setting.quick else 4, {"ours": ours, "numpy": theirs})
    words = f"NumPy gather, sum, sort: {best['numpy'] * 1e3:,.0f} ms against {best['ours'] * 1e3:,.0f} ms"
    words += f"; {count:,} accounts, {POSITIONS} positions, {COLUMNS} columns"
    return [measured("es_vs_numpy", best["numpy"] / best["ours"], words)]


def _seawall(kind: int, tables: object, legs: np.ndarray, lots: np.ndarray) -> Callable[[], np.ndarray]:
    out = np.zeros((len(legs), 4), np.int64)
    bounds = np.arange(0, legs.size + 1, POSITIONS)
    cash = np.zeros(len(legs), np.int64)
    rows = (np.ascontiguousarray(legs.ravel()), np.ascontiguousarray(lots.ravel()))

    def run() -> np.ndarray:
        evaluate_accounts(kind, tables, bounds[:-1], bounds[1:], *rows, cash, out)  # type: ignore[arg-type]
        return out[:, 2]

    return run


def _numpy(values: np.ndarray, legs: np.ndarray, lots: np.ndarray) -> Callable[[], np.ndarray]:
    changes = np.ascontiguousarray(values[:, 1:] - values[:, :1])
    whole, part = divmod(COLUMNS * TAIL_PPM, PPM)
    out = np.zeros(len(legs))
    gathered = np.zeros((NUMPY_CHUNK, POSITIONS, COLUMNS), np.int64)
    profit = np.zeros((NUMPY_CHUNK, COLUMNS), np.int64)
    rows = legs.astype(np.intp)

    def run() -> np.ndarray:
        for first in range(0, len(legs), NUMPY_CHUNK):
            chunk = slice(first, first + NUMPY_CHUNK)
            np.take(changes, rows[chunk], axis=0, out=gathered, mode="clip")  # else it checks, and copies
            np.multiply(gathered, lots[chunk, :, None], out=gathered)
            np.sum(gathered, axis=1, out=profit)
            profit.sort(axis=1)
            tail = profit[:, :whole].sum(axis=1) + profit[:, whole] * (part / PPM)
            out[chunk] = -tail / (COLUMNS * TAIL_PPM / PPM)
        return out

    return run


def _check_same(ours_micro: np.ndarray, theirs_nano: np.ndarray, size: np.ndarray) -> None:
    """The kernel rounds up, adds a nano per lot, and charges no less than nothing; NumPy's mean is a float."""
    expected = np.maximum(theirs_nano + size, 0.0) / 1000
    difference = np.abs(ours_micro - expected)
    worst = int(np.argmax(difference - 1e-9 * np.abs(expected)))
    if difference[worst] > 2.0 + 1e-9 * abs(float(expected[worst])):
        raise AssertionError(f"es_vs_numpy: account {worst} has {expected[worst]}, the kernel says {ours_micro[worst]}")
