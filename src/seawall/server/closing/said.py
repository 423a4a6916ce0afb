"""What the desk says, as listeners hear it: one message a saying, in units, with the account that it is about.

Transfers and deliveries are postings and come with the accounts' own messages. Sayings of the layers are gathered: a shortfall
is one message, with each layer that was asked.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from typing import Any

import msgspec

from seawall.core.units import format_micro, format_nano
from seawall.engine.clearing import Clearing
from seawall.engine.clearing_events import Executed, Outcome, Unloaded
from seawall.liquidation import auction_events as auction
from seawall.liquidation import closing_events as closing
from seawall.liquidation.closing_desk import ToHouse
from seawall.liquidation.waterfall import Layer, LayerUsed
from seawall.server.quantities import price_text, quantity_text

__all__ = ["LayerView", "Narrator", "SettledView", "share_text"]

KEPT = 50


class LayerView(msgspec.Struct, frozen=True):
    """A layer that was asked: what it could have paid, what it paid, and what ended it ("covered", "exhausted", "stopped", a cap)."""

    layer: str
    source: str
    capacity: str
    paid: str
    why: str


class SettledView(msgspec.Struct, frozen=True):
    """A shortfall and who bore it, in the order in which they were asked. residual: what became claims."""

    sequence: int
    at_ns: int
    account: str
    market: str
    need: str
    layers: tuple[LayerView, ...]
    residual: str


class Narrator:
    """Tells, and remembers the last shortfalls and what each layer has paid since the start of the process. owners: of the auctions
    that run; stages: closings by stage, but for those at rest."""

    def __init__(self, clearing: Clearing) -> None:
        self.clearing = clearing
        desk = clearing.desk
        self.owners: dict[int, str] = {} if desk is None else {n: sale.owner for n, sale in desk.house.sales.items()}
        states = [] if desk is None else [each.state.stage for each in desk.closings.values()]
        self.stages: Counter[int] = Counter(states)
        self.settled: deque[SettledView] = deque(maxlen=KEPT)
        self.totals: dict[Layer, int] = dict.fromkeys((Layer.TRANCHE, Layer.BACKSTOP, Layer.FUND, Layer.DELEVERAGING, Layer.DEFERRED), 0)

    def tell(self, event: Any, outcome: Outcome) -> list[dict[str, Any]]:
        """Messages of one step, in order."""
        what = getattr(event, "what", None)
        if what is None:
            return []
        found: list[dict[str, Any]] = []
        if isinstance(what, Executed | Unloaded | closing.Deleveraged):
            found.append(self._traded(what, outcome))
        used: list[LayerUsed] = []
        subject, market = getattr(what, "account", ""), getattr(what, "market", "")
        for said in outcome.closing:
            if isinstance(said, LayerUsed):
                if used and (said.layer <= used[-1].layer or not used[-1].left_micro):
                    found.append(self._settle(outcome, event.at_ns, subject, market, used))
                    used = []
                used.append(said)
                continue
            if isinstance(said, auction.Sold):
                subject = self.owners.get(said.auction, "")
                market = self._market_of(subject)
            told = self._say(said)
            if told is not None:
                found.append(told)
        if used:
            found.append(self._settle(outcome, event.at_ns, subject, market, used))
        if isinstance(what, ToHouse) and isinstance(what.event, auction.Bid) and not _refused(outcome.closing, what.event.bidder):
            bid = what.event
            found.append(
                {"what": "bid", "account": self.owners.get(bid.auction, ""), "auction": bid.auction, "bidder": bid.bidder,
                 "share": share_text(bid.amount), "version": bid.version}
            )  # fmt: skip
        return found

    def _market_of(self, account: str) -> str:
        desk = self.clearing.desk
        found = desk.closings.get(account) if desk is not None else None
        return found.state.market if found is not None else ""

    def _settle(self, outcome: Outcome, at_ns: int, account: str, market: str, used: list[LayerUsed]) -> dict[str, Any]:
        paying = [each for each in used if each.layer != Layer.DEFERRED]
        residual = sum(each.need_micro for each in used if each.layer == Layer.DEFERRED)
        for each in used:
            self.totals[each.layer] = self.totals.get(each.layer, 0) + (each.paid_micro or 0)
        self.totals[Layer.DEFERRED] += residual
        if not market:
            market = next((e.source.partition(":")[2] for e in used if e.layer == Layer.TRANCHE), "")
        layers = tuple(
            LayerView(e.layer.name.lower(), e.source, format_micro(e.capacity_micro), format_micro(e.paid_micro), e.why) for e in paying
        )
        view = SettledView(
            outcome.sequence, at_ns, account, market, format_micro(used[0].need_micro), layers, format_micro(residual)
        )
        self.settled.append(view)
        words: dict[str, Any] = msgspec.to_builtins(view)
        return {"what": "settled"} | {name: words[name] for name in ("account", "market", "need", "layers", "residual")}

    # -- one saying ----------------------------------------------------------------------------

    def _instrument(self, symbol: str) -> Any:
        return self.clearing.engine.watch.desk.base.instruments[symbol]

    def _traded(self, what: Any, outcome: Outcome) -> dict[str, Any]:
        lots = [line for line in outcome.receipt.postings if line.part == "lots"] if outcome.receipt is not None else []
        symbol = lots[0].unit if lots else ""
        instrument = self._instrument(symbol) if symbol else None
        if isinstance(what, Executed):
            words: dict[str, Any] = {"what": "executed", "account": what.account, "order": what.order, "done": what.done}
            if instrument is not None:
                price = price_text(instrument, what.price_nano)
                words |= {"maker": what.maker, "instrument": symbol, "quantity": quantity_text(instrument, what.lots), "price": price}
            return words
        if isinstance(what, Unloaded):
            instrument = self._instrument(what.instrument)
            return {
                "what": "unloaded", "account": "", "bucket": what.bucket, "instrument": what.instrument, "maker": what.maker,
                "quantity": quantity_text(instrument, what.lots), "price": price_text(instrument, what.price_nano),
            }  # fmt: skip
        closed = {part.party: part.lots for part in what.parts}
        parts = [
            {"account": name, "quantity": quantity_text(instrument, size)} for name, size in closed.items() if instrument is not None
        ]
        whole = quantity_text(instrument, sum(closed.values())) if instrument is not None else "0"
        return {
            "what": "deleveraged", "account": what.account, "order": what.order, "instrument": symbol, "quantity": whole, "parts": parts
        }

    def _say(self, said: Any) -> dict[str, Any] | None:
        match said:
            case closing.PlaceOrder():
                return {"what": "place-order", "account": said.account, "together": said.together} | self.order(said.order)
            case closing.Withdraw():
                return {"what": "withdraw", "account": said.account, "order": said.order}
            case closing.CancelOrders():
                return {"what": "cancel-orders", "account": said.account, "orders": list(said.orders)}
            case closing.Deleverage():
                return {"what": "deleverage", "account": said.account} | self.order(said.order)
            case closing.Staged():
                self.stages[said.before] -= 1
                self.stages[said.after] += 1
                return {
                    "what": "staged", "account": said.account, "from": stage_text(said.before), "to": stage_text(said.after),
                    "why": said.why, "equity": format_micro(said.equity_micro), "maintenance": format_micro(said.maintenance_micro),
                }  # fmt: skip
            case closing.Rested():
                return {"what": "rested", "account": said.account, "cause": said.cause, "residual": format_micro(said.residual_micro)}
            case closing.Residual():
                quantity = quantity_text(self._instrument(said.symbol), said.lots)
                return {"what": "residual", "account": said.account, "instrument": said.symbol, "quantity": quantity}
            case closing.RefusedAction():
                return {"what": "refused", "account": said.account, "event": said.event, "reason": said.reason}
            case auction.Refused():
                return {"what": "refused", "account": said.who, "event": said.event, "reason": said.reason}
        return self._of_auction(said)

    def _of_auction(self, said: Any) -> dict[str, Any] | None:
        if isinstance(said, auction.Started):
            self.owners[said.auction] = said.owner
            need = format_micro(said.target_micro)
            return self._words("started", said) | {"requirement": need, "version": said.version}
        if isinstance(said, auction.Restarted):
            return self._words("restarted", said) | {"version": said.version}
        if isinstance(said, auction.Sold):
            desk = self.clearing.desk
            sale = desk.house.sales.get(said.auction) if desk is not None else None
            return self._words("sold", said) | {
                "bidder": said.bidder, "share": share_text(said.amount), "paid": format_micro(said.paid_micro),
                "price": format_micro(said.price), "version": sale.version if sale is not None else 0,
            }  # fmt: skip
        if isinstance(said, auction.BackstopDue):
            return self._words("backstop-due", said) | {"share": share_text(said.amount), "price": format_micro(said.price)}
        if isinstance(said, auction.Ended):
            words = self._words("ended", said)
            self.owners.pop(said.auction, None)
            return words | {"cause": said.cause, "left": share_text(said.left), "uncovered": format_micro(said.uncovered_micro)}
        return None

    def _words(self, what: str, said: Any) -> dict[str, Any]:
        return {"what": what, "account": self.owners.get(said.auction, ""), "auction": said.auction}

    def order(self, order: closing.Order) -> dict[str, Any]:
        """An order of a closing, in units."""
        instrument = self._instrument(order.symbol)
        limit = None if order.limit_nano is None else price_text(instrument, order.limit_nano)
        return {
            "order": order.id, "instrument": order.symbol, "quantity": quantity_text(instrument, order.lots), "limit": limit,
            "lane": order.lane,
        }  # fmt: skip


def share_text(ppb: int) -> str:
    """A share of an account, 1 for all of it."""
    return format_nano(ppb)


def stage_text(stage: Any) -> str:
    """A stage as it is told."""
    return closing.Stage(stage).name.lower()


def _refused(said: Iterable[Any], bidder: str) -> bool:
    return any(isinstance(each, auction.Refused) and each.event == "bid" and each.who == bidder for each in said)
