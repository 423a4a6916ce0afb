"""Every market keeps its promises: known answers, its invariant, no gain by splitting, depth that means what it says."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seawall.core.errors import BadNumber, DuplicateRow
from seawall.liquidation.routes import (
    BUY,
    SELL,
    Concentrated,
    ConstantProduct,
    LinearSkew,
    OrderBook,
    PowerImpact,
    Skewed,
    Standing,
    standing_quote,
)
from seawall.liquidation.routes.concentrated import Q96, base_between, quote_between, root_at_tick
from seawall.liquidation.routes.power import ONE, power
from seawall.liquidation.routes.skewed import FLOAT, fill_price, impact_of_difference, price_impact

SIDES = st.sampled_from([BUY, SELL])
FEES = st.sampled_from([0, 500, 3_000, 30_000])
PRICE = 61_250 * 10**6  # nano per lot: a thousandth of a coin at 61,250


def book(fee_ppm: int = 0) -> OrderBook:
    made = OrderBook("book", fee_ppm)
    for n in range(20):
        made.add(2 * n, f"m{n % 3}", BUY, PRICE - 10**7 * (n + 1), 5 + 3 * n)
        made.add(2 * n + 1, f"m{n % 3}", SELL, PRICE + 10**7 * (n + 1), 5 + 2 * n)
    return made


def pool(fee_ppm: int = 0) -> ConstantProduct:
    return ConstantProduct("pool", 50_000, 50_000 * PRICE // 1000, fee_ppm)


def ranges(fee_ppm: int = 0) -> Concentrated:
    made = Concentrated("ranges", PRICE, fee_ppm)
    here = 41_149  # 1.0001**41149 is about 61.25
    for lower, upper, liquidity in ((-50, 50, 3 * 10**14), (-600, 700, 10**14), (100, 900, 5 * 10**13), (-2000, -100, 10**14)):
        made.add(here + lower, here + upper, liquidity)
    return made


def linear(fee_ppm: int = 0, skew_lots: int = 300) -> Skewed:
    return Skewed("linear", PRICE, LinearSkew(1_000_000), skew_lots, fee_ppm)


def powered(fee_ppm: int = 0, skew_lots: int = 3_000) -> Skewed:
    impact = PowerImpact(5 * 10**21, 10**22, 2 * FLOAT)
    return Skewed("powered", PRICE, impact, skew_lots, fee_ppm, pool_micro=10**9)


def standing(fee_ppm: int = 0) -> Standing:
    return Standing("standing", SELL, PRICE * 95 // 100, 400)


BOTH_SIDES = [book, pool, ranges, linear, powered]
MAKERS = [*BOTH_SIDES, standing]


# ------------------------------------------------------------------------------------------------ all of them


@pytest.mark.parametrize("make", MAKERS)
@given(side=SIDES, lots=st.integers(0, 2_000), fee=FEES)
def test_a_quote_is_what_taking_gives(make, side, lots, fee):
    route = make(fee)
    quoted = route.quote(side, lots)
    assert route.quote(side, lots) == quoted
    assert route.take(side, lots) == quoted
    assert 0 <= quoted.lots <= lots
    assert quoted.fee_micro >= 0


@pytest.mark.parametrize("make", MAKERS)
@given(side=SIDES, first=st.integers(1, 400), second=st.integers(1, 400), fee=FEES)
def test_splitting_a_trade_gains_no_more_than_rounding(make, side, first, second, fee):
    whole, parts = make(fee), make(fee)
    together = whole.take(side, first + second)
    one, two = parts.take(side, first), parts.take(side, second)
    assert one.lots + two.lots == together.lots
    assert one.proceeds_micro + two.proceeds_micro <= together.proceeds_micro + 2


@pytest.mark.parametrize("make", BOTH_SIDES)
@given(lots=st.integers(1, 400), fee=FEES, side=SIDES)
def test_a_round_trip_never_gains(make, lots, fee, side):
    route = make(fee)
    there = route.take(side, lots)
    back = route.take(-side, there.lots)
    assert back.lots == there.lots
    assert there.proceeds_micro + back.proceeds_micro <= 1


@pytest.mark.parametrize("make", MAKERS)
@given(side=SIDES, offset_ppm=st.integers(-60_000, 60_000), fee=FEES)
def test_no_lot_within_the_depth_is_worse_than_the_limit(make, side, offset_ppm, fee):
    """The last lot's price, by difference of two quotes, a micro of rounding allowed each."""
    route = make(fee)
    limit = PRICE + PRICE * offset_ppm // 10**6
    lots = min(route.depth(side, limit), 10**6)
    assert route.quote(side, lots).lots == lots
    if lots:
        last = route.quote(side, lots).proceeds_micro - route.quote(side, lots - 1).proceeds_micro
        assert last * 1000 >= -side * limit - 4_000


