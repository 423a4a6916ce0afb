"""The cheapest way back: the trades of least cost that lift an account to its initial margin, or the least deposit.

Two searches, and the cheaper answer of both: the smallest trade in each candidate alone, on the exact function,
and trades in several by linear programs (`hedge_search.py`). Whatever a search proposes is evaluated exactly,
cost paid, before it is an answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np

from seawall.core.errors import InputError
from seawall.margin.hedge_search import Search
from seawall.margin.least_size import least_size
from seawall.margin.single import Figures, Single
from seawall.margin.trials import TradingCosts, Trials, most_lots

__all__ = ["Hedge", "Trade", "cheapest_hedge", "hedge_of"]

Array = np.ndarray[Any, Any]
CANDIDATES_MAX = 24


class Trade(NamedTuple):
    """lots: signed, negative to sell; quantity: the same in units of the underlying; cost_micro: to trade it."""

    symbol: str
    lots: int
    quantity: Decimal
    cost_micro: int


class Hedge(NamedTuple):
    """What brings an account back to its initial margin.

    before, after: the account's figures (micro) now, and with the trades done and their cost paid; after is
    None where no trades were found. trades: none where none are needed. cost_micro: of all trades.
    single: the cheapest trade in one instrument that does it alone, if any. deposit_micro: the least deposit
    that does it without a trade. candidates: the instruments that were considered. evaluations: how many
    portfolios were evaluated.
    """

    account: str
    before: Figures
    after: Figures | None
    trades: tuple[Trade, ...]
    cost_micro: int
    single: Trade | None
    deposit_micro: int
    candidates: tuple[str, ...]
    evaluations: int

    @property
    def exists(self) -> bool:
        """Whether trades that restore initial margin were found, or none are needed."""
        return self.after is not None


def cheapest_hedge(
    book: Any,
    market: Any,
    model: Any,
    account: str,
    candidates: Sequence[str] | Mapping[str, Any] | None = None,
    costs: TradingCosts | None = None,
) -> Hedge:
    """The trades of least cost, in whole lots, after which equity is at initial margin or above.

    candidates: instruments to trade, or {instrument: most to buy or sell}; by default those of the account's
    underlyings, at most 24 (see `default_candidates`). Trades are at the mark; fees and half spreads
    (`TradingCosts`, ppm) are paid out of equity and are what is least. Spot is sold only as far as it is
    held. Raises InputError for what market, model or book do not have, MissingExtra without HiGHS.
    """
    return hedge_of(Single.of(book, market, model, account), candidates, costs, account)


def hedge_of(
    single: Single,
    candidates: Sequence[str] | Mapping[str, Any] | None = None,
    costs: TradingCosts | None = None,
    account: str = "",
) -> Hedge:
    """`cheapest_hedge` of one account's positions."""
    costs = (costs or TradingCosts()).checked()
    before = single.evaluate()
    if isinstance(candidates, str):
        raise InputError("candidates", candidates, "a list of instruments")
    given = None if candidates is None else most_lots(single.market, candidates)
    if given == {}:
        raise InputError("candidates", "none", "at least one instrument to trade")
    if before.free >= 0:
        return Hedge(account, before, before, (), 0, None, 0, tuple(given or ()), 1)
    asked = 0
    if given is None:
        given, asked = default_candidates(single, costs)
    trials = Trials(single, given, costs)
    search = Search(trials)
    alone = _alone(trials) if given else None
    starts = [np.zeros(len(given), np.int64)]
    if given and before.equity >= 0:
        closing = _closing(trials)
        search.offer(closing)
        if alone is not None:
            search.offer(alone[None, :])
        starts += [closing[-1]] if search.best is None else [closing[-1], search.best]
        search.run(starts)
    after = None if search.best is None else trials.figures(search.best)
    return Hedge(
        account,
        before,
        after,
        () if search.best is None else _trades(trials, search.best),
        search.cost,
        None if alone is None else _trades(trials, alone)[0],
        -before.free,
        trials.symbols,
        asked + trials.asked,
    )


