"""Who bears what a broken account cannot: the waterfall and both ways of deleveraging, on the world's positions.

The rules are those of `seawall.liquidation`; here they are fed from the world and what they answer is posted to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from seawall.core.errors import invariant
from seawall.liquidation import adl, adl_queues
from seawall.liquidation.claims import DeferredClaims
from seawall.liquidation.closing_state import bankruptcy_losses
from seawall.liquidation.funds import Caps, GlobalFund, Tranche
from seawall.liquidation.transfers import Transfer
from seawall.liquidation.waterfall import FromFund, FromTranche, Source, settle_shortfall

if TYPE_CHECKING:
    from seawall.stress.cascade.loop import Run

__all__ = ["Broken", "Funds", "broken_leg", "other_side", "pro_rata", "ranked"]


class Broken(NamedTuple):
    """A contract of an insolvent account: row, leg, signed lots, and what closing one lot at the bankruptcy price costs
    a counterparty, nano rounded up. Σ lots × loss over its contracts covers the shortfall."""

    row: int
    leg: int
    lots: int
    loss_nano: int
    price_nano: int


class Funds:
    """The venue's money in layers: half in tranches by open interest, half global under its caps.

    Their balances are kept by the mechanisms and mirrored, transfer by transfer, in the world.
    """

    def __init__(self, run: Run, amount_micro: int, caps: Caps | None = None) -> None:
        world = run.world
        self.run = run
        self.claims = DeferredClaims("USD")
        names = world.market.underlyings
        weight = np.bincount(world.underlying, run.tally.interest_nano, len(names))
        parts = (amount_micro // 2 * weight / max(weight.sum(), 1e-9)).astype(np.int64).tolist()
        self.tranches = [Tranche(name, "USD", part) for name, part in zip(names, parts)]
        self.fund = GlobalFund("USD", amount_micro - sum(parts), caps or Caps())
        for tranche in self.tranches:
            world.endow(tranche.name, tranche.balance_micro * 1000)
        world.endow(self.fund.name, self.fund.balance_micro * 1000)

    @staticmethod
    def parties(names: tuple[str, ...]) -> list[str]:
        """Names of the parties that must stand in the world."""
        return [*(f"tranche:{name}" for name in names), "fund:global", "deferred"]

    def room_micro(self, underlying: int, now_ns: int) -> int:
        """What tranche and fund would pay for a loss in one market now."""
        return self.tranches[underlying].balance_micro + self.fund.available(now_ns, self._event)[0]

    def earn(self, underlying: int, payer: str, amount_micro: int) -> None:
        """A fee, half to the market's tranche, half to the fund."""
        half = amount_micro // 2
        self.post(self.tranches[underlying].credit(payer, half, "fee"))
        self.post(self.fund.credit(payer, amount_micro - half, "fee"))

    def cover(self, account: int, underlying: int, owed_micro: int) -> None:
        """Runs the waterfall for a flat account's shortfall; what nobody pays becomes claims of the winners."""
        sources: list[Source] = [FromTranche(self.tranches[underlying]), FromFund(self.fund, self._event)]
        now_ns = int(self.run.now_s * 1e9)
        settled = settle_shortfall(now_ns, self.run.world.names[account], owed_micro, sources, self.claims, {"winners": 1})
        self.post(settled.moves)

    @property
    def _event(self) -> str:
        # One crash is one event for the fund's cap.
        return "crash"

    def post(self, moves: tuple[Transfer, ...]) -> None:
        """Transfers of a mechanism, as payments in the world."""
        world = self.run.world
        for move in moves:
            cause = "deferred" if move.payer == "deferred" else "fee" if move.cause == "fee" else "fund"
            world.pay(world.row_of[move.payer], world.row_of[move.payee], move.amount_micro * 1000, cause)