@pytest.mark.parametrize("make", MAKERS)
@given(side=SIDES, one=st.integers(1, 900), two=st.integers(1, 900))
def test_marginal_prices_never_improve_with_size(make, side, one, two):
    low, high = sorted((one, two))
    route = make()
    assert side * route.quote(side, low).marginal_nano <= side * route.quote(side, high).marginal_nano


@pytest.mark.parametrize("make", MAKERS)
def test_an_order_out_of_range_is_refused(make):
    with pytest.raises(BadNumber, match="side"):
        make().quote(0, 1)
    with pytest.raises(BadNumber, match="lots"):
        make().take(SELL, -1)


# ------------------------------------------------------------------------------------------------ the order book


def test_the_book_matches_by_price_then_by_time():
    made = OrderBook("book")
    made.add(1, "late price", BUY, 100_000, 5)
    made.add(2, "first", BUY, 101_000, 3)
    made.add(3, "second", BUY, 101_000, 3)
    fill, trades = made.execute(SELL, 7)
    assert [(trade.maker, trade.lots, trade.price_nano) for trade in trades] == [
        ("first", 3, 101_000),
        ("second", 3, 101_000),
        ("late price", 1, 100_000),
    ]
    assert (fill.lots, fill.proceeds_micro) == (7, 706)
    assert made.levels(BUY) == [(100_000, 4)]


def test_a_limit_is_the_worst_price_net_of_the_fee():
    made = OrderBook("book", 10_000)
    made.add(1, "a", BUY, 100_000, 5)
    made.add(2, "b", BUY, 99_000, 5)
    assert made.depth(SELL, 99_000) == 5  # 100,000 less 1 %
    assert made.execute(SELL, 10, 99_000)[0].lots == 5
    assert made.execute(SELL, 10, 98_011)[0].lots == 0  # 99,000 less 990 is 98,010


def test_nobody_trades_with_himself():
    made = OrderBook("book")
    made.add(1, "me", BUY, 100_000, 5)
    made.add(2, "you", BUY, 90_000, 5)
    fill, trades = made.execute(SELL, 5, taker="me")
    assert (fill.lots, [trade.maker for trade in trades]) == (5, ["you"])
    assert made.cancel(1) == 0


def test_a_crossing_order_trades_and_rests_its_remainder():
    made = OrderBook("book")
    made.add(1, "a", SELL, 100_000, 5)
    assert [trade.lots for trade in made.add(2, "b", BUY, 100_500, 8)] == [5]
    assert (made.levels(BUY), made.levels(SELL)) == ([(100_500, 3)], [])
    with pytest.raises(DuplicateRow):
        made.add(2, "b", BUY, 1, 1)
    assert (made.cancel(2), made.cancel(2)) == (3, 0)


orders = st.lists(
    st.tuples(SIDES, st.integers(90_001, 110_003), st.integers(1, 50), st.sampled_from("abc"), st.booleans()), max_size=40
)


@given(orders=orders, fee=FEES)
def test_taker_makers_fee_and_rounding_sum_to_zero(orders, fee):
    made = OrderBook("book", fee)
    total, kept = 0, 0
    for number, (side, price, lots, owner, resting) in enumerate(orders):
        if resting:
            made.add(number, owner, side, price, lots)
            continue
        before = made.rounding_micro
        fill, trades = made.execute(side, lots)
        total = fill.proceeds_micro + fill.fee_micro + sum(trade.maker_micro for trade in trades)
        kept = made.rounding_micro - before
        assert total + kept == 0
        assert 0 <= kept <= len(trades) + 1
        assert sum(trade.lots for trade in trades) == fill.lots
    bids, asks = made.levels(BUY), made.levels(SELL)
    assert not bids or not asks or bids[0][0] < asks[0][0]


# ------------------------------------------------------------------------------------------------ pools


