"""The set of liquidation prices of an option book: every crossing from a tenth to ten times the price, proved.

Books of thirty options on one underlying, longs and shorts drawn at random, their cash such that
health is a third of maintenance margin. Wall time of the whole search, its median over the books.
"""

from __future__ import annotations

import time

import numpy as np

from seawall.stress.bench.measure import Measure, measured
from seawall.stress.bench.setting import Setting

__all__ = ["MEASURES", "measure"]

MEASURES = ("liquidation_set_ms",)
LEGS = 30
MOST_LOTS = 50


def measure(setting: Setting, names: set[str]) -> list[Measure]:
    """The median time of `prices_of` in milliseconds."""
    from seawall.margin.liquidation import prices_of
    from seawall.margin.single import Single

    books = 3 if setting.quick else 25
    legs = setting.market.legs
    options = np.flatnonzero((legs.right != 0) & (legs.underlying == 0))
    rng = np.random.default_rng(setting.seed)
    setting.say(f"liquidation set: {books} books of {LEGS} options")
    taken, evaluations, crossings, complete = [], 0, 0, 0
    for _ in range(books):
        held = np.sort(rng.choice(options, LEGS, replace=False)).astype(np.int32)
        lots = rng.integers(-MOST_LOTS, MOST_LOTS, LEGS) | 1
        single = Single(setting.market, setting.model, held, lots, 0)
        figures = single.evaluate()
        single.cash_nano = (figures.maintenance // 3 - figures.health) * 1000
        start = time.perf_counter_ns()
        found = prices_of(single, setting.market.underlyings[0])
        taken.append((time.perf_counter_ns() - start) / 1e6)
        evaluations += found.evaluations
        crossings += len(found.found)
        complete += found.complete
    words = f"{books} books, {complete} proved complete, {crossings} crossings, {evaluations // books} markets each"
    return [measured("liquidation_set_ms", float(np.median(taken)), f"median wall time; {words}")]
