"""A random history of a venue that closes its failed accounts: usual requests, and between them steps of closing as a
service would make them (and some as it would not). Everything is drawn from one seed and the clearing's present state."""

from __future__ import annotations

from typing import Any

import msgspec

from engine.histories import Venue, genesis
from seawall.core.times import SECOND_NS
from seawall.engine.clearing import Clearing
from seawall.engine.clearing_events import ClosingStep, Executed, Unloaded
from seawall.engine.closing_admission import free_micro
from seawall.engine.genesis import Genesis
from seawall.ledger.chart import USER
from seawall.liquidation import layers as last
from seawall.liquidation.account_slices import PPB
from seawall.liquidation.auction_events import Bid, Oracle, Restart, SetBreaker, Settle
from seawall.liquidation.closing_desk import ToHouse, ToLayers
from seawall.liquidation.closing_events import Deleveraged, Flatten, Held, Look, Part, Reduce, Slice
from seawall.liquidation.closing_terms import AuctionTerms, BucketTerms, ClosingTerms
from seawall.liquidation.ranked_events import CancelRanked, Designate, FileRanked

LIQUIDATABLE = 2
WEIGHTS = {"look": 30, "execute": 12, "bid": 10, "settle": 8, "deleverage": 8, "provide": 4, "lane": 4, "house": 2, "unload": 4, "rank": 4, "usual": 30}
TERMS = ClosingTerms(
    rescue_ns=5 * SECOND_NS,
    selling_ns=60 * SECOND_NS,
    buckets={
        "main": BucketTerms(
            auction=AuctionTerms(
                opening_ppm=10**6, knee_ns=60 * SECOND_NS, end_ns=600 * SECOND_NS, insolvent_ns=60 * SECOND_NS, tail_ns=700 * SECOND_NS
            )
        ),
        "alts": BucketTerms(commitment_min_micro=10**6),
    },
    markets={"SOL": "alts"},
)


def closing_genesis(document: dict[str, Any], model: str = "cross") -> Genesis:
    """A venue of `histories.genesis` with terms of closing."""
    return msgspec.structs.replace(genesis(model, document), closing=TERMS)


def positions_of(clearing: Clearing, row: int) -> tuple[Held, ...]:
    """What an account holds, in instruments of one leg, at the marks."""
    watch = clearing.engine.watch
    symbol_of = {legs[0]: symbol for symbol, legs in watch.desk.base.legs.leg_of.items() if len(legs) == 1}
    legs, lots = clearing.engine.book.positions.rows(row)
    found = zip(legs.tolist(), lots.tolist(), strict=True)
    return tuple(Held(symbol_of[leg], size, max(int(watch.mark_nano(leg)), 0), 0) for leg, size in found if size)


