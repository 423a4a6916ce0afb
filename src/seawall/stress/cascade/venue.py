"""Who holds what before the crash: a seeded, balanced book of perpetuals, or a user's own.

Every long has a short. Traders are levered, mostly long, a few thousand of them with log-normal equity and
leverage; makers hold the other side with low leverage, half of them hedged in coin. The distribution of leverage is
an assumption in the range of published accounts (median 2.2, up to 45 where tiers allow).
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from seawall.core.errors import InputError
from seawall.kernels.account import evaluate_accounts
from seawall.ledger.accounts import Accounts
from seawall.market.legs import ROLE_FUTURE, ROLE_PERPETUAL, ROLE_SPOT
from seawall.market.market import Market
from seawall.stress.board import make_board
from seawall.stress.crash import START_NS

__all__ = ["REST", "Venue", "VenueMix", "given_venue", "modelled_venue"]

REST = "rest of the market"
# How open interest is spread over the names of the modelled crash; others share the last weight.
_WEIGHTS = {"BTC": 0.36, "ETH": 0.28, "SOL": 0.12, "XRP": 0.07, "DOGE": 0.05, "LINK": 0.04, "AVAX": 0.04}
_WEIGHT = 0.04


class VenueMix(msgspec.Struct, frozen=True, kw_only=True):
    """accounts: of traders and makers together. long_share: of traders' positions. leverage_median,
    leverage_sigma, leverage_max: log-normal. makers_share: of accounts. hedged_share: of makers, with the coin
    they are short. equity_*: log-normal, settlement currency. room: equity over initial margin at the least."""

    accounts: int = 3_000
    long_share: float = 0.78
    leverage_median: float = 2.2
    leverage_sigma: float = 0.7
    leverage_max: float = 45.0
    makers_share: float = 0.02
    hedged_share: float = 0.5
    equity_median: float = 6_000.0
    equity_sigma: float = 1.4
    equity_max: float = 4e5
    room: float = 1.1


class Venue(msgspec.Struct, frozen=True, eq=False):
    """market: spot and perpetuals. accounts: the book, Σ lots of each contract zero. entry_nano int64[N]: per
    row, the price of one lot when it was opened. seed: what it was drawn from (None: given)."""

    market: Market
    accounts: Accounts
    entry_nano: np.ndarray
    seed: int | None = None


def modelled_venue(prices: dict[str, str], seed: int, model: Any, mix: VenueMix | None = None) -> Venue:
    """A balanced book over perpetuals of these names. The same arguments give the same book, bit for bit."""
    mix = mix or VenueMix()
    document = make_board(prices, START_NS).document
    kept = [row for row in document["instruments"] if row["kind"] in ("spot", "perpetual")]
    market = Market.from_document({**document, "instruments": kept})
    rng = np.random.default_rng(np.random.SeedSequence([seed, 77]))
    perps = np.flatnonzero(market.legs.role == ROLE_PERPETUAL)
    makers = max(4, round(mix.accounts * mix.makers_share))
    traders = mix.accounts - makers
    if traders < 1:
        raise InputError("accounts", mix.accounts, "at least 5")
    equity = np.minimum(mix.equity_median * np.exp(mix.equity_sigma * rng.standard_normal(traders)), mix.equity_max)
    lots = _traders(market, perps, equity, model, mix, rng)
    held, cash = _makers(market, perps, -lots.sum(axis=0), makers, mix, rng)
    whole = np.concatenate([lots, held])
    value = market.legs.value_nano
    own = np.concatenate([np.round(equity * 1e6).astype(np.int64) * 1000, cash + (held * value).sum(axis=1)])
    rows, legs = np.nonzero(whole)
    drift = np.where(rows < traders, 0.0, 0.01) + 0.02 * rng.standard_normal(len(rows))
    entry = np.round(value[legs] * np.exp(drift)).astype(np.int64)
    row_ptr = np.concatenate([[0], np.cumsum((whole != 0).sum(axis=1))]).astype(np.int64)
    names = [f"t{n:05d}" for n in range(1, traders + 1)] + [f"m{n:03d}" for n in range(1, makers + 1)]
    accounts = Accounts(names, own - (whole * value).sum(axis=1), row_ptr, legs.astype(np.int32), whole[rows, legs])
    return Venue(market, accounts, entry, seed)


def given_venue(market: Market, accounts: Accounts, place: str = "book") -> Venue:
    """A user's book; what its longs and shorts do not match is held by one more account, `REST`, with ample
    cash. InputError for anything but linear perpetuals, futures and coin."""
    legs = market.legs
    linear = (legs.kind == 0) & np.isin(legs.role, (ROLE_SPOT, ROLE_PERPETUAL, ROLE_FUTURE))
    wrong = np.flatnonzero(~linear[accounts.leg])
    if len(wrong):
        expected = "linear perpetuals, futures and coin: a cascade trades nothing else"
        raise InputError(place, f"a position in {legs.symbols[int(accounts.leg[wrong[0]])]}", expected)
    sums = np.bincount(accounts.leg, accounts.lots, len(legs)).round().astype(np.int64)
    sums[legs.role == ROLE_SPOT] = 0
    other = np.flatnonzero(sums)
    cash = 4 * int((np.abs(sums[other]) * legs.value_nano[other]).sum()) - int((-sums[other] * legs.value_nano[other]).sum())
    merged = Accounts(
        [*accounts.names, REST],
        np.append(accounts.cash_nano, cash),
        np.append(accounts.row_ptr, accounts.row_ptr[-1] + len(other)),
        np.concatenate([accounts.leg, other.astype(np.int32)]),
        np.concatenate([accounts.lots, -sums[other]]),
    )
    return Venue(market, merged, legs.value_nano[merged.leg].copy())


def _traders(
    market: Market, perps: np.ndarray, equity: np.ndarray, model: Any, mix: VenueMix, rng: np.random.Generator
) -> np.ndarray:
    """int64[A, L]: directional positions, cut back to what initial margin allows."""
    legs, count = market.legs, len(equity)
    names = [market.underlyings[u] for u in legs.underlying[perps].tolist()]
    weight = np.array([_WEIGHTS.get(name, _WEIGHT) for name in names])
    share = rng.dirichlet(weight * 4, count)
    # Most traders hold one to three contracts.
    kept = np.minimum(rng.geometric(0.5, count), len(perps))
    rank = np.argsort(np.argsort(-share, axis=1), axis=1)
    share = np.where(rank < kept[:, None], share, 0.0)
    share /= share.sum(axis=1, keepdims=True)
    leverage = np.minimum(mix.leverage_median * np.exp(mix.leverage_sigma * rng.standard_normal(count)), mix.leverage_max)
    side = np.where(rng.random((count, 1)) < mix.long_share, 1, -1)
    lot_worth = legs.value_nano[perps] * 1e-9
    wanted = side * share * (equity * leverage)[:, None] / lot_worth
    lots = np.zeros((count, len(legs)), np.int64)
    lots[:, perps] = np.rint(wanted)
    tables = model.tables(market)
    for _ in range(4):
        initial = _initial(model, tables, lots)
        cut = np.minimum(1.0, equity * 1e6 / (mix.room * np.maximum(initial, 1)))
        lots = np.where(cut[:, None] < 1.0, np.trunc(lots * cut[:, None] * 0.999).astype(np.int64), lots)
    return lots


def _initial(model: Any, tables: Any, lots: np.ndarray) -> np.ndarray:
    out = np.zeros((len(lots), 4), np.int64)
    rows, legs = np.nonzero(lots)
    ptr = np.concatenate([[0], np.cumsum((lots != 0).sum(axis=1))]).astype(np.int64)
    evaluate_accounts(
        model.kind, tables, ptr[:-1], ptr[1:], legs.astype(np.int32), lots[rows, legs], np.zeros(len(lots), np.int64), out
    )
    return out[:, 1]


def _makers(
    market: Market, perps: np.ndarray, missing: np.ndarray, count: int, mix: VenueMix, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(int64[M, L] lots, int64[M] cash_nano): the other side of the traders, shared out whole."""
    legs = market.legs
    lots = np.zeros((count, len(legs)), np.int64)
    for leg in perps.tolist():
        part = np.floor(rng.dirichlet(np.full(count, 1.5)) * abs(int(missing[leg]))).astype(np.int64)
        part[0] += abs(int(missing[leg])) - int(part.sum())
        lots[:, leg] = np.sign(missing[leg]) * part
    spot = {int(legs.underlying[leg]): leg for leg in np.flatnonzero(legs.role == ROLE_SPOT).tolist()}
    for maker in np.flatnonzero(np.arange(count) < count * mix.hedged_share).tolist():
        for leg in perps.tolist():
            if lots[maker, leg] < 0 and int(legs.underlying[leg]) in spot:
                lots[maker, spot[int(legs.underlying[leg])]] = -lots[maker, leg]
    gross = (np.abs(lots[:, perps]) * legs.value_nano[perps]).sum(axis=1)
    net = (lots[:, perps] * legs.value_nano[perps]).sum(axis=1)
    leverage = rng.uniform(2.0, 4.0, count)
    return lots, (gross / leverage).astype(np.int64) // 1000 * 1000 - net
