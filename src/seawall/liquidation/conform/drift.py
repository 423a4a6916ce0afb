"""Vectors of Drift v2's liquidation arithmetic: each row names a function of the source and its arguments."""

from collections.abc import Callable
from functools import partial
from typing import Any

from seawall.core.errors import InputError
from seawall.liquidation.venues import drift as venue
from seawall.margin.conform.dydx_input import integer
from seawall.margin.conform.fields import Fields
from seawall.margin.conform.reading import BadVector
from seawall.margin.conform.report import Case, Check, Unsupported

SWAP = "asset_transfer", "liability_transfer", "asset_decimals", "liability_decimals"
PRICES = "asset_price", "liability_price", "asset_liq_multiplier", "liability_liq_multiplier"
LIABILITY = "liability_liq_multiplier", "liability_decimals", "liability_price"
ASSET = "asset_amount", "asset_liq_multiplier", "asset_decimals", "asset_price"
WEIGHTS = "asset_weight", "asset_liq_multiplier", "liability_weight"

FUNCTIONS: dict[str, tuple[Callable[..., int | bool], tuple[str, ...]]] = {
    "calculate_base_asset_amount_to_cover_margin_shortage": (
        venue.base_to_cover,
        ("margin_shortage", "margin_ratio", "liquidation_fee", "if_liquidation_fee", "oracle_price", "quote_oracle_price"),
    ),
    "calculate_liability_transfer_to_cover_margin_shortage": (
        venue.liability_to_cover,
        ("margin_shortage", *WEIGHTS, *LIABILITY, "if_liquidation_fee"),
    ),
    "calculate_liability_transfer_implied_by_asset_amount": (venue.liability_for_asset, (*ASSET, *LIABILITY)),
    "calculate_asset_transfer_for_liability_transfer": (
        venue.asset_for_liability,
        (*ASSET, "liability_amount", *LIABILITY),
    ),
    "calculate_funding_rate_deltas_to_resolve_bankruptcy": (
        venue.funding_deltas,
        ("loss", "base_asset_amount_long", "base_asset_amount_short"),
    ),
    "calculate_cumulative_deposit_interest_delta_to_resolve_bankruptcy": (
        venue.deposit_index_cut,
        ("loss", "deposit_balance", "cumulative_deposit_interest", "decimals"),
    ),
    "calculate_perp_if_fee": (
        venue.fund_fee_perp,
        (
            "margin_shortage", "user_base_asset_amount", "margin_ratio", "liquidator_fee", "oracle_price",
            "quote_oracle_price", "max_if_liquidation_fee",
        ),
    ),
    "calculate_spot_if_fee": (
        venue.fund_fee_spot,
        ("margin_shortage", "token_amount", *WEIGHTS, *LIABILITY, "max_if_fee"),
    ),
    "calculate_max_pct_to_liquidate": (
        venue.share_to_liquidate,
        (
            "margin_shortage", "liquidation_margin_freed", "last_active_slot", "slot", "initial_pct_to_liquidate",
            "liquidation_duration",
        ),
    ),
    "get_liquidation_fee": (
        venue.liquidator_fee,
        ("base_liquidation_fee", "max_liquidation_fee", "last_active_user_slot", "current_slot"),
    ),
    "calculate_swap_price": (venue.swap_price, ("amount_out", "amount_in", "out_decimals", "in_decimals")),
    "validate_transfer_satisfies_limit_price": (venue.transfer_meets_limit, (*SWAP, "limit_price")),
    "validate_swap_within_liquidation_boundaries": (venue.swap_within_bounds, (*SWAP, *PRICES)),
}  # fmt: skip
OPTIONAL = ("limit_price",)


def read(data: Any) -> list[Case] | None:
    """Cases of a file of Drift with a function that is known here, None for any other file."""
    if not isinstance(data, dict) or not str(data.get("protocol", "")).startswith("Drift"):
        return None
    found = data.get("vectors")
    rows = [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
    if not any(_function(row) in FUNCTIONS for row in rows):
        return None
    return [Case(str(row.get("name") or f"vectors[{k}]"), partial(_judge, row)) for k, row in enumerate(rows)]




def _function(row: dict[str, Any]) -> str:
    inputs = row.get("inputs")
    return str(inputs.get("function", "")) if isinstance(inputs, dict) else ""


def _judge(row: dict[str, Any], check: Check) -> None:
    verdict = str(row.get("check", "reproduced_exactly"))
    if not verdict.startswith("reproduced"):
        raise Unsupported(f"not asserted: {verdict}")
    name = _function(row)
    if name not in FUNCTIONS:
        raise Unsupported(f"no rule here answers {name}")
    if "expected" not in row:
        raise BadVector("vector", "no expected figure", "one")
    function, names = FUNCTIONS[name]
    fields = Fields(row["inputs"])
    fields.take("function")
    arguments = [_argument(fields, each) for each in names]
    fields.done()
    expected = row["expected"]
    try:
        found = function(*arguments)
    except InputError as error:
        check.exact("error", True, _wants_error(expected))
        if not _wants_error(expected):
            check.exact(name, expected, str(error))
        return
    if _wants_error(expected):
        check.exact("error", True, isinstance(found, bool) and not found)
    elif isinstance(found, bool):
        check.exact(name, expected, found)
    else:
        check.exact(name, integer(expected), found)


def _argument(fields: Fields, name: str) -> int | None:
    if name in OPTIONAL:
        value = fields.take(name)
        return None if value is None else _natural(name, value)
    return _natural(name, fields.need(name))


def _natural(name: str, value: Any) -> int:
    found = integer(value)
    if value is None or (found < 0 and name not in ("loss", "base_asset_amount_short", "base_asset_amount_long")):
        raise BadVector("vector", f"{name} of {value!r}", "an integer of zero or more")
    return found


def _wants_error(expected: Any) -> bool:
    """Whether a row expects its source to refuse: null, a word that says so, or an object with an error."""
    if isinstance(expected, dict):
        return any("err" in str(key).lower() or "panic" in str(key).lower() for key in expected)
    return expected is None or (isinstance(expected, str) and "err" in expected.lower())
