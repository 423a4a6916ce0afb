"""Closings inside the clearing: value conserved, the desk's books are the ledger's, a copy from its columns or from its log is
the same, and what cannot be is refused without a trace."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.closings import ClosingVenue, closing_genesis
from engine.histories import genesis, perpetuals_document
from seawall.core.errors import InputError
from seawall.engine.clearing import Clearing
from seawall.engine.clearing_events import ClosingStep
from seawall.engine.facts import facts_of
from seawall.liquidation.auction_events import Settle
from seawall.liquidation.closing_desk import ToHouse
from seawall.server.records import encode, with_facts
from seawall.server.refolding import Refolding
from seawall.server.turning import event_of

SEEDS = st.integers(0, 10**9)


def check_books(clearing: Clearing) -> None:
    """What the desk's machines say that they hold is what the ledger's accounts hold; everything sums to zero."""
    ledger, layers = clearing.ledger, clearing.desk.layers
    state = ledger.state
    for column in state.balance:
        assert sum(column) == -sum(_costs(clearing, column)), "value is conserved"
    held = {name: ledger.balance(name, "USD") for name, _ in clearing.genesis.parties().values()}
    assert held["fund.global"] == layers.fund.balance_micro
    for market, tranche in layers.tranches.items():
        assert held[f"tranche.{market}"] == tranche.balance_micro
    for bucket, vault in layers.vaults.items():
        assert held[f"backstop.{bucket}"] == vault.holds_micro
        for symbol, inherited in vault.inventory.items():
            (leg,) = clearing.engine.watch.desk.base.legs.leg_of[symbol]
            assert clearing.engine.book.lots_of(state.rows[f"inventory.{bucket}"], leg) == inherited.lots
    assert held["liquidation-fund"] == 0
    assert held["ranked-bids"] == clearing.desk.ranked.escrow_micro
    assert held["deferred"] == -layers.claims.hole_micro
    assert held["auction-fees"] == sum(sale.fee_micro for sale in clearing.desk.house.sales.values())
    clearing.check_mirror()


def _costs(clearing: Clearing, column: Any) -> list[int]:
    state = clearing.ledger.state
    asset = next(k for k, each in enumerate(state.balance) if each is column)
    return [state.cost[slot] for slot in range(len(state.cost)) if state.settled_in[state.held[slot]] == asset and state.lots[slot]]


def live(seed: int, steps: int, model: str = "cross") -> tuple[Clearing, list[bytes], Counter[str]]:
    """A clearing after a history with closings, its log, and how often which thing was said."""
    first = closing_genesis(perpetuals_document(), model)
    clearing = Clearing(first, 300)
    venue, records, said = ClosingVenue(seed, clearing), [encode(first)], Counter[str]()
    for count in range(steps):
        request, step, at_ns = venue.next(clearing)
        before = clearing.state_hash() if count % 25 == 0 else ""
        try:
            event = step or event_of(clearing, request, at_ns)
            outcome = clearing.apply(event)
        except InputError:
            assert before in ("", clearing.state_hash())
            said["refused"] += 1
            continue
        if not outcome.sequence:
            assert before in ("", clearing.state_hash())
            continue
        records.append(with_facts(encode(event), event, facts_of(clearing, event, outcome)))
        said.update(type(each).__name__ for each in outcome.closing)
        if count % 25 == 0:
            check_books(clearing)
    check_books(clearing)
    assert clearing.engine.audit() == []
    return clearing, records, said


@settings(max_examples=8)
@given(seed=SEEDS)
def test_a_venue_that_closes_accounts_keeps_its_books(seed):
    clearing, records, _ = live(seed, 250)
    copy = Clearing.from_columns(clearing.columns(), 300)
    assert copy.state_hash() == clearing.state_hash()
    for ask_from in (2, len(records) // 2, 10**9):
        refolding = Refolding("log", None, 300, ask_from)
        rng, at = random.Random(seed), 0
        while at < len(records):
            some = records[at : at + rng.randint(1, 60)]
            refolding.take(b"".join(some), np.array([len(each) for each in some], np.int64))
            at += len(some)
        again = refolding.clearing()
        assert again is not None
        assert again.state_hash() == clearing.state_hash()
        assert again.desk.digest() == clearing.desk.digest()


def test_histories_go_through_every_layer():
    said = Counter[str]()
    for seed in range(12):
        said += live(seed, 300)[2]
    for name in ("Staged", "PlaceOrder", "CancelOrders", "Started", "Sold", "Rested", "Deleverage", "Residual", "Filed", "Dropped"):
        assert said[name], (name, said)


def test_a_venue_without_terms_takes_no_steps():
    clearing = Clearing(genesis("cross", perpetuals_document()), 300)
    assert clearing.desk is None
    with pytest.raises(InputError, match="terms of closing"):
        clearing.apply(ClosingStep(at_ns=clearing.at_ns, what=ToHouse(number=0, at_ns=0, event=Settle(at_ns=0))))
