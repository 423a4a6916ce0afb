"""Judges of dYdX v4's deleveraging tests: who may be deleveraged, at what price, and both accounts afterwards.

The source starts its walk over counterparties at a pseudo-random one, so a row is met if one start gives everything
that it asserts. The error of a refused update names a class of its own code; here it is a refusal.
"""

from collections.abc import Mapping
from typing import Any

from seawall.core.errors import InputError
from seawall.liquidation.conform.dydx_liquidations import BTC, HARNESS_INTEREST, TIER_20_10, TIER_FULL, fixture_markets
from seawall.liquidation.venues import dydx as venue
from seawall.margin.conform import dydx as margin_dydx
from seawall.margin.conform import dydx_input as read
from seawall.margin.conform.dydx_input import integer
from seawall.margin.conform.fields import Fields
from seawall.margin.conform.reading import BadVector, reads
from seawall.margin.conform.report import Check, Unsupported
from seawall.margin.venues import dydx_rules as rules

ROUNDING_PRICE = 4_999_999_937  # oracle price of BTC that the test of rounding sets, exponent -5


def _fund_covers(data: dict[str, Any], fields: Fields, expected: Fields, check: Check) -> None:
    balance, change = integer(fields.take("insuranceFundBalance")), integer(fields.take("insuranceFundDelta"))
    fields.done()
    wanted = bool(expected.take("expectedIsValidInsuranceFundDelta"))
    check.exact("valid", wanted, venue.fund_covers(balance, change))


def _can_deleverage(data: dict[str, Any], fields: Fields, expected: Fields, check: Check) -> None:
    fields.take("liquidationConfig")  # neither it nor the fund's balance enters the rule
    fields.take("insuranceFundBalance")
    account = _account(fields.take("subaccount"))[1]
    price = _override(fields.take("marketIdToOraclePriceOverride"))
    settled = any(_settles(pair) for pair in fields.take("clobPairs") or [])
    fields.done()
    found = venue.deleverage_at(account, fixture_markets(data, TIER_20_10, price), settled)
    names = "expectedShouldDeleverageAtBankruptcyPrice", "expectedShouldDeleverageAtOraclePrice"
    for name, each in zip(names, found, strict=True):
        check.exact(name, bool(expected.take(name)), each)


def _process(data: dict[str, Any], fields: Fields, expected: Fields, check: Check) -> None:
    markets = fixture_markets(data, TIER_20_10)
    (failed_id, failed), (other_id, other), change = _pair(fields)
    quote = venue.bankruptcy_quote(failed, markets, BTC, change)
    after = venue.deleverage(failed, other, markets, BTC, change, quote)
    _compare_pair(after, (failed_id, other_id), expected, check)


def _process_at_oracle_price(data: dict[str, Any], fields: Fields, expected: Fields, check: Check) -> None:
    markets = fixture_markets(data, TIER_20_10)
    (failed_id, failed), (other_id, other), change = _pair(fields)
    market = markets[BTC]
    quote = -rules.base_to_quote(change, market.resolution, market.price, market.exponent)
    after = venue.deleverage(failed, other, markets, BTC, change, quote)
    _compare_pair(after, (failed_id, other_id), expected, check)


def _process_rounding(data: dict[str, Any], fields: Fields, expected: Fields, check: Check) -> None:
    markets = fixture_markets(data, TIER_20_10, ROUNDING_PRICE)
    (_, failed), (_, other), change = _pair(fields)
    quote = venue.bankruptcy_quote(failed, markets, BTC, change)
    if "reference_delta_quote_quantums" in expected:
        check.exact("bankruptcy quote", integer(expected.take("reference_delta_quote_quantums")), quote)
    success = bool(expected.take("success", True))
    try:
        venue.deleverage(failed, other, markets, BTC, change, quote)
    except InputError:
        check.exact("success", success, False)
        return
    check.exact("success", success, True)


