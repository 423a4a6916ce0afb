"""A venue in a crash, for the page of closings: a real closing desk with its auctions and last layers, driven by a seed, and
its state in the shapes in which the service's API tells it."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

from liquidation.account_walk import Ledger
from seawall.core.times import SECOND_NS
from seawall.core.units import format_micro
from seawall.liquidation import adl
from seawall.liquidation import closing_events as ev
from seawall.liquidation import layers as last
from seawall.liquidation.account_auction import AccountAuctions
from seawall.liquidation.account_slices import PPB
from seawall.liquidation.auction_events import Bid, Ended, Oracle, SetBreaker, Settle, Sold, Started
from seawall.liquidation.auction_rules import AccountRules
from seawall.liquidation.backstop import Terms
from seawall.liquidation.closing_desk import ClosingDesk, ToHouse
from seawall.liquidation.closing_events import Stage
from seawall.liquidation.closing_state import ClosingRules, bankruptcy_losses
from seawall.liquidation.curves import RAY, two_leg
from seawall.liquidation.layers import Winner
from seawall.liquidation.waterfall import LayerUsed

USD = 10**6
MINUTE_NS = 60 * SECOND_NS
START_NS = 1_760_130_000 * 10**9
RATE_PPM = 50_000
LOTS = {"BTC-PERP": ("BTC", "0.001", 98_000_000_000), "ETH-PERP": ("ETH", "0.01", 33_000_000_000), "SOL-PERP": ("SOL", "0.1", 18_000_000_000)}
WINNERS = tuple(f"short-{n}" for n in range(1, 9))
AUCTION = AccountRules(
    curve=two_leg(RAY * 98 // 100, RAY * 8 // 10, 5 * MINUTE_NS, 20 * MINUTE_NS, RAY // 2), tail_ns=30 * MINUTE_NS,
    floor_ppm=500_000, insolvent_ns=10 * MINUTE_NS, dust_micro=USD,
)  # fmt: skip
LAYER_NAMES = ("account", "proceeds", "tranche", "backstop", "fund", "deleveraging", "deferred")


class FailingVenue:
    """`fall` moves prices, `beat` lets time pass and the closings act, `bid` sells a part of an auction."""

    def __init__(self, seed: int = 7, accounts: int = 12, vault: int = 400_000, tranche: int = 60_000, fund: int = 900_000) -> None:
        self.random = random.Random(seed)
        majors = ClosingRules(bucket="majors", rescue_ns=5 * SECOND_NS, selling_ns=20 * SECOND_NS)
        config = last.LayersConfig("USD", (Terms("majors", "USD"),), dict.fromkeys(("BTC", "ETH", "SOL"), "majors"))
        house = AccountAuctions({"majors": AUCTION}, 10**15, "USD")
        self.desk = ClosingDesk(house, last.Layers(config), lambda _: majors)
        self.ledger, self.marks = Ledger(), {symbol: price for symbol, (_, _, price) in LOTS.items()}
        self.now_ns, self.number = START_NS, 0
        self.news: list[tuple[int, dict[str, Any]]] = []
        self.settled: list[dict[str, Any]] = []
        self.totals = dict.fromkeys(LAYER_NAMES, 0)
        self.todo: list[Any] = []
        self.depth = 0.3  # of an order, what the market takes at a time
        layers = self.desk.layers
        for amount, provider in ((vault * 6 // 10, "provider-1"), (vault * 4 // 10, "provider-2")):
            layers.apply(self.now_ns, last.Commit("majors", provider, amount * USD))
        layers.apply(self.now_ns, last.AskExit("majors", "provider-2", vault * USD // 10))
        for k, market in enumerate(config.markets):
            layers.apply(self.now_ns, last.Income("fees", tranche * USD // (k + 1), market))
        layers.apply(self.now_ns, last.Income("fees", fund * USD))
        self.names = [f"acct-{n:04d}" for n in range(1, accounts + 1)]
        for name in self.names:
            self.open(name)

    def open(self, name: str) -> None:
        """Longs of the three, some hedged, with a little more than the maintenance margin."""
        r, gross = self.random, 0
        for symbol in r.sample(list(LOTS), r.randint(1, 3)):
            lots = int(r.uniform(2_000, 60_000) * 10**9 / self.marks[symbol]) * r.choice((1, 1, 1, 1, -1))
            for who, sign in ((name, 1), (r.choice(WINNERS), -1)):
                self.ledger.lots[who, symbol] = self.ledger.lots.get((who, symbol), 0) + sign * lots
                self.ledger.cash[who] = self.ledger.cash.get(who, 0) - sign * lots * self.marks[symbol] // 1000
            gross += abs(lots) * self.marks[symbol] // 1000
        self.ledger.cash[name] += gross * r.randint(52, 130) // 1000 - self.equity(name)
        for winner in WINNERS:
            self.ledger.cash[winner] = self.ledger.cash.get(winner, 0) + gross // 20

    # ------------------------------------------------------------------ figures

    def equity(self, who: str) -> int:
        held = sum(self.ledger.lots.get((who, s), 0) * self.marks[s] for s in LOTS)
        return self.ledger.cash.get(who, 0) + held // 1000

    def held(self, who: str) -> list[ev.Held]:
        out = []
        for symbol, mark in self.marks.items():
            lots = self.ledger.lots.get((who, symbol), 0)
            if lots:
                out.append(ev.Held(symbol, lots, mark, -(-abs(lots) * mark * RATE_PPM // (1000 * 10**6))))
        return out

    def look(self, name: str) -> ev.Look:
        held, equity = self.held(name), self.equity(name)
        need = sum(each.maintenance_micro for each in held)
        closing = self.desk.closings.get(name)
        state = closing.state if closing else None
        closes = []
        if 0 < equity < need:
            for each in held:
                lots = -(-abs(each.lots) * (need - equity) * 2 // need)
                lots = min(lots, abs(each.lots)) * (-1 if each.lots > 0 else 1)
                price = each.mark_nano + (1 if lots > 0 else -1) * each.mark_nano * equity * RATE_PPM // need // 10**6
                closes.append(ev.Slice(each.symbol, lots, price, price))
        losses = bankruptcy_losses(max(0, -equity - (state.spent_micro if state else 0)) * 1000, [(e.lots, e.mark_nano) for e in held])
        layers = self.desk.layers
        funds = (layers.vaults["majors"].capacity(self.now_ns) + layers.fund.balance_micro // 10) // 20
        bearable = {e.symbol: min(abs(e.lots), funds * 1000 // max(loss, 1)) for e, loss in zip(held, losses, strict=True)}
        market = LOTS[max(held, key=lambda e: abs(e.lots) * e.mark_nano).symbol][0] if held else "BTC"
        wins = tuple(Winner(w, max(self.equity(w), 0), max(0, self.equity(w) // 4)) for w in WINNERS)
        return ev.Look(
            number=self.next(), account=name, at_ns=self.now_ns, version=state.version if state else 0, positions=tuple(held),
            equity_micro=equity, maintenance_micro=need, market=market, kind="partial" if closes else "none",
            closes=tuple(closes), bearable_lots=bearable, winners=wins,
        )  # fmt: skip

    def next(self) -> int:
        self.number += 1
        return self.number

    # ------------------------------------------------------------------ what happens

    def fall(self, **ppm: int) -> None:
        """Prices move by so many ppm."""
        for symbol, (underlying, _, _) in LOTS.items():
            self.marks[symbol] += self.marks[symbol] * ppm.get(underlying, 0) // 10**6

    def beat(self, seconds: float = 1.0) -> None:
        """Time passes; who is below maintenance, or being closed, is looked at; orders are carried out; the tick is settled."""
        self.now_ns += int(seconds * SECOND_NS)
        for name in self.names:
            closing = self.desk.closings.get(name)
            below = self.equity(name) < sum(each.maintenance_micro for each in self.held(name))
            if below or closing is not None and closing.state.stage:
                self.apply(self.look(name))
        todo, self.todo = self.todo, []
        for each in todo:
            self.carry_out(each)
        self.house(Settle(at_ns=self.now_ns))

    def house(self, event: Any) -> list[Any]:
        return self.apply(ToHouse(number=self.next(), at_ns=self.now_ns, event=event))

    def bid(self, number: int, share: float, bidder: str = "keeper-1") -> list[Any]:
        sale = self.desk.house.sales[number]
        limit = self.desk.house.price_of(sale, self.now_ns)
        return self.house(
            Bid(auction=number, bidder=bidder, amount=int(share * PPB), limit=limit, version=sale.version,
                free_micro=10**13, at_ns=self.now_ns)
        )  # fmt: skip

    def breaker(self, level: int) -> None:
        self.house(SetBreaker(level=level, at_ns=self.now_ns))

    def oracle(self, live: bool) -> None:
        self.house(Oracle(bucket="majors", live=live, at_ns=self.now_ns))

    def apply(self, event: Any) -> list[Any]:
        out = self.desk.apply(event)
        self.ledger.post(out)
        self.todo += [x for x in out if isinstance(x, ev.PlaceOrder | ev.Withdraw | ev.Deleverage)]
        self.record(event, out)
        return out

    def carry_out(self, done: Any) -> None:
        at = {"number": self.next(), "account": done.account, "at_ns": self.now_ns}
        if isinstance(done, ev.Withdraw):
            self.apply(ev.Filled(order=done.order, lots=0, proceeds_micro=0, done=True, **at))
            return
        order = done.order
        left = next((x.lots for x in self.desk.closings[done.account].state.orders if x.id == order.id), 0)
        side = 1 if order.lots > 0 else -1
        if isinstance(done, ev.Deleverage):
            held = [max(0, side * self.ledger.lots.get((w, order.symbol), 0)) for w in WINNERS]
            profit = [max(self.equity(w), 0) if h else 0 for w, h in zip(WINNERS, held, strict=True)]
            loss = (order.price_nano - done.mark_nano) * -side
            found = adl.allocate(adl.Parties.of(held, profit), abs(left), max(loss, 0))
            parts = tuple(ev.Part(w, n) for w, n in zip(WINNERS, found.lots.tolist(), strict=True) if n)
            self.apply(ev.Deleveraged(order=order.id, parts=parts, **at))
            return
        lots = side * int(abs(left) * (1.0 if order.lane in ("wave", "residual") else self.depth))
        price = self.marks[order.symbol] * (1000 + side * self.random.choice((1, 2, 5))) // 1000
        if order.limit_nano is not None and side * price > side * order.limit_nano:
            lots = 0
        proceeds = -lots * price // 1000
        for who, sign in ((done.account, 1), ("market", -1)):
            key = (who, order.symbol)
            self.ledger.lots[key] = self.ledger.lots.get(key, 0) + sign * lots
            self.ledger.cash[who] = self.ledger.cash.get(who, 0) + sign * proceeds
        self.apply(ev.Filled(order=order.id, lots=lots, proceeds_micro=proceeds, done=True, **at))

    # ------------------------------------------------------------------ as the API tells it

    def quantity(self, symbol: str, lots: int) -> str:
        return f"{Decimal(LOTS[symbol][1]) * lots:f}"

    def price(self, symbol: str, nano: int | None) -> str | None:
        return None if nano is None else f"{Decimal(nano) / 10**9 / Decimal(LOTS[symbol][1]):f}"

    def order(self, order: ev.Order) -> dict[str, Any]:
        return {"id": order.id, "instrument": order.symbol, "quantity": self.quantity(order.symbol, order.lots),
                "limit": self.price(order.symbol, order.limit_nano), "lane": order.lane}  # fmt: skip

    def said(self, order: ev.Order) -> dict[str, Any]:
        """An order as messages of the stream have it."""
        words = self.order(order)
        return {"order": words.pop("id"), **words}

    def record(self, event: Any, out: list[Any]) -> None:
        account, runs = getattr(event, "account", ""), []
        for each in (x for x in out if isinstance(x, LayerUsed)):
            self.totals[LAYER_NAMES[each.layer]] += each.paid_micro if each.layer < 6 else each.left_micro
            if not runs or each.layer <= runs[-1][-1].layer:
                runs.append([])  # another waterfall of the same step
            runs[-1].append(each)
        rested = next((x for x in out if isinstance(x, ev.Rested)), None)
        for used in runs:
            paid = [
                {"layer": LAYER_NAMES[x.layer], "source": x.source, "capacity": format_micro(x.capacity_micro), "paid": format_micro(x.paid_micro), "why": x.why}
                for x in used
                if x.layer < 6
            ]
            row = {"account": account, "market": getattr(event, "market", ""), "need": format_micro(used[0].need_micro), "layers": paid}
            residual = format_micro(rested.residual_micro if rested else 0)
            self.settled.append(row | {"sequence": self.number, "at_ns": self.now_ns, "residual": residual})
            self.say("settled", **row)
        for one in out:
            self.tell(one)

    def tell(self, one: Any) -> None:
        if isinstance(one, ev.Staged):
            stages = {"from": one.before.name.lower(), "to": one.after.name.lower(), "why": one.why}
            self.say("staged", one.account, equity=format_micro(one.equity_micro), maintenance=format_micro(one.maintenance_micro), **stages)
        elif isinstance(one, ev.PlaceOrder):
            self.say("place-order", one.account, together=one.together, **self.said(one.order))
        elif isinstance(one, ev.Rested):
            self.say("rested", one.account, cause=one.cause, residual=format_micro(one.residual_micro))
        elif isinstance(one, Started):
            self.say("started", one.owner, auction=one.auction, requirement=format_micro(one.target_micro))
        elif isinstance(one, Sold):
            share = f"{one.amount / PPB:.4f}"
            self.say("sold", "", auction=one.auction, bidder=one.bidder, share=share, paid=format_micro(one.paid_micro))
        elif isinstance(one, Ended):
            self.say("ended", "", auction=one.auction, cause=one.cause)
        elif isinstance(one, ev.Deleverage):
            self.say("deleverage", one.account, **self.said(one.order))

    def say(self, what: str, account: str, **fields: Any) -> None:
        self.news.append((self.now_ns, {"what": what, "account": account, **fields}))

    def closings(self) -> dict[str, Any]:
        rows = []
        for name, closing in self.desk.closings.items():
            state, rules = closing.state, closing.rules
            if state.stage:
                rows.append(
                    {"account": name, "stage": Stage(state.stage).name.lower(), "episode": state.episode,
                     "breached_ns": state.breached_ns, "looked_ns": state.look.at_ns if state.look else 0, "equity": format_micro(self.equity(name)),
                     "maintenance": format_micro(sum(each.maintenance_micro for each in self.held(name))),
                     "market": state.look.market if state.look else "", "bucket": rules.bucket, "auction": state.auction,
                     "orders": [self.order(each) for each in state.orders]}
                )  # fmt: skip
        return {"total": len(rows), "waiting": 0, "closings": rows, "sequence": self.number, "at_ns": self.now_ns}

    def auctions(self) -> dict[str, Any]:
        house, rows = self.desk.house, []
        for number in house.active.numbers:
            sale = house.sales[number]
            elapsed = sale.clock.elapsed(self.now_ns)
            length = AUCTION.insolvent_ns if sale.insolvent else 25 * MINUTE_NS
            began = self.now_ns - elapsed
            curve = [[length * k / 60 / 10**9, format_micro(house.price_of(sale, began + length * k // 60))] for k in range(61)]
            legs = [{"instrument": leg.instrument, "quantity": self.quantity(leg.instrument, leg.lots),
                     "mark": self.price(leg.instrument, leg.value_nano)} for leg in sale.legs]  # fmt: skip
            rows.append(
                {"auction": number, "owner": sale.owner, "bucket": sale.bucket, "insolvent": sale.insolvent, "version": sale.version,
                 "elapsed_s": elapsed / 10**9, "price": format_micro(house.price_of(sale, self.now_ns)),
                 "share_most": f"{Decimal(house.most_ppb(sale, self.now_ns)) / PPB:f}", "value": format_micro(sale.value_micro),
                 "requirement": format_micro(sale.requirement_micro), "health": format_micro(sale.health_micro), "due": sale.due,
                 "fresh": sale.fresh, "cash": format_micro(sale.cash_micro), "legs": legs, "curve": curve,
                 "bids": len(house.pending.get(number, ()))}
            )  # fmt: skip
        return {"at_ns": self.now_ns, "total": len(rows), "auctions": rows, "breaker": house.breaker.level, "stale": sorted(house.stale)}

    def waterfall(self) -> dict[str, Any]:
        layers, vault = self.desk.layers, self.desk.layers.vaults["majors"]
        available, limit = layers.fund.available(self.now_ns, "crash")
        inventory = [{"instrument": symbol, "quantity": self.quantity(symbol, each.lots),
                      "margin": format_micro(each.margin_micro)} for symbol, each in vault.inventory.items()]  # fmt: skip
        exits = [{"at_ns": due, "amount": format_micro(amount)} for due, _, _, amount in sorted(vault._exits)]
        return {
            "asset": "USD",
            "tranches": [{"market": name, "balance": format_micro(one.balance_micro)} for name, one in layers.tranches.items()],
            "vaults": [{"bucket": "majors", "total": format_micro(vault.pool.total), "capacity": format_micro(vault.capacity(self.now_ns)),
                        "stopped": vault.capacity(self.now_ns) == 0, "providers": 2, "exits": exits, "inventory": inventory}],
            "fund": {"balance": format_micro(layers.fund.balance_micro), "available": format_micro(available), "limited_by": limit},
            "claims": {"owed": format_micro(layers.claims.total_micro), "creditors": 0},
            "settled": self.settled[-50:],
            "totals": {name: format_micro(amount) for name, amount in list(self.totals.items())[2:]},
            "sequence": self.number,
            "at_ns": self.now_ns,
        }  # fmt: skip

    def deleveraging(self, instrument: str, side: str) -> dict[str, Any]:
        sign = 1 if side == "long" else -1
        rows = []
        for name in (*WINNERS, *self.names):
            lots = self.ledger.lots.get((name, instrument), 0)
            if lots * sign > 0:
                equity = self.equity(name)
                worth = abs(lots) * self.marks[instrument] // 1000
                rows.append((equity, {"account": name, "quantity": self.quantity(instrument, lots), "unhedged": self.quantity(instrument, lots),
                                      "profit": format_micro(max(equity, 0)), "leverage": f"{worth / max(equity, 1):.2f}",
                                      "health": format_micro(equity - worth * RATE_PPM // 10**6)}))  # fmt: skip
        rows.sort(key=lambda row: -row[0])
        ranked = [{"rank": k + 1} | row for k, (_, row) in enumerate(rows)]
        return {"instrument": instrument, "side": side, "total": len(ranked), "rows": ranked}


def drowned(accounts: int = 60, seed: int = 7) -> FailingVenue:
    """A venue whose funds a long fall has used up, layer after layer, and whose accounts are at every stage of closing."""
    venue = FailingVenue(seed, accounts, vault=60_000, tranche=4_000, fund=40_000)
    venue.beat()
    venue.fall(BTC=-50_000, ETH=-60_000, SOL=-60_000)
    for k in range(160):
        venue.beat(5)
        if k == 30:
            venue.fall(BTC=-30_000, ETH=-60_000, SOL=-80_000)
        if k in (100, 120, 150):
            venue.fall(BTC=-20_000, ETH=-30_000, SOL=-20_000)
        for number in list(venue.desk.house.active.numbers)[: 2 * (k % 6 == 0)]:
            if venue.desk.house.sales[number].fresh:
                venue.bid(number, 0.3, f"keeper-{k % 3 + 1}")
    later = [f"late-{n:02d}" for n in range(1, 13)]
    for k, name in enumerate(later):
        venue.names.append(name)
        venue.open(name)
        if k == 6:
            venue.fall(BTC=-40_000, ETH=-40_000, SOL=-40_000)
            venue.beat(6)
            venue.beat(1)
    venue.fall(BTC=-30_000, ETH=-30_000, SOL=-30_000)
    venue.beat(1)
    venue.breaker(1)
    return venue
