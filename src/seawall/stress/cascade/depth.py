"""How far an order moves a price, and how the price comes back: one modelled order book per underlying.

What rests within a displacement x (log price, away from where the price would be without liquidations) is
a·|x| + ½·b·x² units. The first part is the makers' block-shaped book (A. Obizhaeva, J. Wang, "Optimal trading strategy
and supply/demand dynamics", Journal of Financial Markets 16, 2013), and it thins when prices jump about: a is the
calm density over 1 + σ/σ₀, σ being the present volatility of the traded price itself, so selling thins the book
that it sells into; at once, and filling up again with a half-life. The second part is latent liquidity that grows
with distance (J. Donier, J. Bonart, I. Mastromatteo, J.-P. Bouchaud, "A fully consistent, minimal model for non-linear
market impact", Quantitative Finance 15, 2015): bids far below that nobody pulled. An order eats its way through;
what it displaced flows back with a half-life, and a share of that stays for good.

Where the figures are from. Two per cent of open interest within one per cent of the mark in calm times is what
published depth files of BTC perpetuals show (1,400 to 3,100 BTC). Public accounts of 2025-10-10 put the loss of depth
near the price at 90 to 98 per cent and say that only the bands of 4 to 10 per cent kept meaningful bids; no record of
a book inside that crash is public. Latent depth and half-lives are fitted so that selling everything at market
ends near that day's public lows (`docs/liquidation.md`, which also shows what depends on them). Floats throughout: this
is the modelled world, not an account's margin; what a fill pays is an integer, rounded against the taker.
"""

from __future__ import annotations

from math import ceil, copysign, exp, expm1, floor, log, sqrt

import msgspec
import numpy as np

from seawall.core.errors import InputError
from seawall.liquidation.routes.route import LOTS_MAX, Fill, check_order, nothing

__all__ = ["DepthModel", "DepthParameters", "DepthRoute"]


class DepthParameters(msgspec.Struct, frozen=True, kw_only=True):
    """share_ppm: by underlying, the part of open interest that rests within 1 % of the price on one side in calm times
    (`default_share_ppm` for the others). latent_ppm, default_latent_ppm: of open interest, latent within 10 % of the price. floor_ppm: the least that
    is left of the makers' book. calm_ppm: σ₀, volatility per √s at which half of it is left. fill_s: half-life of its
    filling up again. vol_s: half-life of the volatility's memory. return_s: half-life of displacement. permanent_ppm: share
    of what flows back that stays instead. spread_ppm: half the spread when calm; it widens as depth thins.
    mark_s: half-life with which the mark follows the traded price, as index baskets and averaged premiums do.
    noise_ppm: standard deviation of log depth, seeded, half of its variance fixed per run, half a slow drift.
    """

    share_ppm: dict[str, int] = msgspec.field(default_factory=lambda: {"BTC": 20_000, "ETH": 16_000})
    default_share_ppm: int = 10_000
    latent_ppm: dict[str, int] = msgspec.field(default_factory=lambda: {"BTC": 100_000, "ETH": 80_000, "SOL": 60_000})
    default_latent_ppm: int = 40_000
    floor_ppm: int = 30_000
    calm_ppm: int = 400
    fill_s: float = 300.0
    vol_s: float = 20.0
    return_s: float = 60.0
    permanent_ppm: int = 200_000
    spread_ppm: int = 100
    mark_s: float = 10.0
    noise_ppm: int = 250_000

    def checked(self) -> DepthParameters:
        """Itself; InputError for a figure that makes no market."""
        positive = ("default_share_ppm", "default_latent_ppm", "floor_ppm", "calm_ppm", "fill_s", "vol_s", "return_s", "mark_s")
        for name in positive:
            if getattr(self, name) <= 0:
                raise InputError(f"depth {name}", getattr(self, name), "more than zero")
        for name in ("permanent_ppm", "floor_ppm"):
            if not 0 <= getattr(self, name) <= 1_000_000:
                raise InputError(f"depth {name}", getattr(self, name), "0 to 1,000,000")
        if min((*self.share_ppm.values(), *self.latent_ppm.values()), default=1) <= 0 or self.spread_ppm < 0 or self.noise_ppm < 0:
            raise InputError("depth", "a share, spread or noise below its least", "shares above zero, the rest from zero")
        return self


