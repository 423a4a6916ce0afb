"""`what_if` says what `evaluate` would say of the changed book, to the last digit, and changes nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import samples
import seawall as sw
from seawall.core.errors import InputError, LimitExceeded, NotWholeLots, UnknownInstrument
from seawall.ledger.book import Book
from seawall.margin.evaluate import Result, evaluate
from seawall.margin.whatif import what_if
from seawall.market.market import Market

FIELDS = ("equity_micro", "initial_margin_micro", "maintenance_margin_micro", "worst")
GENERATIONS = ("fixed", "cross", "portfolio", "greeks", "expected-shortfall", "value-at-risk")


def part_of_the_market(*symbols: str) -> Market:
    document = samples.market_document()
    document["instruments"] = [row for row in document["instruments"] if row["symbol"] in symbols]
    if not any(symbol.startswith("ETH-DEC") for symbol in symbols):
        del document["surfaces"]
    return Market.from_document(document)


WHOLE = Market.from_document(samples.market_document())
# What each model can margin. Coins of inverse contracts are rounded per trade: they have a test of their own.
SYMBOLS: dict[str, tuple[str, ...]] = {
    name: tuple(symbol for symbol in WHOLE.instruments if symbol != "BTC-INV") for name in GENERATIONS
}
SYMBOLS |= dict.fromkeys(
    ("derive-standard", "derive-portfolio"), ("BTC", "BTC-PERP", "BTC-DEC-120000-C", "BTC-DEC-120000-P")
)
SYMBOLS["dydx"] = ("BTC-PERP",)
MARKETS = {name: part_of_the_market(*symbols) for name, symbols in SYMBOLS.items()}
MODELS = {name: sw.models.get(name) for name in SYMBOLS}
MARKS = {name: MODELS[name].tables(MARKETS[name]).values[:, 0] for name in SYMBOLS}


def book_of(at: Market, lots: dict[str, int], cash_nano: int) -> Book:
    """Two accounts, so that the one asked about is not the only one; perpetuals and the like enter at the mark."""
    rows = [{"account": "other", "instrument": "USD", "quantity": "1"}]
    rows.append({"account": "a", "instrument": "USD", "quantity": format(Decimal(cash_nano).scaleb(-9), "f")})
    for symbol, count in lots.items():
        quantity = format(at.instruments[symbol].lot * count, "f")
        rows.append({"account": "a", "instrument": symbol, "quantity": quantity})
    return Book.from_rows(rows)


def paid_nano(name: str, symbol: str, count: int) -> int:
    """Cash that a trade at the mark costs: perpetuals, futures and baskets enter at it, the others are paid for."""
    at = MARKETS[name]
    kind = at.instruments[symbol].kind
    if kind not in ("spot", "option"):
        return 0
    mark = int(MARKS[name][at.legs.leg_of[symbol][0]])
    # options' marks are rounded down: a seller gets a nano less per lot, and one for the trade
    return count * mark + (1 - count if kind == "option" and count < 0 else 0)


def figures(result: Result, row: int) -> tuple[int, ...]:
    return tuple(int(getattr(result, field)[row]) for field in FIELDS)


counts = st.integers(-5_000, 5_000)


@pytest.mark.parametrize("name", SYMBOLS)
@settings(max_examples=40)
@given(data=st.data(), cash_nano=st.integers(-(10**15), 10**15))
def test_it_is_the_evaluation_of_the_changed_book(name, data, cash_nano):
    at, symbols = MARKETS[name], SYMBOLS[name]
    sign = {symbol: (abs if at.instruments[symbol].kind == "spot" else int) for symbol in symbols}
    held = data.draw(st.dictionaries(st.sampled_from(symbols), counts.filter(bool), max_size=6), "held")
    held = {symbol: sign[symbol](count) for symbol, count in held.items()}
    trades = data.draw(st.lists(st.tuples(st.sampled_from(symbols), counts), max_size=5), "trades")
    trades = [(symbol, sign[symbol](count)) for symbol, count in trades]
    book = book_of(at, held, cash_nano)
    before = figures(evaluate(book, at, MODELS[name]), 1)
    asked = [(symbol, format(at.instruments[symbol].lot * count, "f")) for symbol, count in trades]
    answer = what_if(book, at, MODELS[name], "a", asked)

    changed = dict(held)
    for symbol, count in trades:
        changed[symbol] = changed.get(symbol, 0) + count
        cash_nano -= paid_nano(name, symbol, count)
    expected = evaluate(book_of(at, changed, cash_nano), at, MODELS[name])
    assert answer.names == ["a"]
    assert figures(answer, 0) == figures(expected, 1)
    assert figures(evaluate(book, at, MODELS[name]), 1) == before


@pytest.mark.parametrize("name", SYMBOLS)
def test_no_trades_and_trades_there_and_back(name):
    at = MARKETS[name]
    book = book_of(at, dict.fromkeys(SYMBOLS[name], 100), 10**15)
    now = figures(evaluate(book, at, MODELS[name]), 1)
    assert figures(what_if(book, at, MODELS[name], "a", {}), 0) == now
    there_and_back = [(symbol, sign + "10") for symbol in SYMBOLS[name] for sign in ("", "-")]
    after = figures(what_if(book, at, MODELS[name], "a", there_and_back), 0)
    assert now[0] - 10 <= after[0] <= now[0]
    # a requirement that is a difference to equity is rounded with it
    assert all(0 <= later - first <= name.startswith("derive") for first, later in zip(now[1:3], after[1:3]))
    assert after[3] == now[3]


@pytest.mark.parametrize("name", GENERATIONS)
def test_inverse_contracts_take_their_coin_with_them(name):
    """One trade is the book's own row. Of several, each rounds its coin down: a lot of coin less each, never more."""
    at = WHOLE
    coin_micro = int(np.ceil(at.legs.value_nano[at.legs.coin_leg("BTC")] / 1000))
    for trades in (["50000"], ["-50000"], ["30", "-20", "49990"], ["-10"] * 7):
        book = book_of(at, {"BTC-PERP": 100}, 10**14)
        answer = figures(what_if(book, at, name, "a", [("BTC-INV", quantity) for quantity in trades]), 0)
        lots = sum(map(int, trades)) // 10
        expected = figures(evaluate(book_of(at, {"BTC-PERP": 100, "BTC-INV": lots}, 10**14), at, name), 1)
        if len(trades) == 1:
            assert answer == expected
        assert 0 <= expected[0] - answer[0] <= coin_micro * (len(trades) - 1)
        assert abs(answer[1] - expected[1]) <= coin_micro * (len(trades) - 1)


