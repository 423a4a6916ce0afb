"""Made-up markets, books and event streams for the engine's tests: one seed, one case, the same everywhere.

A case has every kind of instrument that its model can margin, and accounts that stand close to their lines, so
that a short path meets many changes of status. Nothing here knows how the engine works.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import samples
from seawall.core.times import format_ns, parse_iso_ns
from seawall.engine.loop import Engine
from seawall.ledger.book import Book
from seawall.margin import models
from seawall.margin.evaluate import evaluate
from seawall.margin.model import Model
from seawall.market.market import Market

AS_OF_NS = parse_iso_ns("2025-10-10T06:00:00Z")
HOUR_NS = 3_600 * 10**9
EXPIRY_HOURS = (1, 3, 20, 7 * 24, 30 * 24, 77 * 24)
UNDERLYINGS = {"BTC": ("113000", "0.001"), "ETH": ("3900.25", "0.01"), "SOL": ("201.4", "0.1"), "DOGE": ("0.2512", "10")}
EVERYTHING = frozenset({"spot", "perpetual", "future", "inverse", "option", "coin option", "forward start", "basket"})
LISTED = {
    "fixed": EVERYTHING,
    "cross": EVERYTHING,
    "portfolio": EVERYTHING,
    "dydx": frozenset({"perpetual"}),
    "derive-standard": frozenset({"spot", "perpetual", "option"}),
    "derive-portfolio": frozenset({"spot", "perpetual", "option"}),
    "expected-shortfall": EVERYTHING,
    "value-at-risk": EVERYTHING,
    "greeks": EVERYTHING,
}
MODELS = tuple(LISTED)


@dataclass(frozen=True)
class Case:
    """A market document, the rows of a book, and the model that both are read with."""

    seed: int
    model_name: str
    document: dict[str, Any]
    rows: list[dict[str, str]]
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def market(self) -> Market:
        return Market.from_document(self.document)

    @property
    def book(self) -> Book:
        return Book.from_rows(self.rows)

    @property
    def model(self) -> Model:
        return models.get(self.model_name, **self.parameters)


def random_case(seed: int, model_name: str, accounts: int | None = None) -> Case:
    """A market and a funded book of 10 to 25 accounts (or so many) for a model."""
    rng = random.Random(f"case {seed} {model_name}")
    document = market_document(rng, LISTED[model_name])
    market = Market.from_document(document)
    owners = [
        owner_rows(rng, f"a{number}", market) for number in range(accounts if accounts else rng.randint(10, 25))
    ]
    rows = [row for owner in owners for row in owner]
    funded = rows + funding_rows(rng, rows, market, models.get(model_name))
    return Case(seed, model_name, document, funded)


def engine_of(model_name: str, *rows: tuple[str, str, str], **options: Any) -> Engine:
    """An engine over the sample market and rows of account, instrument, quantity."""
    columns = ("account", "instrument", "quantity")
    case = Case(0, model_name, samples.market_document(), [dict(zip(columns, row)) for row in rows])
    return Engine(case.book, case.market, case.model, **options)


# -- markets -----------------------------------------------------------------------------------


def market_document(rng: random.Random, listed: frozenset[str]) -> dict[str, Any]:
    """One to four underlyings, each with most of the kinds listed."""
    names = rng.sample(list(UNDERLYINGS), rng.randint(1, len(UNDERLYINGS)))
    rows: list[dict[str, Any]] = []
    for name in names:
        rows += _linear_rows(rng, name, listed)
        if "option" in listed:
            for hours in sorted(rng.sample(EXPIRY_HOURS, rng.randint(1, 3))):
                rows += _option_rows(rng, name, AS_OF_NS + hours * HOUR_NS, listed)
    if "basket" in listed and len(names) > 1 and rng.random() < 0.5:
        weights = {name: f"{rng.choice((1, -1)) * 100 / float(UNDERLYINGS[name][0]):.6f}" for name in names}
        weights[names[0]] = weights[names[0]].lstrip("-")
        rows.append({"symbol": "MIX", "kind": "basket", "weights": weights, "lot": "0.1"})
    return {
        "as_of": format_ns(AS_OF_NS),
        "settlement": "USD",
        "rate": rng.choice(("0", "0.04", "-0.01")),
        "underlyings": {name: {"index": UNDERLYINGS[name][0]} for name in names},
        "instruments": rows,
    }


def _linear_rows(rng: random.Random, name: str, listed: frozenset[str]) -> list[dict[str, Any]]:
    index, lot = UNDERLYINGS[name]
    rows: list[dict[str, Any]] = [
        {"symbol": f"{name}-PERP", "kind": "perpetual", "lot": lot, "mark": _times(index, rng.uniform(0.998, 1.002))}
    ]
    if rng.random() < 0.5:
        rows[0]["open_interest"] = str(round(rng.uniform(1e6, 2e8) / float(index)))
    if "spot" in listed:
        rows.append({"symbol": name, "kind": "spot", "lot": "0.0001", "haircut": rng.choice(("0", "0.08", "0.25"))})
    if "future" in listed:
        expiry_ns = AS_OF_NS + rng.choice(EXPIRY_HOURS) * HOUR_NS
        mark = _times(index, rng.uniform(0.99, 1.02))
        rows.append({"symbol": f"{name}-FUT", "kind": "future", "lot": lot, "expiry": format_ns(expiry_ns), "mark": mark})
    if "inverse" in listed and rng.random() < 0.6:
        mark = _times(index, rng.uniform(0.998, 1.002))
        rows.append({"symbol": f"{name}-INV", "kind": "perpetual", "lot": "10", "inverse": True, "mark": mark})
    return [{**row, "underlying": name} for row in rows]


def _option_rows(rng: random.Random, name: str, expiry_ns: int, listed: frozenset[str]) -> list[dict[str, Any]]:
    """Calls and puts at two to four strikes, and now and then a forward start."""
    index, lot = UNDERLYINGS[name]
    hours = (expiry_ns - AS_OF_NS) // HOUR_NS
    common = {"kind": "option", "underlying": name, "lot": lot, "expiry": format_ns(expiry_ns)}
    if rng.random() < 0.7:  # else the forward is the index at the rate, or follows a future of that expiry
        common["forward"] = _times(index, rng.uniform(0.995, 1.01))
    rows = []
    for percent in rng.sample((80, 90, 95, 100, 105, 110, 120), rng.randint(2, 4)):
        strike = _times(index, percent / 100)
        iv = f"{rng.uniform(0.4, 0.9) + 0.003 * abs(percent - 100):.4f}"
        for right in ("call", "put"):
            row = {**common, "symbol": f"{name}-{hours}H-{percent}-{right[0].upper()}", "right": right}
            if "coin option" in listed and rng.random() < 0.2:
                row["settled_in"] = "coin"
            rows.append({**row, "strike": strike, "iv": iv})
    if "forward start" in listed and hours > 1 and rng.random() < 0.3:
        fixes_ns = AS_OF_NS + rng.randint(1, hours - 1) * HOUR_NS
        row = {**common, "symbol": f"{name}-{hours}H-FS", "right": rng.choice(("call", "put")), "iv": "0.6"}
        rows.append({**row, "strike_fraction": rng.choice(("0.95", "1", "1.1")), "strike_fixes": format_ns(fixes_ns)})
    return rows


def _times(price: str, factor: float) -> str:
    return str((Decimal(price) * Decimal(repr(factor))).quantize(Decimal("0.000001"), ROUND_HALF_EVEN))


# -- accounts ----------------------------------------------------------------------------------


def owner_rows(rng: random.Random, name: str, market: Market) -> list[dict[str, str]]:
    """Positions of one owner: naked, hedged, all-collateral, in isolated pools, or only cash."""
    scale = 10 ** rng.uniform(3.5, 5.5)
    kind = rng.choices(("mixed", "hedged", "pools", "collateral", "cash"), (6, 3, 2, 1, 1))[0]
    if kind == "cash":
        return [_row(name, "USD", f"{scale:.6f}")]
    symbols = [symbol for symbol, one in market.instruments.items() if one.kind != "spot" or kind != "pools"]
    if kind == "collateral":
        symbols = [symbol for symbol, one in market.instruments.items() if one.kind == "spot"] or symbols
    if kind == "hedged":
        underlying = rng.choice(market.underlyings)
        symbols = [symbol for symbol in symbols if underlying in market.instruments[symbol].underlyings] or symbols
    chosen = rng.sample(symbols, min(len(symbols), rng.randint(1, 7)))
    rows = []
    for place, symbol in enumerate(chosen):
        signs = (1, -1) if kind == "hedged" else (rng.choice((1, -1)),)
        sign = signs[place % len(signs)]
        if market.instruments[symbol].kind == "spot":
            sign = 1
        pool = rng.choice(("true", "left", "right")) if kind == "pools" else ""
        rows.append(_row(name, symbol, quantity(rng, market, symbol, sign * scale), pool))
    return rows


def quantity(rng: random.Random, market: Market, symbol: str, notional: float) -> str:
    """A quantity of whole lots, worth about a notional of that sign, never none."""
    instrument = market.instruments[symbol]
    if instrument.inverse:
        unit = 1.0
    elif instrument.kind == "basket":
        unit = 100.0
    else:
        unit = float(market.index[instrument.underlying])
    lots = max(1, round(abs(notional) * rng.uniform(0.2, 1.5) / (unit * float(instrument.lot))))
    return str((lots if notional > 0 else -lots) * instrument.lot)


def funding_rows(
    rng: random.Random, rows: list[dict[str, str]], market: Market, model: Model
) -> list[dict[str, str]]:
    """Cash for every account that has positions; most end within a few percent of one of their lines."""
    result = evaluate(Book.from_rows(rows), market, model)
    cash = []
    for place, name in enumerate(result.names):
        equity, initial, maintenance = (
            int(column[place])
            for column in (result.equity_micro, result.initial_margin_micro, result.maintenance_margin_micro)
        )
        line = rng.choice((maintenance, maintenance, initial, 0)) or maintenance
        kind = rng.choices(("near", "exact", "safe", "under"), (7, 1, 3, 1))[0]
        above = {"near": abs(rng.gauss(0.0, 0.04)), "safe": rng.uniform(0.3, 3.0), "under": -rng.uniform(0.0, 0.3)}
        share = above.get(kind, 0.0)
        wanted = int(line * (1.0 + share)) + int(share * 1e9 if not line else 0)
        if kind == "exact":
            wanted = line + rng.choice((-1, 0, 1))
        owner, _, pool = name.partition(":")
        if any(row["instrument"] == "USD" and row["account"] == owner for row in rows):
            continue
        cash.append(_row(owner, "USD", str(Decimal(wanted - equity).scaleb(-6)), pool))
    return cash


def _row(account: str, instrument: str, amount: str, pool: str = "") -> dict[str, str]:
    return {"account": account, "instrument": instrument, "quantity": amount, "isolated": pool}
