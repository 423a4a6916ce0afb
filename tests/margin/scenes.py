"""Small markets and books for tests of the margin models, and values of them without any of our kernels.

`Values` prices every leg with NumPy and SciPy from what the market says; a dense sweep of moves and
volatility shares of it is the true worst case that a scan has to cover.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import numpy as np
from scipy.special import ndtr

from seawall.ledger.accounts import Accounts
from seawall.ledger.book import Book
from seawall.margin import models
from seawall.market.market import Market

AS_OF = "2025-10-10T21:00:00Z"
AS_OF_NS = 1_760_130_000_000_000_000
HOUR_NS = 3_600 * 10**9
YEAR_NS = 365 * 24 * HOUR_NS
LINEAR, OPTION, FORWARD_START, CONSTANT = 0, 1, 2, 3

Array = np.ndarray[Any, Any]


def time_text(hours: float) -> str:
    """The time `hours` after AS_OF, as files carry it."""
    return f"{str(np.datetime64(AS_OF_NS + int(hours * HOUR_NS), 'ns'))[:19]}Z"


def option(symbol: str, right: str, strike: float, hours: float, iv: float, **more: Any) -> dict[str, Any]:
    """The row of an option that expires `hours` after AS_OF; underlying BTC and lot 0.01 unless given."""
    row = {"symbol": symbol, "kind": "option", "underlying": "BTC", "lot": "0.01", "right": right}
    row |= {"strike": f"{strike:.2f}", "expiry": time_text(hours), "iv": repr(float(iv))}
    return row | more


def perpetual(underlying: str, lot: str = "0.01") -> dict[str, Any]:
    """The row of a perpetual at its index."""
    return {"symbol": f"{underlying}-PERP", "kind": "perpetual", "underlying": underlying, "lot": lot}


def market(rows: list[dict[str, Any]], index: Mapping[str, Any], rate: str = "0") -> Market:
    """A market of instruments at index prices."""
    return Market.from_document(
        {
            "as_of": AS_OF,
            "settlement": "USD",
            "rate": rate,
            "underlyings": {name: {"index": str(price)} for name, price in index.items()},
            "instruments": rows,
        }
    )


def rows_of(at: Market, lots: Mapping[str, int], cash: str = "0", account: str = "a") -> list[dict[str, str]]:
    """Rows of a book: one account, whole lots by symbol, and cash."""
    rows = [{"account": account, "instrument": at.settlement, "quantity": cash}]
    for symbol, count in lots.items():
        quantity = at.instruments[symbol].lot * Decimal(count)
        rows.append({"account": account, "instrument": symbol, "quantity": format(quantity, "f")})
    return rows


def book(at: Market, lots: Mapping[str, int], cash: str = "0") -> Book:
    """A book of one account."""
    return Book.from_rows(rows_of(at, lots, cash))


def accounts_of(books: list[Mapping[int, int]], cash_nano: list[int]) -> Accounts:
    """Arrays of accounts a0, a1, … that hold lots by leg."""
    legs = [leg for book in books for leg in sorted(book)]
    return Accounts(
        [f"a{k}" for k in range(len(books))],
        np.array(cash_nano, np.int64),
        np.concatenate([[0], np.cumsum([len(book) for book in books])]).astype(np.int64),
        np.array(legs, np.int32),
        np.array([book[leg] for book in books for leg in sorted(book)], np.int64),
    )


def random_tables(at: Market, seed: int, scale: int) -> Any:
    """The `portfolio` tables of a market with random numbers in every row, where charges and gaps are not negative.

    Legs of one strike are of one curve or not, at random; those that are have the same gaps. Neighbouring strikes of
    an expiry may be one, so that a strike has more than two legs."""
    random = np.random.default_rng(seed)
    tables = models.get("portfolio").tables(at)
    if random.integers(0, 2):
        tables = tables._replace(leg_group=np.where(tables.leg_group < 0, -1, tables.leg_block).astype(np.int32))
    values = random.integers(-scale, scale, tables.values.shape)
    values[:, 34:] = random.integers(0, scale // 3 + 1, values[:, 34:].shape)
    extra = random.integers(0, scale, tables.extra.shape)
    extra[:, 6:9] = random.integers(0, 2, (len(extra), 3)) * random.integers(0, 2)
    first_of: dict[tuple[int, ...], int] = {}
    for leg in np.flatnonzero(tables.leg_group >= 0).tolist():
        first = first_of.setdefault((int(tables.leg_group[leg]), *extra[leg, 6:9].tolist()), leg)
        values[leg, 34:] = values[first, 34:]
    params = tables.underlying_params.copy()
    params[:, -2] = random.integers(0, scale, len(params))
    params[:, -1] = random.integers(0, 10**6, len(params))
    return tables._replace(values=values, extra=extra, underlying_params=params)


def black(forward: Array, strike: float, total_vol: Array, right: int) -> Array:
    """Black-76 without discount."""
    s = np.maximum(total_vol, 1e-12)
    d1 = np.log(forward / strike) / s + s / 2
    value: Array = right * (forward * ndtr(right * d1) - strike * ndtr(right * (d1 - s)))
    return value


class Values:
    """Float values of one lot of each leg of a market, at moves of the index and shares of the vol shock."""

    def __init__(self, at: Market, parameters: Any) -> None:
        self.legs = at.legs
        self.as_of_ns = at.as_of_ns
        self.rate = at.rate
        self.p = parameters

    def years(self, leg: int) -> float:
        """To the expiry."""
        return max(0.0, (int(self.legs.expiry_ns[leg]) - self.as_of_ns) / YEAR_NS)

    def life(self, leg: int) -> float:
        """Years that carry volatility: a dynamic strike has none before it is fixed."""
        start = self.as_of_ns
        if self.legs.kind[leg] == FORWARD_START:
            start = max(start, int(self.legs.fix_ns[leg]))
        return max(0.0, (int(self.legs.expiry_ns[leg]) - start) / YEAR_NS)

    def vol_multiples(self, life: float) -> tuple[float, float]:
        """Multiples of a volatility under the down and the up shock."""
        reference = 30 / 365
        life = max(life, self.p.life_floor_days / 365)
        power = self.p.power_short_ppm if life <= reference else self.p.power_long_ppm
        scale = (reference / life) ** (power / 1e6)
        return max(0.0, 1 - self.p.vol_down_ppm / 1e6 * scale), 1 + self.p.vol_up_ppm / 1e6 * scale

    def at(self, leg: int, multiple: Array, share: Array) -> Array:
        """Value of one lot with the index times `multiple`; share of the vol shock: −1 down, 0, +1 up."""
        legs = self.legs
        index = float(legs.index[legs.underlying[leg]])
        lot, ratio = float(legs.lot[leg]), float(legs.ratio[leg])
        if legs.kind[leg] == CONSTANT:
            return np.full(np.broadcast(multiple, share).shape, -lot / ratio)
        if legs.kind[leg] == LINEAR:
            return np.asarray(lot * ratio * index * multiple + 0.0 * share)
        down, up = self.vol_multiples(self.life(leg))
        vol = float(legs.iv[leg]) * (1 + np.where(share < 0, share * (1 - down), share * (up - 1)))
        strike = float(legs.strike[leg])
        if legs.kind[leg] == FORWARD_START:
            strike = strike * index * ratio * multiple
        total = vol * np.sqrt(self.life(leg))
        scale = lot * np.exp(-self.rate * self.years(leg))
        value: Array = scale * black(index * ratio * multiple, strike, total, int(legs.right[leg]))
        return value


def dense_moves(at: Market, underlying: int, width: float, count: int) -> Array:
    """Multiples of the index over the range: evenly spaced, and every strike inside, where payoffs kink."""
    legs = at.legs
    mine = (legs.underlying == underlying) & (legs.kind == OPTION)
    kinks = legs.strike[mine] / (legs.index[underlying] * legs.ratio[mine])
    inside = kinks[np.abs(kinks - 1) <= width]
    return np.unique(np.concatenate([np.linspace(1 - width, 1 + width, count), inside]))


def changes(at: Market, parameters: Any, lots: Mapping[int, int], moves: Array, shares: Array) -> Array:
    """float64[shares, moves]: change of the value of lots by leg, all on one underlying."""
    values = Values(at, parameters)
    total = np.zeros((len(shares), len(moves)))
    for leg, count in lots.items():
        now = values.at(leg, np.ones(1), np.zeros(1))
        total += count * (values.at(leg, moves[None, :], shares[:, None]) - now)
    return total
