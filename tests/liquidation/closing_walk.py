"""A random life of two accounts under a closing desk, beside a plain ledger that posts what comes out."""

from __future__ import annotations

import random
from typing import Any

from liquidation.account_walk import Ledger
from seawall.core.times import SECOND_NS
from seawall.liquidation import adl
from seawall.liquidation import closing_events as ev
from seawall.liquidation import layers as last
from seawall.liquidation.account_auction import AccountAuctions
from seawall.liquidation.auction_events import Bid, Oracle, SetBreaker, Settle
from seawall.liquidation.auction_house import FUND
from seawall.liquidation.auction_rules import AccountRules
from seawall.liquidation.backstop import Terms
from seawall.liquidation.closing_desk import ClosingDesk, ToHouse
from seawall.liquidation.closing_state import ClosingRules, bankruptcy_losses
from seawall.liquidation.curves import RAY, two_leg
from seawall.liquidation.layers import Winner
from seawall.liquidation.size import SizeRules, linear_lots
from seawall.liquidation.waterfall import Layer, LayerUsed

SYMBOLS = ("A", "B")
RATE_PPM = 50_000
MINUTE_NS = 60 * SECOND_NS
UNIT = 10**6
RULES = ClosingRules(bucket="alts", rescue_ns=5 * SECOND_NS, selling_ns=20 * SECOND_NS)
AUCTION = AccountRules(
    curve=two_leg(RAY, RAY * 9 // 10, MINUTE_NS, 5 * MINUTE_NS), tail_ns=6 * MINUTE_NS, floor_ppm=500_000,
    insolvent_ns=MINUTE_NS, dust_micro=UNIT,
)  # fmt: skip
WINNERS = ("w1", "w2", "w3")
SIZE = SizeRules(minimum_micro=0, dust_micro=0, full_below_micro=0, fee_ppm=0)


def new_desk() -> ClosingDesk:
    config = last.LayersConfig("USD", (Terms("alts", "USD"),), {"ALT": "alts"})
    return ClosingDesk(AccountAuctions({"alts": AUCTION}, 10**15, "USD"), last.Layers(config), lambda _: RULES)


class Walk:
    """Draws events from a seed; `step()` applies one, posts what came of it and checks it."""

    def __init__(self, seed: int, poor: bool = False) -> None:
        self.random = random.Random(seed)
        self.desk, self.ledger = new_desk(), Ledger()
        self.marks = dict.fromkeys(SYMBOLS, 10**9)
        self.now_ns = self.number = 0
        self.journal: list[Any] = []
        self.outcomes: list[list[Any]] = []
        self.todo: list[Any] = []
        self.seen: dict[str, int] = {}
        self.last_stage: dict[str, tuple[int, int]] = {}
        scale = 1 if poor else 1_000
        self.setup(last.Commit("alts", "provider", 200 * UNIT * scale))
        self.setup(last.Income("fees", 50 * UNIT * scale, "ALT"))
        self.setup(last.Income("fees", 200 * UNIT * scale))
        for name in ("one", "two"):
            self.open(name)

    def setup(self, event: Any) -> None:
        self.ledger.post(list(self.desk.layers.apply(0, event).moves))

    def open(self, name: str) -> None:
        """New positions against the winners, at the mark, with a little more than the maintenance margin."""
        r, gross = self.random, 0
        for symbol in SYMBOLS:
            lots = r.randint(-2_000, 2_000)
            other = r.choice(WINNERS)
            for who, sign in ((name, 1), (other, -1)):
                self.ledger.lots[who, symbol] = self.ledger.lots.get((who, symbol), 0) + sign * lots
                self.ledger.cash[who] = self.ledger.cash.get(who, 0) - sign * lots * self.marks[symbol] // 1000
            gross += abs(self.ledger.lots[name, symbol]) * self.marks[symbol] // 1000
        wanted = gross * r.randint(52, 90) // 1000
        self.ledger.cash[name] += wanted - self.equity(name)

    # ------------------------------------------------------------------ the world's figures

    def equity(self, who: str) -> int:
        held = sum(self.ledger.lots.get((who, s), 0) * self.marks[s] for s in SYMBOLS)
        return self.ledger.cash.get(who, 0) + held // 1000

    def need(self, who: str) -> int:
        return sum(abs(self.ledger.lots.get((who, s), 0)) * self.marks[s] for s in SYMBOLS) * RATE_PPM // (1000 * 10**6)

    def look(self, name: str) -> ev.Look:
        positions = []
        for symbol in SYMBOLS:
            lots = self.ledger.lots.get((name, symbol), 0)
            need = -(-abs(lots) * self.marks[symbol] * RATE_PPM // (1000 * 10**6))
            positions.append(ev.Held(symbol, lots, self.marks[symbol], need))
        equity, need = self.equity(name), sum(each.maintenance_micro for each in positions)
        kind, closes = self.plan(positions, equity, need)
        closing = self.desk.closings.get(name)
        spent = closing.state.spent_micro if closing else 0
        held = [each for each in positions if each.lots]
        losses = bankruptcy_losses(max(0, -equity - spent) * 1000, [(each.lots, each.mark_nano) for each in held])
        funds = self.desk.layers.tranches["ALT"].balance_micro // 4
        bearable = {each.symbol: min(abs(each.lots), funds * 1000 // max(loss, 1)) for each, loss in zip(held, losses)}
        wins = [Winner(w, self.equity(w), max(0, self.equity(w) // 2)) for w in WINNERS]
        return ev.Look(
            number=self.next(), account=name, at_ns=self.now_ns, version=closing.state.version if closing else 0,
            positions=tuple(positions), equity_micro=equity, maintenance_micro=need, market="ALT", kind=kind,
            orders=("open order",) if self.random.random() < 0.1 else (), closes=closes,
            room_lots={s: self.random.randint(0, 2_000) for s in SYMBOLS if self.random.random() < 0.3},
            atomic=self.random.random() < 0.2, bearable_lots=bearable, winners=tuple(wins),
        )  # fmt: skip

    def plan(self, positions: list[ev.Held], equity: int, need: int) -> tuple[str, tuple[ev.Slice, ...]]:
        if not need or not 0 < equity < need:
            return "none", ()
        share = linear_lots(equity, need, need * 1000 // 10**6, 0, SIZE, 10**6) or 10**6
        slices = []
        for each in positions:
            lots = -(-abs(each.lots) * share // 10**6) * (-1 if each.lots > 0 else 1)
            side = 1 if lots > 0 else -1
            if lots:
                give = each.mark_nano * equity * RATE_PPM // need // 10**6
                price = each.mark_nano + side * give
                slices.append(ev.Slice(each.symbol, lots, price, price))
        return ("hand_over" if self.random.random() < 0.05 else "partial"), tuple(slices)

    def next(self) -> int:
        self.number += 1
        return self.number

    # ------------------------------------------------------------------ steps

    def step(self) -> None:
        r = self.random
        self.now_ns += r.choice((0, 0, SECOND_NS // 2, 2 * SECOND_NS, 10 * SECOND_NS))
        if r.random() < 0.25:
            symbol = r.choice(SYMBOLS)
            self.marks[symbol] = max(10**7, int(self.marks[symbol] * r.choice((r.uniform(0.98, 1.02), r.uniform(0.85, 1.15)))))
        if self.journal and r.random() < 0.05:
            digest = self.desk.digest()
            assert self.desk.apply(r.choice(self.journal)) == []  # a record that comes again does nothing
            assert self.desk.digest() == digest
        for name, closing in self.desk.closings.items():  # whoever is out of danger takes new risk
            idle = closing.state.stage == 0 and not closing.state.orders
            if idle and r.random() < 0.1 and self.equity(name) > self.need(name) * 2:
                self.open(name)
        event = self.event()
        self.journal.append(event)
        out = self.desk.apply(event)
        self.outcomes.append(out)
        self.ledger.post(out)
        self.check(event, out)
        self.todo += [x for x in out if isinstance(x, ev.PlaceOrder | ev.Withdraw | ev.Deleverage)]
        for outcome in out:
            if isinstance(outcome, ev.Rested) and not any(self.ledger.lots.get((outcome.account, s)) for s in SYMBOLS):
                self.open(outcome.account)

    def event(self) -> Any:
        r, at = self.random, {"at_ns": self.now_ns}
        if self.todo and r.random() < 0.6:
            return self.carry_out(self.todo.pop(r.randrange(len(self.todo)) if r.random() < 0.3 else 0))
        name, kind = r.choice(("one", "two")), r.random()
        if kind < 0.08:
            symbol = r.choice(SYMBOLS)
            lots = r.randint(-500, 500)
            return ev.Reduce(number=self.next(), account=name, symbol=symbol, lots=lots, **at)
        if kind < 0.1:
            return ev.Flatten(number=self.next(), account=name, **at)
        if kind < 0.3 and self.desk.house.sales:
            sale = self.desk.house.sales[r.choice(self.desk.house.active.numbers)]
            amount, free = r.choice((10**7, 10**8, 10**9)), r.choice((10**6, 10**12))
            limit = self.desk.house.price_of(sale, self.now_ns) + r.choice((-1, 0, 10**6))
            bid = Bid(auction=sale.number, bidder="bob", amount=amount, limit=limit, version=sale.version, free_micro=free, **at)
            return ToHouse(number=self.next(), event=bid, **at)
        if kind < 0.38:
            return ToHouse(number=self.next(), event=Settle(**at), **at)
        if kind < 0.41:
            event = Oracle(bucket="alts", live=r.random() < 0.8, **at) if r.random() < 0.5 else SetBreaker(level=r.choice((0, 0, 1)), **at)
            return ToHouse(number=self.next(), event=event, **at)
        return self.look(name)

    def carry_out(self, done: Any) -> Any:
        """What a venue would answer: fills within the limit, withdrawals confirmed, the other side deleveraged."""
        r, at = self.random, {"account": done.account, "at_ns": self.now_ns}
        if isinstance(done, ev.Withdraw):
            return ev.Filled(number=self.next(), order=done.order, lots=0, proceeds_micro=0, done=True, **at)
        order = done.order
        standing = self.desk.closings[done.account].state.orders
        left = next((each.lots for each in standing if each.id == order.id), 0)
        side = 1 if order.lots > 0 else -1
        if isinstance(done, ev.Deleverage):
            held = [max(0, side * self.ledger.lots.get((w, order.symbol), 0)) for w in WINNERS]
            held = [max(0, -side * -lots) for lots in held]
            parties = adl.Parties.of(held, [max(self.equity(w), 0) for w in WINNERS])
            found = adl.allocate(parties, abs(order.lots), side * (order.price_nano - done.mark_nano) * -1)
            parts = tuple(ev.Part(w, n) for w, n in zip(WINNERS, found.lots.tolist()) if n)
            return ev.Deleveraged(number=self.next(), order=order.id, parts=parts, **at)
        mark = self.marks[order.symbol]
        price = mark + side * mark * r.choice((0, 1, 5, 20, 50)) // 1000
        if order.limit_nano is not None and side * price > side * order.limit_nano:
            price, left = 0, 0  # no trade within the limit
        lots = side * r.choice((0, abs(left), abs(left) // 2, abs(left) // 3))
        proceeds = -lots * price // 1000
        for who, sign in ((done.account, 1), ("market", -1)):
            key = (who, order.symbol)
            self.ledger.lots[key] = self.ledger.lots.get(key, 0) + sign * lots
            self.ledger.cash[who] = self.ledger.cash.get(who, 0) + sign * proceeds
        return ev.Filled(number=self.next(), order=order.id, lots=lots, proceeds_micro=proceeds, done=True, **at)

    # ------------------------------------------------------------------ what must hold

    def check(self, event: Any, out: list[Any]) -> None:
        cash, layers = self.ledger.cash, self.desk.layers
        assert cash.get(FUND, 0) == 0
        for held in (layers.tranches["ALT"], layers.fund):
            assert held.balance_micro == cash.get(held.name, 0) >= 0
        assert layers.vaults["alts"].holds_micro == cash.get("backstop:alts", 0)
        used = [outcome for outcome in out if isinstance(outcome, LayerUsed)]
        for before, after in zip(used, used[1:]):  # several waterfalls may follow each other in one step
            over = before.left_micro == 0 or before.layer == Layer.DEFERRED
            assert after.layer > before.layer or over
            assert after.need_micro == before.left_micro or over
        for name, closing in self.desk.closings.items():
            state = closing.state
            episode, stage = self.last_stage.get(name, (0, 0))
            assert state.episode > episode or state.stage == 0 or state.stage >= stage
            self.last_stage[name] = (state.episode, state.stage)
            assert state.auction == 0 or self.desk.house.sales[state.auction].owner == name
            assert state.waiting == ""
        for outcome in out:
            self.seen[type(outcome).__name__] = self.seen.get(type(outcome).__name__, 0) + 1
            if isinstance(outcome, ev.PlaceOrder | ev.Deleverage):
                self.check_order(event, outcome)
            if isinstance(outcome, ev.Staged):
                key = outcome.after.name
                self.seen[key] = self.seen.get(key, 0) + 1
            if isinstance(outcome, ev.Rested):
                self.seen[outcome.cause] = self.seen.get(outcome.cause, 0) + 1
                assert outcome.cause == "recovered" or not any(self.ledger.lots.get((outcome.account, s)) for s in SYMBOLS)
                assert self.equity(outcome.account) >= 0

    def check_order(self, event: Any, outcome: Any) -> None:
        order = outcome.order
        held = self.ledger.lots.get((outcome.account, order.symbol), 0)
        assert order.lots * held < 0
        assert abs(order.lots) <= abs(held)
        if order.lane == "owner":
            return
        assert isinstance(event, ev.Look)
        assert event.equity_micro < event.maintenance_micro  # whoever is in health is never closed
        state = self.desk.closings[outcome.account].state
        if order.lane == "adl":
            assert state.auctioned
            assert event.equity_micro < 0
            assert event.bearable_lots.get(order.symbol, 0) < abs(held)
