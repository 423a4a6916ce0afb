"""Vectors of dYdX v4 that concern margin: conversions, requirements, account risk, update checks.

Each row names the Go test it comes from; a test that no rule here answers (liquidation order,
funding rates) is unsupported, unless a layer above judges it. Rules run on exact integers; where a row is about an
account, the margin kernel computes it too and must agree.
"""

from collections.abc import Callable, Mapping
from typing import Any

from seawall.core.errors import InputError
from seawall.margin.conform import dydx_input as read
from seawall.margin.conform.dydx_input import integer
from seawall.margin.conform.fields import Fields
from seawall.margin.conform.reading import reads
from seawall.margin.conform.report import Check, Unsupported
from seawall.margin.venues import dydx_rules as rules

JudgeTest = Callable[[dict[str, Any], Fields, Fields, Check], None]
Update = tuple[str, int, list[tuple[int, int]]]
ERROR_KEYS = ("expectedErr", "expectedError", "expectErr", "expectedPanic", "expectPanic")


def judge(
    data: dict[str, Any], row: dict[str, Any], check: Check, further: Mapping[str, JudgeTest] | None = None
) -> None:
    """Compares one row; raises Unsupported for one that its source does not assert or no rule answers.

    further: judges of more tests of the source, by name, from layers above.
    """
    tests = TESTS | dict(further or {})
    test = str(row.get("name", "")).split("/")[0]
    verdict = str(row.get("check", "reproduced_exactly"))
    if not verdict.startswith("reproduced"):
        raise Unsupported(f"not asserted: {verdict}")
    if test not in tests:
        raise Unsupported(f"no rule here answers {test}")
    fields, expected = Fields(row.get("inputs") or {}), Fields(row.get("expected") or {})
    wants_error = any(expected.take(key) for key in ERROR_KEYS)

    def work() -> bool:
        tests[test](data, fields, expected, check)
        return True

    if check.refuses(wants_error, work):
        expected.done()


def _conversion(data: dict[str, Any], fields: Fields, expected: Fields, check: Check) -> None:
    resolution = integer(fields.take("baseCurrencyAtomicResolution"))
    price, exponent = integer(fields.take("priceValue")), integer(fields.take("priceExponent"))
    base, quote = fields.take("bigBaseQuantums"), fields.take("bigQuoteQuantums")
    fields.done()
    if "bigExpectedQuoteQuantums" in expected:
        found = rules.base_to_quote(integer(base), resolution, price, exponent)
        check.exact("quote quantums", integer(expected.take("bigExpectedQuoteQuantums")), found)
    if "bigExpectedBaseQuantums" in expected:
        found = rules.quote_to_base(integer(quote), resolution, price, exponent)
        check.exact("base quantums", integer(expected.take("bigExpectedBaseQuantums")), found)


def _requirements_of_perpetual(data: dict[str, Any], fields: Fields, expected: Fields, check: Check) -> None:
    level = read.tier(fields.need("liquidityTier"))
    market = read.perpetual(fields.need("perpetual"), fields.need("marketPrice"), level)
    quantums = integer(fields.take("quantums"))
    _requirements(market, quantums, fields, expected, ("expectedImr", "expectedMmr"), check)


def _requirements_of_price(data: dict[str, Any], fields: Fields, expected: Fields, check: Check) -> None:
    level = rules.Tier(
        integer(fields.take("initialMarginPpm")),
        integer(fields.take("maintenanceFractionPpm")),
        integer(fields.take("openInterestLowerCap")),
        integer(fields.take("openInterestUpperCap")),
    )
    market = rules.Perpetual(
        resolution=integer(fields.take("baseCurrencyAtomicResolution")),
        price=integer(fields.take("price")),
        exponent=integer(fields.take("exponent")),
        tier=level,
        open_interest=integer(fields.take("openInterest")),
    )
    quantums = integer(fields.take("bigBaseQuantums"))
    names = ("bigExpectedInitialMargin", "bigExpectedMaintenanceMargin")
    _requirements(market, quantums, fields, expected, names, check)


