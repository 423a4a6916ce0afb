"""Certificates bound health from above too: an account that has recovered is told so at that very tick."""

from __future__ import annotations

import numpy as np

from seawall.core.times import format_ns
from seawall.engine.loop import Engine
from seawall.ledger.book import Book
from seawall.margin.evaluate import evaluate
from seawall.market.market import Market

START_NS = 1_760_128_200_000_000_000
EXPIRES_NS = START_NS + 6 * 3_600 * 10**9
BUTTERFLY = {"BTC-109000-C": "-1", "BTC-110000-C": "2", "BTC-111000-C": "-1"}


def option_market() -> Market:
    """Far calls, six hours to live."""
    options = [
        {
            "symbol": f"BTC-{strike}-C", "kind": "option", "underlying": "BTC", "lot": "0.01", "right": "call",
            "strike": strike, "expiry": format_ns(EXPIRES_NS), "forward": "100000", "iv": "0.6",
        }
        for strike in ("109000", "110000", "111000")
    ]  # fmt: skip
    return Market.from_document(
        {
            "as_of": format_ns(START_NS),
            "settlement": "USD",
            "rate": "0",
            "underlyings": {"BTC": {"index": "100000"}},
            "instruments": options,
        }
    )


def rows_of(account: str, cash: str) -> list[dict[str, str]]:
    quantities = {"USD": cash, **BUTTERFLY}
    return [{"account": account, "instrument": name, "quantity": size} for name, size in quantities.items()]


def engine_of_butterflies() -> Engine:
    """Short butterflies, whose requirement is mostly the gap between two nodes, with cash around it."""
    market = option_market()
    alone = evaluate(Book.from_rows(rows_of("one", "100000"), market), market, "portfolio")
    needed = float(alone.maintenance_margin_micro[0]) / 1e6
    rows = []
    for k, share in enumerate(np.linspace(0.8, 1.4, 121)):
        rows += rows_of(f"a{k}", f"{share * needed:.2f}")
    return Engine(Book.from_rows(rows, market), market, "portfolio")


def test_a_requirement_that_falls_with_its_gap_lets_accounts_recover_at_that_tick():
    engine = engine_of_butterflies()
    assert min(engine.counts["ok"], engine.counts["margin_call"], engine.counts["liquidatable"]) > 5
    rng = np.random.default_rng(5)
    price, recovered = 100_000.0, 0
    for k in range(1, 121):
        price *= float(np.exp(0.001 * rng.standard_normal() - 0.0003))
        decisions = engine.tick("BTC", f"{price:.2f}", at=START_NS + k * 10**9)
        recovered += sum(d.kind == "recovered" for d in decisions)
        assert engine.audit() == [], f"tick {k} at {price:.2f}"
    assert recovered > 5
