"""Who may take part in closings: what is refused of a step before the desk hears of it.

Bids must be within what their bidders can part with, providers within their free collateral, looks must be of the account as
it is. Looks and changes nothing.
"""

from __future__ import annotations

from typing import Any

from seawall.core.errors import BadNumber, InputError, StaleEvent, UnknownKey, show
from seawall.engine import admission
from seawall.engine.clearing_events import ClosingStep, Executed, Unloaded
from seawall.engine.closing_fold import order_of
from seawall.engine.decision import Verdict
from seawall.ledger import events as ledger_events
from seawall.ledger.chart import ACTIVE, FEES, INSURANCE, STATES
from seawall.ledger.doors import account_of, enough, of_kind, state_of
from seawall.liquidation import layers as last
from seawall.liquidation.auction_events import Bid
from seawall.liquidation.closing_desk import ToHouse, ToLayers
from seawall.liquidation.closing_events import Deleveraged, Flatten, Look, Reduce
from seawall.liquidation.ranked_events import FileRanked

LEVERAGE_MAX = 200  # notional over maintenance requirement, beyond which no model of ours goes

__all__ = ["free_micro", "refuse_pending", "refuse_step"]


def free_micro(clearing: Any, row: int) -> int:
    """What an account could part with: its free collateral, but never more than its settlement balance."""
    free = clearing.engine.requests.figures(row).free_collateral_micro
    balance = clearing.ledger.state.balance[clearing.mirror.asset][row]
    return max(0, min(free, int(balance)))


def refuse_step(clearing: Any, step: ClosingStep) -> Verdict | None:
    """Raises InputError for a step that cannot be; the verdict where margin is asked (a provider's commitment)."""
    what = step.what
    match what:
        case Look():
            _look(clearing, what)
        case Reduce() | Flatten():
            admission.user(clearing, what.account)
        case Executed() if what.lots:
            order = order_of(clearing.desk, what.account, what.order)
            _trade(clearing, step, what.maker, what.account, order.symbol, what.lots, what.price_nano)
        case Unloaded():
            _trade(clearing, step, what.maker, "", what.instrument, what.lots, what.price_nano)
        case Deleveraged():
            _deleveraged(clearing, what)
        case ToHouse():
            if isinstance(what.event, Bid):
                _bid(clearing, what.event)
            elif isinstance(what.event, FileRanked):
                _filed(clearing, what.event)
        case ToLayers():
            return _layers(clearing, step, what.event)
    return None


def refuse_pending(clearing: Any, event: Any) -> None:
    """InputError where money would leave an account whose bid is not cleared yet: it was admitted with that money."""
    match event:
        case ledger_events.Withdraw():
            name = event.account
        case ledger_events.Transfer():
            name = event.source
        case _:
            return
    if clearing.desk is not None and _has_bid(clearing.desk, name):
        raise InputError("account", f"{show(name)}, with a bid that is not cleared yet", "the next tick of its auction")


def _has_bid(desk: Any, name: str) -> bool:
    return any(bid.bidder == name for bids in desk.house.pending.values() for bid in bids)


def _look(clearing: Any, look: Look) -> None:
    """Only of a user, and of the lots that it has."""
    row = admission.user(clearing, look.account)
    legs, book = clearing.engine.watch.desk.base.legs, clearing.engine.book
    for held in look.positions:
        if held.symbol not in legs.leg_of:
            raise UnknownKey(f"look of {look.account}", show(held.symbol), "an instrument of the market")
        found = book.lots_of(row, legs.leg_of[held.symbol][0])
        if found != held.lots:
            raise BadNumber(f"look of {look.account}, {held.symbol}", f"{held.lots} lots", f"the {found} that it has")


def _trade(clearing: Any, step: ClosingStep, maker: str, account: str, symbol: str, lots: int, price_nano: int) -> None:
    """The other side must bear it within int64, as with any fill."""
    event = ledger_events.Trade(at_ns=step.at_ns, maker=maker, taker=account, instrument=symbol, lots=lots, price_nano=price_nano)
    admission.refuse_exposure(clearing, event)


def _deleveraged(clearing: Any, event: Deleveraged) -> None:
    """Everybody only closes what he holds on the other side."""
    order = order_of(clearing.desk, event.account, event.order)
    for part in event.parts:
        admission.user(clearing, part.party)
        lots, _ = clearing.ledger.position(part.party, order.symbol)
        if lots * order.lots <= 0 or abs(lots) < part.lots:
            raise BadNumber(f"deleveraging of {part.party}, {order.symbol}", f"{part.lots} lots", f"a part of its {lots} on the other side")


def _bidder(clearing: Any, bid: Bid | FileRanked) -> int:
    """The row of who bids, with money that it has."""
    state = clearing.ledger.state
    row = admission.user(clearing, bid.bidder)
    if state_of(state, row) != ACTIVE or state.parent[row] >= 0:
        raise InputError("bidder", f"{show(bid.bidder)}, {STATES[state_of(state, row)]}", "an active account, not a bucket")
    free = free_micro(clearing, row)
    if bid.free_micro > free:
        raise BadNumber("bid, free cash", str(bid.free_micro), f"at most {free}")
    return row


def _filed(clearing: Any, bid: FileRanked) -> None:
    """What it may take over one day must fit its bidder's int64: the requirement that it takes, at the lowest rate there is."""
    row = _bidder(clearing, bid)
    clearing.engine.requests.refuse_exposure(row, [], (max(bid.size_micro, 0) * LEVERAGE_MAX + abs(bid.budget_micro)) * 1000)


def _bid(clearing: Any, bid: Bid) -> None:
    state = clearing.ledger.state
    row = _bidder(clearing, bid)
    sale = clearing.desk.house.sales.get(bid.auction)
    if sale is None:
        raise StaleEvent("auction", str(bid.auction), "an auction that is open")
    if _owner(state, account_of(state, sale.owner)) == row:
        raise InputError("bidder", show(bid.bidder), "another than who owns the account on sale")
    legs = clearing.engine.watch.desk.base.legs
    rows = [(leg, each.lots) for each in sale.legs for leg, _ in legs.expand(each.instrument)]
    clearing.engine.requests.refuse_exposure(row, rows, (abs(sale.cash_micro) + abs(bid.limit)) * 1000)


def _owner(state: Any, row: int) -> int:
    parent = int(state.parent[row])
    return row if parent < 0 else parent


def _layers(clearing: Any, step: ClosingStep, event: Any) -> Verdict | None:
    """Commitments need free collateral and cash; what the venue puts in comes from a fund or fees that have it."""
    state = clearing.ledger.state
    match event:
        case last.Commit():
            row = admission.user(clearing, event.provider)
            asset = clearing.mirror.asset
            leaving = ledger_events.Withdraw(
                at_ns=step.at_ns, account=event.provider, asset=state.assets[asset].asset, amount=event.amount_micro
            )
            refuse_pending(clearing, leaving)
            if state_of(state, row) != ACTIVE:
                raise InputError("provider", f"{show(event.provider)}, {STATES[state_of(state, row)]}", "an active account")
            enough(state.balance[asset][row], event.amount_micro, "amount")
            return admission.verdict_on(clearing, leaving)
        case last.AskExit() | last.Collect():
            admission.user(clearing, event.provider)
        case last.Income():
            row = account_of(state, event.payer, "payer")
            of_kind(state, row, (INSURANCE, FEES), "payer")
            if event.payer in {name for name, _ in clearing.genesis.parties().values()}:
                raise InputError("payer", show(event.payer), "an account that is not the desk's own")
            enough(state.balance[clearing.mirror.asset][row], event.amount_micro, "amount")
    return None
