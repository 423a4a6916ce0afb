"""Certificates where open interest lifts initial margin to 100 %: there it is not convex in the price."""

from __future__ import annotations

import numpy as np
import pytest

from seawall.core.times import format_ns
from seawall.engine.loop import Engine
from seawall.ledger.book import Book
from seawall.market.market import Market

START_NS = 1_760_128_200_000_000_000
ACCOUNTS = 400


def engine_near_the_cap() -> Engine:
    """Positions of 10 at a price of 180; open interest reaches the tier's upper cap at 200."""
    market = Market.from_document(
        {
            "as_of": format_ns(START_NS),
            "settlement": "USD",
            "rate": "0",
            "underlyings": {"SOL": {"index": "180"}},
            "instruments": [
                {
                    "symbol": "SOL-PERP", "kind": "perpetual", "underlying": "SOL", "lot": "0.1", "mark": "180",
                    "open_interest": "500000",
                }
            ],
        }
    )  # fmt: skip
    rows = []
    for k in range(ACCOUNTS):
        side = 10 if k % 2 else -10
        rows.append({"account": f"a{k}", "instrument": "SOL-PERP", "quantity": str(side)})
        rows.append({"account": f"a{k}", "instrument": "USD", "quantity": str(1700 + k)})
    return Engine(Book.from_rows(rows, market), market, "dydx")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_margin_calls_around_the_cap_come_at_their_tick(seed):
    engine = engine_near_the_cap()
    rng = np.random.default_rng(seed)
    price, calls = 180.0, 0
    for k in range(1, 161):
        price *= float(np.exp(0.006 * rng.standard_normal() + (0.001 if k <= 120 else -0.004)))
        decisions = engine.tick("SOL", f"{price:.2f}", at=START_NS + k * 10**9)
        calls += sum(d.kind == "margin_call" for d in decisions)
        assert engine.audit() == [], f"tick {k} at {price:.2f}"
    assert calls > 50
