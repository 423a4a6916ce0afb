"""Vectors of dYdX v4's bankruptcy and fillable prices in the plain form of `dydx_bankruptcy_fillable`.

Accounts of named perpetuals with a price each and one maintenance rate; amounts in quantums, `usdc` in whole coins.
The refusals that the file lists in words are tried on each of its bankruptcy rows.
"""

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

from seawall.core.errors import InputError
from seawall.liquidation.conform.rationals import rational
from seawall.liquidation.conform.reading import fields as read_fields
from seawall.liquidation.conform.reading import name_of, rows
from seawall.liquidation.venues import dydx as venue
from seawall.margin.conform.dydx_input import integer
from seawall.margin.conform.fields import Fields
from seawall.margin.conform.reading import BadVector, reads
from seawall.margin.conform.report import Case, Check, Unsupported
from seawall.margin.venues import dydx_rules as rules

USDC = 1_000_000
ONLY = 0  # the one perpetual of a fillable row
Scene = tuple[rules.Account, dict[int, rules.Perpetual], int, int]


def read(data: Any) -> list[Case] | None:
    """Cases of a file with lists `bankruptcy_price` or `fillable_price`, None for any other file."""
    if not isinstance(data, dict) or not any(isinstance(data.get(name), list) for name in ("bankruptcy_price", "fillable_price")):
        return None
    found = []
    for name, judge in (("bankruptcy_price", _bankruptcy), ("fillable_price", _fillable)):
        for position, row in enumerate(rows(data.get(name), name)):
            found.append(Case(f"{name}/{name_of(row, name, position)}", partial(judge, row)))
    refusals = data.get("reject") or []
    for words in refusals if isinstance(refusals, list) else [refusals]:
        found.append(Case(f"reject/{words}", partial(_refusal, str(words), rows(data.get("bankruptcy_price"), "rows"))))
    for name, value in Fields(data.get("config") or {}).rest().items():
        found.append(Case(f"config/{name}", partial(_constant, name, value)))
    return found


def _bankruptcy(row: Any, check: Check) -> None:
    fields = read_fields(row)
    account, markets, key, change = _scene(fields)
    wanted = integer(fields.need("expect_quote_quantums"))
    fields.done()
    check.exact("quote quantums", wanted, venue.bankruptcy_quote(account, markets, key, change))


def _fillable(row: Any, check: Check) -> None:
    fields = read_fields(row)
    held = integer(fields.need("base_quantums"))
    markets = {ONLY: _market(fields.need("quote_per_base"), fields.need("mmf"))}
    account = rules.Account(_usdc(fields.need("usdc")), {ONLY: rules.Position(held)})
    limits = venue.Limits(
        adjustment_ppm=_ppm(fields.take("bankruptcy_adjustment", "1")), spread_ppm=_ppm(fields.take("smmr", "1/10"))
    )
    change = integer(fields.take("delta", str(-held)))
    wanted = rational(fields.need("expect"))
    fields.done()
    check.exact("fillable price", wanted, venue.fillable_price(account, markets, ONLY, change, limits))


def _refusal(words: str, examples: list[dict[str, Any]], check: Check) -> None:
    """Each bankruptcy row, changed as the words say, has to be refused."""
    if words not in REFUSALS:
        raise Unsupported("a refusal in words that nothing here tries")
    for position, row in enumerate(examples):
        fields = read_fields(row)
        account, markets, key, change = REFUSALS[words](*_scene(fields))
        try:
            venue.bankruptcy_quote(account, markets, key, change)
        except InputError:
            check.exact(f"refused, row {position}", True, True)
            continue
        check.exact(f"refused, row {position}", True, False)


def _constant(name: str, value: Any, check: Check) -> None:
    if name not in CONSTANTS:
        raise Unsupported("a configuration value that nothing here uses")
    check.exact(name, integer(value), CONSTANTS[name])


@reads
def _scene(fields: Fields) -> Scene:
    """Account, markets by number, the perpetual to close and the change, of a bankruptcy row."""
    positions, close = fields.need("positions"), fields.need("close")
    rate = fields.need("mmf")
    numbers = {name: number for number, name in enumerate(positions)}
    markets = {numbers[name]: _market(raw["quote_per_base"], rate) for name, raw in positions.items()}
    held = {numbers[name]: rules.Position(integer(raw["base_quantums"])) for name, raw in positions.items()}
    account = rules.Account(integer(fields.need("usdc_quantums")), held)
    return account, markets, numbers[close["perp"]], integer(close["delta"])


@reads
def _market(price: Any, rate: Any) -> rules.Perpetual:
    """A market by quote quantums per base quantum and maintenance rate, which is half of the initial as in the source."""
    sign, digits, exponent = Decimal(str(price)).as_tuple()
    if sign or not isinstance(exponent, int):
        raise BadVector("vector", f"a price of {price!r}", "a decimal above zero")
    maintenance = _ppm(rate)
    tier = rules.Tier(2 * maintenance, 500_000) if 2 * maintenance <= rules.PPM else rules.Tier(rules.PPM, maintenance)
    return rules.Perpetual(rules.QUOTE_RESOLUTION, int("".join(map(str, digits))), exponent, tier)


@reads
def _ppm(value: Any) -> int:
    """A rational in ppm; Unsupported where it is no whole number of them."""
    exact = rational(value) * rules.PPM
    if exact.denominator != 1:
        raise Unsupported(f"a rate of {value}, not whole in ppm")
    return exact.numerator


@reads
def _usdc(value: Any) -> int:
    exact = rational(value) * USDC
    if exact.denominator != 1:
        raise BadVector("vector", f"{value!r} USDC", "whole quote quantums")
    return exact.numerator


def _without(account: rules.Account, markets: dict[int, rules.Perpetual], key: int, change: int) -> Scene:
    kept = {each: position for each, position in account.positions.items() if each != key}
    return rules.Account(account.collateral, kept), markets, key, change


REFUSALS: dict[str, Callable[[rules.Account, dict[int, rules.Perpetual], int, int], Scene]] = {
    "delta=0": lambda account, markets, key, change: (account, markets, key, 0),
    "no position": _without,
    "delta same sign as position": lambda account, markets, key, change: (account, markets, key, -change),
    "|delta|>|position|": lambda account, markets, key, change: (
        account, markets, key, -account.positions[key].quantums + (1 if change > 0 else -1),
    ),
}  # fmt: skip
CONSTANTS = {
    "max_deleveraging_subaccounts_to_iterate": venue.COUNTERPARTIES_MAX,
    "default_max_liquidation_fee_ppm": venue.Limits().fee_ppm,
}
