"""Surfaces in a file: {"underlying", "expiry", "kind": "svi" | "grid", …} to a checked surface, and back."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from seawall.core.errors import (
    BadNumber,
    ExpiredInstrument,
    MissingKey,
    UnknownInstrument,
    UnknownKey,
    UnreadableFile,
    show,
)
from seawall.core.times import YEAR_NS, format_ns, parse_iso_ns
from seawall.core.units import parse_decimal, parse_positive

from . import pricing
from .surface import GridSurface, Surface, SviSurface

__all__ = ["parse_surface", "surface_row"]

_COMMON = {"underlying", "expiry", "kind", "forward", "tau"}
_KEYS = {"svi": _COMMON | {"a", "b", "rho", "m", "sigma"}, "grid": _COMMON | {"strikes", "ivs"}}
_PARAMETER_MAX = 1000
_TAU_MAX = Decimal(1000)


def parse_surface(
    row: dict[str, Any],
    place: str,
    as_of_ns: int,
    rate: float,
    index: dict[str, Decimal],
    forwards: dict[tuple[str, int], float],
) -> Surface:
    """A surface from one row. Forward and tau default to those of the expiry at the market's time."""
    kind = row.get("kind")
    if not isinstance(kind, str) or kind not in _KEYS:
        raise UnreadableFile(f"{place}.kind", show(kind), "svi or grid")
    for key in row:
        if key not in _KEYS[kind]:
            expected = "one of " + ", ".join(sorted(_KEYS[kind]))
            raise UnknownKey(f"{place}.{key}", f"a key that no {kind} surface has", expected)
    for key in sorted(_KEYS[kind] - {"forward", "tau"}):
        if key not in row:
            raise MissingKey(f"{place}.{key}", "nothing", f"the key {key}")
    name = row["underlying"]
    if not isinstance(name, str) or name not in index:
        raise UnknownInstrument(f"{place}.underlying", show(name), "one of " + ", ".join(list(index)[:20]))
    expiry_ns = parse_iso_ns(row["expiry"], f"{place}.expiry")
    if expiry_ns <= as_of_ns:
        expected = f"a time after {format_ns(as_of_ns)}"
        raise ExpiredInstrument(f"{place}.expiry", f"{format_ns(expiry_ns)}, which is past", expected)
    years = (expiry_ns - as_of_ns) / YEAR_NS
    forward = forwards.get((name, expiry_ns), float(index[name]) * pricing.carry(rate, years))
    if "forward" in row:
        forward = float(parse_positive(row["forward"], f"{place}.forward"))
    tau = years
    if "tau" in row:
        tau = float(parse_positive(row["tau"], f"{place}.tau", _TAU_MAX))
    if kind == "svi":
        given = {key: _parameter(row[key], f"{place}.{key}") for key in ("a", "b", "rho", "m", "sigma")}
        return SviSurface(underlying=name, expiry_ns=expiry_ns, forward=forward, tau=tau, **given)
    strikes, ivs = _grid(row, place)
    return GridSurface(name, expiry_ns, strikes, ivs, forward, tau)


def surface_row(surface: Surface) -> dict[str, Any]:
    """The row that `parse_surface` reads back to the same surface."""
    row: dict[str, Any] = {"underlying": surface.underlying, "expiry": format_ns(surface.expiry_ns)}
    for key, value in msgspec.structs.asdict(surface).items():
        if key in ("strikes", "ivs"):
            row[key] = [repr(number) for number in value]
        elif key not in ("underlying", "expiry_ns"):
            row[key] = repr(value)
    row["kind"] = "svi" if isinstance(surface, SviSurface) else "grid"
    return row


def _parameter(value: object, place: str) -> float:
    number = parse_decimal(value, place)
    if abs(number) > _PARAMETER_MAX:
        raise BadNumber(place, show(value), f"a number between -{_PARAMETER_MAX} and {_PARAMETER_MAX}")
    return float(number)


def _grid(row: dict[str, Any], place: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    for key in ("strikes", "ivs"):
        if not isinstance(row[key], list) or not row[key]:
            raise UnreadableFile(f"{place}.{key}", show(row[key]), "a list of numbers")
    if len(row["strikes"]) != len(row["ivs"]):
        found = f"{len(row['ivs'])} vols for {len(row['strikes'])} strikes"
        raise BadNumber(f"{place}.ivs", found, "one vol for every strike")
    strikes = tuple(float(parse_positive(k, f"{place}.strikes[{n}]")) for n, k in enumerate(row["strikes"]))
    ivs = tuple(pricing.parse_iv(iv, f"{place}.ivs[{n}]") for n, iv in enumerate(row["ivs"]))
    for n in range(1, len(strikes)):
        if strikes[n] <= strikes[n - 1]:
            found = f"{strikes[n]:g} after {strikes[n - 1]:g}"
            raise BadNumber(f"{place}.strikes[{n}]", found, "strikes that rise")
    return strikes, ivs
