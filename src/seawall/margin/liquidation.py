"""Where an account is liquidated: the set of prices, the volatility, the time at which health crosses zero.

Each crossing is two neighbouring values, both evaluated exactly, one with health of zero or more
and one with less. Option books have several crossings, so the answer is a set; along prices it is
proved complete where the model's rows allow (`crossings.py`), and says so where they do not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, localcontext
from typing import Any, NamedTuple

import numpy as np

from seawall.core.errors import BadNumber, LimitExceeded
from seawall.core.units import NANO, parse_positive
from seawall.margin.crossings import Search
from seawall.margin.single import Single

__all__ = [
    "Crossing",
    "Crossings",
    "default_tick",
    "liquidation_prices",
    "liquidation_time",
    "liquidation_vols",
    "market_liquidation",
    "prices_of",
]

BUDGET = 3_000  # evaluations, after which completeness is no longer claimed
SEARCHED = 96  # first looks where nothing can be proved
GLANCES = (0.2, 0.4, 0.6, 0.8, 0.9, 0.96, 1.0, 1.04, 1.1, 1.22, 1.5, 2.2, 4.0)  # first looks where all can be proved
WIDTH = 10  # the range reaches to a tenth and to ten times the price
DAY_NS = 86_400 * 10**9


class Crossing(NamedTuple):
    """Neighbouring values with health on either side of zero (micro): a price, a vol move, ns."""

    below: Decimal
    above: Decimal
    health_below: int
    health_above: int

    @property
    def falling(self) -> bool:
        """Whether the account is liquidatable above it rather than below."""
        return self.health_above < 0


class Crossings(NamedTuple):
    """All crossings between low and high on a grid of `tick`, lowest first.

    complete: whether it is proved that no other tick-to-tick crossing lies between them.
    health: at present, micro. evaluations: how many markets were looked at.
    """

    found: tuple[Crossing, ...]
    low: Decimal
    high: Decimal
    tick: Decimal
    complete: bool
    health: int
    evaluations: int


def default_tick(price: Decimal) -> Decimal:
    """The decimal step of an answer: the largest power of ten of at most a millionth of the price."""
    return max(Decimal(1).scaleb(price.adjusted() - 6), Decimal("1e-9"))


def liquidation_prices(
    book: Any,
    market: Any,
    model: Any,
    account: str,
    underlying: str,
    others: str | Mapping[str, Any] = "held",
    **options: Any,
) -> Crossings:
    """The prices of an underlying at which the account's health crosses zero.

    others: "held", or betas by underlying: each moves by beta times the underlying's relative move.
    options: low, high (default a tenth and ten times the price, as far as limits allow), tick (default
    `default_tick`). Raises InputError for names and numbers that the market does not have.
    """
    single = Single.of(book, market, model, account)
    betas: Mapping[str, Any] = {}
    if not isinstance(others, str):
        betas = others
    elif others != "held":
        raise BadNumber("others", repr(others), "'held' or betas by underlying")
    return prices_of(single, underlying, betas, **options)


def market_liquidation(
    book: Any, market: Any, model: Any, account: str, underlying: str, beta: float = 1.0, **options: Any
) -> Crossings:
    """`liquidation_prices` with the whole market moving: every other underlying by `beta` times the move."""
    single = Single.of(book, market, model, account)
    betas = {name: beta for name in single.underlyings if name != underlying}
    return prices_of(single, underlying, betas, **options)


def prices_of(
    single: Single,
    underlying: str,
    betas: Mapping[str, Any] | None = None,
    low: Any = None,
    high: Any = None,
    tick: Any = None,
) -> Crossings:
    """`liquidation_prices` of an account that is already at hand."""
    number = single.number(underlying)
    present = Decimal(int(single.prices_nano[number])).scaleb(-9)
    step = default_tick(present) if tick is None else parse_positive(tick, "tick")
    step_nano = int(step * NANO)
    if step_nano * Decimal("1e-9") != step or step_nano < 1:
        raise BadNumber("tick", str(step), "a whole number of 1e-9")
    line = _line(single, number, step_nano, betas or {})
    first = _edge(low, present / WIDTH, step, "low", up=True)
    last = _edge(high, present * WIDTH, step, "high", up=False)
    if not first < last:
        raise BadNumber("high", str(last * step), f"a price above {first * step}")
    first, last = _within_limits(single, line, int(present / step), first, last, (low is not None, high is not None))
    search = Search(single, line, BUDGET)
    looks = _looks(single, number, first, last, int(present / step), step_nano)
    moving = np.flatnonzero(line(first) != line(last))
    exposed = bool(np.isin(single.legs.underlying[single.position], moving).any())
    found = search.crossings(looks) if exposed else []
    return _answer(search, found, first, last, step, single.evaluate().health)


def liquidation_vols(single: Single, low: Any = "-0.9", high: Any = "3", tick: Any = "0.0001") -> Crossings:
    """Relative moves of all vols together (0.2: every vol times 1.2) at which health crosses zero.

    Searched, not proved: `complete` is False unless the account has no options.
    """
    step = parse_positive(tick, "tick")
    first, last = int(Decimal(str(low)) / step), int(Decimal(str(high)) / step)
    if first * step <= -1 or first >= last:
        raise BadNumber("low", str(low), f"a move above -1 and below {high}")

    def health(at: int) -> int:
        return single.evaluate(iv=single.vols(relative=float(at * step))).health

    found, evaluations = _scan(health, first, last)
    rows = tuple(Crossing(a * step, b * step, at_a, at_b) for a, b, at_a, at_b in found)
    options = bool(np.any(single.legs.right[single.position] != 0))
    return Crossings(rows, first * step, last * step, step, not options, single.evaluate().health, evaluations)


def liquidation_time(
    single: Single, within_ns: int = 365 * DAY_NS, funding: Mapping[str, float] | None = None, tick_ns: int = 10**9
) -> Crossings:
    """Times (ns since the epoch) at which health crosses zero if prices, vols and funding stay as they are.

    funding: by underlying, what a long perpetual pays of its notional per day (0.0003 is 3 basis
    points). The time ends before the account's first expiry. Searched, not proved.
    """
    role, expiry = single.legs.role[single.position], single.legs.expiry_ns[single.position]
    end = single.now_ns + within_ns
    if np.any(expiry > single.now_ns):
        end = min(end, int(expiry[expiry > single.now_ns].min()))
    values = single.rows().values[single.position, 0].astype(np.float64)
    per_day = np.zeros(len(role))
    for name, rate in (funding or {}).items():
        if not np.isfinite(rate):
            raise BadNumber(f"funding of {name}", str(rate), "a finite share of the notional per day")
        mine = (role == 1) & (single.legs.underlying[single.position] == single.number(name))
        per_day[mine] = rate
    daily_nano = float((per_day * values) @ single.size)

    def health(at: int) -> int:
        days = at * tick_ns / DAY_NS
        paid = -int(np.floor(-daily_nano * days))
        return single.evaluate(now_ns=single.now_ns + at * tick_ns, cash_nano=-paid).health

    last = (end - single.now_ns) // tick_ns
    found, evaluations = _scan(health, 0, last) if last > 0 else ([], 0)
    start, step = Decimal(single.now_ns), Decimal(tick_ns)
    rows = tuple(Crossing(start + a * step, start + b * step, at_a, at_b) for a, b, at_a, at_b in found)
    return Crossings(rows, start, start + last * step, step, False, single.evaluate().health, evaluations)


def _line(single: Single, number: int, step_nano: int, betas: Mapping[str, Any]) -> Callable[[int], np.ndarray]:
    """Prices (int64[U] nano) at a tick: the underlying there, the others by their betas."""
    present = single.prices_nano
    moved = []
    for name, given in betas.items():
        beta = float(given)
        if not np.isfinite(beta):
            raise BadNumber(f"beta of {name}", str(given), "a finite number")
        if beta and single.number(name) != number:
            moved.append((single.number(name), beta))

    def prices(tick: int) -> np.ndarray:
        out = present.copy()
        out[number] = tick * step_nano
        relative = tick * step_nano / int(present[number]) - 1.0
        for other, beta in moved:
            out[other] = round(int(present[other]) * (1.0 + beta * relative))
        return out

    return prices


def _edge(given: Any, default: Decimal, step: Decimal, name: str, up: bool) -> int:
    price = default if given is None else parse_positive(given, name)
    with localcontext() as context:
        context.prec = 60
        whole = int(price / step)
        return max(whole + (1 if up and whole * step < price else 0), 1)


def _within_limits(
    single: Single,
    line: Callable[[int], np.ndarray],
    present: int,
    first: int,
    last: int,
    given: tuple[bool, bool],
) -> tuple[int, int]:
    """The range, drawn in towards the present where a default edge is beyond what a market can hold."""

    def holds(tick: int) -> bool:
        prices = line(tick)
        if prices.min() < 1:
            return False
        try:
            single.evaluate(prices)
        except LimitExceeded:
            return False
        return True

    edges = []
    for edge, fixed in zip((first, last), given, strict=True):
        tick = edge
        while not holds(tick):
            if fixed or tick == present:
                raise LimitExceeded("range", f"tick {tick}", "prices above zero and positions within the limits of values")
            tick = present + int((tick - present) * 0.9)
        edges.append(tick)
    return edges[0], edges[1]


def _looks(single: Single, number: int, first: int, last: int, present: int, step_nano: int) -> list[int]:
    """First ticks to look at: the ends and the present; where nothing is proved, a grid and strikes as well."""
    ticks = {first, last, *(int(present * share) for share in GLANCES)}
    if not single.bounded:
        ticks |= {int(tick) for tick in np.exp(np.linspace(np.log(first), np.log(last), SEARCHED))} | {present + 1}
        mine = (single.legs.kind == 1) & (single.legs.underlying == number)
        ticks |= {int(k * NANO / r / step_nano) for k, r in zip(single.legs.strike[mine], single.legs.ratio[mine])}
    return sorted(tick for tick in ticks if first <= tick <= last)


def _answer(search: Search, found: Any, first: int, last: int, step: Decimal, health: int) -> Crossings:
    rows = tuple(Crossing(a.tick * step, b.tick * step, a.health, b.health) for a, b in found)
    return Crossings(rows, first * step, last * step, step, search.proved, health, search.evaluations)


def _scan(health: Callable[[int], int], first: int, last: int) -> tuple[list[tuple[int, int, int, int]], int]:
    """Sign changes between neighbouring integers, found on a grid and narrowed by halving."""
    known = {tick: health(tick) for tick in sorted({int(x) for x in np.linspace(first, last, SEARCHED)})}
    found = []
    ticks = list(known)
    for left, right in zip(ticks, ticks[1:], strict=False):
        a, b = left, right
        if (known[a] < 0) == (known[b] < 0):
            continue
        while b - a > 1:
            middle = (a + b) // 2
            known[middle] = health(middle)
            if (known[middle] < 0) == (known[a] < 0):
                a = middle
            else:
                b = middle
        found.append((a, b, known[a], known[b]))
    return found, len(known)