def test_the_constant_product_known_answer():
    """Uniswap v2's getAmountOut with a fee of 0.3 %: 1 in, reserves 5 and 10, out 1.662497915624478906."""
    made = ConstantProduct("pool", 5 * 10**15, 10**19, 3_000)
    assert made.quote(SELL, 10**15).proceeds_micro == 1_662_497_915_624_478_906


@given(
    x=st.integers(2, 10**7), y=st.integers(1, 10**15), fee=FEES, trades=st.lists(st.tuples(SIDES, st.integers(0, 10**6)), max_size=12)
)
def test_the_product_of_the_reserves_never_falls(x, y, fee, trades):
    made = ConstantProduct("pool", x, y, fee)
    for side, lots in trades:
        before = made.product
        made.take(side, lots)
        assert made.product >= before
        assert made.base_lots > 0
        assert made.quote_micro >= 0


def test_roots_and_amounts_of_the_published_pool():
    """Figures of Uniswap v3-core's TickMath and SqrtPriceMath tests (its root is rounded up where ours is down)."""
    assert root_at_tick(-887_272) in (4_295_128_738, 4_295_128_739)
    assert abs(root_at_tick(887_272) / 1461446703485210103287273052203988822378723970342 - 1) < 1e-15
    assert root_at_tick(0) == Q96
    higher = Q96 * 11 // 10  # the root of 121/100
    assert base_between(Q96, higher, 10**18, up=True) == 90_909_090_909_090_910
    assert base_between(Q96, higher, 10**18, up=False) == 90_909_090_909_090_909
    assert quote_between(Q96, higher, 10**18, up=True) == 100_000_000_000_000_000
    assert quote_between(Q96, higher, 10**18, up=False) == 99_999_999_999_999_999


steps = st.lists(
    st.one_of(
        st.tuples(st.just("trade"), SIDES, st.integers(0, 3_000)),
        st.tuples(st.just("add"), st.integers(-1_500, 1_500), st.integers(1, 800)),
        st.tuples(st.just("remove"), st.integers(0, 10), st.just(0)),
    ),
    max_size=15,
)


@given(steps=steps, fee=FEES)
def test_a_pool_of_ranges_always_holds_what_it_owes(steps, fee):
    made, here = Concentrated("ranges", PRICE, fee), 41_149
    placed = []
    for kind, one, two in steps:
        if kind == "trade":
            made.take(one, two)
        elif kind == "add":
            place = (here + one, here + one + two, 10**13)
            made.add(*place)
            placed.append(place)
        elif placed:
            made.remove(*placed.pop(one % len(placed)))
        base, quote = made.owed()
        assert made.base_units >= base
        assert made.quote_nano >= quote
        assert made.fees_nano >= 0
    for place in placed:
        made.remove(*place)
    assert made.base_units >= 0
    assert made.quote_nano >= 0


