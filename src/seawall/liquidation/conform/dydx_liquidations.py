"""Judges of dYdX v4's liquidation tests: bankruptcy and fillable price, the fund's share, ticks, limits per block.

What a Go test sets up in its body and no row carries (which perpetual, an oracle price, the open interest of the
harness) stands here as constants. Where an account fits the ledger, the margin kernel has to agree on its risk.
"""

from fractions import Fraction
from typing import Any

from seawall.core.errors import InputError
from seawall.liquidation.conform.rationals import rational
from seawall.liquidation.venues import dydx as venue
from seawall.margin.conform import dydx as margin_dydx
from seawall.margin.conform import dydx_input as read
from seawall.margin.conform.dydx_input import integer
from seawall.margin.conform.fields import Fields
from seawall.margin.conform.reading import reads
from seawall.margin.conform.report import Check, Unsupported
from seawall.margin.venues import dydx_rules as rules

BTC, ETH = 0, 1
TIER_FULL, TIER_20_10 = 0, 3  # ids of the fixtures' tiers: 100 % of the notional; 20 % initial, 10 % maintenance
HARNESS_INTEREST = 100_000_000  # base quantums of BTC open interest that the tests of deleveraging start from
FIXTURE_EXPONENT = {BTC: (-8, 0), ETH: (-9, 1)}  # atomic resolution, market


def _is_liquidatable(data: dict[str, Any], fields: Fields, expected: Fields, check: Check) -> None:
    account, markets = _account_and_markets(data, fields, check)
    fields.done()
    found = rules.risk(account, markets).is_liquidatable()
    check.exact("liquidatable", bool(expected.take("expectedIsLiquidatable")), found)


def _bankruptcy_price(data: dict[str, Any], fields: Fields, expected: Fields, check: Check) -> None:
    key, change = integer(fields.take("perpetualId")), integer(fields.take("deltaQuantums"))
    account, markets = _account_and_markets(data, fields, check)
    fields.done()
    found = venue.bankruptcy_quote(account, markets, key, change)
    check.exact("bankruptcy quote", integer(expected.take("expectedBankruptcyPriceQuoteQuantums")), found)


def _fillable_price(data: dict[str, Any], fields: Fields, expected: Fields, check: Check) -> None:
    key, change = integer(fields.take("perpetualId")), integer(fields.take("deltaQuantums"))
    limits = _limits(data, fields)
    account, markets = _account_and_markets(data, fields, check)
    fields.done()
    found = venue.fillable_price(account, markets, key, change, limits)
    check.exact("fillable price", rational(expected.take("expectedFillablePrice")), found)


def _fund_change(data: dict[str, Any], fields: Fields, expected: Fields, check: Check) -> None:
    key, buys = integer(fields.take("perpetualId")), bool(fields.take("isBuy"))
    size, subticks = integer(fields.take("fillAmount")), integer(fields.take("subticks"))
    limits = _limits(data, fields)
    account, markets = _account_and_markets(data, fields, check)
    fields.done()
    quote = subticks * size * Fraction(10) ** _exponent(data, key)
    whole = quote.numerator // quote.denominator
    change, signed = (size, -whole) if buys else (-size, whole)
    found = venue.fund_change(account, markets, key, change, signed, limits.fee_ppm)
    check.exact("insurance fund delta", integer(expected.take("expectedLiquidationInsuranceFundDeltaBig")), found)


def _subticks(data: dict[str, Any], fields: Fields, expected: Fields, check: Check) -> None:
    pair = fields.take("clobPair") or {}
    price, long = rational(fields.take("fillablePrice")), bool(fields.take("isLiquidatingLong"))
    fields.done()
    found = venue.subticks(price, long, _of(pair, "SubticksPerTick"), _of(pair, "QuantumConversionExponent"))
    check.exact("subticks", integer(expected.take("expectedSubticks")), found)


def _notional_bounds(data: dict[str, Any], fields: Fields, expected: Fields, check: Check) -> None:
    limits = _limits(data, fields)
    position = read.positions([fields.take("positionToLiquidate") or {}])
    fields.done()
    ((key, held),) = position.items()
    market = _fixture(data, key, TIER_FULL)
    notional = rules.base_to_quote(held.quantums, market.resolution, market.price, market.exponent)
    found = venue.notional_bounds(notional, limits)
    check.exact("least notional", integer(expected.take("expectedMinPosNotionalLiquidatable")), found[0])
    check.exact("most notional", integer(expected.take("expectedMaxPosNotionalLiquidatable")), found[1])


