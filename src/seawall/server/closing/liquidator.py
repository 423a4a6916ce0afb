"""The liquidator: part of the service's loop, it looks at failing accounts, answers what the desk asks, and keeps its clocks.

It decides nothing. All that it knows of a closing is the desk's state, so a service that was killed goes on from there, and
an order, an auction or a wave that was begun is not begun again. Its own memory is of times alone: when an account was last looked
at, and since when an order waits to be confirmed. Every beat has a budget, after which requests and prices get the loop; who did
not get his turn waits in a queue by systemic importance.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

from seawall.core.errors import InputError
from seawall.core.times import SECOND_NS
from seawall.engine.clearing import Clearing
from seawall.engine.clearing_events import Executed
from seawall.liquidation.auction_events import Oracle, Settle
from seawall.liquidation.closing import Closing
from seawall.liquidation.closing_desk import ToHouse, ToLayers
from seawall.liquidation.closing_events import Deleveraged, Order, Stage
from seawall.liquidation.layers import Advance, MarkInventory
from seawall.server.config import LiquidatorTable
from seawall.server.metrics import Histogram
from seawall.server.outbox import Unavailable

from .book import BookOf
from .looks import LookMaker
from .others import OtherSides
from .pacing import Pacer
from .rules import look_rules
from .schedule import Schedule
from .waiting import Waiting

__all__ = ["Liquidator"]

FAULT_NS = 5 * SECOND_NS  # after which an account whose look was refused is tried again
LOOK_COST_NS = 500_000  # what is taken for a look at an auction, with as much for everybody else
QUICK_FROM = 256  # accounts that wait, from which on plans are made by the closed form

_OF_THE_MARKET = frozenset(("Ticks", "Marks", "Surface", "Clock", "Premium"))  # which concern nobody but whose status they change

log = logging.getLogger("seawall")
Apply = Callable[[Any], Any]


class Liquidator:
    """apply: records a step (`Service.step`). tell: puts something on the stream that is no event. clock: ns since 1970. seen: when the
    index price of each underlying last came.

    stages: histograms of a beat, and of the time from a breach to its first look.
    """

    def __init__(
        self,
        clearing: Clearing,
        table: LiquidatorTable,
        apply: Apply,
        tell: Callable[[dict[str, Any]], None],
        clock: Callable[[], int],
        seen: Callable[[], dict[str, tuple[int, str]]],
    ) -> None:
        assert clearing.desk is not None, "a venue that closes failed accounts"
        self.clearing, self.desk, self.table = clearing, clearing.desk, table
        self._apply, self._tell, self._clock, self._seen = apply, tell, clock, seen
        self.book = BookOf(clearing)
        self.schedule = Schedule(clearing, self.book)
        self.others = OtherSides(self.book, self.schedule.open)
        rules = look_rules(table, clearing.genesis)
        self.looks = LookMaker(clearing, rules, self.book, self.others)
        self._look_ns = int(table.look_s * SECOND_NS)
        self.pacer = Pacer(clearing, rules.ladders, table.gain_limit_ppm, self._look_ns, self._now)
        self.waiting = Waiting(int(table.order_s * SECOND_NS), int(table.confirm_s * SECOND_NS))
        self.beats, self.first = Histogram(), Histogram()
        self.stages = {"closing-beat": self.beats, "closing-first-look": self.first}
        self.refused = 0
        self._woken = asyncio.Event()
        self._settled_at = self._settling_s = 0.0
        self._second_ns = 0  # of the clocks that are looked at now and then
        self._stale: set[str] = set(self.desk.house.stale)
        self._auctions: dict[int, str] = {}
        self._marked: dict[tuple[str, str], int] = {}
        self._markets: set[str] = set()  # that somebody is or was closed in
        self._orders: dict[int, dict[str, None]] = {}
        for row, order in clearing.orders:
            self._orders.setdefault(row, {})[order] = None
        for name, closing in self.desk.closings.items():
            self.schedule.open[clearing.ledger.state.rows[name]] = True
            if closing.state.auction:
                self._auctions[closing.state.auction] = name
            if closing.state.look is not None:
                self._markets.add(closing.state.look.market)

    # -- the loop ------------------------------------------------------------------------------

    async def run(self) -> None:
        """Beats until it is cancelled. A journal that takes nothing is waited for; anything else that goes wrong is a defect."""
        while True:
            began = time.perf_counter()
            try:
                more = self.beat()
            except Unavailable:
                more = False
            spent = time.perf_counter() - began
            if more:
                await asyncio.sleep(max(spent, 0.001))  # as long for everybody else
            else:
                await self._woken_or(self.table.beat_ms / 1e3)

    async def _woken_or(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            pass
        self._woken.clear()

    def beat(self) -> bool:
        """One turn, as long as the budget; whether somebody still waits."""
        began = time.perf_counter()
        until = began + self.table.budget_ms / 1e3
        now_ns = self._now()
        self._clocks(now_ns)
        self.schedule.join(now_ns)
        attended = 0
        while attended == 0 or time.perf_counter() < until:
            row = self.schedule.take()
            if row < 0:
                break
            attended += 1
            self._attend(row)
        if attended:
            self.beats.observe(time.perf_counter() - began)
        return len(self.schedule) > 0

    def heard(self, event: Any, outcome: Any) -> None:
        """Of every event that was applied: whose closing it concerns is looked at with the next beat."""
        kind = type(event).__name__
        if kind in _OF_THE_MARKET and not outcome.decisions:
            return
        if kind in ("Order", "Cancel"):
            orders = self._orders.setdefault(self.clearing.ledger.state.rows[event.account], {})
            if kind == "Order":
                orders[event.id] = None
            else:
                orders.pop(event.id, None)
        if kind == "Expire":
            self.schedule.all_soon()
        for said in outcome.closing:
            self.waiting.heard(said, event.at_ns)
        names = set(self._concerned(getattr(event, "what", event), outcome.closing))
        names |= {one.account for one in outcome.decisions if self.schedule.is_open(one.account)}
        for name in names:
            self._touch(name)
        if names or any(one.status in ("liquidatable", "bankrupt") for one in outcome.decisions):
            self._woken.set()

    def ahead(self, account: str) -> None:
        """Before the owner acts: an account that fails and was not looked at yet is, so that his lane is open."""
        row = self.clearing.ledger.state.rows.get(account, -1)
        if row >= 0 and account not in self.desk.closings and self.schedule.failing(row):
            self._attend(row)

    def _concerned(self, event: Any, said: tuple[Any, ...]) -> Iterator[str]:
        closings = self.desk.closings
        for field in ("account", "maker", "taker"):
            name = getattr(event, field, "")
            if name in closings or self.schedule.is_open(name):
                yield name
        for one in said:
            number = getattr(one, "auction", 0)
            if hasattr(one, "owner"):  # an auction has started
                self._auctions[number] = one.owner
            owner = getattr(one, "account", "") or self._auctions.get(number, "")
            if owner:
                yield owner
            if hasattr(one, "uncovered_micro"):  # and this one is over
                self._auctions.pop(number, None)

    def _touch(self, name: str) -> None:
        row = self.clearing.ledger.state.rows.get(name, -1)
        if row < 0:
            return
        is_open = name in self.desk.closings
        if not is_open and self.schedule.open[row]:
            self.waiting.forget(name)
        self.schedule.open[row] = is_open
        self.schedule.soon(row)

    # -- one account ---------------------------------------------------------------------------

    def _attend(self, row: int) -> None:
        """What one account needs now: at most one look, and the answers that it waits for."""
        name = self.clearing.ledger.state.names[row]
        now_ns = self._now()
        self.schedule.later(row, now_ns + self._look_ns)
        try:
            self._act(row, name, now_ns)
        except InputError as error:
            self.refused += 1
            self.schedule.later(row, now_ns + FAULT_NS)
            log.warning("the closing of %s waits: %s", name, error)

    def _act(self, row: int, name: str, now_ns: int) -> None:
        desk = self.desk
        closing = desk.closings.get(name)
        if closing is None and not self.schedule.failing(row):
            self.schedule.breached(row)
            return
        if closing is not None:
            if closing.rules.bucket in self._stale:
                return  # nothing is done on a price that nobody knows
            self._unwait(name, closing, now_ns)
        figures = self.clearing.engine.requests.figures(row)
        if self._needs(name, desk.closings.get(name), figures, now_ns):
            first_ns = self.schedule.breached(row)
            look = self.looks.look(
                name, now_ns, self._open_orders(row), quick=len(self.schedule) > QUICK_FROM,
                unwanted=self.waiting.unwanted(name), room=self.pacer.room, figures=figures,
            )  # fmt: skip
            if self._says_something(desk.closings.get(name), look):
                self._markets.add(look.market)
                self._apply(look)
                if first_ns:
                    self.first.observe((self._now() - first_ns) / SECOND_NS)
        closing = desk.closings.get(name)
        if closing is not None:
            for order in [each for each in closing.state.orders if each.lane == "adl"]:
                self._deleverage(name, order)
        self._plan_next(row, desk.closings.get(name), now_ns)

    def _needs(self, name: str, closing: Closing | None, figures: Any, now_ns: int) -> bool:
        """Whether a look could change anything."""
        health = figures.health_micro
        if closing is None:
            return health < 0
        state, rules = closing.state, closing.rules
        waits = [order for order in state.orders if order.lane != "adl"]
        unasked = any(not self.waiting.asked(name, order.id) for order in waits)
        if state.look is not None and not any(held.lots for held in state.look.positions):
            return not waits or unasked
        others = [order for order in state.orders if order.lane not in ("owner", "adl")]
        if health >= 0:
            buffered = figures.maintenance_micro - (-figures.maintenance_micro * rules.buffer_ppm // 10**6)
            unasked = any(not self.waiting.asked(name, order.id) for order in others)
            return bool(state.auction) or unasked or (figures.equity_micro >= buffered and not others)
        window_ns = state.breached_ns + rules.rescue_ns
        match state.stage:
            case Stage.REST:
                return True
            case Stage.RESCUE:
                return now_ns >= window_ns or figures.equity_micro <= 0
            case Stage.SELLING:
                ends = figures.equity_micro <= 0 or now_ns >= window_ns + rules.selling_ns
                if ends:
                    return not waits or unasked
                return not others
            case Stage.AUCTION:
                sale = self.desk.house.sales.get(state.auction)
                if sale is None or state.due or not sale.fresh or state.look is None:
                    return True
                return (state.look.equity_micro, state.look.maintenance_micro) != (figures.equity_micro, figures.maintenance_micro)
            case Stage.BACKSTOP:
                return True
        return not waits

    def _says_something(self, closing: Closing | None, look: Any) -> bool:
        """A plan without closes, while slices are sold, is not worth a record."""
        if closing is None or closing.state.stage != Stage.SELLING or look.closes or look.kind == "hand_over":
            return True
        over = look.at_ns >= closing.state.breached_ns + closing.rules.rescue_ns + closing.rules.selling_ns
        return over or look.equity_micro <= 0 or look.equity_micro >= look.maintenance_micro or not look.positions

    def _plan_next(self, row: int, closing: Closing | None, now_ns: int) -> None:
        self.schedule.open[row] = closing is not None
        if closing is None:
            return
        state = closing.state
        if state.look is None or state.look.version != state.version:
            self.schedule.later(row, 0)  # something has changed since
            return
        self.schedule.later(row, self._due_ns(closing, now_ns))

    def _due_ns(self, closing: Closing, now_ns: int) -> int:
        """When a closing to which nothing happens is looked at again: where only time can change something, at that time. What else
        changes it (fills, sales, its status) makes it due at once, see `heard`."""
        state, rules = closing.state, closing.rules
        rescued_ns = state.breached_ns + rules.rescue_ns
        sold_ns = rescued_ns + rules.selling_ns
        waits = any(order.lane in ("wave", "residual") or self.waiting.asked(closing.account, order.id) for order in state.orders)
        if state.stage == Stage.RESCUE and now_ns < rescued_ns and not waits:
            return rescued_ns
        if state.stage == Stage.SELLING and now_ns < sold_ns and state.orders and not waits:
            return sold_ns
        # figures of very many auctions are renewed as often as half of the loop bears
        return now_ns + max(self._look_ns, LOOK_COST_NS * len(self.desk.house.sales))

    def _unwait(self, name: str, closing: Closing, now_ns: int) -> None:
        """Orders that nobody executes or confirms."""
        row = self.clearing.ledger.state.rows[name]
        held = {each.symbol: each.lots for each in self.book.positions(row)} if closing.state.orders else {}
        overdue = self.waiting.overdue(name, closing.state, held, now_ns)
        for order in overdue.ask:
            self._tell({"what": "withdraw", "account": name, "order": order.id})
        for order in overdue.over:
            self._apply(Executed(account=name, order=order.id, done=True))

    def _deleverage(self, name: str, order: Order) -> None:
        parts = self.others.parts(name, order)
        self._apply(Deleveraged(number=0, account=name, at_ns=0, order=order.id, parts=parts))

    def _open_orders(self, row: int) -> tuple[str, ...]:
        """Ids of an account's own open orders."""
        known = self._orders.get(row)
        if not known or not self.clearing.engine.book.orders.length[row]:
            self._orders.pop(row, None)
            return ()
        return tuple(order for order in known if (row, order) in self.clearing.orders)

    # -- clocks --------------------------------------------------------------------------------

    def _clocks(self, now_ns: int) -> None:
        """Ticks of the auctions; and now and then the age of prices, marks of what was inherited, exits that are due."""
        self._settle(now_ns)
        if now_ns - self._second_ns < self._look_ns:
            return
        self._second_ns = now_ns
        self._oracles(now_ns)
        self._inventories()
        due_ns = self.desk.layers.due_ns()
        if due_ns is not None and due_ns <= now_ns:
            self._record(ToLayers(number=0, at_ns=0, event=Advance()))

    def _settle(self, now_ns: int) -> None:
        """Ends a tick in which there were bids, or after which the backstop is to be called; never more than a twentieth of the time."""
        house, clock = self.desk.house, time.perf_counter()
        if clock - self._settled_at < max(self.table.beat_ms / 1e3, 20 * self._settling_s):
            return
        waits = house.pending and house.now_ns <= now_ns
        if waits or (clock - self._settled_at >= self.table.look_s and house.calls(now_ns)):
            self._record(ToHouse(number=0, at_ns=0, event=Settle(at_ns=0)))
            self._settling_s = time.perf_counter() - clock
            self._settled_at = clock

    def _oracles(self, now_ns: int) -> None:
        """Stops the auctions of a bucket while the price of one of its markets is stale: one that somebody is closed in, or
        whose price has come before."""
        if not self.table.stale_s:
            return
        seen, limit_ns = self._seen(), int(self.table.stale_s * SECOND_NS)
        known = {name: at_ns for name, (at_ns, _) in seen.items()}
        stale: set[str] = set()
        for market, bucket in self.desk.layers.config.markets.items():
            if (market in known or market in self._markets) and now_ns - known.get(market, 0) > limit_ns:
                stale.add(bucket)
        for bucket in sorted(stale ^ self._stale):
            self._record(ToHouse(number=0, at_ns=0, event=Oracle(bucket=bucket, live=bucket not in stale, at_ns=0)))
        self._stale = stale

    def _inventories(self) -> None:
        """Marks of inherited positions, where they have moved."""
        watch, mirror = self.clearing.engine.watch, self.clearing.mirror
        instrument_of = self.clearing.ledger.state.instrument_of
        for bucket, vault in self.desk.layers.vaults.items():
            for symbol in list(vault.inventory):
                price = sum(watch.mark_nano(leg) for leg in mirror.legs_of[instrument_of[symbol]])
                if price > 0 and self._marked.get((bucket, symbol)) != price:
                    self._marked[bucket, symbol] = price
                    self._record(ToLayers(number=0, at_ns=0, event=MarkInventory(bucket, symbol, price)))

    def _record(self, what: Any) -> None:
        try:
            self._apply(what)
        except InputError as error:
            self.refused += 1
            log.warning("a clock of the closings was refused: %s", error)

    def _now(self) -> int:
        return max(self._clock(), self.clearing.at_ns)
