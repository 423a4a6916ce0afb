"""Seawall: a real-time margin engine for derivatives venues.

    import seawall as sw
    market = sw.Market.load("market.json")
    book = sw.Book.load("book.parquet")
    result = sw.evaluate(book, market, "portfolio")

Names load what they need when they are first used, so that `import seawall` and `seawall --help` stay quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seawall.core.errors import InputError, InvariantError, MissingExtra, SeawallError
    from seawall.engine.loop import Engine
    from seawall.ledger.book import Book
    from seawall.margin import models
    from seawall.margin.efficiency import efficiency
    from seawall.margin.evaluate import evaluate
    from seawall.margin.explain import explain
    from seawall.margin.hedge import cheapest_hedge
    from seawall.margin.whatif import what_if
    from seawall.market.market import Market

__version__ = "0.1.0"

__all__ = [
    "Book",
    "Engine",
    "InputError",
    "InvariantError",
    "Market",
    "MissingExtra",
    "SeawallError",
    "__version__",
    "cheapest_hedge",
    "efficiency",
    "evaluate",
    "explain",
    "models",
    "what_if",
]

_HOMES = {
    "Book": "seawall.ledger.book",
    "Engine": "seawall.engine.loop",
    "InputError": "seawall.core.errors",
    "InvariantError": "seawall.core.errors",
    "Market": "seawall.market.market",
    "MissingExtra": "seawall.core.errors",
    "SeawallError": "seawall.core.errors",
    "cheapest_hedge": "seawall.margin.hedge",
    "efficiency": "seawall.margin.efficiency",
    "evaluate": "seawall.margin.evaluate",
    "explain": "seawall.margin.explain",
    "models": "seawall.margin",
    "what_if": "seawall.margin.whatif",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'seawall' has no attribute {name!r}")
    home = _HOMES[name]
    value = import_module(f"{home}.models") if name == "models" else getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
