"""Decimals at the edge become integers exactly, or are refused."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.core import units
from seawall.core.errors import BadNumber, LimitExceeded

BAD = [
    "nan",
    "NaN",
    "inf",
    "-Infinity",
    "",
    " 1",
    "1 ",
    "1_000",
    "0x10",
    "1,5",
    "--1",
    "1e",
    "e5",
    ".",
    "١",
]


@pytest.mark.parametrize("text", BAD)
def test_text_that_is_no_plain_decimal_number_is_refused(text):
    with pytest.raises(BadNumber, match="mark: found"):
        units.parse_decimal(text, "mark")


@pytest.mark.parametrize("value", [True, False, None, [], {}, float("nan"), float("inf"), Decimal("NaN"), b"1"])
def test_values_that_are_no_finite_number_are_refused(value):
    with pytest.raises(BadNumber):
        units.parse_decimal(value, "mark")


@pytest.mark.parametrize("value", ["1e400", "-1e61", 10**70, 10**5000, Decimal("1e100"), "1e-300"], ids=range(6))
def test_enormous_numbers_are_refused_quickly(value):
    with pytest.raises(BadNumber):
        units.parse_decimal(value, "mark")


def test_a_float_stands_for_its_shortest_decimal_text():
    assert units.parse_decimal(0.1, "x") == Decimal("0.1")
    assert units.parse_decimal(61250.5, "x") == Decimal("61250.5")


@given(st.integers(-(2**63) + 1, 2**63 - 1), st.sampled_from([1, 10**6, 10**9]))
def test_integers_in_a_unit_survive_the_way_out_and_back(amount, scale):
    text = format(Decimal(amount).scaleb(1 - len(str(scale))), "f")
    assert units.to_int_exact(units.parse_decimal(text, "x"), scale, "x") == amount


@given(st.integers(-(10**18), 10**18))
def test_formatted_micro_and_nano_read_back_as_the_same_integer(amount):
    assert units.to_int_exact(Decimal(units.format_micro(amount)), units.MICRO, "x") == amount
    assert units.to_int_exact(Decimal(units.format_nano(amount)), units.NANO, "x") == amount


def test_conversion_is_exact_or_an_error():
    with pytest.raises(BadNumber, match='found "0.0000001", expected at most 6 decimals'):
        units.to_int_exact(Decimal("0.0000001"), units.MICRO, "x")
    with pytest.raises(LimitExceeded):
        units.to_int_exact(Decimal(10) ** 19, 1, "x")


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=12))
def test_floor_and_ceil_bracket_the_number_within_one_unit(number):
    low, high = units.floor_to(number, units.MICRO), units.ceil_to(number, units.MICRO)
    assert low <= number * units.MICRO <= high
    assert high - low in (0, 1)
    assert units.floor_to(-number, units.MICRO) == -high


@given(st.integers(-(10**18), 10**18))
def test_nano_to_micro_rounds_down_what_is_owned_and_up_what_is_owed(nano):
    low, high = units.micro_from_nano_floor(nano), units.micro_from_nano_ceil(nano)
    assert low * 1000 <= nano <= high * 1000
    assert high - low == (1 if nano % 1000 else 0)


def test_prices_must_be_above_zero_and_fit_int64_in_nano():
    for text in ("0", "-1", "-0.0"):
        with pytest.raises(BadNumber, match="expected a number above zero"):
            units.parse_positive(text, "index")
    with pytest.raises(LimitExceeded):
        units.parse_positive("9000000000", "index")


def test_decimals_are_written_without_exponent_or_trailing_zeros():
    assert units.format_decimal(Decimal("1E-7")) == "0.0000001"
    assert units.format_decimal(Decimal("120.500")) == "120.5"
    assert units.format_decimal(Decimal("-0.0")) == "0"
    assert units.format_decimal(Decimal("1E+3")) == "1000"


def test_products_of_long_decimals_are_not_rounded():
    a, b = Decimal("1." + "1" * 25), Decimal("3." + "7" * 25)
    assert Fraction(units.exact_product(a, b)) == Fraction(a) * Fraction(b)
