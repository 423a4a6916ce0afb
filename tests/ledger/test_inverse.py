"""An inverse contract is a constant and coin; together they are worth what the venue's formula says."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

import samples
from seawall.ledger.book import Book
from seawall.market.market import Market

MARKET = Market.from_document(samples.market_document())
FACE = 10
prices = st.integers(1_000 * 10**4, 500_000 * 10**4).map(lambda n: Fraction(n, 10**4))


def decimal(price: Fraction) -> str:
    return f"{price.numerator * (10**4 // price.denominator) / 10**4:.4f}"


def equity(market: Market, accounts) -> Fraction:
    values = market.legs.value_nano[accounts.leg]
    total = int(accounts.cash_nano[0]) + sum(int(v) * int(q) for v, q in zip(values, accounts.lots))
    return Fraction(total, 10**9)


@given(lots=st.integers(-(10**5), 10**5).filter(bool), entry=prices, mark=prices, index=prices)
def test_the_constant_and_the_coin_are_worth_the_contracts_value_in_coin_at_the_index(lots, entry, mark, index):
    row = {"account": "a", "instrument": "BTC-INV", "quantity": str(lots * FACE), "entry": decimal(entry)}
    market = MARKET.with_index({"BTC": decimal(index)}).with_mark("BTC-INV", decimal(mark))
    accounts = Book.from_rows([row]).bind(market)
    exact = lots * FACE * (1 / entry - 1 / mark) * index
    found = equity(market, accounts)
    coin_lot = Fraction(*market.legs.coin_lot("BTC"))
    coins = abs(lots) * FACE / entry / coin_lot + 1
    # rounded against the account: one lot of coin, one nano a lot of coin, one nano a contract
    slack = coin_lot * index + (coins + abs(lots)) / 10**9
    assert abs(found - exact) <= slack
    if lots > 0:
        assert found <= exact


@given(lots=st.integers(1, 10**5), move=prices)
def test_it_keeps_that_value_when_the_index_moves_because_the_mark_keeps_its_ratio(lots, move):
    row = {"account": "a", "instrument": "BTC-INV", "quantity": str(lots * FACE), "entry": "110000"}
    accounts = Book.from_rows([row]).bind(MARKET)
    market = MARKET.with_index({"BTC": decimal(move)})
    mark = move * Fraction(112_950, 113_000)
    exact = lots * FACE * (1 / Fraction(110_000) - 1 / mark) * move
    coin_lot = Fraction(*market.legs.coin_lot("BTC"))
    coins = lots * FACE / Fraction(110_000) / coin_lot + 1
    assert abs(equity(market, accounts) - exact) <= coin_lot * move + (coins + lots) / 10**9


def test_coin_of_two_contracts_on_one_underlying_is_one_position():
    document = samples.market_document()
    second = {**samples.instrument(document, "BTC-INV"), "symbol": "BTC-INV-2", "lot": "100"}
    document["instruments"].append(second)
    market = Market.from_document(document)
    rows = [
        {"account": "a", "instrument": "BTC-INV", "quantity": "500", "entry": "100000"},
        {"account": "a", "instrument": "BTC-INV-2", "quantity": "1000", "entry": "100000"},
    ]
    accounts = Book.from_rows(rows).bind(market)
    legs = market.legs
    held = {legs.symbols[leg]: int(lots) for leg, lots in zip(accounts.leg, accounts.lots)}
    assert held == {"BTC-INV": 50, "BTC-INV-2": 10, "BTC#coin": 1500 * legs.lot_den[legs.coin_leg("BTC")] // 100_000}


def test_at_its_mark_an_inverse_contract_is_worth_nothing_but_rounding():
    for quantity in ("50000", "-50000"):
        accounts = Book.from_rows([{"account": "a", "instrument": "BTC-INV", "quantity": quantity}]).bind(MARKET)
        assert -Fraction(1, 100) < equity(MARKET, accounts) <= 0
