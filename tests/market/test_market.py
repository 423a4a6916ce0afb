"""A market: loads, moves, saves, and keeps its integers through all of it."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import samples
from seawall.core.errors import BadNumber, ExpiredInstrument, InputError, StaleEvent, UnknownInstrument
from seawall.core.times import YEAR_NS, parse_iso_ns
from seawall.market.market import Market

ARRAYS = (
    "instrument kind role underlying expiry_ns fix_ns block strike_group value_nano notional_nano limit_nano "
    "value_num value_den lot_num lot_den lot ratio strike right iv haircut_ppm open_interest_lots "
    "block_underlying block_expiry_ns index_nano index"
).split()
prices = st.decimals("0.01", "200000", places=9, allow_nan=False).map(str)


def loaded() -> Market:
    return Market.from_document(samples.market_document())


def same_legs(a: Market, b: Market) -> None:
    assert a.legs.symbols == b.legs.symbols
    for name in ARRAYS:
        left, right = getattr(a.legs, name), getattr(b.legs, name)
        assert left.dtype == right.dtype, name
        assert left.tobytes() == right.tobytes(), name


@pytest.mark.parametrize("name", ["market.json", "market"])
def test_a_saved_market_loads_to_identical_arrays(tmp_path, name):
    market = loaded()
    market.save(tmp_path / name)
    again = Market.load(tmp_path / name)
    same_legs(market, again)
    assert again.to_document() == market.to_document()
    assert (again.version, again.rate, again.settlement) == (1, 0.04, "USD")


@given(btc=prices, eth=prices, seconds=st.integers(0, 10**6), mark=st.floats(0.9, 1.1), vol=st.floats(0.01, 3))
def test_a_market_that_has_moved_saves_and_loads_to_identical_arrays(tmp_path_factory, btc, eth, seconds, mark, vol):
    market = loaded()
    market = market.with_index({"BTC": btc, "ETH": eth}, market.as_of_ns + seconds * 10**9)
    market = market.with_mark("BTC-DEC", f"{float(btc) * mark:.9f}").with_iv({"BTC-DEC-120000-C": vol})
    folder = tmp_path_factory.mktemp("moved")
    for name in ("market.json", "market"):
        market.save(folder / name)
        again = Market.load(folder / name)
        same_legs(market, again)
        assert again.version == market.version == 4
        assert again.leg_marks().tobytes() == market.leg_marks().tobytes()


@given(st.lists(prices, min_size=1, max_size=8))
def test_the_path_of_the_index_leaves_no_trace(path):
    market = loaded()
    for price in path:
        market = market.with_index({"BTC": price})
    same_legs(market, loaded().with_index({"BTC": path[-1]}))


def test_linear_values_are_the_exact_decimals_of_the_file():
    legs = loaded().legs
    values = dict(zip(legs.symbols, legs.value_nano.tolist()))
    assert values["BTC"] == 11_300_000_000
    assert values["BTC-PERP"] == 112_950_000_000
    assert values["BTC-DEC"] == 113_800_000_000
    assert values["ETH"] == 3_900_250_000


@given(prices)
def test_a_linear_value_is_the_floor_of_index_times_ratio_times_lot(price):
    market = loaded().with_index({"BTC": price})
    legs = market.legs
    for symbol, ratio, lot in (
        ("BTC", Fraction(1), Fraction(1, 10_000)),
        ("BTC-PERP", Fraction(112_950, 113_000), Fraction(1, 1000)),
        ("MIX/BTC", Fraction(1), Fraction(1, 20)),
    ):
        exact = Fraction(price) * ratio * lot * 10**9
        assert legs.value_nano[legs.symbols.index(symbol)] == math.floor(exact)
        assert legs.notional_nano[legs.symbols.index(symbol)] == math.ceil(Fraction(price) * lot * 10**9)


def test_a_basket_is_worth_the_sum_of_its_legs():
    market = loaded()
    legs = market.legs
    parts = legs.expand("MIX")
    assert [legs.symbols[leg] for leg, _ in parts] == ["MIX/BTC", "MIX/ETH"]
    exact = (Decimal("0.5") * 113_000 + 4 * Decimal("3900.25")) * Decimal("0.1") * 10**9
    assert sum(int(legs.value_nano[leg]) * lots for leg, lots in parts) == exact
    assert market.mark("MIX") == pytest.approx(0.5 * 113_000 + 4 * 3900.25)


def test_legs_stand_by_underlying_then_expiry_then_strike_then_put_before_call():
    legs = loaded().legs
    keys = list(
        zip(legs.underlying.tolist(), legs.expiry_ns.tolist(), (legs.right != 0).tolist(), legs.fix_ns.tolist())
    )
    assert keys == sorted(keys)
    at = legs.symbols.index("BTC-DEC-120000-P")
    assert legs.symbols[at + 1] == "BTC-DEC-120000-C"
    assert legs.strike_group[at] == legs.strike_group[at + 1] >= 0
    assert np.all(np.diff(legs.block) >= 0)
    assert legs.block_underlying[legs.block].tolist() == legs.underlying.tolist()
    assert legs.block_expiry_ns[legs.block].tolist() == legs.expiry_ns.tolist()
    assert np.all((legs.strike_group == -1) == (legs.right == 0))


def test_marks_of_options_are_black_76_on_the_forward_discounted_from_expiry():
    market = loaded()
    years = (parse_iso_ns(samples.EXPIRY) - market.as_of_ns) / YEAR_NS
    f, k, s = 113_800.0, 120_000.0, 0.52 * math.sqrt(years)
    d1 = math.log(f / k) / s + s / 2
    cdf = lambda x: 0.5 * math.erfc(-x / math.sqrt(2))  # noqa: E731
    call = math.exp(-0.04 * years) * (f * cdf(d1) - k * cdf(d1 - s))
    assert market.mark("BTC-DEC-120000-C") == pytest.approx(call, rel=1e-12)


def test_a_mark_without_a_vol_gives_the_vol_that_gives_the_mark():
    assert loaded().mark("BTC-DEC-120000-P") == pytest.approx(11_000, rel=1e-12)


def test_an_option_without_a_forward_takes_the_future_of_its_expiry_and_follows_it():
    market = loaded()
    at = market.legs.symbols.index("BTC-DEC-120000-C")
    assert market.legs.ratio[at] == float(Fraction(113_800, 113_000))
    moved = market.with_mark("BTC-DEC", "120000")
    assert moved.legs.ratio[at] == float(Fraction(120_000, 113_000))


def test_an_option_without_a_future_takes_the_carried_index():
    market = loaded()
    at = market.legs.symbols.index("ETH-DEC-4000-C")
    years = (parse_iso_ns(samples.EXPIRY) - market.as_of_ns) / YEAR_NS
    assert market.legs.ratio[at] == pytest.approx(math.exp(0.04 * years), rel=1e-12)


def test_options_without_a_vol_take_it_from_the_surface_of_their_expiry():
    market = loaded()
    surface = market.surfaces[("ETH", parse_iso_ns(samples.EXPIRY))]
    at = market.legs.symbols.index("ETH-DEC-4000-C")
    assert market.legs.iv[at] == surface.vol(4000.0)


def test_a_forward_start_is_a_fixed_share_of_the_forward_until_its_strike_is_fixed():
    market = loaded()
    before, after = market.mark("BTC-DEC-95-P"), market.with_index({"BTC": "56500"}).mark("BTC-DEC-95-P")
    assert after == pytest.approx(before / 2, rel=1e-12)
    at = market.legs.symbols.index("BTC-DEC-95-P")
    greeks = market.greeks()
    assert greeks["gamma"][at] == 0.0
    assert greeks["delta"][at] * 113_800 == pytest.approx(before, rel=1e-12)


def test_greeks_of_legs_that_are_no_option_are_zero():
    market = loaded()
    greeks = market.greeks()
    assert set(greeks) == {"value", "delta", "gamma", "vega", "theta", "rho", "vanna", "volga"}
    linear = market.legs.right == 0
    for column in greeks.values():
        assert not column[linear].any()
        assert np.all(np.isfinite(column))


def test_a_mark_of_an_option_moves_its_vol():
    market = loaded().with_mark("BTC-DEC-120000-C", "15000")
    assert market.mark("BTC-DEC-120000-C") == pytest.approx(15_000, rel=1e-12)


def test_every_change_is_a_new_version_and_leaves_the_old_market_alone():
    market = loaded()
    values = market.legs.value_nano.copy()
    moved = market.with_index({"BTC": "1"}).with_mark("BTC-PERP", "2").with_iv({"BTC-DEC-95-P": "0.7"})
    assert (market.version, moved.version) == (1, 4)
    assert np.array_equal(market.legs.value_nano, values)
    assert market.legs.iv[market.legs.symbols.index("BTC-DEC-95-P")] == 0.5


def test_a_new_surface_moves_the_vols_that_come_from_it():
    market = loaded()
    key = ("ETH", parse_iso_ns(samples.EXPIRY))
    old = market.surfaces[key]
    moved = market.with_surface(type(old)(**{**{f: getattr(old, f) for f in old.__struct_fields__}, "a": 0.09}))
    at = market.legs.symbols.index("ETH-DEC-3500-P")
    assert moved.legs.iv[at] > market.legs.iv[at]


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (lambda m: m.with_index({"XRP": "1"}), UnknownInstrument, "unknown underlying"),
        (lambda m: m.with_index({"BTC": "0"}), BadNumber, "above zero"),
        (lambda m: m.with_index({"BTC": float("nan")}), BadNumber, "index of BTC"),
        (lambda m: m.with_index({"BTC": "0.0000000001"}), BadNumber, "9 decimals"),
        (lambda m: m.with_index({"BTC": "8999999999"}), BadNumber, "a lot worth"),
        (lambda m: m.with_index({}, m.as_of_ns - 1), StaleEvent, "from 2025-10-10T21:00:00Z on"),
        (lambda m: m.with_mark("BTC", "1"), BadNumber, "found a spot"),
        (lambda m: m.with_mark("NOPE", "1"), UnknownInstrument, '"NOPE"'),
        (lambda m: m.with_mark("BTC-DEC-120000-C", "200000"), BadNumber, "which some volatility explains"),
        (lambda m: m.with_iv({"BTC": "0.5"}), BadNumber, "expected an option"),
        (lambda m: m.with_iv({"BTC-DEC-95-P": "-1"}), BadNumber, "a volatility above 0"),
        (lambda m: m.at(parse_iso_ns("2026-01-01")).with_mark("BTC-DEC", "1"), ExpiredInstrument, "after its expiry"),
        (lambda m: m.legs.expand("NOPE"), UnknownInstrument, '"NOPE"'),
        (lambda m: m.legs.coin_leg("ETH"), UnknownInstrument, '"ETH"'),
    ],
)
def test_a_change_that_cannot_be_is_refused_in_one_line(change, kind, words):
    market = loaded()
    with pytest.raises(kind, match=words) as raised:
        change(market)
    assert "\n" not in str(raised.value)
    assert isinstance(raised.value, InputError)


def test_coin_lots_are_kept_when_the_price_moves_through_a_power_of_ten(tmp_path):
    market = loaded().with_index({"BTC": "99000"})
    assert market.legs.coin_lot("BTC") == (1, 10**8)
    market.save(tmp_path / "m.json")
    assert Market.load(tmp_path / "m.json").legs.coin_lot("BTC") == (1, 10**8)


def test_two_thousand_instruments_keep_their_values_as_python_would_compute_them():
    document = samples.market_document()
    document["instruments"] = [
        {"symbol": f"F{n}", "kind": "perpetual", "underlying": "BTC", "lot": "0.007", "mark": f"{100000 + n}.{n:04d}"}
        for n in range(2000)
    ]
    document.pop("surfaces")
    legs = Market.from_document(document).legs
    for n in range(2000):
        at = legs.leg_of[f"F{n}"][0]
        assert legs.value_nano[at] == math.floor(Fraction(f"{100000 + n}.{n:04d}") * 7 * 10**6)
