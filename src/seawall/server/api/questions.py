"""What may be asked over `/v1/ws`: the same questions as over HTTP, as frames {"id", "op", …}.

The hot path of a venue is `what-if` and `check`: a frame is decoded straight into its record, answered from memory, and its answer
encoded straight from the view. Writes wait for the disk in tasks of their own, so that a socket's next question is not
held up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from seawall.server import requests as wire
from seawall.server.api import answers as a
from seawall.server.api.accounts import corridors_view, liquidation_view
from seawall.server.api.desk import Desk
from seawall.server.views import figures_view

__all__ = ["COSTS", "ANSWERS", "Question", "Write"]

Id = int | str | None


class _Op(msgspec.Struct, frozen=True, tag_field="op", forbid_unknown_fields=True, kw_only=True):
    id: Id = None


class WhatIf(_Op, frozen=True, kw_only=True, tag="what-if"):
    """Margin as if trades were done at the mark."""

    account: str
    trades: list[tuple[str, str]] = []
    deposit: str | None = None


class Check(_Op, frozen=True, kw_only=True, tag="check"):
    """Whether margin would admit an order."""

    account: str
    instrument: str
    quantity: str
    price: str


class Margin(_Op, frozen=True, kw_only=True, tag="margin"):
    """Margin of an account at present."""

    account: str


class Account(_Op, frozen=True, kw_only=True, tag="account"):
    """Everything about one account."""

    account: str


class Explain(_Op, frozen=True, kw_only=True, tag="explain"):
    """Why the margin is what it is."""

    account: str


class LiquidationPrices(_Op, frozen=True, kw_only=True, tag="liquidation-prices"):
    """Where the account is liquidated."""

    account: str
    underlying: str


class AccountCorridors(_Op, frozen=True, kw_only=True, tag="corridors"):
    """The certified safe corridor."""

    account: str


class Prices(_Op, frozen=True, kw_only=True, tag="prices"):
    """Index prices."""


class Ping(_Op, frozen=True, kw_only=True, tag="ping"):
    """Nothing; tells that the other side lives."""


class Write(_Op, frozen=True, kw_only=True, tag="write"):
    """One request of `server.requests`, told by its `type`."""

    request: wire.Request
    idempotency: str = ""


Question = WhatIf | Check | Margin | Account | Explain | LiquidationPrices | AccountCorridors | Prices | Ping | Write


def _what_if(desk: Desk, it: WhatIf) -> Any:
    return figures_view(desk.service.what_if(it.account, it.trades, it.deposit))


def _check(desk: Desk, it: Check) -> Any:
    return a.verdict_view(desk.service.check(it.account, it.instrument, it.quantity, it.price))


def _liquidation(desk: Desk, it: LiquidationPrices) -> Any:
    return liquidation_view(it.account, it.underlying, desk.service.liquidation(it.account, it.underlying))


def _prices(desk: Desk, it: Prices) -> Any:
    status = desk.service.status()
    return a.PricesView(desk.service.prices(), status["sequence"], status["at_ns"])


ANSWERS: dict[type, Callable[[Desk, Any], Any]] = {
    WhatIf: _what_if,
    Check: _check,
    Margin: lambda desk, it: figures_view(desk.service.figures(it.account)),
    Account: lambda desk, it: desk.service.account(it.account),
    Explain: lambda desk, it: desk.service.explain(it.account).to_dict(),
    LiquidationPrices: _liquidation,
    AccountCorridors: lambda desk, it: corridors_view(desk.service.corridors(it.account)),
    Prices: _prices,
    Ping: lambda desk, it: {},
}
COSTS: dict[type, float] = {Explain: 5.0, LiquidationPrices: 20.0}
"""How many requests a question counts as, where that is not one."""
