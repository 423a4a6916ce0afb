"""Slice rules over all states: caps, dust, and what is left."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from seawall.liquidation.collateral_slices import Sale, Slice, sale_of, slice_of

PPM = 10**6
sizes = st.integers(1, 10**12)


@given(lots=sizes, debt=sizes, value=st.integers(0, 100), chop=st.integers(PPM, 2 * PPM), dust=sizes, room=st.integers(-5, 10**13))
def test_what_is_begun_fits_the_room_or_exceeds_it_by_less_than_dust_with_its_penalty(lots, debt, value, chop, dust, room):
    sale = sale_of(lots, debt, 1, value, chop, PPM, dust, room)
    if lots * value >= debt or value == 0:
        assert sale == "not-unsafe"
        return
    if not isinstance(sale, Sale):
        assert sale in ("liquidation-limit-hit", "dusty-auction-from-partial-liquidation", "null-auction")
        return
    assert 0 < sale.debt <= debt
    assert 0 < sale.collateral <= lots
    assert sale.target * PPM <= sale.debt * chop
    rest = debt - sale.debt
    assert rest == 0 or rest >= dust <= sale.debt
    assert sale.target <= room + dust * chop // PPM + 2
    assert sale.collateral * debt <= lots * sale.debt  # the owner gives no more than its share


@given(target=sizes, lots=sizes, rest=st.integers(0, 10**12), price=st.integers(1, 10**9), asked=sizes, up=st.booleans())
def test_a_taker_pays_for_what_it_gets_and_leaves_no_dust(target, lots, rest, price, asked, up):
    taken = slice_of(target, lots, rest, price, asked, up)
    if not isinstance(taken, Slice):
        assert taken == "no-partial-purchase"
        assert target <= rest
        assert min(asked, lots) < lots
        return
    assert 0 <= taken.collateral <= min(asked, lots)
    assert 0 <= taken.owed <= target
    left = target - taken.owed
    assert left == 0 or left >= rest or taken.collateral == lots
    if up and taken.owed == target:
        assert taken.owed <= taken.collateral * price  # never above the price
    assert abs(taken.collateral * price - taken.owed) < price or taken.collateral * price == taken.owed