class DepthModel:
    """One book per underlying; arrays float64[U].

    exogenous: the price without anybody's liquidations; transient, permanent: log displacement; thin: share
    of calm depth that is there. units_per_log: the makers' calm density, units of the underlying per unit of log
    price; latent: units per unit squared.
    """

    def __init__(
        self, underlyings: tuple[str, ...], prices: np.ndarray, interest_units: np.ndarray, parameters: DepthParameters, seed: int
    ) -> None:
        """prices: float64[U]; interest_units: float64[U], open interest in units, above zero."""
        self.parameters = parameters.checked()
        count = len(underlyings)
        share = np.array([parameters.share_ppm.get(name, parameters.default_share_ppm) for name in underlyings]) / 1e6
        self._rng = np.random.default_rng(np.random.SeedSequence([seed, 1010]))
        self._noise = parameters.noise_ppm / 1e6 * np.sqrt(0.5)
        self._drift = self._noise * self._rng.standard_normal(count)
        fixed = self._noise * self._rng.standard_normal(count)
        self.units_per_log = share * np.maximum(interest_units, 1e-9) / 0.01 * np.exp(fixed)
        # ½·b·ln(1.1)² units within 10 %
        latent = np.array([parameters.latent_ppm.get(name, parameters.default_latent_ppm) for name in underlyings]) / 1e6
        self.latent = 2.0 * latent * np.maximum(interest_units, 1e-9) / np.log(1.1) ** 2
        self.exogenous = prices.astype(float)
        self.transient = np.zeros(count)
        self.permanent = np.zeros(count)
        self._marked = np.zeros(count)
        self.thin = np.ones(count)
        self._variance = np.zeros(count)
        self._last = np.log(prices)

    @property
    def displacement(self) -> np.ndarray:
        """float64[U]: log of the price over the exogenous one; below zero where liquidations press."""
        return self.transient + self.permanent

    @property
    def mid(self) -> np.ndarray:
        """float64[U]: the price."""
        return np.asarray(self.exogenous * np.exp(self.displacement))

    @property
    def mark(self) -> np.ndarray:
        """float64[U]: the price that accounts are valued at: the displacement reaches it with a delay."""
        return np.asarray(self.exogenous * np.exp(self.permanent + self._marked))

    @property
    def near(self) -> np.ndarray:
        """float64[U]: the makers' density now, units per unit of log price."""
        return np.asarray(self.units_per_log * self.thin * np.exp(self._drift))

    @property
    def density(self) -> np.ndarray:
        """float64[U]: units per unit of log price that rest where the price is now."""
        return np.asarray(self.near + self.latent * np.abs(self.transient))

    @property
    def volatility(self) -> np.ndarray:
        """float64[U]: present volatility of the traded price, per √s."""
        return np.sqrt(self._variance)

    @property
    def half_spread(self) -> np.ndarray:
        """float64[U], in log price."""
        return np.asarray(self.parameters.spread_ppm / 1e6 / self.thin)

    def advance(self, prices: np.ndarray, step_s: float) -> None:
        """The next moment: displacement flows back, the exogenous price moves, depth follows volatility."""
        p = self.parameters
        self._marked += (self.transient - self._marked) * (1.0 - 0.5 ** (step_s / p.mark_s))
        back = self.transient * (1.0 - 0.5 ** (step_s / p.return_s))
        self.transient -= back
        self.permanent += p.permanent_ppm / 1e6 * back
        self.exogenous = prices.astype(float)
        now = np.log(self.mid)
        keep = 0.5 ** (step_s / p.vol_s)
        self._variance = keep * self._variance + (1.0 - keep) * (now - self._last) ** 2 / step_s
        self._last = now
        target = np.maximum(1.0 / (1.0 + np.sqrt(self._variance) / (p.calm_ppm / 1e6)), p.floor_ppm / 1e6)
        filled = 1.0 - (1.0 - self.thin) * 0.5 ** (step_s / p.fill_s)
        self.thin = np.minimum(target, filled)
        slow = 0.5 ** (step_s / 300.0)
        self._drift = slow * self._drift + self._noise * np.sqrt(1.0 - slow**2) * self._rng.standard_normal(len(now))


