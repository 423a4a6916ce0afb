"""Vectors of virtual markets: GMX's price impact; Synthetix's fill price, margin, funding and liquidation window."""

import re
from fractions import Fraction
from functools import partial
from typing import Any

from seawall.liquidation.conform.reading import exact, fields, name_of, rows, whole
from seawall.liquidation.routes.skewed import FLOAT, fill_price, impact_of_difference, price_impact
from seawall.liquidation.venues import synthetix
from seawall.margin.conform.fields import Fields
from seawall.margin.conform.reading import BadVector, reads
from seawall.margin.conform.report import Case, Check, Unsupported

__all__ = ["gmx_cases", "synthetix_cases"]

_RELATIVE = re.compile(r"rel_err<(1e-\d{1,3})")
_PLACES_MAX = 60
_EXPONENT_MAX = 16
_DIFFERENCE_MAX = 10**20
_POSITION = ("long_oi_usd", "short_oi_usd", "delta_long", "delta_short", "positive_factor", "negative_factor", "exponent")


def _of_protocol(data: Any, protocol: str) -> list[dict[str, Any]] | None:
    if not isinstance(data, dict) or not str(data.get("protocol", "")).startswith(protocol):
        return None
    found = rows(data.get("vectors"), "vectors")
    # margin's readers have rows of their own protocols; ours always have inputs and expected figures
    return found if found and all("inputs" in row and "expected" in row for row in found) else None


def _cases(data: Any, protocol: str, judge: Any) -> list[Case] | None:
    found = _of_protocol(data, protocol)
    if found is None:
        return None
    return [Case(name_of(row, "vectors", position), partial(judge, row)) for position, row in enumerate(found)]


# ------------------------------------------------------------------------------------------------ GMX


def gmx_cases(data: Any) -> list[Case] | None:
    """Cases of GMX v2's price impact."""
    return _cases(data, "GMX", _gmx)


def _gmx(row: dict[str, Any], check: Check) -> None:
    given, expected = Fields(row["inputs"]), fields(row["expected"])
    stated = _RELATIVE.search(str(row.get("check", "")))
    relative = Fraction(stated.group(1)) if stated else Fraction(0)
    if all(name in given for name in ("diff_usd", "exponent_factor", "impact_factor")):
        difference, exponent = _float(given.need("diff_usd")), _float(given.need("exponent_factor"))
        factor = _float(given.need("impact_factor"))
        given.done()
        _in_range(difference, exponent)
        found = impact_of_difference(difference, factor, exponent)
        name = "value_1e30"
    elif all(name in given for name in _POSITION):
        found = _position_impact(given)
        name = "price_impact_usd_1e30"
    else:
        raise Unsupported("no rule of GMX here reads these inputs")
    if name not in expected:
        raise Unsupported(f"the source asserts no {name}")
    wanted = whole(expected.need(name))
    check.within(name, wanted, found, int(abs(wanted) * relative))
    rounded = expected.take("approx_usd")
    if rounded is not None:
        check.close("approx_usd", float(exact(rounded)), found / FLOAT, 1e-9)
    expected.done()


def _position_impact(given: Fields) -> int:
    long, short = _float(given.need("long_oi_usd")), _float(given.need("short_oi_usd"))
    long_after, short_after = long + _float(given.need("delta_long")), short + _float(given.need("delta_short"))
    factors = _float(given.need("positive_factor")), _float(given.need("negative_factor"))
    exponent = _float(given.need("exponent"))
    given.done()
    before, after = abs(long - short), abs(long_after - short_after)
    _in_range(before, exponent)
    _in_range(after, exponent)
    crosses = (long <= short) != (long_after <= short_after)
    return price_impact(before, after, crosses, *factors, exponent)


def _in_range(difference: int, exponent: int) -> None:
    if not 0 <= difference < _DIFFERENCE_MAX * FLOAT or not 0 <= exponent <= _EXPONENT_MAX * FLOAT:
        raise BadVector("vector", "a difference or an exponent out of range", f"below {_DIFFERENCE_MAX:g} and {_EXPONENT_MAX}")


@reads
def _float(value: Any) -> int:
    """A decimal over 10**30, as the contract holds it."""
    scaled = exact(value) * FLOAT
    if scaled.denominator != 1:
        raise ValueError(f"{value!r} has more than 30 decimals")
    return int(scaled)


# ------------------------------------------------------------------------------------------------ Synthetix


def synthetix_cases(data: Any) -> list[Case] | None:
    """Cases of Synthetix v3 perpetuals."""
    return _cases(data, "Synthetix", _synthetix)


def _synthetix(row: dict[str, Any], check: Check) -> None:
    given, expected = Fields(row["inputs"]), fields(row["expected"])
    for needed, judge in _SYNTHETIX:
        if all(name in given for name in needed):
            judge(given, expected, check)
            given.done()
            expected.done()
            return
    raise Unsupported("no rule of Synthetix here reads these inputs")


def _compare(check: Check, field: str, wanted: Any, found: Fraction) -> None:
    """Equal to the digits that the source prints, of which it may have cut the last or rounded it."""
    want = exact(wanted)
    text = str(wanted).lower()
    places = min(len(text.partition(".")[2].partition("e")[0]), _PLACES_MAX) if "e" not in text else _PLACES_MAX
    step = Fraction(1, 10**places) if places and found.denominator != 1 and (found * 10**places).denominator != 1 else Fraction(0)
    if abs(want - found) <= step:
        found = want
    check.exact(field, str(want), str(found))


