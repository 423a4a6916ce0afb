"""What an account can still do, and why its margin moved: exact, and the same as doing it."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.margin import scenes
from tests.margin import test_what_if as scene

from seawall.core.errors import InputError
from seawall.margin.diff import PARTS, diff
from seawall.margin.evaluate import evaluate
from seawall.margin.headroom import largest_order, scenario, trade, withdrawable
from seawall.margin.single import Single
from seawall.margin.whatif import what_if


def single_of(name: str, lots: dict[str, int], cash_nano: int) -> Single:
    at = scene.MARKETS[name]
    return Single.of(scene.book_of(at, lots, cash_nano), at, scene.MODELS[name], "a")


@pytest.mark.parametrize("name", sorted(scene.SYMBOLS))
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_trades_deposits_and_moves_are_what_doing_them_gives(name: str, data: st.DataObject) -> None:
    at, symbols = scene.MARKETS[name], scene.SYMBOLS[name]
    lots = data.draw(st.dictionaries(st.sampled_from(symbols), st.integers(-50, 50).filter(bool), min_size=1))
    single = single_of(name, lots, data.draw(st.integers(-(10**14), 10**14)))
    symbol = data.draw(st.sampled_from(symbols))
    count = data.draw(st.integers(-60, 60).filter(bool))
    quantity = format(at.instruments[symbol].lot * count, "f")
    book = scene.book_of(at, lots, 0)
    cash = single.cash_nano - int(book.bind(at).cash_nano[1])
    asked = what_if(scene.book_of(at, lots, cash), at, scene.MODELS[name], "a", {symbol: quantity})
    assert scenario(single, {symbol: quantity}) == scene.figures(asked, 0)
    richer = scenario(single, {symbol: quantity}, deposit="12.5")
    assert richer.equity - int(asked.equity_micro[0]) == 12_500_000
    index = {u: str(round(float(at.index[u]) * 0.75, 4)) for u in at.underlyings}
    moves = {u: float(index[u]) / float(at.index[u]) - 1 for u in index}
    prices = single.prices_nano.copy()
    for u, move in moves.items():
        prices[single.number(u)] = round(int(prices[single.number(u)]) * (1 + Fraction(str(move))))
    changes, paid = trade(single, symbol, count)
    expected = single.traded(changes, paid).evaluate(prices)
    assert scenario(single, {symbol: quantity}, moves=moves) == expected


@pytest.mark.parametrize("name", sorted(scene.SYMBOLS))
def test_the_most_that_can_be_withdrawn_is_exact_to_the_micro(name: str) -> None:
    single = single_of(name, {scene.SYMBOLS[name][0]: 3}, 10**15 + 123)
    most = withdrawable(single)
    assert most > 0
    assert single.evaluate(cash_nano=-most * 1000).free >= 0
    assert single.evaluate(cash_nano=-(most + 1) * 1000).free < 0
    assert withdrawable(single_of(name, {scene.SYMBOLS[name][0]: 3}, -(10**16))) == 0


@pytest.mark.parametrize("name", sorted(scene.SYMBOLS))
@pytest.mark.parametrize("side", ["buy", "sell"])
def test_the_largest_order_passes_and_one_lot_more_does_not(name: str, side: str) -> None:
    symbol = "BTC-PERP"
    single = single_of(name, {symbol: 2}, 10**14)
    sign = 1 if side == "buy" else -1
    for price in (None, str(scene.MARKETS[name].mark(symbol))):
        found = largest_order(single, symbol, side, price)
        assert found.lots > 0
        assert found.quantity == found.lots * scene.MARKETS[name].instruments[symbol].lot
        assert found.after == single.traded(*trade(single, symbol, sign * found.lots, price)).evaluate()
        assert found.after.free >= 0
        assert single.traded(*trade(single, symbol, sign * (found.lots + 1), price)).evaluate().free < 0


def test_an_account_below_initial_margin_may_still_close() -> None:
    at = scenes.market([scenes.perpetual("BTC", lot="1")], {"BTC": "100"})
    single = Single.of(scenes.book(at, {"BTC-PERP": 100}, cash="700"), at, "fixed", "a")
    assert single.evaluate().free < 0
    assert largest_order(single, "BTC-PERP", "buy").lots == 0
    # 700 holds 70 contracts on either side, so 30 to 170 may be sold
    assert largest_order(single, "BTC-PERP", "sell").lots == 170
    with pytest.raises(InputError, match="buy or sell"):
        largest_order(single, "BTC-PERP", "hold")


@pytest.mark.parametrize("name", ["cross", "portfolio"])
def test_the_parts_of_a_difference_sum_to_it(name: str) -> None:
    at = scene.MARKETS[name]
    later = at.with_index({u: str(p * 9 / 10) for u, p in at.index.items()}, at.as_of_ns + 86_400 * 10**9)
    later = later.with_iv({"BTC-DEC-120000-C": "0.9"})
    first = scene.book_of(at, {"BTC-PERP": 30, "BTC-DEC-120000-C": -2}, 10**14)
    second = scene.book_of(later, {"BTC-PERP": 10, "BTC-DEC-120000-C": -2, "ETH": 5}, 10**14)
    model = scene.MODELS[name]
    for account in ("a", None):
        found = diff((first, at, model), (second, later, model), account)
        rows = {k: evaluate(b, m, model) for k, (b, m) in enumerate(((first, at), (second, later)))}
        for k, field in enumerate(("equity_micro", "initial_margin_micro", "maintenance_margin_micro")):
            ends = [
                int(sum(getattr(r, field)) if account is None else getattr(r, field)[r.names.index("a")])
                for r in rows.values()
            ]
            assert [found.before[k], found.after[k]] == ends
            assert found.before[k] + sum(part[1 + k] for part in found.parts) == found.after[k]
        assert tuple(part.name for part in found.parts) == PARTS
        by_name = {part.name: part for part in found.parts}
        assert by_name["spot"].equity < 0
        assert by_name["vol"].equity < 0
        assert by_name["time"].equity > 0
        assert by_name["parameters"][1:] == (0, 0, 0)


def test_a_change_of_parameters_alone_is_all_there_is() -> None:
    at = scene.MARKETS["portfolio"]
    book = scene.book_of(at, {"BTC-PERP": 30}, 10**14)
    found = diff((book, at, "fixed"), (book, at, "cross"), "a")
    assert [part.name for part in found.parts if part[1:] != (0, 0, 0)] == ["parameters"]
    with pytest.raises(InputError, match="one of the books"):
        diff((book, at, "fixed"), (book, at, "cross"), "nobody")
