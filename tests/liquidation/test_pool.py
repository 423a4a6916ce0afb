"""The shared pool: published figures, exact conservation, nobody better off for timing or for splitting."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seawall.core.errors import BadNumber
from seawall.liquidation.pool import SharedPool

WAD = 10**18


def test_three_equal_depositors_share_a_liquidation():
    """Liquity dev @ 39f1f7f, StabilityPool_SPWithdrawalTest: 3 × 10,000, one debt of 10,000 for 99.5 of collateral."""
    pool = SharedPool()
    for name in "ABC":
        pool.deposit(name, 10_000 * WAD)
    assert pool.absorb(10_000 * WAD, "coll", 995 * WAD // 10) == 10_000 * WAD
    for name in "ABC":
        assert pool.worth(name) == 6_666_666_666_666_666_666_666
        assert pool.gains(name) == {"coll": 33_166_666_666_666_666_666}
    assert pool.dust == 2


def test_the_published_case_of_unequal_deposits_and_liquidations():
    pool = SharedPool()
    for name, amount in (("A", 2_000), ("B", 456_000), ("C", 13_100)):
        pool.deposit(name, amount * WAD)
    for debt, collateral in ((207_000, 2_160), (5_000, 50), (46_700, 500)):
        pool.absorb(debt * WAD, "coll", collateral * WAD * 995 // 1000)
    assert abs(pool.worth("B") - 205_592_018_679_686_000_000_000) < 10**11
    assert abs(pool.gains("B")["coll"] - 2_610_021_651_454_043_834_000) < 10**11


def test_an_emptied_pool_starts_anew_and_keeps_what_was_earned():
    pool = SharedPool()
    pool.deposit("old", 100)
    assert pool.absorb(250, "coll", 50) == 100
    assert (pool.worth("old"), pool.gains("old")) == (0, {"coll": 20})
    pool.deposit("new", 70)
    pool.earn("coll", 7)
    assert (pool.worth("new"), pool.gains("new"), pool.gains("old")) == (70, {"coll": 7}, {"coll": 20})
    assert pool.collect("old") == {"coll": 20}
    assert pool.holders() == ["new"]


def test_losses_by_factors_of_a_million_keep_their_proportions():
    pool = SharedPool()
    pool.deposit("a", 3 * 10**40)
    pool.deposit("b", 10**40)
    for _ in range(6):
        pool.earn("coll", 4 * 10**9)
        pool.lose(pool.total - pool.total // 10**6)
    assert pool.worth("a") == 3 * pool.worth("b") // 1
    assert pool.worth("a") + pool.worth("b") == pool.total == 40_000
    assert pool.gains("a")["coll"] == pytest.approx(18 * 10**9, abs=6)


def test_bad_amounts_are_refused():
    pool = SharedPool()
    for call in (lambda: pool.deposit("a", 0), lambda: pool.withdraw("a", -1), lambda: pool.lose(1), lambda: pool.earn("x", -1)):
        with pytest.raises(BadNumber):
            call()
    assert not pool.earn("x", 5)
    assert pool.owed == {}


steps = st.lists(
    st.tuples(st.sampled_from(["deposit", "withdraw", "lose", "earn", "absorb", "collect"]), st.integers(0, 5), st.integers(1, 10**12)),
    max_size=40,
)


@settings(max_examples=200)
@given(steps=steps)
def test_what_goes_in_comes_out_and_the_exact_share_is_never_exceeded(steps):
    """Against a twin in fractions that touches every depositor at every step."""
    pool, twin, earned = SharedPool(), {}, {}
    cash = gains_in = gains_out = 0
    for kind, who, amount in steps:
        name = f"p{who}"
        if kind == "deposit":
            pool.deposit(name, amount)
            twin[name] = twin.get(name, Fraction(0)) + amount
            cash += amount
        elif kind == "withdraw":
            taken = pool.withdraw(name, amount)
            twin[name] = twin.get(name, Fraction(0)) - taken
            cash -= taken
        elif kind == "collect":
            paid = pool.collect(name).get("g", 0)
            gains_out += paid
            earned[name] = earned.get(name, Fraction(0)) - paid
        else:
            before = pool.total
            exact_total = sum(twin.values())
            gain = amount if kind in ("earn", "absorb") else 0
            loss = min(amount, before) if kind in ("lose", "absorb") else 0
            if kind == "lose":
                pool.lose(loss)
            elif kind == "earn":
                gains_in += amount if pool.earn("g", amount) else 0
            else:
                assert pool.absorb(amount, "g", amount) == loss
                gain = loss
                gains_in += loss
            if before:
                for holder in twin:
                    earned[holder] = earned.get(holder, Fraction(0)) + (Fraction(gain) * twin[holder] / exact_total if exact_total else 0)
                    twin[holder] -= twin[holder] * Fraction(loss, before)
            cash -= loss
        assert pool.total == cash
        assert 0 <= pool.dust
        assert pool.owed.get("g", 0) == gains_in - gains_out >= sum(pool.gains(n).get("g", 0) for n in pool.holders())
        for holder, exact in twin.items():
            assert pool.worth(holder) <= exact + pool.dust
            assert pool.worth(holder) >= exact - len(steps) - 1


@given(parts=st.lists(st.integers(1, 10**9), min_size=2, max_size=5), loss_ppm=st.integers(0, 10**6), gain=st.integers(0, 10**9))
def test_splitting_a_deposit_changes_nothing(parts, loss_ppm, gain):
    one, many = SharedPool(), SharedPool()
    one.deposit("other", 10**9)
    many.deposit("other", 10**9)
    one.deposit("whole", sum(parts))
    for n, part in enumerate(parts):
        many.deposit(f"part{n}", part)
    loss = one.total * loss_ppm // 10**6
    for pool in (one, many):
        pool.absorb(loss, "g", gain)
    worth = sum(many.worth(f"part{n}") for n in range(len(parts)))
    earned = sum(many.gains(f"part{n}").get("g", 0) for n in range(len(parts)))
    assert 0 <= one.worth("whole") - worth <= len(parts)
    assert 0 <= one.gains("whole").get("g", 0) - earned <= len(parts)
