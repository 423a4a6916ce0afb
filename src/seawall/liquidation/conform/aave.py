"""Vectors of Aave v3's liquidations: close factor, seizure, constants.

Of seizures the file itself says that inputs are the source's and outputs follow from its formula without interest; they
are compared like the rest. Limits on changes of parameters (`steward`) are no liquidation.
"""

from fractions import Fraction
from functools import partial
from typing import Any

from seawall.liquidation.conform.rationals import rational
from seawall.liquidation.conform.reading import fields as read_fields
from seawall.liquidation.conform.reading import name_of, rows
from seawall.liquidation.venues import aave as venue
from seawall.margin.conform.dydx_input import integer
from seawall.margin.conform.fields import Fields
from seawall.margin.conform.report import Case, Check, Unsupported

USD = 10**8  # scale of prices; the debt is a dollar coin of six decimals, the collateral has eight
DEBT_UNIT, COLLATERAL_UNIT = 10**6, 10**8
RELATIVE = 1e-12  # of a health factor, which the file gives as a float


def read(data: Any) -> list[Case] | None:
    """Cases of a file with lists `close_factor` and `seizure` or one of them beside Aave as its source; else None."""
    if not isinstance(data, dict) or not {"close_factor", "seizure"} & data.keys():
        return None
    cases = [
        Case(f"close_factor/{position}", partial(_close_factor, row)) for position, row in enumerate(rows(data.get("close_factor"), "close_factor"))
    ]
    for position, row in enumerate(rows(data.get("seizure"), "seizure")):
        cases.append(Case(f"seizure/{name_of(row, 'seizure', position)}", partial(_seizure, row)))
    for name, value in Fields(data.get("constants") or {}).rest().items():
        cases.append(Case(f"constants/{name}", partial(_constant, name, value)))
    steward = data.get("steward")
    for position, _ in enumerate(steward.get("cases") or [] if isinstance(steward, dict) else []):
        cases.append(Case(f"steward/{position}", _steward))
    return cases


def _close_factor(row: Any, check: Check) -> None:
    fields = read_fields(row)
    health, collateral = rational(fields.need("hf")), rational(fields.need("coll_usd"))
    debt, wanted = rational(fields.need("debt_usd")), rational(fields.need("expect_cf"))
    fields.done()
    check.exact("close factor", wanted, venue.close_factor(health, collateral, debt))


def _seizure(row: Any, check: Check) -> None:
    fields = read_fields(row)
    fields.take("price_drop_bps")
    collateral, debt = integer(fields.need("collateral_1e8")), integer(fields.need("debt_1e6"))
    price, threshold = integer(fields.need("wbtc_price_1e8")), integer(fields.need("lt_bps"))
    bonus, fee = integer(fields.need("bonus_bps")), integer(fields.need("protocol_fee_bps"))
    value, owed = collateral * price // COLLATERAL_UNIT, debt * USD // DEBT_UNIT
    health = venue.health_factor(value, threshold, owed)
    if "hf" in fields:
        check.close("health factor", float(rational(fields.take("hf"))), float(health), RELATIVE)
    factor = venue.close_factor(health, Fraction(value, USD), Fraction(owed, USD))
    most = venue.most_debt(debt, USD, DEBT_UNIT, owed, factor)
    if "max_debt_1e6" in fields:
        check.exact("most debt", integer(fields.take("max_debt_1e6")), most)
    wanted = {
        "to_liquidator": integer(fields.need("seized_to_liquidator")),
        "protocol_fee": integer(fields.need("protocol_fee")),
        "repaid": integer(fields.need("debt_repaid")),
        "deficit": integer(fields.need("deficit")),
    }
    fields.done()
    found = venue.seize(most, debt, collateral, USD, price, DEBT_UNIT, COLLATERAL_UNIT, bonus, fee)
    if 0 <= wanted["repaid"] < found.repaid:  # the liquidator offered less than he may, which is his to choose
        found = venue.seize(wanted["repaid"], debt, collateral, USD, price, DEBT_UNIT, COLLATERAL_UNIT, bonus, fee)
    for name, each in wanted.items():
        check.exact(name, each, getattr(found, name))


def _constant(name: str, value: Any, check: Check) -> None:
    if name not in CONSTANTS:
        raise Unsupported("a constant that nothing here uses")
    check.exact(name, rational(value), CONSTANTS[name])


def _steward(check: Check) -> None:
    raise Unsupported("a limit on changes of parameters, not a liquidation")


CONSTANTS = {
    "default_close_factor_bps": Fraction(venue.LIMITS.close_factor_bps),
    "close_factor_hf_threshold": venue.LIMITS.full_below,
    "min_base_max_close_factor_usd": Fraction(venue.LIMITS.large),
    "min_leftover_usd": Fraction(venue.LIMITS.leftover),
}
