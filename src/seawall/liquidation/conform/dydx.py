"""Vectors of dYdX v4 that concern liquidation: files with a test that `dydx_liquidations` or `dydx_deleveraging` judges.

Rows of such a file that concern margin are judged by the margin layer's reader, as in any other file of the protocol.
"""

from functools import partial
from typing import Any

from seawall.liquidation.conform import dydx_deleveraging, dydx_liquidations
from seawall.margin.conform import dydx as margin_dydx
from seawall.margin.conform.report import Case
from seawall.margin.conform.runner import cases

TESTS: dict[str, margin_dydx.JudgeTest] = dydx_liquidations.TESTS | dydx_deleveraging.TESTS


def read(data: Any) -> list[Case] | None:
    """Cases of a dYdX file with a test that is judged here, None for any other file."""
    if not isinstance(data, dict) or not str(data.get("protocol", "")).startswith("dYdX"):
        return None
    found = data.get("vectors")
    rows = [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
    if not any(str(row.get("name", "")).split("/")[0] in TESTS for row in rows):
        return None
    return cases(partial(margin_dydx.judge, further=TESTS), data, rows)