def broken_leg(run: Run, account: int) -> list[Broken]:
    """The contracts of an insolvent account with their bankruptcy prices: its shortfall by notional."""
    world = run.world
    short = -world.equity_nano(account)
    rows = world.open_rows(account)
    held = [(int(world.lots[row]), int(world.mark_nano[world.leg[row]])) for row in rows]
    out = []
    for row, (lots, mark), loss in zip(rows, held, bankruptcy_losses(max(short, 0), held)):
        leg = int(world.leg[row])
        out.append(Broken(row, leg, lots, loss, mark + (loss if lots > 0 else -loss)))
    return out


class _Side(NamedTuple):
    rows: np.ndarray
    parties: adl.Parties


def other_side(run: Run, leg: int, lots: int) -> _Side:
    """Everybody of the book who holds the opposite of signed `lots`, as `adl.Parties`."""
    world = run.world
    rows = np.flatnonzero((world.leg == leg) & (world.lots * (1 if lots > 0 else -1) < 0) & (world.owner < world.accounts))
    owner = world.owner[rows]
    mark = int(world.mark_nano[leg])
    held = np.abs(world.lots[rows])
    legs = np.flatnonzero(world.underlying == world.underlying[leg])
    profit_nano = world.profit_nano()
    profit = np.zeros(len(rows), np.int64)
    offset = np.zeros(len(rows))
    for other in legs.tolist():
        place = world.place[owner, other]
        has = place >= 0
        profit[has] += profit_nano[place[has]] // 1000
        if other != leg:
            size = np.where(has, world.lots[np.maximum(place, 0)], 0) * world.lot_units[other]
            against = size * np.sign(world.lots[rows]) < 0
            offset += np.where(against, np.abs(size), 0.0)
    hedged = np.minimum(held, np.ceil(offset / world.lot_units[leg]).astype(np.int64))
    equity, maintenance = world.equity_micro[owner], world.maintenance_micro[owner]
    gross = held * mark // 1000
    return _Side(
        rows, adl.Parties.of(held, profit, held - hedged, equity - maintenance, None, adl.leverage_risk(gross, equity))
    )


def pro_rata(run: Run, account: int, broken: Broken, lots: int) -> int:
    """Closes `lots` of a broken contract against winners, capped pro-rata; how many were closed."""
    if lots <= 0:
        return 0
    side = other_side(run, broken.leg, broken.lots)
    found = adl.allocate(side.parties, lots, broken.loss_nano)
    _close(run, account, broken, side.rows, found.lots)
    return lots - found.residual_lots


def ranked(run: Run, account: int, broken: Broken) -> int:
    """Closes the whole contract against winners by rank (profit × leverage); how many lots were closed."""
    world = run.world
    side = other_side(run, broken.leg, broken.lots)
    owner = world.owner[side.rows]
    mark = int(world.mark_nano[broken.leg])
    entry = world.cost_nano[side.rows] / np.where(world.lots[side.rows] == 0, 1, world.lots[side.rows])
    value = np.maximum(world.equity_micro[owner], 1)
    score = adl_queues.hyperliquid_score(
        np.sign(world.lots[side.rows]), float(mark), np.maximum(entry, 1.0), side.parties.lots * mark / 1000.0, value
    )
    found = adl_queues.close_in_order(side.parties.lots, score, abs(broken.lots))
    _close(run, account, broken, side.rows, found.lots)
    return abs(broken.lots) - found.residual_lots


def _close(run: Run, account: int, broken: Broken, rows: np.ndarray, lots: np.ndarray) -> None:
    world, tally = run.world, run.tally
    sign = 1 if broken.lots > 0 else -1
    mark = int(world.mark_nano[broken.leg])
    for k in np.flatnonzero(lots).tolist():
        size = int(lots[k])
        invariant(size <= abs(int(world.lots[rows[k]])), "nobody is closed for more than he holds")
        world.trade(account, int(world.owner[rows[k]]), broken.leg, -sign * size, -sign * size * broken.price_nano)
        tally.adl_profit_nano += size * broken.loss_nano
        tally.adl_closed_nano += size * mark
        world.paid["adl"] += size * broken.loss_nano
