"""Auto-deleveraging: the invariants of the last layer, over random books; and its speed on 100,000 counterparties."""

from __future__ import annotations

import time
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seawall.core.errors import BadNumber
from seawall.liquidation import adl
from seawall.liquidation.routes import SELL, ConstantProduct, OrderBook
from seawall.liquidation.severity import Waves, plan_wave, shortfall

MICRO = 10**6


@st.composite
def books(draw):
    count = draw(st.integers(1, 15))

    def column(strategy):
        return draw(st.lists(strategy, min_size=count, max_size=count))

    lots = column(st.one_of(st.just(0), st.integers(0, 10**5)))
    shares = column(st.integers(0, 100))
    parties = adl.Parties.of(
        lots,
        column(st.integers(-(10**11), 10**11)),
        [n * share // 100 for n, share in zip(lots, shares)],
        column(st.integers(-(10**9), 10**11)),
        column(st.integers(-(10**8), 10**8)),
        column(st.integers(0, 10**8)),
    )
    return parties, draw(st.integers(0, sum(lots) + 10)), draw(st.integers(-(10**7), 10**8))


@settings(max_examples=400)
@given(book=books(), most=st.integers(0, 10**6))
def test_the_promises_of_the_last_layer(book, most):
    parties, lots, loss = book
    done = adl.allocate(parties, lots, loss, adl.Rules(most))
    assert int(done.lots.sum()) + done.residual_lots == lots == sum(done.by_order) + done.residual_lots
    assert ((done.lots >= 0) & (done.lots <= parties.lots)).all(), "a flat account pays nothing"
    assert (done.paid_micro[parties.lots == 0] == 0).all()
    if loss > 0:
        limit = np.maximum(parties.profit_micro, 0).astype(object) * most // 10**6
        assert (done.paid_micro <= limit).all(), "principal is never touched"
    else:
        assert (done.paid_micro <= 0).all()
    after = parties.health_micro - done.paid_micro + done.lots * parties.relief_nano // 1000
    touched = done.lots > 0
    pushed = touched & (after < np.minimum(parties.health_micro, 0)) & (loss > parties.relief_nano)
    assert not pushed.any(), "nobody is pushed below maintenance"
    assert done.over_closure(lots) <= 1
    exact = [-(-int(n) * loss // 1000) for n in done.lots]
    assert done.paid_micro.tolist() == exact


@settings(max_examples=200)
@given(book=books())
def test_a_residual_is_left_only_where_every_cap_is_reached(book):
    parties, lots, loss = book
    done = adl.allocate(parties, lots, loss)
    if done.residual_lots:
        caps = adl._caps(parties, loss, adl.Rules())
        weighted = (parties.profit_micro > 0) & (parties.risk_ppm > 0)
        reached = (done.lots == caps) | ~(weighted | (loss <= 0))
        assert reached.all()


@settings(max_examples=200)
@given(book=books())
def test_hedged_lots_are_last(book):
    parties, lots, loss = book
    done = adl.allocate(parties, lots, loss)
    open_caps = np.minimum(adl._caps(parties, loss, adl.Rules()), parties.unhedged)
    weighted = (parties.profit_micro > 0) & (parties.risk_ppm > 0)
    if done.by_order[1]:
        assert (done.lots[weighted] >= open_caps[weighted]).all(), "all unhedged lots went first"
    if done.by_order[2]:
        assert loss <= 0


def test_open_interest_is_equal_after_deleveraging():
    """The bankrupt long's lots leave together with as many short lots; what remains is the residual, on both sides."""
    parties = adl.Parties.of([50, 30, 20], [5 * MICRO, 3 * MICRO, 0])
    done = adl.allocate(parties, 100, 1_000)
    longs, shorts = 100, 100
    longs -= int(done.lots.sum())
    shorts -= int(done.lots.sum())
    assert longs == shorts == done.residual_lots == 20  # the account without profit pays nothing
    assert done.lots.tolist() == [50, 30, 0]


def test_shares_are_proportional_to_profit_and_to_risk():
    parties = adl.Parties.of([1_000] * 3, [10**9, 2 * 10**9, 10**9], risk_ppm=[10**6, 10**6, 4 * 10**6])
    done = adl.allocate(parties, 700, 10**6)
    assert done.lots.tolist() == [100, 200, 400]
    assert done.paid_micro.tolist() == [100_000, 200_000, 400_000]


def test_a_delta_neutral_account_is_touched_last():
    parties = adl.Parties.of([500, 500], [10**9, 10**9], unhedged=[500, 0])
    assert adl.allocate(parties, 400, 1_000).lots.tolist() == [400, 0]
    assert adl.allocate(parties, 700, 1_000).lots.tolist() == [500, 200]


def test_what_a_netting_set_offsets_is_hedged():
    """A short of 10 in a set that is net short 10, 4, flat, net long 5; and no position at all."""
    lots, net = np.array([-10, -10, -10, -10, 0]), np.array([-10, -4, 0, 5, -7])
    assert adl.unhedged_lots(lots, net).tolist() == [10, 4, 0, 0, 0]


def test_there_is_no_cliff_where_a_queue_has_one():
    """One lot more of need moves one lot, not an account: largest change of any account over all needs."""
    rng = np.random.default_rng(3)
    parties = adl.Parties.of(rng.integers(1, 60, 20), rng.integers(10**6, 10**8, 20))
    before = adl.allocate(parties, 0, 1_000).lots
    for need in range(1, int(parties.lots.sum()) + 1):
        now = adl.allocate(parties, need, 1_000).lots
        assert np.abs(now - before).max() <= 1
        before = now


@settings(max_examples=200)
@given(book=books(), who=st.integers(0, 14), share=st.integers(0, 100))
def test_splitting_an_account_changes_its_sum_by_two_lots_at_most(book, who, share):
    parties, lots, loss = book
    who %= len(parties.lots)
    # profit, health and lots are split alike; caps round down per account, so a lot each may go
    columns = []
    for name, column in zip(parties._fields, parties, strict=True):
        if name in ("relief_nano", "risk_ppm"):
            columns.append(np.append(column, column[who]))
            continue
        rounded = column // 100 * 100
        part = rounded[who] // 100 * share
        split = np.append(rounded, part)
        split[who] -= part
        columns.append(split)
    rest = [column if name in ("relief_nano", "risk_ppm") else column // 100 * 100 for name, column in zip(parties._fields, parties)]
    whole = adl.allocate(adl.Parties(*rest), lots, loss, adl.Rules())
    parts = adl.allocate(adl.Parties(*columns), lots, loss, adl.Rules())
    if whole.residual_lots == 0 and parts.residual_lots == 0:
        assert abs(int(whole.lots[who]) - int(parts.lots[who]) - int(parts.lots[-1])) <= 6


@settings(max_examples=100)
@given(book=books(), slope=st.lists(st.integers(-(10**6), 3 * 10**6), min_size=15, max_size=15))
def test_exact_margins_have_the_last_word(book, slope):
    """The recheck knows a health that the closed form does not: nobody ends below the line it draws."""
    parties, lots, loss = book
    falls = np.array(slope[: len(parties.lots)], np.int64)

    def recheck(closed):
        return parties.health_micro - closed * falls

    done = adl.allocate(parties, lots, loss, recheck=recheck)
    after, line = recheck(done.lots), np.minimum(parties.health_micro, 0)
    assert (after[done.lots > 0] >= line[done.lots > 0]).all()
    assert int(done.lots.sum()) + done.residual_lots == lots


def test_an_erratic_margin_ends_in_a_residual_and_not_in_a_loop():
    parties = adl.Parties.of([100, 100], [10**9, 10**9])
    done = adl.allocate(parties, 100, 1_000, recheck=lambda closed: np.where(closed % 2 == 0, -1, -2))
    assert (int(done.lots.sum()), done.residual_lots) == (0, 100)


def test_bad_parties_are_refused():
    with pytest.raises(BadNumber, match="lots or risks"):
        adl.allocate(adl.Parties.of([5], [1], unhedged=[6]), 1, 1)
    with pytest.raises(BadNumber, match="int64"):
        adl.allocate(adl.Parties.of([5], [1])._replace(lots=np.array([1, 2])), 1, 1)
    with pytest.raises(BadNumber, match="deleveraging, lots"):
        adl.allocate(adl.Parties.of([5], [1]), -1, 1)
    with pytest.raises(BadNumber, match="haircut"):
        adl.Rules(-1)


@given(
    profits=st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=10), budget_ppm=st.integers(0, 10**6), leverage=st.integers(1, 50)
)
def test_a_haircut_covers_its_budget_and_takes_profits_only(profits, budget_ppm, leverage):
    profit = np.array(profits, np.int64)
    risk = adl.leverage_risk(np.full(len(profits), leverage * 10**9), np.full(len(profits), 10**9))
    assert (risk == leverage * 10**6).all()
    budget = int(np.maximum(profit, 0).sum()) * budget_ppm // 10**6
    filled = adl.haircut(profit, profit, risk, budget)
    assert filled.residual == 0
    assert int(filled.parts.sum()) == budget
    assert (filled.parts <= np.maximum(profit, 0)).all()


def test_a_hundred_thousand_counterparties_take_well_under_a_second():
    rng = np.random.default_rng(1)
    count = 100_000
    lots = rng.integers(0, 10**6, count)
    parties = adl.Parties.of(
        lots,
        rng.integers(-(10**12), 10**12, count),
        lots // 2,
        rng.integers(0, 10**12, count),
        risk_ppm=rng.integers(10**5, 10**8, count),
    )
    times = []
    for _ in range(3):
        start = time.process_time()
        done = adl.allocate(parties, int(lots.sum()) * 3 // 10, 50_000_000)
        times.append(time.process_time() - start)
    assert done.residual_lots == 0
    assert done.by_order[1] > 0
    assert min(times) < 0.5, times


# ------------------------------------------------------------------------------------------------ severity


def test_the_published_example_of_a_severity():
    """100 contracts, bankrupt at 100, executed at 96: 400 (arXiv 2512.01112)."""
    assert shortfall(SELL, 100, 100 * 96 * MICRO, 100 * 10**9) == 400 * MICRO
    assert shortfall(SELL, 100, 100 * 101 * MICRO, 100 * 10**9) == 0


def market() -> OrderBook:
    book = OrderBook("book")
    for n in range(10):
        book.add(n, "m", 1, (98 - n) * 10**9, 10)
    return book


def quote(book):
    def proceeds(lots: int) -> tuple[int, int]:
        fill = book.quote(SELL, lots)
        return fill.lots, fill.proceeds_micro

    return proceeds


def test_only_what_the_funds_cannot_carry_is_deleveraged():
    wave = plan_wave(SELL, 100, 100 * 10**9, 50 * MICRO, quote(market()))
    assert wave.severity_micro == sum(10 * (2 + n) for n in range(10)) * MICRO
    # 10 lots lose 2 each, 10 lose 3 each: all 50; not one lot more
    assert (wave.market_lots, wave.deleverage_lots, wave.cost_micro) == (20, 80, 50 * MICRO)
    stressed = plan_wave(SELL, 100, 100 * 10**9, 50 * MICRO, quote(market()), stress_ppm=500_000)
    assert stressed.market_lots < 20
    assert plan_wave(SELL, 100, 100 * 10**9, 10**15, quote(market())).deleverage_lots == 0


def test_what_the_book_does_not_hold_is_deleveraged():
    wave = plan_wave(SELL, 150, 100 * 10**9, 10**15, quote(market()))
    assert (wave.market_lots, wave.deleverage_lots) == (100, 50)
    with pytest.raises(BadNumber):
        plan_wave(SELL, -1, 1, 1, quote(market()))


@settings(max_examples=100)
@given(
    lots=st.integers(1, 5_000), funds=st.integers(0, 10**10), gap_ppm=st.integers(-50_000, 100_000), side=st.sampled_from([1, -1])
)
def test_the_wave_is_the_largest_sale_that_the_funds_carry(lots, funds, gap_ppm, side):
    price = 61_250 * 10**6
    pool = ConstantProduct("pool", 20_000, 20_000 * price // 1000, 500)
    bankruptcy = price - side * price * gap_ppm // 10**6

    def proceeds(size: int) -> tuple[int, int]:
        fill = pool.quote(side, size)
        return fill.lots, fill.proceeds_micro

    wave = plan_wave(side, lots, bankruptcy, funds, proceeds)
    assert wave.market_lots + wave.deleverage_lots == lots
    assert wave.cost_micro == shortfall(side, wave.market_lots, proceeds(wave.market_lots)[1], bankruptcy) <= funds
    if wave.deleverage_lots:
        assert shortfall(side, wave.market_lots + 1, proceeds(wave.market_lots + 1)[1], bankruptcy) > funds


def test_over_closure_over_waves_of_a_falling_and_recovering_market():
    """Each wave sells a part and deleverages only what the funds cannot carry at that wave's prices."""
    waves, left, funds = Waves(), 1_000, 300 * MICRO
    for step in range(12):
        if not left:
            break
        book = OrderBook("book")
        for n in range(10):
            book.add(n, "m", 1, (99 - (step % 3) - n) * 10**9, 10)
        wave = plan_wave(SELL, left, 100 * 10**9, funds, quote(book))
        fill = book.take(SELL, wave.market_lots)
        funds -= shortfall(SELL, fill.lots, fill.proceeds_micro, 100 * 10**9)
        done = adl.allocate(adl.Parties.of([600, 500], [10**12, 10**11]), wave.deleverage_lots, 10**9)
        needed = plan_wave(SELL, left, 100 * 10**9, funds + wave.cost_micro, quote(market_again(step))).deleverage_lots
        waves.add(int(done.lots.sum()), needed)
        left -= fill.lots + int(done.lots.sum())
        assert funds >= 0
    assert left == 0
    assert waves.closed_lots > 0
    assert waves.over_closure <= Fraction(1001, 1000)


def market_again(step: int) -> OrderBook:
    book = OrderBook("book")
    for n in range(10):
        book.add(n, "m", 1, (99 - (step % 3) - n) * 10**9, 10)
    return book
