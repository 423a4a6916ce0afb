"""Vectors of the last layers: Liquity's shared pool, and allocations of auto-deleveraging."""

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from seawall.liquidation import adl_queues, water
from seawall.liquidation.conform.reading import exact, fields, name_of, rows, whole
from seawall.liquidation.drawdown import drawdown_ratio, loss_beyond
from seawall.liquidation.pool import SharedPool
from seawall.margin.conform.fields import Fields
from seawall.margin.conform.reading import BadVector, reads
from seawall.margin.conform.report import Case, Check, Unsupported

__all__ = ["adl_cases", "liquity_cases"]

WAD = 10**18
MICRO = 10**6
_TALK = ("source", "note", "notes", "protocol", "topic", "licence")
_FIXED_BITS = 40


# ------------------------------------------------------------------------------------------------ Liquity


def liquity_cases(data: Any) -> list[Case] | None:
    """Cases with deposits and liquidations of a stability pool."""
    found = data.get("cases") if isinstance(data, dict) else None
    if not isinstance(found, list) or not found:
        return None
    if not all(isinstance(row, dict) and "liquidations_debt_coll_before_gas_comp" in row for row in found):
        return None
    return [Case(name_of(row, "cases", position), partial(_liquity, row)) for position, row in enumerate(found)]


