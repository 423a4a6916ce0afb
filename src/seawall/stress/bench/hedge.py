"""The cheapest hedge: twenty legs below initial margin, ten instruments to trade, trades found and verified.

Books of twenty options on one underlying, longs and shorts drawn at random, their cash such that equity is four
fifths of initial margin; candidates are the perpetual, four of the legs and five other options. Wall time of
the whole search, single instruments and combinations, its median over the books.
"""

from __future__ import annotations

import time

import numpy as np

from seawall.core.errors import InvariantError
from seawall.stress.bench.measure import Measure, measured
from seawall.stress.bench.setting import Setting, require

__all__ = ["MEASURES", "measure"]

MEASURES = ("hedge_ms",)
LEGS, HELD, OTHERS = 20, 4, 5
MOST_LOTS = 50


def measure(setting: Setting, names: set[str]) -> list[Measure]:
    """The median time of `hedge_of` in milliseconds."""
    from seawall.margin.hedge import hedge_of
    from seawall.margin.single import Single

    require("highspy", "hedge")
    books = 5 if setting.quick else 40
    legs = setting.market.legs
    underlying = setting.market.underlyings[0]
    options = np.flatnonzero((legs.right != 0) & (legs.underlying == 0))
    rng = np.random.default_rng(setting.seed)
    setting.say(f"hedge: {books} books of {LEGS} options")
    taken, found, several, cheaper = [], 0, 0, []
    for book in range(books + 1):
        drawn = rng.choice(options, LEGS + OTHERS, replace=False).astype(np.int32)
        lots = rng.integers(-MOST_LOTS, MOST_LOTS, LEGS) | 1
        single = Single(setting.market, setting.model, np.sort(drawn[:LEGS]), lots, 0)
        figures = single.evaluate()
        single.cash_nano = (figures.initial * 4 // 5 - figures.equity) * 1000
        chosen = [legs.symbols[leg] for leg in drawn[LEGS - HELD :].tolist()]
        start = time.perf_counter_ns()
        hedge = hedge_of(single, [f"{underlying}-PERP", *chosen])
        if book == 0:
            continue  # compiles the kernels and loads the solver
        taken.append((time.perf_counter_ns() - start) / 1e6)
        if hedge.after is None:
            continue
        if hedge.after.free < 0:
            raise InvariantError("a hedge restores initial margin", f"book {book}: {hedge.trades}")
        found += 1
        several += len(hedge.trades) > 1
        if hedge.single is not None:
            cheaper.append(1.0 - hedge.cost_micro / hedge.single.cost_micro)
    saved = f"{100 * float(np.mean(cheaper)) if cheaper else 0.0:.1f} % cheaper than one instrument alone"
    words = f"{books} books, {found} hedged, {several} of them with several instruments, {saved}"
    return [measured("hedge_ms", float(np.median(taken)), f"median wall time; {words}")]
