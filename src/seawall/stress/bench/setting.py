"""What the measures share: one board, one model, books of any size, and where progress is told.

The board: 2,000 instruments on 8 underlyings, 90 % of them options. The book: 1 + geometric numbers
of positions, mean 8, instruments drawn by Zipf's law. Both modelled and seeded (`stress/population.py`).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cached_property
from typing import Any

from seawall.core.errors import MissingExtra
from seawall.core.times import parse_iso_ns
from seawall.margin.models import get
from seawall.stress.board import Board, make_board
from seawall.stress.population import Mix, Population, populate

__all__ = ["PRICES", "Setting", "require"]

PRICES = {
    "BTC": "113000",
    "ETH": "3900",
    "SOL": "190",
    "BNB": "1100",
    "XRP": "2.4",
    "DOGE": "0.19",
    "AVAX": "22",
    "LINK": "18",
}
AS_OF = "2025-10-10T12:00:00Z"
INSTRUMENTS = 2_000
ACCOUNTS = 1_000_000
ACCOUNTS_QUICK = 2_000


class Setting:
    """One run of the bench. quick: a small book and few repeats, to test the bench itself."""

    def __init__(self, quick: bool = False, say: Callable[[str], None] | None = None, seed: int = 7) -> None:
        self.quick = quick
        self.seed = seed
        self.size = ACCOUNTS_QUICK if quick else ACCOUNTS
        self.say = say or (lambda words: None)

    @cached_property
    def board(self) -> Board:
        """The modelled board of instruments."""
        return make_board(PRICES, parse_iso_ns(AS_OF), instruments=INSTRUMENTS, option_share=0.9)

    @cached_property
    def market(self) -> Any:
        """The board as a Market."""
        from seawall.market.market import Market

        return Market.from_document(self.board.document)

    @cached_property
    def model(self) -> Any:
        """The margin model of every measure: `portfolio` with its own parameters."""
        return get("portfolio")

    @cached_property
    def tables(self) -> Any:
        """The model compiled on the board."""
        return self.model.tables(self.market)

    def population(self, accounts: int) -> Population:
        """A book of so many accounts; the same seed gives the same book."""
        self.say(f"drawing {accounts:,} accounts")
        return populate(self.market, accounts, self.seed, Mix.bench())

    @cached_property
    def book(self) -> Population:
        """The book of the full size."""
        return self.population(self.size)

    @property
    def accounts(self) -> Any:
        """The full book's arrays."""
        return self.book.accounts

    def forget(self) -> None:
        """Frees the full book."""
        self.__dict__.pop("book", None)


def require(name: str, extra: str) -> Any:
    """A library that only some measures need, or the one line that names its extra."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtra(name.split(".")[0], extra) from error
