"""Certificates bound health from above too: an account that has recovered is told so at that very tick."""

from __future__ import annotations

from seawall.core.times import format_ns
from seawall.engine.loop import Engine
from seawall.ledger.book import Book
from seawall.market.market import Market

START_NS = 1_760_128_200_000_000_000
EXPIRES_NS = START_NS + 6 * 3_600 * 10**9


def engine_of_one_option_buyer() -> Engine:
    """Far calls, six hours to live: their requirement is mostly the gap between two nodes."""
    options = [
        {
            "symbol": f"BTC-{strike}-C", "kind": "option", "underlying": "BTC", "lot": "0.01", "right": "call",
            "strike": strike, "expiry": format_ns(EXPIRES_NS), "forward": "100000", "iv": "0.6",
        }
        for strike in ("109000", "110000", "111000")
    ]  # fmt: skip
    market = Market.from_document(
        {
            "as_of": format_ns(START_NS),
            "settlement": "USD",
            "rate": "0",
            "underlyings": {"BTC": {"index": "100000"}},
            "instruments": options,
        }
    )
    quantities = {"USD": "3054.773944", "BTC-109000-C": "1", "BTC-110000-C": "2", "BTC-111000-C": "1"}
    rows = [{"account": "buyer", "instrument": name, "quantity": size} for name, size in quantities.items()]
    return Engine(Book.from_rows(rows, market), market, "portfolio")


def test_a_requirement_that_falls_with_its_gap_lets_the_account_recover_at_that_tick():
    engine = engine_of_one_option_buyer()
    assert engine.status("buyer") == "liquidatable"
    decisions = engine.tick("BTC", "99622.29", at=START_NS + 10**9)
    assert [(d.kind, d.status) for d in decisions] == [("recovered", "margin_call")]
    assert engine.audit() == []
