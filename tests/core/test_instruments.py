"""Instruments are valid by construction: one door, and it names the key at fault."""

from __future__ import annotations

from decimal import Decimal

import pytest

import samples
from seawall.core.errors import BadNumber, CrossedDates, InputError, LimitExceeded, MissingKey, NotWholeLots, UnknownKey
from seawall.core.instruments import QUOTE_KEYS, instrument_row, parse_instrument

OPTION = samples.instrument(samples.market_document(), "BTC-DEC-120000-C")
DYNAMIC = samples.instrument(samples.market_document(), "BTC-DEC-95-P")
PERP = samples.instrument(samples.market_document(), "BTC-PERP")
BASKET = samples.instrument(samples.market_document(), "MIX")


@pytest.mark.parametrize("row", samples.market_document()["instruments"], ids=lambda row: row["symbol"])
def test_a_row_reads_back_to_the_same_record(row):
    instrument = parse_instrument(row, "x")
    assert parse_instrument(instrument_row(instrument), "x") == instrument
    kept = {key for key in row if key not in QUOTE_KEYS[row["kind"]]}
    assert kept == set(instrument_row(instrument))


@pytest.mark.parametrize(
    ("row", "change", "kind", "words"),
    [
        (PERP, {"lot": "0"}, BadNumber, 'lot: found "0", expected a number above zero'),
        (PERP, {"lot": "0.0000000001"}, BadNumber, "at most 9 decimals"),
        (PERP, {"lot": True}, BadNumber, "found true"),
        (PERP, {"lot": None}, BadNumber, "found nothing"),
        (PERP, {"strike": "1"}, UnknownKey, "a key that no perpetual has"),
        (PERP, {"kind": "swap"}, InputError, 'kind: found "swap", expected one of spot, perpetual'),
        (PERP, {"kind": ["spot"]}, InputError, "kind: found a list of 1"),
        (PERP, {"symbol": ""}, InputError, "a name of 1 to 128 printable characters"),
        (PERP, {"symbol": 7}, InputError, "symbol: found 7"),
        (PERP, {"symbol": "a\nb"}, InputError, "printable"),
        (PERP, {"inverse": "yes"}, InputError, "expected true or false"),
        (PERP, {"open_interest": "-1"}, BadNumber, "zero or more"),
        (PERP, {"open_interest": "1e50"}, LimitExceeded, r"2\*\*62 lots"),
        (OPTION, {"right": "straddle"}, InputError, "expected call or put"),
        (OPTION, {"strike": "-5"}, BadNumber, "strike: found"),
        (OPTION, {"expiry": "soon"}, BadNumber, "expiry: found"),
        (OPTION, {"settled_in": "gold"}, InputError, "coin or quote"),
        (DYNAMIC, {"strike_fixes": "2026-01-01T00:00:00Z"}, CrossedDates, "before the expiry"),
        (BASKET, {"weights": {}}, InputError, "an object such as"),
        (BASKET, {"weights": {"BTC": "0"}}, BadNumber, "weights.BTC"),
        (BASKET, {"underlying": "BTC"}, UnknownKey, "no basket has"),
    ],
)
def test_a_bad_key_is_named_with_what_was_expected(row, change, kind, words):
    with pytest.raises(kind, match=words) as raised:
        parse_instrument({**row, **change}, "market.json: instruments[3]")
    assert str(raised.value).startswith("market.json: instruments[3]")


@pytest.mark.parametrize(
    ("row", "key"),
    [
        (PERP, "lot"),
        (PERP, "underlying"),
        (PERP, "symbol"),
        (OPTION, "strike"),
        (OPTION, "right"),
        (OPTION, "expiry"),
    ]
    + [(DYNAMIC, "strike_fixes"), (DYNAMIC, "strike_fraction"), (BASKET, "weights")],
)
def test_a_missing_key_is_named(row, key):
    with pytest.raises(MissingKey, match=rf"{key}"):
        parse_instrument({k: v for k, v in row.items() if k != key}, "x")


def test_a_haircut_is_a_fraction():
    spot = samples.instrument(samples.market_document(), "BTC")
    with pytest.raises(BadNumber, match="from 0 to 1"):
        parse_instrument({**spot, "haircut": "1.5"}, "x")
    assert parse_instrument({**spot, "haircut": 1}, "x").haircut == Decimal(1)


@pytest.mark.parametrize(("quantity", "lots"), [("0.75", 750), ("-1e2", -100_000), (3, 3000), ("-0.001", -1), ("0", 0)])
def test_a_quantity_is_whole_lots(quantity, lots):
    assert parse_instrument(PERP, "x").lots_of(quantity) == lots


@pytest.mark.parametrize(("quantity", "kind"), [("0.0015", NotWholeLots), ("-1e-9", NotWholeLots), ("nan", BadNumber)])
def test_a_quantity_between_two_lots_or_no_number_is_refused(quantity, kind):
    with pytest.raises(kind, match="quantity of BTC-PERP: found"):
        parse_instrument(PERP, "x").lots_of(quantity)
