"""An account whose debt is paid to the last unit at the very moment at which everybody is evaluated anew is evaluated too."""

from __future__ import annotations

from engine.histories import genesis, perpetuals_document
from seawall.core import events as core_events
from seawall.core.times import SECOND_NS
from seawall.engine.clearing import Clearing
from seawall.ledger import events as ledger_events


def test_an_account_that_is_covered_to_nothing_while_parameters_glide_is_ok_again():
    clearing = Clearing(genesis("fixed", perpetuals_document()), 32)
    at = clearing.at_ns
    for event in (
        ledger_events.Open(at_ns=at, account="alice", kind="user"),
        ledger_events.Deposit(at_ns=at, account="insurance", asset="USD", amount=10**9),
        ledger_events.Charge(at_ns=at, account="alice", target="fees", asset="USD", amount=5 * 10**6),
        core_events.Parameters(at_ns=at, changes={"initial_ppm": "110000"}, glide_ns=10 * SECOND_NS),
    ):
        assert clearing.apply(event).sequence
    assert clearing.engine.status("alice") == "bankrupt"
    paid = clearing.apply(
        ledger_events.Cover(at_ns=at + 20 * SECOND_NS, account="alice", fund="insurance", asset="USD", amount=5 * 10**6)
    )
    assert [(one.account, one.status) for one in paid.decisions] == [("alice", "ok")]
    assert clearing.engine.audit() == []
