"""A small venue under stress, for the last layers together: random trades and prices, failures closed to the end.

One perpetual, a dozen accounts, two markets of outsiders, a tranche, a vault, a global fund and claims. Everything of
value is counted in nano in one place (`wealth`), which no step may change.
"""

from __future__ import annotations

import random

import numpy as np

from seawall.core.errors import BadNumber
from seawall.liquidation import adl, router
from seawall.liquidation.backstop import HOUR_NS, Terms, Vault
from seawall.liquidation.claims import DeferredClaims
from seawall.liquidation.funds import Caps, GlobalFund, Tranche
from seawall.liquidation.routes import BUY, SELL, ConstantProduct, OrderBook
from seawall.liquidation.severity import plan_wave
from seawall.liquidation.transfers import Transfer
from seawall.liquidation.waterfall import (
    Cash,
    FromFund,
    FromTranche,
    FromVault,
    Haircut,
    Layer,
    Settled,
    settle_shortfall,
)

USD = 10**6
PRICE = 50 * 10**9


class Venue:
    """cash_micro, lots and cost_nano by party; every party's value is cash·1000 + lots·price − cost."""

    def __init__(self, seed: int, accounts: int = 12) -> None:
        self.random = random.Random(seed)
        self.names = [f"a{n}" for n in range(accounts)]
        self.cash = dict.fromkeys([*self.names, "outside", "world"], 0)
        self.lots = dict.fromkeys([*self.names, "outside"], 0)
        self.cost = dict.fromkeys([*self.names, "outside"], 0)
        self.price = PRICE
        self.now = 0
        self.rounding_nano = 0
        self.tranche = Tranche("X-PERP", "USD", 0)
        self.vault = Vault(Terms("x", "USD"))
        self.fund = GlobalFund("USD", 0, Caps())
        self.claims = DeferredClaims("USD")
        self.counts = dict.fromkeys([*(layer.name for layer in Layer), "failures", "deleveraged", "sold", "stuck", "refused"], 0)
        for name in self.names:
            self.cash[name] = self.random.randint(100, 20_000) * USD
        self._post(self.tranche.credit("world", 2_000 * USD, "seed"))
        self._post(self.fund.credit("world", 5_000 * USD, "seed"))
        self._post(self.vault.commit(0, "world", 3_000 * USD))
        self.start = self.wealth()

    # ------------------------------------------------------------------------------------- counting

    def wealth(self) -> int:
        """All that there is, in nano: it never changes, at any price, since lots sum to zero."""
        held = sum(self.lots[p] * self.price - self.cost[p] for p in self.lots)
        return held + 1000 * sum(self.cash.values()) + self.rounding_nano

    def equity_nano(self, name: str) -> int:
        return self.cash[name] * 1000 + self.lots[name] * self.price - self.cost[name]

    def _post(self, moves: tuple[Transfer, ...]) -> None:
        for move in moves:
            for party, sign in ((move.payer, -1), (move.payee, 1)):
                self.cash[party] = self.cash.get(party, 0) + sign * move.amount_micro

    def _trade(self, name: str, lots: int, value_nano: int) -> None:
        """Lots (signed) bought for value_nano (signed as the lots); what is closed is realised into cash."""
        held = self.lots[name]
        closing = min(abs(held), abs(lots)) * (1 if lots > 0 else -1) if held * lots < 0 else 0
        if closing:
            share = self.cost[name] * -closing // held  # of the cost that is closed
            got = -(value_nano * closing // lots)
            realised = got - share
            self.cash[name] += realised // 1000
            self.rounding_nano += realised % 1000
            self.cost[name] -= share
            value_nano += got
        self.cost[name] += value_nano
        self.lots[name] += lots

    # ------------------------------------------------------------------------------------- life

    def step(self) -> list[Settled]:
        """One random event, then every failed account is closed to the end; what the waterfalls did."""
        self.now += self.random.randint(0, HOUR_NS // 2)
        self._post(self.vault.advance(self.now))
        kind = self.random.random()
        if kind < 0.35:
            jump = self.random.choice((20_000, 50_000, 200_000))
            self.price = max(10**9, self.price * self.random.randint(10**6 - jump, 10**6 + jump) // 10**6)
            self.price = min(self.price, 10**13)
        elif kind < 0.75:
            self._bet()
        elif kind < 0.80:
            self._fund_event()
        else:
            name = self.random.choice(self.names)
            amount = self.random.randint(1, 3_000) * USD
            self.cash[name] += amount
            self.cash["world"] = self.cash.get("world", 0) - amount
        failed = [name for name in self.names if self.equity_nano(name) < 0]
        return [done for name in failed if (done := self._close(name)) is not None]

    def _bet(self) -> None:
        """Two accounts trade with each other at the mark, within 25 × their equity."""
        one, two = self.random.sample(self.names, 2)
        most = min(max(self.equity_nano(n), 0) * 25 // self.price - abs(self.lots[n]) for n in (one, two))
        if most > 0:
            lots = self.random.randint(1, most) * self.random.choice((-1, 1))
            self._trade(one, lots, lots * self.price)
            self._trade(two, -lots, -lots * self.price)

    def _fund_event(self) -> None:
        amount = self.random.randint(1, 500) * USD
        pick = self.random.randrange(5)
        if pick == 0:
            self._post(self.tranche.credit("world", amount, "fees"))
        elif pick == 1:
            self._post(self.fund.credit("world", amount, "fees"))
        elif pick == 2:
            self._post(self.vault.earn(self.now, "world", amount, "premium"))
        elif pick == 3:
            owed = self.claims.hole_micro
            used, moves = self.claims.income("world", amount)
            assert used == min(amount, owed) == owed - self.claims.hole_micro
            self._post(moves)
        else:
            try:
                self._post(self.vault.commit(self.now, "world", 100 * USD + amount))
                self.vault.ask_exit(self.now, "world", amount)
            except BadNumber:
                self.counts["refused"] += 1  # asked for more than is left: nothing moved

    # ------------------------------------------------------------------------------------- failure

    def _routes(self) -> list[ConstantProduct | OrderBook]:
        book = OrderBook("book", 400)
        for n in range(8):
            step = self.price * (n + 1) // 400
            book.add(2 * n, "m", BUY, self.price - step, self.random.randint(1, 15))
            book.add(2 * n + 1, "m", SELL, self.price + step, self.random.randint(1, 15))
        return [book, ConstantProduct("pool", 400, 400 * self.price // 1000, 3_000)]

    def _close(self, name: str) -> Settled | None:
        self.counts["failures"] += 1
        lots = self.lots[name]
        if lots:
            side = SELL if lots > 0 else BUY
            worth = self.cost[name] - self.cash[name] * 1000
            # rounded so that closing at it leaves at least nothing
            bankruptcy = max(1, -(-worth // lots) if lots > 0 else worth // lots)
            funds = self.tranche.balance_micro + self.vault.capacity(self.now)
            funds += self.fund.available(self.now, f"e{self.counts['failures']}")[0]
            routes = self._routes()

            def quote(size: int) -> tuple[int, int]:
                planned = router.plan(routes, side, size)
                return planned.lots, planned.proceeds_micro

            wave = plan_wave(side, abs(lots), bankruptcy, funds, quote)
            self._sell(name, routes, side, wave.market_lots)
            self._deleverage(name, side, wave.deleverage_lots, bankruptcy)
            self._sell(name, routes, side, abs(self.lots[name]))  # what caps left over: the market, at any price
        if self.lots[name]:
            self.counts["stuck"] += 1
            return None
        return self._settle(name)

    def _sell(self, name: str, routes: list, side: int, lots: int) -> None:
        routed = router.route(routes, side, lots)
        if routed.lots:
            self._trade(name, side * routed.lots, -routed.proceeds_micro * 1000)
            self._trade("outside", -side * routed.lots, routed.proceeds_micro * 1000)
            self.counts["sold"] += routed.lots

    def _deleverage(self, name: str, side: int, lots: int, bankruptcy: int) -> None:
        others = [n for n in self.names if n != name]
        # whoever is on the other side of the failed position
        held = np.array([max(0, side * self.lots[n]) for n in others], np.int64)
        profit = [(self.lots[n] * self.price - self.cost[n]) // 1000 if h else 0 for n, h in zip(others, held)]
        health = [self.equity_nano(n) // 1000 for n in others]
        loss = -side * (bankruptcy - self.price)
        done = adl.allocate(adl.Parties.of(held, profit, health_micro=health), lots, loss)
        assert (done.lots[held == 0] == 0).all(), "a flat account pays nothing"
        for other, part, gave, gain in zip(others, done.lots.tolist(), done.paid_micro.tolist(), profit):
            if part:
                before = self.equity_nano(other)
                self._trade(other, -side * part, -side * part * bankruptcy)
                self._trade(name, side * part, side * part * bankruptcy)
                assert gave <= max(gain, 0), "principal is never touched"
                assert before - self.equity_nano(other) <= gave * 1000 + 1000
                assert self.equity_nano(other) >= 0, "nobody is pushed under"
        self.counts["deleveraged"] += int(done.lots.sum())

    def _settle(self, name: str) -> Settled | None:
        need = -self.cash[name]
        if need <= 0:
            return None
        winners = [n for n in self.names if n != name]
        gains = np.array([max(0, (self.lots[n] * self.price - self.cost[n]) // 1000) for n in winners], np.int64)
        caps = np.array([max(0, min(int(g), self.equity_nano(n) // 1000)) for n, g in zip(winners, gains)], np.int64)
        risk = np.full(len(winners), 10**6, np.int64)

        def share(amount: int) -> list[tuple[str, int]]:
            return [(n, int(p)) for n, p in zip(winners, adl.haircut(gains, caps, risk, amount).parts) if p]

        done = settle_shortfall(
            self.now,
            name,
            need,
            [
                Cash(Layer.ACCOUNT, name, "USD", 0),
                FromTranche(self.tranche),
                FromVault(self.vault),
                FromFund(self.fund, f"e{self.counts['failures']}"),
                Haircut("USD", int(caps.sum()), share),
            ],
            self.claims,
            {n: int(g) for n, g in zip(winners, gains)},
        )
        self._post(done.moves)
        self.fund.close_event(f"e{self.counts['failures']}")
        for event in done.events:
            self.counts[event.layer.name] += 1
        assert self.cash[name] == 0, "the debtor is at zero, no more and no less"
        return done
