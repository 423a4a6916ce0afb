"""Published vectors of liquidations beside those of margin: `run(paths)` judges both.

One reader per family, see `margin.conform.report.Reader`: it recognises a file by what is in it, returns a case per
vector, and each case compares every figure that its source asserts. What it cannot answer it says (`Unsupported`).
"""

from collections.abc import Iterable
from pathlib import Path

from seawall.liquidation.conform import (
    aave,
    curves,
    deleveraging,
    derive,
    derive_accounts,
    drift,
    dydx,
    dydx_prices,
    maker,
    mango,
    markets,
)
from seawall.margin import conform
from seawall.margin.conform import Reader, Report

__all__ = ["READERS", "run"]

READERS: tuple[Reader, ...] = (
    curves.maker_curve_cases,
    curves.ajna_cases,
    curves.reflexer_cases,
    curves.euler_cases,
    maker.dog_cases,
    maker.clipper_cases,
    derive.derive_cases,
    derive_accounts.derive_account_cases,
    deleveraging.liquity_cases,
    deleveraging.adl_cases,
    markets.gmx_cases,
    markets.synthetix_cases,
    dydx.read,
    dydx_prices.read,
    drift.read,
    mango.read,
    aave.read,
)


def run(paths: Iterable[str | Path]) -> Report:
    """`margin.conform.run` with the readers of liquidation vectors."""
    return conform.run(paths, READERS)
