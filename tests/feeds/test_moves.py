"""Realised moves: over the asked horizon, all names over the same spans, none of prices that are old."""

from __future__ import annotations

import numpy as np
import pytest

from seawall.core.errors import InputError
from seawall.feeds.moves import HOUR_NS, MOVES_MAX, horizon_moves
from seawall.feeds.ticks import PriceHistory, Ticks

START_NS = 1_760_130_000_000_000_000


def history(**series):
    """Prices in whole units at whole hours, by name: {"BTC": {0: 100, 1: 110}}."""
    parts = []
    for number, of in enumerate(series.values()):
        at_ns = START_NS + HOUR_NS * np.array(list(of), np.int64)
        parts.append((at_ns, number, 10**9 * np.array(list(of.values()), np.int64)))
    return PriceHistory("prices.csv", Ticks.merge(list(series), parts), {name: name for name in series})


def test_moves_are_from_the_last_price_before_a_span_to_the_last_before_its_end():
    found = horizon_moves(history(BTC={0: 100, 1: 110, 3: 99, 4: 200}, ETH={1: 10, 4: 10}), {"BTC", "ETH"}, 1)
    assert found.moves_ppm == {"BTC": (0, -100_000, 1_020_202), "ETH": (0, 0, 0)}
    assert (found.start_ns, found.step_hours, found.horizon_hours, found.left_out) == (START_NS + HOUR_NS, 1, 1, 0)
    assert len(found) == 3
    longer = horizon_moves(history(BTC={0: 100, 1: 110, 3: 99, 4: 200}), {"BTC"}, 3)
    assert longer.moves_ppm == {"BTC": (-10_000, 818_182)}


def test_spans_with_an_old_price_at_an_end_are_left_out():
    prices = {0: 100, 1: 101, 2: 102, 60: 100, 61: 101, 62: 100}
    found = horizon_moves(history(BTC=prices), {"BTC"}, 1)
    # a price holds for a day: the spans that end from hour 27 to 59, and what begins there, are out
    assert found.left_out == len(range(26, 60))
    assert len(found) == 62 - found.left_out
    assert found.moves_ppm["BTC"][-2:] == (10_000, -9_901)


def test_a_long_history_is_thinned_by_whole_hours():
    found = horizon_moves(history(BTC={hour: 100 + hour % 2 for hour in range(2 * MOVES_MAX + 10)}), {"BTC"}, 1)
    assert found.step_hours == 3
    assert MOVES_MAX / 2 < len(found) <= MOVES_MAX
    assert set(found.moves_ppm["BTC"]) == {10_000, -9_901}


@pytest.mark.parametrize(
    ("names", "hours", "says"),
    [({"BTC", "SOL"}, 1, "no price of SOL"), ({"BTC"}, 4, "5 hours or more"), ({"BTC"}, 24, "25 hours or more")],
)
def test_what_a_file_does_not_have_is_refused(names, hours, says):
    with pytest.raises(InputError, match=says):
        horizon_moves(history(BTC={0: 100, 4: 101}), names, hours)


def test_prices_that_are_all_too_old_are_refused():
    with pytest.raises(InputError, match="price of the last day"):
        horizon_moves(history(BTC={0: 100, 1000: 101}), {"BTC"}, 48)


def test_nothing_held_needs_no_prices():
    assert len(horizon_moves(history(BTC={0: 100}), (), 24)) == 0
