"""Vectors of whole liquidations on Derive: an account, an auction, bids, and every figure before and after each bid.

Value and health come from the same portfolio manager that `margin.conform` judges (float64 here; the integer tables are
judged there); what a bid costs and how much may be sold comes from `account_prices.py`.
"""

import re
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any, NamedTuple

from seawall.core.times import SECOND_NS
from seawall.liquidation import account_prices as prices
from seawall.liquidation.conform.derive import auction_curve
from seawall.liquidation.conform.derive_sets import SETS
from seawall.liquidation.conform.reading import exact, fields, name_of, rows, whole
from seawall.liquidation.curves import RAY, Line, share_ray
from seawall.margin.conform.derive_pmrm import compute
from seawall.margin.conform.derive_pmrm_input import read_portfolio, read_v1
from seawall.margin.conform.fields import Fields
from seawall.margin.conform.reading import BadVector, reads
from seawall.margin.conform.report import Case, Check, Unsupported
from seawall.margin.venues.derive_parameters import PortfolioParameters, check_portfolio

__all__ = ["derive_account_cases"]

_MODEL = re.compile(r"PMRM_v1 \((\w+)\)")
PATH_TOLERANCE = Fraction(1, 10**12)


class Terms(NamedTuple):
    """auction_params of a vector."""

    curve: Line
    insolvent_s: Fraction
    fee: Fraction
    buffer: Fraction


class Account(NamedTuple):
    """What is for sale besides the reserved cash: sizes are the initial ones times `held`."""

    held: float
    cash: float
    reserved: float


class Figures(NamedTuple):
    """Of an account at one moment; most: the largest share that may be sold."""

    value: float
    health: float
    margin: float
    most: float


def derive_account_cases(data: Any) -> list[Case] | None:
    """Files with auction_params beside accounts, discount paths or pay paths."""
    if not isinstance(data, dict):
        return None
    kinds: dict[str, Callable[..., None]] = {
        "vectors": _account,
        "discount_paths": _discount_path,
        "insolvent_paths": _insolvent_path,
    }
    found = {kind: data.get(kind) for kind in kinds}
    if not any(
        isinstance(part, list) and part and all(isinstance(row, dict) and "auction_params" in row for row in part)
        for part in found.values()
    ):
        return None
    return [
        Case(name_of(row, kind, position), partial(judge, data, row))
        for kind, judge in kinds.items()
        for position, row in enumerate(rows(data.get(kind), kind))
    ]


@reads
def _terms(raw: dict[str, Any]) -> Terms:
    given = fields(raw)
    names = ("starting_mtm_pct", "fast_cutoff_pct", "fast_len_s", "slow_len_s")
    curve = auction_curve(*(given.need(name) for name in names))
    rest = (exact(given.need(name)) for name in ("insolvent_len_s", "liquidator_fee_rate", "buffer_margin_pct"))
    terms = Terms(curve, *rest)
    given.done()
    return terms


@reads
def _share(terms: Terms, elapsed_s: Any) -> Fraction:
    return Fraction(share_ray(terms.curve, int(exact(elapsed_s) * SECOND_NS)), RAY)


@reads
def _discount_path(data: dict[str, Any], row: dict[str, Any], check: Check) -> None:
    given = fields(row)
    terms, points = _terms(given.need("auction_params")), given.need("points")
    given.done()
    for elapsed_s, expected in points:
        check.within(f"share({elapsed_s})", exact(expected), _share(terms, elapsed_s), PATH_TOLERANCE)


@reads
def _insolvent_path(data: dict[str, Any], row: dict[str, Any], check: Check) -> None:
    given = fields(row)
    terms, points = _terms(given.need("auction_params")), rows(given.need("points"), "points")
    value, health = exact(given.need("mtm")), exact(given.need("mm"))
    given.done()
    for point in points:
        at = fields(point)
        elapsed_s, part = exact(at.need("t")), exact(at.take("bid_percent", 1))
        price = prices.insolvent_price(value, health, elapsed_s, terms.insolvent_s)
        for name, found in {"price": price, "payout": -price * part}.items():
            if name in at:
                expected = exact(at.take(name))
                check.within(f"{name}({float(elapsed_s):g})", expected, found, PATH_TOLERANCE)
        at.done()


# ---------------------------------------------------------------------- whole accounts


def _account(data: dict[str, Any], row: dict[str, Any], check: Check) -> None:
    """Raises Unsupported for a vector that its source has switched off, or of another margin model."""
    if row.get("active_upstream") is False:
        raise Unsupported("disabled in its source (active_upstream is false)")
    given = fields(row)
    parameters = _parameters(data, str(given.need("margin_model")))
    terms, initial = _terms(given.need("auction_params")), given.need("initial")
    tolerance = _tolerance(given.take("tolerance") or {})
    fee, actions = given.take("liquidation_fee"), rows(given.need("actions"), "actions")
    given.done()
    _run(check, parameters, terms, initial, fee, actions, tolerance)


@reads
def _tolerance(raw: dict[str, Any]) -> float:
    if raw.get("kind", "abs") != "abs":
        raise Unsupported(f"a tolerance of kind {raw['kind']!r}")
    return float(raw.get("value", 1e-12))


@reads
def _parameters(data: dict[str, Any], model: str) -> PortfolioParameters:
    match = _MODEL.fullmatch(model)
    if match is None:
        raise Unsupported(f"margin model {model!r} is not read here")
    name = match[1]
    own = data.get("param_sets") or {}
    if name not in own and name not in SETS:
        raise Unsupported(f"a set of parameters that neither the file nor we have: {name}")
    parameters = read_v1(own[name]) if name in own else SETS[name]
    check_portfolio(parameters)
    return parameters


