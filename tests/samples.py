"""A small market of every kind of instrument, made up, as a document that tests may change before loading."""

from __future__ import annotations

from typing import Any

EXPIRY = "2025-12-26T08:00:00Z"


def market_document() -> dict[str, Any]:
    """A new market.json document: two underlyings, eleven instruments, one surface."""
    option = {"kind": "option", "underlying": "BTC", "lot": "0.01", "expiry": EXPIRY}
    return {
        "as_of": "2025-10-10T21:00:00Z",
        "settlement": "USD",
        "rate": "0.04",
        "underlyings": {"BTC": {"index": "113000"}, "ETH": {"index": "3900.25"}},
        "instruments": [
            {"symbol": "BTC", "kind": "spot", "underlying": "BTC", "lot": "0.0001", "haircut": "0.08"},
            {"symbol": "ETH", "kind": "spot", "underlying": "ETH", "lot": "0.001", "haircut": "0.1"},
            {
                "symbol": "BTC-PERP",
                "kind": "perpetual",
                "underlying": "BTC",
                "lot": "0.001",
                "mark": "112950",
                "open_interest": "2500",
            },
            {
                "symbol": "BTC-INV",
                "kind": "perpetual",
                "underlying": "BTC",
                "lot": "10",
                "mark": "112950",
                "inverse": True,
            },
            {"symbol": "MIX", "kind": "basket", "weights": {"BTC": "0.5", "ETH": "4"}, "lot": "0.1"},
            {
                "symbol": "BTC-DEC",
                "kind": "future",
                "underlying": "BTC",
                "lot": "0.001",
                "expiry": EXPIRY,
                "mark": "113800",
            },
            {**option, "symbol": "BTC-DEC-120000-C", "right": "call", "strike": "120000", "iv": "0.52"},
            {**option, "symbol": "BTC-DEC-120000-P", "right": "put", "strike": "120000", "mark": "11000"},
            {
                **option,
                "symbol": "BTC-DEC-95-P",
                "right": "put",
                "strike_fraction": "0.95",
                "strike_fixes": "2025-11-26T08:00:00Z",
                "iv": "0.5",
            },
            {
                "symbol": "ETH-DEC-4000-C",
                "kind": "option",
                "underlying": "ETH",
                "lot": "0.1",
                "right": "call",
                "strike": "4000",
                "expiry": EXPIRY,
                "settled_in": "coin",
            },
            {
                "symbol": "ETH-DEC-3500-P",
                "kind": "option",
                "underlying": "ETH",
                "lot": "0.1",
                "right": "put",
                "strike": "3500",
                "expiry": EXPIRY,
            },
        ],
        "surfaces": [
            {
                "underlying": "ETH",
                "expiry": EXPIRY,
                "kind": "svi",
                "a": "0.04",
                "b": "0.1",
                "rho": "-0.3",
                "m": "0.01",
                "sigma": "0.2",
            }
        ],
    }


def instrument(document: dict[str, Any], symbol: str) -> dict[str, Any]:
    """The row of an instrument in a document, to be changed."""
    return next(row for row in document["instruments"] if row["symbol"] == symbol)