def default_candidates(single: Single, costs: TradingCosts) -> tuple[dict[str, int | None], int]:
    """Instruments that are alive and of the account's underlyings; and trials made.

    Where they are more than 24: those that the account holds, then those that gain most free collateral,
    up to what is missing, for their cost.
    """
    market = single.market
    exposed = {single.underlyings[u] for u in single.legs.underlying[single.position].tolist()}
    names = list(market.instruments)
    held = {names[k] for k in single.legs.instrument[single.position].tolist() if k >= 0}
    found = [
        symbol
        for symbol, instrument in market.instruments.items()
        if exposed.intersection(instrument.underlyings)
        and (not instrument.expiry_ns or instrument.expiry_ns > market.as_of_ns)
    ]
    if len(found) <= CANDIDATES_MAX:
        return dict.fromkeys(found), 0
    trials = Trials(single, dict.fromkeys(found), costs)
    score = _scores(trials)
    order = sorted(range(len(found)), key=lambda c: (found[c] not in held, -score[c]))
    best = sorted(c for c in order[:CANDIDATES_MAX] if score[c] > 0 or found[c] in held)
    return {found[c]: None for c in best}, trials.asked


def _scores(trials: Trials) -> Array:
    """float64[m]: free collateral that a candidate alone gains, up to what is missing, over its cost; the best of
    sizes 1, 4, 16, …"""
    sizes = 4 ** np.arange(16, dtype=np.int64)
    count = len(trials.symbols)
    score = np.zeros(count)
    missing = -trials.base.free
    for c in range(count):
        amounts = np.concatenate([sizes[sizes <= trials.buys[c]], -sizes[sizes <= trials.sells[c]]])
        rows = np.zeros((len(amounts), count), np.int64)
        rows[:, c] = amounts
        if len(rows):
            gained = np.minimum(trials.free(rows) - trials.base.free, missing)
            score[c] = (gained / (np.abs(amounts) * trials.lot_cost_micro[c])).max()
    return score


def _closing(trials: Trials) -> Array:
    """int64[17, m]: rows that close sixteenths of what the account holds of the candidates; the first is none."""
    held = np.array([trials.held_lots(c) for c in range(len(trials.symbols))], np.int64)
    parts = np.arange(17, dtype=np.int64)[:, None]
    return -np.sign(held) * -(-np.abs(held) * parts // 16)


def _alone(trials: Trials) -> Array | None:
    """The row of the cheapest trade in one candidate that passes, None where none was found.

    Exact where the requirement is convex in the size (`least_size`).
    """
    best: tuple[int, int, int] | None = None
    for c in range(len(trials.symbols)):
        lot = int(trials.lot_cost_micro[c])
        for sign, most in ((1, int(trials.buys[c])), (-1, int(trials.sells[c]))):
            if best is not None:
                most = min(most, (best[0] - 1) // lot)
            size = _least_size(trials, c, sign, most)
            if size:
                best = (size * lot, c, sign * size)
    if best is None:
        return None
    row = np.zeros(len(trials.symbols), np.int64)
    row[best[1]] = best[2]
    return row


def _least_size(trials: Trials, c: int, sign: int, most: int) -> int:
    """The least size in one candidate and side that passes, 0 for none."""

    def free(sizes: Array) -> Array:
        rows = np.zeros((len(sizes), len(trials.symbols)), np.int64)
        rows[:, c] = sign * sizes
        return trials.free(rows)

    return least_size(free, most)


def _trades(trials: Trials, row: Array) -> tuple[Trade, ...]:
    """The trades of a row of lots, those that are none left out."""
    instruments = trials.single.market.instruments
    return tuple(
        Trade(
            trials.symbols[c],
            int(row[c]),
            int(row[c]) * Decimal(instruments[trials.symbols[c]].lot),
            abs(int(row[c])) * int(trials.lot_cost_micro[c]),
        )
        for c in np.flatnonzero(row).tolist()
    )
