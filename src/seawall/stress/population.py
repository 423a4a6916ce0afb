"""A seeded population of margin accounts over any market, made as arrays.

Each account has a style (directional, hedged, option buyer, spreads, short volatility, mixed) that says where
its positions come from and how they pair up; its size is log-normal, and how much of its equity is in use
follows a mixture in which most accounts have ample room and some lie near their initial margin. Requirements
are only estimated here (notional × rate), so nothing depends on the engine that the population is meant to
test.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from seawall.core.errors import InputError
from seawall.core.times import YEAR_NS
from seawall.core.units import NANO, VALUE_NANO_MAX
from seawall.feeds.tables import write_table
from seawall.ledger.accounts import Accounts

if TYPE_CHECKING:
    import polars as pl

__all__ = ["STYLES", "Mix", "Population", "populate"]

STYLES = ("directional", "hedged", "option buyer", "spreads", "short volatility", "mixed", "isolated")
_CHUNK = 1 << 16
# Per style: where the first leg of a pair is drawn (0 linear, 1 option, 2 any), the chances of leaving it
# alone, pairing it with the other right, with the next strike, with its hedge; and of being long.
_SOURCE = np.array([0, 0, 1, 1, 1, 2, 0])
_PAIRING = np.array(
    [
        [1.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 1.0],
        [1.0, 0.0, 0.0, 0.0],
        [0.0, 0.4, 0.6, 0.0],
        [0.5, 0.3, 0.0, 0.2],
        [0.4, 0.15, 0.2, 0.25],
        [1.0, 0.0, 0.0, 0.0],
    ]
)
_LONG = np.array([0.72, 0.5, 0.95, 0.5, 0.06, 0.5, 0.75])
_SPOT, _PERPETUAL, _FUTURE, _OPTION = 0, 1, 2, 3


class Mix(msgspec.Struct, frozen=True):
    """The parameters of a population; the defaults are those of the demonstration.

    styles: weight of each of STYLES but the last; isolated: share of accounts that are isolated pools of
    another; positions_mean: mean number of positions, 1 + geometric (0: by style); zipf: exponent of the
    popularity of instruments; liquid_first: rank perpetuals and near options first (else in random order);
    collateral: share of accounts with coin as collateral; equity_median, equity_sigma: log-normal equity in
    the settlement currency.
    """

    styles: tuple[float, ...] = (0.36, 0.12, 0.14, 0.16, 0.10, 0.12)
    isolated: float = 0.10
    positions_mean: float = 0.0
    zipf: float = 1.1
    liquid_first: bool = True
    collateral: float = 0.35
    equity_median: float = 6_000.0
    equity_sigma: float = 1.7
    equity_max: float = 1e7

    @classmethod
    def bench(cls) -> Mix:
        """The book of the performance table: mean 8 positions, Zipf(1.1) over shuffled instruments."""
        styles = (0.06, 0.06, 0.20, 0.22, 0.14, 0.32)
        return cls(styles=styles, positions_mean=8.0, liquid_first=False, isolated=0.05)


class Population(msgspec.Struct, frozen=True, eq=False):
    """A population as a ledger (`accounts`) and what was drawn: style int8[A], utilisation float64[A]."""

    accounts: Accounts
    style: np.ndarray
    utilisation: np.ndarray
    seed: int
    symbols: tuple[str, ...]

    def bind(self, market: Any, settlement: str | None = None) -> Accounts:
        """The accounts, as `Book.bind` gives them, for a market (or legs) like the one they were drawn
        from."""
        legs = getattr(market, "legs", market)
        if tuple(legs.symbols) != self.symbols:
            raise InputError(
                "population", "a market of other instruments", "the market that it was drawn from"
            )
        return self.accounts

    def rows(self, market: Any) -> pl.DataFrame:
        """The book as a Polars table: account, instrument, quantity, isolated (decimal text), cash rows
        first."""
        import polars as pl

        legs, accounts = market.legs, self.accounts
        counts = np.diff(accounts.row_ptr)
        owner = np.repeat(np.arange(len(counts)), counts)
        names = [name.split(":", 1) for name in accounts.names]
        base = pl.Series([name[0] for name in names])
        pool = pl.Series([name[1] if len(name) > 1 else "" for name in names])
        # Entries default to the mark, so cash comes back as what it was before entries were taken out.
        linear = (legs.role != _SPOT) & (legs.role != _OPTION)
        entered = accounts.lots * np.where(linear, legs.value_nano, 0)[accounts.leg]
        sums = np.concatenate([[0], np.cumsum(entered)])
        cash = accounts.cash_nano + sums[accounts.row_ptr[1:]] - sums[accounts.row_ptr[:-1]]
        lot_nano = np.round(legs.lot * 1e9).astype(np.int64)
        symbols = pl.Series([str(s) for s in legs.symbols])
        quantity = _decimal_text(accounts.lots * lot_nano[accounts.leg])
        currency = pl.repeat(market.settlement, len(cash), eager=True)
        columns = ("account", "instrument", "quantity", "isolated")
        cash_rows = dict(zip(columns, (base, currency, _decimal_text(cash), pool), strict=True))
        rows = dict(zip(columns, (base[owner], symbols[accounts.leg], quantity, pool[owner]), strict=True))
        return pl.concat([pl.DataFrame(cash_rows), pl.DataFrame(rows)])

    def write(self, market: Any, path: str | Path) -> None:
        """Writes the book to a .parquet or .csv file that `Book.load` reads."""
        path = Path(path)
        if path.suffix not in (".parquet", ".csv"):
            raise InputError(str(path), f"a file ending in {path.suffix or 'nothing'!r}", ".parquet or .csv")
        write_table(self.rows(market), path)


def populate(market: Any, accounts: int, seed: int, mix: Mix | None = None) -> Population:
    """Draws `accounts` margin accounts over `market`. The same arguments give the same population, bit for
    bit."""
    mix = mix or Mix()
    if accounts < 1:
        raise InputError("accounts", accounts, "at least one")
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0]))
    table = _Table(market, mix, rng)
    if mix.positions_mean:
        mix = _calibrated(table, mix, seed)
    parts = []
    for start in range(0, accounts, _CHUNK):
        count = min(_CHUNK, accounts - start)
        chunk_rng = np.random.default_rng(np.random.SeedSequence([seed, 1, start]))
        parts.append(_draw(table, mix, count, chunk_rng))
    style = np.concatenate([part[0] for part in parts])
    counts = np.concatenate([part[2] for part in parts])
    row_ptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    leg = np.concatenate([part[3] for part in parts])
    lots = np.concatenate([part[4] for part in parts])
    cash_nano = np.concatenate([part[5] for part in parts])
    names = _names(style, leg, row_ptr, market.legs.symbols)
    book = Accounts(names=names, cash_nano=cash_nano, row_ptr=row_ptr, leg=leg.astype(np.int32), lots=lots)
    utilisation = np.concatenate([part[1] for part in parts])
    return Population(book, style, utilisation, seed, tuple(market.legs.symbols))


class _Table:
    """What the draws need to know about each leg, as arrays over the legs (amounts in float quote
    currency)."""

    def __init__(self, market: Any, mix: Mix, rng: np.random.Generator):
        legs = market.legs
        role = np.asarray(legs.role)
        self.count = len(role)
        self.role = role
        index = np.asarray(legs.index)[legs.underlying]
        self.lot_notional = index * legs.lot
        self.value_nano = np.asarray(legs.value_nano)
        self.lot_value, self.delta = _lot_values(legs, index, market.as_of_ns)
        usable = np.isin(role, (_SPOT, _PERPETUAL, _FUTURE, _OPTION)) & (np.asarray(legs.kind) <= 1)
        usable &= self.lot_notional > 0
        self._partners(legs)
        self._requirements(legs, index)
        popularity = self._popularity(legs, mix, rng)
        linear = usable & ((role == _PERPETUAL) | (role == _FUTURE))
        option = usable & (role == _OPTION)
        if not linear.any():
            raise InputError("market", "no perpetual or future", "at least one to trade")
        option = option if option.any() else linear
        self.cdfs = [
            _cdf(np.where(mask, popularity, 0.0)) for mask in (linear, option, usable & (role != _SPOT))
        ]
        perpetual = usable & (role == _PERPETUAL)
        self.isolated_cdf = _cdf(np.where(perpetual if perpetual.any() else linear, popularity, 0.0))
        spot = usable & (role == _SPOT)
        self.collateral_cdf = _cdf(np.where(spot, popularity, 0.0)) if spot.any() else None
        self.haircut = np.asarray(legs.haircut_ppm) * 1e-6

    def _partners(self, legs: Any) -> None:
        """partner[p][leg]: the other right, the next strike, the hedge; itself where there is none.

        A short perpetual is hedged with coin, a long one (partner[4]) with a future: coin is never borrowed.
        """
        self.partner = np.tile(np.arange(self.count), (5, 1))
        keys = {}
        columns = (legs.role, legs.underlying, legs.expiry_ns, legs.right, legs.strike)
        rows = list(zip(*(np.asarray(column).tolist() for column in columns), strict=True))
        perpetual: dict[int, int] = {}
        future: dict[int, int] = {}
        spot: dict[int, int] = {}
        ladder: dict[tuple, list[tuple[float, int]]] = {}
        for i, (role, u, expiry, right, strike) in enumerate(rows):
            if role == _PERPETUAL:
                perpetual.setdefault(u, i)
            elif role == _FUTURE:
                future.setdefault(u, i)
            elif role == _SPOT:
                spot.setdefault(u, i)
            elif role == _OPTION:
                keys[u, expiry, strike, right] = i
                ladder.setdefault((u, expiry, right), []).append((strike, i))
        for (u, expiry, strike, right), i in keys.items():
            self.partner[1, i] = keys.get((u, expiry, strike, -right), i)
            self.partner[3:, i] = perpetual.get(u, future.get(u, i))
        for strikes in ladder.values():
            strikes.sort()
            for (_, low), (_, high) in zip(strikes, strikes[1:]):
                self.partner[2, low] = high
        for i, (role, u, *_) in enumerate(rows):
            if role == _PERPETUAL:
                self.partner[3, i] = spot.get(u, future.get(u, i))
                self.partner[4, i] = future.get(u, i)
            elif role == _FUTURE:
                self.partner[3:, i] = perpetual.get(u, i)

    def _requirements(self, legs: Any, index: np.ndarray) -> None:
        """Estimated initial margin of one lot held long and held short."""
        iv = np.asarray(legs.iv)
        option = self.role == _OPTION
        vol = np.full(len(legs.index), 0.7)
        for u in range(len(legs.index)):
            mask = option & (np.asarray(legs.underlying) == u)
            vol[u] = float(np.median(iv[mask])) if mask.any() else 0.7
        rate = np.clip(0.44 * vol, 0.17, 0.50)[legs.underlying]
        away = np.where(option, legs.right * (np.asarray(legs.strike) - index) / index, 0.0)
        short = np.maximum(0.9 * rate - np.maximum(away, 0.0), 0.5 * rate)
        # A floor keeps nearly worthless options from being bought by the million.
        self.need_long = np.where(
            option, np.maximum(1.4 * self.lot_value, 0.02 * self.lot_notional), rate * self.lot_notional
        )
        self.need_short = np.where(option, short * self.lot_notional, rate * self.lot_notional)
        spot = self.role == _SPOT
        self.need_long[spot] = (np.asarray(legs.haircut_ppm) * 1e-6 * self.lot_notional)[spot]

    def _popularity(self, legs: Any, mix: Mix, rng: np.random.Generator) -> np.ndarray:
        """Zipf weights by rank: perpetuals first, then by nearness in strike and time; or shuffled."""
        if mix.liquid_first:
            strike = np.maximum(np.asarray(legs.strike), 1e-12)
            index = np.asarray(legs.index)[legs.underlying]
            away = np.where(self.role == _OPTION, np.abs(np.log(strike / index)), 0.0)
            when = np.asarray(legs.expiry_ns)
            order = np.array([1.0, 0.0, 2.0, 3.0])[np.clip(self.role, 0, 3)]
            rank = np.lexsort((np.asarray(legs.underlying), when, np.round(away, 2), order))
        else:
            rank = rng.permutation(self.count)
        weights = np.empty(self.count)
        weights[rank] = (1.0 + np.arange(self.count)) ** -mix.zipf
        return weights


def _draw(table: _Table, mix: Mix, count: int, rng: np.random.Generator) -> tuple:
    """One chunk of accounts: (style, utilisation, positions per account, leg, lots, cash_nano)."""
    style = _styles(mix, count, rng)
    wanted = _position_counts(mix, style, rng)
    account, leg, side, weight, relief = _pairs(table, style, wanted, rng)
    account, leg, side, weight, relief = _distinct(table.count, wanted, account, leg, side, weight, relief)
    utilisation = _utilisation(count, rng)
    equity = np.minimum(
        mix.equity_median * np.exp(mix.equity_sigma * rng.standard_normal(count)), mix.equity_max
    )
    need = np.where(side > 0, table.need_long[leg], table.need_short[leg]) * relief
    total = np.bincount(account, need * weight, count)
    scale = equity * utilisation / np.maximum(total, 1e-9)
    lots = np.maximum(np.rint(weight * scale[account]), 1.0) * side
    account, leg, lots, spot_need = _with_collateral(table, mix, style, equity, account, leg, lots, rng)
    need = np.where(lots > 0, table.need_long[leg], table.need_short[leg]) * np.abs(lots)
    # The relief of pairs was counted when sizing; whole lots may have raised the need, and equity follows it.
    sized = np.bincount(account, need, count)
    ratio = np.bincount(account, need * _relief_of(relief, len(leg)), count) / np.maximum(
        sized, 1e-9
    )
    equity = np.maximum(sized * ratio / utilisation, 10.0)
    order = np.argsort(account * table.count + leg, kind="stable")
    account, leg, lots = account[order], leg[order], lots[order].astype(np.int64)
    value = np.bincount(account, lots * np.where(table.role == _OPTION, table.lot_value, 0.0)[leg], count)
    linear = np.where(table.role == _OPTION, 0, table.value_nano)[leg] * lots
    held = np.zeros(count, np.int64)
    np.add.at(held, account, linear)
    cash_nano = np.round((equity - value) * 1e6).astype(np.int64) * 1000 - held
    gross = np.bincount(account, np.abs(lots) * table.lot_notional[leg] * 1e9, count)
    if (gross >= VALUE_NANO_MAX / 4).any():
        raise InputError(
            "mix", f"equity_max {mix.equity_max:g}", "a smaller one: positions would leave 63 bits"
        )
    counts = np.bincount(account, minlength=count)
    return style, utilisation, counts, leg, lots, cash_nano


def _calibrated(table: _Table, mix: Mix, seed: int) -> Mix:
    """The mix with its mean raised by what is lost to draws of an instrument already held."""
    asked = mix.positions_mean
    for attempt in range(2):
        rng = np.random.default_rng(np.random.SeedSequence([seed, 2, attempt]))
        made = float(np.mean(_draw(table, mix, 8192, rng)[2]))
        mix = msgspec.structs.replace(mix, positions_mean=mix.positions_mean * asked / made)
    return mix


def _styles(mix: Mix, count: int, rng: np.random.Generator) -> np.ndarray:
    weights = np.array(mix.styles) / sum(mix.styles)
    style = rng.choice(len(weights), count, p=weights).astype(np.int8)
    pool = rng.random(count) < mix.isolated * 1.1
    pool[0] = False
    pool[1:] &= ~pool[:-1]  # a pool belongs to the account before it, which is no pool
    style[pool] = 6
    return style


def _position_counts(mix: Mix, style: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    by_style = np.array([2.5, 4.0, 5.0, 7.0, 7.0, 16.0, 1.0])
    mean = np.full(len(by_style), mix.positions_mean) if mix.positions_mean else by_style
    if mix.positions_mean:
        # Isolated pools hold one position; the others make up for it, so that the mean is as asked.
        share = float(np.mean(style == 6))
        mean[:6] = (mix.positions_mean - share) / max(1.0 - share, 1e-9)
        mean[6] = 1.0
    return np.minimum(rng.geometric(1.0 / mean[style]), 200)


def _pairs(table: _Table, style: np.ndarray, wanted: np.ndarray, rng: np.random.Generator) -> tuple:
    """More candidate rows than wanted, in pairs: (account, leg, side, lots weight, relief)."""
    pairs = wanted + 1
    owner = np.repeat(np.arange(len(style)), pairs)
    kind = style[owner]
    rows = len(owner)
    first = np.empty(rows, np.int64)
    uniform = rng.random(rows)
    for source in range(3):
        mask = (_SOURCE[kind] == source) & (kind != 6)
        first[mask] = np.searchsorted(table.cdfs[source], uniform[mask])
    pool = kind == 6
    first[pool] = np.searchsorted(table.isolated_cdf, uniform[pool])
    form = (rng.random(rows)[:, None] > np.cumsum(_PAIRING, axis=1)[kind]).sum(axis=1).clip(0, 3)
    side = np.where(rng.random(rows) < _LONG[kind], 1, -1)
    second = table.partner[np.where((form == 3) & (side > 0), 4, form), first]
    worth = np.exp(0.8 * rng.standard_normal(rows))
    weight = worth / table.lot_notional[first]
    # Straddles share a side; verticals and hedges oppose, a hedge by the sign of the delta.
    delta = np.where(table.role[first] == _OPTION, table.delta[first], 1.0)
    side2 = np.where(form == 1, side, np.where(form == 3, -side * np.sign(delta), -side)).astype(np.int64)
    ratio = np.where(form == 3, np.maximum(np.abs(delta), 0.05), 1.0)
    weight2 = weight * ratio * table.lot_notional[first] / table.lot_notional[second]
    # What a pair needs against the sum of its legs' own needs, roughly.
    relief = np.array([1.0, 0.8, 0.6, 0.6])[form]
    # Two derivatives hedge each other; a coin is collateral with a haircut first.
    both_linear = (form == 3) & (table.role[first] != _OPTION)
    relief = np.where(both_linear, np.where(table.role[second] == _SPOT, 1.1, 0.35), relief)
    account = np.repeat(owner, 2)
    leg = np.stack([first, second], axis=1).ravel()
    both = np.stack([side, side2], axis=1).ravel()
    weights = np.stack([weight, weight2], axis=1).ravel()
    return account, leg, both, weights, np.repeat(relief, 2)


def _distinct(
    legs: int, wanted: np.ndarray, account: np.ndarray, leg: np.ndarray, side: np.ndarray, weight: np.ndarray,
    relief: np.ndarray,
) -> tuple[np.ndarray, ...]:  # fmt: skip
    """The first `wanted` distinct legs of each account, in the order drawn; half a pair gets no relief."""
    key = account * legs + leg
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    fresh = np.ones(len(key), bool)
    fresh[order[1:]] = ordered[1:] != ordered[:-1]
    seen = np.cumsum(fresh)
    starts = np.searchsorted(account, np.arange(len(wanted)))
    before = np.where(starts > 0, seen[np.maximum(starts - 1, 0)], 0)
    kept = fresh & (seen - before[account] <= wanted[account])
    whole = kept.reshape(-1, 2).all(axis=1).repeat(2)
    relief = np.where(whole, relief, 1.0)
    return account[kept], leg[kept], side[kept], weight[kept], relief[kept]


def _utilisation(count: int, rng: np.random.Generator) -> np.ndarray:
    """Share of equity in use: most accounts ample room, one in eight near its initial margin."""
    group = rng.choice(3, count, p=(0.58, 0.30, 0.12))
    loose, middle = rng.beta(2.0, 8.0, count), rng.beta(5.0, 5.0, count)
    tight = 0.70 + 0.28 * rng.random(count)
    return np.clip(np.choose(group, (loose, middle, tight)), 0.01, 0.98)


def _with_collateral(
    table: _Table, mix: Mix, style: np.ndarray, equity: np.ndarray, account: np.ndarray, leg: np.ndarray,
    lots: np.ndarray, rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:  # fmt: skip
    """Adds a row of coin to some accounts, worth 10 to 70 % of their equity."""
    count = len(style)
    chosen = (rng.random(count) < mix.collateral) & (style != 6)
    share = rng.uniform(0.1, 0.7, count)
    if table.collateral_cdf is None or not chosen.any():
        return account, leg, lots, None
    who = np.flatnonzero(chosen)
    coin = np.searchsorted(table.collateral_cdf, rng.random(len(who)))
    drawn = np.full(count, -1)
    drawn[who] = coin
    holds = np.zeros(count, bool)
    holds[account[leg == drawn[account]]] = True
    who, coin = who[~holds[who]], coin[~holds[who]]
    amount = np.maximum(np.rint(equity[who] * share[who] / table.lot_notional[coin]), 1.0)
    return np.concatenate([account, who]), np.concatenate([leg, coin]), np.concatenate([lots, amount]), who


def _relief_of(relief: np.ndarray, rows: int) -> np.ndarray:
    """Relief per row once collateral rows (no relief) have been added at the end."""
    return np.concatenate([relief, np.ones(rows - len(relief))])


def _lot_values(legs: Any, index: np.ndarray, as_of_ns: int) -> tuple[np.ndarray, np.ndarray]:
    """(value of one lot, delta per unit) by Black-76 without discount; linear legs as they are marked."""
    value = np.asarray(legs.value_nano) * 1e-9
    delta = np.ones(len(value))
    option = np.flatnonzero(np.asarray(legs.role) == _OPTION)
    if not len(option):
        return value, delta
    forward = index[option] * np.asarray(legs.ratio)[option]
    strike = np.maximum(np.asarray(legs.strike)[option], 1e-12)
    years = np.maximum((np.asarray(legs.expiry_ns)[option] - as_of_ns) / YEAR_NS, 1e-6)
    deviation = np.maximum(np.asarray(legs.iv)[option] * np.sqrt(years), 1e-6)
    d1 = np.log(forward / strike) / deviation + deviation / 2
    right = np.asarray(legs.right)[option].astype(float)
    n1, n2 = _normal(right * d1), _normal(right * (d1 - deviation))
    value[option] = np.maximum(right * (forward * n1 - strike * n2), 0.0) * np.asarray(legs.lot)[option]
    delta[option] = right * n1
    return value, delta


def _normal(x: np.ndarray) -> np.ndarray:
    return np.array([0.5 * math.erfc(-v / math.sqrt(2.0)) for v in x.tolist()])


def _cdf(weights: np.ndarray) -> np.ndarray:
    total = np.cumsum(weights)
    return total / total[-1]


def _names(
    style: np.ndarray, leg: np.ndarray, row_ptr: np.ndarray, symbols: Sequence[str]
) -> list[str]:
    """t0000001, t0000002, …; an isolated pool is named after the account before it and its instrument."""
    names = [f"t{n:07d}" for n in range(1, len(style) + 1)]
    for i in np.flatnonzero(style == 6).tolist():
        names[i] = f"{names[i - 1]}:{symbols[leg[row_ptr[i]]]}"
    return names


def _decimal_text(nano: np.ndarray) -> pl.Series:
    """int64 in 10⁻⁹ as exact decimal text."""
    import polars as pl

    size = pl.Series(np.abs(nano))
    whole, part = (size // NANO).cast(pl.String), (size % NANO).cast(pl.String).str.zfill(9)
    text = (whole + "." + part).str.strip_chars_end("0").str.strip_suffix(".")
    sign = pl.Series(np.where(nano < 0, "-", ""))
    return sign + text
