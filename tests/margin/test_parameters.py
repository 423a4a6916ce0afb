"""Parameters of models: what callers change is checked by name and type, and docs/models.md lists every one."""

from __future__ import annotations

import re

import msgspec
import pytest

from conftest import ROOT
from seawall.core.errors import InputError, UnsafeParameters
from seawall.margin import models
from seawall.margin.parameters import changed, check_bounds

PAGE = (ROOT / "docs" / "models.md").read_text("utf-8")
SHOWN_MAX = 130
UNITS = {"ppm": "ppm", "hours": "hours", "days": "days"}


def shown(value):
    """A default as the page writes it."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return str(value)
    if isinstance(value, int | float):
        return f"{value:,}"
    if isinstance(value, msgspec.Struct):
        return "/".join(shown(getattr(value, name)) for name in value.__struct_fields__)
    each = [f"{key} {shown(one)}" for key, one in value.items()] if isinstance(value, dict) else [shown(one) for one in value]
    text = ", ".join(each) or "none"
    return text if len(text) <= SHOWN_MAX else f"{len(value)} entries"


def documented(model):
    """Rows of the page's table for a model: {parameter: [default, unit]}."""
    table = re.search(rf"^\| parameter of `{model}` \|.*\n\|[- |]*\n((?:\|.*\n)+)", PAGE, flags=re.M)
    assert table, f"no table of the parameters of {model}"
    rows = [[cell.strip() for cell in line.strip("|\n").split(" | ")] for line in table[1].splitlines()]
    assert all(len(row) == 4 and row[3] for row in rows)
    return {row[0].strip("`"): row[1:3] for row in rows}


def flat(parameters):
    """{name: default} with the fields of nested structs under dotted names."""
    out = {}
    for name in parameters.__struct_fields__:
        value = getattr(parameters, name)
        nested = isinstance(value, msgspec.Struct)
        out |= {f"{name}.{inner}": one for inner, one in flat(value).items()} if nested else {name: value}
    return out


@pytest.mark.parametrize("model", [name for name in models.names() if name != "value-at-risk"])
def test_the_page_lists_every_parameter_with_its_default_and_unit(model):
    rows = documented(model)
    defaults = flat(models.get(model).parameters)
    assert list(rows) == list(defaults)
    assert {name: row[0] for name, row in rows.items()} == {name: shown(value) for name, value in defaults.items()}
    for name, (_, unit) in rows.items():
        wanted = UNITS.get(name.rsplit("_", 1)[-1])
        assert unit == wanted if wanted else unit, f"{model}: {name} is in {unit!r}"


def test_the_page_names_what_value_at_risk_has_otherwise():
    assert list(flat(models.get("value-at-risk").parameters)) == list(documented("expected-shortfall"))
    own, other = flat(models.get("value-at-risk").parameters), flat(models.get("expected-shortfall").parameters)
    assert {name: row[0] for name, row in documented("value-at-risk").items()} == {
        name: shown(value) for name, value in own.items() if value != other[name]
    }


@pytest.mark.parametrize("model", models.names())
def test_a_parameter_that_a_model_does_not_have_is_answered_with_those_that_it_has(model):
    with pytest.raises(InputError) as caught:
        models.get(model, ofset_ppm=1)
    names = list(models.get(model).parameters.__struct_fields__)
    assert (caught.value.place, caught.value.found) == (f"parameters of {model}", '"ofset_ppm"')
    assert caught.value.expected == "one of " + ", ".join(names)


@pytest.mark.parametrize(
    ("model", "given", "words"),
    [
        ("portfolio", {"offset_ppm": "half"}, 'parameter offset_ppm: found "half", expected a whole number'),
        ("portfolio", {"offset_ppm": 0.5}, "parameter offset_ppm: found 0.5, expected a whole number"),
        ("portfolio", {"offset_ppm": True}, "parameter offset_ppm: found true, expected a whole number"),
        ("portfolio", {"range_ppm": 5}, "parameter range_ppm: found 5, expected an object"),
        ("portfolio", {"range_ppm": {"BTC": "x"}}, "parameter range_ppm[...]: found str, expected a whole number"),
        ("portfolio", {"tails": []}, "parameter tails: found a list of 0, expected a list of length 4"),
        ("portfolio", {"offset_ppm": object()}, "parameter offset_ppm: found Encoding objects of type object is unsupported"),
        ("expected-shortfall", {"source": "guess"}, "parameter source: found invalid enum value 'guess'"),
        ("cross", {"tiers": {"BTC": [{"initial_ppm": 1}]}}, "parameter tiers[...][0]: found object missing required"),
        ("dydx", {"tiers": {"large": {"rate": 1}}}, "parameter tiers[...]: found object"),
        ("derive-portfolio", {"skew": {"width": 1}}, "parameter skew: found object contains unknown field `width`"),
        ("derive-standard", {"depeg_factor": "2"}, 'parameter depeg_factor: found "2", expected a number'),
    ],
)
def test_a_value_of_another_type_is_named_with_what_it_should_be(model, given, words):
    with pytest.raises(InputError) as caught:
        models.get(model, **given)
    assert str(caught.value).startswith(words), str(caught.value)


def test_what_is_changed_replaces_and_the_rest_stays():
    before = models.get("portfolio").parameters
    after = changed("portfolio", before, {"range_ppm": {"SOL": 300_000}, "tails": msgspec.to_builtins(before.tails)})
    assert after.range_ppm == {"SOL": 300_000}
    assert msgspec.structs.replace(after, range_ppm=before.range_ppm) == before


@pytest.mark.parametrize(
    ("model", "given", "place"),
    [
        ("portfolio", {"default_range_ppm": 0}, "default_range_ppm"),
        ("portfolio", {"correlation_ppm": {"ETH": 1_000_001}}, "correlation_ppm of ETH"),
        ("greeks", {"volatility_ppm": {"BTC": -1}}, "volatility_ppm of BTC"),
        ("greeks", {"horizon_hours": 0}, "horizon_hours"),
        ("expected-shortfall", {"columns": 1}, "columns"),
        ("value-at-risk", {"daily_volume": {"BTC": -1}}, "daily_volume of BTC"),
        ("expected-shortfall", {"close_days_max": 366}, "close_days_max"),
    ],
)
def test_a_value_out_of_its_bounds_is_named(model, given, place):
    with pytest.raises(UnsafeParameters) as caught:
        models.get(model, **given)
    assert caught.value.place == place


def test_bounds_are_included():
    parameters = models.get("portfolio").parameters
    check_bounds(parameters, {"offset_ppm": (900_000, 900_000), "range_ppm": (140_000, 160_000)})
    for low, high in ((900_001, 10**6), (0, 899_999)):
        with pytest.raises(UnsafeParameters, match="offset_ppm"):
            check_bounds(parameters, {"offset_ppm": (low, high)})