def _requirements(
    market: rules.Perpetual,
    quantums: int,
    fields: Fields,
    expected: Fields,
    names: tuple[str, str],
    check: Check,
) -> None:
    """Margin of one position, by rule and, where it fits the ledger, by the kernel."""
    fields.done()
    account = rules.Account(0, {0: rules.Position(quantums)} if quantums else {})
    wanted = [integer(expected.take(name)) for name in names]
    results = [("rules", rules.risk(account, {0: market}))]
    if read.fits(account, {0: market}):
        results.append(("kernel", read.kernel_risk(account, {0: market})))
    for source, found in results:
        check.exact(f"initial margin, {source}", wanted[0], found.initial)
        check.exact(f"maintenance margin, {source}", wanted[1], found.maintenance)


def _initial_margin(data: dict[str, Any], fields: Fields, expected: Fields, check: Check) -> None:
    scaled = _scaled(fields)
    quote = integer(fields.take("bigQuoteQuantums"))
    fields.done()
    want = integer(expected.take("expectedInitialMarginQuoteQuantums"))
    check.exact("initial margin", want, rules.initial_margin(quote, scaled))


def _scaled(fields: Fields) -> int:
    return rules.interest_scaled_ppm(
        integer(fields.take("initialMarginPpm")),
        integer(fields.take("openInterestNotional")),
        integer(fields.take("openInterestLowerCap")),
        integer(fields.take("openInterestUpperCap")),
    )


def _scaled_rate(data: dict[str, Any], fields: Fields, expected: Fields, check: Check) -> None:
    found = _scaled(fields)
    fields.done()
    check.exact("initial rate", integer(expected.take("expectedPpm")), found)


def _maintenance_rate(data: dict[str, Any], fields: Fields, expected: Fields, check: Check) -> None:
    initial, fraction = (
        integer(fields.take("initialMarginPpm")),
        integer(fields.take("maintenanceFractionPpm")),
    )
    fields.done()
    if max(initial, fraction) > rules.PPM:
        raise InputError("dydx tier", f"{initial} ppm, fraction {fraction} ppm", "at most 1,000,000 ppm")
    want = integer(expected.take("expectedMaintenanceMarginPpm"))
    check.exact("maintenance rate", want, rules.maintenance_ppm(initial, fraction))


def _account_risk(data: dict[str, Any], fields: Fields, expected: Fields, check: Check) -> None:
    fields.take("assets")
    markets = read.perpetuals(data, fields)
    account = read_account(fields)
    asset_change = read.collateral(fields.take("assetUpdates"), "BigQuantumsDelta")
    position_changes = read.changes(fields.take("perpetualUpdates"))
    fields.done()
    settled = rules.settle_funding(account, markets)
    after = rules.updated(settled, asset_change, position_changes)
    wanted = {
        name: integer(expected.take(key))
        for name, key in (
            ("net collateral", "expectedNetCollateral"),
            ("initial margin", "expectedInitialMargin"),
            ("maintenance margin", "expectedMaintenanceMargin"),
        )
        if key in expected
    }
    _compare_account(after, markets, wanted, check)


def _compare_account(
    account: rules.Account, markets: dict[int, rules.Perpetual], wanted: dict[str, int], check: Check
) -> None:
    names = ("net collateral", "initial margin", "maintenance margin")
    if not wanted:
        return
    exact = rules.risk(account, markets)
    for source, found in (("rules", exact), ("kernel", read.kernel_risk(account, markets))):
        for name, value in zip(names, found, strict=True):
            if name in wanted:
                check.exact(f"{name}, {source}", wanted[name], value)


def read_account(fields: Fields) -> rules.Account:
    """The account of a row before its updates; `useEmptySubaccount` starts from nothing instead."""
    held = rules.Account(
        read.collateral(fields.take("assetPositions"), "Quantums"),
        read.positions(fields.take("perpetualPositions")),
    )
    return rules.Account(0, {}) if fields.take("useEmptySubaccount") else held


@reads
def _read_infos(raw: dict[str, Any]) -> dict[int, rules.Perpetual]:
    markets = {}
    for key, info in raw.items():
        parts = {name.lower().replace("_", ""): value for name, value in info.items()}
        markets[int(key)] = read.perpetual(parts["perpetual"], parts["price"], read.tier(parts["liquiditytier"]))
    return markets


