"""The router: never worse than its best single market, equal marginal prices, its limit kept, its shadow honoured."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seawall.core.errors import BadNumber
from seawall.liquidation import router
from seawall.liquidation.routes import BUY, SELL, Concentrated, ConstantProduct, LinearSkew, OrderBook, Skewed

PRICE = 61_250 * 10**6
SIDES = st.sampled_from([BUY, SELL])


@st.composite
def markets(draw):
    """One to four markets around one price."""
    fee = st.sampled_from([0, 500, 3_000])
    book = OrderBook("book", draw(fee))
    for n in range(draw(st.integers(1, 8))):
        book.add(2 * n, "m", BUY, PRICE - draw(st.integers(1, 10**9)), draw(st.integers(1, 300)))
        book.add(2 * n + 1, "m", SELL, PRICE + draw(st.integers(1, 10**9)), draw(st.integers(1, 300)))
    size = draw(st.integers(100, 10**5))
    pool = ConstantProduct("pool", size, size * (PRICE + draw(st.integers(-(10**9), 10**9))) // 1000, draw(fee))
    ranges = Concentrated("ranges", PRICE, draw(fee))
    ranges.add(41_149 - draw(st.integers(1, 900)), 41_149 + draw(st.integers(1, 900)), draw(st.integers(10**12, 10**14)))
    skewed = Skewed("virtual", PRICE, LinearSkew(10**6), draw(st.integers(-5_000, 5_000)), draw(fee), 10**4)
    return draw(st.permutations([book, pool, ranges, skewed]))[: draw(st.integers(1, 4))]


@settings(max_examples=150)
@given(routes=markets(), side=SIDES, lots=st.integers(0, 3_000))
def test_the_router_is_never_worse_than_the_best_single_market(routes, side, lots):
    alone = [quote.proceeds_micro for r in routes if (quote := r.quote(side, lots)).lots == lots]
    planned = router.plan(routes, side, lots)
    routed = router.route(routes, side, lots)
    assert routed == planned
    assert routed.lots + routed.unfilled_lots == lots
    assert routed.proceeds_micro == sum(leg.fill.proceeds_micro for leg in routed.legs)
    if alone:
        assert routed.lots == lots
        assert routed.proceeds_micro >= max(alone)


@settings(max_examples=100)
@given(routes=markets(), side=SIDES, lots=st.integers(1, 40))
def test_the_split_is_the_best_of_all_splits_of_two_markets(routes, side, lots):
    """Against trying every split; what quotes round (two micro an exchange) is forgiven."""
    pair = routes[:2]
    if len(pair) < 2:
        pair = [*pair, OrderBook("empty")]
    found = router.plan(pair, side, lots)
    best = None
    for part in range(lots + 1):
        one, two = pair[0].quote(side, part), pair[1].quote(side, lots - part)
        if one.lots + two.lots == found.lots:
            total = one.proceeds_micro + two.proceeds_micro
            best = total if best is None else max(best, total)
    if best is not None and found.lots:
        assert found.proceeds_micro >= best - router.ROUNDING_MICRO * lots


@given(routes=markets(), side=SIDES, lots=st.integers(1, 3_000), offset=st.integers(-20_000, 20_000))
def test_no_leg_goes_beyond_the_reserve_price(routes, side, lots, offset):
    limit = PRICE + PRICE * offset // 10**6
    routed = router.plan(routes, side, lots, limit)
    for leg in routed.legs:
        # money is rounded once per leg, by less than two micro
        assert leg.fill.proceeds_micro * 1000 >= -side * limit * leg.fill.lots - 2_000
    room = sum(r.depth(side, limit) for r in routes)
    assert routed.lots == min(lots, room)


def test_marginal_prices_are_equalised():
    one = ConstantProduct("one", 10**6, 10**6 * PRICE // 1000)
    two = ConstantProduct("two", 3 * 10**6, 3 * 10**6 * PRICE // 1000)
    routed = router.plan([one, two], SELL, 4_000)
    assert [leg.fill.lots for leg in routed.legs] == pytest.approx([1_000, 3_000], abs=1)
    prices = [leg.fill.marginal_nano for leg in routed.legs]
    assert max(prices) - min(prices) < PRICE // 10**5


def test_a_cheaper_fee_is_used_first():
    dear = ConstantProduct("dear", 10**6, 10**6 * PRICE // 1000, 3_000)
    cheap = ConstantProduct("cheap", 10**6, 10**6 * PRICE // 1000, 100)
    assert [leg.route for leg in router.plan([dear, cheap], SELL, 500).legs] == ["cheap"]


def test_two_markets_of_one_name_are_refused():
    pools = [ConstantProduct("a", 10, 10**9), ConstantProduct("a", 10, 10**9)]
    with pytest.raises(BadNumber, match="two markets"):
        router.plan(pools, SELL, 1)


def scene(seed: int) -> list:
    book = OrderBook("book")
    for n in range(30):
        book.add(n, "m", BUY, PRICE - (n + 1) * 10**7 * (1 + seed % 3), 40)
    return [book, ConstantProduct("pool", 20_000 + seed, (20_000 + seed) * PRICE // 1000, 500)]


@settings(max_examples=25)
@given(seed=st.integers(0, 50), lots=st.integers(1, 1_000), exposure=st.integers(0, 50_000))
def test_the_shadow_never_lowers_the_score(seed, lots, exposure):
    routes = scene(seed)
    plain = router.split(routes, SELL, lots)
    careful = router.shadowed(routes, SELL, lots, exposure, frozenset({"book"}))
    assert sum(careful) == sum(plain)
    score = [router._score(routes, SELL, sizes, exposure, [0]) for sizes in (plain, careful)]
    assert score[1] >= score[0]
    assert careful == plain or careful[0] < plain[0]


def test_much_exposure_keeps_the_sale_off_the_market_that_sets_the_mark():
    routes = scene(0)
    plain = router.split(routes, SELL, 400)
    careful = router.shadowed(routes, SELL, 400, 10**6, frozenset({"book"}))
    assert plain[0] > 100
    assert 0 < careful[0] <= 40  # the best level: taking it moves no price
    assert router.shadowed(routes, SELL, 400, 0, frozenset({"book"})) == plain
