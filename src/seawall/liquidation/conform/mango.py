"""Vectors of Mango v4's perpetual liquidation: the account before, limits, and the account after."""

from functools import partial
from typing import Any

from seawall.liquidation.conform.rationals import rational
from seawall.liquidation.venues import mango as venue
from seawall.margin.conform.dydx_input import integer
from seawall.margin.conform.fields import Fields
from seawall.margin.conform.reading import BadVector
from seawall.margin.conform.report import Case, Check, Unsupported
from seawall.margin.conform.runner import cases

TEST = "test_liq_base_or_positive_pnl"
TOLERANCE = 0.01  # the source's own, where a row states none


def read(data: Any) -> list[Case] | None:
    """Cases of a Mango file whose rows are liquidations of a perpetual, None for any other file."""
    if not isinstance(data, dict) or not str(data.get("protocol", "")).startswith("Mango"):
        return None
    found = data.get("vectors")
    rows = [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
    if not any(str(row.get("name", "")).startswith(TEST) for row in rows):
        return None
    return cases(partial(_judge), data, rows)


def _judge(data: dict[str, Any], row: dict[str, Any], check: Check) -> None:
    verdict = str(row.get("check", "reproduced"))
    if not verdict.startswith("reproduced"):
        raise Unsupported(f"not asserted: {verdict}")
    if not str(row.get("name", "")).startswith(TEST):
        raise Unsupported("no rule here answers this test")
    fields, expected = Fields(row.get("inputs") or {}), Fields(row.get("expected") or {})
    market = _market(fields)
    start = _position(Fields(fields.need("liqee")))
    base_max, pnl_max = integer(fields.need("max_base_transfer")), rational(fields.need("max_pnl_transfer"))
    fields.done()
    tolerance = float(rational(expected.take("tolerance", TOLERANCE)))
    wants_error = any(bool(expected.take(name)) for name in ("error", "expectedErr", "expected_error"))
    after = check.refuses(wants_error, lambda: venue.liquidate(market, start, base_max, pnl_max))
    if after is None:
        return
    figures = {"settle_token": after.token, "quote": after.quote, "other_token": after.other}
    for name, found in figures.items():
        if name in expected:
            check.close(name, float(rational(expected.take(name))), float(found), 0.0, tolerance)
    if "base_lots" in expected:
        check.exact("base_lots", integer(expected.take("base_lots")), after.lots)
    expected.done()


def _market(fields: Fields) -> venue.Market:
    prices, weights = fields.take("token_prices", 1), fields.take("token_weights", 1)
    token = rational(prices) * rational(weights)
    if token <= 0:
        raise BadVector("vector", f"a token price of {prices!r} and a weight of {weights!r}", "numbers above zero")
    return venue.Market(
        base_asset_weight=rational(fields.need("base_asset_weight")),
        base_liability_weight=rational(fields.need("base_liab_weight")),
        overall_weight=rational(fields.need("overall_asset_weight")),
        price=rational(fields.take("perp_oracle_price", 1)),
        lot=integer(fields.take("base_lot_size", 1)),
        pnl_fee=rational(fields.take("positive_pnl_liq_fee", 0)),
        base_fee=rational(fields.take("base_liquidation_fee", 0)),
        platform_fee=rational(fields.take("platform_liquidation_fee", 0)),
        token_asset_price=token,
        token_liability_price=token,
        other_asset_price=token,
        other_liability_price=token,
    )


def _position(fields: Fields) -> venue.Position:
    found = venue.Position(
        token=rational(fields.take("settle_token", 0)),
        lots=integer(fields.take("base_lots", 0)),
        quote=rational(fields.take("quote", 0)),
        other=rational(fields.take("other_token", 0)),
    )
    fields.done()
    return found