@reads
def _read_risk(raw: dict[str, Any]) -> dict[str, int]:
    names = (("NC", "net collateral"), ("IMR", "initial margin"), ("MMR", "maintenance margin"))
    return {name: integer(raw[key]) for key, name in names if key in raw}


def _subaccount_risk(data: dict[str, Any], fields: Fields, expected: Fields, check: Check) -> None:
    subaccount = Fields(fields.take("subaccount") or {})
    subaccount.take("Id")
    account = rules.Account(
        read.collateral(subaccount.take("AssetPositions"), "Quantums"),
        read.positions(subaccount.take("PerpetualPositions")),
    )
    subaccount.done()
    markets = _read_infos(fields.take("perpInfos") or {})
    fields.done()
    _compare_account(account, markets, _read_risk(expected.take("expectedRisk") or {}), check)


def _transition(data: dict[str, Any], fields: Fields, expected: Fields, check: Check) -> None:
    old = rules.Risk(*(integer(fields.take(key)) for key in ("oldNC", "oldIMR", "oldMMR")))
    new = rules.Risk(integer(fields.take("newNC")), integer(fields.take("newIMR")), integer(fields.take("newMMR")))
    fields.done()
    check.exact("result", _word(expected.take("expectedResult")), rules.transition_when_short(old, new))


@reads
def _word(result: str) -> str:
    return result.split(".")[-1]


@reads
def _words(results: list[str]) -> list[str]:
    return [_word(result) for result in results]


def _predicate(
    method: Callable[[rules.Risk], bool],
) -> Callable[[dict[str, Any], Fields, Fields, Check], None]:
    def judge_one(data: dict[str, Any], fields: Fields, expected: Fields, check: Check) -> None:
        risk = rules.Risk(*(integer(fields.take(key)) for key in ("NC", "IMR", "MMR")))
        fields.done()
        check.exact("result", bool(expected.take("expected")), method(risk))

    return judge_one


def _compare_risks(data: dict[str, Any], fields: Fields, expected: Fields, check: Check) -> None:
    first, second = (
        rules.Risk(*(integer(fields.take(f"{side}{key}")) for key in ("NC", "IMR", "MMR")))
        for side in ("first", "second")
    )
    fields.done()
    check.exact("order", integer(expected.take("expected")), first.compare(second))
    check.exact("order, turned round", 0 - first.compare(second), second.compare(first))


@reads
def _read_accounts(fields: Fields, markets: dict[int, rules.Perpetual]) -> dict[str, rules.Account]:
    """Settled accounts by name; the row's own is the one without a name."""
    accounts = {"": rules.settle_funding(read_account(fields), markets)}
    for raw in fields.take("additionalTestSubaccounts") or []:
        collateral = read.collateral(raw.get("AssetPositions"), "Quantums")
        held = rules.Account(collateral, read.positions(raw.get("PerpetualPositions")))
        accounts[str(raw["Id"])] = rules.settle_funding(held, markets)
    return accounts


@reads
def _read_updates(fields: Fields, accounts: dict[str, rules.Account]) -> list[Update]:
    """(account, change of collateral, changes of positions); accounts not described are new ones."""
    updates = []
    for raw in fields.take("updates") or []:
        name = str(raw.get("SubaccountId") or "")
        accounts.setdefault(name, rules.Account(0, {}))
        asset_change = read.collateral(raw.get("AssetUpdates"), "BigQuantumsDelta")
        updates.append((name, asset_change, read.changes(raw.get("PerpetualUpdates"))))
    return updates


def _can_update(data: dict[str, Any], fields: Fields, expected: Fields, check: Check) -> None:
    fields.take("assets")
    markets = read.perpetuals(data, fields)
    accounts = _read_accounts(fields, markets)
    updates = _read_updates(fields, accounts)
    kind = _word(str(fields.take("updateType") or "CollatCheck"))
    fields.done()
    found = _update_results(accounts, markets, updates, kind)
    if "expectedSuccessPerUpdate" in expected:
        check.exact("results", _words(expected.take("expectedSuccessPerUpdate")), found)
    if "expectedSuccess" in expected:
        success = all(result == rules.SUCCESS for result in found)
        check.exact("success", bool(expected.take("expectedSuccess")), success)


