"""Tranches, the capped global fund and deferred claims: known answers, caps at all times, exact sums."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.core.errors import BadNumber, StaleEvent, UnsafeParameters
from seawall.liquidation.claims import DeferredClaims, apportion_largest
from seawall.liquidation.funds import DAY_NS, Caps, GlobalFund, Tranche, target_micro
from seawall.liquidation.transfers import net


def test_a_tranche_pays_to_its_last_micro():
    tranche = Tranche("BTC-PERP", "USD", 100)
    assert tranche.draw("debtor", 70, "gap")[0] == 70
    tranche.credit("fees", 5, "slice")
    paid, moves = tranche.draw("debtor", 70, "gap")
    assert (paid, tranche.balance_micro) == (35, 0)
    assert net(moves) == {("tranche:BTC-PERP", "USD"): -35, ("debtor", "USD"): 35}


def test_the_global_fund_keeps_to_its_cap_per_event_and_per_day():
    fund = GlobalFund("USD", 1_000, Caps(event_ppm=200_000, day_ppm=500_000))
    assert fund.draw(1, "a", "x", 500, "gap")[0] == 200
    assert fund.draw(2, "a", "x", 500, "gap")[0] == 0
    assert fund.available(2, "a") == (0, "event cap")
    assert fund.draw(3, "b", "x", 500, "gap")[0] == 160  # 20 % of the 800 left
    assert fund.draw(4, "c", "x", 500, "gap")[0] == 128
    assert fund.available(5, "d") == (12, "day cap")  # 500 of the 1,000 in a day
    assert fund.draw(5, "d", "x", 500, "gap")[0] == 12
    assert fund.draw(DAY_NS + 1, "e", "x", 500, "gap")[0] == 100  # the first 200 have left the window; 20 % of 500
    with pytest.raises(StaleEvent):
        fund.draw(6, "f", "x", 1, "gap")


def test_caps_that_make_no_sense_are_refused():
    for bad in ({"event_ppm": -1}, {"event_ppm": 6, "day_ppm": 5}, {"day_ppm": 10**6 + 1}, {"window_ns": 0}):
        with pytest.raises(UnsafeParameters):
            Caps(**bad)
    with pytest.raises(BadNumber):
        GlobalFund("USD", -1)
    with pytest.raises(BadNumber):
        Tranche("m", "USD", -1)


draws = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 4), st.integers(0, 10**9), st.booleans()), max_size=30)


@given(draws=draws, event_ppm=st.integers(0, 10**6), day_ppm=st.integers(0, 10**6))
def test_no_window_of_a_day_ever_pays_more_than_its_share(draws, event_ppm, day_ppm):
    caps = Caps(min(event_ppm, day_ppm), day_ppm)
    fund, now, paid, per_event, start, income = GlobalFund("USD", 10**9, caps), 0, [], {}, {}, 0
    for hours, event, amount, credit in draws:
        now += hours * DAY_NS // 24
        if credit:
            fund.credit("fees", amount, "income")
            income += amount
            continue
        start.setdefault(event, fund.balance_micro)
        got, _ = fund.draw(now, str(event), "x", amount, "gap")
        paid.append((now, got))
        per_event[event] = per_event.get(event, 0) + got
        if got == 0 and str(event) not in fund._events:
            start.pop(event)
        recent = sum(p for t, p in paid if t > now - DAY_NS)
        assert recent <= (fund.balance_micro + recent) * caps.day_ppm // 10**6
        assert event not in start or per_event[event] <= start[event] * caps.event_ppm // 10**6
    assert fund.balance_micro == 10**9 + income - sum(p for _, p in paid) >= 0


@given(total=st.integers(0, 10**15), weights=st.lists(st.integers(0, 10**12), min_size=1, max_size=12))
def test_largest_remainders_sum_exactly_and_are_within_one(total, weights):
    named = {f"n{k}": w for k, w in enumerate(weights)}
    if not any(weights):
        with pytest.raises(BadNumber):
            apportion_largest(total, named)
        return
    parts = apportion_largest(total, named)
    assert sum(parts.values()) == total
    for name, weight in named.items():
        assert abs(parts[name] * sum(weights) - total * weight) < sum(weights)


@given(
    residual=st.integers(1, 10**9),
    weights=st.lists(st.integers(1, 10**6), min_size=1, max_size=6),
    incomes=st.lists(st.integers(0, 10**8), max_size=10),
)
def test_claims_are_paid_in_proportion_and_never_overpaid(residual, weights, incomes):
    claims = DeferredClaims("USD")
    issued = claims.issue(residual, {f"n{k}": w for k, w in enumerate(weights)})
    assert sum(issued.values()) == claims.total_micro == residual
    paid = 0
    for amount in incomes:
        before = claims.hole_micro
        used, moves = claims.income("fund", amount)
        assert used == min(amount, before) == before - claims.hole_micro
        assert [(move.payee, move.amount_micro) for move in moves] == ([("deferred", used)] if used else [])
        paid += used
    assert claims.total_micro == claims.hole_micro == residual - paid
    for name, part in issued.items():
        # claims fall in proportion; every income rounds by less than one unit
        fallen = part - claims.owed.get(name, 0)
        assert 0 <= fallen <= part
        assert abs(fallen * residual - part * paid) <= residual * (len(incomes) + 1)


def test_what_nobody_claims_is_filled_as_well():
    claims = DeferredClaims("USD")
    assert claims.issue(40, {}) == {}
    assert claims.issue(60, {"a": 1}) == {"a": 60}
    assert claims.income("fund", 50)[0] == 50
    assert (claims.hole_micro, claims.owed) == (50, {"a": 30})
    assert claims.income("fund", 70)[0] == 50
    assert (claims.hole_micro, claims.owed) == (0, {})


def test_the_fund_covers_the_tail_and_the_two_largest_members():
    losses = list(range(1, 1001))
    assert target_micro(losses, [5, 400, 300]) == 996  # the mean of 991 … 1000, rounded up
    assert target_micro(losses, [700, 400, 300]) == 1_100
    assert target_micro([], []) == 0
    assert target_micro([-5], [-3]) == 0
    with pytest.raises(BadNumber):
        target_micro([1], [1], 0)
