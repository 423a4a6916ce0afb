"""Made-up event streams: calm ticks, jumps, joint moves, marks, volatilities, gaps in time, and what accounts do.

A path is drawn step by step against a view of the state so far (a `Twin`), so that fills are near the market and
withdrawals near free collateral; the same seed and the same view give the same stream.
"""

from __future__ import annotations

import math
import random
from collections import deque
from decimal import Decimal
from typing import Any

from engine.books import HOUR_NS, Case, quantity
from seawall.core import events

SECOND_NS = 10**9
# how often each kind of event comes, by the path's mood: in a quiet one certificates carry most accounts
MOODS = {
    "quiet": {
        "tick": 40,
        "together": 2,
        "mark": 1,
        "surface": 1,
        "clock": 3,
        "gap": 1,
        "deposit": 1,
        "withdraw": 1,
        "fill": 1,
        "order": 1,
        "cancel": 1,
    },
    "busy": {
        "tick": 10,
        "jump": 2,
        "together": 3,
        "apart": 2,
        "mark": 2,
        "surface": 2,
        "clock": 1,
        "gap": 1,
        "deposit": 1,
        "withdraw": 2,
        "fill": 3,
        "order": 3,
        "cancel": 1,
        "parameters": 1,
    },
    "storm": {"tick": 5, "jump": 5, "together": 5, "apart": 3, "mark": 2, "surface": 3, "gap": 1, "fill": 1, "order": 1},
}
# what may be announced, by model: whole parameters, and ranges that the one-step rule allows
ANNOUNCED = {
    "fixed": {"initial_ppm": (100_000, 200_000), "maintenance_ppm": (45_000, 90_000)},
    "cross": {"open_interest_from": (1_000_000, 5_000_000), "open_interest_to": (6_000_000, 50_000_000)},
    "portfolio": {
        "range_ppm.BTC": (100_000, 200_000),
        "default_range_ppm": (200_000, 300_000),
        "initial_factor_ppm": (1_200_000, 1_500_000),
        "maintenance_factor_ppm": (950_000, 1_150_000),
        "vol_up_ppm": (300_000, 700_000),
        "correlation_ppm.ETH": (500_000, 900_000),
        "offset_ppm": (700_000, 1_000_000),
    },
    "expected-shortfall": {"initial_factor_ppm": (1_200_000, 1_500_000), "maintenance_factor_ppm": (850_000, 1_000_000)},
    "value-at-risk": {"short_minimum_ppm": (15_000, 60_000), "maintenance_confidence_ppm": (980_000, 994_000)},
    "greeks": {
        "initial_deviations_ppm": (2_900_000, 3_500_000),
        "maintenance_deviations_ppm": (2_300_000, 2_800_000),
        "default_correlation_ppm": (500_000, 1_000_000),
    },
}