def _update_results(
    accounts: dict[str, rules.Account],
    markets: dict[int, rules.Perpetual],
    updates: list[Update],
    kind: str,
) -> list[str]:
    """Each update's verdict, all judged from the same state; isolation is checked first."""
    apart = [
        rules.violates_isolation(accounts[name].positions, [key for key, _ in moved], markets)
        for name, _, moved in updates
    ]
    if any(apart):
        return [rules.ISOLATED if violates else rules.SUCCESS for violates in apart]
    interest = _interest(accounts, updates, kind)
    if interest:
        key, change = interest
        markets = markets | {key: markets[key]._replace(open_interest=markets[key].open_interest + change)}
    results = []
    for name, asset_change, moved in updates:
        before = accounts[name]
        after = rules.updated(before, asset_change, moved)
        results.append(rules.transition(both_ways(before, markets), both_ways(after, markets)))
    return results


def both_ways(account: rules.Account, markets: dict[int, rules.Perpetual]) -> rules.Risk:
    """Risk from the kernel, which must agree with the rules. Raises Unsupported beyond int64."""
    found, exact = read.kernel_risk(account, markets), rules.risk(account, markets)
    if found != exact:
        raise InputError("dydx kernel", str(found), str(exact))
    return found


def _interest(accounts: dict[str, rules.Account], updates: list[Update], kind: str) -> tuple[int, int] | None:
    if kind != "Match":
        return None
    sides = []
    for name, _, moved in updates:
        for key, change in moved:
            held = accounts[name].positions.get(key, rules.Position(0)).quantums
            sides.append(rules.Fill(key, held, change))
    return rules.interest_change(sides)


@reads
def _read_sides(fields: Fields) -> list[rules.Fill]:
    sides = []
    for raw in fields.take("settledUpdates") or []:
        held = read.positions((raw.get("SettledSubaccount") or {}).get("PerpetualPositions"))
        for key, change in read.changes(raw.get("PerpetualUpdates")):
            sides.append(rules.Fill(key, held.get(key, rules.Position(0)).quantums, change))
    return sides


@reads
def _pair(raw: dict[str, Any] | None) -> tuple[int, int] | None:
    return None if raw is None else (integer(raw["PerpetualId"]), integer(raw["BaseQuantums"]))


def _interest_change(data: dict[str, Any], fields: Fields, expected: Fields, check: Check) -> None:
    kind = _word(str(fields.take("updateType")))
    sides = _read_sides(fields)
    fields.done()
    if "expectedVal" not in expected:
        return
    found = rules.interest_change(sides) if kind == "Match" else None
    check.exact("change of open interest", _pair(expected.take("expectedVal")), found)


TESTS: dict[str, JudgeTest] = {
    "TestBaseToQuoteQuantums": _conversion,
    "TestQuoteToBaseQuantums": _conversion,
    "TestGetMarginRequirementsInQuoteQuantums": _requirements_of_perpetual,
    "TestGetMarginRequirementsInQuoteQuantums_2": _requirements_of_price,
    "TestGetInitialMarginQuoteQuantums": _initial_margin,
    "TestGetAdjustedInitialMarginPpm": _scaled_rate,
    "TestLiquidityTierGetMaintenanceMarginPpm": _maintenance_rate,
    "TestGetNetCollateralAndMarginRequirements": _account_risk,
    "TestGetRiskForSubaccount": _subaccount_risk,
    "TestIsValidStateTransitionForUndercollateralizedSubaccount_ZeroMarginRequirements": _transition,
    "TestIsValidStateTransitionForUndercollateralizedSubaccount": _transition,
    "TestRisk_IsLiquidatable": _predicate(rules.Risk.is_liquidatable),
    "TestRisk_IsInitialCollateralized": _predicate(rules.Risk.covers_initial),
    "TestRisk_IsMaintenanceCollateralized": _predicate(rules.Risk.covers_maintenance),
    "TestRisk_Cmp": _compare_risks,
    "TestCanUpdateSubaccounts": _can_update,
    "TestGetDeltaOpenInterestFromUpdates": _interest_change,
}