def _block_room(data: dict[str, Any], fields: Fields, expected: Fields, check: Check) -> None:
    """Both limits of an account that asks about perpetual 0 after an earlier liquidation in the block."""
    limits = _limits(data, fields)
    same = integer(fields.take("previouslyLiquidatedPerpetualId")) == 0
    used = integer(fields.take("previousNotionalLiquidated")), -integer(fields.take("previousInsuranceFundLost"))
    fields.done()
    most = limits.account_notional_max, limits.account_insurance_max
    for name, each, limit in zip(("MaxNotionalLiquidatable", "MaxInsuranceLost"), used, most, strict=True):
        refused = bool(expected.take(f"expected{name}Err")) | bool(expected.take(f"expected{name}Panic"))
        wanted = expected.take(f"expected{name}")
        try:
            found = venue.room(each, limit, same)
        except InputError:
            check.exact(f"{name} refused", refused, True)
            continue
        check.exact(f"{name} refused", refused, False)
        if not refused:
            check.exact(name, integer(wanted), found)


def _account_and_markets(
    data: dict[str, Any], fields: Fields, check: Check
) -> tuple[rules.Account, dict[int, rules.Perpetual]]:
    """The settled account of a row and its markets; the kernel has to agree on its risk where it fits."""
    fields.take("assets")
    markets = read.perpetuals(data, fields)
    account = rules.settle_funding(margin_dydx.read_account(fields), markets)
    if account.positions and read.fits(account, markets):
        check.exact("risk, kernel", rules.risk(account, markets), read.kernel_risk(account, markets))
    return account, markets


@reads
def _limits(data: dict[str, Any], fields: Fields) -> venue.Limits:
    """The row's liquidation parameters, or the file's defaults."""
    given = fields.take("liquidationConfig")
    if given is None:
        given = data.get("fixtures", {}).get("liquidations_config_default", {})
    flat = {**given, **given.get("FillablePriceConfig", {})}
    flat |= {**given.get("PositionBlockLimits", {}), **given.get("SubaccountBlockLimits", {})}
    names = {
        "MaxLiquidationFeePpm": "fee_ppm",
        "BankruptcyAdjustmentPpm": "adjustment_ppm",
        "SpreadToMaintenanceMarginRatioPpm": "spread_ppm",
        "MinPositionNotionalLiquidated": "position_notional_min",
        "MaxPositionPortionLiquidatedPpm": "position_share_ppm",
        "MaxNotionalLiquidated": "account_notional_max",
        "MaxQuantumsInsuranceLost": "account_insurance_max",
    }
    return venue.Limits(**{mine: integer(flat[theirs]) for theirs, mine in names.items() if theirs in flat})


@reads
def _of(pair: dict[str, Any], name: str) -> int:
    return integer(pair.get(name))


@reads
def _exponent(data: dict[str, Any], key: int) -> int:
    pairs = data["fixtures"]["clob_pairs"].values()
    found = [integer(pair["QuantumConversionExponent"]) for pair in pairs if integer(pair.get("Id")) == key][0]
    if abs(found) > rules.POWER_MAX:
        raise ValueError(f"a conversion exponent of {found}")
    return found


@reads
def _fixture(data: dict[str, Any], key: int, level: int, price: int | None = None, interest: int = 0) -> rules.Perpetual:
    """A perpetual that a test's body lists: BTC or ETH at the fixtures' price, of one of the fixtures' tiers."""
    if key not in FIXTURE_EXPONENT:
        raise Unsupported(f"perpetual {key} is not among those that the test's body lists")
    resolution, market = FIXTURE_EXPONENT[key]
    raw = [row for row in data["fixtures"]["oracle_prices"] if integer(row["Id"]) == market][0]
    of = [row for row in data["fixtures"]["liquidity_tiers"] if integer(row["Id"]) == level][0]
    at = integer(raw["Price"]) if price is None else price
    return rules.Perpetual(resolution, at, integer(raw["Exponent"]), read.tier(of), open_interest=interest)


def fixture_markets(data: dict[str, Any], level: int, price: int | None = None) -> dict[int, rules.Perpetual]:
    """BTC and ETH of a tier, BTC at another price where one is given."""
    return {BTC: _fixture(data, BTC, level, price, HARNESS_INTEREST), ETH: _fixture(data, ETH, level, None, HARNESS_INTEREST)}


TESTS: dict[str, margin_dydx.JudgeTest] = {
    "TestIsLiquidatable": _is_liquidatable,
    "TestGetBankruptcyPriceInQuoteQuantums": _bankruptcy_price,
    "TestGetFillablePrice": _fillable_price,
    "TestGetLiquidationInsuranceFundDelta": _fund_change,
    "TestConvertFillablePriceToSubticks": _subticks,
    "TestGetMaxAndMinPositionNotionalLiquidatable": _notional_bounds,
    "TestGetMaxLiquidatableNotionalAndInsuranceLost": _block_room,
}
