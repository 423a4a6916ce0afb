"""Liquidation prices are crossings, exact to the tick, and none is missed."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.margin import scenes
from tests.margin import test_what_if as scene

from seawall.core.errors import InputError
from seawall.margin.liquidation import (
    BUDGET,
    default_tick,
    liquidation_prices,
    liquidation_time,
    liquidation_vols,
    market_liquidation,
    prices_of,
)
from seawall.margin.models import get
from seawall.margin.single import Single

PROVED = ("fixed", "cross", "portfolio", "dydx")


def near_zero(name: str, lots: dict[str, int], share: float) -> Single:
    """An account of these lots whose health is `share` of its maintenance margin."""
    at = scene.MARKETS[name]
    single = Single.of(scene.book_of(at, lots, 0), at, scene.MODELS[name], "a")
    figures = single.evaluate()
    single.cash_nano += int(figures.maintenance * share * 1000) - figures.health * 1000
    return single


@pytest.mark.parametrize("name", PROVED)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_a_fine_scan_finds_no_crossing_that_is_missing(name: str, data: st.DataObject) -> None:
    symbols = scene.SYMBOLS[name]
    lots = data.draw(st.dictionaries(st.sampled_from(symbols), st.integers(-90, 90).filter(bool), min_size=1))
    single = near_zero(name, lots, data.draw(st.sampled_from((-0.4, -0.03, 0.05, 0.3, 0.9, 2.0))))
    underlying = data.draw(st.sampled_from(single.underlyings))
    betas = {u: data.draw(st.sampled_from((0.0, 0.5))) for u in single.underlyings if u != underlying}
    answer = prices_of(single, underlying, betas)
    # a book that hardly moves while its health is next to zero is given up on, and says so
    assert answer.complete or answer.evaluations >= BUDGET
    assume(answer.complete)
    number = single.number(underlying)

    def health(price: Decimal) -> int:
        move = float(price) / (int(single.prices_nano[number]) / 1e9) - 1.0
        prices = single.prices_nano.copy()
        for u, beta in betas.items():
            prices[single.number(u)] = round(int(prices[single.number(u)]) * (1.0 + beta * move))
        prices[number] = int(price * 10**9)
        return single.evaluate(prices).health

    for crossing in answer.found:
        assert crossing.above - crossing.below == answer.tick
        assert (crossing.health_below < 0) != (crossing.health_above < 0)
    below = [c for c in answer.found if not any(betas.values())]
    assert [(health(c.below), health(c.above)) for c in below] == [(c.health_below, c.health_above) for c in below]
    ticks = [int(answer.low / answer.tick), int(answer.high / answer.tick)]
    edges = [c.below / answer.tick for c in answer.found]
    negative = health(answer.low) < 0
    for tick in sorted({int(t) for t in np.geomspace(ticks[0], ticks[1], 300)}):
        crossed = sum(tick > edge for edge in edges)
        assert (health(tick * answer.tick) < 0) == (negative ^ (crossed % 2 == 1)), tick * answer.tick


def test_a_linear_position_is_liquidated_where_arithmetic_says() -> None:
    at = scenes.market([scenes.perpetual("BTC", lot="1")], {"BTC": "100"})
    book = scenes.book(at, {"BTC-PERP": 1}, cash="10")
    # health = 10 + (S - 100) - 5 % of S, zero at 90 / 0.95
    answer = liquidation_prices(book, at, get("fixed"), "a", "BTC")
    assert [(c.below, c.above) for c in answer.found] == [(Decimal("94.7368"), Decimal("94.7369"))]
    assert answer.tick == default_tick(Decimal(100)) == Decimal("0.0001")
    assert not answer.found[0].falling


def test_a_short_strangle_is_liquidated_on_both_sides_and_a_butterfly_between_them() -> None:
    rows = [
        scenes.option("C90", "call", 90, 2000, 0.5),
        scenes.option("C100", "call", 100, 2000, 0.5),
        scenes.option("C110", "call", 110, 2000, 0.5),
        scenes.option("P90", "put", 90, 2000, 0.5),
    ]
    at = scenes.market(rows, {"BTC": "100"})
    strangle = liquidation_prices(scenes.book(at, {"C110": -100, "P90": -100}, cash="40"), at, "portfolio", "a", "BTC")
    assert strangle.complete
    assert [c.falling for c in strangle.found] == [False, True]
    butterfly = scenes.book(at, {"C90": 100, "C100": -200, "C110": 100}, cash="-1.5")
    answer = liquidation_prices(butterfly, at, "portfolio", "a", "BTC")
    assert answer.complete
    assert len(answer.found) in (0, 2)


def test_the_whole_market_moves_by_beta() -> None:
    at = scenes.market([scenes.perpetual("BTC"), scenes.perpetual("ETH")], {"BTC": "100", "ETH": "50"})
    book = scenes.book(at, {"BTC-PERP": 100, "ETH-PERP": 200}, cash="40")
    alone = liquidation_prices(book, at, "cross", "a", "BTC").found[0]
    together = market_liquidation(book, at, "cross", "a", "BTC").found[0]
    assert together.below > alone.below
    named = liquidation_prices(book, at, "cross", "a", "BTC", others={"ETH": 1}).found
    assert named == (together,)


def test_a_rise_of_vols_liquidates_a_short_straddle() -> None:
    rows = [scenes.option("C", "call", 100, 2000, 0.5), scenes.option("P", "put", 100, 2000, 0.5)]
    at = scenes.market(rows, {"BTC": "100"})
    single = Single.of(scenes.book(at, {"C": -100, "P": -100}, cash="60"), at, get("portfolio"), "a")
    answer = liquidation_vols(single)
    (crossing,) = answer.found
    assert crossing.falling
    assert single.evaluate(iv=single.vols(relative=float(crossing.below))).health == crossing.health_below >= 0
    assert single.evaluate(iv=single.vols(relative=float(crossing.above))).health == crossing.health_above < 0
    assert not answer.complete


def test_funding_liquidates_at_a_time() -> None:
    at = scenes.market([scenes.perpetual("BTC", lot="1")], {"BTC": "100"})
    single = Single.of(scenes.book(at, {"BTC-PERP": 1}, cash="6"), at, get("fixed"), "a")
    # 1 of health, a tenth of a unit a day: just after ten days
    answer = liquidation_time(single, funding={"BTC": 0.001})
    (crossing,) = answer.found
    assert int(crossing.below) == single.now_ns + 10 * 86_400 * 10**9
    assert crossing.falling
    assert liquidation_time(single).found == ()


def test_time_value_that_goes_liquidates_who_paid_for_it_on_credit() -> None:
    at = scenes.market([scenes.option("C", "call", 100, 2000, 0.5)], {"BTC": "100"})
    single = Single.of(scenes.book(at, {"C": 100}, cash="100"), at, get("portfolio"), "a")
    figures = single.evaluate()
    single.cash_nano -= (figures.health - figures.equity // 100) * 1000
    answer = liquidation_time(single)
    (crossing,) = answer.found
    assert crossing.falling
    assert not answer.complete
    assert int(crossing.above - crossing.below) == 10**9
    for at_ns, health in ((crossing.below, crossing.health_below), (crossing.above, crossing.health_above)):
        assert single.evaluate(now_ns=int(at_ns)).health == health
    assert crossing.health_below >= 0 > crossing.health_above
    # none is missed before the expiry, by a look at every hour
    hours = range(0, int(answer.high - answer.low) // (3_600 * 10**9))
    looks = [single.now_ns + hour * 3_600 * 10**9 for hour in hours]
    assert [single.evaluate(now_ns=at).health < 0 for at in looks] == [at >= int(crossing.above) for at in looks]


def test_funding_works_against_theta() -> None:
    rows = [scenes.perpetual("BTC"), scenes.option("C", "call", 100, 2000, 0.5)]
    at = scenes.market(rows, {"BTC": "100"})
    single = Single.of(scenes.book(at, {"BTC-PERP": 100, "C": -100}, cash="100"), at, get("cross"), "a")
    figures = single.evaluate()
    single.cash_nano -= int(figures.health * 0.98) * 1000
    assert liquidation_time(single).found == ()  # a short option earns with time
    (crossing,) = liquidation_time(single, funding={"BTC": 0.002}).found
    days = (crossing.above - single.now_ns) / (86_400 * 10**9)
    mark = int(single.rows().values[0, 0]) * 100
    paid = -int(np.floor(-float(mark) * 0.002 * float(days)))
    assert single.evaluate(now_ns=int(crossing.above), cash_nano=-paid).health == crossing.health_above < 0
    assert crossing.health_below >= 0
    with pytest.raises(InputError, match="funding of BTC"):
        liquidation_time(single, funding={"BTC": float("nan")})


def test_bad_questions_are_refused() -> None:
    at = scenes.market([scenes.perpetual("BTC", lot="1")], {"BTC": "100"})
    book = scenes.book(at, {"BTC-PERP": 1}, cash="6")
    for options in ({"low": "200", "high": "100"}, {"tick": "0"}, {"tick": "1e-12"}, {"others": "free"}):
        with pytest.raises(InputError):
            liquidation_prices(book, at, "fixed", "a", "BTC", **options)
    with pytest.raises(InputError, match="one of BTC"):
        liquidation_prices(book, at, "fixed", "a", "XRP")
