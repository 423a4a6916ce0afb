"""Parameters of Derive's margin managers, as published, and the mainnet sets.

Source: the deployment scripts of `derivexyz/v2-core` @ 7736900 (January 2026), figures only. One
departure: the v2 script gives the static discount of longs and shorts the wrong way round (short
0.95, long 1.05), which would pay the taker; every published vector has long 0.95 and short above 1,
and so have the defaults here. Rates are fractions (0.03 = 3 %): they feed float64 risk values, which
are rounded once into the integer tables.
"""

import msgspec

from seawall.core.errors import InputError

VOL_SHOCKS = ("none", "up", "down", "linear", "abs")
NONE, UP, DOWN, LINEAR, ABS = range(5)


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """spot: multiple of the forward; vol: one of VOL_SHOCKS; dampening: share that counts.

    `linear` and `abs` turn or bend the smile of each expiry and count both ways; their spot must be 1.
    """

    spot: float
    vol: str = "none"
    dampening: float = 1.0


class SkewShock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far the smile may turn (linear) or bend (abs); §4 of the research notes."""

    linear_base_cap: float = 0.25
    abs_base_cap: float = 0.25
    linear_cbase: float = -0.1
    abs_cbase: float = -0.1
    min_k_star: float = 0.01
    width_scale: float = 4.0
    vol_param_static: float = 0.6
    vol_param_scale: float = 0.0


class PortfolioParameters(msgspec.Struct, frozen=True, kw_only=True):
    """PMRM, version 1 (one scan, contingencies scaled) or 2 (discounting, tails, skew, collateral).

    *_base_static_discount, *_rate_mult, *_rate_add: the static discount of an expiry's shocked value
    is base · exp(∓T·(rate·mult + add)); longs shrink, shorts grow (version 1: shorts do not).
    mm_*_percent: of notional, both contexts; im_*_percent: on top, initial only.
    collateral_im_share: extra initial haircut of a spot holding, as a share of its haircut.
    """

    version: int = 2
    scenarios: tuple[Scenario, ...] = ()
    vol_range_up: float = 0.5
    vol_range_down: float = 0.3
    short_term_power: float = 0.3
    long_term_power: float = 0.13
    dte_floor_days: float = 1.0
    min_vol_up_shock: float = 0.4
    skew: SkewShock = SkewShock()
    im_factor: float = 1.0
    mm_factor: float = 0.8
    long_base_static_discount: float = 0.95
    long_rate_mult: float = 0.0
    long_rate_add: float = 0.16
    short_base_static_discount: float = 1.05
    short_rate_mult: float = 0.0
    short_rate_add: float = 0.16
    basis_up: float = 1.045
    basis_down: float = 0.955
    basis_add: float = 0.5
    basis_mult: float = 2.0
    peg_loss_threshold: float = 0.99
    peg_loss_factor: float = 4.0
    conf_threshold: float = 0.55
    conf_margin: float = 1.0
    mm_perp_percent: float = 0.03
    im_perp_percent: float = 0.01
    mm_option_percent: float = 0.003
    im_option_percent: float = 0.002
    base_percent: float = 0.03
    collateral_im_share: float = 0.5


def _grid(edge: float, step: float) -> list[Scenario]:
    """± edge with volatility up, then three volatilities at three steps either side of no move."""
    inner = [Scenario(round(1.0 + k * step, 12), vol) for k in range(3, -4, -1) for vol in ("down", "none", "up")]
    return [Scenario(round(1.0 + edge, 12), "up"), *inner, Scenario(round(1.0 - edge, 12), "up")]


def mainnet_portfolio(version: int) -> PortfolioParameters:
    """The mainnet set of PMRM version 1 (23 scenarios) or 2 (33 scenarios)."""
    if version == 2:
        tails = [
            (0.34, 0.21),
            (0.67, 0.42),
            *((u, 0.1386 / (u - 1.0)) for u in (1.5, 2.0, 3.0, 4.0, 5.0, 6.0)),
        ]
        return PortfolioParameters(
            scenarios=(
                *_grid(0.18, 0.045),
                *(Scenario(spot, "up", dampening) for spot, dampening in tails),
                Scenario(1.0, "linear"),
                Scenario(1.0, "abs"),
            )
        )
    if version == 1:
        return PortfolioParameters(
            version=1,
            scenarios=tuple(_grid(0.20, 0.05)),
            vol_range_up=0.6,
            min_vol_up_shock=0.0,
            im_factor=1.25,
            mm_factor=1.0,
            long_rate_mult=1.0,
            long_rate_add=0.12,
            short_base_static_discount=1.0,
            short_rate_add=0.0,
            basis_up=1.05,
            basis_down=0.95,
            basis_add=1.0,
            basis_mult=1.2,
            im_perp_percent=0.0,
            mm_option_percent=0.02,
            im_option_percent=0.0,
            collateral_im_share=0.0,
        )
    raise InputError("derive-portfolio version", str(version), "1 or 2")


def check_portfolio(parameters: PortfolioParameters) -> None:
    """Refuses what the rules cannot read: an unknown shock, a skew that moves spot, no scenario."""
    if parameters.version not in (1, 2):
        raise InputError("derive-portfolio version", str(parameters.version), "1 or 2")
    if not parameters.scenarios:
        raise InputError("derive-portfolio scenarios", "none", "at least one")
    for position, scenario in enumerate(parameters.scenarios):
        place = f"derive-portfolio scenarios[{position}]"
        allowed = VOL_SHOCKS if parameters.version == 2 else VOL_SHOCKS[:3]
        if scenario.vol not in allowed:
            raise InputError(f"{place}.vol", repr(scenario.vol), "one of " + ", ".join(allowed))
        if scenario.vol in ("linear", "abs") and scenario.spot != 1.0:
            raise InputError(f"{place}.spot", str(scenario.spot), "1: a skew scenario leaves spot where it is")
        if scenario.spot < 0.0 or scenario.dampening < 0.0:
            raise InputError(place, "a negative number", "spot >= 0 and dampening >= 0")
    if min(parameters.im_factor, parameters.mm_factor) < 0.0:
        raise InputError("derive-portfolio factors", "a negative factor", "im_factor >= 0 and mm_factor >= 0")


class StandardMarket(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Standard manager, one market. Thresholds are confidences; `oracle_factor` prices their lack."""

    perp_mm: float = 0.20
    perp_im: float = 0.333
    max_spot_req: float = 0.25
    min_spot_req: float = 0.225
    mm_call_spot_req: float = 0.09
    mm_put_spot_req: float = 0.09
    mm_put_mtm_req: float = 0.09
    unpaired_im_scale: float = 1.2
    unpaired_mm_scale: float = 1.1
    mm_offset_scale: float = 1.05
    perp_threshold: float = 0.55
    option_threshold: float = 0.55
    base_threshold: float = 0.55
    oracle_factor: float = 1.0
    base_margin_factor: float = 0.65
    base_im_scale: float = 0.77


_MAJOR = {"perp_mm": 0.065, "perp_im": 0.10, "max_spot_req": 0.15, "min_spot_req": 0.13}


class StandardParameters(msgspec.Struct, frozen=True, kw_only=True):
    """markets: by underlying; `default_market` (the script's most careful listed alts) for the others."""

    markets: dict[str, StandardMarket] = msgspec.field(
        default_factory=lambda: {
            "BTC": StandardMarket(**_MAJOR, base_margin_factor=0.75, base_im_scale=0.93),
            "ETH": StandardMarket(**_MAJOR, base_margin_factor=0.8, base_im_scale=0.9375),
        }
    )
    default_market: StandardMarket = StandardMarket()
    depeg_threshold: float = 0.99
    depeg_factor: float = 2.0


def mainnet_standard() -> StandardParameters:
    """The mainnet set of the standard manager."""
    return StandardParameters()
