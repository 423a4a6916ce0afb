"""Reads a vector of Derive's PMRM into parameters and a board, one leg and one lot per position."""

from typing import Any, NamedTuple

import numpy as np

from seawall.margin.venues.derive_parameters import PortfolioParameters, Scenario, SkewShock
from seawall.margin.venues.derive_values import COLLATERAL, HEDGE, OPTION, PERPETUAL, Board


class Portfolio(NamedTuple):
    """One vector: board with one leg per position, lots ±1, cash (with unsettled perp cash)."""

    board: Board
    lots: np.ndarray
    cash: float


def expiry_blocks(given: dict[str, Any]) -> list[int]:
    """Block of each of the vector's expiries: 1 + rank by time; block 0 is what has no expiry."""
    times = sorted({int(expiry["sec_to_expiry"]) for expiry in given["expiries"]})
    return [1 + times.index(int(expiry["sec_to_expiry"])) for expiry in given["expiries"]]


def read_portfolio(given: dict[str, Any], parameters: PortfolioParameters) -> Portfolio:
    """The board and the positions of a vector's input."""
    version = parameters.version
    spot, stable = float(given["spot"]), float(given["stable_price"])
    spot_confidence = float(given["spot_confidence"])
    perp = given["perp"]
    held = float(perp["position"]) != 0.0
    least = min(spot_confidence, float(perp["confidence"])) if held else spot_confidence
    legs: list[dict[str, float]] = []
    if held:
        size = float(perp["position"])
        legs.append(_leg(PERPETUAL, size, price=perp["price"], notional=spot * abs(size), confidence=least))
    if version == 1 and float(given["base"]) != 0.0:
        size = float(given["base"])
        leg = _leg(HEDGE, size, price=spot / stable, notional=spot * abs(size), confidence=least)
        legs.append(leg | {"haircut_mm": parameters.base_percent})
    for item in given.get("collaterals", []):
        size, price = float(item["amount"]), float(item["price"]) / stable
        if size == 0.0:
            continue
        kind = HEDGE if item["is_risk_cancelling"] else COLLATERAL
        confidence = min(float(item["confidence"]), spot_confidence)
        leg = _leg(kind, size, price=price, notional=abs(size) * price, confidence=confidence)
        legs.append(leg | {"haircut_mm": float(item["mm_haircut"]), "haircut_im": float(item["im_haircut"])})
    seconds, rate = _read_options(given, version, least, spot, legs)
    unsettled = ("unsettled_cash",) if version == 1 else ("unrealised_pnl", "unrealised_funding")
    cash = float(given["cash"]) - float(perp["position"]) * float(perp["price"])  # entered at its mark
    cash += sum(float(perp[name]) for name in unsettled)
    return _portfolio(legs, seconds, rate, stable, cash)


def _read_options(
    given: dict[str, Any], version: int, least: float, spot: float, legs: list[dict[str, float]]
) -> tuple[np.ndarray, np.ndarray]:
    """Appends the options, sorted by expiry, strike and right; returns life and rate per block."""
    expiries = {int(expiry["sec_to_expiry"]): expiry for expiry in given["expiries"]}
    blocks = dict(zip(expiries, expiry_blocks({"expiries": list(expiries.values())}), strict=True))
    confidence = {}
    for time, expiry in expiries.items():
        vols = [
            option["vol_confidence"]
            for option in given["options"]
            if int(option["sec_to_expiry"]) == time and "vol_confidence" in option
        ]
        vol = expiry.get("vol_confidence", vols[-1] if vols else 1.0)
        confidence[time] = min(least, float(expiry["forward_confidence"]), float(expiry["rate_confidence"]), float(vol))
    rows = sorted(given["options"], key=lambda row: (int(row["sec_to_expiry"]), row["strike"], row["is_call"]))
    groups: dict[tuple[int, float], int] = {}
    for row in rows:
        time, size = int(row["sec_to_expiry"]), float(row["amount"])
        if size == 0.0:
            continue
        expiry = expiries[time]
        leg = _leg(OPTION, size, price=0.0, notional=spot * abs(size), confidence=confidence[time])
        leg["forward"], leg["fixed"] = float(expiry["forward_variable"]), float(expiry["forward_fixed"])
        leg["strike"], leg["vol"] = (
            float(row["strike"]),
            float(row["vol"] if version == 1 else row["mark_vol"]),
        )
        leg["right"] = 1.0 if row["is_call"] else -1.0
        leg["block"] = float(blocks[time])
        leg["group"] = float(groups.setdefault((time, float(row["strike"])), len(groups)))
        legs.append(leg)
    seconds, rate = np.zeros(len(expiries) + 1), np.zeros(len(expiries) + 1)
    for time, expiry in expiries.items():
        seconds[blocks[time]], rate[blocks[time]] = float(time), float(expiry["rate"])
    return seconds, rate


