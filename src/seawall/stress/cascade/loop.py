"""One run: a second at a time, the price moves, accounts fail, the policy acts, and its acts move the price.

The order within a second: the exogenous price and what flows back of earlier impact; every account evaluated with
the margin model at the new marks; keepers in the book; the policy; what is left of broken accounts settled.
Accounts that the policy's own selling breaks are found in the next second.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from seawall.core.errors import invariant
from seawall.liquidation.severity import plan_wave
from seawall.stress.cascade.depth import DepthRoute
from seawall.stress.cascade.keepers import Keepers
from seawall.stress.cascade.policies import Policy
from seawall.stress.cascade.setting import Path, Setting, world_of
from seawall.stress.cascade.settling import Broken, Funds, broken_leg, ranked
from seawall.stress.cascade.tally import Outcome, Tally
from seawall.stress.cascade.venue import Venue
from seawall.stress.cascade.world import MARKET

__all__ = ["Run", "run"]

FUND, BACKSTOP, CLEARING = "fund", "backstop", "clearing"
PPM = 1_000_000
WORK_OFF = 0.02
"""Share of one per cent's depth that an inherited position sells per second."""


class Run:
    """A run in progress: the world, who acts in it, and the doors that every policy uses."""

    def __init__(self, venue: Venue, model: Any, path: Path, policy: Policy, setting: Setting, seed: int) -> None:
        self.setting, self.path, self.policy, self.seed = setting.checked(), path, policy, seed
        count = setting.keepers.count
        layers = Funds.parties(venue.market.underlyings)
        parties = [MARKET, FUND, BACKSTOP, CLEARING, *layers, *(f"keeper {n + 1}" for n in range(count))]
        self.world = world_of(venue, model, setting, seed, parties)
        self.tally = Tally(self.world)
        interest = int(self.tally.interest_nano.sum())
        fund, backstop = interest * setting.fund_ppm // PPM, interest * setting.backstop_ppm // PPM
        self.world.endow(FUND, 0 if policy.backstop else fund + backstop)
        self.world.endow(BACKSTOP, backstop if policy.backstop else 0)
        self._inheritor_nano = self.world.equity_nano(self.world.party[BACKSTOP if policy.backstop else FUND])
        self.funds = Funds(self, fund // 1000 if policy.backstop else 0)
        shares = Keepers.shares(count, seed)
        rows = [self.world.party[f"keeper {n + 1}"] for n in range(count)]
        for row, share in zip(rows, shares.tolist()):
            self.world.endow(self.world.names[row], int(interest * setting.keepers.capital_ppm / PPM * share))
        self.keepers = Keepers(setting.keepers, self.world, rows, setting.step_s, seed)
        self.rng = np.random.default_rng(np.random.SeedSequence([seed, 9]))
        self._held = self.world.lots.copy()
        book = self.world.owner < self.world.accounts
        self.rows_of_leg = [np.flatnonzero((self.world.leg == leg) & book) for leg in range(len(self.world.tradable))]
        self.vol_ppm = [0] * len(venue.market.underlyings)
        self.step_number = 0
        self.now_s = 0.0

    def go(self, samples: int = 300) -> Outcome:
        """Runs the whole path and sums up."""
        started = time.process_time()
        every = max(1, len(self.path.prices) // samples)
        for number in range(1, len(self.path.prices)):
            self.step(number, sample=number % every == 0)
        self.world.check()
        self.tally.inherited_nano = self._inherited()
        return self.tally.outcome(self.policy.name, self.seed, time.process_time() - started)

    def step(self, number: int, sample: bool = False) -> None:
        """One step of the path."""
        world = self.world
        self.step_number, self.now_s = number, number * self.path.step_s
        world.depth.advance(self.path.prices[number], self.path.step_s)
        world.evaluate()
        figures = world.figures
        low = np.flatnonzero(figures[:, 0] < figures[:, 2]).tolist()
        failed = [account for account in low if world.open_rows(account)]
        self.keepers.act()
        self.vol_ppm = np.ceil(world.depth.volatility * 1e6).astype(np.int64).tolist()
        if failed or self.busy:
            self.policy.step(self, failed)
            self.tally.inherited_most_nano = max(self.tally.inherited_most_nano, self._inherited())
        self.tally.track(self.now_s, len(failed), self.path.step_s, sample)

    def _inherited(self) -> int:
        """What the party that takes over positions has lost on them, at the last marks, nano; below zero: earned."""
        world, party = self.world, self.world.party[BACKSTOP if self.policy.backstop else FUND]
        income = 0 if self.policy.backstop else world.paid["fee"] - world.paid["fund"]
        return self._inheritor_nano + income - world.equity_nano(party)

    def gross_micro(self) -> np.ndarray:
        """int64[A]: notional of every account's contracts at the marks."""
        world = self.world
        worth = np.abs(world.lots) * world.mark_nano[world.leg] // 1000 * world.tradable[world.leg]
        sums = np.concatenate([[0], np.cumsum(worth)])[world.row_ptr[: world.accounts + 1]]
        return np.asarray(np.diff(sums))

    def room_nano(self, party: int, leverage_ppm: int) -> int:
        """What a party can still take on: leverage × equity less the notional it holds."""
        world = self.world
        rows = world.rows_of(party)
        gross = int((np.abs(world.lots[rows]) * world.mark_nano[world.leg[rows]]).sum())
        return max(0, max(world.equity_nano(party), 0) * leverage_ppm // PPM - gross)

    @property
    def spread_ppm(self) -> int:
        """Half the spread now, the widest of all books."""
        return int(np.ceil(self.world.depth.half_spread.max() * 1e6))

    @property
    def busy(self) -> bool:
        """Whether a policy has something in hand though no account fails now."""
        return bool(self.tally.touched)

    def fund_covers(self, amount_nano: int) -> bool:
        """Whether the fund, at the present marks, has so much."""
        return self.world.equity_nano(self.world.party[FUND]) >= amount_nano

    def close(self, account: int, rows: dict[int, int], limit: dict[int, int] | None = None) -> None:
        """Sells signed lots of positions (by row) in the book, charges the fee, and settles what is left."""
        world = self.world
        before = world.equity_nano(account)
        self.tally.closed_at(account, self.now_s)
        traded = 0
        for row, lots in rows.items():
            leg = int(world.leg[row])
            done, quote = world.take_from_book(account, leg, -lots, None if limit is None else limit[row])
            traded += abs(quote)
        self.tally.sold_nano += traded
        self.finish(account, before, traded)

    def finish(self, account: int, before_nano: int, traded_nano: int) -> None:
        """After contracts of an account were closed: its fee, what it paid in all, and what is left of it."""
        self.charge(account, traded_nano)
        after = max(self.world.equity_nano(account), 0)
        self.tally.penalty_nano += max(0, before_nano - after) if before_nano > 0 else 0
        self.settle(account)

    def charge(self, account: int, traded_nano: int) -> int:
        """The liquidation fee to the fund, never more than what the account has left."""
        fee = min(traded_nano * self.setting.fee_ppm // PPM, max(0, self.world.equity_nano(account))) // 1000 * 1000
        if fee and self.policy.backstop:
            self.funds.earn(self._market_of(account), self.world.names[account], fee // 1000)
        elif fee:
            self.world.pay(account, self.world.party[FUND], fee, "fee")
        self.tally.fees_nano += fee
        return fee

    def settle(self, account: int) -> None:
        """A flat account with less than nothing: the funds pay what they can, the rest is a claim on their future."""
        world = self.world
        owed = -world.equity_nano(account)
        if owed <= 0 or world.open_rows(account):
            return
        self.tally.bad_nano += owed
        if self.policy.backstop:
            self.funds.cover(account, self._market_of(account), -(-owed // 1000))
        else:
            fund = world.party[FUND]
            paid = min(owed, max(0, world.equity_nano(fund)))
            world.pay(fund, account, paid, "fund")
            # What nobody pays now is owed: the fund goes below zero, visibly.
            world.pay(world.party["deferred"], account, owed - paid, "deferred")
        invariant(0 <= world.equity_nano(account) < 1000, "a settled account owes nothing")

    def payable_micro(self, account: int) -> int:
        """What the layers before deleveraging would pay now for this account's shortfall (policies with a backstop)."""
        return self.funds.room_micro(self._market_of(account), int(self.now_s * 1e9))

    def _market_of(self, account: int) -> int:
        """The underlying of an account's largest contract, by what it was at the start: whose tranche is asked."""
        world = self.world
        rows = world.rows_of(account)
        worth = np.abs(self._held[rows]) * world.mark_nano[world.leg[rows]] * world.tradable[world.leg[rows]]
        return int(world.underlying[world.leg[rows][int(np.argmax(worth))]])

    def hand_over(self, account: int, party: str) -> None:
        """All contracts and what cash stands behind them go to a party at the mark; it bears what is missing."""
        world = self.world
        taker = world.party[party]
        equity = world.equity_nano(account)
        self.tally.closed_at(account, self.now_s)
        for row in world.open_rows(account):
            leg, lots = int(world.leg[row]), int(world.lots[row])
            world.trade(account, taker, leg, -lots, -lots * int(world.mark_nano[leg]))
        if equity > 0:
            world.pay(account, taker, equity, "margin")
            self.tally.penalty_nano += equity
        self.settle(account)

    def work_off(self, party: str, patience: float = 0.01) -> None:
        """A party that inherited positions sells them slowly, a part of one per cent's depth each second, and not into
        a price that is already pressed by more than `patience` (log)."""
        world = self.world
        depth = world.depth
        for row in world.open_rows(world.party[party]):
            leg, held = int(world.leg[row]), int(world.lots[row])
            u = int(world.underlying[leg])
            if (depth.transient[u] if held > 0 else -depth.transient[u]) < -patience:
                continue
            most = depth.density[u] * 0.01 * WORK_OFF * self.path.step_s / world.lot_units[leg]
            lots = min(abs(held), max(1, int(most)))
            _, quote = world.take_from_book(world.party[party], leg, -lots if held > 0 else lots)
            self.tally.sold_nano += abs(quote)

    def deleverage_ranked(self, account: int) -> None:
        """All of an insolvent account against winners by rank, at its bankruptcy prices."""
        self.tally.closed_at(account, self.now_s)
        self.tally.bad_nano += max(0, -self.world.equity_nano(account))
        for broken in broken_leg(self, account):
            self.tally.adl_needed_nano += self._ranked_need(broken)
            ranked(self, account, broken)

    def _ranked_need(self, broken: Broken) -> int:
        """Notional that had to be deleveraged: what the fund could not bear if the market took the rest."""
        world = self.world
        funds = max(0, world.equity_nano(world.party[FUND])) // 1000
        side = -1 if broken.lots > 0 else 1
        book = world.route(broken.leg)
        wave = plan_wave(side, abs(broken.lots), broken.price_nano, funds, lambda n: _quoted(book, side, n))
        return wave.deleverage_lots * int(world.mark_nano[broken.leg])


def _quoted(book: DepthRoute, side: int, lots: int) -> tuple[int, int]:
    fill = book.quote(side, lots)
    return fill.lots, fill.proceeds_micro


def run(venue: Venue, model: Any, path: Path, policy: Policy, setting: Setting, seed: int) -> tuple[Outcome, Run]:
    """One policy over one path. The same arguments give the same outcome, bit for bit (its runtime apart)."""
    one = Run(venue, model, path, policy, setting, seed)
    return one.go(), one
