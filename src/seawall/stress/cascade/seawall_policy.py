"""Seawall's own way: as little as restores safety, where it costs least, no faster than the market bears, and in order.

Each second: failed accounts enter the queue by systemic importance. A solvent one closes the least share of its
contracts that leaves it safe for some time at the present volatility, within a price that its equity can pay. Lots of
one contract are sold together at one price, routed over the paced book and keepers' filed bids; what no route takes at that
price waits, and the limit widens as its equity runs out. Who cannot wait another second is handed to the backstop whole, at the
marks and with what margin is left, as far as the backstop's equity carries it. An insolvent account that it cannot carry goes
through the waterfall: what the funds can bear, waiting for its turn in the book included, goes to the market, only
the rest is deleveraged, pro rata, and at once: while it waits its loss grows.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from seawall.core.units import PPM
from seawall.liquidation import reserve
from seawall.liquidation.pacing import patience_s, waiting_ppm
from seawall.liquidation.queue import LiquidationQueue, importance_micro
from seawall.liquidation.routes.route import BUY, SELL, Route
from seawall.liquidation.severity import Wave, plan_wave
from seawall.liquidation.size import SizeRules, linear_lots, wants_full_close
from seawall.stress.cascade.desk import Limited, Order, book_pace, sell_batch, standing_bids
from seawall.stress.cascade.settling import Broken, broken_leg, pro_rata

if TYPE_CHECKING:
    from seawall.stress.cascade.loop import Run

__all__ = ["Seawall", "SeawallRules"]

BROKEN, URGENT, PATIENT = 0, 1, 2
"""Who sells first within a second."""
_Groups = dict[tuple[int, int, int], list[Order]]


class SeawallRules(msgspec.Struct, frozen=True, kw_only=True):
    """size: buffer and dust rules. safe_s, quantile_ppm: a closed-down account shall outlast so many seconds at so many
    standard deviations. urgent_s: one that outlasts less may give up all of its equity's share, others only what its
    health has lost. gain_ppm, urgent_gain_ppm: limits of the loop gain. ahead_ppm: share of a position that an account ahead is
    taken to close. concession_s, concession_ppm: how far from its mark own selling may move the book in a second: what the
    market moves in so much time, and no less than this. broken_ppm: worst price of an insolvent account, off the mark.
    hand_over_s: an account that outlasts less is for the backstop. backstop_leverage_ppm: notional the backstop may hold over its
    equity. hold_ppm: it sells what it holds only while the price is displaced by less. wait_ppm: what a second of waiting is
    taken to cost an insolvent account, of a second's volatility. patient_ppm: share of the book's room for accounts that can
    wait. actions: accounts acted upon per second at most. move_ppm: the bad move by which importance is measured.
    """

    size: SizeRules = msgspec.field(default_factory=lambda: SizeRules(buffer_ppm=100_000, fee_ppm=4_000))
    safe_s: float = 5.0
    quantile_ppm: int = 2_000_000
    urgent_s: int = 3
    gain_ppm: int = 300_000
    urgent_gain_ppm: int = 1_000_000
    concession_s: float = 1.0
    concession_ppm: int = 3_000
    broken_ppm: int = 20_000
    ahead_ppm: int = 250_000
    hand_over_s: int = 1
    backstop_leverage_ppm: int = 8_000_000
    hold_ppm: int = 3_000
    wait_ppm: int = 1_000_000
    patient_ppm: int = 1_000_000
    actions: int = 1_000
    move_ppm: int = 50_000


class Seawall:
    """Partial closes, routing, pacing, filed bids, backstop, funds in layers, pro-rata deleveraging."""

    name = "seawall"
    backstop = True

    def __init__(self, rules: SeawallRules | None = None) -> None:
        self.rules = rules or SeawallRules()
        self._queue: LiquidationQueue | None = None

    def step(self, run: Run, failed: list[int]) -> None:
        """Acts on the failed accounts in the order of their importance, then works off what the backstop holds."""
        if failed:
            self._bids: dict[tuple[int, int], Route] = {}
            self._ahead: dict[tuple[int, int], int] = defaultdict(int)
            self._sell(run, self._in_order(run, failed))
        run.work_off("backstop", self.rules.hold_ppm / PPM)

    def _in_order(self, run: Run, failed: list[int]) -> list[int]:
        world = run.world
        if self._queue is None:
            self._queue = LiquidationQueue(world.accounts)
        who = np.array(failed, np.int64)
        weight = importance_micro(world.equity_micro[who], run.gross_micro()[who], self.rules.move_ppm)
        self._queue.add(who, weight)
        order: list[int] = self._queue.take(self.rules.actions).tolist()
        now = set(failed)
        return [account for account in order if account in now]

    def _sell(self, run: Run, accounts: list[int]) -> None:
        """Sizes every account, groups the lots by contract, side and urgency, sells each group at one price, and hands over
        whom the market has left without a second to wait."""
        world = run.world
        groups: _Groups = defaultdict(list)
        before = {account: world.equity_nano(account) for account in accounts}
        self._reserved = 0
        for account in accounts:
            if world.equity_micro[account] >= 0:
                self._size(run, account, groups)
            elif not self._hand_over(run, account):
                self._insolvent(run, account, groups)
        traded: dict[int, int] = defaultdict(int)
        for (rank, leg, side), orders in sorted(groups.items(), key=lambda item: item[0]):
            routes = self._routes(run, leg, side, sum(order.lots for order in orders), rank != PATIENT)
            for account, lots in sell_batch(run, leg, side, orders, routes).items():
                traded[account] += abs(lots) * int(world.mark_nano[leg])
        for account, amount in traded.items():
            run.finish(account, before[account], amount)
        for account in accounts:
            rows = world.open_rows(account)
            equity = world.equity_nano(account) // 1000
            if not rows or equity < 0:
                continue
            gross, vol = self._gross_and_vol(run, rows)
            if patience_s(equity, gross, vol, self.rules.quantile_ppm) < self.rules.hand_over_s:
                self._hand_over(run, account)

    @staticmethod
    def _gross_and_vol(run: Run, rows: list[int]) -> tuple[int, int]:
        """Notional of some positions at the marks, micro, and the volatility of the wildest of their names."""
        world = run.world
        worth = sum(abs(int(world.lots[row])) * int(world.mark_nano[world.leg[row]]) // 1000 for row in rows)
        return worth, max(run.vol_ppm[int(world.underlying[world.leg[row]])] for row in rows)

    def _hand_over(self, run: Run, account: int) -> bool:
        """Everything to the backstop at the marks, or nothing: only what its equity, with the margin that comes along,
        carries, and where a shortfall is one that the funds can pay."""
        world, leverage = run.world, self.rules.backstop_leverage_ppm
        rows = world.open_rows(account)
        equity = world.equity_nano(account)
        gross = self._gross_and_vol(run, rows)[0] * 1000
        room = run.room_nano(world.party["backstop"], leverage) + max(equity, 0) * leverage // PPM
        payable = run.payable_micro(account) - self._reserved if equity < 0 else 0
        if gross > room or -equity > payable * 1000:
            return False
        run.hand_over(account, "backstop")
        return True

    def _size(self, run: Run, account: int, groups: _Groups) -> None:
        world, rules = run.world, self.rules
        rows = world.open_rows(account)
        equity, maintenance = int(world.equity_micro[account]), int(world.maintenance_micro[account])
        worth = [abs(int(world.lots[row])) * int(world.mark_nano[world.leg[row]]) // 1000 for row in rows]
        gross = sum(worth)
        vol = max(run.vol_ppm[int(world.underlying[world.leg[row]])] for row in rows)
        needed = max(maintenance, rules.quantile_ppm * vol * gross // PPM**2 * int(rules.safe_s**0.5 * 1000) // 1000)
        share = PPM
        if not wants_full_close(equity, maintenance, gross, rules.size):
            cost = gross * (rules.size.fee_ppm + run.spread_ppm) // PPM
            found = linear_lots(equity, needed, needed * 1000 // PPM, cost * 1000 // PPM, rules.size, PPM)
            share = PPM if found is None else found
        urgent = patience_s(equity, gross, vol, rules.quantile_ppm) < rules.urgent_s
        for row, value in zip(rows, worth):
            held, leg = int(world.lots[row]), int(world.leg[row])
            lots = min(abs(held), -(-abs(held) * share // PPM))
            if not lots:
                continue
            released = maintenance * value // max(gross, 1) * lots // abs(held)
            give = (
                reserve.give_up(equity, maintenance, released)
                if urgent
                else reserve.fillable_give_up(equity, maintenance, released, spread_ppm=500_000)
            )
            side = SELL if held > 0 else BUY
            limit = reserve.limit_nano(int(world.mark_nano[leg]), side * lots, give)
            groups[URGENT if urgent else PATIENT, leg, side].append(Order(account, lots, limit))

    def _concession(self, run: Run, leg: int, side: int, price: int | None = None) -> int:
        """The worst price of one second: as far from the mark as the market itself moves in `concession_s`."""
        price = int(run.world.mark_nano[leg]) if price is None else price
        vol = run.vol_ppm[int(run.world.underlying[leg])]
        give = max(self.rules.concession_ppm, int(vol * self.rules.concession_s**0.5))
        return price + side * (price * give // PPM)

    def _routes(self, run: Run, leg: int, side: int, wanted: int, urgent: bool) -> list[Route]:
        """Keepers' bids, and the book as far as pacing allows; bids are made once a second per contract."""
        world, rules = run.world, self.rules
        if (leg, side) not in self._bids:
            keepers = run.keepers
            quotes = [
                (row, int(keepers.room_nano(k) * keepers.parameters.rate_ppm // PPM), float(keepers.edge[k]))
                for k, row in enumerate(keepers.rows)
            ]
            self._bids[leg, side] = standing_bids(run, leg, side, "keepers", quotes)
        book = world.route(leg)
        gain = rules.urgent_gain_ppm if urgent else rules.gain_ppm
        # Own selling moves the mark no further in a second than the market itself does: bids off the book do not move it.
        within = min(wanted, book.depth(side, self._concession(run, leg, side)))
        if not urgent:
            within = within * rules.patient_ppm // PPM
        allowed = book_pace(run, book, leg, side, within, rules.ahead_ppm, gain).lots if within else 0
        return [Limited(book, allowed), self._bids[leg, side]]

    def _insolvent(self, run: Run, account: int, groups: _Groups) -> None:
        """Contract by contract: what the funds cannot bear, sold in order, is deleveraged at the bankruptcy price now;
        the rest is for the market, as fast as pacing allows."""
        world = run.world
        run.tally.closed_at(account, run.now_s)
        now_ns = int(run.now_s * 1e9)
        short = max(0, -world.equity_nano(account))
        taken_before = world.paid["adl"]
        spent = 0
        for broken in broken_leg(run, account):
            side = SELL if broken.lots > 0 else BUY
            funds = run.funds.room_micro(int(world.underlying[broken.leg]), now_ns) - self._reserved - spent
            wave = self._wave(run, broken, side, max(0, funds))
            spent += wave.cost_micro
            self._ahead[broken.leg, side] += wave.market_lots
            closed = pro_rata(run, account, broken, wave.deleverage_lots)
            run.tally.adl_needed_nano += wave.deleverage_lots * int(world.mark_nano[broken.leg])
            if abs(broken.lots) > closed:
                mark = int(world.mark_nano[broken.leg])
                limit = mark + side * (mark * self.rules.broken_ppm // PPM)
                groups[BROKEN, broken.leg, side].append(Order(account, abs(broken.lots) - closed, limit))
        self._reserved += spent  # of the funds, by insolvent accounts that are still being sold
        run.tally.bad_nano += min(short, world.paid["adl"] - taken_before)
        run.settle(account)

    def _wave(self, run: Run, broken: Broken, side: int, funds_micro: int) -> Wave:
        """What of a broken contract the funds can bear to sell: at the price of orderly selling, and worse for every second
        that lots wait because pacing has given the book of this one to others."""
        world = run.world
        u, mark = int(world.underlying[broken.leg]), int(world.mark_nano[broken.leg])
        traded = int(world.depth.mid[u] * world.lot_units[broken.leg] * 1e9)
        orderly = self._concession(run, broken.leg, side, side * max(side * traded, side * mark))  # the worse of the two
        rate = world.route(broken.leg).depth(side, self._concession(run, broken.leg, side))
        ahead = self._ahead[broken.leg, side]
        second_ppm = run.vol_ppm[u] * self.rules.wait_ppm // PPM

        def quote(lots: int) -> tuple[int, int]:
            worse = mark * waiting_ppm(ahead + lots, rate, second_ppm) // PPM
            return lots, -side * lots * (orderly + side * worse) // 1000

        return plan_wave(side, abs(broken.lots), broken.price_nano, funds_micro, quote)
