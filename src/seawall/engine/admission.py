"""Who may: what margin and the states of accounts say of a request, and what could leave int64, before it happens.

Everything here looks and changes nothing. Margin is asked at the moment of the last event, so that a refusal needs
no place in the log.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from seawall.core import events as core_events
from seawall.core.errors import InputError, LimitExceeded, show
from seawall.core.times import YEAR_NS
from seawall.core.units import NANO, PPM
from seawall.engine.decision import Figures, Verdict
from seawall.kernels.orders import LEG, LOTS
from seawall.ledger import events as ledger_events
from seawall.ledger.chart import ACTIVE, LIQUIDATING, REDUCE_ONLY, STATES, USER
from seawall.ledger.doors import account_of, state_of
from seawall.ledger.posting import INDEX_SCALE
from seawall.ledger.worth import holders

__all__ = ["check_order", "refuse_exposure", "refuse_mass", "user", "verdict_on"]

_MASS_NANO_MAX = 2**60  # what one event may add to or take from any account that it did not name


def user(clearing: Any, account: str) -> int:
    """The row of a user's account or bucket."""
    row = account_of(clearing.ledger.state, account)
    if clearing.ledger.state.kind[row] != USER:
        raise InputError("account", show(account), "a user's account")
    return row


def verdict_on(clearing: Any, event: Any) -> Verdict | None:
    """What margin says of an event; None where margin is not asked."""
    match event:
        case ledger_events.Withdraw():
            return _leaving(clearing, event.account, event.asset, event.amount)
        case ledger_events.Transfer():
            return _leaving(clearing, event.source, event.asset, event.amount)
        case core_events.Order():
            return check_order(clearing, event.account, event.instrument, event.quantity, event.price)
    return None


def check_order(clearing: Any, account: str, instrument: str, quantity: str, price: str) -> Verdict:
    """The verdict on an order: margin, and before it the state of the account."""
    row = user(clearing, account)
    verdict: Verdict = clearing.engine.check(account, instrument, quantity, price)
    refusal = _state_refuses(clearing, row, instrument, quantity)
    return Verdict(False, refusal, verdict.before, verdict.before) if refusal else verdict


