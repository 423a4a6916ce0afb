"""A `Look` at an account: its exact figures, and all that others have to compute before the fold may act on it.

What a look says is worked out here, from the clearing as it is, and recorded with the event: a replay computes none of it. It
brings no more than its stage needs: a plan while slices are sold, what the market may bear where deleveraging is near, the winners
where a haircut is.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec

from seawall.engine.clearing import Clearing
from seawall.engine.decision import Figures
from seawall.liquidation import reserve
from seawall.liquidation.closing_events import Held, Look, Slice, Stage
from seawall.liquidation.closing_inputs import planned
from seawall.liquidation.closing_state import ClosingState, bankruptcy_losses
from seawall.liquidation.layers import Winner
from seawall.liquidation.legs import plan
from seawall.liquidation.severity import plan_wave
from seawall.liquidation.size import SizeRules

from .book import BookOf, Position
from .depth import Ladder
from .others import OtherSides

__all__ = ["LookMaker", "LookRules"]

Room = Callable[[str, int, int, int], int]
"""(underlying, side, lots wanted, mark in nano) → lots that pacing leaves."""


class LookRules(msgspec.Struct, frozen=True, kw_only=True):
    """size: of plans. ladders: by underlying. slippage_ppm: what closing is taken to cost where there is no ladder. winners_max: most
    accounts that a haircut is spread over."""

    size: SizeRules = SizeRules()
    ladders: Mapping[str, Ladder] = {}
    slippage_ppm: int = 10_000
    winners_max: int = 2_000


class LookMaker:
    """Makes looks at accounts of a clearing that closes them. Their number is that of the step which brings them."""

    def __init__(self, clearing: Clearing, rules: LookRules, book: BookOf, others: OtherSides) -> None:
        self.clearing, self.rules, self.book, self.others = clearing, rules, book, others
        terms = clearing.genesis.closing
        assert terms is not None, "a venue that closes failed accounts"
        assert clearing.desk is not None
        self._terms, self._desk = terms, clearing.desk
        self._buckets = terms.bucket_of(list(clearing.engine.watch.underlying_index))
        # one way to say what an episode ends with, in the plan as in the closing
        self._size = msgspec.structs.replace(rules.size, buffer_ppm=terms.buffer_ppm, fee_ppm=terms.fee_ppm)

    def look(
        self,
        account: str,
        at_ns: int,
        orders: tuple[str, ...] = (),
        *,
        quick: bool = False,
        unwanted: Collection[str] = (),
        room: Room | None = None,
        figures: Figures | None = None,
    ) -> Look:
        """The account as it is now. orders: ids of its own open orders. quick: the plan by the closed form. unwanted: symbols
        for which the market has just taken nothing. figures: where the caller has them."""
        clearing = self.clearing
        row = clearing.engine.account_of(account)
        figures = figures or clearing.engine.requests.figures(row)
        closing = self._desk.closings.get(account)
        state = closing.state if closing is not None else ClosingState()
        positions = self.book.positions(row)
        market = self.market_of(positions, state)
        held = _held(positions, figures.maintenance_micro)
        fields: dict[str, Any] = {}
        if self._sells(state, at_ns, figures):
            fields |= self._plan(row, orders, quick)
            if room is not None:
                fields["room_lots"] = _room(positions, fields["closes"], room)
        if state.stage >= Stage.AUCTION and figures.equity_micro < 0 and positions:
            fields["bearable_lots"] = self._bearable(positions, figures, state, market, at_ns, unwanted)
        if not positions and figures.equity_micro < 0:
            fields["winners"] = self._winners(market, -figures.equity_micro, at_ns, account)
        return Look(
            number=0, account=account, at_ns=at_ns, version=state.version, positions=held,
            equity_micro=figures.equity_micro, maintenance_micro=figures.maintenance_micro, market=market, orders=orders,
            **fields,
        )  # fmt: skip

    def market_of(self, positions: list[Position], state: ClosingState) -> str:
        """Whose tranche stands behind an account: of an episode that has begun the same as then, else that of the largest
        position by notional, the first by name where it has none."""
        if state.market:
            return state.market
        known = [each for each in positions if each.underlying in self._buckets]
        largest = max(known, key=lambda each: (each.notional, each.symbol), default=None)
        return largest.underlying if largest is not None else min(self._buckets)

    def bucket_of(self, market: str) -> str:
        """The risk bucket of a market."""
        return self._buckets[market]

    def _sells(self, state: ClosingState, at_ns: int, figures: Figures) -> bool:
        """Whether the look may end in slices: only then is the plan worth its milliseconds."""
        if not 0 < figures.equity_micro < figures.maintenance_micro or state.stage > Stage.SELLING:
            return False
        begins = (at_ns if state.stage == Stage.REST else state.breached_ns) + self._terms.rescue_ns
        if not begins <= at_ns < begins + self._terms.selling_ns:
            return False
        return all(order.lane == "owner" for order in state.orders)

    def _plan(self, row: int, orders: tuple[str, ...], quick: bool) -> dict[str, Any]:
        if not self._terms.selling:
            return {"kind": "hand_over", "closes": (), "atomic": False}
        return planned(plan(self.book.single(row), self._size, active=True, orders=orders, quick=quick))

    def _bearable(
        self, positions: list[Position], figures: Figures, state: ClosingState, market: str, at_ns: int, unwanted: Collection[str]
    ) -> dict[str, int]:
        """Of each position the lots that the market would take at a cost which the layers before deleveraging can pay, none of the
        money counted twice; nothing of what it has just not taken."""
        funds = funds_micro(self._desk, market, at_ns)
        short = max(0, -figures.equity_micro - state.spent_micro)
        losses = bankruptcy_losses(short * 1000, [(each.lots, each.mark_nano) for each in positions])
        out: dict[str, int] = {}
        for each, loss in zip(positions, losses, strict=True):
            side = -1 if each.lots > 0 else 1
            if each.symbol in unwanted:
                out[each.symbol] = 0
                continue
            bankruptcy = max(each.mark_nano - side * loss, 0)
            wave = plan_wave(side, abs(each.lots), bankruptcy, funds, self._quote(each, side))
            out[each.symbol] = wave.market_lots
            funds -= wave.cost_micro
        return out

    def _quote(self, position: Position, side: int) -> Callable[[int], tuple[int, int]]:
        ladder = self.rules.ladders.get(position.underlying)
        if ladder is None:
            ladder = Ladder("slippage", [max(self.rules.slippage_ppm, 1)], [2**62 // 1000])
        return ladder.quote(side, position.mark_nano)

    def _winners(self, market: str, need_micro: int, at_ns: int, account: str) -> tuple[Winner, ...]:
        """Nobody where the funds can pay it all."""
        if need_micro <= funds_micro(self._desk, market, at_ns):
            return ()
        return self.others.winners(market, account, self.rules.winners_max)


def funds_micro(desk: Any, market: str, at_ns: int) -> int:
    """What the tranche of a market, the providers of its bucket and the global fund could pay now, without asking the machines
    themselves: their windows move with every question, and only events may move them."""
    layers = desk.layers
    vault = copy.deepcopy(layers.vaults[layers.config.markets[market]])
    fund = copy.deepcopy(layers.fund)
    event = desk.rules_of(market).cap_event
    capacity: int = vault.capacity(max(at_ns, vault.now_ns))
    room: int = fund.available(max(at_ns, fund.now_ns), event)[0]
    return int(layers.tranches[market].balance_micro) + capacity + room


def _held(positions: list[Position], maintenance_micro: int) -> tuple[Held, ...]:
    """Positions with their parts of the maintenance margin, in proportion to notional: the parts sum to the whole."""
    weights = [int(each.notional) + 1 for each in positions]
    parts = reserve.allocate(maintenance_micro, weights) if positions else []
    return tuple(Held(p.symbol, p.lots, p.mark_nano, part) for p, part in zip(positions, parts, strict=True))


def _room(positions: list[Position], closes: tuple[Slice, ...], room: Room) -> dict[str, int]:
    by_symbol = {each.symbol: each for each in positions}
    out = {}
    for close in closes:
        held = by_symbol[close.symbol]
        wanted = abs(close.lots)
        left = room(held.underlying, -1 if close.lots < 0 else 1, wanted, held.mark_nano)
        if left < wanted:
            out[close.symbol] = left
    return out