class ClosingVenue:
    """The next event for a clearing: a request of `Venue` (`usual`, None otherwise) or a step of closing."""

    def __init__(self, seed: int, clearing: Clearing) -> None:
        self.usual = Venue(seed, clearing)
        self.rng = self.usual.rng

    def next(self, clearing: Clearing) -> tuple[Any, ClosingStep | None, int]:
        """(request of a user or None, step of closing or None, its time)."""
        rng = self.rng
        kind = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        what = None if kind == "usual" else getattr(self, f"_{kind}")(clearing)
        if what is None:
            request, at_ns = self.usual.next(clearing)
            return request, None, at_ns
        self.usual.at_ns = max(self.usual.at_ns, clearing.at_ns) + rng.choice((0, 10**8, 10**9, 20 * 10**9))
        return None, ClosingStep(at_ns=self.usual.at_ns, what=what), self.usual.at_ns

    def _users(self, clearing: Clearing) -> list[str]:
        state = clearing.ledger.state
        return [name for name, kind in zip(state.names, state.kind) if kind == USER]

    def _look(self, clearing: Clearing) -> Look | None:
        rng, state, desk = self.rng, clearing.ledger.state, clearing.desk
        levels = clearing.engine.watch.levels
        users = self._users(clearing)
        failed = [name for name in users if levels[state.rows[name]] >= LIQUIDATABLE or name in desk.closings]
        if not (failed or users):
            return None
        name = rng.choice(failed if failed and rng.random() < 0.95 else users)
        row = state.rows[name]
        held = positions_of(clearing, row)
        figures = clearing.engine.requests.figures(row)
        closing = desk.closings.get(name)
        version = (closing.state.version if closing else 0) + (rng.random() < 0.03)
        closes = tuple(
            Slice(each.symbol, -(each.lots // 2 or each.lots), each.mark_nano * (97 if each.lots > 0 else 103) // 100, each.mark_nano)
            for each in held
        )
        return Look(
            number=0, account=name, at_ns=0, version=version, positions=held, equity_micro=figures.equity_micro,
            maintenance_micro=figures.maintenance_micro, market=rng.choice(self.usual.underlyings),
            orders=tuple(order for (of, order) in clearing.orders if of == row),
            kind=rng.choice(("partial", "none", "hand_over")), closes=closes,
            bearable_lots={each.symbol: rng.choice((0, abs(each.lots))) for each in held},
        )  # fmt: skip

    def _orders(self, clearing: Clearing, adl: bool) -> list[tuple[str, Any]]:
        found = ((name, order) for name, closing in clearing.desk.closings.items() for order in closing.state.orders)
        return [(name, order) for name, order in found if (order.lane == "adl") == adl]

    def _execute(self, clearing: Clearing) -> Executed | None:
        orders = self._orders(clearing, adl=False)
        if not orders:
            return None
        name, order = self.rng.choice(orders)
        if self.rng.random() < 0.3:
            return Executed(account=name, order=order.id, done=True)
        mark = next((each.mark_nano for each in positions_of(clearing, clearing.ledger.state.rows[name]) if each.symbol == order.symbol), 1)
        side = 1 if order.lots > 0 else -1
        lots = side * self.rng.randint(1, abs(order.lots))
        price = order.limit_nano if order.limit_nano is not None else max(mark, 1)
        maker = self.rng.choice(["backstop", *self._users(clearing)])
        return Executed(account=name, order=order.id, maker=maker, lots=lots, price_nano=price, done=self.rng.random() < 0.5)

    def _rank(self, clearing: Clearing) -> ToHouse:
        """Standing bids come and go, and market makers promise some."""
        rng, state = self.rng, clearing.ledger.state
        users = self._users(clearing)
        name = rng.choice([each for each in users if state.state[state.rows[each]] == 0 and state.parent[state.rows[each]] < 0] or users[:1])
        bucket, id = rng.choice(("main", "alts")), str(rng.randint(1, 3))
        free = free_micro(clearing, state.rows[name])
        event: Any = CancelRanked(bidder=name, id=rng.choice((id, "")), at_ns=0)
        if rng.random() < 0.1:
            event = Designate(bidder=name, bucket=bucket, size_micro=rng.choice((0, 10**9)), share_ppm=900_000, at_ns=0)
        elif rng.random() < 0.8:
            event = FileRanked(
                bidder=name, id=id, bucket=bucket, size_micro=rng.choice((10**8, 10**12)), share_ppm=rng.choice((900_000, 10**6)),
                insolvent_ppm=rng.choice((-1, 0, 10**6)), budget_micro=free // rng.choice((2, 10)) + 1, free_micro=free,
                until_ns=self.usual.at_ns + rng.choice((10**9, 10**12)), at_ns=0,
            )  # fmt: skip
        return ToHouse(number=0, at_ns=0, event=event)

    def _bid(self, clearing: Clearing) -> ToHouse | None:
        house = clearing.desk.house
        if not house.sales:
            return None
        sale = self.rng.choice(list(house.sales.values()))
        bidder = self.rng.choice(self._users(clearing))
        free = free_micro(clearing, clearing.ledger.state.rows[bidder])
        price = house.price_of(sale, clearing.at_ns)
        event = Bid(
            auction=sale.number, bidder=bidder, amount=self.rng.randint(1, PPB), limit=price + abs(price) // 5 + 10**6,
            version=sale.version, free_micro=free + (10**6 if self.rng.random() < 0.05 else 0), at_ns=0,
        )  # fmt: skip
        return ToHouse(number=0, at_ns=0, event=event)

    def _settle(self, clearing: Clearing) -> ToHouse | None:
        return ToHouse(number=0, at_ns=0, event=Settle(at_ns=0)) if clearing.desk.house.sales else None

    def _house(self, clearing: Clearing) -> ToHouse | None:
        sales = list(clearing.desk.house.sales.values())
        kinds: list[Any] = [Oracle(bucket="main", live=self.rng.random() < 0.8, at_ns=0), SetBreaker(level=self.rng.choice((0, 0, 1)), at_ns=0)]
        if sales:
            kinds.append(Restart(auction=self.rng.choice(sales).number, keeper="", at_ns=0))
        return ToHouse(number=0, at_ns=0, event=self.rng.choice(kinds))

    def _deleverage(self, clearing: Clearing) -> Deleveraged | None:
        orders = self._orders(clearing, adl=True)
        if not orders:
            return None
        name, order = self.rng.choice(orders)
        left, parts = abs(order.lots), []
        for other in self._users(clearing):
            lots, _ = clearing.ledger.position(other, order.symbol)
            if lots * order.lots > 0 and left and other != name:
                part = min(left, abs(lots), self.rng.randint(1, abs(lots)))
                parts.append(Part(other, part))
                left -= part
        return Deleveraged(number=0, account=name, at_ns=0, order=order.id, parts=tuple(parts))

    def _provide(self, clearing: Clearing) -> ToLayers:
        rng = self.rng
        user, bucket = rng.choice([*self._users(clearing), "nobody"]), rng.choice(("main", "alts"))
        events = (
            last.Commit(bucket, user, rng.choice((10**6, 200 * 10**6))), last.Income("insurance", 10**8, rng.choice(("", "BTC"))),
            last.AskExit(bucket, user, 10**6), last.Collect(bucket, user), last.Advance(), last.Income("fees", 10**6),
        )  # fmt: skip
        return ToLayers(number=0, at_ns=0, event=rng.choice(events))

    def _lane(self, clearing: Clearing) -> Any:
        closings = clearing.desk.closings
        name = self.rng.choice(list(closings) or self._users(clearing) or ["nobody"])
        if self.rng.random() < 0.3:
            return Flatten(number=0, account=name, at_ns=0)
        row = clearing.ledger.state.rows.get(name, -1)
        held = positions_of(clearing, row) if row >= 0 else ()
        if not held:
            return Flatten(number=0, account=name, at_ns=0)
        each = self.rng.choice(held)
        return Reduce(number=0, account=name, at_ns=0, symbol=each.symbol, lots=-each.lots)

    def _unload(self, clearing: Clearing) -> Unloaded | None:
        for bucket, vault in clearing.desk.layers.vaults.items():
            for symbol, held in vault.inventory.items():
                price = max(abs(held.cost_nano // held.lots) * self.rng.choice((95, 100, 105)) // 100, 1)
                maker = self.rng.choice(self._users(clearing))
                return Unloaded(bucket=bucket, instrument=symbol, maker=maker, lots=-held.lots, price_nano=price)
        return None