def test_one_wide_range_prices_as_a_constant_product():
    """A range over (almost) all prices is a constant-product pool with L = √(xy)."""
    wide = Concentrated("ranges", PRICE)
    base, quote = wide.add(-200_000, 300_000, 10**15)
    whole = ConstantProduct("pool", base // 10**9, quote // 1000)
    for side in (BUY, SELL):
        ours, theirs = wide.quote(side, 500).proceeds_micro, whole.quote(side, 500).proceeds_micro
        assert abs(ours - theirs) < 1e-4 * abs(theirs)


def test_liquidity_that_is_not_there_cannot_be_removed():
    made = ranges()
    before = made.owed()
    with pytest.raises(BadNumber, match="liquidity"):
        made.remove(0, 10, 5)
    assert made.owed() == before


# ------------------------------------------------------------------------------------------------ virtual markets


def test_the_impacts_of_the_published_pair_market():
    """GMX v2 @ a5c0c88, PairMarket.ts: one side, a change of sides, up to the balance and beyond it."""
    factors = (5 * 10**21, 10**22, 2 * FLOAT)
    for before, after, crosses, expected in (
        (0, 200_000, False, -399_999_999_999_999_992_588_018_713_340_000),
        (400_000, 100_000, True, 699_999_999_999_999_987_029_032_748_360_000),
        (100_000, 200_000, False, -299_999_999_999_999_994_441_014_035_010_000),
        (200_000, 0, False, 199_999_999_999_999_996_294_009_356_670_000),
        (0, 100_000, True, -99_999_999_999_999_998_147_004_678_330_000),
    ):
        assert price_impact(before * FLOAT, after * FLOAT, crosses, *factors) == expected


def test_a_backstop_quotes_what_its_cover_carries():
    quoted = standing_quote("backstop", SELL, PRICE, 30_000, 1_000 * 10**6, 3 * 10**9)
    assert (quoted.price_nano, quoted.lots) == (PRICE * 97 // 100, 333)
    assert quoted.take(SELL, 1_000).lots == 333
    assert quoted.quote(SELL, 1).lots == 0
    assert standing_quote("backstop", BUY, 100, 15_000, 0, 1).price_nano == 102
    with pytest.raises(BadNumber, match="quote"):
        standing_quote("backstop", SELL, PRICE, 10**6, 1, 1)


def test_the_fill_price_of_the_published_example():
    """Synthetix v3 @ 23585f7, AsyncOrder.sol: 100 at 1,200, no skew, scale a million → 1,200.06."""
    assert fill_price(Fraction(1200), Fraction(0), Fraction(100), Fraction(10**6)) == Fraction("1200.06")
    market = Skewed("virtual", 1200 * 10**9, LinearSkew(10**6))
    assert market.quote(BUY, 100).proceeds_micro == -120_006 * 10**6


@given(skew=st.integers(-5_000, 5_000), lots=st.integers(1, 2_000), side=SIDES)
def test_the_potential_is_the_fill_price_times_the_size(skew, lots, side):
    market = Skewed("virtual", PRICE, LinearSkew(100_000), skew)
    exact = -side * lots * fill_price(Fraction(PRICE), Fraction(skew), Fraction(side * lots), Fraction(100_000)) / 1000
    assert 0 <= exact - market.quote(side, lots).proceeds_micro < 2


def test_the_impact_of_the_published_examples():
    """GMX v2 @ a5c0c88, PricingUtils.ts: to the last digit, also those that differ from exact arithmetic."""
    assert impact_of_difference(10**5 * FLOAT, 10**18, 3 * FLOAT) == 999_999_999_999_999_972_158_527_355_760_923
    assert impact_of_difference(10**5 * FLOAT, 10**23, FLOAT * 7 // 4) == 56_234_132_519_034_907_150_467_965_500_000
    assert impact_of_difference(FLOAT // 1000, 10**24, FLOAT * 3 // 2) == 0


@given(x=st.integers(ONE, 10**10 * ONE), y=st.integers(0, 3 * ONE))
def test_power_is_close_to_the_real_one(x, y):
    exact = (x / ONE) ** (y / ONE)
    assert power(x, y) / ONE == pytest.approx(exact, rel=1e-12)


@given(trades=st.lists(st.tuples(SIDES, st.integers(0, 4_000)), max_size=12), fee=FEES)
def test_what_reducing_skew_earns_was_charged_before(trades, fee):
    market = powered(fee)
    for side, lots in trades:
        market.take(side, lots)
        assert market.pool_nano >= 0


def test_positive_impact_stops_where_the_pool_is_empty():
    impact = PowerImpact(5 * 10**21, 10**22, 2 * FLOAT)
    full = Skewed("a", PRICE, impact, 10_000, pool_micro=10**12).quote(SELL, 5_000)
    dry = Skewed("b", PRICE, impact, 10_000).quote(SELL, 5_000)
    assert full.proceeds_micro > dry.proceeds_micro == 5_000 * PRICE // 1000


def test_a_cap_on_the_skew_holds():
    market = Skewed("virtual", PRICE, LinearSkew(10**6), 90, skew_max_lots=100)
    assert market.take(BUY, 50).lots == 10
    assert market.take(BUY, 1).lots == 0
    assert market.take(SELL, 500).lots == 200


@settings(max_examples=150)
@given(exponent=st.sampled_from([FLOAT, FLOAT * 3 // 2, 2 * FLOAT]), side=SIDES, room=st.integers(-20_000, 20_000))
def test_a_power_market_of_any_exponent_has_a_depth(exponent, side, room):
    market = Skewed("virtual", PRICE, PowerImpact(10**21, 2 * 10**21, exponent), 500, skew_max_lots=10**6, pool_micro=10**12)
    lots = market.depth(side, PRICE + PRICE * room // 10**6)
    assert 0 <= lots <= 10**6 + 500
    if 0 < lots < 10**6 - 500:
        assert side * market.quote(side, lots).marginal_nano <= side * (PRICE + PRICE * room // 10**6) + 2
