"""The reserve price keeps the ratio of equity to maintenance, in exact numbers; a unit less lowers it; fees stop there."""

from __future__ import annotations

from fractions import Fraction as F

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.core.errors import InputError
from seawall.liquidation import reserve

MONEY = st.integers(-(10**15), 10**15)
REQUIRED = st.integers(1, 10**15)


@given(MONEY, REQUIRED, st.data())
def test_at_the_reserve_the_ratio_does_not_fall_and_a_unit_below_it_does(equity, maintenance, data):
    released = data.draw(st.integers(-maintenance, maintenance))
    lost = reserve.give_up(equity, maintenance, released)
    left = maintenance - released

    def gain(cost: int) -> int:
        return (equity - cost) * maintenance - equity * left

    assert gain(lost) >= 0
    assert gain(lost + 1) < 0
    assert reserve.give_up_between(equity, maintenance, equity, left) == lost


@given(
    mark=st.fractions(min_value=1, max_value=10**6),
    rate=st.fractions(min_value=F(1, 1000), max_value=F(1, 2)),
    size=st.fractions(min_value=1, max_value=1000),
    rest=st.integers(0, 10**6),
    equity=st.integers(-(10**6), 10**6),
    long=st.booleans(),
    part=st.fractions(min_value=F(1, 100), max_value=1),
)
def test_the_zero_price_of_a_leg_is_ratio_invariant_in_exact_fractions(mark, rate, size, rest, equity, long, part):
    scale = 10**12
    maintenance = mark * rate * size + rest
    price = reserve.zero_price(mark, long, rate, equity * scale, int(maintenance * scale))
    exact = F(int(maintenance * scale), scale)
    closed = size * part
    loss = closed * (mark - price if long else price - mark)
    assert (equity - loss) * exact == equity * (exact - mark * rate * closed)


@given(MONEY, st.lists(st.integers(1, 10**12), min_size=1, max_size=6))
def test_closing_all_at_the_reserve_leaves_no_equity_so_it_is_the_bankruptcy_price(equity, requirements):
    total = sum(requirements)
    assert reserve.give_up(equity, total, total) == equity
    left, owned, cost = total, equity, 0
    for part in requirements:  # leg after leg, each at its own reserve
        lost = reserve.give_up(owned, left, part)
        owned, left, cost = owned - lost, left - part, cost + lost
    assert (left, cost) == (0, equity)


@given(st.integers(1, 10**12), st.integers(-(10**9), 10**9).filter(bool), st.integers(-(10**15), 10**15))
def test_a_limit_price_gives_up_no_more_than_it_may_and_less_than_a_nano_a_lot_less(mark, lots, lost):
    limit = reserve.limit_nano(mark, lots, lost)
    moved = (limit - mark) * lots  # nano paid above the mark, or received below it
    if limit > 0:
        assert moved <= lost * 1000
        assert moved > lost * 1000 - abs(lots)
    else:
        assert moved <= lost * 1000 or lots > 0


@given(MONEY, MONEY, st.integers(0, 10**6))
def test_a_fee_never_takes_a_fill_below_its_reserve(quote, least, rate_ppm):
    fee = reserve.capped_fee(quote, least, rate_ppm)
    assert fee >= 0
    assert fee <= abs(quote) * rate_ppm // 10**6
    if quote >= least:
        assert quote - fee >= least
        assert reserve.settle(quote, least, rate_ppm) == fee
    else:
        assert fee == 0
        assert quote - reserve.settle(quote, least, rate_ppm) == least


@given(st.integers(-(10**12), 10**12), st.lists(st.integers(0, 10**9), min_size=1, max_size=8).filter(any))
def test_shares_sum_to_the_amount_and_are_within_one_of_exact(amount, weights):
    shares = reserve.allocate(amount, weights)
    assert sum(shares) == amount
    for share, weight in zip(shares, weights, strict=True):
        assert abs(F(share) - F(amount * weight, sum(weights))) < 1


def test_a_fill_offers_the_mark_near_health_and_the_whole_spread_at_bankruptcy():
    assert reserve.fillable_give_up(100, 100, 40) == 0
    assert reserve.fillable_give_up(0, 100, 40) == 4
    assert reserve.fillable_give_up(-500, 100, 40) == 4
    assert reserve.fillable_give_up(50, 100, 40) == 2


@pytest.mark.parametrize("call", [reserve.give_up, reserve.fillable_give_up])
def test_where_nothing_is_required_there_is_no_reserve(call):
    with pytest.raises(InputError, match="nothing is closed"):
        call(1, 0, 0)
