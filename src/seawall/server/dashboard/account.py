"""One account, looked into: positions, margin explained, payoff and margin curves, and questions of what if.

All of it is computed here, in the dashboard's process, from the account's holdings and a snapshot of the market, by
the kernels that decide. The engine gives away a few numbers and goes on.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Annotated, Any

import msgspec
import numpy as np

from seawall.core.errors import InputError, LimitExceeded
from seawall.core.units import MICRO, NANO, PPM, format_micro, format_nano
from seawall.ledger.accounts import Accounts
from seawall.margin.evaluate import STATUSES, status_codes
from seawall.margin.explain import Explanation, explain_account
from seawall.margin.headroom import scenario, withdrawable
from seawall.margin.liquidation import Crossing, prices_of
from seawall.margin.model import Model
from seawall.margin.single import Figures, Single
from seawall.margin.whatif import Calculator

__all__ = ["Held", "Question", "curves", "detail", "instruments_of", "what_if"]

POINTS = 97
SPAN_LEAST, SPAN_MOST = 10_000, 900_000
TRADES_MOST, MOVES_MOST = 20, 50


class Held(msgspec.Struct, frozen=True, eq=False):
    """An account as it stands, and the market it stands in.

    legs int32[n], rising; lots int64[n]; cash_nano as in `Accounts`. orders: rows for the screen. figures: equity,
    initial (open orders included), maintenance, micro. corridor: `Corridors` as plain values, or None.
    """

    account: str
    market: Any
    model: Model
    legs: np.ndarray
    lots: np.ndarray
    cash_nano: int
    level: int
    figures: tuple[int, int, int]
    orders: tuple[dict[str, Any], ...] = ()
    corridor: dict[str, Any] | None = None
    balances: tuple[dict[str, Any], ...] = ()
    state: str = ""

    @property
    def single(self) -> Single:
        """The account alone, ready for questions."""
        return Single(self.market, self.model, self.legs, self.lots, self.cash_nano)


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What has not happened: trades (instrument, signed quantity[, price]), then a deposit (negative: taken out), then
    relative moves of prices by underlying and of all vols."""

    trades: list[Annotated[list[str], msgspec.Meta(min_length=2, max_length=3)]] = []
    deposit: str = "0"
    moves: dict[str, float] = {}
    vol: float = 0.0


class _OneAccount:
    """A book of one account, in the form that `Calculator` binds."""

    def __init__(self, held: Held) -> None:
        ends = np.array([0, len(held.legs)], np.int64)
        cash = np.array([held.cash_nano], np.int64)
        self.accounts = Accounts([held.account], cash, ends, held.legs, held.lots)

    def bind(self, market: Any) -> Accounts:
        return self.accounts


def detail(held: Held) -> dict[str, Any]:
    """Everything the account page shows but its curves, as plain values; amounts are decimals."""
    explanation = explain_account(Calculator(_OneAccount(held), held.market, held.model), held.account)
    equity, initial, maintenance = held.figures
    return {
        "account": held.account,
        "status": STATUSES[held.level],
        "state": held.state,
        "at_ms": held.market.as_of_ns // 1_000_000,
        "settlement": held.market.settlement,
        "equity": format_micro(equity),
        "initial": format_micro(initial),
        "maintenance": format_micro(maintenance),
        "health": format_micro(equity - maintenance),
        "free": format_micro(equity - initial),
        "withdrawable": format_micro(withdrawable(held.single) if not held.orders else max(equity - initial, 0)),
        "positions": _positions(held, explanation),
        "orders": list(held.orders),
        "balances": list(held.balances),
        "corridor": held.corridor,
        "underlyings": list(dict.fromkeys(explanation.underlyings)),
        "explain": explanation.to_dict(8),
    }


def _positions(held: Held, explanation: Explanation) -> list[dict[str, Any]]:
    """One row per leg: what it is worth, what it needs, and what it gains: delta in units of the underlying, vega per point
    of volatility, theta per day."""
    legs = held.market.legs
    marks, greeks = held.market.leg_marks(), held.market.greeks()
    rows = []
    for k, leg in enumerate(held.legs.tolist()):
        lots = int(held.lots[k])
        units = float(legs.lot[leg]) * lots
        delta = greeks["delta"][leg] if legs.right[leg] else float(legs.ratio[leg])
        rows.append(
            {
                "leg": explanation.legs[k],
                "underlying": explanation.underlyings[k],
                "quantity": explanation.quantity(k),
                "mark": f"{float(marks[leg]) / float(legs.lot[leg]):.8g}",
                "value": format_micro(round(float(marks[leg]) * lots * MICRO)),
                "initial": format_micro(int(explanation.initial_micro[k].sum())),
                "maintenance": format_micro(int(explanation.maintenance_micro[k].sum())),
                "delta": float(delta) * units,
                "vega": float(greeks["vega"][leg]) * units / 100,
                "theta": float(greeks["theta"][leg]) * units / 365,
            }
        )
    return rows


