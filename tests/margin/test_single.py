"""One account's legs alone say exactly what the whole board says, wherever the market goes."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.margin import test_what_if as scene

from seawall.core.errors import InputError, LimitExceeded, StaleEvent
from seawall.margin.evaluate import evaluate_bound
from seawall.margin.single import Single
from seawall.market.market import Market

DAY_NS = 86_400 * 10**9


def board_says(accounts: Any, at: Market, name: str, cash_nano: int = 0) -> tuple[int, ...]:
    """The account on the whole board. Bound once: a position without an entry enters at the mark of then."""
    model = scene.MODELS[name]
    richer = replace(accounts, cash_nano=accounts.cash_nano + cash_nano)
    result = evaluate_bound(richer, model.tables(at), model)
    return scene.figures(result, result.names.index("a"))


@pytest.mark.parametrize("name", sorted(scene.SYMBOLS))
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_an_account_alone_is_the_account_on_the_board(name: str, data: st.DataObject) -> None:
    at, symbols = scene.MARKETS[name], scene.SYMBOLS[name]
    lots = data.draw(st.dictionaries(st.sampled_from(symbols), st.integers(-500, 500).filter(bool), min_size=1))
    book = scene.book_of(at, lots, data.draw(st.integers(-(10**15), 10**15)))
    single = Single.of(book, at, scene.MODELS[name], "a")
    accounts = book.bind(at)
    assert single.evaluate() == board_says(accounts, at, name)
    for _ in range(3):
        move = {u: data.draw(st.floats(0.3, 3.0)) for u in at.underlyings}
        index = {u: str(round(float(at.index[u]) * x, 4)) for u, x in move.items()}
        later = at.as_of_ns + data.draw(st.integers(0, 60)) * DAY_NS
        vols = single.vols(data.draw(st.floats(-0.5, 2.0)), data.draw(st.floats(0.0, 0.2)))
        moved = at.with_index(index)
        options = {s: repr(float(v)) for s, v in zip(single.legs.symbols, vols, strict=True) if v == v}
        cash = data.draw(st.integers(-(10**12), 10**12))
        prices = single.prices(index)
        assert single.evaluate(prices, vols) == board_says(accounts, moved.with_iv(options), name)
        assert single.evaluate(prices, now_ns=later) == board_says(accounts, moved.at(later), name)
        assert single.evaluate(prices, cash_nano=cash) == board_says(accounts, moved, name, cash)


@pytest.mark.parametrize("name", sorted(scene.SYMBOLS))
def test_questions_leave_the_account_as_it_was(name: str) -> None:
    at, symbols = scene.MARKETS[name], scene.SYMBOLS[name]
    single = Single.of(scene.book_of(at, dict.fromkeys(symbols, -7), 10**15), at, scene.MODELS[name], "a")
    before = single.evaluate()
    moved = single.evaluate(single.prices_nano * 2, single.vols(0.5), single.now_ns + DAY_NS)
    assert moved != before
    assert single.evaluate() == before


def test_what_a_market_refuses_is_refused() -> None:
    at = scene.MARKETS["portfolio"]
    book = scene.book_of(at, {"BTC-PERP": 5}, 0)
    single = Single.of(book, at, "portfolio", "a")
    with pytest.raises(InputError, match="an account of the book"):
        Single.of(book, at, "portfolio", "nobody")
    with pytest.raises(StaleEvent):
        single.evaluate(now_ns=single.now_ns - 1)
    with pytest.raises(InputError, match="DOGE9"):
        single.prices({"DOGE9": "1"})
    with pytest.raises(LimitExceeded):
        single.evaluate(cash_nano=2**62)


def test_an_evaluation_takes_microseconds() -> None:
    at, symbols = scene.MARKETS["portfolio"], scene.SYMBOLS["portfolio"]
    single = Single.of(scene.book_of(at, dict.fromkeys(symbols, 3), 10**15), at, "portfolio", "a")
    prices = [np.array(single.prices_nano * (1000 + k) // 1000) for k in range(200)]
    single.evaluate(prices[0])
    taken = []
    for each in prices:
        start = time.perf_counter_ns()
        single.evaluate(each)
        taken.append(time.perf_counter_ns() - start)
    assert np.median(taken) < 5e6  # a thousandth of a board's compilation, with room for a busy machine
