"""Accounting: known figures, and a random life in which the parts always sum to what there is."""

from __future__ import annotations

import csv
import io

from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.scenes import D
from seawall.keeper.accounting import Books


def buy(books, auction=1, quantity="1", mark="100", worth="10", paid="8", share="0.5"):
    return books.bought(
        auction, f"owner{auction}", share=D(share), paid=D(paid), worth=D(worth), quantities={"X": D(quantity)},
        marks={"X": D(mark)}, at_ns=5, sequence=7,
    )  # fmt: skip


def test_the_edge_is_earned_at_once_and_the_position_by_what_becomes_of_it():
    """Got 1 X at 100 with 90 of debt, worth 10, for 8; sold 0.4 at 110 for 0.5 of fees; the mark is 105."""
    books = Books()
    assert buy(books).edge == 2
    books.rewarded(1, D("0.25"))
    books.traded("X", D("-0.4"), D(110), D("0.5"))
    books.mark({"X": D(105), "Y": D(1)})
    assert books.totals() == {
        "edge": D(2), "rewards": D("0.25"), "realised": D(4), "marked": D(3), "fees": D("0.5"), "total": D("8.75"),
    }  # fmt: skip
    assert books.inventory == {"X": D("0.6")}
    assert books.rows()[0]["total"] == "9.25"  # fees are of the hedge, not of the auction


def test_what_leaves_first_is_what_came_first_and_its_profit_is_its_auctions():
    books = Books()
    buy(books, 1, "1", "100")
    buy(books, 2, "1", "120")
    books.traded("X", D("-1.5"), D(130))
    one, two = books.rows()
    assert (one["realised"], two["realised"]) == ("30", "5")
    assert books.marked(1) == 0
    assert books.marked(2) == 0  # still at the mark of its sale
    books.mark({"X": D(140)})
    assert books.marked(2) == 10


def test_an_auction_that_offsets_another_closes_it_at_its_mark():
    books = Books()
    buy(books, 1, "1", "100")
    buy(books, 2, "-3", "90", worth="5", paid="-4")
    assert books.rows()[0]["realised"] == "-10"
    assert books.inventory == {"X": D(-2)}
    assert books.rows()[1]["edge"] == "9"


@settings(max_examples=200)
@given(st.lists(st.tuples(st.sampled_from("bthm"), st.integers(-50, 50), st.integers(1, 500), st.integers(-40, 40)), max_size=40))
def test_the_parts_sum_to_cash_and_positions_and_the_auctions_to_the_totals(events):
    books = Books()
    number = 0
    for kind, quantity, price, money in events:
        if kind == "b":
            number += 1
            buy(books, number, str(D(quantity) / 7), str(price), str(money), str(money - 3))
        elif kind == "t":
            books.traded("X", D(quantity) / 3, D(price), D(abs(money)) / 10)
        elif kind == "h" and number:
            books.rewarded(number, D(abs(money)))
        else:
            books.mark({"X": D(price)})
    held = sum((quantity * books.marks[name] for name, quantity in books.inventory.items()), D(0))
    totals = books.totals()
    assert abs(totals["total"] - books.cash - held) < D("1e-15")
    lines = sum((D(row["total"]) for row in books.rows()), D(0))
    assert abs(lines + books.realised_outside + books.marked(0) - books.fees - totals["total"]) < D("1e-15")


def test_the_report_is_json_and_the_table_csv():
    books = Books()
    buy(books)
    report = books.report()
    assert report["totals"]["total"] == "2"
    assert report["positions"] == [{"instrument": "X", "quantity": "1", "mark": "100"}]
    (row,) = csv.DictReader(io.StringIO(books.csv()))
    assert row == {name: str(value) for name, value in report["auctions"][0].items()}