@reads
def _run(
    check: Check,
    parameters: PortfolioParameters,
    terms: Terms,
    initial: dict[str, Any],
    fee: Any,
    actions: list[dict[str, Any]],
    tolerance: float,
) -> None:
    start_s = whole(initial.get("start_time", 0))
    account = Account(1.0, float(initial["cash"]), 0.0)
    figures = _figures(parameters, terms, initial, initial["feeds"], start_s, account, Fraction(1))
    due = float(prices.fee_at_start(exact(figures.value), exact(figures.margin), terms.fee))
    if fee is not None:
        check.close("liquidation_fee", float(fee), due, 0.0, tolerance)
    account = account._replace(cash=account.cash - due)
    for number, action in enumerate(actions):
        place = f"actions[{number}]."
        given = fields(action)
        elapsed_s, part, feeds = given.need("t"), float(given.need("bid_percent")), given.need("feeds")
        if "cash_upstream_model" in given:
            check.close(f"{place}cash", float(given.take("cash_upstream_model")), account.cash, 0.0, tolerance)
        expected = fields(given.need("expected"))
        given.done()
        share = _share(terms, elapsed_s)
        at_s = start_s + float(elapsed_s)
        before = _figures(parameters, terms, initial, feeds, at_s, account, share)
        sold = min(part, before.most)
        whole_price = float(prices.solvent_price(exact(before.value), share, exact(account.reserved)))
        paid = whole_price * sold
        meanings = (account.held * sold, sold)  # the source's test reads it and never asserts it; Test4 has the other one
        said = expected.take("liquidated_of_initial_account")
        if said is not None:
            nearest = min(meanings, key=lambda meaning: abs(meaning - float(said)))
            check.close(f"{place}liquidated_of_initial_account", said, nearest, 0.0, tolerance)
        account = Account(
            held=account.held * (1.0 - sold),
            cash=(account.cash - account.reserved) * (1.0 - sold) + account.reserved + paid,
            reserved=account.reserved + paid,
        )
        after = _figures(parameters, terms, initial, feeds, at_s, account, share)
        found = {"bid_price": paid, "liquidated": sold}
        found |= _named("pre", before) | _named("post", after)
        _compare(check, place, expected, found, tolerance)


def _named(when: str, figures: Figures) -> dict[str, float]:
    names = ("mtm", "mm", "bm", "fmax")
    return {f"{when}_{name}": value for name, value in zip(names, figures, strict=True)}


def _compare(check: Check, place: str, expected: Fields, found: dict[str, float], tolerance: float) -> None:
    for name, value in found.items():
        if name in expected:
            check.close(f"{place}{name}", expected.take(name), value, 0.0, tolerance)
    expected.done()


def _figures(
    parameters: PortfolioParameters,
    terms: Terms,
    initial: dict[str, Any],
    feeds: dict[str, Any],
    at_s: float,
    account: Account,
    share: Fraction,
) -> Figures:
    """Value and health by the portfolio manager, then the buffer margin and the largest share, in exact arithmetic."""
    given = _manager_input(initial, feeds, at_s, account)
    found = compute(parameters, read_portfolio(given, parameters))
    value, health = exact(found.equity), exact(found.maintenance)
    margin = prices.buffer_margin(value, health, terms.buffer)
    most = prices.max_share(value, margin, share, exact(account.reserved)) if value > 0 else Fraction(0)
    return Figures(found.equity, found.maintenance, float(margin), float(most))


@reads
def _manager_input(initial: dict[str, Any], feeds: dict[str, Any], at_s: float, account: Account) -> dict[str, Any]:
    """The input that the portfolio manager's vectors have. Raises Unsupported for a perpetual without a price."""
    perp = float(initial.get("perp", 0.0))
    if perp and "perp_price" not in feeds:
        raise Unsupported("a perpetual whose price the vector does not give")
    vols = {(int(row["expiry_ts"]), float(row["strike"])): row for row in feeds["vols"]}
    options, expiries = [], []
    for row in initial["options"]:
        vol = vols[int(row["expiry_ts"]), float(row["strike"])]
        option = {
            "sec_to_expiry": int(row["expiry_ts"] - at_s),
            "strike": row["strike"],
            "is_call": row["is_call"],
            "amount": float(row["amount"]) * account.held,
            "vol": vol["vol"],
            "vol_confidence": vol.get("vol_confidence", 1.0),
        }
        options.append(option)
    for row in feeds["expiries"]:
        if row["expiry_ts"] <= at_s:
            raise BadVector("vector", f"an expiry of {row['expiry_ts']} at {at_s}", "one after the bid")
        expiry = {
            "sec_to_expiry": int(row["expiry_ts"] - at_s),
            "forward_variable": row["forward"],
            "forward_fixed": row.get("forward_fixed", 0.0),
            "forward_confidence": row["forward_confidence"],
            "rate": row["rate"],
            "rate_confidence": row["rate_confidence"],
        }
        expiries.append(expiry)
    price = float(feeds.get("perp_price", feeds["spot"]))
    return {
        "spot": feeds["spot"],
        "spot_confidence": feeds["spot_confidence"],
        "stable_price": feeds["stable_price"],
        "cash": account.cash,
        "base": float(initial.get("base", 0.0)) * account.held,
        "perp": {"position": perp * account.held, "price": price, "confidence": 1.0, "unsettled_cash": 0.0},
        "options": options,
        "expiries": expiries,
    }
