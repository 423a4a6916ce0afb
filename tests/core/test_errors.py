"""Errors name the place, what was found and what was expected, on one line."""

from __future__ import annotations

import inspect

import pytest

from seawall.core import errors


def test_an_input_error_is_one_line_of_place_found_and_expected():
    error = errors.InputError("book.csv: row 3", "1.5", "whole lots of 1")
    assert str(error) == "book.csv: row 3: found 1.5, expected whole lots of 1"
    assert (error.place, error.found, error.expected) == ("book.csv: row 3", "1.5", "whole lots of 1")


def test_a_line_break_in_bad_data_does_not_break_the_line():
    error = errors.InputError("a\nb", errors.show("x\r\ny\x1b[31m"), "c")
    assert "\n" not in str(error)
    assert "\x1b" not in str(error)


def test_everything_long_is_shown_short():
    assert len(errors.show("x" * 10_000)) < 100
    assert errors.show(10**5000) == "a number of more than 77 digits"
    assert errors.show([1] * 9) == "a list of 9"
    assert errors.show(None) == "nothing"


def test_an_error_is_one_line_that_a_terminal_can_be_given():
    line = str(errors.InputError("a\nb.csv", "\x1b[31mred\u202e", "no\rescapes"))
    assert line == "a b.csv: found �[31mred�, expected no escapes"
    assert line.isprintable()


def test_bad_input_and_missing_extras_exit_with_two_and_bugs_with_one():
    assert errors.UnknownInstrument("a", "b", "c").exit_code == 2
    assert errors.MissingExtra("ccxt", "feeds").exit_code == 2
    assert errors.InvariantError("sums are zero").exit_code == 1
    assert "seawall[feeds]" in str(errors.MissingExtra("ccxt", "feeds"))


def test_the_tree_at_the_top_of_the_file_names_every_error():
    for name, kind in inspect.getmembers(errors, inspect.isclass):
        if issubclass(kind, errors.SeawallError):
            assert name in (errors.__doc__ or "")
            assert name in errors.__all__


def test_an_invariant_stays_on_and_names_itself():
    errors.invariant(True, "holds")
    with pytest.raises(errors.InvariantError, match=r"invariant broken: rows sum to zero \(they sum to 1\)"):
        errors.invariant(False, "rows sum to zero", "they sum to 1")
