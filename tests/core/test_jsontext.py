"""JSON is read without losing a digit, and what is no JSON is one message."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.core.errors import DuplicateRow, InputError, UnreadableFile
from seawall.core.jsontext import Digits, parse_json
from seawall.core.units import parse_decimal

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(plain)
def test_documents_without_fractions_are_read_as_they_are(document):
    assert parse_json(json.dumps(document).encode(), "x") == document


def test_a_fraction_keeps_the_digits_that_were_written():
    value = parse_json(b"[0.1000000000000000055511151231257827]", "x")[0]
    assert isinstance(value, Digits)
    assert str(parse_decimal(value, "x")) == "0.1000000000000000055511151231257827"


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused_with_one_message(data):
    message = ""
    try:
        parse_json(data, "market.json")
    except InputError as error:
        message = str(error)
    else:
        json.loads(data)
    assert message == "" or message.startswith("market.json: found ")
    assert "\n" not in message


@pytest.mark.parametrize(
    "data", [b"[" * 200_000, b'{"a":' * 100_000, b"\x00" * 50, b"", b'{"a":NaN}', b"9" * 9000], ids=range(6)
)
def test_hostile_documents_are_refused(data):
    with pytest.raises(UnreadableFile):
        parse_json(data, "market.json")


def test_a_key_said_twice_is_refused():
    with pytest.raises(DuplicateRow, match='found the key "BTC" twice in one object'):
        parse_json(b'{"underlyings": {"BTC": 1, "BTC": 2}}', "market.json")
