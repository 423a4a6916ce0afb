"""A modelled board of instruments around given prices: spot, perpetuals, dated futures and options.

Vols follow one smile per expiry in the raw SVI form of total variance, w(k) = a + b(ρ(k − m) + √((k − m)² +
σ²)) (J. Gatheral, A. Jacquier, "Arbitrage-free SVI volatility surfaces", Quantitative Finance 14, 2014),
written in units of the expiry's own standard deviation so that one set of numbers fits every expiry and every
level of vol. All of it is a model: no venue's quotes are in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import floor, log10

import msgspec
import numpy as np

from seawall.core.times import DAY_NS, HOUR_NS, YEAR_NS, format_ns

__all__ = ["Board", "Smile", "make_board"]

# Days to the expiries of a demonstration board; at 08:00 UTC.
_EXPIRY_DAYS = (1, 2, 7, 14, 28, 77)
_CARRY = 0.04  # yearly premium of a dated future over its index
_CALM_VOL = {"BTC": 0.40, "ETH": 0.60, "SOL": 0.70}
_OTHER_VOL = 0.85
_HAIRCUT = {"BTC": "0.08", "ETH": "0.10", "SOL": "0.20"}


class Smile(msgspec.Struct, frozen=True):
    """The shape of every modelled smile.

    w(z)/w(0) = 1 + slope·(rho·z + √(z² + bend²) − bend) with z = log-moneyness / (vol·√T): the raw SVI with
    a = w0(1 − slope·bend), b = slope·√w0, σ = bend·√w0, m = 0. Positive and free of butterflies for
    slope·(1 + |rho|)·√w0 < 2; w0 grows with T at every stress level, so calendars hold at the money.
    """

    slope: float = 0.22
    rho: float = -0.3
    bend: float = 1.0
    stress_gain: float = 1.6
    stress_days: float = 3.0

    def atm(self, calm_vol: np.ndarray, years: np.ndarray, stress: np.ndarray) -> np.ndarray:
        """At-the-money vol: stress in [0, 1] lifts short expiries most (×2.4 at one day, ×1.3 at eleven
        weeks)."""
        days = years * 365.0
        term = np.sqrt(self.stress_days / (np.maximum(days, 0.0) + self.stress_days))
        return calm_vol * (1.0 + self.stress_gain * stress * term)

    def vols(self, log_moneyness: np.ndarray, years: np.ndarray, atm: np.ndarray) -> np.ndarray:
        """Implied vols at ln(strike/forward)."""
        z = log_moneyness / (atm * np.sqrt(np.maximum(years, 1e-6)))
        # Far wings of short expiries are cut where no quote would exist.
        z = np.clip(z, -12.0, 12.0)
        ratio = 1.0 + self.slope * (self.rho * z + np.sqrt(z * z + self.bend**2) - self.bend)
        return atm * np.sqrt(ratio)


class Board(msgspec.Struct, frozen=True, eq=False):
    """A modelled market: a document in the shape of market.json and the arrays of its options.

    option_*: one entry per option, in the order of `symbols`; option_underlying indexes `underlyings`.
    """

    document: dict
    underlyings: tuple[str, ...]
    as_of_ns: int
    smile: Smile
    calm_vol: np.ndarray
    symbols: tuple[str, ...]
    option_underlying: np.ndarray
    option_strike: np.ndarray
    option_expiry_ns: np.ndarray

    def vols(self, at_ns: int, index: np.ndarray, stress: np.ndarray) -> np.ndarray:
        """Implied vol of every option at a time, for index[U] and stress[U]; NaN once expired."""
        years = (self.option_expiry_ns - at_ns) / YEAR_NS
        u = self.option_underlying
        forward = index[u] * np.exp(_CARRY * years)
        atm = self.smile.atm(self.calm_vol[u], years, stress[u])
        vols = self.smile.vols(np.log(self.option_strike / forward), years, atm)
        return np.where(years > 0, np.round(vols, 4), np.nan)


def make_board(
    prices: Mapping[str, str],
    as_of_ns: int,
    *,
    until_ns: int | None = None,
    instruments: int | None = None,
    option_share: float = 0.9,
    smile: Smile | None = None,
) -> Board:
    """A board around `prices` (decimal strings by underlying) at a time.

    until_ns: no contract expires before it (a replay's end). instruments: exactly that many, `option_share`
    of them options, shared evenly; None gives a demonstration board: six expiries by seventeen strikes for
    the two largest names, three by nine for the others.
    """
    smile = smile or Smile()
    names = tuple(prices)
    index = np.array([float(prices[name]) for name in names])
    calm = np.array([_CALM_VOL.get(name, _OTHER_VOL) for name in names])
    shift = 0 if until_ns is None else max(0, -(-(until_ns - as_of_ns) // DAY_NS))
    rows: list[dict] = []
    options: list[tuple[str, int, float, int]] = []
    for u, name in enumerate(names):
        linear, days, strikes = _sizes(u, len(names), instruments, option_share)
        rows += _linear(name, index[u], as_of_ns, shift, linear)
        made = _options(u, name, index[u], calm[u], as_of_ns, shift, days, strikes, smile)
        rows += [row for row, _ in made]
        options += [key for _, key in made]
    if instruments is not None and len(rows) != instruments:
        raise AssertionError(f"board of {len(rows)} instruments, asked for {instruments}")
    document = {
        "as_of": format_ns(as_of_ns),
        "settlement": "USD",
        "rate": "0",
        "underlyings": {name: {"index": str(price)} for name, price in prices.items()},
        "instruments": rows,
    }
    board = Board(
        document,
        names,
        as_of_ns,
        smile,
        calm,
        tuple(option[0] for option in options),
        np.array([option[1] for option in options], np.int64),
        np.array([option[2] for option in options], np.float64),
        np.array([option[3] for option in options], np.int64),
    )
    vols = board.vols(as_of_ns, index, np.zeros(len(names)))
    by_symbol = {row["symbol"]: row for row in rows}
    for symbol, vol in zip(board.symbols, vols.tolist(), strict=True):
        by_symbol[symbol]["iv"] = f"{vol:.4f}"
    return board


def _sizes(u: int, names: int, instruments: int | None, share: float) -> tuple[int, list[int], list[int]]:
    """(linear instruments, days of the expiries, options per expiry) of one underlying."""
    if instruments is None:
        days = list(_EXPIRY_DAYS) if u < 2 else [2, 7, 28]
        return 4, days, [34 if u < 2 else 18] * len(days)
    options_all = round(instruments * share)
    options = options_all // names + (u < options_all % names)
    linear_all = instruments - options_all
    linear = linear_all // names + (u < linear_all % names)
    if linear < 2:
        raise ValueError("a board needs a spot and a perpetual of each underlying")
    count = min(9, max(1, options // 8))
    days = [1, 2, 3, 7, 14, 28, 49, 77, 168][:count]
    return linear, days, [options // count + (e < options % count) for e in range(count)]


def _linear(name: str, index: float, as_of_ns: int, shift: int, count: int) -> list[dict]:
    lot = _lot(index, 30.0)
    spot = {
        "symbol": name,
        "kind": "spot",
        "underlying": name,
        "lot": lot,
        "haircut": _HAIRCUT.get(name, "0.35"),
    }
    mark = _price(index * 1.0002, index)
    rows = [
        spot,
        {"symbol": f"{name}-PERP", "kind": "perpetual", "underlying": name, "lot": lot, "mark": mark},
    ]
    for n in range(count - 2):
        expiry = _expiry(as_of_ns, shift + (28, 77)[n] if count == 4 else shift + 28 + 14 * n)
        years = (expiry - as_of_ns) / YEAR_NS
        row = {"symbol": f"{name}-{_day(expiry)}", "kind": "future", "underlying": name, "lot": lot}
        rows.append(
            row | {"expiry": format_ns(expiry), "mark": _price(index * np.exp(_CARRY * years), index)}
        )
    return rows


def _options(
    u: int, name: str, index: float, calm: float, as_of_ns: int, shift: int, days: Sequence[int],
    counts: Sequence[int], smile: Smile,
) -> list[tuple[dict, tuple]]:  # fmt: skip
    """Calls and puts in pairs on strikes spread over ±2.5 standard deviations, at round prices."""
    made = []
    lot = _lot(index, 300.0)
    for day, count in zip(days, counts, strict=True):
        expiry = _expiry(as_of_ns, shift + day)
        years = (expiry - as_of_ns) / YEAR_NS
        forward = index * np.exp(_CARRY * years)
        spread = float(smile.atm(np.array([calm]), np.array([years]), np.zeros(1))[0]) * np.sqrt(years)
        strikes = _strikes(forward, spread, (count + 1) // 2)
        fields = {"kind": "option", "underlying": name, "lot": lot}
        for n in range(count):
            strike, right = strikes[n // 2], ("call", "put")[n % 2]
            symbol = f"{name}-{_day(expiry)}-{strike}-{right[0].upper()}"
            row = (
                {"symbol": symbol} | fields | {"right": right, "strike": strike, "expiry": format_ns(expiry)}
            )
            row["forward"] = _price(forward, index)
            made.append((row, (symbol, u, float(strike), expiry)))
    return made


def _strikes(forward: float, spread: float, count: int) -> list[str]:
    """`count` round strikes around the forward, evenly spaced, within about ±2.5 standard deviations."""
    raw = min(5.0 * spread, 1.2) * forward / max(count - 1, 1)
    unit = 10.0 ** floor(log10(raw))
    step = next(unit * m for m in (1, 2, 2.5, 5, 10) if unit * m >= raw * 0.8)
    first = round(forward / step) - count // 2
    first = max(first, 1)
    decimals = max(0, -floor(log10(step)) + 1)
    return [_plain(round((first + n) * step, decimals)) for n in range(count)]


def _lot(index: float, worth: float) -> str:
    """The power of ten of units that is worth about so much."""
    return _plain(10.0 ** round(log10(worth / index)))


def _price(value: float, index: float) -> str:
    """Rounded to six significant digits of the index."""
    return _plain(round(float(value), 5 - floor(log10(index))))


def _plain(value: float) -> str:
    text = f"{value:.10f}"
    return text.rstrip("0").rstrip(".")


def _expiry(as_of_ns: int, days: int) -> int:
    """08:00 UTC, `days` days after the next one."""
    today = as_of_ns - as_of_ns % DAY_NS + 8 * HOUR_NS
    return today + days * DAY_NS


def _day(ns: int) -> str:
    """As in a symbol: 26DEC25."""
    return datetime.fromtimestamp(ns // 10**9, UTC).strftime("%d%b%y").lstrip("0").upper()
