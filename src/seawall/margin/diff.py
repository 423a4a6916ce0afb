"""Why margin moved: the way from one book and market to another, cut into parts that sum exactly.

The account is carried over one step at a time, in this order: spot, vol, time, terms (marks' and
forwards' distance to the index, rates), parameters (the model), trades and cash. A part is what
its step changed, so parts sum to the whole to the last micro whatever the order; the order decides
only which part an interaction (say, of spot and vol) is counted in: the later one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from seawall.core.errors import InputError, StaleEvent
from seawall.core.times import format_ns
from seawall.margin.models import resolve
from seawall.margin.single import Figures, Single

__all__ = ["PARTS", "Diff", "Part", "diff"]

PARTS = ("spot", "vol", "time", "terms", "parameters", "trades and cash")
NOTHING = Figures(0, 0, 0, -1)


class Part(NamedTuple):
    """What one step changed, micro."""

    name: str
    equity: int
    initial: int
    maintenance: int


class Diff(NamedTuple):
    """From before to after (equity, initial, maintenance, micro), and the parts between, in order."""

    account: str
    before: tuple[int, int, int]
    after: tuple[int, int, int]
    parts: tuple[Part, ...]


class State(NamedTuple):
    """A book on a market under a model."""

    book: Any
    market: Any
    model: Any


def diff(before: State | tuple[Any, Any, Any], after: State | tuple[Any, Any, Any], account: str | None = None) -> Diff:
    """How equity and margin moved from (book, market, model) to another, of one account or all together.

    Raises InputError for an account that neither book has, StaleEvent where the later market is the older.
    """
    first, last = State(*before), State(*after)
    first, last = first._replace(model=resolve(first.model)), last._replace(model=resolve(last.model))
    if last.market.as_of_ns < first.market.as_of_ns:
        expected = f"a time from {format_ns(first.market.as_of_ns)} on"
        raise StaleEvent("the later market", format_ns(last.market.as_of_ns), expected)
    old, new = _singles(first), _singles(last)
    names = list(dict.fromkeys([*old, *new]))
    if account is not None:
        if account not in names:
            raise InputError("account", repr(account), "an account of one of the books")
        names = [account]
    total = np.zeros((len(PARTS) + 1, 3), np.int64).astype(object)
    for name in names:
        path = _path(old.get(name), new.get(name), last)
        total += np.array([figures[:3] for figures in path], object)
    moved = total[1:] - total[:-1]
    parts = tuple(Part(name, *(int(x) for x in row)) for name, row in zip(PARTS, moved, strict=True))
    ends = [tuple(int(x) for x in total[k]) for k in (0, -1)]
    return Diff(account or "all accounts", ends[0], ends[1], parts)  # type: ignore[arg-type]


def _singles(state: State) -> dict[str, tuple[State, np.ndarray, np.ndarray, int]]:
    accounts = state.book.bind(state.market)
    out = {}
    for row, name in enumerate(accounts.names):
        span = slice(accounts.row_ptr[row], accounts.row_ptr[row + 1])
        out[name] = (state, accounts.leg[span], accounts.lots[span], int(accounts.cash_nano[row]))
    return out


def _path(old: Any, new: Any, last: State) -> list[Figures]:
    """The account's figures before the first step and after each."""
    end = NOTHING
    if new is not None:
        end = Single(last.market, last.model, *new[1:]).evaluate()
    if old is None:
        return [NOTHING] * len(PARTS) + [end]
    state, legs, lots, cash = old
    market = state.market
    single = Single(market, state.model, legs, lots, cash)
    prices, iv = single.prices_nano.copy(), single.iv.copy()
    path = [single.evaluate()]
    for number, name in enumerate(single.underlyings):
        if name in last.market.index:
            prices[number] = int(last.market.legs.index_nano[last.market.underlyings.index(name)])
    path.append(single.evaluate(prices))
    there = last.market.legs
    for k, symbol in enumerate(single.legs.symbols):
        found = there.leg_of.get(symbol, ())
        if len(found) == 1 and single.legs.right[k] and there.right[found[0]]:
            iv[k] = there.iv[found[0]]
    path.append(single.evaluate(prices, iv))
    path.append(single.evaluate(prices, iv, last.market.as_of_ns))
    carried = _carried(market.legs, there, legs)
    if carried is None:  # something held is not listed any more: what replaced it is a trade
        return [*path, path[-1], path[-1], end]
    order = np.argsort(carried, kind="stable")
    for model in (state.model, last.model):
        path.append(Single(last.market, model, carried[order], np.asarray(lots)[order], cash).evaluate())
    return [*path, end]


def _carried(here: Any, there: Any, legs: np.ndarray) -> np.ndarray | None:
    """The same legs on another board; None where one is missing or has another lot."""
    number = {symbol: leg for leg, symbol in enumerate(there.symbols)}
    out = []
    for leg in legs:
        found = number.get(here.symbols[leg])
        if found is None or here.lot_num[leg] * there.lot_den[found] != there.lot_num[found] * here.lot_den[leg]:
            return None
        out.append(found)
    return np.array(out, np.int32)