def _offset(data: dict[str, Any], fields: Fields, expected: Fields, check: Check) -> None:
    markets = fixture_markets(data, TIER_FULL)
    accounts = dict(_account(raw) for raw in fields.take("subaccounts") or [])
    name, key = str(fields.take("liquidatedSubaccountId")), integer(fields.take("perpetualId"))
    change, settled = integer(fields.take("deltaQuantums")), bool(fields.take("isFinalSettlement"))
    fields.done()
    if name not in accounts or key not in markets:
        raise BadVector("vector", f"account {name!r}, perpetual {key}", "an account of the row and a market of its test")
    wanted: dict[str, Any] = {
        "fills": _fills(expected.take("expectedFills")),
        "remaining": integer(expected.take("expectedQuantumsRemaining")),
    }
    if "expectedOpenInterest" in expected:
        wanted["open interest"] = integer(expected.take("expectedOpenInterest"))
    listed = dict(_account(raw) for raw in expected.take("expectedSubaccounts") or [])
    wanted |= {f"account {each}": account for each, account in listed.items()}
    names = venue.counterparties(accounts, name, key, change)
    results = []
    for start in range(max(len(names), 1)):
        order = names[start:] + names[:start]
        after, fills, left = venue.offset(accounts, markets, name, key, change, settled, order)
        interest = HARNESS_INTEREST - sum(fill.quantums for fill in fills)
        found = {"fills": fills, "remaining": left, "open interest": interest}
        results.append(found | {f"account {each}": account for each, account in after.items()})
    best = max(results, key=lambda found: sum(found.get(field) == value for field, value in wanted.items()))
    for field, value in wanted.items():
        check.exact(field, value, best.get(field))


@reads
def _account(raw: dict[str, Any]) -> tuple[str, rules.Account]:
    """Name and account of a subaccount; nothing accrues in these tests."""
    collateral = read.collateral(raw.get("AssetPositions"), "Quantums")
    return str(raw["Id"]), rules.Account(collateral, read.positions(raw.get("PerpetualPositions")))


def _pair(fields: Fields) -> tuple[tuple[str, rules.Account], tuple[str, rules.Account], int]:
    """The failed account, its counterparty, and the change of the failed one's position in BTC."""
    failed = _account(fields.take("liquidatedSubaccount"))
    other = _account(fields.take("offsettingSubaccount"))
    change = integer(fields.take("deltaQuantums"))
    fields.done()
    return failed, other, change


def _compare_pair(
    after: tuple[rules.Account, rules.Account], names: tuple[str, str], expected: Fields, check: Check
) -> None:
    for side, name, found in zip(("Liquidated", "Offsetting"), names, after, strict=True):
        wanted = expected.take(f"expected{side}Subaccount")
        if wanted is not None:
            check.exact(f"{side.lower()} account", _account(wanted), (name, found))


@reads
def _fills(raw: list[dict[str, Any]] | None) -> tuple[venue.Fill, ...]:
    return tuple(venue.Fill(str(fill["OffsettingSubaccountId"]), integer(fill["FillAmount"])) for fill in raw or [])


@reads
def _override(raw: Mapping[str, Any] | None) -> int | None:
    """The oracle price that a row sets for BTC, if any; Unsupported for another market's."""
    given = {integer(key): integer(price) for key, price in (raw or {}).items()}
    price = given.pop(BTC, None)
    if given:
        raise Unsupported(f"an oracle price of market {min(given)}")
    return price


@reads
def _settles(pair: dict[str, Any]) -> bool:
    """Whether a market pair, BTC's, is in final settlement."""
    return integer(pair.get("Id")) == BTC and str(pair.get("Status", "")).endswith("FINAL_SETTLEMENT")


TESTS: dict[str, margin_dydx.JudgeTest] = {
    "TestIsValidInsuranceFundDelta": _fund_covers,
    "TestCanDeleverageSubaccount": _can_deleverage,
    "TestProcessDeleveraging": _process,
    "TestProcessDeleveragingAtOraclePrice": _process_at_oracle_price,
    "TestProcessDeleveraging_Rounding": _process_rounding,
    "TestOffsetSubaccountPerpetualPosition": _offset,
}
