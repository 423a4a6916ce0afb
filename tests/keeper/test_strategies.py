"""Strategies: known figures, what moves a ceiling and which way, plug-ins, and options that cannot be."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.scenes import D, auction, view
from seawall.core.errors import BadNumber, InputError
from seawall.keeper import strategy as module
from seawall.keeper.strategy import RankedWish, Wish, load_strategy

HEDGED = (("BTC-PERP", "1", "10000"), ("BTC-26DEC", "-1", "10000"))


def test_value_bids_up_to_its_valuation_less_the_edge_and_not_above():
    """Worth 1,000; the edge is 0.5 % of 10,000; the skew 2 % of 10,000 at a tenth of the room: 1,000 - 50 - 20."""
    value = load_strategy("value", {})
    assert value.ceiling(auction(), view()) == D(930)
    wish = value.wish(auction("930"), view())
    assert (wish.share, wish.limit) == (D(1), D(930))
    assert value.wish(auction("930.01"), view()) is None


def test_value_pays_less_for_more_of_the_same_and_more_for_what_offsets_it():
    value = load_strategy("value", {})
    flat, long, short = (value.ceiling(auction(), view({"BTC-PERP": held})) for held in ("0", "5", "-5"))
    assert long < flat < short == D(950)


def test_value_asks_to_be_paid_for_an_account_below_nothing():
    """Worth -100, edge 50, skew 20: it wants 170."""
    value = load_strategy("value", {})
    wanted = {"worth": "-100", "insolvent": True}
    assert value.wish(auction("-169", **wanted), view()) is None
    assert value.wish(auction("-170", **wanted), view()).limit == D(-170)


def test_value_values_at_its_own_marks():
    value = load_strategy("value", {"edge": "0", "least": "0", "skew": "0"})
    assert value.ceiling(auction(), msgspec.structs.replace(view(), marks={"BTC-PERP": D(9900)})) == D(900)


def test_a_market_maker_pays_nearly_all_for_a_hedged_book_and_leaves_the_others():
    maker = load_strategy("market-maker", {})
    assert maker.netted(auction(legs=HEDGED), view()) == 1
    assert maker.ceiling(auction(legs=HEDGED), view()) == D(990)  # carry of 0.05 % on 20,000
    assert maker.wish(auction("985", legs=HEDGED), view()).limit == D(990)
    assert maker.wish(auction("1"), view()) is None
    assert load_strategy("value", {}).ceiling(auction(legs=HEDGED), view()) < D(990)


def test_a_market_maker_pays_more_for_what_flattens_its_own_book():
    maker = load_strategy("market-maker", {"hedged": "0"})
    adds, flattens = (maker.ceiling(auction(), view({"BTC-26DEC": held})) for held in ("1", "-1"))
    assert adds == 1000 - D("0.0005") * 10000 - D("0.003") * 10000
    assert flattens == 999  # all but the least that it wants


@pytest.mark.parametrize("name", ["value", "market-maker"])
@given(price=st.integers(-2000, 2000), worth=st.integers(-1000, 2000), held=st.integers(-20, 20), share=st.integers(0, 100))
def test_no_strategy_bids_above_what_it_is_worth_or_for_more_than_is_sold(name, price, worth, held, share):
    found = load_strategy(name, {"hedged": "0"} if name == "market-maker" else {})
    offered = auction(str(price), worth=str(worth), share_most=D(share) / 100)
    wish = found.wish(offered, view({"BTC-PERP": str(held)}))
    if wish is None:
        assert share == 0 or price > found.ceiling(offered, view({"BTC-PERP": str(held)}))
        return
    assert offered.price <= wish.limit
    assert wish.limit < offered.worth or held < 0
    assert 0 < wish.share <= offered.share_most


def test_ranked_keeps_one_bid_per_bucket_and_bids_for_nothing_live():
    ranked = load_strategy("ranked", {"buckets": "major, minor,major", "share": "0.9", "insolvent": "0.5"})
    assert ranked.wish(auction("1"), view()) is None
    assert [each.bucket for each in ranked.standing(view())] == ["major", "minor"]
    assert ranked.standing(view())[0] == RankedWish(
        bucket="major", size=D(10000), share=D("0.9"), budget=D(1000), insolvent=D("0.5"), hours=D(24)
    )


class Own:
    """Bids one for everything."""

    def __init__(self, share: str = "1") -> None:
        self.share = D(share)

    def wish(self, offered, seen):
        """As it says."""
        return Wish(self.share, D(1))

    def standing(self, seen):
        """Nothing."""
        return ()


def test_anybodys_strategy_is_found_by_its_import_path_and_by_its_entry_point(monkeypatch):
    path = f"{__name__}:Own"
    assert load_strategy(path, {"share": "0.5"}).wish(auction(), view()) == Wish(D("0.5"), D(1))

    class Point:
        name, value = "mine", path

    monkeypatch.setattr(module.metadata, "entry_points", lambda group: [Point] if group == "seawall.keeper" else [])
    assert isinstance(load_strategy("mine", {}), Own)


@pytest.mark.parametrize(
    ("name", "options", "error"),
    [
        ("no-such", {}, InputError),
        ("seawall.keeper:no_such", {}, InputError),
        ("no.such.module:X", {}, InputError),
        ("json:dumps", {}, InputError),
        ("builtins:dict", {}, InputError),
        ("value", {"egde": "1"}, InputError),
        ("value", {"edge": "lots"}, BadNumber),
        ("value", {"edge": "1.1"}, BadNumber),
        ("market-maker", {"carry": "nan"}, BadNumber),
        ("ranked", {}, InputError),
        ("ranked", {"buckets": "a", "share": "0"}, BadNumber),
    ],
)
def test_what_cannot_be_a_strategy_is_refused_with_a_reason(name, options, error):
    with pytest.raises(error):
        load_strategy(name, options)
