"""The clearing after any history: the engine's book is the ledger, its statuses are those of a full evaluation, and a
copy made of its columns, or of its events alone, is the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.histories import Venue, genesis, perpetuals_document
from seawall.core.errors import DuplicateRow, InputError
from seawall.engine.clearing import Clearing
from seawall.engine.clearing_events import Outcome
from seawall.ledger import events as ev
from seawall.ledger.chart import TRADERS
from seawall.ledger.ledger import Ledger
from seawall.server import requests as wire
from seawall.server.turning import event_of

SETTINGS = settings(max_examples=6, deadline=None)
SEEDS = st.integers(0, 10**9)


def step(clearing: Clearing, venue: Venue) -> tuple[Any, Outcome | None]:
    """One request of a history: (the event, what it did); None for what was refused as impossible."""
    request, at_ns = venue.next(clearing)
    try:
        event = event_of(clearing, request, at_ns)
        return event, clearing.apply(event)
    except InputError:
        return None, None


def check_money(clearing: Clearing) -> None:
    """Engine cash and lots against a copy of the ledger in which everybody is settled, account by account."""
    ledger = Ledger.from_columns(clearing.ledger.columns())
    state = ledger.state
    for name, kind, of in zip(list(state.names), state.kind, state.state):
        if kind in TRADERS and of != 4:
            ledger.apply(ev.Settle(at_ns=ledger.at_ns, account=name))
    settlement = clearing.genesis.market["settlement"]
    for name, kind in zip(state.names, state.kind):
        row = clearing.engine.account_of(name)
        own, legs = state.rows[name], clearing.engine.watch.desk.base.legs
        cash = ledger.balance(name, settlement) + sum(state.cost[slot] for slot in state.positions(own))
        held = {}
        for slot in state.positions(own):
            for leg, each in legs.expand(state.instruments[state.held[slot]].instrument):
                held[leg] = state.lots[slot] * each
        for asset, (leg, lot_units) in clearing.mirror.spot_of.items():
            lots = state.balance[state.asset_of[clearing.ledger.state.assets[asset].asset]][own] // lot_units
            if lots:
                held[leg] = lots
        if kind not in TRADERS:
            cash, held = 0, {}
        found = dict(zip(*(column.tolist() for column in clearing.engine.book.positions.rows(row))))
        assert int(clearing.engine.book.cash_nano[row]) == 1000 * cash, name
        assert found == held, name
    assert clearing.engine.book.conserved()


def check_statuses(clearing: Clearing, told: dict[str, str]) -> None:
    """What a full evaluation says of everybody is what decisions have told."""
    assert clearing.engine.audit() == []
    names = clearing.ledger.state.names
    assert {name: clearing.engine.status(name) for name in names} == {name: told.get(name, "ok") for name in names}


def check_history(seed: int, model: str, steps: int, document: dict[str, Any] | None = None) -> None:
    first = genesis(model, document)
    clearing = Clearing(first, 300)
    venue, told, events = Venue(seed, clearing), {}, []
    twin: Clearing | None = None
    applied = 0
    for count in range(steps):
        before = clearing.state_hash() if count % 20 == 0 else ""
        event, outcome = step(clearing, venue)
        if outcome is None or not outcome.sequence:
            assert not before or clearing.state_hash() == before, "a refusal left a trace"
            continue
        applied += 1
        assert outcome.sequence == applied + 1
        events.append(event)
        told |= {decision.account: decision.status for decision in outcome.decisions}
        if twin is not None:
            assert twin.apply(event) == outcome
        clearing.check_mirror()
        if count % 10 == 0:
            check_money(clearing)
            check_statuses(clearing, told)
        if count == steps // 2:
            columns = clearing.columns()
            twin = Clearing.from_columns(columns, 400)
            assert twin.state_hash() == clearing.state_hash()
    check_money(clearing)
    check_statuses(clearing, told)
    assert applied > steps // 3
    replayed = Clearing(first, 250)
    for event in events:
        replayed.apply(event)
    assert replayed.state_hash() == clearing.state_hash()
    assert twin is None or twin.state_hash() == clearing.state_hash()


@SETTINGS
@given(SEEDS)
def test_after_any_history_of_every_kind_of_instrument_the_book_is_the_ledger(seed):
    check_history(seed, "portfolio", 240)


@settings(max_examples=3, deadline=None)
@given(SEEDS)
@pytest.mark.parametrize("model", ["cross", "expected-shortfall", "derive-portfolio"])
def test_so_it_is_under_every_way_of_watching(model, seed):
    check_history(seed, model, 120, perpetuals_document())


@pytest.mark.soak
@settings(max_examples=300, deadline=None)
@given(SEEDS)
def test_long_histories(seed):
    check_history(seed, "portfolio", 1_500)


@pytest.fixture
def clearing() -> Clearing:
    made = Clearing(genesis("portfolio", perpetuals_document()), 40)
    for name in ("alice", "bob"):
        do(made, wire.OpenAccount(account=name))
        do(made, wire.Deposit(account=name, amount="10000"))
    return made


def do(clearing: Clearing, request: Any, key: str = "", later_ns: int = 10**6) -> Outcome:
    return clearing.apply(event_of(clearing, request, clearing.at_ns + later_ns), key)


def fill(quantity: str = "1", price: str = "113000") -> wire.Fill:
    return wire.Fill(maker="alice", taker="bob", instrument="BTC-PERP", quantity=quantity, price=price)


def test_funding_counts_from_the_moment_of_the_event_and_a_touch_changes_nothing(clearing):
    do(clearing, fill("0.1"))
    do(clearing, wire.Premium(instrument="BTC-PERP", index="1", impact_bid="1.01", impact_ask="1.02"))
    do(clearing, wire.Premium(instrument="BTC-PERP", index="1", impact_bid="1.01", impact_ask="1.02"))
    before = clearing.engine.figures("bob").equity_micro
    do(clearing, wire.Funding(instrument="BTC-PERP", price="113000"), later_ns=3_600 * 10**9)
    after = clearing.engine.figures("bob").equity_micro
    # 1 % premium over eight hours, an hour of it, on 0.1 × 113,000: 14.125, interest of 0.01 % on top
    assert before - after == 14_266_250
    assert clearing.engine.figures("alice").equity_micro - 10_000_000_000 == 14_266_250
    do(clearing, wire.Settle(account="bob"))
    assert clearing.engine.figures("bob").equity_micro == after
    assert clearing.ledger.balance("bob", "USD") == 10_000_000_000 - 14_266_250


def test_a_withdrawal_needs_free_collateral_and_a_refusal_is_no_event(clearing):
    do(clearing, fill("0.1"))
    free = clearing.engine.figures("bob").free_collateral_micro
    hash_before = clearing.state_hash()
    refused = do(clearing, wire.Withdraw(account="bob", amount=f"{(free + 1) / 1e6:.6f}"))
    assert refused.sequence == 0
    assert not refused.verdict.admitted
    assert clearing.state_hash() == hash_before
    assert do(clearing, wire.Withdraw(account="bob", amount=f"{free / 1e6:.6f}")).verdict.admitted
    assert clearing.engine.figures("bob").free_collateral_micro == 0


@pytest.mark.parametrize(
    ("state", "quantity", "admitted"),
    [("active", "0.01", True), ("reduce-only", "0.01", False), ("reduce-only", "-0.05", True),
     ("in-liquidation", "-0.05", True), ("in-liquidation", "-0.2", False), ("frozen", "-0.01", False)],
)  # fmt: skip
def test_the_state_of_an_account_decides_before_margin(clearing, state, quantity, admitted):
    do(clearing, fill("0.1"))
    if state != "active":
        do(clearing, wire.SetState(account="bob", state=state))
    order = wire.Order(account="bob", id="1", instrument="BTC-PERP", quantity=quantity, price="113000")
    assert do(clearing, order).verdict.admitted is admitted
    assert (len(clearing.orders) == 1) is admitted


def test_reducing_orders_count_together(clearing):
    do(clearing, fill("0.1"))
    do(clearing, wire.SetState(account="bob", state="reduce-only"))
    order = wire.Order(account="bob", id="1", instrument="BTC-PERP", quantity="-0.06", price="113000")
    assert do(clearing, order).verdict.admitted
    again = wire.Order(account="bob", id="2", instrument="BTC-PERP", quantity="-0.06", price="113000")
    assert do(clearing, again).verdict.reason == "the account is reduce-only: the order does not only reduce"


def test_a_bucket_is_a_pool_of_its_own(clearing):
    do(clearing, wire.OpenBucket(owner="bob", bucket="btc", instrument="BTC-PERP"))
    do(clearing, wire.Transfer(source="bob", target="bob:btc", amount="2000"))
    trade = wire.Fill(maker="alice", taker="bob:btc", instrument="BTC-PERP", quantity="0.1", price="113000")
    do(clearing, trade)
    outcome = do(clearing, wire.Ticks(prices={"BTC": "100000"}))
    assert [(one.account, one.status) for one in outcome.decisions][0][0] == "bob:btc"
    assert clearing.engine.status("bob") == "ok"
    other = wire.Order(account="bob:btc", id="1", instrument="ETH-PERP", quantity="0.1", price="1")
    assert do(clearing, other).verdict.reason == "the bucket is for BTC-PERP alone"


def test_a_key_is_applied_once_and_survives_columns(clearing):
    request = wire.Deposit(account="bob", amount="5")
    first = do(clearing, request, "k1")
    again = do(clearing, request, "k1")
    assert again.repeated
    assert (again.sequence, again.receipt) == (first.sequence, first.receipt)
    assert clearing.ledger.balance("bob", "USD") == 10_005_000_000
    with pytest.raises(DuplicateRow):
        do(clearing, wire.Deposit(account="bob", amount="6"), "k1")
    copy = Clearing.from_columns(clearing.columns(), 40)
    assert do(copy, request, "k1").repeated
    order = wire.Order(account="bob", id="1", instrument="BTC-PERP", quantity="0.01", price="100000")
    verdict = do(clearing, order, "k2").verdict
    assert do(clearing, order, "k2").verdict == verdict
    assert do(clearing, request, "k1", later_ns=86_401 * 10**9).repeated, "keys are forgotten by events, not by looking"
    do(clearing, wire.Clock(), later_ns=86_401 * 10**9)
    assert not do(clearing, request, "k1").repeated


def test_there_is_room_for_so_many_accounts_and_a_restart_may_give_more(clearing):
    for number in range(30):
        do(clearing, wire.OpenAccount(account=f"more {number}"))
    with pytest.raises(InputError, match="at most the 40"):
        do(clearing, wire.OpenAccount(account="one too many"))
    with pytest.raises(InputError, match="at least the 40"):
        Clearing.from_columns(clearing.columns(), 39)
    assert do(Clearing.from_columns(clearing.columns(), 41), wire.OpenAccount(account="one more")).sequence


def test_a_parameter_change_goes_on_gliding_after_a_restart(clearing):
    change = wire.Parameters(changes={"default_range_ppm": "280000"}, glide_s="64")
    do(clearing, change)
    do(clearing, wire.Clock(), later_ns=10 * 10**9)
    copy = Clearing.from_columns(clearing.columns(), 40)
    assert copy.engine.watch.glide is not None
    for each in (clearing, copy):
        do(each, wire.Clock(), later_ns=10 * 10**9)
        assert 200_000 < each.engine.watch.model.parameters.default_range_ppm < 280_000
        do(each, wire.Clock(), later_ns=100 * 10**9)
        assert each.engine.watch.model.parameters.default_range_ppm == 280_000
    assert copy.state_hash() == clearing.state_hash()


def test_ticks_go_to_the_same_underlyings_after_a_restart_whatever_their_names():
    """A tick is recorded by the number of its underlying, which is its place in the genesis: here not that of the alphabet."""
    document = perpetuals_document()
    document["underlyings"] = dict(sorted(document["underlyings"].items(), reverse=True))
    assert list(document["underlyings"]) != sorted(document["underlyings"])
    clearing = Clearing(genesis("fixed", document), 40)
    copy = Clearing.from_columns(clearing.columns(), 40)
    for number, name in enumerate(document["underlyings"]):
        event = event_of(clearing, wire.Ticks(prices={name: f"{101 + number}"}), clearing.at_ns + 1)
        clearing.apply(event)
        copy.apply(event)
        assert copy.engine.market.index == clearing.engine.market.index
        assert copy.engine.market.index[name] == 101 + number
        assert copy.state_hash() == clearing.state_hash()