class Path:
    """An endless stream of valid events for a case."""

    def __init__(self, case: Case, salt: str = "") -> None:
        self.rng = random.Random(f"path {case.seed} {case.model_name} {salt}")
        self.announced = ANNOUNCED.get(case.model_name, {})
        self.mood = MOODS[self.rng.choice(list(MOODS))]
        self.calm = self.rng.choice((0.0002, 0.001, 0.003))
        self.waiting: deque[events.Event] = deque()
        self.orders_made = 0
        self.glide_ends_ns = 0

    def next(self, view: Any) -> events.Event:
        """The event after what the view has seen."""
        while not self.waiting:
            kind = self.rng.choices(list(self.mood), list(self.mood.values()))[0]
            pause_ns = self.rng.choice((0, 1, 40 * 10**6, SECOND_NS, SECOND_NS, 20 * SECOND_NS))
            getattr(self, f"_{kind}")(view, view.at_ns + pause_ns)
        return self.waiting.popleft()

    # -- the market ------------------------------------------------------------------------

    def _move(self, view: Any, name: str, by: float, at_ns: int) -> None:
        price = float(view.market.index[name]) * math.exp(by)
        self.waiting.append(events.Tick(at_ns=at_ns, underlying=name, price=f"{price:.6f}"))

    def _tick(self, view: Any, at_ns: int) -> None:
        self._move(view, self.rng.choice(view.market.underlyings), self.rng.gauss(0.0, self.calm), at_ns)

    def _jump(self, view: Any, at_ns: int) -> None:
        by = self.rng.choice((-1, 1)) * self.rng.uniform(0.01, 0.2)
        self._move(view, self.rng.choice(view.market.underlyings), math.log1p(by), at_ns)

    def _together(self, view: Any, at_ns: int) -> None:
        common = self.rng.gauss(0.0, 0.015)
        for place, name in enumerate(view.market.underlyings):
            self._move(view, name, common * self.rng.uniform(0.7, 1.4), at_ns + place * self.rng.choice((0, 10**6)))
            at_ns = self.waiting[-1].at_ns

    def _apart(self, view: Any, at_ns: int) -> None:
        for name in view.market.underlyings:
            self._move(view, name, self.rng.choice((-1, 1)) * self.rng.uniform(0.002, 0.03), at_ns)

    def _mark(self, view: Any, at_ns: int) -> None:
        names = [
            symbol
            for symbol, one in view.market.instruments.items()
            if one.kind in ("perpetual", "future") and not 0 < one.expiry_ns <= at_ns
        ]
        if names:
            symbol = self.rng.choice(names)
            size = self.rng.choice((0.0005, 0.003, 0.03))
            price = view.market.mark(symbol) * math.exp(self.rng.gauss(0.0, size))
            if not view.market.instruments[symbol].inverse:
                price = float(view.market.index[view.market.instruments[symbol].underlying]) * math.exp(
                    self.rng.gauss(0.0, size)
                )
            self.waiting.append(events.Mark(at_ns=at_ns, instrument=symbol, price=f"{price:.6f}"))

    def _surface(self, view: Any, at_ns: int) -> None:
        market = view.market
        symbols = [symbol for symbol, one in market.instruments.items() if one.kind == "option" and one.expiry_ns > at_ns]
        if symbols:
            size = self.rng.choice((0.0002, 0.002, 0.02, 0.3))
            chosen = self.rng.sample(symbols, self.rng.choice((1, len(symbols))))
            common = self.rng.gauss(0.0, size)
            updates = {}
            for symbol in chosen:
                vol = float(market.legs.iv[market.legs.leg_of[symbol][0]])
                vol *= math.exp(common + self.rng.gauss(0.0, size / 3))
                updates[symbol] = f"{min(max(vol, 0.05), 5.0):.6f}"
            self.waiting.append(events.Surface(at_ns=at_ns, updates=updates))

    def _clock(self, view: Any, at_ns: int) -> None:
        self.waiting.append(events.Clock(at_ns=at_ns + self.rng.randint(0, 600) * SECOND_NS))

    def _gap(self, view: Any, at_ns: int) -> None:
        at_ns += int(self.rng.choice((0.3, 1.0, 3.0, 30.0)) * self.rng.random() * HOUR_NS)
        if self.rng.random() < 0.5:
            self.waiting.append(events.Clock(at_ns=at_ns))
        else:
            self._tick(view, at_ns)

    def _parameters(self, view: Any, at_ns: int) -> None:
        if not self.announced or at_ns < self.glide_ends_ns:
            return
        chosen = self.rng.sample(list(self.announced), self.rng.randint(1, min(3, len(self.announced))))
        if "open_interest_to" in self.announced:
            chosen = list(self.announced)  # one bound alone would cross the other on its way
        changes = {path: str(self.rng.randint(*self.announced[path])) for path in chosen}
        glide_ns = self.rng.choice((0, 60, 900, 7200)) * SECOND_NS
        self.glide_ends_ns = at_ns + glide_ns
        shape = self.rng.choice(("linear", "geometric"))
        self.waiting.append(events.Parameters(at_ns=at_ns, changes=changes, glide_ns=glide_ns, shape=shape))

    # -- the accounts ----------------------------------------------------------------------

    def _deposit(self, view: Any, at_ns: int) -> None:
        place = self.rng.randrange(len(view.names))
        amount = abs(int(view.figures[place][1])) // self.rng.choice((2, 20, 200)) + 1
        self.waiting.append(events.Deposit(at_ns=at_ns, account=view.names[place], amount=_money(amount)))

    def _withdraw(self, view: Any, at_ns: int) -> None:
        place = self.rng.randrange(len(view.names))
        free = int(view.figures[place][0] - view.figures[place][1])
        amount = max(1, free // self.rng.choice((1, 1, 1, 2)) + self.rng.choice((-1, 0, 1)))
        self.waiting.append(events.Withdraw(at_ns=at_ns, account=view.names[place], amount=_money(amount)))

    def _fill(self, view: Any, at_ns: int) -> None:
        place, symbol, size, price = self._trade(view, at_ns)
        if symbol:
            name = view.names[place]
            self.waiting.append(
                events.Fill(at_ns=at_ns, account=name, instrument=symbol, quantity=size, price=price)
            )

    def _order(self, view: Any, at_ns: int) -> None:
        place, symbol, size, price = self._trade(view, at_ns)
        if symbol:
            self.orders_made += 1
            self.waiting.append(
                events.Order(
                    at_ns=at_ns,
                    account=view.names[place],
                    id=f"o{self.orders_made}",
                    instrument=symbol,
                    quantity=size,
                    price=price,
                )
            )

    def _cancel(self, view: Any, at_ns: int) -> None:
        if view.open_orders:
            account, order = self.rng.choice(sorted(view.open_orders))
            self.waiting.append(events.Cancel(at_ns=at_ns, account=account, id=order))

    def _trade(self, view: Any, at_ns: int) -> tuple[int, str, str, str]:
        """(account, instrument, quantity, price): half of them cut what the account holds."""
        market, rng = view.market, self.rng
        place = rng.randrange(len(view.names))
        legs = market.legs
        live = [symbol for symbol, one in market.instruments.items() if not 0 < one.expiry_ns <= at_ns]
        held = [symbol for symbol in live if legs.leg_of[symbol][0] in view.held[place]]
        if not live:
            return place, "", "", ""
        if held and rng.random() < 0.5:
            symbol = rng.choice(held)
            lots = -view.held[place][legs.leg_of[symbol][0]]
            lots = int(lots * rng.choice((1.0, 0.5, 0.1, 1.3)))
            size = str((lots or 1) * market.instruments[symbol].lot)
        else:
            symbol = rng.choice(live)
            notional = rng.choice((1, -1)) * (abs(int(view.figures[place][1])) / 1e6 + 100.0)
            size = quantity(rng, market, symbol, notional)
        price = max(abs(market.mark(symbol)), 1e-4) * math.exp(rng.gauss(0.0, 0.01))
        return place, symbol, size, f"{max(price, 1e-4):.6f}"


def _money(micro: int) -> str:
    return str(Decimal(micro).scaleb(-6))
