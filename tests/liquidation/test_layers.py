"""The last layers as a fold: same log, same state; a snapshot goes on as if nothing had happened; refusals change nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seawall.core.errors import BadNumber, InputError, InvariantError, StaleEvent, UnknownKey, UnreadableFile
from seawall.liquidation import frozen_state
from seawall.liquidation import layers as ly
from seawall.liquidation.adl_index import SideIndex
from seawall.liquidation.backstop import HOUR_NS, Terms
from seawall.liquidation.transfers import net
from seawall.liquidation.waterfall import Layer

USD = 10**6
CONFIG = ly.LayersConfig("USD", (Terms("majors", "USD"), Terms("alts", "USD")), {"BTC-PERP": "majors", "X-PERP": "alts"})


def digest(layers: ly.Layers) -> str:
    return frozen_state.digest(layers.machines())


def test_a_shortfall_is_paid_in_order_and_the_neighbour_is_spared():
    layers = ly.Layers(CONFIG)
    for bucket in ("majors", "alts"):
        layers.apply(0, ly.Commit(bucket, "ann", 1_000 * USD))
    layers.apply(0, ly.Income("fees", 100 * USD, "X-PERP"))
    layers.apply(0, ly.Income("fees", 1_000 * USD))
    winners = (ly.Winner("w1", 300 * USD, 300 * USD), ly.Winner("w2", 100 * USD, 100 * USD), ly.Winner("lost", -5, 9))
    done = layers.apply(1, ly.Shortfall("X-PERP", "debtor", 1_050 * USD, "crash", winners))
    assert [(e.layer, e.paid_micro // USD, e.why) for e in done.report.events] == [
        (Layer.TRANCHE, 100, "exhausted"),
        (Layer.BACKSTOP, 300, "stopped"),
        (Layer.FUND, 200, "event cap"),
        (Layer.DELEVERAGING, 400, "exhausted"),
        (Layer.DEFERRED, 0, "residual"),
    ]
    assert done.report.claims == {"w1": 37_500_000, "w2": 12_500_000}
    assert net(done.moves)["debtor", "USD"] == 1_050 * USD
    assert layers.vaults["majors"].pool.total == 1_000 * USD
    # half of the fund's next income fills the hole first
    paid = net(layers.apply(2, ly.Income("fees", 40 * USD)).moves)
    assert (paid["deferred", "USD"], paid["fund:global", "USD"]) == (20 * USD, 20 * USD)
    assert layers.claims.owed == {"w1": 22_500_000, "w2": 7_500_000}


def test_an_exit_that_is_due_comes_before_anything_else():
    layers = ly.Layers(CONFIG)
    layers.apply(0, ly.Commit("alts", "ann", 500 * USD))
    layers.apply(0, ly.AskExit("alts", "ann", 500 * USD))
    assert layers.due_ns() == 25 * HOUR_NS
    with pytest.raises(InputError, match="Advance"):
        layers.apply(30 * HOUR_NS, ly.Shortfall("X-PERP", "debtor", 1, "e"))
    assert net(layers.apply(30 * HOUR_NS, ly.Advance()).moves)["ann", "USD"] == 500 * USD
    assert layers.due_ns() is None


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (ly.Commit("nowhere", "a", 500 * USD), UnknownKey),
        (ly.Commit("alts", "a", 1), BadNumber),
        (ly.Income("a", -1), BadNumber),
        (ly.Income("a", 1, "NO-PERP"), UnknownKey),
        (ly.Shortfall("X-PERP", "d", -1, "e"), BadNumber),
        (ly.Shortfall("X-PERP", "d", 1, "e", (ly.Winner("w", 1, 1), ly.Winner("w", 1, 1))), BadNumber),
        (ly.MarkInventory("alts", "X", 5), UnknownKey),
        (ly.TakeOver("alts", "d", "X", 5, 10, 0, 10**15), BadNumber),
        (ly.AskExit("alts", "stranger", 5), BadNumber),
    ],
)
def test_a_refused_event_changes_nothing(event, error):
    layers = ly.Layers(CONFIG)
    layers.apply(5, ly.Commit("alts", "ann", 500 * USD))
    before = digest(layers)
    with pytest.raises(error):
        layers.apply(9, event)
    assert digest(layers) == before
    with pytest.raises(StaleEvent):
        layers.apply(4, ly.Advance())


def test_configs_that_do_not_fit_are_refused():
    for bad in (
        ly.LayersConfig("USD", (), {"X": "alts"}),
        ly.LayersConfig("USD", (Terms("a", "USD"), Terms("a", "USD")), {}),
        ly.LayersConfig("USD", (), {}, claims_ppm=-1),
    ):
        with pytest.raises(BadNumber, match="last layers"):
            ly.Layers(bad)


names = st.sampled_from(["ann", "ben", "eve"])
buckets, markets = st.sampled_from(["majors", "alts"]), st.sampled_from(["BTC-PERP", "X-PERP"])
money = st.integers(0, 2_000).map(lambda n: n * USD + n)
winners = st.dictionaries(names, st.tuples(st.integers(-(10**9), 10**9), st.integers(-5, 10**9)), max_size=3).map(
    lambda found: tuple(ly.Winner(name, *figures) for name, figures in found.items())
)
prices = st.integers(1, 10**12)
log = st.lists(
    st.tuples(
        st.integers(0, 10 * HOUR_NS),
        st.one_of(
            st.builds(ly.Income, names, money, st.sampled_from(["", "BTC-PERP", "X-PERP"])),
            st.builds(ly.Commit, buckets, names, money),
            st.builds(ly.AskExit, buckets, names, money),
            st.builds(ly.Collect, buckets, names),
            st.builds(ly.Premium, buckets, names, money),
            st.builds(ly.TakeOver, buckets, names, st.sampled_from(["X", "Y"]), st.integers(-50, 50), prices, money, money),
            st.builds(ly.MarkInventory, buckets, st.sampled_from(["X", "Y"]), prices),
            st.builds(ly.Dispose, buckets, names, st.sampled_from(["X", "Y"]), st.integers(-50, 50), prices),
            st.builds(ly.Shortfall, markets, names, money, st.sampled_from(["e1", "e2"]), winners),
        ),
    ),
    max_size=30,
)


@settings(max_examples=150)
@given(log=log, cut=st.integers(0, 30))
def test_a_log_folds_to_one_state_also_through_a_snapshot(log, cut):
    """Balances by transfers equal the state's own figures; a machine restored in the middle ends in the same hash."""
    layers, other, now, balance = ly.Layers(CONFIG), None, 0, {}
    for at, (wait, event) in enumerate(log):
        now += wait
        if at == cut:
            other = ly.Layers(CONFIG)
            other.restore(frozen_state.load(frozen_state.dump(layers.machines())))
            assert digest(other) == digest(layers)
        for step in (ly.Advance(), event):
            results = []
            for machine in (layers, other):
                if machine is None:
                    continue
                try:
                    results.append(machine.apply(now, step))
                except InputError as error:
                    results.append(str(error))
            assert len(results) == 1 or results[0] == results[1]
            if isinstance(results[0], ly.Outcome):
                for (party, _), amount in net(results[0].moves).items():
                    balance[party] = balance.get(party, 0) + amount
    for vault in layers.vaults.values():
        assert vault.holds_micro == balance.get(vault.name, 0)
    for tranche in layers.tranches.values():
        assert tranche.balance_micro == balance.get(tranche.name, 0) >= 0
    assert layers.fund.balance_micro == balance.get("fund:global", 0) >= 0
    assert other is None or digest(other) == digest(layers)


def test_only_known_classes_and_own_bytes_are_taken():
    class Foreign:
        pass

    with pytest.raises(InvariantError, match="registered"):
        frozen_state.dump(Foreign())
    for bad in (b"", b"{}", b'["x",1]', b'["m","Foreign",[]]', b'["i","seven"]', b"[" * 100_000):
        with pytest.raises(UnreadableFile):
            frozen_state.load(bad)
    side = SideIndex(1)
    held = side.open(5)
    side.deleverage(2, 7)
    again, position = frozen_state.load(frozen_state.dump([side, held]))
    assert (again.lots(position), again.pnl_nano(position)) == (side.lots(held), side.pnl_nano(held))