def _leg(kind: int, size: float, price: float, notional: float, confidence: float) -> dict[str, float]:
    zero = dict.fromkeys(("haircut_mm", "haircut_im", "forward", "fixed", "strike", "vol", "right", "block"), 0.0)
    return zero | {
        "kind": float(kind),
        "size": float(size),
        "price": float(price),
        "notional": notional,
        "confidence": float(confidence),
        "group": -1.0,
    }


def _portfolio(
    legs: list[dict[str, float]],
    seconds: np.ndarray,
    rate: np.ndarray,
    stable: float,
    cash: float,
) -> Portfolio:
    def column(name: str, dtype: Any = np.float64) -> np.ndarray:
        return np.array([leg[name] for leg in legs], np.float64).astype(dtype)

    board = Board(
        kind=column("kind", np.int8),
        size=np.abs(column("size")),
        price=column("price"),
        notional=column("notional"),
        haircut_mm=column("haircut_mm"),
        haircut_im=column("haircut_im"),
        confidence=column("confidence"),
        exact_nano=np.zeros(len(legs), np.int64),
        forward=column("forward"),
        fixed=column("fixed"),
        strike=column("strike"),
        vol=column("vol"),
        right=column("right", np.int8),
        block=column("block", np.int32),
        group=column("group", np.int32),
        underlying=np.zeros(len(legs), np.int32),
        seconds=seconds,
        rate=rate,
        underlyings=1,
        stable=stable,
    )
    return Portfolio(board, np.sign(column("size")).astype(np.int64), cash)


def read_v2(raw: dict[str, Any]) -> PortfolioParameters:
    """Parameters of a version 2 vector."""
    fields = {"version": 2, "scenarios": _scenarios(raw), **_basis(raw["basis_contingency"])}
    fields["skew"] = SkewShock(**{name: float(value) for name, value in raw["skew_shock"].items()})
    for part in ("margin", "vol_shock", "other_contingency"):
        fields |= {name: float(value) for name, value in raw[part].items()}
    return PortfolioParameters(**fields)


def read_v1(raw: dict[str, Any]) -> PortfolioParameters:
    """Parameters of a version 1 vector."""
    margin, other = raw["margin"], raw["other_contingency"]
    fields = {"version": 1, "scenarios": _scenarios(raw), **_basis(raw["basis_contingency"])}
    fields |= {name: float(value) for name, value in raw["vol_shock"].items()}
    for name in ("peg_loss_threshold", "peg_loss_factor", "conf_threshold", "conf_margin", "base_percent"):
        fields[name] = float(other[name])
    fields |= {
        "min_vol_up_shock": 0.0,
        "im_factor": float(margin["im_factor"]),
        "mm_factor": 1.0,
        "long_base_static_discount": float(margin["base_static_discount"]),
        "long_rate_mult": float(margin["rate_mult"]),
        "long_rate_add": float(margin["rate_add"]),
        "mm_perp_percent": float(other["perp_percent"]),
        "im_perp_percent": 0.0,
        "mm_option_percent": float(other["option_percent"]),
        "im_option_percent": 0.0,
    }
    return PortfolioParameters(**fields)


def _scenarios(raw: dict[str, Any]) -> tuple[Scenario, ...]:
    return tuple(
        Scenario(float(row["spot_shock"]), row["vol_shock"].lower(), float(row.get("dampening", 1.0)))
        for row in raw["scenarios"]
    )


def _basis(raw: dict[str, Any]) -> dict[str, Any]:
    return {
        "basis_up": float(raw["scenario_spot_up"]),
        "basis_down": float(raw["scenario_spot_down"]),
        "basis_add": float(raw["add_factor"]),
        "basis_mult": float(raw["mult_factor"]),
    }
