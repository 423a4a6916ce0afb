"""What must hold of margin whatever the book: offsets never cost, haircuts and shocks never pay, sizes scale.

Each property names the models that it must hold for. `fixed`, `cross` and `dydx` charge positions one by one, so a pair
in two instruments is no offset to them; tiers and concentration rise with size, so they are homogeneous only below it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.margin import scenes
from tests.margin.test_what_if import MARKETS, MODELS, WHOLE

import samples
import seawall as sw
from seawall.core.errors import StaleEvent
from seawall.kernels.account import evaluate_one
from seawall.margin.diff import PARTS, diff
from seawall.margin.evaluate import evaluate
from seawall.market.market import Market

PPM = 10**6
JOINT = ("portfolio", "greeks", "expected-shortfall", "value-at-risk")
COLUMNS = {"columns": 120}
FEW = {name: COLUMNS if name in ("expected-shortfall", "value-at-risk") else {} for name in MODELS}
TABLES = {name: MODELS[name].tables(MARKETS[name]) for name in MODELS}


def figures(model: Any, tables: Any, lots: dict[int, int]) -> np.ndarray:
    """[initial, maintenance] of an account, micro."""
    held = sorted(leg for leg, count in lots.items() if count)
    counts = np.array([lots[leg] for leg in held], np.int64)
    return evaluate_one(model.kind, tables, np.array(held, np.int32), counts, 0)[1:3].copy()


def books(at: Market, most: int = 3_000) -> st.SearchStrategy[dict[int, int]]:
    return st.dictionaries(st.integers(0, len(at.legs.kind) - 1), st.integers(-most, most), min_size=1, max_size=6)


# Two of each: the same terms under two names.
TWINS = scenes.market(
    [
        *({**scenes.perpetual(u), "symbol": f"{u}-{k}"} for u in ("BTC", "ETH") for k in (1, 2)),
        *(scenes.option(f"C{k}", "call", 105_000, 400, 0.6) for k in (1, 2)),
        *(scenes.option(f"P{k}", "put", 90_000, 400, 0.7) for k in (1, 2)),
        scenes.option("OTHER", "call", 120_000, 1_500, 0.5),
    ],
    {"BTC": 100_000, "ETH": 4_000},
)
TWIN_TABLES = {name: sw.models.get(name, **FEW[name]).tables(TWINS) for name in JOINT}


@pytest.mark.parametrize("name", JOINT)
@settings(max_examples=60, deadline=None)
@given(lots=books(TWINS, 500), pair=st.integers(0, 3), count=st.integers(-500, 500))
def test_a_pair_that_pays_nothing_costs_nothing_but_the_rounding_of_its_lots(name, lots, pair, count):
    first, second = np.flatnonzero([symbol[-1:] in "12" for symbol in TWINS.legs.symbols])[2 * pair : 2 * pair + 2]
    more = dict(lots)
    for leg, sign in ((int(first), 1), (int(second), -1)):
        more[leg] = more.get(leg, 0) + sign * count
    before, after = (figures(MODELS[name], TWIN_TABLES[name], each) for each in (lots, more))
    # each sum is rounded up to a micro before its factor, 9 at most; 50 nano a pair; a form may be scaled otherwise
    slack = 13 + abs(count) // 20 + before // PPM
    assert (np.abs(after - before) <= slack).all()


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=60, deadline=None)
@given(data=st.data(), times=st.integers(1, 20), closed=st.integers(1, 20))
def test_closing_the_same_share_of_everything_never_raises_margin(name, data, times, closed):
    lots = data.draw(books(MARKETS[name]))
    whole, less = (
        figures(MODELS[name], TABLES[name], {leg: k * count for leg, count in lots.items()})
        for k in (times, max(times - closed, 0))
    )
    # Derive counts some collateral above its mark: less than nothing becomes less of that
    assert (less <= np.maximum(whole, 0) + 3 + np.abs(whole) // PPM).all()


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=40, deadline=None)
@given(data=st.data(), held=st.integers(-5_000, 5_000), closed=st.integers(0, 5_000))
def test_closing_part_of_a_single_position_never_raises_margin(name, data, held, closed):
    leg = data.draw(st.integers(0, len(MARKETS[name].legs.kind) - 1))
    left = held - int(np.sign(held)) * min(closed, abs(held))
    whole, less = (figures(MODELS[name], TABLES[name], {leg: count}) for count in (held, left))
    assert (less <= np.maximum(whole, 0) + 2).all()


@pytest.mark.parametrize("name", [name for name in MODELS if name != "cross"])
@settings(max_examples=40, deadline=None)
@given(data=st.data(), times=st.integers(2, 40))
def test_margin_is_homogeneous_where_nothing_depends_on_size(name, data, times):
    lots = data.draw(books(MARKETS[name], 200))
    one, many = (
        figures(MODELS[name], UNSIZED[name], {leg: k * count for leg, count in lots.items()}) for k in (1, times)
    )
    # what is rounded once in a position, or once in an account, is rounded up `times` times in the sum of its parts
    slack = times * (3 * len(lots) + 13) + np.abs(many) // PPM
    assert (np.abs(times * one - many) <= slack).all()


SIZED: dict[str, Any] = {"concentration_ppm": 0}
UNSIZED = TABLES | {
    name: sw.models.get(name, **FEW[name], **more).tables(MARKETS[name])
    for name, more in (
        ("portfolio", SIZED),
        ("expected-shortfall", SIZED | {"daily_volume": {}, "default_daily_volume": 0}),
        ("value-at-risk", SIZED | {"daily_volume": {}, "default_daily_volume": 0}),
    )
}


def with_haircuts(haircut: str) -> Market:
    document = samples.market_document()
    for row in document["instruments"]:
        if row["kind"] == "spot":
            row["haircut"] = haircut
    return Market.from_document(document)


HAIRCUTS = ("0", "0.05", "0.3", "1")
BY_HAIRCUT = {
    name: [MODELS[name].tables(with_haircuts(haircut)) for haircut in HAIRCUTS] for name in (*JOINT, "fixed", "cross")
}


@pytest.mark.parametrize("name", BY_HAIRCUT)
@settings(max_examples=40, deadline=None)
@given(lots=books(WHOLE))
def test_margin_never_falls_where_haircuts_rise(name, lots):
    found = [figures(MODELS[name], tables, lots) for tables in BY_HAIRCUT[name]]
    assert all((low <= high).all() for low, high in zip(found, found[1:], strict=False))


def shocked(name: str, at: Market, levels: list[dict[str, Any]]) -> list[tuple[Any, Any]]:
    made = [sw.models.get(name, **FEW[name], **level) for level in levels]
    return [(model, model.tables(at)) for model in made]


def levels(*names: str, base: int) -> list[dict[str, Any]]:
    """The parameters together, smaller to greater."""
    return [dict.fromkeys(names, base * k // 8) for k in (4, 6, 8, 11)]


LINEAR = [leg for leg, right in enumerate(WHOLE.legs.right) if right == 0]
# What must not lower margin, and of which legs. Of options a certified bound may, since its cells move with the range, and
# the basis charge may, which looks at the ends of its move alone.
SHOCKS: dict[str, tuple[str, list[dict[str, Any]], list[int]]] = {
    "fixed: rates": ("fixed", levels("initial_ppm", "maintenance_ppm", base=100_000), list(range(len(WHOLE.legs)))),
    "portfolio: ranges": ("portfolio", [{"range_ppm": {}, **one} for one in levels("default_range_ppm", base=160_000)], LINEAR),
    "portfolio: short minimum": ("portfolio", levels("short_minimum_ppm", base=200_000), list(range(len(WHOLE.legs)))),
    "portfolio: offsets": (
        "portfolio",  # in lock-step: where residuals are larger, some step has the loss without the gain
        [one | {"correlation_ppm": {}, "default_correlation_ppm": PPM} for one in levels("offset_ppm", base=700_000)[::-1]],
        list(range(len(WHOLE.legs))),
    ),
    "portfolio: basis": ("portfolio", levels("basis_ppm", "basis_per_year_ppm", base=20_000), LINEAR),
    "portfolio: factors": (
        "portfolio", levels("initial_factor_ppm", "maintenance_factor_ppm", base=PPM), list(range(len(WHOLE.legs))),
    ),
    "greeks: deviations": (
        "greeks", levels("initial_deviations_ppm", "maintenance_deviations_ppm", base=2_500_000), list(range(len(WHOLE.legs))),
    ),
    "greeks: volatilities": (
        "greeks",
        [{"volatility_ppm": {}, "default_volatility_ppm": 100_000 * k, "vol_deviation_ppm": 10_000 * k} for k in (3, 5, 6, 9)],
        list(range(len(WHOLE.legs))),
    ),
    "shortfall: factors": (
        "expected-shortfall",
        levels("initial_factor_ppm", "maintenance_factor_ppm", base=PPM),
        list(range(len(WHOLE.legs))),
    ),
    "shortfall: confidence": (
        "expected-shortfall",
        [{"initial_confidence_ppm": k, "maintenance_confidence_ppm": k - 20_000} for k in (900_000, 950_000, 990_000)],
        list(range(len(WHOLE.legs))),
    ),
    "value at risk: confidence": (
        "value-at-risk",
        [{"initial_confidence_ppm": k, "maintenance_confidence_ppm": k - 20_000} for k in (900_000, 950_000, 990_000)],
        list(range(len(WHOLE.legs))),
    ),
    "shortfall: history": (
        "expected-shortfall",
        [
            {"source": "historical", "history_ppm": {"BTC": [-9_000 * k, 7_000 * k, 0], "ETH": [-11_000 * k, 10_000 * k, 100 * k]}}
            for k in (1, 2, 5, 9)
        ],
        LINEAR,
    ),
}  # fmt: skip
BY_SHOCK = {what: shocked(name, WHOLE, each) for what, (name, each, _) in SHOCKS.items()}


@pytest.mark.parametrize("what", SHOCKS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_margin_never_falls_where_shocks_rise(what, data):
    legs = SHOCKS[what][2]
    lots = data.draw(st.dictionaries(st.sampled_from(legs), st.integers(-3_000, 3_000), min_size=1, max_size=6))
    found = [figures(model, tables, lots) for model, tables in BY_SHOCK[what]]
    for low, high in zip(found, found[1:], strict=False):
        assert (low <= high + 3 + high // PPM).all()


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=12, deadline=None)
@given(data=st.data(), percent=st.integers(70, 140), hours=st.integers(0, 400), vol=st.integers(20, 200))
def test_the_parts_of_any_difference_sum_to_it(name, data, percent, hours, vol):
    at = MARKETS[name]
    index = {u: str(price * percent / 100) for u, price in at.index.items()}
    later = at.with_index(index, at.as_of_ns + hours * 3_600 * 10**9)
    later = later.with_iv({symbol: f"{vol / 100}" for symbol in later.instruments if symbol.startswith("BTC-DEC-1")})
    # a coin that an inverse contract brings is rounded per trade
    names = st.sampled_from([symbol for symbol in at.instruments if symbol != "BTC-INV"])
    held = st.dictionaries(names, st.integers(-50, 50).filter(bool), max_size=4)
    first, second = scenes.book(at, data.draw(held), "1000"), scenes.book(later, data.draw(held), "2000")
    found = diff((first, at, MODELS[name]), (second, later, MODELS[name]), "a")
    assert tuple(part.name for part in found.parts) == PARTS
    ends = [evaluate(book, market, MODELS[name]) for book, market in ((first, at), (second, later))]
    for k, field in enumerate(("equity_micro", "initial_margin_micro", "maintenance_margin_micro")):
        assert [found.before[k], found.after[k]] == [int(getattr(end, field)[0]) for end in ends]
        assert found.before[k] + sum(part[1 + k] for part in found.parts) == found.after[k]
    if hours:
        with pytest.raises(StaleEvent):
            diff((second, later, MODELS[name]), (first, at, MODELS[name]), "a")
