"""Vectors of Derive's Dutch auction that need no margin model: discounts, shares, bids, pay, the block on withdrawals."""

from fractions import Fraction
from functools import partial
from typing import Any

from seawall.core.times import SECOND_NS
from seawall.liquidation import account_prices as prices
from seawall.liquidation.conform.reading import exact, fields, name_of, rows
from seawall.liquidation.curves import RAY, Line, check_curve, share_ray, two_leg
from seawall.margin.conform.reading import BadVector, reads
from seawall.margin.conform.report import Case, Check, Unsupported

__all__ = ["auction_curve", "derive_cases"]

KINDS = ("discount", "solvent", "insolvent", "withdraw_block")
SHARE_TOLERANCE = Fraction(1, 10**18)
"""The source counts in 18 decimals; every figure here is a rational, rounded nowhere but in the curve (27 decimals)."""


def auction_curve(start: Any, cutoff: Any, fast_s: Any, slow_s: Any) -> Line:
    """Derive's two legs from the fields of a vector. Raises BadVector, or InputError for legs that rise."""
    shares = [int(exact(value) * RAY) for value in (start, cutoff)]
    lengths = [int(exact(value) * SECOND_NS) for value in (fast_s, slow_s)]
    if min(lengths) <= 0:
        raise BadVector("vector", f"legs of {fast_s} and {slow_s} s", "legs that last")
    curve = two_leg(shares[0], shares[1], lengths[0], lengths[1])
    check_curve(curve)
    return curve


@reads
def formula(value: Any) -> Fraction:
    """A number, or a sum of products and quotients of numbers as the source's tests write them ("0.1*10/9")."""
    if not isinstance(value, str):
        return exact(value)
    total = Fraction(0)
    for term in value.replace(" ", "").split("+"):
        product, *factors = term.split("*")
        parts = [product, *factors]
        result = Fraction(1)
        for part in parts:
            first, *divisors = part.split("/")
            result *= exact(first)
            for divisor in divisors:
                result /= exact(divisor)
        total += result
    return total


def derive_cases(data: Any) -> list[Case] | None:
    """Files with sets of parameters (params_…) and lists of discounts, bids or blocks."""
    if not isinstance(data, dict) or not any(key.startswith("params_") for key in data):
        return None
    if not any(isinstance(data.get(kind), list) for kind in KINDS):
        return None
    judges = {"discount": _discount, "solvent": _solvent, "insolvent": _insolvent, "withdraw_block": _withdraw_block}
    return [
        Case(name_of(row, kind, position), partial(judge, data, row))
        for kind, judge in judges.items()
        for position, row in enumerate(rows(data.get(kind), kind))
    ]


@reads
def _parameters(data: dict[str, Any], said: Any) -> dict[str, Any]:
    """The vector's own parameters, or a named set of the file; "test" where none is said."""
    if isinstance(said, dict):
        return said
    name = f"params_{said or 'test'}"
    named = data[name] if name in data else data[f"params_{said}_script"]
    if not isinstance(named, dict):
        raise TypeError(f"{name} is no object")
    return named


def _share(parameters: dict[str, Any], elapsed: Any) -> Fraction:
    curve = auction_curve(*(parameters[name] for name in ("start", "cutoff", "fast_s", "slow_s")))
    return Fraction(share_ray(curve, int(exact(elapsed) * SECOND_NS)), RAY)


@reads
def _discount(data: dict[str, Any], row: dict[str, Any], check: Check) -> None:
    given = fields(row)
    found = _share(_parameters(data, given.take("params")), given.need("t"))
    expected = exact(given.need("expect"))
    given.done()
    check.within("share", expected, found, SHARE_TOLERANCE)


@reads
def _solvent(data: dict[str, Any], row: dict[str, Any], check: Check) -> None:
    """bid: of the whole; cash: what the bidder pays for its share; _floor, _floor_1e3: as the tests round them."""
    given = fields(row)
    parameters = _parameters(data, given.take("params"))
    health, value = formula(given.need("mm")), formula(given.need("mtm"))
    reserved = formula(given.take("reserved", 0))
    share = _share(parameters, given.need("t"))
    part, expected = given.take("bid_pct"), fields(given.need("expect"))
    given.done()
    margin = prices.buffer_margin(value, health, exact(parameters["buffer"]))
    most = prices.max_share(value, margin, share, reserved)
    bid = prices.solvent_price(value, share, reserved)
    figures = {"buffer_margin": margin, "bid": bid, "max_prop": most, "fee": _fee(parameters, value, margin)}
    figures["max_prop_floor_1e3"] = Fraction(int(most * 1000))
    if part is not None:
        sold = most if part == "max" else min(formula(part), most)
        figures |= {"cash": bid * sold, "cash_floor": Fraction(int(bid * sold)), "sold": sold}
    for name, found in figures.items():
        if name in expected:
            want = formula(expected.take(name))
            check.within(name, want, found, SHARE_TOLERANCE * max(Fraction(1), abs(want)))
    expected.done()


def _fee(parameters: dict[str, Any], value: Fraction, margin: Fraction) -> Fraction:
    return prices.fee_at_start(value, margin, exact(parameters["fee"])) if "fee" in parameters else Fraction(0)


@reads
def _insolvent(data: dict[str, Any], row: dict[str, Any], check: Check) -> None:
    """cash_to_bidder: what is paid for its share; socialised: whether the fund (empty if not given) does not cover it."""
    given = fields(row)
    health, value = formula(given.need("mm")), formula(given.need("mtm"))
    elapsed, length, part = exact(given.need("t")), exact(given.need("T")), formula(given.need("pct"))
    fund, expected = formula(given.take("sm_balance", 0)), fields(given.need("expect"))
    given.done()
    price = prices.insolvent_price(value, health, elapsed, length)
    paid = -price * part
    for name, found in {"cash_to_bidder": paid, "bid": price}.items():
        if name in expected:
            check.within(name, formula(expected.take(name)), found)
    if "socialised" in expected:
        check.exact("socialised", expected.take("socialised"), paid > fund)
    expected.done()


@reads
def _withdraw_block(data: dict[str, Any], row: dict[str, Any], check: Check) -> None:
    given = fields(row)
    total, fund = formula(given.need("total_insolvent_mm")), formula(given.need("sm_balance"))
    expected = given.need("expect")
    given.done()
    if not isinstance(expected, bool):
        raise Unsupported("a block that is neither true nor false")
    check.exact("withdrawals blocked", expected, prices.blocks_withdrawals(total, fund))
