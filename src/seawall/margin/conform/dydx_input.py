"""Reads dYdX vectors into the records of `venues/dydx_rules.py`, and runs accounts through the kernel.

Rows are tables of Go tests, so a missing field is its zero. Every field must be understood: a row
with one that no rule here reads is unsupported, not guessed at.
"""

from typing import Any

import numpy as np

from seawall.core.errors import InputError
from seawall.kernels import tiers
from seawall.kernels.tables import TIERS, Tables
from seawall.margin.conform.fields import Fields
from seawall.margin.conform.reading import BadVector, kernel_account, reads
from seawall.margin.conform.report import Unsupported
from seawall.margin.venues import dydx_rules as rules

PRICE_KEYS = ("prices", "marketPrices", "marketParamPrices", "oraclePrices")
NANO_MAX = 2**62


@reads
def integer(value: Any) -> int:
    """An integer, or a decimal string of one; Go's nil is 0."""
    if value is None:
        return 0
    if isinstance(value, bool) or isinstance(value, float):
        raise TypeError(f"{value!r} is no integer")
    return int(value)


@reads
def tier(raw: dict[str, Any]) -> rules.Tier:
    """A liquidity tier; caps default to 0."""
    return rules.Tier(
        integer(raw.get("InitialMarginPpm")),
        integer(raw.get("MaintenanceFractionPpm")),
        integer(raw.get("OpenInterestLowerCap")),
        integer(raw.get("OpenInterestUpperCap")),
    )


@reads
def perpetual(raw: dict[str, Any], price: dict[str, Any], of: rules.Tier) -> rules.Perpetual:
    """A perpetual with its price and tier."""
    kind = str(raw.get("market_type", "CROSS")).upper()
    if kind not in ("CROSS", "ISOLATED"):
        raise Unsupported(f"market type {kind}")
    return rules.Perpetual(
        resolution=integer(raw["atomic_resolution"]),
        price=integer(price["Price"]),
        exponent=integer(price["Exponent"]),
        tier=of,
        isolated=kind == "ISOLATED",
        open_interest=integer(raw.get("open_interest_base_quantums")),
        funding_index=integer(raw.get("funding_index")),
    )


@reads
def perpetuals(data: dict[str, Any], fields: Fields) -> dict[int, rules.Perpetual]:
    """The markets of a row: its own list, prices and open interests over the file's fixtures."""
    fixtures = data["fixtures"]
    prices = {integer(row["Id"]): row for row in fixtures["oracle_prices"]}
    for name in PRICE_KEYS:
        prices.update({integer(row["Id"]): row for row in fields.take(name) or []})
    tiers_by_id = {integer(row["Id"]): tier(row) for row in fixtures["liquidity_tiers"]}
    out = {}
    for raw in fields.take("perpetuals") or []:
        market, level = integer(raw["market_id"]), integer(raw["liquidity_tier"])
        if market not in prices or level not in tiers_by_id:
            raise Unsupported(f"no price of market {market} or no tier {level} in the file's fixtures")
        out[integer(raw["id"])] = perpetual(raw, prices[market], tiers_by_id[level])
    for raw in fields.take("openInterests") or []:
        key = integer(raw["PerpetualId"])
        out[key] = rules.perpetual_of(out, key)._replace(open_interest=integer(raw["BaseQuantums"]))
    return out


@reads
def collateral(rows: list[dict[str, Any]] | None, amount: str) -> int:
    """Σ of the collateral asset (id 0). Raises InputError for another asset with a balance."""
    total = 0
    for row in rows or []:
        size = integer(row.get(amount))
        if integer(row.get("AssetId")) != 0 and size:
            raise InputError("dydx asset", str(row.get("AssetId")), "asset 0, the only collateral")
        total += size
    return total


@reads
def positions(rows: list[dict[str, Any]] | None) -> dict[int, rules.Position]:
    """Positions by perpetual."""
    out: dict[int, rules.Position] = {}
    for row in rows or []:
        out[integer(row.get("PerpetualId"))] = rules.Position(
            integer(row.get("Quantums")), integer(row.get("FundingIndex")), integer(row.get("QuoteBalance"))
        )
    return out


@reads
def changes(rows: list[dict[str, Any]] | None) -> list[tuple[int, int]]:
    """(perpetual, base quantums) of updates."""
    return [(integer(row.get("PerpetualId")), integer(row.get("BigQuantumsDelta"))) for row in rows or []]


def kernel_risk(account: rules.Account, markets: dict[int, rules.Perpetual]) -> rules.Risk:
    """Risk of a settled account from the margin kernel, one lot per position.

    Raises Unsupported where the account does not fit the int64 ledger.
    """
    items = [(markets[key], position) for key, position in account.positions.items()]
    count = len(items)
    values = np.zeros((count, 1), np.int64)
    extra = np.zeros((count, tiers.EXTRAS), np.int64)
    rows = np.zeros((max(count, 1), tiers.TIER_WIDTH), np.int64)
    cash = account.collateral
    for leg, (market, position) in enumerate(items):
        power = market.exponent + market.resolution + 9
        if abs(power) > rules.POWER_MAX:
            raise BadVector("vector", f"a power of ten of {power}", f"within ±{rules.POWER_MAX}")
        size = abs(position.quantums) * market.price
        nano = size * 10**power if power >= 0 else size // 10**-power
        _check_fits("position", nano, NANO_MAX)
        scaled_ppm = rules.scaled_initial_ppm(market)
        for rate_ppm in (scaled_ppm, market.tier.initial_ppm, market.tier.fraction_ppm):
            if not 0 <= rate_ppm <= rules.PPM:
                raise Unsupported(f"a rate of {rate_ppm} ppm is beyond 0 to 100 %")
        values[leg, 0] = nano
        extra[leg, tiers.EXTRA_NOTIONAL] = nano
        extra[leg, tiers.EXTRA_INITIAL_RATE] = scaled_ppm
        extra[leg, tiers.EXTRA_SET] = leg
        rows[leg, tiers.TIER_INITIAL] = market.tier.initial_ppm
        rows[leg, tiers.TIER_MAINTENANCE] = market.tier.initial_ppm if market.tier.fraction_ppm else 0
        rows[leg, tiers.TIER_SHARE] = market.tier.fraction_ppm
        cash += position.quote_balance
    _check_fits("balance", cash * 1000, NANO_MAX)
    tables = Tables(
        values=values,
        extra=extra,
        leg_block=np.zeros(count, np.int32),
        leg_group=np.full(count, -1, np.int32),
        leg_underlying=np.zeros(count, np.int32),
        leg_right=np.zeros(count, np.int8),
        block_params=np.zeros((1, 1), np.int64),
        scenario_params=rows,
        underlying_params=np.zeros((1, 1), np.int64),
        scalars=np.array([1, count, 0, 0, *range(count + 1)], np.int64),
    )
    lots = np.array([1 if position.quantums > 0 else -1 for _, position in items], np.int64)
    return rules.Risk(*kernel_account(TIERS, tables, lots, cash * 1000))


def fits(account: rules.Account, markets: dict[int, rules.Perpetual]) -> bool:
    """Whether the kernel can hold the account."""
    try:
        kernel_risk(account, markets)
    except Unsupported:
        return False
    return True


def _check_fits(what: str, amount: int, limit: int) -> None:
    if abs(amount) >= limit:
        raise Unsupported(f"a {what} of {amount / 10**9:.3g} quote is beyond the ledger's int64 range")