def _leaving(clearing: Any, account: str, asset: str, amount: int) -> Verdict | None:
    """Whether free collateral covers what is to leave an account; None where it is not margined."""
    state, mirror, engine = clearing.ledger.state, clearing.mirror, clearing.engine
    row = account_of(state, account)
    if not mirror.trader(row) or type(amount) is not int or amount <= 0:
        return None
    number = state.asset_of.get(asset, -1)
    before = engine.requests.figures(row)
    after = before
    if number == mirror.asset:
        leaves = -(-amount * mirror.unit_nano // 1000)
        after = Figures(before.equity_micro - leaves, before.initial_micro, before.maintenance_micro)
    elif number in mirror.spot_of:
        leg, lot_units = mirror.spot_of[number]
        lots = mirror.coins_of(row, number, -amount) - engine.book.lots_of(row, leg)
        if lots:
            found = engine.watch.what_if(row, [(leg, lots)], 0)
            after = Figures(int(found[0]), int(found[1]), int(found[2]))
    admitted = after.free_collateral_micro >= 0
    reason = "free collateral covers it" if admitted else "free collateral would be negative"
    return Verdict(admitted, reason, before, after)


def _state_refuses(clearing: Any, row: int, symbol: str, quantity: str) -> str:
    """Why the state of an account, or what its bucket is for, does not allow an order; empty where it does."""
    state, engine = clearing.ledger.state, clearing.engine
    only = state.only[row]
    if only >= 0 and state.instruments[only].instrument != symbol:
        return f"the bucket is for {state.instruments[only].instrument} alone"
    found = state_of(state, row)
    if found == ACTIVE:
        return ""
    if found not in (REDUCE_ONLY, LIQUIDATING):
        return f"the account is {STATES[found]}"
    lots = engine.watch.listed(symbol, "order", engine.at_ns).lots_of(quantity)
    (orders,) = engine.book.orders.rows(row)
    for leg, _ in engine.watch.desk.base.legs.expand(symbol):
        held = engine.book.lots_of(row, leg)
        waiting = orders[(orders[:, LEG] == leg) & (np.sign(orders[:, LOTS]) == np.sign(lots)), LOTS]
        if (held > 0) == (lots > 0) or abs(lots + int(waiting.sum())) > abs(held):
            return f"the account is {STATES[found]}: the order does not only reduce"
    return ""


def refuse_exposure(clearing: Any, event: Any) -> None:
    """LimitExceeded where an event could let an account's products leave int64."""
    state, mirror, requests = clearing.ledger.state, clearing.mirror, clearing.engine.requests
    match event:
        case ledger_events.Trade():
            number = state.instrument_of.get(event.instrument, -1)
            if number < 0 or type(event.lots) is not int or type(event.price_nano) is not int:
                return  # the ledger says what is wrong
            clearing.engine.watch.listed(event.instrument, "fill", event.at_ns)
            base = state.instruments[number].base
            legs = (mirror.spot_of[state.asset_of[base]][0],) if base else mirror.legs_of[number]
            for name, lots in ((event.maker, -event.lots), (event.taker, event.lots)):
                row = state.rows.get(name, -1)
                if row >= 0 and mirror.trader(row):
                    requests.refuse_exposure(row, [(leg, lots) for leg in legs], lots * event.price_nano)
        case ledger_events.Deposit() | ledger_events.Transfer() | ledger_events.Cover() | ledger_events.Charge():
            names = [getattr(event, name) for name in ("account", "target", "source") if hasattr(event, name)]
            for row in (state.rows.get(name, -1) for name in names):
                if row >= 0 and mirror.trader(row) and type(event.amount) is int:
                    _refuse_money(clearing, row, state.asset_of.get(event.asset, -1), event.amount)


def _refuse_money(clearing: Any, row: int, asset: int, amount: int) -> None:
    mirror, requests = clearing.mirror, clearing.engine.requests
    if asset == mirror.asset:
        requests.refuse_exposure(row, [], amount * mirror.unit_nano)
    elif asset in mirror.spot_of:
        leg, lot_units = mirror.spot_of[asset]
        requests.refuse_exposure(row, [(leg, amount // lot_units + 1)], 0)


def refuse_mass(clearing: Any, event: Any) -> None:
    """LimitExceeded where funding, interest or a last price could take some account out of int64."""
    state, unit_nano = clearing.ledger.state, clearing.mirror.unit_nano
    if isinstance(event, ledger_events.Accrue):
        number = state.asset_of.get(event.asset, -1)
        if number < 0 or type(event.borrow_ppm) is not int:
            return
        most = float(np.abs(np.frombuffer(state.balance[number], np.int64).astype(np.float64)).max(initial=0.0))
        index = max(abs(state.borrow_index[number]), abs(state.supply_index[number]))
        step = index + event.borrow_ppm * (INDEX_SCALE // PPM) * (event.at_ns - state.accrued_ns[number]) // YEAR_NS
        nano = most * step / INDEX_SCALE * unit_nano
    else:
        number = state.instrument_of.get(event.instrument, -1)
        if number < 0 or type(event.price_nano) is not int:
            return
        slots, _, lots = holders(state, number)
        most = float(np.abs(lots.astype(np.float64)).max(initial=0.0))
        since = np.frombuffer(state.since_pico, np.int64)[slots]
        moved = float(np.abs(state.index_pico[number] - since.astype(np.float64)).max(initial=0.0))
        rule = state.instruments[number].funding
        step = moved + rule.cap_ppm * rule.interval_s * event.price_nano / 1000 / rule.period_s
        per_lot = max(event.price_nano, step / 1000) if isinstance(event, ledger_events.Expire) else step / 1000
        nano = most * per_lot
    if nano >= _MASS_NANO_MAX:
        name = type(event).__name__.lower()
        raise LimitExceeded(name, f"an account that it moves by {nano / NANO:.3g}", f"less than {_MASS_NANO_MAX / NANO:.3g}")