@reads
def _liquity(row: dict[str, Any], check: Check) -> None:
    given = fields(row)
    pool = SharedPool()
    for name, amount in given.need("deposits"):
        pool.deposit(str(name), _wad(amount))
    kept = 1 - exact(given.need("gas_comp_frac"))
    for debt, collateral in given.need("liquidations_debt_coll_before_gas_comp"):
        gain = Fraction(_wad(collateral)) * kept
        pool.absorb(_wad(debt), "collateral", gain.numerator // gain.denominator)
    allowed = int(exact(given.take("tol_wei", 0)))
    for name, figures in given.need("expect").items():
        expected = fields(figures)
        for field, found in (("compounded_wei", pool.worth(name)), ("coll_gain_wei", pool.gains(name).get("collateral", 0))):
            wanted = expected.take(field)
            if wanted is not None:
                check.within(f"{name}, {field}", whole(wanted), found, allowed)
        expected.done()
    given.done()


def _wad(value: Any) -> int:
    amount = exact(value) * WAD
    if amount.denominator != 1 or amount <= 0:
        raise BadVector("vector", f"an amount of {value!r}", "above zero, at most 18 decimals")
    return int(amount)


# ------------------------------------------------------------------------------------------------ deleveraging


def adl_cases(data: Any) -> list[Case] | None:
    """Cases by the name of their rule; those of water-filling are a list."""
    if not isinstance(data, dict) or not any(name in data for name in _RULES):
        return None
    cases = []
    for kind, value in data.items():
        if kind in _TALK:
            continue
        several = rows(value, kind) if isinstance(value, list) else [value]
        for position, row in enumerate(several):
            name = f"{kind}[{position}]" if isinstance(value, list) else kind
            cases.append(Case(name, partial(_judge, kind, row)))
    return cases


def _judge(kind: str, row: Any, check: Check) -> None:
    if kind not in _RULES:
        raise Unsupported(f"no rule of deleveraging here is called {kind!r}")
    _RULES[kind](fields(row), check)


@reads
def _queue(given: Fields, check: Check) -> None:
    accounts = given.need("accounts")
    names = list(accounts)
    lots = np.array([whole(accounts[name]["q"]) for name in names], np.int64)
    scores = np.array([float(exact(accounts[name]["score"])) for name in names])
    closed = adl_queues.close_in_order(lots, scores, whole(given.need("need")))
    given.take("price")  # at which they are closed; the queue does not depend on it
    expected = given.need("expect")
    given.done()
    found = {name: int(n) for name, n in zip(names, closed.lots) if n}
    check.exact("lots closed", {str(name): whole(n) for name, n in expected.items() if n}, found)


@reads
def _drawdown(given: Fields, check: Check) -> None:
    largest = exact(given.need("pool_8h_max"))
    now, best = exact(given.need("symbol_pnl_now")), exact(given.need("symbol_pnl_8h_max"))
    stop = -exact(given.need("trigger"))
    expected = fields(given.need("expect"))
    given.done()
    ratio = drawdown_ratio(now, best, largest)
    charged = loss_beyond(now, best, largest, stop)
    for field, found in (("pnl_ratio", ratio), ("charged_to_adl", charged)):
        wanted = expected.take(field)
        if wanted is not None:
            check.exact(field, str(exact(wanted)), str(found))
    triggered = expected.take("triggered")
    if triggered is not None:
        check.exact("triggered", triggered, ratio < -stop)
    expected.done()


@reads
def _inverse(side: int, given: Fields, check: Check) -> None:
    entry, leverage = exact(given.need("entry")), exact(given.need("lev"))
    wanted = given.need("expect")
    given.done()
    _printed(check, "bankruptcy price", wanted, adl_queues.inverse_bankruptcy_price(entry, leverage, side))


@reads
def _binance(given: Fields, check: Check) -> None:
    gain, wallet = exact(given.need("unrealised")), exact(given.need("wallet"))
    maintenance = exact(given.need("margin_ratio")) * (wallet + gain)
    share, leveraged = adl_queues.binance_score(float(gain), float(wallet), float(maintenance))
    for field, found in (("expect_pnl_pct", share), ("expect_lev_pnl", leveraged)):
        wanted = given.take(field)
        if wanted is not None:
            _printed(check, field, wanted, Fraction(float(found)))
    given.done()


@reads
def _hyperliquid(given: Fields, check: Check) -> None:
    names = ("mark", "entry", "notional", "account_value", "expect")
    if not all(name in given for name in names):
        raise Unsupported("no rule of deleveraging here reads these fields of Hyperliquid's")
    mark, entry, notional, value = (float(exact(given.need(name))) for name in names[:4])
    wanted, side = given.need("expect"), whole(given.take("side", 1))
    given.done()
    _printed(check, "index", wanted, Fraction(float(adl_queues.hyperliquid_score(side, mark, entry, notional, value))))


def _printed(check: Check, field: str, wanted: Any, found: Fraction) -> None:
    """Equal after rounding to the digits that the source prints."""
    places = len(str(wanted).partition(".")[2])
    check.close(field, float(exact(wanted)), float(found), 0.0, 0.5 * 10.0**-places * (1 + 1e-9))


@reads
def _waterfill(given: Fields, check: Check) -> None:
    """In fractions, and by the integers that deleverage accounts, which may differ by one micro."""
    weights = [_fraction(value) for value in given.need("w")]
    caps = [_fraction(value) for value in given.need("cap")]
    budget = _fraction(given.need("B"))
    risk = given.take("rw")
    omega = [_fraction(value) for value in risk] if risk is not None else [Fraction(1)] * len(weights)
    expected = fields(given.need("expect"))
    given.done()
    found = water.level_exact(weights, caps, budget, omega)
    if "level" in expected:
        _level(check, expected.need("level"), found, max((c / r for c, r in zip(caps, omega) if r), default=Fraction(0)))
    for field, values in (("h", found.shares), ("cash", found.amounts)):
        wanted = expected.take(field)
        if wanted is not None:
            check.exact(field, [str(_fraction(value)) for value in wanted], [str(value) for value in values])
            if field == "cash":
                _in_integers(check, weights, caps, omega, budget, [_fraction(value) for value in wanted])
    for field in ("residual", "shortfall", "uncovered"):
        wanted = expected.take(field)
        if wanted is not None:
            check.exact(field, str(_fraction(wanted)), str(found.residual))
    for field in ("covered", "paid"):
        wanted = expected.take(field)
        if wanted is not None:
            check.exact(field, str(_fraction(wanted)), str(budget - found.residual))
    expected.done()


def _level(check: Check, wanted: Any, found: water.Level, highest: Fraction) -> None:
    """Where all caps are reached, every level from the highest of them on says the same, and so does none at all."""
    if found.level is not None:
        check.exact("level", None if wanted is None else str(_fraction(wanted)), str(found.level))
        return
    endless = wanted is None or wanted in ("inf", "infinity")
    check.exact("level reaches all caps", True, endless or _fraction(wanted) >= highest)


def _in_integers(
    check: Check, w: list[Fraction], caps: list[Fraction], omega: list[Fraction], budget: Fraction, wanted: list[Fraction]
) -> None:
    masses = [x * r for x, r in zip(w, omega)]
    top = max([*masses, *(x * c * MICRO for x, c in zip(w, caps)), budget * MICRO, Fraction(1)])
    if top >= 2**60:
        return
    scale = 2**_FIXED_BITS / max([*masses, Fraction(1)])
    filled = water.fill(
        np.array([int(mass * scale) for mass in masses], np.int64),
        np.array([int(x * c * MICRO) for x, c in zip(w, caps)], np.int64),
        int(budget * MICRO),
    )
    for position, (want, found) in enumerate(zip(wanted, filled.parts.tolist(), strict=True)):
        # the weights are cut to 40 bits, so a part may be off by 2**-40 of the budget and a micro
        slack = 1 + int(budget * MICRO * len(w)) // 2**_FIXED_BITS
        check.within(f"cash[{position}], integer", int(want * MICRO), found, slack + 1)


@reads
def _fraction(value: Any) -> Fraction:
    """A number, or one over another: "5/18"."""
    if isinstance(value, str) and "/" in value:
        over, under = value.split("/")
        return Fraction(whole(over), whole(under))
    return exact(value)


_RULES: dict[str, Callable[[Fields, Check], None]] = {
    "bitmex_queue": _queue,
    "bybit_drawdown": _drawdown,
    "bybit_bankruptcy_inverse_long": partial(_inverse, 1),
    "bybit_bankruptcy_inverse_short": partial(_inverse, -1),
    "binance": _binance,
    "hyperliquid": _hyperliquid,
    "waterfill": _waterfill,
}