def curves(held: Held, underlying: str, span_ppm: int = 500_000) -> dict[str, Any]:
    """Equity, initial and maintenance over the price of one underlying, the others as they are.

    span_ppm: how far to either side of the present price. The liquidation set comes from exact crossings; `complete` says
    whether it is proved to be all of it. `bankrupt`: prices at which equity crosses zero inside the span, bisected
    on the exact function from the curve's points.
    """
    if not SPAN_LEAST <= span_ppm <= SPAN_MOST:
        raise InputError("span_ppm", span_ppm, f"{SPAN_LEAST} to {SPAN_MOST}")
    single = held.single
    number = single.number(underlying)
    present = int(single.prices_nano[number])
    ticks = np.linspace(1 - span_ppm / PPM, 1 + span_ppm / PPM, POINTS)
    nano = sorted({max(int(present * share), 1) for share in ticks} | {present})
    rows = [_at(single, number, price) for price in nano]
    crossings = prices_of(single, underlying)
    return {
        "underlying": underlying,
        "present": format_nano(present),
        "prices": [price / NANO for price in nano],
        "equity": [_money(row and row.equity) for row in rows],
        "initial": [_money(row and row.initial) for row in rows],
        "maintenance": [_money(row and row.maintenance) for row in rows],
        "liquidation": [_crossing(one) for one in crossings.found],
        "complete": crossings.complete,
        "searched": [str(crossings.low), str(crossings.high)],
        "bankrupt": [format_nano(price) for price in _zeros(single, number, nano, rows)],
        "corridor": _corridor_of(held.corridor, underlying),
        "at_ms": held.market.as_of_ns // 1_000_000,
    }


def what_if(held: Held, question: Question) -> dict[str, Any]:
    """{"before", "after"}: figures and status; open orders are not among them. Raises InputError for names and numbers
    that the market does not have."""
    if len(question.trades) > TRADES_MOST or len(question.moves) > MOVES_MOST:
        raise InputError("what-if", f"{len(question.trades)} trades, {len(question.moves)} moves", f"at most {TRADES_MOST} and {MOVES_MOST}")
    if not question.vol > -1:  # a NaN neither
        raise InputError("vol", f"{100 * question.vol:g} %", "more than -100 %: a volatility is above zero")
    single = held.single
    before = single.evaluate()
    after = scenario(single, map(tuple, question.trades), question.deposit, question.moves, question.vol)
    return {
        "account": held.account,
        "before": _figures(before),
        "after": _figures(after),
        "orders": len(held.orders),
        "at_ms": held.market.as_of_ns // 1_000_000,
    }


def instruments_of(market: Any) -> list[dict[str, Any]]:
    """What can be traded in a question: live instruments, with their marks."""
    legs, marks = market.legs, market.leg_marks()
    rows = []
    for symbol, one in market.instruments.items():
        if one.expiry_ns and one.expiry_ns <= market.as_of_ns:
            continue
        mark = float(market.mark(symbol)) if one.inverse else sum(float(marks[k]) for k in legs.leg_of[symbol]) / float(one.lot)
        rows.append({"symbol": symbol, "kind": one.kind, "underlying": one.underlying or "", "mark": f"{mark:.8g}", "lot": str(one.lot)})
    return rows


def _figures(found: Figures) -> dict[str, str]:
    amounts = np.array([[found.equity, found.initial, found.maintenance]], np.int64)
    code = int(status_codes(amounts[:, 0], amounts[:, 1], amounts[:, 2])[0])
    named = {"equity": found.equity, "initial": found.initial, "maintenance": found.maintenance,
             "health": found.health, "free": found.free}  # fmt: skip
    return {name: format_micro(amount) for name, amount in named.items()} | {"status": STATUSES[code]}


def _at(single: Single, number: int, price_nano: int) -> Figures | None:
    """Exact figures with one price moved; None beyond the limits of values."""
    prices = single.prices_nano.copy()
    prices[number] = price_nano
    try:
        return single.evaluate(prices)
    except LimitExceeded:
        return None


def _zeros(single: Single, number: int, nano: list[int], rows: list[Figures | None]) -> list[int]:
    """Prices where equity changes sign between two points, to a millionth."""
    found = []
    for (low, a), (high, b) in zip(zip(nano, rows), zip(nano[1:], rows[1:]), strict=False):
        if a is None or b is None or (a.equity < 0) == (b.equity < 0):
            continue
        below = a.equity < 0

        def crossed(price: int, below: bool = below) -> bool:
            at = _at(single, number, price)
            return at is not None and (at.equity < 0) != below

        step = max(low // PPM, 1)
        first = bisect_left(range(low, high, step), True, key=crossed)
        found.append(min(low + first * step, high))
    return found


def _crossing(one: Crossing) -> dict[str, Any]:
    """A price at which the account becomes liquidatable: the healthy neighbour is stated, and to which side it falls."""
    healthy = one.below if one.health_below >= 0 else one.above
    return {"price": str(healthy.normalize()), "liquidatable": "above" if one.falling else "below"}


def _corridor_of(corridor: dict[str, Any] | None, underlying: str) -> dict[str, Any] | None:
    rows = [] if corridor is None else corridor.get("corridors", [])
    return next((row for row in rows if row["underlying"] == underlying), None)


def _money(micro: int | None) -> float | None:
    """A float for a chart."""
    return None if micro is None else micro / 1e6
