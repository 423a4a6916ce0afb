"""Limits: every wish is cut to what fits, whatever is held, waits or moved."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.scenes import D, auction, view
from seawall.core.errors import BadNumber
from seawall.keeper.limits import Limits, Open, cut
from seawall.keeper.strategy import Wish

ALL = Wish(D(1), D(1000))
WIDE = {"gross": D(10**9), "instrument": D(10**9), "bid": D(10**9)}


def limits(**changes):
    return Limits(**(WIDE | changes)).checked()


def share(found):
    wish, why = found
    return (wish.share if wish else D(0)), why


def test_within_all_limits_a_wish_is_what_it_was():
    assert cut(ALL, auction(), view(), limits()) == (ALL, "")


@pytest.mark.parametrize(
    ("changes", "held", "expected", "reason"),
    [
        ({"instrument": D(2500)}, {}, "0.25", "limit of BTC-PERP"),
        ({"instruments": {"BTC-PERP": D(5000)}}, {}, "0.5", "limit of BTC-PERP"),
        ({"instrument": D(10000)}, {"BTC-PERP": "0.75"}, "0.25", "limit of BTC-PERP"),
        ({"instrument": D(2500)}, {"BTC-PERP": "-0.1"}, "0.35", "limit of BTC-PERP"),
        ({"gross": D(4000)}, {}, "0.4", "gross limit"),
        ({"gross": D(9000)}, {"ETH-PERP": "10"}, "0.4", "gross limit"),
        ({"instrument": D(0)}, {}, "0", "limit of BTC-PERP"),
    ],
)
def test_a_share_is_cut_to_the_room_there_is(changes, held, expected, reason):
    found, why = share(cut(ALL, auction(), view(held), limits(**changes)))
    assert abs(found - D(expected)) <= D("1e-9")
    assert why == reason


def test_cash_covers_the_price_and_the_requirement_with_a_buffer():
    """900 and 1,500 with 15 % on top are 2,625."""
    assert share(cut(ALL, auction(), view(cash="262.5"), limits())) == (D("0.1"), "cash")
    assert share(cut(ALL, auction(), view(), limits(bid=D("262.5")))) == (D("0.1"), "cash")
    assert share(cut(ALL, auction(), view(cash="362.5"), limits(reserve=D(100)))) == (D("0.1"), "cash")
    assert share(cut(ALL, auction(), view(cash="50"), limits(reserve=D(100)))) == (D(0), "cash")


def test_bids_that_wait_count_as_if_they_were_filled():
    waiting = (Open({"BTC-PERP": D("0.5")}, D(2000)),)
    assert share(cut(ALL, auction(), view(), limits(instrument=D(10000)), waiting)) == (D("0.5"), "limit of BTC-PERP")
    assert share(cut(ALL, auction(), view(cash="2262.5"), limits(), waiting)) == (D("0.1"), "cash")


def test_a_bound_that_the_market_broke_still_lets_positions_shrink():
    """Held 2 short at a limit for 0.5; the account brings 1 long."""
    assert share(cut(ALL, auction(), view({"BTC-PERP": "-2"}), limits(instrument=D(5000), gross=D(5000)))) == (D(1), "")
    assert share(cut(ALL, auction(), view({"BTC-PERP": "2"}), limits(instrument=D(5000)))) == (D(0), "limit of BTC-PERP")


@given(
    held=st.tuples(st.integers(-30, 30), st.integers(-300, 300)), legs=st.tuples(st.integers(-9, 9), st.integers(-90, 90)),
    gross=st.integers(0, 200_000), each=st.integers(0, 100_000), cash=st.integers(0, 5000), wished=st.integers(1, 10**9),
)  # fmt: skip
def test_no_limit_is_ever_crossed_that_was_not_crossed_before(held, legs, gross, each, cash, wished):
    offered = auction(legs=(("BTC-PERP", str(legs[0]), "10000"), ("ETH-PERP", str(legs[1]), "500")))
    mine = view({"BTC-PERP": str(held[0]), "ETH-PERP": str(held[1])}, cash=str(cash))
    found, _ = cut(Wish(D(wished) / 10**9, D(1)), offered, mine, limits(gross=D(gross), instrument=D(each)))
    if found is None:
        return
    assert 0 < found.share <= D(wished) / 10**9
    assert found.share * offered.needs() <= cash
    after = {leg.instrument: mine.inventory[leg.instrument] + found.share * leg.quantity for leg in offered.legs}
    for name, quantity in after.items():
        assert abs(quantity * mine.marks[name]) <= max(each, abs(mine.inventory[name] * mine.marks[name]))
    total = sum(abs(quantity * mine.marks[name]) for name, quantity in after.items())
    assert total <= max(gross, sum(abs(quantity * mine.marks[name]) for name, quantity in mine.inventory.items()))


def test_limits_below_nothing_are_refused():
    for changes in ({"gross": D(-1)}, {"instruments": {"X": D(-1)}}, {"reserve": D("nan")}):
        with pytest.raises(BadNumber):
            limits(**changes)