def snapshot(part: Any) -> list[Any]:
    return [value.tobytes() if isinstance(value, np.ndarray) else repr(value) for value in part]


@pytest.mark.parametrize("name", SYMBOLS)
def test_neither_book_nor_market_nor_model_is_altered(name):
    at = MARKETS[name]
    book = book_of(at, dict.fromkeys(SYMBOLS[name], 7), 10**12)
    legs = [getattr(at.legs, field) for field in at.legs.__dataclass_fields__]
    rows = (book.account, book.instrument, book.quantity.nano, book.names.to_list())
    parameters = repr(MODELS[name].parameters)
    before = snapshot(legs), snapshot(rows), at.version
    for symbol in SYMBOLS[name]:
        what_if(book, at, MODELS[name], "a", {symbol: "-70"})
    assert (snapshot(legs), snapshot(rows), at.version) == before
    assert repr(MODELS[name].parameters) == parameters


def test_questions_about_two_books_at_once_are_not_mixed_up():
    books = [book_of(WHOLE, {"BTC-PERP": count}, 10**14) for count in (1_000, -3_000)]
    expected = [figures(what_if(book, WHOLE, "portfolio", "a", {"BTC": "1"}), 0) for book in books]

    def ask(k: int) -> set[tuple[int, ...]]:
        return {figures(what_if(books[k], WHOLE, "portfolio", "a", {"BTC": "1"}), 0) for _ in range(60)}

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(ask, (0, 1))) == [{expected[0]}, {expected[1]}]


@pytest.mark.parametrize(
    ("account", "trades", "error", "words"),
    [
        ("b", {"BTC-PERP": "1"}, InputError, "'b'"),
        ("a", {"BTC-PERPS": "1"}, UnknownInstrument, "BTC-PERPS"),
        ("a", {"BTC-PERP": "0.0005"}, NotWholeLots, "lots of 0.001"),
        ("a", {"BTC-PERP": "nan"}, InputError, "quantity of BTC-PERP"),
        ("a", {"BTC-PERP": "1e9"}, LimitExceeded, "after these trades"),
        ("a", {"BTC-DEC-95-P": "-1e9"}, LimitExceeded, "after these trades"),
    ],
)
@pytest.mark.parametrize("name", GENERATIONS)
def test_what_cannot_be_is_refused(name, account, trades, error, words):
    with pytest.raises(error, match=words):
        what_if(book_of(WHOLE, {"BTC-PERP": 5}, 10**12), WHOLE, name, account, trades)
