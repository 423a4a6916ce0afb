"""Columns of decimals are read exactly: the fast way agrees with Python's Decimal in every row."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.core.errors import BadNumber, InputError
from seawall.core.units import parse_decimal
from seawall.ledger.amounts import parse_amounts

texts = st.one_of(
    st.decimals(allow_nan=False, allow_infinity=False, places=9).map(str),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**25), max_value=10**25).map(str),
    st.from_regex(r"[+-]?[0-9]{0,12}\.?[0-9]{0,22}([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.sampled_from(["1e-30", "0.0000000004", "1" + "0" * 40, ".5", "5.", "+3", "-0", "9223372036.854775808"]),
    st.sampled_from(["0." + "0" * 18 + "4", "0." + "0" * 30 + "1", "99999999999999999999999999999999999999.5"]),
)
junk = st.one_of(st.sampled_from(["nan", "inf", " 1", "1_0", "0x1", "١", "1e400", "--1", "NaN"]), st.text(max_size=4))


def exact(amounts, row) -> Decimal:
    return amounts.odd[row] if row in amounts.odd else Decimal(int(amounts.nano[row])).scaleb(-9)


def place(row):
    return f"row {row + 1}"


@given(st.lists(texts, min_size=1, max_size=5))
def test_text_is_read_as_the_decimal_that_it_is_or_refused_as_python_would(column):
    try:
        expected = [parse_decimal(text, "x") for text in column if text]
    except BadNumber:
        with pytest.raises(BadNumber):
            parse_amounts(pl.Series(column), place)
        return
    amounts = parse_amounts(pl.Series(column), place)
    rows = [row for row, text in enumerate(column) if text]
    assert [exact(amounts, row) for row in rows] == expected
    assert amounts.given.tolist() == [bool(text) for text in column]


@given(st.lists(texts, max_size=4), junk)
def test_junk_anywhere_is_refused_or_is_a_number_to_python_too(column, bad):
    message = ""
    try:
        amounts = parse_amounts(pl.Series([*column, bad]), place)
    except BadNumber as error:
        message = str(error)
    else:
        assert bad == "" or exact(amounts, len(column)) == parse_decimal(bad, "x")
    assert message == "" or message.startswith("row ")


@given(st.lists(st.floats(), min_size=1, max_size=6))
def test_a_float_is_its_shortest_decimal_text(numbers):
    if not all(np.isfinite(numbers)) or any(x and not -60 <= Decimal(repr(x)).adjusted() <= 60 for x in numbers):
        with pytest.raises(BadNumber):
            parse_amounts(pl.Series(numbers, dtype=pl.Float64), place)
        return
    amounts = parse_amounts(pl.Series(numbers, dtype=pl.Float64), place)
    assert [exact(amounts, row) for row in range(len(numbers))] == [Decimal(repr(x)) for x in numbers]


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=6))
def test_integers_and_decimals_are_themselves(numbers):
    whole = parse_amounts(pl.Series(numbers, dtype=pl.Int64), place)
    assert [exact(whole, row) for row in range(len(numbers))] == numbers
    decimals = [Decimal(n).scaleb(-12) for n in numbers]
    fine = parse_amounts(pl.Series(decimals, dtype=pl.Decimal(38, 12)), place)
    assert [exact(fine, row) for row in range(len(numbers))] == decimals


def test_short_floats_mean_what_they_show():
    amounts = parse_amounts(pl.Series([0.1, 1.5], dtype=pl.Float32), place)
    assert [exact(amounts, row) for row in range(2)] == [Decimal("0.1"), Decimal("1.5")]


def test_null_and_empty_text_are_not_given():
    amounts = parse_amounts(pl.Series(["1", None, ""]), place)
    assert amounts.given.tolist() == [True, False, False]
    assert parse_amounts(pl.Series([None, None], dtype=pl.Null), place).given.tolist() == [False, False]


@pytest.mark.parametrize("column", [[True], [b"1"], [[1]], [{"a": 1}]])
def test_a_column_that_is_no_amount_is_refused(column):
    with pytest.raises(InputError, match="a column of type"):
        parse_amounts(pl.Series(column), place)
