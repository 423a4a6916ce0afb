"""The waterfall: strict order, value conserved to the micro, the residual named; over random layers and needs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seawall.core.errors import BadNumber, StaleEvent
from seawall.liquidation import adl
from seawall.liquidation.backstop import Terms, Vault
from seawall.liquidation.claims import DeferredClaims
from seawall.liquidation.funds import Caps, GlobalFund, Tranche
from seawall.liquidation.transfers import net
from seawall.liquidation.waterfall import Cash, FromFund, FromTranche, FromVault, Haircut, Layer, settle_shortfall

USD = 10**6


def winners(profits: list[int]) -> Haircut:
    profit = np.array(profits, np.int64)
    risk = np.full(len(profits), 10**6, np.int64)

    def share(need: int) -> list[tuple[str, int]]:
        parts = adl.haircut(profit, profit, risk, need).parts
        return [(f"winner{k}", int(part)) for k, part in enumerate(parts) if part]

    return Haircut("USD", int(np.maximum(profit, 0).sum()), share)


def chain(margin: int, proceeds: int, tranche: int, committed: int, fund: int, profits: list[int]):
    vault = Vault(Terms("alts", "USD", commitment_min_micro=1))
    if committed:
        vault.commit(0, "provider", committed)
    return [
        Cash(Layer.ACCOUNT, "margin", "USD", margin),
        Cash(Layer.PROCEEDS, "proceeds", "USD", proceeds),
        FromTranche(Tranche("BTC-PERP", "USD", tranche)),
        FromVault(vault),
        FromFund(GlobalFund("USD", fund, Caps(200_000, 500_000)), "event"),
        winners(profits),
    ]


def test_a_shortfall_runs_through_every_layer_in_order():
    claims = DeferredClaims("USD")
    sources = chain(10 * USD, 20 * USD, 30 * USD, 100 * USD, 50 * USD, [3 * USD, 7 * USD])
    done = settle_shortfall(1, "debtor", 120 * USD, sources, claims, {"winner0": 3, "winner1": 7})
    told = [(event.layer, event.paid_micro // USD, event.why) for event in done.events]
    assert told == [
        (Layer.ACCOUNT, 10, "exhausted"),
        (Layer.PROCEEDS, 20, "exhausted"),
        (Layer.TRANCHE, 30, "exhausted"),
        (Layer.BACKSTOP, 30, "stopped"),
        (Layer.FUND, 10, "event cap"),
        (Layer.DELEVERAGING, 10, "exhausted"),
        (Layer.DEFERRED, 0, "residual"),
    ]
    assert done.residual_micro == 10 * USD
    assert done.claims == {"winner0": 3 * USD, "winner1": 7 * USD}
    assert (done.unclaimed_micro, claims.total_micro) == (0, 10 * USD)
    assert net(done.moves)["debtor", "USD"] == 120 * USD
    assert net(done.moves)["deferred", "USD"] == -10 * USD


def test_a_later_layer_is_not_even_asked():
    sources = chain(10, 20, 30, 40, 50, [60])
    done = settle_shortfall(1, "debtor", 25, sources, DeferredClaims("USD"), {})
    assert [event.layer for event in done.events] == [Layer.ACCOUNT, Layer.PROCEEDS]
    assert done.events[-1].why == "covered"
    assert sources[2].tranche.balance_micro == 30


def test_without_creditors_the_residual_is_unclaimed_and_said_to_be():
    done = settle_shortfall(1, "debtor", 5, [], DeferredClaims("USD"), {})
    assert (done.residual_micro, done.unclaimed_micro, done.claims) == (5, 5, {})
    assert done.events[-1].why == "residual"


def test_layers_out_of_order_or_twice_are_refused():
    one, two, *_ = chain(1, 1, 1, 1, 1, [1])
    for bad in ([two, one], [one, one]):
        with pytest.raises(BadNumber, match="in order"):
            settle_shortfall(1, "debtor", 5, bad, DeferredClaims("USD"), {})


def test_a_refused_waterfall_has_moved_nothing():
    sources = chain(1, 1, 1, 100, 1, [1])
    sources[4].fund.draw(50, "other", "x", 1, "gap")
    with pytest.raises(StaleEvent):
        settle_shortfall(49, "debtor", 10**6, sources, DeferredClaims("USD"), {})
    with pytest.raises(BadNumber, match="creditors"):
        settle_shortfall(50, "debtor", 10**6, sources, DeferredClaims("USD"), {"a": 3, "b": -1})
    assert [source.limit(50)[0] for source in sources[:4]] == [1, 1, 1, 30]


money = st.one_of(st.just(0), st.integers(1, 10**12))


@settings(max_examples=200)
@given(
    need=st.integers(0, 10**13),
    amounts=st.tuples(money, money, money, money, money),
    profits=st.lists(st.integers(-(10**9), 10**12), max_size=6),
    creditors=st.dictionaries(st.sampled_from("abc"), st.integers(0, 10**6), max_size=3),
)
def test_value_is_conserved_and_layer_k_plus_1_never_pays_before_k_is_done(need, amounts, profits, creditors):
    claims = DeferredClaims("USD")
    sources = chain(*amounts, profits)
    done = settle_shortfall(1, "debtor", need, sources, claims, creditors)
    flows = net(done.moves)
    assert sum(flows.values()) == 0
    assert flows.get(("debtor", "USD"), 0) == need
    assert done.paid_micro + done.residual_micro == need
    assert sum(done.claims.values()) + done.unclaimed_micro == done.residual_micro
    left = need
    for event in done.events:
        assert event.need_micro == left > 0
        assert event.paid_micro == (0 if event.layer is Layer.DEFERRED else min(left, event.capacity_micro))
        left -= event.paid_micro
        assert event.left_micro == left
    assert [event.layer for event in done.events] == list(Layer)[: len(done.events)]
    if done.residual_micro:
        assert len(done.events) == len(Layer), "no layer was left out before the residual"
    for k, profit in enumerate(profits):
        assert -flows.get((f"winner{k}", "USD"), 0) <= max(profit, 0), "principal is never touched"


@settings(max_examples=100)
@given(need=st.integers(1, 10**9), amounts=st.tuples(money, money, money, money, money), more=st.integers(1, 10**6))
def test_every_layer_is_continuous_in_the_need(need, amounts, more):
    """A little more need changes no layer's part by more than that."""
    profits = [10**8, 3 * 10**8]
    parts = []
    for size in (need, need + more):
        done = settle_shortfall(1, "debtor", size, chain(*amounts, profits), DeferredClaims("USD"), {"a": 1})
        parts.append({event.layer: event.paid_micro for event in done.events})
    for layer in Layer:
        assert 0 <= parts[1].get(layer, 0) - parts[0].get(layer, 0) <= more
