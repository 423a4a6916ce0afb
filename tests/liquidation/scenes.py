"""Accounts below maintenance margin, drawn over the models and instruments of the sample market."""

from __future__ import annotations

from typing import Any

from hypothesis import assume
from hypothesis import strategies as st
from tests.margin import test_what_if as scene

from seawall.liquidation.size import SizeRules
from seawall.margin.single import Single

NAMES = sorted(scene.SYMBOLS)
EXACT = SizeRules(minimum_micro=0, dust_micro=0, full_below_micro=0)


def single_of(name: str, lots: dict[str, int], share_per_cent: int | None = None) -> Single:
    """An account that holds lots by symbol under a model; its equity a share of its maintenance margin."""
    at = scene.WHOLE if set(lots) - set(scene.SYMBOLS[name]) else scene.MARKETS[name]
    lots = {symbol: abs(n) if at.instruments[symbol].kind == "spot" else n for symbol, n in lots.items()}
    single = Single.of(scene.book_of(at, lots, 0), at, scene.MODELS[name], "a")
    if share_per_cent is not None:
        now = single.evaluate()
        single.cash_nano += (now.maintenance * share_per_cent // 100 - now.equity) * 1000
    return single


@st.composite
def failed(draw: Any, name: str, most_lots: int = 5_000, most_legs: int = 5, least: int = 1) -> Single:
    """An account with health below 0 and equity of 1 to 99 % of its maintenance margin."""
    counts = st.integers(-most_lots, most_lots).filter(bool)
    lots = draw(st.dictionaries(st.sampled_from(scene.SYMBOLS[name]), counts, min_size=1, max_size=most_legs), "lots")
    single = single_of(name, lots, draw(st.integers(least, 99), "per cent of maintenance margin"))
    assume(single.evaluate().health < 0)
    return single


def impacts(draw: Any, single: Single) -> dict[str, int]:
    """What routes quote beyond half spreads, ppm by symbol."""
    return {
        symbol: draw(st.sampled_from([0, 500, 5_000, 20_000]), f"impact of {symbol}") for symbol in single.market.instruments
    }
