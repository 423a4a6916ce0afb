"""Vectors of prices over time: Maker's abaci, Ajna's auctions, Reflexer's growing discount, Euler's soft discount."""

from fractions import Fraction
from functools import partial
from typing import Any

from seawall.core.times import SECOND_NS
from seawall.liquidation import soft
from seawall.liquidation.conform.reading import exact, fields, name_of, rows, whole
from seawall.liquidation.curves import RAY, Stair, check_curve, exponential, growing_discount, linear, price, share_ray
from seawall.liquidation.venues import ajna
from seawall.margin.conform.reading import BadVector, reads
from seawall.margin.conform.report import Case, Check, Unsupported

__all__ = ["ajna_cases", "euler_cases", "maker_curve_cases", "reflexer_cases"]

HORIZON_MAX_S = 10**6
RELATIVE = Fraction(1, 10**12)
WAD = 10**18
WAD_PER_RAY = RAY // WAD
BOND_FORMULA = "max(0.005,min(0.03,(NP/TP-1)/10))"
CHECKS_OF_BOND = ((15, 11), (10, 9), (100, 99), (2, 1), (5, 11))


def _all(data: Any, key: str, *needed: str) -> bool:
    """Whether data[key] is a list of objects that all have these fields."""
    found = data.get(key) if isinstance(data, dict) else None
    return isinstance(found, list) and bool(found) and all(
        isinstance(row, dict) and all(name in row for name in needed) for row in found
    )


def maker_curve_cases(data: Any) -> list[Case] | None:
    """Cases with a kind of curve and its top in ray."""
    if not _all(data, "cases", "kind", "top_ray"):
        return None
    return [
        Case(f"{row['kind']}[{position}]", partial(_maker_curve, row)) for position, row in enumerate(data["cases"])
    ]


def _maker_curve(row: dict[str, Any], check: Check) -> None:
    given = fields(row)
    kind = str(given.take("kind"))
    top, allowed = whole(given.need("top_ray")), whole(given.take("tol", 0))
    if kind == "linear":
        curve: Any = linear(whole(given.need("tau_s")) * SECOND_NS)
    elif kind == "exponential":
        curve = exponential(whole(given.need("cut_ray")))
    elif kind in ("stairstep", "stairstep_property"):
        curve = Stair(whole(given.need("cut_ray")), whole(given.need("step_s")) * SECOND_NS)
    else:
        raise Unsupported(f"no curve here is called {kind!r}")
    check_curve(curve)
    if kind.endswith("_property"):
        horizon_s = whole(given.need("horizon_s"))
        given.take("property")
        given.done()
        _stair_property(curve, top, horizon_s, allowed, check)
        return
    elapsed_ns = whole(given.need("dur_s")) * SECOND_NS
    expected = whole(given.need("expect_price_ray"))
    given.done()
    check.within("price_ray", expected, price(curve, top, elapsed_ns), allowed)


def _stair_property(curve: Stair, top: int, horizon_s: int, allowed: int, check: Check) -> None:
    """Each price is the one a second earlier, times the factor where a step ends, within the tolerance."""
    if not 0 < horizon_s <= HORIZON_MAX_S:
        raise BadVector("vector", f"a horizon of {horizon_s} s", f"1 to {HORIZON_MAX_S} s")
    before = price(curve, top, 0)
    check.within("price(0)", top, before)
    for second in range(1, horizon_s + 1):
        now = price(curve, top, second * SECOND_NS)
        due = before * curve.factor_ray // RAY if second * SECOND_NS % curve.step_ns == 0 else before
        check.within(f"price({second})", due, now, allowed)
        before = now