def _fill(given: Fields, expected: Fields, check: Check) -> None:
    price, size = exact(given.need("price")), exact(given.need("size"))
    skew, scale = exact(given.need("skew")), _positive(given.need("skew_scale"))
    _compare(check, "fill_price", expected.need("fill_price"), fill_price(price, skew, size, scale))


def _margin(given: Fields, expected: Fields, check: Check) -> None:
    collateral = exact(given.need("collateral_usd"))
    prices = given.need("prices")
    pnl: dict[str, Fraction] = {}
    totals = {"initial_margin": Fraction(0), "maintenance_margin": Fraction(0)}
    each: dict[str, dict[str, Fraction]] = {name: {} for name in totals}
    for entry in rows(given.need("markets"), "markets"):
        name, size, price, market, entry_price = _position(entry, prices)
        pnl[name] = size * (price - entry_price)
        each["initial_margin"][name] = synthetix.initial_margin(market, size, price)
        each["maintenance_margin"][name] = synthetix.maintenance_margin(market, size, price)
    available = synthetix.available_margin(collateral, list(pnl.values()))
    wanted = expected.take("pnl")
    if wanted is not None:
        _per_market(check, "pnl", wanted, pnl)
    for field, found in each.items():
        wanted = expected.take(field)
        if isinstance(wanted, dict):
            _per_market(check, field, wanted, found)
        elif wanted is not None:
            _compare(check, field, wanted, sum(found.values(), Fraction(0)))
    wanted = expected.take("available_margin")
    if wanted is not None:
        _compare(check, "available_margin", wanted, available)
    for field in ("liquidatable", "eligible_for_liquidation"):
        wanted = expected.take(field)
        if wanted is not None:
            maintenance = sum(each["maintenance_margin"].values(), Fraction(0))
            # without the liquidation reward, which the inputs do not give, only a margin below maintenance is certain
            if maintenance <= available and available > 0:
                raise Unsupported("liquidatable only if the reward of the liquidator is added, which is not given")
            check.exact(field, wanted, maintenance > available)


@reads
def _per_market(check: Check, field: str, wanted: dict[str, Any], found: dict[str, Fraction]) -> None:
    for name, value in wanted.items():
        _compare(check, f"{field}, {name}", value, found[name])


@reads
def _position(row: dict[str, Any], prices: dict[str, Any]) -> tuple[str, Fraction, Fraction, synthetix.Market, Fraction]:
    given = Fields(row)
    name, size = str(given.need("name")), exact(given.need("size"))
    scale = _positive(given.need("skew_scale"))
    market = synthetix.Market(
        scale,
        exact(given.need("initial_margin_fraction")),
        exact(given.need("min_initial_margin_ratio")),
        exact(given.need("maintenance_scalar")),
        exact(given.need("min_position_margin")),
    )
    entry = fill_price(exact(given.need("index_price_at_open")), exact(given.need("skew_before")), size, scale)
    given.done()
    return name, size, exact(prices[name]), market, entry


def _positive(value: Any) -> Fraction:
    found = exact(value)
    if found <= 0:
        raise BadVector("vector", str(value), "a scale above zero")
    return found


@reads
def _window(given: Fields, expected: Fields, check: Check) -> None:
    window = synthetix.LiquidationWindow(
        exact(given.need("maker_fee")) + exact(given.need("taker_fee")),
        _positive(given.need("skew_scale")),
        exact(given.need("accumulation_multiplier")),
        exact(given.need("window_seconds")),
        exact(given.take("max_pd", 0)),
    )
    left = {str(name): exact(size) for name, size in given.need("positions").items()}
    outside = exact(given.take("other_skew", 0))
    remaining = []
    for moment, name in given.need("events_relative_seconds_account"):
        skew = sum(left.values(), outside)
        left[name] -= window.liquidate(exact(moment), left[name], skew)
        remaining.append(left[name])
    wanted = expected.take("remaining_size_after_each_call")
    if wanted is not None:
        if len(wanted) != len(remaining):
            raise ValueError(f"{len(wanted)} sizes after {len(remaining)} calls")
        for position, (want, found) in enumerate(zip(wanted, remaining, strict=True)):
            _compare(check, f"remaining_size_after_each_call[{position}]", want, found)
    most = expected.take("max_in_window")
    if most is not None:
        _compare(check, "max_in_window", most, window.most)


def _funding(given: Fields, expected: Fields, check: Check) -> None:
    """A velocity that the source gives without its following from the inputs is taken as given, not compared."""
    before, seconds = exact(given.need("prev_rate")), exact(given.need("dt_seconds"))
    velocity = synthetix.funding_velocity(
        exact(given.need("skew")), _positive(given.need("skew_scale")), exact(given.need("max_funding_velocity"))
    )
    for name in ("velocity", "funding_rate"):
        wanted = expected.take(name)
        if wanted is not None:
            found = velocity if name == "velocity" else synthetix.funding_rate(before, velocity, seconds)
            _compare(check, name, wanted, found)
    stated = expected.take("velocity_doc")
    rate = expected.take("funding_rate_doc")
    if rate is not None:
        used = exact(stated) if stated is not None else velocity
        _compare(check, "funding_rate_doc", rate, synthetix.funding_rate(before, used, seconds))


_SYNTHETIX = (
    (("collateral_usd", "markets", "prices"), _margin),
    (("maker_fee", "taker_fee", "skew_scale", "accumulation_multiplier", "window_seconds", "positions"), _window),
    (("prev_rate", "skew", "skew_scale", "max_funding_velocity", "dt_seconds"), _funding),
    (("price", "size", "skew", "skew_scale"), _fill),
)