class DepthRoute:
    """One underlying's book as a `liquidation.routes` market for one contract: taking from it moves the price.

    It looks at the model once, when it is made, and is good for the step it was made in.
    """

    def __init__(self, model: DepthModel, underlying: int, lot_units: float, name: str = "book") -> None:
        self.model, self.u, self.lot_units, self.name = model, underlying, lot_units, name
        self._near, self._latent = float(model.near[underlying]), float(model.latent[underlying])
        self._spread = float(model.half_spread[underlying])
        self._center = float(model.exogenous[underlying]) * exp(float(model.permanent[underlying]))

    def depth(self, side: int, limit_nano: int) -> int:
        """Lots between the best price and the limit."""
        check_order(side, 0)
        if limit_nano <= 0:
            return LOTS_MAX if side < 0 else 0
        here = float(self.model.transient[self.u])
        reach = log(limit_nano / 1e9 / self.lot_units / self._base(side))
        if side * (reach - here) <= 0:
            return 0
        lots = min(int(abs(self.units_at(reach) - self.units_at(here)) / self.lot_units), LOTS_MAX)
        while lots and side * self._price(side, self._after(side, lots)) > side * limit_nano:
            lots -= 1
        return lots

    def quote(self, side: int, lots: int) -> Fill:
        """What `take` would do."""
        check_order(side, lots)
        here = float(self.model.transient[self.u])
        if not lots:
            return nothing(self._price(side, here))
        after = self._after(side, lots)
        paid = self._base(side) * (self._worth(after) - self._worth(here))
        # Floats may be off by some parts in 10^12: never better than the best price, and down to a micro.
        proceeds = min(floor(-paid * 1e6), -side * lots * self._price(side, here) // 1000)
        return Fill(lots, proceeds, 0, self._price(side, after))

    def take(self, side: int, lots: int) -> Fill:
        """Trades, and moves the price."""
        fill = self.quote(side, lots)
        if fill.lots:
            self.model.transient[self.u] = self._after(side, lots)
        return fill

    def units_at(self, displacement: float) -> float:
        """Units (signed) that displace the price from where it would be to `displacement`."""
        size = abs(displacement)
        return copysign(self._near * size + 0.5 * self._latent * size * size, displacement)

    def displaced(self, units: float) -> float:
        """The inverse of `units_at`."""
        size = abs(units)
        root = sqrt(self._near * self._near + 2.0 * self._latent * size)
        return copysign(2.0 * size / (self._near + root), units) if size else 0.0

    def _worth(self, x: float) -> float:
        """∫ e^z dV(z) from 0 to the displacement x: what the units up to there cost where the price would be 1."""
        side = copysign(1.0, x)
        if abs(x) < 1e-4:  # the closed form would cancel
            latent = x * x / 2 + x**3 / 3 + x**4 / 8
            return self._near * expm1(x) + side * self._latent * latent
        return self._near * expm1(x) + side * self._latent * (exp(x) * (x - 1.0) + 1.0)

    def _base(self, side: int) -> float:
        """The price on this side where there is no displacement."""
        return self._center * exp(side * self._spread)

    def _after(self, side: int, lots: int) -> float:
        return self.displaced(self.units_at(float(self.model.transient[self.u])) + side * lots * self.lot_units)

    def _price(self, side: int, displacement: float) -> int:
        """Nano per lot at a displacement, rounded against the taker."""
        exact = self._base(side) * exp(displacement) * self.lot_units * 1e9
        return floor(exact) if side < 0 else ceil(exact)