def ajna_cases(data: Any) -> list[Case] | None:
    """Prices, penalty factors of bonds, reserve auctions and constants."""
    kinds = (
        ("price", _ajna_price, ("ref_price",)),
        ("bond_penalty_factor", _ajna_bond, ("neutral_price",)),
        ("reserve_auction", _ajna_reserve, ("reserves",)),
    )
    if not any(_all(data, kind, *needed) for kind, _, needed in kinds):
        return None
    out = [
        Case(name_of(row, kind, position), partial(judge, row))
        for kind, judge, _ in kinds
        for position, row in enumerate(rows(data.get(kind), kind))
    ]
    if "constants" in data:
        out.append(Case("constants", partial(_ajna_constants, data["constants"])))
    return out


def _relative(check: Check, field: str, expected: Any, found: Fraction, tolerance: Any) -> None:
    """Within a share of the expected figure; where none is stated, the last decimal published (a wad's, if fewer)."""
    want = exact(expected)
    allowed = exact(tolerance) * abs(want) if tolerance is not None else Fraction(1, WAD)
    check.within(field, want, found, allowed)


@reads
def _ajna_price(row: dict[str, Any], check: Check) -> None:
    given = fields(row)
    found = ajna.auction_price(exact(given.need("ref_price")), int(exact(given.need("t_s")) * SECOND_NS))
    expected, tolerance = given.need("expect"), given.take("rel_tol")
    given.done()
    _relative(check, "price", expected, found, tolerance)


@reads
def _ajna_bond(row: dict[str, Any], check: Check) -> None:
    given = fields(row)
    names = ("debt_to_collateral", "neutral_price", "price")
    debt, neutral, taken_at = (exact(given.need(name)) for name in names)
    factor = exact(given.need("bond_factor")) * WAD
    expected, tolerance = given.need("expect"), given.take("rel_tol")
    given.done()
    found = Fraction(ajna.bond_penalty_wad(debt, neutral, taken_at, int(factor)), WAD)
    if tolerance is None:
        check.within("bond penalty factor", exact(expected), found)
    else:
        _relative(check, "bond penalty factor", expected, found, tolerance)


@reads
def _ajna_reserve(row: dict[str, Any], check: Check) -> None:
    given = fields(row)
    found = ajna.reserve_price(exact(given.need("reserves")), int(exact(given.need("hours")) * 3600 * SECOND_NS))
    expected, tolerance = given.need("expect"), given.take("rel_tol")
    given.done()
    _relative(check, "reserve price", expected, found, tolerance)


@reads
def _ajna_constants(raw: Any, check: Check) -> None:
    given = fields(raw)
    for name, ours in (("min_bond_factor", ajna.BOND_FACTOR_MIN), ("max_bond_factor", ajna.BOND_FACTOR_MAX)):
        if name in given:
            check.within(name, exact(given.take(name)), ours)
    if "formula_bond" in given:
        said = str(given.take("formula_bond")).replace(" ", "")
        if said != BOND_FORMULA:
            raise Unsupported(f"another formula of the bond: {said}")
        for neutral, threshold in CHECKS_OF_BOND:
            due = max(Fraction(1, 200), min(Fraction(3, 100), (Fraction(neutral, threshold) - 1) / 10))
            check.within(f"bond at {neutral}/{threshold}", due, ajna.bond_factor(Fraction(neutral), Fraction(threshold)))
    given.done()


def reflexer_cases(data: Any) -> list[Case] | None:
    """Cases with a rate per second at which a discount grows."""
    if not _all(data, "cases", "per_second_rate_ray"):
        return None
    return [Case(name_of(row, "cases", i), partial(_reflexer, row)) for i, row in enumerate(data["cases"])]


