"""Deleveraging on a real book: exact margins under several models have the last word, hedges are seen, money is conserved."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import samples
from seawall.core.errors import BadNumber
from seawall.ledger.book import Book
from seawall.liquidation.adl_book import OtherSide
from seawall.liquidation.routes import SELL
from seawall.margin.models import resolve
from seawall.market.market import Market

MARKET = Market.from_document(samples.market_document())
PERP, FUTURE = MARKET.legs.expand("BTC-PERP")[0][0], MARKET.legs.expand("BTC-DEC")[0][0]
TABLES = {name: resolve(name).tables(MARKET) for name in ("cross", "portfolio")}


def deltas(tables) -> np.ndarray:
    """Of linear legs the mark; options are left out of these books."""
    return tables.values[:, 0].astype(np.float64)


def side_of(rows: list[tuple[str, str, str]], name: str, gap_ppm: int) -> OtherSide:
    book = Book.from_rows([{"account": a, "instrument": i, "quantity": q} for a, i, q in rows])
    tables = TABLES[name]
    mark = int(tables.values[PERP, 0])
    return OtherSide(book.bind(MARKET), tables, resolve(name).kind, PERP, SELL, mark + mark * gap_ppm // 10**6, deltas(tables))


ROWS = [
    ("short", "BTC-PERP", "-2"),
    ("short", "USD", "100000"),
    ("hedged", "BTC-PERP", "-2"),
    ("hedged", "BTC-DEC", "2"),
    ("hedged", "USD", "20000"),
    ("long", "BTC-PERP", "5"),
    ("long", "USD", "100000"),
    ("flat", "USD", "5"),
]


@pytest.mark.parametrize("name", ["cross", "portfolio"])
def test_the_other_side_is_found_and_its_hedges_are_seen(name):
    other = side_of(ROWS, name, 20_000)
    assert other.lots.tolist() == [2_000, 2_000]
    assert other.unhedged[0] == 2_000
    assert other.unhedged[1] == 0  # the future is worth more than the perpetual it offsets
    done = other.allocate(2_500, np.array([10**10, 10**10]))
    assert done.lots.tolist() == [2_000, 500]
    assert done.by_order == (2_000, 500, 0)


def test_the_recheck_is_the_book_with_the_lots_closed():
    """Against `evaluate` on a book that was really changed: cash pays the bankruptcy price."""
    from seawall.margin.evaluate import evaluate

    other = side_of(ROWS, "portfolio", 0)
    changed = [*ROWS]
    changed[0] = ("short", "BTC-PERP", "-1.5")
    changed[1] = ("short", "USD", "100000")
    book = Book.from_rows([{"account": a, "instrument": i, "quantity": q} for a, i, q in changed])
    result = evaluate(book, MARKET, "portfolio")
    assert other.recheck(np.array([500, 0]))[0] == pytest.approx(int(result.health_micro[0]), abs=1)


@settings(max_examples=60)
@given(
    name=st.sampled_from(["cross", "portfolio"]),
    holders=st.lists(
        st.tuples(st.integers(-3_000, 500), st.integers(-1_000, 3_000), st.integers(0, 40_000), st.integers(0, 50_000)),
        min_size=1,
        max_size=8,
    ),
    need=st.integers(1, 12_000),
    gap_ppm=st.integers(-10_000, 60_000),
)
def test_nobody_is_pushed_below_maintenance_by_the_exact_margin(name, holders, need, gap_ppm):
    rows = []
    for n, (perp, future, cash, _) in enumerate(holders):
        for instrument, milli in (("BTC-PERP", perp), ("BTC-DEC", future)):
            if milli:
                rows.append((f"a{n}", instrument, f"{milli / 1000:.3f}"))
        rows.append((f"a{n}", "USD", str(cash)))
    other = side_of(rows, name, gap_ppm)
    profit = np.array([holders[row][3] * 10**6 for row in other.rows], np.int64)
    done = other.allocate(need, profit)
    assert int(done.lots.sum()) + done.residual_lots == need
    after, line = other.recheck(done.lots), np.minimum(other.health_micro, 0)
    assert (after >= line)[done.lots > 0].all()
    if other.loss_nano > 0:
        assert (done.paid_micro <= profit).all()
    assert (other.recheck(np.zeros_like(done.lots)) == other.health_micro).all()


def test_bad_questions_are_refused():
    book = Book.from_rows([{"account": "a", "instrument": "BTC-PERP", "quantity": "1"}]).bind(MARKET)
    tables, kind = TABLES["cross"], resolve("cross").kind
    for leg, side, delta in ((PERP, 0, deltas(tables)), (999, 1, deltas(tables)), (PERP, 1, deltas(tables)[:1])):
        with pytest.raises(BadNumber, match="other side"):
            OtherSide(book, tables, kind, leg, side, 1, delta)
    with pytest.raises(BadNumber, match="delta"):
        OtherSide(book, tables, kind, PERP, 1, 1, np.zeros(len(tables.values)))
