"""The models by name. A venue's rules are a model with that venue's published parameters."""

from collections.abc import Callable
from typing import Any

from seawall.core.errors import InputError
from seawall.margin.model import Model
from seawall.margin.parameters import changed


def _fixed(**parameters: Any) -> Model:
    from seawall.margin.tiered import FixedModel, FixedParameters

    return FixedModel(changed(FixedModel.name, FixedParameters(), parameters))


def _cross(**parameters: Any) -> Model:
    from seawall.margin.tiered import CrossModel, CrossParameters

    return CrossModel(changed(CrossModel.name, CrossParameters(), parameters))


def _portfolio(**parameters: Any) -> Model:
    from seawall.margin.portfolio import PortfolioModel, PortfolioParameters

    return PortfolioModel(changed(PortfolioModel.name, PortfolioParameters(), parameters))


def _greeks(**parameters: Any) -> Model:
    from seawall.margin.greeks import GreeksModel, GreeksParameters

    return GreeksModel(changed(GreeksModel.name, GreeksParameters(), parameters))


def _expected_shortfall(**parameters: Any) -> Model:
    from seawall.margin.tail import ExpectedShortfallModel, ExpectedShortfallParameters

    return ExpectedShortfallModel(changed(ExpectedShortfallModel.name, ExpectedShortfallParameters(), parameters))


def _value_at_risk(**parameters: Any) -> Model:
    from seawall.margin.tail import ValueAtRiskModel, ValueAtRiskParameters

    return ValueAtRiskModel(changed(ValueAtRiskModel.name, ValueAtRiskParameters(), parameters))


def _derive_standard(**parameters: Any) -> Model:
    from seawall.margin.venues.derive_standard import derive_standard

    return derive_standard(**parameters)


def _derive_portfolio(**parameters: Any) -> Model:
    from seawall.margin.venues.derive_portfolio import derive_portfolio

    return derive_portfolio(**parameters)


def _dydx(**parameters: Any) -> Model:
    from seawall.margin.venues.dydx import dydx

    return dydx(**parameters)


_MODELS: dict[str, Callable[..., Model]] = {
    "fixed": _fixed,
    "cross": _cross,
    "portfolio": _portfolio,
    "greeks": _greeks,
    "expected-shortfall": _expected_shortfall,
    "value-at-risk": _value_at_risk,
    "derive-standard": _derive_standard,
    "derive-portfolio": _derive_portfolio,
    "dydx": _dydx,
}


def names() -> tuple[str, ...]:
    """All model names, in the order of the documentation."""
    return tuple(_MODELS)


def get(name: str, **parameters: Any) -> Model:
    """A model by name, its parameters overridden by keyword.

    >>> get("fixed", maintenance_ppm=60_000).parameters.maintenance_ppm
    60000
    """
    if name not in _MODELS:
        raise InputError("model", repr(name), "one of " + ", ".join(_MODELS))
    return _MODELS[name](**parameters)


def resolve(model: str | Model) -> Model:
    """A model given by name or as itself."""
    return get(model) if isinstance(model, str) else model