@reads
def _reflexer(row: dict[str, Any], check: Check) -> None:
    """The published tests allow one wei."""
    given = fields(row)
    start, end = (int(exact(given.need(name)) * RAY) for name in ("min_discount", "max_discount"))
    rate, deadline_ns = whole(given.need("per_second_rate_ray")), whole(given.need("timeline_s")) * SECOND_NS
    elapsed_ns = whole(given.need("t_s")) * SECOND_NS
    market, bid = exact(given.need("price")), exact(given.need("bid"))
    lot, allowed = exact(given.take("lot", 1)), whole(given.take("tol_wad", 1))
    curve = growing_discount(start, end, rate, deadline_ns)
    check_curve(curve)
    discount_wad = share_ray(curve, elapsed_ns) // WAD_PER_RAY
    check.within("discount_wad", whole(given.need("expect_discount_wad")), discount_wad, allowed)
    if "expect_remaining_collateral_wad" in given:
        paid_wad = int(market * discount_wad)  # per unit of collateral, rounded down
        sold_wad = min(int(bid * WAD * WAD / paid_wad), int(lot * WAD))
        left = int(lot * WAD) - sold_wad
        check.within("remaining_collateral_wad", whole(given.take("expect_remaining_collateral_wad")), left, allowed)
    given.done()


def euler_cases(data: Any) -> list[Case] | None:
    """Cases with a liquidation LTV and a largest discount, the refusals, the least debt worth socialising."""
    if not _all(data, "cases", "liq_ltv", "max_discount"):
        return None
    out = [Case(name_of(row, "cases", i), partial(_euler, row)) for i, row in enumerate(data["cases"])]
    reject = data.get("reject", [])
    if not isinstance(reject, list):
        raise BadVector("vector", "reject that is no list", "a list of situations")
    out += [Case(f"reject: {word}", partial(_euler_refusal, word)) for word in reject]
    least = "min_socialisation_liability_value"
    if least in data:
        out.append(Case(least, partial(_euler_least, data[least])))
    return out


@reads
def _euler(row: dict[str, Any], check: Check) -> None:
    given = fields(row)
    names = ("collateral", "collateral_price", "debt", "debt_price", "liq_ltv", "max_discount")
    found = soft.offer(*(exact(given.need(name)) for name in names))
    expected, allowed = given.take("expect_health"), given.take("health_tol")
    now = found.health if found.health is not None else Fraction(0)
    if expected is not None:
        check.within("health", exact(expected), now, exact(allowed) if allowed is not None else RELATIVE)
    model = fields(given.take("model") or {})
    given.done()
    figures = {
        "health": now,
        "discount_factor": found.discount_factor,
        "max_repay": found.repay_max,
        "max_yield": found.yield_max,
    }
    for name, ours in figures.items():
        if name in model:
            want = exact(model.take(name))
            check.within(f"model {name}", want, ours, RELATIVE * abs(want))
    model.done()


_REFUSED: dict[str, dict[str, Any]] = {
    "self-liquidation": {"owner": "liquidator"},
    "collateral not recognised": {"collateral_known": False},
    "collateral not enabled": {"collateral_enabled": False},
    "violator check deferred": {"check_deferred": True},
    "liquidation cool-off": {"since_check_ns": SECOND_NS - 1},
    "repay>max": {"repay": Fraction(6)},
    "yield<min": {"yield_least": Fraction(36)},
}


def _euler_refusal(word: Any, check: Check) -> None:
    """The same request passes, and is turned down once it has the fault and nothing else."""
    if not isinstance(word, str) or word not in _REFUSED:
        raise Unsupported(f"a situation that no rule here reads: {word}")
    rules = soft.SoftRules(300_000, 10_000, cool_off_ns=SECOND_NS)
    offered = soft.offer(Fraction(100), Fraction(4, 10), Fraction(5), Fraction(28, 10), Fraction(3, 10), Fraction(1, 100))
    good = soft.SoftAsk("liquidator", "owner", Fraction(5), Fraction(35), since_check_ns=SECOND_NS)
    check.exact("refused without the fault", None, soft.refusal(rules, good, offered))
    check.exact("refused with it", True, soft.refusal(rules, good._replace(**_REFUSED[word]), offered) is not None)


@reads
def _euler_least(said: Any, check: Check) -> None:
    check.within("units of account", exact(str(said).split()[0]), soft.SOCIALISE_LEAST_UNITS)


